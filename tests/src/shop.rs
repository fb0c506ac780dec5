//! A merchant's own server, which answers as a test says and keeps what it was asked.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A running server. It ends with this value.
pub struct Shop {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Parts>>>,
    serving: JoinHandle<()>,
}

impl Shop {
    /// Starts one that answers as `answer` says.
    ///
    /// # Panics
    /// When it cannot listen.
    pub async fn start<F>(answer: impl Fn(Parts) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Response<Bytes>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (answer, asked) = (Arc::new(answer), Arc::new(Mutex::new(Vec::new())));
        let kept = Arc::clone(&asked);
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, kept) = (Arc::clone(&answer), Arc::clone(&kept));
                let service = service_fn(move |request: Request<Incoming>| {
                    let head = request.into_parts().0;
                    kept.lock().unwrap_or_else(PoisonError::into_inner).push(head.clone());
                    let answered = answer(head);
                    async move { Ok::<_, std::convert::Infallible>(answered.await.map(Full::new)) }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { address, asked, serving }
    }

    /// Starts one that answers every request with this page.
    ///
    /// # Panics
    /// When it cannot listen.
    pub async fn with_page(html: &'static str) -> Self {
        Self::start(move |_| async move { page(html) }).await
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What stands behind `origin =`.
    #[must_use]
    pub fn toml(&self) -> String {
        format!("\"http://{}\"", self.address)
    }

    /// The heads of the requests that came, in their order.
    #[must_use]
    pub fn asked(&self) -> Vec<Parts> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// A page that every cache may keep.
#[must_use]
pub fn page(html: impl Into<Bytes>) -> Response<Bytes> {
    let mut answer = Response::new(html.into());
    for (name, value) in [
        ("content-type", "text/html; charset=utf-8"),
        ("cache-control", "public, max-age=600"),
        ("etag", "\"v1\""),
    ] {
        answer.headers_mut().insert(name, http::HeaderValue::from_static(value));
    }
    answer
}
