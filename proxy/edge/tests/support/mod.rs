//! An edge on a loopback port, over the real jobs and the embedded store, with a scripted platform behind it.
#![allow(dead_code, unused_imports, reason = "each suite uses its own part")]

mod client;
mod platform;

pub(crate) use client::{Ask, Reply};
pub(crate) use platform::Scripted;

use hmac::{Hmac, KeyInit, Mac};
use prometheus_client::registry::Registry;
use sha2::Sha256;
use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use usher_core::{Certificates, Core, FetchError, Keyring, Policy, Tools};
use usher_edge::{Edge, Listener, Metrics, Names, Settings};
use usher_model::{Clock, Code, PromoCode, Random, Secret, Site, SiteName, UnixMs};
use usher_providers::Webhook;
use usher_store::{Role, Store};

/// A user agent that no list of bots knows.
pub(crate) const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0";
/// What the clock always says.
pub(crate) const NOW_S: i64 = 1_700_000_000;

pub(crate) struct World {
    pub(crate) at: SocketAddr,
    pub(crate) platform: Arc<Scripted>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) core: Arc<Core>,
    pub(crate) edge: Arc<Edge>,
    pub(crate) site: Site,
    pub(crate) registry: Registry,
    pub(crate) shutdown: CancellationToken,
    pub(crate) served: JoinHandle<()>,
    _folder: tempfile::TempDir,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Site)) -> Self {
        let mut site = site();
        change(&mut site);
        Self::build(site, Vec::new(), Keyring::new(NoCertificates), Arc::new(StoppedClock)).await
    }

    /// A world whose site has these webhooks.
    pub(crate) async fn build(
        site: Site,
        webhooks: Vec<Webhook>,
        keyring: Keyring,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite:{}", folder.path().join("usher.db").display());
        let names = [site.name.clone()];
        let store = usher_store::open(&url, &names, Role::Service).await.expect("a store");
        let platform = Arc::new(Scripted::default());
        let tools = Tools {
            clock: Arc::clone(&clock),
            random: Arc::new(Counter::default()),
            store: Arc::clone(&store),
            platform: Arc::clone(&platform) as _,
            policy: Policy {
                click_budget: Duration::from_secs(5),
                truncate_addresses: true,
                retention_days: 395,
                visitor_key: [7; 32],
            }
            .into(),
        };
        let core = Arc::new(Core::start(&tools, &names).await);
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        let settings = Settings {
            sites: vec![site.clone()],
            webhooks: HashMap::from([(site.name.clone(), webhooks)]),
            trusted_proxies: vec!["127.0.0.0/8".parse().expect("a net")],
        };
        let edge = Arc::new(Edge::new(settings, Arc::clone(&core), keyring, clock, metrics));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let at = listener.local_addr().expect("an address");
        let shutdown = CancellationToken::new();
        let served = tokio::spawn(Arc::clone(&edge).serve(vec![Listener::plain(listener)], shutdown.clone()));
        Self { at, platform, store, core, edge, site, registry, shutdown, served, _folder: folder }
    }

    pub(crate) fn names(&self) -> Names {
        Names::derive(self.site.names_secret.as_ref(), &self.site.name)
    }

    /// A request to the site's first host.
    pub(crate) fn ask(&self, method: &str, path: &str) -> Ask {
        Ask::new(self.at, method, path).header("Host", "shop.example").header("User-Agent", BROWSER)
    }

    /// A page of the shop reports `via=alice`.
    pub(crate) fn report(&self) -> Ask {
        self.ask("POST", "/r/track")
            .header("Origin", "https://shop.example")
            .header("Content-Type", "application/json")
            .body(r#"{"programId":"prog","url":"https://shop.example/?via=alice"}"#)
    }

    /// The shop's server reports a sale with that event id.
    pub(crate) fn sale(&self, event: &str) -> Ask {
        self.ask("POST", "/r/v1/conversions")
            .header("Authorization", "Bearer shop-key")
            .header("Content-Type", "application/json")
            .body(&sale(event))
    }

    pub(crate) async fn put_code(&self, code: &str) {
        let folded = PromoCode::fold(code).expect("a code");
        let value = Code::from_json(r#"{"affiliate":"carol"}"#).expect("a value");
        self.store.put_codes(&self.site.name, vec![(folded.clone(), value)]).await.expect("written");
        let site = Arc::new(self.site.clone());
        while !matches!(self.core.codes.find(&site, &folded), Ok(Some(_))) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) fn metrics(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).expect("text");
        text
    }
}

pub(crate) fn sale(event: &str) -> String {
    format!(
        r#"{{"external_event_id":"{event}","referral_id":"cid-9","sale_amount":49.90,"sale_amount_currency":"EUR"}}"#
    )
}

/// Lower-case hex of HMAC-SHA256 over `timestamp.body`: the platform's request signature.
pub(crate) fn signature(secret: &str, timestamp: i64, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key");
    mac.update(format!("{timestamp}.{body}").as_bytes());
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn site() -> Site {
    let hosts = vec!["shop.example".to_owned(), "go.shop.example".to_owned()];
    Site {
        names_secret: Some(Secret::new("names")),
        api_keys: vec![Secret::new("shop-key")],
        ..Site::new(SiteName::new("shop").expect("a name"), hosts, "prog".to_owned())
    }
}

struct NoCertificates;

#[async_trait::async_trait]
impl Certificates for NoCertificates {
    async fn fetch(&self, _: &str, _: std::time::Duration) -> Result<String, FetchError> {
        Err(FetchError("there is no network".to_owned()))
    }
}

struct StoppedClock;

impl Clock for StoppedClock {
    fn now(&self) -> UnixMs {
        UnixMs(NOW_S * 1000)
    }
}

/// Bytes that never repeat.
#[derive(Default)]
struct Counter(AtomicU64);

impl Random for Counter {
    fn fill(&self, bytes: &mut [u8]) {
        let next = self.0.fetch_add(1, Ordering::Relaxed).to_le_bytes();
        bytes.iter_mut().zip(next.iter().cycle()).for_each(|(byte, value)| *byte = *value);
    }
}
