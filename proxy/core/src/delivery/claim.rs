//! What is due is claimed, as much as can go out.

use super::{Shared, hold, lock, turn};
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::{sync::Semaphore, time::Instant};
use tokio_util::task::TaskTracker;
use usher_model::{UnixMs, limits};

/// Claims what is due, and looks again when something is no longer in hand, when a rest is over, or when time has passed.
pub(super) async fn claim_when_due(shared: Arc<Shared>, slots: Arc<Semaphore>, turns: TaskTracker) {
    let mut pause = Duration::from_millis(limits::OUTBOX_POLL_MS);
    let mut is_back = false;
    let mut looked = (Instant::now(), shared.tools.clock.now());
    while !shared.stop.is_cancelled() {
        is_back |= lock(&shared.gate).take_back() | shared.clock_stepped_back(&mut looked);
        if is_back {
            is_back = !shared.hasten().await;
        }
        let next = match shared.room(&slots) {
            Err(until) => until,
            Ok(0) => Instant::now() + pause,
            Ok(room) => match shared.claim(room, &slots, &turns).await {
                Ok(0) => {
                    pause = Duration::from_millis(limits::OUTBOX_POLL_MS);
                    Instant::now() + pause
                }
                Ok(_) => {
                    tokio::task::yield_now().await;
                    continue;
                }
                Err(error) => {
                    tracing::warn!(%error, "the outbox waits for the store");
                    pause = (pause * 2).min(Duration::from_secs(5));
                    Instant::now() + pause
                }
            },
        };
        tokio::select! {
            biased;
            () = shared.stop.cancelled() => return,
            () = shared.wake.notified() => {}
            () = tokio::time::sleep_until(next) => {}
        }
    }
}

impl Shared {
    /// Whether somebody set the clock back since it was looked at: what was to be tried again soon would wait for as long as
    /// that was.
    fn clock_stepped_back(&self, looked: &mut (Instant, UnixMs)) -> bool {
        let now = (Instant::now(), self.tools.clock.now());
        let (before, said) = std::mem::replace(looked, now);
        let passed = i64::try_from(now.0.duration_since(before).as_millis()).unwrap_or(i64::MAX);
        passed.saturating_sub(now.1.since(said)) > limits::CLOCK_STEP_MS
    }

    /// How much may be claimed. What is in hand and has not begun takes up room as well.
    pub(super) fn room(&self, slots: &Semaphore) -> Result<usize, Instant> {
        let mut gate = lock(&self.gate);
        let room = gate.room(Instant::now())?;
        let waiting = lock(&self.in_hand).len().saturating_sub(gate.under_way());
        Ok(room.saturating_sub(waiting).min(slots.available_permits()).min(limits::CLAIMED))
    }

    async fn claim(
        self: &Arc<Self>,
        room: usize,
        slots: &Arc<Semaphore>,
        turns: &TaskTracker,
    ) -> usher_store::Result<usize> {
        let since = Instant::now();
        let deliveries = self.tools.store.claim(self.tools.clock.now(), limits::LEASE_MS, room).await?;
        let claimed = deliveries.len();
        self.is_behind.store(claimed >= room, Ordering::Relaxed);
        for held in deliveries.into_iter().filter_map(|delivery| hold(self, delivery, since)) {
            let slots = Arc::clone(slots);
            turns.spawn(async move {
                // The semaphore is never closed.
                if let Ok(slot) = slots.acquire_owned().await {
                    turn(held, slot).await;
                }
            });
        }
        Ok(claimed)
    }

    /// Lets everything that waits for a later try be due now. False when that has to be done again.
    async fn hasten(&self) -> bool {
        match self.tools.store.hasten(self.tools.clock.now()).await {
            Ok(0) => true,
            Ok(hastened) => {
                tracing::info!(hastened, "what waited for a later try is due");
                // So many may be as many as it got done in time.
                hastened < limits::HASTENED
            }
            Err(usher_store::StoreError::Unavailable(error)) => {
                tracing::debug!(error, "what waits for a later try was not hastened");
                false
            }
            Err(error) => {
                tracing::warn!(%error, "what waits for a later try was not hastened");
                true
            }
        }
    }
}
