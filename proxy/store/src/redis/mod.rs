//! The shared store: Redis, for many edges at once; one server, one with Sentinels, or a cluster.

mod address;
mod bindings;
mod clicks;
mod codes;
pub(crate) mod durability;
mod erasure;
mod fault;
mod keys;
mod ledger;
mod link;
mod links;
mod outbox;
mod payments;
mod people;
mod race;
mod record;
mod replicas;
mod scripts;
mod servers;
mod tracking;
mod upkeep;

use self::{links::Links, servers::Servers};
use crate::{
    Role,
    contract::{Backlog, PendingClick, Result, Store},
    erasure::{Erased, Personal},
};
use arc_swap::ArcSwap;
use async_trait::async_trait;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::{sync::watch, task::AbortHandle};
use usher_model::{
    Acceptance, Bound, Click, ClickId, Code, Delivery, Entry, EntryState, Job, Listing, OrderBinding,
    Payment, PaymentRef, PromoCode, Record, Settlement, SiteName, Source, UnixMs, VisitorKey,
};

/// Opens the servers that `url` names.
pub(crate) async fn open(url: &str, sites: &[SiteName], role: Role) -> Result<RedisStore> {
    // rustls asks for a provider once a process; whoever installed one already was right.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let servers = Arc::new(Servers::of(url)?);
    let links = Links::open(Arc::clone(&servers), sites, role).await?;
    let changes = tracking::Changes::default();
    let tracker = tokio::spawn(tracking::watch(servers, sites.to_vec(), changes.clone())).abort_handle();
    Ok(RedisStore { links: ArcSwap::from_pointee(links), changes, tracker: Mutex::new(tracker) })
}

/// See [`crate::check_url`].
pub(crate) fn check_url(url: &str) -> Result<()> {
    Servers::of(url).map(drop)
}

/// The store.
pub(crate) struct RedisStore {
    links: ArcSwap<Links>,
    changes: tracking::Changes,
    /// Follows the codes of the sites that are served.
    tracker: Mutex<AbortHandle>,
}

impl Drop for RedisStore {
    fn drop(&mut self) {
        self.tracker.get_mut().unwrap_or_else(PoisonError::into_inner).abort();
    }
}

#[async_trait]
impl Store for RedisStore {
    async fn serve(&self, sites: &[SiteName]) -> Result<()> {
        let links = self.links.load_full().with(sites).await?;
        let follow = tracking::watch(links.servers(), sites.to_vec(), self.changes.clone());
        self.links.store(Arc::new(links));
        let tracker = tokio::spawn(follow).abort_handle();
        let earlier =
            std::mem::replace(&mut *self.tracker.lock().unwrap_or_else(PoisonError::into_inner), tracker);
        earlier.abort();
        Ok(())
    }

    async fn codes(&self, site: &SiteName) -> Result<Vec<(PromoCode, Code)>> {
        codes::all(&self.links.load_full(), site).await
    }

    async fn put_codes(&self, site: &SiteName, codes: Vec<(PromoCode, Code)>) -> Result<()> {
        codes::put(&self.links.load_full(), site, &codes).await
    }

    async fn remove_code(&self, site: &SiteName, code: &PromoCode) -> Result<bool> {
        codes::remove(&self.links.load_full(), site, code).await
    }

    fn code_changes(&self) -> watch::Receiver<u64> {
        self.changes.codes.subscribe()
    }

    async fn record_clicks(&self, clicks: Vec<(Click, Option<PendingClick>)>) -> Result<()> {
        clicks::record(&self.links.load_full(), &clicks).await
    }

    async fn click(&self, site: &SiteName, id: &ClickId) -> Result<Option<Click>> {
        clicks::find(&self.links.load_full(), site, id).await
    }

    async fn click_of_visitor(
        &self,
        site: &SiteName,
        visitor: VisitorKey,
        since: UnixMs,
    ) -> Result<Option<Click>> {
        clicks::newest(&self.links.load_full(), site, visitor, since).await
    }

    async fn accept(&self, entry: Entry) -> Result<Acceptance> {
        ledger::accept(&self.links.load_full(), entry).await
    }

    async fn accepted(
        &self,
        site: &SiteName,
        source: &Source,
        job: Job,
        key: &str,
    ) -> Result<Option<(Vec<u8>, EntryState)>> {
        ledger::accepted(&self.links.load_full(), site, source, job, key).await
    }

    async fn payment(&self, site: &SiteName, source: &Source, of: &PaymentRef) -> Result<Option<Payment>> {
        payments::payment(&self.links.load_full(), site, source, of).await
    }

    async fn link(
        &self,
        site: &SiteName,
        source: &Source,
        name: &str,
        alias_of: &str,
        now: UnixMs,
    ) -> Result<()> {
        payments::link(&self.links.load_full(), site, source, name, alias_of, now).await
    }

    async fn click_of_customer(&self, site: &SiteName, customer: &str) -> Result<Option<ClickId>> {
        bindings::click_of_customer(&self.links.load_full(), site, customer).await
    }

    async fn bind_order(&self, site: &SiteName, order: &str, click: &ClickId, now: UnixMs) -> Result<Bound> {
        bindings::bind_order(&self.links.load_full(), site, order, click, now).await
    }

    async fn order(&self, site: &SiteName, order: &str) -> Result<Option<OrderBinding>> {
        bindings::order(&self.links.load_full(), site, order).await
    }

    async fn claim(&self, now: UnixMs, lease_ms: i64, limit: usize) -> Result<Vec<Delivery>> {
        outbox::claim(&self.links.load_full(), now, lease_ms, limit).await
    }

    async fn settle(&self, delivery: &Delivery, settlement: Settlement, now: UnixMs) -> Result<()> {
        outbox::settle(&self.links.load_full(), delivery, &settlement, now).await
    }

    async fn hasten(&self, now: UnixMs) -> Result<u64> {
        outbox::hasten(&self.links.load_full(), now).await
    }

    async fn backlog(&self) -> Result<Backlog> {
        outbox::backlog(&self.links.load_full()).await
    }

    async fn find(&self, site: &SiteName, name: &str) -> Result<Vec<Record>> {
        people::find(&self.links.load_full(), site, name).await
    }

    async fn list(&self, listing: &Listing) -> Result<Vec<Record>> {
        people::list(&self.links.load_full(), listing).await
    }

    async fn retry(&self, site: &SiteName, id: &str, now: UnixMs) -> Result<bool> {
        people::retry(&self.links.load_full(), site, id, now).await
    }

    async fn discard(&self, site: &SiteName, id: &str, why: &str, now: UnixMs) -> Result<bool> {
        people::discard(&self.links.load_full(), site, id, why, now).await
    }

    async fn expunge(&self, site: &SiteName, what: &Personal) -> Result<Erased> {
        erasure::expunge(&self.links.load_full(), site, what).await
    }

    async fn wipe(&self) -> Result<()> {
        erasure::wipe(&self.links.load_full()).await
    }

    fn erasures(&self) -> watch::Receiver<u64> {
        self.changes.erasures.subscribe()
    }

    async fn forget(&self, before: UnixMs) -> Result<u64> {
        upkeep::forget(&self.links.load_full(), before).await
    }

    async fn ready(&self) -> Result<()> {
        self.links.load_full().take_writes().await
    }
}
