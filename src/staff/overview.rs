//! The overview of the support desk: how the portal is doing as a whole.
//!
//! Every number on it comes from a bounded number of index entries, or from a range of one index:
//! [`store`] says which.

pub mod store;

use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};

use crate::readiness::Code;

/// Days in the overview, including today.
pub const DAYS: i32 = 14;
/// So many of the requests with one finding are looked at, the newest.
pub const MOST_FOUND: i64 = 1_001;
/// The median is that of the latest requests, this many at most.
pub const MOST_TIMED: i64 = 10_000;
/// A process that has not reported for this long is not counted as running: three times its
/// interval.
pub const SILENT: Duration = Duration::from_mins(3);

/// The numbers of the overview.
#[derive(Clone, Debug)]
pub struct Overview {
    /// How many were provisioned each day (UTC), the oldest day first.
    pub days: Vec<(NaiveDate, i64)>,
    /// Median time from submission to provisioned; `None`: none was provisioned.
    pub median: Option<Duration>,
    /// The number of requests in the median, [`MOST_TIMED`] at most.
    pub timed: i64,
    /// How many requests, pending or in force, have each finding, the most frequent first; and
    /// whether there may be more, because [`MOST_FOUND`] were looked at.
    pub findings: Vec<(Code, i64, bool)>,
    /// The processes on the database, the latest started first.
    pub instances: Vec<Instance>,
    /// The database's time.
    pub now: DateTime<Utc>,
}

/// A process on the database, as it has reported itself.
#[derive(Clone, Debug)]
pub struct Instance {
    /// When it started.
    pub started_at: DateTime<Utc>,
    /// When it last reported.
    pub seen_at: DateTime<Utc>,
    /// When its background task last finished a turn.
    pub worked_at: DateTime<Utc>,
    /// Version of the portal.
    pub version: String,
}

impl Instance {
    /// Whether it has reported recently.
    #[must_use]
    pub fn is_there(&self, now: DateTime<Utc>) -> bool {
        (now - self.seen_at).to_std().unwrap_or_default() <= SILENT
    }
}
