//! Floods of HTTP/2 frames, each over one connection by TLS: it is closed before it has cost a tenth of a second of the edge's
//! processor and five mebibytes of its memory.

use std::fmt::Write as _;
use std::io;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use usher_tests::{Authority, Browser, Edge, HOST, Standin};

use crate::size::{SIZE, verdict};
use crate::usage::Usage;

/// The most that a flood may cost.
const CPU: Duration = Duration::from_millis(100);
const MEMORY_KIB: u64 = 5 * 1024;
/// How many frames are sent at most: a server that takes them all is not flood-proof.
const FRAMES: u32 = 200_000;
/// How long one may take on a machine that is busy with something else.
const PATIENCE: Duration = Duration::from_secs(20);

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// A flood: what comes first, and what comes again and again, of which each has a number.
struct Flood {
    name: &'static str,
    first: Vec<u8>,
    again: fn(u32) -> Vec<u8>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proof() {
    let start = Instant::now();
    let (standin, authority) = (Standin::start().await, Authority::new());
    let folder = tempfile::tempdir().expect("a folder");
    authority.issue(&[HOST], 90, folder.path(), "shop");
    let edge = Edge::builder(&standin).tls(&format!("certificates = {:?}", folder.path())).start().await;
    let browser = Browser::trusting(authority.pem());
    let usage = Usage::of(edge.process().pid());
    // What comes with the first connection of all is no flood's cost.
    let asked = browser.get(edge.https(), "h2", &format!("https://{HOST}/r/pixel.js")).await;
    assert_eq!(asked.expect("an answer").status, 200);

    let (mut holds, mut line) = (true, String::new());
    for flood in floods() {
        let cost = suffer(&flood, &browser, &edge, &usage).await;
        let is_cheap = cost.cpu <= CPU || !SIZE.is_timed;
        holds &= cost.is_closed && is_cheap && cost.memory_kib <= MEMORY_KIB;
        let Cost { frames, cpu, memory_kib, code, .. } = cost;
        let how = if cost.is_closed { format!("closed ({code})") } else { "OPEN".to_owned() };
        let _ = write!(
            line,
            "\n  {:<20} {frames:>7} sent, {how:<12} {cpu:>8.1?} of CPU, {memory_kib:>5} KiB",
            flood.name
        );
    }
    let asked = browser.get(edge.https(), "h2", &format!("https://{HOST}/r/pixel.js")).await;
    holds &= asked.is_ok_and(|answer| answer.status == 200);
    let _ = write!(line, "\n  {} s", start.elapsed().as_secs());
    verdict("floods", holds, &line);
}

/// What a flood came to.
struct Cost {
    frames: u32,
    cpu: Duration,
    memory_kib: u64,
    is_closed: bool,
    /// The code of the server's GOAWAY, where one was seen.
    code: String,
}

async fn suffer(flood: &Flood, browser: &Browser, edge: &Edge, usage: &Usage) -> Cost {
    let stream = browser.greet(edge.https(), HOST, &["h2"]).await.expect("a handshake");
    let (mut reader, mut writer) = tokio::io::split(stream);
    let (cpu, memory) = (usage.cpu(), usage.memory_kib());
    let (mut peak, mut frames, mut is_closed) = (memory, 0, false);
    let reading = tokio::spawn(async move {
        let mut told = Vec::new();
        // The end, however it comes.
        while matches!(reader.read_buf(&mut told).await, Ok(1..)) {}
        told
    });
    let preface =
        [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(SETTINGS, 0, 0, &[]), &flood.first].concat();
    let mut sent = writer.write_all(&preface).await;
    while sent.is_ok() && frames < FRAMES && !reading.is_finished() {
        let mut batch = Vec::new();
        while batch.len() < 16 * 1024 && frames < FRAMES {
            batch.extend((flood.again)(frames));
            frames += 1;
        }
        sent = push(&mut writer, &batch).await;
        peak = peak.max(usage.memory_kib());
    }
    is_closed |= sent.is_err();
    let told = tokio::time::timeout(PATIENCE, reading).await;
    is_closed |= told.is_ok() && frames < FRAMES;
    peak = peak.max(usage.memory_kib());
    let told = told.ok().and_then(Result::ok).unwrap_or_default();
    let code = goaway(&told).map_or_else(|| "reset".to_owned(), |code| format!("{code:#x}"));
    Cost { frames, cpu: usage.cpu().saturating_sub(cpu), memory_kib: peak - memory, is_closed, code }
}

async fn push(writer: &mut (impl AsyncWrite + Unpin), batch: &[u8]) -> io::Result<()> {
    let pushed = tokio::time::timeout(PATIENCE, async {
        writer.write_all(batch).await?;
        writer.flush().await
    });
    pushed.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

fn goaway(mut told: &[u8]) -> Option<u32> {
    let mut code = None;
    while let Some((&[a, b, c, kind, ..], rest)) = told.split_first_chunk::<9>() {
        let payload = rest.get(..u32::from_be_bytes([0, a, b, c]) as usize)?;
        if kind == 7 {
            code = Some(u32::from_be_bytes(payload.get(4..8)?.try_into().ok()?));
        }
        told = &rest[payload.len()..];
    }
    code
}

fn floods() -> Vec<Flood> {
    let flood = |name, first, again| Flood { name, first, again };
    vec![
        flood("rapid reset", Vec::new(), |n| {
            [get(n), frame(RST_STREAM, 0, stream(n), &[0, 0, 0, 8])].concat()
        }),
        flood("MadeYouReset", Vec::new(), |n| {
            [post(n), frame(WINDOW_UPDATE, 0, stream(n), &[0; 4])].concat()
        }),
        flood("requests at once", Vec::new(), post),
        flood("CONTINUATION", frame(HEADERS, END_STREAM, 1, &request(0x82)), |_| {
            frame(CONTINUATION, 0, 1, &field(b"x-a", &[b'a'; 100]))
        }),
        flood("empty CONTINUATION", frame(HEADERS, END_STREAM, 1, &request(0x82)), |_| {
            frame(CONTINUATION, 0, 1, &[])
        }),
        flood("PING", Vec::new(), |_| frame(PING, 0, 0, b"flooding")),
        flood("SETTINGS", Vec::new(), |n| frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, n as u8])),
        flood("SETTINGS acks", Vec::new(), |_| frame(SETTINGS, 1, 0, &[])),
        flood("PRIORITY", Vec::new(), |n| frame(PRIORITY, 0, stream(n), &[0, 0, 0, 0, 16])),
        flood("WINDOW_UPDATE", Vec::new(), |_| frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])),
        flood("empty DATA", post(0), |_| frame(DATA, 0, 1, &[])),
        flood("unknown frames", Vec::new(), |_| frame(0x21, 0, 0, &[])),
        flood("HPACK bomb", frame(HEADERS, END_STREAM | END_HEADERS, 1, &planted()), |n| {
            // Sixteen thousand times the field of four kibibytes.
            let bomb = [&request(0x82)[..], &[0xbe; 16_000]].concat();
            frame(HEADERS, END_STREAM | END_HEADERS, stream(n + 1), &bomb)
        }),
        flood("HPACK table size", Vec::new(), |n| {
            let shrunk = [&[0x20; 2][..], &request(0x82)].concat();
            frame(HEADERS, END_STREAM | END_HEADERS, stream(n), &[&shrunk[..], &[0x90; 4_000]].concat())
        }),
    ]
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The number of a client's stream.
fn stream(n: u32) -> u32 {
    2 * n + 1
}

fn get(n: u32) -> Vec<u8> {
    frame(HEADERS, END_STREAM | END_HEADERS, stream(n), &request(0x82))
}

/// A request whose body is to come.
fn post(n: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream(n), &request(0x83))
}

/// A header whose method has that index (RFC 7541 appendix A).
fn request(method: u8) -> Vec<u8> {
    [&[method, 0x87, 0x84][..], &field(b":authority", HOST.as_bytes())].concat()
}

/// A field, literally and not to be indexed (RFC 7541 section 6.2.2).
fn field(name: &[u8], value: &[u8]) -> Vec<u8> {
    [&[0, name.len() as u8][..], name, &[value.len() as u8], value].concat()
}

/// A request with a field of four kibibytes that goes into the table.
fn planted() -> Vec<u8> {
    // An integer of 7 bits: 127 and 3,873 more (RFC 7541 section 5.1).
    let length = [0x7f, (3_873 % 128) as u8 | 0x80, (3_873 / 128) as u8];
    [&request(0x82)[..], &[0x40, 1, b'x'], &length, &vec![b'a'; 4_000]].concat()
}
