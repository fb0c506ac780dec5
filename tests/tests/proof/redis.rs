//! Redis is killed, frozen, read-only, full or fails over: clicks go on as fast as before, nothing that was acknowledged is
//! lost, and when Redis is back so are the sales, within seconds.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;
use usher_tests::{Edge, RedisGroup, RedisServer, Sale, Standin, Store, eventually_within, get};

use crate::judge::{Outcome, judge};
use crate::killed::delivered;
use crate::merchant::{CODE, Merchant};
use crate::size::{SIZE, verdict};

/// How much slower the slowest of a hundred clicks may be.
const PROMISED_SLOWER: Duration = Duration::from_millis(5);
const PROMISED_RECOVERY: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(30);
const CLICKS_A_SECOND: u32 = 100;
const WRITERS: usize = 2;
/// Between two deals of a writer: the load is there to be lost, not to be fast.
const PAUSE: Duration = Duration::from_millis(20);

/// What happens to Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Killed,
    Frozen,
    ReadOnly,
    Full,
    FailingOver,
}

impl Fault {
    const ALL: [Self; 5] = [Self::Killed, Self::Frozen, Self::ReadOnly, Self::Full, Self::FailingOver];

    const fn word(self) -> &'static str {
        match self {
            Self::Killed => "killed",
            Self::Frozen => "frozen",
            Self::ReadOnly => "read-only",
            Self::Full => "full",
            Self::FailingOver => "failing over",
        }
    }

    async fn begin(self, redis: &mut RedisServer) {
        match self {
            Self::Killed | Self::FailingOver => redis.kill(),
            Self::Frozen => redis.freeze(),
            // Its primary is nowhere, so it keeps its data and takes no more.
            Self::ReadOnly => drop(redis.cli(&["REPLICAOF", "127.0.0.1", "1"]).await),
            Self::Full => redis.fill().await,
        }
    }

    async fn end(self, redis: &mut RedisServer) {
        match self {
            Self::Killed => redis.restart().await,
            Self::Frozen => redis.thaw(),
            Self::ReadOnly => drop(redis.cli(&["REPLICAOF", "NO", "ONE"]).await),
            Self::Full => drop(redis.cli(&["CONFIG", "SET", "maxmemory", "0"]).await),
            Self::FailingOver => {}
        }
    }
}

/// What came of one fault.
struct Survived {
    fault: Fault,
    calm: Duration,
    during: Duration,
    recovered: Duration,
    outcome: Outcome,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proof() {
    let mut survived = Vec::new();
    for fault in Fault::ALL {
        let (servers, url, _group) = backing(fault).await;
        survived.push(survive(fault, servers, url).await);
    }
    let holds = survived.iter().all(Survived::is_good);
    let lines: Vec<String> = survived.iter().map(Survived::line).collect();
    verdict("redis", holds, &lines.join("; "));
}

/// The server that is to suffer, and the store's URL; the others of its group live as long as the third.
async fn backing(fault: Fault) -> (RedisServer, String, Option<RedisGroup>) {
    if fault != Fault::FailingOver {
        let redis = RedisServer::start().await;
        let url = redis.url();
        return (redis, url, None);
    }
    let mut group = RedisGroup::start().await;
    let url = group.url();
    (group.servers.remove(0), url, Some(group))
}

async fn survive(fault: Fault, mut redis: RedisServer, url: String) -> Survived {
    let standin = Standin::start().await;
    standin.settings(json!({"rate_limit": null})).await;
    let edge = Arc::new(Edge::builder(&standin).store(Store::Url(url)).start().await);
    redis.put_code("shop", CODE, r#"{"affiliate":"bob"}"#).await;
    let shop = Merchant::open(fault.word().split(['-', ' ']).next().unwrap_or_default(), &edge).await;
    let (told, address) = watch::channel(edge.http());
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        writers.spawn(sell_slowly(Arc::clone(&shop), address.clone()));
    }
    // The first calls open connections and fill caches.
    clicks(&edge, "warm", Duration::from_secs(1)).await;
    let calm = clicks(&edge, "calm", SIZE.redis.measured).await;
    fault.begin(&mut redis).await;
    let during = clicks(&edge, "during", SIZE.redis.measured).await;
    fault.end(&mut redis).await;
    let well_again = well_again(&edge, fault).await;
    // Nobody says when a failover is over: it is measured from its beginning, by whoever sells.
    let recovered = if fault == Fault::FailingOver { shop.longest_silence() } else { well_again };
    shop.close();
    drop(told);
    while writers.join_next().await.is_some() {}
    delivered(&standin, &shop.books()).await;
    let outcome = judge(&standin, &shop.books()).await;
    Survived { fault, calm, during, recovered, outcome }
}

async fn sell_slowly(shop: Arc<Merchant>, mut edge: watch::Receiver<SocketAddr>) {
    while !shop.is_closed() {
        shop.deal(&mut edge).await;
        tokio::time::sleep(PAUSE).await;
    }
}

/// Waits until a new sale is taken and the edge says that it is ready; how long that took.
async fn well_again(edge: &Edge, fault: Fault) -> Duration {
    let mut number = 0;
    let well = eventually_within(PATIENCE, "sales are taken again", async || {
        number += 1;
        let sale = Sale::new(&format!("probe-{fault:?}-{number}"), "1").promo_code(CODE);
        let sold = edge.sale_call(&sale).try_send().await.is_ok_and(|answer| answer.status <= 202);
        let is_ready = get(edge.admin(), "/readyz").try_send().await.is_ok_and(|answer| answer.status == 200);
        (sold && is_ready).then_some(())
    });
    well.await.1
}

/// Visitors who come at a rate of their own; the wait that one of a hundred exceeds. Each must get a click.
async fn clicks(edge: &Arc<Edge>, when: &str, time: Duration) -> Duration {
    let start = Instant::now();
    let count = (time.as_millis() * u128::from(CLICKS_A_SECOND) / 1_000) as u32;
    let mut calls = JoinSet::new();
    for number in 0..count {
        let comes = start + Duration::from_secs(1) / CLICKS_A_SECOND * number;
        tokio::time::sleep_until(comes.into()).await;
        let visitor = format!("203.0.{}.{}", when.len() * 16 + number as usize / 250, number % 250);
        let call = edge.track_call("alice").visitor(&visitor);
        let when = when.to_owned();
        calls.spawn(async move {
            let answer = call.send().await;
            let waited = comes.elapsed();
            assert_eq!(answer.status, 200, "{when}: {}", answer.text());
            assert!(
                answer.json()["cid"].as_str().is_some_and(|id| !id.is_empty()),
                "{when}: {}",
                answer.text()
            );
            waited
        });
    }
    let mut waits = calls.join_all().await;
    waits.sort_unstable();
    waits[waits.len() * 99 / 100]
}

impl Survived {
    fn is_good(&self) -> bool {
        let is_fast = self.during <= self.calm + PROMISED_SLOWER && self.recovered <= PROMISED_RECOVERY;
        (is_fast || !SIZE.is_timed) && self.outcome.is_good()
    }

    fn line(&self) -> String {
        let Self { fault, calm, during, recovered, outcome } = self;
        let ms = |time: &Duration| time.as_secs_f64() * 1e3;
        let (word, calm, during) = (fault.word(), ms(calm), ms(during));
        format!(
            "{word}: click p99 {calm:.1} ms, then {during:.1} ms, recovered in {recovered:.1?}, {outcome}"
        )
    }
}
