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
use chrono::{DateTime, TimeDelta, Utc};

use super::{address, last_event, stable_id};
use crate::{
    request::{
        Standing,
        pages::{ReferencePath, Requests},
        store::Request,
        wording,
    },
    web::{conditional, shell::NAME, site::Site},
};

/// The longest line in octets, without its end (RFC 5545, 3.1).
const LONGEST: usize = 75;
/// How long the entry lasts.
const LENGTH: TimeDelta = TimeDelta::minutes(15);

/// `GET /requests/{reference}/calendar.ics`.
pub(crate) async fn calendar(
    requests: Requests,
    reference: ReferencePath,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let request = requests.named(&reference, &uri).await?;
    let body = entry(&requests.site, &request);
    let (kind, modified) = ("text/calendar; charset=utf-8", last_event(&request));
    let mut response = conditional::answer(&headers, kind, modified, request.now, body);
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
    let page = address(site, reference);
    let at = request.facts().promised_by(&site.clocks);
    let until = at.checked_add_signed(LENGTH).unwrap_or(at);
    let standing = Standing::of(&request.facts(), &site.clocks, request.now);
    let is_pending = request.state.pending().is_some();
    let (summary, what) = match standing {
        Standing::Checking { .. } | Standing::NeedsAction => (
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
    let description = format!("{what}:\n{page}");
    // What happens later changes the entry once more.
    let sequence = match request.events.last() {
        Some(last) if !is_pending => last.seq.saturating_sub(1).max(1),
        _ => 0,
    };
    let modified = utc(last_event(request));
    let mut file = File::default();
    file.line("BEGIN", "VCALENDAR");
    file.line("VERSION", "2.0");
    file.line("PRODID", &format!("-//pic-portal//{NAME}//EN"));
    file.line("CALSCALE", "GREGORIAN");
    file.line("NAME", &escaped(&format!("Request {reference}")));
    // For calendars that subscribe to it.
    file.line("REFRESH-INTERVAL;VALUE=DURATION", "PT1H");
    file.line("X-PUBLISHED-TTL", "PT1H");
    file.line("BEGIN", "VEVENT");
    file.line("UID", &stable_id(request, "0").to_string());
    file.line("DTSTAMP", &modified);
    file.line("LAST-MODIFIED", &modified);
    file.line("SEQUENCE", &sequence.to_string());
    file.line("DTSTART", &utc(at));
    file.line("DTEND", &utc(until));
    file.line("SUMMARY", &escaped(&summary));
    file.line("DESCRIPTION", &escaped(&description));
    file.line("URL;VALUE=URI", &page);
    file.line("CLASS", "PRIVATE");
    file.line("STATUS", "CONFIRMED");
    file.line("TRANSP", "TRANSPARENT");
    if is_pending {
        file.line("BEGIN", "VALARM");
        file.line("ACTION", "DISPLAY");
        file.line("TRIGGER", "PT0S");
        file.line("DESCRIPTION", &escaped(&summary));
        file.line("END", "VALARM");
    }
    file.line("END", "VEVENT");
    file.line("END", "VCALENDAR");
    file.0
}

/// The time as `20250505T140100Z`.
fn utc(at: DateTime<Utc>) -> String {
    at.format("%Y%m%dT%H%M%SZ").to_string()
}

/// A text as the value of a property (RFC 5545, 3.3.11).
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | ';' | ',' => escaped.extend(['\\', c]),
            '\n' => escaped.push_str("\\n"),
            c if c.is_control() => {}
            c => escaped.push(c),
        }
    }
    escaped
}

/// The lines of a calendar file.
#[derive(Default)]
struct File(String);

impl File {
    /// Adds a property, folded if it is too long: never inside a character.
    fn line(&mut self, name: &str, value: &str) {
        let mut length = 0;
        for c in name.chars().chain([':']).chain(value.chars()) {
            if length + c.len_utf8() > LONGEST {
                self.0.push_str("\r\n ");
                length = 1;
            }
            self.0.push(c);
            length += c.len_utf8();
        }
        self.0.push_str("\r\n");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_line_is_too_long_and_none_is_lost(value in "\\PC{0,400}") {
            let mut file = File::default();
            file.line("SUMMARY", &value);
            prop_assert!(file.0.ends_with("\r\n"));
            prop_assert!(file.0.split("\r\n").all(|line| line.len() <= LONGEST));
            let unfolded = file.0.trim_end_matches("\r\n").replace("\r\n ", "");
            prop_assert_eq!(unfolded, format!("SUMMARY:{value}"));
        }

        #[test]
        fn a_text_cannot_end_its_property(text in any::<String>()) {
            let escaped = escaped(&text);
            prop_assert!(!escaped.chars().any(char::is_control));
            let plain = escaped.replace("\\\\", "").replace("\\;", "").replace("\\,", "");
            prop_assert!(!plain.contains([';', ',']));
        }
    }

    #[test]
    fn texts_are_escaped() {
        assert_eq!(escaped("a\\b;c,d\ne\r\u{7}"), "a\\\\b\\;c\\,d\\ne");
    }
}
