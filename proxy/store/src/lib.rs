//! Where codes, clicks, conversions and deliveries last: SQLite or Redis behind one trait, one suite for both.

mod contract;
mod delivery;
mod redis;
mod resolution;
mod sqlite;

pub use contract::{Backlog, PendingClick, Result, Store, StoreError};
pub use redis::durability::Weakness;

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
/// shared one. A shared store that does not answer yet is no error for the service: it is waited for in the
/// background, and [`Store::ready`] says so.
///
/// # Errors
/// [`StoreError::Settings`] when the URL or the file cannot be what was meant, or another service holds the file;
/// [`StoreError::Unavailable`] when the store does not answer.
pub async fn open(url: &str, sites: &[SiteName], role: Role) -> Result<Arc<dyn Store>> {
    match url.split_once(':') {
        Some(("sqlite", path)) => Ok(Arc::new(sqlite::open(path, role).await?)),
        Some(("redis" | "rediss", _)) => Ok(Arc::new(redis::open(url, sites, role).await?)),
        Some((scheme @ ("redis+sentinel" | "redis+cluster"), _)) => Err(StoreError::Settings(format!(
            "store url: {scheme}:// comes in a later version; sqlite:PATH, redis:// and rediss:// work"
        ))),
        // The URL itself is not repeated: it may hold a password.
        _ => {
            Err(StoreError::Settings("store url: must begin with sqlite:, redis:// or rediss://".to_owned()))
        }
    }
}

/// What in the settings of a shared store can lose something that was acknowledged. The embedded store has none.
///
/// # Errors
/// As [`open`].
pub async fn weaknesses(url: &str) -> Result<Vec<Weakness>> {
    match url.split_once(':') {
        Some(("redis" | "rediss", _)) => redis::durability::weaknesses(url).await,
        _ => Ok(Vec::new()),
    }
}
