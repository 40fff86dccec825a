//! The timeline of a request: its entries, as they are stored.

use chrono::{DateTime, Utc};
use serde::Deserialize;

use crate::{
    db::Impossible,
    names::SipDomain,
    request::{Actor, EventCode},
};

/// One entry of a timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
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

/// An event as the database gives it: number, first and last time, how often, actor, code, subject.
#[derive(Debug, Deserialize)]
pub(crate) struct StoredEvent(
    pub(crate) i32,
    pub(crate) DateTime<Utc>,
    pub(crate) Option<DateTime<Utc>>,
    pub(crate) i32,
    pub(crate) String,
    pub(crate) String,
    pub(crate) Option<String>,
);

impl StoredEvent {
    /// The event of request `id`.
    ///
    /// # Errors
    ///
    /// [`Impossible`] when the row is invalid.
    pub(crate) fn read(self, id: i64) -> Result<Event, Impossible> {
        let impossible = |column| Impossible {
            table: "event",
            column,
            id: Some(id),
        };
        Ok(Event {
            seq: u32::try_from(self.0).map_err(|_| impossible("seq"))?,
            at: self.1,
            last_at: self.2,
            times: u32::try_from(self.3).map_err(|_| impossible("times"))?,
            actor: Actor::parse(&self.4).ok_or(impossible("actor"))?,
            code: EventCode::parse(&self.5).ok_or(impossible("code"))?,
            subject: self
                .6
                .map(SipDomain::from_database)
                .transpose()
                .map_err(|_| impossible("subject"))?,
        })
    }
}
