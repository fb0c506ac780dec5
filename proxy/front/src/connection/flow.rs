//! Writes that have to go on: a client that does not read what is there for it is cut off.

use super::alarm::Alarm;
use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};
use usher_model::limits::{WRITE_STALL_BYTES, WRITE_STALL_MS};

/// A socket whose writes fail with [`io::ErrorKind::TimedOut`] once they had to wait for [`WRITE_STALL_MS`] in all while fewer
/// than [`WRITE_STALL_BYTES`] went out. It belongs below TLS, which buffers. `guard` lives as long as the socket does, in a
/// tunnel too.
pub struct Flow<IO, G> {
    io: IO,
    /// While a write waits: since when.
    waiting: Option<Instant>,
    waited: Duration,
    moved: usize,
    alarm: Alarm,
    _guard: G,
}

impl<IO, G> Flow<IO, G> {
    /// A socket that was just opened.
    pub fn new(io: IO, guard: G) -> Self {
        let (waited, moved) = (Duration::ZERO, 0);
        Self { io, waiting: None, waited, moved, alarm: Alarm::default(), _guard: guard }
    }

    fn judge(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(bytes)) => {
                if let Some(since) = self.waiting.take() {
                    self.waited += since.elapsed();
                    self.alarm.stop();
                }
                self.moved += bytes;
                if self.moved >= WRITE_STALL_BYTES {
                    (self.waited, self.moved) = (Duration::ZERO, 0);
                }
                Poll::Ready(Ok(bytes))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                let patience = Duration::from_millis(WRITE_STALL_MS).saturating_sub(self.waited);
                let since = *self.waiting.get_or_insert_with(Instant::now);
                self.alarm.poll(cx, since + patience).map(|()| Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }
}

impl<IO: AsyncRead + Unpin, G: Unpin> AsyncRead for Flow<IO, G> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, into)
    }
}

impl<IO: AsyncWrite + Unpin, G: Unpin> AsyncWrite for Flow<IO, G> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.judge(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, parts);
        self.judge(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
