//! Delivery: what is written down reaches the platform, however long that takes.
//!
//! The deliverer takes work from two sides: deliveries that a handler has just written and holds under a lease come over
//! a queue and go out at once; everything else (retries, work of an edge that died, work freed by a click) is claimed from
//! the store when it is due.

mod attempt;
mod pace;

use crate::Tools;
use pace::{Heard, Paces};
use std::{
    collections::{HashMap, HashSet},
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use usher_model::{Answer, Delivery, Job, RecordId, Send, Settlement, SiteName, limits};
use usher_store::StoreError;

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
}

/// The way to the deliverer.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
    queue: mpsc::Sender<Held>,
}

struct Shared {
    tools: Tools,
    waiters: Mutex<HashMap<String, oneshot::Sender<News>>>,
    paces: Mutex<Paces>,
    under_way: Mutex<HashSet<String>>,
    wake: Notify,
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
        lock(&self.shared.under_way).remove(&self.delivery.id);
    }
}

/// Makes the deliverer: the way to it, and the future that is it. It ends after `stop`, when calls under way have ended.
pub(crate) fn start(tools: Tools, stop: CancellationToken) -> (Handle, impl Future<Output = ()> + std::marker::Send) {
    let (queue, handed_over) = mpsc::channel(limits::HANDED_OVER);
    let shared = Arc::new(Shared {
        tools,
        waiters: Mutex::default(),
        paces: Mutex::default(),
        under_way: Mutex::default(),
        wake: Notify::new(),
    });
    (Handle { shared: Arc::clone(&shared), queue }, deliver(shared, handed_over, stop))
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
        let now = self.shared.tools.clock.now();
        if let Some(until) = lock(&self.shared.paces).rests_until(site, job, now) {
            return Send::From(until);
        }
        let in_hand = lock(&self.shared.under_way).len();
        if in_hand < limits::UPSTREAM_CALLS { Send::Now } else { Send::From(now) }
    }

    /// Takes deliveries that the caller has just written and holds.
    pub(crate) async fn hand_over(&self, deliveries: Vec<Delivery>) {
        for delivery in deliveries {
            let Some(held) = hold(&self.shared, delivery, Instant::now()) else { continue };
            if let Err(full) = self.queue.try_send(held) {
                let now = self.shared.tools.clock.now();
                self.shared.settle(&full.into_inner(), Settlement::Release { due_at: now }).await;
            }
        }
    }

    /// How the outbox stands.
    ///
    /// # Errors
    /// When the store does not say.
    pub async fn status(&self) -> usher_store::Result<Status> {
        let backlog = self.shared.tools.store.backlog().await?;
        let now = self.shared.tools.clock.now();
        Ok(Status {
            waiting: backlog.waiting,
            dead: backlog.dead,
            orphans: backlog.orphans,
            oldest_age_ms: backlog.oldest.map(|oldest| now.since(oldest)),
            paused: lock(&self.shared.paces).refused(),
        })
    }
}

async fn deliver(shared: Arc<Shared>, mut handed_over: mpsc::Receiver<Held>, stop: CancellationToken) {
    let slots = Arc::new(Semaphore::new(limits::UPSTREAM_CALLS));
    let calls = TaskTracker::new();
    let spawn = |held: Held, slot: OwnedSemaphorePermit| {
        calls.spawn(async move {
            held.shared.one(&held).await;
            drop(slot);
        });
    };
    let claimer = claim_when_due(Arc::clone(&shared), Arc::clone(&slots), stop.clone(), calls.clone());
    let claimer = tokio::spawn(claimer);
    loop {
        let slot = tokio::select! {
            () = stop.cancelled() => break,
            slot = Arc::clone(&slots).acquire_owned() => slot,
        };
        let Ok(slot) = slot else { break };
        tokio::select! {
            () = stop.cancelled() => break,
            held = handed_over.recv() => match held {
                Some(held) => spawn(held, slot),
                None => break,
            },
        }
    }
    // What is still in the queue is on disk; its lease runs out by itself.
    if let Err(error) = claimer.await {
        tracing::error!(%error, "the claiming task failed");
    }
    calls.close();
    calls.wait().await;
}

/// Claims what is due, as many as calls can go out, and looks again when something was settled or time has passed.
async fn claim_when_due(
    shared: Arc<Shared>,
    slots: Arc<Semaphore>,
    stop: CancellationToken,
    calls: TaskTracker,
) {
    let mut pause = Duration::from_millis(limits::OUTBOX_POLL_MS);
    loop {
        let mut claimed = 0;
        let now = shared.tools.clock.now();
        let limit = slots.available_permits().min(limits::CLAIMED);
        // While everything rests nothing is claimed: letting go of it again would be a write each.
        if limit > 0 && lock(&shared.paces).all_rest_until(now).is_none() {
            let since = Instant::now();
            match shared.tools.store.claim(now, limits::LEASE_MS, limit).await {
                Ok(deliveries) => {
                    claimed = deliveries.len();
                    pause = Duration::from_millis(limits::OUTBOX_POLL_MS);
                    for held in deliveries.into_iter().filter_map(|delivery| hold(&shared, delivery, since)) {
                        let slots = Arc::clone(&slots);
                        calls.spawn(async move {
                            let slot = slots.acquire_owned().await;
                            held.shared.one(&held).await;
                            drop(slot);
                        });
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "the outbox waits for the store");
                    pause = (pause * 2).min(Duration::from_secs(5));
                }
            }
        }
        if claimed == 0 || stop.is_cancelled() {
            tokio::select! {
                () = stop.cancelled() => return,
                () = shared.wake.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        } else {
            tokio::task::yield_now().await;
        }
    }
}

/// Takes a delivery in hand, unless this process has it in hand already.
fn hold(shared: &Arc<Shared>, delivery: Delivery, since: Instant) -> Option<Held> {
    let first = lock(&shared.under_way).insert(delivery.id.clone());
    first.then(|| Held { delivery, since, shared: Arc::clone(shared) })
}

impl Shared {
    /// One delivery, from its turn to its settlement.
    async fn one(&self, held: &Held) {
        let delivery = &held.delivery;
        if !held.is_fresh() {
            tracing::debug!(id = delivery.id, "waited too long for its turn; it is claimed again");
            return;
        }
        let now = self.tools.clock.now();
        let rests = lock(&self.paces).rests_until(&delivery.site, delivery.job, now);
        if let Some(until) = rests {
            self.settle(held, Settlement::Release { due_at: until }).await;
            self.tell(delivery, News::Queued);
            return;
        }
        let attempted = attempt::attempt(&self.tools, delivery).await;
        self.hear(delivery, attempted.heard);
        let news = match &attempted.settlement {
            Settlement::Delivered { answer, .. }
            | Settlement::Dead { answer: Some(answer), .. }
            | Settlement::Closed { answer: Some(answer), .. } => News::Answered(answer.clone()),
            _ => News::Queued,
        };
        log(delivery, &attempted.settlement);
        self.settle(held, attempted.settlement).await;
        self.tell(delivery, news);
        // A click may have set others free, and a slot is.
        self.wake.notify_one();
    }

    /// Writes a settlement, again and again while the lease lasts. When that fails the delivery is repeated, under the
    /// same key; but a click has no key.
    async fn settle(&self, held: &Held, settlement: Settlement) {
        let delivery = &held.delivery;
        let mut pause = Duration::from_millis(50);
        loop {
            let now = self.tools.clock.now();
            match self.tools.store.settle(delivery, settlement.clone(), now).await {
                Ok(()) => return,
                Err(StoreError::Unavailable(_) | StoreError::Full(_))
                    if held.since.elapsed() + pause < Duration::from_millis(limits::SETTLE_MS) =>
                {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(2));
                }
                Err(error) => {
                    tracing::error!(delivery = delivery.id, %error, "an outcome was not written; the delivery will be repeated");
                    return;
                }
            }
        }
    }

    /// Takes in what an attempt has told of the platform's pace and our key.
    fn hear(&self, delivery: &Delivery, heard: Heard) {
        if let Some(words) = heard.pace.as_ref().and_then(pace::Pace::words) {
            tracing::error!(site = %delivery.site, job = delivery.job.word(), words, "the platform refuses upstream.api_key: deliveries rest");
        }
        lock(&self.paces).hear(delivery, heard, self.tools.clock.now());
    }

    fn tell(&self, delivery: &Delivery, news: News) {
        if let Some(waiter) = lock(&self.waiters).remove(&delivery.id) {
            // It may have given up.
            let _ = waiter.send(news);
        }
    }
}

fn log(delivery: &Delivery, settlement: &Settlement) {
    let (id, job, site) = (&delivery.id, delivery.job.word(), &delivery.site);
    let attempts = delivery.attempts + 1;
    match settlement {
        Settlement::Delivered { .. } => tracing::info!(id, job, %site, attempts, "delivered"),
        // An outage must not flood the log: each delivery speaks up at its 1st, 2nd, 4th, 8th … failure.
        Settlement::Retry { error, due_at } if attempts.is_power_of_two() => {
            let due_at = due_at.rfc3339();
            tracing::warn!(id, job, %site, attempts, error, due_at, "not delivered; will be tried again");
        }
        Settlement::Retry { error, .. } => tracing::debug!(id, job, %site, attempts, error, "not delivered"),
        Settlement::Closed { why, .. } => tracing::info!(id, job, %site, why, "closed"),
        Settlement::Release { due_at } => tracing::debug!(id, job, %site, due_at = due_at.rfc3339(), "rests"),
        Settlement::Dead { error, .. } => {
            tracing::error!(id, job, %site, attempts, error, "cannot be delivered; somebody has to look");
        }
    }
}

/// A lock whose holder panicked guards plain data that is still whole.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{Dice, delivery, site};
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    use usher_model::{Clock, UnixMs};
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

    #[tokio::test]
    async fn what_waited_so_long_that_its_lease_may_end_during_the_call_is_not_sent() {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite:{}", folder.path().join("usher.db").display());
        let platform = Arc::new(Counting::default());
        let tools = Tools {
            clock: Arc::new(Epoch),
            random: Arc::new(Dice),
            store: usher_store::open(&url, &[site().name], usher_store::Role::Service)
                .await
                .expect("a store"),
            platform: Arc::clone(&platform) as Arc<dyn Platform>,
            click_budget: Duration::ZERO,
            truncate_addresses: true,
            retention_days: 1,
            visitor_key: [0; 32],
        };
        let (handle, _) = start(tools, CancellationToken::new());
        for (waited_ms, asked) in [(limits::HELD_FRESH_MS, 0), (limits::HELD_FRESH_MS - 10_000, 1)] {
            let since = Instant::now() - Duration::from_millis(waited_ms);
            let held = hold(&handle.shared, delivery(Job::Click), since).expect("nobody else has it");
            assert!(hold(&handle.shared, delivery(Job::Click), since).is_none());
            handle.shared.one(&held).await;
            assert_eq!(platform.0.load(Relaxed), asked, "{waited_ms}");
        }
    }
}
