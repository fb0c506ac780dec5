//! Hostile connections: everything that RFC 9110 and RFC 9112 say of a request, broken in each way that is known to be read in
//! two ways somewhere. None of these may come through, nor what stands behind it.

use usher_tests::HOST;

use super::case::{Case, Cut, End, plain};
use crate::chance::Chance;

/// A connection before it is cut up. `~` stands for its own number, in paths and in `X-Case`.
struct Mutant {
    family: &'static str,
    bytes: Vec<u8>,
    end: End,
}

/// All of them, each cut up in some ways, alone and behind a good request.
pub(crate) fn cases() -> Vec<Case> {
    let (mut cases, mut chance) = (Vec::new(), Chance::from_seed(9_112));
    for mutant in mutants() {
        // Where a single byte changes, two ways out of eight are enough.
        let is_one_of_many = mutant.family.starts_with("byte");
        let first = chance.below(8);
        // Who hangs up at once may not see good requests answered either.
        let ways = if mutant.end == End::HungUp { 4 } else { 8 };
        for way in 0..ways {
            if is_one_of_many && way != first && way != (first + 3) % 8 {
                continue;
            }
            let cut = [Cut::Not, Cut::In(2), Cut::In(5), Cut::Everywhere][way % 4];
            cases.push(case(&mutant, cases.len(), cut, way >= 4, &mut chance));
        }
    }
    cases
}

fn case(mutant: &Mutant, number: usize, cut: Cut, is_behind: bool, chance: &mut Chance) -> Case {
    let id = format!("h{number}");
    let (before, expected) = plain(&format!("{id}-before"), &format!("/before/{id}"), "");
    let mut bytes = if is_behind { before } else { Vec::new() };
    for part in mutant.bytes.split_inclusive(|octet| *octet == b'~') {
        match part.split_last() {
            Some((b'~', text)) => bytes.extend([text, id.as_bytes()].concat()),
            _ => bytes.extend(part),
        }
    }
    if mutant.end == End::Refused {
        let (behind, _) = plain(&format!("{id}-behind"), &format!("/behind/{id}"), "");
        bytes.extend(behind);
    }
    Case {
        family: mutant.family,
        parts: cut.apply(&bytes, chance),
        expected: is_behind.then_some(expected).into_iter().collect(),
        end: mutant.end,
        is_rare: false,
    }
}

fn mutants() -> Vec<Mutant> {
    let families: [(&'static str, Vec<Vec<u8>>); 18] = [
        ("length", lengths()),
        ("coding", codings()),
        ("length and coding", both_framings()),
        ("chunk", chunks()),
        ("trailer", trailers()),
        ("host", hosts()),
        ("absolute target", absolute_targets()),
        ("target", targets()),
        ("line", lines()),
        ("method", methods()),
        ("field", fields()),
        ("repeated", repeated()),
        ("option", options()),
        ("size", sizes()),
        ("byte of a name", bytes_of_names()),
        ("byte of a value", bytes_of_values()),
        ("byte of a line", bytes_of_lines()),
        ("byte of a chunk", bytes_of_chunks()),
    ];
    let refused = families.into_iter().flat_map(|(family, all)| {
        all.into_iter().map(move |bytes| Mutant { family, bytes, end: End::Refused })
    });
    let partial = partial().into_iter().map(|bytes| Mutant { family: "partial", bytes, end: End::HungUp });
    refused.chain(partial).collect()
}

/// A request with that line, and these lines behind `Host`.
fn request(line: &str, fields: &str) -> Vec<u8> {
    format!("{line}\r\nHost: {HOST}\r\n{fields}X-Case: ~\r\n\r\n").into_bytes()
}

/// A POST with that line before, between and behind the others, and that body.
fn posts(field: &str, body: &str) -> [Vec<u8>; 3] {
    let line = "POST /h/~ HTTP/1.1\r\n";
    let [host, case] = [format!("Host: {HOST}\r\n"), "X-Case: ~\r\n".to_owned()];
    [[field, &host, &case], [&host, field, &case], [&host, &case, field]]
        .map(|fields| format!("{line}{}\r\n{body}", fields.concat()).into_bytes())
}

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

fn lengths() -> Vec<Vec<u8>> {
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

fn codings() -> Vec<Vec<u8>> {
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

fn both_framings() -> Vec<Vec<u8>> {
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

fn chunks() -> Vec<Vec<u8>> {
    const SIZES: &[&str] = &[
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
    let mut all: Vec<_> =
        SIZES.iter().map(|size| chunked(&format!("{size}\r\nhello\r\n0\r\n\r\n"))).collect();
    all.extend(SIZES.iter().filter(|size| !size.is_empty()).map(|size| {
        // The same where the last chunk stands.
        let zero = size.replace('5', "0");
        if zero == **size {
            chunked(&format!("5\r\nhello\r\n{size}\r\n\r\n"))
        } else {
            chunked(&format!("5\r\nhello\r\n{zero}\r\n\r\n"))
        }
    }));
    for body in [
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
    ] {
        all.push(chunked(body));
    }
    all.push(chunked(&format!("5;{}\r\nhello\r\n0\r\n\r\n", "a".repeat(5_000))));
    all.push(chunked(&format!("{}5\r\nhello\r\n0\r\n\r\n", "0".repeat(5_000))));
    all.push(chunked(&"1;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\nx\r\n".repeat(120)));
    all
}

fn trailers() -> Vec<Vec<u8>> {
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
    let trailer = |trailer: &&str| chunked(&format!("5\r\nhello\r\n0\r\n{trailer}\r\n\r\n"));
    let behind = |trailer: &&str| chunked(&format!("0\r\nX-Good: 1\r\n{trailer}\r\n\r\n"));
    let mut all: Vec<_> = TRAILERS.iter().map(trailer).chain(TRAILERS.iter().map(behind)).collect();
    all.push(chunked(&format!("0\r\n{}\r\n", "X-A: b\r\n".repeat(200))));
    all.push(chunked(&format!("0\r\nX-A: {}\r\n\r\n", "b".repeat(20_000))));
    all
}

fn hosts() -> Vec<Vec<u8>> {
    const HOSTS: &[&str] = &[
        "",
        " ",
        "evil.example shop.example",
        "shop.example evil.example",
        "shop.example,evil.example",
        "user@shop.example",
        "shop.example@evil.example",
        "shop.example#",
        "shop.example/",
        "shop.example/a",
        "shop.example?a",
        "http://shop.example",
        "//shop.example",
        "shop.example:x",
        "shop.example:80:80",
        "shop.example:-1",
        "shop.example:99999",
        "shop.example:80 ",
        ":80",
        "shop.example\\",
        "shop.example%00",
        "%73hop.example",
        "shop.example\u{0}",
        "shop.example\u{b}",
        "shop..example",
        ".shop.example",
        "[::1",
        "::1",
        "[::1]x",
        "[::g]",
        "[fe80::1%25lo]",
        "sh\u{f6}p.example",
        "shop.example;a",
        "'shop.example'",
        "\"shop.example\"",
        "shop.example\t:80",
        "shop.example\r",
        "(shop.example)",
        "shop.example|a",
        "*",
        "shop.example.:x",
    ];
    let good = "GET /h/~ HTTP/1.1\r\nX-Case: ~\r\n";
    let mut all: Vec<Vec<u8>> = Vec::new();
    for host in HOSTS.iter().filter(|host| !host.ends_with(' ') || **host == " ") {
        all.push(format!("{good}Host: {host}\r\n\r\n").into_bytes());
        all.push(format!("GET /h/~ HTTP/1.0\r\nHost: {host}\r\nX-Case: ~\r\n\r\n").into_bytes());
    }
    for more in [
        "",
        "X: y\r\n",
        "Host : shop.example\r\n",
        " Host: shop.example\r\n",
        "Hosts: shop.example\r\n",
        "Host\r\n",
        "Host\u{0}: shop.example\r\n",
    ] {
        all.push(format!("{good}{more}\r\n").into_bytes());
        all.push(format!("GET /h/~ HTTP/1.0\r\nX-Case: ~\r\n{more}\r\n").into_bytes());
    }
    for other in [HOST, "evil.example", "", "localhost", "shop.example:80"] {
        for name in ["Host", "host", "HOST", "Host "] {
            all.push(format!("{good}Host: {HOST}\r\n{name}: {other}\r\n\r\n").into_bytes());
            all.push(format!("{good}{name}: {other}\r\nX: y\r\nHost: {HOST}\r\n\r\n").into_bytes());
        }
    }
    all
}

fn absolute_targets() -> Vec<Vec<u8>> {
    const TARGETS: &[&str] = &[
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
    let all = TARGETS.iter().flat_map(|target| {
        ["GET", "POST", "OPTIONS"].map(|method| {
            let more = if method == "POST" { "Content-Length: 0\r\n" } else { "" };
            request(&format!("{method} {target} HTTP/1.1"), more)
        })
    });
    // `OPTIONS *` alone is a valid one.
    all.chain(["GET", "POST", "HEAD", "DELETE"].map(|method| request(&format!("{method} * HTTP/1.1"), "")))
        .collect()
}

fn targets() -> Vec<Vec<u8>> {
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
    TARGETS
        .iter()
        .flat_map(|target| ["GET", "POST"].map(|method| request(&format!("{method} {target} HTTP/1.1"), "")))
        .collect()
}

fn lines() -> Vec<Vec<u8>> {
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

fn methods() -> Vec<Vec<u8>> {
    const METHODS: &[&str] = &[
        "CONNECT",
        "TRACE",
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
    METHODS
        .iter()
        .flat_map(|method| {
            ["/h/~", "shop.example:80"].map(|target| request(&format!("{method} {target} HTTP/1.1"), ""))
        })
        .collect()
}

fn fields() -> Vec<Vec<u8>> {
    const FIELDS: &[&str] = &[
        "X",
        "X y",
        ":",
        ": y",
        " : y",
        "X : y",
        "X\t: y",
        "X\r: y",
        "X \u{0}: y",
        " X: y",
        "\tX: y",
        "X: y\r\n z",
        "X: y\r\n\tz",
        "X: y\r\n z: a",
        "X: y\n z",
        "X: y\nZ: a",
        "X: y\rZ: a",
        "X: y\r\r\nZ: a",
        "X: y\u{0}",
        "X: \u{0}",
        "X\u{0}Y: z",
        "X(Y): z",
        "X,Y: z",
        "X/Y: z",
        "X=Y: z",
        "X@Y: z",
        "X[Y]: z",
        "X{Y}: z",
        "X\\Y: z",
        "X\"Y\": z",
        "X?Y: z",
        "X<Y>: z",
        "X;Y: z",
        "X\u{e9}: z",
        "X\u{a0}: z",
        "\u{feff}X: z",
        "X\u{ad}: z",
        "X: y\u{7f}",
        "X: \u{1b}[0m",
        "X: y\u{b}",
        "X: y\u{c}",
        "X: y\u{8}",
        "X\n: y",
        "\nX: y",
        "\rX: y",
        "X:\n y",
        "X:\r\n y",
        "X:\ry",
        "Expect: 200-ok",
        "Expect: ",
        "Expect: 100-continue, 100-continue",
        "Expect: 100-continued",
        "Expect: 100",
        "Expect: y 100-continue",
        "Expect: 100-continue\r\nExpect: 100-continue",
        "Expect: 100-continue;a=b",
    ];
    FIELDS.iter().flat_map(|field| posts(&format!("{field}\r\n"), "")).collect()
}

fn repeated() -> Vec<Vec<u8>> {
    let names = [
        "Authorization",
        "Content-Type",
        "Origin",
        "Range",
        "If-Modified-Since",
        "Content-Range",
        "Idempotency-Key",
        "Max-Forwards",
    ];
    let twice = |name: &str| {
        let lower = name.to_lowercase();
        [(name, "a", "a"), (&lower, "a", "b"), (name, "a", "")]
            .map(|(other, one, two)| posts(&format!("{name}: {one}\r\n{other}: {two}\r\n"), "")[0].clone())
    };
    names.iter().flat_map(|name| twice(name)).collect()
}

fn options() -> Vec<Vec<u8>> {
    const OPTIONS: &[&str] = &[
        "Host",
        "host",
        "Content-Length",
        "Transfer-Encoding",
        "transfer-encoding, close",
        "close, Host",
        "Cookie",
        "Authorization",
        "X-Forwarded-For",
        "X-Forwarded-Proto",
        "Forwarded",
        "X-Real-IP",
        "Content-Type",
        "Origin",
        "Sec-Fetch-Site",
        "Referer",
        "User-Agent",
        "Expect",
        "Range",
        "Cache-Control",
        "a b",
        "a;b",
        "\"close\"",
        "close;",
        "close/1",
        "(close)",
        "\u{e9}",
        "close\u{0}",
        "close\u{b}",
        "=",
        "a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q",
    ];
    OPTIONS.iter().flat_map(|option| posts(&format!("Connection: {option}\r\n"), "")).collect()
}

fn sizes() -> Vec<Vec<u8>> {
    let long = |length: usize| "a".repeat(length);
    vec![
        request(&format!("GET /h/~{} HTTP/1.1", long(17_000)), ""),
        request(&format!("GET /h/~{} HTTP/1.1", long(70_000)), ""),
        request(&format!("GET /h/~?{} HTTP/1.1", long(200_000)), ""),
        request(&format!("{} /h/~ HTTP/1.1", "G".repeat(20_000)), ""),
        request("GET /h/~ HTTP/1.1", &format!("{}: y\r\n", long(300))),
        request("GET /h/~ HTTP/1.1", &format!("{}: y\r\n", long(70_000))),
        request("GET /h/~ HTTP/1.1", &format!("Cookie: {}\r\n", long(66_000))),
        request("GET /h/~ HTTP/1.1", &format!("X: {}\r\n", long(200_000))),
        request("GET /h/~ HTTP/1.1", &"X: y\r\n".repeat(101)),
        request("GET /h/~ HTTP/1.1", &"X: y\r\n".repeat(10_000)),
        request("GET /h/~ HTTP/1.1", &format!("X: {}\r\n", long(1_000)).repeat(70)),
    ]
}

/// Each byte that may not stand in a name, in one.
fn bytes_of_names() -> Vec<Vec<u8>> {
    let is_token = |octet: &u8| octet.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(octet);
    let bad = (0..=255_u8).filter(|octet| !is_token(octet) && *octet != b':');
    bad.map(|octet| with_byte("GET /h/~ HTTP/1.1", b"X", octet, b"Y: z\r\n")).collect()
}

/// Each control character, in a value's begin, middle and end.
fn bytes_of_values() -> Vec<Vec<u8>> {
    let bad = (0..32_u8).chain([127]).filter(|octet| *octet != b'\t' && *octet != b'\n');
    bad.flat_map(|octet| {
        [(&b"X:"[..], &b"z\r\n"[..]), (b"X: y", b"z\r\n"), (b"X: y", b"\r\n")]
            .map(|(before, behind)| with_byte("GET /h/~ HTTP/1.1", before, octet, behind))
    })
    .collect()
}

fn with_byte(line: &str, before: &[u8], octet: u8, behind: &[u8]) -> Vec<u8> {
    let end = format!("Host: {HOST}\r\nX-Case: ~\r\n\r\n");
    [line.as_bytes(), b"\r\n", before, &[octet], behind, end.as_bytes()].concat()
}

/// Each byte that may not stand there, in a method, a path, a query and a version.
fn bytes_of_lines() -> Vec<Vec<u8>> {
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

/// Each byte that may not stand behind a chunk's size, and behind its data.
fn bytes_of_chunks() -> Vec<Vec<u8>> {
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
fn partial() -> Vec<Vec<u8>> {
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
