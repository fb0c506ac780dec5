//! Redis itself says when promo codes change (client-side caching,
//! <https://redis.io/docs/latest/develop/reference/client-side-caching/>).
//!
//! In broadcast mode, for two reasons. In the default mode a key is told of once and must be read again over the very
//! connection that tracks before it is told of again, so that a change between the message and that read needs care; in
//! broadcast mode every change is told and reads go over any connection. And the server remembers two prefixes a site
//! instead of what each edge has read.

use super::{fault, keys, link};
use redis::{
    AsyncConnectionConfig, Client, IntoConnectionInfo as _, ProtocolVersion, PushInfo, PushKind, RedisResult,
};
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::{
    sync::{Notify, watch},
    time::{sleep, timeout},
};
use usher_model::SiteName;

/// How often the connection is asked whether it still lives, and how long it may take to say so.
const PULSE: Duration = Duration::from_millis(1_000);
/// Between two tries to connect. Where a server will not track, codes are looked at as often.
const PAUSE: Duration = Duration::from_millis(300);

/// Raises `changes` whenever codes or uses of these sites may have changed.
pub(super) async fn watch(client: Client, sites: Vec<SiteName>, changes: watch::Sender<u64>) {
    // Without a prefix every key of the server would be told of.
    if sites.is_empty() {
        return;
    }
    let mut told = false;
    loop {
        if let Err(why) = follow(&client, &sites, &changes).await
            && !fault::is_lost(&why)
        {
            if !told {
                tracing::warn!(%why, "Redis does not tell of changed promo codes; they are looked at again and again");
                told = true;
            }
            raise(&changes);
        }
        sleep(PAUSE).await;
    }
}

/// Follows one connection until it breaks.
async fn follow(client: &Client, sites: &[SiteName], changes: &watch::Sender<u64>) -> RedisResult<()> {
    let broken = Arc::new(Notify::new());
    let config = AsyncConnectionConfig::new().set_push_sender(listener(changes.clone(), Arc::clone(&broken)));
    let mut connection = link::connect(&resp3(client)?, config).await?;
    let mut track = redis::cmd("CLIENT");
    track.arg("TRACKING").arg("ON").arg("BCAST");
    for site in sites {
        track.arg("PREFIX").arg(keys::codes(site)).arg("PREFIX").arg(keys::code_uses(site));
    }
    let () = track.query_async(&mut connection).await?;
    // What changed while nobody listened is not known.
    raise(changes);
    loop {
        let _ = timeout(PULSE, broken.notified()).await;
        if !matches!(timeout(PULSE, link::ping(connection.clone())).await, Ok(Ok(()))) {
            return Ok(());
        }
    }
}

fn listener(
    changes: watch::Sender<u64>,
    broken: Arc<Notify>,
) -> impl Fn(PushInfo) -> std::result::Result<(), Infallible> + Send + Sync + 'static {
    move |push| {
        match push.kind {
            PushKind::Invalidate => raise(&changes),
            PushKind::Disconnection => broken.notify_one(),
            _ => {}
        }
        Ok(())
    }
}

fn raise(changes: &watch::Sender<u64>) {
    changes.send_modify(|count| *count += 1);
}

/// Pushes come in version 3 of the protocol only.
fn resp3(client: &Client) -> RedisResult<Client> {
    let info = client.get_connection_info().clone();
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    Client::open(info.set_redis_settings(settings).into_connection_info()?)
}
