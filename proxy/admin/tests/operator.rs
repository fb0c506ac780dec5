//! The operator's face over a socket, on the embedded store.

use async_trait::async_trait;
use prometheus_client::registry::Registry;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_util::sync::CancellationToken;
use usher_admin::State;
use usher_core::{Core, Policy, Tools};
use usher_model::{
    Acceptance, Bound, Click, ClickId, Clock, Code, Delivery, Entry, EntryState, Job, Listing, OrderBinding,
    Payment, PaymentRef, PromoCode, Random, Record, Settlement, SiteName, Source, UnixMs, VisitorKey,
};
use usher_store::{Backlog, PendingClick, Role, Store, StoreError};
use usher_upstream::{CallError, Platform, Reply, TrackAnswer, TrackCall};

struct Nobody;

#[async_trait]
impl Platform for Nobody {
    async fn track(&self, _: TrackCall, _: Duration) -> Result<TrackAnswer, CallError> {
        Err(CallError::Unreachable("nobody".to_owned()))
    }

    async fn deliver(&self, _: Job, _: Option<&str>, _: &str, _: Duration) -> Result<Reply, CallError> {
        Err(CallError::Unreachable("nobody".to_owned()))
    }
}

impl Clock for Nobody {
    fn now(&self) -> UnixMs {
        UnixMs(1_700_000_000_000)
    }
}

impl Random for Nobody {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}

/// A store without room.
struct Full;

fn full<T>() -> usher_store::Result<T> {
    Err(StoreError::Full("no space left on device".to_owned()))
}

#[async_trait]
impl Store for Full {
    async fn codes(&self, _: &SiteName) -> usher_store::Result<Vec<(PromoCode, Code)>> {
        full()
    }
    async fn put_codes(&self, _: &SiteName, _: Vec<(PromoCode, Code)>) -> usher_store::Result<()> {
        full()
    }
    async fn remove_code(&self, _: &SiteName, _: &PromoCode) -> usher_store::Result<bool> {
        full()
    }
    fn code_changes(&self) -> watch::Receiver<u64> {
        watch::channel(0).1
    }
    async fn record_clicks(&self, _: Vec<(Click, Option<PendingClick>)>) -> usher_store::Result<()> {
        full()
    }
    async fn click(&self, _: &SiteName, _: &ClickId) -> usher_store::Result<Option<Click>> {
        full()
    }
    async fn click_of_visitor(
        &self,
        _: &SiteName,
        _: VisitorKey,
        _: UnixMs,
    ) -> usher_store::Result<Option<Click>> {
        full()
    }
    async fn accept(&self, _: Entry) -> usher_store::Result<Acceptance> {
        full()
    }
    async fn accepted(
        &self,
        _: &SiteName,
        _: &usher_model::Source,
        _: Job,
        _: &str,
    ) -> usher_store::Result<Option<(Vec<u8>, EntryState)>> {
        full()
    }
    async fn click_of_customer(&self, _: &SiteName, _: &str) -> usher_store::Result<Option<ClickId>> {
        full()
    }
    async fn claim(&self, _: UnixMs, _: i64, _: usize) -> usher_store::Result<Vec<Delivery>> {
        full()
    }
    async fn settle(&self, _: &Delivery, _: Settlement, _: UnixMs) -> usher_store::Result<()> {
        full()
    }
    async fn backlog(&self) -> usher_store::Result<Backlog> {
        full()
    }
    async fn expunge(
        &self,
        _: &SiteName,
        _: &usher_store::Personal,
    ) -> usher_store::Result<usher_store::Erased> {
        full()
    }
    async fn wipe(&self) -> usher_store::Result<()> {
        full()
    }
    fn erasures(&self) -> watch::Receiver<u64> {
        watch::channel(0).1
    }
    async fn forget(&self, _: UnixMs) -> usher_store::Result<u64> {
        full()
    }
    async fn payment(
        &self,
        _: &SiteName,
        _: &Source,
        _: &PaymentRef,
    ) -> usher_store::Result<Option<Payment>> {
        full()
    }
    async fn link(&self, _: &SiteName, _: &Source, _: &str, _: &str, _: UnixMs) -> usher_store::Result<()> {
        full()
    }
    async fn bind_order(&self, _: &SiteName, _: &str, _: &ClickId, _: UnixMs) -> usher_store::Result<Bound> {
        full()
    }
    async fn order(&self, _: &SiteName, _: &str) -> usher_store::Result<Option<OrderBinding>> {
        full()
    }
    async fn hasten(&self, _: UnixMs) -> usher_store::Result<u64> {
        full()
    }
    async fn find(&self, _: &SiteName, _: &str) -> usher_store::Result<Vec<Record>> {
        full()
    }
    async fn list(&self, _: &Listing) -> usher_store::Result<Vec<Record>> {
        full()
    }
    async fn retry(&self, _: &SiteName, _: &str, _: UnixMs) -> usher_store::Result<bool> {
        full()
    }
    async fn discard(&self, _: &SiteName, _: &str, _: &str, _: UnixMs) -> usher_store::Result<bool> {
        full()
    }
    async fn ready(&self) -> usher_store::Result<()> {
        full()
    }
}

struct World {
    at: SocketAddr,
    shutdown: CancellationToken,
    served: tokio::task::JoinHandle<()>,
    _folder: tempfile::TempDir,
}

async fn world() -> World {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite:{}", folder.path().join("usher.db").display());
    let store = usher_store::open(&url, &[site()], Role::Service).await.expect("a store");
    world_on(store, folder).await
}

fn site() -> SiteName {
    SiteName::new("shop").expect("a name")
}

async fn world_on(store: Arc<dyn Store>, folder: tempfile::TempDir) -> World {
    let tools = Tools {
        clock: Arc::new(Nobody),
        random: Arc::new(Nobody),
        store: Arc::clone(&store),
        platform: Arc::new(Nobody),
        policy: Policy {
            click_budget: Duration::from_millis(100),
            truncate_addresses: true,
            retention_days: 395,
            visitor_key: [7; 32],
        }
        .into(),
    };
    let core = Core::start(&tools, &[site()]).await;
    let state =
        State::new(store, core.delivery.clone(), Registry::default(), vec!["ops.internal".to_owned()]);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let at = listener.local_addr().expect("an address");
    let shutdown = CancellationToken::new();
    let served = tokio::spawn(usher_admin::serve(listener, state, shutdown.clone()));
    World { at, shutdown, served, _folder: folder }
}

async fn ask(world: &World, method: &str, path: &str, host: &str) -> String {
    let mut stream = TcpStream::connect(world.at).await.expect("a connection");
    let request = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    answer
}

#[tokio::test]
async fn the_operator_sees_health_readiness_and_metrics() {
    let world = world().await;
    let health = ask(&world, "GET", "/healthz", "127.0.0.1:9090").await;
    assert!(health.starts_with("HTTP/1.1 200") && health.ends_with("\r\n\r\nok"), "{health}");
    let ready = ask(&world, "GET", "/readyz", "ops.internal").await;
    assert!(ready.starts_with("HTTP/1.1 200"), "{ready}");
    let body = r#"{"ready":true,"reasons":[],"warnings":[],"outbox":{"waiting":0,"dead":0,"orphans":0,"oldest_age_ms":null}}"#;
    assert!(ready.ends_with(body), "{ready}");
    let metrics = ask(&world, "GET", "/metrics", "localhost").await;
    assert!(
        metrics.contains("usher_store_ready 1\n") && metrics.contains("usher_outbox_waiting 0\n"),
        "{metrics}"
    );
    for name in ["usher_outbox_dead", "usher_outbox_orphans", "usher_outbox_oldest_age_seconds"] {
        assert!(metrics.contains(&format!("{name} 0\n")), "no {name} in {metrics}");
    }
    assert!(metrics.ends_with("# EOF\n"));
}

#[tokio::test]
async fn a_store_without_room_is_not_ready_and_says_why() {
    let world = world_on(Arc::new(Full), tempfile::tempdir().expect("a folder")).await;
    let ready = ask(&world, "GET", "/readyz", "localhost").await;
    assert!(ready.starts_with("HTTP/1.1 503"), "{ready}");
    assert!(
        ready.contains(r#""ready":false,"reasons":["the store is full: no space left on device"]"#),
        "{ready}"
    );
    assert!(ask(&world, "GET", "/metrics", "localhost").await.contains("usher_store_ready 0\n"));
    assert!(ask(&world, "GET", "/healthz", "localhost").await.starts_with("HTTP/1.1 200"));
}

/// A sale that the deliverer finds in the store.
fn sale(number: u32) -> Entry {
    Entry {
        id: usher_model::RecordId::new(format!("conv_{number}")).expect("an id"),
        site: site(),
        source: usher_model::Source::api(),
        job: Job::Conversion,
        key: number.to_string(),
        fingerprint: [0; 32],
        body: r#"{"referral_id":"c"}"#.to_owned(),
        click: None,
        needs: None,
        mint: None,
        code: None,
        bind: None,
        names: Vec::new(),
        paid: None,
        refund: None,
        send: usher_model::Send::From(Nobody.now()),
        trace: "{}".to_owned(),
        now: Nobody.now(),
    }
}

#[tokio::test]
async fn an_outage_and_what_failed_for_good_are_told_with_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite:{}", folder.path().join("usher.db").display());
    let store = usher_store::open(&url, &[site()], Role::Service).await.expect("a store");
    for number in 0..8 {
        store.accept(sale(number)).await.expect("accepted");
    }
    store.accept(Entry { send: usher_model::Send::Now, ..sale(8) }).await.expect("accepted");
    let dead = Settlement::Dead { answer: None, error: "422".to_owned() };
    store.settle(&delivery("conv_8"), dead, Nobody.now()).await.expect("settled");
    let world = world_on(Arc::clone(&store), folder).await;
    let told = async {
        loop {
            let ready = ask(&world, "GET", "/readyz", "localhost").await;
            if ready.contains("has not answered") {
                return ready;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let ready = tokio::time::timeout(Duration::from_secs(20), told).await.expect("it is told");
    assert!(ready.starts_with("HTTP/1.1 200"), "sales are taken all the same: {ready}");
    let since = "site shop: the platform has not answered since 2023-11-14T22:13:";
    assert!(ready.contains(since), "{ready}");
    assert!(ready.contains("1 delivery failed for good: `usher outbox list --state dead`"), "{ready}");
    let metrics = ask(&world, "GET", "/metrics", "localhost").await;
    for line in
        ["usher_site_unanswered{site=\"shop\"} 1\n", "usher_outbox_waiting 8\n", "usher_outbox_dead 1\n"]
    {
        assert!(metrics.contains(line), "no {line} in {metrics}");
    }
}

fn delivery(id: &str) -> Delivery {
    Delivery {
        id: id.to_owned(),
        site: site(),
        job: Job::Conversion,
        body: "{}".to_owned(),
        needs: None,
        refund: None,
        attempts: 0,
        log: Vec::new(),
        created_at: Nobody.now(),
    }
}

#[tokio::test]
async fn nothing_else_is_there() {
    let world = world().await;
    for path in ["/", "/api/", "/api/openapi.json", "/healthz/", "/../healthz"] {
        assert!(ask(&world, "GET", path, "localhost").await.starts_with("HTTP/1.1 404"), "{path}");
    }
    let post = ask(&world, "POST", "/healthz", "localhost").await;
    assert!(post.starts_with("HTTP/1.1 405") && post.contains("allow: GET, HEAD"), "{post}");
    let head = ask(&world, "HEAD", "/healthz", "localhost").await;
    assert!(head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n"), "{head}");
    let rebound = ask(&world, "GET", "/metrics", "evil.example").await;
    assert!(rebound.starts_with("HTTP/1.1 421") && !rebound.contains("usher_"), "{rebound}");
}

#[tokio::test]
async fn it_ends_when_told() {
    let world = world().await;
    let mut idle = TcpStream::connect(world.at).await.expect("a connection");
    assert!(ask(&world, "GET", "/healthz", "localhost").await.starts_with("HTTP/1.1 200"));
    world.shutdown.cancel();
    world.served.await.expect("it ends");
    let mut rest = Vec::new();
    let _ = idle.read_to_end(&mut rest).await;
    assert!(rest.is_empty());
}
