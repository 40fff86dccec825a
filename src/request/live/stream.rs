//! The live stream of a request: server-sent events, which a client can resume.
//!
//! `timeline` events have the entry's number as their id and are replayed after `Last-Event-ID`,
//! which a browser sends by itself when it reconnects. `status`: how the request stands now, at the
//! beginning and after each change. A comment now and then keeps the connection open.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::{OriginalUri, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::{
    StreamExt as _,
    stream::{BoxStream, unfold},
};
use serde::Serialize;
use tokio::time::sleep;

use super::{
    hub::{Follower, Full, Hub, News, Seat, Who, follow},
    iso,
    status::Entry,
};
use crate::{
    base32,
    db::PgPool,
    error::{Error, Problem},
    request::{
        State as Stored,
        pages::{ReferencePath, parse_reference},
        reference::Reference,
        store::earlier,
        summary::{Counts, store},
    },
    web::client::Client,
};

/// A browser reconnects this long after its stream has ended, or up to twice as long, so that not
/// all come at once after a restart.
const RETRY: Duration = Duration::from_secs(2);
/// Seconds for `Retry-After` where there is no room for another stream.
const NO_ROOM: u16 = 30;

/// The events of a stream.
pub(crate) type Events = BoxStream<'static, Result<Event, Infallible>>;

/// `GET /requests/{reference}/stream`.
pub(crate) async fn stream(
    State(pool): State<PgPool>,
    State(hub): State<Hub>,
    reference: ReferencePath,
    OriginalUri(uri): OriginalUri,
    Client(network): Client,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let reference = parse_reference(&reference, &uri)?;
    let events = of_request(&pool, &hub, reference, Who::Network(network), &headers).await?;
    Ok(answer(&hub, events))
}

/// The events of a request's stream for `who`, resumed where `headers` name an event.
pub(crate) async fn of_request(
    pool: &PgPool,
    hub: &Hub,
    reference: Reference,
    who: Who,
    headers: &HeaderMap,
) -> Result<Events, Error> {
    let request = store::find(pool, reference)
        .await?
        .ok_or(Error::NoRequest)?;
    let seat = Seat::take(hub, who)?;
    let reader = Reader {
        reference,
        follower: follow(seat, request),
        news: None,
        told: last_event_id(headers),
        told_status: true,
        begun: false,
    };
    Ok(unfold(reader, Reader::next).boxed())
}

/// The first event of every stream: the delay before reconnecting.
pub(crate) fn hello() -> Event {
    Event::default().retry(up_to(RETRY, RETRY))
}

/// A response that streams `events`, with heartbeats; it ends with its lifetime or when the portal
/// stops.
pub(crate) fn answer(hub: &Hub, events: Events) -> Response {
    let limits = *hub.limits();
    let stopping = hub.stopping().clone();
    let end = async move {
        let lifetime = sleep(up_to(limits.lifetime, limits.lifetime / 5));
        tokio::select! { () = stopping.cancelled() => {}, () = lifetime => {} }
    };
    let events = events.take_until(Box::pin(end));
    let alive = KeepAlive::new().interval(limits.heartbeat);
    let mut response = Sse::new(events).keep_alive(alive).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Otherwise nginx would hold events back until its buffer is full.
    headers.insert(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
    response
}

/// The number of the last entry that the client has; `None` if it starts afresh.
fn last_event_id(headers: &HeaderMap) -> Option<u32> {
    let id = headers.get("last-event-id")?.to_str().ok()?;
    id.trim().parse().ok()
}

impl From<Full> for Error {
    fn from(full: Full) -> Self {
        let (status, title) = match full {
            Full::Share(Who::Network(_)) => (
                StatusCode::TOO_MANY_REQUESTS,
                "Too many live pages are open in your network",
            ),
            Full::Share(Who::Staff(_)) => (
                StatusCode::TOO_MANY_REQUESTS,
                "Too many live pages are open with your account",
            ),
            Full::All => (
                StatusCode::SERVICE_UNAVAILABLE,
                "There is no room for another live page",
            ),
        };
        let detail = "The page itself shows the same: load it again now and then.";
        let problem = Problem::new(status, title, detail).again_after(NO_ROOM);
        Self::Told(Box::new(problem))
    }
}

/// A random time between `least` and `least + more`.
fn up_to(least: Duration, more: Duration) -> Duration {
    least + more * u32::from(base32::random::<1>()[0]) / 255
}

/// The state of one stream between two events.
struct Reader {
    reference: Reference,
    follower: Follower,
    news: Option<Arc<News>>,
    /// Number of the last entry that was sent; `None`: the present entries need not be sent.
    told: Option<u32>,
    told_status: bool,
    begun: bool,
}

impl Reader {
    /// The next event, as soon as there is one.
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        if !self.begun {
            self.begun = true;
            return Some((Ok(hello()), self));
        }
        loop {
            if let Some(event) = self.owed() {
                return Some((Ok(event), self));
            }
            self.news = Some(self.follower.news().await?);
            self.told_status = false;
        }
    }

    /// The next event that the client has not got yet: entries first, in their order.
    fn owed(&mut self) -> Option<Event> {
        let news = self.news.as_ref()?;
        let seq = news.summary.seq;
        // A number beyond the last entry, for instance because the database was restored from a
        // backup.
        let told = self.told.unwrap_or(seq).min(seq);
        if let Some(entry) = news.timeline.iter().find(|entry| entry.seq > told) {
            self.told = Some(entry.seq);
            return Some(event("timeline", entry.seq, &Entry::of(entry)));
        }
        self.told = Some(told);
        (!std::mem::replace(&mut self.told_status, true))
            .then(|| event("status", seq, &Now::of(self.reference, news)))
    }
}

fn event(name: &str, id: u32, data: &impl Serialize) -> Event {
    // Numbers and strings as JSON, without line breaks: it cannot fail.
    let data = serde_json::to_string(data).unwrap_or_default();
    Event::default().event(name).id(id.to_string()).data(data)
}

/// The data of a `status` event; the names are those of the status as JSON.
#[derive(Serialize)]
struct Now<'a> {
    reference: String,
    state: &'static str,
    standing: &'static str,
    overdue: bool,
    at_risk: bool,
    reason: Option<&'static str>,
    /// Number of the last entry of the timeline, from 1.
    seq: u32,
    /// How many events came before the last 100 entries, which are all that is sent.
    earlier_events: u32,
    checked_at: Option<String>,
    due_at: Option<String>,
    /// How many findings there are, by severity.
    findings: Counts,
    /// The same as long as the page shows the same, apart from times that pass.
    version: &'a str,
}

impl<'a> Now<'a> {
    fn of(reference: Reference, news: &'a News) -> Self {
        let summary = &news.summary;
        Self {
            reference: reference.to_string(),
            state: summary.facts.state.as_str(),
            standing: news.standing.as_str(),
            overdue: news.standing.is_overdue(),
            at_risk: news.standing.is_at_risk(),
            reason: match summary.facts.state {
                Stored::Rejected { reason, .. } => Some(reason.as_str()),
                Stored::Pending(_) | Stored::Provisioned { .. } | Stored::Withdrawn { .. } => None,
            },
            seq: summary.seq,
            earlier_events: earlier(&news.timeline),
            checked_at: summary.checked_at.map(iso),
            due_at: summary.due_at.map(iso),
            findings: summary.findings,
            version: &news.version,
        }
    }
}
