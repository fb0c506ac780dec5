//! One certificate with its chain and its key: whom it is for, and for how long.

use rustls::sign::CertifiedKey;
use rustls_pki_types::CertificateDer;
use std::{
    fmt,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
};
use usher_model::UnixMs;
use x509_parser::{
    certificate::X509Certificate,
    extensions::GeneralName,
    prelude::{FromDer, ParsedExtension},
};

/// What is served to those who ask for one of its names.
pub(crate) struct Certificate {
    /// The file that it stands in.
    pub(crate) file: PathBuf,
    pub(crate) subject: Subject,
    /// Chain and key.
    pub(crate) key: Arc<CertifiedKey>,
}

/// What a certificate says of itself (RFC 5280).
#[derive(Debug)]
pub(crate) struct Subject {
    /// Names in lower case; the first label may be `*`.
    pub(crate) names: Vec<String>,
    pub(crate) addresses: Vec<IpAddr>,
    /// Whether the name is only its common name, as of certificates that were made in a hurry: browsers do not look at that.
    pub(crate) is_common_name: bool,
    pub(crate) not_before: UnixMs,
    pub(crate) not_after: UnixMs,
    /// Whether it is for signing other certificates.
    pub(crate) is_authority: bool,
    /// Its public key, DER of SubjectPublicKeyInfo.
    pub(crate) public_key: Vec<u8>,
}

impl Subject {
    /// Reads what stands in `certificate`; `None` when it is not DER of one.
    pub(crate) fn read(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
        let (mut names, mut addresses) = (Vec::new(), Vec::new());
        for extension in parsed.extensions() {
            let ParsedExtension::SubjectAlternativeName(alternatives) = extension.parsed_extension() else {
                continue;
            };
            for name in &alternatives.general_names {
                match name {
                    GeneralName::DNSName(name) => names.push(name.trim_end_matches('.').to_ascii_lowercase()),
                    GeneralName::IPAddress(bytes) => addresses.extend(address(bytes)),
                    _ => {}
                }
            }
        }
        let is_common_name = names.is_empty() && addresses.is_empty();
        if is_common_name {
            let common = parsed.subject().iter_common_name().next().and_then(|name| name.as_str().ok());
            names.extend(common.filter(|name| is_host(name)).map(str::to_ascii_lowercase));
        }
        let ms = |seconds: i64| UnixMs(seconds.saturating_mul(1000));
        Some(Self {
            names,
            addresses,
            is_common_name,
            not_before: ms(parsed.validity().not_before.timestamp()),
            not_after: ms(parsed.validity().not_after.timestamp()),
            is_authority: parsed.is_ca(),
            public_key: parsed.public_key().raw.to_vec(),
        })
    }

    /// Whether it is for `host`: by name, by a wildcard in place of its first label (RFC 9525 section 6.3), or by address.
    pub(crate) fn covers(&self, host: &str) -> bool {
        if let Ok(address) = host.parse::<IpAddr>() {
            return self.addresses.contains(&address);
        }
        let parent = host.split_once('.').map(|(_, parent)| parent);
        self.names.iter().any(|name| match name.strip_prefix("*.") {
            Some(below) => parent == Some(below),
            None => name == host,
        })
    }

    pub(crate) fn is_valid(&self, now: UnixMs) -> bool {
        self.not_before <= now && now < self.not_after
    }

    /// From its beginning to its end, in milliseconds.
    pub(crate) fn life_ms(&self) -> i64 {
        self.not_after.since(self.not_before).max(0)
    }
}

impl Certificate {
    pub(crate) fn stands_below(&self, folder: &Path) -> bool {
        self.file.starts_with(folder)
    }

    /// What makes one better than another that fits as well: that it is valid, then how long, then how much of its chain
    /// it brings.
    pub(crate) fn rank(&self, now: UnixMs) -> (bool, UnixMs, usize) {
        (self.subject.is_valid(now), self.subject.not_after, self.key.cert.len())
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("file", &self.file)
            .field("subject", &self.subject)
            .finish_non_exhaustive()
    }
}

/// Whether it could be a name of DNS: people's and companies' names are common names too.
fn is_host(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'*'))
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(IpAddr::from(four));
    }
    <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from)
}
