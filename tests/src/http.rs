//! A small HTTP client that does what it is told: any `Host`, any method, raw bytes, one connection a request.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Total deadline of one request.
const DEADLINE: Duration = Duration::from_secs(30);

/// A request that has not been sent yet.
#[must_use]
#[derive(Clone, Debug)]
pub struct Request {
    to: SocketAddr,
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

/// A `GET`.
pub fn get(to: SocketAddr, path: &str) -> Request {
    request(Method::GET, to, path)
}

/// A `POST`.
pub fn post(to: SocketAddr, path: &str) -> Request {
    request(Method::POST, to, path)
}

/// Any request. Its `Host` is the address until [`Request::header`] says otherwise.
pub fn request(method: Method, to: SocketAddr, path: &str) -> Request {
    let request =
        Request { to, method, path: path.to_owned(), headers: HeaderMap::new(), body: Bytes::new() };
    request.header("host", &to.to_string())
}

impl Request {
    /// Sets a header, in place of an earlier one of that name.
    ///
    /// # Panics
    /// When it is no header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name: HeaderName = name.parse().expect("a header's name");
        self.headers.insert(name, HeaderValue::from_str(value).expect("a header's value"));
        self
    }

    /// Sets another method.
    ///
    /// # Panics
    /// When it is none.
    pub fn method(mut self, method: &str) -> Self {
        self.method = method.parse().expect("a method");
        self
    }

    /// Sets the host name that is asked for.
    pub fn host(self, host: &str) -> Self {
        self.header("host", host)
    }

    /// Leaves a header out.
    pub fn without(mut self, name: &str) -> Self {
        self.headers.remove(name);
        self
    }

    /// Sets the bearer key.
    pub fn bearer(self, key: &str) -> Self {
        self.header("authorization", &format!("Bearer {key}"))
    }

    /// Comes through a trusted proxy from this visitor.
    pub fn visitor(self, address: &str) -> Self {
        self.header("x-forwarded-for", address)
    }

    /// Sends a JSON body.
    pub fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    /// Sends a body.
    pub fn body(mut self, content_type: &str, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self.header("content-type", content_type)
    }

    /// Sends it and reads the whole answer.
    ///
    /// # Panics
    /// When there is none.
    pub async fn send(self) -> Answer {
        let line = format!("{} {}", self.method, self.path);
        self.try_send().await.unwrap_or_else(|error| panic!("{line}: {error}"))
    }

    /// Sends it and reads the whole answer.
    ///
    /// # Errors
    /// When there is none within half a minute: no connection, a broken one, no HTTP.
    pub async fn try_send(self) -> io::Result<Answer> {
        tokio::time::timeout(DEADLINE, self.exchange()).await.map_err(|_| io::ErrorKind::TimedOut)?
    }

    async fn exchange(self) -> io::Result<Answer> {
        let stream = TcpStream::connect(self.to).await?;
        stream.set_nodelay(true)?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        let connection = tokio::spawn(connection);
        let mut request = http::Request::new(Full::new(self.body));
        *request.method_mut() = self.method;
        *request.uri_mut() = self.path.parse().map_err(io::Error::other)?;
        *request.headers_mut() = self.headers;
        let exchanged = async {
            let (head, body) = sender.send_request(request).await?.into_parts();
            let body = body.collect().await?.to_bytes();
            Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
        };
        let answer = exchanged.await.map_err(|error: hyper::Error| io::Error::other(error));
        connection.abort();
        answer
    }
}

/// Sends bytes as they are and reads what comes back until the peer closes, or for two seconds.
///
/// # Errors
/// When the connection cannot be made or written.
pub async fn raw(to: SocketAddr, bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(to).await?;
    stream.write_all(bytes).await?;
    let mut answer = Vec::new();
    // A reset after an early refusal, or a connection kept open, ends the answer as well as its end does.
    let _ = tokio::time::timeout(Duration::from_secs(2), stream.read_to_end(&mut answer)).await;
    Ok(answer)
}

/// An answer, read in full.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("status {}, not JSON ({error}): {}", self.status, self.text()))
    }

    /// This answer, if it has that status.
    ///
    /// # Panics
    /// When it has another.
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }

    /// A header's text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Every cookie that it sets.
    #[must_use]
    pub fn cookies(&self) -> Vec<SetCookie> {
        let lines = self.headers.get_all("set-cookie").iter();
        lines.filter_map(|line| line.to_str().ok()).map(SetCookie::parse).collect()
    }

    /// The cookie of that name, if it sets one.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<SetCookie> {
        self.cookies().into_iter().find(|cookie| cookie.name == name)
    }
}

/// A `Set-Cookie` field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetCookie {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// Its attributes, names in lower case; those without a value have an empty one.
    pub attributes: BTreeMap<String, String>,
}

impl SetCookie {
    fn parse(line: &str) -> Self {
        let pair = |text: &str| {
            let (name, value) = text.split_once('=').unwrap_or((text, ""));
            (name.trim().to_owned(), value.trim().to_owned())
        };
        let mut parts = line.split(';');
        let (name, value) = pair(parts.next().unwrap_or_default());
        let attributes = parts.map(pair).map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
        Self { name, value, attributes }
    }

    /// An attribute's value; empty when it stands alone.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).map(String::as_str)
    }
}
