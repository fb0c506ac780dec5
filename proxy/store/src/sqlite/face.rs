//! The store's methods over its tables, however work reaches these.

use super::{clicks, codes, erasure, held::Held, lanes, ledger, names, orders, outbox, people, upkeep};
use crate::{
    contract::{Backlog, PendingClick, Result, Store},
    erasure::{Erased, Personal},
};
use async_trait::async_trait;
use rusqlite::Connection;
use std::{future::Future, time::Duration};
use tokio::{sync::watch, time::Instant};
use usher_model::{
    Acceptance, Bound, Click, ClickId, Code, Delivery, Entry, EntryState, Job, Listing, OrderBinding,
    Payment, PaymentRef, PromoCode, Record, Settlement, SiteName, Source, UnixMs, VisitorKey, limits,
};

/// Rows of one kind that are changed in one transaction of upkeep, so that nobody waits long behind it.
const AT_ONCE: usize = 1_000;

/// How work reaches the tables.
pub(super) trait Access: Send + Sync + 'static {
    /// Runs `work` in a transaction; returns when that is on stable storage, or did not happen.
    fn write<T, F>(&self, work: F) -> impl Future<Output = Result<T>> + Send
    where
        T: Send + 'static,
        F: FnOnce(&Connection, &mut Held) -> Result<T> + Send + 'static;

    /// Runs `work`, which sees all that was written before, within `deadline_ms`.
    fn read<T, F>(&self, deadline_ms: u64, work: F) -> impl Future<Output = Result<T>> + Send
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static;

    /// See [`Store::code_changes`].
    fn changes(&self) -> watch::Receiver<u64>;

    /// See [`Store::erasures`].
    fn erasures(&self) -> watch::Receiver<u64>;

    /// Leaves nothing in the log of what the tables hold no more.
    fn empty_log(&self) -> impl Future<Output = Result<()>> + Send;

    /// Does `work`, which does so many at once and says how many it did, until there is nothing left to do or the deadline
    /// has passed.
    fn batches<F>(&self, work: F) -> impl Future<Output = Result<u64>> + Send
    where
        F: Fn(&Connection, &mut Held, usize) -> Result<usize> + Clone + Send + Sync + 'static,
    {
        async move {
            let began = Instant::now();
            let mut done = 0;
            while began.elapsed() < Duration::from_millis(limits::STORE_WRITE_MS) {
                let work = work.clone();
                match self.write(move |connection, held| work(connection, held, AT_ONCE)).await? {
                    0 => break,
                    some => done += some as u64,
                }
            }
            Ok(done)
        }
    }
}

#[async_trait]
impl<A: Access> Store for A {
    async fn codes(&self, site: &SiteName) -> Result<Vec<(PromoCode, Code)>> {
        let site = site.clone();
        // Not on a visitor's time, and there may be a million.
        self.read(limits::STORE_WRITE_MS, move |connection| codes::all(connection, &site)).await
    }

    async fn put_codes(&self, site: &SiteName, codes: Vec<(PromoCode, Code)>) -> Result<()> {
        let site = site.clone();
        self.write(move |connection, _| codes::put(connection, &site, &codes)).await
    }

    async fn remove_code(&self, site: &SiteName, code: &PromoCode) -> Result<bool> {
        let (site, code) = (site.clone(), code.clone());
        self.write(move |connection, _| codes::remove(connection, &site, &code)).await
    }

    fn code_changes(&self) -> watch::Receiver<u64> {
        self.changes()
    }

    async fn record_clicks(&self, clicks: Vec<(Click, Option<PendingClick>)>) -> Result<()> {
        self.write(move |connection, _| clicks::record(connection, &clicks)).await
    }

    async fn click(&self, site: &SiteName, id: &ClickId) -> Result<Option<Click>> {
        let (site, id) = (site.clone(), id.clone());
        self.read(limits::STORE_EMBEDDED_READ_MS, move |connection| clicks::find(connection, &site, &id))
            .await
    }

    async fn click_of_visitor(
        &self,
        site: &SiteName,
        visitor: VisitorKey,
        since: UnixMs,
    ) -> Result<Option<Click>> {
        let site = site.clone();
        let find = move |connection: &_| clicks::newest(connection, &site, visitor, since);
        self.read(limits::STORE_EMBEDDED_READ_MS, find).await
    }

    async fn accept(&self, entry: Entry) -> Result<Acceptance> {
        self.write(move |connection, held| ledger::accept(connection, held, entry)).await
    }

    async fn accepted(
        &self,
        site: &SiteName,
        source: &Source,
        job: Job,
        key: &str,
    ) -> Result<Option<(Vec<u8>, EntryState)>> {
        let (site, source, key) = (site.clone(), source.clone(), key.to_owned());
        let find = move |connection: &_| ledger::accepted(connection, &site, &source, job, &key);
        self.read(limits::STORE_WRITE_MS, find).await
    }

    async fn payment(&self, site: &SiteName, source: &Source, of: &PaymentRef) -> Result<Option<Payment>> {
        let (site, source, of) = (site.clone(), source.clone(), of.clone());
        let find = move |connection: &_| lanes::payment(connection, &site, &source, &of);
        self.read(limits::STORE_WRITE_MS, find).await
    }

    async fn link(
        &self,
        site: &SiteName,
        source: &Source,
        name: &str,
        alias_of: &str,
        now: UnixMs,
    ) -> Result<()> {
        let (site, source) = (site.clone(), source.clone());
        let (name, alias_of) = (name.to_owned(), alias_of.to_owned());
        self.write(move |connection, _| names::link(connection, &site, &source, &name, &alias_of, now)).await
    }

    async fn click_of_customer(&self, site: &SiteName, customer: &str) -> Result<Option<ClickId>> {
        let (site, customer) = (site.clone(), customer.to_owned());
        let find = move |connection: &_| ledger::click_of_customer(connection, &site, &customer);
        self.read(limits::STORE_EMBEDDED_READ_MS, find).await
    }

    async fn bind_order(&self, site: &SiteName, order: &str, click: &ClickId, now: UnixMs) -> Result<Bound> {
        let (site, order, click) = (site.clone(), order.to_owned(), click.clone());
        self.write(move |connection, _| orders::bind(connection, &site, &order, &click, now)).await
    }

    async fn order(&self, site: &SiteName, order: &str) -> Result<Option<OrderBinding>> {
        let (site, order) = (site.clone(), order.to_owned());
        self.read(limits::STORE_EMBEDDED_READ_MS, move |connection| orders::find(connection, &site, &order))
            .await
    }

    async fn claim(&self, now: UnixMs, lease_ms: i64, limit: usize) -> Result<Vec<Delivery>> {
        self.write(move |connection, held| outbox::claim(connection, held, now, lease_ms, limit)).await
    }

    async fn settle(&self, delivery: &Delivery, settlement: Settlement, now: UnixMs) -> Result<()> {
        let delivery = delivery.clone();
        self.write(move |connection, held| outbox::settle(connection, held, &delivery, &settlement, now))
            .await
    }

    async fn hasten(&self, now: UnixMs) -> Result<u64> {
        self.batches(move |connection, held, most| outbox::hasten(connection, held, now, most)).await
    }

    async fn backlog(&self) -> Result<Backlog> {
        self.read(limits::STORE_WRITE_MS, outbox::backlog).await
    }

    async fn find(&self, site: &SiteName, name: &str) -> Result<Vec<Record>> {
        let (site, name) = (site.clone(), name.to_owned());
        self.read(limits::STORE_WRITE_MS, move |connection| people::find(connection, &site, &name)).await
    }

    async fn list(&self, listing: &Listing) -> Result<Vec<Record>> {
        let listing = listing.clone();
        self.read(limits::STORE_WRITE_MS, move |connection| people::list(connection, &listing)).await
    }

    async fn retry(&self, site: &SiteName, id: &str, now: UnixMs) -> Result<bool> {
        let (site, id) = (site.clone(), id.to_owned());
        self.write(move |connection, _| people::retry(connection, &site, &id, now)).await
    }

    async fn discard(&self, site: &SiteName, id: &str, why: &str, now: UnixMs) -> Result<bool> {
        let (site, id, why) = (site.clone(), id.to_owned(), why.to_owned());
        self.write(move |connection, _| people::discard(connection, &site, &id, &why, now)).await
    }

    async fn expunge(&self, site: &SiteName, what: &Personal) -> Result<Erased> {
        let (site, what) = (site.clone(), what.clone());
        self.write(move |connection, _| erasure::expunge(connection, &site, &what)).await
    }

    async fn wipe(&self) -> Result<()> {
        self.write(|connection, _| erasure::tell(connection)).await?;
        self.empty_log().await
    }

    fn erasures(&self) -> watch::Receiver<u64> {
        Access::erasures(self)
    }

    async fn forget(&self, before: UnixMs) -> Result<u64> {
        self.batches(move |connection, _, most| upkeep::forget(connection, before, most)).await
    }

    async fn ready(&self) -> Result<()> {
        self.write(|connection, _| upkeep::probe(connection)).await
    }
}
