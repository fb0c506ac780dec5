//! Names and values, and the fields that route and authorise.

use usher_tests::HOST;

use super::{posts, request};

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

pub(super) fn hosts() -> Vec<Vec<u8>> {
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

pub(super) fn fields() -> Vec<Vec<u8>> {
    FIELDS.iter().flat_map(|field| posts(&format!("{field}\r\n"), "")).collect()
}

pub(super) fn repeated() -> Vec<Vec<u8>> {
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

pub(super) fn options() -> Vec<Vec<u8>> {
    OPTIONS.iter().flat_map(|option| posts(&format!("Connection: {option}\r\n"), "")).collect()
}

pub(super) fn sizes() -> Vec<Vec<u8>> {
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
pub(super) fn bytes_of_names() -> Vec<Vec<u8>> {
    let is_token = |octet: &u8| octet.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(octet);
    let bad = (0..=255_u8).filter(|octet| !is_token(octet) && *octet != b':');
    bad.map(|octet| with_byte("GET /h/~ HTTP/1.1", b"X", octet, b"Y: z\r\n")).collect()
}

/// Each control character, in a value's begin, middle and end.
pub(super) fn bytes_of_values() -> Vec<Vec<u8>> {
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
