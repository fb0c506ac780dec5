//! One connection: its protocol, its limits, its end.

mod alarm;
mod budget;
mod end;
mod flow;
mod frames;
mod http1;
mod http2;
mod tally;

pub use end::End;
pub use flow::Flow;

use crate::Inbound;
use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, Version, header::CONNECTION};
use http_body::Body;
use hyper::{body::Incoming, service::service_fn};
use std::{convert::Infallible, sync::Arc};
use tally::{Outbound, Tally};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

/// What a connection speaks. It is settled before its first byte: by ALPN, never by sniffing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1 (RFC 9112), and HTTP/1.0.
    Http1 {
        /// Whether it is carried by TLS.
        is_secured: bool,
    },
    /// HTTP/2 (RFC 9113), which is always carried by TLS here.
    Http2,
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Serves one connection to its end with `service`. Once `drain` is cancelled it ends with the answers to the requests under
/// way; a connection that has had none yet is given its first, if that
/// comes soon. `io` should be, or be carried by, a [`Flow`].
///
/// # Errors
/// When the connection breaks, or its client breaks the protocol or a limit; that is for the log.
pub async fn serve<IO, S, F, B>(
    io: IO,
    protocol: Protocol,
    drain: CancellationToken,
    service: S,
) -> Result<(), End>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Fn(Request<Inbound>) -> F,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin + Send + 'static,
{
    let tally = Tally::new();
    let counted = service_fn(|mut request: Request<Incoming>| {
        let (turn, is_http1) = (tally.take(), request.version() < Version::HTTP_2);
        if is_http1 && !request.body().is_end_stream() {
            let_go(&mut request);
        }
        let is_head = request.method() == Method::HEAD;
        let (tally, answer) = (Arc::clone(&tally), service(request.map(Inbound::new)));
        async move {
            let mut answer = answer.await;
            if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
                tally.switch();
            } else if is_http1 && tally.is_over() {
                answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            // Of HTTP/1 hyper sees to that itself.
            if is_head && !is_http1 {
                tally::keep_length(&mut answer);
                return Ok::<_, Infallible>(answer.map(|_| Outbound::none(turn)));
            }
            Ok(answer.map(|body| Outbound::new(body, turn, is_http1)))
        }
    });
    // Boxed, so that one protocol's connections take no room for the other's.
    match protocol {
        Protocol::Http1 { is_secured } => {
            Box::pin(http1::serve(io, is_secured, Arc::clone(&tally), drain, &counted)).await
        }
        Protocol::Http2 => Box::pin(http2::serve(io, Arc::clone(&tally), drain, &counted)).await,
    }
}

/// Takes the head out of the buffer that it was read into: until the body has come, hyper would hold that one and another.
fn let_go(request: &mut Request<Incoming>) {
    let length = request.headers().values().map(HeaderValue::len).sum();
    let mut texts = BytesMut::with_capacity(length);
    for value in request.headers_mut().values_mut() {
        texts.extend_from_slice(value.as_bytes());
        // What was a value once is one again.
        if let Ok(own) = HeaderValue::from_maybe_shared(texts.split().freeze()) {
            *value = own;
        }
    }
    if let Ok(own) = Uri::try_from(request.uri().to_string()) {
        *request.uri_mut() = own;
    }
}
