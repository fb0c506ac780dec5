//! Redis itself says when promo codes change (client-side caching,
//! <https://redis.io/docs/latest/develop/reference/client-side-caching/>).
//!
//! In broadcast mode, for two reasons. In the default mode a key is told of once and must be read again over the very
//! connection that tracks before it is told of again, so that a change between the message and that read needs care; in
//! broadcast mode every change is told and reads go over any connection. And the server remembers three prefixes a site
//! instead of what each edge has read. In a cluster each primary is followed, since a slot may move to any of them.

use super::{
    fault, keys,
    servers::{self, Servers},
};
use redis::{
    AsyncConnectionConfig, Client, IntoConnectionInfo as _, ProtocolVersion, PushInfo, PushKind, RedisResult,
    Value, aio::MultiplexedConnection,
};
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::{
    sync::{Notify, watch},
    time::{sleep, timeout},
};
use usher_model::SiteName;

/// How often a connection is asked whether it still lives, and how long it may take to say so.
const PULSE: Duration = Duration::from_millis(1_000);
/// Between two tries to connect. Where a server will not track, codes are looked at as often.
const PAUSE: Duration = Duration::from_millis(300);

/// What the keys of erasures end with; see [`keys::erasures`].
const ERASURES: &[u8] = b"}:erasures";

/// Counts of what others changed.
#[derive(Clone, Default)]
pub(super) struct Changes {
    pub(super) codes: watch::Sender<u64>,
    pub(super) erasures: watch::Sender<u64>,
}

impl Changes {
    fn raise_all(&self) {
        self.codes.send_modify(|count| *count += 1);
        self.erasures.send_modify(|count| *count += 1);
    }

    fn raise(&self, data: &[Value]) {
        let changed = if is_erasure(data) { &self.erasures } else { &self.codes };
        changed.send_modify(|count| *count += 1);
    }
}

/// Raises `changes` whenever codes or uses of these sites may have changed.
pub(super) async fn watch(servers: Arc<Servers>, sites: Vec<SiteName>, changes: Changes) {
    // Without a prefix every key of the server would be told of.
    if sites.is_empty() {
        return;
    }
    let mut told = false;
    loop {
        if let Err(why) = follow_all(&servers, &sites, &changes).await
            && !fault::is_lost(&why)
        {
            if !told {
                tracing::warn!(%why, "Redis does not tell of changed promo codes; they are looked at again and again");
                told = true;
            }
            changes.raise_all();
        }
        sleep(PAUSE).await;
    }
}

/// Follows all primaries until a connection breaks or there are others.
async fn follow_all(servers: &Servers, sites: &[SiteName], changes: &Changes) -> RedisResult<()> {
    let broken = Arc::new(Notify::new());
    let primaries = servers.primaries().await?;
    let (mut connections, mut failure) = (Vec::with_capacity(primaries.len()), None);
    for primary in &primaries {
        match follow(primary, sites, changes, &broken).await {
            Ok(connection) => connections.push(connection),
            Err(why) => failure = Some(why),
        }
    }
    match failure {
        // One that is away must not keep the others from being heard: they are looked at again and again meanwhile.
        Some(why) if connections.is_empty() || !fault::is_lost(&why) => return Err(why),
        Some(_) => sleep(PULSE).await,
        None => {}
    }
    // What changed while nobody listened is not known.
    changes.raise_all();
    if connections.len() < primaries.len() {
        return Ok(());
    }
    let known = addresses(&primaries);
    loop {
        let _ = timeout(PULSE, broken.notified()).await;
        for connection in &connections {
            if !matches!(timeout(PULSE, servers::ping(connection.clone())).await, Ok(Ok(()))) {
                return Ok(());
            }
        }
        if servers.is_replicated() && servers.primaries().await.is_ok_and(|now| addresses(&now) != known) {
            return Ok(());
        }
    }
}

fn addresses(primaries: &[Client]) -> Vec<String> {
    primaries.iter().map(servers::address).collect()
}

async fn follow(
    primary: &Client,
    sites: &[SiteName],
    changes: &Changes,
    broken: &Arc<Notify>,
) -> RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new().set_push_sender(listener(changes.clone(), Arc::clone(broken)));
    let mut connection = servers::connect(&resp3(primary)?, config).await?;
    let mut track = redis::cmd("CLIENT");
    track.arg("TRACKING").arg("ON").arg("BCAST");
    for site in sites {
        track.arg("PREFIX").arg(keys::codes(site)).arg("PREFIX").arg(keys::code_uses(site));
        track.arg("PREFIX").arg(keys::erasures(site));
    }
    let () = track.query_async(&mut connection).await?;
    Ok(connection)
}

fn listener(
    changes: Changes,
    broken: Arc<Notify>,
) -> impl Fn(PushInfo) -> std::result::Result<(), Infallible> + Send + Sync + 'static {
    move |push| {
        match push.kind {
            PushKind::Invalidate => changes.raise(&push.data),
            PushKind::Disconnection => broken.notify_one(),
            _ => {}
        }
        Ok(())
    }
}

/// Whether a push names no key but those of erasures. One that names none at all means every key.
fn is_erasure(data: &[Value]) -> bool {
    let text = |key: &Value| matches!(key, Value::BulkString(bytes) if bytes.ends_with(ERASURES));
    data.iter().all(|value| matches!(value, Value::Array(keys) if !keys.is_empty() && keys.iter().all(text)))
        && !data.is_empty()
}

/// Pushes come in version 3 of the protocol only.
fn resp3(client: &Client) -> RedisResult<Client> {
    let info = client.get_connection_info().clone();
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    Client::open(info.set_redis_settings(settings).into_connection_info()?)
}
