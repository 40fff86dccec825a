//! Stores sessions in the database.

use crate::{
    agreement::{AgreementNumber, ServiceId},
    db::{self, PgPool, interval},
    secret::{ManagementKey, SERVICE_SESSIONS, SessionToken},
};

/// Live sessions of one service; signing in beyond that ends the oldest.
pub const MOST_SESSIONS: i64 = 20;

/// Opens a session on the service that bears `number` and is opened by `key`. `None` if there is
/// none. A wrong number and a wrong key take the same single statement. If the key is just being replaced, the statement waits for that, and then opens
/// nothing.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable.
pub async fn open(
    pool: &PgPool,
    number: &AgreementNumber,
    key: &ManagementKey,
) -> Result<Option<SessionToken>, db::Error> {
    let token = SessionToken::random();
    let opened = sqlx::query_scalar!(
        r#"SELECT pic_open_session($1, $2::bytea, $3::bytea, $4, $5, $6) AS "opened!""#,
        number.as_str(),
        &key.hash(),
        &token.hash(),
        interval(SERVICE_SESSIONS.absolute),
        interval(SERVICE_SESSIONS.idle),
        MOST_SESSIONS,
    )
    .fetch_one(pool)
    .await?;
    Ok(opened.then_some(token))
}

/// The service that the session with this token opens; `None` when it has ended or never was.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable.
pub async fn live(pool: &PgPool, token: &SessionToken) -> Result<Option<ServiceId>, db::Error> {
    let service = sqlx::query_scalar!(
        r#"
        WITH live AS (
            SELECT token_hash, service_id, seen_at FROM session
            WHERE token_hash = $1::bytea AND began_at > pic_now() - $2::interval AND seen_at > pic_now() - $3::interval
        ), seen AS (
            UPDATE session s SET seen_at = pic_now() FROM live
            WHERE s.token_hash = live.token_hash AND live.seen_at < pic_now() - interval '1 minute'
        )
        SELECT service_id FROM live
        "#,
        &token.hash(),
        interval(SERVICE_SESSIONS.absolute),
        interval(SERVICE_SESSIONS.idle),
    )
    .fetch_optional(pool.retrying())
    .await?;
    Ok(service.map(ServiceId))
}

/// Ends a session.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable; the session then stays open.
pub async fn end(pool: &PgPool, token: &SessionToken) -> Result<(), db::Error> {
    sqlx::query!(
        "DELETE FROM session WHERE token_hash = $1::bytea",
        &token.hash()
    )
    .execute(pool.retrying())
    .await?;
    Ok(())
}
