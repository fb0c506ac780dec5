//! The embedded store: one SQLite file in WAL mode, one thread that writes, a few connections that read.

mod clicks;
mod codes;
#[cfg(test)]
mod disk_use;
mod erasure;
mod face;
mod fault;
mod file;
mod hash;
mod held;
mod lanes;
mod ledger;
mod names;
mod orders;
mod outbox;
mod people;
mod readers;
#[cfg(feature = "rehearsal")]
mod rehearsal;
mod row;
mod schema;
mod upkeep;
mod wal;
mod writer;

#[cfg(feature = "rehearsal")]
pub use self::rehearsal::Rehearsal;

use self::{face::Access, held::Held, readers::Readers, writer::Writer};
use crate::{
    Role,
    contract::{Result, StoreError},
};
use rusqlite::Connection;
use std::{path::PathBuf, time::Duration};
use tokio::{sync::watch, task::AbortHandle};
use usher_model::limits;

/// How often the file is asked whether another process changed codes or erased somebody.
const LOOK: Duration = Duration::from_millis(250);

/// Opens the file that stands behind `sqlite:` in the URL.
pub(crate) async fn open(path: &str, role: Role) -> Result<SqliteStore> {
    let path = file::path(path)?;
    let at = path.clone();
    let made = tokio::task::spawn_blocking(move || {
        let lock = file::lock(&path, role)?;
        file::prepare(&path)?;
        Ok::<_, StoreError>((Writer::start(&path, lock)?, Readers::start(&path)?))
    });
    let (writer, readers) = made.await.map_err(|why| StoreError::Unavailable(why.to_string()))??;
    // Looked at before the store is handed out, so that no change after that goes unseen.
    let seen = readers.run(limits::STORE_WRITE_MS, revisions).await?;
    let told = [watch::Sender::new(0), watch::Sender::new(0)];
    let [changes, erasures] = [told[0].subscribe(), told[1].subscribe()];
    let watcher = tokio::spawn(watch_others(readers.clone(), seen, told)).abort_handle();
    Ok(SqliteStore { writer, readers, path: at, changes, erasures, watcher })
}

/// The store.
pub(crate) struct SqliteStore {
    writer: Writer,
    readers: Readers,
    path: PathBuf,
    changes: watch::Receiver<u64>,
    erasures: watch::Receiver<u64>,
    watcher: AbortHandle,
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.watcher.abort();
    }
}

impl Access for SqliteStore {
    async fn write<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection, &mut Held) -> Result<T> + Send + 'static,
    {
        self.writer.run(work).await
    }

    async fn read<T, F>(&self, deadline_ms: u64, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        self.readers.run(deadline_ms, work).await
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.clone()
    }

    fn erasures(&self) -> watch::Receiver<u64> {
        self.erasures.clone()
    }

    async fn empty_log(&self) -> Result<()> {
        let path = self.path.clone();
        let done = tokio::task::spawn_blocking(move || erasure::empty_log(&path)).await;
        done.map_err(|why| StoreError::Unavailable(why.to_string()))?
    }
}

/// What changes when another process writes codes, or erases.
fn revisions(connection: &Connection) -> Result<[i64; 2]> {
    Ok([codes::revision(connection)?, erasure::revision(connection)?])
}

async fn watch_others(readers: Readers, mut seen: [i64; 2], told: [watch::Sender<u64>; 2]) {
    let mut pause = tokio::time::interval(LOOK);
    pause.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        pause.tick().await;
        // A failure here is told by whoever reads next; what changed meanwhile is seen after it.
        let Ok(now) = readers.run(limits::STORE_WRITE_MS, revisions).await else { continue };
        for ((told, now), before) in told.iter().zip(now).zip(std::mem::replace(&mut seen, now)) {
            if now != before {
                told.send_modify(|count| *count += 1);
            }
        }
    }
}
