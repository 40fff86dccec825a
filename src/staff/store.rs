//! Stores staff accounts and their sessions.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{Account, Action, Name, Role, StaffId, oidc, password::Hashed};
use crate::{
    db::{self, PgPool, interval},
    secret::{STAFF_SESSIONS, SessionToken, SetUpToken},
};

/// The set-up link expires after this.
pub const SET_UP_END: Duration = Duration::from_hours(1);

// ---------------------------------------------------------------------------------------------
// Accounts

/// An account as `staff list` shows it.
#[derive(Clone, Debug)]
pub struct Listed {
    /// The account itself.
    pub account: Account,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// The time since when it cannot sign in.
    pub disabled_at: Option<DateTime<Utc>>,
    /// Whether it signs in at the OpenID provider.
    pub at_provider: bool,
}

/// Makes an account. `false`: this name is in use.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable.
pub async fn add(
    pool: &PgPool,
    name: &Name,
    role: Role,
    password: &Hashed,
) -> Result<bool, db::Error> {
    let made = sqlx::query!(
        "INSERT INTO staff (name, role, password, created_at, password_at)
         SELECT $1, $2, $3, now_at, now_at FROM (SELECT pic_now() AS now_at) n
         ON CONFLICT (name) DO NOTHING",
        name as _,
        role as _,
        password.0,
    )
    .execute(pool)
    .await?;
    Ok(made.rows_affected() == 1)
}

/// All accounts, ordered by name.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable or a row is invalid.
pub async fn list(pool: &PgPool) -> Result<Vec<Listed>, db::Error> {
    Ok(sqlx::query_as!(
        Listed,
        r#"SELECT ROW(id, name, role) AS "account!: Account", created_at, disabled_at,
                  subject IS NOT NULL AS "at_provider!" FROM staff ORDER BY name"#
    )
    .fetch_all(pool.retrying())
    .await?)
}

/// Disables the account, and ends its sessions. `false`: there is no enabled account of this name.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable.
pub async fn disable(pool: &PgPool, name: &Name) -> Result<bool, db::Error> {
    let done = sqlx::query!(
        "WITH off AS (
             UPDATE staff SET disabled_at = pic_now() WHERE name = $1 AND disabled_at IS NULL RETURNING id
         ), gone AS (
             DELETE FROM staff_session USING off WHERE staff_id = off.id
         )
         SELECT id FROM off",
        name.as_str(),
    )
    .fetch_optional(pool)
    .await?;
    Ok(done.is_some())
}

/// Lets an account sign in again that was disabled. `false`: there is none of this name.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable.
pub async fn enable(pool: &PgPool, name: &Name) -> Result<bool, db::Error> {
    let done = sqlx::query!(
        "UPDATE staff SET disabled_at = NULL WHERE name = $1 AND disabled_at IS NOT NULL",
        name.as_str(),
    )
    .execute(pool)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Gives the account another password, enables it, and ends its sessions. `false`: there is no
/// account of this name with a password.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable.
pub async fn reset(pool: &PgPool, name: &Name, password: &Hashed) -> Result<bool, db::Error> {
    let done = sqlx::query!(
        "WITH new AS (
             UPDATE staff SET password = $2, password_at = pic_now(), disabled_at = NULL
             WHERE name = $1 AND subject IS NULL RETURNING id
         ), gone AS (
             DELETE FROM staff_session USING new WHERE staff_id = new.id
         )
         SELECT id FROM new",
        name.as_str(),
        password.0,
    )
    .fetch_optional(pool)
    .await?;
    Ok(done.is_some())
}

/// Replaces the password, after the old one was verified, and ends every session except `keep`.
/// `false`: the password has changed meanwhile, or the session has ended; nothing was changed.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable.
pub async fn change_password(
    pool: &PgPool,
    account: &Account,
    old: &Hashed,
    new: &Hashed,
    keep: &SessionToken,
) -> Result<bool, db::Error> {
    let done = sqlx::query!(
        r#"WITH changed AS (
             UPDATE staff SET password = $3, password_at = pic_now()
             WHERE id = $1 AND password = $2 AND disabled_at IS NULL
               AND EXISTS (SELECT FROM staff_session WHERE token_hash = $4::bytea AND staff_id = $1)
             RETURNING id
         ), gone AS (
             DELETE FROM staff_session USING changed WHERE staff_id = changed.id AND token_hash <> $4::bytea
         ), noted AS (
             INSERT INTO staff_audit (staff_id, at, action) SELECT id, pic_now(), $5 FROM changed
         )
         SELECT id FROM changed"#,
        account.id.0,
        old.0,
        new.0,
        &keep.hash(),
        Action::PasswordChanged as _,
    )
    .fetch_optional(pool)
    .await?;
    Ok(done.is_some())
}

/// The id and the hashed password of the account, if it is enabled and has one.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable.
pub async fn password(
    pool: &PgPool,
    name: Option<&Name>,
) -> Result<Option<(StaffId, Hashed)>, db::Error> {
    let row = sqlx::query!(
        r#"SELECT id, password AS "password!" FROM staff
           WHERE name = $1 AND disabled_at IS NULL AND password IS NOT NULL"#,
        name.map_or("", Name::as_str),
    )
    .fetch_optional(pool.retrying())
    .await?;
    Ok(row.map(|row| (StaffId(row.id), Hashed(row.password))))
}

// ---------------------------------------------------------------------------------------------
// The first account

/// A new set-up link, in place of any earlier one. `None`: there is an account already.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable.
pub async fn new_set_up(pool: &PgPool) -> Result<Option<SetUpToken>, db::Error> {
    let token = SetUpToken::random();
    let made = sqlx::query!(
        "INSERT INTO staff_set_up (token_hash, until)
         SELECT $1::bytea, pic_now() + $2::interval WHERE NOT EXISTS (SELECT FROM staff)
         ON CONFLICT (only_one) DO UPDATE SET token_hash = EXCLUDED.token_hash, until = EXCLUDED.until",
        &token.hash(),
        interval(SET_UP_END),
    )
    .execute(pool)
    .await?;
    Ok((made.rows_affected() == 1).then_some(token))
}

/// Whether the link is valid: it has not expired, and there is no account yet.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable.
pub async fn set_up_is_open(pool: &PgPool, token: &SetUpToken) -> Result<bool, db::Error> {
    let open = sqlx::query_scalar!(
        r#"SELECT pic_set_up_open($1::bytea) AS "open!""#,
        &token.hash()
    )
    .fetch_one(pool.retrying())
    .await?;
    Ok(open)
}

/// Makes the first account, an agent. `None`: the link is no longer valid.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable.
pub async fn set_up(
    pool: &PgPool,
    token: &SetUpToken,
    name: &Name,
    password: &Hashed,
) -> Result<Option<StaffId>, db::Error> {
    let id = sqlx::query_scalar!(
        "SELECT pic_first_staff($1::bytea, $2, $3)",
        &token.hash(),
        name.as_str(),
        password.0,
    )
    .fetch_one(pool)
    .await?;
    Ok(id.map(StaffId))
}

// ---------------------------------------------------------------------------------------------
// Sessions

/// Live sessions of one account; signing in beyond that ends the oldest.
pub const MOST_SESSIONS: i64 = 20;

/// Opens a session, after `password` was verified. `None`: the password has changed, or the account
/// was disabled meanwhile. The account's expired sessions are deleted.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable.
pub async fn sign_in(
    pool: &PgPool,
    staff: StaffId,
    password: &Hashed,
) -> Result<Option<SessionToken>, db::Error> {
    let token = SessionToken::random();
    let opened = sqlx::query_scalar!(
        r#"SELECT pic_open_staff_session($1, $2, $3::bytea, $4, $5, $6) AS "opened!""#,
        staff.0,
        password.0,
        &token.hash(),
        interval(STAFF_SESSIONS.absolute),
        interval(STAFF_SESSIONS.idle),
        MOST_SESSIONS,
    )
    .fetch_one(pool)
    .await?;
    Ok(opened.then_some(token))
}

/// How a session is looked up.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// A person uses it, so its idle time begins anew.
    pub in_use: bool,
    /// Sessions that were opened by password count too.
    pub passwords: bool,
    /// For how long the OpenID provider's word has to hold from now on, where it could be had anew.
    pub ahead: Duration,
}

/// The account of a session; `None` when the session has ended or never existed, the OpenID
/// provider has to confirm it first, or the account is disabled.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable or a row is invalid.
pub async fn session(
    pool: &PgPool,
    token: &SessionToken,
    look: Look,
) -> Result<Option<Account>, db::Error> {
    Ok(sqlx::query_scalar!(
        r#"
        WITH live AS (
            SELECT token_hash, staff_id, seen_at FROM staff_session
            WHERE token_hash = $1::bytea AND began_at > pic_now() - $2::interval AND seen_at > pic_now() - $3::interval
              AND confirmed_until > pic_now()
              AND (confirmed_until > pic_now() + $5::interval OR confirmed_until >= began_at + $6::interval)
              AND ($7 OR confirmed_until < 'infinity')
        ), seen AS (
            UPDATE staff_session s SET seen_at = pic_now() FROM live
            WHERE s.token_hash = live.token_hash AND live.seen_at < pic_now() - interval '1 minute' AND $4::bool
        )
        SELECT ROW(id, name, role) AS "account!: Account" FROM live JOIN staff ON id = staff_id WHERE disabled_at IS NULL
        "#,
        &token.hash(),
        interval(STAFF_SESSIONS.absolute),
        interval(STAFF_SESSIONS.idle),
        look.in_use,
        interval(look.ahead),
        interval(oidc::LASTS),
        look.passwords,
    )
    .fetch_optional(pool.retrying())
    .await?)
}

/// Whether the session is live and its account enabled. This check does not count as use of the
/// session: its idle time goes on.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable.
pub async fn is_signed_in(pool: &PgPool, token: &SessionToken) -> Result<bool, db::Error> {
    let live = sqlx::query_scalar!(
        r#"SELECT EXISTS (
               SELECT FROM staff_session JOIN staff ON id = staff_id
               WHERE token_hash = $1::bytea AND disabled_at IS NULL AND confirmed_until > pic_now()
                 AND began_at > pic_now() - $2::interval AND seen_at > pic_now() - $3::interval) AS "live!""#,
        &token.hash(),
        interval(STAFF_SESSIONS.absolute),
        interval(STAFF_SESSIONS.idle),
    )
    .fetch_one(pool.retrying())
    .await?;
    Ok(live)
}

/// Ends a session.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable; the session then stays open.
pub async fn sign_out(pool: &PgPool, token: &SessionToken) -> Result<(), db::Error> {
    sqlx::query!(
        "DELETE FROM staff_session WHERE token_hash = $1::bytea",
        &token.hash()
    )
    .execute(pool.retrying())
    .await?;
    Ok(())
}

/// Ends every session of the account, including the caller's.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable; the sessions then stay open.
pub async fn sign_out_everywhere(pool: &PgPool, staff: StaffId) -> Result<(), db::Error> {
    sqlx::query!(
        "WITH gone AS (DELETE FROM staff_session WHERE staff_id = $1)
         INSERT INTO staff_audit (staff_id, at, action) VALUES ($1, pic_now(), $2)",
        staff.0,
        Action::SignedOutEverywhere as _,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// How many browsers are signed in to the account.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable.
pub async fn sessions(pool: &PgPool, staff: StaffId) -> Result<i64, db::Error> {
    let count = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM staff_session
           WHERE staff_id = $1 AND confirmed_until > pic_now() AND began_at > pic_now() - $2::interval AND seen_at > pic_now() - $3::interval"#,
        staff.0,
        interval(STAFF_SESSIONS.absolute),
        interval(STAFF_SESSIONS.idle),
    )
    .fetch_one(pool.retrying())
    .await?;
    Ok(count)
}
