//! A store of either make, with what it stands on.

use crate::{redis_groups::Cluster, redis_server::RedisServer, sample};
use std::{future::Future, sync::Arc, time::Duration};
use tempfile::TempDir;
use usher_model::{Acceptance, Click, ClickId, Delivery, Entry, Record, SiteName, State, UnixMs, VisitorKey};
use usher_store::{Result, Role, Store, StoreError};

enum Ground {
    Folder(TempDir),
    Server(RedisServer),
    Cluster(Arc<Cluster>),
}

/// The store under test.
pub(crate) struct Bed {
    pub(crate) store: Arc<dyn Store>,
    ground: Ground,
}

impl Bed {
    pub(crate) async fn sqlite() -> Self {
        let ground = Ground::Folder(tempfile::tempdir().expect("a folder"));
        Self { store: open(&ground, Role::Service).await, ground }
    }

    pub(crate) async fn redis() -> Self {
        let ground = Ground::Server(RedisServer::start(&[]).await);
        Self { store: open(&ground, Role::Service).await, ground }
    }

    pub(crate) async fn cluster(cluster: &Arc<Cluster>) -> Self {
        let ground = Ground::Cluster(Arc::clone(cluster));
        Self { store: open(&ground, Role::Service).await, ground }
    }

    /// Another opener of the same data: a tool beside the service, or a second edge.
    pub(crate) async fn other(&self) -> Arc<dyn Store> {
        open(&self.ground, Role::Tool).await
    }

    /// All bytes that lie in the store's files, or that its servers hold.
    pub(crate) async fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match &self.ground {
            Ground::Folder(folder) => {
                for file in std::fs::read_dir(folder.path()).expect("a folder") {
                    bytes.extend(std::fs::read(file.expect("a file").path()).expect("its bytes"));
                }
            }
            Ground::Server(server) => bytes = server.bytes().await,
            Ground::Cluster(cluster) => {
                for server in &cluster.servers {
                    bytes.extend(server.bytes().await);
                }
            }
        }
        bytes
    }

    /// The store as it is after the process was started anew.
    pub(crate) async fn reopen(self) -> Self {
        drop(self.store);
        Self { store: open(&self.ground, Role::Service).await, ground: self.ground }
    }
}

async fn open(ground: &Ground, role: Role) -> Arc<dyn Store> {
    let url = match ground {
        Ground::Folder(folder) => format!("sqlite:{}", folder.path().join("usher.db").display()),
        Ground::Server(server) => server.url(),
        Ground::Cluster(cluster) => cluster.url(),
    };
    usher_store::open(&url, &sample::sites(), role).await.expect("a store")
}

/// The click of that id.
pub(crate) async fn click(store: &dyn Store, site: &SiteName, id: &str) -> Option<Click> {
    let id = sample::click_id(id);
    patiently(|| async { store.click(site, &id).await }).await
}

/// The newest click of that visitor.
pub(crate) async fn newest(
    store: &dyn Store,
    site: &SiteName,
    visitor: u128,
    since: UnixMs,
) -> Option<Click> {
    patiently(|| async { store.click_of_visitor(site, VisitorKey(visitor), since).await }).await
}

/// The click that the customer was bound to.
pub(crate) async fn bound(store: &dyn Store, site: &SiteName, customer: &str) -> Option<ClickId> {
    patiently(|| async { store.click_of_customer(site, customer).await }).await
}

/// The one record of that id.
pub(crate) async fn record(store: &dyn Store, id: &str) -> Record {
    let mut found = store.find(&sample::site(), id).await.expect("a look");
    found.retain(|record| record.id == id);
    assert_eq!(found.len(), 1, "{id}");
    found.remove(0)
}

/// How that record stands.
pub(crate) async fn state(store: &dyn Store, id: &str) -> State {
    record(store, id).await.state
}

/// How those records stand.
pub(crate) async fn states<const N: usize>(store: &dyn Store, ids: [&str; N]) -> [State; N] {
    let mut states = [State::Due; N];
    for (state, id) in states.iter_mut().zip(ids) {
        *state = record(store, id).await.state;
    }
    states
}

/// Accepts what has something to send at once: its deliveries, held by the caller.
pub(crate) async fn accepted(store: &dyn Store, entry: Entry) -> Vec<Delivery> {
    match store.accept(entry).await.expect("an acceptance") {
        Acceptance::New(deliveries) => deliveries,
        other => panic!("{other:?}"),
    }
}

/// Accepts what has nothing to send at once.
pub(crate) async fn waits(store: &dyn Store, entry: Entry) {
    assert_eq!(store.accept(entry).await.expect("an acceptance"), Acceptance::Waiting);
}

/// Accepts a payment and delivers it.
pub(crate) async fn paid(store: &dyn Store, payment: Entry, upstream_id: &str) {
    let now = payment.now;
    let held = accepted(store, payment).await.remove(0);
    store.settle(&held, sample::delivered(Some(upstream_id)), now).await.expect("settled");
}

/// A visitor's read has a deadline so short that a busy machine misses it now and then; the contract says what to do
/// then: try again.
async fn patiently<T, F, R>(read: F) -> T
where
    F: Fn() -> R,
    R: Future<Output = Result<T>>,
{
    let try_again = async {
        loop {
            match read().await {
                Err(StoreError::Unavailable(_)) => tokio::time::sleep(Duration::from_millis(5)).await,
                other => return other.expect("a read"),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), try_again).await.expect("an answer in 20 s")
}
