//! The connections to one origin: those in use are counted, those that nobody uses are kept for a while.

use crate::{
    connection::{Connection, Tls},
    failure::Failure,
    lookup::Lookup,
};
use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::time::{Instant, sleep_until, timeout};
use usher_model::{
    OriginAddress,
    limits::{ORIGIN_CONNECT_MS, ORIGIN_CONNECTIONS, ORIGIN_KEPT, ORIGIN_KEPT_MS},
};

/// The connections to one origin.
pub(crate) struct Pool {
    address: OriginAddress,
    lookup: Lookup,
    tls: Option<Tls>,
    kept: Mutex<Kept>,
    used: AtomicUsize,
}

#[derive(Default)]
struct Kept {
    /// The one that was used last is at the end.
    connections: VecDeque<Connection>,
    is_swept: bool,
}

/// A connection that is in use.
pub(crate) struct Lease {
    pool: Arc<Pool>,
    pub(crate) connection: Connection,
    /// Whether it was used before: then the origin may have closed it meanwhile.
    pub(crate) is_reused: bool,
    _slot: Slot,
}

/// Counts a connection for as long as it is in use.
struct Slot(Arc<Pool>);

impl Pool {
    pub(crate) fn new(address: OriginAddress) -> Self {
        let (lookup, tls) = (Lookup::new(&address), address.https.then(|| Tls::new(&address.host)));
        Self { lookup, address, tls, kept: Mutex::default(), used: AtomicUsize::new(0) }
    }

    pub(crate) fn address(&self) -> &OriginAddress {
        &self.address
    }

    /// A connection that is kept, else a new one.
    pub(crate) async fn lease(self: &Arc<Self>) -> Result<Lease, Failure> {
        let slot = self.slot()?;
        match self.take() {
            Some(connection) => {
                Ok(Lease { pool: Arc::clone(self), connection, is_reused: true, _slot: slot })
            }
            None => Box::pin(self.open(slot)).await, // seldom, and large
        }
    }

    /// A new one instead of `stale`.
    pub(crate) async fn renew(self: &Arc<Self>, stale: Lease) -> Result<Lease, Failure> {
        Box::pin(self.open(stale._slot)).await
    }

    async fn open(self: &Arc<Self>, slot: Slot) -> Result<Lease, Failure> {
        let patience = Duration::from_millis(ORIGIN_CONNECT_MS);
        let opened = timeout(patience, Connection::open(&self.lookup, self.tls.as_ref(), patience)).await;
        let connection = opened.map_err(|_| Failure::ConnectSlow)?.map_err(Failure::Connect)?;
        Ok(Lease { pool: Arc::clone(self), connection, is_reused: false, _slot: slot })
    }

    fn slot(self: &Arc<Self>) -> Result<Slot, Failure> {
        let slot = Slot(Arc::clone(self));
        if self.used.fetch_add(1, Ordering::Relaxed) < ORIGIN_CONNECTIONS {
            Ok(slot)
        } else {
            Err(Failure::Busy) // the slot gives back what was added
        }
    }

    /// The one that was used last and is still good.
    fn take(&self) -> Option<Connection> {
        loop {
            let mut connection = self.kept().connections.pop_back()?;
            if connection.kept_since.elapsed() < KEPT && connection.is_quiet() {
                return Some(connection);
            }
        }
    }

    fn keep(self: &Arc<Self>, mut connection: Connection) {
        connection.kept_since = Instant::now();
        let mut kept = self.kept();
        if kept.connections.len() < ORIGIN_KEPT {
            kept.connections.push_back(connection);
        }
        if !std::mem::replace(&mut kept.is_swept, true) {
            tokio::spawn(sweep(Arc::downgrade(self)));
        }
    }

    /// Closes those that nobody has used for too long; when the next one will have been, while there are any.
    fn close_old(&self) -> Option<Instant> {
        let mut kept = self.kept();
        let old = |connection: &mut Connection| connection.kept_since.elapsed() >= KEPT;
        while kept.connections.pop_front_if(old).is_some() {}
        let next = kept.connections.front().map(|connection| connection.kept_since + KEPT);
        kept.is_swept = next.is_some();
        next
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const KEPT: Duration = Duration::from_millis(ORIGIN_KEPT_MS);

/// Runs while connections are kept.
async fn sweep(pool: Weak<Pool>) {
    while let Some(next) = pool.upgrade().and_then(|pool| pool.close_old()) {
        sleep_until(next).await;
    }
}

impl Lease {
    /// Gives the connection back for others to use.
    pub(crate) fn give_back(self) {
        self.pool.keep(self.connection);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.used.fetch_sub(1, Ordering::Relaxed);
    }
}
