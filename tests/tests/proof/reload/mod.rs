//! Reload and hand-over: clients call all the time while the configuration is read again, well and badly written, and while
//! one process takes the place of another. No request fails, none sees a mix of two configurations, and every sale that was
//! acknowledged reaches the platform once.

mod clients;
mod line;

use std::time::{Duration, Instant};

use serde_json::json;
use usher_tests::{Edge, RedisServer, Standin, Store, eventually_within};

use crate::size::{SIZE, verdict};
use clients::{Clients, Tally};
use line::{Line, Settings};

/// The longest wait of a client while one process takes another's place, when the machine does nothing else.
const LONGEST: Duration = Duration::from_millis(900);
/// What was acknowledged is with the platform.
const DELIVERED_WITHIN: Duration = Duration::from_secs(90);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proof() {
    let start = Instant::now();
    let redis = RedisServer::start().await;
    let mut tally = run(Store::sqlite()).await;
    tally.add(run(Store::redis(&redis)).await);

    let size = &SIZE.reload;
    let line = format!(
        "{tally}; {} reloads, {} of a wrong file, and {} hand-overs with each of two stores; {} s",
        size.reloads,
        size.reloads.div_ceil(WRONG),
        size.hand_overs,
        start.elapsed().as_secs()
    );
    let in_time = !SIZE.is_timed || tally.longest() <= LONGEST;
    verdict("reload", tally.is_good() && tally.requests() >= 2 * size.requests && in_time, &line);
}

/// Every how manieth reload is tried with a wrong file first.
const WRONG: usize = 5;

async fn run(store: Store) -> Tally {
    let standin = Standin::start().await;
    standin.settings(json!({"rate_limit": null})).await;
    // The full size has the machine for itself.
    let may_starve = matches!(store, Store::Url(_)) && !SIZE.is_timed;
    let mut line = Line::start(Edge::builder(&standin).store(store)).await;
    let clients = Clients::start(line.address(), line.scripts(), line.referral().await, may_starve);

    let size = &SIZE.reload;
    let steps = size.reloads + size.hand_overs;
    let (mut reloads, mut hand_overs) = (0, 0);
    for step in 0..steps {
        clients.until(size.requests * (step + 1) / (steps + 1)).await;
        // Spread among the reloads.
        if hand_overs * steps < step * size.hand_overs {
            line.hand_over().await;
            hand_overs += 1;
        } else {
            if reloads % WRONG == 0 {
                line.reload_wrong_file().await;
            }
            line.reload(if reloads % 2 == 0 { Settings::B } else { Settings::A }).await;
            reloads += 1;
        }
    }
    clients.until(size.requests).await;
    let tally = clients.end().await;
    if !tally.is_good() {
        usher_tests::report(&line.complaints());
    }
    assert_eq!((reloads, hand_overs), (size.reloads, size.hand_overs));
    arrived(&standin, &tally).await;
    tally
}

/// Waits until the platform has every sale that was acknowledged, each once.
async fn arrived(standin: &Standin, tally: &Tally) {
    let all =
        eventually_within(DELIVERED_WITHIN, "every acknowledged sale reaches the platform", async || {
            let received = standin.received().await;
            let mut events: Vec<_> =
                received.conversions().iter().filter_map(|sale| sale["external_event_id"].as_str()).collect();
            events.sort_unstable();
            let missing =
                tally.sales().iter().filter(|sale| events.binary_search(&sale.as_str()).is_err()).count();
            (missing == 0).then(|| {
                let before = events.len();
                events.dedup();
                before == events.len()
            })
        });
    assert!(all.await.0, "a sale reached the platform twice");
}
