//! The embedded store: one SQLite file in WAL mode, one thread that writes, a few connections that read.

mod clicks;
mod codes;
mod fault;
mod file;
mod held;
mod ledger;
mod outbox;
mod readers;
mod row;
mod schema;
mod writer;

use self::{readers::Readers, writer::Writer};
use crate::{
    Role,
    contract::{Backlog, PendingClick, Result, Store, StoreError},
};
use async_trait::async_trait;
use std::time::{Duration, Instant};
use tokio::{sync::watch, task::AbortHandle};
use usher_model::{
    Acceptance, Click, ClickId, Code, Delivery, Entry, EntryState, Job, PromoCode, Settlement, SiteName,
    Source, UnixMs, VisitorKey, limits,
};

/// How often the file is asked whether another process changed codes.
const LOOK: Duration = Duration::from_millis(250);
/// Rows of one kind that are removed in one transaction, so that nobody waits long behind it.
const FORGOTTEN_AT_ONCE: u32 = 1_000;

/// Opens the file that stands behind `sqlite:` in the URL.
pub(crate) async fn open(path: &str, role: Role) -> Result<SqliteStore> {
    let path = file::path(path)?;
    let made = tokio::task::spawn_blocking(move || {
        let lock = file::lock(&path, role)?;
        file::prepare(&path)?;
        Ok::<_, StoreError>((Writer::start(&path, lock)?, Readers::new(&path)))
    });
    let (writer, readers) = made.await.map_err(|why| StoreError::Unavailable(why.to_string()))??;
    // Looked at before the store is handed out, so that no change after that goes unseen.
    let seen = readers.run(limits::STORE_WRITE_MS, codes::revision).await?;
    let (changes, receiver) = watch::channel(0);
    let watcher = tokio::spawn(watch_codes(readers.clone(), seen, changes)).abort_handle();
    Ok(SqliteStore { writer, readers, changes: receiver, watcher })
}

/// The store.
pub(crate) struct SqliteStore {
    writer: Writer,
    readers: Readers,
    changes: watch::Receiver<u64>,
    watcher: AbortHandle,
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.watcher.abort();
    }
}

async fn watch_codes(readers: Readers, mut seen: i64, changes: watch::Sender<u64>) {
    let mut pause = tokio::time::interval(LOOK);
    pause.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        pause.tick().await;
        // A failure here is told by whoever reads next; what changed meanwhile is seen after it.
        let Ok(revision) = readers.run(limits::STORE_WRITE_MS, codes::revision).await else { continue };
        if std::mem::replace(&mut seen, revision) != revision {
            changes.send_modify(|count| *count += 1);
        }
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn codes(&self, site: &SiteName) -> Result<Vec<(PromoCode, Code)>> {
        let site = site.clone();
        // Not on a visitor's time, and there may be a million.
        self.readers.run(limits::STORE_WRITE_MS, move |connection| codes::all(connection, &site)).await
    }

    async fn put_codes(&self, site: &SiteName, codes: Vec<(PromoCode, Code)>) -> Result<()> {
        let site = site.clone();
        self.writer.run(move |connection, _| codes::put(connection, &site, &codes)).await
    }

    async fn remove_code(&self, site: &SiteName, code: &PromoCode) -> Result<bool> {
        let (site, code) = (site.clone(), code.clone());
        self.writer.run(move |connection, _| codes::remove(connection, &site, &code)).await
    }

    fn code_changes(&self) -> watch::Receiver<u64> {
        self.changes.clone()
    }

    async fn record_clicks(&self, clicks: Vec<(Click, Option<PendingClick>)>) -> Result<()> {
        self.writer.run(move |connection, _| clicks::record(connection, &clicks)).await
    }

    async fn click(&self, site: &SiteName, id: &ClickId) -> Result<Option<Click>> {
        let (site, id) = (site.clone(), id.clone());
        let find = move |connection: &_| clicks::find(connection, &site, &id);
        self.readers.run(limits::STORE_EMBEDDED_READ_MS, find).await
    }

    async fn click_of_visitor(
        &self,
        site: &SiteName,
        visitor: VisitorKey,
        since: UnixMs,
    ) -> Result<Option<Click>> {
        let site = site.clone();
        let find = move |connection: &_| clicks::newest(connection, &site, visitor, since);
        self.readers.run(limits::STORE_EMBEDDED_READ_MS, find).await
    }

    async fn accept(&self, entry: Entry) -> Result<Acceptance> {
        self.writer.run(move |connection, held| ledger::accept(connection, held, entry)).await
    }

    async fn accepted(
        &self,
        site: &SiteName,
        _: &Source,
        job: Job,
        key: &str,
    ) -> Result<Option<(Vec<u8>, EntryState)>> {
        let (site, key) = (site.clone(), key.to_owned());
        let find = move |connection: &_| ledger::accepted(connection, &site, job, &key);
        self.readers.run(limits::STORE_WRITE_MS, find).await
    }

    async fn click_of_customer(&self, site: &SiteName, customer: &str) -> Result<Option<ClickId>> {
        let (site, customer) = (site.clone(), customer.to_owned());
        let find = move |connection: &_| ledger::click_of_customer(connection, &site, &customer);
        self.readers.run(limits::STORE_EMBEDDED_READ_MS, find).await
    }

    async fn claim(&self, now: UnixMs, lease_ms: i64, limit: usize) -> Result<Vec<Delivery>> {
        self.writer.run(move |connection, held| outbox::claim(connection, held, now, lease_ms, limit)).await
    }

    async fn settle(&self, delivery: &Delivery, settlement: Settlement, now: UnixMs) -> Result<()> {
        let delivery = delivery.clone();
        self.writer
            .run(move |connection, held| outbox::settle(connection, held, &delivery, &settlement, now))
            .await
    }

    async fn backlog(&self) -> Result<Backlog> {
        self.readers.run(limits::STORE_WRITE_MS, outbox::backlog).await
    }

    async fn forget(&self, before: UnixMs) -> Result<u64> {
        let began = Instant::now();
        let mut forgotten = 0;
        // What the deadline leaves over is left to the next call.
        while began.elapsed() < Duration::from_millis(limits::STORE_WRITE_MS) {
            let forget =
                move |connection: &_, _: &mut _| ledger::forget(connection, before, FORGOTTEN_AT_ONCE);
            match self.writer.run(forget).await? {
                0 => break,
                some => forgotten += some as u64,
            }
        }
        Ok(forgotten)
    }

    async fn ready(&self) -> Result<()> {
        self.writer.run(|connection, _| ledger::probe(connection)).await
    }
}
