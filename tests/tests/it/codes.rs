//! Promo codes, in the embedded store and in Redis.

use std::time::Duration;

use serde_json::json;
use usher_tests::{Answer, Edge, Sale, eventually, eventually_within};

use crate::backing::{Backing, stranger, with_both_stores};

/// "A change is seen by every edge within a second."
const SEEN_WITHIN: Duration = Duration::from_secs(1);

with_both_stores!(
    typed_as_people_type_them,
    start_and_expiry,
    uses_are_counted_and_end,
    an_unknown_code_is_not_found,
    an_applied_code_brings_its_own_offers,
    guessing_is_limited_and_known_codes_are_not,
    the_command_lists_exports_and_imports,
    a_change_by_the_command_is_seen_within_a_second,
);

async fn typed_as_people_type_them(backing: Backing) {
    let edge = backing.edge().await;
    let code = json!({"affiliate": "alice", "discount": {"amount": 10, "type": "percentage"}});
    backing.known_code(&edge, "SPRING10", &code).await;
    backing.known_code(&edge, "STRASSE", &json!({"affiliate": "bob"})).await;
    for typed in
        ["SPRING10", "spring10", "Spring10", "  spring10 ", "\u{a0}SPRING10\u{2003}", "\tspring10\u{3000}"]
    {
        let answer = edge.code_call(typed).send().await.expect(200);
        let body = answer.json();
        assert_eq!((&body["valid"], &body["code"]), (&json!(true), &json!("SPRING10")), "{typed:?}: {body}");
        assert_eq!(body["discount"], json!({"amount": 10, "type": "percentage"}), "{typed:?}");
    }
    for typed in ["stra\u{df}e", "SPRING 10", "SPRING1"] {
        let folded = edge.code_call(typed).send().await.status;
        let expected = if typed.starts_with("str") { 200 } else { 404 };
        assert_eq!(folded, expected, "{typed:?}");
    }
}

async fn start_and_expiry(backing: Backing) {
    let edge = backing.edge().await;
    for (name, code, reason) in [
        ("OVER", json!({"affiliate": "alice", "expires_at": "2020-01-01T00:00:00Z"}), Some("expired")),
        ("SOON", json!({"affiliate": "alice", "starts_at": "2099-01-01"}), Some("not_started")),
        (
            "NOW",
            json!({"affiliate": "alice", "starts_at": "2020-01-01", "expires_at": "2099-01-01T00:00:00Z"}),
            None,
        ),
    ] {
        backing.known_code(&edge, name, &code).await;
        let answer = edge.code_call(name).send().await.expect(200);
        let body = answer.json();
        assert_eq!(body["valid"], reason.is_none(), "{body}");
        assert_eq!(body["reason"].as_str(), reason, "{body}");
        assert_eq!(answer.header("cache-control").map(|text| text.contains("no-store")), Some(true));
        let sale = edge.sale_call(&Sale::new(&format!("order-{name}"), "10").promo_code(name)).send().await;
        assert_eq!(sale.status == 404, reason.is_some(), "{name}: {}", sale.text());
    }
    backing.standin.conversion("order-NOW").await;
    let sales = backing.standin.received().await;
    assert_eq!(
        sales.conversions().len(),
        1,
        "a code out of its time credits nobody: {:#?}",
        sales.conversions()
    );
}

async fn uses_are_counted_and_end(backing: Backing) {
    let edge = backing.edge().await;
    backing.known_code(&edge, "TWICE", &json!({"affiliate": "alice", "max_uses": 2})).await;
    for order in ["order-1", "order-2", "order-2"] {
        edge.sell(&Sale::new(order, "10").promo_code("twice")).await;
    }
    let spent = |answer: &Answer| answer.json()["reason"] == "used_up";
    eventually("the code is used up", async || {
        spent(&edge.code_call("TWICE").send().await.expect(200)).then_some(())
    })
    .await;
    let third = edge.sale_call(&Sale::new("order-3", "10").promo_code("TWICE")).send().await;
    assert_ne!(third.status / 100, 5, "{}", third.text());
    for order in ["order-1", "order-2"] {
        assert_eq!(backing.standin.conversion(order).await["affiliate"], "alice");
    }
    let received = backing.standin.received().await;
    let credited: Vec<_> = received.conversions().iter().map(|sale| &sale["external_event_id"]).collect();
    assert_eq!(credited.len(), 2, "{credited:?}");
    // Neither the replay nor the code that is used up minted a click; each sale with the code has one of its own. (The looks
    // at the code made clicks as well, as a page's do.)
    let minted = received.clicks_of("alice").iter().filter(|click| click["via"] == "clicks").count();
    assert_eq!(minted, 2, "{:#?}", received.clicks());
}

async fn an_unknown_code_is_not_found(backing: Backing) {
    let edge = backing.edge().await;
    for code in ["NOSUCH", "%", "\u{0}", "a/b", &"x".repeat(65), &"x".repeat(2_000), "\u{1f984}"] {
        let answer = edge.code_call(code).send().await;
        assert!(matches!(answer.status, 400 | 404), "{code:?}: {} {}", answer.status, answer.text());
        assert!(answer.cookies().is_empty(), "{code:?}");
    }
    let answer = edge.code_call("NOSUCH").send().await.expect(404);
    assert_eq!(
        (&answer.json()["success"], &answer.json()["error"]["code"]),
        (&json!(false), &json!("NOT_FOUND"))
    );
}

async fn an_applied_code_brings_its_own_offers(backing: Backing) {
    let edge = backing.edge().await;
    let ten = json!({"amount": 10, "type": "percentage"});
    backing.known_code(&edge, "BOBS", &json!({"affiliate": "bob"})).await;
    backing.known_code(&edge, "CAROLS", &json!({"affiliate": "carol", "discount": ten})).await;
    backing.known_code(&edge, "DAVES", &json!({"affiliate": "dave"})).await;
    let alice = edge.track("alice").await;
    let cookies = alice.cookies().iter().map(|set| format!("{}={}", set.name, set.value)).collect::<Vec<_>>();
    let apply = async |code: &str| {
        let call = edge.code_call(code).method("POST").header("origin", "http://shop.example");
        call.header("cookie", &cookies.join("; ")).send().await.expect(200)
    };
    let nothing = json!({"discount": null, "affiliateCoupons": []});
    for (code, says) in [
        ("bobs", None),
        ("carols", Some(json!({"discount": ten, "affiliateCoupons": []}))),
        ("daves", Some(nothing.clone())),
    ] {
        let applied = apply(code).await;
        let (body, cookie) = (applied.json(), applied.cookie("affonso_data").expect("alice's do not stay"));
        let data = says.unwrap_or_else(|| body["data"].clone());
        assert_eq!(body["data"], data, "{code}");
        assert_eq!(applied.cookie("affonso_referral").map(|set| set.value.into()), Some(body["cid"].clone()));
        let decoded = decode(&cookie.value);
        let kept = serde_json::from_str(&decoded).unwrap_or_else(|_| nothing.clone());
        assert_eq!(kept, data, "{code}: {decoded}");
        assert_eq!(cookie.attribute("max-age") == Some("0"), code == "daves", "{code}");
        assert_eq!(data["discount"]["promoCode"] == "BOB15", code == "bobs", "{data}");
    }
    let unknown = apply("nosuch").await;
    let wanted = json!({"code": "NOSUCH", "valid": false, "discount": null, "reason": "unknown"});
    assert_eq!((unknown.json(), unknown.cookies().len()), (wanted, 0));
}

/// As `decodeURIComponent` does.
fn decode(value: &str) -> String {
    let mut parts = value.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (hex, rest) = part.split_at(2);
        bytes.push(u8::from_str_radix(hex, 16).expect("two hex digits"));
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).expect("text")
}

async fn guessing_is_limited_and_known_codes_are_not(backing: Backing) {
    let edge = backing.edge().await;
    backing.known_code(&edge, "REAL", &json!({"affiliate": "alice"})).await;
    let mut statuses = Vec::new();
    for guess in 0..40 {
        let answer = edge.code_call(&format!("GUESS{guess}")).visitor("203.0.113.50").send().await;
        if answer.status == 429 {
            let wait: u64 =
                answer.header("retry-after").and_then(|text| text.parse().ok()).unwrap_or_default();
            assert!(wait > 0, "a 429 says when to come back: {:?}", answer.headers);
        }
        statuses.push(answer.status);
    }
    assert_eq!(statuses[0], 404);
    let limited = statuses.iter().filter(|status| **status == 429).count();
    assert!(limited >= 15, "forty guesses, {limited} of them refused: {statuses:?}");
    let other = edge.code_call("GUESS").visitor("198.51.100.50").send().await;
    assert_eq!(other.status, 404, "another shopper is not punished");
    for _ in 0..40 {
        edge.code_call("REAL").visitor("198.51.100.51").send().await.expect(200);
    }
}

async fn the_command_lists_exports_and_imports(backing: Backing) {
    let edge = backing.edge().await;
    let run = async |arguments: &[&str]| {
        let output = edge.usher(arguments).await;
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {complaint}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let file = edge.config().with_file_name("codes.csv");
    std::fs::write(
        &file,
        "code,affiliate,discount,starts_at,expires_at,max_uses\nspring10,alice,,,2099-01-01,5\nb2b,bob,,,,\n",
    )
    .expect("the file is written");
    run(&["codes", "import", &file.display().to_string()]).await;
    let listed = run(&["codes", "list", "--json"]).await;
    let lines: Vec<serde_json::Value> =
        listed.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    assert_eq!(lines.len(), 2, "{listed}");
    assert!(listed.contains("SPRING10") && listed.contains("B2B"), "{listed}");
    let exported = run(&["codes", "export"]).await;
    assert!(exported.starts_with("code,affiliate,discount,starts_at,expires_at,max_uses"), "{exported}");
    assert!(exported.contains("SPRING10,alice,"), "{exported}");
    run(&["codes", "remove", "Spring10"]).await;
    assert_eq!(run(&["codes", "list", "--json"]).await.lines().count(), 1);
    std::fs::write(&file, "code,affiliate\ngood,alice\nbad,not an affiliate\n").expect("the file is written");
    let output = edge.usher(&["codes", "import", &file.display().to_string()]).await;
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{complaint}");
    assert!(complaint.contains('3'), "the third line is wrong: {complaint}");
    assert_eq!(run(&["codes", "list", "--json"]).await.lines().count(), 1, "all of a file or nothing");
}

async fn a_change_by_the_command_is_seen_within_a_second(backing: Backing) {
    let edge = backing.edge().await;
    let status = async |expected: u16| {
        eventually_within(SEEN_WITHIN, &format!("the code answers {expected}"), async || {
            (edge.code_call("FRESH").visitor(&stranger()).send().await.status == expected).then_some(())
        })
        .await
    };
    for _ in 0..3 {
        assert!(edge.usher(&["codes", "add", "FRESH", "--affiliate", "alice"]).await.status.success());
        status(200).await;
        assert!(edge.usher(&["codes", "remove", "FRESH"]).await.status.success());
        status(404).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_by_redis_cli_is_seen_by_every_edge_within_a_second() {
    let backing = Backing::redis().await;
    let (one, two) = (backing.edge().await, backing.edge().await);
    let redis = backing.redis.as_ref().expect("it was asked for");
    let percent = async |edge: &Edge| {
        edge.code_call("SALE").visitor(&stranger()).send().await.json()["discount"]["amount"].as_u64()
    };
    for round in 1..=5_u64 {
        let value = json!({"affiliate": "alice", "discount": {"amount": round, "type": "percentage"}});
        redis.put_code("shop", "SALE", &value.to_string()).await;
        for edge in [&one, &two] {
            eventually_within(SEEN_WITHIN, "the new discount", async || {
                (percent(edge).await == Some(round)).then_some(())
            })
            .await;
        }
    }
    redis.cli(&["HDEL", "usher:shop:codes", "SALE"]).await;
    for edge in [&one, &two] {
        eventually_within(SEEN_WITHIN, "the code is gone", async || {
            (edge.code_call("SALE").visitor(&stranger()).send().await.status == 404).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rubbish_in_redis_harms_no_other_code() {
    let backing = Backing::redis().await;
    let edge = backing.edge().await;
    let redis = backing.redis.as_ref().expect("it was asked for");
    for (code, json) in [("BAD1", "not json"), ("BAD2", "{}"), ("BAD3", r#"{"affiliate":"a b"}"#), ("", "{}")]
    {
        redis.put_code("shop", code, json).await;
    }
    backing.known_code(&edge, "GOOD", &json!({"affiliate": "alice"})).await;
    assert_eq!(edge.code_call("BAD1").send().await.status, 404);
    let said = edge.process().transcript();
    assert!(said.contains("BAD1"), "the log names what cannot be read: {said}");
}
