//! The server-to-server API, endpoint by endpoint: the platform's own answer when it comes in time, else `202` and delivery.

use serde_json::{Value, json};
use usher_tests::{Answer, Edge, KEY, PROGRAM, Sale, Standin, eventually, hmac_hex};

use crate::backing::{Backing, with_both_stores};

with_both_stores!(
    each_endpoint_answers_with_the_platforms_own_words,
    what_was_reported_before_is_answered_as_it_was,
    the_same_key_with_other_content_is_a_conflict,
    what_comes_while_the_platform_is_down_is_delivered_later,
    clicks_made_in_an_outage_are_resolved_wherever_they_are_named,
    events_that_are_sales_are_in_the_ledger,
    an_order_that_a_page_bound_is_credited_to_its_click,
    an_order_that_two_visitors_bound_is_nobodys,
    what_a_report_carries_wins_over_an_order_that_a_page_bound,
);

const SEGMENT: &str = "sources/segment/events";

/// A visit; each number is another visitor's.
fn click(number: u32) -> Value {
    json!({"programId": PROGRAM, "trackingId": "alice", "sub1": "spring", "ip": format!("203.0.113.{number}"),
        "userAgent": "Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0",
        "referrer": "https://blog.example/post", "utmSource": "newsletter"})
}

fn lead(click: &str, user: &str) -> Value {
    json!({"click_id": click, "email": format!("{user}@buyer.example"), "external_user_id": user, "name": "B. Uyer"})
}

fn sale(click: &str, event: &str) -> Value {
    json!({"referral_id": click, "sale_amount": 99.9, "sale_amount_currency": "USD", "external_event_id": event,
        "customer_id": format!("cus_{event}"), "product_ids": ["p1"], "metadata": {"provider": "stripe"}})
}

fn event(click: &str, event: &str) -> Value {
    json!({"event_name": "demo_booked", "event_type": "lead", "referral_id": click, "external_event_id": event,
        "occurred_at": "2026-10-01T12:00:00.000Z", "metadata": {"seats": 3}})
}

fn track(user: &str, message: &str, properties: &Value) -> Value {
    json!({"type": "track", "event": "Order Completed", "messageId": message, "userId": user,
        "timestamp": "2026-10-01T12:00:00.000Z", "properties": properties, "context": {"library": {"name": "x"}}})
}

fn id(answer: &Answer) -> String {
    let id = answer.json()["data"]["id"].as_str().map(str::to_owned);
    id.unwrap_or_else(|| panic!("{}: {}", answer.status, answer.text()))
}

/// Makes all the calls at once. An outage that lasts long is felt long: what failed often is tried again late.
async fn at_once(edge: &Edge, calls: &[(&str, Value)]) -> Vec<Answer> {
    let under_way: Vec<_> =
        calls.iter().map(|(path, body)| tokio::spawn(edge.server_call(path, body).send())).collect();
    let mut answers = Vec::new();
    for call in under_way {
        answers.push(call.await.expect("it is not cancelled"));
    }
    answers
}

/// A click of alice's that the platform has.
async fn a_click(edge: &Edge) -> String {
    let answer = edge.server_call("clicks", &click(0)).send().await;
    assert!(matches!(answer.status, 200 | 201), "{}", answer.text());
    id(&answer)
}

async fn each_endpoint_answers_with_the_platforms_own_words(backing: Backing) {
    let edge = backing.edge().await;
    let clicked = edge.server_call("clicks", &click(1)).send().await.expect(201);
    let data = &clicked.json()["data"];
    assert_eq!((&data["tracking_id"], &data["program_id"]), (&json!("alice"), &json!(PROGRAM)), "{data}");
    let referral = id(&clicked);
    let received = backing.standin.received().await;
    let arrived = received.clicks_of("alice")[0].clone();
    assert_eq!((arrived["id"].as_str(), &arrived["via"]), (Some(referral.as_str()), &json!("clicks")));
    for (field, value) in click(1).as_object().expect("an object") {
        assert_eq!(arrived["body"][field], *value, "{field}: {arrived}");
    }

    let led = edge.server_call("signups", &lead(&referral, "u1")).send().await.expect(201);
    assert_eq!((id(&led), &led.json()["data"]["status"]), (referral.clone(), &json!("lead")));
    let sold = edge.server_call("conversions", &sale(&referral, "pay_1")).send().await.expect(201);
    assert!(id(&sold).starts_with("com_"), "the platform's id: {}", sold.text());
    let done = edge.server_call("events", &event(&referral, "evt_1")).send().await.expect(201);
    assert_eq!(done.json()["data"]["action"], "referral_updated", "{}", done.text());
    let bought = json!({"revenue": 10.5, "currency": "EUR", "affonso_referral": referral});
    let passed = edge.server_call(SEGMENT, &track("cus_pay_1", "m1", &bought)).send().await.expect(201);
    assert_eq!(passed.json()["data"]["external_event_id"], "m1", "{}", passed.text());
    let refunded = edge.server_call(&format!("conversions/{}/refund", id(&sold)), &json!({})).send().await;
    assert_eq!(refunded.expect(200).json()["data"]["sales_status"], "refunded");

    let received = backing.standin.received().await;
    assert_eq!((received.signups().len(), received.events().len(), received.refunds().len()), (1, 1, 1));
    let affiliates: Vec<_> = received.conversions().iter().map(|sale| &sale["affiliate"]).collect();
    assert_eq!(affiliates, ["alice", "alice"]);
    assert_eq!(received.conversions()[1]["sale_amount_text"], "10.5");
    assert_eq!(received.refunds()[0]["amount"], "99.9");
    assert_eq!(received.events()[0]["body"]["metadata"], json!({"seats": 3}));
}

async fn what_was_reported_before_is_answered_as_it_was(backing: Backing) {
    let edge = backing.edge().await;
    let referral = a_click(&edge).await;
    let bought = json!({"revenue": 10, "currency": "EUR", "affonso_referral": referral});
    for (path, body) in [
        ("signups", lead(&referral, "u1")),
        ("conversions", sale(&referral, "pay_1")),
        ("events", event(&referral, "evt_1")),
        (SEGMENT, track("u2", "m1", &bought)),
    ] {
        let first = edge.server_call(path, &body).send().await.expect(201);
        let again = edge.server_call(path, &body).send().await.expect(200);
        let mut expected = first.json();
        // The platform says whether it had it before, of what moves money.
        if let Some(replayed) = expected["data"].get_mut("replayed") {
            assert_eq!(replayed.take(), false, "{path}");
            *replayed = true.into();
        }
        assert_eq!(again.json(), expected, "{path}");
    }
    let keyed = || edge.server_call("clicks", &click(2)).header("idempotency-key", "visit-2").send();
    assert_eq!(id(&keyed().await), id(&keyed().await));
    assert_eq!(a_click(&edge).await, referral, "the same visitor, who came a moment ago");
    let received = backing.standin.received().await;
    assert_eq!(received.clicks().len(), 2, "one without a key, one with: {:#?}", received.clicks());
    let lists = [received.signups(), received.conversions(), received.events()];
    assert!(lists.iter().all(|list| list.iter().all(|entry| entry["replays"] == 0)), "{lists:#?}");
    assert_eq!(lists.map(<[Value]>::len), [1, 2, 1]);
}

async fn the_same_key_with_other_content_is_a_conflict(backing: Backing) {
    let edge = backing.edge().await;
    let referral = a_click(&edge).await;
    let sold = id(&edge.server_call("conversions", &sale(&referral, "pay_1")).send().await.expect(201));
    let refund = format!("conversions/{sold}/refund");
    let part = json!({"amount": 5, "external_event_id": "re_1"});
    edge.server_call(&refund, &part).send().await.expect(200);
    edge.server_call("events", &event(&referral, "evt_1")).send().await.expect(201);
    edge.server_call(SEGMENT, &track("cus_pay_1", "m1", &json!({"revenue": 1, "currency": "EUR"})))
        .send()
        .await
        .expect(201);
    let keyed = |body: &Value| edge.server_call("clicks", body).header("idempotency-key", "k").send();
    keyed(&click(1)).await.expect(201);
    let mut other_event = event(&referral, "evt_1");
    other_event["metadata"]["seats"] = 4.into();
    for answer in [
        edge.server_call("conversions", &json!({"referral_id": referral, "sale_amount": 1, "sale_amount_currency": "USD", "external_event_id": "pay_1"})).send().await,
        edge.server_call(&refund, &json!({"amount": 6, "external_event_id": "re_1"})).send().await,
        edge.server_call("events", &other_event).send().await,
        edge.server_call(SEGMENT, &track("cus_pay_1", "m1", &json!({"revenue": 2, "currency": "EUR"}))).send().await,
        keyed(&json!({"programId": PROGRAM, "trackingId": "bob"})).await,
    ] {
        assert_eq!(answer.status, 409, "{}", answer.text());
        assert_eq!(answer.json()["error"]["code"], "DUPLICATE_ERROR", "{}", answer.text());
    }
    // The same amount in other words is the same refund.
    edge.server_call(&refund, &json!({"external_event_id": "re_1", "amount": "5.00"}))
        .send()
        .await
        .expect(200);
    assert_eq!(backing.standin.received().await.refunds().len(), 1);
}

async fn what_comes_while_the_platform_is_down_is_delivered_later(backing: Backing) {
    let edge = backing.edge().await;
    let referral = a_click(&edge).await;
    let sold = id(&edge.server_call("conversions", &sale(&referral, "before")).send().await.expect(201));
    backing.standin.behave(json!({"mode": "down"})).await;
    let bought = json!({"total": 10, "currency": "EUR", "affonso_referral": referral});
    let calls = [
        ("clicks", click(7)),
        ("signups", lead(&referral, "u1")),
        ("conversions", sale(&referral, "pay_1")),
        ("events", event(&referral, "evt_1")),
        (SEGMENT, track("u2", "m1", &bought)),
        (&format!("conversions/{sold}/refund"), json!({"amount": 9.9, "external_event_id": "re_1"})),
    ];
    for answer in at_once(&edge, &calls).await {
        let told = answer.json();
        assert_eq!(
            (answer.status, &told["success"], &told["data"]["status"]),
            (202, &json!(true), &json!("queued")),
            "{told}"
        );
        assert!(!id(&answer).is_empty(), "{told}");
    }
    backing.standin.behave_well().await;
    let all = |received: &usher_tests::Received| {
        let counts = [
            received.clicks(),
            received.signups(),
            received.conversions(),
            received.events(),
            received.refunds(),
        ];
        (counts.map(<[Value]>::len) == [2, 1, 3, 1, 1]).then_some(())
    };
    backing.standin.shows("everything that was taken", all).await;
    assert_eq!(backing.standin.received().await.refunds()[0]["conversion_id"], sold.as_str());
}

async fn clicks_made_in_an_outage_are_resolved_wherever_they_are_named(backing: Backing) {
    let edge = backing.edge().await;
    backing.standin.behave(json!({"mode": "down"})).await;
    let from_server = id(&edge.server_call("clicks", &click(7)).send().await.expect(202));
    let from_page = edge.track("bob").await.json()["cid"].as_str().expect("a click's id").to_owned();
    for minted in [&from_server, &from_page] {
        assert!(minted.starts_with("ush_"), "{minted}");
    }
    let bought = json!({"value": 3, "currency": "EUR", "affonso_referral": from_page});
    let calls = [
        ("conversions", sale(&from_server, "pay_1")),
        ("signups", lead(&from_server, "u1")),
        ("events", event(&from_page, "evt_1")),
        (SEGMENT, track("u9", "m1", &bought)),
    ];
    let answers = at_once(&edge, &calls).await;
    assert!(answers.iter().all(|answer| answer.status == 202), "{answers:#?}");
    let refund = format!("conversions/{}/refund", id(&answers[0]));
    edge.server_call(&refund, &json!({"external_event_id": "re_1"})).send().await.expect(202);
    backing.standin.behave_well().await;

    let sale = backing.standin.conversion("pay_1").await;
    assert_eq!(sale["affiliate"], "alice", "{sale}");
    assert_eq!(backing.standin.conversion("m1").await["affiliate"], "bob");
    let rest = |received: &usher_tests::Received| {
        let (events, refunds) = (received.events(), received.refunds());
        (events.len() == 1 && refunds.len() == 1 && received.signups().len() == 1).then(|| received.clone())
    };
    let received = backing.standin.shows("the event, the lead and the refund", rest).await;
    assert_eq!(received.events()[0]["affiliate"], "bob");
    assert_eq!(received.signups()[0]["affiliate"], "alice");
    assert_eq!(received.refunds()[0]["conversion_id"], sale["id"]);
    let named = |name: &str| {
        received.conversions().iter().any(|sale| sale["body"][name].to_string().contains("ush_"))
    };
    assert!(
        !named("referral_id") && !named("click_id"),
        "the platform does not know ids of ours: {received:#?}"
    );
    // Afterwards the id that the merchant kept goes on working.
    edge.server_call("conversions", &self::sale(&from_server, "pay_2")).send().await.expect(201);
}

async fn events_that_are_sales_are_in_the_ledger(backing: Backing) {
    let edge = backing.edge().await;
    let referral = a_click(&edge).await;
    let sold = json!({"event_name": "upgrade", "event_type": "conversion", "referral_id": referral, "sale_amount": 20,
        "sale_amount_currency": "USD", "external_event_id": "evt_1"});
    let by_event = id(&edge.server_call("events", &sold).send().await.expect(201));
    let bought = json!({"revenue": "7.25", "currency": "EUR", "affonso_referral": referral});
    let by_segment = id(&edge.server_call(SEGMENT, &track("u2", "m1", &bought)).send().await.expect(201));
    for (conversion, too_much) in [(by_event, 20.5), (by_segment, 8.0)] {
        let refund = format!("conversions/{conversion}/refund");
        let answer = edge.server_call(&refund, &json!({"amount": too_much})).send().await;
        assert_eq!(answer.status, 400, "{}", answer.text());
        assert_eq!(answer.json()["error"]["field"], "amount", "{}", answer.text());
        edge.server_call(&refund, &json!({"external_event_id": format!("re_{conversion}")}))
            .send()
            .await
            .expect(200);
    }
    let received = backing.standin.received().await;
    let amounts: Vec<_> = received.refunds().iter().map(|refund| refund["amount"].clone()).collect();
    assert_eq!(amounts, [json!("20"), json!("7.25")]);
}

async fn an_order_that_a_page_bound_is_credited_to_its_click(backing: Backing) {
    let edge = backing.edge().await;
    let referral = edge.track("alice").await.json()["cid"].as_str().expect("a click's id").to_owned();
    let bound = edge.bind_call(&referral, "1001").send().await.expect(204);
    assert!(bound.body.is_empty());
    assert_eq!(bound.header("access-control-allow-origin"), Some("http://shop.example"));
    edge.bind_call(&referral, "1001").send().await.expect(204);
    edge.sell(&Sale::new("pay_1", "10").text("order_id", "1001")).await.expect(201);
    let sale = backing.standin.conversion("pay_1").await;
    assert_eq!((&sale["affiliate"], &sale["referral_id"]), (&json!("alice"), &json!(referral)));
    assert!(sale["body"].get("order_id").is_none(), "it is ours, not the platform's: {sale}");

    // A click that an outage left without the platform's id is as good.
    backing.standin.behave(json!({"path": "/v1/track", "mode": "down", "times": 1})).await;
    let minted = edge.track_call("bob").visitor("198.51.100.99").send().await.expect(200);
    let minted = minted.json()["cid"].as_str().expect("a click's id").to_owned();
    edge.bind_call(&minted, "1002").send().await.expect(204);
    edge.sell(&Sale::new("pay_2", "10").text("order_id", "1002")).await;
    assert_eq!(backing.standin.conversion("pay_2").await["affiliate"], "bob");
    let unknown = edge.sale_call(&Sale::new("pay_3", "10").text("order_id", "1003")).send().await;
    assert_eq!(unknown.status / 100, 4, "nobody bound it: {}", unknown.text());
}

async fn an_order_that_two_visitors_bound_is_nobodys(backing: Backing) {
    let edge = backing.edge().await;
    let of = async |affiliate: &str, address: &str| {
        let answer = edge.track_call(affiliate).visitor(address).send().await.expect(200);
        answer.json()["cid"].as_str().expect("a click's id").to_owned()
    };
    let (alice, bob) = (of("alice", "198.51.100.1").await, of("bob", "198.51.100.2").await);
    edge.bind_call(&alice, "1001").send().await.expect(204);
    edge.bind_call(&bob, "1001").send().await.expect(204);
    let answer = edge.sale_call(&Sale::new("pay_1", "10").text("order_id", "1001")).send().await;
    assert_eq!(answer.status / 100, 4, "{}", answer.text());
    // Whoever says more is believed all the same.
    edge.sell(&Sale::new("pay_2", "10").text("order_id", "1001").referral(&bob)).await.expect(201);
    assert_eq!(backing.standin.conversion("pay_2").await["affiliate"], "bob");
}

async fn what_a_report_carries_wins_over_an_order_that_a_page_bound(backing: Backing) {
    // Whoever knows an order's number can bind it, so the site's policy between codes and clicks is not asked.
    let edge = backing.builder().site("code_or_click", "\"click\"").start().await;
    backing.known_code(&edge, "BOB15", &json!({"affiliate": "bob"})).await;
    let referral = edge.track("alice").await.json()["cid"].as_str().expect("a click's id").to_owned();
    edge.bind_call(&referral, "1001").send().await.expect(204);
    edge.sell(&Sale::new("pay_1", "10").text("order_id", "1001").promo_code("bob15")).await;
    assert_eq!(backing.standin.conversion("pay_1").await["affiliate"], "bob");
    let carol = edge.track_call("carol").visitor("198.51.100.3").send().await.expect(200);
    let carol = carol.json()["cid"].as_str().expect("a click's id").to_owned();
    edge.sell(&Sale::new("pay_2", "10").text("order_id", "1001").referral(&carol)).await;
    assert_eq!(backing.standin.conversion("pay_2").await["affiliate"], "carol");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_moves_money_must_be_signed_where_the_site_wants_it() {
    let standin = Standin::start().await;
    let edge = Edge::builder(&standin).site("signing_secret", "[\"whsec_old\", \"whsec_new\"]").start().await;
    let now = || {
        let output = std::process::Command::new("date").arg("+%s").output().expect("date runs");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    let call = |path: &str, body: &Value, secret: &str, at: &str| {
        let signature = hmac_hex(secret, at, &body.to_string());
        let call = edge.server_call(path, body);
        call.header("x-affonso-timestamp", at).header("x-affonso-signature", &signature).send()
    };
    // The SDK signs neither of these.
    let referral = a_click(&edge).await;
    edge.server_call("signups", &lead(&referral, "u1")).send().await.expect(201);
    let sold = id(&call("conversions", &sale(&referral, "pay_1"), "whsec_old", &now()).await.expect(201));
    let bought = json!({"revenue": 10, "currency": "EUR", "affonso_referral": referral});
    for (path, body) in [
        ("conversions", sale(&referral, "pay_2")),
        (&format!("conversions/{sold}/refund"), json!({"amount": 1, "external_event_id": "re_1"})),
        ("events", event(&referral, "evt_1")),
        (SEGMENT, track("u2", "m1", &bought)),
    ] {
        edge.server_call(path, &body).send().await.expect(401);
        call(path, &body, "whsec_wrong", &now()).await.expect(401);
        call(path, &body, "whsec_new", "1700000000").await.expect(401);
        let answer = call(path, &body, "whsec_new", &now()).await;
        assert!(matches!(answer.status, 200 | 201), "{path}: {}", answer.text());
    }
    let received = standin.received().await;
    let counts = [received.conversions(), received.refunds(), received.events()].map(<[Value]>::len);
    assert_eq!(counts, [3, 1, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_cannot_write_is_told_of_and_nothing_is_acknowledged() {
    let backing = Backing::redis().await;
    let edge = backing.edge().await;
    let referral = a_click(&edge).await;
    let sold = id(&edge.server_call("conversions", &sale(&referral, "pay_1")).send().await.expect(201));
    let redis = backing.redis.as_ref().expect("it was asked for");
    redis.fill().await;
    let bought = json!({"revenue": 10, "currency": "EUR", "affonso_referral": referral});
    let calls = [
        ("clicks".to_owned(), click(7)),
        ("signups".to_owned(), lead(&referral, "u1")),
        ("conversions".to_owned(), sale(&referral, "pay_2")),
        ("events".to_owned(), event(&referral, "evt_1")),
        (SEGMENT.to_owned(), track("u2", "m1", &bought)),
        (format!("conversions/{sold}/refund"), json!({"amount": 1, "external_event_id": "re_1"})),
    ];
    for (path, body) in &calls {
        let answer = edge.server_call(path, body).send().await;
        assert_eq!(answer.status, 503, "{path}: {}", answer.text());
        assert!(answer.header("retry-after").is_some_and(|wait| wait.parse::<u32>().is_ok()), "{path}");
        assert_eq!(answer.json()["success"], false, "{path}");
    }
    let received = backing.standin.received().await;
    assert_eq!(
        (received.conversions().len(), received.clicks().len()),
        (1, 1),
        "what was not taken is not told"
    );
    redis.cli(&["CONFIG", "SET", "maxmemory", "0"]).await;
    for (path, body) in &calls {
        eventually(path, async || (edge.server_call(path, body).send().await.status <= 202).then_some(()))
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_sites_own_pages_bind_orders() {
    let standin = Standin::start().await;
    let edge = Edge::builder(&standin).start().await;
    let referral = edge.track("alice").await.json()["cid"].as_str().expect("a click's id").to_owned();
    for origin in ["https://evil.example", "null", "http://shop.example.evil.example"] {
        edge.bind_call(&referral, "1001").header("origin", origin).send().await.expect(403);
    }
    edge.bind_call(&referral, "1001").bearer(KEY).method("GET").send().await.expect(405);
    for body in ["", "[]", "{}", "{\"order_id\":\"\"}", "{\"order_id\":{}}", "{\"order_id\":\"a\\u0000b\"}"] {
        let answer = edge.bind_call(&referral, "1").body("application/json", body).send().await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.text());
    }
    let answer = edge.sale_call(&Sale::new("pay_1", "10").text("order_id", "1001")).send().await;
    assert_eq!(answer.status / 100, 4, "{}", answer.text());
}
