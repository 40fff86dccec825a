//! The calendar entry of a request.
//!
//! One entry (RFC 5545) at the promised time, which blocks no time but reminds; while the
//! administrator has to act, at the time at which the request expires. While something is wrong
//! with its routes in force, the entry is from the day on which it began until today. Once the
//! request has ended the entry says so, with the same UID, a higher SEQUENCE and no reminder. It is not
//! cancelled: calendars disagree on `STATUS:CANCELLED` (some hide the entry, some show it as it
//! was), and `METHOD:CANCEL` needs an organizer, who would be a person.

use crate::error::Error;
use axum::{
    extract::OriginalUri,
    http::{HeaderMap, HeaderValue, header},
    response::Response,
};
use chrono::{DateTime, NaiveTime, Utc};

use super::{address, ical, last_event, stable_id};
use crate::{
    request::{
        EventCode, Standing,
        pages::{ReferencePath, Requests},
        store::{Event, Request},
        wording,
    },
    web::{conditional, site::Site},
};

/// `GET /requests/{reference}/calendar.ics`.
pub(crate) async fn calendar(
    requests: Requests,
    reference: ReferencePath,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let request = requests.named(&reference, &uri).await?;
    let entry = entry(&requests.site, &request);
    let modified = entry.modified;
    let body = ical::calendar(&format!("Request {}", request.reference), &[entry]);
    let mut response = conditional::answer(&headers, ical::KIND, modified, request.now, body);
    let name = format!("attachment; filename=\"{}.ics\"", request.reference);
    if let Ok(name) = HeaderValue::from_str(&name) {
        response
            .headers_mut()
            .insert(header::CONTENT_DISPOSITION, name);
    }
    Ok(response)
}

/// When the entry last changed: with the last event, with whose turn it is, and, while it grows from
/// day to day, at midnight.
fn modified(request: &Request, when: ical::When) -> DateTime<Utc> {
    let last = last_event(request);
    match when {
        ical::When::At(_) | ical::When::Limit(_) => last.max(request.turn_at),
        ical::When::Days(_, today) | ical::When::EachYear(today) => {
            last.max(today.and_time(NaiveTime::MIN).and_utc())
        }
    }
}

/// From the day on which this last happened to the request, until today.
fn since(request: &Request, code: EventCode) -> ical::When {
    let event = request.events.iter().rev().find(|it| it.code == code);
    let since = event.map_or(request.now, Event::latest);
    ical::When::Days(since.date_naive(), request.now.date_naive())
}

fn entry(site: &Site, request: &Request) -> ical::Entry {
    let reference = request.reference;
    let (facts, clocks) = (request.facts(), &site.clocks);
    let standing = Standing::of(&facts, clocks, request.now);
    let is_pending = request.state.pending().is_some();
    let promised = ical::When::At(
        facts
            .promised_by(clocks)
            .unwrap_or_else(|| clocks.promised_by(request.submitted_at)),
    );
    let titled = || {
        let tag = wording::tag(standing, request.kind).0;
        format!("{tag}: request {reference}")
    };
    let to_do = "Something has to be done. The page of the request says what";
    let (when, summary, what) = match standing {
        Standing::Checking { .. } => (
            promised,
            format!("Check request {reference}"),
            "By now the request should be provisioned. Its page says whether it is, and what is missing if not",
        ),
        Standing::NeedsAction => (
            ical::When::Limit(clocks.expires_at(request.submitted_at)),
            format!("Request {reference} expires"),
            "It waits for you. The page of the request says what to fix before this time",
        ),
        Standing::InForce { at_risk: true } => (since(request, EventCode::AtRisk), titled(), to_do),
        Standing::MovedAway { .. } => (since(request, EventCode::DomainLost), titled(), to_do),
        Standing::InForce { at_risk: false }
        | Standing::Superseded
        | Standing::Cancelled
        | Standing::Rejected(_)
        | Standing::Withdrawn => {
            let how = if standing == Standing::Superseded {
                "superseded"
            } else {
                request.state.as_str()
            };
            let summary = if standing == Standing::Cancelled {
                format!("Nothing to do: the service was cancelled by request {reference}")
            } else {
                format!("Nothing to do: request {reference} was {how}")
            };
            (
                promised,
                summary,
                "The request has ended. Its page says how",
            )
        }
    };
    // What happens later changes the entry once more.
    let events = request
        .events
        .last()
        .map_or(0, |last| last.seq.saturating_sub(1));
    ical::Entry {
        id: stable_id(&reference.to_string(), "0"),
        modified: modified(request, when),
        sequence: if is_pending { events } else { events.max(1) },
        when,
        summary,
        text: what.into(),
        page: address(site, reference),
        reminds: is_pending,
    }
}
