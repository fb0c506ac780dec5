//! Listeners: connections come in, and go in order when the process stops.

use crate::edge::Edge;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use std::{convert::Infallible, io, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use usher_model::limits;

impl Edge {
    /// Serves plain HTTP/1.1 on `listeners` until `shutdown`. Then nothing new is accepted, requests under way and work
    /// that was started for a client that hung up may end within [`limits::DRAIN_MS`], and what is left is cut off.
    pub async fn serve(self: Arc<Self>, listeners: Vec<TcpListener>, shutdown: CancellationToken) {
        let slots = Arc::new(Semaphore::new(limits::CONNECTIONS));
        let graceful = Arc::new(GracefulShutdown::new());
        let (cut_off, open) = (CancellationToken::new(), TaskTracker::new());
        let mut accepting = JoinSet::new();
        for listener in listeners {
            let acceptor = Acceptor {
                edge: Arc::clone(&self),
                slots: Arc::clone(&slots),
                graceful: Arc::clone(&graceful),
                cut_off: cut_off.clone(),
                open: open.clone(),
            };
            accepting.spawn(acceptor.run(listener, shutdown.clone()));
        }
        shutdown.cancelled().await;
        while accepting.join_next().await.is_some() {}
        let drained = async {
            // The acceptors are gone, so this is the last owner.
            if let Some(graceful) = Arc::into_inner(graceful) {
                graceful.shutdown().await;
            }
            self.tasks.close();
            self.tasks.wait().await;
        };
        if timeout(Duration::from_millis(limits::DRAIN_MS), drained).await.is_err() {
            tracing::warn!("connections or their work did not end in time and are cut off");
        }
        cut_off.cancel();
        open.close();
        open.wait().await;
    }
}

/// Accepts on one listener.
struct Acceptor {
    edge: Arc<Edge>,
    slots: Arc<Semaphore>,
    graceful: Arc<GracefulShutdown>,
    cut_off: CancellationToken,
    open: TaskTracker,
}

impl Acceptor {
    async fn run(self, listener: TcpListener, shutdown: CancellationToken) {
        let protocol = protocol();
        loop {
            let accepted = tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                accepted = self.accept(&listener) => accepted,
            };
            match accepted {
                Ok((slot, stream)) => self.start(&protocol, stream, slot),
                Err(error) => self.pause_after(&error).await,
            }
        }
    }

    /// Waits for a free slot first: beyond the cap, clients wait in the system's queue.
    async fn accept(&self, listener: &TcpListener) -> io::Result<(Option<OwnedSemaphorePermit>, TcpStream)> {
        let slot = Arc::clone(&self.slots).acquire_owned().await.ok();
        let (stream, _) = listener.accept().await?;
        Ok((slot, stream))
    }

    fn start(&self, protocol: &http1::Builder, stream: TcpStream, slot: Option<OwnedSemaphorePermit>) {
        let Ok(peer) = stream.peer_addr() else { return }; // it is gone already
        let _ = stream.set_nodelay(true); // only costs latency when it fails
        let edge = Arc::clone(&self.edge);
        let service = service_fn(move |request| {
            let edge = Arc::clone(&edge);
            async move { Ok::<_, Infallible>(edge.answer(request, peer.ip()).await) }
        });
        let connection = self.graceful.watch(protocol.serve_connection(TokioIo::new(stream), service));
        let (cut_off, count) = (self.cut_off.clone(), self.edge.metrics.connections.clone());
        count.inc();
        self.open.spawn(async move {
            tokio::select! {
                ended = connection => if let Err(error) = ended {
                    tracing::debug!(%error, "a connection ended badly");
                },
                () = cut_off.cancelled() => {}
            }
            count.dec();
            drop(slot);
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

fn protocol() -> http1::Builder {
    let mut protocol = http1::Builder::new();
    protocol
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(limits::HEADER_READ_MS))
        .max_headers(limits::REQUEST_FIELDS)
        .max_buf_size(limits::REQUEST_HEAD_BYTES);
    protocol
}
