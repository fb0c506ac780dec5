//! `/track`: who is counted, once, and with which cookie.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use usher_tests::{Answer, Edge, HOST, PROGRAM, Sale, Standin, get, request};

const COOKIE: &str = "affonso_referral";
/// More than the visitor's 300 ms and the machine's own slowness, less than any time-out that would be a fault.
const AT_ONCE: Duration = Duration::from_millis(1_500);

async fn start() -> (Standin, Edge) {
    let standin = Standin::start().await;
    let edge = Edge::builder(&standin).start().await;
    (standin, edge)
}

fn cid(answer: &Answer) -> String {
    let cid = answer.json()["cid"].as_str().map(str::to_owned).unwrap_or_default();
    assert_eq!(answer.cookie(COOKIE).map(|cookie| cookie.value), Some(cid.clone()), "{}", answer.text());
    assert!(!cid.is_empty(), "{}", answer.text());
    cid
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_visitor_and_affiliate_is_the_same_click() {
    let (standin, edge) = start().await;
    let first = cid(&edge.track("alice").await);
    assert!(!first.starts_with("ush_"), "the platform's own id comes within the budget: {first}");
    let cookie = format!("{COOKIE}={first}");
    let again = edge.track_call("alice").header("cookie", &cookie).send().await;
    assert_eq!(cid(&again), first, "known by the cookie");
    assert_eq!(cid(&edge.track("alice").await), first, "known by address and browser");
    let elsewhere = edge.track_call("alice").header("cookie", &cookie).visitor("203.0.113.80").send().await;
    assert_eq!(cid(&elsewhere), first, "the cookie travels with the laptop");

    let other = edge.track_call("alice").visitor("203.0.113.81").send().await;
    assert_ne!(cid(&other), first, "another visitor");
    let clicks = standin.received().await;
    assert_eq!(clicks.clicks_of("alice").len(), 2, "{:#?}", clicks.clicks());
    assert_eq!(clicks.clicks()[0]["id"], first.as_str());
}

/// The offers are the click's: those of another affiliate do not outlive their click, and those of the same click stay.
#[tokio::test(flavor = "multi_thread")]
async fn offers_stay_as_long_as_their_click() {
    const DATA: &str = "affonso_data";
    let (_standin, edge) = start().await;
    let alice = edge.track("alice").await;
    let data = alice.cookie(DATA).expect("alice's visitors get something").value;
    assert!(data.contains("ALICE10"), "{data}");
    let held = format!("{COOKIE}={}; {DATA}={data}", cid(&alice));

    let again = edge.track_call("alice").header("cookie", &held).send().await.expect(200);
    assert!(again.cookie(DATA).is_none_or(|same| same.value == data), "{:?}", again.cookies());
    let carol = edge.track_call("carol").header("cookie", &held).send().await.expect(200);
    assert_ne!(cid(&carol), cid(&alice));
    let cleared = carol.cookie(DATA).expect("it is cleared");
    assert_eq!((cleared.value.as_str(), cleared.attribute("max-age")), ("", Some("0")));
    assert_eq!(cleared.attribute("domain"), Some("shop.example"), "where it was set");
    let bare = edge.track_call("carol").header("cookie", &format!("{COOKIE}=other")).send().await.expect(200);
    assert_eq!(bare.cookie(DATA), None, "who holds no offers is not bothered");
    let bob = edge.track_call("bob").header("cookie", &held).send().await.expect(200);
    assert!(bob.cookie(DATA).expect("his own").value.contains("BOB15"), "{:?}", bob.cookies());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_click_wins_or_the_first_as_the_site_says() {
    for (policy, wins) in [("last_click", "bob"), ("first_click", "alice")] {
        let standin = Standin::start().await;
        let edge = Edge::builder(&standin).site("attribution", &format!("{policy:?}")).start().await;
        let alice = cid(&edge.track("alice").await);
        let call = edge.track_call("bob").header("cookie", &format!("{COOKIE}={alice}"));
        let later = call.send().await.expect(200);
        let held = later.cookie(COOKIE).map_or(alice, |cookie| cookie.value);
        edge.sell(&Sale::new("order-1", "10").referral(&held)).await;
        let sale = standin.conversion("order-1").await;
        assert_eq!(sale["affiliate"], wins, "{policy}: {}", later.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cookie_is_valid_where_the_public_suffix_list_allows() {
    let standin = Standin::start().await;
    let hosts = r#"["shop.example", "www.shop.example", "shop.co.uk", "www.shop.co.uk", "me.github.io", "localhost"]"#;
    let edge = Edge::builder(&standin).site("hosts", hosts).site("cookie_days", "45").start().await;
    for (host, domain) in [
        ("shop.example", Some("shop.example")),
        ("www.shop.example", Some("shop.example")),
        ("www.shop.example:8443", Some("shop.example")),
        ("WWW.Shop.Example", Some("shop.example")),
        ("shop.co.uk", Some("shop.co.uk")),
        ("www.shop.co.uk", Some("shop.co.uk")),
        ("me.github.io", Some("me.github.io")),
        ("localhost", None),
        ("localhost:8080", None),
    ] {
        let answer = edge.track_call("alice").host(host).send().await.expect(200);
        let cookie = answer.cookie(COOKIE).expect("a cookie");
        assert_eq!(cookie.attribute("domain"), domain, "{host}");
        assert_eq!(cookie.attribute("path"), Some("/"), "{host}");
        assert_eq!(cookie.attribute("samesite"), Some("Lax"), "{host}");
        assert_eq!(cookie.attribute("max-age"), Some("3888000"), "{host}: 45 days");
        assert_eq!(cookie.attribute("httponly"), None, "{host}: integrators read it in the page");
        assert_eq!(cookie.attribute("secure"), None, "{host}: plain http");
        let caching = answer.header("cache-control").unwrap_or_default();
        assert!(caching.contains("no-store"), "{host}: {caching}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn secure_follows_the_scheme_that_a_trusted_proxy_reports() {
    let (standin, edge) = start().await;
    let secure = |answer: &Answer| answer.cookie(COOKIE).expect("a cookie").attribute("secure").is_some();
    let answer = edge.track_call("alice").header("x-forwarded-proto", "https").send().await.expect(200);
    assert!(secure(&answer), "a trusted proxy said https");
    let strict = Edge::builder(&standin).server("trusted_proxies", "[]").start().await;
    let answer = strict.track_call("alice").header("x-forwarded-proto", "https").send().await.expect(200);
    assert!(!secure(&answer), "nobody is trusted to say so");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_look_is_not_counted() {
    let (standin, edge) = start().await;
    let robots = [
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
        "curl/8.5.0",
        "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
        "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
        "python-requests/2.31.0",
        "",
    ];
    for robot in robots {
        let body = json!({"programId": PROGRAM, "trackingId": "robot"});
        let answer = edge.track_call("robot").header("user-agent", robot).json(&body).send().await;
        assert!(
            answer.status < 300 && answer.cookies().is_empty(),
            "{robot}: {} {}",
            answer.status,
            answer.text()
        );
        assert!(no_click(&answer), "{robot}: {}", answer.text());
    }
    for (name, value) in [
        ("sec-purpose", "prefetch"),
        ("sec-purpose", "prefetch;prerender"),
        ("purpose", "prefetch"),
        ("x-moz", "prefetch"),
    ] {
        let answer = edge.track_call("prefetch").header(name, value).send().await;
        assert!(answer.status < 300 && answer.cookies().is_empty(), "{name}: {value}: {}", answer.status);
    }
    let head = request(http::Method::HEAD, edge.http(), "/r/track?via=head").host(HOST).send().await;
    assert!(head.cookies().is_empty(), "HEAD: {}", head.status);

    // A person's click, answered by the platform, comes after all of those.
    let person = cid(&edge.track("alice").await);
    let received = standin.received().await;
    assert_eq!(received.clicks().len(), 1, "{:#?}", received.clicks());
    assert_eq!(received.clicks()[0]["id"], person.as_str());
}

/// Whether an answer names no click (an empty or absent `cid`, as the contract has it).
fn no_click(answer: &Answer) -> bool {
    answer.body.is_empty() || matches!(&answer.json()["cid"], Value::Null) || answer.json()["cid"] == ""
}

#[tokio::test(flavor = "multi_thread")]
async fn the_edge_reads_the_address_of_a_page_that_may_not_run_webassembly() {
    let (standin, edge) = start().await;
    let call = |url: &str| edge.track_call("-").json(&json!({"programId": PROGRAM, "url": url}));
    let address = "https://shop.example/p?via=alice&sub1=spring&utm_source=news+letter&utm_campaign=%C3%BC&gclid=G-1&x=1";
    let click = cid(&call(address).send().await.expect(200));
    let routed =
        cid(&call("https://shop.example/#/p?ref=bob").visitor("203.0.113.9").send().await.expect(200));

    let received = standin.received().await;
    let body = &received.clicks()[0]["body"];
    assert_eq!(received.clicks()[0]["id"], click.as_str());
    let fields = ["trackingId", "sub1", "utmSource", "utmCampaign", "gclid"].map(|name| body[name].clone());
    assert_eq!(fields, ["alice", "spring", "news letter", "ü", "G-1"].map(Value::from), "{body}");
    assert_eq!(body["programId"], PROGRAM);
    assert!(body.get("url").is_none(), "the field is ours, not the platform's: {body}");
    assert_eq!(received.clicks_of("bob")[0]["id"], routed.as_str());

    let nothing = call("https://shop.example/about").visitor("203.0.113.10").send().await;
    assert!(nothing.status < 300 && nothing.cookies().is_empty() && no_click(&nothing), "{}", nothing.text());
    for rubbish in ["", "not an address", "https://shop.example/?via=%00%ff", "https://shop.example/?via=a b"]
    {
        let answer = call(rubbish).visitor("203.0.113.11").send().await;
        assert!(answer.status < 500 && answer.cookies().is_empty(), "{rubbish}: {}", answer.text());
    }
    assert_eq!(standin.received().await.clicks().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_affiliate_gets_no_cookie() {
    let (_standin, edge) = start().await;
    let answer = edge.track("nobody").await;
    assert!(answer.cookie(COOKIE).is_none() && no_click(&answer), "{}", answer.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_platform_costs_the_visitor_its_budget_and_is_told_once() {
    let (standin, edge) = start().await;
    standin.behave(json!({"path": "/v1/track", "mode": "slow", "delay_ms": 2000, "times": 1})).await;
    let start = Instant::now();
    let minted = cid(&edge.track("alice").await);
    let took = start.elapsed();
    assert!(took < AT_ONCE, "the visitor waited {took:?}");
    assert!(minted.starts_with("ush_"), "{minted}");

    // The sale waits for the click's own id, which comes with the late answer; no second click is made for it.
    edge.sell(&Sale::new("order-slow", "49.90").referral(&minted)).await;
    let sale = standin.conversion("order-slow").await;
    let received = standin.received().await;
    assert_eq!(received.clicks_of("alice").len(), 1, "{:#?}", received.clicks());
    assert_eq!(sale["referral_id"], received.clicks()[0]["id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_platform_costs_the_visitor_nothing_and_is_told_later_once() {
    for fault in [
        json!({"mode": "down"}),
        json!({"mode": "drop"}),
        json!({"mode": "rubbish"}),
        json!({"mode": "rate_limit"}),
        json!({"mode": "status", "status": 500}),
    ] {
        let (standin, edge) = start().await;
        let mut track = fault.clone();
        track["path"] = "/v1/track".into();
        let mut clicks = fault.clone();
        (clicks["path"], clicks["times"]) = ("/v1/clicks".into(), 2.into());
        standin.behave(json!([track, clicks])).await;

        let start = Instant::now();
        let minted = cid(&edge.track("alice").await);
        let took = start.elapsed();
        assert!(took < AT_ONCE, "{fault}: the visitor waited {took:?}");
        assert!(minted.starts_with("ush_"), "{fault}: {minted}");
        assert_eq!(cid(&edge.track("alice").await), minted, "{fault}: the same click still");

        edge.sell(&Sale::new("order-1", "49.90").referral(&minted)).await;
        let sale = standin.conversion("order-1").await;
        let received = standin.received().await;
        assert_eq!(received.clicks_of("alice").len(), 1, "{fault}: {:#?}", received.clicks());
        assert_eq!(sale["referral_id"], received.clicks()[0]["id"], "{fault}");
        assert!(
            received.clicks()[0]["ip"].is_null(),
            "{fault}: no whole address rests on disk, and half of one would be wrong"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_minted_click_outlives_a_restart() {
    let (standin, mut edge) = start().await;
    standin
        .behave(json!([{"path": "/v1/track", "mode": "down"}, {"path": "/v1/clicks", "mode": "down"}]))
        .await;
    let minted = cid(&edge.track("alice").await);
    edge.sell(&Sale::new("order-1", "5").referral(&minted)).await;
    edge.kill9();
    standin.behave_well().await;
    edge.restart().await;
    let sale = standin.conversion("order-1").await;
    assert_eq!(sale["affiliate"], "alice");
    assert_eq!(standin.received().await.clicks_of("alice").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_platform_learns_the_visitors_address_through_trusted_proxies_only() {
    let (standin, edge) = start().await;
    let trusting =
        Edge::builder(&standin).server("trusted_proxies", r#"["127.0.0.0/8", "10.0.0.0/8"]"#).start().await;
    let strict = Edge::builder(&standin).server("trusted_proxies", "[]").start().await;
    let cases = [
        (&edge, "a", "203.0.113.9", "203.0.113.9"),
        (&edge, "b", "1.2.3.4, 203.0.113.9", "203.0.113.9"),
        (&edge, "c", "203.0.113.9, 10.1.1.1", "10.1.1.1"),
        (&trusting, "d", "1.2.3.4, 203.0.113.9, 10.1.1.1", "203.0.113.9"),
        (&trusting, "e", "2001:db8::7", "2001:db8::7"),
        (&strict, "f", "203.0.113.9", "127.0.0.1"),
    ];
    for (edge, affiliate, forwarded, visitor) in cases {
        edge.track_call(affiliate).visitor(forwarded).send().await.expect(200);
        let received = standin.received().await;
        let click = received.clicks_of(affiliate)[0];
        assert_eq!(click["ip"], visitor, "{affiliate}: {forwarded}");
        let headers = &click["headers"];
        assert_eq!(headers["x-real-ip"], visitor, "{headers}");
        assert!(headers.get("cookie").is_none(), "cookies are between the visitor and the shop: {headers}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_name_of_the_route_counts_the_same() {
    let (standin, edge) = start().await;
    for (path, affiliate) in [("/r/track", "a"), ("/r/v1/track", "b")] {
        let body = json!({"programId": PROGRAM, "trackingId": affiliate});
        let call = edge.post(path).header("user-agent", "Mozilla/5.0 Firefox/140.0").visitor("198.51.100.9");
        let answer = call.json(&body).send().await.expect(200);
        assert_eq!(standin.received().await.clicks_of(affiliate)[0]["id"], cid(&answer).as_str());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_turned_away() {
    let (_standin, edge) = start().await;
    for host in ["other.example", "shop.example.evil.example", "127.0.0.1", "evilshop.example"] {
        let answer = edge.track_call("alice").host(host).send().await;
        assert_eq!((answer.status, answer.cookies().len()), (421, 0), "{host}: {}", answer.text());
    }
    for path in [
        "/r/",
        "/r/nothing",
        "/r/track/more",
        "/",
        "/index.html",
        "/rtrack",
        "/r/../r/nothing",
        "/r/hooks/stripe",
    ] {
        let answer = get(edge.http(), path).host(HOST).send().await;
        assert_eq!(answer.status, 404, "{path}: {}", answer.text());
    }
    let answer = edge.post("/r/track").visitor("203.0.113.1").body("application/json", "{").send().await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    let long = format!(r#"{{"programId":"{PROGRAM}","trackingId":"alice","x":"{}"}}"#, "y".repeat(64 * 1024));
    let answer = edge.post("/r/track").body("application/json", long).send().await;
    assert_eq!(answer.status, 413, "{}", answer.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn other_origins_may_not_read_answers_with_credentials() {
    let (_standin, edge) = start().await;
    for (origin, allowed) in [
        ("https://shop.example", true),
        ("https://www.shop.example", true),
        ("https://evil.example", false),
        ("https://shop.example.evil.example", false),
        ("null", false),
    ] {
        let answer = edge.track_call("alice").header("origin", origin).send().await;
        let reflected = answer.header("access-control-allow-origin");
        assert_eq!(reflected == Some(origin), allowed, "{origin}: {reflected:?}");
        assert_ne!(reflected, Some("*"), "{origin}");
        let asked = request(http::Method::OPTIONS, edge.http(), "/r/track")
            .host(HOST)
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .send()
            .await;
        let granted = asked.header("access-control-allow-origin") == Some(origin);
        assert_eq!(granted, allowed, "preflight of {origin}: {} {:?}", asked.status, asked.headers);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lead_is_told_to_the_platform() {
    let (standin, edge) = start().await;
    let click = cid(&edge.track("alice").await);
    for path in ["/r/signups", "/r/js/signups"] {
        let body =
            json!({"programId": PROGRAM, "click_id": click, "email": "ada@mail.example", "name": "Ada"});
        let call = edge.post(path).header("user-agent", "Mozilla/5.0 Firefox/140.0").json(&body);
        let answer = call.header("cookie", &format!("{COOKIE}={click}")).send().await;
        assert!((200..300).contains(&answer.status), "{path}: {} {}", answer.status, answer.text());
        assert_eq!(answer.json()["success"], true, "{path}: {}", answer.text());
    }
    let lead = standin.shows("the lead", |received| received.signups().first().cloned()).await;
    assert_eq!((&lead["click_id"], &lead["email"]), (&json!(click), &json!("ada@mail.example")));
    assert_eq!(standin.received().await.signups().len(), 1);
}
