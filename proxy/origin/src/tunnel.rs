//! What an upgrade leads to: bytes both ways until one side has had enough.

use crate::pool::Lease;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use std::{
    io,
    pin::Pin,
    sync::atomic::{AtomicBool, Ordering},
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf, copy_bidirectional_with_sizes},
    time::sleep,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use usher_model::limits::{TUNNEL_BUFFER_BYTES, TUNNEL_SILENCE_MS};

/// The tunnels of a process. They outlive their requests and the configuration that they were opened under.
#[derive(Clone, Debug, Default)]
pub struct Tunnels {
    open: TaskTracker,
    end: CancellationToken,
}

impl Tunnels {
    /// How many are open.
    #[must_use]
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether none is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Ends all of them, and those that would still be opened: they have no end of their own that could be waited for.
    pub fn end(&self) {
        self.end.cancel();
    }

    /// Waits until all of them have ended.
    pub async fn ended(&self) {
        self.open.close();
        self.open.wait().await;
    }

    /// Joins both sides once the visitor's side has switched.
    pub(crate) fn join(&self, visitor: OnUpgrade, origin: Lease) {
        let end = self.end.clone();
        self.open.spawn(async move {
            let joined = end.run_until_cancelled_owned(carry(visitor, origin)).await;
            if let Some(Err(error)) = joined {
                tracing::debug!(%error, "a tunnel ended badly");
            }
        });
    }
}

async fn carry(visitor: OnUpgrade, mut origin: Lease) -> io::Result<()> {
    let moved = AtomicBool::new(false);
    let visitor = TokioIo::new(visitor.await.map_err(io::Error::other)?);
    let mut visitor = Watched { io: visitor, moved: &moved };
    let connection = &mut origin.connection;
    let carried = async {
        visitor.write_all(&connection.input.split()).await?;
        let (up, down) = (TUNNEL_BUFFER_BYTES, TUNNEL_BUFFER_BYTES);
        copy_bidirectional_with_sizes(&mut visitor, &mut connection.stream, up, down).await
    };
    tokio::select! {
        carried = carried => carried.map(drop),
        () = silence(&moved) => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// Ready when nothing has moved for [`TUNNEL_SILENCE_MS`], a quarter of it sooner or later.
async fn silence(moved: &AtomicBool) {
    const QUARTERS: u32 = 4;
    let mut silent = 0;
    while silent < QUARTERS {
        sleep(Duration::from_millis(TUNNEL_SILENCE_MS) / QUARTERS).await;
        silent = if moved.swap(false, Ordering::Relaxed) { 0 } else { silent + 1 };
    }
}

/// Notes that bytes move. All of both directions pass through the visitor's side.
struct Watched<'m> {
    io: TokioIo<Upgraded>,
    moved: &'m AtomicBool,
}

impl AsyncRead for Watched<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.io).poll_read(cx, into))?;
        self.moved.store(true, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched<'_> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let count = ready!(Pin::new(&mut self.io).poll_write(cx, bytes))?;
        self.moved.store(true, Ordering::Relaxed);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
