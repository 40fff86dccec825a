//! A summary of a request, for live streams and `ETag`s.

pub mod store;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{Facts, store::Request};
use crate::readiness::Severity;

/// The internal id of a request, by which streams follow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub(super) i64);

/// How many findings there are of each severity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// [`Severity::Ok`].
    pub ok: usize,
    /// [`Severity::Skipped`].
    pub skipped: usize,
    /// [`Severity::Warning`].
    pub warning: usize,
    /// [`Severity::Unknown`].
    pub unknown: usize,
    /// [`Severity::Blocking`].
    pub blocking: usize,
}

impl FromIterator<Severity> for Counts {
    fn from_iter<I: IntoIterator<Item = Severity>>(severities: I) -> Self {
        let mut counts = Self::default();
        for severity in severities {
            *match severity {
                Severity::Ok => &mut counts.ok,
                Severity::Skipped => &mut counts.skipped,
                Severity::Warning => &mut counts.warning,
                Severity::Unknown => &mut counts.unknown,
                Severity::Blocking => &mut counts.blocking,
            } += 1;
        }
        counts
    }
}

/// On how many gateways the routes of a request are live, once they are in force. None at all while no
/// gateway is registered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OnGateways {
    /// Those that can be heard and have loaded its routes.
    pub live: i32,
    /// All gateways.
    pub of: i32,
    /// When all that could be heard had loaded its routes.
    pub since: Option<DateTime<Utc>>,
}

/// A summary of how a request stands.
#[derive(Clone, Copy, Debug)]
pub struct Summary {
    /// What its standing is derived from.
    pub facts: Facts,
    /// Number of the last entry in its timeline, from 1.
    pub seq: u32,
    /// How many findings it has, by severity.
    pub findings: Counts,
    /// When its checks last ran; `None`: not yet, or it is not checked any more.
    pub checked_at: Option<DateTime<Utc>>,
    /// When it is checked next; `None` once it has ended and is not in force.
    pub due_at: Option<DateTime<Utc>>,
    /// On how many gateways its routes are live.
    pub gateways: OnGateways,
    /// The database's time when this was read.
    pub now: DateTime<Utc>,
}

impl Request {
    /// The summary of this request.
    #[must_use]
    pub fn summary(&self) -> Summary {
        Summary {
            facts: self.facts(),
            seq: self.events.last().map_or(0, |event| event.seq),
            findings: self.findings.iter().map(|f| f.severity).collect(),
            checked_at: self.checked_at,
            due_at: self.due_at,
            gateways: self.gateways,
            now: self.now,
        }
    }
}
