//! Short links: on to the page, with a cookie on the way, and never anywhere else.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::json;
use usher_tests::{Answer, Builder, Edge, Shop, Standin, raw, report};

use crate::pages::{PATIENT, followed, landed};

const COOKIE: &str = "affonso_referral";
const LINKS: &str = r#"[
    { path = "/spring", affiliate = "alice", to = "https://shop.example/sale" },
    { path = "/away", affiliate = "bob", to = "https://elsewhere.example/x?a=b#c" },
]"#;

fn with_links(standin: &Standin) -> Builder {
    // TOML 1.0 has inline tables on one line only.
    Edge::builder(standin).site("links", &LINKS.replace('\n', " ")).upstream("click_budget_ms", PATIENT)
}

async fn start() -> (Standin, Edge) {
    let standin = Standin::start().await;
    let edge = with_links(&standin).start().await;
    (standin, edge)
}

fn leads(answer: &Answer) -> &str {
    answer.header("location").expect("it leads somewhere")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_leads_to_its_page_with_a_cookie_on_the_way() {
    let (standin, edge) = start().await;
    let answer = followed(&edge, "/spring").send().await.expect(302);
    assert_eq!(leads(&answer), "https://shop.example/sale");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("referrer-policy"), Some("strict-origin-when-cross-origin"));
    let set = answer.cookie(COOKIE).expect("a cookie");
    assert_eq!((set.attribute("domain"), set.attribute("path")), (Some("shop.example"), Some("/")));
    let again = followed(&edge, "/spring?utm_source=mail&via=eve").send().await.expect(302);
    assert_eq!(leads(&again), "https://shop.example/sale?utm_source=mail");
    assert_eq!(again.cookie(COOKIE).map(|cookie| cookie.value), Some(set.value.clone()));
    let received = standin.received().await;
    let [click] = received.clicks() else { panic!("one click: {received:#?}") };
    assert_eq!((&click["trackingId"], &click["id"]), (&json!("alice"), &json!(set.value)));
    assert_eq!(click["referrer"], "https://blog.example/");

    let away = followed(&edge, "/away?q=1").visitor("203.0.113.30").send().await.expect(302);
    assert_eq!(leads(&away), "https://elsewhere.example/x?a=b&q=1#c");
    assert_eq!(landed(&edge, "link", "platform").await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_affiliate_has_links_to_every_page() {
    let (standin, edge) = start().await;
    for (path, to) in [
        ("/go/carol", "/"),
        ("/go/carol/shoes/red?size=9&utm_campaign=x", "/shoes/red?size=9&utm_campaign=x"),
        ("/go/carol/fr%C3%BChling/", "/fr%C3%BChling/"),
    ] {
        let answer = followed(&edge, path).send().await.expect(302);
        assert_eq!(leads(&answer), to, "{path}");
        assert!(answer.cookie(COOKIE).is_some(), "{path}");
    }
    // A host that only has links leads to the site's own.
    let elsewhere = followed(&edge, "/go/carol/shoes").host("www.shop.example").send().await.expect(302);
    assert_eq!(leads(&elsewhere), "http://shop.example/shoes");
    let https = followed(&edge, "/go/carol").host("localhost").header("x-forwarded-proto", "https");
    assert_eq!(leads(&https.send().await.expect(302)), "https://shop.example/");
    assert_eq!(standin.received().await.clicks_of("carol").len(), 1);
    for path in ["/go", "/go/", "/go/a%20b", "/go/..", "/spring/", "/Spring"] {
        followed(&edge, path).send().await.expect(404);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_look_is_led_there_without_a_cookie() {
    let (standin, edge) = start().await;
    for request in [
        followed(&edge, "/spring").header("sec-purpose", "prefetch"),
        followed(&edge, "/spring").header("sec-fetch-dest", "iframe"),
        followed(&edge, "/spring").header("sec-fetch-mode", "no-cors").header("sec-fetch-dest", "image"),
        followed(&edge, "/spring").header("user-agent", "facebookexternalhit/1.1"),
        followed(&edge, "/spring").method("HEAD"),
        edge.get("/spring").header("accept", "image/avif,image/webp,*/*;q=0.8"),
    ] {
        let answer = request.send().await.expect(302);
        assert_eq!(leads(&answer), "https://shop.example/sale");
        assert!(answer.cookies().is_empty());
    }
    assert_eq!(landed(&edge, "link", "suspect").await, 6);
    let own = followed(&edge, "/go/nav-top/x").send().await.expect(302);
    assert_eq!((leads(&own), own.cookies().len()), ("/x", 0), "a site's own mark is no affiliate");
    let posted = followed(&edge, "/spring").method("POST").send().await.expect(405);
    assert_eq!(posted.header("allow"), Some("GET, HEAD"));
    assert!(standin.received().await.clicks().is_empty());

    let asking = with_links(&standin).site("consent", "\"required\"").start().await;
    let unasked = followed(&asking, "/spring").send().await.expect(302);
    assert_eq!(leads(&unasked), "https://shop.example/sale?atp=alice", "the page's script may ask");
    assert!(unasked.cookies().is_empty() && standin.received().await.clicks().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn links_come_before_the_origins_pages() {
    let (standin, shop) = (Standin::start().await, Shop::with_page("<p>the origin's</p>").await);
    let edge = with_links(&standin).site("origin", &shop.toml()).start().await;
    assert_eq!(leads(&followed(&edge, "/spring").send().await.expect(302)), "https://shop.example/sale");
    let go = followed(&edge, "/go/alice/x").host("www.shop.example").send().await.expect(302);
    assert_eq!(leads(&go), "/x", "the origin is behind every host");
    assert!(shop.asked().is_empty());
    for path in ["/springs", "/go", "/go/a%20b/x", "/go/alice//x", "/go/alice/..%2fx"] {
        assert_eq!(followed(&edge, path).send().await.expect(200).text(), "<p>the origin's</p>", "{path}");
    }
    let without = with_links(&standin).site("origin", &shop.toml()).site("go", "false").start().await;
    assert_eq!(followed(&without, "/go/alice/x").send().await.expect(200).text(), "<p>the origin's</p>");
    let elsewhere = with_links(&standin).site("go", "\"/with\"").start().await;
    assert_eq!(leads(&followed(&elsewhere, "/with/alice/x").send().await.expect(302)), "/x");
    followed(&elsewhere, "/go/alice/x").send().await.expect(404);
}

/// Ways off a host that have worked somewhere: as they are, encoded, encoded twice, and behind a page's name.
fn payloads() -> Vec<String> {
    const BARE: [&str; 36] = [
        "//evil.example",
        "///evil.example",
        "////evil.example",
        "/\\evil.example",
        "\\/evil.example",
        "\\\\evil.example",
        "https://evil.example",
        "https:evil.example",
        "https:/evil.example",
        "http:\\\\evil.example",
        "javascript:alert(1)",
        "data:text/html,x",
        "//evil.example/..",
        "//evil.example\\@shop.example",
        "@evil.example",
        "//shop.example@evil.example",
        ".evil.example",
        "//evil.example:80",
        "//[::1]/",
        "//127.0.0.1",
        "//0x7f000001",
        "//evil%E3%80%82example",
        "/..//evil.example",
        "/../\\evil.example",
        "/./evil.example",
        "/%2e%2e//evil.example",
        "\t//evil.example",
        "\r\nLocation: https://evil.example",
        "\r\nSet-Cookie: a=b",
        "\0//evil.example",
        "/;//evil.example",
        "?//evil.example",
        "#//evil.example",
        "&via=eve",
        "//evil.example?via=x",
        "//\u{e9}vil.example",
    ];
    let encode = |text: &str| {
        text.bytes().fold(String::new(), |mut out, byte| {
            let _ = if byte.is_ascii_alphanumeric() {
                write!(out, "{}", char::from(byte))
            } else {
                write!(out, "%{byte:02x}")
            };
            out
        })
    };
    // What no request line holds goes encoded.
    let sendable = |text: &str| {
        text.chars().fold(String::new(), |mut out, c| {
            let plain = c.is_ascii_graphic() && c != '#';
            let _ = if plain { write!(out, "{c}") } else { write!(out, "{}", encode(&c.to_string())) };
            out
        })
    };
    let mut all = Vec::new();
    for bare in BARE {
        let (once, twice) = (encode(bare), encode(&encode(bare)));
        for spelt in [sendable(bare), once.clone(), twice.clone(), once.to_uppercase()] {
            all.push(format!("/go/alice{spelt}"));
            all.push(format!("/go/alice/{spelt}"));
            all.push(format!("/go/alice/shoes/{spelt}"));
            all.push(format!("/spring?to={spelt}"));
            all.push(format!("/go/alice/x?next={spelt}"));
        }
    }
    all
}

/// What Node, which reads URLs as browsers do, makes of each: `[origin, …]` against the page that was asked for.
fn origins_by_node(pairs: &[(String, String)]) -> Vec<String> {
    const PROGRAM: &str = "let s='';process.stdin.on('data',d=>s+=d).on('end',()=>{console.log(JSON.stringify(JSON.parse(s)\
        .map(([asked,to])=>new URL(to,'http://shop.example'+asked).origin)))})";
    let mut node = Command::new("node")
        .args(["-e", PROGRAM])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("node runs");
    let told = json!(pairs).to_string();
    node.stdin.take().expect("a pipe").write_all(told.as_bytes()).expect("it reads");
    let said = node.wait_with_output().expect("it ends");
    serde_json::from_slice(&said.stdout).expect("a list")
}

#[tokio::test(flavor = "multi_thread")]
async fn no_link_leads_off_the_site() {
    let (_standin, edge) = start().await;
    let (mut led, mut elsewhere) = (Vec::new(), 0);
    let payloads = payloads();
    for path in &payloads {
        let request = format!("GET {path} HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n");
        let answer = raw(edge.http(), request.as_bytes()).await.expect("an answer");
        let answer = String::from_utf8(answer).expect("text");
        let (head, _) = answer.split_once("\r\n\r\n").expect("a head");
        let sets_cookie = head.lines().any(|line| line.to_ascii_lowercase().starts_with("set-cookie"));
        assert!(!sets_cookie, "{path}: {head}");
        let status = head.split(' ').nth(1).unwrap_or_default();
        match head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(name, _)| name.eq_ignore_ascii_case("location"))
        {
            Some((_, to)) => led.push((path.clone(), to.to_owned())),
            None => {
                assert!(matches!(status, "404" | "400"), "{path}: {head}");
                elsewhere += 1;
            }
        }
    }
    for ((path, to), origin) in led.iter().zip(origins_by_node(&led)) {
        let wanted = if path.starts_with("/spring") { "https://shop.example" } else { "http://shop.example" };
        assert_eq!(origin, wanted, "{path} leads to {to}");
    }
    assert!(payloads.len() >= 700 && led.len() >= 200, "{} of {}", led.len(), payloads.len());
    let said = format!(
        "{} ways off the host: {} redirects, all to the site; {elsewhere} refused",
        payloads.len(),
        led.len()
    );
    report(&said);
}
