//! The grammar of hosts, of the prefix and of the cookie's domain.

use super::reader::{Text, quoted};
use std::net::{Ipv4Addr, Ipv6Addr};
use usher_model::CookieDomain;

/// A host as it is matched: lower case, without port, IPv6 without brackets.
pub(super) fn host(written: &Text<'_>) -> Option<String> {
    let refuse = |why: &str, mend: String| {
        written.place.refuse(format!("holds {}, which {why}", quoted(written.text)), mend)
    };
    let text = written.text;
    if let Some((_, rest)) = text.split_once("://") {
        let alone = rest.split(['/', ':']).next().unwrap_or(rest);
        return refuse("has a scheme", format!("write {} alone", quoted(alone)));
    }
    if let Ok(ip) =
        text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text).parse::<Ipv6Addr>()
    {
        return Some(ip.to_string());
    }
    if let Some((alone, _)) = text.split_once(['/', '?', '#']) {
        return refuse("has a path", format!("write {} alone", quoted(alone)));
    }
    if let Some((alone, _)) = text.rsplit_once(':') {
        return refuse(
            "has a port",
            format!("write {} alone: a host is matched without its port", quoted(alone)),
        );
    }
    if text.contains('*') {
        return refuse("is a pattern", "name every host".to_owned());
    }
    if !text.is_ascii() {
        let mend = match url::Host::parse(text) {
            Ok(punycode) => format!("write {:?}, its ASCII form", punycode.to_string()),
            Err(_) => "write its ASCII form (punycode)".to_owned(),
        };
        return refuse("is not ASCII", mend);
    }
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    if is_host(&name) {
        Some(name)
    } else {
        refuse("is no host name", "write a name such as \"shop.example\"".to_owned())
    }
}

/// The grammar of host names (RFC 1123 section 2.1), and `_`, which some use.
fn is_host(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    let numeric = name.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    name.len() <= 253 && name.split('.').all(label) && (!numeric || name.parse::<Ipv4Addr>().is_ok())
}

/// Where Usher's paths begin: a slash first, none at the end.
pub(super) fn prefix(written: &Text<'_>) -> Option<String> {
    let trimmed = written.text.trim_end_matches('/');
    let refuse = |why: &str, mend: &str| {
        written.place.refuse(format!("is {}, which {why}", quoted(written.text)), mend)
    };
    if trimmed.is_empty() {
        return refuse("leaves no path to the site itself", "write a word, such as \"/r\"");
    }
    let Some(inner) = trimmed.strip_prefix('/') else {
        return refuse("does not begin with a slash", "write a slash and a word, such as \"/r\"");
    };
    let segment = |segment: &str| {
        !matches!(segment, "" | "." | "..")
            && segment.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'~' | b'-'))
    };
    if inner.split('/').all(segment) {
        Some(trimmed.to_owned())
    } else {
        refuse("is no path", "write segments of letters, digits, '.', '_', '~' or '-'")
    }
}

/// `"auto"`, `"host"` or a name that every one of `hosts` lies in.
pub(super) fn cookie_domain(written: &Text<'_>, hosts: &[String]) -> Option<CookieDomain> {
    match written.text {
        "auto" => return Some(CookieDomain::Registrable),
        "host" => return Some(CookieDomain::Host),
        _ => {}
    }
    let bare =
        Text { text: written.text.strip_prefix('.').unwrap_or(written.text), place: written.place.clone() };
    let name = host(&bare)?;
    let refuse = |why: String, mend: &str| written.place.refuse(format!("is {name:?}, {why}"), mend);
    if name.contains(':') || name.parse::<Ipv4Addr>().is_ok() {
        return refuse("an address: browsers refuse such a cookie".to_owned(), "write \"host\"");
    }
    if psl::domain(name.as_bytes()).is_none() {
        let mend = "write \"auto\", or a name below it";
        return refuse("a public suffix: browsers refuse such a cookie".to_owned(), mend);
    }
    let covers =
        |host: &&String| **host == name || host.strip_suffix(&name).is_some_and(|left| left.ends_with('.'));
    match hosts.iter().find(|host| !covers(host)) {
        Some(outside) => refuse(
            format!("which {outside:?} does not lie in: browsers refuse such a cookie"),
            "write \"auto\", or make a site of its own for that host",
        ),
        None => Some(CookieDomain::Named(name)),
    }
}
