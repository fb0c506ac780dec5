//! Chance that a seed decides. Each part of the world has its own dice, so that one part that asks once more does not
//! change what befalls the others.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use usher_model::Random;

/// `SplitMix64` (<https://prng.di.unimi.it/splitmix64.c>).
pub(crate) struct Dice(AtomicU64);

impl Dice {
    /// The dice of one part of the world of a seed.
    pub(crate) fn new(seed: u64, part: u64) -> Self {
        // Through the mixer: seeds that stand side by side would else give one row of numbers, shifted by one.
        let mixed = Self(AtomicU64::new(seed)).next();
        Self(AtomicU64::new(Self(AtomicU64::new(mixed ^ part)).next()))
    }

    pub(crate) fn next(&self) -> u64 {
        let mut z = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Relaxed).wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From `low` to `high`, both included.
    pub(crate) fn between(&self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low + 1)
    }

    /// True `percent` times in a hundred.
    pub(crate) fn percent(&self, percent: u64) -> bool {
        self.next() % 100 < percent
    }

    pub(crate) fn pick<T: Copy>(&self, from: &[T]) -> T {
        from[usize::try_from(self.next() % from.len() as u64).expect("an index")]
    }
}

impl Random for Dice {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let next = self.next().to_le_bytes();
            chunk.copy_from_slice(&next[..chunk.len()]);
        }
    }
}
