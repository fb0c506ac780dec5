//! Listeners: connections come in, and go in order when the process stops.

use crate::{client::Peer, edge::Edge};
use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, rustls};
use tokio_util::{
    sync::CancellationToken,
    task::{TaskTracker, task_tracker::TaskTrackerToken},
};
use usher_front::{Flow, Protocol};
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
    /// [`limits::DRAIN_MS`], and what is left is cut off. Work that goes on for clients that hung up is waited for with
    /// [`Edge::quiet`].
    pub async fn serve(self: Arc<Self>, listeners: Vec<Listener>, shutdown: CancellationToken) {
        let slots = Arc::new(Semaphore::new(limits::CONNECTIONS));
        let (cut_off, open) = (CancellationToken::new(), TaskTracker::new());
        let mut accepting = JoinSet::new();
        for listener in listeners {
            let acceptor = Acceptor {
                edge: Arc::clone(&self),
                slots: Arc::clone(&slots),
                tls: listener.tls.map(TlsAcceptor::from),
                drain: shutdown.clone(),
                cut_off: cut_off.clone(),
                open: open.clone(),
            };
            accepting.spawn(acceptor.run(listener.socket));
        }
        shutdown.cancelled().await;
        self.metrics.tunnels.end();
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
    slots: Arc<Semaphore>,
    tls: Option<TlsAcceptor>,
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
                accepted = self.accept(&socket) => accepted,
            };
            match accepted {
                Ok((slot, stream, peer)) => self.start(stream, peer, slot),
                Err(error) => self.pause_after(&error).await,
            }
        }
    }

    /// Waits for a free slot first: beyond the cap, clients wait in the system's queue.
    async fn accept(
        &self,
        socket: &TcpListener,
    ) -> io::Result<(Option<OwnedSemaphorePermit>, TcpStream, SocketAddr)> {
        let slot = Arc::clone(&self.slots).acquire_owned().await.ok();
        let (stream, peer) = socket.accept().await?;
        Ok((slot, stream, peer))
    }

    fn start(&self, stream: TcpStream, peer: SocketAddr, slot: Option<OwnedSemaphorePermit>) {
        let _ = stream.set_nodelay(true); // only costs latency when it fails
        let stream = Flow::new(stream, slot);
        let peer = Peer { address: peer.ip(), is_tls: self.tls.is_some() };
        let (cut_off, count) = (self.cut_off.clone(), self.edge.metrics.connections.clone());
        let edge = Arc::clone(&self.edge);
        let first = edge.jobs.expect();
        let connection = serve(edge, self.tls.clone(), self.drain.clone(), stream, peer, first);
        count.inc();
        self.open.spawn(async move {
            tokio::select! {
                () = connection => {}
                () = cut_off.cancelled() => {}
            }
            count.dec();
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

/// Serves one connection to its end.
async fn serve(
    edge: Arc<Edge>,
    tls: Option<TlsAcceptor>,
    drain: CancellationToken,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: Peer,
    first: TaskTrackerToken,
) {
    let http1 = Protocol::Http1 { is_secured: peer.is_tls };
    let Some(tls) = tls else { return serve_as(http1, edge, drain, stream, peer, first).await };
    let stream = match timeout(Duration::from_millis(limits::HANDSHAKE_MS), tls.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::debug!(%error, "a handshake failed"),
        Err(_) => return tracing::debug!("a handshake took too long"),
    };
    match stream.get_ref().1.alpn_protocol() {
        Some(b"h2") => serve_as(Protocol::Http2, edge, drain, stream, peer, first).await,
        Some(b"http/1.1") | None => serve_as(http1, edge, drain, stream, peer, first).await,
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
    let first = Mutex::new(Some(first));
    let service = move |request| {
        let edge = Arc::clone(&edge);
        let first = first.lock().unwrap_or_else(PoisonError::into_inner).take();
        async move {
            let expected = first.unwrap_or_else(|| edge.jobs.expect());
            edge.answer(request, peer, expected).await
        }
    };
    if let Err(error) = usher_front::serve(stream, protocol, drain, service).await {
        tracing::debug!(%error, "a connection ended badly");
    }
}
