//! Looks at many requests in one round trip, for those who follow them.

use std::collections::HashMap;

use sqlx::types::Json;

use super::{Glance, RequestId};
use crate::{
    db::{self, PgPool},
    readiness::Severity,
    request::{Facts, MOST_EVENTS, reference::Reference, store::Event},
};

/// The request with this name; `None` when there is none.
///
/// # Errors
///
/// [`db::Error`] when the database is away.
pub async fn find(pool: &PgPool, reference: Reference) -> Result<Option<RequestId>, db::Error> {
    let id = sqlx::query_scalar!(
        "SELECT id FROM request WHERE reference = $1",
        reference as _
    )
    .fetch_optional(pool.again())
    .await?;
    Ok(id.map(RequestId))
}

/// How `requests` stand, in one round trip. One that is not there any more is left out.
///
/// # Errors
///
/// [`db::Error`] when the database is away or a row is impossible.
pub async fn glances(
    pool: &PgPool,
    requests: &[RequestId],
) -> Result<Vec<(RequestId, Glance)>, db::Error> {
    let ids: Vec<i64> = requests.iter().map(|request| request.0).collect();
    let rows = sqlx::query_file!("src/request/follow/glances.sql", &ids)
        .fetch_all(pool.again())
        .await?;
    let glances = rows.into_iter().map(|row| {
        let glance = Glance {
            facts: row.facts,
            seq: row.seq.unsigned_abs(),
            findings: row.severities.into_iter().collect(),
            checked_at: row.checked_at,
            due_at: row.due_at,
            now: row.now,
        };
        (RequestId(row.id), glance)
    });
    Ok(glances.collect())
}

/// The last [`MOST_EVENTS`] entries of the timelines of `requests`, oldest first, in one round trip.
///
/// # Errors
///
/// [`db::Error`] when the database is away or a row is impossible.
pub async fn timelines(
    pool: &PgPool,
    requests: &[RequestId],
) -> Result<HashMap<RequestId, Vec<Event>>, db::Error> {
    let ids: Vec<i64> = requests.iter().map(|request| request.0).collect();
    let rows = sqlx::query!(
        r#"SELECT r.id AS "id!",
                  (SELECT coalesce(jsonb_agg(jsonb_build_array(seq, at, last_at, times, actor, code, subject) ORDER BY seq), '[]')
                   FROM (SELECT * FROM event WHERE request_id = r.id ORDER BY seq DESC LIMIT $2) o)
                      AS "events!: Json<Vec<Event>>"
           FROM unnest($1::bigint[]) AS r (id)"#,
        &ids,
        i64::try_from(MOST_EVENTS).unwrap_or(i64::MAX),
    )
    .fetch_all(pool.again())
    .await?;
    let timelines = rows.into_iter();
    let timelines = timelines.map(|row| (RequestId(row.id), row.events.0));
    Ok(timelines.collect())
}
