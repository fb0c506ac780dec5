//! `kill -9` during a load of conversions: nothing that was acknowledged is lost, nothing arrives under two ids.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{Mutex, Notify};
use usher_tests::{Edge, HOST, KEY, Sale, Standin, eventually_within, post, report};

use crate::backing::{Backing, CORES};

const WRITERS: usize = 8;
/// What a killed edge was working on is free again when its lease is over.
const DRAINED_WITHIN: Duration = Duration::from_secs(150);
/// Sales that must be acknowledged between two kills, so that each kill hits a load.
const ACKNOWLEDGED_BEFORE_KILL: usize = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_kills_with_the_embedded_store() {
    survive(&Backing::sqlite().await, 50).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_kills_with_redis() {
    survive(&Backing::redis().await, 10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_edge_delivers_what_a_dead_one_left() {
    let backing = Backing::redis().await;
    let (mut one, two) = (backing.edge().await, backing.edge().await);
    let referral = one.track("alice").await.json()["cid"].as_str().expect("a click's id").to_owned();
    backing.standin.behave(serde_json::json!({"path": "/v1/conversions", "mode": "down"})).await;
    for order in 0..20 {
        one.sell(&Sale::new(&format!("order-{order}"), "10").referral(&referral)).await;
    }
    one.kill9();
    backing.standin.behave_well().await;
    // What the dead edge was working on is another's only when its lease is over.
    eventually_within(DRAINED_WITHIN, "the other edge delivers all twenty", async || {
        (backing.standin.received().await.conversions().len() == 20).then_some(())
    })
    .await;
    drop(two);
}

/// What the writers know.
#[derive(Default)]
struct Ledger {
    /// Event to amount, for every sale that was answered with a 2xx.
    acknowledged: Mutex<BTreeMap<String, String>>,
    count: AtomicUsize,
    more: Notify,
    next: AtomicUsize,
    over: AtomicBool,
}

async fn survive(backing: &Backing, kills: usize) {
    let _cores = CORES.lock().await;
    let mut edge = backing.edge().await;
    let referral = edge.track("alice").await.json()["cid"].as_str().expect("a click's id").to_owned();
    let ledger = Arc::new(Ledger::default());
    let (told, address) = tokio::sync::watch::channel(edge.http());
    let writers: Vec<_> = (0..WRITERS)
        .map(|_| tokio::spawn(write(Arc::clone(&ledger), referral.clone(), address.clone())))
        .collect();
    for kill in 1..=kills {
        ledger.until(kill * ACKNOWLEDGED_BEFORE_KILL).await;
        edge.kill9();
        edge.restart().await;
        told.send_replace(edge.http());
    }
    ledger.until((kills + 1) * ACKNOWLEDGED_BEFORE_KILL).await;
    ledger.over.store(true, Ordering::SeqCst);
    for writer in writers {
        writer.await.expect("a writer ends when it is told");
    }
    let acknowledged = ledger.acknowledged.lock().await.clone();
    let took = drained(&backing.standin, &acknowledged).await;
    judge(&backing.standin, &edge, &acknowledged, kills, took).await;
}

impl Ledger {
    /// Waits until so many sales have been acknowledged.
    async fn until(&self, count: usize) {
        let enough = async {
            loop {
                let more = self.more.notified();
                let mut more = std::pin::pin!(more);
                more.as_mut().enable();
                if self.count.load(Ordering::SeqCst) >= count {
                    return;
                }
                more.await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), enough)
            .await
            .expect("sales are acknowledged under load");
    }

    async fn acknowledge(&self, event: String, amount: String) {
        self.acknowledged.lock().await.insert(event, amount);
        self.count.fetch_add(1, Ordering::SeqCst);
        self.more.notify_waiters();
    }
}

/// Reports sales one after the other, each until it is acknowledged, as a merchant's backend does.
async fn write(ledger: Arc<Ledger>, referral: String, mut edge: tokio::sync::watch::Receiver<SocketAddr>) {
    while !ledger.over.load(Ordering::SeqCst) {
        let number = ledger.next.fetch_add(1, Ordering::SeqCst);
        let (event, amount) = (format!("order-{number}"), format!("{}.{:02}", number + 1, number % 100));
        let mark = format!("{{\"sale\":{event:?}}}");
        let sale = Sale::new(&event, &amount).referral(&referral).raw("metadata", &mark);
        loop {
            let to = *edge.borrow_and_update();
            let call =
                post(to, "/r/v1/conversions").host(HOST).bearer(KEY).body("application/json", sale.json());
            match call.try_send().await {
                Ok(answer) if answer.status <= 202 => break ledger.acknowledge(event, amount).await,
                Ok(answer) => {
                    assert!(matches!(answer.status, 429 | 503), "{}: {}", answer.status, answer.text());
                }
                // The edge was killed: the next one listens elsewhere.
                Err(_) => {
                    let _ = tokio::time::timeout(Duration::from_secs(20), edge.changed()).await;
                }
            }
        }
    }
}

/// Waits until the platform has every sale that was acknowledged, or the time is up; answers how long it took.
async fn drained(standin: &Standin, acknowledged: &BTreeMap<String, String>) -> Option<Duration> {
    let waited = tokio::time::timeout(
        DRAINED_WITHIN,
        eventually_within(DRAINED_WITHIN * 2, "the outbox drains", async || {
            let summary = standin.summary().await;
            let events = summary["conversions"]["event_ids"].as_object()?.len();
            (events >= acknowledged.len()).then_some(())
        }),
    );
    waited.await.ok().map(|(_, took)| took)
}

async fn judge(
    standin: &Standin,
    edge: &Edge,
    acknowledged: &BTreeMap<String, String>,
    kills: usize,
    took: Option<Duration>,
) {
    let received = standin.received().await;
    let mut amounts: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for sale in received.conversions() {
        // By the mark that the writer put into it, which says what sale it is under whatever id it comes.
        amounts.entry(sale["body"]["metadata"]["sale"].as_str().unwrap_or_default()).or_default().push(sale);
    }
    let lost: Vec<_> = acknowledged.keys().filter(|event| !amounts.contains_key(event.as_str())).collect();
    let twice: Vec<_> = amounts.iter().filter(|(_, sales)| sales.len() > 1).map(|(event, _)| event).collect();
    let wrong: Vec<_> = acknowledged
        .iter()
        .filter(|(event, amount)| {
            amounts.get(event.as_str()).is_some_and(|sales| !same(&sales[0]["sale_amount_text"], amount))
        })
        .collect();
    let ids: BTreeSet<_> = received.conversions().iter().map(|sale| sale["id"].to_string()).collect();
    let replays: u64 = received.conversions().iter().filter_map(|sale| sale["replays"].as_u64()).sum();
    report(&format!(
        "{kills} kills: {} acknowledged, {} delivered, {} lost, {} under two ids, {} with a wrong amount, \
         {replays} repeated and recognised by the platform, outbox empty after {took:?}",
        acknowledged.len(),
        amounts.len(),
        lost.len(),
        twice.len(),
        wrong.len(),
    ));
    assert!(lost.is_empty(), "lost: {lost:?}\n{}", edge.process().transcript());
    assert!(twice.is_empty(), "under two ids: {twice:?}");
    assert!(wrong.is_empty(), "wrong amounts: {wrong:?}");
    assert_eq!(ids.len(), received.conversions().len());
}

/// Whether an amount arrived as it was reported, trailing zeros apart.
fn same(received: &Value, reported: &str) -> bool {
    let shortest = |text: &str| text.trim_end_matches('0').trim_end_matches('.').to_owned();
    received.as_str().is_some_and(|text| {
        let text = if text.contains('.') { shortest(text) } else { text.to_owned() };
        text == shortest(reported)
    })
}
