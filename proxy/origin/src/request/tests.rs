use super::*;
use http::Request;
use http_body_util::Full;

const MARK: &str = "usher;to=\"http://127.0.0.1:3000\"";

/// The head as the origin gets it, its lines sorted behind the first.
fn written(request: http::request::Builder, body: &'static str, visitor: Visitor<'_>) -> Vec<String> {
    let rules = Rules { hidden_cookies: vec!["affonso_referral".into(), "k7q".into()], mark: MARK.into() };
    let (parts, body) =
        request.body(Full::new(Bytes::from_static(body.as_bytes()))).expect("one").into_parts();
    let head = head(&parts, Shape::of(&body, true), &visitor, &rules).expect("a head");
    let text = String::from_utf8(head.bytes.to_vec()).expect("text");
    let mut lines: Vec<String> =
        text.strip_suffix("\r\n\r\n").expect("an end").split("\r\n").map(str::to_owned).collect();
    lines[1..].sort();
    lines
}

const VISITOR: Visitor<'_> = Visitor {
    address: std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)),
    https: true,
    host: "shop.example",
    is_vouched_for: false,
};

/// What stands in every head for [`VISITOR`].
fn about(host: &str) -> Vec<String> {
    vec![
        format!("cdn-loop: {MARK}"),
        format!("forwarded: for=192.0.2.1;proto=https;host=\"{host}\""),
        format!("host: {host}"),
        "x-forwarded-for: 192.0.2.1".to_owned(),
        format!("x-forwarded-host: {host}"),
        "x-forwarded-proto: https".to_owned(),
        "x-real-ip: 192.0.2.1".to_owned(),
    ]
}

fn expected(line: &str, host: &str, more: &[&str]) -> Vec<String> {
    let mut lines: Vec<String> = about(host).into_iter().chain(more.iter().map(|&m| m.to_owned())).collect();
    lines.sort();
    lines.insert(0, line.to_owned());
    lines
}

#[test]
fn what_the_visitor_says_is_said_again() {
    let request = Request::get("/a%2Fb//c?x=1&y[]=2")
        .header("Host", "Shop.Example:8443")
        .header("Accept-Encoding", "gzip, br")
        .header("X-Twice", "a")
        .header("X-Twice", "b")
        .header("Authorization", "Basic eDp5")
        .header("If-None-Match", "\"1\"")
        .header("Range", "bytes=0-1");
    let more = [
        "accept-encoding: gzip, br",
        "x-twice: a",
        "x-twice: b",
        "authorization: Basic eDp5",
        "if-none-match: \"1\"",
        "range: bytes=0-1",
    ];
    assert_eq!(
        written(request, "", VISITOR),
        expected("GET /a%2Fb//c?x=1&y[]=2 HTTP/1.1", "Shop.Example:8443", &more)
    );
}

#[test]
fn what_belongs_to_the_connection_stays_there() {
    let request = Request::get("/")
        .header("Host", "shop.example")
        .header("Connection", "keep-alive, X-Own, x-forwarded-for, host")
        .header("Keep-Alive", "timeout=5")
        .header("Proxy-Connection", "keep-alive")
        .header("Proxy-Authorization", "Basic eDp5")
        .header("Transfer-Encoding", "gzip")
        .header("TE", "gzip, trailers;q=1, Trailers")
        .header("Upgrade", "h2c")
        .header("HTTP2-Settings", "x")
        .header("Expect", "100-continue")
        .header("Early-Data", "1")
        .header("X-Own", "1")
        .header("X-Kept", "1");
    let more = ["te: trailers", "connection: te", "x-kept: 1"];
    assert_eq!(written(request, "", VISITOR), expected("GET / HTTP/1.1", "shop.example", &more));
}

const CLAIMS: [&str; 20] = [
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Forwarded-Port",
    "X-Forwarded-Prefix",
    "X-Forwarded-Ssl",
    "Forwarded",
    "X-Real-IP",
    "X_Forwarded_For",
    "X-Real_Ip",
    "CF-Connecting-IP",
    "CF-Connecting-IPv6",
    "True-Client-IP",
    "X-Client-IP",
    "Client-IP",
    "X-Cluster-Client-IP",
    "Fastly-Client-IP",
    "X-Original-Forwarded-For",
    "Proxy",
    "CF_Connecting_IP",
];

#[test]
fn strangers_say_nothing_of_themselves() {
    let with_claims = || {
        let request = Request::get("/").header("Host", "shop.example");
        CLAIMS.iter().fold(request, |request, name| request.header(*name, "203.0.113.66"))
    };
    let told = written(with_claims(), "", VISITOR);
    assert_eq!(told, expected("GET / HTTP/1.1", "shop.example", &[]));
    let vouched = written(with_claims(), "", Visitor { is_vouched_for: true, ..VISITOR });
    let passed: Vec<&String> = vouched.iter().filter(|line| line.contains("203.0.113.66")).collect();
    assert!(passed.iter().any(|line| line.starts_with("cf-connecting-ip:")), "{passed:?}");
    assert!(
        !passed.iter().any(|line| line.starts_with("x-forwarded") || line.starts_with("x-real")),
        "{passed:?}"
    );
}

#[test]
fn addresses_of_both_kinds_are_written_as_they_have_to_be() {
    let visitor = Visitor { address: "2001:db8::1".parse().expect("one"), https: false, ..VISITOR };
    let lines = written(Request::get("http://shop.example:81?a"), "", visitor);
    assert_eq!(lines[0], "GET /?a HTTP/1.1");
    assert!(
        lines.contains(&"forwarded: for=\"[2001:db8::1]\";proto=http;host=\"shop.example:81\"".to_owned())
    );
    assert!(lines.contains(&"x-forwarded-for: 2001:db8::1".to_owned()));
    assert!(lines.contains(&"host: shop.example:81".to_owned()), "of a target with one, its host counts");
}

#[test]
fn our_cookies_are_not_the_origins() {
    let cookies = |lines: &[&'static str]| {
        let request = Request::get("/").version(Version::HTTP_2).header("Host", "shop.example");
        let request = lines.iter().fold(request, |request, line| request.header("Cookie", *line));
        let lines = written(request, "", VISITOR);
        let found: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix("cookie: ")).collect();
        assert!(found.len() < 2, "{found:?}");
        found.first().map(|line| (*line).to_owned())
    };
    for (lines, sent) in [
        (&["a=1; b=2"][..], Some("a=1; b=2")),
        (&["a=1", "b=2"], Some("a=1; b=2")),
        (&["a=1;b=\"2; affonso_referralx=3"], Some("a=1;b=\"2; affonso_referralx=3")),
        (&["affonso_referral=1"], None),
        (&["affonso_referral=1", "k7q=2"], None),
        (&["a=1; affonso_referral=1;k7q=2 ; b=3; "], Some("a=1; b=3")),
        (&["affonso_referral = 1; a=affonso_referral=2", "k7q"], Some("a=affonso_referral=2")),
        (&[], None),
    ] {
        assert_eq!(cookies(lines).as_deref(), sent, "{lines:?}");
    }
}

#[test]
fn bodies_are_framed_by_what_they_are() {
    let post = || Request::post("/").header("Host", "shop.example");
    let framing = |request, body| -> Vec<String> {
        let lines = written(request, body, VISITOR);
        lines.into_iter().filter(|line| line.contains("length") || line.contains("transfer")).collect()
    };
    assert_eq!(framing(post(), "abc"), ["content-length: 3"]);
    assert_eq!(framing(post().header("Content-Length", "77"), "abc"), ["content-length: 3"]);
    assert_eq!(framing(post(), ""), ["content-length: 0"]);
    assert_eq!(framing(Request::get("/"), ""), [""; 0]);
    assert_eq!(framing(Request::get("/").header("Content-Length", "0"), ""), ["content-length: 0"]);
    assert_eq!(framing(Request::delete("/"), "a"), ["content-length: 1"]);
}

#[test]
fn only_what_a_tunnel_may_carry_is_upgraded_to() {
    let upgrade = |protocols: &'static str| {
        let request = Request::get("/")
            .header("Host", "a")
            .header("Connection", "Upgrade")
            .header("Upgrade", protocols);
        let lines = written(request, "", VISITOR);
        let named = lines.iter().find_map(|line| line.strip_prefix("upgrade: "));
        assert_eq!(named.is_some(), lines.contains(&"connection: upgrade".to_owned()));
        named.map(str::to_owned)
    };
    assert_eq!(upgrade("websocket").as_deref(), Some("websocket"));
    assert_eq!(upgrade("h2c, websocket, foo/2").as_deref(), Some("websocket, foo/2"));
    for refused in ["h2c", "H2", "HTTP/2.0", "http/1.1", "TLS/1.3", "tls", "", ","] {
        assert_eq!(upgrade(refused), None, "{refused}");
    }
}

#[test]
fn a_circle_ends() {
    let ask = |marks: &[&str]| {
        let request = marks.iter().fold(Request::get("/"), |request, mark| request.header("CDN-Loop", *mark));
        let rules = Rules { hidden_cookies: Vec::new(), mark: MARK.into() };
        let (parts, body) = request.body(Full::<Bytes>::default()).expect("one").into_parts();
        head(&parts, Shape::of(&body, false), &VISITOR, &rules).map(|head| head.bytes)
    };
    let once = ask(&["cloudflare"]).expect("a head");
    let text = String::from_utf8(once.to_vec()).expect("text");
    assert!(text.contains(&format!("cdn-loop: cloudflare, {MARK}\r\n")), "{text}");
    assert!(ask(&[MARK]).is_ok());
    assert!(ask(&["usher;to=\"http://127.0.0.1:3001\", x", "usher", "usher"]).is_ok());
    assert!(matches!(ask(&[MARK, MARK]), Err(Failure::Circle)));
    assert!(matches!(ask(&[&format!("{MARK}, {MARK}")]), Err(Failure::Circle)));
}
