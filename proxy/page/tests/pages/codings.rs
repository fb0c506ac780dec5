//! Pages that come encoded go out in the same coding.

use super::{Act, CODINGS, HTML, Origin, WHOLE, decode_whole, encode, is_whole, through};
use bytes::Bytes;
use proptest::prelude::*;

fn tagged() -> Vec<u8> {
    WHOLE.replace("</head>", &format!("{HTML}</head>")).into_bytes()
}

#[test]
fn every_coding_cut_at_every_byte() {
    for coding in CODINGS {
        let page = Bytes::from(encode(coding, WHOLE.as_bytes()));
        for at in 0..=page.len() {
            let origin = Origin(
                [Act::Send(page.slice(..at)), Act::Wait, Act::Send(page.slice(at..))].into_iter().collect(),
            );
            let got = through(&[("content-encoding", coding)], origin);
            assert!(!got.failed);
            assert_eq!(decode_whole(coding, &got.bytes()), tagged(), "{coding} cut at {at}");
        }
        let bytes = page.iter().map(|byte| vec![*byte]);
        let got = through(&[("content-encoding", coding)], Origin::sends(bytes));
        assert_eq!(decode_whole(coding, &got.bytes()), tagged(), "{coding} byte by byte");
    }
}

#[test]
fn what_is_not_encoded_as_it_says_passes_untouched() {
    let html = WHOLE.as_bytes().to_vec();
    for coding in ["gzip", "br", "zstd"] {
        for raw in [html.clone(), b"\xff\xff\xff\xff<html><head></head>".to_vec(), Vec::new(), vec![0x1f]] {
            for size in [1, 7, 1000] {
                let pieces = raw.chunks(size).map(<[u8]>::to_vec);
                let got = through(&[("content-encoding", coding)], Origin::sends(pieces));
                assert_eq!(got.bytes(), raw, "{coding}");
                assert!(!got.failed);
            }
        }
        let empty = encode(coding, b"");
        let got = through(&[("content-encoding", coding)], Origin::sends([empty.clone()]));
        assert_eq!(got.bytes(), empty, "{coding}");
    }
    for coding in ["deflate", "compress", "gzip, br", "gzip, gzip"] {
        let raw = encode("gzip", &html);
        let got = through(&[("content-encoding", coding)], Origin::sends([raw.clone()]));
        assert_eq!(got.bytes(), raw, "{coding}");
    }
}

#[test]
fn a_page_that_is_cut_off_stays_cut_off() {
    let page = [WHOLE.as_bytes(), &super::streams::noise(600_000)].concat();
    for coding in ["gzip", "br", "zstd"] {
        let encoded = encode(coding, &page);
        let cut = encoded[..encoded.len() * 3 / 4].to_vec();
        let got = through(&[("content-encoding", coding)], Origin::sends([cut]));
        assert!(!is_whole(coding, &got.bytes()) && !got.failed, "{coding}");
        let plain = super::decode(coding, &got.bytes());
        assert!(plain.starts_with(&tagged()) && plain.len() > 10_000, "{coding}: {}", plain.len());
    }
}

#[test]
fn a_page_that_breaks_later_ends_there() {
    let page = [WHOLE.as_bytes(), &super::streams::noise(600_000)].concat();
    for coding in ["gzip", "zstd"] {
        let mut encoded = encode(coding, &page);
        let at = encoded.len() / 2;
        encoded[at..].fill(0xff);
        let got =
            through(&[("content-encoding", coding)], Origin::sends(encoded.chunks(999).map(<[u8]>::to_vec)));
        assert!(got.failed || !is_whole(coding, &got.bytes()), "{coding}");
        let plain = super::decode(coding, &got.bytes());
        assert!(plain.starts_with(&tagged()), "{coding}: {} of {at}", plain.len());
    }
}

#[test]
fn members_and_frames_may_follow_one_another() {
    for coding in ["gzip", "zstd"] {
        let (first, second) = WHOLE.split_at(30);
        let encoded = [encode(coding, first.as_bytes()), encode(coding, second.as_bytes())].concat();
        for size in [1, 5, 1000] {
            let got = through(
                &[("content-encoding", coding)],
                Origin::sends(encoded.chunks(size).map(<[u8]>::to_vec)),
            );
            assert_eq!(decode_whole(coding, &got.bytes()), tagged(), "{coding}");
        }
    }
    for (coding, rubbish) in [("gzip", &b"\0\0\0\0rubbish"[..]), ("br", b"rubbish")] {
        let encoded = [&encode(coding, WHOLE.as_bytes()), rubbish].concat();
        let got = through(&[("content-encoding", coding)], Origin::sends([encoded]));
        assert_eq!(decode_whole(coding, &got.bytes()), tagged(), "{coding}: what follows is ignored");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn every_coding_keeps_every_byte(rest in prop::collection::vec(any::<u8>(), 0..3000), repeat in 1_usize..30, size in 1_usize..2000) {
        let page = [WHOLE.as_bytes(), &rest.repeat(repeat)].concat();
        let wanted = [&tagged()[..], &rest.repeat(repeat)].concat();
        for coding in CODINGS {
            let encoded = encode(coding, &page);
            let got = through(&[("content-encoding", coding)], Origin::sends(encoded.chunks(size).map(<[u8]>::to_vec)));
            prop_assert_eq!(decode_whole(coding, &got.bytes()), wanted.clone(), "{}", coding);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(raw in prop::collection::vec(any::<u8>(), 0..300), size in 1_usize..50) {
        for coding in CODINGS {
            through(&[("content-encoding", coding)], Origin::sends(raw.chunks(size).map(<[u8]>::to_vec)));
        }
    }
}
