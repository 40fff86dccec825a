//! The timeline of a request: its entries, as they are stored.

use chrono::{DateTime, Utc};
use serde::Deserialize;

use crate::{
    names::SipDomain,
    request::{Actor, EventCode},
};

/// One entry of a timeline. SQL gives it as a JSON array, in the order of the fields.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct Event {
    /// Its number, from 1. An event that happens again is counted in its entry and gets the next
    /// number, so there are gaps, and the largest number is the count of all events.
    pub seq: u32,
    /// When it happened; the first time if it happened several times.
    pub at: DateTime<Utc>,
    /// When it happened last, if it happened several times.
    pub last_at: Option<DateTime<Utc>>,
    /// How often it happened, within a day.
    pub times: u32,
    /// Who caused it.
    pub actor: Actor,
    /// What happened.
    pub code: EventCode,
    /// The domain that it is about, where it is about one.
    pub subject: Option<SipDomain>,
}

impl Event {
    /// When it happened last.
    #[must_use]
    pub fn latest(&self) -> DateTime<Utc> {
        self.last_at.unwrap_or(self.at)
    }
}

/// How many events happened before the first of `events`, which are the last of a timeline, oldest
/// first.
#[must_use]
pub fn earlier(events: &[Event]) -> u32 {
    let told = events
        .iter()
        .fold(0_u32, |sum, event| sum.saturating_add(event.times));
    events
        .last()
        .map_or(0, |last| last.seq.saturating_sub(told))
}
