//! Requests that are made to be read in two ways: whatever comes in over raw TCP, servers behind the edge get each valid
//! request once, as it was sent, and nothing at all of a hostile one.

mod case;
mod client;
mod grammar;
mod origins;
mod recorder;
mod valid;

use std::collections::HashMap;
use std::time::Instant;

use usher_tests::{Edge, Standin};

use crate::size::{SIZE, verdict};
use case::{Case, Expected};
use client::Told;
use origins::{Kind, Origin};

/// Connections at once.
const CLIENTS: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proof() {
    let start = Instant::now();
    let standin = Standin::start().await;
    let (hostile, valid) = (thinned(grammar::cases()), thinned(valid::cases()));
    let (mut sent, mut all) = (0, Count::default());
    for kind in [Kind::Recorder, Kind::Nginx, Kind::Node, Kind::Python] {
        let origin = Origin::start(kind).await;
        let address = format!("\"http://{}\"", origin.address());
        let edge = Edge::builder(&standin).site("origin", &address).start().await;
        let cases: Vec<Case> =
            hostile.iter().chain(&valid).filter(|case| case.suits(kind)).cloned().collect();
        sent += cases.len();
        let told = client::send(edge.http(), &cases, CLIENTS).await;
        drop(edge);
        let count = judge(kind, &cases, &told, &origin.seen().await);
        all = all.plus(&count);
    }
    let line = format!(
        "{} hostile and {} valid connections, each to nginx, Node, Python and a recording socket ({sent} in all): \
         {} unsafe forwarded; {} of {} valid requests forwarded; {} answered otherwise than they should; {} s",
        hostile.len(),
        valid.len(),
        all.unsafely,
        all.forwarded,
        all.expected,
        all.otherwise,
        start.elapsed().as_secs()
    );
    let is_enough = SIZE.hostile_stride > 1 || (hostile.len() >= 5_000 && valid.len() >= 300);
    let holds = all.unsafely == 0 && all.forwarded == all.expected && all.otherwise == 0 && is_enough;
    verdict("hostile", holds, &line);
}

/// Every so manieth.
fn thinned(cases: Vec<Case>) -> Vec<Case> {
    cases.into_iter().step_by(SIZE.hostile_stride).collect()
}

/// What came of it.
#[derive(Default)]
struct Count {
    unsafely: usize,
    expected: usize,
    forwarded: usize,
    otherwise: usize,
}

impl Count {
    fn plus(&self, other: &Self) -> Self {
        Self {
            unsafely: self.unsafely + other.unsafely,
            expected: self.expected + other.expected,
            forwarded: self.forwarded + other.forwarded,
            otherwise: self.otherwise + other.otherwise,
        }
    }
}

/// What an origin got.
#[derive(Default)]
pub(crate) struct Seen {
    /// Requests that it took for whole ones.
    pub(crate) requests: Vec<Expected>,
    /// What it could not read.
    pub(crate) malformed: Vec<String>,
}

/// Compares what was to arrive with what did, and shows the first differences.
fn judge(kind: Kind, cases: &[Case], told: &[Told], seen: &Seen) -> Count {
    let mut open: HashMap<Expected, usize> = HashMap::new();
    let mut count = Count::default();
    for expected in cases.iter().flat_map(|case| &case.expected) {
        *open.entry(kind.view(expected)).or_default() += 1;
        count.expected += 1;
    }
    for request in &seen.requests {
        match open.get_mut(request).filter(|left| **left > 0) {
            Some(left) => {
                *left -= 1;
                count.forwarded += 1;
            }
            None => {
                count.unsafely += 1;
                show(count.unsafely, kind, &format!("got {request:?}"));
            }
        }
    }
    for malformed in &seen.malformed {
        count.unsafely += 1;
        show(count.unsafely, kind, &format!("could not read {malformed}"));
    }
    let missing = open.iter().filter(|(_, left)| **left > 0);
    for (number, (expected, _)) in missing.enumerate() {
        show(number, kind, &format!("did not get {expected:?}"));
    }
    for (case, told) in cases.iter().zip(told) {
        if let Some(why) = told.contradicts(case) {
            count.otherwise += 1;
            show(count.otherwise, kind, &format!("{why}: {case:?}"));
        }
    }
    count
}

fn show(number: usize, kind: Kind, what: &str) {
    if number <= 10 {
        usher_tests::report(&format!("{kind:?} {}", what.chars().take(1_500).collect::<String>()));
    }
}
