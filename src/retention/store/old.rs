//! Deletes rows that are no longer kept, a batch at a time.

use std::time::Duration;

use sqlx::PgConnection;

use super::Halt;
use crate::{
    db::interval,
    retention::{Kind, Until},
    secret::SERVICE_SESSIONS,
};

/// The most rows of a kind in one transaction, which takes some ten milliseconds.
const BATCH: i32 = 1_000;
/// The most services whose requests are deleted in one transaction; a request has up to a thousand
/// rows.
const SERVICES: i32 = 50;

/// Deletes a batch of rows that are no longer kept; returns how many of each kind.
pub(super) async fn remove(
    connection: &mut PgConnection,
    until: Until,
) -> Result<Vec<(Kind, u64)>, Halt> {
    Ok(match until {
        Until::NextSweep(Kind::Numbers) => vec![(Kind::Numbers, mask_numbers(connection).await?)],
        Until::Never | Until::NextSweep(_) | Until::While(_) | Until::Limit | Until::Memory(_) => {
            Vec::new()
        }
        Until::For(Kind::Publications, kept_for) => {
            vec![(
                Kind::Publications,
                forget_publications(connection, kept_for).await?,
            )]
        }
        Until::For(Kind::Requests, kept_for) => forget_requests(connection, kept_for).await?,
        Until::For(kind, kept_for) => {
            vec![(kind, forget(connection, kind, kept_for).await?)]
        }
        Until::Unused(kind, idle, end) => {
            vec![(kind, end_sessions(connection, kind, idle, end).await?)]
        }
    })
}

/// Replaces a batch of agreement numbers that are no numbers by `0`. The condition is that of the
/// index `service_number_to_mask`, which finds them; `service_number_no_name` refuses new ones.
async fn mask_numbers(connection: &mut PgConnection) -> Result<u64, Halt> {
    let masked = sqlx::query!(
        "UPDATE service SET number = '0' WHERE id IN (
             SELECT id FROM service WHERE number !~ '[0-9]' OR number ~ '[A-Z]{5}'
             ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED)",
        i64::from(BATCH),
    )
    .execute(connection)
    .await?;
    Ok(masked.rows_affected())
}

async fn forget_requests(
    connection: &mut PgConnection,
    kept_for: Duration,
) -> Result<Vec<(Kind, u64)>, Halt> {
    let row = sqlx::query!(
        r#"SELECT requests AS "requests!", services AS "services!"
           FROM pic_forget_requests($1::interval, $2::interval, $3::interval, $4)"#,
        interval(kept_for),
        interval(SERVICE_SESSIONS.idle),
        interval(SERVICE_SESSIONS.absolute),
        SERVICES,
    )
    .fetch_one(connection)
    .await?;
    let count = |rows| u64::try_from(rows).unwrap_or_default();
    Ok(vec![
        (Kind::Requests, count(row.requests)),
        (Kind::Services, count(row.services)),
    ])
}

/// Deletes a batch of publications that are older than they are kept, all but the newest.
async fn forget_publications(
    connection: &mut PgConnection,
    kept_for: Duration,
) -> Result<u64, Halt> {
    let removed = sqlx::query!(
        "DELETE FROM publication WHERE serial IN (
             SELECT serial FROM publication
             WHERE at <= pic_now() - $2::interval AND serial < (SELECT max(serial) FROM publication)
             ORDER BY serial LIMIT $1)",
        i64::from(BATCH),
        interval(kept_for),
    )
    .execute(&mut *connection)
    .await?;
    Ok(removed.rows_affected())
}

/// Whether the schema has a table: the support desk's may not exist yet.
async fn exists(connection: &mut PgConnection, table: &str) -> Result<bool, Halt> {
    let exists = sqlx::query_scalar!(r#"SELECT to_regclass($1) IS NOT NULL AS "exists!""#, table);
    Ok(exists.fetch_one(connection).await?)
}

/// Deletes a batch of rows older than they are kept.
async fn forget(
    connection: &mut PgConnection,
    kind: Kind,
    kept_for: Duration,
) -> Result<u64, Halt> {
    let (table, statement) = match kind {
        Kind::StaffAudit => (
            "staff_audit",
            "DELETE FROM staff_audit WHERE id IN (
                 SELECT id FROM staff_audit WHERE at <= pic_now() - $2 ORDER BY at LIMIT $1)",
        ),
        Kind::Runs => (
            "retention_run",
            "DELETE FROM retention_run WHERE id IN (
                 SELECT id FROM retention_run WHERE ended_at <= pic_now() - $2 ORDER BY began_at LIMIT $1)",
        ),
        Kind::Contacts
        | Kind::Numbers
        | Kind::Sessions
        | Kind::StaffSessions
        | Kind::Requests
        | Kind::Publications
        | Kind::Services => return Ok(0),
    };
    if !exists(connection, table).await? {
        return Ok(0);
    }
    let removed = sqlx::query(statement)
        .bind(BATCH)
        .bind(interval(kept_for))
        .execute(connection)
        .await?;
    Ok(removed.rows_affected())
}

/// Deletes a batch of sessions that have ended. It does not wait for one that is locked at this
/// moment: the next sweep finds it.
async fn end_sessions(
    connection: &mut PgConnection,
    kind: Kind,
    idle: Duration,
    end: Duration,
) -> Result<u64, Halt> {
    let (table, statement) = match kind {
        Kind::Sessions => (
            "session",
            "DELETE FROM session WHERE token_hash IN (
                 SELECT token_hash FROM session WHERE seen_at <= pic_now() - $2 OR began_at <= pic_now() - $3
                 LIMIT $1 FOR UPDATE SKIP LOCKED)",
        ),
        Kind::StaffSessions => (
            "staff_session",
            "DELETE FROM staff_session WHERE token_hash IN (
                 SELECT token_hash FROM staff_session WHERE seen_at <= pic_now() - $2 OR began_at <= pic_now() - $3
                 LIMIT $1 FOR UPDATE SKIP LOCKED)",
        ),
        Kind::Contacts
        | Kind::Numbers
        | Kind::StaffAudit
        | Kind::Requests
        | Kind::Services
        | Kind::Publications
        | Kind::Runs => return Ok(0),
    };
    if !exists(connection, table).await? {
        return Ok(0);
    }
    let removed = sqlx::query(statement)
        .bind(BATCH)
        .bind(interval(idle))
        .bind(interval(end))
        .execute(connection)
        .await?;
    Ok(removed.rows_affected())
}
