//! `usher trace`: the story of a sale, told by the binary beside a running service.

use std::process::Output;

use serde_json::{Value, json};
use usher_tests::{Edge, Sale, eventually};

use crate::backing::{Backing, with_both_stores};

with_both_stores!(
    a_sale_by_promo_code_is_told_from_the_code_to_the_platforms_id,
    a_sale_with_an_unknown_click_says_why_it_did_not_count,
    a_refund_that_came_before_its_payment_was_delivered_is_part_of_its_story,
    a_click_and_what_nobody_knows,
);

fn done(output: Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), said.as_str()), (Some(0), ""));
    String::from_utf8(output.stdout).expect("UTF-8")
}

async fn story(edge: &Edge, id: &str) -> String {
    done(edge.usher(&["trace", id]).await)
}

async fn json_of(edge: &Edge, id: &str) -> Value {
    serde_json::from_str(&done(edge.usher(&["trace", id, "--json"]).await)).expect("one JSON object")
}

fn has(story: &str, parts: &[&str]) {
    for part in parts {
        assert!(story.contains(part), "no {part:?} in:\n{story}");
    }
}

/// Waits until the ledger has written down that it arrived.
async fn delivered(edge: &Edge, id: &str) {
    eventually("it is delivered", async || {
        (json_of(edge, id).await["stories"][0]["record"]["state"] == "delivered").then_some(())
    })
    .await;
}

async fn a_sale_by_promo_code_is_told_from_the_code_to_the_platforms_id(backing: Backing) {
    let edge = backing.edge().await;
    backing.known_code(&edge, "SPRING10", &json!({"affiliate": "alice"})).await;
    backing
        .standin
        .behave(json!({"path": "/v1/conversions", "mode": "status", "status": 503, "times": 2}))
        .await;
    let sale = Sale::new("order-1", "89.91").promo_code(" spring10 ").text("order_id", "1001");
    edge.sell(&sale).await;
    let upstream = backing.standin.conversion("order-1").await["id"].as_str().expect("an id").to_owned();
    delivered(&edge, "order-1").await;

    let told = story(&edge, "order-1").await;
    has(
        &told,
        &["a sale of 89.91 USD on site shop", "the shop's servers, as \"order-1\"", "SPRING10", "alice"],
    );
    has(&told, &["the affiliate whose promo code was used", "promo code SPRING10, of alice: won"]);
    has(&told, &["2 attempts from ", ": 503", "delivered at ", &format!("the platform calls it {upstream}")]);
    assert!(!told.contains("sale_amount"), "no body: {told}");
    // Any of its names leads to the same story.
    let record = json_of(&edge, "order-1").await["stories"][0]["record"].clone();
    let ours = record["id"].as_str().expect("our id").to_owned();
    let click = record["click"].as_str().expect("its click").to_owned();
    for name in [ours.as_str(), upstream.as_str(), "1001", click.as_str()] {
        let json = json_of(&edge, name).await;
        assert_eq!(json["stories"][0]["record"]["id"], ours.as_str(), "{name}: {json}");
    }
}

async fn a_sale_with_an_unknown_click_says_why_it_did_not_count(backing: Backing) {
    let edge = backing.edge().await;
    backing.known_code(&edge, "SPRING10", &json!({"affiliate": "alice"})).await;
    let unknown = "ush_01jd0000000000000000000000";
    edge.sell(&Sale::new("order-1", "10").referral(unknown).promo_code("SPRING10")).await;
    delivered(&edge, "order-1").await;
    let told = story(&edge, "order-1").await;
    let click =
        format!("click {unknown}, named in the report: did not count, for it is no click of this site");
    has(&told, &[&click, "promo code SPRING10, of alice: won"]);
}

async fn a_refund_that_came_before_its_payment_was_delivered_is_part_of_its_story(backing: Backing) {
    let edge = backing.edge().await;
    let referral = edge.track("alice").await.json()["cid"].as_str().expect("a click's id").to_owned();
    backing.standin.behave(json!({"mode": "status", "status": 503})).await;
    let sold = edge.sell(&Sale::new("order-1", "100").referral(&referral)).await;
    let id = sold.json()["data"]["id"].as_str().expect("our id").to_owned();
    let refund = json!({"amount": 25, "external_event_id": "refund-1"});
    let call = edge.post(&format!("/r/v1/conversions/{id}/refund")).bearer(usher_tests::KEY).json(&refund);
    call.send().await.expect(202);

    let told = story(&edge, "order-1").await;
    has(&told, &["What went back", "a refund of 25", &format!("waits for the sale {id}"), "as \"refund-1\""]);
    backing.standin.behave_well().await;
    let json = eventually("the refund is delivered", async || {
        let json = json_of(&edge, "refund-1").await;
        (json["stories"][0]["refunds"][0]["state"] == "delivered").then_some(json)
    })
    .await;
    assert_eq!(json["stories"][0]["record"]["id"], id.as_str(), "the refund's story is its payment's");
    assert_eq!(
        (&json["stories"][0]["payment"]["left"], &json["stories"][0]["payment"]["refunded"]),
        (&json!("75"), &json!("25"))
    );
    has(&story(&edge, "refund-1").await, &["of 100 USD went back 25, 75 is left"]);
}

async fn a_click_and_what_nobody_knows(backing: Backing) {
    let edge = backing.edge().await;
    let referral = edge.track("alice").await.json()["cid"].as_str().expect("a click's id").to_owned();
    // Clicks are written behind the visitor's back.
    let told = eventually("the click is written", async || {
        let output = edge.usher(&["trace", &referral]).await;
        output.status.success().then(|| done(output))
    })
    .await;
    has(
        &told,
        &[&referral, "of alice", "the platform gave it that id", "No sale or lead is credited to it."],
    );
    let output = edge.usher(&["trace", "no-such-thing"]).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{said}");
    has(&said, &["\"no-such-thing\"", "external_event_id", "affonso_referral", "sites: shop"]);
}
