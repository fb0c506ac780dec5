//! What the gate costs: nanoseconds for a head as browsers send it, and bytes a second of bodies.
//!
//! `cargo run --release -p usher-front --example gate_speed`

use bytes::BytesMut;
use std::{
    hint::black_box,
    io::{self, Write as _},
    time::Instant,
};
use usher_front::gate::Gate;

const HEAD: &[u8] = b"GET /collections/spring/products/linen-shirt?variant=4410&utm_source=news HTTP/1.1\r\n\
    Host: shop.example\r\nConnection: keep-alive\r\nCache-Control: max-age=0\r\n\
    sec-ch-ua: \"Chromium\";v=\"140\", \"Not=A?Brand\";v=\"24\"\r\nsec-ch-ua-mobile: ?0\r\nUpgrade-Insecure-Requests: 1\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r\n\
    Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\nSec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-GB,en;q=0.9\r\nCookie: a=1; b=22222222; c=333\r\n\r\n";
const ROUNDS: usize = 400_000;
const BODY_BYTES: usize = 1 << 30;
/// As much as is read from a connection at once.
const READ_BYTES: usize = 8 * 1024;

fn main() -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    let whole = nanoseconds_per_head(HEAD.len());
    let split = nanoseconds_per_head(HEAD.len() / 3);
    writeln!(stdout, "a head of {} bytes: {whole:.0} ns whole, {split:.0} ns in four parts", HEAD.len())?;
    let sized = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {BODY_BYTES}\r\n\r\n");
    let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunk = [b"1fee\r\n".as_slice(), &[b'x'; 0x1fee], b"\r\n"].concat();
    let small = [b"40\r\n".as_slice(), &[b'x'; 0x40], b"\r\n"].concat().repeat(READ_BYTES / 70);
    for (kind, head, part) in [
        ("with a length", sized.as_str(), &[b'x'; READ_BYTES][..]),
        ("in chunks of 8 KiB", chunked, &chunk),
        ("in chunks of 64 bytes", chunked, &small),
    ] {
        writeln!(stdout, "a body {kind}: {:.0} MB/s", megabytes_per_second(head, part))?;
    }
    Ok(())
}

fn nanoseconds_per_head(part: usize) -> f64 {
    let (mut gate, mut out) = (Gate::new(false), BytesMut::with_capacity(64 * 1024));
    let began = Instant::now();
    for _ in 0..ROUNDS {
        for bytes in HEAD.chunks(part) {
            let taken = gate.feed(black_box(bytes), &mut out);
            assert_eq!(taken, Ok(bytes.len()));
        }
        black_box(&out);
        out.clear();
    }
    assert_eq!(gate.requests(), ROUNDS as u64);
    began.elapsed().as_secs_f64() * 1e9 / ROUNDS as f64
}

fn megabytes_per_second(head: &str, part: &[u8]) -> f64 {
    let (mut gate, mut out) = (Gate::new(false), BytesMut::with_capacity(64 * 1024));
    assert_eq!(gate.feed(head.as_bytes(), &mut out), Ok(head.len()));
    let (mut fed, began) = (0, Instant::now());
    while fed + part.len() <= BODY_BYTES {
        out.clear();
        assert_eq!(gate.feed(black_box(part), &mut out), Ok(part.len()));
        black_box(&out);
        fed += part.len();
    }
    fed as f64 / 1e6 / began.elapsed().as_secs_f64()
}
