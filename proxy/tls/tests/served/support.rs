//! A certificate authority, folders of its certificates, and clients.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::{
    ClientConfig, ProtocolVersion, RootCertStore, SupportedProtocolVersion,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, ServerName},
};
use std::{
    path::Path,
    sync::{Arc, LazyLock},
    time::SystemTime,
};
use time::{Duration, OffsetDateTime};
use tokio_rustls::TlsConnector;
use usher_model::{Clock, Random, UnixMs};
use usher_tls::{Challenges, Metrics, Settings, Tls, Tools};

/// Days from now.
pub(crate) type Days = i64;

static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(Vec::new()).expect("parameters");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = params.self_signed(&key).expect("a root");
    Authority { der: root.der().clone(), pem: root.pem(), issuer: Issuer::new(params, key) }
});

struct Authority {
    der: CertificateDer<'static>,
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, in PEM.
#[derive(Clone)]
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
    pub(crate) der: CertificateDer<'static>,
}

/// A pair for `names`, valid from `from` to `to`.
pub(crate) fn pair(names: &[&str], from: Days, to: Days) -> Pair {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    issue(CertificateParams::new(names).expect("names"), from, to)
}

/// The same with the name only as common name.
pub(crate) fn common(name: &str, from: Days, to: Days) -> Pair {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    issue(params, from, to)
}

fn issue(mut params: CertificateParams, from: Days, to: Days) -> Pair {
    let key = KeyPair::generate().expect("a key");
    let now = OffsetDateTime::now_utc();
    (params.not_before, params.not_after) = (now + Duration::days(from), now + Duration::days(to));
    let made = params.signed_by(&key, &AUTHORITY.issuer).expect("a certificate");
    Pair { certificate: made.pem(), key: key.serialize_pem(), der: made.der().clone() }
}

/// The authority's own certificate, in PEM.
pub(crate) fn root() -> &'static str {
    &AUTHORITY.pem
}

impl Pair {
    /// Writes `NAME.crt` and `NAME.key`.
    pub(crate) fn write(&self, folder: &Path, name: &str) {
        put(folder, &format!("{name}.key"), &self.key);
        put(folder, &format!("{name}.crt"), &self.certificate);
    }
}

pub(crate) fn put(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("it is made");
    std::fs::write(path, text).expect("it is written");
}

pub(crate) struct Machine;

impl Clock for Machine {
    #[expect(clippy::disallowed_methods, reason = "the certificates are real ones, so is their time")]
    fn now(&self) -> UnixMs {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
        UnixMs(i64::try_from(since.as_millis()).expect("a moment"))
    }
}

impl Random for Machine {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}

/// Settings for `hosts` and one folder.
pub(crate) fn settings(folder: &Path, hosts: &[&str]) -> Settings {
    let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
    Settings { hosts, certificates: Some(folder.to_owned()), acme: None }
}

pub(crate) async fn start(folder: &Path, hosts: &[&str]) -> Tls {
    start_with(settings(folder, hosts)).await
}

pub(crate) async fn start_with(settings: Settings) -> Tls {
    let (metrics, challenges) = (Metrics::default(), Challenges::default());
    let tools = Tools { clock: Arc::new(Machine), random: Arc::new(Machine), metrics, challenges };
    Tls::start(settings, tools).await.expect("it starts")
}

/// A client.
pub(crate) struct Client {
    pub(crate) config: ClientConfig,
}

/// What a client saw.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) protocol: Option<Vec<u8>>,
    pub(crate) version: ProtocolVersion,
}

impl Client {
    /// One that trusts the authority and offers `protocols`.
    pub(crate) fn new(protocols: &[&str]) -> Self {
        Self::of(protocols, &[&rustls::version::TLS13, &rustls::version::TLS12])
    }

    /// The same that speaks `versions` alone.
    pub(crate) fn of(protocols: &[&str], versions: &[&'static SupportedProtocolVersion]) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(AUTHORITY.der.clone()).expect("a root");
        let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(versions)
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|one| one.as_bytes().to_vec()).collect();
        Self { config }
    }

    /// Shakes hands with whoever serves `tls` as `host`.
    pub(crate) async fn greet(&self, tls: &Tls, host: &str) -> std::io::Result<Seen> {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let served = tokio::spawn(usher_tls::accept(tls.server_config(), far));
        let name = ServerName::try_from(host.to_owned()).expect("a name");
        let stream = TlsConnector::from(Arc::new(self.config.clone())).connect(name, near).await?;
        let session = stream.get_ref().1;
        let certificate = session.peer_certificates().and_then(<[_]>::first).expect("a certificate").clone();
        let protocol = session.alpn_protocol().map(<[u8]>::to_vec);
        let version = session.protocol_version().expect("a version");
        served.await.expect("it does not panic")?;
        Ok(Seen { certificate, protocol, version })
    }
}

/// The certificate that a browser is shown, when it takes it.
pub(crate) async fn shown(tls: &Tls, host: &str) -> Option<CertificateDer<'static>> {
    Client::new(&["h2", "http/1.1"]).greet(tls, host).await.ok().map(|seen| seen.certificate)
}
