//! Short links: which path is one, and where it leads. Never anywhere but where the configuration says, or a page of the same
//! site.

use crate::host;
use http::HeaderValue;
use percent_encoding::percent_decode_str;
use std::{collections::HashMap, fmt::Write as _};
use usher_model::{AffiliateCode, Link, Site, limits::LINK_QUERY_BYTES};

/// A site's links.
pub(crate) struct Links {
    named: HashMap<String, Link>,
    /// What stands before an affiliate's code in a link of their own, with its slash.
    go: Option<String>,
}

/// Where a link leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lead {
    pub(crate) affiliate: AffiliateCode,
    to: To,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum To {
    /// An address that the configuration names, and whether it is of the site's own hosts.
    Address(String, bool),
    /// A path of the site.
    Path(String),
}

impl Links {
    pub(crate) fn new(site: &Site) -> Self {
        let named = site.links.iter().map(|link| (link.path.clone(), link.clone())).collect();
        Self { named, go: site.go.as_ref().map(|path| format!("{path}/")) }
    }

    /// Whether a raw path is a link's.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.named.contains_key(path) || self.own(path).is_some()
    }

    /// Where the link of that raw path leads.
    pub(crate) fn find(&self, site: &Site, path: &str) -> Option<Lead> {
        let Some(link) = self.named.get(path) else {
            let (affiliate, below) = self.own(path)?;
            return Some(Lead { affiliate, to: To::Path(format!("/{below}")) });
        };
        let is_own = authority(&link.to)
            .and_then(host::parse)
            .is_some_and(|host| site.hosts.iter().any(|own| *own == *host));
        Some(Lead { affiliate: link.affiliate.clone(), to: To::Address(link.to.clone(), is_own) })
    }

    /// An affiliate's own link: `/go/alice`, or `/go/alice/` and a page's path without its first slash.
    fn own<'p>(&self, path: &'p str) -> Option<(AffiliateCode, &'p str)> {
        let rest = path.strip_prefix(self.go.as_ref()?)?;
        let (code, below) = rest.split_once('/').unwrap_or((rest, ""));
        let affiliate = AffiliateCode::new(code).ok()?;
        is_below_root(below).then_some((affiliate, below))
    }
}

impl Lead {
    /// The value of `Location` for a request with this query, below `base`: the scheme and host of the site's pages, or nothing
    /// where they are on the host that was asked. `carries` puts the affiliate into the address, for a page whose script shall
    /// know of them.
    pub(crate) fn location(
        &self,
        site: &Site,
        base: &str,
        query: Option<&str>,
        carries: bool,
    ) -> Option<HeaderValue> {
        let (to, is_own) = match &self.to {
            To::Address(address, is_own) => (address.clone(), *is_own),
            To::Path(path) => (format!("{base}{path}"), true),
        };
        let mut pairs = query.map(|query| passed_on(site, query)).unwrap_or_default();
        if let Some(name) = site.parameters.names().first().filter(|_| carries && is_own) {
            let and = if pairs.is_empty() { "" } else { "&" };
            let _ = write!(pairs, "{and}{name}={}", self.affiliate.as_str());
        }
        HeaderValue::try_from(with_query(&to, &pairs)).ok()
    }
}

/// Whether `/` with this behind it is a path of the same host to every reader: segments of RFC 3986, none of them empty or dots,
/// and nothing encoded that would mean something else once it is decoded.
fn is_below_root(path: &str) -> bool {
    let whole = path.strip_suffix('/').unwrap_or(path);
    path.is_empty() || (!whole.is_empty() && whole.split('/').all(is_segment))
}

fn is_segment(segment: &str) -> bool {
    let Ok(decoded) = percent_decode_str(segment).decode_utf8() else { return false };
    let harmless = |c: char| !c.is_control() && !matches!(c, '/' | '\\' | '%' | '?' | '#');
    let raw = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@%".contains(&b);
    !matches!(&*decoded, "" | "." | "..") && decoded.chars().all(harmless) && segment.bytes().all(raw)
}

/// The query without what names an affiliate or a click: the link does that.
fn passed_on(site: &Site, query: &str) -> String {
    let ours = |name: &str| {
        let name = percent_decode_str(name).decode_utf8_lossy();
        name == "affonso_id" || site.parameters.names().iter().any(|own| *own == name)
    };
    let kept = |pair: &&str| !pair.is_empty() && !ours(pair.split('=').next().unwrap_or_default());
    let pairs: Vec<&str> = query.split('&').filter(kept).collect();
    let mut clean = String::new();
    for byte in pairs.join("&").bytes() {
        // RFC 3986 section 3.4.
        if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?%".contains(&byte) {
            clean.push(char::from(byte));
        } else {
            let _ = write!(clean, "%{byte:02X}");
        }
    }
    if clean.len() > LINK_QUERY_BYTES { String::new() } else { clean }
}

/// `url` with more behind its own query, before its fragment.
fn with_query(url: &str, pairs: &str) -> String {
    if pairs.is_empty() {
        return url.to_owned();
    }
    let (before, fragment) = url.find('#').map_or((url, ""), |at| url.split_at(at));
    let joint = match before.find('?') {
        None => "?",
        Some(_) if before.ends_with(['?', '&']) => "",
        Some(_) => "&",
    };
    format!("{before}{joint}{pairs}{fragment}")
}

/// The host and port of a whole URL.
fn authority(url: &str) -> Option<&str> {
    url.split_once("://")?.1.split(['/', '?', '#']).next()
}

#[cfg(test)]
mod tests;
