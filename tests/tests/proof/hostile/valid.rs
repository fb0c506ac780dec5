//! Connections without a fault, as odd as the protocol allows: all of their requests have to arrive.

use usher_tests::HOST;

use super::case::{Case, Cut, End, Expected};
use crate::chance::Chance;

/// How many.
const CASES: usize = 640;
const METHODS: &[&str] = &[
    "GET", "GET", "GET", "HEAD", "POST", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "MKCOL",
    "REPORT", "SEARCH", "LOCK",
];
/// Not known to Node or nginx.
const RARE_METHODS: &[&str] = &[
    "QUERY",
    "BASELINE-CONTROL",
    "VERSION-CONTROL",
    "ORDERPATCH",
    "LABEL",
    "UPDATE",
    "MKWORKSPACE",
    "CHECKIN",
];
/// `~` stands for the request's own number.
const PATHS: &[&str] = &[
    "/v/~",
    "/v/~/",
    "/v/~?a=b&c=d",
    "/v/~?",
    "/v/~/a//b",
    "/v/~/./x",
    "/v/~/../x",
    "/v/%2e%2e/~",
    "/v/~/%2F%5C",
    "/v/~;p=1,2",
    "/v/~/[a]|b^c",
    "/v/~?q[]={1}|\\^`'",
    "/v/~?100%&x=%zz",
    "/v/~?a?b=c/d",
    "/v/~!$&'()*+,;=:~",
    "/v/~?//evil.example",
    "/v/~?to=http://evil.example/",
    "/v/~/a.b-c_d",
];
/// The last `..` would leave the root, and nginx has no `*`.
const RARE_PATHS: &[&str] = &["/../../v/~", "/v/%00/~", "/v/~/../../.."];
const FIELDS: &[&str] = &[
    "Accept: */*",
    "accept:text/html",
    "Cookie: a=b; c=\"d\"",
    "X-Empty:",
    "X-Empty: ",
    "X-Long: \t spaced \t ",
    "X-Text: \u{e9}\u{fc}",
    "X-Tab: a\tb",
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64)",
    "Sec-Fetch-Mode: navigate",
    "Referer: https://shop.example/?a=b",
    "Connection: keep-alive",
    "Connection: keep-alive, x-hop\r\nX-Hop: 1",
    "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAA",
    "TE: trailers",
    "Keep-Alive: timeout=5",
    "Content_Length: 7",
    "Transfer_Encoding: chunked",
    "X_Forwarded_For: 1.2.3.4",
    "Upgrade-Insecure-Requests: 1",
    "Authorization: Basic YTpi",
    "If-None-Match: \"a\", W/\"b\"",
    "Accept-Encoding: gzip, deflate, br",
    "Origin: https://shop.example",
    "Range: bytes=0-5",
    "X-Special: !#$%&'*+-.^_`|~(),/:;<=>?@[\\]{}\"",
];

/// All of them.
pub(crate) fn cases() -> Vec<Case> {
    let mut chance = Chance::from_seed(9_110);
    let mut cases: Vec<Case> = (0..CASES - 4).map(|number| case(number, &mut chance)).collect();
    cases.extend(large(&mut chance));
    cases
}

fn case(number: usize, chance: &mut Chance) -> Case {
    let is_rare = number.is_multiple_of(16);
    let requests = 1 + [0, 0, 0, 1, 2][chance.below(5)];
    let (mut bytes, mut expected) = (Vec::new(), Vec::new());
    for index in 0..requests {
        let id = format!("v{number}-{index}");
        let (written, request) = request(&id, is_rare, index + 1 == requests, chance);
        bytes.extend(written);
        expected.push(request);
    }
    let cut = [Cut::Not, Cut::Not, Cut::In(2), Cut::In(6), Cut::Everywhere][chance.below(5)];
    Case { family: "valid", parts: cut.apply(&bytes, chance), expected, end: End::Answered, is_rare }
}

fn pick<'t>(from: &[&'t str], chance: &mut Chance) -> &'t str {
    from[chance.below(from.len())]
}

fn request(id: &str, is_rare: bool, is_last: bool, chance: &mut Chance) -> (Vec<u8>, Expected) {
    let method = pick(if is_rare { RARE_METHODS } else { METHODS }, chance);
    let mut target = pick(if is_rare { RARE_PATHS } else { PATHS }, chance).replace('~', id);
    let mut written = target.clone();
    match chance.below(12) {
        0 => written = format!("http://{HOST}{target}"),
        1 => written = format!("HTTP://{}:80{target}", HOST.to_uppercase()),
        2 if target.contains('?') => {
            written = format!("{target}&\"<{id}>\"");
            target = format!("{target}&%22%3C{id}%3E%22");
        }
        3 if is_rare => {
            (written, target) = ("*".to_owned(), "*".to_owned());
        }
        _ => {}
    }
    let method = if target == "*" { "OPTIONS" } else { method };
    let (framing, body, content) = body(method, is_last, chance);
    let is_old = is_last && framing != "Transfer-Encoding: chunked" && chance.below(8) == 0;
    let version = if is_old { "HTTP/1.0" } else { "HTTP/1.1" };
    let begin = if chance.below(10) == 0 { "\r\n" } else { "" };
    let mut head = format!("{begin}{method} {written} {version}\r\n");
    let host = pick(
        &["Host: shop.example", "host:SHOP.example", "Host: shop.example:80", "HOST: \t shop.example \t"],
        chance,
    );
    let mut fields = vec![host.to_owned(), format!("X-Case: {id}")];
    for _ in 0..chance.below(6) {
        let field = pick(FIELDS, chance);
        let name = |field: &str| field.split(':').next().unwrap_or_default().to_lowercase();
        // Once each, so that none is repeated that must not be.
        if !fields.iter().any(|there| name(there) == name(field)) {
            fields.insert(chance.below(fields.len() + 1), field.to_owned());
        }
    }
    if !framing.is_empty() {
        fields.insert(chance.below(fields.len() + 1), framing);
        if !is_old && chance.below(6) == 0 {
            fields.push("Expect: 100-Continue".to_owned());
        }
    }
    if is_last && !is_old {
        fields.retain(|field| !field.starts_with("Connection"));
        fields.push("Connection: close".to_owned());
    } else if is_old {
        fields.retain(|field| !field.starts_with("Connection"));
    }
    for field in &fields {
        head.push_str(field);
        head.push_str("\r\n");
    }
    // Latin-1, as far as text goes.
    let mut bytes: Vec<u8> = head.chars().map(|c| c as u8).collect();
    bytes.extend(b"\r\n");
    bytes.extend(body);
    let expected = Expected { case: id.to_owned(), method: method.to_owned(), target, body: content };
    (bytes, expected)
}

/// The field that frames it, how it is written, and what it is.
///
/// Bodies that servers may leave unread come last: an answer before its request's end ends the connection.
fn body(method: &str, is_last: bool, chance: &mut Chance) -> (String, Vec<u8>, Vec<u8>) {
    let has_body = match method {
        "GET" | "HEAD" | "DELETE" | "OPTIONS" => is_last && chance.coin(),
        _ => chance.below(5) > 0,
    };
    if !has_body {
        return (String::new(), Vec::new(), Vec::new());
    }
    let texts: [&[u8]; 5] = [
        b"hello",
        b"GET /smuggled HTTP/1.1\r\nHost: shop.example\r\nX-Case: smuggled\r\n\r\n",
        b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: shop.example\r\n\r\n",
        b"\0\xff\r\n\n\r\x7f",
        b"",
    ];
    let text = texts[chance.below(texts.len())];
    if chance.coin() {
        let zeros = "0".repeat(chance.below(3));
        return (format!("Content-Length: {zeros}{}", text.len()), text.to_vec(), text.to_vec());
    }
    let (mut written, mut rest) = (Vec::new(), text);
    while !rest.is_empty() {
        let (chunk, behind) = rest.split_at(1 + chance.below(rest.len()));
        let more = pick(&["", "", ";a", ";a=b", ";a=\"b; \\\"c\"", ";a;b=1"], chance);
        let size = if chance.coin() { format!("{:x}", chunk.len()) } else { format!("{:03X}", chunk.len()) };
        written.extend([size.as_bytes(), more.as_bytes(), b"\r\n", chunk, b"\r\n"].concat());
        rest = behind;
    }
    written.extend(
        pick(
            &[
                "0\r\n\r\n",
                "000;a=b\r\n\r\n",
                "0\r\nX-Sum: 1\r\n\r\n",
                "0\r\nX-Sum:1\r\nX-More: \t2\r\nx_y: 3\r\n\r\n",
            ],
            chance,
        )
        .bytes(),
    );
    ("Transfer-Encoding: chunked".to_owned(), written, text.to_vec())
}

/// As much as is permitted, and bodies that do not fit any buffer.
fn large(chance: &mut Chance) -> Vec<Case> {
    let body: Vec<u8> = (0..300_000_u32).map(|number| (number % 251) as u8).collect();
    let chunks = body
        .chunks(7_001)
        .flat_map(|part| [format!("{:x}\r\n", part.len()).as_bytes(), part, b"\r\n"].concat());
    let chunked: Vec<u8> = chunks.chain(*b"0\r\n\r\n").collect();
    let long_path = format!("/v/long?{}", "a".repeat(15_000));
    let cookie = format!("Cookie: a={}\r\n", "b".repeat(40_000));
    let many: String = (0..80).map(|number| format!("X-{number}: y\r\n")).collect();
    [
        ("POST", "/v/sized", format!("Content-Length: {}\r\n", body.len()), body.clone(), body.clone()),
        ("PUT", "/v/chunked", "Transfer-Encoding: chunked\r\n".to_owned(), chunked, body),
        ("GET", long_path.as_str(), cookie, Vec::new(), Vec::new()),
        ("GET", "/v/many", many, Vec::new(), Vec::new()),
    ]
    .map(|(method, target, fields, written, body)| {
        let case = format!("large{}", &target[..6]);
        let head = format!("{method} {target} HTTP/1.1\r\nHost: {HOST}\r\n{fields}X-Case: {case}\r\nConnection: close\r\n\r\n");
        let bytes = [head.as_bytes(), &written].concat();
        Case {
            family: "valid",
            parts: Cut::In(9).apply(&bytes, chance),
            expected: vec![Expected { case, method: method.to_owned(), target: target.to_owned(), body }],
            end: End::Answered,
            is_rare: false,
        }
    })
    .to_vec()
}
