//! `usher serve`: wires store, platform, core, edge and admin together, and takes them down in order.

use crate::{
    certificates::OverHttps,
    config::{Admin, Config},
    system::{OsRandom, SystemClock},
};
use anyhow::Context;
use hmac::{Hmac, KeyInit, Mac};
use prometheus_client::registry::Registry;
use sha2::Sha256;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use usher_core::{Core, Keyring, Tools};
use usher_edge::{Edge, Metrics};
use usher_model::{Clock, Random, Secret, SiteName, limits};
use usher_store::Role;
use usher_upstream::Client;

/// Serves until the process is asked to stop.
pub(crate) async fn run(config: Config) -> anyhow::Result<()> {
    let stop = stop_signal()?;
    let service = Service::start(config).await?;
    stop.await;
    service.stop().await;
    Ok(())
}

/// A running service.
pub(crate) struct Service {
    /// Where the public listeners are, in the order of the configuration.
    pub(crate) http: Vec<SocketAddr>,
    core: Arc<Core>,
    fronts: Vec<JoinHandle<()>>,
    stop: CancellationToken,
}

impl Service {
    /// Binds, opens the store, starts everything. Nothing is left behind when it fails.
    pub(crate) async fn start(config: Config) -> anyhow::Result<Self> {
        // Addresses first: a port that is taken is the likeliest mistake, and the cheapest to find.
        let listeners = bind_all(&config.http).await?;
        let admin = bind_admin(config.admin).await?;
        let http = listeners.iter().map(TcpListener::local_addr).collect::<Result<Vec<_>, _>>()?;
        let admin_address = admin.as_ref().map(TcpListener::local_addr).transpose()?;

        let names: Vec<SiteName> = config.sites.iter().map(|site| site.name.clone()).collect();
        let tools = tools(&config, &names).await?;
        let core = Arc::new(Core::start(&tools, &names).await);
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        let webhooks = names.iter().cloned().zip(config.webhooks).collect();
        let settings =
            usher_edge::Settings { sites: config.sites, webhooks, trusted_proxies: config.trusted_proxies };
        let keyring = Keyring::new(OverHttps::new()?);
        let edge =
            Arc::new(Edge::new(settings, Arc::clone(&core), keyring, Arc::clone(&tools.clock), metrics));
        let stop = CancellationToken::new();
        let mut fronts = Vec::new();
        if let Some(listener) = admin {
            let state = usher_admin::State::new(tools.store, core.delivery.clone(), registry, Vec::new());
            fronts.push(tokio::spawn(usher_admin::serve(listener, state, stop.clone())));
        }
        fronts.push(tokio::spawn(edge.serve(listeners, stop.clone())));
        let shown = http.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        match admin_address {
            Some(admin) => tracing::info!(http = %shown, %admin, store = %config.store_url, "listening"),
            None => tracing::info!(http = %shown, store = %config.store_url, "listening"),
        }
        Ok(Self { http, core, fronts, stop })
    }

    /// Takes the service down in order: no new connections, open requests finish, then what is written in the background.
    pub(crate) async fn stop(self) {
        tracing::info!("stopping");
        self.stop.cancel();
        for front in self.fronts {
            if let Err(error) = front.await {
                tracing::error!(%error, "a listener ended badly");
            }
        }
        match Arc::try_unwrap(self.core) {
            Ok(core) => core.finish(Duration::from_millis(limits::DRAIN_MS)).await,
            Err(_) => tracing::warn!(
                "requests are still under way; what they wrote is on disk and goes on at the next start"
            ),
        }
        tracing::info!("stopped");
    }
}

async fn tools(config: &Config, names: &[SiteName]) -> anyhow::Result<Tools> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let store = usher_store::open(config.store_url.expose(), names, Role::Service)
        .await
        .with_context(|| format!("cannot open the store {}", config.store_url))?;
    let upstream = usher_upstream::Settings {
        base_url: config.upstream.base_url.clone(),
        api_key: config.upstream.api_key.clone(),
        signing_secret: config.upstream.signing_secret.clone(),
    };
    Ok(Tools {
        platform: Arc::new(Client::new(upstream, Arc::clone(&clock))?),
        clock,
        random: Arc::new(OsRandom),
        store,
        click_budget: Duration::from_millis(config.upstream.click_budget_ms.into()),
        truncate_addresses: config.privacy.truncate_addresses,
        retention_days: config.privacy.retention_days,
        visitor_key: visitor_key(config),
    })
}

/// The key that tells visitors apart has to be the same on every edge of a store, so it comes from a secret that they
/// share; without one each process has its own, and only cookies tell visitors apart between them.
fn visitor_key(config: &Config) -> [u8; 32] {
    let shared: Option<&Secret> =
        config.sites.iter().find_map(|site| site.names_secret.as_ref()).or(config.upstream.api_key.as_ref());
    let mut key = [0; 32];
    match shared.and_then(|secret| Hmac::<Sha256>::new_from_slice(secret.expose()).ok()) {
        Some(mut mac) => {
            mac.update(b"usher: visitors without a cookie");
            key = mac.finalize().into_bytes().into();
        }
        None => OsRandom.fill(&mut key),
    }
    key
}

async fn bind_all(addresses: &[SocketAddr]) -> anyhow::Result<Vec<TcpListener>> {
    let mut listeners = Vec::with_capacity(addresses.len());
    for address in addresses {
        listeners.push(bind("server.http", *address).await?);
    }
    Ok(listeners)
}

async fn bind_admin(admin: Admin) -> anyhow::Result<Option<TcpListener>> {
    match admin {
        Admin::Off => Ok(None),
        Admin::At(address) => bind("server.admin", address).await.map(Some),
        // Nobody asked for this port, so that it is taken stops nothing.
        Admin::Usual => match TcpListener::bind(Admin::USUAL).await {
            Ok(listener) => Ok(Some(listener)),
            Err(error) => {
                tracing::warn!(%error, address = %Admin::USUAL, "health and metrics are off: set server.admin to another address");
                Ok(None)
            }
        },
    }
}

async fn bind(key: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address} ({key})"))
}

/// Ready when the process is asked to stop (SIGINT, SIGTERM). SIGHUP, which asks for a reload, must not end it.
pub(crate) fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut hang_up = signal(SignalKind::hangup())?;
    Ok(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => return,
                _ = terminate.recv() => return,
                _ = hang_up.recv() => tracing::warn!("this version does not reload: restart it to read the configuration"),
            }
        }
    })
}
