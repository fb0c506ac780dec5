//! Each rule, with what keeps it and what breaks it.

use super::{framing::chunked, pass};
use bytes::BytesMut;
use usher_front::gate::{Gate, Offence, Phase};

/// A request with that line and those fields, behind `Host`.
pub(crate) fn request(line: &str, fields: &[&str]) -> String {
    format!(
        "{line}\r\nHost: a.example\r\n{}\r\n",
        fields.iter().map(|f| format!("{f}\r\n")).collect::<String>()
    )
}

pub(crate) fn get(fields: &[&str]) -> String {
    request("GET / HTTP/1.1", fields)
}

pub(crate) fn passes(bytes: impl AsRef<[u8]>) -> String {
    let passed = pass([bytes.as_ref()], false);
    assert_eq!(passed.offence, None, "{}", bytes.as_ref().escape_ascii());
    assert!(!matches!(passed.phase, Phase::Head | Phase::Body), "{}", bytes.as_ref().escape_ascii());
    String::from_utf8_lossy(&passed.out).into_owned()
}

/// As it came.
pub(crate) fn passes_unchanged(bytes: impl AsRef<[u8]>) {
    let out = passes(&bytes);
    assert_eq!(out, String::from_utf8_lossy(bytes.as_ref()));
}

pub(crate) fn is_refused(bytes: impl AsRef<[u8]>, offence: Offence) {
    let passed = pass([bytes.as_ref()], false);
    assert_eq!(passed.offence, Some(offence), "{}", bytes.as_ref().escape_ascii());
    assert!(passed.out.is_empty(), "nothing of it is handed on: {}", bytes.as_ref().escape_ascii());
    assert_eq!((passed.phase, passed.requests), (Phase::Refused { answer_due: true }, 0));
}

#[test]
fn request_lines_have_one_form() {
    passes_unchanged(get(&[]));
    passes_unchanged(get(&["Accept: */*", "cookie:a=b; c=d", "X: ", "Y:"]));
    assert_eq!(passes("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    for line in [
        "GET  / HTTP/1.1",
        "GET /  HTTP/1.1",
        "GET / HTTP/1.1 ",
        "GET\t/ HTTP/1.1",
        "GET / HTTP/1.1\t",
        "GET / a HTTP/1.1",
        "GET /",
        "GET / ",
        "GET",
        "GET / http/1.1",
        "GET / HTTP/1.10",
        "GET / HTTP/11",
        "GET / HTTP/1",
        "GET / HTTP/1,1",
        "GET / HTTPS/1.1",
        "GET / XHTTP/1.1",
        "G(T / HTTP/1.1",
        "G\u{0}T / HTTP/1.1",
        "GET\r / HTTP/1.1",
        "GET / HTTP/1.1\r",
    ] {
        is_refused(request(line, &[]), Offence::RequestLine);
    }
    for begin in
        [" GET", "\tGET", "\n", "\0", "\x16\x03\x01", "\u{7f}", "\u{feff}GET", "(", "\r\n\r\n", "\r\n "]
    {
        is_refused(format!("{begin} / HTTP/1.1\r\nHost: a\r\n\r\n"), Offence::RequestLine);
    }
    is_refused("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Offence::RequestLine);
    for version in ["1.2", "0.9", "2.0", "3.0", "9.9"] {
        is_refused(request(&format!("GET / HTTP/{version}"), &[]), Offence::Version);
    }
    is_refused("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Offence::Version);
}

#[test]
fn lines_end_in_crlf() {
    is_refused("GET / HTTP/1.1\nHost: a\r\n\r\n", Offence::LineEnd);
    is_refused("GET / HTTP/1.1\r\nHost: a\n\r\n", Offence::LineEnd);
    is_refused("GET / HTTP/1.1\r\nHost: a\r\n\n", Offence::LineEnd);
    is_refused("GET / HTTP/1.1\r\nHost: a\r\nX: \r\r\n\r\n", Offence::FieldValue);
    is_refused("GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", Offence::FieldValue);
    is_refused("GET / HTTP/1.1\r\n\r\nHost: a\r\n\r\n", Offence::Host);
    is_refused("GET / HTTP/1.1\r\nHost: a\r\n\r\r\n", Offence::FieldName);
}

#[test]
fn methods_are_those_that_are_registered() {
    for method in [
        "GET",
        "HEAD",
        "POST",
        "PUT",
        "DELETE",
        "OPTIONS",
        "PATCH",
        "PROPFIND",
        "MKCALENDAR",
        "QUERY",
        "TRACE",
    ] {
        passes_unchanged(request(&format!("{method} / HTTP/1.1"), &[]));
    }
    for method in ["get", "Get", "GETS", "CONNECT", "TRACK", "DEBUG", "PURGE", "M-SEARCH", "X", "PRI"] {
        is_refused(request(&format!("{method} / HTTP/1.1"), &[]), Offence::Method);
    }
    is_refused("CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n", Offence::Method);
}

const NO_PATHS: &[&str] = &[
    "*",
    "//evil.example/",
    "//",
    "/\\evil.example",
    "/a#b",
    "/?a#b",
    "#",
    "?a",
    "a",
    "a/b",
    "/%",
    "/%2",
    "/%zz",
    "/%u0041",
    "/a\"b",
    "/<a>",
    "/{a}",
    "/`a",
    "/\u{e9}",
    "/?\u{e9}",
    "/\u{7f}",
    "/\u{1}",
    "/?\u{0}",
    "/a\tb",
    "**",
    "*/",
    "a.example:80",
    "a.example",
    "mailto:a@a.example",
    "http:/a.example/",
    "http:a",
    "http://",
    "http:///a",
    "https://a.example/",
    "ftp://a.example/",
    "ws://a.example/",
    "http://u@a.example/",
    "http://u:p@a.example/",
    "http://a.example:x/",
    "http://a.example//b",
    "http://a.example/#",
    "http://a.example#",
    "http://a.example\\b",
    "http://a.example/%zz",
];

#[test]
fn targets_are_paths() {
    for target in [
        "/",
        "/a/b",
        "/a//b/",
        "/.",
        "/../../etc",
        "/%2e%2e/%2F",
        "/a;b=c,d@e:f!$&'()*+",
        "/[a]|b^c",
        "/~a_b-c.d",
        "/?",
        "/?a=b&c[]={d}|\\^`'",
        "/?100%",
        "/a?b?c/d",
        "/?//x",
    ] {
        passes_unchanged(request(&format!("GET {target} HTTP/1.1"), &[]));
    }
    passes_unchanged(request("OPTIONS * HTTP/1.1", &[]));
    for target in NO_PATHS {
        is_refused(request(&format!("GET {target} HTTP/1.1"), &[]), Offence::Target);
    }
    is_refused(request("OPTIONS *a HTTP/1.1", &[]), Offence::Target);
    assert_eq!(
        passes(request("GET /?\"a\"=<b> HTTP/1.1", &[])),
        request("GET /?%22a%22=%3Cb%3E HTTP/1.1", &[]),
        "as browsers write it"
    );
}

#[test]
fn an_absolute_target_agrees_with_host() {
    for (target, written) in [
        ("http://a.example/b?c", "/b?c"),
        ("HTTP://A.Example:80/", "/"),
        ("http://a.example", "/"),
        ("http://a.example?b", "/?b"),
        ("http://a.example?b\"", "/?b%22"),
    ] {
        let out = passes(request(&format!("GET {target} HTTP/1.1"), &[]));
        assert_eq!(out, request(&format!("GET {written} HTTP/1.1"), &[]), "{target}");
    }
    assert_eq!(passes(request("OPTIONS http://a.example HTTP/1.1", &[])), request("OPTIONS * HTTP/1.1", &[]));
    for target in ["http://b.example/", "http://a.example:81/", "http://a.example./", "http://xa.example/"] {
        is_refused(request(&format!("GET {target} HTTP/1.1"), &[]), Offence::Disagreement);
    }
    let secured = request("GET https://a.example:443/ HTTP/1.1", &[]);
    assert_eq!(pass([secured.as_bytes()], true).offence, None);
}

#[test]
fn there_is_one_valid_host() {
    for host in ["a", "A.b-c.example:8080", "a:", "127.0.0.1", "[::1]:80", "a_b.example"] {
        passes_unchanged(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        passes_unchanged(format!("GET / HTTP/1.0\r\nhOST:{host}\r\n\r\n"));
    }
    for host in [
        "", "a b", "a,b", "a@b", "a/", "http://a", "a:x", "a:99999", "a#", "a%41", "\u{e9}", "a;b", "[::1",
        ".a",
    ] {
        is_refused(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"), Offence::Host);
    }
    is_refused("GET / HTTP/1.1\r\n\r\n", Offence::Host);
    is_refused("GET / HTTP/1.0\r\n\r\n", Offence::Host);
    is_refused("GET http://a/ HTTP/1.1\r\n\r\n", Offence::Host);
    is_refused(get(&["Host: a.example"]), Offence::Host);
    is_refused(get(&["host: b.example"]), Offence::Host);
}

#[test]
fn names_are_tokens() {
    passes_unchanged(get(&["X-1: a"]));
    for line in [
        "X : a",
        "X\t: a",
        ": a",
        "X",
        "X Y: a",
        "X\u{0}: a",
        "X(: a",
        "X\u{e9}: a",
        "\"X\": a",
        "X/: a",
        "X\r: a",
        "[X]: a",
        "@: a",
    ] {
        is_refused(get(&[line]), Offence::FieldName);
    }
    is_refused(get(&["X: a", " b"]), Offence::Folded);
    is_refused(get(&["X: a", "\tb: c"]), Offence::Folded);
    is_refused("GET / HTTP/1.1\r\n Host: a\r\n\r\n", Offence::Folded);
    for name in ["Content_Length", "X_Forwarded_For", "Transfer_Encoding", "X.Y", "X!", "X~", "'X"] {
        assert_eq!(passes(get(&[&format!("{name}: 1"), "Y: 2"])), get(&["Y: 2"]), "{name}");
    }
}

#[test]
fn values_hold_no_control_characters() {
    passes_unchanged(get(&["X: a\tb \"c\" \u{e9} \\ : , ;"]));
    passes_unchanged(b"GET / HTTP/1.1\r\nHost: a\r\nX: \x80\xff\r\n\r\n");
    assert_eq!(passes(get(&["X:  \t a b\t  "])), get(&["X:a b"]));
    assert_eq!(passes(get(&["X: a\t "])), get(&["X:a"]));
    for octet in (0..32).chain([127]).filter(|octet| *octet != b'\t' && *octet != b'\n') {
        for place in ["X: a%b", "X:%", "X: %a", "X: a%"] {
            is_refused(get(&[&place.replace('%', &char::from(octet).to_string())]), Offence::FieldValue);
        }
    }
}

#[test]
fn what_has_one_value_comes_once() {
    for name in ["Authorization", "Content-Type", "Origin", "Range", "If-Modified-Since", "Idempotency-Key"] {
        passes_unchanged(get(&[&format!("{name}: a")]));
        is_refused(get(&[&format!("{name}: a"), &format!("{}: a", name.to_lowercase())]), Offence::Repeated);
    }
    passes_unchanged(get(&["Accept: a", "Accept: b", "Cookie: a=b", "Cookie: c=d"]));
}

#[test]
fn sizes_are_limited() {
    let line = |length: usize| request(&format!("GET /{} HTTP/1.1", "a".repeat(length - 16)), &[]);
    passes_unchanged(line(16 * 1024));
    is_refused(line(16 * 1024 + 1), Offence::TargetTooLong);
    is_refused("G".repeat(20_000), Offence::TargetTooLong);
    passes_unchanged(get(&vec!["X: a"; 99]));
    is_refused(get(&vec!["X: a"; 100]), Offence::HeadTooLarge);
    passes_unchanged(get(&[&format!("{}: a", "a".repeat(256))]));
    is_refused(get(&[&format!("{}: a", "a".repeat(257))]), Offence::HeadTooLarge);
    passes_unchanged(get(&[&format!("Cookie: {}", "a".repeat(60 * 1024))]));
    is_refused(get(&[&format!("Cookie: {}", "a".repeat(60 * 1024 + 1))]), Offence::HeadTooLarge);
    let head = |length: usize| {
        let half = format!("X: {}", "a".repeat(30_000));
        let rest = length - get(&[&half, "X: "]).len();
        get(&[&half, &format!("X: {}", "a".repeat(rest))])
    };
    passes_unchanged(head(64 * 1024));
    is_refused(head(64 * 1024 + 1), Offence::HeadTooLarge);
    is_refused(format!("GET / HTTP/1.1\r\nX: {}", "a".repeat(70_000)), Offence::HeadTooLarge);
}

#[test]
fn expectations_upgrades_and_options() {
    let post = |fields: &[&str]| request("POST / HTTP/1.1", fields) + "a";
    assert_eq!(
        passes(post(&["expect: 100-Continue", "Content-Length: 1"])),
        post(&["Content-Length: 1", "Expect:100-continue"])
    );
    assert_eq!(passes(get(&["Expect: 100-continue"])), get(&[]), "there is nothing to continue with");
    for expectation in ["", "200-ok", "100-continue, a", "100 continue", "a"] {
        is_refused(get(&[&format!("Expect: {expectation}")]), Offence::Expect);
    }
    is_refused(post(&["Expect: 100-continue", "Expect: 100-continue", "Content-Length: 1"]), Offence::Expect);

    for (fields, written) in [
        (&["Connection: keep-alive", "X: a"][..], &["X: a"][..]),
        (&["Connection: Close, Keep-Alive"], &["Connection:close"]),
        (&["Connection: , close ,,"], &["Connection:close"]),
        (&["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAM"], &[]),
        (&["Upgrade: TLS/1.0", "Connection: upgrade"], &[]),
        (&["Upgrade: websocket"], &[]),
        (&["TE: trailers, deflate;q=0.5", "Connection: te"], &["TE:trailers"]),
        (&["TE: gzip"], &[]),
        (&["Keep-Alive: timeout=5", "Proxy-Connection: keep-alive"], &[]),
        (&["X-Hop: a", "Connection: x-hop", "Y: b", "x-HOP: c"], &["Y: b"]),
    ] {
        assert_eq!(passes(get(fields)), get(written), "{fields:?}");
    }
    for option in [
        "Host",
        "Content-Length",
        "transfer-encoding",
        "Cookie",
        "Authorization",
        "X-Forwarded-For",
        "Forwarded",
        "Content-Type",
        "Origin",
        "Sec-Fetch-Site",
        "a b",
        "a;b",
        "\"a\"",
        "close/",
        "X-Real-IP",
        "Idempotency-Key",
    ] {
        is_refused(get(&[&format!("Connection: close, {option}")]), Offence::Connection);
    }
    is_refused(get(&[&format!("Connection: {}", "a,".repeat(17))]), Offence::Connection);
}

#[test]
fn a_last_request_is_the_last() {
    let next = get(&[]);
    let closing = get(&["Connection: close"]);
    assert_eq!(passes(closing.clone() + &next), get(&["Connection:close"]));
    assert_eq!(pass([closing.as_bytes(), b"\0"], false).phase, Phase::Closed);
    let old = request("GET / HTTP/1.0", &[]);
    assert_eq!(passes(old.clone() + &next), old);
    let kept = request("GET / HTTP/1.0", &["Connection: keep-alive"]);
    assert_eq!(passes(kept + &next), request("GET / HTTP/1.0", &["Connection:keep-alive"]) + &next);
}

#[test]
fn requests_before_an_offence_are_handed_on() {
    let (good, bad) = (get(&[]), "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n");
    let stream = format!("{good}{good}{bad}{good}");
    let passed = pass([stream.as_bytes()], false);
    assert_eq!(passed.offence, Some(Offence::Host));
    assert_eq!(String::from_utf8_lossy(&passed.out), good.repeat(2));
    assert_eq!((passed.requests, passed.phase), (2, Phase::Refused { answer_due: true }));
}

#[test]
fn an_offence_in_a_body_that_is_under_way_is_not_answered() {
    let mut gate = Gate::new(false);
    let mut out = BytesMut::new();
    gate.feed(chunked("1\r\nx\r\n").as_bytes(), &mut out).expect("a clean begin");
    assert_eq!(gate.feed(b"z", &mut out), Ok(1));
    assert_eq!(gate.feed(b"\r\n", &mut out), Err(Offence::Chunk));
    assert_eq!((gate.phase(), gate.requests()), (Phase::Refused { answer_due: false }, 1));
    let before = out.clone();
    assert_eq!(gate.feed(b"0\r\n\r\n", &mut out), Err(Offence::Chunk));
    assert_eq!(out, before, "nothing after an offence is looked at");
}

#[test]
fn a_websocket_is_asked_for_and_waited_for() {
    let ask =
        get(&["Upgrade: h2c, WebSocket", "Connection: keep-alive, Upgrade", "Sec-WebSocket-Version: 13"]);
    let written = get(&["Sec-WebSocket-Version: 13", "Upgrade:websocket", "Connection:upgrade"]);
    let stream = ask.clone() + "\u{81}\0\r\n";
    let mut gate = Gate::new(false);
    let mut out = BytesMut::new();
    assert_eq!(gate.feed(stream.as_bytes(), &mut out), Ok(ask.len()));
    assert_eq!(gate.phase(), Phase::Switching);
    assert_eq!(gate.feed(&stream.as_bytes()[ask.len()..], &mut out), Ok(0));
    gate.tunnel();
    assert_eq!(gate.feed(&stream.as_bytes()[ask.len()..], &mut out), Ok(stream.len() - ask.len()));
    assert_eq!(String::from_utf8_lossy(&out), written + "\u{81}\0\r\n");

    let mut gate = Gate::new(false);
    gate.tunnel();
    assert_eq!(gate.phase(), Phase::Idle, "nobody has asked");
    for ask in [
        ask.replace("GET", "POST"),
        ask.replace("HTTP/1.1", "HTTP/1.0"),
        ask.replace(", Upgrade", ""),
        ask.replace("Sec-", "Content-Length: 1\r\nSec-") + "a",
    ] {
        let passed = pass([ask.as_bytes()], false);
        assert_eq!(passed.offence, None, "{ask}");
        assert_ne!(passed.phase, Phase::Switching, "{ask}");
        assert!(!String::from_utf8_lossy(&passed.out).to_lowercase().contains("upgrade"), "{ask}");
    }
}

#[test]
fn answers_are_whole_and_close() {
    for (offence, line) in [
        (Offence::Host, "HTTP/1.1 400 Bad Request\r\n"),
        (Offence::TargetTooLong, "HTTP/1.1 414 URI Too Long\r\n"),
        (Offence::HeadTooLarge, "HTTP/1.1 431 Request Header Fields Too Large\r\n"),
        (Offence::BodyTooLarge, "HTTP/1.1 413 Payload Too Large\r\n"),
        (Offence::Expect, "HTTP/1.1 417 Expectation Failed\r\n"),
        (Offence::Method, "HTTP/1.1 501 Not Implemented\r\n"),
        (Offence::Version, "HTTP/1.1 505 HTTP Version Not Supported\r\n"),
    ] {
        let answer = String::from_utf8(offence.answer().to_vec()).expect("text");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        assert!(answer.starts_with(line), "{answer}");
        assert!(
            head.contains("\r\nConnection: close")
                && head.contains(&format!("\r\nContent-Length: {}", body.len()))
        );
    }
}
