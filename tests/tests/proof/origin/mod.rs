//! The shop behind the edge: whatever passes through it, however much, and whoever stops reading, writing or living, memory
//! stays flat, what is cut off looks cut off, and tracking goes on.

mod shop;
mod socket;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use usher_tests::{Edge, HOST, Standin, eventually, get};

use crate::size::{SIZE, verdict};
use shop::{PAGES, PIECE, Shop};

/// How much more memory the process may hold than before, whatever passes through.
const PROMISED_MIB: f64 = 16.0;
/// Visitors at once who do not read what they asked for, or whose orders the shop does not read.
const STANDING: usize = 32;
/// Answers that the shop does not finish.
const CUT: usize = 100;
/// Nothing moves any more when nothing has for so long.
const STILL: Duration = Duration::from_millis(500);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proof() {
    let (standin, shop) = (Standin::start().await, Shop::open().await);
    let edge = Edge::builder(&standin).site("origin", &format!("\"http://{}\"", shop.at)).start().await;
    let pages = same_pages(&edge, &shop).await;
    let before = peak_mib(&edge);
    let (down, up) = (down(&edge).await, up(&edge).await);
    let bulk = peak_mib(&edge) - before;
    let frames = frames(&edge).await;
    let spoken = peak_mib(&edge) - before;
    let stood = stand(&edge, &shop).await;
    let standing = peak_mib(&edge) - before;
    let complete = cut(&edge).await;
    let (tracked, slowest) = track_while_the_shop_is_mute(&edge).await;
    drop(standin);
    let alone = edge.get("/page0").send().await.status == 200;
    drop(shop);
    let gone = eventually("the shop is gone", async || {
        let status = edge.get("/page0").send().await.status;
        (status != 200).then_some(status)
    })
    .await;
    let line = format!(
        "{} MiB down at {down:.0} MB/s and up at {up:.0} MB/s: +{bulk:.1} MiB of memory; {frames:.0} WebSocket frames/s: \
         +{spoken:.1} MiB; {STANDING} readers and {STANDING} writers that stand still after {stood:.1} MiB each: +{standing:.1} MiB; \
         {complete} of {CUT} cut answers look complete; {pages} of {} pages' headers as without us; with a mute shop {tracked} of \
         {STANDING} clicks tracked, the slowest in {} ms; page while the platform is away: {alone}; shop gone: {gone}",
        SIZE.origin_bytes >> 20,
        PAGES.len(),
        slowest.as_millis(),
    );
    let holds = standing.max(bulk).max(spoken) <= PROMISED_MIB
        && complete == 0
        && pages == PAGES.len()
        && tracked == STANDING
        && alone
        && gone == 502;
    verdict("origin", holds, &line);
}

/// The most memory that the process has held, in MiB.
fn peak_mib(edge: &Edge) -> f64 {
    let path = format!("/proc/{}/status", edge.process().pid());
    let text = std::fs::read_to_string(path).expect("the process runs");
    let kib = text.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
    kib.and_then(|kib| kib.parse::<f64>().ok()).expect("a number") / 1024.0
}

async fn ask(to: std::net::SocketAddr, line: &str, fields: &str) -> BufReader<TcpStream> {
    let mut stream = TcpStream::connect(to).await.expect("a connection");
    let head = format!("{line} HTTP/1.1\r\nHost: {HOST}\r\n{fields}\r\n");
    stream.write_all(head.as_bytes()).await.expect("it is sent");
    BufReader::new(stream)
}

/// The status line and the fields that a browser sees, sorted.
async fn head(stream: &mut BufReader<TcpStream>) -> Vec<String> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        let read = stream.read_line(&mut line).await.expect("an answer");
        if read == 0 || line == "\r\n" {
            lines.sort();
            return lines;
        }
        let line = line.trim_end();
        let (name, value) = line.split_once(": ").unwrap_or(("", line));
        if !name.eq_ignore_ascii_case("connection") {
            lines.push(format!("{}: {value}", name.to_ascii_lowercase()));
        }
    }
}

/// How many pages come with the header that they have without the edge.
async fn same_pages(edge: &Edge, shop: &Shop) -> usize {
    let mut same = 0;
    for number in 0..PAGES.len() {
        let line = format!("GET /page{number}");
        let through = head(&mut ask(edge.http(), &line, "").await).await;
        let direct = head(&mut ask(shop.at, &line, "").await).await;
        if through == direct {
            same += 1;
        } else {
            usher_tests::report(&format!("with the edge {through:?}, without {direct:?}"));
        }
    }
    same
}

/// Megabytes a second of one large answer.
async fn down(edge: &Edge) -> f64 {
    let began = Instant::now();
    let mut stream = ask(edge.http(), &format!("GET /down/{}", SIZE.origin_bytes), "").await;
    head(&mut stream).await;
    let mut body = stream.take(SIZE.origin_bytes);
    let mut piece = vec![0; PIECE.len()];
    let mut read = 0;
    loop {
        let count = body.read(&mut piece).await.expect("more of it");
        if count == 0 {
            break;
        }
        assert_eq!(piece[..count], PIECE[..count], "the bytes are the shop's");
        read += count as u64;
    }
    assert_eq!(read, SIZE.origin_bytes);
    read as f64 / 1e6 / began.elapsed().as_secs_f64()
}

/// The same of one large request, in chunks.
async fn up(edge: &Edge) -> f64 {
    let began = Instant::now();
    let mut stream = ask(edge.http(), "POST /up/", "Transfer-Encoding: chunked\r\n").await;
    let mut chunk = format!("{:x}\r\n", PIECE.len()).into_bytes();
    chunk.extend(PIECE);
    chunk.extend(b"\r\n");
    for _ in 0..SIZE.origin_bytes / PIECE.len() as u64 {
        stream.write_all(&chunk).await.expect("it is taken");
    }
    stream.write_all(b"0\r\n\r\n").await.expect("it is taken");
    head(&mut stream).await;
    let expected = SIZE.origin_bytes.to_string();
    let mut told = vec![0; expected.len()];
    stream.read_exact(&mut told).await.expect("a number");
    assert_eq!(String::from_utf8_lossy(&told), expected, "the shop got all of it");
    SIZE.origin_bytes as f64 / 1e6 / began.elapsed().as_secs_f64()
}

/// WebSocket messages a second, there and back, of all sizes that a length of two bytes has.
async fn frames(edge: &Edge) -> f64 {
    let fields = format!(
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {}\r\n",
        socket::KEY
    );
    let mut stream = ask(edge.http(), "GET /socket/", &fields).await;
    let told = head(&mut stream).await;
    let accept = format!("sec-websocket-accept: {}", socket::ACCEPT);
    assert!(told[0].contains("101") && told.contains(&accept), "{told:?}");
    let began = Instant::now();
    for number in 0..SIZE.origin_frames {
        let payload = vec![number as u8; (number * 37) % 4_000];
        stream.write_all(&socket::frame(&payload, Some([1, 2, 3, number as u8]))).await.expect("it is taken");
        assert_eq!(socket::read(&mut stream).await.expect("an echo"), payload);
    }
    SIZE.origin_frames as f64 / began.elapsed().as_secs_f64()
}

/// MiB that a visitor who does not read, and a shop that does not, can make pass through at most; the larger.
async fn stand(edge: &Edge, shop: &Shop) -> f64 {
    let mut standing = Vec::new();
    for _ in 0..STANDING {
        let mut stream = ask(edge.http(), "GET /endless/", "").await;
        head(&mut stream).await;
        standing.push(stream);
    }
    let mut taken = u64::MAX;
    while taken != shop.taken.load(Ordering::Relaxed) {
        taken = shop.taken.load(Ordering::Relaxed);
        tokio::time::sleep(STILL).await;
    }
    let mut given = 0;
    for _ in 0..STANDING {
        let mut stream = ask(edge.http(), "POST /mute/", "Content-Length: 1000000000000\r\n").await;
        while let Ok(Ok(count)) = tokio::time::timeout(STILL / 5, stream.write(&PIECE)).await {
            given += count as u64;
        }
        standing.push(stream);
    }
    taken.max(given) as f64 / STANDING as f64 / f64::from(1 << 20)
}

/// How many of the answers that the shop does not finish look as if it had.
async fn cut(edge: &Edge) -> usize {
    let mut complete = 0;
    for number in 0..CUT {
        let mut stream = ask(edge.http(), &format!("GET /dies/{number}"), "").await;
        head(&mut stream).await;
        let mut body = Vec::new();
        let in_order = stream.read_to_end(&mut body).await.is_ok();
        let is_whole = if number % 2 == 0 { body.len() >= 100_000 } else { body.ends_with(b"0\r\n\r\n") };
        complete += usize::from(in_order && is_whole);
    }
    complete
}

/// How many clicks are tracked while as many visitors wait for the shop, and how long the slowest takes.
async fn track_while_the_shop_is_mute(edge: &Edge) -> (usize, Duration) {
    let mut waiting = Vec::new();
    for _ in 0..STANDING {
        waiting.push(ask(edge.http(), "GET /mute/", "").await);
    }
    let (mut tracked, mut slowest) = (0, Duration::ZERO);
    for _ in 0..STANDING {
        let began = Instant::now();
        let answer = edge.track("alice").await;
        slowest = slowest.max(began.elapsed());
        tracked += usize::from(answer.status == 200);
    }
    let script = get(edge.http(), "/r/pixel.js").host(HOST).send().await;
    assert_eq!(script.status, 200);
    (tracked, slowest)
}
