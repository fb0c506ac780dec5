//! `kill -9`: nothing that was acknowledged is lost, nothing arrives under two ids. At random moments under load, and before
//! every write and sync of a life.

mod index;

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::sync::watch;
use usher_tests::{Edge, RedisServer, Sale, Standin, Store, eventually_within};

use crate::chance::Chance;
use crate::judge::{Outcome, arrived, judge};
use crate::merchant::{Books, CODE, Merchant};
use crate::size::{SIZE, verdict};

const WRITERS: usize = 6;
/// A kill comes so long after the first acknowledgement of a life, at most.
const LIFE_MICROSECONDS: usize = 40_000;
/// Of so many lives in a row, the last third finds the platform down.
const WEATHER: usize = 24;
/// With Redis, what a killed edge was working on is free again when its lease is over.
const DRAINED_WITHIN: Duration = Duration::from_secs(150);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proof() {
    let start = Instant::now();
    let size = &SIZE.killed;
    // Side by side, since most of them wait most of the time: for a process to start, for a lease to end.
    let shared = moments(Some(RedisServer::start().await), size.moments_with_redis);
    let (mut outcome, shared, indexes, ()) = tokio::join!(
        moments(None, size.moments),
        shared,
        index::at_each(),
        a_second_edge_delivers_what_a_dead_one_left()
    );
    outcome.add(shared);
    outcome.add(indexes.outcome);
    let moments = size.moments + size.moments_with_redis;
    let holds = outcome.is_good() && indexes.kills >= size.indexes;
    let line = format!(
        "{} kills ({moments} at random moments, {} before a write or sync: {}): {outcome}; {} s",
        moments + indexes.kills,
        indexes.kills,
        indexes.parts,
        start.elapsed().as_secs()
    );
    verdict("killed", holds, &line);
}

/// Kills the edge at random moments, under a load of everything.
async fn moments(redis: Option<RedisServer>, kills: usize) -> Outcome {
    let standin = Standin::start().await;
    standin.settings(json!({"rate_limit": null})).await;
    let store = redis.as_ref().map_or(Store::sqlite(), Store::redis);
    let mut edge = Edge::builder(&standin).store(store).start().await;
    match &redis {
        Some(redis) => redis.put_code("shop", CODE, r#"{"affiliate":"bob"}"#).await,
        None => Merchant::print_code(&edge).await,
    }
    let shop = Merchant::open(if redis.is_some() { "shared" } else { "own" }, &edge).await;
    let (told, address) = watch::channel(edge.http());
    let writers: Vec<_> = (0..WRITERS).map(|_| shop.work(&address)).collect();
    let mut chance = Chance::from_seed(kills as u64);
    for kill in 0..kills {
        match kill % WEATHER {
            0 => standin.behave_well().await,
            16 => standin.behave(json!({"mode": "down"})).await,
            _ => {}
        }
        shop.until(shop.acknowledged() + 1).await;
        tokio::time::sleep(Duration::from_micros(chance.below(LIFE_MICROSECONDS) as u64)).await;
        edge.kill9();
        assert!(edge.relaunch(&[]).await, "the edge starts again after kill {kill}");
        told.send_replace(edge.http());
    }
    standin.behave_well().await;
    shop.close();
    for writer in writers {
        writer.await.expect("a writer ends when the shop closes");
    }
    delivered(&standin, &shop.books()).await;
    judge(&standin, &shop.books()).await
}

/// Waits until the platform has all of it; who judges says what is missing when it has not.
pub(crate) async fn delivered(standin: &Standin, books: &Books) {
    let all = eventually_within(DRAINED_WITHIN * 2, "the platform has everything", async || {
        tokio::time::sleep(Duration::from_millis(200)).await;
        (arrived(standin, books).await == books.len()).then_some(())
    });
    let _ = tokio::time::timeout(DRAINED_WITHIN, all).await;
}

async fn a_second_edge_delivers_what_a_dead_one_left() {
    let (standin, redis) = (Standin::start().await, RedisServer::start().await);
    let builder = Edge::builder(&standin).store(Store::redis(&redis));
    let (mut one, two) = (builder.clone().start().await, builder.start().await);
    let referral = one.track("alice").await.json()["cid"].as_str().expect("a click's id").to_owned();
    standin.behave(json!({"path": "/v1/conversions", "mode": "down"})).await;
    for order in 0..20 {
        one.sell(&Sale::new(&format!("order-{order}"), "10").referral(&referral)).await;
    }
    one.kill9();
    standin.behave_well().await;
    // What the dead edge was working on is another's only when its lease is over.
    eventually_within(DRAINED_WITHIN, "the other edge delivers all twenty", async || {
        (standin.received().await.conversions().len() == 20).then_some(())
    })
    .await;
    drop(two);
}
