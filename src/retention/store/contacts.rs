//! Empties `legacy_contact`.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{LEASE, is_locked};
use crate::{
    db::{self, PgPool},
    retention::{Cause, Fault, Kind, Outcome},
};

/// How long to wait for sessions that read `legacy_contact`: new rows queue behind us meanwhile.
const LOCK_WAIT: Duration = Duration::from_secs(2);

/// Whether `legacy_contact` is empty to the byte, without rows that were deleted or never
/// committed: then it need not be locked.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable.
pub(super) async fn is_bare(pool: &PgPool) -> Result<bool, db::Error> {
    let bytes = sqlx::query_scalar!(
        r#"SELECT pg_relation_size(oid::regclass)
                  + coalesce(pg_relation_size(nullif(reltoastrelid, 0)::regclass), 0) AS "bytes!"
           FROM pg_class WHERE oid = 'legacy_contact'::regclass"#
    )
    .fetch_one(pool.retrying())
    .await?;
    Ok(bytes == 0)
}

/// Empties `legacy_contact` in the caller's transaction, which may take as long as [`LEASE`]:
/// counting ten million rows takes longer than any other step. The files are deleted when it
/// commits.
pub(super) async fn truncate(connection: &mut PgConnection) -> Result<u64, sqlx::Error> {
    let patience = i32::try_from(LOCK_WAIT.as_millis())
        .unwrap_or(i32::MAX)
        .to_string();
    // Counting ten million rows takes longer than the limit of a page's statement.
    sqlx::query(
        "SELECT set_config('lock_timeout', $1, true), set_config('statement_timeout', '0', true)",
    )
    .bind(patience)
    .execute(&mut *connection)
    .await?;
    sqlx::query!("LOCK TABLE legacy_contact IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *connection)
        .await?;
    let rows = sqlx::query_scalar!(r#"SELECT count(*) AS "rows!" FROM legacy_contact"#)
        .fetch_one(&mut *connection)
        .await?;
    sqlx::query!("TRUNCATE legacy_contact")
        .execute(connection)
        .await?;
    Ok(u64::try_from(rows).unwrap_or_default())
}

/// Empties `legacy_contact` before the portal answers any request. It does not wait for the turn to
/// sweep, because the table's own lock is enough. Recorded as a sweep of its own if there were
/// rows.
///
/// # Errors
///
/// [`db::Error`]; then nothing has changed, which is recorded if possible.
pub async fn empty_at_start(pool: &PgPool, instance: Uuid) -> Result<u64, db::Error> {
    if is_bare(pool).await? {
        return Ok(0);
    }
    let began_at = sqlx::query_scalar!(r#"SELECT pic_now() AS "now!""#)
        .fetch_one(pool)
        .await?;
    let emptied = async {
        let mut transaction = pool.begin().await?;
        let removed = truncate(&mut transaction).await?;
        record(&mut transaction, instance, began_at, None, removed).await?;
        transaction.commit().await?;
        Ok::<_, sqlx::Error>(removed)
    };
    match pool.clone().within(LEASE).in_time(emptied).await {
        Ok(removed) => Ok(removed),
        Err(error) => {
            let error = db::Error::from(error);
            let fault = if is_locked(&error) {
                Fault::Locked
            } else {
                Fault::Database
            };
            let recorded = async {
                let mut connection = pool.acquire().await?;
                record(&mut connection, instance, began_at, Some(fault), 0).await?;
                connection.give_back();
                Ok::<_, sqlx::Error>(())
            };
            pool.in_time(recorded).await?;
            Err(error)
        }
    }
}

/// Records what was done at a start, as a sweep of one step.
async fn record(
    connection: &mut PgConnection,
    instance: Uuid,
    began_at: DateTime<Utc>,
    fault: Option<Fault>,
    removed: u64,
) -> Result<(), sqlx::Error> {
    let outcome = if fault.is_some() {
        Outcome::Failed
    } else {
        Outcome::Unfinished
    };
    sqlx::query!(
        "WITH run AS (
             INSERT INTO retention_run (instance, cause, began_at, ended_at, outcome, fault)
             VALUES ($1, $2, $3, greatest(pic_now(), $3), $4, $5) RETURNING id
         )
         INSERT INTO retention_removed (run_id, kind, rows) SELECT id, $6, $7::bigint FROM run WHERE $7::bigint > 0",
        instance,
        Cause::Start.as_str(),
        began_at,
        outcome.as_str(),
        fault.map(Fault::as_str),
        Kind::Contacts.as_str(),
        i64::try_from(removed).unwrap_or(i64::MAX),
    )
    .execute(connection)
    .await?;
    Ok(())
}
