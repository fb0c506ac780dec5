//! The running service: what is served by TLS, kept up to date.

use crate::{
    Error, Metrics, Settings,
    acme::{self, Challenges},
    resolver::{self, Resolver},
    shelf::{Need, Shelf},
    table::Table,
};
use arc_swap::ArcSwap;
use rustls::ServerConfig;
use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{sync::Notify, time::sleep};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use usher_model::{Clock, Random, limits};

/// What is the same whatever the settings are.
#[derive(Clone)]
pub struct Tools {
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// For pauses between tries.
    pub random: Arc<dyn Random>,
    /// What is counted.
    pub metrics: Metrics,
    /// What validations are shown: whoever answers plain HTTP has the same.
    pub challenges: Challenges,
}

/// Certificates, served and kept up to date until it is stopped or dropped.
pub struct Tls {
    state: Arc<State>,
    config: Arc<ServerConfig>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Tls {
    /// Reads the folders and begins to watch them and to order what is missing.
    ///
    /// # Errors
    /// When a folder cannot be read, or the state of orders cannot be kept.
    pub async fn start(settings: Settings, tools: Tools) -> Result<Self, Error> {
        let challenges = tools.challenges.clone();
        let resolver = Arc::new(Resolver { challenges, ..Resolver::default() });
        let config = Arc::new(resolver::server_config(Arc::clone(&resolver))?);
        let state = Arc::new(State {
            settings: ArcSwap::from_pointee(settings),
            resolver,
            shelf: Mutex::default(),
            tools,
            changed: Notify::new(),
        });
        acme::prepare(&state.settings.load())?;
        refresh(&state, Need::Every).await?;
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        tasks.spawn(watch(Arc::clone(&state), stop.clone()));
        tasks.spawn(acme::run(Arc::clone(&state), stop.clone()));
        Ok(Self { state, config, stop, tasks })
    }

    /// For listeners. It stays the same for as long as this lives: what changes is behind it.
    #[must_use]
    pub fn server_config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// Serves by other settings from now on, and reads all folders anew.
    ///
    /// # Errors
    /// As [`Tls::start`]; then all stays as it was.
    pub async fn reload(&self, settings: Settings) -> Result<(), Error> {
        acme::prepare(&settings)?;
        let before = self.state.settings.swap(Arc::new(settings));
        let read = refresh(&self.state, Need::Every).await;
        if read.is_err() {
            self.state.settings.store(before);
        }
        self.state.changed.notify_one();
        read
    }

    /// Ends watching and ordering, so that another process may. Listeners serve on what they have.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Drop for Tls {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// What watching, ordering and handshakes share.
pub(crate) struct State {
    pub(crate) settings: ArcSwap<Settings>,
    pub(crate) resolver: Arc<Resolver>,
    shelf: Mutex<Shelf>,
    pub(crate) tools: Tools,
    /// Orders may be due that were not.
    pub(crate) changed: Notify,
}

impl State {
    /// Reads the folders and serves what is in them. Handshakes under way keep what they have.
    fn read(&self, need: Need) -> Result<(), Error> {
        let mut shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        // Behind the lock, so that whoever reads last reads by the last settings.
        let settings = self.settings.load_full();
        let certificates = with_folders(&settings, |folders| shelf.read(folders, need))?;
        let (now, before) = (self.tools.clock.now(), self.resolver.table.load_full());
        let table = Table::choose(&settings.hosts, &certificates, &before, now);
        let ends = settings.hosts.iter().map(|host| {
            let ends = table.get(host).map_or(0, |one| one.subject.not_after.seconds());
            (host.as_str(), ends)
        });
        self.tools.metrics.set_ends(ends);
        tell(&before, &table);
        self.resolver.table.store(Arc::new(table));
        Ok(())
    }

    fn needs_reading(&self) -> bool {
        let settings = self.settings.load();
        let mut shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        let settled = with_folders(&settings, |folders| shelf.has_settled_anew(folders));
        settled || self.resolver.table.load().is_stale(self.tools.clock.now())
    }
}

fn with_folders<T>(settings: &Settings, then: impl FnOnce(&[&Path]) -> T) -> T {
    let issued = settings.acme.as_ref().map(acme::folder);
    let folders: Vec<&Path> = settings.certificates.iter().chain(&issued).map(AsRef::as_ref).collect();
    then(&folders)
}

/// One line for each host whose certificate is another than before.
fn tell(before: &Table, now: &Table) {
    for (host, one) in now.iter() {
        if before.get(host).is_none_or(|old| old.key.cert != one.key.cert) {
            let until = one.subject.not_after.rfc3339();
            tracing::info!(host, file = %one.file.display(), until, "certificate");
        }
    }
}

/// Reads the folders on a thread that may wait for the disk.
///
/// # Errors
/// When a folder cannot be read that has to be there.
pub(crate) async fn refresh(state: &Arc<State>, need: Need) -> Result<(), Error> {
    let state = Arc::clone(state);
    // A reading that panics is a reading that failed; nothing is served otherwise because of it.
    tokio::task::spawn_blocking(move || state.read(need)).await.unwrap_or(Ok(()))
}

async fn watch(state: Arc<State>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(Duration::from_millis(limits::TLS_LOOK_MS)) => {}
        }
        let looking = Arc::clone(&state);
        let needed = tokio::task::spawn_blocking(move || looking.needs_reading()).await;
        if needed.unwrap_or(false) && refresh(&state, Need::None).await.is_ok() {
            state.changed.notify_one();
        }
    }
}
