//! Random streams through the gate, for as many seconds as the argument says (60): whatever passes is what a strict reader takes,
//! stays as it is when it passes again, and does not depend on how it was cut up.
//!
//! `cargo run --release -p usher-front --example gate_fuzz -- 60`

#[path = "../tests/gate/oracle.rs"]
mod oracle;

use bytes::BytesMut;
use std::{
    collections::BTreeMap,
    io::{self, Write as _},
    time::{Duration, Instant},
};
use usher_front::gate::{Gate, Offence, Phase};

const SEEDS: &[&[u8]] = &[
    b"GET /a?b HTTP/1.1\r\nHost: a.example\r\nAccept: */*\r\nCookie: a=b\r\n\r\n",
    b"POST /a HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\nhello",
    b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a=\"b\"\r\nhello\r\n0\r\nx-y: z\r\n\r\n",
    b"GET http://a.example/ HTTP/1.1\r\nHost: a.example\r\nConnection: close, x-y\r\nX-Y: z\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    b"OPTIONS * HTTP/1.0\r\nHost: [::1]:80\r\nConnection: keep-alive\r\nExpect: 100-continue\r\n\r\n",
];
const PIECES: &[&[u8]] = &[
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b"\t",
    b":",
    b";",
    b",",
    b"\"",
    b"\\",
    b"%",
    b"/",
    b"//",
    b"#",
    b"?",
    b"0",
    b"5",
    b"f",
    b"\xff",
    b"\x7f",
    b"\x0b",
    b"chunked",
    b"Transfer-Encoding: chunked\r\n",
    b"Content-Length: 5\r\n",
    b"Host: a\r\n",
    b"0\r\n\r\n",
    b"Connection: ",
    b"close",
    b"\r\n\r\n",
    b"HTTP/1.1",
    b"HTTP/1.0",
    b"_",
    b"00000000",
    b"Expect: 100-continue\r\n",
    b"X: y\r\n",
];

/// SplitMix64 (<https://doi.org/10.1145/2714064.2660195>).
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % end as u64) as usize
    }
}

fn main() -> io::Result<()> {
    let seconds = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(60);
    let end = Instant::now() + Duration::from_secs(seconds);
    let (mut streams, mut requests, mut bytes) = (0_u64, 0, 0);
    let mut verdicts: BTreeMap<&str, u64> = BTreeMap::new();
    while Instant::now() < end {
        for _ in 0..1_000 {
            streams += 1;
            let stream = stream(&mut Chance(streams));
            let (passed, verdict) = check(streams, &stream);
            requests += passed;
            bytes += stream.len();
            *verdicts.entry(verdict.map_or("clean", Offence::name)).or_default() += 1;
        }
    }
    let (mut stdout, megabytes) = (io::stdout().lock(), bytes / 1_000_000);
    writeln!(
        stdout,
        "gate: {streams} streams of {megabytes} MB in {seconds} s, {requests} requests passed: no fault"
    )?;
    writeln!(stdout, "{verdicts:?}")
}

/// Some requests one after the other, changed in a few places.
fn stream(chance: &mut Chance) -> Vec<u8> {
    let mut stream: Vec<u8> =
        (0..=chance.below(3)).flat_map(|_| SEEDS[chance.below(SEEDS.len())].to_vec()).collect();
    for _ in 0..chance.below(5) {
        let at = chance.below(stream.len() + 1);
        let end = (at + chance.below(3) * chance.below(8)).min(stream.len());
        let by = match chance.below(4) {
            0 => vec![chance.below(256) as u8],
            1 => {
                let from = chance.below(stream.len());
                stream[from..(from + chance.below(30)).min(stream.len())].to_vec()
            }
            _ => PIECES[chance.below(PIECES.len())].to_vec(),
        };
        stream.splice(at..end, by);
        if stream.is_empty() {
            stream.push(b'G');
        }
    }
    stream
}

/// The number of requests that passed, and what was wrong with the rest.
fn check(seed: u64, stream: &[u8]) -> (u64, Option<Offence>) {
    let (whole, verdict, _) = pass(stream, stream.len());
    for part in [1, 2 + seed as usize % 13] {
        let (parts, same, gate) = pass(stream, part);
        assert_eq!(verdict, same, "seed {seed}, in parts of {part}");
        assert!(parts.starts_with(&whole), "seed {seed}, in parts of {part}");
        let (found, is_cut_off) = oracle::read(&parts).unwrap_or_else(|fault| panic!("seed {seed}: {fault}"));
        assert_eq!(found.len() as u64, gate.requests(), "seed {seed}");
        let (again, clean, second) = pass(&parts, parts.len());
        assert_eq!((clean, &again), (None, &parts), "seed {seed}: passed once more");
        assert_eq!(second.phase() == Phase::Body, is_cut_off, "seed {seed}");
        if part == 1 && verdict.is_none() {
            assert_eq!(parts, whole, "seed {seed}");
        }
        if part != 1 {
            return (gate.requests(), verdict);
        }
    }
    (0, verdict)
}

fn pass(stream: &[u8], part: usize) -> (BytesMut, Option<Offence>, Gate) {
    let (mut gate, mut out) = (Gate::new(false), BytesMut::new());
    for mut rest in stream.chunks(part.max(1)) {
        while !rest.is_empty() {
            match gate.feed(rest, &mut out) {
                Ok(taken) => rest = &rest[taken..],
                Err(offence) => return (out, Some(offence), gate),
            }
            gate.resume();
        }
    }
    (out, None, gate)
}
