//! The time, where it does not come from the database.
//!
//! Rate limits count by this clock; the times of requests and sessions come from the database
//! (`docs/design.md#the-house`). Decisions that must not depend on the operating system's clock,
//! such as whether a certificate has expired, use a [`Clock::told`]. Tests move a [`Clock::mock`]
//! instead of waiting.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};

/// The system's clock, or one that a test moves. Cheap to clone; clones show the same time.
#[derive(Clone, Debug)]
pub struct Clock(Kind);

/// The clock was not set yet.
const UNTOLD: i64 = i64::MIN;

#[derive(Clone, Debug)]
enum Kind {
    System {
        started: Instant,
    },
    Told {
        started: Instant,
        /// Microseconds since 1970 at `started`; [`UNTOLD`] at first.
        base: Arc<AtomicI64>,
    },
    Mock {
        started: DateTime<Utc>,
        millis: Arc<AtomicU64>,
    },
}

impl Clock {
    /// The operating system's clock.
    #[must_use]
    pub fn system() -> Self {
        Self(Kind::System {
            started: Instant::now(),
        })
    }

    /// A clock that is set from the database's time and runs on from there by elapsed time, so that
    /// jumps of the operating system's clock do not matter. Until it is set it shows the operating
    /// system's time.
    #[must_use]
    pub fn told() -> Self {
        Self(Kind::Told {
            started: Instant::now(),
            base: Arc::new(AtomicI64::new(UNTOLD)),
        })
    }

    /// Sets a [`Clock::told`]. Does nothing for other clocks.
    pub fn tell(&self, now: DateTime<Utc>) {
        if let Kind::Told { started, base } = &self.0 {
            let passed = TimeDelta::from_std(started.elapsed()).unwrap_or_default();
            let then = now.checked_sub_signed(passed).unwrap_or(now);
            base.store(then.timestamp_micros(), Ordering::Relaxed);
        }
    }

    /// A clock that stands at `started` until a test moves it.
    #[must_use]
    pub fn mock(started: DateTime<Utc>) -> Self {
        Self(Kind::Mock {
            started,
            millis: Arc::default(),
        })
    }

    /// Now, in UTC. It may jump; use [`Clock::elapsed`] to measure time that has passed.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        match &self.0 {
            Kind::System { .. } => systems(),
            Kind::Told { base, .. } => match base.load(Ordering::Relaxed) {
                UNTOLD => systems(),
                base => DateTime::from_timestamp_micros(base)
                    .and_then(|base| base.checked_add_signed(passed(self)))
                    .unwrap_or_else(systems),
            },
            Kind::Mock { started, .. } => *started + passed(self),
        }
    }

    /// Time since the clock was made: never goes back.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        match &self.0 {
            Kind::System { started } | Kind::Told { started, .. } => started.elapsed(),
            Kind::Mock { millis, .. } => Duration::from_millis(millis.load(Ordering::Relaxed)),
        }
    }

    /// Moves a mock by `by`, to the millisecond. Does nothing for other clocks.
    pub fn advance(&self, by: Duration) {
        if let Kind::Mock { millis, .. } = &self.0 {
            let by = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
            millis.fetch_add(by, Ordering::Relaxed);
        }
    }
}

fn passed(clock: &Clock) -> TimeDelta {
    TimeDelta::from_std(clock.elapsed()).unwrap_or_default()
}

#[expect(clippy::disallowed_methods, reason = "the one place that may ask")]
fn systems() -> DateTime<Utc> {
    Utc::now()
}

/// The periods of a request, from the settings (`docs/field.md#time`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clocks {
    /// A request is overdue after this time (`PIC_PROMISE`).
    pub promise: Duration,
    /// A request is rejected as expired after this time (`PIC_EXPIRY`).
    pub expiry: Duration,
}

impl Clocks {
    /// The time by which the provider promises to be done.
    #[must_use]
    pub fn promised_by(&self, submitted_at: DateTime<Utc>) -> DateTime<Utc> {
        later(submitted_at, self.promise)
    }

    /// The time at which the request expires.
    #[must_use]
    pub fn expires_at(&self, submitted_at: DateTime<Utc>) -> DateTime<Utc> {
        later(submitted_at, self.expiry)
    }
}

/// `at` plus `by`, or the latest time that can be represented.
fn later(at: DateTime<Utc>, by: Duration) -> DateTime<Utc> {
    TimeDelta::from_std(by)
        .ok()
        .and_then(|by| at.checked_add_signed(by))
        .unwrap_or(DateTime::<Utc>::MAX_UTC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mock_stands_until_it_is_moved() {
        let start = DateTime::from_timestamp(1_746_453_660, 0).unwrap();
        let clock = Clock::mock(start);
        assert_eq!((clock.now(), clock.elapsed()), (start, Duration::ZERO));
        clock.clone().advance(Duration::from_millis(1_500));
        assert_eq!(clock.elapsed(), Duration::from_millis(1_500));
        assert_eq!(clock.now() - start, TimeDelta::milliseconds(1_500));
    }

    #[test]
    fn what_is_told_counts_and_goes_on() {
        let clock = Clock::told();
        let hour = TimeDelta::hours(1);
        assert!((clock.now() - systems()).abs() < hour, "nobody has told");
        for told in [1_746_453_660, 4_102_444_800, 0] {
            let told = DateTime::from_timestamp(told, 0).unwrap();
            clock.clone().tell(told);
            let (first, second) = (clock.now(), clock.now());
            // To the microsecond, because the database's times have that precision.
            assert!(first >= told - TimeDelta::microseconds(1) && first <= second);
            assert!(second < told + hour);
        }
        let system = Clock::system();
        system.tell(DateTime::UNIX_EPOCH);
        assert!((system.now() - systems()).abs() < hour, "it knows");
    }
}
