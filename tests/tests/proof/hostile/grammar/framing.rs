//! Where a body ends: lengths, codings, chunks and trailers.

use super::{posts, request};

const LENGTHS: &[&str] = &[
    "",
    "-1",
    "-0",
    "+5",
    "5,5",
    "5, 5",
    "5 , 6",
    "5 5",
    "5;",
    "5;q=1",
    "0x5",
    "5.0",
    "5e0",
    "five",
    "\"5\"",
    "'5'",
    "5\u{a0}",
    "5\u{0}",
    "5\u{b}",
    "5\u{c}",
    "\u{c}5",
    "5\r",
    "_5",
    "5_0",
    "(5)",
    "%35",
    "0b101",
    "NaN",
    "\u{ff15}",
    "5L",
    "5\u{7f}",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "18446744073709551621",
    "4294967296000000000000",
    "99999999999999999999999999999999999999",
];

pub(super) fn lengths() -> Vec<Vec<u8>> {
    let mut all: Vec<_> =
        LENGTHS.iter().flat_map(|length| posts(&format!("Content-Length: {length}\r\n"), "hello")).collect();
    for (one, other) in
        [("5", "5"), ("5", "0"), ("0", "5"), ("5", "6"), ("5", "05"), ("5", ""), ("", "5"), ("5", "x")]
    {
        for name in ["Content-Length", "content-length", "CONTENT-LENGTH"] {
            let field = format!("Content-Length: {one}\r\n{name}: {other}\r\n");
            all.extend(posts(&field, "hello").into_iter().take(2));
        }
    }
    for name in [
        "Content-Length ",
        "Content-Length\t",
        " Content-Length",
        "Content-Length\u{0}",
        "Content-Length\u{b}",
        "Content-Length\r",
        "Content Length",
        "Content-Length\u{a0}",
        "\u{feff}Content-Length",
    ] {
        all.extend(posts(&format!("{name}: 5\r\n"), "hello").into_iter().skip(1).take(1));
    }
    all
}

const CODINGS: &[&str] = &[
    "",
    " ",
    "gzip",
    "identity",
    "deflate",
    "xchunked",
    "chunkedx",
    "chunked;",
    "chunked;a=b",
    "chunked; q=1",
    "chunked,",
    ",chunked",
    "chunked, chunked",
    "chunked,chunked",
    "chunked, identity",
    "identity, chunked",
    "gzip, chunked",
    "chunked, gzip",
    "cow, chunked",
    "chunked, cow",
    "\"chunked\"",
    "'chunked'",
    "chunked\u{0}",
    "\u{0}chunked",
    "chunked\u{b}",
    "\u{b}chunked",
    "chunked\u{c}",
    "\u{c}chunked",
    "chunked\u{7f}",
    "\u{a0}chunked",
    "chunked\u{a0}",
    "chunked\r",
    "\rchunked",
    "chunk ed",
    "chun\tked",
    "chunked chunked",
    "(chunked)",
    "chunked/1",
    "=chunked",
    "[chunked]",
    "c\u{ff}hunked",
    "chunke\u{501}",
    "c%68unked",
    "chunked\u{1}",
    "\u{1b}chunked",
    "trailers",
    "br",
    "x-gzip",
    "compress",
    "chunked, trailers",
    "0",
    "null",
    "true",
    ";chunked",
];

pub(super) fn codings() -> Vec<Vec<u8>> {
    let body = "5\r\nhello\r\n0\r\n\r\n";
    let mut all: Vec<_> =
        CODINGS.iter().flat_map(|coding| posts(&format!("Transfer-Encoding: {coding}\r\n"), body)).collect();
    for other in ["chunked", "identity", "cow", "", "gzip", "Chunked"] {
        for [one, other] in [["chunked", other], [other, "chunked"]] {
            let field = format!("Transfer-Encoding: {one}\r\ntransfer-encoding: {other}\r\n");
            all.extend(posts(&field, body).into_iter().take(2));
        }
    }
    for name in [
        "Transfer-Encoding ",
        "Transfer-Encoding\t",
        " Transfer-Encoding",
        "\tTransfer-Encoding",
        "Transfer-Encoding\u{0}",
        "Transfer-Encoding\u{b}",
        "Transfer-Encoding\u{c}",
        "Transfer-Encoding\r",
        "Transfer Encoding",
        "Transfer-Encoding\u{a0}",
        "X: X\nTransfer-Encoding",
        "X: X\rTransfer-Encoding",
        "X: X\r\n Transfer-Encoding",
        "X: X\u{0}Transfer-Encoding",
        "Transfer-Encoding:\r\n chunked\r\nX",
        "Transfer-Encoding\r\n ",
        "Transfer-Encoding\n ",
        "Transfer-Encoding: \r\n\tchunked\r\nX",
    ] {
        all.extend(posts(&format!("{name}: chunked\r\n"), body).into_iter().skip(1));
    }
    for line in ["POST /h/~ HTTP/1.0", "GET /h/~ HTTP/1.0"] {
        for more in ["", "Connection: keep-alive\r\n"] {
            let head = request(line, &format!("Transfer-Encoding: chunked\r\n{more}"));
            all.push([&head, body.as_bytes()].concat());
        }
    }
    all
}

pub(super) fn both_framings() -> Vec<Vec<u8>> {
    let bodies = ["0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n", "hello", "1\r\nZ\r\nQ", ""];
    let mut all = Vec::new();
    for body in bodies {
        for length in ["0", "3", "5", "6", "100"] {
            for coding in ["chunked", "Chunked", "cow"] {
                let fields =
                    [format!("Content-Length: {length}\r\n"), format!("Transfer-Encoding: {coding}\r\n")];
                let turned = [fields[1].as_str(), fields[0].as_str()].concat();
                all.push(posts(&fields.concat(), body)[all.len() % 3].clone());
                all.push(posts(&turned, body)[all.len() % 3].clone());
            }
        }
    }
    all
}

fn chunked(body: &str) -> Vec<u8> {
    [request("POST /h/~ HTTP/1.1", "Transfer-Encoding: chunked\r\n"), body.as_bytes().to_vec()].concat()
}

const CHUNK_BODIES: &[&str] = &[
    "5\nhello\r\n0\r\n\r\n",
    "5\r\nhello\n0\r\n\r\n",
    "5\r\nhello\r\n0\n\r\n",
    "5\r\nhello\r\n0\r\n\n",
    "5\rhello\r\n0\r\n\r\n",
    "5\r\nhello\r0\r\n\r\n",
    "5\r\nhello0\r\n\r\n",
    "5\r\nhell\r\n0\r\n\r\n",
    "5\r\nhello!\r\n0\r\n\r\n",
    "5\r\n\r\nhello\r\n0\r\n\r\n",
    "\r\n5\r\nhello\r\n0\r\n\r\n",
    "5\r\nhello\r\n\r\n0\r\n\r\n",
    "5\r\nhello\r\r\n0\r\n\r\n",
    "5\n\rhello\r\n0\r\n\r\n",
    "hello",
    "5;a\nhello\r\n0\r\n\r\n",
    "5;a=\"\r\n\"\r\nhello\r\n0\r\n\r\n",
    "5\r\nhello  \r\n0\r\n\r\n",
    "5\r\nhello\t\r\n0\r\n\r\n",
    "0\n\n",
    "0\r\r\n",
];

const CHUNK_SIZES: &[&str] = &[
    "",
    " ",
    "-5",
    "+5",
    "0x5",
    "x5",
    "5h",
    " 5",
    "5 ",
    "\t5",
    "5\t",
    "5\u{0}",
    "\u{0}5",
    "5,",
    "5.0",
    "5_",
    "_5",
    "5 5",
    "05 ",
    "00000000000000005",
    "10000000000000005",
    "8000000000000000",
    "ffffffffffffffff",
    "fffffffffffffffff0",
    "5\r",
    "5\u{b}",
    "\"5\"",
    "5;",
    "5; ",
    "5 ;a",
    "5; a",
    "5;a ",
    "5;a=",
    "5;=b",
    "5;a=\"",
    "5;a=\"b",
    "5;a=b;",
    "5;a=b c",
    "5;a=\"b\"c",
    "5;;",
    "5;a=b=c",
    "5;a\u{0}",
    "5;a=\u{0}",
    "5;a\r",
    "5;\u{ff}",
    "5;a=\"\\",
    "5:a",
    "5,a",
    "5&a",
    "5;a=\u{7f}",
    "\u{ff15}",
    "g",
    "five",
];

pub(super) fn chunks() -> Vec<Vec<u8>> {
    let mut all: Vec<_> =
        CHUNK_SIZES.iter().map(|size| chunked(&format!("{size}\r\nhello\r\n0\r\n\r\n"))).collect();
    all.extend(CHUNK_SIZES.iter().filter(|size| !size.is_empty()).map(|size| {
        // The same where the last chunk stands.
        let zero = size.replace('5', "0");
        if zero == **size {
            chunked(&format!("5\r\nhello\r\n{size}\r\n\r\n"))
        } else {
            chunked(&format!("5\r\nhello\r\n{zero}\r\n\r\n"))
        }
    }));
    all.extend(CHUNK_BODIES.iter().map(|body| chunked(body)));
    all.push(chunked(&format!("5;{}\r\nhello\r\n0\r\n\r\n", "a".repeat(5_000))));
    all.push(chunked(&format!("{}5\r\nhello\r\n0\r\n\r\n", "0".repeat(5_000))));
    all.push(chunked(&"1;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\nx\r\n".repeat(120)));
    all
}

const TRAILERS: &[&str] = &[
    "Host: evil.example",
    "Content-Length: 5",
    "Transfer-Encoding: chunked",
    "Connection: close",
    "Connection: keep-alive",
    "Upgrade: websocket",
    "TE: trailers",
    "Cookie: a=b",
    "Authorization: Basic eA==",
    "Content-Type: text/html",
    "Content-Encoding: gzip",
    "Expect: 100-continue",
    "X-Forwarded-For: 1.2.3.4",
    "X-Forwarded-Host: evil.example",
    "Forwarded: for=1.2.3.4",
    "X-Real-IP: 1.2.3.4",
    "Range: bytes=0-1",
    "Set-Cookie: a=b",
    "Max-Forwards: 0",
    "Cache-Control: no-store",
    "Proxy-Authorization: x",
    "If-Match: x",
    "X",
    "X : a",
    " X: a",
    ": a",
    "X: \u{0}",
    "X: a\rb",
    "X\u{0}: a",
    "X Y: a",
    "X: a\nY: b",
    "X: a\r\n b",
    "X: a\r\n\tb",
    "\u{e9}: a",
    "X-Y",
];

pub(super) fn trailers() -> Vec<Vec<u8>> {
    let trailer = |trailer: &&str| chunked(&format!("5\r\nhello\r\n0\r\n{trailer}\r\n\r\n"));
    let behind = |trailer: &&str| chunked(&format!("0\r\nX-Good: 1\r\n{trailer}\r\n\r\n"));
    let mut all: Vec<_> = TRAILERS.iter().map(trailer).chain(TRAILERS.iter().map(behind)).collect();
    all.push(chunked(&format!("0\r\n{}\r\n", "X-A: b\r\n".repeat(200))));
    all.push(chunked(&format!("0\r\nX-A: {}\r\n\r\n", "b".repeat(20_000))));
    all
}

/// Each byte that may not stand behind a chunk's size, and behind its data.
pub(super) fn bytes_of_chunks() -> Vec<Vec<u8>> {
    let head = request("POST /h/~ HTTP/1.1", "Transfer-Encoding: chunked\r\n");
    let body = |before: &str, octet: u8, behind: &str| {
        [&head[..], before.as_bytes(), &[octet], behind.as_bytes()].concat()
    };
    let bad = (0..=255_u8).filter(|octet| !octet.is_ascii_hexdigit() && *octet != b';' && *octet != b'~');
    bad.flat_map(|octet| {
        let size = body("5", octet, "\r\nhello\r\n0\r\n\r\n");
        let data = body("5\r\nhello", octet, "\r\n0\r\n\r\n");
        [size, data]
    })
    .collect()
}

/// Requests that never get whole.
pub(super) fn partial() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    let whole = request("POST /h/~ HTTP/1.1", "Content-Length: 5\r\n");
    all.extend((1..whole.len()).step_by(7).map(|length| whole[..length].to_vec()));
    for body in ["", "h", "hell"] {
        all.push([&whole, body.as_bytes()].concat());
    }
    for body in [
        "",
        "5",
        "5\r",
        "5\r\n",
        "5\r\nhell",
        "5\r\nhello",
        "5\r\nhello\r\n",
        "5\r\nhello\r\n0",
        "5\r\nhello\r\n0\r\n",
        "0\r\nX: y\r\n",
    ] {
        all.push(chunked(body));
    }
    all
}
