//! The power is cut: at every point of real lives of the edge, as strace saw them, the disk is put together as it may be
//! found then, and opened with the store's own code. What was acknowledged before that point is there, whole, and nothing is
//! delivered that was not accepted.

mod cut;
mod disk;
mod records;
mod trace;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use serde_json::json;
use tempfile::TempDir;
use tokio::sync::watch;
use usher_tests::strace::{record, record_failing};
use usher_tests::{Edge, Standin, eventually};

use self::cut::{Cuts, Life};
use self::records::Accepted;
use self::trace::{CALLS, Event};
use crate::merchant::{Books, Merchant};
use crate::shelf::{self, Shelf};
use crate::size::{SIZE, verdict};

/// As in the proof of kills: pages of a log that is about to be checkpointed.
const PAGES_BEFORE_CHECKPOINT: u64 = 1_960;
const LOGGED_PAGE_BYTES: u64 = 4_096 + 24;
/// Deals of a life around a checkpoint.
const DEALS_AROUND_CHECKPOINT: usize = 16;
/// Syncs that fail, one in each life, and deals of such a life at most. The third sync is that of the first report; it comes
/// first here, so that every size of this proof meets a report that was refused and is there.
const FAILED_SYNCS: [usize; 6] = [3, 1, 2, 9, 5, 14];
const DEALS_AROUND_FAILURE: usize = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proof() {
    let start = Instant::now();
    let size = &SIZE.power;
    let whole = whole_life(size.sales).await;
    let corner = around_a_checkpoint().await;
    let mut cuts = whole.cut_everywhere(1, size.images).await;
    cuts.add(corner.cut_everywhere(size.stride, size.images.min(3)).await);
    let mut failed = Cuts::default();
    for sync in FAILED_SYNCS.into_iter().step_by(size.stride.min(3)) {
        failed.add(around_a_failed_sync(sync).await.cut_everywhere(1, size.images.min(3)).await);
    }
    // A disk whose syncs do nothing: the same search must find what is lost then, else it proves nothing.
    let careless = whole.without_syncs().cut_everywhere(1, 1).await;
    let holds = cuts.are_good() && failed.are_good() && careless.has_losses();
    let line = format!(
        "{cuts}; with a sync that failed, {failed}; without syncs, {careless}; {} s",
        start.elapsed().as_secs()
    );
    verdict("power", holds, &line);
}

/// From the first start to an orderly stop: the files come to be, a shop sells, the log goes into the file.
async fn whole_life(deals: usize) -> Life {
    let standin = Standin::start().await;
    let notes = tempfile::tempdir().expect("a folder");
    let file = notes.path().join("trace");
    let mut edge = Edge::builder(&standin).under(record(CALLS, &file)).start().await;
    // A code would be printed by another process, whose writes strace does not see.
    let shop = Merchant::open_without_codes("whole", &edge).await;
    sell(&shop, &edge, &standin, deals).await;
    edge.process().signal("TERM");
    ended(&mut edge).await;
    finish(&edge, &file, BTreeMap::new(), Books::default(), &shop).await
}

/// From a full log over its checkpoint to a kill.
async fn around_a_checkpoint() -> Life {
    let standin = Standin::start().await;
    let mut edge = Edge::builder(&standin).start().await;
    Merchant::print_code(&edge).await;
    let shop = Merchant::open("corner", &edge).await;
    standin.behave(json!({"path": "/v1/*", "mode": "rate_limit", "retry_after": 60})).await;
    let mut address = watch::channel(edge.http()).1;
    let log = shelf::beside(&edge.database(), "-wal");
    while std::fs::metadata(&log).map_or(0, |log| log.len()) < PAGES_BEFORE_CHECKPOINT * LOGGED_PAGE_BYTES {
        shop.deal(&mut address).await;
    }
    edge.kill9();
    let notes = tempfile::tempdir().expect("a folder");
    let file = notes.path().join("trace");
    let (found, before) = (shelf::read(&edge.database()), shop.books());
    assert!(edge.relaunch(&record(CALLS, &file)).await);
    sell(&shop, &edge, &standin, DEALS_AROUND_CHECKPOINT).await;
    edge.process().signal("KILL");
    ended(&mut edge).await;
    finish(&edge, &file, found, before, &shop).await
}

/// A life with a sync that failed: what the system then holds to be clean may be lost.
async fn around_a_failed_sync(sync: usize) -> Life {
    let standin = Standin::start().await;
    let notes = tempfile::tempdir().expect("a folder");
    let file = notes.path().join("trace");
    let mut edge = Edge::builder(&standin).start().await;
    Merchant::print_code(&edge).await;
    let shop = Merchant::open("failing", &edge).await;
    edge.kill9();
    let (found, before) = (shelf::read(&edge.database()), shop.books());
    let call = usher_tests::strace::SYNCS[0];
    // An edge that cannot bring the log it found to the disk does not start: then that was its life.
    if edge.relaunch(&record_failing(CALLS, &file, call, "EIO", sync)).await {
        sell(&shop, &edge, &standin, SIZE.power.sales.min(DEALS_AROUND_FAILURE)).await;
        edge.process().signal("KILL");
    }
    ended(&mut edge).await;
    finish(&edge, &file, found, before, &shop).await
}

/// So many deals, by two at a time, the platform being away for some of them.
async fn sell(shop: &Arc<Merchant>, edge: &Edge, standin: &Standin, deals: usize) {
    let address = watch::channel(edge.http()).1;
    for deal in 0..deals.div_ceil(2) {
        match deal % 10 {
            0 => standin.behave_well().await,
            6 => standin.behave(json!({"mode": "down"})).await,
            _ => {}
        }
        let (mut one, mut two) = (address.clone(), address.clone());
        tokio::join!(shop.deal(&mut one), shop.deal(&mut two));
    }
    standin.behave_well().await;
}

async fn ended(edge: &mut Edge) {
    eventually("the edge ends", async || edge.ended()).await;
    // strace has then written its last line.
    edge.process().silent().await;
}

async fn finish(
    edge: &Edge,
    trace: &Path,
    found: BTreeMap<String, Vec<u8>>,
    before: Books,
    shop: &Merchant,
) -> Life {
    let text = std::fs::read_to_string(trace).expect("strace wrote a trace");
    let events = trace::read(&text, &edge.database());
    let acknowledged = events.iter().filter(|event| matches!(event, Event::Acknowledge(_))).count();
    let books = shop.books();
    assert!(acknowledged >= books.len() - before.len(), "the trace shows every answer: {acknowledged}");
    let copy = Shelf::keep(&edge.database());
    let store = shelf::open(&copy.database()).await.expect("the store opens");
    let accepted = Accepted::of(store.as_ref()).await.expect("the store lists its records");
    Life { found, events, before, books, accepted }
}

/// A folder for images; in memory where there is one, since nothing in it has to last.
fn workbench() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder")
}
