//! Request signing, both ways: `X-Affonso-Timestamp` is decimal Unix seconds, `X-Affonso-Signature` the lower-case hex of
//! HMAC-SHA256 over `timestamp + "." + body`. The key is the whole secret as text, a `whsec_` in front included
//! (`src/http.ts` of the public `@affonso/sdk`).

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use usher_model::Secret;

/// Header that carries the seconds.
pub const TIMESTAMP: &str = "x-affonso-timestamp";
/// Header that carries the signature.
pub const SIGNATURE: &str = "x-affonso-signature";
/// How far a timestamp may lie from the clock, either way, in seconds.
pub const TOLERANCE_SECONDS: i64 = 300;

/// Signs `body` as of `seconds`.
#[must_use]
pub fn sign(secret: &Secret, seconds: i64, body: &[u8]) -> String {
    let tag = mac(secret, &seconds.to_string(), body).finalize().into_bytes();
    tag.iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)]))
        .collect()
}

/// Whether `signature` over `body` was made with one of `secrets` at a time close to `now_seconds`.
/// Compares in constant time.
#[must_use]
pub fn verify(secrets: &[Secret], timestamp: &str, signature: &str, body: &[u8], now_seconds: i64) -> bool {
    let Ok(seconds) = timestamp.parse::<i64>() else { return false };
    let Some(tag) = unhex(signature) else { return false };
    seconds.abs_diff(now_seconds) <= TOLERANCE_SECONDS.unsigned_abs()
        && secrets.iter().any(|secret| mac(secret, timestamp, body).verify_slice(&tag).is_ok())
}

fn mac(secret: &Secret, timestamp: &str, body: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose())
        .unwrap_or_else(|_| unreachable!("HMAC takes a key of any length (RFC 2104 section 2)"));
    mac.update(timestamp.as_bytes());
    mac.update(b".");
    mac.update(body);
    mac
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let digits: &[u8; 64] = text.as_bytes().try_into().ok()?;
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let value = |digit: u8| match digit {
            b'0'..=b'9' => Some(digit - b'0'),
            b'a'..=b'f' => Some(digit - b'a' + 10),
            _ => None,
        };
        *byte = value(pair[0])? << 4 | value(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGNED: &str = "38877139021993b830af32feea6e18a8da83eb2f6e49ee50bd9e4cf4ca4d3789";

    #[test]
    fn signs_as_openssl_does() {
        assert_eq!(sign(&Secret::new("whsec_test"), 1_700_000_000, br#"{"a":1}"#), SIGNED);
    }

    #[test]
    fn verifies_its_own_and_nothing_else() {
        let secrets = [Secret::new("old"), Secret::new("whsec_test")];
        let at = |timestamp: &str, signature: &str, body: &[u8], now| {
            verify(&secrets, timestamp, signature, body, now)
        };
        assert!(at("1700000000", SIGNED, br#"{"a":1}"#, 1_700_000_300));
        assert!(at("1700000000", SIGNED, br#"{"a":1}"#, 1_699_999_700));
        assert!(!at("1700000000", SIGNED, br#"{"a":1}"#, 1_700_000_301), "too old");
        assert!(!at("1700000000", SIGNED, br#"{"a":1}"#, 1_699_999_699), "from the future");
        assert!(!at("1700000000", SIGNED, br#"{"a":2}"#, 1_700_000_000), "other body");
        assert!(!at("1700000000", &SIGNED.to_uppercase(), br#"{"a":1}"#, 1_700_000_000), "not as specified");
        assert!(!at("1700000000", &format!("sha256={SIGNED}"), br#"{"a":1}"#, 1_700_000_000));
        assert!(!at("", "", b"", 0) && !at("9223372036854775807", SIGNED, b"", i64::MIN));
        assert!(!verify(&[], "1700000000", SIGNED, br#"{"a":1}"#, 1_700_000_000), "no secret, no trust");
    }
}
