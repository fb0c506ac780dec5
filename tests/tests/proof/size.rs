//! How big each proof is: whole when `USHER_PROOF=full`, as `cargo xtask prove` sets it, else small enough for every run of
//! the tests. Every number stands here, and every line that a proof prints says which of the two it was.

use std::sync::LazyLock;
use std::time::Duration;

/// The sizes of all proofs.
pub(crate) struct Size {
    /// `full` or `reduced`.
    pub(crate) word: &'static str,
    /// Only the full size has the machine for itself: times are held against the promise then, else they are only shown.
    pub(crate) is_timed: bool,
    pub(crate) acme: Acme,
    pub(crate) killed: Killed,
    pub(crate) power: Power,
    pub(crate) disk: Disk,
    pub(crate) redis: Redis,
    pub(crate) once: Once,
    pub(crate) speed: Speed,
    pub(crate) reload: Reload,
    /// Entries that wait when the edge starts.
    pub(crate) start_pending: usize,
    /// Every how manieth hostile or valid connection.
    pub(crate) hostile_stride: usize,
    /// Bytes of one body through the edge, in each direction.
    pub(crate) origin_bytes: u64,
    /// WebSocket messages there and back.
    pub(crate) origin_frames: usize,
    /// Clients with slow headers, with slow bodies, and that read slowly.
    pub(crate) slow: [usize; 3],
}

/// Certificates.
pub(crate) struct Acme {
    pub(crate) hosts: usize,
    /// How long they live, in seconds; renewed at two thirds.
    pub(crate) life_s: u64,
    /// Certificates that take another's place.
    pub(crate) renewals: usize,
    /// Handshakes with names that are nobody's.
    pub(crate) strangers: usize,
}

/// Kills.
pub(crate) struct Killed {
    /// At random moments, with the embedded store.
    pub(crate) moments: usize,
    /// At random moments, with Redis.
    pub(crate) moments_with_redis: usize,
    /// Every how manieth index of writes and syncs is tried, in the three parts of a life that have many.
    pub(crate) stride: usize,
    /// At an index, all parts of a life together: so many at least.
    pub(crate) indexes: usize,
}

/// Power cuts.
pub(crate) struct Power {
    /// Sales of the life that is cut off at every point.
    pub(crate) sales: usize,
    /// Random images for each point, beside the two extreme ones.
    pub(crate) images: usize,
    /// Every how manieth point of the life around a checkpoint.
    pub(crate) stride: usize,
}

/// Failing disks.
pub(crate) struct Disk {
    /// The first so many syncs and writes.
    pub(crate) indexes: usize,
    /// Every how manieth of them.
    pub(crate) stride: usize,
}

/// Failing Redis.
pub(crate) struct Redis {
    /// How long clicks are measured before and during each fault.
    pub(crate) measured: Duration,
}

/// Duplicates.
pub(crate) struct Once {
    /// Events, each reported many times at once.
    pub(crate) events: usize,
    pub(crate) kills: usize,
}

/// Reloads and hand-overs, with each of two stores.
pub(crate) struct Reload {
    pub(crate) requests: usize,
    pub(crate) reloads: usize,
    pub(crate) hand_overs: usize,
}

/// Speed.
pub(crate) struct Speed {
    pub(crate) seconds: u64,
}

const FULL: Size = Size {
    word: "full",
    is_timed: true,
    acme: Acme { hosts: 10, life_s: 60, renewals: 20, strangers: 10_000 },
    killed: Killed { moments: 900, moments_with_redis: 100, stride: 1, indexes: 1_000 },
    power: Power { sales: 60, images: 8, stride: 1 },
    disk: Disk { indexes: 200, stride: 1 },
    redis: Redis { measured: Duration::from_secs(6) },
    once: Once { events: 1_000, kills: 12 },
    speed: Speed { seconds: 10 },
    reload: Reload { requests: 50_000, reloads: 50, hand_overs: 20 },
    start_pending: 1_000_000,
    hostile_stride: 1,
    origin_bytes: 1 << 30,
    origin_frames: 100_000,
    slow: [10_000, 2_000, 2_000],
};

const REDUCED: Size = Size {
    word: "reduced",
    is_timed: false,
    acme: Acme { hosts: 2, life_s: 20, renewals: 1, strangers: 500 },
    killed: Killed { moments: 50, moments_with_redis: 10, stride: 25, indexes: 60 },
    power: Power { sales: 12, images: 2, stride: 25 },
    disk: Disk { indexes: 200, stride: 40 },
    redis: Redis { measured: Duration::from_millis(750) },
    once: Once { events: 100, kills: 2 },
    speed: Speed { seconds: 1 },
    reload: Reload { requests: 2_000, reloads: 3, hand_overs: 2 },
    start_pending: 20_000,
    hostile_stride: 17,
    origin_bytes: 64 << 20,
    origin_frames: 2_000,
    slow: [200, 0, 0],
};

/// The sizes of this run.
pub(crate) static SIZE: LazyLock<&'static Size> = LazyLock::new(|| match std::env::var("USHER_PROOF") {
    Ok(word) if word == FULL.word => &FULL,
    Ok(word) if word == REDUCED.word => &REDUCED,
    Err(std::env::VarError::NotPresent) => &REDUCED,
    other => panic!("USHER_PROOF must be full or reduced, not {other:?}"),
});

/// Prints the line of a promise, and fails when it did not hold.
pub(crate) fn verdict(promise: &str, holds: bool, line: &str) {
    let word = if holds { "holds" } else { "BROKEN" };
    usher_tests::report(&format!("promise {promise} {word} ({}): {line}", SIZE.word));
    assert!(holds, "the promise {promise} is broken: {line}");
}
