//! HTTP/1 behind the gate: hyper sees what the gate let through, and is there only while there are requests.

use super::{
    BoxError, End,
    alarm::Alarm,
    tally::{Outbound, Tally},
};
use crate::gate::{Gate, Offence, Phase};
use bytes::{Buf, Bytes, BytesMut};
use http::{Request, Response};
use http_body::Body;
use hyper::{body::Incoming, server::conn::http1, service::Service};
use hyper_util::rt::TokioIo;
use std::{
    convert::Infallible,
    future::poll_fn,
    io,
    mem::MaybeUninit,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use usher_model::limits;

/// Serves an HTTP/1 connection to its end.
pub(super) async fn serve<IO, S, B>(
    io: IO,
    is_secured: bool,
    tally: Arc<Tally>,
    drain: CancellationToken,
    service: S,
) -> Result<(), End>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<Request<Incoming>, Response = Response<Outbound<B>>, Error = Infallible> + Copy,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin + Send + 'static,
{
    let builder = builder();
    let mut io = Behind::new(io, Gate::new(is_secured), Arc::clone(&tally));
    while io.head(&drain).await {
        let connection = builder.serve_connection(TokioIo::new(io), service).with_upgrades();
        let mut connection = Box::pin(connection);
        let ended = tokio::select! {
            biased;
            ended = connection.as_mut() => ended,
            () = drain.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.as_mut().await
            }
        };
        let connection = Pin::into_inner(connection);
        // Without them the connection was switched to another protocol, and is no longer ours.
        let Some(parts) = connection.into_parts() else { return ended.map_err(End::of) };
        io = parts.io.into_inner();
        if !io.is_resting || ended.is_err() {
            return io.close(ended.err().map(Into::into)).await;
        }
    }
    io.close(None).await
}

fn builder() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .header_read_timeout(None) // heads come whole
        .max_headers(limits::REQUEST_FIELDS)
        .max_buf_size(2 * limits::REQUEST_HEAD_BYTES);
    builder
}

/// What hyper reads and writes.
struct Behind<IO> {
    io: IO,
    gate: Gate,
    tally: Arc<Tally>,
    /// What the gate let through and hyper has not read.
    clean: BytesMut,
    /// What the gate did not take yet.
    unseen: BytesMut,
    /// While a head comes: since when.
    head_since: Option<Instant>,
    stop: Option<Stop>,
    /// What hyper wrote is not all on its way.
    is_unsent: bool,
    /// The task waits for that.
    awaits_sent: bool,
    /// Hyper was told that the connection has ended, and it has not: only its memory is given back.
    is_resting: bool,
    alarm: Alarm,
}

/// Why nothing more is read.
#[derive(Clone, Copy)]
enum Stop {
    /// The client has closed its side.
    Gone,
    /// A request breaks the protocol.
    Offence(Offence),
    /// A head took too long.
    Slow,
    /// There was no request for a while.
    Idle,
}

/// RFC 9110 section 15.5.9.
const TIMEOUT: &[u8] = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

impl<IO: AsyncRead + AsyncWrite + Unpin> Behind<IO> {
    fn new(io: IO, gate: Gate, tally: Arc<Tally>) -> Self {
        Self {
            io,
            gate,
            tally,
            clean: BytesMut::new(),
            unseen: BytesMut::new(),
            head_since: None,
            stop: None,
            is_unsent: false,
            awaits_sent: false,
            is_resting: false,
            alarm: Alarm::default(),
        }
    }

    /// Waits for a head without hyper. False when the connection is to be closed instead.
    async fn head(&mut self, drain: &CancellationToken) -> bool {
        (self.is_resting, self.clean, self.unseen) = (false, BytesMut::new(), BytesMut::new());
        // Who was let in before the end is answered once, unless it has nothing to ask.
        let is_new = self.tally.taken() == 0;
        tokio::select! {
            biased;
            is_there = poll_fn(|cx| self.poll_clean(cx, false)) => is_there.unwrap_or(false),
            () = async {
                drain.cancelled().await;
                if is_new {
                    sleep(Duration::from_millis(limits::DRAIN_FIRST_MS)).await;
                }
            } => false,
        }
    }

    /// Ready once there are clean bytes; with false or an error when there will be none.
    fn poll_clean(&mut self, cx: &mut Context<'_>, may_rest: bool) -> Poll<io::Result<bool>> {
        loop {
            self.settle_switch(cx);
            if !self.clean.is_empty() {
                return Poll::Ready(Ok(true));
            }
            if let Some(stop) = self.stop {
                return self.end(cx, stop);
            }
            if self.gate.phase() == Phase::Switching {
                return Poll::Pending; // until it is answered
            }
            let read = self.poll_fill(cx)?;
            if read.is_pending() {
                ready!(self.poll_limits(cx, may_rest));
                if self.is_resting {
                    return Poll::Ready(Ok(false));
                }
            }
        }
    }

    /// Reads once, and shows it to the gate.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut space = [MaybeUninit::uninit(); limits::READ_BYTES];
        let mut came = ReadBuf::uninit(&mut space);
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut came))?;
        if came.filled().is_empty() {
            self.stop = Some(Stop::Gone);
        } else {
            self.show(came.filled());
        }
        Poll::Ready(Ok(()))
    }

    fn show(&mut self, bytes: &[u8]) {
        let before = self.gate.requests();
        match self.gate.feed(bytes, &mut self.clean) {
            Ok(taken) => self.unseen.extend_from_slice(bytes.get(taken..).unwrap_or_default()),
            Err(offence) => self.stop = Some(Stop::Offence(offence)),
        }
        if self.gate.phase() != Phase::Head || self.gate.requests() != before {
            self.head_since = None;
        }
        if self.gate.phase() == Phase::Head {
            self.head_since.get_or_insert_with(Instant::now);
        }
    }

    /// Tells the gate what became of a request to switch.
    fn settle_switch(&mut self, cx: &Context<'_>) {
        if self.gate.phase() != Phase::Switching {
            return;
        }
        if self.tally.is_switched() {
            self.gate.tunnel();
        } else if self.clean.is_empty() && self.tally.taken() >= self.gate.requests() && !self.is_busy(cx) {
            self.gate.resume();
        } else {
            return;
        }
        let unseen = self.unseen.split();
        self.show(&unseen);
    }

    /// Whether answers are yet to be made or sent. If so, the task is woken when they are.
    fn is_busy(&mut self, cx: &Context<'_>) -> bool {
        self.awaits_sent = self.is_unsent;
        self.tally.is_busy(cx) || self.is_unsent
    }

    fn end(&mut self, cx: &Context<'_>, stop: Stop) -> Poll<io::Result<bool>> {
        match stop {
            Stop::Offence(_) if self.gate.phase() == (Phase::Refused { answer_due: false }) => {
                Poll::Ready(Err(io::ErrorKind::InvalidData.into()))
            }
            // It would cut off what is under way if it met the end.
            Stop::Offence(_) if self.is_busy(cx) => Poll::Pending,
            _ => Poll::Ready(Ok(false)),
        }
    }

    /// Ready when something changed because of the time.
    fn poll_limits(&mut self, cx: &mut Context<'_>, may_rest: bool) -> Poll<()> {
        if self.gate.phase() == Phase::Tunnel || self.is_busy(cx) {
            return Poll::Pending;
        }
        let header = Duration::from_millis(limits::HEADER_READ_MS);
        if self.tally.taken() == 0 || self.head_since.is_some() {
            let since = self.head_since.filter(|_| self.tally.taken() > 0).unwrap_or(self.tally.opened());
            ready!(self.alarm.poll(cx, since + header));
            self.stop = Some(if self.head_since.is_some() { Stop::Slow } else { Stop::Idle });
        } else if may_rest {
            let warm = Duration::from_millis(limits::IDLE_WARM_MS);
            ready!(self.alarm.poll(cx, self.tally.moved() + warm));
            self.is_resting = true;
        } else {
            ready!(self.alarm.poll(cx, self.tally.moved() + Duration::from_millis(limits::IDLE_MS)));
            self.stop = Some(Stop::Idle);
        }
        Poll::Ready(())
    }

    /// Closes the connection so that the client sees the last answer: RFC 9112 section 9.6.
    async fn close(mut self, error: Option<BoxError>) -> Result<(), End> {
        let farewell = match self.stop {
            Some(Stop::Offence(offence)) if self.gate.phase() == (Phase::Refused { answer_due: true }) => {
                offence.answer()
            }
            Some(Stop::Slow) => Bytes::from_static(TIMEOUT),
            _ => Bytes::new(),
        };
        // A failed write, or one that takes too long, ends it all the same.
        let _ = timeout(Duration::from_millis(limits::WRITE_STALL_MS), async {
            self.io.write_all(&farewell).await?;
            self.io.shutdown().await
        })
        .await;
        let error = error.map(End::of);
        let is_unheard =
            matches!(error, Some(End::SlowReader)) || matches!(self.stop, Some(Stop::Gone | Stop::Idle));
        if !is_unheard {
            linger(&mut self.io).await;
        }
        match self.stop {
            Some(Stop::Offence(offence)) => Err(End::Offence(offence)),
            Some(Stop::Slow) => Err(End::SlowHeader),
            _ => error.map_or(Ok(()), Err),
        }
    }
}

/// Throws away what still comes: closing a socket that has unread bytes makes the system reset the connection, and then the
/// client may not see what was sent to it.
pub(super) async fn linger(io: &mut (impl AsyncRead + Unpin)) {
    let _ = timeout(Duration::from_millis(limits::LINGER_MS), async {
        let (mut space, mut left) = (vec![0; 1024], limits::LINGER_BYTES);
        while let Ok(read @ 1..) = io.read(&mut space).await {
            left = left.saturating_sub(read);
            if left == 0 {
                break;
            }
        }
    })
    .await;
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncRead for Behind<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.gate.phase() == Phase::Tunnel && this.clean.is_empty() {
            return Pin::new(&mut this.io).poll_read(cx, into);
        }
        if ready!(this.poll_clean(cx, true))? {
            let part = this.clean.len().min(into.remaining());
            into.put_slice(&this.clean[..part]);
            this.clean.advance(part);
            if this.clean.is_empty() {
                this.clean.clear();
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<IO> Behind<IO> {
    /// What is written waits, or does not. The task is woken when all is on its way that did.
    fn stick(&mut self, is_stuck: bool) {
        self.awaits_sent |= self.tally.stick(is_stuck) && !is_stuck;
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Behind<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.is_unsent = true;
        let written = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.stick(written.is_pending());
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.is_unsent = true;
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, parts);
        self.stick(written.is_pending());
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(cx)?;
        self.stick(flushed.is_pending());
        ready!(flushed);
        self.is_unsent = false;
        if std::mem::take(&mut self.awaits_sent) {
            self.tally.note_move();
            cx.waker().wake_by_ref();
        }
        Poll::Ready(Ok(()))
    }

    /// Hyper's end is not the connection's: [`Behind::close`] closes it.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.gate.phase() {
            Phase::Tunnel => Pin::new(&mut self.io).poll_shutdown(cx),
            _ => Poll::Ready(Ok(())),
        }
    }
}
