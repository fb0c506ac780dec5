//! A platform that is as fast as can be: it answers `POST /track` with a new click id and writes nothing down.

use std::{
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Request, Response, body::Incoming, header::CONTENT_TYPE, server::conn::http1, service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// A platform that runs in this process, on one thread, for as long as the process.
pub(crate) struct Platform {
    pub(crate) address: SocketAddr,
    calls: Arc<AtomicU64>,
}

impl Platform {
    /// How many calls it has had.
    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }
}

/// Starts it on a port from the kernel.
///
/// # Errors
/// When there is no port or no thread to be had.
pub(crate) fn start() -> anyhow::Result<Platform> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
    let platform = Platform { address: listener.local_addr()?, calls: Arc::default() };
    let calls = Arc::clone(&platform.calls);
    thread::Builder::new()
        .name("platform".to_owned())
        .spawn(move || runtime.block_on(serve(listener, calls)))?;
    Ok(platform)
}

async fn serve(listener: TcpListener, calls: Arc<AtomicU64>) {
    // Ends with the process; a listener that fails shows as failed requests.
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        let calls = Arc::clone(&calls);
        let service = service_fn(move |request: Request<Incoming>| {
            let call = calls.fetch_add(1, Ordering::Relaxed);
            async move {
                let _ = request.into_body().collect().await;
                Ok::<_, Infallible>(answer(call))
            }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

fn answer(call: u64) -> Response<Full<Bytes>> {
    let body = format!(r#"{{"cid":"cm{call:023}","data":{{"discount":null,"affiliateCoupons":[]}}}}"#);
    let mut answer = Response::new(Full::new(body.into()));
    answer.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("application/json"));
    answer
}
