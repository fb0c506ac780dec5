//! A merchant's web server: pages with the header fields that a test wants, and a path handed over to the edge.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use time::{Duration, OffsetDateTime};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// What it does with the visitor's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Forwards {
    /// Appends it to what the visitor wrote, as nginx's `$proxy_add_x_forwarded_for` does.
    Appended,
    /// Passes on what the visitor wrote.
    AsItCame,
    /// Says nothing.
    Nothing,
}

/// What a shop is like.
#[derive(Clone)]
pub(super) struct Plan {
    pub(super) edge: SocketAddr,
    /// Path, header fields (each with its end of line), HTML.
    pub(super) pages: Vec<(String, String, String)>,
    pub(super) forwards: Forwards,
    /// Whether it says that visitors come by https.
    pub(super) says_https: bool,
    /// What it changes in the edge's answers.
    pub(super) changes: Vec<(String, String)>,
    pub(super) tls: Option<Arc<ServerConfig>>,
}

impl Plan {
    /// A good one with one page.
    pub(super) fn new(edge: SocketAddr, fields: &str, html: &str) -> Self {
        Self {
            edge,
            pages: vec![("/".to_owned(), fields.to_owned(), html.to_owned())],
            forwards: Forwards::Appended,
            says_https: true,
            changes: Vec::new(),
            tls: None,
        }
    }

    /// Opens it; its port.
    pub(super) async fn open(self) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        tokio::spawn(async move {
            while let Ok((stream, peer)) = listener.accept().await {
                let plan = self.clone();
                tokio::spawn(async move {
                    match plan.tls.clone() {
                        None => plan.serve(stream, peer.ip()).await,
                        Some(tls) => {
                            let Ok(stream) = TlsAcceptor::from(tls).accept(stream).await else { return };
                            plan.serve(stream, peer.ip()).await;
                        }
                    }
                });
            }
        });
        port
    }

    /// One request, one answer.
    async fn serve(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin, visitor: IpAddr) {
        let Some((head, body)) = request(&mut stream).await else { return };
        let path = head.split(' ').nth(1).unwrap_or_default().split('?').next().unwrap_or_default();
        let page = self.pages.iter().find(|(known, _, _)| known == path);
        let answer = match page {
            Some((_, fields, html)) if fields.starts_with("HTTP/") => {
                format!("{fields}content-length: {}\r\n\r\n{html}", html.len()).into_bytes()
            }
            Some((_, fields, html)) => {
                let length = html.len();
                format!("HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {length}\r\n{fields}\r\n{html}")
                    .into_bytes()
            }
            None if path.starts_with("/r/") => self.hand_over(&head, &body, visitor).await,
            None => b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_vec(),
        };
        let _ = stream.write_all(&answer).await;
        let _ = stream.shutdown().await;
    }

    async fn hand_over(&self, head: &str, body: &[u8], visitor: IpAddr) -> Vec<u8> {
        let (line, fields) = head.split_once("\r\n").expect("a request line");
        let (came, rest): (Vec<&str>, Vec<&str>) = (fields.lines())
            .filter(|field| !field.is_empty())
            .partition(|field| field.to_ascii_lowercase().starts_with("x-forwarded-for:"));
        let came = came.first().and_then(|field| field.split_once(": ")).map(|(_, value)| value.to_owned());
        let told = match self.forwards {
            Forwards::Appended => Some(came.map_or(visitor.to_string(), |came| format!("{came}, {visitor}"))),
            Forwards::AsItCame => came,
            Forwards::Nothing => None,
        };
        let mut request = format!("{line}\r\n{}\r\nconnection: close\r\n", rest.join("\r\n"));
        request += &told.map_or(String::new(), |told| format!("x-forwarded-for: {told}\r\n"));
        request += if self.says_https { "x-forwarded-proto: https\r\n\r\n" } else { "\r\n" };
        let mut edge = TcpStream::connect(self.edge).await.expect("the edge");
        edge.write_all(request.as_bytes()).await.expect("sent");
        edge.write_all(body).await.expect("sent");
        let mut answer = Vec::new();
        edge.read_to_end(&mut answer).await.expect("an answer");
        let end = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("a header");
        let head = String::from_utf8(answer[..end].to_vec()).expect("text");
        let head = self.changes.iter().fold(head, |head, (from, to)| head.replace(from, to));
        [head.as_bytes(), &answer[end..]].concat()
    }
}

async fn request(stream: &mut (impl AsyncRead + Unpin)) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
        if let Some(end) = end {
            let head = String::from_utf8(bytes[..end + 2].to_vec()).ok()?;
            let length = head.lines().find_map(|field| {
                let (name, value) = field.split_once(": ")?;
                name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().ok()).flatten()
            });
            let missing = (end + 4 + length.unwrap_or(0)).saturating_sub(bytes.len());
            let mut rest = vec![0; missing];
            stream.read_exact(&mut rest).await.ok()?;
            bytes.extend(rest);
            return Some((head, bytes[end + 4..].to_vec()));
        }
        match stream.read(&mut chunk).await {
            Ok(read) if read > 0 => bytes.extend_from_slice(&chunk[..read]),
            _ => return None,
        }
    }
}

/// A certificate authority that browsers do not know.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate, for `--ca`.
    pub(super) pem: String,
}

impl Authority {
    pub(super) fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).expect("a root").pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// TLS with a certificate for `names` that ends in so many days.
    pub(super) fn tls(&self, names: &[&str], days: i64) -> Arc<ServerConfig> {
        let key = KeyPair::generate().expect("a key");
        let mut params =
            CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
                .expect("names");
        let now = OffsetDateTime::now_utc();
        params.not_before = now - Duration::days(90);
        params.not_after = now + Duration::days(days) + Duration::hours(1);
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let mut config =
            ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .expect("versions")
                .with_no_client_auth()
                .with_single_cert(vec![certificate.der().clone()], key)
                .expect("a pair");
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Arc::new(config)
    }
}
