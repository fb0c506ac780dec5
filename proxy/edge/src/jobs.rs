//! The jobs, for as long as this process does them: it may let go of them while connections are still open.

use crate::fault::Fault;
use arc_swap::ArcSwapOption;
use std::sync::Arc;
use tokio_util::task::{TaskTracker, task_tracker::TaskTrackerToken};
use usher_core::Core;

/// The way to the jobs.
#[derive(Default)]
pub(crate) struct Jobs {
    core: ArcSwapOption<Core>,
    /// Connections that have sent no request yet, and requests that may need the jobs.
    expected: TaskTracker,
}

impl Jobs {
    /// These do them.
    pub(crate) fn begin(&self, core: Arc<Core>) {
        self.core.store(Some(core));
    }

    /// The jobs, for one use.
    pub(crate) fn get(&self) -> Result<Arc<Core>, Fault> {
        self.core.load_full().ok_or(Fault::Leaving)
    }

    /// Somebody may need the jobs until this is dropped.
    pub(crate) fn expect(&self) -> TaskTrackerToken {
        self.expected.token()
    }

    /// Waits until nobody is expected to need them.
    pub(crate) async fn quiet(&self) {
        self.expected.close();
        self.expected.wait().await;
    }

    /// Nobody gets them any more.
    pub(crate) fn release(&self) {
        self.core.store(None);
    }
}
