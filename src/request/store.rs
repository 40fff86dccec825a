//! Stores requests in the database, and reads them.

mod cancelled;
mod columns;
mod submission;
mod timeline;

use chrono::{DateTime, Utc};

pub use self::{
    cancelled::cancelled,
    submission::{ByStaff, Submission, Submitted, in_the_way, submit, submit_moved, submit_on},
    timeline::{Event, earlier},
};
use super::{Actor, Deployment, Facts, Kind, State, reference::Reference, summary::OnGateways};
use crate::{
    agreement::{AgreementNumber, Programme, ServiceId},
    db::{self, PgPool},
    names::{EdgeRoutes, SipDomain},
    readiness::{Finding, Severity},
    secret::ManagementKey,
};

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
    /// When the checks last ran; `None`: not yet, or it is not checked any more.
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

/// That whoever asks has shown that the request is theirs, by its key or its service's session.
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
