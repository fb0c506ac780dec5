//! Slow clients: many that send their headers byte by byte, then some that send their bodies so, then some that read nothing.
//! All are closed in time, none costs much memory, and whoever is not slow does not notice.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use usher_tests::{Edge, HOST, Standin, get};

use crate::size::{SIZE, verdict};
use crate::usage::Usage;

/// The most that one of them may cost.
const MEMORY_KIB: f64 = 16.0;
/// The longest that a probe may take, but for one in a hundred.
const PROBE: Duration = Duration::from_millis(20);
const PROBE_EVERY: Duration = Duration::from_millis(20);

/// A kind of slow clients.
struct Kind {
    name: &'static str,
    clients: usize,
    act: fn(TcpStream) -> Acting,
    /// How long after the last of them has come all are gone.
    within: Duration,
}

type Acting = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proof() {
    let start = Instant::now();
    let standin = Standin::start().await;
    let edge = Edge::builder(&standin).start().await;
    // What the first of all costs is none of the slow ones'.
    for _ in 0..200 {
        let _ = get(edge.http(), "/r/pixel.js").host(HOST).send().await;
    }
    let (mut holds, mut line) = (true, String::new());
    for kind in kinds().into_iter().filter(|kind| kind.clients > 0) {
        let cost = endure(&kind, &edge).await;
        let is_quick = cost.probe <= PROBE || !SIZE.is_timed;
        let is_small = cost.memory_kib <= MEMORY_KIB || !SIZE.is_timed;
        holds &= cost.left == 0 && is_quick && is_small;
        let Cost { left, after, memory_kib, probe, probes } = cost;
        let _ = write!(
            line,
            "\n  {:>6} slow {:<7} {left} left {after:>5.1?} after the last came, {memory_kib:.1} KiB each, \
             p99 of {probes} probes {probe:.1?}",
            kind.clients, kind.name,
        );
    }
    let _ = write!(line, "\n  {} s", start.elapsed().as_secs());
    verdict("slow", holds, &line);
}

fn kinds() -> [Kind; 3] {
    let [headers, bodies, readers] = SIZE.slow;
    let seconds = Duration::from_secs;
    [
        Kind { name: "headers", clients: headers, act: |io| Box::pin(send_header(io)), within: seconds(13) },
        Kind { name: "bodies", clients: bodies, act: |io| Box::pin(send_body(io)), within: seconds(13) },
        Kind { name: "readers", clients: readers, act: |io| Box::pin(read_nothing(io)), within: seconds(40) },
    ]
}

struct Cost {
    left: i64,
    after: Duration,
    memory_kib: f64,
    probe: Duration,
    probes: usize,
}

async fn endure(kind: &Kind, edge: &Edge) -> Cost {
    let usage = Usage::of(edge.process().pid());
    let before = usage.memory_kib();
    let is_over = Arc::new(AtomicBool::new(false));
    let probing = tokio::spawn(probe(edge.http(), Arc::clone(&is_over)));
    let mut clients = JoinSet::new();
    for number in 0..kind.clients {
        let io = connect(edge.http(), number).await;
        clients.spawn((kind.act)(io));
    }
    let came = Instant::now();
    let (mut peak, mut left) = (before, i64::MAX);
    while came.elapsed() < kind.within && left > 0 {
        tokio::time::sleep(Duration::from_millis(250)).await;
        peak = peak.max(usage.memory_kib());
        // The probe's own may be among them.
        left = open(edge).await - 1;
    }
    let after = came.elapsed();
    is_over.store(true, Ordering::SeqCst);
    let mut probes = probing.await.expect("no panic");
    probes.sort_unstable();
    clients.shutdown().await;
    Cost {
        left: left.max(0),
        after,
        memory_kib: peak.saturating_sub(before) as f64 / kind.clients as f64,
        probe: probes[probes.len() * 99 / 100],
        probes: probes.len(),
    }
}

/// Connections that the edge has open.
async fn open(edge: &Edge) -> i64 {
    let metrics = get(edge.admin(), "/metrics").bearer("operator").send().await;
    let text = String::from_utf8_lossy(&metrics.body).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix("usher_http_connections "));
    line.and_then(|count| count.parse().ok()).expect("the metric")
}

/// One of many addresses: what an edge allows one of them is not what is tried here.
async fn connect(to: SocketAddr, number: usize) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    let [_, high, low] = [0, number / 250, number % 250 + 1].map(|part| part as u8);
    socket.bind((Ipv4Addr::new(127, 1, high, low), 0).into()).expect("an address");
    // What a reader that reads nothing lets the system take for it is little.
    socket.set_recv_buffer_size(4096).expect("a small buffer");
    socket.connect(to).await.expect("a connection")
}

/// Somebody who is not slow: how long each request takes, with the connection.
async fn probe(to: SocketAddr, is_over: Arc<AtomicBool>) -> Vec<Duration> {
    let mut took = Vec::new();
    while !is_over.load(Ordering::SeqCst) {
        let began = Instant::now();
        let answer = get(to, "/r/pixel.js").host(HOST).send().await;
        took.push(began.elapsed());
        assert_eq!(answer.status, 200);
        tokio::time::sleep(PROBE_EVERY.saturating_sub(began.elapsed())).await;
    }
    took
}

/// Sends a header that does not end, a field every second.
async fn send_header(mut io: TcpStream) {
    let first = format!("GET /r/pixel.js HTTP/1.1\r\nHost: {HOST}\r\n");
    drip(&mut io, first.as_bytes(), b"X-A: b\r\n").await;
}

/// Sends a body that does not end, a byte every second.
async fn send_body(mut io: TcpStream) {
    let first = format!("POST /r/track HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 10000\r\n\r\n");
    drip(&mut io, first.as_bytes(), b"x").await;
}

async fn drip(io: &mut TcpStream, first: &[u8], drop: &[u8]) {
    let mut sent = io.write_all(first).await;
    let mut space = [0; 512];
    while sent.is_ok() {
        tokio::select! {
            read = io.read(&mut space) => if !matches!(read, Ok(1..)) { return },
            () = tokio::time::sleep(Duration::from_secs(1)) => sent = io.write_all(drop).await,
        }
    }
}

/// Asks for more than the system holds for it, and reads nothing.
async fn read_nothing(mut io: TcpStream) {
    let asks = format!("GET /r/pixel.js HTTP/1.1\r\nHost: {HOST}\r\n\r\n").repeat(64);
    // It blocks in the middle of this once the edge reads no more, and fails when the edge has closed.
    for _ in 0..1_600 {
        if io.write_all(asks.as_bytes()).await.is_err() {
            break;
        }
    }
    std::future::pending::<()>().await;
}
