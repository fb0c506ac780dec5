//! The admin listener.

use crate::{State, answers};
use http::Request;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use usher_model::limits;

/// Serves the operator on `listener` until `shutdown`. Answers take no time, so connections are cut off then.
pub async fn serve(listener: TcpListener, state: impl Into<Arc<State>>, shutdown: CancellationToken) {
    let state = state.into();
    let slots = Arc::new(Semaphore::new(limits::ADMIN_CONNECTIONS));
    let open = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            accepted = accept(&listener, &slots) => accepted,
        };
        match accepted {
            Ok((slot, stream)) => {
                open.spawn(connection(stream, slot, Arc::clone(&state), shutdown.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "the admin address cannot accept connections");
                tokio::time::sleep(Duration::from_millis(limits::ACCEPT_PAUSE_MS)).await;
            }
        }
    }
    open.close();
    open.wait().await;
}

async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> std::io::Result<(Option<OwnedSemaphorePermit>, TcpStream)> {
    let slot = Arc::clone(slots).acquire_owned().await.ok();
    Ok((slot, listener.accept().await?.0))
}

async fn connection(
    stream: TcpStream,
    slot: Option<OwnedSemaphorePermit>,
    state: Arc<State>,
    shutdown: CancellationToken,
) {
    let service = service_fn(move |request: Request<Incoming>| {
        let state = Arc::clone(&state);
        async move { Ok::<_, Infallible>(answers::answer(&state, &request.into_parts().0).await) }
    });
    let mut protocol = http1::Builder::new();
    protocol
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(limits::HEADER_READ_MS))
        .max_headers(limits::REQUEST_FIELDS)
        .max_buf_size(limits::REQUEST_HEAD_BYTES);
    tokio::select! {
        ended = protocol.serve_connection(TokioIo::new(stream), service) => if let Err(error) = ended {
            tracing::debug!(%error, "an admin connection ended badly");
        },
        () = shutdown.cancelled() => {}
    }
    drop(slot);
}
