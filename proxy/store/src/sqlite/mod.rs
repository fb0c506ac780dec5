//! The embedded store: one SQLite file in WAL mode, one thread that writes, a few connections that read.

mod clicks;
mod codes;
#[cfg(test)]
mod disk_use;
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
use std::time::Duration;
use tokio::{sync::watch, task::AbortHandle};
use usher_model::limits;

/// How often the file is asked whether another process changed codes.
const LOOK: Duration = Duration::from_millis(250);

/// Opens the file that stands behind `sqlite:` in the URL.
pub(crate) async fn open(path: &str, role: Role) -> Result<SqliteStore> {
    let path = file::path(path)?;
    let made = tokio::task::spawn_blocking(move || {
        let lock = file::lock(&path, role)?;
        file::prepare(&path)?;
        Ok::<_, StoreError>((Writer::start(&path, lock)?, Readers::start(&path)?))
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
