//! The `application/x-www-form-urlencoded` parser of the URL standard
//! (<https://url.spec.whatwg.org/#urlencoded-parsing>).

use alloc::{borrow::Cow, string::String, vec::Vec};

use crate::address::split_once;

/// The decoded name-value pairs of `input`, in order. Decoding never fails: what is not UTF-8 becomes U+FFFD, and a `%`
/// that two hexadecimal digits do not follow stays.
pub fn pairs(input: &[u8]) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    raw_pairs(input).map(|(name, value)| (decode_cow(name), decode_cow(value)))
}

/// The pairs before decoding. A sequence without `=` is a name with an empty value; empty sequences are skipped.
pub(crate) fn raw_pairs(input: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    input.split(|&b| b == b'&').filter(|sequence| !sequence.is_empty()).map(|sequence| {
        let (name, value) = split_once(sequence, b'=');
        (name, value.unwrap_or_default())
    })
}

fn decode_cow(raw: &[u8]) -> Cow<'_, str> {
    if raw.iter().any(|&b| b == b'+' || b == b'%') {
        Cow::Owned(decode(raw))
    } else {
        String::from_utf8_lossy(raw)
    }
}

/// Replaces `+` by a space, percent-decodes, then decodes as UTF-8 without looking for a byte order mark.
pub(crate) fn decode(raw: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let [first, tail @ ..] = rest {
        let (byte, tail) = match (first, tail) {
            (b'+', _) => (b' ', tail),
            (b'%', [high, low, after @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, after),
                _ => (b'%', tail),
            },
            (&other, _) => (other, tail),
        };
        bytes.push(byte);
        rest = tail;
    }
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
    text
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}
