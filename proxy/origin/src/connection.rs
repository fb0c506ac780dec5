//! One connection to an origin.

use crate::lookup::Lookup;
use bytes::{Buf, BytesMut};
use rustls_pki_types::ServerName;
use std::{
    io::{self, IoSlice},
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_util::io::{poll_read_buf, poll_write_buf};
use usher_model::limits::ORIGIN_READ_BYTES;

/// A connection and what has been received on it that nobody has taken yet.
pub(crate) struct Connection {
    pub(crate) stream: Stream,
    pub(crate) input: BytesMut,
    /// Set once and moved when it rings too early, so that most requests touch no timer.
    pub(crate) alarm: Option<Pin<Box<Sleep>>>,
    /// Since when nobody uses it.
    pub(crate) kept_since: Instant,
}

/// The bytes of it.
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// How TLS is spoken: HTTP/1.1 over it, with the public roots.
pub(crate) struct Tls {
    connector: TlsConnector,
    host: String,
}

impl Connection {
    /// Tries the addresses one after the other.
    pub(crate) async fn open(lookup: &Lookup, tls: Option<&Tls>, patience: Duration) -> io::Result<Self> {
        let stream = plain(&lookup.addresses().await?, patience).await?;
        stream.set_nodelay(true)?;
        let stream = match tls {
            None => Stream::Plain(stream),
            Some(Tls { connector, host }) => {
                let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
                Stream::Tls(Box::new(connector.connect(name, stream).await?))
            }
        };
        Ok(Self { stream, input: BytesMut::new(), alarm: None, kept_since: Instant::now() })
    }

    /// Receives what there is. `0` is the end.
    pub(crate) fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.input.reserve(ORIGIN_READ_BYTES);
        poll_read_buf(Pin::new(&mut self.stream), cx, &mut self.input)
    }

    /// Sends some of `output`.
    pub(crate) fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        output: &mut impl Buf,
    ) -> Poll<io::Result<usize>> {
        if output.chunk().len() < output.remaining() {
            return poll_write_buf(Pin::new(&mut self.stream), cx, output);
        }
        // The usual request is one piece, and a plain write is cheaper.
        let sent = ready!(Pin::new(&mut self.stream).poll_write(cx, output.chunk()))?;
        output.advance(sent);
        Poll::Ready(Ok(sent))
    }

    /// Sends what TLS holds back.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Whether it is still open, and silent as it has to be between two requests.
    pub(crate) fn is_quiet(&mut self) -> bool {
        self.poll_receive(&mut Context::from_waker(Waker::noop())).is_pending()
    }
}

/// An address that swallows what is sent to it may not use up the time of the others.
async fn plain(addresses: &[SocketAddr], patience: Duration) -> io::Result<TcpStream> {
    let each = patience / u32::try_from(addresses.len()).unwrap_or(1).max(1);
    let mut last = io::Error::new(io::ErrorKind::NotFound, "its name has no address");
    for address in addresses {
        match timeout(each, TcpStream::connect(*address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error,
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(last)
}

impl Tls {
    pub(crate) fn new(host: &str) -> Self {
        let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring has the cipher suites of TLS 1.2 and 1.3");
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Self { connector: TlsConnector::from(Arc::new(config)), host: host.to_owned() }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, into),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, into),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
