//! Both ends of TLS: an authority that makes certificates for tests, and a browser that takes those of one authority.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use time::OffsetDateTime;
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring::default_provider};

use crate::http::Answer;

/// Total deadline of one handshake or request.
const DEADLINE: Duration = Duration::from_secs(20);

/// An authority of our own.
pub struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// A new one.
    ///
    /// # Panics
    /// When there is no randomness.
    #[must_use]
    pub fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.distinguished_name.push(DnType::CommonName, "tests");
        let pem = params.self_signed(&key).expect("a root").pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// Its own certificate, in PEM.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Issues for `names` for so many days, and writes `NAME.crt` and `NAME.key` into `folder`.
    ///
    /// # Panics
    /// When they cannot be written.
    pub fn issue(&self, names: &[&str], days: i64, folder: &Path, name: &str) {
        let key = KeyPair::generate().expect("a key");
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        // As the public authorities do it: some programs ask for all of this.
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let now = OffsetDateTime::now_utc();
        params.not_before = now - time::Duration::hours(1);
        params.not_after = now + time::Duration::days(days);
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        std::fs::create_dir_all(folder).expect("it is made");
        std::fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).expect("it is written");
        std::fs::write(folder.join(format!("{name}.crt")), certificate.pem()).expect("it is written");
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

/// A client that takes certificates of one authority alone.
#[derive(Clone)]
pub struct Browser {
    config: ClientConfig,
    source: IpAddr,
}

impl Browser {
    /// One that trusts the authorities in `pem`.
    ///
    /// # Panics
    /// When there are none.
    #[must_use]
    pub fn trusting(pem: &str) -> Self {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            roots.add(certificate.expect("a certificate")).expect("a root");
        }
        assert!(!roots.is_empty(), "no authority to trust");
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { config, source: IpAddr::V4(Ipv4Addr::UNSPECIFIED) }
    }

    /// The same one at another address of this machine, such as 127.0.0.5.
    #[must_use]
    pub fn at(self, source: IpAddr) -> Self {
        Self { source, ..self }
    }

    /// Shakes hands as one who wants `host`, and offers `protocols`.
    ///
    /// # Errors
    /// When the server has no certificate for it that this browser takes.
    pub async fn greet(
        &self,
        to: SocketAddr,
        host: &str,
        protocols: &[&str],
    ) -> io::Result<TlsStream<TcpStream>> {
        let mut config = self.config.clone();
        config.alpn_protocols = protocols.iter().map(|one| one.as_bytes().to_vec()).collect();
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let connect = async {
            let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
            if !self.source.is_unspecified() {
                socket.bind((self.source, 0).into())?;
            }
            let stream = socket.connect(to).await?;
            stream.set_nodelay(true)?;
            TlsConnector::from(Arc::new(config)).connect(name, stream).await
        };
        tokio::time::timeout(DEADLINE, connect).await.map_err(|_| io::ErrorKind::TimedOut)?
    }

    /// The certificate that it is shown for `host`, when it takes it.
    ///
    /// # Errors
    /// As [`Self::greet`].
    pub async fn certificate(&self, to: SocketAddr, host: &str) -> io::Result<Vec<u8>> {
        let stream = self.greet(to, host, &["h2", "http/1.1"]).await?;
        let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        Ok(shown.map(|one| one.to_vec()).unwrap_or_default())
    }

    /// Sends a request over `protocol` (`h2` or `http/1.1`) and reads the whole answer.
    ///
    /// # Errors
    /// When there is none, or the server chose another protocol.
    pub async fn send(
        &self,
        to: SocketAddr,
        protocol: &str,
        request: http::Request<Full<Bytes>>,
    ) -> io::Result<Answer> {
        let host = request.uri().host().unwrap_or_default().to_owned();
        let stream = self.greet(to, &host, &[protocol]).await?;
        if stream.get_ref().1.alpn_protocol() != Some(protocol.as_bytes()) {
            return Err(io::Error::other("the server chose another protocol"));
        }
        let exchanged = exchange(TokioIo::new(stream), protocol, request);
        let exchanged = tokio::time::timeout(DEADLINE, exchanged).await;
        exchanged.map_err(|_| io::ErrorKind::TimedOut)?.map_err(io::Error::other)
    }

    /// A `GET` of a whole https URL, of which `to` is the address.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn get(&self, to: SocketAddr, protocol: &str, url: &str) -> io::Result<Answer> {
        let request = http::Request::get(url).body(Full::default()).map_err(io::Error::other)?;
        self.send(to, protocol, request).await
    }
}

async fn exchange(
    stream: TokioIo<TlsStream<TcpStream>>,
    protocol: &str,
    mut request: http::Request<Full<Bytes>>,
) -> Result<Answer, hyper::Error> {
    let answer = if protocol == "h2" {
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await?;
        tokio::spawn(connection);
        let answer = sender.send_request(request).await?;
        whole(answer).await?
    } else {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
        tokio::spawn(connection);
        // In HTTP/1 the host stands in its field and the target is a path (RFC 9112 section 3.2.1).
        let uri = request.uri().clone();
        let host = uri.authority().map_or("", |authority| authority.as_str()).parse().expect("a host");
        request.headers_mut().insert(http::header::HOST, host);
        *request.uri_mut() = uri.path_and_query().map_or("/", |path| path.as_str()).parse().expect("a path");
        let answer = sender.send_request(request).await?;
        whole(answer).await?
    };
    Ok(answer)
}

async fn whole(answer: http::Response<hyper::body::Incoming>) -> Result<Answer, hyper::Error> {
    let (head, body) = answer.into_parts();
    Ok(Answer { status: head.status.as_u16(), headers: head.headers, body: body.collect().await?.to_bytes() })
}
