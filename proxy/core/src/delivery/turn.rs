//! The turn of one delivery, from the look whether it may go to its settlement.

use super::{
    Held, News, Shared,
    gate::{Call, Heard, Rest, What},
    lock, outcome,
    outcome::{Judged, Now},
    request,
    request::Request,
};
use std::time::Duration;
use tokio::time::Instant;
use usher_model::{Delivery, Settlement, delivery::note, limits};
use usher_store::StoreError;
use usher_upstream::{CallError, Reply};

/// A call that may begin or has begun. If it is dropped before it has ended, it never was.
struct Begun<'a> {
    shared: &'a Shared,
    call: Call,
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        lock(&self.shared.gate).unstart(&self.call);
    }
}

impl Shared {
    /// One delivery, from its turn to its settlement.
    pub(super) async fn turn(&self, mut held: Held) {
        if self.stop.is_cancelled() {
            return self.release(&held, Instant::now()).await;
        }
        // Nothing is looked up for what rests.
        let look = lock(&self.gate).look(&held.delivery.site, held.delivery.job, Instant::now());
        let patience = Instant::now() + Duration::from_millis(limits::TURN_MS);
        if let Err(rest) = look
            && !rest.ends_by(patience)
        {
            return self.turn_away(&held, rest).await;
        }
        let settlement = match request::prepare(&self.tools, &held.delivery).await {
            Err(settlement) => settlement,
            Ok(request) => match self.admit(&held).await {
                None => return,
                Some(begun) => self.attempt(&mut held.delivery, &request, begun).await,
            },
        };
        let news = match &settlement {
            Settlement::Delivered { answer, .. }
            | Settlement::Dead { answer: Some(answer), .. }
            | Settlement::Closed { answer: Some(answer), .. } => News::Answered(answer.clone()),
            _ => News::Queued,
        };
        log(&held.delivery, &settlement);
        self.settle(&held, settlement).await;
        self.tell(&held.delivery, news);
    }

    /// Lets go of a delivery that was not tried.
    pub(super) async fn release(&self, held: &Held, due: Instant) {
        let settlement = Settlement::Release { due_at: self.at(due) };
        log(&held.delivery, &settlement);
        self.settle(held, settlement).await;
        self.tell(&held.delivery, News::Queued);
    }

    async fn turn_away(&self, held: &Held, rest: Rest) {
        let (site, job) = (&held.delivery.site, held.delivery.job);
        let due = lock(&self.gate).due(rest, site, job, Instant::now());
        self.release(held, due).await;
    }

    /// Waits for the moment when the call may begin; `None` when that is too far away and it has been let go of.
    async fn admit(&self, held: &Held) -> Option<Begun<'_>> {
        let patience = Instant::now() + Duration::from_millis(limits::TURN_MS);
        loop {
            if !held.is_fresh() {
                tracing::debug!(id = held.delivery.id, "waited too long for its turn; it is claimed again");
                return None;
            }
            let start = lock(&self.gate).start(&held.delivery, Instant::now());
            let rest = match start {
                Ok(call) => return Some(Begun { shared: self, call }),
                Err(rest) => rest,
            };
            if !rest.ends_by(patience) || self.stop.is_cancelled() {
                self.turn_away(held, rest).await;
                return None;
            }
            tokio::select! {
                biased;
                () = self.stop.cancelled() => {}
                () = rest.over() => {}
            }
        }
    }

    /// Makes the call, and judges what comes of it.
    async fn attempt(&self, delivery: &mut Delivery, request: &Request, begun: Begun<'_>) -> Settlement {
        let outcome = self.call(delivery, request).await;
        let is_suspect = lock(&self.gate).is_suspect(&delivery.id);
        let (now, random) = (self.tools.clock.now(), self.tools.random.as_ref());
        let judged = outcome::judge(delivery, request, outcome, Now { now, random, is_suspect });
        let Judged { settlement, heard, said } = judged;
        self.hear(delivery, &begun, heard);
        note(&mut delivery.log, now, &said);
        settlement
    }

    /// The call itself; when the process stops, only as long as its outcome can still be written.
    async fn call(&self, delivery: &Delivery, request: &Request) -> Result<Reply, CallError> {
        let deadline = Duration::from_millis(limits::UPSTREAM_CALL_MS);
        let (job, conversion) = (delivery.job, request.conversion.as_deref());
        let drained = async {
            self.stop.cancelled().await;
            tokio::time::sleep(Duration::from_millis(limits::CALL_DRAIN_MS)).await;
        };
        tokio::select! {
            biased;
            outcome = self.tools.platform.deliver(job, conversion, &request.body, deadline) => outcome,
            () = drained => Err(CallError::TimedOut(limits::CALL_DRAIN_MS)),
        }
    }

    /// Takes in what an attempt has told of the platform.
    fn hear(&self, delivery: &Delivery, begun: &Begun<'_>, heard: Heard) {
        if let What::KeyUnknown(words) | What::Forbidden(words) = &heard.what {
            let (site, job) = (&delivery.site, delivery.job.word());
            tracing::error!(%site, job, words, "the platform refuses upstream.api_key: deliveries rest");
        }
        lock(&self.gate).ended(&begun.call, heard, Instant::now(), self.tools.random.as_ref());
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
