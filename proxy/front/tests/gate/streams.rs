//! Streams of bytes to try: pieces of HTTP in any order, and whole requests with something changed in them.

use proptest::{collection::vec, prelude::*, sample::select};

const PIECES: &[&str] = &[
    "GET ",
    "POST ",
    "OPTIONS ",
    "/",
    "/a?b=c",
    "*",
    "http://a.example/",
    "//x",
    " HTTP/1.1\r\n",
    " HTTP/1.0\r\n",
    "\r\n",
    "\r",
    "\n",
    "\r\n\r\n",
    " ",
    "\t",
    ":",
    "\0",
    "Host: a.example\r\n",
    "Host: b\r\n",
    "host:\r\n",
    "Content-Length: 5\r\n",
    "Content-Length: 05\r\n",
    "content-length: 5, 5\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding : chunked\r\n",
    "Connection: close\r\n",
    "Connection: upgrade, x-y\r\n",
    "Upgrade: websocket\r\n",
    "X-Y: a b\r\n",
    "x_y:z\r\n",
    "Expect: 100-continue\r\n",
    "TE: trailers\r\n",
    "hello",
    "5\r\nhello\r\n",
    "0\r\n\r\n",
    "0\r\n",
    "1;a=\"b\"\r\nx\r\n",
    "fffffffff\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    "GET /w HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
    "PUT /l HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc",
];

/// Requests as clients send them.
fn valid() -> impl Strategy<Value = Vec<u8>> {
    let line = (
        select(&["GET", "POST", "PUT", "DELETE", "PROPFIND", "OPTIONS"][..]),
        select(&["/", "/a/b.c?d=e&f=%20", "/?x[]={1}|\"", "/%2e%2e/;p", "http://a.example:80/z?y"][..]),
    );
    let field = (
        "[A-Za-z][A-Za-z0-9-]{0,12}".prop_filter("no name that means something", |name| {
            !["te", "host", "date", "from", "range"].contains(&name.to_lowercase().as_str())
        }),
        "[ \t]{0,2}[!-~\u{80}-\u{ff}][ -~]{0,30}",
    );
    let body = prop_oneof![
        3 => Just(String::new()),
        2 => "[ -~\r\n]{0,40}".prop_map(|body| format!("Content-Length: {}\r\n\r\n{body}", body.len())),
        2 => vec(("[ -~\r\n]{1,20}", "(;[a-z]{1,3}(=[a-z]{1,3})?)?"), 0..4).prop_map(|chunks| {
            let chunks = chunks.iter().map(|(data, more)| format!("{:X}{more}\r\n{data}\r\n", data.len()));
            let trailer = "x-sum: 1\r\n";
            format!("Transfer-Encoding: chunked\r\n\r\n{}0\r\n{trailer}\r\n", chunks.collect::<String>())
        }),
    ];
    (line, vec(field, 0..5), body).prop_map(|((method, target), fields, body)| {
        let fields: String = fields.iter().map(|(name, value)| format!("{name}:{value}\r\n")).collect();
        let end = if body.is_empty() { "\r\n" } else { "" };
        format!("{method} {target} HTTP/1.1\r\nHost: A.example\r\n{fields}{body}{end}").into_bytes()
    })
}

/// One change: bytes from there on, so many, are replaced by these.
fn change() -> impl Strategy<Value = (prop::sample::Index, usize, Vec<u8>)> {
    let bytes = prop_oneof![
        3 => select(PIECES).prop_map(|piece| piece.as_bytes().to_vec()),
        2 => vec(select(b"\r\n \t:;,\0\x0b\x7f\xff\"/#?%0a".to_vec()), 1..3),
        1 => vec(any::<u8>(), 0..4),
    ];
    (any::<prop::sample::Index>(), 0..3_usize, bytes)
}

/// Streams of either kind.
pub(crate) fn streams() -> impl Strategy<Value = Vec<u8>> {
    let pieces = vec(select(PIECES), 1..16).prop_map(|pieces| pieces.concat().into_bytes());
    let changed = (vec(valid(), 1..4), vec(change(), 0..3)).prop_map(|(requests, changes)| {
        let mut stream = requests.concat();
        for (at, length, bytes) in changes {
            let at = at.index(stream.len() + 1);
            let end = (at + length).min(stream.len());
            stream.splice(at..end, bytes);
        }
        stream
    });
    prop_oneof![1 => pieces, 3 => changed, 1 => vec(any::<u8>(), 0..100)]
}

/// Requests without a fault, one after the other.
pub(crate) fn clean() -> impl Strategy<Value = Vec<Vec<u8>>> {
    vec(valid(), 1..5)
}
