//! The tables in memory, worked on where the caller stands: no thread, no file and no clock, so that a simulation runs the
//! same way twice.

use super::{codes, face::Access, file, held::Held, schema};
use crate::contract::Result;
use rusqlite::Connection;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// The embedded store for a deterministic simulation: the same tables and statements, in memory. Every call is done when it
/// is first polled.
pub struct Rehearsal {
    tables: Mutex<(Connection, Held)>,
    changes: watch::Sender<u64>,
}

impl Rehearsal {
    /// An empty one.
    ///
    /// # Errors
    /// When memory does not suffice.
    pub fn new() -> Result<Arc<Self>> {
        let mut connection = Connection::open_in_memory()?;
        file::settle_in(&connection)?;
        schema::migrate(&mut connection)?;
        let tables = Mutex::new((connection, Held::default()));
        Ok(Arc::new(Self { tables, changes: watch::Sender::new(0) }))
    }

    /// What a new process finds: what was written, and nobody who holds anything.
    pub fn restart(&self) {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner).1 = Held::default();
    }
}

impl Access for Rehearsal {
    async fn write<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection, &mut Held) -> Result<T> + Send + 'static,
    {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        let (connection, held) = &mut *tables;
        let before = codes::revision(connection)?;
        connection.prepare_cached("BEGIN")?.execute([])?;
        let done = work(connection, held);
        let last = if done.is_ok() { "COMMIT" } else { "ROLLBACK" };
        let ended = connection.prepare_cached(last)?.execute([]);
        if done.is_ok() && ended.is_ok() {
            held.commit()
        } else {
            held.roll_back()
        }
        ended?;
        if codes::revision(connection)? != before {
            self.changes.send_modify(|count| *count += 1);
        }
        done
    }

    async fn read<T, F>(&self, _: u64, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        work(&self.tables.lock().unwrap_or_else(PoisonError::into_inner).0)
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}
