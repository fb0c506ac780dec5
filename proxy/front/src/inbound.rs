//! The body of a request, as its reader gets it: at its own pace, but not below the slowest that is taken.

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Instant, Sleep, sleep_until};
use usher_model::limits::{BODY_BYTES_PER_S, BODY_GRACE_MS};

/// The body of a request. It ends with [`InboundError::TooSlow`] when its sender lets its reader wait for more than
/// [`BODY_GRACE_MS`] and the time that the bytes so far take at [`BODY_BYTES_PER_S`]. Only waiting counts: a reader that
/// takes its time is not its sender's fault.
pub struct Inbound<B = Incoming> {
    body: B,
    /// How long the sender may yet let the reader wait.
    patience: Duration,
    /// While the reader waits: since when, and the alarm for when patience ends.
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

/// Why the body of a request did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum InboundError {
    /// The sender's: it let its reader wait for too long.
    #[error("the body came too slowly")]
    TooSlow,
    /// The sender's: the connection ended, or what it carried is malformed.
    #[error("the body ended early")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl<B> Inbound<B> {
    /// A body that has yet to come.
    pub fn new(body: B) -> Self {
        Self { body, patience: Duration::from_millis(BODY_GRACE_MS), waiting: None }
    }

    fn received(&mut self, bytes: usize) {
        if let Some((since, _)) = self.waiting.take() {
            self.patience = self.patience.saturating_sub(since.elapsed());
        }
        let earned = Duration::from_millis(bytes as u64 * 1_000 / BODY_BYTES_PER_S);
        self.patience = self.patience.saturating_add(earned).min(Duration::from_millis(BODY_PATIENCE_MS));
    }
}

/// A sender that was fast has this much to spend at most.
const BODY_PATIENCE_MS: u64 = 6 * BODY_GRACE_MS;

impl<B> Body for Inbound<B>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Unpin,
{
    type Data = Bytes;
    type Error = InboundError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, InboundError>>> {
        let this = &mut *self;
        if let Poll::Ready(next) = Pin::new(&mut this.body).poll_frame(cx) {
            let frame = next.transpose().map_err(|error| InboundError::Broken(error.into()))?;
            this.received(frame.as_ref().and_then(Frame::data_ref).map_or(0, Bytes::len));
            return Poll::Ready(frame.map(Ok));
        }
        let patience = this.patience;
        let (_, alarm) = this.waiting.get_or_insert_with(|| {
            let now = Instant::now();
            (now, Box::pin(sleep_until(now + patience)))
        });
        ready!(alarm.as_mut().poll(cx));
        Poll::Ready(Some(Err(InboundError::TooSlow)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
