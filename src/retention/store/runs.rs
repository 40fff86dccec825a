//! Reads the records of sweeps.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, Utc};
use sqlx::types::Json;

use crate::{
    db::{self, PgPool, interval},
    retention::{Cause, Fault, Kind, Outcome, Run, scan::Looked},
};

/// Whether a sweep that began within `within` has ended clean, in any process.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable.
pub async fn is_clean_since(pool: &PgPool, within: Duration) -> Result<bool, db::Error> {
    let clean = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM retention_run
                          WHERE outcome = 'clean' AND began_at > pic_now() - $1::interval) AS "clean!""#,
        interval(within),
    )
    .fetch_one(pool.retrying())
    .await?;
    Ok(clean)
}

/// The last sweeps, newest first.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable or a row is invalid.
pub async fn last_runs(pool: &PgPool, most: u32) -> Result<Vec<Run>, db::Error> {
    runs(pool, None, i64::from(most)).await
}

/// The last sweeps, newest first, and the database's time.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable or a row is invalid.
pub async fn runs_and_now(
    pool: &PgPool,
    most: u32,
) -> Result<(Vec<Run>, DateTime<Utc>), db::Error> {
    let runs = last_runs(pool, most).await?;
    let now = sqlx::query_scalar!(r#"SELECT pic_now() AS "now!""#)
        .fetch_one(pool)
        .await?;
    Ok((runs, now))
}

/// The last sweeps, or only `one`, newest first.
pub(super) async fn runs(
    pool: &PgPool,
    one: Option<i64>,
    most: i64,
) -> Result<Vec<Run>, db::Error> {
    let rows = sqlx::query!(
        r#"SELECT id, cause AS "cause: Cause", began_at, ended_at, outcome AS "outcome: Outcome", fault AS "fault: Fault",
                  columns_proven, columns_looked, rows_looked, remaining,
                  suspects::text[] AS "suspects!",
                  (SELECT coalesce(jsonb_object_agg(kind, rows), '{}') FROM retention_removed WHERE run_id = r.id)
                      AS "removed!: Json<BTreeMap<String, u64>>"
           FROM retention_run r WHERE $1::bigint IS NULL OR id = $1 ORDER BY began_at DESC, id DESC LIMIT $2"#,
        one,
        most,
    )
    .fetch_all(pool.retrying())
    .await?;
    let runs = rows.into_iter().map(|row| {
        let removed = row.removed.0.into_iter();
        // A kind that a later version removes is left out.
        let removed = removed.filter_map(|(kind, rows)| Some((Kind::parse(&kind)?, rows)));
        Run {
            removed: removed.collect(),
            cause: row.cause,
            began_at: row.began_at,
            ended_at: row.ended_at,
            outcome: row.outcome,
            fault: row.fault,
            looked: Looked {
                proven: row.columns_proven.unsigned_abs(),
                columns: row.columns_looked.unsigned_abs(),
                rows: row.rows_looked.unsigned_abs(),
                suspects: row.suspects,
            },
            remaining: row.remaining.map(i64::unsigned_abs),
        }
    });
    Ok(runs.collect())
}
