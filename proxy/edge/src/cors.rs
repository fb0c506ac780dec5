//! Whose pages may call (the Fetch standard, <https://fetch.spec.whatwg.org/#http-cors-protocol>).

use crate::host;
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{
        ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
        ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE, ORIGIN,
    },
};
use usher_model::limits::PREFLIGHT_S;

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caller<'h> {
    /// A page of the site itself, which says so: this is its origin.
    Own(&'h HeaderValue),
    /// No origin is named, and nothing says that the call crosses sites: the same origin, or no browser at all.
    Unnamed,
    /// Somebody else's page.
    Foreign,
}

impl<'h> Caller<'h> {
    /// Reads it from the request; `hosts` are the site's own.
    pub(crate) fn of(headers: &'h HeaderMap, hosts: &[String]) -> Self {
        let mut origins = headers.get_all(ORIGIN).iter();
        match (origins.next(), origins.next()) {
            (Some(origin), None) if is_own(origin, hosts) => Self::Own(origin),
            (Some(_), _) => Self::Foreign,
            (None, _) if crosses_sites(headers) => Self::Foreign,
            (None, _) => Self::Unnamed,
        }
    }

    /// Lets the caller's page read the answer, when it is the site's own.
    pub(crate) fn allow(self, headers: &mut HeaderMap) {
        if let Self::Own(origin) = self {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
    }

    /// What a preflight is told beside that.
    pub(crate) fn allow_preflight(self, headers: &mut HeaderMap) {
        if let Self::Own(_) = self {
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET,POST,OPTIONS"));
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("Content-Type,Accept"));
            headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from(PREFLIGHT_S));
        }
    }
}

/// Whether a browser says that the call comes from another site (<https://www.w3.org/TR/fetch-metadata/>).
pub(crate) fn crosses_sites(headers: &HeaderMap) -> bool {
    headers
        .get(FETCH_SITE)
        .is_some_and(|site| !matches!(site.as_bytes(), b"same-origin" | b"same-site" | b"none"))
}

fn is_own(origin: &HeaderValue, hosts: &[String]) -> bool {
    let Ok(origin) = origin.to_str() else { return false };
    let Some(authority) = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://")) else {
        return false;
    };
    host::parse(authority).is_some_and(|host| hosts.iter().any(|own| *own == *host))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(origin: Option<&str>, site: Option<&'static str>) -> &'static str {
        let mut headers = HeaderMap::new();
        if let Some(origin) = origin {
            headers.insert(ORIGIN, HeaderValue::from_str(origin).expect("a value"));
        }
        if let Some(site) = site {
            headers.insert(FETCH_SITE, HeaderValue::from_static(site));
        }
        match Caller::of(
            &headers,
            &["shop.example".to_owned(), "go.shop.example".to_owned(), "::1".to_owned()],
        ) {
            Caller::Own(_) => "own",
            Caller::Unnamed => "unnamed",
            Caller::Foreign => "foreign",
        }
    }

    #[test]
    fn only_the_sites_own_hosts_are_its_own() {
        for origin in [
            "https://shop.example",
            "http://shop.example",
            "https://shop.example:8443",
            "https://go.shop.example",
            "https://SHOP.example",
            "http://[::1]:3000",
        ] {
            assert_eq!(of(Some(origin), Some("cross-site")), "own", "{origin}");
        }
        for origin in [
            "null",
            "",
            "*",
            "shop.example",
            "https://",
            "//shop.example",
            "https://shop.example.evil.example",
            "https://evilshop.example",
            "https://evil.example",
            "https://www.shop.example",
            "https://shop.example@evil.example",
            "https://evil.example#shop.example",
            "https://shop.example/",
            "https://shop.example https://evil.example",
            "ftp://shop.example",
            "HTTPS://shop.example",
            "https://shop.example:x",
            "https://shop.example\\.evil.example",
            "https://shop_example",
            "file://",
            "chrome-extension://shop.example",
        ] {
            assert_eq!(of(Some(origin), None), "foreign", "{origin}");
            assert_eq!(of(Some(origin), Some("same-origin")), "foreign", "{origin}");
        }
    }

    #[test]
    fn without_an_origin_the_browser_says_whether_sites_are_crossed() {
        for site in [None, Some("same-origin"), Some("same-site"), Some("none")] {
            assert_eq!(of(None, site), "unnamed", "{site:?}");
        }
        for site in ["cross-site", "", "Same-Origin", "rubbish"] {
            assert_eq!(of(None, Some(site)), "foreign", "{site}");
        }
    }

    #[test]
    fn two_origins_are_nobodys() {
        let mut headers = HeaderMap::new();
        headers.append(ORIGIN, HeaderValue::from_static("https://shop.example"));
        headers.append(ORIGIN, HeaderValue::from_static("https://shop.example"));
        assert_eq!(Caller::of(&headers, &["shop.example".to_owned()]), Caller::Foreign);
    }

    proptest! {
        #[test]
        fn nothing_but_an_own_host_is_ever_allowed(origin in "(https?://)?[a-z.:@/#-]{0,30}") {
            let hosts = ["shop.example".to_owned()];
            let mut headers = HeaderMap::new();
            headers.insert(ORIGIN, HeaderValue::from_str(&origin).expect("a value"));
            let mut answer = HeaderMap::new();
            Caller::of(&headers, &hosts).allow(&mut answer);
            prop_assert!(answer.is_empty());
        }
    }
}
