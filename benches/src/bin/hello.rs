//! A bare hyper: `hello BYTES` answers every request with so many bytes, on a port from the kernel, until it is killed.
//!
//! It is what hyper 1 on tokio costs with nothing on top: no routes, no timers, no header fields but hyper's own two.

use std::{convert::Infallible, io::Write as _, net::Ipv4Addr};

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

fn main() -> anyhow::Result<()> {
    let bytes: usize = std::env::args().nth(1).context("usage: hello BYTES")?.parse()?;
    // The runtime that `usher serve` has: as many workers as cores.
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(serve(vec![b'.'; bytes].into()))
}

async fn serve(body: Bytes) -> anyhow::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    writeln!(std::io::stdout(), "listening {}", listener.local_addr()?)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let body = body.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let body = body.clone();
            async move {
                // Read to its end, so that the connection is kept; what a client sends is no concern here.
                let _ = request.into_body().collect().await;
                Ok::<_, Infallible>(Response::new(Full::new(body)))
            }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}
