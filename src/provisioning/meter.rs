//! Counts what the background task did, and tells how long ago it last got through a turn.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use prometheus::IntCounterVec;

use super::store::Settled;
use crate::{
    clock::Clock,
    meter::{self, Collectors},
};

/// The counters of one process. Cheap to clone; clones count together.
#[derive(Clone, Debug)]
pub struct Meter {
    settled: IntCounterVec,
    clock: Clock,
    /// On the clock.
    began: Duration,
    /// Milliseconds from `began` to the end of the last turn.
    turned_ms: Arc<AtomicU64>,
}

impl Meter {
    /// Nothing was done yet; time is told by `clock`.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self {
            settled: meter::counters(
                "pic_settled_total",
                "Requests that the background task looked at, by what became of them; held and waiting ones are looked at again.",
                ["outcome"],
                named(Settled::default()).map(|(name, _)| [name]),
            ),
            began: clock.elapsed(),
            turned_ms: Arc::default(),
            clock,
        }
    }

    /// Requests were settled.
    pub(super) fn settled(&self, settled: Settled) {
        for (name, count) in named(settled) {
            let counter = self.settled.with_label_values(&[name]);
            counter.inc_by(u64::try_from(count).unwrap_or(u64::MAX));
        }
    }

    /// The background task got through a turn: the database answered, whether there was anything to
    /// do or not.
    pub(super) fn turned(&self) {
        let millis = u64::try_from(self.since_start().as_millis()).unwrap_or(u64::MAX);
        self.turned_ms.fetch_max(millis, Relaxed);
    }

    /// How long ago the last turn ended; before the first, how long the process has been there.
    #[must_use]
    pub fn since_turn(&self) -> Duration {
        let turned = Duration::from_millis(self.turned_ms.load(Relaxed));
        self.since_start().saturating_sub(turned)
    }

    /// How long the process has been there.
    #[must_use]
    pub fn since_start(&self) -> Duration {
        self.clock.elapsed().saturating_sub(self.began)
    }

    /// For a scrape.
    #[must_use]
    pub fn collectors(&self) -> Collectors {
        let heartbeat = meter::reading(
            "pic_worker_heartbeat_seconds",
            "Seconds since the background task last got through a turn; some ten when it is idle.",
            self.since_turn().as_secs_f64(),
        );
        vec![Box::new(self.settled.clone()), heartbeat]
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
        let counts = names.map(|name| meter.settled.with_label_values(&[name]).get());
        assert_eq!(counts, [2, 4, 6, 8, 10]);
    }
}
