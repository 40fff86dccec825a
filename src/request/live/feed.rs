//! The Atom feed of a request, and what it shares with that of a service.
//!
//! It has an entry for each of the last events of the timeline (RFC 4287), in the words of the
//! page. The ids never change, so that no feed reader shows an entry as new twice; an event that
//! happens again is an entry with a later time.

use askama::Template;
use axum::{extract::OriginalUri, http::HeaderMap, response::Response};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{address, last_event, stable_id};
use crate::{
    error::Error,
    request::{
        Kind,
        pages::{ReferencePath, Requests, earlier_events, timeline_entry},
        reference::Reference,
        store::Event,
    },
    web::{conditional, shell::NAME, site::Site},
};

/// A feed.
#[derive(Template)]
#[template(path = "request/feed.xml")]
pub(crate) struct Feed {
    pub(crate) id: Uuid,
    pub(crate) title: String,
    /// How many events came before those in the feed, in words, or empty.
    pub(crate) earlier: String,
    /// Its own address.
    pub(crate) own: String,
    /// Address of the page that it is about.
    pub(crate) page: String,
    pub(crate) updated: DateTime<Utc>,
    /// The entries, the newest first.
    pub(crate) entries: Vec<Entry>,
}

impl Feed {
    /// The portal's name: never a person's.
    const AUTHOR: &'static str = NAME;

    /// The feed for a client that asked like this, at `now`.
    pub(crate) fn answer(&self, asked: &HeaderMap, now: DateTime<Utc>) -> Result<Response, Error> {
        let body = self.render()?;
        let kind = "application/atom+xml; charset=utf-8";
        Ok(conditional::answer(asked, kind, self.updated, now, body))
    }
}

/// An entry of a feed.
pub(crate) struct Entry {
    pub(crate) id: Uuid,
    pub(crate) title: String,
    pub(crate) text: String,
    /// Address of the page to go to.
    pub(crate) page: String,
    pub(crate) published: DateTime<Utc>,
    pub(crate) updated: DateTime<Utc>,
}

impl Entry {
    /// An event of a request's timeline.
    pub(crate) fn of(
        event: &Event,
        (reference, kind): (Reference, Kind),
        site: &Site,
        now: DateTime<Utc>,
    ) -> Self {
        let words = timeline_entry(event, kind, &site.provider, now);
        Self {
            id: stable_id(&reference.to_string(), &name(event, kind)),
            title: words.title,
            text: words.text,
            page: address(site, reference),
            published: event.at,
            updated: event.latest(),
        }
    }
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
    let of = (request.reference, request.kind);
    let entry = |event: &Event| Entry::of(event, of, &requests.site, request.now);
    let page = address(&requests.site, request.reference);
    let feed = Feed {
        id: stable_id(&request.reference.to_string(), "0"),
        title: format!("Request {}", request.reference),
        earlier: earlier_events(&request.events),
        own: format!("{page}/feed.atom"),
        page,
        updated: last_event(&request),
        entries: request.events.iter().rev().map(entry).collect(),
    };
    feed.answer(&headers, request.now)
}
