//! HTTP/2: hyper's, with a watch over what passes and how long it takes.

use super::{
    BoxError, End,
    alarm::Alarm,
    budget::Budget,
    frames::{DATA, Follower},
    http1::linger,
    tally::{Outbound, Tally},
};
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::{body::Incoming, server::conn::http2, service::Service};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::{
    convert::Infallible,
    future::poll_fn,
    io,
    pin::{Pin, pin},
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf},
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;
use usher_model::limits;

/// Serves an HTTP/2 connection to its end.
pub(super) async fn serve<IO, S, B>(
    io: IO,
    tally: Arc<Tally>,
    drain: CancellationToken,
    service: S,
) -> Result<(), End>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<Request<Incoming>, Response = Response<Outbound<B>>, Error = Infallible>,
    S::Future: Send + 'static,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin + Send + 'static,
{
    let cut: Cut<IO> = Arc::default();
    let watched = Watched::new(io, Arc::clone(&tally), Arc::clone(&cut));
    let mut connection = pin!(builder().serve_connection(TokioIo::new(watched), service));
    let mut drained = pin!(drain.cancelled());
    let mut is_ending = false;
    let ended = poll_fn(|cx| {
        let mut polled = connection.as_mut().poll(cx);
        if polled.is_pending() && !is_ending && (tally.is_over() || drained.as_mut().poll(cx).is_ready()) {
            is_ending = true;
            tally.retire();
            connection.as_mut().graceful_shutdown();
            polled = connection.as_mut().poll(cx);
        }
        polled
    })
    .await;
    let cut = cut.lock().unwrap_or_else(PoisonError::into_inner).take();
    match cut {
        Some((io, farewell, end)) => {
            say_goodbye(io, &farewell).await;
            end.map_or(Ok(()), Err)
        }
        None => ended.map_err(End::of),
    }
}

fn builder() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits::H2_STREAMS)
        .max_header_list_size(limits::H2_HEADER_LIST_BYTES)
        .initial_stream_window_size(limits::H2_STREAM_WINDOW_BYTES)
        .initial_connection_window_size(limits::H2_CONNECTION_WINDOW_BYTES)
        .max_send_buf_size(limits::H2_SEND_BYTES)
        .max_local_error_reset_streams(limits::H2_STREAMS as usize)
        .keep_alive_interval(Duration::from_millis(limits::H2_PING_MS))
        .keep_alive_timeout(Duration::from_millis(limits::H2_PONG_MS));
    builder
}

/// A connection that was taken away from hyper, what it is still told, and why.
type Cut<IO> = Arc<Mutex<Option<(IO, Vec<u8>, Option<End>)>>>;

async fn say_goodbye<IO: AsyncRead + AsyncWrite + Unpin>(mut io: IO, farewell: &[u8]) {
    let _ = timeout(Duration::from_millis(limits::LINGER_MS), async {
        io.write_all(farewell).await?;
        io.shutdown().await
    })
    .await;
    linger(&mut io).await;
}

/// What hyper reads and writes.
struct Watched<IO> {
    io: Option<IO>,
    cut: Cut<IO>,
    tally: Arc<Tally>,
    budget: Budget,
    inbound: Follower,
    outbound: Follower,
    /// While a header or a frame is not whole: since when, and how long it may take.
    partial: Option<(Instant, Duration)>,
    /// Since when the connection was to end and had no request.
    ending: Option<Instant>,
    alarm: Alarm,
}

const ENHANCE_YOUR_CALM: u32 = 0xb;
const NO_ERROR: u32 = 0;
const PROTOCOL_ERROR: u32 = 1;
/// How often a busy connection is looked at.
const LOOK: Duration = Duration::from_secs(5);

impl<IO> Watched<IO> {
    fn new(io: IO, tally: Arc<Tally>, cut: Cut<IO>) -> Self {
        Self {
            io: Some(io),
            cut,
            budget: Budget::new(tally.opened()),
            tally,
            inbound: Follower::inbound(),
            outbound: Follower::outbound(),
            partial: None,
            ending: None,
            alarm: Alarm::default(),
        }
    }

    /// Follows what came. False when it is too much.
    fn follow(&mut self, bytes: &[u8]) -> bool {
        let now = Instant::now();
        let was_whole = self.partial.is_none();
        let (budget, mut is_fine, mut last) = (&mut self.budget, true, None);
        // What came before has been read by now: what hyper made of it is known.
        is_fine &= budget.count_lost(self.tally.taken(), now);
        self.inbound.pass(bytes, |frame| {
            is_fine = is_fine && budget.take(frame, now);
            last = Some(frame);
        });
        let header = Duration::from_millis(limits::HEADER_READ_MS);
        if self.budget.is_in_block() {
            let is_new = was_whole || last.is_some_and(|frame| frame.kind == super::frames::HEADERS);
            self.partial = if is_new { Some((now, header)) } else { self.partial };
        } else if self.inbound.is_between() {
            self.partial = None;
        } else if was_whole || last.is_some() {
            let payload = last.filter(|frame| frame.kind == DATA).map_or(0, |frame| u64::from(frame.length));
            self.partial = Some((now, header + Duration::from_secs(payload / limits::BODY_BYTES_PER_S)));
        }
        is_fine
    }

    /// Takes the connection away from hyper, with a word for the client where one fits in.
    fn cut(&mut self, code: u32, end: Option<End>) -> io::Error {
        let farewell =
            if self.outbound.is_between() { goaway(self.budget.last_stream(), code) } else { Vec::new() };
        let io = self.io.take().map(|io| (io, farewell, end));
        *self.cut.lock().unwrap_or_else(PoisonError::into_inner) = io;
        io::ErrorKind::ConnectionAborted.into()
    }

    /// Ready when the connection is to be cut.
    fn poll_limits(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        loop {
            let (deadline, outcome) = self.deadline(cx);
            if let Some((since, patience)) = self.partial
                && since + patience < deadline
            {
                ready!(self.alarm.poll(cx, since + patience));
                return Poll::Ready(self.cut(ENHANCE_YOUR_CALM, Some(End::SlowHeader)));
            }
            ready!(self.alarm.poll(cx, deadline));
            match outcome {
                Outcome::Look => {}
                Outcome::Retire => {
                    self.tally.retire();
                    self.ending = None;
                    // Looked at once hyper has been polled.
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Outcome::Cut(end) => return Poll::Ready(self.cut(NO_ERROR, end)),
            }
        }
    }

    fn deadline(&mut self, cx: &Context<'_>) -> (Instant, Outcome) {
        let (now, moved) = (Instant::now(), self.tally.moved());
        let after = |since: Instant, ms| since + Duration::from_millis(ms);
        if self.tally.is_busy(cx) {
            self.ending = None;
            let stall = after(moved, limits::WRITE_STALL_MS);
            return match self.tally.is_held_up() {
                true if stall <= now => (stall, Outcome::Cut(Some(End::SlowReader))),
                true => (stall.min(now + LOOK), Outcome::Look),
                false => (now + LOOK, Outcome::Look),
            };
        }
        if self.tally.is_over() {
            let since = *self.ending.get_or_insert(now);
            return (after(since, limits::HEADER_READ_MS), Outcome::Cut(None));
        }
        if self.tally.taken() == 0 {
            let end = Some(End::SlowHeader);
            return (after(self.tally.opened(), limits::HEADER_READ_MS), Outcome::Cut(end));
        }
        (after(moved, limits::IDLE_MS), Outcome::Retire)
    }
}

enum Outcome {
    Look,
    Retire,
    Cut(Option<End>),
}

/// RFC 9113 section 6.8.
fn goaway(last_stream: u32, code: u32) -> Vec<u8> {
    let mut frame = vec![0, 0, 8, 7, 0, 0, 0, 0, 0];
    frame.extend_from_slice(&last_stream.to_be_bytes());
    frame.extend_from_slice(&code.to_be_bytes());
    frame
}

fn gone() -> io::Error {
    io::ErrorKind::NotConnected.into()
}

impl<IO: AsyncRead + Unpin> AsyncRead for Watched<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = into.filled().len();
        let Some(io) = this.io.as_mut() else { return Poll::Ready(Err(gone())) };
        if Pin::new(io).poll_read(cx, into)?.is_pending() {
            return this.poll_limits(cx).map(Err);
        }
        let is_fine = this.follow(into.filled().get(before..).unwrap_or_default());
        Poll::Ready(match this.budget.begins_wrong() {
            // Which hyper would let pass (RFC 9113 section 3.4).
            true => Err(this.cut(PROTOCOL_ERROR, None)),
            false if !is_fine => Err(this.cut(ENHANCE_YOUR_CALM, Some(End::Flood))),
            false => Ok(()),
        })
    }
}

impl<IO: AsyncWrite + Unpin> Watched<IO> {
    fn note(&mut self, parts: &[io::IoSlice<'_>], written: &Poll<io::Result<usize>>) {
        let Poll::Ready(Ok(mut left)) = *written else { return };
        for part in parts {
            let sent = part.get(..left).unwrap_or(part);
            self.outbound.pass(sent, |frame| self.budget.give(frame));
            left -= sent.len();
        }
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Watched<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Some(io) = self.io.as_mut() else { return Poll::Ready(Err(gone())) };
        let written = Pin::new(io).poll_write(cx, bytes);
        self.note(&[io::IoSlice::new(bytes)], &written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Some(io) = self.io.as_mut() else { return Poll::Ready(Err(gone())) };
        let written = Pin::new(io).poll_write_vectored(cx, parts);
        self.note(parts, &written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.io.as_ref().is_some_and(AsyncWrite::is_write_vectored)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(io) = self.io.as_mut() else { return Poll::Ready(Err(gone())) };
        Pin::new(io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(io) = self.io.as_mut() else { return Poll::Ready(Ok(())) };
        Pin::new(io).poll_shutdown(cx)
    }
}
