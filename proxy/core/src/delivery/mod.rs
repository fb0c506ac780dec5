//! Delivery: what is written down reaches the platform, however long that takes.
//!
//! The deliverer takes work from two sides: deliveries that a handler has just written and holds under a lease come over
//! a queue and go out at once; everything else (retries, work of an edge that died, work freed by a click) is claimed from
//! the store when it is due, and no more of it than can go out: letting go of work again is a write.

mod circuit;
mod claim;
mod gate;
mod limiter;
mod outcome;
mod request;
mod turn;

use crate::Tools;
use gate::Gate;
use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use usher_model::{Answer, Delivery, Job, RecordId, Send, SiteName, UnixMs, limits};

/// What a handler that waits for its delivery is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// The platform has spoken.
    Answered(Answer),
    /// It has not, and it will be tried again.
    Queued,
}

/// How the outbox stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Deliveries that wait.
    pub waiting: u64,
    /// Deliveries that failed for good.
    pub dead: u64,
    /// Refunds of payments that nobody has reported.
    pub orphans: u64,
    /// Age of the oldest that waits, in milliseconds.
    pub oldest_age_ms: Option<i64>,
    /// Sites whose key the platform refuses, with its words.
    pub paused: Vec<(SiteName, String)>,
    /// Sites whose calls the platform does not answer, and since when.
    pub unanswered: Vec<(SiteName, UnixMs)>,
}

/// The way to the deliverer.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
    queue: mpsc::Sender<Held>,
}

struct Shared {
    tools: Tools,
    waiters: Mutex<BTreeMap<String, oneshot::Sender<News>>>,
    gate: Mutex<Gate>,
    in_hand: Mutex<BTreeSet<String>>,
    /// More was due at the last claim than could be claimed.
    is_behind: AtomicBool,
    /// Something that was in hand is no more.
    wake: Notify,
    stop: CancellationToken,
}

/// A delivery that this process holds. No other `Held` of the same delivery exists while it does, whatever the clock says
/// about leases: a click that is told twice counts twice.
struct Held {
    delivery: Delivery,
    /// When the lease began, or a little later.
    since: Instant,
    shared: Arc<Shared>,
}

impl Held {
    /// Whether a call that begins now ends while the lease lasts. Else the delivery may be another edge's by then.
    fn is_fresh(&self) -> bool {
        self.since.elapsed() < Duration::from_millis(limits::HELD_FRESH_MS)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        lock(&self.shared.in_hand).remove(&self.delivery.id);
        // A slot is free, and a click or a payment may have set others free.
        self.shared.wake.notify_one();
    }
}

/// Makes the deliverer: the way to it, and the future that is it. It ends after `stop`, when calls under way have ended.
pub(crate) fn start(
    tools: Tools,
    stop: CancellationToken,
) -> (Handle, impl Future<Output = ()> + std::marker::Send) {
    let (queue, handed_over) = mpsc::channel(limits::HANDED_OVER);
    let shared = Arc::new(Shared {
        tools,
        waiters: Mutex::default(),
        gate: Mutex::new(Gate::new()),
        in_hand: Mutex::default(),
        is_behind: AtomicBool::new(false),
        wake: Notify::new(),
        stop,
    });
    (Handle { shared: Arc::clone(&shared), queue }, deliver(shared, handed_over))
}

impl Handle {
    /// News of a record's delivery, for whoever asks before it is written.
    pub(crate) fn news_of(&self, id: &RecordId) -> oneshot::Receiver<News> {
        let (tell, news) = oneshot::channel();
        lock(&self.shared.waiters).insert(id.as_str().to_owned(), tell);
        news
    }

    /// Nobody waits for news of that record any more.
    pub(crate) fn forget(&self, id: &RecordId) {
        lock(&self.shared.waiters).remove(id.as_str());
    }

    /// When an entry that is written now should be sent: at once, when it would go out at once; else when its turn comes, so
    /// that writing it is one write, without a lease, and nobody waits for an answer that does not come.
    pub(crate) fn when(&self, site: &SiteName, job: Job) -> Send {
        let now = Instant::now();
        // Whoever comes next sends it, and may do so at once.
        if self.shared.stop.is_cancelled() {
            return Send::From(self.shared.at(now));
        }
        let mut gate = lock(&self.shared.gate);
        let has_slot = lock(&self.shared.in_hand).len() < limits::UPSTREAM_CALLS;
        // Callers whose calls have not begun: the pace knows nothing of them yet.
        let ahead = lock(&self.shared.waiters).len().saturating_sub(gate.under_way());
        // A burst is spread, and its callers hear the platform's own answer a little later. What goes on for longer, or
        // comes when others wait already, is no burst: its callers would wait for answers that come to few of them.
        let is_burst = ahead < limits::BURST_CALLS && !self.shared.is_behind.load(Ordering::Relaxed);
        let soon = now + Duration::from_millis(limits::BURST_MS);
        match gate.look(site, job, now) {
            Ok(room) if has_slot && (ahead < room || is_burst) => Send::Now,
            Ok(_) => Send::From(self.shared.at(now)),
            Err(rest) if has_slot && is_burst && rest.ends_by(soon) => Send::Now,
            Err(rest) => Send::From(self.shared.at(gate.due(rest, site, job, now))),
        }
    }

    /// Takes deliveries that the caller has just written and holds.
    pub(crate) async fn hand_over(&self, deliveries: Vec<Delivery>) {
        for delivery in deliveries {
            let Some(held) = hold(&self.shared, delivery, Instant::now()) else { continue };
            if let Err(full) = self.queue.try_send(held) {
                self.shared.release(&full.into_inner(), Instant::now()).await;
            }
        }
    }

    /// Somebody may have mended what the platform refused or did not answer: everything that rests is tried at once.
    pub(crate) fn try_now(&self) {
        lock(&self.shared.gate).try_now(Instant::now());
        self.shared.wake.notify_one();
    }

    /// How the outbox stands.
    ///
    /// # Errors
    /// When the store does not say.
    pub async fn status(&self) -> usher_store::Result<Status> {
        let backlog = self.shared.tools.store.backlog().await?;
        let now = self.shared.tools.clock.now();
        let (paused, unanswered) = {
            let gate = lock(&self.shared.gate);
            (gate.refused(), gate.unanswered())
        };
        let moment = |at: Instant| now.plus(-i64::try_from(at.elapsed().as_millis()).unwrap_or(0));
        Ok(Status {
            waiting: backlog.waiting,
            dead: backlog.dead,
            orphans: backlog.orphans,
            oldest_age_ms: backlog.oldest.map(|oldest| now.since(oldest)),
            paused,
            unanswered: unanswered.into_iter().map(|(site, since)| (site, moment(since))).collect(),
        })
    }
}

async fn deliver(shared: Arc<Shared>, mut handed_over: mpsc::Receiver<Held>) {
    let slots = Arc::new(Semaphore::new(limits::UPSTREAM_CALLS));
    let turns = TaskTracker::new();
    let claimer = claim::claim_when_due(Arc::clone(&shared), Arc::clone(&slots), turns.clone());
    let claimer = tokio::spawn(claimer);
    while let Some((held, slot)) = next(&shared, &mut handed_over, &slots).await {
        turns.spawn(turn(held, slot));
    }
    // Nobody waits for what is still in the queue; whoever comes next sends it.
    handed_over.close();
    while let Some(held) = handed_over.recv().await {
        shared.release(&held, Instant::now()).await;
    }
    if let Err(error) = claimer.await {
        tracing::error!(%error, "the claiming task failed");
    }
    turns.close();
    turns.wait().await;
}

/// What was handed over next, with a slot for its call; `None` when the process stops.
async fn next(
    shared: &Shared,
    handed_over: &mut mpsc::Receiver<Held>,
    slots: &Arc<Semaphore>,
) -> Option<(Held, OwnedSemaphorePermit)> {
    tokio::select! {
        biased;
        () = shared.stop.cancelled() => None,
        next = async {
            let slot = Arc::clone(slots).acquire_owned().await.ok()?;
            Some((handed_over.recv().await?, slot))
        } => next,
    }
}

/// The turn of one delivery, and the end of its slot.
async fn turn(held: Held, slot: OwnedSemaphorePermit) {
    let shared = Arc::clone(&held.shared);
    shared.turn(held).await;
    drop(slot);
}

/// Takes a delivery in hand, unless this process has it in hand already.
fn hold(shared: &Arc<Shared>, delivery: Delivery, since: Instant) -> Option<Held> {
    let first = lock(&shared.in_hand).insert(delivery.id.clone());
    first.then(|| Held { delivery, since, shared: Arc::clone(shared) })
}

impl Shared {
    /// That moment by the clock.
    fn at(&self, moment: Instant) -> UnixMs {
        let ahead = moment.saturating_duration_since(Instant::now()).as_millis();
        self.tools.clock.now().plus(i64::try_from(ahead).unwrap_or(i64::MAX))
    }
}

/// A lock whose holder panicked guards plain data that is still whole.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Policy;
    use crate::test_support::{Dice, delivery, site};
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    use usher_model::{AffiliateCode, Click, ClickId, Clock, Upstream};
    use usher_store::PendingClick;
    use usher_upstream::{CallError, Platform, Reply, TrackAnswer, TrackCall};

    struct Epoch;

    impl Clock for Epoch {
        fn now(&self) -> UnixMs {
            UnixMs(0)
        }
    }

    #[derive(Default)]
    struct Counting(AtomicUsize);

    #[async_trait::async_trait]
    impl Platform for Counting {
        async fn track(&self, _: TrackCall, _: Duration) -> Result<TrackAnswer, CallError> {
            Err(CallError::TimedOut(0))
        }

        async fn deliver(&self, _: Job, _: Option<&str>, _: &str, _: Duration) -> Result<Reply, CallError> {
            self.0.fetch_add(1, Relaxed);
            Err(CallError::TimedOut(0))
        }
    }

    fn tools(platform: &Arc<Counting>) -> Tools {
        Tools {
            clock: Arc::new(Epoch),
            random: Arc::new(Dice),
            store: usher_store::Rehearsal::new().expect("a store"),
            platform: Arc::clone(platform) as Arc<dyn Platform>,
            policy: Policy {
                click_budget: Duration::ZERO,
                truncate_addresses: true,
                retention_days: 1,
                visitor_key: [0; 32],
            }
            .into(),
        }
    }

    #[tokio::test]
    async fn what_waited_so_long_that_its_lease_may_end_during_the_call_is_not_sent() {
        let platform = Arc::new(Counting::default());
        let (handle, _) = start(tools(&platform), CancellationToken::new());
        for (waited_ms, asked) in [(limits::HELD_FRESH_MS, 0), (limits::HELD_FRESH_MS - 10_000, 1)] {
            let since = Instant::now() - Duration::from_millis(waited_ms);
            let held = hold(&handle.shared, delivery(Job::Click), since).expect("nobody else has it");
            assert!(hold(&handle.shared, delivery(Job::Click), since).is_none());
            handle.shared.turn(held).await;
            assert_eq!(platform.0.load(Relaxed), asked, "{waited_ms}");
        }
    }

    #[tokio::test]
    async fn a_burst_is_spread_and_a_load_or_a_backlog_makes_nobody_wait() {
        let (handle, _) = start(tools(&Arc::default()), CancellationToken::new());
        let (shop, job) = (site().name, Job::Conversion);
        let call = |n: usize| {
            let goes_out = handle.when(&shop, job) == Send::Now;
            goes_out.then(|| handle.news_of(&RecordId::new(format!("conv_{n}")).expect("an id")))
        };
        let callers: Vec<_> = (0..100).filter_map(call).collect();
        assert_eq!(
            callers.len(),
            limits::RATE_FIRST_CALLS.max(limits::BURST_CALLS),
            "others are told at once"
        );
        // All that may begin have begun: whoever comes now waits a little.
        for n in 0..limits::RATE_FIRST_CALLS {
            let delivery = Delivery { id: format!("conv_{n}"), ..delivery(job) };
            lock(&handle.shared.gate).start(&delivery, Instant::now()).expect("it may begin");
        }
        assert_eq!(handle.when(&shop, job), Send::Now);
        handle.shared.is_behind.store(true, Ordering::Relaxed);
        assert_ne!(handle.when(&shop, job), Send::Now);
    }

    #[tokio::test]
    async fn what_is_in_hand_and_has_not_begun_takes_up_room() {
        let (handle, _) = start(tools(&Arc::default()), CancellationToken::new());
        let slots = Semaphore::new(limits::UPSTREAM_CALLS);
        assert_eq!(handle.shared.room(&slots), Ok(limits::RATE_FIRST_CALLS));
        let of = |n: usize| Delivery { id: format!("conv_{n}"), ..delivery(Job::Conversion) };
        let held = |n| hold(&handle.shared, of(n), Instant::now());
        let in_hand: Vec<_> = (1..limits::RATE_FIRST_CALLS).map(held).collect();
        assert_eq!(handle.shared.room(&slots), Ok(1));
        drop(in_hand);
        assert_eq!(handle.shared.room(&slots), Ok(limits::RATE_FIRST_CALLS));
    }

    #[tokio::test]
    async fn what_was_handed_over_and_had_no_turn_before_the_end_is_let_go_of() {
        let (platform, stop) = (Arc::new(Counting::default()), CancellationToken::new());
        let tools = tools(&platform);
        let (handle, deliverer) = start(tools.clone(), stop.clone());
        let click = Click {
            id: ClickId::new("ush_1").expect("an id"),
            site: site().name,
            affiliate: AffiliateCode::new("alice").expect("an affiliate"),
            visitor: None,
            created_at: UnixMs(0),
            upstream: Upstream::Pending,
        };
        let pending = PendingClick { body: "{}".to_owned(), due_at: UnixMs(0) };
        tools.store.record_clicks(vec![(click, Some(pending))]).await.expect("written");
        let claim = || tools.store.claim(UnixMs(0), limits::LEASE_MS, 9);
        handle.hand_over(claim().await.expect("claimed")).await;
        assert!(claim().await.expect("claimed").is_empty());
        stop.cancel();
        deliverer.await;
        assert_eq!(claim().await.expect("claimed").len(), 1);
        assert_eq!(platform.0.load(Relaxed), 0);
    }
}
