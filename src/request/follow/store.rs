//! Reads the summaries of many requests in one round trip, for live streams.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use super::{Counts, Glance, RequestId};
use crate::{
    db::{self, Impossible, PgPool},
    readiness::Severity,
    request::{
        Facts, Kind, MOST_EVENTS, State,
        reference::Reference,
        store::{Event, StoredEvent},
    },
};

/// The request with this reference; `None` when there is none.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable.
pub async fn find(pool: &PgPool, reference: Reference) -> Result<Option<RequestId>, db::Error> {
    let id = sqlx::query_scalar!(
        "SELECT id FROM request WHERE reference = $1",
        reference.to_string()
    )
    .fetch_optional(pool.again())
    .await?;
    Ok(id.map(RequestId))
}

/// The summaries of `requests`, in one round trip. Requests that no longer exist are left out.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable or a row is invalid.
pub async fn glances(
    pool: &PgPool,
    requests: &[RequestId],
) -> Result<Vec<(RequestId, Glance)>, db::Error> {
    let ids: Vec<i64> = requests.iter().map(|request| request.0).collect();
    let rows = sqlx::query_file!("src/request/follow/glances.sql", &ids)
        .fetch_all(pool.again())
        .await?;
    rows.into_iter()
        .map(|row| {
            let id = RequestId(row.id);
            let columns = Columns {
                id: row.id,
                kind: row.kind,
                state: row.state,
                reason: row.reason,
                submitted_at: row.submitted_at,
                ended_at: row.ended_at,
                superseded: row.superseded,
                seq: row.seq,
                severities: row.severities,
                checked_at: row.checked_at,
                due_at: row.due_at,
                now: row.now,
            };
            Ok((id, columns.glance()?))
        })
        .collect()
}

/// The columns of a summary, as the database gives them.
pub(in crate::request) struct Columns {
    pub(in crate::request) id: i64,
    pub(in crate::request) kind: String,
    pub(in crate::request) state: String,
    pub(in crate::request) reason: Option<String>,
    pub(in crate::request) submitted_at: DateTime<Utc>,
    pub(in crate::request) ended_at: Option<DateTime<Utc>>,
    pub(in crate::request) superseded: bool,
    pub(in crate::request) seq: i32,
    pub(in crate::request) severities: Vec<String>,
    pub(in crate::request) checked_at: Option<DateTime<Utc>>,
    pub(in crate::request) due_at: Option<DateTime<Utc>>,
    pub(in crate::request) now: DateTime<Utc>,
}

impl Columns {
    /// The summary made of these columns.
    ///
    /// # Errors
    ///
    /// [`Impossible`] when they contradict each other.
    pub(in crate::request) fn glance(&self) -> Result<Glance, Impossible> {
        let impossible = |table, column| Impossible {
            table,
            column,
            id: Some(self.id),
        };
        let findings: Counts = self
            .severities
            .iter()
            .map(|name| Severity::parse(name).ok_or(impossible("finding", "severity")))
            .collect::<Result<_, _>>()?;
        let facts = Facts {
            state: State::from_columns(&self.state, self.reason.as_deref(), self.ended_at)
                .map_err(|_| impossible("request", "state"))?,
            kind: Kind::parse(&self.kind).ok_or(impossible("request", "kind"))?,
            submitted_at: self.submitted_at,
            blocked: findings.blocking > 0,
            superseded: self.superseded,
        };
        Ok(Glance {
            facts,
            seq: u32::try_from(self.seq).map_err(|_| impossible("event", "seq"))?,
            findings,
            checked_at: self.checked_at,
            due_at: self.due_at,
            now: self.now,
        })
    }
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
        r#"SELECT r.id AS "id!", e.seq, e.at, e.last_at, e.times, e.actor, e.code, e.subject::text AS "subject?"
           FROM unnest($1::bigint[]) AS r (id)
           CROSS JOIN LATERAL (SELECT * FROM event WHERE request_id = r.id ORDER BY seq DESC LIMIT $2) e
           ORDER BY r.id, e.seq"#,
        &ids,
        i64::try_from(MOST_EVENTS).unwrap_or(i64::MAX),
    )
    .fetch_all(pool.again())
    .await?;
    let mut timelines: HashMap<RequestId, Vec<Event>> = HashMap::new();
    for row in rows {
        let stored = StoredEvent(
            row.seq,
            row.at,
            row.last_at,
            row.times,
            row.actor,
            row.code,
            row.subject,
        );
        let timeline = timelines.entry(RequestId(row.id)).or_default();
        timeline.push(stored.read(row.id)?);
    }
    Ok(timelines)
}
