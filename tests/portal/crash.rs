//! Checks that nothing is lost, doubled or half done, whatever process dies at whatever moment.
//!
//! The short forms run with the other tests; `make soak` runs the long ones. `PIC_SEED` repeats the
//! random choices of a failed run: the clients then want the same, though not at the same moments.

mod bodies;
mod checker;
mod clocks;
mod kills;
mod load;
mod memory;
mod statements;

use std::env;

use uuid::Uuid;

/// A number that `make soak` sets, or that of the short form.
pub(crate) fn setting(name: &str, short: usize) -> usize {
    match env::var(name) {
        Ok(number) => number.parse().expect("a number"),
        Err(_) => short,
    }
}

/// Random numbers from a seed: `SplitMix64` (Steele, Lea, Flood 2014). A failed test prints the
/// seed.
pub(crate) struct Dice {
    state: u64,
    seed: u64,
}

impl Dice {
    /// Seeded by `PIC_SEED`, or at random.
    pub(crate) fn cast() -> Self {
        let seed = match env::var("PIC_SEED") {
            Ok(seed) => seed.parse().expect("a number"),
            Err(_) => Uuid::new_v4().as_u64_pair().0,
        };
        Self { state: seed, seed }
    }

    /// An independent generator for a task that runs at the same time.
    pub(crate) fn split(&mut self) -> Self {
        Self {
            state: self.next(),
            seed: self.seed,
        }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `end`, exclusive.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).unwrap();
        usize::try_from(self.next() % end).unwrap()
    }

    /// True with this probability in percent.
    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

impl Drop for Dice {
    #[expect(clippy::print_stderr, reason = "only beside a failure")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("to throw the same again: PIC_SEED={}", self.seed);
        }
    }
}
