//! How is the portal doing as a whole?
//!
//! Every number on the desk's overview comes from a bounded number of index entries, or from a range
//! of one index: [`store`] says which.

pub mod store;

use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};

use crate::readiness::Code;

/// Days that are told of, today included.
pub const DAYS: i32 = 14;
/// Requests with one finding are counted so far.
pub const MOST_FOUND: i64 = 1_001;
/// The median is that of so many requests at most, the latest.
pub const MOST_TIMED: i64 = 10_000;
/// Whoever has not told of itself for this long is not counted as there: three times what it should.
pub const SILENT: Duration = Duration::from_mins(3);

/// What happened of late.
#[derive(Clone, Debug)]
pub struct Overview {
    /// How many were provisioned each day (UTC), the oldest day first.
    pub days: Vec<(NaiveDate, i64)>,
    /// From submission to provisioned, half of them faster; `None`: none was provisioned.
    pub median: Option<Duration>,
    /// Of how many that is, [`MOST_TIMED`] at most.
    pub timed: i64,
    /// Of how many requests, pending or in force, each finding is told; [`MOST_FOUND`] at most. The
    /// most frequent first.
    pub findings: Vec<(Code, i64)>,
    /// The processes on the database, the latest started first.
    pub instances: Vec<Instance>,
    /// The database's time.
    pub now: DateTime<Utc>,
}

/// A process on the database, as it told of itself.
#[derive(Clone, Debug)]
pub struct Instance {
    /// When it started.
    pub started_at: DateTime<Utc>,
    /// When it last told of itself.
    pub seen_at: DateTime<Utc>,
    /// When its background task last got through a turn.
    pub worked_at: DateTime<Utc>,
    /// Version of the portal.
    pub version: String,
}

impl Instance {
    /// Whether it has told of itself of late.
    #[must_use]
    pub fn is_there(&self, now: DateTime<Utc>) -> bool {
        (now - self.seen_at).to_std().unwrap_or_default() <= SILENT
    }
}
