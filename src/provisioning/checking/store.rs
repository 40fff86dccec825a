//! What is there to look at in a request, and what was found of what is in force?

use std::{collections::BTreeMap, time::Duration};

use uuid::Uuid;

use crate::{
    db::{self, Impossible, PgPool, interval},
    names::{AccessEdge, SipDomain},
    provisioning::store::{Claim, Columns, Settled},
    readiness::Finding,
};

/// What is in force is looked at again after this, or up to a quarter earlier: each at a time of
/// its own.
pub const WATCH_EVERY: Duration = Duration::from_hours(24);

/// Claims up to `most` requests whose routes are in force and which are due and free, oldest first,
/// for the time of `lease`.
///
/// # Errors
///
/// [`db::Error`] when the database is away.
pub async fn claim_watched(pool: &PgPool, most: u32, lease: Duration) -> Result<Claim, db::Error> {
    let token = Uuid::new_v4();
    let requests = sqlx::query_scalar!(
        r#"
        UPDATE watch SET lease_token = $1, lease_until = pic_now() + $2::interval, again = false
        WHERE request_id IN (
            SELECT request_id FROM watch
            WHERE due_at <= pic_now() AND (lease_until IS NULL OR lease_until <= pic_now())
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

/// What there is to look at in one request.
#[derive(Clone, Debug)]
pub struct Job {
    /// Internal number of the request.
    pub request: i64,
    /// Its service's token, which proves a domain to be its own.
    pub token: String,
    /// The routes by edge, those wanted or those in force; a cancel has none.
    pub routes: Vec<(AccessEdge, Vec<SipDomain>)>,
    /// Its domains that are in force under another service.
    pub held: Vec<SipDomain>,
    /// Its domains that are in force under no service.
    pub free: Vec<SipDomain>,
    /// Its limit has passed: there is nothing to look at any more.
    pub expired: bool,
}

/// What there is to look at in the pending requests of `claim`.
///
/// # Errors
///
/// [`db::Error`] when the database is away or a row is impossible.
pub async fn wanted(pool: &PgPool, claim: &Claim, expiry: Duration) -> Result<Vec<Job>, db::Error> {
    let rows = sqlx::query!(
        r#"
        SELECT r.id, s.token, r.submitted_at + $2::interval <= pic_now() AS "expired!",
               array_agg(e.access_edge::text ORDER BY d.sip_domain) FILTER (WHERE d.sip_domain IS NOT NULL) AS edges,
               array_agg(d.sip_domain::text ORDER BY d.sip_domain) FILTER (WHERE d.sip_domain IS NOT NULL) AS domains,
               array_agg(x.sip_domain::text) FILTER (WHERE x.service_id <> r.service_id) AS held,
               array_agg(d.sip_domain::text) FILTER (WHERE d.sip_domain IS NOT NULL AND x.sip_domain IS NULL) AS free
        FROM request r
        JOIN service s ON s.id = r.service_id
        LEFT JOIN request_route d ON d.request_id = r.id
        LEFT JOIN request_edge e ON e.request_id = r.id AND e.ordinal = d.edge
        LEFT JOIN route x ON x.sip_domain = d.sip_domain
        WHERE r.id = ANY ($1)
        GROUP BY r.id, s.id
        "#,
        &claim.requests,
        interval(expiry),
    )
    .fetch_all(pool.again())
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Job {
                request: row.id,
                token: row.token,
                routes: by_edge(
                    row.id,
                    row.edges.unwrap_or_default(),
                    row.domains.unwrap_or_default(),
                )?,
                held: domains(row.id, row.held.unwrap_or_default())?,
                free: domains(row.id, row.free.unwrap_or_default())?,
                expired: row.expired,
            })
        })
        .collect()
}

/// What there is to look at in what `claim` holds of what is in force. A service that has lost all
/// its domains has nothing to look at.
///
/// # Errors
///
/// [`db::Error`] when the database is away or a row is impossible.
pub async fn in_force(pool: &PgPool, claim: &Claim) -> Result<Vec<Job>, db::Error> {
    let rows = sqlx::query!(
        r#"
        SELECT r.id, s.token,
               array_agg(x.access_edge::text ORDER BY x.sip_domain) FILTER (WHERE x.sip_domain IS NOT NULL) AS edges,
               array_agg(x.sip_domain::text ORDER BY x.sip_domain) FILTER (WHERE x.sip_domain IS NOT NULL) AS domains
        FROM request r
        JOIN service s ON s.id = r.service_id
        LEFT JOIN route x ON x.service_id = r.service_id
        WHERE r.id = ANY ($1)
        GROUP BY r.id, s.id
        "#,
        &claim.requests,
    )
    .fetch_all(pool.again())
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Job {
                request: row.id,
                token: row.token,
                routes: by_edge(
                    row.id,
                    row.edges.unwrap_or_default(),
                    row.domains.unwrap_or_default(),
                )?,
                held: Vec::new(),
                free: Vec::new(),
                expired: false,
            })
        })
        .collect()
}

fn domains(id: i64, names: Vec<String>) -> Result<Vec<SipDomain>, Impossible> {
    let impossible = |_| Impossible {
        table: "request_route",
        column: "sip_domain",
        id: Some(id),
    };
    names
        .into_iter()
        .map(|name| SipDomain::from_database(name).map_err(impossible))
        .collect()
}

fn by_edge(
    id: i64,
    edges: Vec<String>,
    names: Vec<String>,
) -> Result<Vec<(AccessEdge, Vec<SipDomain>)>, Impossible> {
    let impossible = |_| Impossible {
        table: "request_edge",
        column: "access_edge",
        id: Some(id),
    };
    let mut routes = BTreeMap::<AccessEdge, Vec<SipDomain>>::new();
    for (edge, domain) in edges.into_iter().zip(domains(id, names)?) {
        let edge = AccessEdge::from_database(edge).map_err(impossible)?;
        routes.entry(edge).or_default().push(domain);
    }
    Ok(routes.into_iter().collect())
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
    let found = Columns::of(checked);
    sqlx::query!(
        r#"SELECT cardinality(at_risk) AS "at_risk!" FROM pic_watched($1, $2, $3, $4, $5, $6, $7, $8, $9)"#,
        &claim.requests,
        claim.token,
        interval(WATCH_EVERY),
        &found.request,
        &found.code as _,
        &found.subject,
        &found.severity as _,
        &found.expected,
        &found.found,
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
