//! How far a server's own settings keep what has been acknowledged.

use super::{fault, link};
use crate::contract::{Result, StoreError};
use redis::{AsyncConnectionConfig, Client, aio::MultiplexedConnection};
use std::{collections::HashMap, time::Duration};
use tokio::time::timeout;
use usher_model::limits;

/// A setting of the shared store under which something acknowledged can be lost.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Weakness {
    /// What is so, and what it costs.
    pub what: String,
    /// What to do about it.
    pub mend: &'static str,
}

/// Asks the server (<https://redis.io/docs/latest/operate/oss_and_stack/management/persistence/>).
pub(crate) async fn weaknesses(url: &str) -> Result<Vec<Weakness>> {
    // rustls asks for a provider once a process; whoever installed one already was right.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::open(url).map_err(|why| StoreError::Settings(format!("store url: {why}")))?;
    let asked = async {
        let connection =
            link::connect(&client, AsyncConnectionConfig::new()).await.map_err(|why| fault::of(&why))?;
        // Hosted servers often forbid CONFIG; then nothing is known.
        Ok(Settings { of: settings(connection).await.ok() }.weaknesses())
    };
    let late = || Err(StoreError::Unavailable("Redis gave no answer in time".to_owned()));
    timeout(Duration::from_millis(limits::STORE_WRITE_MS), asked).await.unwrap_or_else(|_| late())
}

async fn settings(mut connection: MultiplexedConnection) -> redis::RedisResult<HashMap<String, String>> {
    let mut all = HashMap::new();
    // Several names in one call are understood since Redis 7 only.
    for name in ["appendonly", "appendfsync", "maxmemory-policy"] {
        let found: HashMap<String, String> =
            redis::cmd("CONFIG").arg("GET").arg(name).query_async(&mut connection).await?;
        all.extend(found);
    }
    Ok(all)
}

/// The server's settings; `None` when it does not tell them.
struct Settings {
    of: Option<HashMap<String, String>>,
}

impl Settings {
    fn weaknesses(&self) -> Vec<Weakness> {
        let Some(of) = &self.of else {
            return vec![Weakness {
                what: "does not tell how it keeps its data (CONFIG is forbidden)".to_owned(),
                mend: "make sure that it has appendonly yes, appendfsync always and maxmemory-policy noeviction",
            }];
        };
        let says = |name: &str| of.get(name).map(String::as_str);
        let mut found = Vec::new();
        match (says("appendonly"), says("appendfsync")) {
            (Some("yes"), Some("always")) => {}
            (Some("yes"), Some(fsync)) => found.push(Weakness {
                what: format!("has appendfsync {fsync}: a power cut loses the sales acknowledged last"),
                mend: "CONFIG SET appendfsync always",
            }),
            _ => found.push(Weakness {
                what: "has no append-only file: a restart loses sales that were acknowledged".to_owned(),
                mend: "CONFIG SET appendonly yes and appendfsync always, and write both into redis.conf",
            }),
        }
        if let Some(policy) = says("maxmemory-policy").filter(|policy| *policy != "noeviction") {
            found.push(Weakness {
                what: format!(
                    "has maxmemory-policy {policy}: when it is full it may throw sales and codes away"
                ),
                mend: "CONFIG SET maxmemory-policy noeviction",
            });
        }
        found
    }
}
