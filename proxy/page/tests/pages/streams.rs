//! A page that streams still streams.

use super::{Act, CODINGS, Got, HTML, OPEN, Origin, WHOLE, decode, decorated, encode, read, through};
use bytes::Bytes;
use http::HeaderMap;
use std::io::Write;

/// Bytes that do not compress, always the same.
pub(crate) fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/"
            [usize::try_from(state >> 58).unwrap_or(0)]
    };
    (0..len).map(|_| next()).collect()
}

/// The same page in pieces, each of which an origin has flushed.
fn flushed(coding: &str, pieces: &[&str]) -> Vec<Bytes> {
    fn each<W: Write>(mut writer: W, pieces: &[&str], take: impl Fn(&mut W) -> Vec<u8>) -> (W, Vec<Bytes>) {
        let out = pieces.iter().map(|piece| {
            writer.write_all(piece.as_bytes()).expect("memory");
            writer.flush().expect("memory");
            take(&mut writer).into()
        });
        let out = out.collect();
        (writer, out)
    }
    match coding {
        "identity" => pieces.iter().map(|piece| Bytes::copy_from_slice(piece.as_bytes())).collect(),
        "gzip" => {
            let writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            let (writer, mut out) = each(writer, pieces, |writer| std::mem::take(writer.get_mut()));
            out.push(writer.finish().expect("memory").into());
            out
        }
        "br" => {
            let writer = brotli::CompressorWriter::new(Vec::new(), 4096, 5, 22);
            let (writer, mut out) = each(writer, pieces, |writer| std::mem::take(writer.get_mut()));
            out.push(writer.into_inner().into());
            out
        }
        _ => {
            let writer = zstd::Encoder::new(Vec::new(), 1).expect("memory");
            let (writer, mut out) = each(writer, pieces, |writer| std::mem::take(writer.get_mut()));
            out.push(writer.finish().expect("memory").into());
            out
        }
    }
}

#[test]
fn what_the_origin_has_sent_the_client_has() {
    let pieces =
        ["<!doctype html><html><head><title>a</title>", "</head><body><p>", "one<p>", "two<p>", "three"];
    for coding in CODINGS {
        let sent = flushed(coding, &pieces);
        let acts =
            sent.into_iter().zip(1..).flat_map(|(piece, number)| [Act::Send(piece), Act::Gate(number)]);
        let (_, mut body) = decorated("GET", &[("content-encoding", coding)], Origin(acts.collect()));
        let (mut got, mut expected) = (Got::default(), String::new());
        for (piece, open) in pieces.into_iter().zip(0..) {
            OPEN.set(open);
            assert!(read(&mut body, &mut got));
            expected += &piece.replace("</head>", &format!("{HTML}</head>"));
            let plain = String::from_utf8(decode(coding, &got.bytes())).expect("text");
            assert_eq!(plain, expected, "{coding}");
        }
        OPEN.set(usize::MAX);
        while read(&mut body, &mut got) {}
        assert_eq!(super::decode_whole(coding, &got.bytes()), expected.as_bytes(), "{coding}");
    }
}

#[test]
fn what_lies_beyond_the_place_is_not_copied() {
    let (first, rest) = (Bytes::from_static(WHOLE.as_bytes()), Bytes::from(noise(100_000)));
    let got = through(&[], Origin::sends([first, rest.clone()]));
    let last = got.frames.last().expect("frames");
    assert_eq!((last.as_ptr(), last.len()), (rest.as_ptr(), rest.len()));
}

#[test]
fn trailers_come_through_without_digests() {
    let mut trailers = HeaderMap::new();
    trailers.insert("server-timing", "db;dur=1".parse().expect("a value"));
    trailers.insert("repr-digest", "sha-256=:x:".parse().expect("a value"));
    for coding in CODINGS {
        let page = encode(coding, WHOLE.as_bytes());
        let origin = Origin([Act::Send(page.into()), Act::Trail(trailers.clone())].into_iter().collect());
        let got = through(&[("content-encoding", coding)], origin);
        let told = got.trailers.expect("trailers");
        assert_eq!(told.len(), 1, "{coding}");
        assert!(told.contains_key("server-timing"));
    }
}

#[test]
fn an_origin_that_dies_is_seen_to_have_died() {
    for coding in CODINGS {
        let sent = flushed(coding, &["<html><head></head><body>", "some"]);
        let acts = sent.into_iter().take(2).map(Act::Send).chain([Act::Fail]);
        let got = through(&[("content-encoding", coding)], Origin(acts.collect()));
        assert!(got.failed, "{coding}");
        let plain = decode(coding, &got.bytes());
        assert_eq!(plain, format!("<html><head>{HTML}</head><body>some").as_bytes(), "{coding}");
    }
}
