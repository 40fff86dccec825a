//! What time is it, where the database is not asked?
//!
//! Limits and sessions count by this clock; a request's times come from the database
//! (`design.md`, The house). The tests move a [`Clock::mock`] instead of waiting.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};

/// The system's clock, or one that a test moves. Cheap to clone; clones show the same time.
#[derive(Clone, Debug)]
pub struct Clock(Kind);

#[derive(Clone, Debug)]
enum Kind {
    System {
        started: Instant,
    },
    Mock {
        started: DateTime<Utc>,
        millis: Arc<AtomicU64>,
    },
}

impl Clock {
    /// The operating system's.
    #[must_use]
    pub fn system() -> Self {
        Self(Kind::System {
            started: Instant::now(),
        })
    }

    /// One that stands at `started` until it is moved.
    #[must_use]
    pub fn mock(started: DateTime<Utc>) -> Self {
        Self(Kind::Mock {
            started,
            millis: Arc::default(),
        })
    }

    /// Now, in UTC. It may jump; what has passed is measured by [`Clock::elapsed`].
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        match &self.0 {
            #[expect(clippy::disallowed_methods, reason = "the one place that may ask")]
            Kind::System { .. } => Utc::now(),
            Kind::Mock { started, .. } => {
                *started + TimeDelta::from_std(self.elapsed()).unwrap_or_default()
            }
        }
    }

    /// Time since the clock was made: never goes back.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        match &self.0 {
            Kind::System { started } => started.elapsed(),
            Kind::Mock { millis, .. } => Duration::from_millis(millis.load(Ordering::Relaxed)),
        }
    }

    /// Moves a mock by `by`, to the millisecond. The system's clock goes by itself.
    pub fn advance(&self, by: Duration) {
        if let Kind::Mock { millis, .. } = &self.0 {
            let by = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
            millis.fetch_add(by, Ordering::Relaxed);
        }
    }
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
}
