//! How far the servers' own settings keep what has been acknowledged.

use super::{
    fault,
    servers::{self, Servers},
};
use crate::contract::{Result, StoreError};
use redis::{AsyncConnectionConfig, RedisResult, aio::MultiplexedConnection};
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

/// Asks each primary (<https://redis.io/docs/latest/operate/oss_and_stack/management/persistence/>).
pub(crate) async fn weaknesses(url: &str) -> Result<Vec<Weakness>> {
    // rustls asks for a provider once a process; whoever installed one already was right.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let servers = Servers::of(url)?;
    let asked = async {
        let mut found: Vec<Weakness> = Vec::new();
        for primary in servers.primaries().await? {
            let connection = servers::connect(&primary, AsyncConnectionConfig::new()).await?;
            let here = Settings {
                // Hosted servers often forbid CONFIG; then nothing is known.
                of: settings(connection.clone()).await.ok(),
                replicas: replicas(connection).await.ok(),
                has_successor: servers.is_replicated(),
                wait: servers.replicas,
            };
            for weakness in here.weaknesses() {
                if !found.contains(&weakness) {
                    found.push(weakness);
                }
            }
        }
        Ok(found)
    };
    let late = || Err(StoreError::Unavailable("Redis gave no answer in time".to_owned()));
    let asked = async { asked.await.map_err(|why| fault::of(&why)) };
    timeout(Duration::from_millis(limits::STORE_WRITE_MS), asked).await.unwrap_or_else(|_| late())
}

async fn settings(mut connection: MultiplexedConnection) -> RedisResult<HashMap<String, String>> {
    let mut all = HashMap::new();
    // Several names in one call are understood since Redis 7 only.
    for name in ["appendonly", "appendfsync", "maxmemory-policy", "min-replicas-to-write"] {
        let found: HashMap<String, String> =
            redis::cmd("CONFIG").arg("GET").arg(name).query_async(&mut connection).await?;
        all.extend(found);
    }
    Ok(all)
}

/// How many replicas follow (<https://redis.io/docs/latest/commands/info/>, section `replication`).
async fn replicas(mut connection: MultiplexedConnection) -> RedisResult<u32> {
    let info: String = redis::cmd("INFO").arg("replication").query_async(&mut connection).await?;
    let count = info.lines().find_map(|line| line.strip_prefix("connected_slaves:"));
    Ok(count.and_then(|count| count.trim().parse().ok()).unwrap_or(0))
}

/// What one server says of itself, and what the URL asks for.
struct Settings {
    /// `None` when it does not tell.
    of: Option<HashMap<String, String>>,
    replicas: Option<u32>,
    /// Whether another server takes over when this one fails.
    has_successor: bool,
    wait: u32,
}

impl Settings {
    fn weaknesses(&self) -> Vec<Weakness> {
        let mut found = match &self.of {
            Some(of) => of_disk_and_memory(|name| of.get(name).map(String::as_str)),
            None => vec![Weakness {
                what: "does not tell how it keeps its data (CONFIG is forbidden)".to_owned(),
                mend: "make sure that it has appendonly yes, appendfsync always and maxmemory-policy noeviction",
            }],
        };
        found.extend(self.of_failing_over());
        found
    }

    /// Replication is asynchronous (<https://redis.io/docs/latest/operate/oss_and_stack/management/replication/>).
    fn of_failing_over(&self) -> Option<Weakness> {
        let replicas = self.replicas?;
        if self.wait > replicas {
            return Some(Weakness {
                what: format!(
                    "has {replicas} replicas and the url says wait={}: every sale is refused",
                    self.wait
                ),
                mend: "bring the replicas back, or lower wait= in the store's url",
            });
        }
        if self.wait > 0 || !(self.has_successor || replicas > 0) {
            return None;
        }
        let guarded =
            self.of.as_ref().and_then(|of| of.get("min-replicas-to-write")).is_some_and(|n| n != "0");
        let (how_much, mend) = if guarded {
            ("the sales acknowledged last", "add ?wait=1 to the store's url")
        } else {
            (
                "the sales acknowledged last, and all that a primary takes while it is cut off from its replicas",
                "add ?wait=1 to the store's url, and CONFIG SET min-replicas-to-write 1",
            )
        };
        Some(Weakness { what: format!("is replicated: a failover loses {how_much}"), mend })
    }
}

fn of_disk_and_memory<'a>(says: impl Fn(&str) -> Option<&'a str>) -> Vec<Weakness> {
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
            what: format!("has maxmemory-policy {policy}: when it is full it may throw sales and codes away"),
            mend: "CONFIG SET maxmemory-policy noeviction",
        });
    }
    found
}
