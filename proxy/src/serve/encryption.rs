//! TLS as the configuration has it: none, or certificates that are kept up to date.

use super::wiring;
use crate::config::Config;
use anyhow::Context;
use prometheus_client::registry::Registry;
use rustls::ServerConfig;
use std::sync::Arc;
use usher_tls::{Challenges, Tls, Tools};

/// Certificates, while the configuration asks for any.
pub(super) struct Encryption {
    tools: Tools,
    tls: Option<Tls>,
}

impl Encryption {
    /// Reads the certificates and begins to keep them.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(super) async fn new(config: &Config) -> anyhow::Result<Self> {
        let mut encryption = Self { tools: wiring::tls_tools(), tls: None };
        encryption.adopt(config).await?;
        Ok(encryption)
    }

    /// Goes on as `config` says.
    ///
    /// # Errors
    /// When its certificates cannot be read; then all stays as it was.
    pub(super) async fn adopt(&mut self, config: &Config) -> anyhow::Result<()> {
        match (wiring::tls(config)?, &self.tls) {
            (None, _) => self.tls = None,
            (Some(settings), Some(tls)) => tls.reload(settings).await.context("tls")?,
            (Some(settings), None) => {
                self.tls = Some(Tls::start(settings, self.tools.clone()).await.context("tls")?);
            }
        }
        Ok(())
    }

    /// What validations of plain HTTP are answered with.
    pub(super) fn challenges(&self) -> Challenges {
        self.tools.challenges.clone()
    }

    /// Shows what is counted.
    pub(super) fn register(&self, registry: &mut Registry) {
        self.tools.metrics.register(registry);
    }

    /// For listeners.
    pub(super) fn server_config(&self) -> Option<Arc<ServerConfig>> {
        self.tls.as_ref().map(Tls::server_config)
    }

    /// Lets another process keep the certificates. Listeners serve on.
    pub(super) async fn stop(self) {
        if let Some(tls) = self.tls {
            tls.stop().await;
        }
    }
}
