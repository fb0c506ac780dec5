//! An origin that follows a script byte by byte, and a server of hyper's that forwards to it.
#![allow(dead_code, reason = "each suite uses its own part")]

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{Either, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::timeout,
};
use usher_model::OriginAddress;
use usher_origin::{BodyStream, Origin, Settings, Tunnels, Visitor};

/// How long anything here may take.
const SOON: Duration = Duration::from_secs(10);

/// The connections that an origin is given, one after the other.
pub(crate) struct Scripted {
    pub(crate) at: SocketAddr,
    incoming: mpsc::UnboundedReceiver<TcpStream>,
}

impl Scripted {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let at = listener.local_addr().expect("an address");
        let (send, incoming) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if send.send(stream).is_err() {
                    return;
                }
            }
        });
        Self { at, incoming }
    }

    pub(crate) async fn connection(&mut self) -> Wire {
        let stream = timeout(SOON, self.incoming.recv()).await.expect("a connection in time");
        Wire(stream.expect("a connection"))
    }

    /// Whether another connection has been opened.
    pub(crate) fn has_another(&mut self) -> bool {
        !self.incoming.is_empty()
    }
}

/// One side of a connection.
pub(crate) struct Wire(pub(crate) TcpStream);

impl Wire {
    pub(crate) async fn connect(at: SocketAddr) -> Self {
        Self(TcpStream::connect(at).await.expect("a connection"))
    }

    pub(crate) async fn say(&mut self, text: impl AsRef<[u8]>) {
        self.0.write_all(text.as_ref()).await.expect("written");
    }

    /// Reads until `end` has come; gives all of it.
    pub(crate) async fn until(&mut self, end: &str) -> String {
        let mut read = Vec::new();
        let reading = async {
            while !read.ends_with(end.as_bytes()) {
                read.push(self.0.read_u8().await?);
            }
            std::io::Result::Ok(())
        };
        let done = timeout(SOON, reading).await;
        let read = String::from_utf8_lossy(&read).into_owned();
        assert!(matches!(done, Ok(Ok(()))), "{end:?} did not come, but {read:?} ({done:?})");
        read
    }

    pub(crate) async fn head(&mut self) -> String {
        self.until("\r\n\r\n").await
    }

    /// Everything until the other side closes; whether it did so in order.
    pub(crate) async fn rest(&mut self) -> (String, bool) {
        let mut read = Vec::new();
        let ended = timeout(SOON, self.0.read_to_end(&mut read)).await.expect("an end in time");
        (String::from_utf8_lossy(&read).into_owned(), ended.is_ok())
    }

    pub(crate) async fn ends(&mut self) {
        assert_eq!(self.rest().await.0, "");
    }
}

/// A server that forwards everything to `origin`, and tells a failure's word with status 599.
pub(crate) struct Forwarding {
    pub(crate) at: SocketAddr,
    pub(crate) tunnels: Tunnels,
}

pub(crate) const OWN_COOKIE: &str = "affonso_referral";

impl Forwarding {
    pub(crate) async fn to(origin: SocketAddr) -> Self {
        let address = OriginAddress { https: false, host: origin.ip().to_string(), port: origin.port() };
        Self::to_address(address).await
    }

    pub(crate) async fn to_address(address: OriginAddress) -> Self {
        let tunnels = Tunnels::default();
        let settings =
            Settings { address, own_cookies: vec![OWN_COOKIE.to_owned()], shows_own_cookies: false };
        let origin = Arc::new(Origin::new(settings, &tunnels));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let at = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let origin = Arc::clone(&origin);
                let service = service_fn(move |request| {
                    let origin = Arc::clone(&origin);
                    async move { Ok::<_, Infallible>(forward(&origin, request).await) }
                });
                let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                tokio::spawn(async move {
                    let _ = connection.with_upgrades().await;
                });
            }
        });
        Self { at, tunnels }
    }

    /// Sends `text` and gives the connection, to read the answer off.
    pub(crate) async fn ask(&self, text: impl AsRef<[u8]>) -> Wire {
        let mut wire = Wire::connect(self.at).await;
        wire.say(text).await;
        wire
    }
}

async fn forward(origin: &Origin, request: Request<Incoming>) -> Response<Either<BodyStream, Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let visitor =
        Visitor { address: [192, 0, 2, 1].into(), https: true, host: "shop.example", is_vouched_for: false };
    match origin.forward(&head, body, &visitor).await {
        Ok(answer) => answer.map(Either::Left),
        Err(failure) => {
            let mut answer = Response::new(Either::Right(Full::from(failure.word())));
            *answer.status_mut() = http::StatusCode::from_u16(599).expect("a status");
            answer
        }
    }
}

pub(crate) fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: shop.example\r\n\r\n")
}
