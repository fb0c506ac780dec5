//! Request signing, as the platform's SDK makes it: lower-case hex of HMAC-SHA256 over `timestamp.body`, keyed by the whole secret
//! string (`https://github.com/affonso-io/affonso-node`, `src/http.ts`).

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::wire::{Call, Failure};
use crate::demo::limits::SIGNATURE_TOLERANCE_SECONDS;

/// Seconds since 1970 when the request was signed.
pub(super) const TIMESTAMP_HEADER: &str = "x-affonso-timestamp";
/// The signature in bare hex.
pub(super) const SIGNATURE_HEADER: &str = "x-affonso-signature";

/// Whether a request carries a good signature: `Some(true)` yes, `None` when it carries none or there is no secret to judge it by.
///
/// # Errors
/// 401 for a bad or outdated signature.
pub(super) fn check(secret: Option<&str>, call: &Call) -> Result<Option<bool>, Failure> {
    let (Some(secret), Some(given)) = (secret, call.header(SIGNATURE_HEADER)) else { return Ok(None) };
    let timestamp = call
        .header(TIMESTAMP_HEADER)
        .ok_or_else(|| Failure::unauthorized("X-Affonso-Timestamp is missing beside X-Affonso-Signature"))?;
    let seconds: i64 = timestamp
        .parse()
        .map_err(|_| Failure::unauthorized("X-Affonso-Timestamp must be seconds since 1970 in decimal"))?;
    if seconds.abs_diff(call.now.seconds()) > SIGNATURE_TOLERANCE_SECONDS {
        return Err(Failure::unauthorized("X-Affonso-Timestamp is more than 300 seconds from now"));
    }
    // Compared as text, so that upper-case hex and prefixes fail as well; a stand-in has no secret worth a timing attack.
    if sign(secret, timestamp, &call.body) != given {
        return Err(Failure::unauthorized("X-Affonso-Signature does not match"));
    }
    Ok(Some(true))
}

/// The signature of a body.
pub(super) fn sign(secret: &str, timestamp: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())
        .expect("HMAC takes keys of every length (RFC 2104, 2)");
    mac.update(timestamp.as_bytes());
    mac.update(b".");
    mac.update(body);
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_vector_computed_by_openssl() {
        assert_eq!(
            sign("whsec_test", "1700000000", br#"{"a":1}"#),
            "38877139021993b830af32feea6e18a8da83eb2f6e49ee50bd9e4cf4ca4d3789"
        );
    }
}
