//! Asks servers as a browser would, and keeps what came.

use super::{
    dns::Dns,
    safari::{self, Resolved},
    tls::{Seen, Trust},
};
use anyhow::{Context, anyhow, bail};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpSocket, TcpStream},
};
use tokio_rustls::TlsConnector;
use url::Url;
use usher_model::limits::{DOCTOR_REDIRECTS, DOCTOR_STEP_MS};

/// What a browser says of itself: some servers answer others differently.
const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0";
/// This machine under a name of our own, so that whoever looks at us from there can tell us from its proxy.
const OURS: Ipv4Addr = Ipv4Addr::new(127, 83, 83, 83);

/// The network, as it was described on the command line.
pub(super) struct Net {
    pub(super) dns: Dns,
    /// Whether `--dns` was given.
    pub(super) is_dns_told: bool,
    pub(super) trust: Trust,
    /// `--resolve`
    pub(super) places: HashMap<(String, u16), IpAddr>,
}

/// What is asked.
pub(super) struct Ask<'a> {
    pub(super) method: Method,
    pub(super) url: &'a Url,
    pub(super) headers: &'a [(HeaderName, &'a str)],
    pub(super) body: Bytes,
    /// The answer is read so far.
    pub(super) limit_bytes: usize,
    /// It is for nobody but the merchant: nothing is sent where the certificate is wrong.
    pub(super) is_guarded: bool,
}

/// What came back.
pub(super) struct Got {
    /// Where it came from, after redirects.
    pub(super) url: Url,
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// Our own address on that connection.
    pub(super) from: IpAddr,
    /// The redirects before it: status and target.
    pub(super) hops: Vec<(u16, Url)>,
}

impl<'a> Ask<'a> {
    pub(super) fn get(url: &'a Url, headers: &'a [(HeaderName, &'a str)], limit_bytes: usize) -> Self {
        Self { method: Method::GET, url, headers, body: Bytes::new(), limit_bytes, is_guarded: false }
    }
}

impl Got {
    /// A field's value, when it is text. Of several the first.
    pub(super) fn header(&self, name: impl header::AsHeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// All of a field's values that are text.
    pub(super) fn all(&self, name: impl header::AsHeaderName) -> Vec<&str> {
        self.headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect()
    }
}

impl Net {
    /// Where a name lies: as DNS says, or where `--resolve` alone knows it.
    pub(super) async fn resolve(&self, url: &Url) -> anyhow::Result<Resolved> {
        let host = host_of(url)?;
        let port = url.port_or_known_default().unwrap_or_default();
        match self.places.get(&(host.clone(), port)) {
            Some(address) if !self.is_dns_told => {
                Ok(Resolved { host, aliases: Vec::new(), addresses: vec![*address] })
            }
            _ => self.dns.resolve(&host).await,
        }
    }

    /// Asks once; a redirect is an answer like any other.
    pub(super) async fn ask(&self, ask: &Ask<'_>) -> anyhow::Result<Got> {
        let limit = Duration::from_millis(DOCTOR_STEP_MS);
        let within = tokio::time::timeout(limit, self.exchange(ask)).await;
        within.unwrap_or_else(|_| Err(anyhow!("no whole answer within {} s", DOCTOR_STEP_MS / 1_000)))
    }

    /// The same, and goes on to where it is sent within the site.
    pub(super) async fn follow(&self, ask: &Ask<'_>) -> anyhow::Result<Got> {
        let mut hops = Vec::new();
        let mut url = ask.url.clone();
        loop {
            let got = self
                .ask(&Ask { url: &url, body: ask.body.clone(), method: ask.method.clone(), ..*ask })
                .await?;
            let target =
                got.header(header::LOCATION).filter(|_| matches!(got.status, 301 | 302 | 303 | 307 | 308));
            let Some(target) = target.and_then(|target| url.join(target).ok()) else {
                return Ok(Got { hops, ..got });
            };
            let site = |url: &Url| url.host_str().map(|host| safari::registrable(host).to_owned());
            if site(&target) != site(&url) {
                bail!("{url} redirects to another site, {target}; give the address where the shop is");
            }
            hops.push((got.status, target.clone()));
            if hops.len() > DOCTOR_REDIRECTS {
                bail!("{} redirects more than {DOCTOR_REDIRECTS} times, lastly to {target}", ask.url);
            }
            url = target;
        }
    }

    /// A handshake alone, which offers what browsers offer.
    pub(super) async fn handshake(&self, url: &Url) -> anyhow::Result<Seen> {
        let shake = async {
            let (stream, told) = self.tls(self.connect(url).await?, url, &[b"h2", b"http/1.1"]).await?;
            let (refused, ends_s) = told;
            let (_, connection) = stream.get_ref();
            let is_h2 = connection.alpn_protocol() == Some(b"h2");
            Ok(Seen { refused, ends_s, version: connection.protocol_version(), is_h2 })
        };
        let within = tokio::time::timeout(Duration::from_millis(DOCTOR_STEP_MS), shake).await;
        within.unwrap_or_else(|_| Err(anyhow!("no handshake within {} s", DOCTOR_STEP_MS / 1_000)))
    }

    async fn exchange(&self, ask: &Ask<'_>) -> anyhow::Result<Got> {
        let stream = self.connect(ask.url).await?;
        let from = stream.local_addr()?.ip();
        match ask.url.scheme() {
            "http" => speak(stream, ask, from).await,
            _ => {
                let (stream, (refused, _)) = self.tls(stream, ask.url, &[b"http/1.1"]).await?;
                if let Some(why) = refused.filter(|_| ask.is_guarded && !self.trust.is_insecure) {
                    bail!("nothing is sent where the certificate is wrong ({why}), unless with --insecure");
                }
                speak(stream, ask, from).await
            }
        }
    }

    async fn connect(&self, url: &Url) -> anyhow::Result<TcpStream> {
        let host = host_of(url)?;
        let port = url.port_or_known_default().context("the address has no port")?;
        let addresses = match self.places.get(&(host.clone(), port)) {
            Some(address) => vec![*address],
            None => {
                let resolved = self.dns.resolve(&host).await;
                resolved.with_context(|| format!("{host} is not found"))?.addresses
            }
        };
        let mut last = anyhow!("{host} has no address");
        for address in addresses {
            let at = SocketAddr::new(address, port);
            match open(at).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = anyhow!(error).context(format!("cannot connect to {host} at {at}")),
            }
        }
        Err(last)
    }

    async fn tls(
        &self,
        stream: TcpStream,
        url: &Url,
        protocols: &[&[u8]],
    ) -> anyhow::Result<(tokio_rustls::client::TlsStream<TcpStream>, (Option<String>, Option<u64>))> {
        let host = host_of(url)?;
        let name =
            ServerName::try_from(host.clone()).with_context(|| format!("{host} is no name for TLS"))?;
        let (config, witness) = self.trust.handshake(protocols)?;
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
        Ok((stream.with_context(|| format!("no TLS with {host}"))?, witness.told()))
    }
}

/// The host, without brackets.
pub(super) fn host_of(url: &Url) -> anyhow::Result<String> {
    let host = url.host_str().context("the address has no host")?;
    Ok(host.trim_start_matches('[').trim_end_matches(']').to_owned())
}

async fn open(at: SocketAddr) -> std::io::Result<TcpStream> {
    if let IpAddr::V4(address) = at.ip()
        && address.is_loopback()
    {
        let socket = TcpSocket::new_v4()?;
        // Not every system has more than one address for itself.
        if socket.bind((OURS, 0).into()).is_ok() {
            return socket.connect(at).await;
        }
    }
    TcpStream::connect(at).await
}

async fn speak(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ask: &Ask<'_>,
    from: IpAddr,
) -> anyhow::Result<Got> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let answered = async {
        let (head, body) = sender.send_request(request(ask)?).await?.into_parts();
        let body = read(body, ask.limit_bytes).await?;
        let (status, headers) = (head.status.as_u16(), head.headers);
        Ok(Got { url: ask.url.clone(), status, headers, body, from, hops: Vec::new() })
    };
    let answered = answered.await;
    connection.abort();
    answered
}

fn request(ask: &Ask<'_>) -> anyhow::Result<Request<Full<Bytes>>> {
    let target = &ask.url[url::Position::BeforePath..url::Position::AfterQuery];
    let authority = &ask.url[url::Position::BeforeHost..url::Position::AfterPort];
    let mut request = Request::new(Full::new(ask.body.clone()));
    *request.method_mut() = ask.method.clone();
    *request.uri_mut() = target.parse()?;
    let headers = request.headers_mut();
    headers.insert(header::HOST, HeaderValue::from_str(authority)?);
    headers.insert(header::USER_AGENT, HeaderValue::from_static(BROWSER));
    headers.insert(header::ACCEPT_LANGUAGE, HeaderValue::from_static("en-US,en;q=0.5"));
    for (name, value) in ask.headers {
        headers.insert(name, HeaderValue::from_str(value)?);
    }
    Ok(request)
}

/// The beginning of a body.
async fn read(mut body: hyper::body::Incoming, limit_bytes: usize) -> anyhow::Result<Bytes> {
    let mut all = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        let room = limit_bytes - all.len();
        all.extend_from_slice(&data[..data.len().min(room)]);
        if data.len() >= room {
            break;
        }
    }
    Ok(all.into())
}
