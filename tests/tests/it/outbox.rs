//! What a night shift does with the outbox, while the service runs.

use std::process::Output;

use serde_json::{Value, json};
use usher_tests::{Edge, Sale, eventually};

use crate::backing::{Backing, with_both_stores};

with_both_stores!(
    what_the_platform_refuses_is_listed_shown_and_sent_again,
    everything_that_failed_is_sent_again_at_once,
    what_is_discarded_is_never_sent,
    what_waits_is_listed_with_its_next_try_and_the_platforms_words,
);

/// Standard output of a command that did what it should and had nothing else to say.
fn done(output: Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), said.as_str()), (Some(0), ""));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Standard error of a command that failed.
fn failed(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), &b""[..]), "{said}");
    assert!(said.starts_with("usher: ") && said.lines().count() == 1, "{said}");
    said
}

async fn outbox(edge: &Edge, arguments: &[&str]) -> Output {
    edge.usher(&[&["outbox"], arguments].concat()).await
}

async fn listed(edge: &Edge, state: &str) -> Vec<Value> {
    let lines = done(outbox(edge, &["list", "--state", state, "--json"]).await);
    lines.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
}

/// A sale that the platform refuses, and our id of it.
async fn refused(backing: &Backing, edge: &Edge, event: &str) -> String {
    let referral = edge.track("alice").await.json()["cid"].as_str().expect("a click's id").to_owned();
    backing.standin.behave(json!({"path": "/v1/conversions", "mode": "status", "status": 422})).await;
    edge.sale_call(&Sale::new(event, "89.91").referral(&referral)).send().await;
    backing.standin.behave_well().await;
    eventually("it is dead", async || {
        let dead = listed(edge, "dead").await;
        let its = dead.iter().find(|record| record["key"] == event)?;
        its["id"].as_str().map(str::to_owned)
    })
    .await
}

async fn what_the_platform_refuses_is_listed_shown_and_sent_again(backing: Backing) {
    let edge = backing.edge().await;
    let empty = done(outbox(&edge, &["list"]).await);
    assert_eq!(empty, "The outbox is empty: nothing failed for good, and nothing waits.\n");
    let id = refused(&backing, &edge, "order-1").await;

    let list = done(outbox(&edge, &["list"]).await);
    let row = list.lines().find(|line| line.starts_with(&id)).expect("a row of it");
    for part in ["shop", "conversion", "dead", "422"] {
        assert!(row.contains(part), "no {part} in {row}");
    }
    assert!(list.starts_with("ID ") && list.contains("LAST WORDS"), "{list}");
    let record = &listed(&edge, "dead").await[0];
    assert_eq!((&record["answer"]["status"], &record["paid"]["amount"]), (&json!(422), &json!("89.91")));
    let shown = done(outbox(&edge, &["show", &id]).await);
    for part in
        ["a sale of 89.91 USD", "failed for good", "422", "usher outbox retry", "\"sale_amount\":89.91"]
    {
        assert!(shown.contains(part), "no {part} in {shown}");
    }
    assert!(done(outbox(&edge, &["show", "order-1"]).await).starts_with(&id), "its other names will do");

    let said = done(outbox(&edge, &["retry", &id]).await);
    assert!(said.contains(&id) && said.contains("set going again"), "{said}");
    assert_eq!(backing.standin.conversion("order-1").await["affiliate"], "alice");
    eventually("the ledger knows", async || (listed(&edge, "delivered").await.len() == 1).then_some(()))
        .await;
    assert!(listed(&edge, "dead").await.is_empty() && listed(&edge, "waiting").await.is_empty());
    let said = failed(&outbox(&edge, &["retry", &id]).await);
    assert!(said.contains("has arrived at the platform already"), "{said}");
}

async fn everything_that_failed_is_sent_again_at_once(backing: Backing) {
    let edge = backing.edge().await;
    for event in ["order-1", "order-2", "order-3"] {
        refused(&backing, &edge, event).await;
    }
    // A pipe gets its line and no bar.
    let said = done(outbox(&edge, &["retry", "--all"]).await);
    assert!(said.starts_with("Set going again: 3.") && said.lines().count() == 1, "{said}");
    for event in ["order-1", "order-2", "order-3"] {
        backing.standin.conversion(event).await;
    }
    eventually("all are delivered", async || (listed(&edge, "delivered").await.len() == 3).then_some(()))
        .await;
    assert_eq!(done(outbox(&edge, &["retry", "--all", "--json"]).await), "{\"retried\":0}\n");
    assert_eq!(backing.standin.received().await.conversions().len(), 3);
}

async fn what_is_discarded_is_never_sent(backing: Backing) {
    let edge = backing.edge().await;
    let id = refused(&backing, &edge, "order-1").await;
    let said = done(outbox(&edge, &["discard", &id, "--reason", "a test order"]).await);
    assert!(said.contains("is discarded"), "{said}");
    assert!(listed(&edge, "dead").await.is_empty());
    let closed = listed(&edge, "closed").await;
    assert_eq!((&closed[0]["id"], &closed[0]["error"]), (&json!(id), &json!("a test order")));
    for action in ["retry", "discard"] {
        let said = failed(&outbox(&edge, &[action, &id]).await);
        assert!(said.contains("is closed and will not be sent: a test order"), "{said}");
    }
    assert!(backing.standin.received().await.conversions().is_empty());
    let said = failed(&outbox(&edge, &["discard", "no-such-id"]).await);
    assert!(said.contains("\"no-such-id\"") && said.contains("`usher outbox list`"), "{said}");
    let said = failed(&outbox(&edge, &["list", "--site", "other"]).await);
    assert!(said.contains("there is no site \"other\"; the configuration has: shop"), "{said}");
}

async fn what_waits_is_listed_with_its_next_try_and_the_platforms_words(backing: Backing) {
    let edge = backing.edge().await;
    let referral = edge.track("alice").await.json()["cid"].as_str().expect("a click's id").to_owned();
    backing.standin.behave(json!({"mode": "status", "status": 503})).await;
    edge.sell(&Sale::new("order-1", "10").referral(&referral)).await;
    let record = eventually("it failed and waits", async || {
        listed(&edge, "waiting").await.into_iter().find(|record| record["attempts"].as_u64() > Some(0))
    })
    .await;
    assert_eq!((&record["key"], &record["state"]), (&json!("order-1"), &json!("due")));
    assert!(record["next_try_at"].is_string(), "{record}");
    assert!(record["log"][0]["said"].as_str().is_some_and(|said| said.starts_with("503")), "{record}");
    let list = done(outbox(&edge, &["list"]).await);
    assert!(list.contains("waiting") && list.contains("503"), "{list}");
    let said = failed(&outbox(&edge, &["retry", "order-1"]).await);
    assert!(said.contains("there is nothing to do"), "{said}");
    backing.standin.behave_well().await;
    backing.standin.conversion("order-1").await;
}
