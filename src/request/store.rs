//! Stores requests in the database, and reads them.

mod cancelled;
mod columns;
mod timeline;

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use self::columns::Columns;
pub use self::{
    cancelled::cancelled,
    timeline::{Event, earlier},
};
use super::{
    Actor, Asked, Deployment, Facts, Kind, State,
    reference::{Reference, SubmissionId},
};
use crate::{
    agreement::{AgreementNumber, Programme, ServiceId},
    db::{self, Fault, PgPool},
    names::{EdgeRoutes, SipDomain},
    readiness::{Finding, Severity},
    request::summary::OnGateways,
    secret::{ManagementKey, Secret},
};

/// One filled-in form, ready to be stored.
#[derive(Debug)]
pub struct Submission {
    /// The reference of the request. It tells a retry from a new submission.
    pub reference: Reference,
    /// What is asked.
    pub asked: Asked,
    /// The management key, if the request makes a new service.
    pub key: ManagementKey,
    /// Who of the staff cancels for the administrator.
    pub by_staff: Option<ByStaff>,
}

/// The account that cancels a service for its administrator, and why, for the audit.
#[derive(Clone, Copy, Debug)]
pub struct ByStaff {
    /// The internal number of the account.
    pub account: i64,
    /// The reason.
    pub reason: &'static str,
}

impl Submission {
    /// What an administrator asks by the form with this `id`.
    #[must_use]
    pub fn new(secret: &Secret, id: &SubmissionId, asked: Asked) -> Self {
        Self {
            reference: Reference::derive(secret, id),
            asked,
            key: ManagementKey::derive(secret, id.as_bytes()),
            by_staff: None,
        }
    }
}

/// The result of a submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Submitted {
    /// It is stored, by this call or by an earlier one with the same content.
    Stored {
        /// The reference of the request.
        reference: Reference,
        /// Whether this call stored it.
        created: bool,
    },
    /// Other content was stored under this submission id before.
    AlreadySent {
        /// The reference of the earlier request.
        reference: Reference,
    },
    /// The service has a pending request, and can have only one.
    Pending {
        /// The reference of the pending request.
        reference: Reference,
    },
}

impl Submitted {
    /// Whether there is new work for the background task.
    #[must_use]
    pub const fn is_new(&self) -> bool {
        matches!(self, Self::Stored { created: true, .. })
    }
}

/// Stores `submissions` as pending requests: one statement, one round trip if all of them are new.
/// They are durable when this returns. The results are in the order of the slice.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable or refuses. All of them may be sent again: each
/// is stored once.
pub async fn submit(
    pool: &PgPool,
    submissions: &[Submission],
) -> Result<Vec<Submitted>, db::Error> {
    pool.in_time(async {
        let mut held = pool.acquire().await?;
        let answers = submit_on(&mut held, submissions).await?;
        held.give_back();
        Ok(answers)
    })
    .await
}

/// The most rounds of [`submit_on`].
const ROUNDS: usize = 20;

/// [`submit`] on a connection of the caller's, which has no transaction open. A submission that
/// makes no new request costs a second round trip, which finds the reason.
///
/// # Errors
///
/// As of [`submit`].
pub async fn submit_on(
    connection: &mut PgConnection,
    submissions: &[Submission],
) -> Result<Vec<Submitted>, db::Error> {
    let mut answers = vec![None; submissions.len()];
    let mut open: Vec<usize> = (0..submissions.len()).collect();
    // A row that another transaction stored at the same moment may block a submission and not be
    // visible yet; the next round sees it. So each round but the first follows a commit of another
    // transaction.
    for _ in 0..ROUNDS {
        if open.is_empty() {
            return Ok(answers.into_iter().flatten().collect());
        }
        let turn = first_of_each_service(submissions, &open);
        let members = turn.iter().map(|&member| &submissions[member]);
        let new = store_new(connection, members, None).await?;
        for (&member, id) in turn.iter().zip(new) {
            let reference = submissions[member].reference;
            answers[member] = (id > 0).then_some(Submitted::Stored {
                reference,
                created: true,
            });
        }
        open.retain(|&member| answers[member].is_none());
        if !open.is_empty() {
            let members = open.iter().map(|&member| &submissions[member]);
            for (place, answer) in in_the_way(connection, members).await? {
                if let Some(&member) = open.get(place) {
                    answers[member] = Some(answer);
                }
            }
            open.retain(|&member| answers[member].is_none());
        }
    }
    Err(db::Error::Conflict(Fault::Client(
        "others submit to the same services again and again",
    )))
}

/// Whether the request with this reference was stored before.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable.
pub async fn was_sent(pool: &PgPool, reference: Reference) -> Result<bool, db::Error> {
    let sent = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM request WHERE reference = $1) AS "sent!""#,
        reference as _
    )
    .fetch_one(pool.retrying())
    .await?;
    Ok(sent)
}

/// Those of `open` to be stored now: of several for one service the first is stored, and blocks the
/// others.
fn first_of_each_service(submissions: &[Submission], open: &[usize]) -> Vec<usize> {
    let mut services = HashSet::new();
    let is_first = |&member: &usize| {
        let service = submissions[member].asked.service();
        service.is_none_or(|service| services.insert(service.0))
    };
    open.iter().copied().filter(is_first).collect()
}

/// Stores requests that come from an older portal, in the caller's transaction: pending, submitted by
/// the portal, each at its time in `times` or else now. Returns the internal number of each; 0: one
/// with its reference is stored.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable or refuses.
pub async fn submit_moved(
    connection: &mut PgConnection,
    submissions: &[Submission],
    times: &[Option<DateTime<Utc>>],
) -> Result<Vec<i64>, db::Error> {
    store_new(connection, submissions.iter(), Some(times)).await
}

/// Stores those that nothing blocks; returns the internal number of each new request; 0: it made
/// none. `times`: as of [`submit_moved`].
async fn store_new(
    connection: &mut PgConnection,
    submissions: impl Iterator<Item = &Submission>,
    times: Option<&[Option<DateTime<Utc>>]>,
) -> Result<Vec<i64>, db::Error> {
    let batch = Columns::of(submissions);
    let made = sqlx::query_file_scalar!(
        "src/request/submit.sql",
        &batch.kind as _,
        &batch.service_id as _,
        &batch.programme as _,
        &batch.number as _,
        &batch.token,
        &batch.key_hash as _,
        &batch.reference as _,
        &batch.deployment as _,
        &batch.content_hash as _,
        &batch.staff as _,
        &batch.why as _,
        &batch.member,
        &batch.edge,
        &batch.place,
        &batch.access_edge as _,
        &batch.sip_domain as _,
        times as _,
    )
    .fetch_one(connection)
    .await?;
    Ok(made)
}

/// Why submissions make no request, each with its index from 0; those that nothing is in the way of,
/// or nothing that is visible yet, are left out.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable or a row is invalid.
pub async fn in_the_way(
    connection: &mut PgConnection,
    submissions: impl Iterator<Item = &Submission>,
) -> Result<Vec<(usize, Submitted)>, db::Error> {
    let (mut references, mut contents, mut services) = (Vec::new(), Vec::new(), Vec::new());
    for submission in submissions {
        references.push(submission.reference);
        contents.push(submission.asked.content_hash());
        services.push(submission.asked.service().map(|service| service.0));
    }
    let rows = sqlx::query_file!(
        "src/request/submitted.sql",
        &references as _,
        &contents as _,
        &services as _
    )
    .fetch_all(connection)
    .await?;
    let mut answers = Vec::with_capacity(rows.len());
    for row in rows {
        let reference = row.reference;
        let answer = match (row.same, row.pending) {
            (Some(true), _) => Submitted::Stored {
                reference,
                created: false,
            },
            (Some(false), _) => Submitted::AlreadySent { reference },
            (None, Some(reference)) => Submitted::Pending { reference },
            (None, None) => continue,
        };
        answers.push((usize::try_from(row.place - 1).unwrap_or(usize::MAX), answer));
    }
    Ok(answers)
}

/// A stored request with everything that its pages show.
#[derive(Clone, Debug)]
pub struct Request {
    /// The public reference.
    pub reference: Reference,
    /// What was asked for.
    pub kind: Kind,
    /// The service it is about.
    pub service: ServiceId,
    /// Where the users are homed; a cancel does not say.
    pub deployment: Option<Deployment>,
    /// The stored state.
    pub state: State,
    /// When it was stored.
    pub submitted_at: DateTime<Utc>,
    /// While it is pending, since when it is the turn of whoever has to act.
    pub turn_at: DateTime<Utc>,
    /// Licensing programme of the service.
    pub programme: Programme,
    /// Agreement number of the service.
    pub number: AgreementNumber,
    /// Public token of the service, for the TXT record that gives it a domain.
    pub token: String,
    /// The wanted routes, by edge in the order given.
    pub routes: Vec<EdgeRoutes>,
    /// The last [`MOST_EVENTS`](super::MOST_EVENTS) entries of the timeline, oldest first.
    pub events: Vec<Event>,
    /// The domains that went over to another service since it was provisioned, and when, in
    /// alphabetical order.
    pub lost: Vec<(SipDomain, DateTime<Utc>)>,
    /// Whether its service has anything in force.
    pub holds: bool,
    /// What the last checks found, by subject.
    pub findings: Vec<Finding>,
    /// When the checks last ran; `None`: not yet.
    pub checked_at: Option<DateTime<Utc>>,
    /// When it is checked next; `None` once it has ended and is not in force.
    pub due_at: Option<DateTime<Utc>>,
    /// Whether a later request of the service has been provisioned.
    pub superseded: bool,
    /// On how many gateways its routes are live.
    pub gateways: OnGateways,
    /// The database's time when this was read.
    pub now: DateTime<Utc>,
    pub(super) id: i64,
    pub(super) key_hash: Vec<u8>,
}

impl Request {
    /// Whether `key` is the management key of its service, in constant time.
    #[must_use]
    pub fn opened_by_key(&self, key: &ManagementKey) -> Option<Opened> {
        key.matches(&self.key_hash).then_some(Opened(()))
    }

    /// Whether `service`, to which the client is signed in, is the request's service.
    #[must_use]
    pub fn opened_by_service(&self, service: ServiceId) -> Option<Opened> {
        (self.service == service).then_some(Opened(()))
    }

    /// What its standing is derived from.
    #[must_use]
    pub fn facts(&self) -> Facts {
        Facts {
            state: self.state,
            kind: self.kind,
            submitted_at: self.submitted_at,
            turn_at: self.turn_at,
            blocked: self
                .findings
                .iter()
                .any(|finding| finding.severity == Severity::Blocking),
            superseded: self.superseded,
            moved_away: (!self.lost.is_empty()).then_some(!self.holds),
        }
    }
}

/// A finding as the database gives it: code, severity, subject, expected, found.
#[derive(Clone, Copy, Debug)]
pub struct Opened(());

/// Withdraws `request`, and returns whether it did: it may have ended in the meantime. If the
/// background task settles it at the same moment, it comes first or not at all: both lock the
/// request's row in `work`.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable or refuses; then nothing has changed.
pub async fn withdraw(pool: &PgPool, request: &Request, _: Opened) -> Result<bool, db::Error> {
    let done = sqlx::query_scalar!(
        r#"SELECT cardinality(pic_end(ARRAY[$1::bigint], 'withdrawn', NULL, $2)) > 0 AS "done!""#,
        request.id,
        Actor::Administrator as _,
    )
    .fetch_one(pool)
    .await?;
    Ok(done)
}

/// Whether `domain` is in force; nothing else about a domain is public (`docs/design.md#contract`).
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable.
pub async fn in_force(pool: &PgPool, domain: &SipDomain) -> Result<bool, db::Error> {
    let found = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM route WHERE sip_domain = $1::text) AS "found!""#,
        domain.as_str()
    )
    .fetch_one(pool.retrying())
    .await?;
    Ok(found)
}

/// The wanted domains of `request` that are not in force under its service, in alphabetical order.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable or a row is invalid.
pub async fn new_domains(pool: &PgPool, request: &Request) -> Result<Vec<SipDomain>, db::Error> {
    let domains = sqlx::query_scalar!(
        r#"SELECT d.sip_domain AS "domain: SipDomain" FROM request_route d
           WHERE d.request_id = $1 AND NOT EXISTS (
               SELECT FROM route x WHERE x.sip_domain = d.sip_domain AND x.service_id = $2)
           ORDER BY d.sip_domain"#,
        request.id,
        request.service.0,
    )
    .fetch_all(pool.retrying())
    .await?;
    Ok(domains)
}

/// The shortest time between two checks of one request that people ask for: an edge's certificate
/// is not read more often anyway.
pub const AGAIN_AFTER: std::time::Duration = crate::readiness::engine::SHARED_FOR;

/// Makes `request` due now, whether it is pending or in force; `false`: it was checked a moment
/// ago, or is no longer checked.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable.
pub async fn check_again(pool: &PgPool, request: &Request) -> Result<bool, db::Error> {
    let done = sqlx::query_scalar!(
        r#"SELECT pic_check_again($1, $2) AS "done!""#,
        request.id,
        db::interval(AGAIN_AFTER),
    )
    .fetch_one(pool)
    .await?;
    Ok(done)
}
