//! One effect: every event is reported over 64 connections at once, to two edges that share a Redis and one with a store of
//! its own, while edges are killed and the platform takes sales and drops its answers. It ends up with each event once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::sync::watch;
use usher_tests::{Edge, RedisServer, Standin, Store, eventually_within};

use crate::judge::judge;
use crate::killed::delivered;
use crate::merchant::{CODE, Merchant};
use crate::size::{SIZE, verdict};

const CONNECTIONS: usize = 64;
/// Answers of the platform that are dropped after each kill, and answers that come late.
const DROPPED: u32 = 20;
const LATE: u32 = 5;
/// What is under way when an edge dies is another's when its lease is over.
const SETTLED_WITHIN: Duration = Duration::from_secs(150);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proof() {
    let start = Instant::now();
    let (standin, redis) = (Standin::start().await, RedisServer::start().await);
    standin.settings(json!({"rate_limit": null})).await;
    let shared = Edge::builder(&standin).store(Store::redis(&redis));
    let mut edges = vec![shared.clone().start().await, shared.start().await];
    edges.push(Edge::builder(&standin).start().await);
    redis.put_code("shop", CODE, r#"{"affiliate":"bob"}"#).await;
    Merchant::print_code(&edges[2]).await;
    let shop = Merchant::open("once", &edges[0]).await;
    let (told, addresses): (Vec<_>, Vec<_>) = edges.iter().map(|edge| watch::channel(edge.http())).unzip();

    let callers: Vec<_> = (0..CONNECTIONS)
        .map(|caller| {
            let (shop, mut edge) = (Arc::clone(&shop), addresses[caller % addresses.len()].clone());
            tokio::spawn(async move {
                for number in 0..SIZE.once.events {
                    shop.report(&mut edge, number).await;
                }
            })
        })
        .collect();
    let all = SIZE.once.events * CONNECTIONS;
    let mut dropped = 0;
    for kill in 0..SIZE.once.kills {
        shop.until(all * (kill + 1) / (SIZE.once.kills + 1)).await;
        let which = kill % edges.len();
        edges[which].kill9();
        // What is left of the last ones goes: lined up they are a platform that fails for hours, and edges leave it alone.
        dropped += forget_faults(&standin).await;
        for (mode, times) in [("commit_and_drop", DROPPED), ("slow", LATE), ("status", LATE)] {
            let fault = json!({"path": "/v1/*", "mode": mode, "times": times, "delay_ms": 3_000});
            standin.behave(fault).await;
        }
        assert!(edges[which].relaunch(&[]).await, "the edge starts again");
        told[which].send_replace(edges[which].http());
    }
    for caller in callers {
        caller.await.expect("a caller ends");
    }
    let calls = shop.acknowledged();
    dropped += forget_faults(&standin).await;
    delivered(&standin, &shop.books()).await;
    settled(&edges).await;
    let outcome = judge(&standin, &shop.books()).await;
    let line = format!(
        "{} events, each over {CONNECTIONS} connections to 3 edges on 2 stores, {calls} acknowledgements, {} kills, \
         {dropped} answers dropped: {outcome}; {} s",
        SIZE.once.events,
        SIZE.once.kills,
        start.elapsed().as_secs()
    );
    verdict("once", outcome.is_good() && outcome.has_replays() && dropped > 0, &line);
}

/// Lets the platform be well again; how many answers it has dropped since the last time.
async fn forget_faults(standin: &Standin) -> u64 {
    let applied = standin.faults().await;
    standin.behave_well().await;
    let dropped = applied.iter().filter(|fault| fault["mode"] == "commit_and_drop");
    dropped.filter_map(|fault| fault["applied"].as_u64()).sum()
}

/// Waits until nothing is left to send in any store.
///
/// # Panics
/// When something is, with what it is.
async fn settled(edges: &[Edge]) {
    for edge in edges {
        let empty = eventually_within(SETTLED_WITHIN * 2, "the outbox is empty", async || {
            let waiting = edge.usher(&["outbox", "list", "--json"]).await;
            (waiting.status.success() && waiting.stdout.is_empty()).then_some(())
        });
        if tokio::time::timeout(SETTLED_WITHIN, empty).await.is_err() {
            let left = edge.usher(&["outbox", "list", "--limit", "20"]).await;
            let said = [left.stdout, left.stderr].concat();
            panic!("left in an outbox after {SETTLED_WITHIN:?}:\n{}", String::from_utf8_lossy(&said));
        }
    }
}
