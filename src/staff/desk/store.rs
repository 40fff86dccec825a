//! What does the desk know of a request or a service, and what does it do to it?
//!
//! Whatever is looked at or done is in the audit with it: what cannot be recorded is not shown and
//! not done. What agents do is done by functions of the database
//! (`migrations/0004_staff.sql`), under the lock that settling takes.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use sqlx::types::Json;

use crate::{
    agreement::{AgreementNumber, ServiceId},
    db::{self, Impossible, PgPool},
    names::SipDomain,
    readiness::Finding,
    request::{
        Actor, Asked, Reason,
        reference::{Reference, SubmissionId},
        store::StoredFinding,
    },
    staff::{Action, CancelReason, Name, StaffId},
};

/// A domain that the request wants and another service has.
#[derive(Clone, Debug)]
pub struct Holder {
    /// The domain.
    pub domain: SipDomain,
    /// The service that has it.
    pub service: i64,
    /// Its agreement number.
    pub number: AgreementNumber,
    /// Since when.
    pub since: DateTime<Utc>,
}

/// What the desk sees of a request beyond what its administrator sees.
#[derive(Clone, Debug)]
pub struct Insight {
    /// The service, for its own page.
    pub service: i64,
    /// How often it was looked at in vain; `None`: it has ended.
    pub attempts: Option<i16>,
    /// A background task is at it until then.
    pub leased_until: Option<DateTime<Utc>>,
    /// Who of the staff did what the timeline tells, by its place there.
    pub event_staff: HashMap<u32, Name>,
    /// Domains that other services have.
    pub holders: Vec<Holder>,
    /// Pending requests that want one of its domains too.
    pub rivals: Vec<(SipDomain, Reference)>,
    /// The service's other requests, newest first.
    pub others: Vec<Reference>,
}

/// Records that `staff` looks at the request. `false`: there is none.
///
/// # Errors
///
/// [`db::Error`] when the database is away; then it is not to be shown.
pub async fn look_at_request(
    pool: &PgPool,
    staff: StaffId,
    reference: Reference,
) -> Result<bool, db::Error> {
    let noted = sqlx::query!(
        "INSERT INTO staff_audit (staff_id, at, action, request_id)
         SELECT $1, pic_now(), $2, id FROM request WHERE reference = $3",
        staff.0,
        Action::Looked.as_str(),
        reference.to_string(),
    )
    .execute(pool)
    .await?;
    Ok(noted.rows_affected() == 1)
}

/// What the desk sees of a request that there is.
///
/// # Errors
///
/// [`db::Error`] when the database is away, the request is gone, or a row is impossible.
pub async fn insight(pool: &PgPool, reference: Reference) -> Result<Insight, db::Error> {
    let row = sqlx::query_file!("src/staff/desk/request.sql", reference.to_string())
        .fetch_one(pool.again())
        .await?;
    let impossible = |table, column| Impossible {
        table,
        column,
        id: Some(row.id),
    };
    let domain = |name: String| {
        SipDomain::from_database(name).map_err(|_| impossible("request_route", "sip_domain"))
    };
    let reference = |text: &str| Reference::parse(text).ok_or(impossible("request", "reference"));
    let holders = row
        .holders
        .0
        .into_iter()
        .map(|(name, service, number, since)| {
            Ok(Holder {
                domain: domain(name)?,
                service,
                number: AgreementNumber::from_database(&number)
                    .map_err(|_| impossible("service", "number"))?,
                since,
            })
        });
    let rivals = row.rivals.0.into_iter();
    let rivals = rivals.map(|(name, rival)| Ok((domain(name)?, reference(&rival)?)));
    let event_staff = row.event_staff.0.into_iter().map(|(seq, name)| {
        let name = Name::parse(&name).map_err(|_| impossible("staff", "name"))?;
        Ok((seq, name))
    });
    Ok(Insight {
        service: row.service_id,
        attempts: row.attempts,
        leased_until: row.lease_until.filter(|_| row.leased),
        event_staff: event_staff.collect::<Result<_, Impossible>>()?,
        holders: holders.collect::<Result<_, Impossible>>()?,
        rivals: rivals.collect::<Result<_, Impossible>>()?,
        others: row
            .others
            .iter()
            .map(|text| reference(text))
            .collect::<Result<_, Impossible>>()?,
    })
}

// ---------------------------------------------------------------------------------------------
// What agents do

/// Has a request looked at again at once. `false`: it is neither pending nor in force.
///
/// # Errors
///
/// [`db::Error`] when the database is away; it breaks `staff_may` when the account is no agent by
/// now.
pub async fn check_again(
    pool: &PgPool,
    staff: StaffId,
    reference: Reference,
) -> Result<bool, db::Error> {
    let done = sqlx::query_scalar!(
        r#"SELECT pic_staff_check($1, $2) AS "done!""#,
        reference.to_string(),
        staff.0
    )
    .fetch_one(pool)
    .await?;
    Ok(done)
}

/// Refuses a pending request for good. `false`: it has ended in the meantime.
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

/// Takes a pending request back for its administrator. `false`: it has ended in the meantime.
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
        reference.to_string(),
        how,
        why.map(Reason::as_str),
        Actor::Staff.as_str(),
        staff.0
    )
    .fetch_one(pool)
    .await?;
    Ok(done)
}

/// What became of a cancellation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancelled {
    /// The request that cancels is stored under this name.
    Stored(Reference),
    /// Nothing is in force.
    NothingInForce,
    /// A request of the service is pending.
    Pending,
}

/// Stores a request that cancels the service for its owner.
///
/// # Errors
///
/// As [`check_again`].
pub async fn cancel(
    pool: &PgPool,
    staff: StaffId,
    service: ServiceId,
    reason: CancelReason,
) -> Result<Cancelled, db::Error> {
    let reference = Reference::random();
    let outcome = sqlx::query_scalar!(
        r#"SELECT pic_staff_cancel($1, $2, $3::bytea, $4::bytea, $5, $6) AS "outcome!""#,
        service.0,
        reference.to_string(),
        &SubmissionId::random().hash(),
        &Asked::Cancel { service }.content_hash(),
        reason.as_str(),
        staff.0,
    )
    .fetch_one(pool)
    .await?;
    Ok(match outcome.as_str() {
        "stored" => Cancelled::Stored(reference),
        "nothing" => Cancelled::NothingInForce,
        _ => Cancelled::Pending,
    })
}

// ---------------------------------------------------------------------------------------------
// Services

/// For how long a service held a domain.
#[derive(Clone, Debug)]
pub struct Spell {
    /// The domain.
    pub domain: SipDomain,
    /// The service.
    pub service: i64,
    /// Its agreement number.
    pub number: AgreementNumber,
    /// From when.
    pub since: DateTime<Utc>,
    /// Until when; `None`: it still does.
    pub until: Option<DateTime<Utc>>,
}

/// A spell as the database gives it: domain, service, number, since, until.
#[derive(Debug, Deserialize)]
struct StoredSpell(String, i64, String, DateTime<Utc>, Option<DateTime<Utc>>);

/// What the desk sees of a service beyond what its owner sees.
#[derive(Clone, Debug)]
pub struct History {
    /// Public token, for the TXT record that gives it a domain.
    pub token: String,
    /// When its first request was submitted.
    pub created_at: DateTime<Utc>,
    /// Who held its domains when, by domain and time.
    pub spells: Vec<Spell>,
    /// The request that was provisioned last.
    pub latest: Option<Reference>,
    /// What its checks have found since, what is fine left out.
    pub findings: Vec<Finding>,
}

/// Records that `staff` looks at the service. `false`: there is none.
///
/// # Errors
///
/// [`db::Error`] when the database is away; then it is not to be shown.
pub async fn look_at_service(
    pool: &PgPool,
    staff: StaffId,
    service: ServiceId,
) -> Result<bool, db::Error> {
    let noted = sqlx::query!(
        "INSERT INTO staff_audit (staff_id, at, action, service_id)
         SELECT $1, pic_now(), $2, id FROM service WHERE id = $3",
        staff.0,
        Action::Looked.as_str(),
        service.0,
    )
    .execute(pool)
    .await?;
    Ok(noted.rows_affected() == 1)
}

/// What the desk sees of a service that there is.
///
/// # Errors
///
/// [`db::Error`] when the database is away, the service is gone, or a row is impossible.
pub async fn history(pool: &PgPool, service: ServiceId) -> Result<History, db::Error> {
    let row = sqlx::query_file!("src/staff/desk/service.sql", service.0)
        .fetch_one(pool.again())
        .await?;
    let impossible = |table, column| Impossible {
        table,
        column,
        id: Some(service.0),
    };
    let mut spells: Vec<Spell> = Vec::new();
    for StoredSpell(domain, service, number, since, until) in row.spells.0 {
        // A request that changes other domains goes on with this one.
        if let Some(last) = spells.last_mut()
            && last.domain.as_str() == domain
            && last.service == service
            && last.until == Some(since)
        {
            last.until = until;
            continue;
        }
        spells.push(Spell {
            domain: SipDomain::from_database(domain)
                .map_err(|_| impossible("request_route", "sip_domain"))?,
            service,
            number: AgreementNumber::from_database(&number)
                .map_err(|_| impossible("service", "number"))?,
            since,
            until,
        });
    }
    let findings = row.findings.0.into_iter();
    Ok(History {
        token: row.token,
        created_at: row.created_at,
        spells,
        latest: row
            .latest
            .map(|text| Reference::parse(&text).ok_or(impossible("request", "reference")))
            .transpose()?,
        findings: findings
            .map(|stored| stored.read().ok_or(impossible("finding", "code")))
            .collect::<Result<_, _>>()?,
    })
}

// ---------------------------------------------------------------------------------------------
// The audit

/// A line of the audit.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Where the next page begins.
    pub id: i64,
    /// Who.
    pub name: Name,
    /// When.
    pub at: DateTime<Utc>,
    /// What.
    pub action: Action,
    /// The request it was about.
    pub request: Option<Reference>,
    /// The service it was about.
    pub service: Option<i64>,
    /// Why, of a refusal or a cancellation.
    pub reason: Option<CancelReason>,
}

/// The audit before entry `before`, newest first, `most` lines at most; with the database's time.
///
/// # Errors
///
/// [`db::Error`] when the database is away or a row is impossible.
pub async fn audit(
    pool: &PgPool,
    before: i64,
    most: usize,
) -> Result<(Vec<Entry>, DateTime<Utc>), db::Error> {
    let rows = sqlx::query!(
        r#"SELECT a.id, s.name, a.at, a.action, r.reference AS "reference?", a.service_id, a.reason, pic_now() AS "now!"
           FROM staff_audit a JOIN staff s ON s.id = a.staff_id LEFT JOIN request r ON r.id = a.request_id
           WHERE a.id < $1 ORDER BY a.id DESC LIMIT $2"#,
        before,
        i64::try_from(most).unwrap_or(i64::MAX),
    )
    .fetch_all(pool.again())
    .await?;
    let now = rows.first().map_or(DateTime::<Utc>::MIN_UTC, |row| row.now);
    let entries = rows.into_iter().map(|row| {
        let impossible = |column| Impossible {
            table: "staff_audit",
            column,
            id: Some(row.id),
        };
        Ok(Entry {
            id: row.id,
            name: Name::parse(&row.name).map_err(|_| impossible("staff_id"))?,
            at: row.at,
            action: Action::parse(&row.action).ok_or(impossible("action"))?,
            request: row
                .reference
                .map(|text| Reference::parse(&text).ok_or(impossible("request_id")))
                .transpose()?,
            service: row.service_id,
            reason: row
                .reason
                .map(|name| CancelReason::parse(&name).ok_or(impossible("reason")))
                .transpose()?,
        })
    });
    Ok((entries.collect::<Result<_, Impossible>>()?, now))
}

/// Records that `staff` takes a list of requests along.
///
/// # Errors
///
/// [`db::Error`] when the database is away; then it is not to be given.
pub async fn export(pool: &PgPool, staff: StaffId) -> Result<(), db::Error> {
    sqlx::query!(
        "INSERT INTO staff_audit (staff_id, at, action) VALUES ($1, pic_now(), $2)",
        staff.0,
        Action::Exported.as_str(),
    )
    .execute(pool)
    .await?;
    Ok(())
}
