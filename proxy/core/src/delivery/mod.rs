//! Delivery: what is written down reaches the platform, however long that takes.
//!
//! The deliverer takes work from two sides: deliveries that a handler has just written and holds under a lease come over
//! a queue and go out at once; everything else (retries, work of an edge that died, work freed by a click) is claimed from
//! the store when it is due.

mod attempt;

use crate::Tools;
use attempt::Pace;
use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use usher_model::{Answer, Delivery, RecordId, Settlement, SiteName, UnixMs, limits};

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
    /// Age of the oldest that waits, in milliseconds.
    pub oldest_age_ms: Option<i64>,
    /// Sites whose key the platform refuses, with its words.
    pub paused: Vec<(SiteName, String)>,
}

/// The way to the deliverer.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
    queue: mpsc::Sender<Delivery>,
}

struct Shared {
    tools: Tools,
    waiters: Mutex<HashMap<String, oneshot::Sender<News>>>,
    paces: Mutex<HashMap<SiteName, Pace>>,
    wake: Notify,
}

/// Makes the deliverer: the way to it, and the future that is it. It ends after `stop`, when calls under way have ended.
pub(crate) fn start(tools: Tools, stop: CancellationToken) -> (Handle, impl Future<Output = ()> + Send) {
    let (queue, handed_over) = mpsc::channel(limits::HANDED_OVER);
    let shared =
        Arc::new(Shared { tools, waiters: Mutex::default(), paces: Mutex::default(), wake: Notify::new() });
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

    /// Takes deliveries that the caller has just written and holds.
    pub(crate) async fn hand_over(&self, deliveries: Vec<Delivery>) {
        for delivery in deliveries {
            if let Err(full) = self.queue.try_send(delivery) {
                let delivery = full.into_inner();
                let now = self.shared.tools.clock.now();
                self.shared.settle(&delivery, Settlement::Release { due_at: now }).await;
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
        let refused = |(site, pace): (&SiteName, &Pace)| Some((site.clone(), pace.refused.clone()?));
        Ok(Status {
            waiting: backlog.waiting,
            dead: backlog.dead,
            oldest_age_ms: backlog.oldest.map(|oldest| now.since(oldest)),
            paused: lock(&self.shared.paces).iter().filter_map(refused).collect(),
        })
    }
}

async fn deliver(shared: Arc<Shared>, mut handed_over: mpsc::Receiver<Delivery>, stop: CancellationToken) {
    let slots = Arc::new(Semaphore::new(limits::UPSTREAM_CALLS));
    let calls = TaskTracker::new();
    let spawn = |delivery: Delivery, slot: OwnedSemaphorePermit| {
        let shared = Arc::clone(&shared);
        calls.spawn(async move {
            shared.one(&delivery).await;
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
            delivery = handed_over.recv() => match delivery {
                Some(delivery) => spawn(delivery, slot),
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
        if let Ok(slot) = Arc::clone(&slots).try_acquire_owned() {
            drop(slot);
            let now = shared.tools.clock.now();
            let limit = slots.available_permits().min(limits::CLAIMED);
            match shared.tools.store.claim(now, limits::LEASE_MS, limit).await {
                Ok(deliveries) => {
                    claimed = deliveries.len();
                    pause = Duration::from_millis(limits::OUTBOX_POLL_MS);
                    for delivery in deliveries {
                        let (shared, slots) = (Arc::clone(&shared), Arc::clone(&slots));
                        calls.spawn(async move {
                            let slot = slots.acquire_owned().await;
                            shared.one(&delivery).await;
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

impl Shared {
    /// One delivery, from its turn to its settlement.
    async fn one(&self, delivery: &Delivery) {
        if let Some(until) = self.resting_until(&delivery.site) {
            self.settle(delivery, Settlement::Release { due_at: until }).await;
            self.tell(delivery, News::Queued);
            return;
        }
        let attempted = attempt::attempt(&self.tools, delivery).await;
        self.keep_pace(&delivery.site, attempted.pace);
        let news = match &attempted.settlement {
            Settlement::Delivered { answer, .. } | Settlement::Dead { answer: Some(answer), .. } => {
                News::Answered(answer.clone())
            }
            _ => News::Queued,
        };
        log(delivery, &attempted.settlement);
        self.settle(delivery, attempted.settlement).await;
        self.tell(delivery, news);
        // A click may have set others free, and a slot is.
        self.wake.notify_one();
    }

    /// Writes a settlement. When that fails the lease runs out and the delivery is tried again, under the same key.
    async fn settle(&self, delivery: &Delivery, settlement: Settlement) {
        let now = self.tools.clock.now();
        if let Err(error) = self.tools.store.settle(delivery, settlement, now).await {
            tracing::error!(delivery = delivery.id, %error, "an outcome was not written; the delivery will be repeated");
        }
    }

    fn tell(&self, delivery: &Delivery, news: News) {
        if let Some(waiter) = lock(&self.waiters).remove(&delivery.id) {
            // It may have given up.
            let _ = waiter.send(news);
        }
    }

    fn resting_until(&self, site: &SiteName) -> Option<UnixMs> {
        let now = self.tools.clock.now();
        lock(&self.paces).get(site).map(|pace| pace.until).filter(|until| *until > now)
    }

    /// Takes the platform's pace for a site; a success without one ends a refusal.
    fn keep_pace(&self, site: &SiteName, pace: Option<Pace>) {
        let mut paces = lock(&self.paces);
        match pace {
            Some(pace) => {
                if let Some(words) = &pace.refused {
                    tracing::error!(%site, words, "the platform refuses upstream.api_key: deliveries of this site rest");
                }
                paces.insert(site.clone(), pace);
            }
            None => {
                paces.remove(site);
            }
        }
    }
}

fn log(delivery: &Delivery, settlement: &Settlement) {
    let (id, job, site) = (&delivery.id, delivery.job.word(), &delivery.site);
    match settlement {
        Settlement::Delivered { .. } => {
            tracing::info!(id, job, %site, attempts = delivery.attempts + 1, "delivered");
        }
        Settlement::Retry { error, due_at } => {
            tracing::warn!(id, job, %site, attempts = delivery.attempts + 1, error, due_at = due_at.rfc3339(), "not delivered; will be tried again");
        }
        Settlement::Release { due_at } => tracing::debug!(id, job, %site, due_at = due_at.rfc3339(), "rests"),
        Settlement::Dead { error, .. } => {
            tracing::error!(id, job, %site, attempts = delivery.attempts + 1, error, "cannot be delivered; somebody has to look");
        }
    }
}

/// A lock whose holder panicked guards plain data that is still whole.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
