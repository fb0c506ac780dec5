//! How fast sales are acknowledged over HTTP, each on disk by then, while the platform keeps to its own rate limit; beside
//! what the same disk does for a bare log in the same run.

mod load;
mod log;

use std::time::Duration;

use serde_json::json;
use usher_tests::{Edge, Standin};

use self::load::Measured;
use crate::size::{SIZE, verdict};

const CONNECTIONS: usize = 64;
/// What is promised: acknowledgements a second, and the slowest of a hundred when they come at [`RATE`].
const PROMISED_PER_SECOND: f64 = 10_000.0;
const PROMISED_P99: Duration = Duration::from_millis(10);
const RATE: u32 = 1_000;
/// The platform's limit at its smallest plan, requests a minute (<https://docs.affonso.io/api/rate-limits>).
const PLATFORM_LIMIT: u32 = 300;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proof() {
    let time = Duration::from_secs(SIZE.speed.seconds);
    let standin = Standin::start().await;
    let edge = Edge::builder(&standin).start().await;
    let referral = edge.track("alice").await.json()["cid"].as_str().expect("a click's id").to_owned();
    standin.settings(json!({"rate_limit": PLATFORM_LIMIT})).await;

    let folder = edge.database().parent().expect("its folder").to_owned();
    let before = log::append(&folder, CONNECTIONS, time / 2).await;
    // The first calls use the platform's limit up.
    load::closed(edge.http(), &referral, CONNECTIONS, Duration::from_secs(1)).await;
    let closed = load::closed(edge.http(), &referral, CONNECTIONS, time).await;
    let after = log::append(&folder, CONNECTIONS, time / 2).await;
    let open = load::open(edge.http(), &referral, CONNECTIONS, RATE, time).await;

    let raw = f64::midpoint(before.per_second, after.per_second);
    let line = format!(
        "{:.0} sales a second acknowledged at {CONNECTIONS} connections ({}), a raw log on the same disk {raw:.0} \
         ({:.2} of it); at {RATE} a second {}; {} failed",
        closed.per_second,
        waits(&closed),
        closed.per_second / raw,
        waits(&open),
        closed.failed + open.failed,
    );
    let is_fast = closed.per_second >= PROMISED_PER_SECOND && open.at(0.99) <= PROMISED_P99;
    let is_sound =
        closed.failed + open.failed == 0 && open.answers as u64 == u64::from(RATE) * time.as_secs();
    verdict("speed", is_sound && (is_fast || !SIZE.is_timed), &line);
}

fn waits(measured: &Measured) -> String {
    let ms = |share| measured.at(share).as_secs_f64() * 1e3;
    format!("p50 {:.1} ms, p99 {:.1} ms", ms(0.50), ms(0.99))
}
