//! Pseudorandom numbers for shuffling, sampling and spreading load.
//!
//! A component has no source of randomness. The numbers of [`Random::new`] depend on the run's id and attempt, on the
//! time, and on the monotonic clock. The numbers of [`Random::with_seed`] depend only on the seed. Anyone who knows
//! these inputs can compute the numbers, so never use them for secrets, tokens or passwords.

use crate::{clock, plugin::Run};

/// A generator of pseudorandom numbers.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Creates a generator whose numbers differ between runs, attempts and calls.
    pub fn new(run: &Run) -> Self {
        let nanoseconds = clock::monotonic().as_nanos() as u64;
        Self::with_seed(&format!("{} {} {} {nanoseconds}", run.id, run.attempt, clock::now()))
    }

    /// Creates a generator that always returns the same numbers for the same seed, for example to give each project a
    /// fixed minute of the hour.
    pub fn with_seed(seed: &str) -> Self {
        // FNV-1a.
        let hash = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        Self(seed.bytes().fold(0xcbf2_9ce4_8422_2325, hash))
    }

    /// Returns the next number.
    pub fn next_u64(&mut self) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number from 0 up to but not including `limit`, or 0 if `limit` is 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        // With the high half of the product, the probability of each number differs from 1/`limit` by less than 2^-64.
        ((u128::from(self.next_u64()) * u128::from(limit)) >> 64) as u64
    }

    /// Puts the items in a random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_follow_from_the_seed() {
        let first = Random::with_seed("a").next_u64();
        assert_eq!(first, Random::with_seed("a").next_u64());
        assert_ne!(first, Random::with_seed("b").next_u64());
    }

    #[test]
    fn numbers_are_spread_below_the_limit() {
        let mut random = Random::with_seed("x");
        let mut counts = [0; 10];
        for _ in 0..10_000 {
            counts[random.below(10) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (800..1200).contains(count)), "{counts:?}");
        assert_eq!(random.below(0), 0);
    }

    #[test]
    fn shuffling_keeps_all_items() {
        let mut items: Vec<u32> = (0..100).collect();
        Random::with_seed("x").shuffle(&mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }
}
