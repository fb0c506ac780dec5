//! Requests that hyper has read: the same rules for HTTP/2, and once more for HTTP/1.

use super::{
    authority::Authority,
    line::{check_path, is_method},
    name::Name,
    octets::{decimal, is_plain, is_value, trim},
    offence::Offence,
};
use http::{
    HeaderMap, HeaderValue, Method, Version,
    header::{CONTENT_LENGTH, COOKIE, EXPECT, HOST},
    request::Parts,
};
use usher_model::limits::{FIELD_NAME_BYTES, FIELD_VALUE_BYTES, REQUEST_FIELDS, REQUEST_LINE_BYTES};

/// Checks a request by RFC 9113 sections 8.2 and 8.3 and what of RFC 9110 the gate asks of HTTP/1, so that it is as clean when
/// it goes on as HTTP/1. Joins what HTTP/2 may split (`Cookie`), and drops what the gate drops.
///
/// # Errors
/// What is wrong. Then the request is to be answered with [`Offence::status`], and nothing else done with it.
pub fn check(head: &mut Parts) -> Result<(), Offence> {
    if !is_method(head.method.as_str().as_bytes()) {
        return Err(Offence::Method);
    }
    check_target(head)?;
    check_authority(head)?;
    join_cookies(&mut head.headers)?;
    if head.headers.len() > REQUEST_FIELDS {
        return Err(Offence::HeadTooLarge);
    }
    check_fields(&head.headers, head.version >= Version::HTTP_2)?;
    drop_fields(head);
    Ok(())
}

fn check_target(head: &Parts) -> Result<(), Offence> {
    if head.uri.scheme_str().is_some_and(|scheme| scheme != "http" && scheme != "https") {
        return Err(Offence::Target);
    }
    let target = head.uri.path_and_query().ok_or(Offence::Target)?.as_str();
    match target.as_bytes() {
        _ if target.len() > REQUEST_LINE_BYTES => Err(Offence::TargetTooLong),
        b"*" if head.method == Method::OPTIONS => Ok(()),
        // HTTP/2 has no use for what the gate encodes; hyper knows it neither.
        [b'/', ..] if !check_path(target.as_bytes())? => Ok(()),
        _ => Err(Offence::Target),
    }
}

/// `:authority` and `Host` (RFC 9113 section 8.3.1): one of them at least, and the same.
fn check_authority(head: &Parts) -> Result<(), Offence> {
    let mut fields = head.headers.get_all(HOST).iter();
    let field = match (fields.next(), fields.next()) {
        (field, None) => field,
        _ => return Err(Offence::Host),
    };
    let field = field.map(|field| Authority::parse(field.as_bytes()).ok_or(Offence::Host)).transpose()?;
    let named = head.uri.authority().map(|named| Authority::parse(named.as_str().as_bytes()));
    let named = named.map(|named| named.ok_or(Offence::Host)).transpose()?;
    let default_port = if head.uri.scheme_str() == Some("http") { 80 } else { 443 };
    match (field, named) {
        (Some(field), Some(named)) if !field.agrees(named, default_port) => Err(Offence::Disagreement),
        (None, Some(_)) if head.version < Version::HTTP_2 => Err(Offence::Host),
        (None, None) => Err(Offence::Host),
        _ => Ok(()),
    }
}

/// RFC 9113 section 8.2.3.
fn join_cookies(headers: &mut HeaderMap) -> Result<(), Offence> {
    let mut all = headers.get_all(COOKIE).iter();
    let Some(first) = all.next() else { return Ok(()) };
    let mut joined = first.as_bytes().to_vec();
    let before = joined.len();
    for more in all {
        joined.extend_from_slice(b"; ");
        joined.extend_from_slice(more.as_bytes());
    }
    if joined.len() > before {
        headers.insert(COOKIE, HeaderValue::from_bytes(&joined).map_err(|_| Offence::FieldValue)?);
    }
    Ok(())
}

fn check_fields(headers: &HeaderMap, is_http_2: bool) -> Result<(), Offence> {
    let mut singles = 0_u32;
    for (name, value) in headers {
        let (name, value) = (name.as_str().as_bytes(), value.as_bytes());
        if name.len() > FIELD_NAME_BYTES || value.len() > FIELD_VALUE_BYTES {
            return Err(Offence::HeadTooLarge);
        }
        if !is_value(value) || (is_http_2 && trim(value) != (0, value.len())) {
            return Err(Offence::FieldValue);
        }
        match Name::of(name) {
            Name::Connection | Name::Upgrade | Name::TransferEncoding if is_http_2 => {
                return Err(Offence::ConnectionSpecific);
            }
            Name::Dropped if is_http_2 && is_plain(name) => return Err(Offence::ConnectionSpecific),
            Name::Te if is_http_2 && value != b"trailers" => return Err(Offence::ConnectionSpecific),
            Name::Expect if !value.eq_ignore_ascii_case(b"100-continue") => return Err(Offence::Expect),
            Name::ContentLength => {
                decimal(value).ok_or(Offence::ContentLength)?.map_err(|()| Offence::BodyTooLarge)?;
            }
            Name::Single(number) if singles & (1 << number) != 0 => return Err(Offence::Repeated),
            Name::Single(number) => singles |= 1 << number,
            _ => {}
        }
    }
    match headers.get_all(CONTENT_LENGTH).iter().nth(1) {
        Some(_) => Err(Offence::ContentLength),
        None => Ok(()),
    }
}

fn drop_fields(head: &mut Parts) {
    let odd: Vec<_> =
        head.headers.keys().filter(|name| !is_plain(name.as_str().as_bytes())).cloned().collect();
    for name in odd {
        head.headers.remove(name);
    }
    // Nobody answers it there, and it need not be answered (RFC 9110 section 10.1.1).
    if head.version >= Version::HTTP_2 {
        head.headers.remove(EXPECT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn checked(version: Version, target: &str, fields: &[(&str, &str)]) -> Result<Parts, Offence> {
        let mut request = Request::builder().method("GET").version(version).uri(target);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let (mut head, ()) = request.body(()).expect("a request").into_parts();
        check(&mut head).map(|()| head)
    }

    fn h2(fields: &[(&str, &str)]) -> Result<Parts, Offence> {
        checked(Version::HTTP_2, "https://shop.example/a?b", fields)
    }

    #[test]
    fn fields_of_a_connection_have_no_place_in_http_2() {
        for field in [
            ("connection", "close"),
            ("keep-alive", "1"),
            ("proxy-connection", "close"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "websocket"),
            ("http2-settings", "AAMAAABk"),
            ("te", "gzip"),
            ("te", "trailers, gzip"),
        ] {
            assert_eq!(h2(&[field]).err(), Some(Offence::ConnectionSpecific), "{field:?}");
        }
        assert!(h2(&[("te", "trailers")]).is_ok());
    }

    #[test]
    fn the_rules_of_http_1_hold_as_well() {
        for (field, offence) in [
            (("host", "evil.example"), Offence::Disagreement),
            (("host", "a b"), Offence::Host),
            (("content-length", "+1"), Offence::ContentLength),
            (("content-length", "99999999999999999999"), Offence::BodyTooLarge),
            (("expect", "200-ok"), Offence::Expect),
            (("x", "a "), Offence::FieldValue),
            (("x", "\ta"), Offence::FieldValue),
        ] {
            assert_eq!(h2(&[field]).err(), Some(offence), "{field:?}");
        }
        for name in ["authorization", "content-type", "origin", "idempotency-key"] {
            assert_eq!(h2(&[(name, "a"), (name, "a")]).err(), Some(Offence::Repeated), "{name}");
        }
        assert_eq!(
            h2(&[("content-length", "1"), ("content-length", "1")]).err(),
            Some(Offence::ContentLength)
        );
        assert_eq!(h2(&[("host", "shop.example"), ("host", "shop.example")]).err(), Some(Offence::Host));
        assert!(h2(&[("host", "SHOP.example:443"), ("content-length", "1")]).is_ok());
        let many: Vec<_> = (0..=REQUEST_FIELDS).map(|_| ("x", "y")).collect();
        assert_eq!(h2(&many).err(), Some(Offence::HeadTooLarge));
    }

    #[test]
    fn targets_and_methods_are_allow_listed() {
        for target in [
            "https://shop.example//evil.example/",
            "https://shop.example/%zz",
            "https://shop.example/a{b",
            "https://u@shop.example/",
            "ftp://shop.example/",
            "shop.example:443",
            "*",
        ] {
            let refused = checked(Version::HTTP_2, target, &[]).err();
            assert!(matches!(refused, Some(Offence::Target | Offence::Host)), "{target}: {refused:?}");
        }
        assert_eq!(checked(Version::HTTP_2, "/a", &[]).err(), Some(Offence::Host));
        assert!(checked(Version::HTTP_2, "/a", &[("host", "shop.example")]).is_ok());
        for (method, taken) in [("CONNECT", false), ("PURGE", false), ("get", false), ("PROPFIND", true)] {
            let request = Request::builder().version(Version::HTTP_2).method(method);
            let (mut head, ()) = request.uri("https://a.example/").body(()).expect("valid").into_parts();
            assert_eq!(check(&mut head).is_ok(), taken, "{method}");
        }
    }

    #[test]
    fn cookies_are_joined_and_odd_names_dropped() {
        let head = h2(&[
            ("cookie", "a=1"),
            ("cookie", "b=2"),
            ("x_forwarded_for", "1.2.3.4"),
            ("expect", "100-continue"),
        ]);
        let head = head.expect("a clean request");
        assert_eq!(head.headers.len(), 1);
        assert_eq!(head.headers[COOKIE], "a=1; b=2");
        let crumbs: Vec<_> = (0..300).map(|_| ("cookie", "a=1")).collect();
        assert_eq!(h2(&crumbs).expect("cookies may be many").headers.len(), 1);
    }

    #[test]
    fn http_1_needs_its_host() {
        assert_eq!(checked(Version::HTTP_11, "/", &[]).err(), Some(Offence::Host));
        assert_eq!(checked(Version::HTTP_11, "http://a.example/", &[]).err(), Some(Offence::Host));
        assert!(checked(Version::HTTP_11, "/", &[("host", "a.example"), ("connection", "close")]).is_ok());
    }
}
