//! What holds for all bytes.

use super::{
    oracle, pass,
    streams::{clean, streams},
};
use proptest::{collection::vec, prelude::*, sample::Index};
use usher_front::gate::Phase;

/// A stream cut up at those places.
fn cut<'s>(stream: &'s [u8], places: &[Index]) -> Vec<&'s [u8]> {
    let mut places: Vec<usize> = places.iter().map(|place| place.index(stream.len() + 1)).collect();
    places.extend([0, stream.len()]);
    places.sort_unstable();
    places.windows(2).map(|ends| &stream[ends[0]..ends[1]]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn it_does_not_matter_how_bytes_are_split(stream in streams(), places in vec(any::<Index>(), 0..12), single: bool) {
        let whole = pass([&stream[..]], false);
        let parts = if single { stream.chunks(1).collect() } else { cut(&stream, &places) };
        let split = pass(parts, false);
        prop_assert_eq!(whole.offence, split.offence);
        // A request whose body offends is taken back when it came in the same bytes.
        prop_assert!(split.out.starts_with(&whole.out));
        if whole.offence.is_none() || split.phase == (Phase::Refused { answer_due: true }) {
            prop_assert_eq!(whole, split);
        } else {
            prop_assert!(split.requests - whole.requests <= 1);
        }
    }

    #[test]
    fn what_passes_is_strict_and_stays_as_it_is(stream in streams()) {
        let parts = pass(stream.chunks(1), false);
        let (requests, is_cut_off) = oracle::read(&parts.out).map_err(TestCaseError::fail)?;
        prop_assert_eq!(requests.len() as u64, parts.requests);
        let again = pass([&parts.out[..]], false);
        prop_assert_eq!(again.offence, None);
        prop_assert_eq!(&again.out, &parts.out);
        prop_assert_eq!(again.phase == Phase::Body, is_cut_off);
        let quotes = stream.iter().filter(|octet| matches!(octet, b'"' | b'<' | b'>')).count();
        prop_assert!(parts.out.len() <= stream.len() + 2 * quotes);
    }

    #[test]
    fn valid_requests_pass(requests in clean()) {
        let passed = pass([&requests.concat()[..]], false);
        prop_assert_eq!(passed.offence, None);
        prop_assert_eq!(passed.requests, requests.len() as u64);
        prop_assert_eq!(passed.phase, Phase::Idle);
    }
}
