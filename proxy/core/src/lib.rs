//! The four jobs of Usher. [`capture`]: a request becomes a click. [`codes`]: a code becomes an affiliate.
//! [`conversions`]: a sale is checked, attributed, written down. [`delivery`]: what is written down reaches the platform.
//! No HTTP types, no sockets; time, chance, store and platform come in as parameters.

pub mod attribution;
mod buckets;
pub mod capture;
pub mod codes;
pub mod conversions;
pub mod delivery;
mod error;
mod keyring;
mod policy;
mod signed_click;
#[cfg(test)]
mod test_support;
mod visitor;

pub use error::Refusal;
pub use keyring::{Certificates, FetchError, Keyring};
pub use policy::{Live, Policy};
pub use signed_click::SignedClick;
pub use visitor::{Signals, Visitor};

use std::{sync::Arc, time::Duration};
use tokio::task::JoinHandle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use usher_model::{Clock, Random, SiteName, limits};
use usher_store::Store;
use usher_upstream::Platform;

/// What every job works with.
#[derive(Clone)]
pub struct Tools {
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub random: Arc<dyn Random>,
    /// Where things last.
    pub store: Arc<dyn Store>,
    /// Whom to tell.
    pub platform: Arc<dyn Platform>,
    /// What may be set otherwise while they work.
    pub policy: Live,
}

/// The jobs, wired together. One for each process; handlers hold it in an `Arc`.
pub struct Core {
    /// A request becomes a click.
    pub capture: capture::Capture,
    /// A code becomes an affiliate.
    pub codes: Arc<codes::Codes>,
    /// A sale or a lead is accepted.
    pub conversions: conversions::Conversions,
    /// What is written down reaches the platform.
    pub delivery: delivery::Handle,
    store: Arc<dyn Store>,
    writing: JoinHandle<()>,
    sending: TaskTracker,
    background: TaskTracker,
    /// No calls to the platform begin.
    leave: CancellationToken,
    stop: CancellationToken,
}

impl Core {
    /// Starts the jobs and what they do in the background. Promo codes are read first, if the store answers in time.
    pub async fn start(tools: &Tools, sites: &[SiteName]) -> Self {
        let stop = CancellationToken::new();
        let leave = stop.child_token();
        let (sending, background) = (TaskTracker::new(), TaskTracker::new());
        let (capture, writing) = capture::Capture::start(tools.clone(), leave.clone());
        let codes = Arc::new(codes::Codes::new(tools, sites));
        // Without them it starts all the same: clicks need no codes, and they are read as soon as the store is back.
        let _ = tokio::time::timeout(Duration::from_millis(limits::STORE_WRITE_MS), codes.read()).await;
        background.spawn(Arc::clone(&codes).keep_true(stop.clone()));
        let (delivery, deliverer) = delivery::start(tools.clone(), leave.clone());
        sending.spawn(deliverer);
        background.spawn(capture.forget_erased(stop.clone()));
        background.spawn(upkeep(tools.clone(), stop.clone()));
        let conversions = conversions::Conversions::new(
            tools.clone(),
            Arc::clone(&codes),
            delivery.clone(),
            capture.unwritten(),
        );
        let store = Arc::clone(&tools.store);
        Self { capture, codes, conversions, delivery, store, writing, sending, background, leave, stop }
    }

    /// Works for these sites from now on. The codes of new ones are read first, if the store answers in time.
    ///
    /// # Errors
    /// When the store cannot be used for them; nothing has changed then.
    pub async fn serve(&self, sites: &[SiteName]) -> usher_store::Result<()> {
        self.store.serve(sites).await?;
        let read = self.codes.serve(sites);
        let _ = tokio::time::timeout(Duration::from_millis(limits::STORE_WRITE_MS), read).await;
        Ok(())
    }

    /// The platform, or what it knows us by, is another one now: what rests for the old one's sake is tried at once.
    pub fn platform_changed(&self) {
        self.delivery.try_now();
    }

    /// Calls to the platform begin no more, and those under way end: whoever has the store next makes them. Everything else
    /// goes on: clicks get ids of our own, sales are written down.
    pub async fn leave_to_others(&self) {
        self.leave.cancel();
        self.sending.close();
        self.capture.finish().await;
        self.sending.wait().await;
    }

    /// Ends the background work in order: calls under way finish, what is queued is written. Call it when no request is
    /// left. What does not end within `deadline` is safe on disk and goes on at the next start.
    pub async fn finish(self, deadline: Duration) {
        self.stop.cancel();
        self.background.close();
        self.sending.close();
        let Self { capture, writing, sending, background, .. } = self;
        let all = async {
            capture.finish().await;
            drop(capture);
            // It ends when its queue is closed and empty; a panic in it has been logged.
            let _ = writing.await;
            sending.wait().await;
            background.wait().await;
        };
        if tokio::time::timeout(deadline, all).await.is_err() {
            tracing::warn!("background work was cut short; it goes on at the next start");
        }
    }
}

/// Removes what is past its retention, once an hour.
async fn upkeep(tools: Tools, stop: CancellationToken) {
    const DAY_MS: i64 = 24 * 60 * 60 * 1000;
    let mut hourly = tokio::time::interval(Duration::from_millis(limits::UPKEEP_MS));
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            _ = hourly.tick() => {}
        }
        let days = tools.policy.now().retention_days;
        let kept_ms = (i64::from(days) * DAY_MS).max(limits::KEYS_KEPT_MS);
        match tools.store.forget(tools.clock.now().plus(-kept_ms)).await {
            Ok(0) => {}
            Ok(removed) => {
                tracing::info!(removed, days, "removed what is past its retention");
            }
            Err(error) => tracing::warn!(%error, "what is past its retention could not be removed"),
        }
    }
}
