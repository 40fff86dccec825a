//! Which accounts are there, and who is signed in?

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{Account, Action, Name, Role, StaffId, password::Hashed};
use crate::{
    db::{self, PgPool, interval},
    secret::{STAFF_SESSIONS, SessionToken, SetUpToken},
};

/// The set-up link dies after this.
pub const SET_UP_END: Duration = Duration::from_hours(1);

// ---------------------------------------------------------------------------------------------
// Accounts

/// An account as `staff list` shows it.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Who.
    pub account: Account,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Since when nobody can sign in with it.
    pub disabled_at: Option<DateTime<Utc>>,
}

/// Makes an account. `false`: there is one of this name.
///
/// # Errors
///
/// [`db::Error`] when the database is away.
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

/// Every account, by name.
///
/// # Errors
///
/// [`db::Error`] when the database is away or a row is impossible.
pub async fn list(pool: &PgPool) -> Result<Vec<Listed>, db::Error> {
    Ok(sqlx::query_as!(
        Listed,
        r#"SELECT ROW(id, name, role) AS "account!: Account", created_at, disabled_at FROM staff ORDER BY name"#
    )
    .fetch_all(pool.again())
    .await?)
}

/// Lets nobody sign in with the account any more, and ends its sessions. `false`: there is none
/// of this name that could be used.
///
/// # Errors
///
/// [`db::Error`] when the database is away.
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

/// Gives the account another password, lets it be used again, and ends its sessions. `false`:
/// there is none of this name.
///
/// # Errors
///
/// [`db::Error`] when the database is away.
pub async fn reset(pool: &PgPool, name: &Name, password: &Hashed) -> Result<bool, db::Error> {
    let done = sqlx::query!(
        "WITH new AS (
             UPDATE staff SET password = $2, password_at = pic_now(), disabled_at = NULL
             WHERE name = $1 RETURNING id
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

/// Replaces a password that was typed right, and ends every session but `keep`. `false`: the
/// password is another by now, or the session has ended; nothing was changed.
///
/// # Errors
///
/// [`db::Error`] when the database is away.
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

/// What signing in is compared with: number and password of the account, if it can be used.
///
/// # Errors
///
/// [`db::Error`] when the database is away.
pub async fn password(
    pool: &PgPool,
    name: Option<&Name>,
) -> Result<Option<(StaffId, Hashed)>, db::Error> {
    let row = sqlx::query!(
        "SELECT id, password FROM staff WHERE name = $1 AND disabled_at IS NULL",
        name.map_or("", Name::as_str),
    )
    .fetch_optional(pool.again())
    .await?;
    Ok(row.map(|row| (StaffId(row.id), Hashed(row.password))))
}

// ---------------------------------------------------------------------------------------------
// The first account

/// A new set-up link, in place of any earlier one. `None`: there is an account.
///
/// # Errors
///
/// [`db::Error`] when the database is away.
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

/// Whether the link is alive: not over its time, and no account is there yet.
///
/// # Errors
///
/// [`db::Error`] when the database is away.
pub async fn set_up_is_open(pool: &PgPool, token: &SetUpToken) -> Result<bool, db::Error> {
    let open = sqlx::query_scalar!(
        r#"SELECT pic_set_up_open($1::bytea) AS "open!""#,
        &token.hash()
    )
    .fetch_one(pool.again())
    .await?;
    Ok(open)
}

/// Makes the first account, an agent. `None`: the link is dead.
///
/// # Errors
///
/// [`db::Error`] when the database is away.
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

/// Live sessions of one account; who signs in beyond that ends the oldest.
pub const MOST_SESSIONS: i64 = 20;

/// Opens a session for whoever has typed `password` right. `None`: it is another by now, or the
/// account was disabled meanwhile. What has ended of the account's sessions is deleted with it.
///
/// # Errors
///
/// [`db::Error`] when the database is away.
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

/// Whose session this is; `None` when it has ended or never was, or the account is disabled.
/// `in_use`: somebody is at it, so the idle end is put off.
///
/// # Errors
///
/// [`db::Error`] when the database is away or a row is impossible.
pub async fn session(
    pool: &PgPool,
    token: &SessionToken,
    in_use: bool,
) -> Result<Option<Account>, db::Error> {
    Ok(sqlx::query_scalar!(
        r#"
        WITH live AS (
            SELECT token_hash, staff_id, seen_at FROM staff_session
            WHERE token_hash = $1::bytea AND began_at > pic_now() - $2::interval AND seen_at > pic_now() - $3::interval
        ), seen AS (
            UPDATE staff_session s SET seen_at = pic_now() FROM live
            WHERE s.token_hash = live.token_hash AND live.seen_at < pic_now() - interval '1 minute' AND $4::bool
        )
        SELECT ROW(id, name, role) AS "account!: Account" FROM live JOIN staff ON id = staff_id WHERE disabled_at IS NULL
        "#,
        &token.hash(),
        interval(STAFF_SESSIONS.absolute),
        interval(STAFF_SESSIONS.idle),
        in_use,
    )
    .fetch_optional(pool.again())
    .await?)
}

/// Whether the session is still that of an account that is not disabled. A look that nobody asked
/// for is no use of the session: it does not put off the idle end.
///
/// # Errors
///
/// [`db::Error`] when the database is away.
pub async fn is_signed_in(pool: &PgPool, token: &SessionToken) -> Result<bool, db::Error> {
    let live = sqlx::query_scalar!(
        r#"SELECT EXISTS (
               SELECT FROM staff_session JOIN staff ON id = staff_id
               WHERE token_hash = $1::bytea AND disabled_at IS NULL
                 AND began_at > pic_now() - $2::interval AND seen_at > pic_now() - $3::interval) AS "live!""#,
        &token.hash(),
        interval(STAFF_SESSIONS.absolute),
        interval(STAFF_SESSIONS.idle),
    )
    .fetch_one(pool.again())
    .await?;
    Ok(live)
}

/// Ends a session for good.
///
/// # Errors
///
/// [`db::Error`] when the database is away; the session goes on then.
pub async fn sign_out(pool: &PgPool, token: &SessionToken) -> Result<(), db::Error> {
    sqlx::query!(
        "DELETE FROM staff_session WHERE token_hash = $1::bytea",
        &token.hash()
    )
    .execute(pool.again())
    .await?;
    Ok(())
}

/// Ends every session of the account, the one that asks too.
///
/// # Errors
///
/// [`db::Error`] when the database is away; the sessions go on then.
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
/// [`db::Error`] when the database is away.
pub async fn sessions(pool: &PgPool, staff: StaffId) -> Result<i64, db::Error> {
    let count = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM staff_session
           WHERE staff_id = $1 AND began_at > pic_now() - $2::interval AND seen_at > pic_now() - $3::interval"#,
        staff.0,
        interval(STAFF_SESSIONS.absolute),
        interval(STAFF_SESSIONS.idle),
    )
    .fetch_one(pool.again())
    .await?;
    Ok(count)
}
