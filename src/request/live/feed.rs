//! The Atom feed of a request.
//!
//! It has an entry for each of the last events of the timeline (RFC 4287), in the words of the
//! page. The ids never change, so that no feed reader shows an entry as new twice; an event that
//! happens again is an entry with a later time.

use askama::Template;
use axum::{extract::OriginalUri, http::HeaderMap, response::Response};

use super::{address, iso, last_event, stable_id};
use crate::{
    error::Error,
    request::{
        Kind,
        pages::{ReferencePath, Requests, earlier_events, timeline_entry},
        store::Event,
    },
    web::{conditional, shell::NAME},
};

/// The feed of a request.
#[derive(Template)]
#[template(path = "request/feed.xml")]
struct Feed {
    id: uuid::Uuid,
    /// The portal's name: never a person's.
    author: &'static str,
    reference: String,
    /// Address of the request's page.
    page: String,
    updated: String,
    /// How many events came before those in the feed, in words, or empty.
    earlier: String,
    /// The entries, the newest first.
    entries: Vec<Entry>,
}

/// An event of the timeline as an entry.
struct Entry {
    id: uuid::Uuid,
    title: String,
    text: String,
    published: String,
    updated: String,
}

/// Names an event permanently. An event that may happen again moves to another place in the
/// timeline.
fn name(event: &Event, kind: Kind) -> String {
    if !event.code.entry(kind).repeats {
        return event.seq.to_string();
    }
    let (code, subject) = (event.code.as_str(), event.subject.as_ref());
    let subject = subject.map_or("", |domain| domain.as_str());
    format!("{code} {subject} {}", event.at.timestamp_micros())
}

/// `GET /requests/{reference}/feed.atom`.
pub(crate) async fn feed(
    requests: Requests,
    reference: ReferencePath,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let request = requests.named(&reference, &uri).await?;
    let entry = |event: &Event| {
        let words = timeline_entry(event, request.kind, &requests.site.provider, request.now);
        Entry {
            id: stable_id(&request, &name(event, request.kind)),
            title: words.title,
            text: words.text,
            published: iso(event.at),
            updated: iso(event.latest()),
        }
    };
    let entries = request.events.iter().rev().map(entry).collect();
    let updated = last_event(&request);
    let feed = Feed {
        id: stable_id(&request, "0"),
        author: NAME,
        reference: request.reference.to_string(),
        page: address(&requests.site, request.reference),
        updated: iso(updated),
        earlier: earlier_events(&request.events),
        entries,
    };
    let body = feed.render()?;
    let kind = "application/atom+xml; charset=utf-8";
    Ok(conditional::answer(
        &headers,
        kind,
        updated,
        request.now,
        body,
    ))
}
