//! The process whose place this one takes, when there is one.

use super::{
    channel::{Channel, Word},
    sockets::Pool,
};
use anyhow::Context;
use std::{fs::File, io, os::fd::AsFd, time::Duration};
use usher_model::limits;

/// Set for a successor, to the process that started it; it finds the [`Channel`] as its standard input.
pub(super) const VARIABLE: &str = "USHER_TAKE_OVER";

/// The process before this one. It serves until it is told that this one is ready.
pub(super) struct Predecessor {
    channel: Channel,
    process: u32,
}

impl Predecessor {
    /// The predecessor with its sockets; `None` when nobody handed over.
    ///
    /// # Errors
    /// When the sockets do not come.
    pub(super) fn find() -> anyhow::Result<Option<(Self, Pool)>> {
        let named = std::env::var(VARIABLE).ok().and_then(|process| process.parse::<u32>().ok());
        // Else it is left over from a process that has long gone.
        let Some(process) = named.filter(|process| *process == std::os::unix::process::parent_id()) else {
            return Ok(None);
        };
        let channel = io::stdin().as_fd().try_clone_to_owned()?;
        rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
        let patience = Duration::from_millis(limits::SUCCESSOR_READY_MS);
        let (channel, pool) = Channel::receive(channel, patience)
            .with_context(|| format!("process {process} did not hand over its sockets"))?;
        Ok(Some((Self { channel, process }, pool)))
    }

    /// Says that this process can take over, and waits until the store is free.
    ///
    /// # Errors
    /// When the predecessor goes on by itself.
    pub(super) async fn take_over(&mut self) -> anyhow::Result<()> {
        self.channel.say(Word::Ready).await?;
        // It answers everything under way, and its calls to the platform end, before it lets go.
        let patience = limits::HAND_OVER_CALLS_MS + limits::HAND_OVER_REQUESTS_MS + 2 * limits::DRAIN_MS;
        let heard = self.channel.hear(Word::Take, Duration::from_millis(patience)).await;
        heard.with_context(|| format!("process {} did not let go of the store", self.process))
    }

    /// Says that this process serves; the predecessor ends.
    pub(super) async fn relieved(mut self) {
        match self.channel.say(Word::Serving).await {
            Ok(()) => tracing::info!(from = self.process, "took over"),
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "took over from a process that has gone");
            }
        }
    }
}
