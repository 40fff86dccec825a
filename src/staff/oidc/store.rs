//! Stores the accounts and sessions of people who sign in at the OpenID provider.

use std::time::Duration;

use super::{CONFIRMED_FOR, LASTS, Person};
use crate::{
    db::{self, PgPool, interval},
    secret::{STAFF_SESSIONS, SessionToken},
    staff::{Name, Role, store::MOST_SESSIONS},
};

/// Opens a session for a person with this role; the account is made if there is none. `None`: it is
/// disabled.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable.
pub async fn open(
    pool: &PgPool,
    person: &Person,
    role: Role,
) -> Result<Option<SessionToken>, db::Error> {
    let token = SessionToken::random();
    let names: Vec<_> = person.names.iter().map(Name::to_string).collect();
    let opened = sqlx::query_scalar!(
        r#"SELECT pic_open_provider_session(
               $1::bytea, $2, $3, $4::bytea, $5, $6, $7, $8, $9::bytea, $10) AS "opened!""#,
        &person.subject,
        role.as_str(),
        &names,
        &token.hash(),
        interval(LASTS),
        interval(STAFF_SESSIONS.idle),
        MOST_SESSIONS,
        interval(CONFIRMED_FOR),
        person.session.as_ref().map(<[u8; 32]>::as_slice),
        person.proved_ago.map(interval),
    )
    .fetch_one(pool)
    .await?;
    Ok(opened.then_some(token))
}

/// Lets a session of this person go on with this role. `false`: it has ended, or is another's.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable.
pub async fn confirm(
    pool: &PgPool,
    token: &SessionToken,
    person: &Person,
    role: Role,
) -> Result<bool, db::Error> {
    let confirmed = sqlx::query_scalar!(
        r#"SELECT pic_confirm_provider_session(
               $1::bytea, $2, $3::bytea, $4, $5, $6, $7::bytea, $8) AS "confirmed!""#,
        &person.subject,
        role.as_str(),
        &token.hash(),
        interval(LASTS),
        interval(STAFF_SESSIONS.idle),
        interval(CONFIRMED_FOR),
        person.session.as_ref().map(<[u8; 32]>::as_slice),
        person.proved_ago.map(interval),
    )
    .fetch_one(pool)
    .await?;
    Ok(confirmed)
}

/// Whether the provider could let this session go on: it was opened there, and has not ended.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable.
pub async fn may_go_on(pool: &PgPool, token: &SessionToken) -> Result<bool, db::Error> {
    let may = sqlx::query_scalar!(
        r#"SELECT EXISTS (
               SELECT FROM staff_session WHERE token_hash = $1::bytea AND confirmed_until < 'infinity'
                 AND began_at > pic_now() - $2::interval AND seen_at > pic_now() - $3::interval) AS "may!""#,
        &token.hash(),
        interval(LASTS),
        interval(STAFF_SESSIONS.idle),
    )
    .fetch_one(pool.retrying())
    .await?;
    Ok(may)
}

/// Whether the person of this session has proved to the provider within `time` who they are. Always
/// where the session was opened by password.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable.
pub async fn has_proved(
    pool: &PgPool,
    token: &SessionToken,
    time: Duration,
) -> Result<bool, db::Error> {
    let proved = sqlx::query_scalar!(
        r#"SELECT EXISTS (
               SELECT FROM staff_session WHERE token_hash = $1::bytea
                 AND (confirmed_until = 'infinity' OR proved_at > pic_now() - $2::interval)) AS "proved!""#,
        &token.hash(),
        interval(time),
    )
    .fetch_one(pool.retrying())
    .await?;
    Ok(proved)
}

/// Ends the sessions of this subject, or only those that may belong to `session` at the provider.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable; the sessions then stay open.
pub async fn end(
    pool: &PgPool,
    subject: &[u8; 32],
    session: Option<&[u8; 32]>,
) -> Result<(), db::Error> {
    sqlx::query!(
        "DELETE FROM staff_session USING staff
         WHERE staff_id = staff.id AND subject = $1::bytea
           AND ($2::bytea IS NULL OR provider_session IS NULL OR provider_session = $2)",
        subject,
        session.map(<[u8; 32]>::as_slice),
    )
    .execute(pool.retrying())
    .await?;
    Ok(())
}
