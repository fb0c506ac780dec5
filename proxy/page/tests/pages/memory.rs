//! However long a page is, and whatever a few bytes of it stand for, only a little of it is held.

use super::{Act, CODINGS, HTML, Origin, WHOLE, decorated, encode, encode_all};
use bytes::Bytes;
use http_body::Body;
use std::{
    io::Read,
    task::{Context, Poll, Waker},
};

const MIB: usize = 1024 * 1024;
/// Brotli's encoder gives nothing until it has a few hundred kilobytes, or has to.
const LARGEST: usize = 512 * 1024;

/// Sends `page` in pieces of 64 KiB and drops what comes out; how many bytes came out at most for one that went in, in one
/// frame and in all.
fn largest_frame(coding: &str, page: Vec<u8>) -> (usize, usize) {
    let page = Bytes::from(page);
    let pieces = (0..page.len()).step_by(64 * 1024);
    let acts = pieces.map(|at| Act::Send(page.slice(at..page.len().min(at + 64 * 1024))));
    let (_, mut body) = decorated("GET", &[("content-encoding", coding)], Origin(acts.collect()));
    let mut cx = Context::from_waker(Waker::noop());
    let (mut largest, mut all) = (0, 0);
    while let Poll::Ready(Some(frame)) = body.as_mut().poll_frame(&mut cx) {
        let data = frame.expect("no failure").into_data().expect("data");
        (largest, all) = (largest.max(data.len()), all + data.len());
    }
    (largest, all)
}

/// The most memory that this process has used so far, in bytes; 0 where the system does not tell.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<usize>().ok());
    kib.unwrap_or(0) * 1024
}

#[test]
fn a_long_page_and_a_bomb_take_little() {
    let long = [WHOLE.as_bytes(), &super::streams::noise(10 * MIB)].concat();
    let pages: Vec<_> = CODINGS.iter().map(|coding| (*coding, encode(coding, &long))).collect();
    let spaces = || WHOLE.as_bytes().chain(std::io::repeat(b' ').take(32 * MIB as u64));
    let bombs: Vec<_> = CODINGS[1..].iter().map(|coding| (*coding, encode_all(coding, spaces()))).collect();
    let before = peak();
    for (coding, page) in pages {
        let whole = page.len();
        let (largest, all) = largest_frame(coding, page);
        assert!(largest <= LARGEST, "{coding}: a frame of {largest}");
        assert!(all > whole / 2 + HTML.len(), "{coding}: {all} of {whole}");
    }
    for (coding, bomb) in bombs {
        assert!(bomb.len() < MIB, "{coding}: {}", bomb.len());
        let (largest, _) = largest_frame(coding, bomb);
        assert!(largest <= LARGEST, "{coding}: a frame of {largest}");
    }
    let more = peak().saturating_sub(before);
    assert!(more < 12 * MIB && before > 0, "{} MiB more", more / MIB);
    drop(long);
}
