//! Clicks of pages and links that go by: made beside the answer, and set on it.

use crate::{call::Call, client, cookie::Grant, navigation::Purpose, table::Table, visitor};
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CACHE_CONTROL, EXPIRES, HOST},
    uri::Authority,
};
use std::sync::Arc;
use tokio::{
    task::JoinHandle,
    time::{Instant, timeout_at},
};
use usher_core::capture::{self, Admission, Tracked};

/// What shared caches obey before `Cache-Control` (RFC 9213 and what came before it).
const TARGETED: [HeaderName; 6] = [
    HeaderName::from_static("cdn-cache-control"),
    HeaderName::from_static("surrogate-control"),
    HeaderName::from_static("cloudflare-cdn-cache-control"),
    HeaderName::from_static("vercel-cdn-cache-control"),
    HeaderName::from_static("netlify-cdn-cache-control"),
    HeaderName::from_static("x-accel-expires"),
];

/// Where somebody lands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ground {
    /// A page of the origin.
    Page,
    /// A short link.
    Link,
}

/// A click under way.
pub(crate) struct Landing {
    ground: &'static str,
    work: JoinHandle<Tracked>,
    deadline: Instant,
}

/// Why there is no click.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoClick {
    /// They have not consented, as far as can be told.
    Unasked,
    /// Nobody looks, or nothing can be done.
    Nobody,
}

impl Landing {
    /// Begins one for whoever makes this call, if somebody does. It goes on when the client hangs up.
    pub(crate) fn begin(
        call: &Call<'_>,
        table: &Table,
        ground: Ground,
        landing: capture::Landing,
    ) -> Result<Self, NoClick> {
        let purpose = Purpose::of(call.head);
        let word = word(ground, purpose);
        let meters = &call.face.meters;
        if matches!(purpose, Purpose::Frame | Purpose::Other) {
            // Pictures and scripts of a page may carry anything in their addresses.
            if purpose == Purpose::Frame || ground == Ground::Link {
                meters.landed(word, "suspect");
            }
            return Err(NoClick::Nobody);
        }
        let visitor = visitor::of(call.head, call.address, call.face);
        match Admission::of(&call.face.site, &visitor) {
            Admission::Welcome => {}
            Admission::Unasked => {
                meters.landed(word, "unasked");
                return Err(NoClick::Unasked);
            }
            Admission::Nobody => {
                meters.landed(word, "suspect");
                return Err(NoClick::Nobody);
            }
        }
        let core = call.core().map_err(|_| NoClick::Nobody)?;
        let address = call.head.uri.path_and_query().map_or("/", |address| address.as_str());
        let landing = landing.on(origin(call, table), address);
        let deadline = Instant::now() + core.capture.patience();
        let site = Arc::clone(&call.face.site);
        let work = async move { core.capture.landed(&site, landing, &visitor).await };
        Ok(Self { ground: word, work: call.tasks.spawn(work), deadline })
    }

    /// What the visitor is given, if it is known in time. Past that the click is made all the same, and the page's script
    /// learns of it.
    pub(crate) async fn granted(self, call: &Call<'_>) -> Option<Grant> {
        let Ok(Ok(tracked)) = timeout_at(self.deadline, self.work).await else {
            call.face.meters.landed(self.ground, "late");
            return None;
        };
        let outcome = match &tracked.cookie {
            None => "none",
            Some(id) if id.is_minted() => "minted",
            Some(_) => "platform",
        };
        call.face.meters.landed(self.ground, outcome);
        Grant::of(call, tracked.cookie, tracked.proof, tracked.data)
    }
}

/// Scheme, host and port that the visitor asks.
fn origin(call: &Call<'_>, table: &Table) -> String {
    let https = client::speaks_https(call.peer, &call.head.headers, &table.trusted);
    let authority = call.head.uri.authority().map(Authority::as_str);
    let field = || call.head.headers.get(HOST).and_then(|host| host.to_str().ok());
    let authority = authority.or_else(field).unwrap_or(call.host);
    format!("{}://{authority}", if https { "https" } else { "http" })
}

/// Keeps an answer that depends on who asks out of every cache.
pub(crate) fn keep_private(headers: &mut HeaderMap) {
    TARGETED.iter().chain([&EXPIRES]).for_each(|name| drop(headers.remove(name)));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
}

/// The word for metrics: where, and whether a browser has said what for.
const fn word(ground: Ground, purpose: Purpose) -> &'static str {
    match (ground, purpose) {
        (Ground::Page, Purpose::Unsaid) => "page_legacy",
        (Ground::Page, _) => "page",
        (Ground::Link, Purpose::Unsaid) => "link_legacy",
        (Ground::Link, _) => "link",
    }
}
