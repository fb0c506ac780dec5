//! What pages call: track, signups, codes.

mod support;

use support::World;
use usher_model::Secret;

#[tokio::test]
async fn a_report_gets_the_click_and_its_cookies() {
    let world = World::new().await;
    let neutral = format!("/r/{}", world.names().track);
    let reply = world.report().header("X-Forwarded-For", "198.51.100.7").send().await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.json()["cid"], "cid-1");
    assert_eq!(reply.json()["data"]["discount"]["amount"], 10);
    let cookies = reply.all("set-cookie");
    let referral =
        cookies.iter().find(|field| field.starts_with("affonso_referral=cid-1;")).expect("a cookie");
    for part in ["Path=/", "Max-Age=2592000", "SameSite=Lax", "Secure", "Domain=shop.example"] {
        assert!(referral.split("; ").any(|found| found == part), "{part} in {referral}");
    }
    assert!(!referral.contains("HttpOnly"));
    assert!(cookies.iter().any(|field| field.starts_with("affonso_data=%7B")), "{cookies:?}");
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert_eq!(reply.header("vary"), Some("Origin"));
    assert_eq!(reply.header("access-control-allow-origin"), Some("https://shop.example"));
    assert_eq!(reply.header("access-control-allow-credentials"), Some("true"));

    let call = &world.platform.tracks()[0];
    assert_eq!(call.address.map(|address| address.to_string()).as_deref(), Some("198.51.100.7"));
    for path in ["/r/v1/track", &neutral] {
        let again =
            world.ask("POST", path).header("Cookie", "affonso_referral=cid-1").body("{}").send().await;
        assert_eq!(again.status, 200, "{path}: {}", again.text());
    }
    assert_eq!(world.platform.tracks().len(), 1, "nothing to report is no click");
    assert!(
        world.metrics().contains(r#"usher_tracked_total{site="shop",outcome="platform"} 1"#),
        "{}",
        world.metrics()
    );
}

#[tokio::test]
async fn a_site_that_signs_clicks_believes_what_it_signed_and_no_other() {
    let world = World::with(|site| site.click_signing_key = Some(Secret::new("a key of the site"))).await;
    let reply = world.report().header("X-Forwarded-For", "198.51.100.7").send().await;
    let cookies = reply.all("set-cookie");
    let proof = *cookies.iter().find(|field| field.contains("HttpOnly")).expect("one that no script reads");
    for part in ["Path=/", "Max-Age=2592000", "SameSite=Lax", "Secure", "Domain=shop.example"] {
        assert!(proof.split("; ").any(|found| found == part), "{part} in {proof}");
    }
    let pair = proof.split(';').next().expect("a name and a value");
    assert!(!pair.contains("affonso") && pair.contains("=cid-1.alice."), "{pair}");

    // The readable cookie was overwritten by somebody who stuffs cookies; the proof is stronger.
    let stuffed = format!("affonso_referral=cid-of-mallory; {pair}");
    let lead = |cookies: &str| {
        let page = world.ask("POST", "/r/signups").header("Origin", "https://shop.example");
        let page = page.header("Content-Type", "application/json").header("Cookie", cookies);
        page.body(r#"{"email":"kim@example.org"}"#).send()
    };
    assert_eq!(lead(&stuffed).await.status, 201);
    let forged = format!("affonso_referral=cid-1; {}", pair.replace("=cid-1.", "=cid-2."));
    assert_eq!(lead(&forged).await.status, 200, "the same lead: what was forged is as if it was not there");
    let bodies: Vec<String> = world.platform.delivered().into_iter().map(|(_, body)| body).collect();
    assert!(matches!(&bodies[..], [one] if one.contains("cid-1") && !one.contains("mallory")), "{bodies:?}");

    // Where another click is granted that nobody can prove, the proof of the old one goes.
    let handed = r#"{"programId":"prog","upgradeClickId":"from-elsewhere","hasConsent":true}"#;
    let page = world.ask("POST", "/r/track").header("Origin", "https://shop.example");
    let page = page.header("Content-Type", "application/json").header("Cookie", &stuffed);
    let reply = page.body(handed).send().await;
    let gone = reply.all("set-cookie").into_iter().find(|field| field.contains("HttpOnly"));
    assert!(gone.is_some_and(|field| field.contains("=; ") && field.contains("Max-Age=0")), "{gone:?}");
}

#[tokio::test]
async fn the_cookie_is_secure_only_on_https() {
    let world = World::new().await;
    let body = r#"{"programId":"prog","url":"http://shop.example/?via=alice"}"#;
    let plain = world.ask("POST", "/r/track").header("Origin", "http://shop.example").body(body).send().await;
    assert!(!plain.header("set-cookie").expect("a cookie").contains("Secure"));
    let told = world.ask("POST", "/r/track").header("X-Forwarded-Proto", "https").body(body).send().await;
    assert!(told.header("set-cookie").expect("a cookie").contains("Secure"));
}

#[tokio::test]
async fn other_peoples_pages_get_nothing() {
    let world = World::new().await;
    world.put_code("SAVE10").await;
    for (name, value) in
        [("Origin", "https://evil.example"), ("Origin", "null"), ("Sec-Fetch-Site", "cross-site")]
    {
        for path in ["/r/track", "/r/signups"] {
            let body = r#"{"programId":"prog","url":"https://shop.example/?via=mallory"}"#;
            let reply = world
                .ask("POST", path)
                .header(name, value)
                .header("Content-Type", "text/plain")
                .body(body)
                .send()
                .await;
            assert_eq!(
                (reply.status, reply.json()["error"]["code"].as_str()),
                (403, Some("FORBIDDEN")),
                "{path} {value}"
            );
            assert!(
                reply.all("set-cookie").is_empty() && reply.header("access-control-allow-origin").is_none()
            );
        }
        for method in ["GET", "POST"] {
            let code = world.ask(method, "/r/codes/SAVE10").header(name, value).send().await;
            assert_eq!(code.status, 200);
            assert!(
                code.all("set-cookie").is_empty() && code.header("access-control-allow-origin").is_none()
            );
        }
    }
    assert!(world.platform.tracks().is_empty() && world.platform.delivered().is_empty());
}

#[tokio::test]
async fn bodies_are_checked_before_they_are_read() {
    let world = World::new().await;
    let beacon = |site: &str| {
        world
            .ask("POST", "/r/track")
            .header("Origin", "https://shop.example")
            .header("Sec-Fetch-Site", site)
            .header("Content-Type", "text/plain;charset=UTF-8")
    };
    assert_eq!(beacon("same-origin").body("{}").send().await.status, 200);
    assert_eq!(beacon("same-site").body("{}").send().await.status, 200);
    assert_eq!(beacon("cross-site").body("{}").send().await.status, 403);
    let form = world
        .ask("POST", "/r/track")
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body("a=b")
        .send()
        .await;
    assert_eq!(form.status, 415);
    let large = world.ask("POST", "/r/track").body(&" ".repeat(16 * 1024 + 1)).send().await;
    assert_eq!(large.status, 413);
    let chunk = format!("4001\r\n{}\r\n0\r\n\r\n", " ".repeat(0x4001));
    let mut chunked = world.ask("POST", "/r/track").header("Transfer-Encoding", "chunked").start().await;
    tokio::io::AsyncWriteExt::write_all(&mut chunked, chunk.as_bytes()).await.expect("sent");
    assert_eq!(support::Reply::of(chunked).await.status, 413);
    let broken = world.report().header("X", "x").send().await;
    assert_eq!(broken.status, 200);
    let rubbish =
        world.ask("POST", "/r/track").header("Content-Type", "application/json").body("{").send().await;
    assert_eq!((rubbish.status, rubbish.json()["error"]["code"].as_str()), (400, Some("VALIDATION_ERROR")));
}

#[tokio::test]
async fn preflights_are_answered_for_the_sites_own_pages() {
    let world = World::new().await;
    for path in ["/r/track", "/r/signups", "/r/codes/x", "/r/pixel.js"] {
        let own = world
            .ask("OPTIONS", path)
            .header("Origin", "https://go.shop.example")
            .header("Access-Control-Request-Method", "POST")
            .send()
            .await;
        assert_eq!(own.status, 204, "{path}");
        assert_eq!(own.header("access-control-allow-origin"), Some("https://go.shop.example"));
        assert_eq!(own.header("access-control-allow-methods"), Some("GET,POST,OPTIONS"));
        assert_eq!(own.header("access-control-allow-headers"), Some("Content-Type,Accept"));
        assert_eq!(own.header("access-control-max-age"), Some("86400"));
        assert_eq!(own.header("vary"), Some("Origin"));
        let foreign = world.ask("OPTIONS", path).header("Origin", "https://evil.example").send().await;
        assert_eq!((foreign.status, foreign.header("access-control-allow-origin")), (204, None));
        assert_eq!(foreign.header("access-control-allow-methods"), None);
        assert_eq!(foreign.header("vary"), Some("Origin"));
    }
}

#[tokio::test]
async fn codes_are_resolved_and_head_counts_nothing() {
    let world = World::new().await;
    world.put_code("SAVE 10").await;
    let head = world.ask("HEAD", "/r/codes/SAVE%2010").send().await;
    assert_eq!((head.status, head.body.len(), head.all("set-cookie").len()), (200, 0, 0));
    let found = world.ask("GET", "/r/codes/save%2010").header("Origin", "https://shop.example").send().await;
    assert_eq!(
        (found.status, &found.json()["valid"]),
        (200, &serde_json::Value::Bool(true)),
        "{}",
        found.text()
    );
    assert_eq!(found.header("cache-control"), Some("no-store"));
    assert!(found.header("set-cookie").is_some_and(|field| field.starts_with("affonso_referral=cid-1;")));
    assert_eq!(world.platform.tracks().len(), 1, "only the page's own look counts");
    let neutral = format!("/r/{}/save%2010", world.names().codes);
    assert_eq!(world.ask("GET", &neutral).send().await.status, 200);
    assert_eq!(world.ask("GET", "/r/codes/%").send().await.status, 400);
    for code in ["NOPE", "%FF", "%00", "%2F"] {
        let unknown = world
            .ask("GET", &format!("/r/codes/{code}"))
            .header("Origin", "https://shop.example")
            .send()
            .await;
        assert_eq!(unknown.status, 404, "{code}");
        assert_eq!(
            unknown.header("access-control-allow-origin"),
            Some("https://shop.example"),
            "the page may read it"
        );
    }
    let mut limited = None;
    for guess in 0..40 {
        let reply = world.ask("GET", &format!("/r/codes/GUESS{guess}")).send().await;
        if reply.status == 429 {
            limited = Some(reply);
            break;
        }
    }
    let limited = limited.expect("guessing ends");
    assert_eq!(limited.json()["error"]["code"], "RATE_LIMIT_EXCEEDED");
    assert!(limited.header("retry-after").is_some() && limited.json()["error"]["retryAfter"].is_u64());
}

#[tokio::test]
async fn a_page_applies_a_code_and_an_unknown_one_is_no_error() {
    let world = World::new().await;
    world.put_code("SAVE 10").await;
    let apply = |path: &str| world.ask("POST", path).header("Origin", "https://shop.example");
    for body in ["", "{}", "neither JSON nor \u{0}"] {
        let applied =
            apply("/r/codes/save%2010").header("Content-Type", "text/plain").body(body).send().await;
        let said = applied.json();
        assert_eq!((applied.status, &said["valid"], &said["code"]), (200, &true.into(), &"SAVE 10".into()));
        assert_eq!(said["cid"], "cid-1");
        assert_eq!(applied.header("access-control-allow-origin"), Some("https://shop.example"));
        assert_eq!(applied.header("cache-control"), Some("no-store"));
        assert!(applied.header("set-cookie").is_some_and(|set| set.starts_with("affonso_referral=cid-1;")));
    }
    assert_eq!(world.platform.tracks().len(), 1, "one visitor, one click");
    let neutral = format!("/r/{}/nope", world.names().codes);
    for (path, code) in [("/r/codes/nope", "NOPE"), (&neutral, "NOPE"), ("/r/codes/%00%C3%9F", "\0ß")] {
        let unknown = apply(path).send().await;
        let wanted = serde_json::json!(
            {"code": code, "valid": false, "discount": null, "reason": "unknown"}
        );
        assert_eq!((unknown.status, unknown.json()), (200, wanted), "{path}");
        assert!(unknown.all("set-cookie").is_empty());
    }
    let large = apply("/r/codes/nope").body(&"x".repeat(usher_model::limits::BROWSER_BODY_BYTES + 1));
    assert_eq!(large.send().await.status, 413);
    let mut statuses = Vec::new();
    for guess in 0..40 {
        statuses.push(apply(&format!("/r/codes/GUESS{guess}")).send().await.status);
    }
    assert_eq!((statuses[0], statuses.last()), (200, Some(&429)), "guesses are counted whatever the method");
    assert_eq!(world.ask("GET", "/r/codes/GUESS").send().await.status, 429);
}

#[tokio::test]
async fn a_lead_is_taken_from_the_page() {
    let world = World::new().await;
    let cid = world.report().send().await.json()["cid"].as_str().expect("an id").to_owned();
    let reply = world
        .ask("POST", "/r/js/signups")
        .header("Origin", "https://shop.example")
        .header("Cookie", &format!("affonso_referral={cid}"))
        .header("Content-Type", "application/json")
        .body(r#"{"email":"a@shop.example"}"#)
        .send()
        .await;
    assert!((200..300).contains(&reply.status), "{} {}", reply.status, reply.text());
    assert_eq!(reply.json()["success"], true);
    assert_eq!(reply.header("access-control-allow-origin"), Some("https://shop.example"));
}
