//! The shared store: Redis, for many edges at once.

mod clicks;
mod codes;
pub(crate) mod durability;
mod fault;
mod keys;
mod ledger;
mod link;
mod outbox;
mod scripts;
mod tracking;

use self::link::Link;
use crate::{
    Role,
    contract::{Backlog, PendingClick, Result, Store, StoreError},
};
use async_trait::async_trait;
use redis::{AsyncConnectionConfig, Client, aio::MultiplexedConnection};
use tokio::{sync::watch, task::AbortHandle};
use usher_model::{
    Acceptance, Click, ClickId, Code, Delivery, Entry, EntryState, Job, PromoCode, Settlement, SiteName,
    Source, UnixMs, VisitorKey,
};

/// Opens the server that `url` names.
pub(crate) async fn open(url: &str, sites: &[SiteName], role: Role) -> Result<RedisStore> {
    // rustls asks for a provider once a process; whoever installed one already was right.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::open(url).map_err(|why| StoreError::Settings(format!("store url: {why}")))?;
    let connected = link::connect(&client, AsyncConnectionConfig::new()).await;
    let first = match connected.map_err(|why| fault::of(&why)) {
        Ok(connection) => Some(connection),
        // The service starts also while Redis is down, and says that it is not ready.
        Err(StoreError::Unavailable(why)) if role == Role::Service => {
            tracing::warn!(%why, "Redis does not answer yet; it is waited for");
            None
        }
        Err(why) => return Err(why),
    };
    let (changes, receiver) = watch::channel(0);
    let tracker = tokio::spawn(tracking::watch(client.clone(), sites.to_vec(), changes)).abort_handle();
    Ok(RedisStore { link: Link::start(client, first), sites: sites.to_vec(), changes: receiver, tracker })
}

/// The store.
pub(crate) struct RedisStore {
    link: Link,
    sites: Vec<SiteName>,
    changes: watch::Receiver<u64>,
    tracker: AbortHandle,
}

impl Drop for RedisStore {
    fn drop(&mut self) {
        self.tracker.abort();
    }
}

#[async_trait]
impl Store for RedisStore {
    async fn codes(&self, site: &SiteName) -> Result<Vec<(PromoCode, Code)>> {
        codes::all(&self.link, site).await
    }

    async fn put_codes(&self, site: &SiteName, codes: Vec<(PromoCode, Code)>) -> Result<()> {
        codes::put(&self.link, site, &codes).await
    }

    async fn remove_code(&self, site: &SiteName, code: &PromoCode) -> Result<bool> {
        codes::remove(&self.link, site, code).await
    }

    fn code_changes(&self) -> watch::Receiver<u64> {
        self.changes.clone()
    }

    async fn record_clicks(&self, clicks: Vec<(Click, Option<PendingClick>)>) -> Result<()> {
        clicks::record(&self.link, &clicks).await
    }

    async fn click(&self, site: &SiteName, id: &ClickId) -> Result<Option<Click>> {
        clicks::find(&self.link, site, id).await
    }

    async fn click_of_visitor(
        &self,
        site: &SiteName,
        visitor: VisitorKey,
        since: UnixMs,
    ) -> Result<Option<Click>> {
        clicks::newest(&self.link, site, visitor, since).await
    }

    async fn accept(&self, entry: Entry) -> Result<Acceptance> {
        ledger::accept(&self.link, entry).await
    }

    async fn accepted(
        &self,
        site: &SiteName,
        _: &Source,
        job: Job,
        key: &str,
    ) -> Result<Option<(Vec<u8>, EntryState)>> {
        ledger::accepted(&self.link, site, job, key).await
    }

    async fn click_of_customer(&self, site: &SiteName, customer: &str) -> Result<Option<ClickId>> {
        ledger::click_of_customer(&self.link, site, customer).await
    }

    async fn claim(&self, now: UnixMs, lease_ms: i64, limit: usize) -> Result<Vec<Delivery>> {
        outbox::claim(&self.link, &self.sites, now, lease_ms, limit).await
    }

    async fn settle(&self, delivery: &Delivery, settlement: Settlement, now: UnixMs) -> Result<()> {
        outbox::settle(&self.link, delivery, &settlement, now).await
    }

    async fn backlog(&self) -> Result<Backlog> {
        outbox::backlog(&self.link, &self.sites).await
    }

    async fn forget(&self, before: UnixMs) -> Result<u64> {
        ledger::forget(&self.link, &self.sites, before).await
    }

    async fn ready(&self) -> Result<()> {
        let mut probe = redis::cmd("SET");
        probe.arg(keys::PROBE).arg(1).arg("PX").arg(1_000);
        let run =
            |mut connection: MultiplexedConnection| async move { probe.query_async(&mut connection).await };
        self.link.probe_write(run).await
    }
}
