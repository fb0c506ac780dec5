//! `origin` and `origin_cookies`: the site's own server.

use super::reader::{Section, Text, quoted};
use url::{Host, Url};
use usher_model::OriginAddress;

/// The address, and whether the server sees our cookies. The outer `None` stands for what is wrong, which has been reported.
pub(super) fn read(site: &Section<'_>) -> Option<(Option<OriginAddress>, bool)> {
    let shows_cookies = site.flag("origin_cookies").unwrap_or(false);
    let address = match site.text("origin") {
        Some(written) => Some(address(&written)?),
        None => None,
    };
    if address.is_none() && shows_cookies {
        site.place_of("origin_cookies").warn("changes nothing without origin", "add origin, or remove it");
    }
    Some((address, shows_cookies))
}

fn address(written: &Text<'_>) -> Option<OriginAddress> {
    let place = &written.place;
    let refuse =
        |why: &str, mend: &str| place.refuse(format!("is {}, which {why}", quoted(written.text)), mend);
    let Ok(url) = Url::parse(written.text) else {
        return refuse("is no URL", "write an address such as \"http://127.0.0.1:3000\"");
    };
    let https = match url.scheme() {
        "http" => false,
        "https" => true,
        _ => {
            return refuse("is neither http nor https", "write an address such as \"http://127.0.0.1:3000\"");
        }
    };
    if !url.username().is_empty() || url.password().is_some() {
        // Not quoted: it holds a password.
        return place.refuse("holds a user name or password", "write the address without");
    }
    let (host, port) = (url.host()?, url.port_or_known_default()?);
    let bare = url.origin().ascii_serialization();
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return refuse(
            "has a path or a query: requests go to the paths that visitors ask for",
            &format!("write \"{bare}\""),
        );
    }
    let host = match host {
        Host::Domain(name) => name.to_owned(),
        Host::Ipv4(ip) => ip.to_string(),
        Host::Ipv6(ip) => ip.to_string(),
    };
    Some(OriginAddress { https, host, port })
}
