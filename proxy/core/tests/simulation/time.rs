//! Time: what really passes, and what the machine's clock makes of it.

use std::sync::{
    Mutex,
    atomic::{AtomicI64, Ordering::Relaxed},
};
use tokio::time::Instant;
use usher_model::{Clock, UnixMs};

/// When every history begins.
const BEGINNING: i64 = 1_790_000_000_000;

/// Time in a world. Within a life of the process it passes as the runtime's virtual time does; it may be skipped as well,
/// as while a machine sleeps.
pub(crate) struct Time {
    /// What had passed when the runtime began.
    before: AtomicI64,
    began: Mutex<Option<Instant>>,
    /// What the machine's clock is ahead.
    skew: AtomicI64,
}

impl Time {
    pub(crate) const fn new() -> Self {
        Self { before: AtomicI64::new(BEGINNING), began: Mutex::new(None), skew: AtomicI64::new(0) }
    }

    /// A runtime begins; call it inside.
    pub(crate) fn begin(&self) {
        *self.began.lock().expect("whole") = Some(Instant::now());
    }

    /// The runtime ends; call it inside.
    pub(crate) fn end(&self) {
        let now = self.true_now();
        *self.began.lock().expect("whole") = None;
        self.before.store(now.0, Relaxed);
    }

    /// What time it really is: the platform's clock.
    pub(crate) fn true_now(&self) -> UnixMs {
        let began = *self.began.lock().expect("whole");
        let passed = began.map_or(0, |began| began.elapsed().as_millis());
        UnixMs(self.before.load(Relaxed) + i64::try_from(passed).expect("a while"))
    }

    /// How long the history has lasted.
    pub(crate) fn passed(&self) -> i64 {
        self.true_now().0 - BEGINNING
    }

    /// Nothing runs for that long.
    pub(crate) fn skip(&self, ms: i64) {
        self.before.fetch_add(ms, Relaxed);
    }

    /// Somebody sets the machine's clock.
    pub(crate) fn jump(&self, ms: i64) {
        self.skew.fetch_add(ms, Relaxed);
    }
}

impl Clock for Time {
    fn now(&self) -> UnixMs {
        self.true_now().plus(self.skew.load(Relaxed))
    }
}
