//! A connection whose other side a test holds.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Either, Full};
use hyper_util::rt::TokioIo;
use std::{
    convert::Infallible,
    pin::Pin,
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
    task::{Context, Poll},
    time::Duration,
};
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
    /// Parts without end, which are counted as they are taken.
    Endless(&'static AtomicUsize),
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

/// What an origin sends that is faster than its visitor.
struct Endless(&'static AtomicUsize);

impl Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.fetch_add(1, SeqCst);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'x'; PART_BYTES])))))
    }
}

/// One part of it.
pub(crate) const PART_BYTES: usize = 20_000;

async fn respond(reply: Reply, mut request: Request<Inbound>) -> Response<Either<Full<Bytes>, Endless>> {
    if let Reply::Endless(taken) = reply {
        return Response::new(Either::Right(Endless(taken)));
    }
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
        Reply::Endless(_) => StatusCode::OK,
    };
    let mut response = Response::new(Either::Left(Full::new(body)));
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
