//! What the shared store alone has to promise: other programs, other edges, and a server that fails.

use crate::{
    redis_server::RedisServer,
    sample::{
        NOW, click, code, dead, delivered, entry, ids, minting, other_site, pending, promo, site, sites,
        using,
    },
};
use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{sync::watch, time::timeout};
use usher_model::{Acceptance, Entry, limits};
use usher_store::{Role, Store, StoreError};

/// Far above the 25 ms that a read may take, for a machine that is busy; far below what waiting would take.
const SOON: Duration = Duration::from_millis(250);

async fn edge(server: &RedisServer) -> Arc<dyn Store> {
    usher_store::open(&server.url(), &sites(), Role::Service).await.expect("a store")
}

async fn quiet(changes: &mut watch::Receiver<u64>) {
    while timeout(Duration::from_millis(700), changes.changed()).await.is_ok() {}
}

async fn told(changes: &mut watch::Receiver<u64>) {
    timeout(Duration::from_secs(1), changes.changed())
        .await
        .expect("told within a second")
        .expect("the store lives");
}

/// Waits until a read is answered again.
async fn recovered(store: &dyn Store) {
    let again = async {
        while store.click(&site(), &click("x").id).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(5), again).await.expect("answers again within five seconds");
}

/// Redis does not answer: the first read says so soon, and those after it at once.
async fn reads_fail_fast(store: &dyn Store) {
    let id = click("x").id;
    let began = Instant::now();
    let first = store.click(&site(), &id).await;
    assert!(matches!(first, Err(StoreError::Unavailable(_))), "{first:?}");
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    let began = Instant::now();
    for _ in 0..100 {
        let next = store.click(&site(), &id).await;
        assert!(matches!(next, Err(StoreError::Unavailable(_))), "{next:?}");
    }
    assert!(began.elapsed() < SOON, "100 reads took {:?}", began.elapsed());
    assert!(store.ready().await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_other_programs_write_is_seen_within_a_second() {
    let server = RedisServer::start(&[]).await;
    let store = edge(&server).await;
    let mut changes = store.code_changes();
    quiet(&mut changes).await;
    let key = "usher:shop:codes";
    for command in [
        &["HSET", key, "SPRING", r#"{"affiliate":"alice","note":"ours"}"#][..],
        &["HSET", key, " été ", r#"{"affiliate":"bob"}"#],
        &["HSET", key, "BAD", "{"],
        &["HSET", key, "spring", r#"{"affiliate":"nobody"}"#],
        &["HDEL", key, "BAD"],
        &["HSET", "usher:{shop}:code_uses", "SPRING", "3"],
    ] {
        server.command(command).await;
        told(&mut changes).await;
    }
    let mut codes = store.codes(&site()).await.expect("codes");
    codes.sort_by(|a, b| a.0.cmp(&b.0));
    let names: Vec<_> =
        codes.iter().map(|(name, code)| (name.as_str(), code.affiliate.as_str(), code.uses)).collect();
    assert_eq!(names, [("SPRING", "alice", 3), ("ÉTÉ", "bob", 0)], "the field as documented counts");

    assert!(store.remove_code(&site(), &promo("spring")).await.expect("removed"));
    assert_eq!(store.codes(&site()).await.expect("codes").len(), 1, "however it was written");
    quiet(&mut changes).await;
    server.command(&["FLUSHALL"]).await;
    told(&mut changes).await;
    server.command(&["SET", "usher:{shop}:other", "1"]).await;
    assert!(timeout(Duration::from_millis(500), changes.changed()).await.is_err(), "that is no code");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_site_that_comes_later_is_worked_for_and_its_codes_are_followed() {
    let server = RedisServer::start(&[]).await;
    let late = &other_site();
    let store = usher_store::open(&server.url(), &[site()], Role::Service).await.expect("a store");
    let another = edge(&server).await;
    let due = Entry { site: late.clone(), send: usher_model::Send::From(NOW), ..entry("late") };
    another.accept(due).await.expect("written");
    assert!(store.claim(NOW, limits::LEASE_MS, 9).await.expect("claimed").is_empty());

    let mut changes = store.code_changes();
    quiet(&mut changes).await;
    let sites = [site(), late.clone()];
    store.serve(&sites).await.expect("served");
    assert_eq!(ids(&store.claim(NOW, limits::LEASE_MS, 9).await.expect("claimed")), ["conv_late"]);
    quiet(&mut changes).await;
    for name in &sites {
        server.command(&["HSET", &format!("usher:{name}:codes"), "SPRING", r#"{"affiliate":"alice"}"#]).await;
        told(&mut changes).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn codes_are_read_in_pages() {
    let server = RedisServer::start(&[]).await;
    let store = edge(&server).await;
    let many = (0..5_000).map(|i| (promo(&format!("code-{i}")), code(r#"{"affiliate":"alice"}"#)));
    store.put_codes(&site(), many.collect()).await.expect("put");
    assert_eq!(store.codes(&site()).await.expect("codes").len(), 5_000);
    store.put_codes(&site(), Vec::new()).await.expect("nothing to do");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_will_not_track_is_looked_at_again_and_again() {
    let server = RedisServer::start(&[]).await;
    server.command(&["ACL", "SETUSER", "edge", "on", ">word", "~*", "&*", "+@all", "-client|tracking"]).await;
    let url = server.url().replace("redis://", "redis://edge:word@");
    let store = usher_store::open(&url, &sites(), Role::Service).await.expect("a store");
    let mut changes = store.code_changes();
    for _ in 0..3 {
        told(&mut changes).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_costs_no_reader_time_and_is_found_again() {
    let mut server = RedisServer::start(&[]).await;
    let store = edge(&server).await;
    assert!(matches!(store.accept(entry("before")).await, Ok(Acceptance::New(_))));
    let mut changes = store.code_changes();
    quiet(&mut changes).await;
    server.kill();
    reads_fail_fast(&*store).await;

    // Writes wait for it: this one is answered when the server is there again.
    let during = tokio::spawn({
        let store = store.clone();
        async move { store.accept(entry("during")).await }
    });
    server.restart().await;
    recovered(&*store).await;
    assert!(matches!(during.await.expect("a task"), Ok(Acceptance::New(_))));
    assert!(
        matches!(store.accept(entry("before")).await, Ok(Acceptance::Same(_))),
        "what was acknowledged is there"
    );
    told(&mut changes).await;
    quiet(&mut changes).await;
    server.command(&["HSET", "usher:shop:codes", "NEW", r#"{"affiliate":"alice"}"#]).await;
    told(&mut changes).await;
    assert_eq!(store.codes(&site()).await.expect("codes").len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_server_costs_one_reader_its_budget_and_is_found_again() {
    let server = RedisServer::start(&[]).await;
    let store = edge(&server).await;
    recovered(&*store).await;
    server.signal("STOP");
    reads_fail_fast(&*store).await;
    server.signal("CONT");
    recovered(&*store).await;
    assert!(matches!(store.accept(entry("after")).await, Ok(Acceptance::New(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_server_takes_nothing_and_nothing_by_halves() {
    let server = RedisServer::start(&["--maxmemory-policy", "noeviction"]).await;
    let store = edge(&server).await;
    let first = entry("first");
    let Ok(Acceptance::New(held)) = store.accept(first.clone()).await else { panic!("not new") };
    server.command(&["CONFIG", "SET", "maxmemory", "1mb"]).await;

    let greedy = Entry { code: using("x", "spring", Some(3)).code, ..minting("greedy", "ush_greedy") };
    for refused in [
        store.accept(greedy.clone()).await.map(|_| ()),
        store.record_clicks(vec![(click("c"), Some(pending()))]).await,
        store.put_codes(&site(), vec![(promo("spring"), code(r#"{"affiliate":"alice"}"#))]).await,
        store.settle(&held[0], delivered(Some("up")), NOW).await,
        store.settle(&held[0], dead("no"), NOW).await,
        store.ready().await,
    ] {
        assert!(matches!(refused, Err(StoreError::Full(_))), "{refused:?}");
    }
    assert!(
        matches!(store.accept(first).await, Ok(Acceptance::Same(state)) if state.answer.is_none()),
        "reads work"
    );
    let keys = server.command(&["KEYS", "*"]).await;
    assert!(!keys.contains("greedy") && !keys.contains("code_uses") && !keys.contains("click:c"), "{keys}");

    server.command(&["CONFIG", "SET", "maxmemory", "0"]).await;
    store.ready().await.expect("by itself");
    assert!(matches!(store.accept(greedy).await, Ok(Acceptance::New(_))));
    store.settle(&held[0], delivered(Some("up")), NOW).await.expect("settled");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_became_a_replica_takes_nothing_until_it_is_the_primary_again() {
    let server = RedisServer::start(&[]).await;
    let store = edge(&server).await;
    server.command(&["REPLICAOF", "127.0.0.1", "1"]).await;
    let refused = store.accept(entry("a")).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    server.command(&["REPLICAOF", "NO", "ONE"]).await;
    recovered(&*store).await;
    assert!(matches!(store.accept(entry("a")).await, Ok(Acceptance::New(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_starts_while_redis_is_down_and_a_tool_says_so() {
    let mut server = RedisServer::start(&[]).await;
    server.kill();
    let tool = usher_store::open(&server.url(), &sites(), Role::Tool).await;
    assert!(matches!(tool, Err(StoreError::Unavailable(_))));
    let store = edge(&server).await;
    assert!(store.ready().await.is_err());
    let mut changes = store.code_changes();
    server.restart().await;
    recovered(&*store).await;
    told(&mut changes).await;
    store.ready().await.expect("ready");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_is_a_wrong_setting_and_is_not_repeated() {
    let server = RedisServer::start(&[]).await;
    server.command(&["CONFIG", "SET", "requirepass", "right"]).await;
    for url in [server.url(), server.url().replace("redis://", "redis://:s3cret@")] {
        let Err(StoreError::Settings(why)) = usher_store::open(&url, &sites(), Role::Service).await else {
            panic!("opened, or another error")
        };
        assert!(!why.contains("s3cret"), "{why}");
    }
    let url = server.url().replace("redis://", "redis://:right@");
    usher_store::open(&url, &sites(), Role::Service).await.expect("the right one");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_tls_is_no_store_for_rediss() {
    let server = RedisServer::start(&[]).await;
    let url = server.url().replace("redis://", "rediss://");
    let tool = usher_store::open(&url, &sites(), Role::Tool).await;
    assert!(matches!(tool, Err(StoreError::Unavailable(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_that_the_server_lost_are_sent_again() {
    let server = RedisServer::start(&[]).await;
    let store = edge(&server).await;
    assert!(matches!(store.accept(entry("a")).await, Ok(Acceptance::New(_))));
    server.command(&["SCRIPT", "FLUSH"]).await;
    assert!(matches!(store.accept(entry("b")).await, Ok(Acceptance::New(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edges_share_the_work_and_take_over_from_the_dead() {
    const ALL: usize = 300;
    let server = RedisServer::start(&[]).await;
    let gone = edge(&server).await;
    for i in 0..ALL {
        gone.accept(entry(&i.to_string())).await.expect("new");
    }
    drop(gone);
    let later = NOW.plus(limits::LEASE_MS);
    let edges = [edge(&server).await, edge(&server).await, edge(&server).await];
    assert!(edges[0].claim(later.plus(-1), 10, 9).await.expect("a claim").is_empty(), "still the dead one's");
    let tasks: Vec<_> = edges
        .into_iter()
        .map(|edge| {
            tokio::spawn(async move {
                let mut mine = Vec::new();
                while edge.backlog().await.expect("a backlog").waiting > 0 {
                    for delivery in edge.claim(later, limits::LEASE_MS, 10).await.expect("a claim") {
                        edge.settle(&delivery, delivered(Some("up")), later).await.expect("settled");
                        mine.push(delivery.id);
                    }
                }
                mine
            })
        })
        .collect();
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await.expect("a task"));
    }
    assert_eq!((all.len(), all.into_iter().collect::<HashSet<_>>().len()), (ALL, ALL));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clicks_expire_and_records_do_not() {
    let server = RedisServer::start(&[]).await;
    let store = edge(&server).await;
    let Ok(Acceptance::New(held)) = store.accept(entry("a")).await else { panic!("not new") };
    let ttl = async |key: &str| {
        let reply = server.command(&["PTTL", key]).await;
        reply.trim().trim_start_matches(':').parse::<i64>().expect("a number")
    };
    store.settle(&held[0], delivered(Some("up")), NOW).await.expect("settled");
    for key in ["delivery:conv_a", "key:api:conversion:a"] {
        assert_eq!(ttl(&format!("usher:{{shop}}:{key}")).await, -1, "{key} stays until it is forgotten");
    }
    store.record_clicks(vec![(click("c"), None)]).await.expect("written");
    store.bind_order(&site(), "order", &click("c").id, NOW).await.expect("bound");
    for key in ["click:c", "visitor:00000000000000000000000000000007", "order:order", "orders_of:c"] {
        let kept = ttl(&format!("usher:{{shop}}:{key}")).await;
        assert!(kept > limits::CLICKS_KEPT_MS - 60_000 && kept <= limits::CLICKS_KEPT_MS, "{key}: {kept}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_forgotten_leaves_nothing_behind() {
    let server = RedisServer::start(&[]).await;
    let store = edge(&server).await;
    let now = |ms: i64| NOW.plus(ms);
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    let sale = Entry {
        names: names(&["pi_1", "order-1"]),
        click: Some(click("c").id),
        paid: Some(usher_model::Money::parse("99.90", "EUR".parse().expect("a currency")).expect("money")),
        bind: Some((click("c").id, names(&["cus_1"]))),
        ..minting("sale", "ush_sale")
    };
    let refund = |key: &str, of: &str| {
        let of = usher_model::PaymentRef::Named(names(&[of]));
        let amount = usher_model::RefundAmount::Rest;
        let refund = usher_model::Refund { of, amount, currency: None };
        Entry { refund: Some(refund), names: names(&["re_1"]), job: usher_model::Job::Refund, ..entry(key) }
    };
    store.link(&site(), &usher_model::Source::api(), "ch_1", "pi_1", NOW).await.expect("linked");
    store.bind_order(&site(), "order-1", &click("c").id, NOW).await.expect("bound");
    store.accept(refund("early", "ch_1")).await.expect("an orphan");
    store.accept(refund("lost", "nobody")).await.expect("an orphan");
    store.accept(sale).await.expect("new");
    store.accept(refund("late", "order-1")).await.expect("waits");
    for _ in 0..4 {
        for delivery in store.claim(now(limits::LEASE_MS), 1, 9).await.expect("a claim") {
            store.settle(&delivery, delivered(Some("up")), now(1)).await.expect("settled");
        }
    }
    assert_eq!(store.forget(now(2)).await.expect("forgotten"), 9, "5 records, click, customer, order, link");
    let left = server.command(&["KEYS", "*"]).await;
    let mut left: Vec<_> = left.lines().filter(|line| line.starts_with("usher")).collect();
    left.sort_unstable();
    assert_eq!(left, ["usher:{shop}:linking", "usher:{shop}:sources"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_that_can_lose_what_was_acknowledged_are_told() {
    let told = async |settings: &[&str]| -> Vec<String> {
        let server = RedisServer::start(settings).await;
        let found = usher_store::weaknesses(&server.url()).await.expect("it answers");
        found.into_iter().map(|weakness| weakness.what).collect()
    };
    assert_eq!(told(&[]).await, Vec::<String>::new());
    let weak = told(&["--appendfsync", "everysec", "--maxmemory-policy", "allkeys-lru"]).await;
    assert!(
        weak.len() == 2 && weak[0].contains("appendfsync everysec") && weak[1].contains("allkeys-lru"),
        "{weak:?}"
    );
    let weak = told(&["--appendonly", "no"]).await;
    assert!(weak.len() == 1 && weak[0].contains("no append-only file"), "{weak:?}");
    let mute = told(&["--rename-command", "CONFIG", ""]).await;
    assert!(mute.len() == 1 && mute[0].contains("does not tell"), "{mute:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_that_cannot_be_read_is_passed_over() {
    let server = RedisServer::start(&[]).await;
    let store = edge(&server).await;
    for key in ["a", "b"] {
        store.accept(entry(key)).await.expect("new");
    }
    server.command(&["HSET", "usher:{shop}:delivery:conv_a", "job", "nonsense"]).await;
    let now = NOW.plus(limits::LEASE_MS);
    assert_eq!(ids(&store.claim(now, 10, 9).await.expect("a claim")), ["conv_b"]);
}
