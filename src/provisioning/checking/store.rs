//! Keeps and gives back claims, and stores what was found of what is in force.

pub mod jobs;
pub mod progress;

use std::time::Duration;

use uuid::Uuid;

use crate::{
    db::{self, PgPool, interval},
    provisioning::store::{Claim, Settled, Verdicts, WATCH_EVERY, told},
    readiness::Finding,
};

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
                SELECT id, ended_at, kind FROM pic_requests_of(s.id)
                WHERE state = 'provisioned' ORDER BY id DESC LIMIT 1
            ) r ON r.kind <> 'cancel' AND EXISTS (SELECT FROM route WHERE service_id = s.id)
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
