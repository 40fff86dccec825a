//! What can be watched of the background task?
//!
//! Counters of this process, in memory, for whoever exports metrics: numbers alone.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use super::store::Settled;
use crate::clock::Clock;

/// The counters of one process. Cheap to clone; clones count together.
#[derive(Clone, Debug)]
pub struct Meter(Arc<Counters>);

#[derive(Debug)]
struct Counters {
    /// In the order of [`named`].
    settled: [AtomicU64; 5],
    clock: Clock,
    /// On the clock.
    began: Duration,
    /// Milliseconds from `began` to the end of the last turn.
    turned_ms: AtomicU64,
}

impl Meter {
    /// Nothing was done yet; time is told by `clock`.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self(Arc::new(Counters {
            settled: [const { AtomicU64::new(0) }; 5],
            began: clock.elapsed(),
            turned_ms: AtomicU64::new(0),
            clock,
        }))
    }

    /// Requests were settled.
    pub(super) fn settled(&self, settled: Settled) {
        for (counter, (_, count)) in self.0.settled.iter().zip(named(settled)) {
            counter.fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Relaxed);
        }
    }

    /// The background task got through a turn: the database answered, whether there was anything to
    /// do or not.
    pub(super) fn turned(&self) {
        let millis = u64::try_from(self.since_start().as_millis()).unwrap_or(u64::MAX);
        self.0.turned_ms.fetch_max(millis, Relaxed);
    }

    /// How many requests this process settled, by what became of them (counters).
    #[must_use]
    pub fn counts(&self) -> [(&'static str, u64); 5] {
        let mut counts = named(Settled::default()).map(|(name, _)| (name, 0));
        for ((_, count), counter) in counts.iter_mut().zip(&self.0.settled) {
            *count = counter.load(Relaxed);
        }
        counts
    }

    /// How long ago the last turn ended; before the first, how long the process has been there.
    #[must_use]
    pub fn since_turn(&self) -> Duration {
        let turned = Duration::from_millis(self.0.turned_ms.load(Relaxed));
        self.since_start().saturating_sub(turned)
    }

    /// How long the process has been there.
    #[must_use]
    pub fn since_start(&self) -> Duration {
        self.0.clock.elapsed().saturating_sub(self.0.began)
    }
}

/// What became of requests, by name.
const fn named(settled: Settled) -> [(&'static str, usize); 5] {
    [
        ("provisioned", settled.provisioned),
        ("held", settled.held),
        ("waiting", settled.waiting),
        ("expired", settled.expired),
        ("watched", settled.watched),
    ]
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    #[test]
    fn the_heart_beats_with_every_turn() {
        let clock = Clock::mock(DateTime::UNIX_EPOCH);
        clock.advance(Duration::from_secs(100));
        let meter = Meter::new(clock.clone());
        clock.advance(Duration::from_secs(9));
        assert_eq!(meter.since_turn(), Duration::from_secs(9));
        meter.turned();
        clock.advance(Duration::from_secs(2));
        assert_eq!(meter.since_turn(), Duration::from_secs(2));
        assert_eq!(meter.since_start(), Duration::from_secs(11));
    }

    #[test]
    fn every_kind_is_counted_under_its_name() {
        let meter = Meter::new(Clock::system());
        for _ in 0..2 {
            meter.settled(Settled {
                provisioned: 1,
                held: 2,
                waiting: 3,
                expired: 4,
                watched: 5,
            });
        }
        let names = ["provisioned", "held", "waiting", "expired", "watched"];
        let counts: Vec<_> = names.into_iter().zip([2, 4, 6, 8, 10]).collect();
        assert_eq!(meter.counts().to_vec(), counts);
    }
}
