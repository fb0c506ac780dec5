//! Sentinels, replicas, and what is left when a primary fails.

use crate::{
    bed,
    redis_groups::Watched,
    redis_server::RedisServer,
    sample::{NOW, click, code, entry, promo, site, sites},
};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::{task::JoinHandle, time::timeout};
use usher_model::{Acceptance, Job, Source, Upstream};
use usher_store::{Role, Store, StoreError};

const CALLERS: usize = 8;

async fn open(url: &str) -> Arc<dyn Store> {
    usher_store::open(url, &sites(), Role::Service).await.expect("a store")
}

/// Callers that write all the time, and what was acknowledged to them.
struct Writers {
    acknowledged: Arc<Mutex<Vec<(String, Instant)>>>,
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Writers {
    fn start(store: &Arc<dyn Store>) -> Self {
        let (acknowledged, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let write = |caller: usize| {
            let (store, acknowledged, stop) =
                (Arc::clone(store), Arc::clone(&acknowledged), Arc::clone(&stop));
            tokio::spawn(async move {
                for number in 0.. {
                    let key = format!("{caller}-{number}");
                    // As a payment provider does: again until it is acknowledged.
                    while !stop.load(Relaxed) {
                        match store.accept(entry(&key)).await {
                            Ok(Acceptance::New(_) | Acceptance::Same(_)) => {
                                acknowledged.lock().expect("a lock").push((key, Instant::now()));
                                break;
                            }
                            Ok(other) => panic!("{other:?}"),
                            Err(StoreError::Unavailable(_)) => tokio::task::yield_now().await,
                            Err(why) => panic!("{why}"),
                        }
                    }
                    if stop.load(Relaxed) {
                        return;
                    }
                }
            })
        };
        let tasks = (0..CALLERS).map(write).collect();
        Self { acknowledged, stop, tasks }
    }

    /// Waits until `more` were acknowledged since `since`, and tells when the first of them was.
    async fn acknowledged(&self, more: usize, since: Instant) -> Instant {
        let enough = async {
            loop {
                let first = {
                    let all = self.acknowledged.lock().expect("a lock");
                    let later = all.iter().map(|(_, at)| *at).filter(|at| *at > since);
                    let (first, count) = (later.clone().min(), later.count());
                    first.filter(|_| count >= more)
                };
                if let Some(first) = first {
                    return first;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(20), enough).await.expect("it goes on")
    }

    /// Ends, and counts what was acknowledged and is not there.
    async fn lost(self, store: &dyn Store) -> (usize, usize) {
        self.stop.store(true, Relaxed);
        for task in self.tasks {
            task.await.expect("a task");
        }
        let all = self.acknowledged.lock().expect("a lock").clone();
        let mut lost = 0;
        for (key, _) in &all {
            let found = store.accepted(&site(), &Source::api(), Job::Conversion, key).await.expect("a read");
            lost += usize::from(found.is_none());
        }
        (all.len(), lost)
    }
}

/// Kills or freezes the primary or takes its office from it while callers write; nothing acknowledged may be gone.
#[expect(clippy::print_stdout, reason = "the number that the promise is about")]
async fn survive(fail: impl AsyncFnOnce(&mut Watched), recover: impl AsyncFnOnce(&mut Watched)) {
    let mut group = Watched::start().await;
    // Whoever is asked first about the primary does not answer.
    group.sentinels[0].signal("STOP");
    let store = open(&group.url("?wait=1")).await;
    let mut changes = store.code_changes();
    let writers = Writers::start(&store);
    writers.acknowledged(100, Instant::now()).await;

    fail(&mut group).await;
    let new = group.promoted(&[1, 2]).await;
    let promoted = Instant::now();
    let again = writers.acknowledged(100, promoted).await;
    assert!(again - promoted < Duration::from_secs(5), "it took {:?}", again - promoted);
    let (all, lost) = writers.lost(&*store).await;
    println!("{all} acknowledged, {lost} lost; answers again {:?} after the promotion", again - promoted);
    assert_eq!(lost, 0, "of {all}");

    // What other programs write to the new primary is told.
    let told = async {
        loop {
            changes.mark_unchanged();
            group.servers[new].tried(&["HSET", "usher:shop:codes", "NEW", r#"{"affiliate":"alice"}"#]).await;
            if timeout(Duration::from_millis(200), changes.changed()).await.is_ok() {
                return;
            }
        }
    };
    timeout(Duration::from_secs(5), told).await.expect("changes are told again");
    recover(&mut group).await;
    // Replicas that turn to another primary are none for a moment.
    let goes_on = async { while store.accept(entry("afterwards")).await.is_err() {} };
    timeout(Duration::from_secs(10), goes_on).await.expect("it goes on");
    let kept = store.accepted(&site(), &Source::api(), Job::Conversion, "afterwards").await;
    assert!(kept.expect("a read").is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_primary_takes_nothing_along_that_was_acknowledged() {
    survive(async |group| group.servers[0].kill(), async |_| {}).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_freezes_and_comes_back_takes_nothing_along() {
    let thaw = async |group: &mut Watched| {
        group.servers[0].signal("CONT");
        group.servers[0].says(&["ROLE"], "slave").await;
    };
    survive(async |group| group.servers[0].signal("STOP"), thaw).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_hands_over_takes_nothing_along() {
    survive(async |group| group.hand_over().await, async |_| {}).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_replica_has_is_not_acknowledged() {
    let primary = RedisServer::start(&[]).await;
    let replica = RedisServer::replica_of(&primary).await;
    let store = open(&format!("{}?wait=1", primary.url())).await;
    assert!(matches!(store.accept(entry("before")).await, Ok(Acceptance::New(_))));

    replica.signal("STOP");
    let refused = store.accept(entry("during")).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    // It is written, and still nobody may rely on it.
    let source = Source::api();
    for refused in [
        store.accept(entry("during")).await.map(|_| ()),
        store.accepted(&site(), &source, Job::Conversion, "during").await.map(|_| ()),
        store.bind_order(&site(), "order", &click("c").id, NOW).await.map(|_| ()),
        store.link(&site(), &source, "a", "b", NOW).await,
        store.put_codes(&site(), vec![(promo("spring"), code(r#"{"affiliate":"alice"}"#))]).await,
    ] {
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    }

    replica.signal("CONT");
    let acknowledged = async {
        loop {
            match store.accept(entry("during")).await {
                Ok(Acceptance::Same(_)) => return,
                Ok(other) => panic!("{other:?}"),
                Err(_) => {}
            }
        }
    };
    timeout(Duration::from_secs(10), acknowledged).await.expect("when the replica has it");
    let there = replica.command(&["EXISTS", "usher:{shop}:delivery:conv_during"]).await;
    assert_eq!(there.trim(), ":1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_reads_slower_while_replicas_are_waited_for() {
    let primary = RedisServer::start(&[]).await;
    let replica = RedisServer::replica_of(&primary).await;
    let store = open(&format!("{}?wait=1", primary.url())).await;
    let known = usher_model::Click { upstream: Upstream::Same, ..click("known") };
    store.record_clicks(vec![(known.clone(), None)]).await.expect("written");
    replica.signal("STOP");
    let waits = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.accept(entry("waits")).await }
    });
    let began = Instant::now();
    while !waits.is_finished() {
        assert_eq!(bed::click(&*store, &site(), "known").await, Some(known.clone()));
        let settled = store.claim(NOW, 10, 9).await;
        assert!(settled.is_ok(), "{settled:?}");
    }
    assert!(began.elapsed() > Duration::from_millis(500), "it did wait");
    assert!(matches!(waits.await.expect("a task"), Err(StoreError::Unavailable(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_failover_loses_is_told() {
    let told = async |url: String| -> Vec<String> {
        let found = usher_store::weaknesses(&url).await.expect("it answers");
        found.into_iter().map(|weakness| weakness.what).collect()
    };
    let primary = RedisServer::start(&[]).await;
    let weak = told(format!("{}?wait=1", primary.url())).await;
    assert!(weak.len() == 1 && weak[0].contains("every sale is refused"), "{weak:?}");

    let _replica = RedisServer::replica_of(&primary).await;
    let weak = told(primary.url()).await;
    assert!(weak.len() == 1 && weak[0].contains("cut off from its replicas"), "{weak:?}");
    assert_eq!(told(format!("{}?wait=1", primary.url())).await, Vec::<String>::new());

    let sentinel = RedisServer::sentinel("shop-primary", &primary, 1).await;
    let url = format!("redis+sentinel://{}/shop-primary", sentinel.address());
    primary.command(&["CONFIG", "SET", "min-replicas-to-write", "1"]).await;
    let weak = told(url.clone()).await;
    assert!(weak.len() == 1 && weak[0].contains("a failover loses the sales acknowledged last"), "{weak:?}");
    assert_eq!(told(format!("{url}?wait=1")).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sentinels_that_do_not_know_the_name_or_ask_for_a_password() {
    let primary = RedisServer::start(&[]).await;
    let sentinel = RedisServer::sentinel("shop-primary", &primary, 1).await;
    primary.command(&["CONFIG", "SET", "requirepass", "word"]).await;
    sentinel.command(&["SENTINEL", "SET", "shop-primary", "auth-pass", "word"]).await;
    let url = format!("redis+sentinel://:word@{}/shop-primary", sentinel.address());
    let tool = usher_store::open(&url.replace("shop-", "other-"), &sites(), Role::Tool).await;
    assert!(matches!(tool, Err(StoreError::Unavailable(why)) if why.contains("no Sentinel knows")));

    for ask in [false, true] {
        if ask {
            sentinel.command(&["CONFIG", "SET", "requirepass", "word"]).await;
        }
        let store = usher_store::open(&url, &sites(), Role::Tool).await.expect("a store");
        assert!(matches!(store.accept(entry(&ask.to_string())).await, Ok(Acceptance::New(_))));
    }
    let wrong = usher_store::open(&url.replace("word", "wrong"), &sites(), Role::Service).await;
    assert!(matches!(wrong, Err(StoreError::Settings(_))));
}
