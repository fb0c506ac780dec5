//! A connection whose other side a test holds.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    task::JoinHandle,
    time::sleep,
};
use tokio_util::sync::CancellationToken;
use usher_front::{End, Flow, Inbound, InboundError, Protocol};

/// What the system holds of a socket here, each way.
const SOCKET_BYTES: usize = 4096;

pub(crate) struct Opened {
    pub(crate) io: DuplexStream,
    pub(crate) drain: CancellationToken,
    pub(crate) served: JoinHandle<Result<(), End>>,
}

/// How requests are answered.
#[derive(Clone, Copy)]
pub(crate) enum Reply {
    /// 204.
    Empty,
    /// The same after some time.
    Late(Duration),
    /// So many bytes.
    Long(usize),
    /// The same once the body was read, which begins after some time; else 408 or 400.
    Read { after: Duration },
    /// 101, and then an echo.
    Switch,
}

pub(crate) fn open_http1(reply: Reply) -> Opened {
    open(Protocol::Http1 { is_secured: false }, reply)
}

pub(crate) fn open(protocol: Protocol, reply: Reply) -> Opened {
    let (io, server) = tokio::io::duplex(SOCKET_BYTES);
    let drain = CancellationToken::new();
    let service = move |request| respond(reply, request);
    let served = tokio::spawn(usher_front::serve(Flow::new(server, ()), protocol, drain.clone(), service));
    Opened { io, drain, served }
}

async fn respond(reply: Reply, mut request: Request<Inbound>) -> Response<Full<Bytes>> {
    let mut body = Bytes::new();
    let status = match reply {
        Reply::Empty => StatusCode::NO_CONTENT,
        Reply::Late(after) => {
            sleep(after).await;
            StatusCode::NO_CONTENT
        }
        Reply::Long(bytes) => {
            body = Bytes::from(vec![b'x'; bytes]);
            StatusCode::OK
        }
        Reply::Read { after } => {
            sleep(after).await;
            match request.into_body().collect().await {
                Ok(_) => StatusCode::NO_CONTENT,
                Err(InboundError::TooSlow) => StatusCode::REQUEST_TIMEOUT,
                Err(InboundError::Broken(_)) => StatusCode::BAD_REQUEST,
            }
        }
        Reply::Switch => {
            tokio::spawn(echo(hyper::upgrade::on(&mut request)));
            StatusCode::SWITCHING_PROTOCOLS
        }
    };
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response
}

async fn echo(upgrade: hyper::upgrade::OnUpgrade) {
    let mut io = TokioIo::new(upgrade.await.expect("a tunnel"));
    let mut space = [0; 512];
    while let Ok(read @ 1..) = io.read(&mut space).await {
        io.write_all(&space[..read]).await.expect("sent");
    }
}
