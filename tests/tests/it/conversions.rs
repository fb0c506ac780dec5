//! Sales: accepted, attributed, written down, delivered once.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use usher_tests::{Edge, KEY, Sale, Standin, eventually, hmac_hex};

use crate::backing::{Backing, stranger, with_both_stores};

with_both_stores!(
    a_sale_is_answered_with_the_platforms_own_words,
    a_replay_is_the_same_sale_and_other_content_is_a_conflict,
    every_alias_of_the_referral_is_understood,
    a_code_alone_credits_its_affiliate_with_one_click,
    a_replay_is_the_same_sale_also_when_its_code_is_gone,
    a_customer_seen_before_is_enough,
    amounts_arrive_exactly,
    a_platform_that_is_down_costs_a_202_and_nothing_else,
    a_reply_that_was_lost_makes_no_second_sale,
    a_rate_limit_is_obeyed,
    rubbish_and_refusals_are_retried_or_told,
    what_was_accepted_survives_a_restart,
);

async fn click(edge: &Edge, affiliate: &str) -> String {
    edge.track(affiliate).await.json()["cid"].as_str().expect("a click's id").to_owned()
}

async fn a_sale_is_answered_with_the_platforms_own_words(backing: Backing) {
    let edge = backing.edge().await;
    let referral = click(&edge, "alice").await;
    let sale = Sale::new("order-1", "99.90").referral(&referral).customer("cus_1").text("order_id", "1001");
    let answer = edge.sell(&sale).await.expect(201);
    let data = &answer.json()["data"];
    assert_eq!(answer.json()["success"], true);
    assert_eq!(
        (&data["referral_id"], &data["external_event_id"]),
        (&json!(referral), &json!("order-1")),
        "{data}"
    );
    assert!(data["id"].as_str().is_some_and(|id| id.starts_with("com_")), "the platform's id: {data}");
    let received = backing.standin.conversion("order-1").await;
    assert_eq!((&received["affiliate"], &received["replays"]), (&json!("alice"), &json!(0)));
    assert_eq!(received["sale_amount_currency"], "USD");
    for ours in ["promo_code", "order_id"] {
        assert!(received["body"].get(ours).is_none(), "{ours} is ours, not the platform's: {received}");
    }
}

async fn a_replay_is_the_same_sale_and_other_content_is_a_conflict(backing: Backing) {
    let edge = backing.edge().await;
    let referral = click(&edge, "alice").await;
    let sale = Sale::new("order-1", "10.00").referral(&referral);
    let first = edge.sell(&sale).await;
    let again = edge.sell(&sale).await;
    assert_eq!(first.json()["data"]["id"], again.json()["data"]["id"]);
    let other = edge.sale_call(&sale.clone().raw("sale_amount", "11.00")).send().await;
    assert_eq!(other.status, 409, "{}", other.text());
    assert_eq!(other.json()["error"]["code"], "DUPLICATE_ERROR");
    // The same amount in other words is the same sale.
    edge.sell(&sale.clone().raw("sale_amount", "10")).await;

    let racing: Vec<_> = (0..8)
        .map(|_| tokio::spawn(edge.sale_call(&Sale::new("race", "5").referral(&referral)).send()))
        .collect();
    for call in racing {
        let answer = call.await.expect("it is not cancelled");
        assert!(answer.status <= 202, "{}: {}", answer.status, answer.text());
    }
    let race = backing.standin.conversion("race").await;
    assert_eq!(race["replays"], 0, "one call to the platform is enough: {race}");
    let received = backing.standin.received().await;
    assert_eq!(received.conversions().len(), 2);
    assert_eq!(received.conversions()[0]["sale_amount"].to_string(), "10");
}

async fn every_alias_of_the_referral_is_understood(backing: Backing) {
    let edge = backing.edge().await;
    let referral = click(&edge, "alice").await;
    for alias in [
        "referralId",
        "clickId",
        "click_id",
        "affonso_id",
        "affonsoId",
        "affonso_referral",
        "affonsoReferral",
    ] {
        edge.sell(&Sale::new(alias, "1").text(alias, &referral)).await;
        assert_eq!(backing.standin.conversion(alias).await["referral_id"], referral.as_str(), "{alias}");
    }
    let empty = Sale::new("empty", "1").referral("").text("affonso_referral", &referral);
    edge.sell(&empty).await;
    assert_eq!(backing.standin.conversion("empty").await["affiliate"], "alice", "front ends write `|| ''`");
}

async fn a_code_alone_credits_its_affiliate_with_one_click(backing: Backing) {
    let edge = backing.edge().await;
    backing.known_code(&edge, "SPRING10", &json!({"affiliate": "alice"})).await;
    let sale = Sale::new("order-1", "89.91").promo_code(" spring10 ").customer("cus_7");
    edge.sell(&sale).await;
    edge.sell(&sale).await;
    let received = backing.standin.conversion("order-1").await;
    assert_eq!(received["affiliate"], "alice");
    let all = backing.standin.received().await;
    // The look at the code made a click as well, as a page's does.
    let minted: Vec<_> =
        all.clicks_of("alice").into_iter().filter(|click| click["via"] == "clicks").collect();
    assert_eq!(minted.len(), 1, "{:#?}", all.clicks());
    assert_eq!(minted[0]["id"], received["referral_id"]);

    // By default the code wins over a click of another affiliate.
    let bob = click(&edge, "bob").await;
    edge.sell(&Sale::new("order-2", "5").promo_code("SPRING10").referral(&bob)).await;
    assert_eq!(backing.standin.conversion("order-2").await["affiliate"], "alice");
    let by_click = backing.builder().site("code_or_click", "\"click\"").start().await;
    backing.known_code(&by_click, "SPRING10", &json!({"affiliate": "alice"})).await;
    let bob = click(&by_click, "bob").await;
    by_click.sell(&Sale::new("order-3", "5").promo_code("SPRING10").referral(&bob)).await;
    assert_eq!(backing.standin.conversion("order-3").await["affiliate"], "bob");
}

async fn a_replay_is_the_same_sale_also_when_its_code_is_gone(backing: Backing) {
    let edge = backing.edge().await;
    backing.known_code(&edge, "SPRING10", &json!({"affiliate": "alice"})).await;
    let sale = Sale::new("order-1", "10").promo_code("SPRING10");
    edge.sell(&sale).await;
    let credited = backing.standin.conversion("order-1").await;
    assert!(edge.usher(&["codes", "remove", "SPRING10"]).await.status.success());
    eventually("the code is gone", async || {
        (edge.code_call("SPRING10").visitor(&stranger()).send().await.status == 404).then_some(())
    })
    .await;
    // A backend that lost the first answer asks again, and must not be told that nobody is credited.
    let again = edge.sale_call(&sale).send().await;
    assert_eq!(again.status, 200, "{}", again.text());
    assert_eq!(again.json()["data"]["id"], credited["id"]);
}

async fn a_customer_seen_before_is_enough(backing: Backing) {
    let mut edge = backing.edge().await;
    let referral = click(&edge, "alice").await;
    edge.sell(&Sale::new("order-1", "10").referral(&referral).customer("cus_1")).await;
    backing.standin.conversion("order-1").await;
    edge.kill9();
    edge.restart().await;
    edge.sell(&Sale::new("order-2", "10").customer("cus_1")).await;
    assert_eq!(backing.standin.conversion("order-2").await["affiliate"], "alice");
}

async fn amounts_arrive_exactly(backing: Backing) {
    let edge = backing.edge().await;
    let referral = click(&edge, "alice").await;
    // Written, and what it is exactly; a float would change most of them.
    let amounts = [
        ("0.1", "0.1"),
        ("0.30", "0.3"),
        ("0.01", "0.01"),
        ("99", "99"),
        ("99.00", "99"),
        ("1.005", "1.005"),
        ("8.1e1", "81"),
        ("\"19.99\"", "19.99"),
        ("999999999999999.99", "999999999999999.99"),
        ("12345678901234.567891", "12345678901234.567891"),
    ];
    for (index, (written, exact)) in amounts.into_iter().enumerate() {
        let event = format!("order-{index}");
        edge.sell(&Sale::new(&event, written).referral(&referral)).await;
        let received = backing.standin.conversion(&event).await;
        let text = received["sale_amount_text"].as_str().unwrap_or_default();
        let shortest =
            if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text };
        assert_eq!(shortest, exact, "{written} became {text}");
    }
    for wrong in ["0", "-1", "0.00", "\"ten\"", "null", "true", "[1]", "1e400", "123456789012345678901.5"] {
        let answer = edge.sale_call(&Sale::new("wrong", wrong).referral(&referral)).send().await;
        assert_eq!(answer.status, 400, "{wrong}: {}", answer.text());
        assert_eq!(answer.json()["error"]["field"], "sale_amount", "{wrong}: {}", answer.text());
    }
}

async fn a_platform_that_is_down_costs_a_202_and_nothing_else(backing: Backing) {
    let edge = backing.edge().await;
    let referral = click(&edge, "alice").await;
    for mode in ["down", "slow"] {
        backing.standin.behave(json!({"path": "/v1/conversions", "mode": mode, "delay_ms": 8000})).await;
        let event = format!("order-{mode}");
        let start = Instant::now();
        let answer = edge.sell(&Sale::new(&event, "10").referral(&referral)).await.expect(202);
        assert!(start.elapsed() < Duration::from_secs(4), "{mode}: the caller waited {:?}", start.elapsed());
        let data = &answer.json()["data"];
        assert_eq!(
            (&answer.json()["success"], &data["status"]),
            (&json!(true), &json!("queued")),
            "{mode}: {data}"
        );
        assert!(data["id"].is_string(), "{data}");
        let again = edge.sell(&Sale::new(&event, "10").referral(&referral)).await.expect(202);
        assert_eq!(again.json()["data"]["id"], data["id"], "{mode}: the same sale");
        backing.standin.behave_well().await;
        backing.standin.conversion(&event).await;
    }
    assert_eq!(backing.standin.received().await.conversions().len(), 2);
}

async fn a_reply_that_was_lost_makes_no_second_sale(backing: Backing) {
    let edge = backing.edge().await;
    let referral = click(&edge, "alice").await;
    backing.standin.behave(json!({"path": "/v1/conversions", "mode": "commit_and_drop", "times": 3})).await;
    edge.sell(&Sale::new("order-1", "10").referral(&referral)).await;
    let replayed =
        |received: &usher_tests::Received| (received.conversions().first()?["replays"] == 3).then_some(());
    backing.standin.shows("the retry after three lost replies", replayed).await;
    let received = backing.standin.received().await;
    assert_eq!(received.conversions().len(), 1);
    assert_eq!(received.conversions()[0]["external_event_id"], "order-1");
}

async fn a_rate_limit_is_obeyed(backing: Backing) {
    let edge = backing.edge().await;
    let referral = click(&edge, "alice").await;
    let limit = json!({"path": "/v1/conversions", "mode": "rate_limit", "retry_after": 3, "times": 1});
    backing.standin.behave(limit).await;
    edge.sell(&Sale::new("order-1", "10").referral(&referral)).await.expect(202);
    backing.standin.conversion("order-1").await;
    let received = backing.standin.received().await;
    let calls = received.requests("/v1/conversions");
    let at: Vec<i64> = calls.iter().filter_map(|call| call["at"].as_i64()).collect();
    assert_eq!(calls.len(), 2, "one refused, one after the wait: {calls:#?}");
    assert!(at[1] - at[0] >= 3_000, "came back after {} ms of 3000", at[1] - at[0]);
}

async fn rubbish_and_refusals_are_retried_or_told(backing: Backing) {
    let edge = backing.edge().await;
    let referral = click(&edge, "alice").await;
    for (index, fault) in [
        json!({"mode": "rubbish"}),
        json!({"mode": "status", "status": 500}),
        json!({"mode": "status", "status": 502}),
    ]
    .into_iter()
    .enumerate()
    {
        let mut fault = fault;
        (fault["path"], fault["times"]) = ("/v1/conversions".into(), 2.into());
        backing.standin.behave(fault.clone()).await;
        let event = format!("order-{index}");
        edge.sell(&Sale::new(&event, "10").referral(&referral)).await;
        assert_eq!(backing.standin.conversion(&event).await["replays"], 0, "{fault}");
    }
    // What the platform refuses for good is told to the caller while it waits, and not tried for ever.
    backing
        .standin
        .behave(json!({"path": "/v1/conversions", "mode": "status", "status": 422, "times": 1}))
        .await;
    let refused = edge.sale_call(&Sale::new("order-refused", "10").referral(&referral)).send().await;
    assert_eq!(refused.status / 100, 4, "{}", refused.text());
    let calls = backing.standin.received().await.requests("/v1/conversions").len();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(
        backing.standin.received().await.requests("/v1/conversions").len(),
        calls,
        "it was tried again"
    );
}

async fn what_was_accepted_survives_a_restart(backing: Backing) {
    let mut edge = backing.edge().await;
    let referral = click(&edge, "alice").await;
    backing.standin.behave(json!({"path": "/v1/conversions", "mode": "down"})).await;
    let sale = Sale::new("order-1", "10").referral(&referral);
    let id = edge.sell(&sale).await.expect(202).json()["data"]["id"].clone();
    edge.kill9();
    edge.restart().await;
    let again = edge.sell(&sale).await;
    assert_eq!(again.json()["data"]["id"], id, "the key holds over the restart");
    assert_eq!(edge.sale_call(&sale.clone().raw("sale_amount", "11")).send().await.status, 409);
    backing.standin.behave_well().await;
    assert_eq!(backing.standin.conversion("order-1").await["affiliate"], "alice");
    let after: Value = edge.sell(&sale).await.json();
    assert!(after["data"]["id"].is_string(), "{after}");
    assert_eq!(backing.standin.received().await.conversions().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_edges_on_one_redis_are_one() {
    let backing = Backing::redis().await;
    let (one, two) = (backing.edge().await, backing.edge().await);
    let referral = click(&one, "alice").await;
    let sale = Sale::new("order-1", "10").referral(&referral).customer("cus_1");
    let (here, there) = tokio::join!(one.sell(&sale), two.sell(&sale));
    backing.standin.conversion("order-1").await;
    assert!(here.status <= 202 && there.status <= 202);
    assert_eq!(two.sale_call(&sale.clone().raw("sale_amount", "11")).send().await.status, 409);
    two.sell(&Sale::new("order-2", "10").customer("cus_1")).await;
    assert_eq!(backing.standin.conversion("order-2").await["affiliate"], "alice");

    // A click that one edge minted is known to the other.
    backing.standin.behave(json!({"path": "/v1/track", "mode": "down", "times": 1})).await;
    let minted = click(&one, "bob").await;
    assert!(minted.starts_with("ush_"), "{minted}");
    two.sell(&Sale::new("order-3", "10").referral(&minted)).await;
    assert_eq!(backing.standin.conversion("order-3").await["affiliate"], "bob");
    let received = backing.standin.received().await;
    assert_eq!((received.conversions().len(), received.clicks_of("bob").len()), (3, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_edges_on_one_redis_know_each_others_clicks() {
    let backing = Backing::redis().await;
    let (one, two) = (backing.edge().await, backing.edge().await);
    // An edge that does not hear from its store within 25 ms makes a new click rather than let the visitor wait, so on a busy
    // machine one visitor proves little: another one is looked at.
    eventually("a visitor who is the same to both edges", async || {
        let visitor = stranger();
        let call = |edge: &Edge| edge.track_call("alice").visitor(&visitor);
        let first = call(&one).send().await.expect(200).json()["cid"].clone();
        let cookie = format!("affonso_referral={}", first.as_str().unwrap_or_default());
        let by_cookie = call(&two).header("cookie", &cookie).send().await.expect(200).json()["cid"].clone();
        let by_address = call(&two).send().await.expect(200).json()["cid"].clone();
        (first == by_cookie && first == by_address).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_to_the_platform_are_signed_where_it_takes_signatures() {
    let standin = Standin::start().await;
    standin.settings(json!({"signing_secret": "whsec_platform", "api_key": "sk_live_right"})).await;
    let edge = Edge::builder(&standin)
        .upstream("api_key", "\"sk_live_right\"")
        .upstream("signing_secret", "\"whsec_platform\"")
        .start()
        .await;
    let referral = click(&edge, "alice").await;
    standin.behave(json!({"path": "/v1/conversions", "mode": "down", "times": 2})).await;
    edge.sell(&Sale::new("order-1", "10").referral(&referral)).await;
    assert_eq!(standin.conversion("order-1").await["signed"], true);
    let wrong = Edge::builder(&standin).upstream("api_key", "\"sk_live_wrong\"").start().await;
    wrong.sell(&Sale::new("order-2", "10").referral(&referral)).await.expect(202);
    assert_eq!(standin.received().await.conversions().len(), 1, "a wrong key is the operator's to mend");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_site_itself_may_report_sales() {
    let standin = Standin::start().await;
    let edge = Edge::builder(&standin).start().await;
    let referral = click(&edge, "alice").await;
    let sale = Sale::new("order-1", "10").referral(&referral);
    for call in [
        edge.sale_call(&sale).without("authorization"),
        edge.sale_call(&sale).bearer("key-of-the-sho"),
        edge.sale_call(&sale).bearer("key-of-the-shop2"),
        edge.sale_call(&sale).bearer(""),
        edge.sale_call(&sale).header("authorization", &format!("Basic {KEY}")),
    ] {
        let answer = call.send().await;
        assert_eq!(answer.status, 401, "{}", answer.text());
        assert_eq!(answer.json()["error"]["code"], "UNAUTHORIZED", "{}", answer.text());
    }
    let keyless = Edge::builder(&standin).site("api_keys", "[]").start().await;
    assert_eq!(keyless.sale_call(&sale).send().await.status, 401, "a site without keys takes no calls");
    assert!(standin.received().await.conversions().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_must_be_signed_where_the_site_wants_it() {
    let standin = Standin::start().await;
    let edge = Edge::builder(&standin).site("signing_secret", "[\"whsec_old\", \"whsec_new\"]").start().await;
    let referral = click(&edge, "alice").await;
    let now = || {
        let output = std::process::Command::new("date").arg("+%s").output().expect("date runs");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    let signed = |event: &str, secret: &str, at: &str| {
        let sale = Sale::new(event, "10").referral(&referral);
        let signature = hmac_hex(secret, at, &sale.json());
        edge.sale_call(&sale).header("x-affonso-timestamp", at).header("x-affonso-signature", &signature)
    };
    assert_eq!(
        edge.sale_call(&Sale::new("a", "10").referral(&referral)).send().await.status,
        401,
        "not signed"
    );
    assert_eq!(signed("b", "whsec_wrong", &now()).send().await.status, 401, "another secret");
    assert_eq!(signed("c", "whsec_new", "1700000000").send().await.status, 401, "long ago");
    for (event, secret) in [("d", "whsec_old"), ("e", "whsec_new")] {
        let answer = signed(event, secret, &now()).send().await;
        assert!(answer.status <= 202, "{secret}: {}", answer.text());
    }
    standin.conversion("d").await;
    standin.conversion("e").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_sales_are_refused_by_name() {
    let standin = Standin::start().await;
    let edge = Edge::builder(&standin).start().await;
    let referral = click(&edge, "alice").await;
    let good = || Sale::new("order-1", "10").referral(&referral);
    for (sale, field) in [
        (Sale::new("", "10").referral(&referral), "external_event_id"),
        (good().raw("external_event_id", "7.5"), "external_event_id"),
        (good().text("sale_amount_currency", "dollars"), "sale_amount_currency"),
        (good().raw("sale_amount", "{}"), "sale_amount"),
    ] {
        let answer = edge.sale_call(&sale).send().await;
        assert_eq!(answer.status, 400, "{}: {}", sale.json(), answer.text());
        assert_eq!(answer.json()["error"]["field"], field, "{}: {}", sale.json(), answer.text());
        assert_eq!(answer.json()["error"]["code"], "VALIDATION_ERROR");
    }
    for body in ["", "{", "[]", "null", "\"x\"", "{\"a\":1}{}", "\u{0}"] {
        let answer = edge.post("/r/v1/conversions").bearer(KEY).body("application/json", body).send().await;
        assert_eq!(answer.status, 400, "{body:?}: {}", answer.text());
    }
    let nobody = edge.sale_call(&Sale::new("order-9", "10").customer("cus_never_seen")).send().await;
    assert!(matches!(nobody.status, 202 | 404), "{}: {}", nobody.status, nobody.text());
    assert!(standin.received().await.conversions().is_empty());
}
