//! `GET` on a link's path: on to the page, with a click on the way.

use crate::{
    answer,
    call::{Call, Outcome},
    client,
    fault::Fault,
    landing::{Ground, Landing, NoClick},
    table::Table,
};
use http::{
    HeaderName, HeaderValue, StatusCode,
    header::{LOCATION, REFERRER_POLICY},
};
use usher_core::capture;

/// Not in the `http` crate (<https://developers.google.com/search/docs/crawling-indexing/robots-meta-tag>).
const ROBOTS: HeaderName = HeaderName::from_static("x-robots-tag");

pub(super) async fn act(call: &Call<'_>, table: &Table, path: &str) -> Result<Outcome, Fault> {
    let site = &call.face.site;
    let lead = call.face.links.find(site, path).ok_or(Fault::NotFound)?;
    let address = call.head.uri.path_and_query().map_or(path, |address| address.as_str());
    let landing = capture::Landing::link(site, &lead.affiliate, address);
    let landing = landing.map(|landing| Landing::begin(call, table, Ground::Link, landing));
    // The page's script asks for the consent that a link cannot ask for.
    let carries = matches!(landing, Some(Err(NoClick::Unasked)));
    let grant = match landing {
        Some(Ok(landing)) => landing.granted(call).await,
        _ => None,
    };
    let base = base(call, table);
    let location = lead.location(site, &base, call.head.uri.query(), carries).ok_or(Fault::NotFound)?;

    let mut answer = answer::empty(StatusCode::FOUND);
    let headers = answer.headers_mut();
    headers.insert(LOCATION, location);
    // The page shall know where its visitors come from, no more exactly than if they had come without us.
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("strict-origin-when-cross-origin"));
    headers.insert(ROBOTS, HeaderValue::from_static("noindex, nofollow"));
    Ok(Outcome { answer, grant })
}

/// What stands before the paths of the site's pages: nothing where this host has them. A host that only has links leads to the
/// site's first.
fn base(call: &Call<'_>, table: &Table) -> String {
    let Some(first) = call.face.site.hosts.first().filter(|first| **first != call.host) else {
        return String::new();
    };
    if call.face.origin.is_some() {
        return String::new();
    }
    let https = client::speaks_https(call.peer, &call.head.headers, &table.trusted);
    let scheme = if https { "https" } else { "http" };
    if first.contains(':') { format!("{scheme}://[{first}]") } else { format!("{scheme}://{first}") }
}
