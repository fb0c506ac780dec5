//! Section 8: what a request is.

use crate::{
    client::*,
    table::{Case, Code, Expect, case},
};

pub(crate) fn cases() -> Vec<Case> {
    [fields(), pseudo_fields(), bodies()].into_iter().flatten().collect()
}

/// A request with these fields besides its own.
fn with(section: &'static str, what: &'static str, expect: Expect, block: &[Vec<u8>]) -> Case {
    case(section, what, expect, |s| s.frame(HEADERS, WHOLE, 1, &block.concat()))
}

fn bad(section: &'static str, what: &'static str, block: &[Vec<u8>]) -> Case {
    with(section, what, Expect::Reset(1, Code::Protocol), block)
}

fn fields() -> Vec<Case> {
    let good = |what, name, value| with("8.2", what, Expect::Status(1, 200), &[get(), field(name, value)]);
    vec![
        bad("8.2.1", "a field's name in upper case", &[get(), field("X-TEST", "ok")]),
        bad("8.2.1", "a field's name with a blank", &[get(), field("x test", "ok")]),
        bad("8.2.1", "a field's name with a colon", &[get(), field("x:test", "ok")]),
        bad("8.2.1", "a field without a name", &[get(), field("", "ok")]),
        bad("8.2.1", "a field's name with NUL", &[get(), field("x\0", "ok")]),
        bad("8.2.1", "a field's value with NUL", &[get(), field("x-a", "o\0k")]),
        bad("8.2.1", "a field's value with CR LF", &[get(), field("x-a", "ok\r\nx-b: c")]),
        bad("8.2.1", "a field's value with LF", &[get(), field("x-a", "o\nk")]),
        bad("8.2.2", "Connection", &[get(), field("connection", "keep-alive")]),
        bad("8.2.2", "Transfer-Encoding", &[get(), field("transfer-encoding", "chunked")]),
        bad("8.2.2", "Upgrade", &[get(), field("upgrade", "websocket")]),
        bad("8.2.2", "Keep-Alive", &[get(), field("keep-alive", "timeout=1")]),
        bad("8.2.2", "Proxy-Connection", &[get(), field("proxy-connection", "keep-alive")]),
        bad("8.2.2", "TE other than trailers", &[get(), field("te", "trailers, deflate")]),
        good("TE: trailers", "te", "trailers"),
        good("an empty value", "x-a", ""),
        good("a cookie", "cookie", "a=b; c=d"),
        good("bytes above ASCII in a value", "x-a", "\u{e9}"),
        with(
            "8.2.3",
            "cookies in several fields",
            Expect::Status(1, 200),
            &[get(), field("cookie", "a=b"), field("cookie", "c=d")],
        ),
    ]
}

fn pseudo_fields() -> Vec<Case> {
    let (method, scheme, path) = (vec![0x82], vec![0x87], vec![0x84]);
    let authority = field(":authority", "shop.example");
    vec![
        bad("8.3", "an unknown pseudo-field", &[get(), field(":test", "ok")]),
        bad("8.3", "a response's pseudo-field", &[get(), field(":status", "200")]),
        bad("8.3", "a pseudo-field in trailers", &[get(), field("x-a", "b"), field(":status", "200")]),
        bad(
            "8.3",
            "a pseudo-field after another field",
            &[method.clone(), scheme.clone(), path.clone(), field("x-test", "ok"), authority.clone()],
        ),
        bad("8.3.1", "no :method", &[scheme.clone(), path.clone(), authority.clone()]),
        bad("8.3.1", "no :scheme", &[method.clone(), path.clone(), authority.clone()]),
        bad("8.3.1", "no :path", &[method.clone(), scheme.clone(), authority.clone()]),
        bad(
            "8.3.1",
            "an empty :path",
            &[method.clone(), scheme.clone(), field(":path", ""), authority.clone()],
        ),
        bad("8.3.1", ":method twice", &[method.clone(), get()]),
        bad("8.3.1", ":scheme twice", &[scheme.clone(), get()]),
        bad("8.3.1", ":path twice", &[path.clone(), get()]),
        bad("8.3.1", ":authority twice", &[authority.clone(), get()]),
        bad(
            "8.3.1",
            "a :path that is none",
            &[method.clone(), scheme.clone(), field(":path", "no path"), authority.clone()],
        ),
        bad(
            "8.3.1",
            "an :authority that is none",
            &[method, scheme.clone(), path.clone(), field(":authority", "a b")],
        ),
        bad("8.3.1", "a :method that is none", &[field(":method", "G T"), scheme, path, authority]),
        case("8.3", "pseudo-fields in trailers", Expect::Reset(1, Code::Protocol), |s| {
            s.post(1).frame(DATA, 0, 1, b"test").frame(
                HEADERS,
                WHOLE,
                1,
                &[field("x-a", "b"), field(":method", "GET")].concat(),
            )
        }),
    ]
}

fn bodies() -> Vec<Case> {
    let long = |length: &str| [post(), field("content-length", length)].concat();
    vec![
        case("8.1", "a second HEADERS that does not end the stream", Expect::Reset(1, Code::Protocol), |s| {
            s.post(1).frame(HEADERS, END_HEADERS, 1, &field("x-a", "b"))
        }),
        case("8.1", "trailers", Expect::Status(1, 200), |s| {
            s.post(1).frame(DATA, 0, 1, b"test").frame(HEADERS, WHOLE, 1, &field("x-a", "b"))
        }),
        case("8.1", "DATA after trailers", Expect::Reset(1, Code::StreamClosed), |s| {
            s.post(1).frame(HEADERS, WHOLE, 1, &field("x-a", "b")).frame(DATA, END_STREAM, 1, b"test")
        }),
        case("8.1.1", "less content than announced", Expect::Reset(1, Code::Protocol), |s| {
            s.frame(HEADERS, END_HEADERS, 1, &long("10")).frame(DATA, END_STREAM, 1, b"test")
        }),
        case("8.1.1", "more content than announced", Expect::Reset(1, Code::Protocol), |s| {
            s.frame(HEADERS, END_HEADERS, 1, &long("1")).frame(DATA, END_STREAM, 1, b"test")
        }),
        case(
            "8.1.1",
            "less content than announced, in several frames",
            Expect::Reset(1, Code::Protocol),
            |s| {
                let s = s.frame(HEADERS, END_HEADERS, 1, &long("9"));
                s.frame(DATA, 0, 1, b"test").frame(DATA, END_STREAM, 1, b"test")
            },
        ),
        case("8.1.1", "as much content as announced", Expect::Status(1, 200), |s| {
            let s = s.frame(HEADERS, END_HEADERS, 1, &long("8"));
            s.frame(DATA, 0, 1, b"test").frame(DATA, END_STREAM, 1, b"test")
        }),
        case("8.1.1", "no content where some was announced", Expect::Reset(1, Code::Protocol), |s| {
            s.frame(HEADERS, WHOLE, 1, &long("1"))
        }),
        case("8.1.1", "a length that is no number", Expect::Reset(1, Code::Protocol), |s| {
            s.frame(HEADERS, END_HEADERS, 1, &long("1a")).frame(DATA, END_STREAM, 1, b"t")
        }),
        case("8.5", "CONNECT with a path", Expect::Reset(1, Code::Protocol), |s| {
            let block = [field(":method", "CONNECT"), vec![0x87, 0x84], field(":authority", "a:1")].concat();
            s.frame(HEADERS, END_HEADERS, 1, &block)
        }),
        case("8.1", "GET", Expect::Status(1, 200), |s| s.get(1)),
        case("8.1", "HEAD", Expect::Content(1, &[]), |s| {
            let block = [field(":method", "HEAD"), vec![0x87, 0x84], field(":authority", "a")].concat();
            s.frame(HEADERS, WHOLE, 1, &block)
        }),
        case("8.1", "POST", Expect::Content(1, &[10]), |s| s.post(1).frame(DATA, END_STREAM, 1, b"test")),
        case("8.1", "a hundred requests at once", Expect::Status(199, 200), |s| {
            (0..100).fold(s, |s, n| s.get(2 * n + 1))
        }),
    ]
}
