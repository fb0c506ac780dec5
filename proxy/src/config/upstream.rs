//! `[upstream]`: the affiliate platform.

use super::{
    Upstream, keys,
    reader::{Place, Section, Text, quoted},
    secrets::{Secrets, Use},
};
use url::{Host, Url};
use usher_model::limits;

/// <https://docs.affonso.io/api/rate-limits> and every other page of its documentation.
const BASE_URL: &str = "https://api.affonso.io/v1";
const CLICK_BUDGET_MS: u16 = 300;

pub(super) fn read(root: &Section<'_>, secrets: &Secrets<'_>) -> Option<Upstream> {
    let Some(section) = root.section("upstream", keys::UPSTREAM) else {
        if root.get("upstream").is_none() {
            no_key(root.place(), "upstream.api_key");
        }
        return Some(Upstream {
            base_url: BASE_URL.to_owned(),
            api_key: None,
            signing_secret: None,
            click_budget_ms: CLICK_BUDGET_MS,
        });
    };
    if section.get("api_key").is_none() {
        no_key(section.place(), "api_key");
    }
    let api_key = secrets.one(&section, "api_key", Use::Bearer);
    let signing_secret = secrets.one(&section, "signing_secret", Use::Key);
    let click_budget_ms =
        section.whole("click_budget_ms", 0..=limits::CLICK_BUDGET_MS).unwrap_or(CLICK_BUDGET_MS);
    let base_url = match section.text("base_url") {
        Some(written) => base_url(&written)?,
        None => BASE_URL.to_owned(),
    };
    Some(Upstream { base_url, api_key, signing_secret, click_budget_ms })
}

fn no_key(place: &Place<'_>, key: &str) {
    place.warn_below(
        key,
        "is missing: the platform will refuse conversions, and none can be delivered",
        "add api_key = { env = \"AFFONSO_API_KEY\" } below [upstream]",
    );
}

fn base_url(written: &Text<'_>) -> Option<String> {
    let place = &written.place;
    let mend = format!("write an address such as {BASE_URL}");
    let refuse = |why: &str| place.refuse(format!("is {}, which {why}", quoted(written.text)), mend.clone());
    let Ok(url) = Url::parse(written.text) else { return refuse("is no URL") };
    if !matches!(url.scheme(), "http" | "https") {
        return refuse("is neither http nor https");
    }
    if !url.username().is_empty() || url.password().is_some() {
        // Not quoted: it holds a password.
        return place.refuse("holds a user name or password", "write the key as upstream.api_key");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return refuse("has a query or a fragment");
    }
    if url.path() == "/" {
        place.warn("has no path, and the platform's calls lie below /v1", mend.clone());
    }
    let local = match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    if url.scheme() == "http" && !local {
        place.warn("is plain http: the API key can be read on the way", "write https://");
    }
    Some(url.as_str().trim_end_matches('/').to_owned())
}
