//! Where the servers are: one address, what Sentinels say, or who owns a key's slot in a cluster.
//!
//! The crate's own clients for Sentinel and Cluster reconnect inside of a call and have no breaker, so that a visitor's
//! read would wait for them. All that is asked of them here is where to connect; [`super::link`] does the rest for each
//! kind alike. A site's keys share a slot, so a link needs one server at a time also in a cluster.

use super::{address::Address, race::first_of};
use crate::contract::{Result, StoreError};
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo as _,
    RedisConnectionInfo, RedisError, RedisResult, Value, aio::MultiplexedConnection,
};
use std::{
    io,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::timeout;
use usher_model::limits;

/// Connecting, logging in and a first answer; also finding out where to connect.
const CONNECT: Duration = Duration::from_millis(1_000);
/// Calls that wait to be sent; the crate's default of 50 makes them wait for each other under load.
const SENT_AHEAD: usize = 1_024;
/// Redirections that are followed to find a slot's owner: more than a cluster that agrees with itself ever needs.
const REDIRECTIONS: usize = 5;

/// Host and port.
type Node = (String, u16);

/// The servers that a URL names.
pub(super) struct Servers {
    kind: Kind,
    /// What the URL lists: data servers, or Sentinels.
    listed: Vec<ConnectionInfo>,
    /// How many replicas must have what is acknowledged.
    pub(super) replicas: u32,
}

enum Kind {
    One,
    Sentinel {
        master: String,
        login: RedisConnectionInfo,
    },
    /// Also remembers the nodes that were found, since those in the URL may be gone one day.
    Cluster {
        found: Mutex<Vec<Node>>,
    },
}

impl Servers {
    /// Reads the URL; see [`crate::open`].
    pub(super) fn of(url: &str) -> Result<Self> {
        let Address { hosts, master, replicas, cluster } = Address::parse(url)?;
        let read = |host: &String| host.as_str().into_connection_info();
        let listed: RedisResult<Vec<_>> = hosts.iter().map(read).collect();
        let listed = listed.map_err(|why| StoreError::Settings(format!("store url: {why}")))?;
        let Some(first) = listed.first() else {
            return Err(StoreError::Settings("store url: names no server".to_owned()));
        };
        let kind = match master {
            Some(master) => Kind::Sentinel { master, login: first.redis_settings().clone() },
            None if cluster => Kind::Cluster { found: Mutex::default() },
            None => Kind::One,
        };
        Ok(Self { kind, listed, replicas })
    }

    /// Whether each slot's keys have a server of their own.
    pub(super) const fn is_cluster(&self) -> bool {
        matches!(self.kind, Kind::Cluster { .. })
    }

    /// Whether there is another server to fall back to.
    pub(super) const fn is_replicated(&self) -> bool {
        !matches!(self.kind, Kind::One)
    }

    /// A way to the primary that keeps `key`, as it is now.
    pub(super) async fn primary(&self, key: &str) -> RedisResult<Client> {
        let find = async {
            match &self.kind {
                Kind::One => Client::open(self.listed[0].clone()),
                Kind::Sentinel { login, .. } => {
                    let primary = at(&self.listed[0], self.named_by_sentinels().await?, login.clone());
                    verified(Client::open(primary)?).await
                }
                Kind::Cluster { found } => {
                    let (owner, nodes) = self.owner(key).await?;
                    *found.lock().unwrap_or_else(PoisonError::into_inner) = nodes;
                    Ok(owner)
                }
            }
        };
        timeout(CONNECT, find).await.unwrap_or_else(|_| Err(late()))
    }

    /// Ways to all primaries.
    pub(super) async fn primaries(&self) -> RedisResult<Vec<Client>> {
        let Kind::Cluster { .. } = &self.kind else { return Ok(vec![self.primary("").await?]) };
        let tries = self.known().into_iter().map(|info| async move { slots(&Client::open(info)?).await });
        let found = timeout(CONNECT, first_of(tries)).await.unwrap_or_else(|_| Err(late()))?;
        let mut primaries: Vec<Node> =
            found.into_iter().filter_map(|(node, is_primary)| is_primary.then_some(node)).collect();
        primaries.sort_unstable();
        primaries.dedup();
        let login = self.listed[0].redis_settings();
        primaries.into_iter().map(|node| Client::open(at(&self.listed[0], node, login.clone()))).collect()
    }

    /// Where Sentinels say that the primary is now; nothing where nobody says.
    pub(super) async fn whereabouts(&self) -> Option<String> {
        let Kind::Sentinel { .. } = &self.kind else { return None };
        let (host, port) = timeout(CONNECT, self.named_by_sentinels()).await.ok()?.ok()?;
        Some(format!("{host}:{port}"))
    }

    /// <https://redis.io/docs/latest/develop/reference/sentinel-clients/>, step 2.
    async fn named_by_sentinels(&self) -> RedisResult<Node> {
        let Kind::Sentinel { master, .. } = &self.kind else { return Err(nowhere()) };
        let ask = |sentinel: ConnectionInfo| {
            let master = master.clone();
            async move {
                let open = sentinel.clone().set_redis_settings(RedisConnectionInfo::default());
                match name_of(open, &master).await {
                    // Some Sentinels ask for a password: then it is the servers'.
                    Err(why) if why.code() == Some("NOAUTH") => {
                        let login = sentinel.redis_settings().clone().set_db(0);
                        name_of(sentinel.set_redis_settings(login), &master).await
                    }
                    said => said,
                }
            }
        };
        first_of(self.listed.iter().cloned().map(ask)).await
    }

    /// The server that owns the key's slot, and all others.
    async fn owner(&self, key: &str) -> RedisResult<(Client, Vec<Node>)> {
        let tries = self.known().into_iter().map(|info| {
            let key = key.to_owned();
            async move { follow(info, &key).await }
        });
        let owner = first_of(tries).await?;
        let nodes = slots(&owner).await?.into_iter().map(|(node, _)| node).collect();
        Ok((owner, nodes))
    }

    /// The nodes of a cluster: those found last, then those in the URL.
    fn known(&self) -> Vec<ConnectionInfo> {
        let Kind::Cluster { found } = &self.kind else { return self.listed.clone() };
        let mut nodes = found.lock().unwrap_or_else(PoisonError::into_inner).clone();
        nodes.sort_unstable();
        nodes.dedup();
        let login = self.listed[0].redis_settings();
        let found = nodes.into_iter().map(|node| at(&self.listed[0], node, login.clone()));
        self.listed.iter().cloned().chain(found).collect()
    }
}

/// Connects, logs in and asks for a sign of life.
pub(super) async fn connect(
    client: &Client,
    config: AsyncConnectionConfig,
) -> RedisResult<MultiplexedConnection> {
    // The callers' total deadlines are the ones that count; the crate's own would be half a second.
    let config = config
        .set_connection_timeout(Some(CONNECT))
        .set_response_timeout(Some(Duration::from_millis(limits::STORE_WRITE_MS)))
        .set_pipeline_buffer_size(SENT_AHEAD);
    let connect = async {
        let connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        ping(connection.clone()).await?;
        Ok(connection)
    };
    timeout(CONNECT, connect).await.unwrap_or_else(|_| Err(late()))
}

/// Asks for a sign of life.
pub(super) async fn ping(mut connection: MultiplexedConnection) -> RedisResult<()> {
    redis::cmd("PING").query_async(&mut connection).await
}

/// `host:port`.
pub(super) fn address(client: &Client) -> String {
    let (host, port) = node_of(client.get_connection_info());
    format!("{host}:{port}")
}

pub(super) fn late() -> RedisError {
    RedisError::from(io::Error::new(io::ErrorKind::TimedOut, "Redis gave no answer in time"))
}

fn nowhere() -> RedisError {
    RedisError::from((ErrorKind::MasterNameNotFoundBySentinel, "no Sentinel knows a primary of that name"))
}

/// The same way of connecting, to another server.
fn at(like: &ConnectionInfo, (host, port): Node, login: RedisConnectionInfo) -> ConnectionInfo {
    let address = match like.addr() {
        ConnectionAddr::TcpTls { insecure, tls_params, .. } => {
            ConnectionAddr::TcpTls { host, port, insecure: *insecure, tls_params: tls_params.clone() }
        }
        _ => ConnectionAddr::Tcp(host, port),
    };
    like.clone().set_addr(address).set_redis_settings(login)
}

fn node_of(info: &ConnectionInfo) -> Node {
    match info.addr() {
        ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => (host.clone(), *port),
        other => (other.to_string(), 0),
    }
}

async fn plainly(client: &Client) -> RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT));
    client.get_multiplexed_async_connection_with_config(&config.set_response_timeout(Some(CONNECT))).await
}

async fn name_of(sentinel: ConnectionInfo, master: &str) -> RedisResult<Node> {
    let mut connection = plainly(&Client::open(sentinel)?).await?;
    let mut ask = redis::cmd("SENTINEL");
    ask.arg("GET-MASTER-ADDR-BY-NAME").arg(master);
    let node: Option<Node> = ask.query_async(&mut connection).await?;
    node.ok_or_else(nowhere)
}

/// A Sentinel may not know yet that a primary is one no longer (step 3 of the same page).
async fn verified(client: Client) -> RedisResult<Client> {
    let mut connection = plainly(&client).await?;
    let role: Vec<Value> = redis::cmd("ROLE").query_async(&mut connection).await?;
    match role.first() {
        Some(Value::BulkString(word)) if word == b"master" => Ok(client),
        _ => Err(RedisError::from(io::Error::new(io::ErrorKind::NotConnected, "Redis is no primary there"))),
    }
}

/// Asks for the key and goes where one is sent
/// (<https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#moved-redirection>).
async fn follow(mut info: ConnectionInfo, key: &str) -> RedisResult<Client> {
    let mut said = nowhere();
    for _ in 0..REDIRECTIONS {
        let client = Client::open(info.clone())?;
        let mut connection = plainly(&client).await?;
        let asked: RedisResult<u8> = redis::cmd("EXISTS").arg(key).query_async(&mut connection).await;
        let Err(why) = asked else { return Ok(client) };
        // A slot that is on its way to another server is still this one's.
        if why.code() == Some("ASK") {
            return Ok(client);
        }
        let Some((host, port)) = why.redirect_node().and_then(|(node, _)| node.rsplit_once(':')) else {
            return Err(why);
        };
        let Ok(port) = port.parse() else { return Err(why) };
        let host = if matches!(host, "" | "?") { node_of(&info).0 } else { bare(host).to_owned() };
        let login = info.redis_settings().clone();
        info = at(&info, (host, port), login);
        said = why;
    }
    Err(said)
}

/// An IPv6 address without its brackets.
fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host)
}

/// All servers of a cluster that keep something, and whether each is a primary
/// (<https://redis.io/docs/latest/commands/cluster-slots/>).
async fn slots(client: &Client) -> RedisResult<Vec<(Node, bool)>> {
    let mut connection = plainly(client).await?;
    let ranges: Vec<Value> = redis::cmd("CLUSTER").arg("SLOTS").query_async(&mut connection).await?;
    let own = node_of(client.get_connection_info()).0;
    let of_range = |range: Value| match range {
        Value::Array(range) => range
            .into_iter()
            .skip(2)
            .enumerate()
            .filter_map(|(i, node)| {
                let Value::Array(node) = node else { return None };
                let host = match node.first()? {
                    Value::BulkString(host) => String::from_utf8(host.clone()).ok()?,
                    _ => String::new(),
                };
                let Value::Int(port) = node.get(1)? else { return None };
                let host = if matches!(host.as_str(), "" | "?") { own.clone() } else { host };
                Some(((host, u16::try_from(*port).ok()?), i == 0))
            })
            .collect(),
        _ => Vec::new(),
    };
    Ok(ranges.into_iter().flat_map(of_range).collect())
}
