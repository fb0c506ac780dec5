//! The visitor's cookies: `affonso_referral` holds the bare click id, `affonso_data` the discounts, both for scripts to read.
//! Their form is the platform's (`<https://docs.affonso.io/api/with-tracking-pixel>`). A third, which no script reads, proves
//! the click by the site's signature.

use crate::{call::Call, table::Face, visitor};
use cookie::{Cookie, SameSite, time::Duration};
use http::{
    HeaderMap, HeaderValue,
    header::{COOKIE, SET_COOKIE},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};
use serde_json::Value;
use std::{borrow::Cow, net::IpAddr};
use usher_core::SignedClick;
use usher_model::{ClickId, CookieDomain, Site, limits::COOKIES_BYTES};

const DAY_S: i64 = 24 * 60 * 60;
const REFERRAL: &str = "affonso_referral";
const DATA: &str = "affonso_data";

/// What `encodeURIComponent` leaves as it is (ECMA-262 section 19.2.6.4).
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');

/// What an answer makes of the visitor's cookies.
#[derive(Debug)]
pub(crate) enum Grant {
    /// They hold this click for the site's `cookie_days`.
    Click {
        /// The click.
        click: ClickId,
        /// The same click, signed.
        proof: Option<String>,
        /// Discounts, as JSON text.
        data: Option<String>,
        /// The visitor has those of another click: they go, also when none take their place.
        replaces: bool,
    },
    /// They hold the click that they have proved, for what is left of its life. What goes with it stays as it is.
    Renewed {
        /// The click.
        click: ClickId,
        /// The same click, signed, as it came.
        proof: String,
        /// How long it still counts, seconds.
        left_s: i64,
    },
    /// They are cleared.
    Nothing,
}

impl Grant {
    /// That of a click that came of `call`: its id, its proof and the discounts that go with it. A visitor without a click is
    /// granted nothing.
    pub(crate) fn of(
        call: &Call<'_>,
        click: Option<ClickId>,
        proof: Option<String>,
        data: Option<String>,
    ) -> Option<Self> {
        let click = click?;
        let headers = &call.head.headers;
        let replaces =
            self::click(headers).as_ref() != Some(&click) && values(headers, DATA).next().is_some();
        Some(Self::Click { click, proof, data, replaces })
    }

    /// Adds the `Set-Cookie` fields for a request that came to `host`. In all they are at most [`COOKIES_BYTES`]; coupons, then
    /// the discount, are left out where they do not fit.
    pub(crate) fn write(&self, headers: &mut HeaderMap, face: &Face, host: &str, https: bool) {
        let proof_name = face.proof_cookie.as_deref();
        let life_s = match self {
            Self::Renewed { left_s, .. } => *left_s,
            _ => i64::from(face.site.cookie_days) * DAY_S,
        };
        for (name, value) in self.pairs(proof_name) {
            let cookie = Cookie::build((name, value.as_ref()))
                .path("/")
                .max_age(Duration::seconds(if value.is_empty() { 0 } else { life_s }))
                .http_only(proof_name == Some(name))
                .same_site(SameSite::Lax);
            let cookie = if https { cookie.secure(true) } else { cookie };
            let cookie = match domain(&face.site.cookie_domain, host) {
                Some(domain) => cookie.domain(domain),
                None => cookie,
            };
            if let Ok(field) = HeaderValue::try_from(cookie.build().to_string()) {
                headers.append(SET_COOKIE, field);
            }
        }
    }

    /// Names and values; an empty value clears.
    fn pairs<'g>(&'g self, proof_name: Option<&'g str>) -> Vec<(&'g str, Cow<'g, str>)> {
        let (click, proof, data, clears) = match self {
            Self::Click { click, proof, data, replaces } => {
                (click.as_str(), proof.as_deref().unwrap_or_default(), data.as_deref(), *replaces)
            }
            Self::Renewed { click, proof, .. } => (click.as_str(), proof.as_str(), None, false),
            Self::Nothing => ("", "", None, true),
        };
        let mut pairs = vec![(REFERRAL, Cow::Borrowed(click))];
        let mut room = COOKIES_BYTES.saturating_sub(bytes(REFERRAL, click));
        if let Some(name) = proof_name {
            // A proof of another click would outrank this one.
            let proof = if bytes(name, proof) > room { "" } else { proof };
            room = room.saturating_sub(bytes(name, proof));
            pairs.push((name, Cow::Borrowed(proof)));
        }
        let data = data.and_then(|text| fitting(text, room.saturating_sub(bytes(DATA, ""))));
        pairs.extend(data.or(clears.then(String::new)).map(|data| (DATA, Cow::Owned(data))));
        pairs
    }
}

/// What a cookie takes in the field `Cookie`, with what parts it from the next.
const fn bytes(name: &str, value: &str) -> usize {
    name.len() + "=".len() + value.len() + "; ".len()
}

/// The data as scripts decode it, in at most `room` bytes: without the oldest coupons where it has too many of them.
fn fitting(text: &str, room: usize) -> Option<String> {
    let encode = |text: &str| utf8_percent_encode(text, COMPONENT).to_string();
    let mut encoded = encode(text);
    let mut data = None;
    while encoded.len() > room {
        let data: &mut Value = data.get_or_insert(serde_json::from_str(text).ok()?);
        // The newest comes first.
        data.get_mut("affiliateCoupons")?.as_array_mut()?.pop()?;
        encoded = encode(&data.to_string());
    }
    Some(encoded)
}

/// The click that the visitor's cookies prove, while it counts: a browser may have dropped the readable one or cut its life
/// short, and a script may have put another in its place. They are there because consent was given; a visitor who objects since
/// is not reminded.
pub(crate) fn renewed(call: &Call<'_>) -> Option<Grant> {
    let (face, headers) = (call.face, &call.head.headers);
    let signals = visitor::signals(&call.head.method, headers);
    if signals.prefetch || (signals.gpc && face.site.honour_gpc) {
        return None;
    }
    let name = face.proof_cookie.as_deref()?;
    let (proof, signed) = values(headers, name).find_map(|text| {
        let signed = SignedClick::verify(&face.site, &text)?;
        Some((text.into_owned(), signed))
    })?;
    let left_s = i64::from(face.site.cookie_days) * DAY_S - call.now.since(signed.created_at()) / 1000;
    (left_s > 0).then(|| Grant::Renewed { click: signed.id().clone(), proof, left_s })
}

/// What the cookies that scripts read are called.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    [REFERRAL, DATA].into_iter()
}

/// The click that the request's cookie names: of several, the first that is well-formed.
pub(crate) fn click(headers: &HeaderMap) -> Option<ClickId> {
    values(headers, REFERRAL).find_map(|value| ClickId::new(value).ok())
}

/// The values of the request's cookies of that name, in their order, but for those that are no text.
pub(crate) fn values<'h>(headers: &'h HeaderMap, name: &'h str) -> impl Iterator<Item = Cow<'h, str>> {
    let lines = headers.get_all(COOKIE).iter();
    let pairs = lines.flat_map(|line| line.as_bytes().split(|b| *b == b';')).map(<[u8]>::trim_ascii);
    pairs.filter_map(move |pair| {
        let value = pair.strip_prefix(name.as_bytes())?.trim_ascii_start().strip_prefix(b"=")?.trim_ascii();
        let value = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value);
        percent_decode(value).decode_utf8().ok()
    })
}

/// The `Domain` attribute; `None` makes the cookie valid for the host alone.
///
/// A suffix that the list does not know counts as one label, as the list's algorithm says
/// (<https://github.com/publicsuffix/list/wiki/Format>) and browsers do.
fn domain<'d>(policy: &'d CookieDomain, host: &'d str) -> Option<&'d str> {
    if host.parse::<IpAddr>().is_ok() {
        return None;
    }
    match policy {
        CookieDomain::Host => None,
        CookieDomain::Named(name) => {
            let name = name.trim_start_matches('.');
            let below = host.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
            (below && !name.is_empty()).then_some(name)
        }
        CookieDomain::Registrable => {
            let local = host.rsplit('.').next() == Some("localhost");
            (host.contains('.') && !local).then(|| psl::domain_str(host)).flatten()
        }
    }
}

/// The site's domains, each of which has cookies of its own; none where all its hosts share them.
pub(crate) fn domains(site: &Site) -> Vec<&str> {
    let mut all: Vec<&str> =
        site.hosts.iter().map(|host| domain(&site.cookie_domain, host).unwrap_or(host)).collect();
    all.sort_unstable();
    all.dedup();
    if all.len() > 1 { all } else { Vec::new() }
}

#[cfg(test)]
mod tests;
