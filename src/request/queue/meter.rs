//! What can be watched of the line?
//!
//! Counters of this process, in memory, for whoever exports metrics: numbers alone.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::named::named;

/// Upper ends of the classes of batches, in submissions; above the last there is one more.
pub const BUCKETS: [usize; 8] = [1, 2, 4, 8, 16, 32, 64, 128];

named! {
    /// Why a submission was answered 503.
    Why {
        /// The line was full, or too slow for one more.
        Full = "full",
        /// It waited, and was not stored in time.
        Late = "late",
        /// The database did not answer.
        Away = "away",
    }
}

/// The counters of one line.
#[derive(Debug, Default)]
pub struct Meter {
    batches: [AtomicU64; BUCKETS.len() + 1],
    stored: AtomicU64,
    put_off: [AtomicU64; Why::ALL.len()],
}

impl Meter {
    /// One statement has answered for so many submissions.
    pub(super) fn stored(&self, submissions: usize) {
        let bucket = BUCKETS.iter().position(|&end| submissions <= end);
        self.batches[bucket.unwrap_or(BUCKETS.len())].fetch_add(1, Relaxed);
        let submissions = u64::try_from(submissions).unwrap_or(u64::MAX);
        self.stored.fetch_add(submissions, Relaxed);
    }

    /// A submission was answered 503.
    pub(super) fn put_off(&self, why: Why) {
        self.put_off[why as usize].fetch_add(1, Relaxed);
    }

    /// How many statements have answered for as many submissions as the bucket says at most,
    /// bucket by bucket; then all (a histogram).
    #[must_use]
    pub fn batches(&self) -> [u64; BUCKETS.len() + 1] {
        let mut all = 0;
        self.batches.each_ref().map(|count| {
            all += count.load(Relaxed);
            all
        })
    }

    /// The submissions of all of them.
    #[must_use]
    pub fn submissions(&self) -> u64 {
        self.stored.load(Relaxed)
    }

    /// How many submissions were answered 503, by why (counters).
    #[must_use]
    pub fn put_offs(&self, why: Why) -> u64 {
        self.put_off[why as usize].load(Relaxed)
    }
}
