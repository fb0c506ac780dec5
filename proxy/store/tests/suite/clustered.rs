//! A cluster: each site's keys in one slot, its promo codes in another, slots that move, servers that fail.

use crate::{
    bed::Bed,
    redis_groups::Cluster,
    sample::{NOW, click, code, entry, minting, other_site, pending, promo, site, sites, using},
};
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;
use usher_model::{Acceptance, Entry, Send, limits};
use usher_store::{Role, Store, StoreError};

async fn open(cluster: &Cluster) -> Arc<dyn Store> {
    usher_store::open(&cluster.url(), &sites(), Role::Service).await.expect("a store")
}

/// All that the common suite asks, one after the other of one cluster.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_keeps_every_promise() {
    let cluster = Arc::new(Cluster::start(0).await);
    let keys = ["usher:{shop}:outbox", "usher:shop:codes", "usher:{shop-2}:outbox"];
    let mut owners = Vec::new();
    for key in keys {
        owners.push(cluster.owner(key).await);
    }
    assert!(owners.iter().any(|owner| *owner != owners[0]), "they are on several servers: {owners:?}");
    for (name, promise) in crate::all_promises() {
        println!("{name}");
        cluster.flush().await;
        promise(Bed::cluster(&cluster).await).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_that_moves_takes_nothing_by_halves() {
    let cluster = Cluster::start(0).await;
    let store = open(&cluster).await;
    let first = entry("first");
    let Ok(Acceptance::New(held)) = store.accept(first.clone()).await else { panic!("not new") };
    // The key that calls are sent by: without it they would be sent elsewhere, and no script would begin.
    let later = Entry { send: Send::From(NOW.plus(1_000)), ..entry("later") };
    store.accept(later).await.expect("waits");
    let from = cluster.owner("usher:{shop}:outbox").await;
    let to = (from + 1) % 3;
    let slot = cluster.servers[from].command(&["CLUSTER", "KEYSLOT", "usher:{shop}:outbox"]).await;
    let slot = slot.trim().trim_start_matches(':').to_owned();
    let (old, new) = (&cluster.servers[from], &cluster.servers[to]);
    let (old_id, new_id) = (cluster.id(from).await, cluster.id(to).await);
    new.command(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &old_id]).await;
    old.command(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &new_id]).await;

    let keys = old.command(&["DBSIZE"]).await;
    let greedy = Entry { code: using("x", "spring", Some(3)).code, ..minting("greedy", "ush_greedy") };
    let refused = async |when: &str| {
        for refused in [
            store.accept(greedy.clone()).await.map(|_| ()),
            store.accept(first.clone()).await.map(|_| ()),
            store.record_clicks(vec![(click("c"), Some(pending()))]).await,
            store.settle(&held[0], crate::sample::delivered(Some("up")), NOW).await,
        ] {
            assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{when}: {refused:?}");
        }
    };
    refused("before a key moved").await;
    assert_eq!(old.command(&["DBSIZE"]).await, keys, "nothing was written");
    // Half of the keys are there by now: a script that began would fail in the middle.
    let (ip, port) = (new.address().ip().to_string(), new.address().port().to_string());
    let migrate = async |key: &str| {
        let said = old.command(&["MIGRATE", &ip, &port, key, "0", "5000"]).await;
        assert!(said.starts_with("+OK"), "{key}: {said}");
    };
    for key in ["usher:{shop}:state:due", "usher:{shop}:held"] {
        migrate(key).await;
    }
    refused("while keys move").await;
    let state = old.command(&["HGET", "usher:{shop}:delivery:conv_first", "state"]).await;
    assert!(state.contains("due"), "it is not half settled: {state}");

    for _ in 0..50 {
        let keys = old.command(&["CLUSTER", "GETKEYSINSLOT", &slot, "1"]).await;
        let Some(key) = keys.lines().nth(2) else { break };
        migrate(key).await;
    }
    for server in [new, old, &cluster.servers[(from + 2) % 3]] {
        server.command(&["CLUSTER", "SETSLOT", &slot, "NODE", &new_id]).await;
    }
    let accepted = async {
        loop {
            match store.accept(greedy.clone()).await {
                Err(StoreError::Unavailable(_)) => tokio::time::sleep(Duration::from_millis(5)).await,
                other => return other,
            }
        }
    };
    let accepted = timeout(Duration::from_secs(5), accepted).await.expect("it follows the slot");
    assert!(matches!(accepted, Ok(Acceptance::New(_))), "{accepted:?}");
    assert!(
        matches!(store.accept(first.clone()).await, Ok(Acceptance::Same(_))),
        "what was there came along"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_fails_holds_up_its_own_sites_until_its_replica_takes_over() {
    let mut cluster = Cluster::start(1).await;
    let owner = cluster.owner("usher:{shop}:outbox").await;
    assert_ne!(owner, cluster.owner("usher:{shop-2}:outbox").await, "the sites are on two servers");
    cluster.follow(3, owner).await;
    let store = open(&cluster).await;
    let elsewhere = |key: &str| Entry { site: other_site(), ..entry(key) };
    store.accept(entry("before")).await.expect("new");
    store.accept(elsewhere("before")).await.expect("new");
    cluster.servers[3].says(&["CLUSTER", "NODES"], "connected").await;

    cluster.servers[owner].kill();
    let began = std::time::Instant::now();
    // The other site's work goes on: it is claimed, and its sales are taken.
    let due = NOW.plus(limits::LEASE_MS);
    let claimed = timeout(Duration::from_secs(8), async {
        loop {
            let claimed = store.claim(due, limits::LEASE_MS, 9).await;
            if let Some(delivery) = claimed.iter().flatten().find(|delivery| delivery.site == other_site()) {
                return delivery.id.clone();
            }
        }
    });
    assert_eq!(claimed.await.expect("claimed"), "conv_before");
    cluster.servers[3].says(&["ROLE"], "master").await;
    println!("promoted after {:?}", began.elapsed());
    let promoted = std::time::Instant::now();
    let accepted = async {
        while store.accept(entry("after")).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        while store.accept(elsewhere("after")).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(5), accepted).await.expect("within five seconds of the promotion");
    println!("answers again after {:?}", promoted.elapsed());
    assert!(matches!(store.accept(entry("before")).await, Ok(Acceptance::Same(_))), "the replica had it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_lost_slots_says_so_and_goes_on_afterwards() {
    let cluster = Cluster::start(0).await;
    let store = open(&cluster).await;
    let owner = cluster.owner("usher:{shop}:outbox").await;
    cluster.servers[owner].signal("STOP");
    let refused = store.accept(entry("a")).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    assert!(matches!(store.ready().await, Err(StoreError::Unavailable(_))));
    cluster.servers[owner].signal("CONT");
    let ready = async {
        while store.ready().await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(10), ready).await.expect("ready again");
    store.accept(entry("a")).await.expect("accepted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn codes_are_told_from_whichever_server_has_them() {
    let cluster = Cluster::start(0).await;
    let store = open(&cluster).await;
    let mut changes = store.code_changes();
    while timeout(Duration::from_millis(700), changes.changed()).await.is_ok() {}
    for key in ["usher:shop:codes", "usher:shop-2:codes"] {
        let owner = &cluster.servers[cluster.owner(key).await];
        let said = owner.command(&["HSET", key, "SPRING", r#"{"affiliate":"alice"}"#]).await;
        assert_eq!(said.trim(), ":1");
        timeout(Duration::from_secs(1), changes.changed()).await.expect("told").expect("it lives");
    }
    for site in sites() {
        assert_eq!(store.codes(&site).await.expect("codes").len(), 1);
    }
    store.put_codes(&site(), vec![(promo("summer"), code(r#"{"affiliate":"bob"}"#))]).await.expect("put");
    timeout(Duration::from_secs(1), changes.changed()).await.expect("told").expect("it lives");
}
