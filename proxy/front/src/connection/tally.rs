//! What is known of a connection's requests, shared by who reads, who answers and who watches.

use bytes::Bytes;
use http::{Response, header::CONTENT_LENGTH};
use http_body::{Body, Frame, SizeHint};
use std::{
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{
            AtomicBool, AtomicU64, AtomicUsize,
            Ordering::{AcqRel, Acquire, Relaxed, Release},
        },
    },
    task::{Context, Poll, Waker, ready},
    time::Duration,
};
use tokio::time::Instant;
use usher_model::limits::{CONNECTION_AGE_MS, CONNECTION_REQUESTS, UNSENT_BYTES};

/// The requests of one connection.
pub(super) struct Tally {
    opened: Instant,
    taken: AtomicU64,
    under_way: AtomicU64,
    /// Answers whose next part is there and waits for the client to take it.
    held_up: AtomicU64,
    /// When an answer last went on or ended, in milliseconds since `opened`.
    moved_ms: AtomicU64,
    is_stuck: AtomicBool,
    /// Bytes of an answer that hyper was given since it last wrote.
    unsent: AtomicUsize,
    is_switched: AtomicBool,
    is_over: AtomicBool,
    /// Who waits for the end of all that is under way.
    waiter: Mutex<Option<Waker>>,
}

impl Tally {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            opened: Instant::now(),
            taken: AtomicU64::new(0),
            under_way: AtomicU64::new(0),
            held_up: AtomicU64::new(0),
            moved_ms: AtomicU64::new(0),
            is_stuck: AtomicBool::new(false),
            unsent: AtomicUsize::new(0),
            is_switched: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
            waiter: Mutex::new(None),
        })
    }

    /// A request is taken. It is under way until the turn is dropped.
    pub(super) fn take(self: &Arc<Self>) -> Turn {
        let taken = self.taken.fetch_add(1, AcqRel) + 1;
        self.under_way.fetch_add(1, AcqRel);
        if taken >= CONNECTION_REQUESTS || self.opened.elapsed() >= Duration::from_millis(CONNECTION_AGE_MS) {
            self.retire();
        }
        Turn { tally: Arc::clone(self), is_held_up: false }
    }

    /// When the connection was opened.
    pub(super) fn opened(&self) -> Instant {
        self.opened
    }

    /// Requests taken so far.
    pub(super) fn taken(&self) -> u64 {
        self.taken.load(Acquire)
    }

    /// Whether a request waits for its answer, or for the end of it. If so, the task is woken when none does any more.
    pub(super) fn is_busy(&self, cx: &Context<'_>) -> bool {
        if self.under_way.load(Acquire) == 0 {
            return false;
        }
        *self.waiter.lock().unwrap_or_else(PoisonError::into_inner) = Some(cx.waker().clone());
        self.under_way.load(Acquire) > 0
    }

    /// Whether every answer under way waits for the client alone.
    pub(super) fn is_held_up(&self) -> bool {
        let held_up = self.held_up.load(Acquire);
        held_up > 0 && held_up >= self.under_way.load(Acquire)
    }

    /// When an answer last went on or ended; the opening, before there was one.
    pub(super) fn moved(&self) -> Instant {
        self.opened + Duration::from_millis(self.moved_ms.load(Acquire))
    }

    /// What is written waits for the client, or has gone; whether that is new.
    pub(super) fn stick(&self, is_stuck: bool) -> bool {
        if !is_stuck {
            self.unsent.store(0, Release);
        }
        self.is_stuck.swap(is_stuck, AcqRel) != is_stuck
    }

    /// Whether hyper may have more of an answer: it would keep what the client does not take. If not, the task is woken when
    /// it may.
    fn may_give(&self, cx: &Context<'_>) -> bool {
        if self.is_stuck.load(Acquire) {
            return false; // who writes wakes it
        }
        if self.unsent.load(Acquire) < UNSENT_BYTES {
            return true;
        }
        cx.waker().wake_by_ref(); // it writes first
        false
    }

    /// A request was answered with 101: the connection is no longer HTTP.
    pub(super) fn switch(&self) {
        self.is_switched.store(true, Release);
    }

    /// Whether one was.
    pub(super) fn is_switched(&self) -> bool {
        self.is_switched.load(Acquire)
    }

    /// Lets the connection end after the requests under way.
    pub(super) fn retire(&self) {
        self.is_over.store(true, Release);
    }

    /// Whether it is to end so.
    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Acquire)
    }

    /// Something of an answer has gone on.
    pub(super) fn note_move(&self) {
        let since = self.opened.elapsed().as_millis();
        self.moved_ms.store(u64::try_from(since).unwrap_or(u64::MAX), Relaxed);
    }
}

/// A request that is under way.
pub(super) struct Turn {
    tally: Arc<Tally>,
    is_held_up: bool,
}

impl Turn {
    /// The next part of the answer is there, or is asked for.
    fn hold_up(&mut self, is_held_up: bool) {
        if self.is_held_up != is_held_up {
            self.is_held_up = is_held_up;
            let count = &self.tally.held_up;
            if is_held_up {
                count.fetch_add(1, AcqRel)
            } else {
                count.fetch_sub(1, AcqRel)
            };
            self.tally.note_move();
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.hold_up(false);
        self.tally.note_move();
        if self.tally.under_way.fetch_sub(1, AcqRel) == 1 {
            let waiter = self.tally.waiter.lock().unwrap_or_else(PoisonError::into_inner).take();
            waiter.inspect(Waker::wake_by_ref);
        }
    }
}

/// The body of an answer, whose request is under way until it ends.
pub(super) struct Outbound<B> {
    body: Option<B>,
    turn: Turn,
    /// In HTTP/1; in HTTP/2 the client's windows say how much is taken up.
    waits_for_writes: bool,
}

/// Says how long the answer would be to a request that is not HEAD (RFC 9110 section 9.3.2).
pub(super) fn keep_length<B: Body>(answer: &mut Response<B>) {
    if let Some(length) = answer.body().size_hint().exact() {
        answer.headers_mut().entry(CONTENT_LENGTH).or_insert_with(|| length.into());
    }
}

impl<B> Outbound<B> {
    pub(super) fn new(body: B, turn: Turn, waits_for_writes: bool) -> Self {
        Self { body: Some(body), turn, waits_for_writes }
    }

    pub(super) fn none(turn: Turn) -> Self {
        Self { body: None, turn, waits_for_writes: false }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Outbound<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        if self.waits_for_writes && !self.turn.tally.may_give(cx) {
            return Poll::Pending;
        }
        self.turn.hold_up(false);
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(body).poll_frame(cx));
        if let Some(Ok(frame)) = &frame {
            self.turn.tally.unsent.fetch_add(frame.data_ref().map_or(0, Bytes::len), AcqRel);
        }
        self.turn.hold_up(matches!(frame, Some(Ok(_))));
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
