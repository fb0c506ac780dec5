//! Certificates as browsers judge them. A wrong one is written down and passed, so that everything behind it can be looked at
//! too; whoever sends something that matters asks first whether it was right.

use anyhow::Context;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, ProtocolVersion, RootCertStore,
    SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};
use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// What a handshake told.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// Why browsers refuse the certificate.
    pub(super) refused: Option<String>,
    /// When it ends, in seconds since 1970.
    pub(super) ends_s: Option<u64>,
    pub(super) version: Option<ProtocolVersion>,
    /// Whether HTTP/2 was chosen, where it was offered.
    pub(super) is_h2: bool,
}

/// Makes the settings of handshakes.
pub(super) struct Trust {
    verifier: Arc<WebPkiServerVerifier>,
    provider: Arc<CryptoProvider>,
    /// A wrong certificate is no reason to hold anything back.
    pub(super) is_insecure: bool,
}

impl Trust {
    /// Trusts the public roots, and those of a PEM file.
    pub(super) fn new(private: Option<&Path>, is_insecure: bool) -> anyhow::Result<Self> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        if let Some(path) = private {
            let cannot = || format!("cannot read certificates from {}", path.display());
            let certificates = CertificateDer::pem_file_iter(path).with_context(cannot)?;
            let mut found = 0;
            for certificate in certificates {
                roots.add(certificate.with_context(cannot)?).with_context(cannot)?;
                found += 1;
            }
            anyhow::ensure!(found > 0, "{} holds no certificate", path.display());
        }
        let provider = Arc::new(ring::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .context("cannot set up TLS")?;
        Ok(Self { verifier, provider, is_insecure })
    }

    /// Settings for one handshake that offers these protocols, and what will be written down in it.
    pub(super) fn handshake(&self, protocols: &[&[u8]]) -> anyhow::Result<(ClientConfig, Arc<Witness>)> {
        let witness = Arc::new(Witness { verifier: Arc::clone(&self.verifier), told: Mutex::default() });
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .context("cannot set up TLS")?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&witness) as Arc<dyn ServerCertVerifier>)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        Ok((config, witness))
    }
}

/// Judges a certificate, keeps the judgement, and lets the handshake go on.
#[derive(Debug)]
pub(super) struct Witness {
    verifier: Arc<WebPkiServerVerifier>,
    told: Mutex<(Option<String>, Option<u64>)>,
}

impl Witness {
    /// Why the certificate is refused, and when it ends (in seconds since 1970).
    pub(super) fn told(&self) -> (Option<String>, Option<u64>) {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let judge = |at| self.verifier.verify_server_cert(end_entity, intermediates, name, ocsp, at);
        let refused = judge(now).err().map(|error| reason(&error));
        // Judged at the end of time it is over, and the judgement says since when.
        let ends_s = match judge(UnixTime::since_unix_epoch(Duration::from_secs(END_OF_TIME_S))) {
            Err(Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) => {
                Some(not_after.as_secs())
            }
            _ => None,
        };
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = (refused, ends_s);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

/// The year 9999, the last that certificates can name (RFC 5280 section 4.1.2.5).
const END_OF_TIME_S: u64 = 253_402_300_799;

/// In words for whoever runs the server.
fn reason(error: &Error) -> String {
    let Error::InvalidCertificate(error) = error else { return error.to_string() };
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired".to_owned(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "it is not valid yet".to_owned()
        }
        CertificateError::UnknownIssuer => {
            "nobody that browsers trust has issued it, or the chain between is not sent".to_owned()
        }
        CertificateError::NotValidForName => "it is for another name".to_owned(),
        CertificateError::NotValidForNameContext { presented, .. } => {
            format!("it is for another name: {}", presented.join(", "))
        }
        other => other.to_string(),
    }
}
