//! A store that fails as it is told, in front of a real one.

use async_trait::async_trait;
use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
};
use tokio::sync::watch;
use usher_model::{
    Acceptance, Bound, Click, ClickId, Code, Delivery, Entry, EntryState, Job, Listing, OrderBinding,
    Payment, PaymentRef, PromoCode, Record, Settlement, SiteName, Source, UnixMs, VisitorKey,
};
use usher_store::{Backlog, PendingClick, Result, Store, StoreError};

/// What is to fail, and what has been asked.
#[derive(Default)]
pub(crate) struct Faults {
    /// Settlements that are not written.
    pub(crate) settlements: AtomicUsize,
    /// Reads of clicks never come back.
    pub(crate) clicks_hang: AtomicBool,
    /// Clicks are not written.
    pub(crate) no_clicks: AtomicBool,
    /// Codes cannot be read.
    pub(crate) no_codes: AtomicBool,
    /// A batch with a click of this affiliate cannot be written.
    pub(crate) poison: std::sync::Mutex<Option<&'static str>>,
    /// Claims that were made.
    pub(crate) claimed: AtomicUsize,
    /// Settlements that were asked for.
    pub(crate) settled: AtomicUsize,
}

pub(crate) struct Faulty {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) faults: Arc<Faults>,
}

fn away<T>() -> Result<T> {
    Err(StoreError::Unavailable("away".to_owned()))
}

#[async_trait]
impl Store for Faulty {
    async fn codes(&self, site: &SiteName) -> Result<Vec<(PromoCode, Code)>> {
        if self.faults.no_codes.load(Relaxed) { away() } else { self.store.codes(site).await }
    }

    async fn put_codes(&self, site: &SiteName, codes: Vec<(PromoCode, Code)>) -> Result<()> {
        self.store.put_codes(site, codes).await
    }

    async fn remove_code(&self, site: &SiteName, code: &PromoCode) -> Result<bool> {
        self.store.remove_code(site, code).await
    }

    fn code_changes(&self) -> watch::Receiver<u64> {
        self.store.code_changes()
    }

    async fn record_clicks(&self, clicks: Vec<(Click, Option<PendingClick>)>) -> Result<()> {
        let poison = *self.faults.poison.lock().expect("whole");
        if clicks.iter().any(|(click, _)| Some(click.affiliate.as_str()) == poison) {
            return Err(StoreError::Corrupt("poison".to_owned()));
        }
        if self.faults.no_clicks.load(Relaxed) { away() } else { self.store.record_clicks(clicks).await }
    }

    async fn click(&self, site: &SiteName, id: &ClickId) -> Result<Option<Click>> {
        if self.faults.clicks_hang.load(Relaxed) { pending().await } else { self.store.click(site, id).await }
    }

    async fn click_of_visitor(
        &self,
        site: &SiteName,
        visitor: VisitorKey,
        since: UnixMs,
    ) -> Result<Option<Click>> {
        self.store.click_of_visitor(site, visitor, since).await
    }

    async fn accept(&self, entry: Entry) -> Result<Acceptance> {
        self.store.accept(entry).await
    }

    async fn accepted(
        &self,
        site: &SiteName,
        source: &Source,
        job: Job,
        key: &str,
    ) -> Result<Option<(Vec<u8>, EntryState)>> {
        self.store.accepted(site, source, job, key).await
    }

    async fn payment(&self, site: &SiteName, source: &Source, of: &PaymentRef) -> Result<Option<Payment>> {
        self.store.payment(site, source, of).await
    }

    async fn link(
        &self,
        site: &SiteName,
        source: &Source,
        name: &str,
        alias_of: &str,
        now: UnixMs,
    ) -> Result<()> {
        self.store.link(site, source, name, alias_of, now).await
    }

    async fn bind_order(&self, site: &SiteName, order: &str, click: &ClickId, now: UnixMs) -> Result<Bound> {
        self.store.bind_order(site, order, click, now).await
    }

    async fn order(&self, site: &SiteName, order: &str) -> Result<Option<OrderBinding>> {
        self.store.order(site, order).await
    }

    async fn click_of_customer(&self, site: &SiteName, customer: &str) -> Result<Option<ClickId>> {
        self.store.click_of_customer(site, customer).await
    }

    async fn claim(&self, now: UnixMs, lease_ms: i64, limit: usize) -> Result<Vec<Delivery>> {
        let claimed = self.store.claim(now, lease_ms, limit).await;
        self.faults.claimed.fetch_add(1, Relaxed);
        claimed
    }

    async fn settle(&self, delivery: &Delivery, settlement: Settlement, now: UnixMs) -> Result<()> {
        self.faults.settled.fetch_add(1, Relaxed);
        let fails = self.faults.settlements.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1));
        if fails.is_ok() { away() } else { self.store.settle(delivery, settlement, now).await }
    }

    async fn hasten(&self, now: UnixMs) -> Result<u64> {
        self.store.hasten(now).await
    }

    async fn find(&self, site: &SiteName, name: &str) -> Result<Vec<Record>> {
        self.store.find(site, name).await
    }

    async fn list(&self, listing: &Listing) -> Result<Vec<Record>> {
        self.store.list(listing).await
    }

    async fn retry(&self, site: &SiteName, id: &str, now: UnixMs) -> Result<bool> {
        self.store.retry(site, id, now).await
    }

    async fn discard(&self, site: &SiteName, id: &str, why: &str, now: UnixMs) -> Result<bool> {
        self.store.discard(site, id, why, now).await
    }

    async fn backlog(&self) -> Result<Backlog> {
        self.store.backlog().await
    }

    async fn expunge(&self, site: &SiteName, what: &usher_store::Personal) -> Result<usher_store::Erased> {
        self.store.expunge(site, what).await
    }

    async fn wipe(&self) -> Result<()> {
        self.store.wipe().await
    }

    fn erasures(&self) -> watch::Receiver<u64> {
        self.store.erasures()
    }

    async fn forget(&self, before: UnixMs) -> Result<u64> {
        self.store.forget(before).await
    }

    async fn ready(&self) -> Result<()> {
        self.store.ready().await
    }

    async fn serve(&self, sites: &[SiteName]) -> Result<()> {
        self.store.serve(sites).await
    }
}
