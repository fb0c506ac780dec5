//! What a directory is shown to prove that a host is ours, while an order is under way.

use crate::Error;
use rcgen::{CertificateParams, CustomExtension, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::{crypto::ring::sign::any_supported_type, sign::CertifiedKey};
use rustls_pki_types::PrivateKeyDer;
use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

/// The challenges of orders under way, shared by those who order and those who answer. Empty for most of a year.
#[derive(Clone, Debug, Default)]
pub struct Challenges(Arc<RwLock<Pending>>);

#[derive(Debug, Default)]
struct Pending {
    /// HTTP-01: the text by host and token.
    texts: HashMap<(String, String), String>,
    /// TLS-ALPN-01: the certificate by host.
    certificates: HashMap<String, Arc<CertifiedKey>>,
}

/// Shown for as long as this lives.
#[derive(Debug)]
pub(crate) struct Shown {
    challenges: Challenges,
    host: String,
    /// Of HTTP-01.
    token: Option<String>,
}

impl Challenges {
    /// Where validations of HTTP-01 look, followed by the token (RFC 8555 section 8.3).
    pub const PATH: &'static str = "/.well-known/acme-challenge/";

    /// What `GET` of [`Self::PATH`] and `token` is answered with on `host`; `None` when no order is under way that asks
    /// for it.
    #[must_use]
    pub fn text(&self, host: &str, token: &str) -> Option<String> {
        let pending = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if pending.texts.is_empty() {
            return None;
        }
        pending.texts.get(&(host.to_owned(), token.to_owned())).cloned()
    }

    /// The certificate that a validation of TLS-ALPN-01 is shown for `host`.
    pub(crate) fn certificate(&self, host: &str) -> Option<Arc<CertifiedKey>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).certificates.get(host).cloned()
    }

    /// Shows `text` to HTTP-01.
    pub(crate) fn show_text(&self, host: &str, token: &str, text: &str) -> Shown {
        let mut pending = self.0.write().unwrap_or_else(PoisonError::into_inner);
        pending.texts.insert((host.to_owned(), token.to_owned()), text.to_owned());
        Shown { challenges: self.clone(), host: host.to_owned(), token: Some(token.to_owned()) }
    }

    /// Shows a certificate with `digest`, the SHA-256 of the key authorization, to TLS-ALPN-01 (RFC 8737 section 3).
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn show_digest(&self, host: &str, digest: &[u8]) -> Result<Shown, Error> {
        let key = certificate(host, digest).map_err(|error| Error::Directory(error.to_string()))?;
        let mut pending = self.0.write().unwrap_or_else(PoisonError::into_inner);
        pending.certificates.insert(host.to_owned(), Arc::new(key));
        Ok(Shown { challenges: self.clone(), host: host.to_owned(), token: None })
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        let mut pending = self.challenges.0.write().unwrap_or_else(PoisonError::into_inner);
        let host = std::mem::take(&mut self.host);
        match self.token.take() {
            Some(token) => drop(pending.texts.remove(&(host, token))),
            None => drop(pending.certificates.remove(&host)),
        }
    }
}

fn certificate(host: &str, digest: &[u8]) -> Result<CertifiedKey, Box<dyn std::error::Error + Send + Sync>> {
    let mut params = CertificateParams::new([host.to_owned()])?;
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let certificate = params.self_signed(&key)?;
    let key = any_supported_type(&PrivateKeyDer::Pkcs8(key.serialize_der().into()))?;
    Ok(CertifiedKey::new(vec![certificate.der().clone()], key))
}
