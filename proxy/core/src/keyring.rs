//! Judges webhooks, and fetches the certificates that some of them are signed with.

use async_trait::async_trait;
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::timeout;
use usher_model::{UnixMs, limits};
use usher_providers::{Outcome, Rejection, Request, Verdict, Webhook};

/// Why a certificate could not be fetched.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct FetchError(pub String);

/// Fetches certificates. Addresses are the provider's own: whoever judges a webhook has made sure of that.
#[async_trait]
pub trait Certificates: Send + Sync + 'static {
    /// The PEM text at `address`, within `deadline`, without following redirects.
    ///
    /// # Errors
    /// [`FetchError`] says why not.
    async fn fetch(&self, address: &str, deadline: Duration) -> Result<String, FetchError>;
}

/// Certificates that were fetched, and how to fetch more.
pub struct Keyring {
    source: Box<dyn Certificates>,
    kept: Mutex<Kept>,
    /// One fetch at a time: whoever waits finds what the one before has fetched.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Kept {
    certificates: BTreeMap<String, String>,
    /// Addresses that did not give one, and when.
    failed: BTreeMap<String, UnixMs>,
}

impl Keyring {
    /// An empty one.
    #[must_use]
    pub fn new(source: impl Certificates) -> Self {
        Self { source: Box::new(source), kept: Mutex::default(), turn: tokio::sync::Mutex::default() }
    }

    /// What a request means. A certificate that it needs is fetched once; while it is not to be had the request is rejected, and
    /// the provider sends it again as it does after every other answer than 2xx.
    pub(crate) async fn judge(&self, webhook: &Webhook, request: &Request<'_>, now: UnixMs) -> Outcome {
        let judge = || webhook.judge(request, now, &self.kept().certificates);
        let outcome = judge();
        let Verdict::Rejected(Rejection::CertificateNeeded(address)) = &outcome.verdict else {
            return outcome;
        };
        let deadline = Duration::from_millis(limits::CERTIFICATE_MS);
        if timeout(deadline, self.obtain(address, now)).await.is_err() {
            tracing::warn!(address, "a provider's certificate did not come in time");
        }
        let outcome = judge();
        if matches!(outcome.verdict, Verdict::Rejected(Rejection::BadCertificate)) {
            // What was fetched is none: it must not stand in the way of the right one.
            let mut kept = self.kept();
            kept.certificates.remove(address);
            kept.failed.insert(address.clone(), now);
        }
        outcome
    }

    async fn obtain(&self, address: &str, now: UnixMs) {
        let _turn = self.turn.lock().await;
        let rests = |at: &UnixMs| (0..limits::CERTIFICATE_REST_MS).contains(&now.since(*at));
        {
            let mut kept = self.kept();
            kept.failed.retain(|_, at| rests(at));
            // Strangers choose addresses: they must not make us ask the provider again and again.
            let is_refused =
                kept.failed.contains_key(address) || kept.failed.len() >= limits::CERTIFICATES_KEPT;
            if is_refused || kept.certificates.contains_key(address) {
                return;
            }
            // It has failed unless it comes, also when nobody waits for it any longer.
            kept.failed.insert(address.to_owned(), now);
        }
        let deadline = Duration::from_millis(limits::CERTIFICATE_MS);
        match self.source.fetch(address, deadline).await {
            Ok(pem) => {
                let mut kept = self.kept();
                kept.failed.remove(address);
                // The address is the sender's choice among the provider's own: what is kept stays small.
                if kept.certificates.len() >= limits::CERTIFICATES_KEPT {
                    kept.certificates.pop_first();
                }
                kept.certificates.insert(address.to_owned(), pem);
            }
            Err(error) => tracing::warn!(address, %error, "a provider's certificate could not be fetched"),
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
