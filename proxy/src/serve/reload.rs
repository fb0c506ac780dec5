//! SIGHUP: the configuration is read again and takes effect whole, or not at all.

use super::{
    service::Service,
    sockets::{self, Socket},
    wiring,
};
use crate::{
    config::{self, Config, ProcessEnv},
    system::SystemClock,
};
use anyhow::bail;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use std::path::Path;
use usher_model::{Clock, UnixMs};

/// What monitoring is told of reloads.
pub(crate) struct Reloads {
    all: Family<Came, Counter>,
    last_is_good: Gauge,
    loaded_at_s: Gauge,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Came {
    result: &'static str,
}

impl Reloads {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let reloads =
            Self { all: Family::default(), last_is_good: Gauge::default(), loaded_at_s: Gauge::default() };
        for result in ["success", "failure"] {
            // It is there from the beginning, with nothing counted.
            drop(reloads.all.get_or_create(&Came { result }));
        }
        registry.register("usher_config_reloads", "Reloads of the configuration", reloads.all.clone());
        registry.register(
            "usher_config_last_reload_successful",
            "Whether the running configuration is what the file said when it was last read",
            reloads.last_is_good.clone(),
        );
        registry.register(
            "usher_config_last_reload_success_timestamp_seconds",
            "When the running configuration was read",
            reloads.loaded_at_s.clone(),
        );
        reloads
    }

    /// A configuration is in effect.
    pub(super) fn loaded(&self, now: UnixMs) {
        self.last_is_good.set(1);
        self.loaded_at_s.set(now.seconds());
    }

    fn came(&self, is_good: bool) {
        let result = if is_good { "success" } else { "failure" };
        self.all.get_or_create(&Came { result }).inc();
        if is_good {
            self.loaded(SystemClock.now());
        } else {
            self.last_is_good.set(0);
        }
    }
}

impl Service {
    /// Reads the configuration again and goes on by it. When anything about it is wrong the running one stays, whole.
    pub(super) async fn reload(&mut self, path: &Path) {
        let done = match config::load(path, &ProcessEnv) {
            Ok(config) => self.adopt(config).await,
            Err(findings) => {
                for finding in &findings {
                    match finding.is_error() {
                        true => tracing::error!("{finding}"),
                        false => tracing::warn!("{finding}"),
                    }
                }
                Err(anyhow::anyhow!("its errors are named above"))
            }
        };
        self.reloads.came(done.is_ok());
        match done {
            Ok(()) => tracing::info!(file = %path.display(), sites = self.config.sites.len(), "reloaded"),
            Err(error) => tracing::error!(
                file = %path.display(),
                error = format!("{error:#}"),
                "not reloaded; the running configuration stays"
            ),
        }
    }

    /// Everything that can fail comes first.
    async fn adopt(&mut self, config: Config) -> anyhow::Result<()> {
        if config.store_url.expose() != self.config.store_url.expose() {
            bail!("store.url cannot change while the service runs: restart it");
        }
        let platform = wiring::platform(&config)?;
        let mut pool = sockets::in_use(self.fronts.iter().map(|front| &front.socket))?;
        let wanted = sockets::open(&config, &mut pool).await?;
        let mut names = self.names.clone();
        names.extend(wiring::names(&config).into_iter().filter(|name| !self.names.contains(name)));
        if names.len() > self.names.len() {
            self.core.serve(&names).await?;
            self.names = names;
        }
        Box::pin(self.encryption.adopt(&config)).await?;

        config.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        let has_other_platform = config.upstream.base_url != self.config.upstream.base_url
            || config.upstream.api_key != self.config.upstream.api_key
            || config.upstream.signing_secret != self.config.upstream.signing_secret;
        if has_other_platform {
            self.platform.replace(platform);
        }
        self.policy.set(wiring::policy(&config, self.own_key));
        let (edge, settings) = (&self.edge, wiring::edge(&config));
        // It compresses the files that it serves.
        tokio::task::block_in_place(|| edge.reload(settings));
        if has_other_platform {
            self.core.platform_changed();
        }
        self.config = config;
        self.move_to(wanted);
        Ok(())
    }

    /// Listens where the new configuration says, and nowhere else.
    fn move_to(&mut self, wanted: Vec<Socket>) {
        let is = |a: &Socket, b: &Socket| a.usage == b.usage && a.at == b.at;
        let (old, new): (Vec<_>, Vec<_>) =
            wanted.into_iter().partition(|socket| self.fronts.iter().any(|front| is(&front.socket, socket)));
        let moved = !new.is_empty() || old.len() < self.fronts.len();
        self.close_others(|socket| old.iter().any(|kept| is(kept, socket)));
        for socket in new {
            // It is bound already: only file descriptors may be missing now.
            if let Err(error) = self.open(socket) {
                tracing::error!(error = format!("{error:#}"), "a new address is not served");
            }
        }
        if moved {
            self.say_where();
        }
    }
}
