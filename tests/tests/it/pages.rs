//! In front of the whole site: clicks without any script, and the tag in its pages.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::json;
use usher_tests::{Answer, Builder, Edge, PROGRAM, RedisServer, Request, Shop, Standin, Store, get, page};

use crate::backing::CORES;

const COOKIE: &str = "affonso_referral";
const HTML: &str = "<!doctype html><html><head><title>Shop</title></head><body><p>Welcome</p></body></html>";
const CHROME: &str =
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36";
/// Whose id a click gets is not left to how busy the machine is.
pub(crate) const PATIENT: &str = "5000";
const ACCEPT: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

async fn fronted(html: &'static str) -> (Standin, Shop, Edge) {
    let (standin, shop) = (Standin::start().await, Shop::with_page(html).await);
    let edge = before(&standin, &shop).upstream("click_budget_ms", PATIENT).start().await;
    (standin, shop, edge)
}

fn before(standin: &Standin, shop: &Shop) -> Builder {
    Edge::builder(standin).site("origin", &shop.toml())
}

/// A person follows a link.
pub(crate) fn followed(edge: &Edge, path: &str) -> Request {
    edge.get(path)
        .header("user-agent", CHROME)
        .header("accept", ACCEPT)
        .header("sec-fetch-mode", "navigate")
        .header("sec-fetch-dest", "document")
        .header("sec-fetch-site", "cross-site")
        .header("referer", "https://blog.example/")
        .visitor("203.0.113.9")
}

fn cookie(answer: &Answer) -> Option<String> {
    answer.cookie(COOKIE).map(|cookie| cookie.value)
}

/// How often that happened, by the metrics.
pub(crate) async fn landed(edge: &Edge, ground: &str, outcome: &str) -> u64 {
    let text = get(edge.admin(), "/metrics").send().await.expect(200).text();
    let line = format!("usher_landed_total{{site=\"shop\",ground=\"{ground}\",outcome=\"{outcome}\"}} ");
    text.lines().find_map(|said| said.strip_prefix(&line)?.parse().ok()).unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_sets_the_cookie_without_any_script() {
    let (standin, shop, edge) = fronted(HTML).await;
    let address = "/sale?via=alice&utm_source=blog&sub1=top&gclid=g1";
    let answer = followed(&edge, address).send().await.expect(200);
    let set = answer.cookie(COOKIE).expect("a cookie");
    for (name, value) in
        [("path", "/"), ("samesite", "Lax"), ("domain", "shop.example"), ("max-age", "2592000")]
    {
        assert_eq!(set.attribute(name), Some(value), "{name}");
    }
    assert_eq!(
        answer.header("cache-control"),
        Some("private, no-store"),
        "nobody else's copy has this cookie"
    );
    let received = standin.received().await;
    let [click] = received.clicks() else { panic!("one click: {received:#?}") };
    assert_eq!(click["id"], set.value.as_str(), "the platform's own id comes within the budget");
    for (field, value) in [
        ("trackingId", "alice"),
        ("utmSource", "blog"),
        ("sub1", "top"),
        ("gclid", "g1"),
        ("referrer", "https://blog.example/"),
        ("programId", PROGRAM),
    ] {
        assert_eq!(click["body"][field], value, "{field}: {click}");
    }
    assert_eq!(
        click["headers"]["referer"],
        format!("http://shop.example{address}"),
        "as the tag's report has it"
    );
    assert_eq!(click["headers"]["origin"], "http://shop.example");
    assert_eq!(shop.asked()[0].uri, address, "the origin sees the address as it is");

    let seen = followed(&edge, "/?via=alice").header("cookie", &format!("{COOKIE}={}", set.value));
    assert_eq!(cookie(&seen.send().await.expect(200)).as_ref(), Some(&set.value));
    let script = edge.post("/r/track").header("user-agent", CHROME).visitor("203.0.113.9");
    let script = script.header("cookie", &format!("{COOKIE}={}", set.value));
    let report = json!({"programId": PROGRAM, "url": format!("https://shop.example{address}")});
    assert_eq!(script.json(&report).send().await.expect(200).json()["cid"], set.value.as_str());
    assert_eq!(standin.received().await.clicks().len(), 1, "page and script are one click");
    assert_eq!(landed(&edge, "page", "platform").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_look_at_the_page_is_no_click() {
    let (standin, _shop, edge) = fronted(HTML).await;
    let link = "/?via=alice";
    for (what, request) in [
        ("a prefetch", followed(&edge, link).header("sec-purpose", "prefetch")),
        ("a prerender", followed(&edge, link).header("sec-purpose", "prefetch;prerender")),
        ("an old prefetch", followed(&edge, link).header("purpose", "prefetch")),
        ("a frame", followed(&edge, link).header("sec-fetch-dest", "iframe")),
        (
            "a picture",
            followed(&edge, link).header("sec-fetch-mode", "no-cors").header("sec-fetch-dest", "image"),
        ),
        (
            "a script",
            followed(&edge, link).header("sec-fetch-mode", "no-cors").header("sec-fetch-dest", "script"),
        ),
        ("a fetch", followed(&edge, link).header("sec-fetch-mode", "cors").header("sec-fetch-dest", "empty")),
        ("a form", followed(&edge, link).method("POST")),
        ("HEAD", followed(&edge, link).method("HEAD")),
        ("a bot", followed(&edge, link).header("user-agent", "Mozilla/5.0 (compatible; Googlebot/2.1)")),
        ("no browser", followed(&edge, link).without("user-agent")),
        ("who opts out", followed(&edge, link).header("sec-gpc", "1")),
        ("nobody's link", followed(&edge, "/?utm_source=x")),
        ("the site's own link", followed(&edge, "/?via=nav-top")),
        ("no code", followed(&edge, "/?via=a%20b")),
    ] {
        let answer = request.send().await.expect(200);
        assert!(answer.cookies().is_empty(), "{what}");
        let names_somebody = !matches!(what, "nobody's link" | "the site's own link" | "no code");
        let caching = if names_somebody { "private, no-store" } else { "public, max-age=600" };
        assert_eq!(answer.header("cache-control"), Some(caching), "{what}");
    }
    assert!(standin.received().await.clicks().is_empty());
    assert_eq!(landed(&edge, "page", "suspect").await, 7, "three prefetches, the frame, HEAD, two bots");
    assert_eq!(landed(&edge, "page", "unasked").await, 1);

    let old =
        followed(&edge, link).without("sec-fetch-mode").without("sec-fetch-dest").without("sec-fetch-site");
    assert!(cookie(&old.send().await.expect(200)).is_some(), "a browser that says nothing");
    assert_eq!(landed(&edge, "page_legacy", "platform").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_consent_is_required_the_page_waits_for_its_script() {
    let (standin, shop) = (Standin::start().await, Shop::with_page(HTML).await);
    let edge = before(&standin, &shop).site("consent", "\"required\"").start().await;
    let answer = followed(&edge, "/?via=alice").send().await.expect(200);
    assert!(answer.cookies().is_empty());
    assert!(answer.text().contains("data-requires-consent=\"true\""), "{}", answer.text());
    assert!(standin.received().await.clicks().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn tracking_that_is_broken_leaves_the_page_as_it_is() {
    const EACH: Duration = Duration::from_millis(800);
    let _cores = CORES.lock().await;
    let standin = Standin::start().await;
    let shop = Shop::start(|_| async {
        tokio::time::sleep(EACH).await;
        page(HTML)
    });
    let shop = shop.await;
    let mut redis = RedisServer::start().await;
    let before = before(&standin, &shop).store(Store::redis(&redis));
    let edge = before.upstream("click_budget_ms", "800").start().await;
    standin.behave(json!({"path": "/v1/track", "mode": "slow", "delay_ms": 5_000})).await;
    for (what, visitor) in [("a slow platform", "203.0.113.20"), ("and no store", "203.0.113.21")] {
        let began = Instant::now();
        let answer = followed(&edge, "/?via=alice").visitor(visitor).send().await.expect(200);
        // Beside what the origin takes, not after it; the rest is what a busy machine may add.
        assert!(began.elapsed() < EACH + EACH * 3 / 4, "{what}: {:?}", began.elapsed());
        assert!(cookie(&answer).is_some_and(|id| id.starts_with("ush_")), "{what}");
        assert!(answer.text().contains("<p>Welcome</p>"), "{what}");
        redis.kill();
    }
    let began = Instant::now();
    let answer = followed(&edge, "/").send().await.expect(200);
    assert!(answer.cookies().is_empty() && began.elapsed() < EACH + EACH * 3 / 4, "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_click_outlives_an_origin_that_is_down() {
    let standin = Standin::start().await;
    let edge = Edge::builder(&standin).site("origin", "\"http://127.0.0.1:1\"").start().await;
    let answer = followed(&edge, "/?via=alice").send().await.expect(502);
    assert!(cookie(&answer).is_some());
    assert_eq!(answer.header("cache-control"), Some("private, no-store"));
    assert_eq!(standin.received().await.clicks().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tag_is_what_the_command_prints() {
    let (_standin, _shop, edge) = fronted(HTML).await;
    let answer = followed(&edge, "/").send().await.expect(200);
    let printed = String::from_utf8(edge.usher(&["snippet"]).await.stdout).expect("text");
    let tag = printed.lines().find(|line| line.starts_with("<script ")).expect("the tag");
    assert_eq!(answer.text(), HTML.replace("</head>", &format!("{tag}</head>")));
    assert_eq!(answer.header("etag"), Some("W/\"v1\""));
    assert_eq!(
        answer.header("cache-control"),
        Some("public, max-age=600"),
        "no referral, no cookie: as it was"
    );
    assert_eq!(answer.header("vary"), None);
    let head = followed(&edge, "/").method("HEAD").send().await.expect(200);
    assert_eq!((head.header("etag"), head.header("content-length")), (Some("W/\"v1\""), None));
}

fn gzip(plain: &[u8]) -> Bytes {
    let mut child = std::process::Command::new("gzip")
        .args(["-c"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("gzip is everywhere");
    child.stdin.take().expect("a pipe").write_all(plain).expect("it reads");
    let mut out = Vec::new();
    child.stdout.take().expect("a pipe").read_to_end(&mut out).expect("it writes");
    assert!(child.wait().expect("it ends").success());
    out.into()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tag_goes_into_pages_and_nothing_else() {
    let standin = Standin::start().await;
    let shop = Shop::start(|head| async move {
        let mut answer = page(HTML);
        let mut set = |name: &'static str, value: &'static str| {
            answer.headers_mut().insert(name, http::HeaderValue::from_static(value));
        };
        match head.uri.path() {
            "/gzip" => {
                set("content-encoding", "gzip");
                *answer.body_mut() = gzip(HTML.as_bytes());
            }
            "/nonce" => {
                set("content-security-policy", "default-src 'self'; script-src 'nonce-abc' 'strict-dynamic'");
            }
            "/forbidden" => set("content-security-policy", "script-src 'sha256-x'"),
            "/text" => set("content-type", "text/plain"),
            "/part" => *answer.body_mut() = "<li>one</li>".into(),
            "/missing" => *answer.status_mut() = http::StatusCode::NOT_FOUND,
            _ => {}
        }
        answer
    })
    .await;
    let edge = before(&standin, &shop).start().await;
    for (path, status, wanted) in [
        ("/", 200, true),
        ("/nonce", 200, true),
        ("/missing", 404, true),
        ("/forbidden", 200, false),
        ("/text", 200, false),
        ("/part", 200, false),
    ] {
        let answer = followed(&edge, path).send().await.expect(status);
        assert_eq!(answer.text().contains("<script async defer"), wanted, "{path}: {}", answer.text());
        assert_eq!(answer.text().contains(" nonce=\"abc\">"), path == "/nonce", "{path}");
    }
    let part = followed(&edge, "/").header("hx-request", "true").send().await.expect(200);
    assert_eq!((part.text().as_str(), part.header("vary")), (HTML, Some("hx-request")));
    let zipped = followed(&edge, "/gzip").header("accept-encoding", "gzip").send().await.expect(200);
    assert_eq!(zipped.header("content-encoding"), Some("gzip"));
    let plain = followed(&edge, "/").send().await.expect(200).body;
    // What `gzip -c` makes of the tagged page is not what we make of it, but it holds the same.
    let mut child = std::process::Command::new("gzip")
        .args(["-dc"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("gzip is everywhere");
    child.stdin.take().expect("a pipe").write_all(&zipped.body).expect("it reads");
    let mut unzipped = Vec::new();
    child.stdout.take().expect("a pipe").read_to_end(&mut unzipped).expect("it writes");
    assert!(child.wait().expect("it ends").success());
    assert_eq!(unzipped, plain);

    let bare = before(&standin, &shop).site("tag", "false").start().await;
    let answer = followed(&bare, "/?via=alice").send().await.expect(200);
    assert_eq!(
        (answer.text().as_str(), cookie(&answer).is_some()),
        (HTML, true),
        "the tag is off, clicks are not"
    );
}
