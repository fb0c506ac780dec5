//! A person asks to be forgotten, while the service runs.

use std::process::Output;

use serde_json::{Value, json};
use usher_tests::{Edge, Sale, eventually, get};

use crate::backing::{Backing, with_both_stores};

with_both_stores!(a_person_is_erased_while_the_service_runs, what_waits_is_named_and_may_be_discarded,);

const EMAIL: &str = "jane@people.example";

fn said(output: &Output, code: i32) -> String {
    let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!((output.status.code(), error.as_ref()), (Some(code), ""), "{out}");
    out.into_owned()
}

async fn came(edge: &Edge) -> String {
    edge.track("alice").await.json()["cid"].as_str().expect("a click's id").to_owned()
}

fn sale(event: &str, cid: &str) -> Sale {
    Sale::new(event, "89.91").referral(cid).text("email", EMAIL).customer("cus_jane")
}

/// Whether the embedded store's files hold the text.
fn holds(edge: &Edge, text: &str) -> bool {
    let beside = |end: &str| std::fs::read(format!("{}{end}", edge.database().display())).unwrap_or_default();
    ["", "-wal"]
        .into_iter()
        .any(|end| beside(end).windows(text.len()).any(|window| window == text.as_bytes()))
}

async fn a_person_is_erased_while_the_service_runs(backing: Backing) {
    let edge = backing.edge().await;
    let cid = came(&edge).await;
    edge.bind_call(&cid, "order-9").send().await.expect(204);
    edge.sale_call(&sale("pay_1", &cid)).send().await.expect(201);
    let on_file = backing.redis.is_none();
    assert!(!on_file || holds(&edge, EMAIL));

    let gone = said(&edge.usher(&["erase", "--email", "JANE@people.example"]).await, 0);
    assert!(gone.contains("1 click, 1 bound order, 1 bound customer") && gone.contains("1 record"), "{gone}");
    for text in [EMAIL, "cus_jane", &cid] {
        assert!(!on_file || !holds(&edge, text), "{text} is left");
    }
    let trace = said(&edge.usher(&["trace", "pay_1", "--json"]).await, 0);
    assert!(trace.contains("89.91") && !trace.contains(EMAIL) && !trace.contains(&cid), "{trace}");
    let again = edge.sale_call(&sale("pay_1", &cid)).send().await;
    assert_eq!(again.status, 200, "the same report is still the same: {}", again.text());
    for way in [["--click", cid.as_str()], ["--email", EMAIL], ["--customer", "cus_jane"]] {
        let nothing = said(&edge.usher(&["erase", way[0], way[1]]).await, 1);
        assert_eq!(nothing, "There is nothing of that person.\n");
    }
    let cookie = format!("affonso_referral={cid}");
    eventually("the edge has forgotten the click", async || {
        let answer = edge.track_call("alice").header("cookie", &cookie).send().await;
        (answer.json()["cid"] != cid.as_str()).then_some(())
    })
    .await;
    for wrong in [&["erase"][..], &["erase", "--click", "a b"], &["erase", "--click", "a", "--email", EMAIL]]
    {
        assert_eq!(edge.usher(wrong).await.status.code(), Some(2), "{wrong:?}");
    }
    let metrics = get(edge.admin(), "/metrics").send().await.expect(200).text();
    assert!(metrics.contains("usher_clicks_untold_total 0"), "{metrics}");
}

async fn what_waits_is_named_and_may_be_discarded(backing: Backing) {
    let edge = backing.edge().await;
    let cid = came(&edge).await;
    backing.standin.behave(json!({"path": "/v1/conversions", "mode": "status", "status": 503})).await;
    edge.sale_call(&sale("pay_1", &cid)).send().await.expect(202);
    let waits = said(&edge.usher(&["erase", "--customer", "cus_jane"]).await, 1);
    assert!(waits.contains("1 delivery still waits") && waits.contains("conv_"), "{waits}");
    let json = said(&edge.usher(&["erase", "--customer", "cus_jane", "--now", "--json"]).await, 0);
    let counts: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((&counts["records"], &counts["waiting"]), (&json!(1), &json!([])), "{counts}");
    backing.standin.behave_well().await;
    let closed = said(&edge.usher(&["outbox", "list", "--state", "closed", "--json"]).await, 0);
    assert!(closed.contains("erased at the person's request") && !closed.contains(EMAIL), "{closed}");
    assert!(backing.redis.is_some() || !holds(&edge, EMAIL));
}
