//! Ids that look like the platform's: the form of a cuid, `c` and 24 characters of base 36
//! (<https://github.com/paralleldrive/cuid#broken-down>).

use std::sync::atomic::{AtomicU64, Ordering};

use usher_model::UnixMs;

const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// A new id. Distinct within the process by its counter, and between processes by 62 random bits.
pub(crate) fn cuid(now: UnixMs) -> String {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let mut id = String::with_capacity(25);
    id.push('c');
    push_base36(&mut id, now.0.unsigned_abs(), 8);
    push_base36(&mut id, COUNTER.fetch_add(1, Ordering::Relaxed), 4);
    push_base36(&mut id, random(), 12);
    id
}

/// Thirty-two random hexadecimal digits: a nonce for a Content-Security-Policy.
pub(crate) fn nonce() -> String {
    format!("{:016x}{:016x}", random(), random())
}

fn random() -> u64 {
    // The kernel's generator fails only where a demo cannot run at all; a repeated value would then break a demo, not money.
    getrandom::u64().unwrap_or_default()
}

/// The lowest `width` base-36 digits of a number.
fn push_base36(out: &mut String, mut value: u64, width: usize) {
    let mut digits = [b'0'; 12];
    for digit in digits.iter_mut().take(width).rev() {
        *digit = DIGITS[(value % 36) as usize];
        value /= 36;
    }
    out.extend(digits.iter().take(width).map(|&digit| char::from(digit)));
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_distinct_and_of_the_form() {
        let ids: HashSet<String> = (0..10_000).map(|_| cuid(UnixMs(1_750_000_000_000))).collect();
        assert_eq!(ids.len(), 10_000);
        for id in &ids {
            assert_eq!(id.len(), 25, "{id}");
            assert!(id.starts_with("cmbxstdz4"), "the time leads: {id}");
            assert!(id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()), "{id}");
        }
    }
}
