//! The visitor's cookies: `affonso_referral` holds the bare click id, `affonso_data` the discounts, both for scripts to read.
//! Their form is the platform's (`<https://docs.affonso.io/api/with-tracking-pixel>`). A third, which no script reads, proves
//! the click by the site's signature.

use crate::table::Face;
use cookie::{Cookie, SameSite, time::Duration};
use http::{
    HeaderMap, HeaderValue,
    header::{COOKIE, SET_COOKIE},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};
use std::{borrow::Cow, net::IpAddr};
use usher_model::{ClickId, CookieDomain, Site, limits::COOKIE_DATA_BYTES};

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

/// What an answer gives the visitor to keep.
#[derive(Debug)]
pub(crate) struct Grant {
    /// The click.
    pub(crate) click: ClickId,
    /// The same click, signed.
    pub(crate) proof: Option<String>,
    /// Discounts, as JSON text.
    pub(crate) data: Option<String>,
}

impl Grant {
    /// Adds the `Set-Cookie` fields for a request that came to `host`. Data that does not fit is left out.
    pub(crate) fn write(&self, headers: &mut HeaderMap, face: &Face, host: &str, https: bool) {
        let site = &face.site;
        let data = self.data.as_ref().map(|text| utf8_percent_encode(text, COMPONENT).to_string());
        let data = data.filter(|value| value.len() <= COOKIE_DATA_BYTES).map(|value| (DATA, value));
        // A proof of another click would outrank this one.
        let proof = face.proof_cookie.as_deref().map(|name| (name, self.proof.clone().unwrap_or_default()));
        let referral = (REFERRAL, self.click.as_str().to_owned());
        for (name, value) in [Some(referral), proof, data].into_iter().flatten() {
            let days = if value.is_empty() { 0 } else { i64::from(site.cookie_days) };
            let cookie = Cookie::build((name, value))
                .path("/")
                .max_age(Duration::days(days))
                .http_only(face.proof_cookie.as_deref() == Some(name))
                .same_site(SameSite::Lax);
            let cookie = if https { cookie.secure(true) } else { cookie };
            let cookie = match domain(&site.cookie_domain, host) {
                Some(domain) => cookie.domain(domain),
                None => cookie,
            };
            if let Ok(field) = HeaderValue::try_from(cookie.build().to_string()) {
                headers.append(SET_COOKIE, field);
            }
        }
    }
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

    fn granted(data: Option<&str>, host: &str, https: bool) -> Vec<String> {
        let mut headers = HeaderMap::new();
        let click = ClickId::new("abc-1").expect("an id");
        let grant = Grant { click, proof: None, data: data.map(str::to_owned) };
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
        assert_eq!(granted(Some(&"x".repeat(COOKIE_DATA_BYTES)), "shop.example", true).len(), 2);
        assert_eq!(granted(Some(&"x".repeat(COOKIE_DATA_BYTES + 1)), "shop.example", true).len(), 1);
        assert_eq!(granted(Some(&"{".repeat(COOKIE_DATA_BYTES / 2)), "shop.example", true).len(), 1);
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
        fn whatever_the_data_is_there_are_two_fields_of_five_parts(text in "\\PC{0,80}") {
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
