//! Listeners: connections come in, and go in order when the process stops.

use crate::{client::Peer, edge::Edge, metrics::Metrics};
use prometheus_client::metrics::gauge::Gauge;
use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering::Relaxed},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::rustls;
use tokio_util::{
    sync::CancellationToken,
    task::{TaskTracker, task_tracker::TaskTrackerToken},
};
use usher_front::{End, Flow, Load, Place, Protocol};
use usher_model::limits;

/// A place where connections come in.
pub struct Listener {
    /// The socket, bound and listening.
    pub socket: TcpListener,
    /// How its connections speak TLS; plain text without. What it offers by ALPN decides the protocol.
    pub tls: Option<Arc<rustls::ServerConfig>>,
}

impl Listener {
    /// One for plain HTTP/1.1.
    #[must_use]
    pub fn plain(socket: TcpListener) -> Self {
        Self { socket, tls: None }
    }
}

impl Edge {
    /// Serves on `listeners` until `shutdown`. Then nothing new is accepted, requests under way may end within
    /// [`limits::DRAIN_MS`], and what is left is cut off, but for tunnels. Work that goes on for clients that hung up is waited for with
    /// [`Edge::quiet`].
    pub async fn serve(self: Arc<Self>, listeners: Vec<Listener>, shutdown: CancellationToken) {
        if !self.is_watched.swap(true, Relaxed) {
            tokio::spawn(Load::watch(Arc::downgrade(&self.load)));
        }
        let (cut_off, open) = (CancellationToken::new(), TaskTracker::new());
        let mut accepting = JoinSet::new();
        for listener in listeners {
            let acceptor = Acceptor {
                edge: Arc::clone(&self),
                tls: listener.tls,
                drain: shutdown.clone(),
                cut_off: cut_off.clone(),
                open: open.clone(),
            };
            accepting.spawn(acceptor.run(listener.socket));
        }
        shutdown.cancelled().await;
        while accepting.join_next().await.is_some() {}
        open.close();
        if timeout(Duration::from_millis(limits::DRAIN_MS), open.wait()).await.is_err() {
            tracing::warn!("connections did not end in time and are cut off");
        }
        cut_off.cancel();
        open.wait().await;
    }
}

/// Accepts on one listener.
struct Acceptor {
    edge: Arc<Edge>,
    tls: Option<Arc<rustls::ServerConfig>>,
    drain: CancellationToken,
    cut_off: CancellationToken,
    open: TaskTracker,
}

impl Acceptor {
    async fn run(self, socket: TcpListener) {
        loop {
            let accepted = tokio::select! {
                biased;
                () = self.drain.cancelled() => return,
                accepted = socket.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => self.start(stream, peer),
                Err(error) => self.pause_after(&error).await,
            }
        }
    }

    fn start(&self, stream: TcpStream, peer: SocketAddr) {
        let edge = Arc::clone(&self.edge);
        let peer = Peer { address: peer.ip(), is_tls: self.tls.is_some() };
        let place = match edge.caps.admit(peer.address, edge.trusts(peer.address)) {
            Ok(place) => place,
            Err(crowded) => return edge.metrics.refused(crowded.name(), &crowded),
        };
        let _ = stream.set_nodelay(true); // only costs latency when it fails
        // The system holds what is written before its reader takes it: that has to come to an end, too.
        let _ = rustix::net::sockopt::set_tcp_user_timeout(&stream, limits::WRITE_STALL_MS as u32);
        // And it need not be much: the system would take megabytes for a client that asks often and reads nothing.
        let _ = socket2::SockRef::from(&stream).set_tcp_notsent_lowat(limits::SOCKET_UNSENT_BYTES);
        let stream = Flow::new(stream, Counted::new(place, &edge.metrics));
        let cut_off = self.cut_off.clone();
        let first = edge.jobs.expect();
        let connection = serve(edge, self.tls.clone(), self.drain.clone(), stream, peer, first);
        self.open.spawn(async move {
            tokio::select! {
                () = connection => {}
                () = cut_off.cancelled() => {}
            }
        });
    }

    /// A connection that died before it was accepted concerns nobody. Anything else is the machine's (no file descriptors
    /// left): then the loop goes on after a pause, for it would spin otherwise.
    async fn pause_after(&self, error: &io::Error) {
        use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
        if !matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted) {
            tracing::warn!(%error, "cannot accept connections");
            tokio::time::sleep(Duration::from_millis(limits::ACCEPT_PAUSE_MS)).await;
        }
    }
}

/// A connection that is open, be it a tunnel.
struct Counted {
    _place: Place,
    open: Gauge,
}

impl Counted {
    fn new(place: Place, metrics: &Metrics) -> Self {
        metrics.connections.inc();
        Self { _place: place, open: metrics.connections.clone() }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.open.dec();
    }
}

/// Serves one connection to its end.
async fn serve(
    edge: Arc<Edge>,
    tls: Option<Arc<rustls::ServerConfig>>,
    drain: CancellationToken,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: Peer,
    first: TaskTrackerToken,
) {
    let http1 = Protocol::Http1 { is_secured: peer.is_tls };
    // Boxed, so that a connection takes no room for what it is not, and none for the handshake once that is over.
    let Some(tls) = tls else { return Box::pin(serve_as(http1, edge, drain, stream, peer, first)).await };
    let stream =
        match timeout(Duration::from_millis(limits::HANDSHAKE_MS), Box::pin(usher_tls::accept(tls, stream)))
            .await
        {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return edge.metrics.refused("handshake", &error),
            Err(slow) => return edge.metrics.refused("slow_handshake", &slow),
        };
    match stream.get_ref().1.alpn_protocol() {
        Some(b"h2") => Box::pin(serve_as(Protocol::Http2, edge, drain, stream, peer, first)).await,
        Some(b"http/1.1") | None => Box::pin(serve_as(http1, edge, drain, stream, peer, first)).await,
        // The handshake of a challenge (RFC 8737) is all there is to it.
        Some(_) => {}
    }
}

async fn serve_as(
    protocol: Protocol,
    edge: Arc<Edge>,
    drain: CancellationToken,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: Peer,
    first: TaskTrackerToken,
) {
    let (first, own) = (Mutex::new(Some(first)), Arc::clone(&edge));
    let service = move |request| {
        let edge = Arc::clone(&edge);
        let first = first.lock().unwrap_or_else(PoisonError::into_inner).take();
        async move {
            let expected = first.unwrap_or_else(|| edge.jobs.expect());
            edge.answer(request, peer, expected).await
        }
    };
    match usher_front::serve(stream, protocol, drain, service).await {
        Ok(()) => {}
        Err(End::Broken(error)) => tracing::debug!(%error, "a connection broke"),
        Err(end) => own.metrics.refused(end.name(), &end),
    }
}
