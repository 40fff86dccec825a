//! Counts what the line stored at once, and what it put off.

use prometheus::{Histogram, IntCounterVec};

use crate::{
    meter::{self, Collectors},
    text_enum::text_enum,
};

/// Upper ends of the classes of batches, in submissions.
const BATCHES: [f64; 8] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0];

text_enum! {
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
#[derive(Debug)]
pub struct Meter {
    batches: Histogram,
    put_off: IntCounterVec,
}

impl Default for Meter {
    fn default() -> Self {
        Self {
            batches: meter::histogram(
                "pic_submit_batch_size",
                "Submits that were stored by one statement.",
                &BATCHES,
                Histogram::with_opts,
            ),
            put_off: meter::counters(
                "pic_submits_put_off_total",
                "Submits that were answered 503. full: at once, because more came than were stored; late: after a wait; away: the database did not answer.",
                ["why"],
                Why::ALL.iter().map(|why| [why.as_str()]),
            ),
        }
    }
}

impl Meter {
    /// One statement has answered for so many submissions.
    pub(super) fn stored(&self, submissions: usize) {
        let submissions = u32::try_from(submissions).unwrap_or(u32::MAX);
        self.batches.observe(submissions.into());
    }

    /// A submission was answered 503.
    pub(super) fn put_off(&self, why: Why) {
        self.put_off.with_label_values(&[why.as_str()]).inc();
    }

    /// How many submissions were answered 503, by why.
    #[must_use]
    pub fn put_offs(&self, why: Why) -> u64 {
        self.put_off.with_label_values(&[why.as_str()]).get()
    }

    /// For a scrape.
    #[must_use]
    pub fn collectors(&self) -> Collectors {
        vec![
            Box::new(self.batches.clone()),
            Box::new(self.put_off.clone()),
        ]
    }
}
