//! A running service: store, platform, jobs, edge and admin, started and taken down in order.

use super::{
    encryption::Encryption,
    reload::Reloads,
    sockets::{self, Pool, Socket, Use},
    untold, wiring,
};
use crate::{
    certificates::OverHttps,
    config::Config,
    descriptors,
    system::{OsRandom, SystemClock},
};
use anyhow::Context;
use prometheus_client::registry::Registry;
use std::{
    net::SocketAddr,
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::{task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;
use usher_core::{Core, Keyring, Live, Tools};
use usher_edge::{Edge, Listener, Metrics};
use usher_model::{SiteName, limits};
use usher_store::{Role, Store, StoreError};
use usher_upstream::{Client, Current};

/// How often it is looked whether something is let go of that tells nobody.
const LOOK: Duration = Duration::from_millis(2);

/// Everything that can be told to be wrong before the store is opened: addresses are bound, settings are usable.
pub(super) struct Prepared {
    config: Config,
    sockets: Vec<Socket>,
    platform: Client,
    edge: Edge,
    registry: Registry,
    reloads: Reloads,
    encryption: Encryption,
    /// How long the store may be another process's.
    patience: Duration,
}

impl Prepared {
    /// Binds what `pool` does not hold.
    ///
    /// # Errors
    /// When an address cannot be bound or a setting not be used.
    pub(super) async fn new(config: Config, pool: &mut Pool) -> anyhow::Result<Self> {
        // Addresses first: a port that is taken is the likeliest mistake, and the cheapest to find.
        let sockets = sockets::open(&config, pool).await?;
        let platform = wiring::platform(&config)?;
        let encryption = Box::pin(Encryption::new(&config)).await?;
        let mut registry = Registry::default();
        let (metrics, reloads) = (Metrics::register(&mut registry), Reloads::register(&mut registry));
        encryption.register(&mut registry);
        let keyring = Keyring::new(OverHttps::new()?);
        // Before the store is asked for: clients wait while it has no owner.
        let edge = Edge::prepare(wiring::edge(&config), keyring, Arc::new(SystemClock), metrics)
            .with_challenges(encryption.challenges())
            .with_connections(descriptors::connections());
        let patience = Duration::ZERO;
        Ok(Self { config, sockets, platform, edge, registry, reloads, encryption, patience })
    }

    /// The same for who comes after another process, which may still be closing the store.
    pub(super) fn after_another(self) -> Self {
        Self { patience: Duration::from_millis(limits::STORE_TAKE_OVER_MS), ..self }
    }

    /// Opens the store and starts everything. Nothing is left behind when it fails.
    ///
    /// # Errors
    /// When the store cannot be opened.
    pub(super) async fn start(self) -> anyhow::Result<Service> {
        let Self { config, sockets, platform, edge, mut registry, reloads, encryption, patience } = self;
        let (names, own_key) = (wiring::names(&config), wiring::own_key());
        let store = open_store(&config, &names, patience).await?;
        let platform = Arc::new(Current::new(platform));
        let tools = Tools {
            clock: Arc::new(SystemClock),
            random: Arc::new(OsRandom),
            store: Arc::clone(&store),
            platform: Arc::clone(&platform) as Arc<dyn usher_upstream::Platform>,
            policy: wiring::policy(&config, own_key).into(),
        };
        let core = Arc::new(Core::start(&tools, &names).await);
        untold::register(&mut registry, &core);
        reloads.loaded(tools.clock.now());
        edge.begin(Arc::clone(&core));
        let admin = usher_admin::State::new(tools.store, core.delivery.clone(), registry, Vec::new());
        let mut service = Service {
            http: Vec::new(),
            edge: Arc::new(edge),
            admin: Arc::new(admin),
            store: Arc::downgrade(&store),
            fronts: Vec::new(),
            policy: tools.policy,
            names,
            config,
            core,
            platform,
            own_key,
            reloads,
            encryption,
        };
        drop(store);
        for socket in sockets {
            service.open(socket)?;
        }
        service.say_where();
        Ok(service)
    }
}

/// A running service.
pub(crate) struct Service {
    /// Where the public listeners are, in the order of the configuration.
    pub(crate) http: Vec<SocketAddr>,
    pub(super) config: Config,
    /// The sites that it works for: those of the configuration, and those that it had before a reload, whose last sales
    /// still reach the platform.
    pub(super) names: Vec<SiteName>,
    pub(super) edge: Arc<Edge>,
    pub(super) core: Arc<Core>,
    pub(super) platform: Arc<Current>,
    pub(super) policy: Live,
    pub(super) own_key: [u8; 32],
    pub(super) reloads: Reloads,
    pub(super) encryption: Encryption,
    pub(super) fronts: Vec<Front>,
    admin: Arc<usher_admin::State>,
    store: Weak<dyn Store>,
}

/// A socket with the task that accepts on it.
pub(super) struct Front {
    pub(super) socket: Socket,
    stop: CancellationToken,
    done: JoinHandle<()>,
}

/// What is left of a service that has let go of its store: its sockets, in which clients wait, and connections on which
/// answers are still under way.
pub(super) struct Retired {
    config: Config,
    sockets: Vec<Socket>,
    edge: Arc<Edge>,
    open: Vec<JoinHandle<()>>,
}

impl Service {
    /// Binds, opens the store, starts everything. Nothing is left behind when it fails.
    ///
    /// # Errors
    /// When an address cannot be bound or the store not be opened.
    pub(crate) async fn start(config: Config) -> anyhow::Result<Self> {
        Prepared::new(config, &mut Pool::default()).await?.start().await
    }

    /// Takes the service down in order: no new connections, open requests finish, then what is written in the background.
    pub(crate) async fn stop(self) {
        tracing::info!("stopping");
        let drain = Duration::from_millis(limits::DRAIN_MS);
        let (_, open) = close(self.fronts);
        self.edge.end_tunnels();
        ended(open).await;
        self.encryption.stop().await;
        if tokio::time::timeout(drain, self.edge.quiet()).await.is_err() {
            tracing::warn!("work for clients that hung up did not end in time");
        }
        self.edge.release();
        finish(self.core, drain).await;
        tracing::info!("stopped");
    }

    /// Accepts on a socket.
    ///
    /// # Errors
    /// When there are no more file descriptors.
    pub(super) fn open(&mut self, socket: Socket) -> anyhow::Result<()> {
        let listener = socket.accepting().with_context(|| format!("cannot accept on {}", socket.at))?;
        let stop = CancellationToken::new();
        let done = match socket.usage {
            Use::Admin => tokio::spawn(usher_admin::serve(listener, Arc::clone(&self.admin), stop.clone())),
            Use::Http | Use::Https => {
                let tls = match socket.usage {
                    Use::Https => Some(self.encryption.server_config().context("https has no certificates")?),
                    _ => None,
                };
                let listener = Listener { socket: listener, tls };
                tokio::spawn(Arc::clone(&self.edge).serve(vec![listener], stop.clone()))
            }
        };
        if socket.usage == Use::Http {
            self.http.push(socket.at);
        }
        self.fronts.push(Front { socket, stop, done });
        Ok(())
    }

    /// Accepts no more on the sockets that are not in `kept`; their connections end in order.
    pub(super) fn close_others(&mut self, kept: impl Fn(&Socket) -> bool) {
        let (stay, go): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.fronts).into_iter().partition(|front| kept(&front.socket));
        self.fronts = stay;
        self.http = self.at(Use::Http);
        // Nobody waits for them: what they still serve is drained as at the end of the process.
        drop(close(go));
    }

    /// Lets go of the store as soon as nothing needs it, for another process. Until just before that everybody is served.
    pub(super) async fn retire(self) -> Retired {
        let calls = Duration::from_millis(limits::HAND_OVER_CALLS_MS);
        if tokio::time::timeout(calls, self.core.leave_to_others()).await.is_err() {
            tracing::warn!("calls to the platform take very long; they are cut off");
        }
        let Self { config, edge, core, admin, store, fronts, encryption, .. } = self;
        encryption.stop().await;
        let (sockets, open) = close(fronts);
        let requests = Duration::from_millis(limits::HAND_OVER_REQUESTS_MS);
        if tokio::time::timeout(requests, edge.quiet()).await.is_err() {
            tracing::warn!(
                "some requests take long; those that come to need the store are asked to try again"
            );
        }
        edge.release();
        drop(admin);
        finish(core, Duration::from_millis(limits::DRAIN_MS)).await;
        let deadline = Instant::now() + requests;
        while store.strong_count() > 0 && Instant::now() < deadline {
            tokio::time::sleep(LOOK).await;
        }
        Retired { config, sockets, edge, open }
    }

    /// Other handles of its sockets.
    ///
    /// # Errors
    /// When there are no more file descriptors.
    pub(super) fn sockets(&self) -> anyhow::Result<Vec<Socket>> {
        Ok(self.fronts.iter().map(|front| front.socket.again()).collect::<std::io::Result<_>>()?)
    }

    /// Where it listens for that.
    fn at(&self, usage: Use) -> Vec<SocketAddr> {
        let of = self.fronts.iter().map(|front| &front.socket).filter(|socket| socket.usage == usage);
        of.map(|socket| socket.at).collect()
    }

    /// Says in the log where it listens.
    pub(super) fn say_where(&self) {
        let [http, https, admin] = [Use::Http, Use::Https, Use::Admin].map(|usage| {
            let all = self.at(usage);
            let all = all.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
            (!all.is_empty()).then_some(all).map(tracing::field::display)
        });
        tracing::info!(http, https, admin, store = %self.config.store_url, "listening");
    }
}

impl Retired {
    /// Serves again by what it had.
    ///
    /// # Errors
    /// As [`Service::start`].
    pub(super) async fn revive(self) -> anyhow::Result<Service> {
        let mut pool = sockets::in_use(&self.sockets)?;
        Prepared::new(self.config, &mut pool).await?.after_another().start().await
    }

    /// Waits until the last answers are out.
    pub(super) async fn drained(self) {
        drop(self.sockets);
        let end = Instant::now() + Duration::from_millis(limits::DRAIN_MS);
        ended(self.open).await;
        // Whoever is cut off comes back to the new process.
        let _ = tokio::time::timeout_at(end, self.edge.tunnels_ended()).await;
    }
}

/// Accepts no more.
fn close(fronts: Vec<Front>) -> (Vec<Socket>, Vec<JoinHandle<()>>) {
    fronts.iter().for_each(|front| front.stop.cancel());
    fronts.into_iter().map(|front| (front.socket, front.done)).unzip()
}

async fn ended(fronts: Vec<JoinHandle<()>>) {
    for front in fronts {
        if let Err(error) = front.await {
            tracing::error!(%error, "a listener ended badly");
        }
    }
}

/// Ends the jobs when nobody uses them any more.
async fn finish(mut core: Arc<Core>, deadline: Duration) {
    let end = Instant::now() + deadline;
    loop {
        match Arc::try_unwrap(core) {
            Ok(core) => return core.finish(end.saturating_duration_since(Instant::now())).await,
            Err(_) if Instant::now() >= end => {
                return tracing::warn!(
                    "requests are still under way; what they wrote is on disk and goes on at the next start"
                );
            }
            Err(shared) => core = shared,
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Opens the store, which another process may be closing right now.
async fn open_store(
    config: &Config,
    names: &[SiteName],
    patience: Duration,
) -> anyhow::Result<Arc<dyn Store>> {
    let deadline = Instant::now() + patience;
    loop {
        match usher_store::open(config.store_url.expose(), names, Role::Service).await {
            Err(StoreError::Settings(_) | StoreError::Unavailable(_)) if Instant::now() < deadline => {
                tokio::time::sleep(LOOK).await;
            }
            opened => return opened.with_context(|| format!("cannot open the store {}", config.store_url)),
        }
    }
}
