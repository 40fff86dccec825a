//! Tells those who wait for a request of its changes: stream, JSON, feed, calendar and support
//! bundle.
//!
//! No one can be e-mailed, so the portal itself must tell (`docs/design.md#in-one-paragraph`). Five
//! addresses below that of a request's page, for anyone who has its reference:
//!
//! | address | what it is | for |
//! |---|---|---|
//! | `/stream` | server-sent events | the open page, and programs that wait |
//! | the page's own, with `Accept: application/json` | its status, field by field | programs |
//! | `/feed.atom` | an entry for each event of the timeline | feed loader |
//! | `/calendar.ics` | an entry at the time that was promised, or at which it expires | calendars |
//! | `/support.txt` | all that support asks for | people, to copy or to send |
//!
//! None of them contains a key or personal data, and the service's public token only in the records
//! that are to be published.

mod calendar;
pub(crate) mod feed;
mod hub;
pub(crate) mod ical;
pub mod status;
mod stream;
mod support;

use std::fmt::Write as _;

use chrono::{DateTime, SecondsFormat, Utc};
use sha2::{Digest as _, Sha256};

pub use self::hub::Hub;
pub(crate) use self::{
    calendar::calendar,
    feed::feed,
    hub::{Seat, Who},
    stream::{Events, answer, hello, of_request, stream},
    support::support,
};
use super::{
    Standing,
    reference::Reference,
    store::{Event, Request},
};
use crate::request::summary::{OnGateways, Summary};
use crate::{base32, clock::Clocks, web::site::Site};

/// A version of what a page or an event of the stream shows, in 8 letters and digits: while it is
/// the same nothing new is shown, apart from times that pass.
#[must_use]
pub(crate) fn version(summary: &Summary, clocks: &Clocks) -> String {
    let standing = Standing::of(&summary.facts, clocks, summary.now);
    let mut shown = format!(
        "{} {} {} {:?} {:?} {:?}",
        summary.seq,
        standing.as_str(),
        standing.is_overdue(),
        summary.findings,
        summary.checked_at,
        summary.due_at,
    );
    if let Some(gateways) = live_on(standing, summary.gateways) {
        let _ = write!(shown, " {gateways:?}");
    }
    base32::encode(&Sha256::digest(shown)[..5])
}

/// On how many gateways a request is live that stands like this; `None`: that is no question.
pub(crate) fn live_on(standing: Standing, gateways: OnGateways) -> Option<OnGateways> {
    (standing.is_in_force() && gateways.of > 0).then_some(gateways)
}

/// The absolute address of a request's page, as people see it.
pub(crate) fn address(site: &Site, reference: Reference) -> String {
    format!("{}/requests/{reference}", site.public_url.as_str())
}

/// A UUID for a part of a request, or of a service: it never changes, does not depend on the
/// portal's address, and does not reveal its name, which is the reference or the service's token.
/// `what` names an event of the timeline or another part, or `0` for all of it.
pub(crate) fn stable_id(name: &str, what: &str) -> uuid::Uuid {
    let hash = Sha256::digest(format!("pic-portal live {name} {what}"));
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// The time as `2025-05-05T14:01:00Z`.
fn iso(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// The time of the last event of a request.
fn last_event(request: &Request) -> DateTime<Utc> {
    request
        .events
        .last()
        .map_or(request.submitted_at, Event::latest)
}
