//! Reads requests by their references, many in one round trip.

use std::iter;

use chrono::{DateTime, Utc};
use sqlx::types::Json;

use super::{FullLookup, Lookup, SummaryLookup, Visitor};
use crate::{
    agreement::{AgreementNumber, Programme, ServiceId},
    db::{self, PgPool, batcher::BatchLoad},
    names::{AccessEdge, EdgeRoutes, SipDomain},
    readiness::Finding,
    request::{
        Deployment, Kind, State,
        reference::Reference,
        store::{Event, Request},
        summary::{OnGateways, Summary, store::look},
    },
    secret::SERVICE_SESSIONS,
};

/// The request with this reference; `None` when there is none.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable or a row is invalid.
pub async fn look_up(pool: &PgPool, reference: Reference) -> Result<Option<Request>, db::Error> {
    let look = Lookup {
        reference,
        session: None,
    };
    let found = FullLookup::load(pool, &[FullLookup(look)]).await?.pop();
    Ok(found.flatten().map(|(request, _)| request))
}

/// References and sessions, as columns for the statements.
fn columns(looks: impl Iterator<Item = Lookup> + Clone) -> (Vec<Reference>, Vec<Option<Vec<u8>>>) {
    let names = looks.clone().map(|look| look.reference);
    let hash = |look: Lookup| look.session.map(|token| token.hash().to_vec());
    (names.collect(), looks.map(hash).collect())
}

/// One result for each of `asked` queries: what was `found` under its number, from 1, or nothing.
fn in_order<A>(asked: usize, found: impl Iterator<Item = (i64, A)>) -> Vec<Option<A>> {
    let mut answers: Vec<_> = iter::repeat_with(|| None).take(asked).collect();
    for (place, answer) in found {
        let place = usize::try_from(place - 1).unwrap_or(usize::MAX);
        if let Some(slot) = answers.get_mut(place) {
            *slot = Some(answer);
        }
    }
    answers
}

/// A row of `load.sql`.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a column of the query"
)]
struct Row {
    place: i64,
    id: i64,
    service_id: i64,
    kind: Kind,
    deployment: Option<Deployment>,
    state: State,
    submitted_at: DateTime<Utc>,
    turn_at: DateTime<Utc>,
    programme: Programme,
    number: AgreementNumber,
    token: String,
    key_hash: Vec<u8>,
    now: DateTime<Utc>,
    superseded: bool,
    holds: bool,
    edges: Vec<AccessEdge>,
    domain_edges: Vec<i16>,
    domains: Vec<SipDomain>,
    /// The last first.
    events: Json<Vec<Event>>,
    lost: Vec<(SipDomain, DateTime<Utc>)>,
    findings: Json<Vec<Finding>>,
    due_at: Option<DateTime<Utc>>,
    checked_at: Option<DateTime<Utc>>,
    gateways: i32,
    live_on: i32,
    live_at: Option<DateTime<Utc>>,
    own: bool,
    unseen: bool,
}

impl BatchLoad for FullLookup {
    type Answer = Option<(Request, Visitor)>;

    async fn load(pool: &PgPool, questions: &[Self]) -> Result<Vec<Self::Answer>, db::Error> {
        let (names, sessions) = columns(questions.iter().map(|question| question.0));
        let rows = sqlx::query_file_as!(
            Row,
            "src/request/load.sql",
            &names as _,
            &sessions as _,
            db::interval(SERVICE_SESSIONS.absolute),
            db::interval(SERVICE_SESSIONS.idle),
        )
        .fetch_all(pool.retrying())
        .await?;
        let found = rows.into_iter().filter_map(|row| {
            let reference = *names.get(usize::try_from(row.place - 1).ok()?)?;
            Some((row.place, row.read(reference)))
        });
        Ok(in_order(questions.len(), found))
    }
}

impl Row {
    fn read(mut self, reference: Reference) -> (Request, Visitor) {
        let with_none = |edge| EdgeRoutes {
            edge,
            domains: Vec::new(),
        };
        let mut routes: Vec<_> = self.edges.into_iter().map(with_none).collect();
        for (edge, domain) in self.domain_edges.into_iter().zip(self.domains) {
            // Edges are numbered from 1 without a gap: SQL holds that.
            let place = usize::try_from(edge - 1).ok();
            if let Some(routes) = place.and_then(|place| routes.get_mut(place)) {
                routes.domains.push(domain);
            }
        }
        self.events.0.reverse();
        let request = Request {
            reference,
            kind: self.kind,
            service: ServiceId(self.service_id),
            deployment: self.deployment,
            state: self.state,
            submitted_at: self.submitted_at,
            turn_at: self.turn_at,
            programme: self.programme,
            number: self.number,
            token: self.token,
            routes,
            events: self.events.0,
            lost: self.lost,
            findings: self.findings.0,
            checked_at: self.checked_at,
            due_at: self.due_at,
            superseded: self.superseded,
            gateways: OnGateways {
                live: self.live_on,
                of: self.gateways,
                since: self.live_at,
            },
            holds: self.holds,
            now: self.now,
            id: self.id,
            key_hash: self.key_hash,
        };
        let visitor = Visitor {
            is_own: self.own,
            is_due: self.unseen,
        };
        (request, visitor)
    }
}

impl BatchLoad for SummaryLookup {
    type Answer = Option<(Summary, Visitor)>;

    async fn load(pool: &PgPool, questions: &[Self]) -> Result<Vec<Self::Answer>, db::Error> {
        let (names, sessions) = columns(questions.iter().map(|question| question.0));
        let seen = look(pool, &names, &[], &sessions).await?.into_iter();
        let found = seen.map(|seen| (seen.place, (seen.summary, seen.visitor)));
        Ok(in_order(questions.len(), found))
    }
}
