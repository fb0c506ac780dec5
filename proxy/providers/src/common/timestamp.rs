//! When a request was signed: how far that may be from now.

use crate::Rejection;
use usher_model::{UnixMs, limits::SIGNATURE_SKEW_S};

/// Which way a timestamp may not be off.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bound {
    /// Only old signatures are turned away (Stripe's library).
    Past,
    /// So are those from the future.
    Both,
}

/// Seconds since the epoch, in plain digits.
pub(crate) fn read(text: &str) -> Option<i64> {
    let plain = (1..=12).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

/// Whether a signature of the second `at` still counts.
pub(crate) fn check(at: i64, now: UnixMs, bound: Bound) -> Result<(), Rejection> {
    let skew = i64::try_from(SIGNATURE_SKEW_S).unwrap_or(i64::MAX);
    let age = now.seconds().saturating_sub(at);
    if age > skew {
        Err(Rejection::StaleTimestamp)
    } else if bound == Bound::Both && age < -skew {
        Err(Rejection::FutureTimestamp)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_minutes_and_not_a_second_more() {
        let now = UnixMs(1_789_000_000_999);
        let at = |age: i64, bound| check(1_789_000_000 - age, now, bound);
        assert_eq!(at(300, Bound::Both), Ok(()));
        assert_eq!(at(301, Bound::Past), Err(Rejection::StaleTimestamp));
        assert_eq!(at(-300, Bound::Both), Ok(()));
        assert_eq!(at(-301, Bound::Both), Err(Rejection::FutureTimestamp));
        assert_eq!(at(-3_000, Bound::Past), Ok(()));
        for text in ["", "-1", "+1", " 1", "1.0", "1234567890123", "١", "0x1"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
