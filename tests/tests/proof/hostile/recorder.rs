//! A server that believes nothing: it keeps every request that is whole, and takes every byte that a strict client would not
//! write for an attack. It shares no code with the edge.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use super::Seen;
use super::case::Expected;

/// The server.
pub(crate) struct Recorder {
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    open: Arc<Mutex<JoinSet<()>>>,
    accepting: JoinHandle<()>,
}

impl Recorder {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("a port");
        let (seen, open) = (Arc::<Mutex<Seen>>::default(), Arc::<Mutex<JoinSet<()>>>::default());
        let (to, all) = (Arc::clone(&seen), Arc::clone(&open));
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                lock(&all).spawn(serve(stream, Arc::clone(&to)));
            }
        });
        Self { address, seen, open, accepting }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Everything, once all connections are closed.
    pub(crate) async fn seen(self) -> Seen {
        self.accepting.abort();
        let mut open = std::mem::take(&mut *lock(&self.open));
        while let Some(ended) = open.join_next().await {
            ended.expect("a connection ends");
        }
        std::mem::take(&mut *lock(&self.seen))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One connection. What is left over at its end is a request that was broken off: no server takes it for one.
async fn serve(mut stream: TcpStream, seen: Arc<Mutex<Seen>>) {
    let (mut bytes, mut has_continued) = (Vec::new(), false);
    loop {
        match Reader::new(&bytes).request() {
            Ok((request, length)) => {
                bytes.drain(..length);
                let body = if request.method == "HEAD" { "" } else { "ok" };
                lock(&seen).requests.push(request);
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{body}");
                if stream.write_all(answer.as_bytes()).await.is_err() {
                    return;
                }
                has_continued = false;
                continue;
            }
            Err(Fault::Malformed(what)) => {
                return lock(&seen).malformed.push(format!("{what}: {}", bytes.escape_ascii()));
            }
            Err(Fault::Partial { awaits_body: true }) if !has_continued => {
                has_continued = true;
                let _ = stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await;
            }
            Err(Fault::Partial { .. }) => {}
        }
        if !matches!(stream.read_buf(&mut bytes).await, Ok(1..)) {
            return;
        }
    }
}

/// Why there is no request.
#[derive(Debug)]
enum Fault {
    /// Not yet. The client may wait for 100 (Continue).
    Partial {
        awaits_body: bool,
    },
    Malformed(String),
}

const PARTIAL: Fault = Fault::Partial { awaits_body: false };

fn malformed<T>(what: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::Malformed(what.into()))
}

/// Reads one request from the begin of what came.
struct Reader<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> Reader<'b> {
    fn new(bytes: &'b [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The request, and how long it is.
    fn request(mut self) -> Result<(Expected, usize), Fault> {
        let line = self.line()?;
        let parts: Vec<&str> = line.split(' ').collect();
        let [method, target, "HTTP/1.1"] = parts[..] else { return malformed(format!("line {line:?}")) };
        let is_method = !method.is_empty() && method.bytes().all(|b| b.is_ascii_uppercase() || b == b'-');
        let is_target = target == "*" || (target.starts_with('/') && !target.starts_with("//"));
        if !is_method || !is_target || !target.bytes().all(|b| b.is_ascii_graphic() && b != b'#') {
            return malformed(format!("line {line:?}"));
        }
        let fields = self.fields()?;
        let body = self.body(&fields)?;
        let case = one(&fields, "x-case")?.unwrap_or_default();
        let request = Expected { case, method: method.to_owned(), target: target.to_owned(), body };
        Ok((request, self.at))
    }

    /// Text up to the next CRLF, without any control character; obs-text is kept as Latin-1.
    fn line(&mut self) -> Result<String, Fault> {
        let rest = &self.bytes[self.at..];
        let Some(end) = rest.iter().position(|b| *b == b'\n') else { return Err(PARTIAL) };
        let Some((b'\r', line)) = rest[..end].split_last() else { return malformed("a line without CR") };
        if line.iter().any(|b| (*b < 32 && *b != b'\t') || *b == 127) {
            return malformed("a control character");
        }
        self.at += end + 1;
        Ok(line.iter().map(|b| char::from(*b)).collect())
    }

    fn fields(&mut self) -> Result<Vec<(String, String)>, Fault> {
        let mut fields = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            let Some((name, value)) = line.split_once(':') else {
                return malformed(format!("field {line:?}"));
            };
            if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
                return malformed(format!("name {name:?}"));
            }
            fields.push((name.to_ascii_lowercase(), value.trim_matches([' ', '\t']).to_owned()));
        }
        Ok(fields)
    }

    fn body(&mut self, fields: &[(String, String)]) -> Result<Vec<u8>, Fault> {
        if one(fields, "host")?.is_none_or(|host| host.is_empty()) {
            return malformed("no Host");
        }
        let awaits_body = one(fields, "expect")?.is_some_and(|expected| expected == "100-continue");
        let body = match (one(fields, "content-length")?, one(fields, "transfer-encoding")?) {
            (None, None) => return Ok(Vec::new()),
            (Some(length), None) => self.sized(&length),
            (None, Some(coding)) if coding == "chunked" => self.chunked(),
            framing => malformed(format!("framing {framing:?}")),
        };
        body.map_err(|fault| match fault {
            Fault::Partial { .. } => Fault::Partial { awaits_body },
            fault => fault,
        })
    }

    fn sized(&mut self, length: &str) -> Result<Vec<u8>, Fault> {
        let Ok(number) = length.parse::<usize>() else { return malformed(format!("length {length:?}")) };
        if number.to_string() != length {
            return malformed(format!("length {length:?}"));
        }
        self.take(number)
    }

    fn take(&mut self, length: usize) -> Result<Vec<u8>, Fault> {
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len()).ok_or(PARTIAL)?;
        Ok(self.bytes[std::mem::replace(&mut self.at, end)..end].to_vec())
    }

    fn chunked(&mut self) -> Result<Vec<u8>, Fault> {
        let mut body = Vec::new();
        loop {
            let line = self.line()?;
            let size = usize::from_str_radix(&line, 16)
                .ok()
                .filter(|size| format!("{size:x}") == line.to_ascii_lowercase());
            let Some(size) = size else { return malformed(format!("chunk {line:?}")) };
            if size == 0 {
                break;
            }
            body.extend(self.take(size)?);
            if !self.line()?.is_empty() {
                return malformed("no CRLF behind a chunk");
            }
        }
        let trailers = self.fields()?;
        match trailers.iter().find(|(name, _)| !name.starts_with("x-")) {
            Some((name, _)) => malformed(format!("trailer {name:?}")),
            None => Ok(body),
        }
    }
}

/// The value of a field that comes once at most.
fn one(fields: &[(String, String)], name: &str) -> Result<Option<String>, Fault> {
    let mut values = fields.iter().filter(|(there, _)| there == name).map(|(_, value)| value);
    match (values.next(), values.next()) {
        (_, Some(_)) => malformed(format!("{name} is repeated")),
        (value, None) => Ok(value.cloned()),
    }
}
