//! Refunds over the server-to-server API: of the right conversion, in order, never more than was paid.

use serde_json::{Value, json};
use usher_tests::{Answer, Edge, Received, Sale, eventually};

use crate::backing::{Backing, with_both_stores};

with_both_stores!(
    parts_go_back_until_nothing_is_left,
    a_refund_goes_by_our_id_and_by_the_platforms,
    a_refund_waits_for_its_sale,
    refunds_that_wait_count_against_what_is_left,
    a_lost_answer_gives_nothing_back_twice,
    a_refund_that_says_nothing_gives_back_the_rest,
    wrong_refunds_are_refused_by_name,
    a_conversion_that_only_the_platform_knows_is_the_platforms_to_judge,
);

async fn sold(edge: &Edge, event: &str, amount: &str) -> Answer {
    let referral = edge.track("alice").await.json()["cid"].as_str().expect("a click's id").to_owned();
    edge.sell(&Sale::new(event, amount).referral(&referral)).await
}

fn id(answer: &Answer) -> String {
    answer.json()["data"]["id"].as_str().expect("an id").to_owned()
}

async fn refund(edge: &Edge, id: &str, body: &Value) -> Answer {
    edge.server_call(&format!("conversions/{id}/refund"), body).send().await
}

/// What went back so far, in the order of its arrival.
fn amounts(received: &Received) -> Vec<String> {
    received.refunds().iter().filter_map(|refund| refund["amount"].as_str().map(str::to_owned)).collect()
}

async fn parts_go_back_until_nothing_is_left(backing: Backing) {
    let edge = backing.edge().await;
    let id = id(&sold(&edge, "pay_1", "100.00").await);
    let first =
        refund(&edge, &id, &json!({"amount": 30, "currency": "usd", "external_event_id": "re_1"})).await;
    assert_eq!(first.expect(200).json()["data"]["sales_status"], "partial_refunded");
    let again =
        refund(&edge, &id, &json!({"amount": 30, "currency": "usd", "external_event_id": "re_1"})).await;
    assert_eq!(again.expect(200).json()["data"]["sales_status"], "partial_refunded");
    let second = json!({"amount": 69.99, "reason": "broken", "external_event_id": "re_2"});
    refund(&edge, &id, &second).await.expect(200);
    let more = refund(&edge, &id, &json!({"amount": 0.02, "external_event_id": "re_3"})).await;
    assert_eq!((more.status, &more.json()["error"]["field"]), (400, &json!("amount")), "{}", more.text());
    let last = refund(&edge, &id, &json!({"amount": 0.01, "external_event_id": "re_4"})).await;
    assert_eq!(last.expect(200).json()["data"]["sales_status"], "refunded");
    let over = refund(&edge, &id, &json!({"external_event_id": "re_5"})).await;
    assert_eq!(
        (over.status, over.json()["error"]["code"].as_str()),
        (400, Some("VALIDATION_ERROR")),
        "{}",
        over.text()
    );
    let received = backing.standin.received().await;
    assert_eq!(amounts(&received), ["30", "69.99", "0.01"]);
    assert_eq!(received.refunds()[1]["reason"], "broken");
    assert_eq!(received.conversions()[0]["refunded"], "100");
}

async fn a_refund_goes_by_our_id_and_by_the_platforms(backing: Backing) {
    let edge = backing.edge().await;
    backing.standin.behave(json!({"path": "/v1/conversions", "mode": "down"})).await;
    let ours = id(&sold(&edge, "pay_1", "50").await.expect(202));
    backing.standin.behave_well().await;
    let theirs = backing.standin.conversion("pay_1").await["id"].as_str().expect("an id").to_owned();
    assert_ne!(ours, theirs);
    let known = async || (sold(&edge, "pay_1", "50").await.status == 200).then_some(());
    eventually("the edge knows what the platform said", known).await;
    for (number, name) in [&ours, &theirs, &ours, &theirs].into_iter().enumerate() {
        let body = json!({"amount": 10, "external_event_id": format!("re_{number}")});
        refund(&edge, name, &body).await.expect(200);
    }
    for name in [&ours, &theirs] {
        let answer = refund(&edge, name, &json!({"amount": 10.01, "external_event_id": "re_9"})).await;
        assert_eq!(answer.status, 400, "both are the same payment: {}", answer.text());
    }
    // The same event by the other name is the same refund.
    refund(&edge, &theirs, &json!({"amount": 10, "external_event_id": "re_0"})).await.expect(200);
    let received = backing.standin.received().await;
    assert_eq!(received.refunds().len(), 4);
    assert!(received.refunds().iter().all(|refund| refund["conversion_id"] == theirs.as_str()));
}

async fn a_refund_waits_for_its_sale(backing: Backing) {
    let mut edge = backing.edge().await;
    backing.standin.behave(json!({"path": "/v1/conversions", "mode": "down"})).await;
    let ours = id(&sold(&edge, "pay_1", "50").await.expect(202));
    let part = json!({"amount": 12.5, "external_event_id": "re_1"});
    let queued = refund(&edge, &ours, &part).await.expect(202);
    assert_eq!(queued.json()["data"]["status"], "queued", "{}", queued.text());
    refund(&edge, &ours, &json!({"external_event_id": "re_2"})).await.expect(202);
    let again = refund(&edge, &ours, &part).await.expect(202);
    assert_eq!(id(&again), id(&queued));
    edge.kill9();
    edge.restart().await;
    backing.standin.behave_well().await;
    let sale = backing.standin.conversion("pay_1").await;
    let both = |received: &Received| (received.refunds().len() == 2).then(|| received.clone());
    let received = backing.standin.shows("both refunds", both).await;
    assert_eq!(amounts(&received), ["12.5", "37.5"], "in order, the second all that was left");
    assert!(received.refunds().iter().all(|refund| refund["conversion_id"] == sale["id"]));
}

async fn refunds_that_wait_count_against_what_is_left(backing: Backing) {
    let edge = backing.edge().await;
    backing.standin.behave(json!({"path": "/v1/conversions*", "mode": "down"})).await;
    let ours = id(&sold(&edge, "pay_1", "50").await.expect(202));
    refund(&edge, &ours, &json!({"amount": 40, "external_event_id": "re_1"})).await.expect(202);
    let over = refund(&edge, &ours, &json!({"amount": 11, "external_event_id": "re_2"})).await;
    assert_eq!((over.status, &over.json()["error"]["field"]), (400, &json!("amount")), "{}", over.text());
    refund(&edge, &ours, &json!({"amount": 10, "external_event_id": "re_3"})).await.expect(202);
    backing.standin.behave_well().await;
    let both = |received: &Received| (received.refunds().len() == 2).then(|| received.clone());
    assert_eq!(amounts(&backing.standin.shows("both refunds", both).await), ["40", "10"]);
}

async fn a_lost_answer_gives_nothing_back_twice(backing: Backing) {
    let edge = backing.edge().await;
    let id = id(&sold(&edge, "pay_1", "50").await.expect(201));
    backing.standin.behave(json!({"path": "/v1/conversions/*", "mode": "commit_and_drop", "times": 2})).await;
    refund(&edge, &id, &json!({"amount": 20, "external_event_id": "re_1"})).await;
    // One that came without an event id has one of ours by the time it is sent.
    backing
        .standin
        .shows("the refund told again", |received| {
            (received.refunds().first()?["replays"] == 2).then_some(())
        })
        .await;
    backing.standin.behave(json!({"path": "/v1/conversions/*", "mode": "commit_and_drop", "times": 1})).await;
    refund(&edge, &id, &json!({"amount": 5})).await;
    let told = |received: &Received| (received.refunds().get(1)?["replays"] == 1).then(|| received.clone());
    assert_eq!(amounts(&backing.standin.shows("the second told again", told).await), ["20", "5"]);
}

async fn a_refund_that_says_nothing_gives_back_the_rest(backing: Backing) {
    let edge = backing.edge().await;
    let ours = id(&sold(&edge, "pay_1", "50").await.expect(201));
    let call = || {
        edge.post(&format!("/r/v1/conversions/{ours}/refund"))
            .bearer(usher_tests::KEY)
            .header("idempotency-key", "once")
    };
    call().send().await.expect(200);
    // With a key it is the same refund; without one there is nothing left.
    call().send().await.expect(200);
    let more = call().without("idempotency-key").send().await;
    assert_eq!(more.status, 400, "{}", more.text());
    assert_eq!(amounts(&backing.standin.received().await), ["50"]);
}

async fn wrong_refunds_are_refused_by_name(backing: Backing) {
    let edge = backing.edge().await;
    let ours = id(&sold(&edge, "pay_1", "50").await.expect(201));
    for (body, field) in [
        (json!({"amount": 0}), "amount"),
        (json!({"amount": -1}), "amount"),
        (json!({"amount": "ten"}), "amount"),
        (json!({"amount": []}), "amount"),
        (json!({"amount": 1, "currency": "EUR"}), "currency"),
        (json!({"amount": 1, "currency": "euro"}), "currency"),
        (json!({"amount": 1, "external_event_id": {}}), "external_event_id"),
        (json!({"amount": 1, "external_event_id": "x".repeat(256)}), "external_event_id"),
    ] {
        let answer = refund(&edge, &ours, &body).await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.text());
        assert_eq!(answer.json()["error"]["field"], field, "{body}: {}", answer.text());
    }
    for id in ["a%2Fb", "..", "a%20b"] {
        assert_eq!(refund(&edge, id, &json!({})).await.status, 404, "{id}");
    }
    assert!(backing.standin.received().await.refunds().is_empty());
}

async fn a_conversion_that_only_the_platform_knows_is_the_platforms_to_judge(backing: Backing) {
    let edge = backing.edge().await;
    let unknown = refund(&edge, "com_nobody", &json!({"amount": 1, "external_event_id": "re_1"})).await;
    assert_eq!(
        (unknown.status, unknown.json()["error"]["code"].as_str()),
        (404, Some("NOT_FOUND")),
        "{}",
        unknown.text()
    );
    let other = backing.builder().store(usher_tests::Store::sqlite()).start().await;
    let theirs = id(&sold(&other, "pay_1", "50").await.expect(201));
    refund(&edge, &theirs, &json!({"amount": 20, "external_event_id": "re_2"})).await.expect(200);
    let over = refund(&edge, &theirs, &json!({"amount": 40, "external_event_id": "re_3"})).await;
    assert_eq!(over.status, 400, "the platform says so: {}", over.text());
    assert_eq!(amounts(&backing.standin.received().await), ["20"]);
}
