//! The process: it lives until something kills it, at a call of the store or from outside.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use tokio::sync::Notify;

/// When the process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Death {
    /// At which call of the store, counted from now.
    pub(crate) calls: u64,
    /// After the store has done what that call asks for, rather than before.
    pub(crate) done: bool,
}

/// A process.
pub(crate) struct Life {
    alive: AtomicBool,
    /// Calls of the store until it dies; none planned when 0.
    left: AtomicU64,
    done: AtomicBool,
    pub(crate) over: Notify,
}

impl Life {
    pub(crate) fn new() -> Self {
        Self {
            alive: AtomicBool::new(true),
            left: AtomicU64::new(0),
            done: AtomicBool::new(false),
            over: Notify::new(),
        }
    }

    pub(crate) fn begin(&self) {
        self.alive.store(true, Relaxed);
        self.left.store(0, Relaxed);
    }

    /// It will die so.
    pub(crate) fn doom(&self, death: Death) {
        self.left.store(death.calls.max(1), Relaxed);
        self.done.store(death.done, Relaxed);
    }

    /// Whether this call of the store is its last, and if so, whether the store does it still.
    pub(crate) fn last_call(&self) -> Option<bool> {
        let before = self.left.load(Relaxed);
        if before > 0 {
            self.left.store(before - 1, Relaxed);
        }
        (before == 1).then(|| self.done.load(Relaxed))
    }

    /// It dies now: nothing of it runs on.
    pub(crate) async fn die(&self) -> ! {
        self.kill();
        std::future::pending().await
    }

    pub(crate) fn kill(&self) {
        self.alive.store(false, Relaxed);
        self.over.notify_one();
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.alive.load(Relaxed)
    }

    /// Returns while it lives; what a dead process asks for is never asked.
    pub(crate) async fn goes_on(&self) {
        if !self.alive.load(Relaxed) {
            std::future::pending::<()>().await;
        }
    }
}
