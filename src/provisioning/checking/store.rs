//! Who looks at which requests, and what was found of what is in force?

pub mod jobs;
pub mod progress;

use std::time::Duration;

use uuid::Uuid;

use crate::{
    db::{self, PgPool, interval},
    provisioning::store::{Claim, Settled, Verdicts, WATCH_EVERY, told},
    readiness::Finding,
};

/// Claims up to `most` pending requests that were never looked at, as
/// [`claim`](crate::provisioning::store::claim) does: for where it is full of others.
///
/// # Errors
///
/// [`db::Error`] when the database is away.
pub async fn claim_fresh(pool: &PgPool, most: u32, lease: Duration) -> Result<Claim, db::Error> {
    let token = Uuid::new_v4();
    let requests = sqlx::query_scalar!(
        r#"
        UPDATE work SET lease_token = $1, lease_until = pic_now() + $2::interval, again = false
        WHERE request_id IN (
            SELECT request_id FROM work
            WHERE due_at <= pic_now() AND (lease_until IS NULL OR lease_until <= pic_now())
              AND checked_at IS NULL
              AND NOT EXISTS (SELECT FROM check_progress p WHERE p.request_id = work.request_id)
            ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED
        )
        RETURNING request_id
        "#,
        token,
        interval(lease),
        i64::from(most),
    )
    .fetch_all(pool)
    .await?;
    Ok(Claim { token, requests })
}

/// Claims up to `most` pending requests whose last turn of a check was slow.
///
/// # Errors
///
/// [`db::Error`] when the database is away.
pub async fn claim_slow(pool: &PgPool, most: u32, lease: Duration) -> Result<Claim, db::Error> {
    let token = Uuid::new_v4();
    let requests = sqlx::query_scalar!(
        r#"
        UPDATE work SET lease_token = $1, lease_until = pic_now() + $2::interval
        WHERE request_id IN (
            SELECT w.request_id FROM check_progress p JOIN work w ON w.request_id = p.request_id
            WHERE p.slow AND w.due_at <= pic_now() AND (w.lease_until IS NULL OR w.lease_until <= pic_now())
            ORDER BY w.due_at LIMIT $3 FOR UPDATE OF w SKIP LOCKED
        )
        RETURNING request_id
        "#,
        token,
        interval(lease),
        i64::from(most),
    )
    .fetch_all(pool)
    .await?;
    Ok(Claim { token, requests })
}

/// Claims up to `most` requests whose routes are in force and which are due and free, oldest first,
/// for the time of `lease`; without those whose last turn of a check was slow.
///
/// # Errors
///
/// [`db::Error`] when the database is away.
pub async fn claim_watched(pool: &PgPool, most: u32, lease: Duration) -> Result<Claim, db::Error> {
    let token = Uuid::new_v4();
    let requests = sqlx::query_scalar!(
        r#"
        UPDATE watch SET lease_token = $1, lease_until = pic_now() + $2::interval,
            again = again AND EXISTS (SELECT FROM check_progress p WHERE p.request_id = watch.request_id)
        WHERE request_id IN (
            SELECT request_id FROM watch
            WHERE due_at <= pic_now() AND (lease_until IS NULL OR lease_until <= pic_now())
              AND NOT EXISTS (SELECT FROM check_progress p WHERE p.request_id = watch.request_id AND p.slow)
            ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED
        )
        RETURNING request_id
        "#,
        token,
        interval(lease),
        i64::from(most),
    )
    .fetch_all(pool)
    .await?;
    Ok(Claim { token, requests })
}

/// Claims up to `most` requests whose routes are in force, and whose last turn of a check was slow.
///
/// # Errors
///
/// [`db::Error`] when the database is away.
pub async fn claim_watched_slow(
    pool: &PgPool,
    most: u32,
    lease: Duration,
) -> Result<Claim, db::Error> {
    let token = Uuid::new_v4();
    let requests = sqlx::query_scalar!(
        r#"
        UPDATE watch SET lease_token = $1, lease_until = pic_now() + $2::interval
        WHERE request_id IN (
            SELECT a.request_id FROM check_progress p JOIN watch a ON a.request_id = p.request_id
            WHERE p.slow AND a.due_at <= pic_now() AND (a.lease_until IS NULL OR a.lease_until <= pic_now())
            ORDER BY a.due_at LIMIT $3 FOR UPDATE OF a SKIP LOCKED
        )
        RETURNING request_id
        "#,
        token,
        interval(lease),
        i64::from(most),
    )
    .fetch_all(pool)
    .await?;
    Ok(Claim { token, requests })
}

/// Keeps what `claims` still hold for another `lease`.
///
/// # Errors
///
/// [`db::Error`] when the database is away.
pub async fn renew(pool: &PgPool, claims: &[Claim], lease: Duration) -> Result<(), db::Error> {
    let (tokens, requests) = pairs(claims);
    sqlx::query!(
        "WITH held AS (SELECT * FROM unnest($1::uuid[], $2::bigint[]) AS h (token, request_id)),
              watched AS (
            UPDATE watch a SET lease_until = pic_now() + $3::interval FROM held h
            WHERE a.request_id = h.request_id AND a.lease_token = h.token
         )
         UPDATE work w SET lease_until = pic_now() + $3::interval FROM held h
         WHERE w.request_id = h.request_id AND w.lease_token = h.token",
        &tokens,
        &requests,
        interval(lease),
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Gives back what `claims` still hold, for others to look at: they are due as before.
///
/// # Errors
///
/// [`db::Error`] when the database is away; then the leases run out.
pub async fn release(pool: &PgPool, claims: &[Claim]) -> Result<(), db::Error> {
    let (tokens, requests) = pairs(claims);
    sqlx::query!(
        "WITH held AS (SELECT * FROM unnest($1::uuid[], $2::bigint[]) AS h (token, request_id)),
              watched AS (
            UPDATE watch a SET lease_token = NULL, lease_until = NULL FROM held h
            WHERE a.request_id = h.request_id AND a.lease_token = h.token
         )
         UPDATE work w SET lease_token = NULL, lease_until = NULL FROM held h
         WHERE w.request_id = h.request_id AND w.lease_token = h.token",
        &tokens,
        &requests,
    )
    .execute(pool)
    .await?;
    Ok(())
}

fn pairs(claims: &[Claim]) -> (Vec<Uuid>, Vec<i64>) {
    let of = |claim: &Claim| {
        let token = claim.token;
        let requests = claim.requests.iter();
        requests.map(move |&id| (token, id)).collect::<Vec<_>>()
    };
    claims.iter().flat_map(of).unzip()
}

/// Stores what was found of what is in force, and when it is looked at next. Nothing in force is
/// changed.
///
/// # Errors
///
/// [`db::Error`]; then nothing changed.
pub async fn store_watched(
    pool: &PgPool,
    claim: &Claim,
    checked: &[(i64, Vec<Finding>)],
) -> Result<Settled, db::Error> {
    let verdicts = Verdicts {
        checked: checked.to_vec(),
        ..Verdicts::default()
    };
    sqlx::query!(
        r#"SELECT cardinality(at_risk) AS "at_risk!" FROM pic_watched($1, $2, $3, $4)"#,
        &claim.requests,
        claim.token,
        interval(WATCH_EVERY),
        told(&verdicts),
    )
    .fetch_one(pool)
    .await?;
    Ok(Settled {
        watched: claim.len(),
        ..Settled::default()
    })
}

/// Begins to watch services that came into force while checks were off, spread over a day: those
/// after `after` in order of their internal numbers, 1,000 at most; the last of them, or `None` at
/// the end.
///
/// # Errors
///
/// [`db::Error`] when the database is away.
pub async fn begin_to_watch(pool: &PgPool, after: i64) -> Result<Option<i64>, db::Error> {
    let last = sqlx::query_scalar!(
        "WITH page AS (SELECT id FROM service WHERE id > $1 ORDER BY id LIMIT 1000),
              begun AS (
            INSERT INTO watch (request_id, due_at, checked_at)
            SELECT r.id, pic_now() + random() * $2::interval, r.ended_at
            FROM page s
            JOIN LATERAL (
                SELECT id, ended_at, kind FROM request
                WHERE service_id = s.id AND state = 'provisioned' ORDER BY id DESC LIMIT 1
            ) r ON r.kind <> 'cancel'
            ON CONFLICT (request_id) DO NOTHING
         )
         SELECT max(id) FROM page",
        after,
        interval(WATCH_EVERY),
    )
    .fetch_one(pool)
    .await?;
    Ok(last)
}
