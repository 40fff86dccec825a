//! Reads the summaries of many requests in one round trip, for live streams.

use std::collections::HashMap;

use sqlx::types::Json;

use super::{OnGateways, RequestId, Summary};
use crate::{
    db::{self, PgPool},
    readiness::Severity,
    request::{Facts, MOST_EVENTS, loader::Visitor, reference::Reference, store::Event},
    secret::SERVICE_SESSIONS,
};

/// The request with this reference; `None` when there is none.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable.
pub async fn find(pool: &PgPool, reference: Reference) -> Result<Option<RequestId>, db::Error> {
    let id = sqlx::query_scalar!(
        "SELECT id FROM request WHERE reference = $1",
        reference as _
    )
    .fetch_optional(pool.retrying())
    .await?;
    Ok(id.map(RequestId))
}

/// The summaries of `requests`, in one round trip. Requests that no longer exist are left out.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable or a row is invalid.
pub async fn summaries(
    pool: &PgPool,
    requests: &[RequestId],
) -> Result<Vec<(RequestId, Summary)>, db::Error> {
    let ids: Vec<i64> = requests.iter().map(|request| request.0).collect();
    let seen = look(pool, &[], &ids, &[]).await?.into_iter();
    Ok(seen.map(|seen| (seen.id, seen.summary)).collect())
}

/// The columns of a summary, as the database gives them.
pub(in crate::request) struct Seen {
    /// Its place among those that were asked for, from 1.
    pub(in crate::request) place: i64,
    pub(in crate::request) id: RequestId,
    pub(in crate::request) summary: Summary,
    /// What whoever brought the session has to do with it.
    pub(in crate::request) visitor: Visitor,
}

/// How requests stand that are asked for by reference or by number, with the sessions of those who
/// ask. What is not known of a request is `None` or left out at the end.
pub(in crate::request) async fn look(
    pool: &PgPool,
    references: &[Reference],
    ids: &[i64],
    sessions: &[Option<Vec<u8>>],
) -> Result<Vec<Seen>, db::Error> {
    let rows = sqlx::query_file!(
        "src/request/summary/summaries.sql",
        references as _,
        ids,
        sessions as _,
        db::interval(SERVICE_SESSIONS.absolute),
        db::interval(SERVICE_SESSIONS.idle),
    )
    .fetch_all(pool.retrying())
    .await?;
    let seen = rows.into_iter().map(|row| Seen {
        place: row.place,
        id: RequestId(row.id),
        summary: Summary {
            facts: row.facts,
            seq: row.seq.unsigned_abs(),
            findings: row.severities.into_iter().collect(),
            checked_at: row.checked_at,
            due_at: row.due_at,
            gateways: OnGateways {
                live: row.live_on,
                of: row.gateways,
                since: row.live_at,
            },
            now: row.now,
        },
        visitor: Visitor {
            is_own: row.own,
            is_due: row.unseen,
        },
    });
    Ok(seen.collect())
}

/// The last [`MOST_EVENTS`] entries of the timelines of `requests`, oldest first, in one round
/// trip.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable or a row is invalid.
pub async fn timelines(
    pool: &PgPool,
    requests: &[RequestId],
) -> Result<HashMap<RequestId, Vec<Event>>, db::Error> {
    let ids: Vec<i64> = requests.iter().map(|request| request.0).collect();
    let rows = sqlx::query!(
        r#"SELECT r.id AS "id!",
                  (SELECT coalesce(jsonb_agg(jsonb_build_array(seq, at, last_at, times, actor, code, subject) ORDER BY seq), '[]')
                   FROM (SELECT * FROM timeline WHERE request_id = r.id ORDER BY seq DESC LIMIT $2) o)
                      AS "events!: Json<Vec<Event>>"
           FROM unnest($1::bigint[]) AS r (id)"#,
        &ids,
        i64::try_from(MOST_EVENTS).unwrap_or(i64::MAX),
    )
    .fetch_all(pool.retrying())
    .await?;
    let timelines = rows.into_iter();
    let timelines = timelines.map(|row| (RequestId(row.id), row.events.0));
    Ok(timelines.collect())
}
