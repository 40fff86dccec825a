//! Claims what is due, and settles it.

mod claims;

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

pub use self::claims::{Claim, Place, claim};
use crate::{
    db::{self, PgPool, interval},
    names::SipDomain,
    readiness::{Evidence, Finding},
};

/// What is in force is looked at again after this, or up to a quarter earlier: each at a time of
/// its own.
pub const WATCH_EVERY: Duration = Duration::from_hours(24);

/// How long a request may take, for [`settle`].
#[derive(Clone, Copy, Debug)]
pub struct Waits {
    /// Rejected as expired after this (`PIC_EXPIRY`).
    pub expiry: Duration,
    /// First wait of a request that is held back (`PIC_RECHECK_FIRST`); doubles each time.
    pub first: Duration,
    /// Longest such wait (`PIC_RECHECK_MAX`).
    pub longest: Duration,
}

/// How many requests a settlement moved, and where to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// Provisioned: their routes are in force.
    pub provisioned: usize,
    /// Still pending, for a domain in force under another service.
    pub held: usize,
    /// Still pending, for what their checks found.
    pub waiting: usize,
    /// Rejected: the limit has passed.
    pub expired: usize,
    /// In force and looked at again.
    pub watched: usize,
}

impl std::ops::AddAssign for Settled {
    fn add_assign(&mut self, other: Self) {
        self.provisioned += other.provisioned;
        self.held += other.held;
        self.waiting += other.waiting;
        self.expired += other.expired;
        self.watched += other.watched;
    }
}

/// Proof that the owner of a domain's zone has spoken for a request's service
/// (`docs/design.md#whose-domain`): when the request is settled, the domain moves to that service.
#[derive(Clone, Debug)]
pub struct Proof {
    /// Internal number of the request.
    pub request: i64,
    /// The domain whose zone names the request's service.
    pub domain: SipDomain,
}

/// What the checks said of the requests of a claim. Empty: nothing was looked up, and nothing
/// stands against any of them.
#[derive(Clone, Debug, Default)]
pub struct Verdicts {
    /// Domains whose zones name the requesting service.
    pub proofs: Vec<Proof>,
    /// Requests that their checks hold back.
    pub blocked: Vec<i64>,
    /// Requests whose checks ran, with all that was found.
    pub checked: Vec<(i64, Vec<Finding>)>,
}

/// What checks said, as `pic_settle` and `pic_watched` take it: an array of `pic_verdict`.
pub(super) fn told(verdicts: &Verdicts) -> Value {
    let mut requests = BTreeMap::<i64, Told<'_>>::new();
    for request in &verdicts.blocked {
        requests.entry(*request).or_default().blocked = true;
    }
    for Proof { request, domain } in &verdicts.proofs {
        let told = requests.entry(*request).or_default();
        told.proven.push(domain.as_str());
    }
    for (request, findings) in &verdicts.checked {
        requests.entry(*request).or_default().findings = Some(written(findings));
    }
    let of = |(request, told): (i64, Told<'_>)| {
        json!({
            "request_id": request,
            "blocked": told.blocked,
            "proven": told.proven,
            "findings": told.findings,
        })
    };
    requests.into_iter().map(of).collect()
}

/// What checks said of one request.
#[derive(Default)]
struct Told<'a> {
    blocked: bool,
    proven: Vec<&'a str>,
    findings: Option<Value>,
}

/// Findings, each an array, as [`Finding`] is read.
pub(super) fn written(findings: &[Finding]) -> Value {
    let of = |finding: &Finding| {
        let found: Vec<_> = finding.found.iter().map(Evidence::as_str).collect();
        json!([
            finding.code.as_str(),
            finding.severity.as_str(),
            finding.subject.as_str(),
            finding.expected.as_str(),
            found,
        ])
    };
    findings.iter().map(of).collect()
}

/// Settles what `claim` still holds: state, routes, findings and events in one transaction and one
/// round trip. What the claim has lost, because its lease ran out, is left alone.
///
/// # Errors
///
/// [`db::Error`]; then nothing changed. [`db::Error::Conflict`]: call again.
pub async fn settle(
    pool: &PgPool,
    claim: &Claim,
    waits: &Waits,
    verdicts: &Verdicts,
) -> Result<Settled, db::Error> {
    let look = settle_these(pool, Some(claim), None, None, waits, told(verdicts)).await?;
    Ok(look.settled)
}

/// What one look at what is due came to, see [`settle_due`].
#[derive(Debug)]
pub struct BatchOutcome {
    /// What became of what it took.
    pub settled: Settled,
    /// Whether it took as many as it was to: there may be more.
    pub full: bool,
    /// Whether what it did made others due.
    pub again: bool,
    /// From when on to look next: what was due before was dealt with, but for what others have.
    pub next_since: Option<DateTime<Utc>>,
    /// For how long nothing else will be due, by the database's clock; `None`: nothing is waiting.
    pub idle: Option<Duration>,
}

/// Takes up to `most` pending requests that are due since then (`None`: since ever) and free, oldest
/// first, and settles them without look-ups, all by one statement, which needs no claim.
///
/// # Errors
///
/// [`db::Error`]; then nothing changed. [`db::Error::Conflict`]: call again.
pub async fn settle_due(
    pool: &PgPool,
    most: u32,
    since: Option<DateTime<Utc>>,
    waits: &Waits,
) -> Result<BatchOutcome, db::Error> {
    let most = i32::try_from(most).unwrap_or(i32::MAX);
    settle_these(pool, None, Some(most), since, waits, json!([])).await
}

/// Settles what a claim holds, or up to `most` of what is due.
async fn settle_these(
    pool: &PgPool,
    claim: Option<&Claim>,
    most: Option<i32>,
    since: Option<DateTime<Utc>>,
    waits: &Waits,
    told: Value,
) -> Result<BatchOutcome, db::Error> {
    let row = sqlx::query!(
        r#"SELECT provisioned AS "provisioned!", held AS "held!", waiting AS "waiting!", expired AS "expired!",
                  coalesce(full_batch, false) AS "full!", again AS "again!", next_since,
                  extract(epoch FROM idle)::float8 AS idle
           FROM pic_settle($1::bigint[], $2, $3, $4,
                           ROW($5::interval, $6::interval, $7::interval, $8::interval)::pic_waits, $9)"#,
        claim.map(|claim| &*claim.requests) as _,
        claim.map(|claim| claim.token),
        most,
        since,
        interval(waits.expiry),
        interval(waits.first),
        interval(waits.longest),
        interval(WATCH_EVERY),
        told,
    )
    .fetch_one(pool)
    .await?;
    let count = |n: i32| usize::try_from(n).unwrap_or_default();
    let idle =
        |seconds: f64| Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX);
    Ok(BatchOutcome {
        settled: Settled {
            provisioned: count(row.provisioned),
            held: count(row.held),
            waiting: count(row.waiting),
            expired: count(row.expired),
            watched: 0,
        },
        full: row.full,
        again: row.again,
        next_since: row.next_since,
        idle: row.idle.map(idle),
    })
}

/// Gives back what `claim` still holds and could not be settled: it is due after a wait that doubles
/// each time, or after the longest one where it is in force.
///
/// # Errors
///
/// [`db::Error`] when the database is away; then the leases run out.
pub async fn put_off(pool: &PgPool, claim: &Claim, waits: &Waits) -> Result<(), db::Error> {
    sqlx::query!(
        "WITH watched AS (
            UPDATE watch SET due_at = pic_now() + $4::interval, lease_token = NULL, lease_until = NULL
            WHERE request_id = ANY ($1) AND lease_token = $2
         )
         UPDATE work SET due_at = pic_now() + pic_back_off(attempts, $3::interval, $4::interval),
                         attempts = least(attempts + 1, 32000), lease_token = NULL, lease_until = NULL
         WHERE request_id = ANY ($1) AND lease_token = $2",
        &claim.requests,
        claim.token,
        interval(waits.first),
        interval(waits.longest),
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// For how long nothing will be due, by the database's clock; `None`: nothing is waiting.
/// `watching`: what is in force counts too.
///
/// # Errors
///
/// [`db::Error`] when the database is away.
pub async fn idle_for(pool: &PgPool, watching: bool) -> Result<Option<Duration>, db::Error> {
    // What is due already and still there is somebody else's until its lease is over; the next of
    // the others may be due before that.
    let row = sqlx::query!(
        r#"SELECT pic_now() AS "now!", least(
               (SELECT min(coalesce(lease_until, due_at)) FROM work WHERE due_at <= pic_now()),
               (SELECT due_at FROM work WHERE due_at > pic_now() ORDER BY due_at LIMIT 1),
               (SELECT min(coalesce(lease_until, due_at)) FROM watch WHERE $1 AND due_at <= pic_now()),
               (SELECT due_at FROM watch WHERE $1 AND due_at > pic_now() ORDER BY due_at LIMIT 1)
           ) AS due_at"#,
        watching,
    )
    .fetch_one(pool.retrying())
    .await?;
    let until = |due: DateTime<Utc>| (due - row.now).to_std().unwrap_or_default();
    Ok(row.due_at.map(until))
}

/// Notes that a process is there, for how long, and when its background task last got through a
/// turn; what time it is by the database's clock.
///
/// # Errors
///
/// [`db::Error`] when the database is away.
pub async fn show_instance(
    pool: &PgPool,
    instance: Uuid,
    since_start: Duration,
    since_turn: Duration,
) -> Result<DateTime<Utc>, db::Error> {
    let now = sqlx::query_scalar!(
        r#"SELECT pic_now() AS "now!" FROM pic_show_instance($1, $2, $3::interval, $4::interval)"#,
        instance,
        env!("CARGO_PKG_VERSION"),
        interval(since_start),
        interval(since_turn),
    )
    .fetch_one(pool)
    .await?;
    Ok(now)
}

/// Notes that a process has stopped.
///
/// # Errors
///
/// [`db::Error`] when the database is away.
pub async fn hide_instance(pool: &PgPool, instance: Uuid) -> Result<(), db::Error> {
    sqlx::query!("DELETE FROM instance WHERE id = $1", instance)
        .execute(pool)
        .await?;
    Ok(())
}
