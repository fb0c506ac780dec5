//! The request line, and the ends of all lines.

use usher_tests::HOST;

use super::request;

const ABSOLUTE_TARGETS: &[&str] = &[
    "http://evil.example/h/~",
    "http://evil.example",
    "http://shop.example:81/h/~",
    "http://shop.example.evil.example/h/~",
    "http://evilshop.example/h/~",
    "http://user@shop.example/h/~",
    "http://shop.example@evil.example/h/~",
    "http://shop.example:x/h/~",
    "http:///h/~",
    "http://",
    "http:/h/~",
    "http:h/~",
    "http:shop.example/h/~",
    "https://shop.example/h/~",
    "https://evil.example/h/~",
    "ftp://shop.example/h/~",
    "ws://shop.example/h/~",
    "file:///h/~",
    "javascript:alert(1)",
    "gopher://shop.example/h/~",
    "http://shop.example//evil.example/~",
    "http://shop.example\\@evil.example/",
    "http://shop.example#/h/~",
    "http://[::1]/h/~",
    "http://shop.example/h/~#a",
    "http://shop.example/\u{0}",
    "http://shop.example%2fevil.example/h/~",
    "http://shop.example,evil.example/h/~",
    "http://localhost/h/~",
    "http://127.0.0.1/h/~",
    "HTTP://EVIL.EXAMPLE/h/~",
    "http://shop.example./h/~",
    "h/~",
    "shop.example",
    "shop.example:80",
    "shop.example/h/~",
    "~",
    "*h",
    "./h/~",
    "../h/~",
    "\\h\\~",
    "?h=~",
    "&",
    "%2fh",
    "unix:/run/s:/h/~",
    "//",
];

pub(super) fn absolute_targets() -> Vec<Vec<u8>> {
    let all = ABSOLUTE_TARGETS.iter().flat_map(|target| {
        ["GET", "POST", "OPTIONS"].map(|method| {
            let more = if method == "POST" { "Content-Length: 0\r\n" } else { "" };
            request(&format!("{method} {target} HTTP/1.1"), more)
        })
    });
    // `OPTIONS *` alone is a valid one.
    all.chain(["GET", "POST", "HEAD", "DELETE"].map(|method| request(&format!("{method} * HTTP/1.1"), "")))
        .collect()
}

const TARGETS: &[&str] = &[
    "//evil.example/~",
    "//evil.example",
    "///h/~",
    "//",
    "/\\evil.example/~",
    "\\/h/~",
    "/h/~\\..\\x",
    "/h/~#",
    "/h/~#/../x",
    "/h/~?a#b",
    "/h/%",
    "/h/%4",
    "/h/%zz~",
    "/h/%u0041~",
    "/h/%%41~",
    "/h/%-1~",
    "/h/%\u{0}1~",
    "/h/\u{e9}~",
    "/h/~?\u{e9}",
    "/h/\u{fffd}~",
    "/h/<~>",
    "/h/\"~\"",
    "/h/{~}",
    "/h/`~",
    "/h/~\u{7f}",
    "/h/~?\u{7f}",
    "/h/~\u{0}",
    "/h/~?\u{0}",
    "/h/~\u{1}",
    "/h/~\u{9}",
    "/h/~?a\tb",
    "/h/~\r",
    "/h/~\rX: y",
    "/h/~\nX: y",
    "/h/~\r\nX: y",
    "/h/ ~",
    "/h/~?a b",
    " /h/~",
    "/h/~ ",
    "\t/h/~",
    "/h/~\t",
];

pub(super) fn targets() -> Vec<Vec<u8>> {
    TARGETS
        .iter()
        .flat_map(|target| ["GET", "POST"].map(|method| request(&format!("{method} {target} HTTP/1.1"), "")))
        .collect()
}

const LINES: &[&str] = &[
    "GET /h/~",
    "GET /h/~ ",
    "GET  /h/~ HTTP/1.1",
    "GET /h/~  HTTP/1.1",
    "GET /h/~ HTTP/1.1 ",
    " GET /h/~ HTTP/1.1",
    "\tGET /h/~ HTTP/1.1",
    "GET\t/h/~ HTTP/1.1",
    "GET /h/~\tHTTP/1.1",
    "GET /h/~ HTTP/1.1\t",
    "GET /h/~ a HTTP/1.1",
    "GET /h/~ HTTP/1.1 HTTP/1.1",
    "GET /h/~ HTTP/1.2",
    "GET /h/~ HTTP/0.9",
    "GET /h/~ HTTP/2.0",
    "GET /h/~ HTTP/3.0",
    "GET /h/~ HTTP/1.10",
    "GET /h/~ HTTP/1.01",
    "GET /h/~ HTTP/01.1",
    "GET /h/~ HTTP/1",
    "GET /h/~ HTTP/11",
    "GET /h/~ HTTP/1,1",
    "GET /h/~ HTTP/1.",
    "GET /h/~ HTTP/.1",
    "GET /h/~ HTTP/",
    "GET /h/~ HTTP",
    "GET /h/~ http/1.1",
    "GET /h/~ Http/1.1",
    "GET /h/~ HTTPS/1.1",
    "GET /h/~ HTP/1.1",
    "GET /h/~ HTTP /1.1",
    "GET /h/~ HTTP/ 1.1",
    "GET /h/~ HTTP/1 .1",
    "GET /h/~ HTTP/1.1\u{0}",
    "GET /h/~ HTTP/1.1\r",
    "GET /h/~ HTTP/\u{ff11}.1",
    "GET /h/~ HTTP/-1.1",
    "GET /h/~ HTTP/1.1.1",
    "GET /h/~ HTTP\\1.1",
    "GET /h/~ ICY/1.1",
    "GET /h/~ SIP/2.0",
    "GET /h/~ RTSP/1.0",
    "GET",
    "GET HTTP/1.1",
    "/h/~ HTTP/1.1",
    "GET/h/~ HTTP/1.1",
    "GET /h/~HTTP/1.1",
    "HTTP/1.1 200 OK",
    "\u{feff}GET /h/~ HTTP/1.1",
    "\u{0}GET /h/~ HTTP/1.1",
    "GET\u{0} /h/~ HTTP/1.1",
    "GET\u{a0}/h/~ HTTP/1.1",
    "GET\u{b}/h/~ HTTP/1.1",
    "GET\u{c}/h/~ HTTP/1.1",
    "GET\r/h/~ HTTP/1.1",
    "GET /h/~\u{b}HTTP/1.1",
    "GET /h/~\u{c}HTTP/1.1",
    "PRI * HTTP/2.0",
    "PROXY TCP4 1.2.3.4 5.6.7.8 1 2",
    "\r\n\r\nGET /h/~ HTTP/1.1",
    "\nGET /h/~ HTTP/1.1",
    "\rGET /h/~ HTTP/1.1",
    "\r\n GET /h/~ HTTP/1.1",
    "\r\r\nGET /h/~ HTTP/1.1",
];

pub(super) fn lines() -> Vec<Vec<u8>> {
    let mut all: Vec<_> = LINES.iter().map(|line| request(line, "")).collect();
    let good = String::from_utf8(request("GET /h/~ HTTP/1.1", "X: y\r\n")).expect("text");
    // Each end of a line, once without its CR, once without its LF, once with more.
    let ends: Vec<usize> = good.match_indices("\r\n").map(|(at, _)| at).collect();
    for at in ends {
        for end in ["\n", "\r", "\r\r\n", "\n\r", "\r\n ", "\u{0}\r\n"] {
            // The head is whole by then.
            if end == "\r\n " && at + 2 == good.len() {
                continue;
            }
            all.push(format!("{}{end}{}", &good[..at], &good[at + 2..]).into_bytes());
        }
    }
    all.push(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec());
    all.push(b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\r\n\r\n".to_vec());
    all.push(b"\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a\x20\x00\x00\x00".to_vec());
    all
}

const METHODS: &[&str] = &[
    "CONNECT",
    "TRACK",
    "DEBUG",
    "get",
    "Get",
    "gET",
    "GETT",
    "GE",
    "G",
    "POSTS",
    "PURGE",
    "X",
    "PRI",
    "M-SEARCH",
    "NOTIFY",
    "SUBSCRIBE",
    "HTTP/1.1",
    "GET,",
    "GET;",
    "\"GET\"",
    "(GET)",
    "G=T",
    "G@T",
    "G:T",
    "G/T",
    "[GET]",
    "{GET}",
    "G?T",
    "G\\T",
    "G\u{e9}T",
    "G\u{0}T",
];

pub(super) fn methods() -> Vec<Vec<u8>> {
    METHODS
        .iter()
        .flat_map(|method| {
            ["/h/~", "shop.example:80"].map(|target| request(&format!("{method} {target} HTTP/1.1"), ""))
        })
        // Understood, and not allowed.
        .chain([request("TRACE /h/~ HTTP/1.1", "Connection: close\r\n"), request("TRACE /h/~ HTTP/1.0", "")])
        .collect()
}

/// Each byte that may not stand there, in a method, a path, a query and a version.
pub(super) fn bytes_of_lines() -> Vec<Vec<u8>> {
    let end = format!("\r\nHost: {HOST}\r\nX-Case: ~\r\n\r\n");
    let line = |before: &str, octet: u8, behind: &str| {
        [before.as_bytes(), &[octet], behind.as_bytes(), end.as_bytes()].concat()
    };
    let mut all = Vec::new();
    for octet in (0..=255_u8).filter(|octet| *octet != b'~') {
        let is_seen = octet.is_ascii_graphic();
        all.push(line("GE", octet, "T /h/~ HTTP/1.1"));
        all.push(line("GET /h/~ HTTP/1.1", octet, ""));
        if !is_seen || b"#\\\"<>{}`".contains(&octet) {
            all.push(line("GET /h/~", octet, "x HTTP/1.1"));
        }
        if !is_seen || octet == b'#' {
            all.push(line("GET /h/~?a", octet, "x HTTP/1.1"));
        }
    }
    all
}
