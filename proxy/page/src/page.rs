//! Which answers are pages, and what about them changes with the tag in them.

use crate::{coding::Coding, policy::Policies};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode,
    header::{
        ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
        HOST, VARY,
    },
    request::Parts,
    response,
};

const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");
const DIGEST: HeaderName = HeaderName::from_static("digest");
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");
const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest");

/// What a script asks with that puts the answer into a page that is there already: htmx, Turbo, pjax, and libraries that say
/// of themselves that they are no navigation.
const PARTIAL: [HeaderName; 4] = [
    HeaderName::from_static("hx-request"),
    HeaderName::from_static("turbo-frame"),
    HeaderName::from_static("x-pjax"),
    HeaderName::from_static("x-requested-with"),
];

/// Character sets in which `<` is not one byte, or a byte like it is none (<https://encoding.spec.whatwg.org/>).
const NOT_LIKE_ASCII: [&str; 9] =
    ["utf-16", "utf16", "utf-32", "utf-7", "ucs-2", "iso-2022-", "csiso2022", "hz-gb", "iso-10646"];

/// What is to be done with an answer.
#[derive(Debug)]
pub(crate) enum Handling {
    /// Nothing: it is no page.
    Leave,
    /// Nothing: it may be a part of a page, because of this field of the request.
    Part(HeaderName),
    /// The tag goes in, if a place for it comes.
    Put { coding: Coding, policies: Policies, authority: String },
}

/// What is to be done with `answer`, which answers `head`.
pub(crate) fn handling(head: &Parts, answer: &response::Parts) -> Handling {
    let headers = &answer.headers;
    let coding = Coding::of(headers);
    let (true, Some(coding)) = (is_page(head, answer), coding) else { return Handling::Leave };
    if let Some(field) = PARTIAL.iter().find(|name| head.headers.contains_key(*name)) {
        return Handling::Part(field.clone());
    }
    let host = head.uri.authority().map(http::uri::Authority::as_str);
    let host = host.or_else(|| head.headers.get(HOST)?.to_str().ok());
    let authority = host.filter(|host| is_authority(host)).unwrap_or_default().to_owned();
    Handling::Put { coding, policies: Policies::of(headers), authority }
}

fn is_page(head: &Parts, answer: &response::Parts) -> bool {
    let status = answer.status;
    // A range is a part of something, a redirect's text is not shown, and an upgraded connection is no text at all.
    let shown = (status.is_success() || status.is_client_error() || status.is_server_error())
        && !matches!(
            status,
            StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::PARTIAL_CONTENT
        );
    shown
        && head.method != Method::CONNECT
        && !answer.headers.contains_key(CONTENT_RANGE)
        && is_html(&answer.headers)
        && !is_download(&answer.headers)
        && !forbids_changes(&answer.headers)
}

fn is_html(headers: &HeaderMap) -> bool {
    let mut fields = headers.get_all(CONTENT_TYPE).iter();
    let (Some(field), None) = (fields.next(), fields.next()) else { return false };
    let mut parts = field.as_bytes().split(|b| *b == b';').map(<[u8]>::trim_ascii);
    let essence = parts.next().unwrap_or_default();
    let readable = |parameter: &[u8]| {
        let text = String::from_utf8_lossy(parameter).to_ascii_lowercase();
        let Some(charset) = text.strip_prefix("charset") else { return true };
        let charset = charset.trim_start_matches([' ', '\t', '=', '"']);
        !NOT_LIKE_ASCII.iter().any(|start| charset.starts_with(start))
    };
    essence.eq_ignore_ascii_case(b"text/html") && parts.all(readable)
}

/// Whether the browser stores it as a file rather than showing it.
fn is_download(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_DISPOSITION).is_some_and(|field| {
        let kind = field.as_bytes().split(|b| *b == b';').next().unwrap_or_default();
        kind.trim_ascii().eq_ignore_ascii_case(b"attachment")
    })
}

/// `Cache-Control: no-transform` (RFC 9110 section 7.7).
fn forbids_changes(headers: &HeaderMap) -> bool {
    headers
        .get_all(CACHE_CONTROL)
        .iter()
        .flat_map(|field| field.as_bytes().split(|b| *b == b','))
        .any(|directive| directive.trim_ascii().eq_ignore_ascii_case(b"no-transform"))
}

/// Whether it is harmless in an attribute.
fn is_authority(host: &str) -> bool {
    !host.is_empty()
        && host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'[' | b']'))
}

/// Drops what is true of the exact bytes only, and weakens the entity tag: the page means the same, and is another one
/// (RFC 9110 section 8.8.1).
pub(crate) fn unpin(headers: &mut HeaderMap) {
    for name in [CONTENT_LENGTH, ACCEPT_RANGES].into_iter().chain(DIGESTS) {
        headers.remove(name);
    }
    if let Some(tag) = headers.get(ETAG)
        && !tag.as_bytes().starts_with(b"W/")
        && let Ok(weak) = HeaderValue::from_bytes(&[b"W/", tag.as_bytes()].concat())
    {
        headers.insert(ETAG, weak);
    }
}

/// What is said of the bytes, before or after them (RFC 9530, RFC 3230, RFC 1864).
pub(crate) const DIGESTS: [HeaderName; 4] = [CONTENT_MD5, DIGEST, CONTENT_DIGEST, REPR_DIGEST];

/// Adds `field` to `Vary`, so that no cache gives this answer to a request without it.
pub(crate) fn vary_by(headers: &mut HeaderMap, field: HeaderName) {
    let named = |line: &HeaderValue| {
        let mut names = line.as_bytes().split(|b| *b == b',').map(<[u8]>::trim_ascii);
        names.any(|name| name == b"*" || name.eq_ignore_ascii_case(field.as_str().as_bytes()))
    };
    if !headers.get_all(VARY).iter().any(named) {
        headers.append(VARY, HeaderValue::from(field));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{Request, Response};

    fn handled(status: u16, asked: &[(&str, &str)], answered: &[(&str, &str)]) -> &'static str {
        let mut request = Request::builder().uri("/").header("host", "shop.example");
        for (name, value) in asked {
            request = request.header(*name, *value);
        }
        let mut response = Response::builder().status(status);
        for (name, value) in answered {
            response = response.header(*name, *value);
        }
        let head = request.body(()).expect("a request").into_parts().0;
        match handling(&head, &response.body(()).expect("an answer").into_parts().0) {
            Handling::Leave => "leave",
            Handling::Part(_) => "part",
            Handling::Put { .. } => "put",
        }
    }

    #[test]
    fn pages_are_told_from_everything_else() {
        for kind in [
            "text/html",
            "Text/HTML ; Charset=UTF-8",
            "text/html;charset=windows-1252",
            "text/html; charset=\"Shift_JIS\"",
            "text/html; version=2; charset=utf-8",
        ] {
            assert_eq!(handled(200, &[], &[("content-type", kind)]), "put", "{kind}");
        }
        for kind in [
            "text/plain",
            "text/html2",
            "application/xhtml+xml",
            "text/event-stream",
            "",
            "text/html; charset=utf-16le",
            "text/html; charset=\"UTF-16\"",
            "text/html; charset = iso-2022-jp",
        ] {
            assert_eq!(handled(200, &[], &[("content-type", kind)]), "leave", "{kind}");
        }
        assert_eq!(handled(200, &[], &[]), "leave");
        let html = ("content-type", "text/html");
        assert_eq!(handled(200, &[], &[html, html]), "leave");
        for status in [200, 201, 203, 401, 404, 410, 500, 503] {
            assert_eq!(handled(status, &[], &[html]), "put", "{status}");
        }
        for status in [101, 204, 205, 206, 301, 302, 304, 308] {
            assert_eq!(handled(status, &[], &[html]), "leave", "{status}");
        }
        for field in [
            ("content-range", "bytes 0-1/2"),
            ("content-disposition", "Attachment; filename=bill.html"),
            ("cache-control", "no-cache, No-Transform"),
            ("content-encoding", "deflate"),
            ("content-encoding", "gzip, br"),
            ("content-encoding", "aws-chunked"),
        ] {
            assert_eq!(handled(200, &[], &[html, field]), "leave", "{field:?}");
        }
        for field in [
            ("content-disposition", "inline"),
            ("cache-control", "public, max-age=60"),
            ("content-encoding", "identity"),
            ("content-encoding", "x-gzip"),
            ("content-encoding", "BR"),
            ("content-encoding", "zstd"),
        ] {
            assert_eq!(handled(200, &[], &[html, field]), "put", "{field:?}");
        }
    }

    #[test]
    fn parts_are_left_alone_and_told_apart() {
        let html = ("content-type", "text/html");
        for field in ["HX-Request", "Turbo-Frame", "X-PJAX", "X-Requested-With"] {
            assert_eq!(handled(200, &[(field, "true")], &[html]), "part", "{field}");
        }
        let mut headers = HeaderMap::new();
        for (before, after) in [
            (None, "hx-request"),
            (Some("Accept-Encoding"), "Accept-Encoding, hx-request"),
            (Some("*"), "*"),
            (Some("Accept, HX-Request"), "Accept, HX-Request"),
        ] {
            headers.clear();
            if let Some(before) = before {
                headers.insert(VARY, HeaderValue::from_static(before));
            }
            vary_by(&mut headers, PARTIAL[0].clone());
            let lines: Vec<&str> =
                headers.get_all(VARY).iter().map(|line| line.to_str().expect("text")).collect();
            assert_eq!(lines.join(", "), after);
        }
    }

    #[test]
    fn what_is_true_of_the_bytes_alone_goes() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("content-length", "10"),
            ("accept-ranges", "bytes"),
            ("content-md5", "x"),
            ("digest", "x"),
            ("content-digest", "x"),
            ("repr-digest", "x"),
            ("etag", "\"a\""),
            ("last-modified", "Sat, 21 Nov 2026 17:00:00 GMT"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        unpin(&mut headers);
        assert_eq!(headers.len(), 2);
        assert_eq!(headers[ETAG], "W/\"a\"");
        unpin(&mut headers);
        assert_eq!(headers[ETAG], "W/\"a\"");
    }
}
