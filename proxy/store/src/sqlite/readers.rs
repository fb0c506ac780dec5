//! Connections that read, beside the one that writes: in WAL mode neither waits for the other.

use super::file;
use crate::contract::{Result, StoreError};
use rusqlite::Connection;
use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::Semaphore;

/// Reads at once.
const CONNECTIONS: usize = 4;

/// The pool.
#[derive(Clone)]
pub(super) struct Readers {
    path: Arc<PathBuf>,
    idle: Arc<Mutex<Vec<Connection>>>,
    free: Arc<Semaphore>,
}

impl Readers {
    /// An empty pool: connections are made when they are needed.
    pub(super) fn new(path: &Path) -> Self {
        Self {
            path: Arc::new(path.to_owned()),
            idle: Arc::default(),
            free: Arc::new(Semaphore::new(CONNECTIONS)),
        }
    }

    /// Runs `work` on a thread that may block, within `deadline_ms`.
    pub(super) async fn run<T, F>(&self, deadline_ms: u64, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        let pool = self.clone();
        let read = async {
            let permit = Arc::clone(&pool.free).acquire_owned().await.map_err(|_| gone("is closed"))?;
            // The permit goes along: the connection is in use until the read ends, even if nobody waits any longer.
            let run = move || {
                let outcome = pool.read(work);
                drop(permit);
                outcome
            };
            tokio::task::spawn_blocking(run).await.map_err(|_| gone("has stopped"))?
        };
        let late = |_| StoreError::Unavailable(format!("no answer from the disk in {deadline_ms} ms"));
        tokio::time::timeout(Duration::from_millis(deadline_ms), read).await.map_err(late)?
    }

    fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => file::reader(&self.path)?,
        };
        let outcome = work(&connection);
        // A connection that met an error is not trusted again.
        if outcome.is_ok() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        }
        outcome
    }
}

fn gone(what: &str) -> StoreError {
    StoreError::Unavailable(format!("its reader {what}"))
}
