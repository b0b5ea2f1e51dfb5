//! Pseudo-random numbers whose output never changes between versions.
//!
//! The generator is SplitMix64: Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators" (OOPSLA 2014),
//! in the form of Sebastiano Vigna's public-domain `splitmix64.c` (<https://prng.di.unimi.it/splitmix64.c>). It is our
//! own copy because a crate may change its stream with a release, and with it every figure of the demo. Whole numbers
//! only: floating point functions differ between machines.

/// A stream of pseudo-random numbers.
#[derive(Debug, Clone)]
pub(super) struct Random {
    state: u64,
}

/// What a stream of numbers is for. Each thing draws from a stream of its own, so that one more draw in one place
/// leaves all others as they are.
#[derive(Debug, Clone, Copy)]
pub(super) enum Purpose {
    /// Who a customer is.
    Customer = 1,
    /// Who follows a customer.
    Follow = 2,
    /// What a customer is really like, as far as tags can say.
    Portrait = 3,
    /// What a follow is tagged with.
    Tagging = 4,
    /// Orders and other purposeful behaviour of a customer.
    Journey = 5,
    /// The rest of a customer's events.
    Background = 6,
}

const GOLDEN_GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

impl Random {
    /// A stream that starts at `seed`.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The stream for one purpose and one thing, such as the customer of that index.
    pub fn stream(seed: u64, purpose: Purpose, index: usize) -> Self {
        let mut state = mix(seed.wrapping_add(GOLDEN_GAMMA));
        state = mix(state ^ (purpose as u64).wrapping_mul(GOLDEN_GAMMA));
        state = mix(state ^ (index as u64).wrapping_add(1).wrapping_mul(GOLDEN_GAMMA));
        Self::new(state)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN_GAMMA);
        mix(self.state)
    }

    /// A number from 0 to `end`, `end` excluded; 0 where `end` is 0.
    ///
    /// The high half of a product, after Lemire, without the rejection step: the bias is below `end` / 2⁶⁴.
    pub fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(end)) >> 64) as u64
    }

    /// A number from `from` to `to`, `to` excluded; `from` where the range is empty.
    pub fn between(&mut self, from: i64, to: i64) -> i64 {
        let width = u64::try_from(to.saturating_sub(from)).unwrap_or(0);
        from + self.below(width) as i64
    }

    /// True in `permille` of a thousand cases.
    pub fn chance(&mut self, permille: u64) -> bool {
        self.below(1000) < permille
    }

    /// One of the items, each as likely as the others. There must be at least one.
    pub fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len() as u64) as usize]
    }

    /// The index of one of the weights, each as likely as it weighs. There must be at least one above zero.
    pub fn weighted(&mut self, weights: &[u32]) -> usize {
        let total: u32 = weights.iter().sum();
        let mut left = self.below(u64::from(total));
        for (index, weight) in weights.iter().enumerate() {
            if left < u64::from(*weight) {
                return index;
            }
            left -= u64::from(*weight);
        }
        weights.len() - 1
    }

    /// A text of that many digits and small letters.
    pub fn letters(&mut self, length: usize) -> String {
        const ALPHABET: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
        (0..length).map(|_| char::from(self.pick(ALPHABET))).collect()
    }
}

/// The output function of SplitMix64: a bijection that spreads every input bit over the whole word.
fn mix(state: u64) -> u64 {
    let mut mixed = state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_that_of_the_published_generator() {
        let mut random = Random::new(1_234_567);
        let first: Vec<u64> = (0..5).map(|_| random.bits()).collect();
        assert_eq!(
            first,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423,
                4_593_380_528_125_082_431,
                16_408_922_859_458_223_821,
            ]
        );
    }

    #[test]
    fn draws_stay_in_their_range() {
        let mut random = Random::stream(7, Purpose::Customer, 3);
        for _ in 0..1000 {
            assert!(random.below(3) < 3);
            assert!((-5..5).contains(&random.between(-5, 5)));
            assert_eq!(random.weighted(&[0, 4, 0]), 1);
        }
        assert_eq!(random.below(0), 0);
        assert_eq!(random.between(9, 9), 9);
    }
}
