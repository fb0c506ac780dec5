//! The disk fails or is full, at each of the first syncs and writes of a service that runs: every answer after it is honest,
//! 2xx for what is on disk when somebody looks and 503 with `Retry-After` for the rest, and when the disk is well again so is
//! the edge, without a restart.

use std::ops::RangeInclusive;
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
const LASTING_STRIDE: usize = 4;
/// Deals after a fault at the latest, that must go well.
const DEALS_AFTER: usize = 6;
/// A deal makes so many writes at least, and one sync.
const WRITES_A_DEAL: usize = 4;
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
    let syncs = SYNCS.iter().flat_map(|&call| [(call, "EIO", false), (call, "EIO", true)]);
    let writes =
        [("pwrite64", "EIO", false), ("pwrite64", "ENOSPC", false), ("pwrite64", "ENOSPC", true)].into_iter();
    let fault = |(call, error, lasts)| Fault { call, error, lasts };
    let (syncs, writes) = tokio::join!(lane("sync", syncs.map(fault)), lane("write", writes.map(fault)));
    let mut all = syncs;
    all.add(writes);
    let Outcome { lives, not_started, refused, acknowledged, lies } = &all;
    let line = format!(
        "{lives} lives, each with EIO or ENOSPC at one of the first {} syncs and writes or from there on: \
         {acknowledged} acknowledged, {} not on disk {:?}, {refused} times 503 with Retry-After, {} recovered without a \
         restart, {not_started} did not start; {} s",
        SIZE.disk.indexes,
        lies.len(),
        lies.iter().take(3).collect::<Vec<_>>(),
        lives - not_started,
        start.elapsed().as_secs()
    );
    verdict("disk", lies.is_empty() && *refused > 0 && lives > not_started, &line);
}

impl Outcome {
    fn add(&mut self, other: Self) {
        self.lives += other.lives;
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
            let is_made = life(&mut edge, &shop, fault, at, &mut outcome).await;
            outcome.lives += 1;
            // Each make of the engine syncs with one of two calls.
            if !is_made {
                break;
            }
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
        let mut address = watch::channel(edge.http()).1;
        let calls_a_deal = if call == "pwrite64" { WRITES_A_DEAL } else { 1 };
        let deals = when.end() / calls_a_deal + DEALS_AFTER;
        let work = async {
            for _ in 0..deals {
                shop.deal(&mut address).await;
            }
        };
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
    calls.contains(call)
}

async fn inspect(edge: &Edge, books: &Books, when: &str, outcome: &mut Outcome) {
    let missing = shelf::lost(&edge.database(), books).await;
    outcome.acknowledged += books.len();
    outcome.lies.extend(missing.into_iter().map(|what| format!("{when}: {what}")));
}
