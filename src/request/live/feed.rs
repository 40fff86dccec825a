//! How does a feed reader follow a request?
//!
//! An Atom feed (RFC 4287) with an entry for each event of the timeline, in the words of the page.
//! The ids are the same for ever, so that nothing is shown as new twice.

use askama::Template;
use axum::{
    extract::{OriginalUri, State},
    http::HeaderMap,
    response::{IntoResponse as _, Response},
};

use super::{address, iso, last_event, stable_id};
use crate::{
    app::App,
    error::Error,
    request::pages::{ReferencePath, named, told},
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
    /// The newest first.
    entries: Vec<Entry>,
}

/// An event of the timeline.
struct Entry {
    id: uuid::Uuid,
    title: String,
    text: String,
    at: String,
}

/// `GET /requests/{reference}/feed.atom`.
pub(crate) async fn feed(
    State(app): State<App>,
    reference: ReferencePath,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Result<Response, Response> {
    let request = named(&app, &reference, &uri).await?;
    let entry = |(seq, event)| {
        let words = told(event, &app.site().provider, request.now);
        Entry {
            id: stable_id(&request, seq),
            title: words.title,
            text: words.text,
            at: iso(event.at),
        }
    };
    let mut entries: Vec<_> = (1..).zip(&request.events).map(entry).collect();
    entries.reverse();
    let updated = last_event(&request);
    let feed = Feed {
        id: stable_id(&request, 0),
        author: NAME,
        reference: request.reference.to_string(),
        page: address(&app, request.reference),
        updated: iso(updated),
        entries,
    };
    let body = feed
        .render()
        .map_err(|error| Error::Render(error).into_response())?;
    let kind = "application/atom+xml; charset=utf-8";
    Ok(conditional::answer(
        &headers,
        kind,
        updated,
        request.now,
        body,
    ))
}
