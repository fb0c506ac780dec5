//! Where codes, clicks, conversions and deliveries last: SQLite or Redis behind one trait, one suite for both.

mod contract;
mod delivery;
mod erasure;
mod redis;
mod resolution;
mod sqlite;

pub use contract::{Backlog, PendingClick, Result, Store, StoreError};
pub use erasure::{ERASED, Erased, Person, Personal, Remains, Waiting, erase};
pub use redis::durability::Weakness;
#[cfg(feature = "rehearsal")]
pub use sqlite::Rehearsal;

use std::sync::Arc;
use usher_model::SiteName;

/// Who opens the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The service. The embedded store admits one at a time, since who holds which delivery is known to it alone.
    Service,
    /// A command beside it, such as `usher codes`.
    Tool,
}

/// Opens the store that `url` names, and creates it when there is none.
///
/// `sqlite:PATH` is the embedded store (the path is relative to the working directory), `redis://` and `rediss://` the
/// shared one: one server; `redis+sentinel://HOST,HOST/NAME` the primary that Sentinels know by that name, and
/// `redis+cluster://HOST,HOST` a cluster (with TLS `rediss+…`). With `?wait=N` a write is acknowledged when N replicas have
/// it. A shared store that does not answer yet is no error for the service: it is waited for in the background, and
/// [`Store::ready`] says so.
///
/// # Errors
/// [`StoreError::Settings`] when the URL or the file cannot be what was meant, or another service holds the file;
/// [`StoreError::Unavailable`] when the store does not answer.
pub async fn open(url: &str, sites: &[SiteName], role: Role) -> Result<Arc<dyn Store>> {
    match url.split_once(':') {
        Some(("sqlite", path)) => Ok(Arc::new(sqlite::open(path, role).await?)),
        Some((scheme, _)) if is_redis(scheme) => Ok(Arc::new(redis::open(url, sites, role).await?)),
        // The URL itself is not repeated: it may hold a password.
        _ => {
            Err(StoreError::Settings("store url: must begin with sqlite:, redis:// or rediss://".to_owned()))
        }
    }
}

/// Whether the URL of a shared store can be what was meant. Nothing is connected, and nothing of the URL is repeated.
///
/// # Errors
/// [`StoreError::Settings`] says what is wrong.
pub fn check_url(url: &str) -> Result<()> {
    match url.split_once(':') {
        Some((scheme, _)) if is_redis(scheme) => redis::check_url(url),
        _ => Ok(()),
    }
}

/// What in the settings of a shared store can lose something that was acknowledged. The embedded store has none.
///
/// # Errors
/// As [`open`].
pub async fn weaknesses(url: &str) -> Result<Vec<Weakness>> {
    match url.split_once(':') {
        Some((scheme, _)) if is_redis(scheme) => redis::durability::weaknesses(url).await,
        _ => Ok(Vec::new()),
    }
}

fn is_redis(scheme: &str) -> bool {
    let transport = scheme.trim_end_matches("+sentinel").trim_end_matches("+cluster");
    matches!(transport, "redis" | "rediss")
}
