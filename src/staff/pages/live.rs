//! The live streams of the queue and of a request's page at the desk.
//!
//! Server-sent events, as on the administrator's page (`request::live`). The stream of a request is
//! the very same. The stream of the queue only says that something has changed: the page then loads
//! its own address again, with all its filters. A stream ends with the session it was opened in,
//! and does not keep it alive.

use axum::{
    extract::{Path, State},
    http::HeaderMap,
    response::{Response, sse::Event},
};
use futures_util::{StreamExt as _, stream::unfold};
use tokio::time::{Duration, Instant, sleep, sleep_until};

use super::session::{Reader, SignedIn};
use crate::{
    db::PgPool,
    error::Error,
    request::{
        live::{self, Events, Hub, Seat, Who},
        reference::Reference,
    },
    staff::store,
};

/// After this the queue is loaded again although there was no notification: ages grow, and changes
/// of other processes do not arrive everywhere.
const ALL_THE_SAME: Duration = Duration::from_secs(30);

/// `GET /staff/requests/{reference}/stream`.
pub(crate) async fn request_stream(
    State(pool): State<PgPool>,
    State(hub): State<Hub>,
    Reader(signed_in): Reader,
    Path(reference): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let reference = Reference::parse(&reference).ok_or(Error::NoRequest)?;
    let who = Who::Staff(signed_in.account.id.0);
    let events = live::of_request(&pool, &hub, reference, who, &headers).await?;
    Ok(live::answer(&hub, guarded(&pool, &hub, &signed_in, events)))
}

/// `GET /staff/requests/stream`.
pub(crate) async fn queue_stream(
    State(pool): State<PgPool>,
    State(hub): State<Hub>,
    Reader(signed_in): Reader,
) -> Result<Response, Error> {
    let seat = Seat::take(&hub, Who::Staff(signed_in.account.id.0))?;
    let gap = hub.limits().queue_gap;
    // `said`: when the last event was sent; `None`: none was.
    let begun = (hub.changes(), None::<Instant>, seat);
    let events = unfold(begun, move |(mut changes, said, seat)| async move {
        let event = match said {
            None => live::hello(),
            Some(said) => {
                // Several changes within the gap become one event.
                sleep_until(said + gap).await;
                while !changes.next().await && said.elapsed() < ALL_THE_SAME {}
                // Browsers ignore an event without data.
                Event::default().event("changed").data("{}")
            }
        };
        Some((Ok(event), (changes, Some(Instant::now()), seat)))
    });
    Ok(live::answer(
        &hub,
        guarded(&pool, &hub, &signed_in, events.boxed()),
    ))
}

/// `events` as long as the session is live, which is checked before each of them, and now and then.
fn guarded(pool: &PgPool, hub: &Hub, signed_in: &SignedIn, events: Events) -> Events {
    let (pool, token, session) = (pool.clone(), signed_in.token, hub.limits().session);
    unfold(events, move |mut events| {
        let pool = pool.clone();
        async move {
            // If the database is unreachable the stream ends, and the browser reconnects.
            let lasts = async || store::is_signed_in(&pool, &token).await;
            loop {
                let event = tokio::select! {
                    event = events.next() => Some(event?),
                    () = sleep(session) => None,
                };
                if !matches!(lasts().await, Ok(true)) {
                    return None;
                }
                if let Some(event) = event {
                    return Some((event, events));
                }
            }
        }
    })
    .boxed()
}
