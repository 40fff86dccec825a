//! The calendar entry of a request.
//!
//! One entry (RFC 5545) at the promised time, which blocks no time but reminds. Once the request
//! has ended the entry says so, with the same UID, a higher SEQUENCE and no reminder. It is not
//! cancelled: calendars disagree on `STATUS:CANCELLED` (some hide the entry, some show it as it
//! was), and `METHOD:CANCEL` needs an organizer, who would be a person.

use crate::error::Error;
use axum::{
    extract::OriginalUri,
    http::{HeaderMap, HeaderValue, header},
    response::Response,
};

use super::{address, ical, last_event, stable_id};
use crate::{
    request::{
        Standing,
        pages::{ReferencePath, Requests},
        store::Request,
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
    let body = entry(&requests.site, &request);
    let modified = last_event(&request);
    let mut response = conditional::answer(&headers, ical::KIND, modified, request.now, body);
    let name = format!("attachment; filename=\"{}.ics\"", request.reference);
    if let Ok(name) = HeaderValue::from_str(&name) {
        response
            .headers_mut()
            .insert(header::CONTENT_DISPOSITION, name);
    }
    Ok(response)
}

fn entry(site: &Site, request: &Request) -> String {
    let reference = request.reference;
    let standing = Standing::of(&request.facts(), &site.clocks, request.now);
    let is_pending = request.state.pending().is_some();
    let (summary, what) = match standing {
        Standing::Checking { .. } | Standing::NeedsAction { .. } => (
            format!("Check request {reference}"),
            "By now the request should be provisioned. Its page says whether it is, and what is missing if not",
        ),
        Standing::InForce { at_risk: true } | Standing::MovedAway { .. } => (
            format!(
                "{}: request {reference}",
                wording::tag(standing, request.kind).0
            ),
            "Something has to be done. The page of the request says what",
        ),
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
            (summary, "The request has ended. Its page says how")
        }
    };
    // What happens later changes the entry once more.
    let sequence = match request.events.last() {
        Some(last) if !is_pending => last.seq.saturating_sub(1).max(1),
        _ => 0,
    };
    let entry = ical::Entry {
        id: stable_id(&reference.to_string(), "0"),
        modified: last_event(request),
        sequence,
        when: ical::When::At(site.clocks.promised_by(request.submitted_at)),
        summary,
        text: what.into(),
        page: address(site, reference),
        reminds: is_pending,
    };
    ical::calendar(&format!("Request {reference}"), &[entry])
}
