//! Chance that can be repeated: SplitMix64 (<https://doi.org/10.1145/2714064.2660195>).

pub(crate) struct Chance(u64);

impl Chance {
    /// The same seed gives the same numbers.
    pub(crate) const fn from_seed(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `end`, which is more than nothing.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// One or the other.
    pub(crate) fn coin(&mut self) -> bool {
        self.next().is_multiple_of(2)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
