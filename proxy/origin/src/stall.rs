//! How long the other side lets itself be waited for.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Instant, Sleep, sleep_until};

/// Watches one wait after another. It has no alarm of its own: see [`crate::connection::Connection::alarm`].
pub(crate) struct Stall {
    limit: Duration,
    since: Option<Instant>,
}

impl Stall {
    pub(crate) const fn new(limit_ms: u64) -> Self {
        Self { limit: Duration::from_millis(limit_ms), since: None }
    }

    /// Something has moved: the next wait begins anew.
    pub(crate) const fn moved(&mut self) {
        self.since = None;
    }

    /// Ready when this wait takes too long.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, alarm: &mut Option<Pin<Box<Sleep>>>) -> Poll<()> {
        let end = *self.since.get_or_insert_with(Instant::now) + self.limit;
        let alarm = alarm.get_or_insert_with(|| Box::pin(sleep_until(end)));
        if alarm.deadline() > end {
            alarm.as_mut().reset(end); // it was set for a longer wait
        }
        loop {
            ready!(alarm.as_mut().poll(cx));
            if alarm.deadline() >= end {
                return Poll::Ready(());
            }
            alarm.as_mut().reset(end);
        }
    }
}
