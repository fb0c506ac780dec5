//! Segment: one `track` call at a time, or a batch with the key as HTTP Basic's user name, as Segment's libraries send it.

use serde_json::{Value, json};
use usher_tests::{Edge, PROGRAM, Received};

use crate::backing::{Backing, with_both_stores};

with_both_stores!(
    amounts_come_from_the_first_field_that_has_one,
    names_of_events_decide_what_they_are,
    users_become_customers_and_are_known_again,
    a_batch_is_taken_call_by_call,
    what_is_no_track_call_is_refused,
);

const PATH: &str = "sources/segment/events";
/// `key-of-the-shop:`
const BASIC: &str = "Basic a2V5LW9mLXRoZS1zaG9wOg==";

async fn click(edge: &Edge, affiliate: &str) -> String {
    let body = json!({"programId": PROGRAM, "trackingId": affiliate});
    let answer = edge.server_call("clicks", &body).send().await.expect(201);
    answer.json()["data"]["id"].as_str().expect("an id").to_owned()
}

fn track(event: &str, message: &str, user: &str, properties: &Value) -> Value {
    json!({"type": "track", "event": event, "messageId": message, "userId": user, "properties": properties})
}

async fn amounts_come_from_the_first_field_that_has_one(backing: Backing) {
    let edge = backing.edge().await;
    let referral = click(&edge, "alice").await;
    for (message, mut properties, amount, currency) in [
        ("m1", json!({"revenue": 1, "amount": 2, "value": 3, "total": 4, "currency": "usd"}), "1", "USD"),
        ("m2", json!({"amount": 2.50, "value": 3, "total": 4, "sale_amount_currency": "EUR"}), "2.5", "EUR"),
        ("m3", json!({"value": "3.10", "total": 4, "currency": "EUR"}), "3.1", "EUR"),
        ("m4", json!({"total": 4, "currency": "JPY"}), "4", "JPY"),
    ] {
        properties["affonso_referral"] = referral.as_str().into();
        edge.server_call(PATH, &track("purchase", message, "u1", &properties)).send().await.expect(201);
        let sale = backing.standin.conversion(message).await;
        assert_eq!(
            (&sale["sale_amount_text"], &sale["sale_amount_currency"]),
            (&json!(amount), &json!(currency))
        );
    }
}

async fn names_of_events_decide_what_they_are(backing: Backing) {
    let edge = backing.edge().await;
    let referral = click(&edge, "alice").await;
    let properties = json!({"revenue": 1, "currency": "USD", "affonso_referral": referral});
    let names = [
        ("Order Completed", "conversion"),
        ("Completed Order", "conversion"),
        ("purchase", "conversion"),
        ("qualified_lead", "lead"),
        ("demo_booked", "lead"),
        ("trial_started", "trial"),
        ("order completed", "milestone"),
        ("Signed Up", "milestone"),
    ];
    for (number, (name, _)) in names.into_iter().enumerate() {
        let call = track(name, &format!("m{number}"), "u1", &properties);
        edge.server_call(PATH, &call).send().await.expect(201);
    }
    let received = backing.standin.received().await;
    assert_eq!(received.conversions().len(), 3);
    let events: Vec<_> = received.events().iter().map(|event| event["event_type"].as_str()).collect();
    assert_eq!(events, names[3..].iter().map(|(_, kind)| Some(*kind)).collect::<Vec<_>>());
}

async fn users_become_customers_and_are_known_again(backing: Backing) {
    let edge = backing.edge().await;
    let referral = click(&edge, "alice").await;
    let bought = |referral: Option<&str>| {
        let mut properties = json!({"revenue": 1, "currency": "USD"});
        if let Some(referral) = referral {
            properties["affonso_referral"] = referral.into();
        }
        properties
    };
    let first = track("purchase", "m1", "u1", &bought(Some(&referral)));
    edge.server_call(PATH, &first).send().await.expect(201);
    edge.server_call(PATH, &track("purchase", "m2", "u1", &bought(None))).send().await.expect(201);
    assert_eq!(backing.standin.conversion("m1").await["customer_id"], "u1");
    assert_eq!(backing.standin.conversion("m2").await["affiliate"], "alice");
    // The merchant's own reports know the customer as well.
    let renewal = json!({"customer_id": "u1", "sale_amount": 5, "sale_amount_currency": "USD", "external_event_id": "pay_1"});
    edge.server_call("conversions", &renewal).send().await.expect(201);
    assert_eq!(backing.standin.conversion("pay_1").await["affiliate"], "alice");
}

async fn a_batch_is_taken_call_by_call(backing: Backing) {
    let edge = backing.edge().await;
    let referral = click(&edge, "alice").await;
    let known = json!({"revenue": 1, "currency": "USD", "affonso_referral": referral});
    let batch = json!({"batch": [
        {"type": "identify", "userId": "u1"},
        track("purchase", "m1", "u1", &known),
        track("purchase", "m2", "u1", &json!({"revenue": 2, "currency": "USD"})),
        {"type": "page", "userId": "u1"},
    ], "writeKey": "key-of-the-shop", "sentAt": "2026-10-01T12:00:00.000Z"});
    for _ in 0..2 {
        let answer = edge.server_call(PATH, &batch).header("authorization", BASIC).send().await.expect(200);
        assert_eq!(answer.json()["data"], json!({"taken": 2, "ignored": 2}), "{}", answer.text());
    }
    let received = backing.standin.received().await;
    let sales: Vec<_> =
        received.conversions().iter().map(|sale| (&sale["affiliate"], &sale["replays"])).collect();
    assert_eq!(sales, [(&json!("alice"), &json!(0)), (&json!("alice"), &json!(0))]);

    // While the platform is slow they wait together, not one after the other.
    backing.standin.behave(json!({"mode": "slow", "delay_ms": 8000})).await;
    let slow: Vec<_> = (0..10).map(|number| track("purchase", &format!("s{number}"), "u1", &known)).collect();
    let start = std::time::Instant::now();
    edge.server_call(PATH, &json!({"batch": slow})).send().await.expect(202);
    assert!(start.elapsed().as_secs() < 9, "a library waits 10 s: {:?}", start.elapsed());
    backing.standin.behave_well().await;
    let all = |received: &Received| (received.conversions().len() == 12).then_some(());
    backing.standin.shows("all of the batch", all).await;
}

async fn what_is_no_track_call_is_refused(backing: Backing) {
    let edge = backing.edge().await;
    let referral = click(&edge, "alice").await;
    let good = || {
        track("purchase", "m1", "u1", &json!({"revenue": 1, "currency": "USD", "affonso_referral": referral}))
    };
    let without = |field: &str| {
        let mut call = good();
        call.as_object_mut().expect("an object").remove(field);
        call
    };
    let with = |field: &str, value: Value| {
        let mut call = good();
        call[field] = value;
        call
    };
    for call in [
        with("type", json!("identify")),
        with("type", json!(7)),
        without("event"),
        without("messageId"),
        with("event", json!("")),
        json!({"type": "track", "event": "purchase", "messageId": "m1", "properties": {"revenue": 1, "currency": "USD"}}),
        with("properties", json!([])),
        with("properties", json!({"revenue": 0, "currency": "USD", "affonso_referral": referral})),
        with("properties", json!({"revenue": 1, "affonso_referral": referral})),
        with("properties", json!({"currency": "USD", "affonso_referral": referral})),
    ] {
        let answer = edge.server_call(PATH, &call).send().await;
        assert_eq!(answer.status, 400, "{call}: {}", answer.text());
        assert_eq!(answer.json()["error"]["code"], "VALIDATION_ERROR", "{call}: {}", answer.text());
        let batch = json!({"batch": [call]});
        let batched = edge.server_call(PATH, &batch).send().await;
        // In a batch, calls of other kinds are nobody's mistake.
        let other_kind = batch["batch"][0]["type"] == "identify";
        assert_eq!(batched.status, if other_kind { 200 } else { 400 }, "{batch}: {}", batched.text());
    }
    assert!(backing.standin.received().await.conversions().is_empty());
}
