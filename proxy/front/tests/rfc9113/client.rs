//! An HTTP/2 client that sends any frame at all, and what it saw of the server.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use usher_front::{Flow, Inbound, Protocol};

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PUSH_PROMISE: u8 = 5;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const ACK: u8 = 1;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
pub(crate) const PADDED: u8 = 8;
pub(crate) const PRIORITIZED: u8 = 0x20;
/// A request's header that is all there is to it.
pub(crate) const WHOLE: u8 = END_STREAM | END_HEADERS;

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// What every answer to a request carries.
pub(crate) const CONTENT: &[u8] = b"0123456789";

/// A frame that the server sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

/// What a client sends, put together.
#[derive(Default)]
pub(crate) struct Script(pub(crate) Vec<u8>);

impl Script {
    /// Preface and settings.
    pub(crate) fn begun() -> Self {
        Self(PREFACE.to_vec()).frame(SETTINGS, 0, 0, &[])
    }

    pub(crate) fn frame(self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Self {
        self.announced(payload.len(), kind, flags, stream, payload)
    }

    /// A frame that says that it is so long, whatever it is.
    pub(crate) fn announced(
        mut self,
        length: usize,
        kind: u8,
        flags: u8,
        stream: u32,
        payload: &[u8],
    ) -> Self {
        self.0.extend_from_slice(&u32::try_from(length).expect("short").to_be_bytes()[1..]);
        self.0.extend_from_slice(&[kind, flags]);
        self.0.extend_from_slice(&stream.to_be_bytes());
        self.0.extend_from_slice(payload);
        self
    }

    pub(crate) fn get(self, stream: u32) -> Self {
        self.frame(HEADERS, WHOLE, stream, &get())
    }

    pub(crate) fn post(self, stream: u32) -> Self {
        self.frame(HEADERS, END_HEADERS, stream, &post())
    }

    pub(crate) fn setting(self, id: u16, value: u32) -> Self {
        self.frame(SETTINGS, 0, 0, &[&id.to_be_bytes()[..], &value.to_be_bytes()].concat())
    }

    pub(crate) fn update(self, stream: u32, by: u32) -> Self {
        self.frame(WINDOW_UPDATE, 0, stream, &by.to_be_bytes())
    }
}

/// A field, literally and not to be indexed (RFC 7541 section 6.2.2).
pub(crate) fn field(name: &str, value: &str) -> Vec<u8> {
    let (long, longer) = (u8::try_from(name.len()), u8::try_from(value.len()));
    let (name_length, value_length) = (long.expect("short"), longer.expect("short"));
    assert!(name_length < 127 && value_length < 127);
    [&[0, name_length], name.as_bytes(), &[value_length], value.as_bytes()].concat()
}

pub(crate) fn get() -> Vec<u8> {
    [vec![0x82, 0x87, 0x84], field(":authority", "shop.example")].concat()
}

pub(crate) fn post() -> Vec<u8> {
    [vec![0x83, 0x87, 0x84], field(":authority", "shop.example")].concat()
}

/// What came of it.
pub(crate) struct Seen {
    pub(crate) frames: Vec<Frame>,
    pub(crate) is_closed: bool,
}

/// A connection to the stack.
pub(crate) struct Client {
    io: DuplexStream,
    came: Vec<u8>,
}

/// How requests are answered, once their bodies were read.
#[derive(Clone, Copy)]
pub(crate) enum Reply {
    /// With [`CONTENT`].
    Content,
    /// With that after some time.
    Late(Duration),
    /// With so many bytes.
    Long(usize),
}

impl Client {
    pub(crate) fn open() -> Self {
        Self::answered(Reply::Content).0
    }

    /// The connection, what lets it drain, and how it ends.
    pub(crate) fn answered(
        reply: Reply,
    ) -> (Self, CancellationToken, JoinHandle<Result<(), usher_front::End>>) {
        let (io, server) = tokio::io::duplex(1 << 20);
        let drain = CancellationToken::new();
        let service = move |request| answer(reply, request);
        let served = usher_front::serve(Flow::new(server, ()), Protocol::Http2, drain.clone(), service);
        (Self { io, came: Vec::new() }, drain, tokio::spawn(served))
    }

    pub(crate) async fn send(&mut self, script: Script) {
        // What the server has closed takes no more, which is what some tests want to see.
        let _ = self.io.write_all(&script.0).await;
    }

    /// The next frame; nothing when none comes for so long, or none can.
    pub(crate) async fn next(&mut self, patience: Duration) -> Result<Frame, End> {
        let reading = async {
            loop {
                if let Some(frame) = self.take() {
                    return Ok(frame);
                }
                match self.io.read_buf(&mut self.came).await {
                    Ok(1..) => {}
                    _ => return Err(End::Closed),
                }
            }
        };
        timeout(patience, reading).await.unwrap_or(Err(End::Silent))
    }

    fn take(&mut self) -> Option<Frame> {
        let (head, rest) = self.came.split_at_checked(9)?;
        let [a, b, c, kind, flags, stream @ ..] = head else { return None };
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        let payload = rest.get(..length)?.to_vec();
        let stream = u32::from_be_bytes(stream.try_into().ok()?);
        let frame = Frame { kind: *kind, flags: *flags, stream, payload };
        self.came.drain(..9 + length);
        Some(frame)
    }

    /// All that comes until the connection is closed or nothing comes for two seconds.
    pub(crate) async fn watch(&mut self) -> Seen {
        let mut frames = Vec::new();
        loop {
            match self.next(Duration::from_secs(2)).await {
                // Whether the client is there is asked now and then.
                Ok(Frame { kind: PING, flags: 0, payload, .. }) => {
                    self.send(Script::default().frame(PING, ACK, 0, &payload)).await;
                }
                Ok(frame) => frames.push(frame),
                Err(end) => return Seen { frames, is_closed: end == End::Closed },
            }
        }
    }
}

/// Why no frame comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Closed,
    Silent,
}

async fn answer(reply: Reply, request: Request<Inbound>) -> Response<Full<Bytes>> {
    let is_read = request.into_body().collect().await.is_ok();
    let content = match reply {
        Reply::Content => Bytes::from_static(CONTENT),
        Reply::Late(after) => {
            sleep(after).await;
            Bytes::from_static(CONTENT)
        }
        Reply::Long(bytes) => Bytes::from(vec![b'x'; bytes]),
    };
    let mut response = Response::new(Full::new(content));
    if !is_read {
        *response.status_mut() = StatusCode::BAD_REQUEST;
    }
    response
}

impl Seen {
    /// What the server said last of the connection.
    pub(crate) fn goaway(&self) -> Option<u32> {
        let last = self.frames.iter().rfind(|frame| frame.kind == GOAWAY)?;
        Some(u32::from_be_bytes(last.payload.get(4..8)?.try_into().ok()?))
    }

    pub(crate) fn reset(&self, stream: u32) -> Option<u32> {
        let reset = self.frames.iter().find(|frame| frame.kind == RST_STREAM && frame.stream == stream)?;
        Some(u32::from_be_bytes(reset.payload.get(..4)?.try_into().ok()?))
    }

    /// The status of the answer, where it is one of those that have an index (RFC 7541 appendix A).
    pub(crate) fn status(&self, stream: u32) -> Option<u16> {
        let headers = self.frames.iter().find(|frame| frame.kind == HEADERS && frame.stream == stream)?;
        // Changes of the table's size come first.
        match headers.payload.iter().find(|byte| **byte & 0xe0 != 0x20)? {
            0x88 => Some(200),
            0x8c => Some(400),
            _ => Some(0),
        }
    }

    /// The lengths of the frames with the answer's content.
    pub(crate) fn data(&self, stream: u32) -> Vec<usize> {
        let data = self.frames.iter().filter(|frame| frame.kind == DATA && frame.stream == stream);
        data.map(|frame| frame.payload.len()).filter(|length| *length > 0).collect()
    }

    pub(crate) fn has(&self, kind: u8, flags: u8, payload: &[u8]) -> bool {
        self.frames.iter().any(|frame| frame.kind == kind && frame.flags == flags && frame.payload == payload)
    }
}
