//! The edge is killed before a write or a sync that is counted: each of its birth, each around a checkpoint of the log, each
//! of its stop, and each of its work while a shop does everything that a shop does.

use std::fmt;
use std::time::Duration;

use serde_json::json;
use tokio::sync::watch;
use usher_tests::strace::{SYNCS, WRITES, kill_at};
use usher_tests::{Edge, Standin, eventually};

use super::delivered;
use crate::judge::{Outcome, judge};
use crate::merchant::{Books, Merchant};
use crate::shelf::{self, Shelf};
use crate::size::SIZE;

/// The log is checkpointed into the file when it has so many pages (the store's own setting), so this many are collected
/// before the lives in which that happens.
const PAGES_BEFORE_CHECKPOINT: u64 = 1_940;
/// Records after which such a life is past it.
const DEALS_PAST_CHECKPOINT: usize = 20;
/// A page in the log: SQLite's page with its header.
const LOGGED_PAGE_BYTES: u64 = 4_096 + 24;
/// The longest that a life may take to come to an index.
const LIFE: Duration = Duration::from_secs(20);
/// Deals of a life that is stopped.
const DEALS_BEFORE_STOP: usize = 3;
/// Lives of the last part, at least.
const WORK_LIVES: usize = 200;

/// What came of all lives.
#[derive(Default)]
pub(crate) struct Indexes {
    pub(crate) kills: usize,
    pub(crate) parts: Parts,
    pub(crate) outcome: Outcome,
}

/// Kills in each part of a life.
#[derive(Default)]
pub(crate) struct Parts {
    birth: usize,
    checkpoint: usize,
    stop: usize,
    work: usize,
}

impl fmt::Display for Parts {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { birth, checkpoint, stop, work } = self;
        write!(out, "birth {birth}, checkpoint {checkpoint}, stop {stop}, work {work}")
    }
}

/// Tries them all, two lanes at a time.
pub(crate) async fn at_each() -> Indexes {
    let short = async {
        let birth = births().await;
        let stop = stops().await;
        (birth, stop)
    };
    let ((birth, stop), checkpoint) = tokio::join!(short, checkpoints());
    let so_far = birth.kills + stop.kills + checkpoint.kills;
    let work = work(SIZE.killed.indexes.saturating_sub(so_far).max(WORK_LIVES / SIZE.killed.stride)).await;
    let parts =
        Parts { birth: birth.kills, checkpoint: checkpoint.kills, stop: stop.kills, work: work.kills };
    let mut all = Indexes { parts, ..Indexes::default() };
    for part in [birth, checkpoint, stop, work] {
        all.kills += part.kills;
        all.outcome.add(part.outcome);
    }
    all
}

/// What came of one part.
#[derive(Default)]
struct Part {
    kills: usize,
    outcome: Outcome,
}

impl Part {
    /// Holds the store of a killed edge against what it acknowledged.
    async fn inspect(&mut self, edge: &Edge, books: &Books, when: &str) {
        self.kills += 1;
        let missing = shelf::lost(&edge.database(), books).await;
        let missing = missing.into_iter().map(|what| format!("{when}: {what}")).collect();
        self.outcome.add(Outcome::of_store(books.len(), missing));
    }
}

fn calls() -> impl Iterator<Item = &'static str> {
    WRITES.iter().chain(SYNCS).copied()
}

/// The store's files come to be.
async fn births() -> Part {
    let standin = Standin::start().await;
    let mut edge = Edge::builder(&standin).start().await;
    let mut part = Part::default();
    for call in calls() {
        for at in (1..).step_by(SIZE.killed.stride) {
            edge.kill9();
            shelf::clear(&edge.database());
            if edge.relaunch(&kill_at(call, at)).await {
                break;
            }
            part.inspect(&edge, &Books::default(), &format!("birth, {call} {at}")).await;
        }
    }
    part
}

/// The log is full, and goes into the file while sales come in.
async fn checkpoints() -> Part {
    let standin = Standin::start().await;
    let mut edge = Edge::builder(&standin).start().await;
    Merchant::print_code(&edge).await;
    let shop = Merchant::open("corner", &edge).await;
    // Quiet from here on, so that the pages are the shop's.
    standin.behave(json!({"path": "/v1/*", "mode": "rate_limit", "retry_after": 60})).await;
    let mut address = watch::channel(edge.http()).1;
    let log = shelf::beside(&edge.database(), "-wal");
    while std::fs::metadata(&log).map_or(0, |log| log.len()) < PAGES_BEFORE_CHECKPOINT * LOGGED_PAGE_BYTES {
        shop.deal(&mut address).await;
    }
    edge.kill9();
    let (full, books) = (Shelf::keep(&edge.database()), shop.books());
    let mut part = Part::default();
    for call in calls() {
        for at in (1..).step_by(SIZE.killed.stride) {
            full.put_back(&edge.database());
            let before = part.kills;
            if !one_checkpoint(&mut edge, &shop, &books, call, at, &mut part).await {
                break;
            }
            assert!(part.kills > before);
        }
    }
    part
}

/// A life that begins with a full log. False when it came past its checkpoint alive.
async fn one_checkpoint(
    edge: &mut Edge,
    shop: &Merchant,
    before: &Books,
    call: &str,
    at: usize,
    part: &mut Part,
) -> bool {
    shop.reopen(before.clone());
    let mut killed = !edge.relaunch(&kill_at(call, at)).await;
    if !killed {
        let mut address = watch::channel(edge.http()).1;
        let work = async {
            while edge.ended().is_none() && shop.books().len() < before.len() + DEALS_PAST_CHECKPOINT {
                shop.deal(&mut address).await;
            }
        };
        tokio::time::timeout(LIFE, work).await.expect("the life comes to its index or past its checkpoint");
        killed = edge.ended().is_some();
    }
    edge.kill9();
    if killed {
        part.inspect(edge, &shop.books(), &format!("checkpoint, {call} {at}")).await;
    }
    killed
}

/// The edge is asked to stop, and puts the log into the file.
async fn stops() -> Part {
    let standin = Standin::start().await;
    let mut edge = Edge::builder(&standin).start().await;
    Merchant::print_code(&edge).await;
    let shop = Merchant::open("stop", &edge).await;
    edge.kill9();
    let (young, books) = (Shelf::keep(&edge.database()), shop.books());
    let mut part = Part::default();
    for call in calls() {
        for at in (1..).step_by(SIZE.killed.stride) {
            young.put_back(&edge.database());
            shop.reopen(books.clone());
            let mut killed = !edge.relaunch(&kill_at(call, at)).await;
            if !killed {
                let mut address = watch::channel(edge.http()).1;
                for _ in 0..DEALS_BEFORE_STOP {
                    shop.deal(&mut address).await;
                }
                killed = !stopped_in_order(&mut edge).await;
            }
            if !killed {
                break;
            }
            part.inspect(&edge, &shop.books(), &format!("stop, {call} {at}")).await;
        }
    }
    part
}

/// Asks the edge to stop. False when it was killed on the way.
async fn stopped_in_order(edge: &mut Edge) -> bool {
    if edge.ended().is_none() {
        edge.process().signal("TERM");
    }
    eventually("the edge ends", async || edge.ended()).await;
    edge.process_mut().status().is_some_and(|status| status.success())
}

/// A shop does everything, life after life on the same files, each killed at an index of its own. In the end all must have
/// reached the platform.
async fn work(lives: usize) -> Part {
    let standin = Standin::start().await;
    standin.settings(json!({"rate_limit": null})).await;
    let mut edge = Edge::builder(&standin).start().await;
    Merchant::print_code(&edge).await;
    let shop = Merchant::open("chain", &edge).await;
    let (told, address) = watch::channel(edge.http());
    let workers: Vec<_> = (0..4).map(|_| shop.work(&address)).collect();
    let mut part = Part::default();
    for life in 0..lives {
        match life % 20 {
            0 => standin.behave_well().await,
            14 => standin.behave(json!({"mode": "down"})).await,
            _ => {}
        }
        // Of three lives two end before a write and one before a sync; writes come in tens for each sync.
        let (call, at) = if life % 3 == 2 { ("fsync", 1 + life / 3) } else { ("pwrite64", 1 + life) };
        if edge.relaunch(&kill_at(call, at)).await {
            told.send_replace(edge.http());
            eventually("the edge comes to its index", async || edge.ended()).await;
        }
        part.kills += 1;
    }
    standin.behave_well().await;
    edge.restart().await;
    told.send_replace(edge.http());
    shop.close();
    for worker in workers {
        worker.await.expect("a worker ends when the shop closes");
    }
    delivered(&standin, &shop.books()).await;
    part.outcome = judge(&standin, &shop.books()).await;
    part
}
