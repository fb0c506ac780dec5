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
        let (click, proof, data) = match self {
            Self::Click { click, proof, data } => {
                (click.as_str(), proof.as_deref().unwrap_or_default(), data.as_deref())
            }
            Self::Renewed { click, proof, .. } => (click.as_str(), proof.as_str(), None),
            Self::Nothing => ("", "", Some("")),
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
        pairs.extend(data.map(|data| (DATA, Cow::Owned(data))));
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
mod tests {
    use super::*;
    use crate::fixture;
    use proptest::prelude::*;
    use usher_model::Secret;

    fn granted(data: Option<&str>, host: &str, https: bool) -> Vec<String> {
        let mut headers = HeaderMap::new();
        let click = ClickId::new("abc-1").expect("an id");
        let grant = Grant::Click { click, proof: None, data: data.map(str::to_owned) };
        grant.write(&mut headers, &fixture::face(fixture::site()), host, https);
        headers.get_all(SET_COOKIE).iter().map(|field| field.to_str().expect("text").to_owned()).collect()
    }

    fn attributes(field: &str) -> Vec<&str> {
        let mut parts: Vec<&str> = field.split("; ").collect();
        parts[1..].sort_unstable();
        parts
    }

    #[test]
    fn the_cookie_is_as_the_contract_says() {
        let fields = granted(None, "www.shop.co.uk", true);
        assert_eq!(fields.len(), 1);
        assert_eq!(
            attributes(&fields[0]),
            [
                "affonso_referral=abc-1",
                "Domain=shop.co.uk",
                "Max-Age=2592000",
                "Path=/",
                "SameSite=Lax",
                "Secure"
            ]
        );
        let fields = granted(None, "localhost", false);
        assert_eq!(
            attributes(&fields[0]),
            ["affonso_referral=abc-1", "Max-Age=2592000", "Path=/", "SameSite=Lax"]
        );
    }

    #[test]
    fn data_is_encoded_as_scripts_decode_it_and_bounded() {
        let fields = granted(Some(r#"{"a":"é ;,'()*!~-_."}"#), "shop.example", true);
        assert!(
            fields[1].starts_with("affonso_data=%7B%22a%22%3A%22%C3%A9%20%3B%2C'()*!~-_.%22%7D; "),
            "{}",
            fields[1]
        );
    }

    #[test]
    fn all_cookies_together_are_bounded_and_the_newest_coupons_stay() {
        let coupon = |number: usize| format!(r#"{{"code":"COUPON{number}","discount_value":10}}"#);
        for coupons in 0..40 {
            let list: Vec<String> = (0..coupons).map(coupon).collect();
            let data = format!(r#"{{"affiliateCoupons":[{}],"discount":{{"amount":10}}}}"#, list.join(","));
            let fields = granted(Some(&data), "shop.example", true);
            let sent: Vec<&str> = fields.iter().filter_map(|field| field.split("; ").next()).collect();
            assert!(sent.join("; ").len() <= COOKIES_BYTES, "{sent:?}");
            let kept = values_of(sent[1]);
            assert_eq!(kept["discount"]["amount"], 10);
            let kept = kept["affiliateCoupons"].as_array().expect("coupons");
            assert!(kept.len() == coupons || kept.len() >= 3, "{coupons}: {kept:?}");
            assert!(kept.iter().enumerate().all(|(number, kept)| kept["code"] == format!("COUPON{number}")));
        }
        for hopeless in
            ["x".repeat(COOKIES_BYTES), format!(r#"{{"discount":"{}"}}"#, "x".repeat(COOKIES_BYTES))]
        {
            assert_eq!(granted(Some(&hopeless), "shop.example", true).len(), 1);
        }
    }

    fn values_of(pair: &str) -> Value {
        let value = pair.strip_prefix("affonso_data=").expect("data");
        let text = percent_decode(value.as_bytes()).decode_utf8().expect("text");
        serde_json::from_str(&text).expect("JSON")
    }

    #[test]
    fn nothing_is_what_clears_them_all() {
        let face = fixture::face(Site { click_signing_key: Some(Secret::new("key")), ..fixture::site() });
        let mut headers = HeaderMap::new();
        Grant::Nothing.write(&mut headers, &face, "shop.example", true);
        let fields: Vec<_> = headers.get_all(SET_COOKIE).iter().collect();
        assert_eq!(fields.len(), 3);
        assert!(fields.iter().all(|field| field.to_str().expect("text").contains("=; ")
            && field.to_str().expect("text").contains("Max-Age=0")
            && field.to_str().expect("text").contains("Domain=shop.example")));
    }

    #[test]
    fn the_domain_is_the_registrable_one_or_none() {
        for (host, wanted) in [
            ("shop.com", Some("shop.com")),
            ("go.shop.com", Some("shop.com")),
            ("a.b.shop.co.uk", Some("shop.co.uk")),
            ("alice.github.io", Some("alice.github.io")),
            ("x.alice.github.io", Some("alice.github.io")),
            ("go.shop.example", Some("shop.example")),
            ("co.uk", None),
            ("github.io", None),
            ("com", None),
            ("localhost", None),
            ("shop.localhost", None),
            ("127.0.0.1", None),
            ("::1", None),
        ] {
            assert_eq!(domain(&CookieDomain::Registrable, host), wanted, "{host}");
            assert_eq!(domain(&CookieDomain::Host, host), None);
        }
        let named = CookieDomain::Named("shop.com".to_owned());
        for (host, wanted) in [
            ("shop.com", Some("shop.com")),
            ("go.shop.com", Some("shop.com")),
            ("myshop.com", None),
            ("com", None),
            ("other.example", None),
        ] {
            assert_eq!(domain(&named, host), wanted, "{host}");
        }
    }

    #[test]
    fn only_domains_with_cookies_of_their_own_are_listed() {
        let domains = |hosts: &[&str], cookie_domain: CookieDomain| {
            let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
            let site = Site { hosts, cookie_domain, ..fixture::site() };
            super::domains(&site).join(" ")
        };
        let two = ["www.shop.co.uk", "pay.example", "shop.co.uk"];
        assert_eq!(domains(&two, CookieDomain::Registrable), "pay.example shop.co.uk");
        assert_eq!(domains(&two, CookieDomain::Host), "pay.example shop.co.uk www.shop.co.uk");
        assert_eq!(domains(&["shop.example", "go.shop.example"], CookieDomain::Registrable), "");
        assert_eq!(domains(&["localhost"], CookieDomain::Registrable), "");
    }

    fn read(lines: &[&[u8]]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(COOKIE, HeaderValue::from_bytes(line).expect("a value"));
        }
        click(&headers).map(|id| id.to_string())
    }

    #[test]
    fn the_first_well_formed_cookie_wins() {
        for lines in [
            &[&b"affonso_referral=abc"[..]][..],
            &[b"a=b; affonso_referral=abc; c=d"],
            &[b"a=b;affonso_referral=abc"],
            &[b"a=b", b"affonso_referral=abc"],
            &[b"affonso_referral=; affonso_referral=abc; affonso_referral=def"],
            &[b"affonso_referral=a b; affonso_referral=abc"],
            &[b"affonso_referral=\"abc\""],
            &[b"affonso_referral=%61bc"],
            &[b"x=\xff\xfe; affonso_referral=abc"],
            &[b"affonso_referral=\xff; affonso_referral=abc"],
            &[b"; ;;=; affonso_referral = abc ;"],
        ] {
            assert_eq!(read(lines).as_deref(), Some("abc"), "{lines:?}");
        }
        for lines in [
            &[][..],
            &[&b""[..]],
            &[b"affonso_referral"],
            &[b"affonso_referral="],
            &[b"Affonso_Referral=abc"],
            &[b"xaffonso_referral=abc"],
            &[b"affonso_referral2=abc"],
            &[b"affonso_referral=%00"],
            &[b"affonso_referral=a%0d%0ab"],
        ] {
            assert_eq!(read(lines), None, "{lines:?}");
        }
        let bomb = "affonso_referral=!;".repeat(3_000);
        assert_eq!(read(&[bomb.as_bytes(), b"affonso_referral=abc"]).as_deref(), Some("abc"));
    }

    proptest! {
        #[test]
        fn reading_never_panics(line in prop::collection::vec(0x20_u8..=0x7e, 0..80)) {
            let _ = read(&[&line]);
        }

        #[test]
        fn whatever_the_data_is_there_are_two_fields_of_five_parts(text in "\\PC{0,30}") {
            let fields = granted(Some(&text), "shop.example", false);
            prop_assert_eq!(fields.len(), 2);
            prop_assert!(fields.iter().all(|field| field.split(';').count() == 5), "{:?}", fields);
        }

        #[test]
        fn a_domain_always_covers_the_host(host in "[a-z0-9-]{1,8}(\\.[a-z0-9-]{1,6}){0,4}") {
            if let Some(domain) = domain(&CookieDomain::Registrable, &host) {
                let parent = format!(".{domain}");
                prop_assert!(host == domain || host.ends_with(&parent));
                prop_assert!(domain.contains('.'));
            }
        }
    }
}
