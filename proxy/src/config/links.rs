//! `[[site.links]]`, `go` and `tag`: what a site shows outside of its prefix beside its origin.

use super::{
    hosts, keys,
    reader::{Section, Text, kind, quoted},
};
use std::fmt::Write as _;
use toml::de::DeValue;
use url::Url;
use usher_model::{AffiliateCode, Link};

/// Where affiliates' own links begin when nothing else is said.
const GO: &str = "/go";

/// What the site says of its links. `None` when something about one is wrong, which has been reported.
pub(super) fn read(site: &Section<'_>, hosts: &[String], prefix: &str) -> Option<Vec<Link>> {
    let sections = site.sections("links", keys::LINK);
    let written = if site.get("links").is_none() { 0 } else { sections.len() };
    let mut links: Vec<Link> = Vec::new();
    for section in &sections {
        let Some(link) = link(section, hosts) else { continue };
        let place = section.place_of("path");
        if is_below(&link.path, prefix) {
            place.refuse::<()>(
                format!(
                    "is {:?}, which lies below the prefix {prefix:?}: Usher's own paths are there",
                    link.path
                ),
                "choose a path outside of it",
            );
        } else if let Some(earlier) = links.iter().find(|earlier| earlier.path == link.path) {
            place.refuse::<()>(
                format!(
                    "is {:?}, as the path of a link of {:?} above is",
                    link.path,
                    earlier.affiliate.as_str()
                ),
                "give each link its own",
            );
        } else {
            links.push(link);
        }
    }
    (links.len() == written).then_some(links)
}

/// Where affiliates' own links begin: `go`, else `/go` where there are links or an origin. The outer `None` stands for what is
/// wrong.
pub(super) fn go(site: &Section<'_>, usual: bool, prefix: &str) -> Option<Option<String>> {
    let Some((place, value)) = site.get("go") else { return Some(usual.then(|| GO.to_owned())) };
    let path = match value.get_ref() {
        DeValue::Boolean(false) => return Some(None),
        DeValue::Boolean(true) => GO.to_owned(),
        DeValue::String(_) => hosts::prefix(&site.text("go")?)?,
        other => {
            return place.refuse(format!("is {}", kind(other)), "write a path such as \"/go\", or false");
        }
    };
    if is_below(&path, prefix) || is_below(prefix, &path) {
        return place.refuse(
            format!("is {path:?}, which cannot be told from the prefix {prefix:?}"),
            "choose another, or write false",
        );
    }
    Some(Some(path))
}

/// Whether the tag goes into the origin's pages: unless the site says that it does not.
pub(super) fn tag(site: &Section<'_>, has_origin: bool) -> bool {
    let tag = site.flag("tag");
    if tag.is_some() && !has_origin {
        site.place_of("tag").warn("changes nothing without origin", "add origin, or remove it");
    }
    tag.unwrap_or(true)
}

/// Whether `path` is `parent` or lies below it.
pub(super) fn is_below(path: &str, parent: &str) -> bool {
    path.strip_prefix(parent).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn link(section: &Section<'_>, hosts: &[String]) -> Option<Link> {
    for (key, mend) in [
        ("path", "add path = \"/spring\""),
        ("affiliate", "add affiliate = \"alice\""),
        ("to", "add to = \"https://shop.example/sale\""),
    ] {
        if section.get(key).is_none() {
            section.missing::<()>(key, mend);
        }
    }
    let path = section.text("path").and_then(|written| path(&written));
    let affiliate = section.text("affiliate").and_then(|written| affiliate(&written));
    let to = section.text("to").and_then(|written| Some((address(&written)?, written)));
    let (path, affiliate, (url, to)) = (path?, affiliate?, to?);
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if url.path() == path && hosts.iter().any(|own| own == host) {
        return to.place.refuse("leads back to the link itself", "write the page's own address");
    }
    // As it is written, where that is how it is sent.
    let plain = to.text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'\\' | b'"' | b'<' | b'>'));
    Some(Link { path, affiliate, to: if plain { to.text.to_owned() } else { url.into() } })
}

fn affiliate(written: &Text<'_>) -> Option<AffiliateCode> {
    match AffiliateCode::new(written.text) {
        Ok(code) => Some(code),
        Err(error) => written.place.refuse(format!("is {}", quoted(written.text)), error.to_string()),
    }
}

fn address(written: &Text<'_>) -> Option<Url> {
    let url = Url::parse(written.text).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none()
    });
    url.or_else(|| {
        let mend = "write a whole http or https address";
        written.place.refuse(format!("is {}", quoted(written.text)), mend)
    })
}

/// A path as requests name it: what is not ASCII is percent-encoded, as browsers do.
fn path(written: &Text<'_>) -> Option<String> {
    let refuse = |mend: &str| written.place.refuse(format!("is {}", quoted(written.text)), mend);
    let Some(inner) = written.text.strip_prefix('/') else { return refuse("begin it with a slash") };
    if inner.is_empty() {
        return Some("/".to_owned());
    }
    if inner.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        return refuse("write a path without empty segments and dots, and without a slash at its end");
    }
    let mut path = String::from("/");
    for c in inner.chars() {
        match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' => path.push(c),
            '/' | '-' | '.' | '_' | '~' | '!' | '$' | '&' | '\'' | '(' | ')' | '*' | '+' | ',' | ';'
            | '=' | ':' | '@' => path.push(c),
            _ if !c.is_ascii() && !c.is_control() && !c.is_whitespace() => {
                for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                    let _ = write!(path, "%{byte:02X}");
                }
            }
            _ => return refuse("write segments of letters, digits and the likes of '-' and '_'"),
        }
    }
    Some(path)
}
