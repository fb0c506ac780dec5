//! Which host a request is for (RFC 9112 section 3.2).

use http::{Version, header::HOST, request::Parts, uri::Authority};
use std::{borrow::Cow, net::Ipv6Addr};

/// The host that `head` names: lower case, without port, without the root's dot, IPv6 without brackets.
///
/// `None` when it is missing, repeated or malformed. An absolute-form target wins over `Host`, which has to be well-formed
/// all the same. HTTP/1 requires exactly one `Host`; in HTTP/2 the target carries it.
pub(crate) fn of(head: &Parts) -> Option<Cow<'_, str>> {
    let mut fields = head.headers.get_all(HOST).iter();
    let field = match (fields.next(), fields.next()) {
        (Some(field), None) => Some(parse(field.to_str().ok()?)?),
        (None, None) if head.version >= Version::HTTP_2 => None,
        _ => return None,
    };
    match head.uri.authority() {
        Some(authority) => target(head, authority),
        None => field,
    }
}

fn target<'h>(head: &'h Parts, authority: &'h Authority) -> Option<Cow<'h, str>> {
    let scheme = head.uri.scheme_str()?;
    let known = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
    known.then(|| parse(authority.as_str())).flatten()
}

/// The host of `uri-host [":" port]` (RFC 9110 section 7.2). Names are letters, digits, `-`, `_` and dots: what DNS serves.
pub(crate) fn parse(text: &str) -> Option<Cow<'_, str>> {
    if let Some(rest) = text.strip_prefix('[') {
        let (address, rest) = rest.split_once(']')?;
        let address: Ipv6Addr = address.parse().ok()?;
        let port = rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port);
        return port.then(|| Cow::Owned(address.to_string()));
    }
    let (name, port) = text.split_once(':').unwrap_or((text, ""));
    let name = name.strip_suffix('.').unwrap_or(name);
    if !is_port(port) || !is_name(name) {
        return None;
    }
    Some(if name.bytes().any(|b| b.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    })
}

fn is_name(name: &str) -> bool {
    (1..=253).contains(&name.len())
        && name.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        })
}

/// RFC 3986 section 3.2.3 allows an empty port.
fn is_port(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit()) && (text.is_empty() || text.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;
    use proptest::prelude::*;

    fn of_request(target: &str, hosts: &[&str]) -> Option<String> {
        let mut request = Request::builder().uri(target);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        let (head, ()) = request.body(()).expect("a request").into_parts();
        of(&head).map(Cow::into_owned)
    }

    #[test]
    fn hosts_are_folded_and_stripped() {
        for (text, host) in [
            ("shop.example", "shop.example"),
            ("SHOP.Example:8080", "shop.example"),
            ("shop.example.", "shop.example"),
            ("shop.example:", "shop.example"),
            ("localhost:1", "localhost"),
            ("127.0.0.1:8080", "127.0.0.1"),
            ("[::1]:8080", "::1"),
            ("[0:0::1]", "::1"),
            ("a_b.example", "a_b.example"),
        ] {
            assert_eq!(parse(text).as_deref(), Some(host), "{text}");
        }
    }

    #[test]
    fn malformed_hosts_are_refused() {
        for text in [
            "",
            ":80",
            ".",
            "..",
            "a..b",
            ".a",
            "a b",
            "a,b",
            "a@b",
            "user@shop.example",
            "shop.example:x",
            "a:99999",
            "a:1:2",
            "[::1",
            "[::1]x",
            "[::1]:x",
            "[fe80::1%25eth0]",
            "[]",
            "a/b",
            "a\\b",
            "a%2eb",
            "a?b",
            "a#b",
            "münchen.example",
            "\u{0}",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
        assert_eq!(parse(&format!("{}.example", "a".repeat(64))), None);
        assert_eq!(parse(&"a.".repeat(127)).map(|host| host.len()), Some(253));
        assert_eq!(parse(&"a.".repeat(128)), None);
    }

    #[test]
    fn exactly_one_host_and_the_target_wins() {
        assert_eq!(of_request("/", &["a.example"]).as_deref(), Some("a.example"));
        assert_eq!(of_request("/", &[]), None);
        assert_eq!(of_request("/", &["a.example", "a.example"]), None);
        assert_eq!(of_request("http://B.example:81/x", &["a.example"]).as_deref(), Some("b.example"));
        assert_eq!(of_request("http://b.example/x", &["a b"]), None);
        assert_eq!(of_request("http://b.example/x", &[]), None);
        assert_eq!(of_request("http://user@b.example/x", &["b.example"]), None);
        assert_eq!(of_request("ftp://b.example/x", &["b.example"]), None);
    }

    proptest! {
        #[test]
        fn never_panics_and_what_it_takes_is_canonical(text in ".{0,80}") {
            if let Some(host) = parse(&text) {
                prop_assert!(!host.contains(['@', '/', ' ', ',', '%']));
                prop_assert_eq!(host.to_ascii_lowercase(), host.to_string());
            }
        }

        #[test]
        fn a_port_changes_nothing(name in "[a-z0-9-]{1,20}(\\.[a-z]{2,5}){0,3}", port: u16) {
            prop_assert_eq!(parse(&name).map(Cow::into_owned), parse(&format!("{name}:{port}")).map(Cow::into_owned));
        }
    }
}
