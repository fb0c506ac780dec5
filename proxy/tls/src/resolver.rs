//! What a TLS handshake is answered with.

use crate::{acme::Challenges, table::Table};
use arc_swap::ArcSwap;
use rustls::{
    ServerConfig,
    crypto::ring::{Ticketer, default_provider},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use std::{borrow::Cow, sync::Arc};

/// What a validation of TLS-ALPN-01 asks for (RFC 8737 section 6.1).
const ACME_TLS: &[u8] = b"acme-tls/1";

/// Finds the certificate for a handshake.
#[derive(Debug, Default)]
pub(crate) struct Resolver {
    pub(crate) table: ArcSwap<Table>,
    pub(crate) challenges: Challenges,
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().map(folded);
        let protocols: Vec<&[u8]> = hello.alpn().into_iter().flatten().collect();
        if protocols.contains(&ACME_TLS) {
            // A directory offers nothing else; whoever does is none, and gets no certificate.
            return if protocols == [ACME_TLS] { self.challenges.certificate(&name?) } else { None };
        }
        let table = self.table.load();
        let found = match &name {
            Some(name) => table.get(name),
            None => table.unnamed(),
        };
        found.map(|certificate| Arc::clone(&certificate.key))
    }
}

fn folded(name: &str) -> Cow<'_, str> {
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.bytes().any(|b| b.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    }
}

/// TLS 1.2 and 1.3 with the library's own suites, which are all of ephemeral keys and authenticated encryption (Mozilla's
/// "intermediate", <https://wiki.mozilla.org/Security/Server_Side_TLS>), HTTP/2 and HTTP/1.1. No early data: it can be replayed.
/// Keys of session tickets are made in memory and changed by the library every six hours.
///
/// # Errors
/// When the library cannot be set up so.
pub(crate) fn server_config(resolver: Arc<Resolver>) -> Result<ServerConfig, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_no_client_auth()
        .with_cert_resolver(resolver);
    config.alpn_protocols = [&b"h2"[..], b"http/1.1", ACME_TLS].map(<[u8]>::to_vec).to_vec();
    config.ticketer = Ticketer::new()?;
    Ok(config)
}
