//! The merchant's server: it does byte by byte what the path of a request asks for.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use super::socket;

/// What every body is made of.
pub(crate) static PIECE: [u8; 64 * 1024] = [b'u'; 64 * 1024];

/// A running shop. Dropped, it is gone with all its connections.
pub(crate) struct Shop {
    pub(crate) at: SocketAddr,
    /// Bytes of `/endless` that somebody took.
    pub(crate) taken: Arc<AtomicU64>,
    accepting: JoinHandle<()>,
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Shop {
    pub(crate) async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let at = listener.local_addr().expect("an address");
        let taken = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&taken);
        let accepting = tokio::spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let taken = Arc::clone(&count);
                // Visitors hang up, and so may it.
                open.spawn(async move { serve(stream, &taken).await.ok() });
            }
        });
        Self { at, taken, accepting }
    }
}

/// A request's head.
struct Asked {
    path: String,
    length: Option<u64>,
    /// Whether it has the key of a WebSocket.
    has_key: bool,
}

async fn serve(stream: TcpStream, taken: &AtomicU64) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    loop {
        let Some(asked) = read(&mut stream).await? else { return Ok(()) };
        let (name, number) = asked.path.rsplit_once('/').unwrap_or_default();
        let number: u64 = number.parse().unwrap_or_default();
        match name {
            "/down" => {
                say(&mut stream, &format!("200 OK\r\nContent-Length: {number}")).await?;
                send(&mut stream, number, None).await?;
            }
            "/endless" => {
                say(&mut stream, "200 OK\r\nContent-Length: 1000000000000").await?;
                send(&mut stream, 1_000_000_000_000, Some(taken)).await?;
            }
            "/up" => {
                let read = take(&mut stream, asked.length).await?.to_string();
                say(&mut stream, &format!("200 OK\r\nContent-Length: {}", read.len())).await?;
                stream.write_all(read.as_bytes()).await?;
            }
            "/mute" => std::future::pending().await,
            "/dies" => {
                let framing = if number.is_multiple_of(2) {
                    "Content-Length: 100000"
                } else {
                    "Transfer-Encoding: chunked"
                };
                say(&mut stream, &format!("200 OK\r\n{framing}")).await?;
                let begin = if number.is_multiple_of(2) { "" } else { "40\r\n" };
                stream.write_all(begin.as_bytes()).await?;
                return stream.write_all(&PIECE[..64]).await;
            }
            "/socket" if asked.has_key => return echo(stream).await,
            _ => page(&mut stream, &asked.path).await?,
        }
    }
}

async fn read(stream: &mut BufReader<TcpStream>) -> std::io::Result<Option<Asked>> {
    let mut asked = Asked { path: String::new(), length: None, has_key: false };
    for count in 0.. {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        if line == "\r\n" {
            break;
        }
        if count == 0 {
            line.split(' ').nth(1).unwrap_or_default().clone_into(&mut asked.path);
        }
        match line.trim_end().split_once(": ") {
            Some(("content-length", length)) => asked.length = length.parse().ok(),
            Some(("sec-websocket-key", key)) => asked.has_key = key == socket::KEY,
            _ => {}
        }
    }
    Ok(Some(asked))
}

/// What pages say with their headers; compared with and without the edge between.
pub(crate) const PAGES: [&str; 7] = [
    "200 OK\r\nContent-Type: text/css\r\nETag: \"1\"\r\nCache-Control: public, max-age=60\r\nLast-Modified: Mon, 01 Jun 2026 00:00:00 GMT\r\nContent-Length: 2\r\nServer: shop\r\nX-Powered-By: shop\r\n\r\nok",
    "200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nVary: Accept-Encoding, Cookie\r\nContent-Length: 2\r\nSet-Cookie: a=1; Path=/\r\nSet-Cookie: b=2; HttpOnly\r\n\r\nok",
    "206 Partial Content\r\nContent-Range: bytes 0-1/9\r\nAccept-Ranges: bytes\r\nContent-Length: 2\r\n\r\nok",
    "301 Moved Permanently\r\nLocation: https://elsewhere.example/?a=b\r\nContent-Length: 0\r\n\r\n",
    "304 Not Modified\r\nETag: W/\"2\"\r\nDate: Mon, 01 Jun 2026 00:00:00 GMT\r\n\r\n",
    "401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"shop\"\r\nStrict-Transport-Security: max-age=1\r\nContent-Length: 2\r\n\r\nno",
    "503 Service Unavailable\r\nRetry-After: 7\r\nContent-Security-Policy: default-src 'self'\r\nContent-Length: 2\r\n\r\nno",
];

async fn page(stream: &mut BufReader<TcpStream>, path: &str) -> std::io::Result<()> {
    let number: usize = path.trim_start_matches("/page").parse().unwrap_or_default();
    let page = PAGES[number % PAGES.len()];
    let date = if page.contains("Date: ") { "" } else { "Date: Tue, 02 Jun 2026 00:00:00 GMT\r\n" };
    let (status, rest) = page.split_once("\r\n").unwrap_or_default();
    stream.write_all(format!("HTTP/1.1 {status}\r\n{date}{rest}").as_bytes()).await
}

async fn say(stream: &mut BufReader<TcpStream>, head: &str) -> std::io::Result<()> {
    stream.write_all(format!("HTTP/1.1 {head}\r\nContent-Type: image/png\r\n\r\n").as_bytes()).await
}

async fn send(
    stream: &mut BufReader<TcpStream>,
    bytes: u64,
    taken: Option<&AtomicU64>,
) -> std::io::Result<()> {
    let mut left = bytes;
    while left > 0 {
        let count = left.min(PIECE.len() as u64);
        stream.write_all(&PIECE[..count as usize]).await?;
        if let Some(taken) = taken {
            taken.fetch_add(count, Ordering::Relaxed);
        }
        left -= count;
    }
    Ok(())
}

/// How many bytes the body had.
async fn take(stream: &mut BufReader<TcpStream>, length: Option<u64>) -> std::io::Result<u64> {
    if let Some(length) = length {
        return tokio::io::copy(&mut stream.take(length), &mut tokio::io::sink()).await;
    }
    let mut read = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let size = u64::from_str_radix(line.trim_end(), 16).map_err(std::io::Error::other)?;
        read += tokio::io::copy(&mut (&mut *stream).take(size), &mut tokio::io::sink()).await?;
        stream.read_line(&mut line).await?;
        if size == 0 {
            return Ok(read);
        }
    }
}

/// A WebSocket that says everything again.
async fn echo(mut stream: BufReader<TcpStream>) -> std::io::Result<()> {
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {}\r\n\r\n",
        socket::ACCEPT
    );
    stream.write_all(head.as_bytes()).await?;
    loop {
        let payload = socket::read(&mut stream).await?;
        stream.write_all(&socket::frame(&payload, None)).await?;
    }
}
