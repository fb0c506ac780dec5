//! Hashes of names, so that an index holds 8 bytes in place of a text. What it finds is compared whole.

/// FNV-1a of 64 bits (<https://datatracker.ietf.org/doc/html/draft-eastlake-fnv>): the same in every version, as it is
/// written down. Those who choose names are the merchant's own servers and providers, so it need not be keyed.
pub(super) fn of(text: &str) -> i64 {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    hash.cast_signed()
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_is_what_others_compute() {
        for (text, hash) in
            [("", 0xcbf2_9ce4_8422_2325_u64), ("a", 0xaf63_dc4c_8601_ec8c), ("foobar", 0x8594_4171_f739_67e8)]
        {
            assert_eq!(super::of(text), hash.cast_signed(), "{text}");
        }
    }
}
