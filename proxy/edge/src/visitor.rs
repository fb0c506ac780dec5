//! Phase `identify`: who makes the request, as far as a job needs to know.

use crate::{cookie, table::Face};
use http::{
    HeaderMap, HeaderName, Method,
    header::{ORIGIN, REFERER, USER_AGENT},
    request::Parts,
};
use std::net::IpAddr;
use usher_core::{Signals, SignedClick, Visitor};

const SEC_PURPOSE: HeaderName = HeaderName::from_static("sec-purpose");
const PURPOSE: HeaderName = HeaderName::from_static("purpose");
const X_MOZ: HeaderName = HeaderName::from_static("x-moz");
const SEC_GPC: HeaderName = HeaderName::from_static("sec-gpc");

/// The visitor behind `head`.
pub(crate) fn of(head: &Parts, address: IpAddr, face: &Face) -> Visitor {
    let proof = face.proof_cookie.as_ref().and_then(|name| {
        cookie::values(&head.headers, name).find_map(|text| SignedClick::verify(&face.site, &text))
    });
    Visitor { signed: proof, ..unproved(head, address) }
}

fn unproved(head: &Parts, address: IpAddr) -> Visitor {
    Visitor {
        address,
        user_agent: text(&head.headers, &USER_AGENT).unwrap_or_default(),
        referer: text(&head.headers, &REFERER),
        origin: text(&head.headers, &ORIGIN),
        cookie: cookie::click(&head.headers),
        signed: None,
        signals: signals(&head.method, &head.headers),
    }
}

pub(crate) fn signals(method: &Method, headers: &HeaderMap) -> Signals {
    // `prefetch`, `prefetch;prerender` and `prefetch;anonymous-client-ip` have been seen.
    let prefetches = |name: &HeaderName| {
        let values = headers.get_all(name).iter();
        values.flat_map(|value| value.as_bytes().split(|b| matches!(b, b';' | b','))).any(|word| {
            let word = word.trim_ascii();
            word.eq_ignore_ascii_case(b"prefetch") || word.eq_ignore_ascii_case(b"prerender")
        })
    };
    Signals {
        head: *method == Method::HEAD,
        prefetch: [SEC_PURPOSE, PURPOSE, X_MOZ].iter().any(prefetches),
        gpc: headers.get(SEC_GPC).is_some_and(|value| value.as_bytes().trim_ascii() == b"1"),
    }
}

/// Bytes that are no UTF-8 are replaced: nothing in these fields is worth refusing a visitor for.
fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderValue, Request};

    fn of_request(method: &str, fields: &[(&'static str, &'static [u8])]) -> Visitor {
        let mut request = Request::builder().method(method);
        for (name, value) in fields {
            request = request.header(*name, HeaderValue::from_bytes(value).expect("a value"));
        }
        unproved(&request.body(()).expect("a request").into_parts().0, IpAddr::from([192, 0, 2, 1]))
    }

    #[test]
    fn nobody_looks_at_what_is_prefetched() {
        for (name, value) in [
            ("sec-purpose", &b"prefetch"[..]),
            ("sec-purpose", b"prefetch;prerender"),
            ("sec-purpose", b"prefetch; anonymous-client-ip"),
            ("purpose", b"prefetch"),
            ("x-moz", b"Prefetch"),
        ] {
            assert!(of_request("GET", &[(name, value)]).signals.prefetch, "{name}");
        }
        for (name, value) in [("sec-purpose", &b""[..]), ("purpose", b"prefetched"), ("x-purpose", b"x")] {
            assert!(!of_request("GET", &[(name, value)]).signals.prefetch, "{name}");
        }
    }

    #[test]
    fn what_the_request_says_of_itself_is_taken_over() {
        let visitor = of_request(
            "HEAD",
            &[("user-agent", b"Br\xffwser"), ("sec-gpc", b"1"), ("cookie", b"affonso_referral=abc")],
        );
        assert_eq!(visitor.user_agent, "Br\u{fffd}wser");
        assert_eq!(visitor.signals, Signals { head: true, prefetch: false, gpc: true });
        assert_eq!(visitor.cookie.map(|id| id.to_string()).as_deref(), Some("abc"));
        assert!(!of_request("GET", &[("sec-gpc", b"0")]).signals.gpc);
        assert_eq!((visitor.referer, visitor.origin), (None, None));
    }
}
