//! Reads requests and services for the support desk, and stores what agents do to them.
//!
//! Everything that staff open or do is recorded in the audit with it: what cannot be recorded is
//! not shown and not done. The actions of agents go the ways of administrators, with the
//! account that acts: `pic_end`, `pic_check_again` under the same lock as settling, and the
//! statement that stores what is submitted.

use std::{collections::HashMap, time::Duration};

use chrono::{DateTime, Utc};
use serde::Deserialize;
use sqlx::types::Json;

use crate::{
    agreement::{AgreementNumber, ServiceId},
    db::{self, PgPool, interval},
    names::SipDomain,
    readiness::Finding,
    request::{
        Actor, Asked, Reason,
        reference::{Reference, SubmissionId},
        store::{ByStaff, Submission},
    },
    secret::Secret,
    staff::{Action, CancelReason, Mark, Name, StaffId},
};

/// A domain that the request wants and another service has. SQL gives it as a JSON array, in the
/// order of the fields.
#[derive(Clone, Debug, Deserialize)]
pub struct Holder {
    /// The domain.
    pub domain: SipDomain,
    /// The service that holds it.
    pub service: i64,
    /// Its agreement number.
    pub number: AgreementNumber,
    /// The time since when it is in force there.
    pub since: DateTime<Utc>,
}

/// What staff see of a request in addition to what its administrator sees.
#[derive(Clone, Debug)]
pub struct Insight {
    /// The request's id, by which its place in a list is known.
    pub id: i64,
    /// The id of its service, for a link.
    pub service: i64,
    /// The first SIP domain that it is about; `None`: nothing is known any more.
    pub domain: Option<SipDomain>,
    /// How many SIP domains it is about.
    pub domains: i64,
    /// Whether it has been held by another service's domain for longer than the promise.
    pub held_long: bool,
    /// The background task has leased it until then.
    pub leased_until: Option<DateTime<Utc>>,
    /// The member of the staff behind entries of the timeline, by the entry's number.
    pub event_staff: HashMap<u32, Name>,
    /// Wanted domains that other services hold.
    pub holders: Vec<Holder>,
    /// Pending requests that want one of the same domains.
    pub rivals: Vec<(SipDomain, Reference)>,
    /// The service's other requests, newest first.
    pub others: Vec<Reference>,
    /// What staff have noted, with who did and when.
    pub marks: Vec<(Mark, Name, DateTime<Utc>)>,
}

/// Records that `staff` opens the request. `false`: there is none.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable; then the request must not be shown.
pub async fn look_at_request(
    pool: &PgPool,
    staff: StaffId,
    reference: Reference,
) -> Result<bool, db::Error> {
    let noted = sqlx::query!(
        "INSERT INTO staff_audit (staff_id, at, action, request_id)
         SELECT $1, pic_now(), $2, id FROM request WHERE reference = $3",
        staff.0,
        Action::Looked as _,
        reference as _,
    )
    .execute(pool)
    .await?;
    Ok(noted.rows_affected() == 1)
}

/// What staff see of an existing request; `promise` decides whether it has been held for long.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable, the request is gone, or a row is invalid.
pub async fn insight(
    pool: &PgPool,
    reference: Reference,
    promise: Duration,
) -> Result<Insight, db::Error> {
    let row = sqlx::query_file!(
        "src/staff/case/request.sql",
        reference as _,
        interval(promise)
    )
    .fetch_one(pool.retrying())
    .await?;
    Ok(Insight {
        id: row.id,
        service: row.service_id,
        domain: row.domain,
        domains: row.domains,
        held_long: row.held_long,
        leased_until: row.lease_until.filter(|_| row.leased),
        event_staff: row.event_staff.0.into_iter().collect(),
        holders: row.holders.0,
        rivals: row.rivals.0,
        others: row.others,
        marks: row.marks.0,
    })
}

// ---------------------------------------------------------------------------------------------
// What agents do

/// Queues another check of a request. `false`: it is neither pending nor in force.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable; it breaks `staff_may` when the account is no
/// longer an agent.
pub async fn check_again(
    pool: &PgPool,
    staff: StaffId,
    reference: Reference,
) -> Result<bool, db::Error> {
    let done = sqlx::query_scalar!(
        r#"SELECT pic_staff_check($1, $2) AS "done!""#,
        reference as _,
        staff.0
    )
    .fetch_one(pool)
    .await?;
    Ok(done)
}

/// Refuses a pending request. `false`: it has ended in the meantime.
///
/// # Errors
///
/// As [`check_again`].
pub async fn refuse(
    pool: &PgPool,
    staff: StaffId,
    reference: Reference,
    reason: Reason,
) -> Result<bool, db::Error> {
    end(pool, staff, reference, "rejected", Some(reason)).await
}

/// Withdraws a pending request for its administrator. `false`: it has ended in the meantime.
///
/// # Errors
///
/// As [`check_again`].
pub async fn withdraw(
    pool: &PgPool,
    staff: StaffId,
    reference: Reference,
) -> Result<bool, db::Error> {
    end(pool, staff, reference, "withdrawn", None).await
}

async fn end(
    pool: &PgPool,
    staff: StaffId,
    reference: Reference,
    how: &str,
    why: Option<Reason>,
) -> Result<bool, db::Error> {
    let done = sqlx::query_scalar!(
        r#"SELECT cardinality(pic_end(ARRAY(SELECT id FROM request WHERE reference = $1), $2, $3, $4, $5)) > 0 AS "done!""#,
        reference as _,
        how,
        why.map(Reason::as_str),
        Actor::Staff.as_str(),
        staff.0
    )
    .fetch_one(pool)
    .await?;
    Ok(done)
}

/// Sets or removes a mark. `false`: there is no such request.
///
/// # Errors
///
/// As [`check_again`].
pub async fn mark(
    pool: &PgPool,
    staff: StaffId,
    reference: Reference,
    mark: Mark,
    set: bool,
) -> Result<bool, db::Error> {
    let done = sqlx::query_scalar!(
        r#"SELECT pic_mark($1, $2, $3, $4) AS "done!""#,
        reference as _,
        staff.0,
        mark as _,
        set,
    )
    .fetch_one(pool)
    .await?;
    Ok(done)
}

/// What an agent sends for the administrator of `service`, to cancel it.
#[must_use]
pub fn cancellation(
    secret: &Secret,
    staff: StaffId,
    service: ServiceId,
    reason: CancelReason,
) -> Submission {
    let by_staff = Some(ByStaff {
        account: staff.0,
        reason: reason.as_str(),
    });
    let id = SubmissionId::random();
    Submission {
        by_staff,
        ..Submission::new(secret, &id, Asked::Cancel { service })
    }
}

// ---------------------------------------------------------------------------------------------
// Services

/// The period for which a service held a domain.
#[derive(Clone, Debug, Deserialize)]
pub struct Holding {
    /// The domain.
    pub domain: SipDomain,
    /// The service that held it.
    pub service: i64,
    /// Its agreement number.
    pub number: AgreementNumber,
    /// The time from which it was in force.
    pub since: DateTime<Utc>,
    /// The time until which it was in force; `None`: it still is.
    pub until: Option<DateTime<Utc>>,
}

impl Holding {
    /// Whether `next` begins where this one ends, for the same service.
    fn is_continued_by(&self, next: &Self) -> bool {
        self.domain == next.domain && self.service == next.service && self.until == Some(next.since)
    }
}

/// What staff see of a service in addition to what its owner sees.
#[derive(Clone, Debug)]
pub struct History {
    /// Public token, for the TXT record that gives it a domain.
    pub token: String,
    /// When its first request was submitted.
    pub created_at: DateTime<Utc>,
    /// The services that held its domains, by domain and time.
    pub holdings: Vec<Holding>,
    /// The request that was provisioned last.
    pub latest: Option<Reference>,
    /// What its checks have found since, without what is fine.
    pub findings: Vec<Finding>,
}

/// Records that `staff` opens the service. `false`: there is none.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable; then the service must not be shown.
pub async fn look_at_service(
    pool: &PgPool,
    staff: StaffId,
    service: ServiceId,
) -> Result<bool, db::Error> {
    let noted = sqlx::query!(
        "INSERT INTO staff_audit (staff_id, at, action, service_id)
         SELECT $1, pic_now(), $2, id FROM service WHERE id = $3",
        staff.0,
        Action::Looked as _,
        service.0,
    )
    .execute(pool)
    .await?;
    Ok(noted.rows_affected() == 1)
}

/// What staff see of an existing service.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable, the service is gone, or a row is invalid.
pub async fn history(pool: &PgPool, service: ServiceId) -> Result<History, db::Error> {
    let row = sqlx::query_file!("src/staff/case/service.sql", service.0)
        .fetch_one(pool.retrying())
        .await?;
    let mut holdings: Vec<Holding> = Vec::new();
    for holding in row.holdings.0 {
        // A request that changes other domains goes on with this one.
        match holdings.last_mut() {
            Some(last) if last.is_continued_by(&holding) => last.until = holding.until,
            _ => holdings.push(holding),
        }
    }
    Ok(History {
        token: row.token,
        created_at: row.created_at,
        holdings,
        latest: row.latest,
        findings: row.findings.0,
    })
}

// ---------------------------------------------------------------------------------------------
// The audit

/// A line of the audit.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The number of the line, from which the next page begins.
    pub id: i64,
    /// The account.
    pub name: Name,
    /// The time of the action.
    pub at: DateTime<Utc>,
    /// The action.
    pub action: Action,
    /// The request it was about.
    pub request: Option<Reference>,
    /// The service it was about.
    pub service: Option<i64>,
    /// The reason for a refusal or a cancellation.
    pub reason: Option<CancelReason>,
    /// The mark that was set or removed.
    pub mark: Option<Mark>,
    /// The database's time when this was read.
    pub now: DateTime<Utc>,
}

/// The audit before entry `before`, newest first, `most` lines at most; and the database's time.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable or a row is invalid.
pub async fn audit(pool: &PgPool, before: i64, most: usize) -> Result<Vec<Entry>, db::Error> {
    Ok(sqlx::query_as!(
        Entry,
        r#"SELECT a.id, s.name AS "name: Name", a.at, a.action AS "action: Action", r.reference AS "request?: Reference",
                  a.service_id AS service, a.reason AS "reason: CancelReason",
                  a.mark::text AS "mark: Mark", pic_now() AS "now!"
           FROM staff_audit a JOIN staff s ON s.id = a.staff_id LEFT JOIN request r ON r.id = a.request_id
           WHERE a.id < $1 ORDER BY a.id DESC LIMIT $2"#,
        before,
        i64::try_from(most).unwrap_or(i64::MAX),
    )
    .fetch_all(pool.retrying())
    .await?)
}

/// Records that `staff` downloads a list of requests.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable; then the list must not be sent.
pub async fn export(pool: &PgPool, staff: StaffId) -> Result<(), db::Error> {
    sqlx::query!(
        "INSERT INTO staff_audit (staff_id, at, action) VALUES ($1, pic_now(), $2)",
        staff.0,
        Action::Exported as _,
    )
    .execute(pool)
    .await?;
    Ok(())
}
