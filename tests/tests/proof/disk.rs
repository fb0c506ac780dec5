//! The disk fails or is full, at each of the first syncs and writes of a service that runs: every answer after it is honest,
//! 2xx for what is on disk when somebody looks and 503 with `Retry-After` for the rest, and when the disk is well again so is
//! the edge, without a restart.

use std::ops::RangeInclusive;
use std::path::Path;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use usher_tests::strace::{SYNCS, fail_at};
use usher_tests::{Edge, Standin, eventually};

use crate::merchant::{Books, Merchant};
use crate::shelf::{self, Shelf};
use crate::size::{SIZE, verdict};

/// How many calls fail in a row when the fault lasts.
const LASTING: usize = 7;
/// Of the faults that last, every so manieth index is tried.
const LASTING_STRIDE: usize = 8;
/// Deals after a fault, that must go well.
const DEALS_AFTER: usize = 6;
/// What strace writes behind a call that it made fail.
const INJECTED: &str = "(INJECTED)";
/// How long a life may take to have its fault behind it.
const RECOVERED_WITHIN: Duration = Duration::from_secs(60);

/// A fault: which call fails, with which error.
#[derive(Clone, Copy)]
struct Fault {
    call: &'static str,
    error: &'static str,
    lasts: bool,
}

/// What came of lives with faults.
#[derive(Default)]
struct Outcome {
    lives: usize,
    /// Lives that ended before their fault.
    untouched: usize,
    /// Lives in which the edge did not come up, and said so by ending.
    not_started: usize,
    refused: usize,
    acknowledged: usize,
    /// What was acknowledged and is not on disk.
    lies: Vec<String>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proof() {
    let start = Instant::now();
    let each = |call| {
        let faults = [("EIO", false), ("ENOSPC", false), ("EIO", true), ("ENOSPC", true)];
        faults.map(|(error, lasts)| Fault { call, error, lasts })
    };
    let syncs = SYNCS.iter().copied().flat_map(each);
    let (syncs, writes) = tokio::join!(lane("sync", syncs), lane("write", each("pwrite64").into_iter()));
    let mut all = syncs;
    all.add(writes);
    let Outcome { lives, untouched, not_started, refused, acknowledged, lies } = &all;
    let line = format!(
        "{lives} lives, each with EIO or ENOSPC at one of the first {} syncs and writes or from there on, \
         {untouched} without it: {acknowledged} acknowledged, {} not on disk {:?}, {refused} times 503 with Retry-After, \
         {} recovered without a restart, {not_started} did not start; {} s",
        SIZE.disk.indexes,
        lies.len(),
        lies.iter().take(3).collect::<Vec<_>>(),
        lives - not_started,
        start.elapsed().as_secs()
    );
    let has_teeth = *untouched == 0 && *refused > 0 && lives > not_started;
    verdict("disk", lies.is_empty() && has_teeth, &line);
}

impl Outcome {
    fn add(&mut self, other: Self) {
        self.lives += other.lives;
        self.untouched += other.untouched;
        self.not_started += other.not_started;
        self.refused += other.refused;
        self.acknowledged += other.acknowledged;
        self.lies.extend(other.lies);
    }
}

/// One edge lives with one fault after the other, each time with the store of a shop that has just opened.
async fn lane(name: &str, faults: impl Iterator<Item = Fault>) -> Outcome {
    let standin = Standin::start().await;
    let mut edge = Edge::builder(&standin).start().await;
    Merchant::print_code(&edge).await;
    let shop = Merchant::open(name, &edge).await;
    edge.kill9();
    let (young, books) = (Shelf::keep(&edge.database()), shop.books());
    let mut outcome = Outcome::default();
    for fault in faults {
        let stride = if fault.lasts { LASTING_STRIDE.max(SIZE.disk.stride) } else { SIZE.disk.stride };
        for at in (1..=SIZE.disk.indexes).step_by(stride) {
            young.put_back(&edge.database());
            shop.reopen(books.clone());
            // Each make of the engine syncs with one of two calls.
            if !life(&mut edge, &shop, fault, at, &mut outcome).await {
                break;
            }
            outcome.lives += 1;
        }
    }
    outcome.refused = shop.refused();
    outcome
}

/// One life. False when the edge never made that call.
async fn life(edge: &mut Edge, shop: &Merchant, fault: Fault, at: usize, outcome: &mut Outcome) -> bool {
    let Fault { call, error, lasts } = fault;
    let when: RangeInclusive<usize> = at..=if lasts { at + LASTING - 1 } else { at };
    let notes = tempfile::NamedTempFile::new().expect("a file");
    let mut is_started = edge.relaunch(&fail_at(call, error, &when, notes.path())).await;
    if is_started {
        let work = sell_until_well(edge, shop, &when, notes.path());
        let done = tokio::time::timeout(RECOVERED_WITHIN, work).await;
        done.unwrap_or_else(|_| panic!("{call} {error} {when:?}: no recovery in {RECOVERED_WITHIN:?}"));
        is_started = edge.ended().is_none();
    }
    outcome.not_started += usize::from(!is_started);
    if edge.ended().is_none() {
        edge.process().signal("KILL");
    }
    eventually("the edge ends", async || edge.ended()).await;
    edge.process().silent().await;
    inspect(edge, &shop.books(), &format!("{call} {error} {when:?}"), outcome).await;
    let calls = std::fs::read_to_string(notes.path()).expect("strace's notes");
    let is_made = calls.contains(call);
    outcome.untouched += usize::from(is_made && !calls.contains(INJECTED));
    is_made
}

/// Deals until all the calls have failed that are to fail, and a few more.
async fn sell_until_well(edge: &Edge, shop: &Merchant, when: &RangeInclusive<usize>, notes: &Path) {
    let mut address = watch::channel(edge.http()).1;
    // Every deal that changes something makes such a call.
    for _ in 0..2 * when.end() {
        let calls = std::fs::read_to_string(notes).expect("strace's notes");
        if calls.matches(INJECTED).count() >= when.clone().count() {
            break;
        }
        shop.deal(&mut address).await;
    }
    for _ in 0..DEALS_AFTER {
        shop.deal(&mut address).await;
    }
}

async fn inspect(edge: &Edge, books: &Books, when: &str, outcome: &mut Outcome) {
    let missing = shelf::lost(&edge.database(), books).await;
    outcome.acknowledged += books.len();
    outcome.lies.extend(missing.into_iter().map(|what| format!("{when}: {what}")));
}
