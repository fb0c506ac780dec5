//! HMAC-SHA256 (RFC 2104), compared in constant time.
//!
//! What a header says is compared as text with the canonical encoding of what it should say. So there is nothing to decode,
//! and other spellings of the same bytes (upper-case hex, no padding, white space) do not pass, as in the vendors' libraries.

use crate::Rejection;
use base64::{Engine, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// How a digest is written.
#[derive(Clone, Copy)]
pub(crate) enum Encoding {
    /// Lower-case hexadecimal.
    Hex,
    /// Base64 with padding (RFC 4648 section 4).
    Base64,
}

/// Passes when any key signs the parts, in a row, with any of the `given` signatures.
pub(crate) fn check<K: AsRef<[u8]>>(
    keys: impl IntoIterator<Item = K>,
    parts: &[&[u8]],
    encoding: Encoding,
    given: &[&str],
) -> Result<(), Rejection> {
    let signed = keys.into_iter().any(|key| {
        let expected = encoding.write(&hmac_sha256(key.as_ref(), parts));
        given.iter().any(|given| same(expected.as_bytes(), given.as_bytes()))
    });
    if signed { Ok(()) } else { Err(Rejection::BadSignature) }
}

/// The values of `name` in a header such as `t=1,v1=ab,v1=cd`.
pub(crate) fn values<'a>(
    header: &'a str,
    separator: char,
    name: &'static str,
) -> impl Iterator<Item = &'a str> {
    let items = header.split(separator).filter_map(|item| item.split_once('='));
    items.filter(move |(key, _)| *key == name).map(|(_, value)| value)
}

/// Whether two texts are the same, in a time that tells only about their lengths.
pub(crate) fn same(one: &[u8], other: &[u8]) -> bool {
    bool::from(one.ct_eq(other))
}

/// The digest of the parts, in a row.
pub(crate) fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

impl Encoding {
    pub(crate) fn write(self, bytes: &[u8]) -> String {
        match self {
            Self::Hex => bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect(),
            Self::Base64 => BASE64_STANDARD.encode(bytes),
        }
    }
}

fn digit(value: u8) -> char {
    char::from_digit(u32::from(value), 16).unwrap_or('0')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test case 2.
    const DIGEST: &str = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";

    #[test]
    fn any_key_and_any_signature_but_one_spelling() {
        let parts: [&[u8]; 2] = [b"what do ya want ", b"for nothing?"];
        let pass = |keys: &[&str], given: &[&str]| check(keys, &parts, Encoding::Hex, given).is_ok();
        assert!(pass(&["other", "Jefe"], &["", DIGEST]));
        assert!(!pass(&["other"], &[DIGEST]) && !pass(&[], &[DIGEST]) && !pass(&["Jefe"], &[]));
        for wrong in [&DIGEST.to_uppercase(), &DIGEST[..62], &format!("{DIGEST} "), &format!("{DIGEST}00")] {
            assert!(!pass(&["Jefe"], &[wrong]), "{wrong}");
        }
        let bytes = hmac_sha256(b"Jefe", &parts);
        assert_eq!(Encoding::Base64.write(&bytes), "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM=");
    }
}
