//! A million records wait to be sent, and the edge starts: it takes the first sale within a second.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use usher_model::{Entry, Job, Random, RecordId, Send, Source, UnixMs};
use usher_store::Store;
use usher_tests::{Edge, Sale, Standin, eventually_within};

use crate::chance::Chance;
use crate::shelf;
use crate::size::{SIZE, verdict};

/// From the start of the process to the first acknowledgement.
const PROMISED: Duration = Duration::from_secs(1);
/// How long it may take to be ready in everybody's eyes.
const READY: Duration = Duration::from_secs(20);
/// Callers that write the records at once, so that they share syncs.
const CALLERS: usize = 256;
/// When they came in: 1 September 2026. Long ago for the edge, so all of them are due.
const THEN: UnixMs = UnixMs(1_788_220_800_000);

struct Dice;

impl Random for Dice {
    fn fill(&self, bytes: &mut [u8]) {
        // Ids have to differ, and to be as scattered as real ones.
        static COUNT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let mut chance = Chance::from_seed(count);
        bytes.iter_mut().for_each(|byte| *byte = chance.below(256) as u8);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proof() {
    let pending = SIZE.start_pending;
    let standin = Standin::start().await;
    // The platform's real limit, so that nearly all of it goes on waiting.
    standin.settings(json!({"rate_limit": 300})).await;
    let mut edge = Edge::builder(&standin).start().await;
    let referral = edge.track("alice").await.json()["cid"].as_str().expect("a click's id").to_owned();
    edge.kill9();
    let store = shelf::open(&edge.database()).await.expect("the store opens");
    fill(&store, pending, &referral).await;
    drop(store);
    let bytes = std::fs::metadata(edge.database()).map_or(0, |file| file.len());

    let start = Instant::now();
    assert!(edge.relaunch(&[]).await, "the edge starts");
    let listening = start.elapsed();
    let answer = edge.sale_call(&Sale::new("first", "10").referral(&referral)).send().await;
    let acknowledged = start.elapsed();
    assert!(matches!(answer.status, 200..=202), "{}: {}", answer.status, answer.text());
    edge.ready().await;
    let ready = start.elapsed();
    let (_, sending) = eventually_within(READY, "what waited is sent", async || {
        let received = standin.summary().await;
        (received["conversions"]["total"].as_u64()? > 1).then_some(())
    })
    .await;
    let line = format!(
        "{pending} records wait ({} MB): listening after {} ms, first acknowledgement after {} ms, ready after {} ms, \
         sending {} ms later",
        bytes / 1_000_000,
        ms(listening),
        ms(acknowledged),
        ms(ready),
        ms(sending)
    );
    verdict("start", !SIZE.is_timed || acknowledged <= PROMISED, &line);
}

/// Milliseconds, begun ones as whole ones: what is over the promise reads so.
fn ms(time: Duration) -> u128 {
    time.as_nanos().div_ceil(1_000_000)
}

/// Writes records through the store, as many edges would over a long outage.
async fn fill(store: &Arc<dyn Store>, count: usize, referral: &str) {
    let callers = (0..CALLERS).map(|caller| {
        let (store, referral) = (Arc::clone(store), referral.to_owned());
        tokio::spawn(async move {
            for number in (caller..count).step_by(CALLERS) {
                store.accept(entry(number, &referral)).await.expect("it is accepted");
            }
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await.expect("it ends");
    }
}

fn entry(number: usize, referral: &str) -> Entry {
    let now = THEN.plus(number as i64);
    let mut fingerprint = [0; 32];
    Dice.fill(&mut fingerprint);
    let key: String = fingerprint[..12].iter().map(|byte| format!("{byte:02x}")).collect();
    let body = json!({
        "external_event_id": format!("evt_{key}"), "referral_id": referral, "sale_amount": 99.9,
        "sale_amount_currency": "USD", "metadata": {"order": number.to_string(), "shop": "a usual one"},
    });
    Entry {
        id: RecordId::mint("conv", now, &Dice),
        site: shelf::site(),
        source: Source::api(),
        job: Job::Conversion,
        key: format!("evt_{key}"),
        fingerprint,
        body: body.to_string(),
        click: None,
        needs: None,
        mint: None,
        code: None,
        bind: None,
        names: vec![format!("pi_{key}")],
        paid: None,
        refund: None,
        send: Send::From(now),
        trace: json!({"rule": "referral_id"}).to_string(),
        now,
    }
}
