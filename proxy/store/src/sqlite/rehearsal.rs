//! The tables in memory, worked on where the caller stands: no thread, no file and no clock, so that a simulation runs the
//! same way twice.

use super::{codes, erasure, face::Access, file, held::Held, schema};
use crate::contract::Result;
use rusqlite::Connection;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// The embedded store for a deterministic simulation: the same tables and statements, in memory. Every call is done when it
/// is first polled.
pub struct Rehearsal {
    tables: Mutex<(Connection, Held)>,
    changes: watch::Sender<u64>,
    erasures: watch::Sender<u64>,
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
        Ok(Arc::new(Self { tables, changes: watch::Sender::new(0), erasures: watch::Sender::new(0) }))
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
        let before = (codes::revision(connection)?, erasure::revision(connection)?);
        connection.prepare_cached("BEGIN")?.execute([])?;
        let done = work(connection, held);
        let last = if done.is_ok() { "COMMIT" } else { "ROLLBACK" };
        let ended = connection.prepare_cached(last)?.execute([]);
        match (&done, &ended) {
            (Ok(_), Ok(_)) => held.commit(),
            _ => held.roll_back(),
        }
        ended?;
        if codes::revision(connection)? != before.0 {
            self.changes.send_modify(|count| *count += 1);
        }
        if erasure::revision(connection)? != before.1 {
            self.erasures.send_modify(|count| *count += 1);
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

    fn erasures(&self) -> watch::Receiver<u64> {
        self.erasures.subscribe()
    }

    async fn empty_log(&self) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PendingClick, Store};
    use usher_model::{AffiliateCode, Click, ClickId, SiteName, UnixMs, Upstream};

    #[tokio::test]
    async fn a_restart_forgets_leases_and_nothing_else() {
        let site = SiteName::new("shop").expect("a site");
        let store = Rehearsal::new().expect("memory");
        let click = Click {
            id: ClickId::new("ush_1").expect("an id"),
            site: site.clone(),
            affiliate: AffiliateCode::new("alice").expect("an affiliate"),
            visitor: None,
            created_at: UnixMs(1),
            upstream: Upstream::Pending,
        };
        let pending = PendingClick { body: "{}".to_owned(), due_at: UnixMs(1) };
        store.record_clicks(vec![(click.clone(), Some(pending))]).await.expect("written");
        for _ in 0..2 {
            assert_eq!(store.claim(UnixMs(2), 1_000, 9).await.expect("a claim").len(), 1);
            assert!(store.claim(UnixMs(3), 1_000, 9).await.expect("a claim").is_empty());
            store.restart();
        }
        assert_eq!(store.click(&site, &click.id).await.expect("a look"), Some(click));

        let changes = store.code_changes();
        store.put_codes(&site, Vec::new()).await.expect("nothing to write");
        assert!(!changes.has_changed().expect("the store lives"));
    }
}
