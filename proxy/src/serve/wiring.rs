//! From the configuration to what each part is given, at the start and at each reload alike.

use crate::{
    config::Config,
    directory::ToDirectory,
    system::{OsRandom, SystemClock},
};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use usher_core::Policy;
use usher_model::{Secret, SiteName};
use usher_upstream::Client;

/// The names of all sites.
pub(super) fn names(config: &Config) -> Vec<SiteName> {
    config.sites.iter().map(|site| site.name.clone()).collect()
}

/// The platform's client; connects to nothing yet.
///
/// # Errors
/// When the settings are unusable.
pub(super) fn platform(config: &Config) -> anyhow::Result<Client> {
    let settings = usher_upstream::Settings {
        base_url: config.upstream.base_url.clone(),
        api_key: config.upstream.api_key.clone(),
        signing_secret: config.upstream.signing_secret.clone(),
    };
    Ok(Client::new(settings, Arc::new(SystemClock))?)
}

/// What the edge serves.
pub(super) fn edge(config: &Config) -> usher_edge::Settings {
    let webhooks = names(config).into_iter().zip(config.webhooks.iter().cloned()).collect();
    usher_edge::Settings {
        sites: config.sites.clone(),
        webhooks,
        trusted_proxies: config.trusted_proxies.clone(),
    }
}

/// What is served by TLS, when anything is.
///
/// # Errors
/// When the way to the directory cannot be set up.
pub(crate) fn tls(config: &Config) -> anyhow::Result<Option<usher_tls::Settings>> {
    let Some(tls) = &config.tls else { return Ok(None) };
    let acme = tls.acme.as_ref().map(|acme| -> anyhow::Result<_> {
        Ok(usher_tls::Acme {
            directory: acme.directory.clone(),
            contact: acme.contact.clone(),
            hosts: acme.hosts.clone(),
            ask: acme.ask.clone(),
            storage: acme.storage.clone(),
            http: Arc::new(ToDirectory::new(acme.ca.as_deref())?),
        })
    });
    let hosts: BTreeSet<&String> = config.sites.iter().flat_map(|site| &site.hosts).collect();
    Ok(Some(usher_tls::Settings {
        hosts: hosts.into_iter().cloned().collect(),
        certificates: tls.certificates.clone(),
        acme: acme.transpose()?,
    }))
}

/// What certificates are kept with, besides the configuration.
pub(super) fn tls_tools() -> usher_tls::Tools {
    usher_tls::Tools {
        clock: Arc::new(SystemClock),
        random: Arc::new(OsRandom),
        metrics: usher_tls::Metrics::default(),
        challenges: usher_tls::Challenges::default(),
    }
}

/// How the jobs are done. Without a shared secret the key that tells visitors apart is `own`.
pub(super) fn policy(config: &Config, own: [u8; 32]) -> Policy {
    Policy {
        click_budget: Duration::from_millis(config.upstream.click_budget_ms.into()),
        truncate_addresses: config.privacy.truncate_addresses,
        retention_days: config.privacy.retention_days,
        visitor_key: visitor_key(config).unwrap_or(own),
    }
}

/// The key that tells visitors apart has to be the same on every edge of a store, so it comes from a secret that they
/// share; without one each process has its own, and only cookies tell visitors apart between them.
fn visitor_key(config: &Config) -> Option<[u8; 32]> {
    let shared: Option<&Secret> =
        config.sites.iter().find_map(|site| site.names_secret.as_ref()).or(config.upstream.api_key.as_ref());
    let mut mac = Hmac::<Sha256>::new_from_slice(shared?.expose()).ok()?;
    mac.update(b"usher: visitors without a cookie");
    Some(mac.finalize().into_bytes().into())
}

/// A key of this process alone.
pub(super) fn own_key() -> [u8; 32] {
    let mut key = [0; 32];
    usher_model::Random::fill(&OsRandom, &mut key);
    key
}
