//! What the two small servers of the demo share: the accept loop, bounded bodies, JSON answers.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use serde::Serialize;
use tokio::net::TcpListener;

use super::limits;

/// An answer whose body is wholly in memory.
pub(crate) type Reply = Response<Full<Bytes>>;

/// The connection is to be closed without an answer.
#[derive(Debug)]
pub(crate) struct HangUp;

impl std::fmt::Display for HangUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the connection is closed on purpose, without an answer")
    }
}

impl std::error::Error for HangUp {}

/// Why a body could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// Longer than allowed.
    TooLarge,
    /// The peer took too long, went away or sent something that is no HTTP.
    Broken,
}

/// Serves HTTP/1.1 until `shutdown` is ready, then lets open requests finish for a moment.
///
/// # Errors
/// Never while serving: a failed `accept` is logged and tried again.
pub(crate) async fn serve<H, A>(
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
    handle: H,
) -> std::io::Result<()>
where
    H: Fn(Request<Incoming>, SocketAddr) -> A + Clone + Send + 'static,
    A: Future<Output = Result<Reply, HangUp>> + Send + 'static,
{
    let open = GracefulShutdown::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut shutdown => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "accept failed");
                tokio::time::sleep(limits::ACCEPT_PAUSE).await;
                continue;
            }
        };
        // Without it small answers may wait for the peer's delayed acknowledgement; nothing breaks when it cannot be set.
        let _ = stream.set_nodelay(true);
        let handle = handle.clone();
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits::HEAD_READ_MAX)
            .serve_connection(TokioIo::new(stream), service_fn(move |request| handle(request, peer)));
        let connection = open.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection ended early");
            }
        });
    }
    drop(listener);
    // Past the grace the connections are simply left behind: this is a demo's server.
    let _ = tokio::time::timeout(limits::STOP_GRACE, open.shutdown()).await;
    Ok(())
}

/// Reads a request's body within a length and a time.
///
/// # Errors
/// [`BodyError`].
pub(crate) async fn read_body<B>(body: B, max_bytes: usize) -> Result<Bytes, BodyError>
where
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let collect = Limited::new(body, max_bytes).collect();
    match tokio::time::timeout(limits::BODY_READ_MAX, collect).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(BodyError::TooLarge),
        Ok(Err(_)) | Err(_) => Err(BodyError::Broken),
    }
}

/// An answer with a body of the given type, never stored by caches.
pub(crate) fn reply(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Full::new(body.into()));
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    reply
}

/// A JSON answer.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Reply {
    match serde_json::to_vec(value) {
        Ok(body) => reply(status, "application/json", body),
        Err(error) => {
            tracing::error!(%error, "an answer could not be written as JSON");
            reply(StatusCode::INTERNAL_SERVER_ERROR, "text/plain; charset=utf-8", "not serialisable")
        }
    }
}

/// The first value of a query parameter, decoded.
pub(crate) fn query_value(query: Option<&str>, name: &str) -> Option<String> {
    url::form_urlencoded::parse(query?.as_bytes())
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}
