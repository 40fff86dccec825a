//! How does somebody who waits for a request learn what becomes of it?
//!
//! Nobody can be e-mailed, so the portal itself must tell (`docs/design.md#in-one-paragraph`). Five
//! addresses below that of a request's page, for whoever holds its reference:
//!
//! | address | what it is | for |
//! |---|---|---|
//! | `/stream` | server-sent events | the open page, and programs that wait |
//! | the page's own, with `Accept: application/json` | how it stands, field by field | programs |
//! | `/feed.atom` | an entry for each event of the timeline | feed readers |
//! | `/calendar.ics` | an entry at the time that was promised | calendars |
//! | `/support.txt` | all that support asks for | people, to copy or to send |
//!
//! None of them has a key or anything of a person in it, and of the service's public token no more
//! than the records that are to be published.

mod calendar;
mod feed;
mod hub;
pub mod status;
mod stream;
mod support;

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use sha2::{Digest as _, Sha256};

pub use self::hub::Hub;
pub(crate) use self::{
    calendar::calendar,
    feed::feed,
    hub::{Seat, Who},
    stream::{Events, answer, hello, no_room, of_request, stream},
    support::support,
};
use super::{
    Clocks, Standing,
    follow::Glance,
    reference::Reference,
    store::{Event, Request},
};
use crate::{app::App, code};

/// How long and how many live streams may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Between two signs of life on a stream, so that nobody on the way thinks it dead.
    /// Default: 15 s.
    pub heartbeat: Duration,
    /// After this, and up to a fifth more, a stream ends and its reader comes back by itself: one
    /// that is not read any more does not last. Default: 1 h.
    pub lifetime: Duration,
    /// Between two looks at what is followed, however often something changes. Default: 50 ms.
    pub gap: Duration,
    /// Streams of one client network, or of one account of the staff; then `429`. Default: 10.
    pub share: usize,
    /// Between two looks whether a member of the staff is still signed in, if nothing happens
    /// meanwhile. Default: 30 s.
    pub session: Duration,
    /// Between two words to the staff's queue that something has changed. Default: 2 s.
    pub queue_gap: Duration,
    /// Streams in all; then `503`. Default: 2,000.
    pub in_all: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(15),
            lifetime: Duration::from_hours(1),
            gap: Duration::from_millis(50),
            share: 10,
            session: Duration::from_secs(30),
            queue_gap: Duration::from_secs(2),
            in_all: 2_000,
        }
    }
}

/// Names what a page or an event of the stream shows, in 8 letters and digits: while it is the
/// same there is nothing new to see, times that pass left out.
#[must_use]
pub(crate) fn version(glance: &Glance, clocks: &Clocks) -> String {
    let standing = Standing::of(&glance.facts, clocks, glance.now);
    let shown = format!(
        "{} {} {} {:?} {:?} {:?}",
        glance.seq,
        standing.as_str(),
        standing.is_overdue(),
        glance.findings,
        glance.checked_at,
        glance.due_at,
    );
    code::encode(&Sha256::digest(shown)[..5])
}

/// The absolute address of a request's page, as people see it.
fn address(app: &App, reference: Reference) -> String {
    format!("{}/requests/{reference}", app.site().public_url.as_str())
}

/// A UUID for something of a request: the same for ever, wherever the portal is reached, and it
/// does not tell the reference. `what`: names an event of the timeline, or `0` the request itself.
fn stable_id(request: &Request, what: &str) -> uuid::Uuid {
    let hash = Sha256::digest(format!("pic-portal live {} {what}", request.reference));
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// `2025-05-05T14:01:00Z`.
fn iso(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// When the last thing happened to a request.
fn last_event(request: &Request) -> DateTime<Utc> {
    request
        .events
        .last()
        .map_or(request.submitted_at, Event::latest)
}
