//! The machine's clock and randomness: the only place where time begins.

use std::time::{SystemTime, UNIX_EPOCH};
use usher_model::{Clock, Random, UnixMs};

/// The machine's clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place where the real clock comes in")]
    fn now(&self) -> UnixMs {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        UnixMs(since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX)))
    }
}

/// The operating system's random bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OsRandom;

impl Random for OsRandom {
    fn fill(&self, bytes: &mut [u8]) {
        // A process without randomness would hand out guessable ids: it must stop instead. Linux never fails here
        // after boot (getrandom(2)).
        getrandom::fill(bytes).expect("the operating system gives random bytes");
    }
}
