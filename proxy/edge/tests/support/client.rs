//! A client that sends exactly what it is told.

use std::net::SocketAddr;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

pub(crate) struct Ask {
    at: SocketAddr,
    head: String,
    body: Vec<u8>,
}

pub(crate) struct Reply {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
}

impl Ask {
    pub(crate) fn new(at: SocketAddr, method: &str, target: &str) -> Self {
        Self { at, head: format!("{method} {target} HTTP/1.1\r\nConnection: close\r\n"), body: Vec::new() }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.head += &format!("{name}: {value}\r\n");
        self
    }

    pub(crate) fn body(mut self, body: &str) -> Self {
        self.body = body.as_bytes().to_vec();
        self.header("Content-Length", &body.len().to_string())
    }

    /// Sends the request whole.
    pub(crate) async fn start(self) -> TcpStream {
        let mut stream = TcpStream::connect(self.at).await.expect("a connection");
        let mut request = (self.head + "\r\n").into_bytes();
        request.extend(self.body);
        stream.write_all(&request).await.expect("sent");
        stream
    }

    pub(crate) async fn send(self) -> Reply {
        Reply::of(self.start().await).await
    }
}

impl Reply {
    /// What comes until the connection closes.
    pub(crate) async fn of(mut stream: TcpStream) -> Self {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.expect("an answer");
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("a header");
        let head = String::from_utf8(bytes[..end].to_vec()).expect("text");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        Self { status, head, body: bytes[end + 4..].to_vec() }
    }

    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let fields = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        fields.filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {}", self.text()))
    }
}
