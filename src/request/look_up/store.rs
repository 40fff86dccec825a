//! Reads requests by their references, many in one round trip.

use std::iter;

use chrono::{DateTime, Utc};
use sqlx::types::Json;

use super::{AtGlance, Look, Visitor, Whole};
use crate::{
    agreement::{AgreementNumber, ServiceId},
    db::{self, Impossible, PgPool, together::Question},
    names::{AccessEdge, SipDomain},
    request::{
        Deployment, Kind, State,
        follow::{Glance, store::Columns},
        reference::Reference,
        store::{Request, StoredEvent, StoredFinding},
    },
    secret::SERVICE_SESSIONS,
};

/// The request with this reference; `None` when there is none.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable or a row is invalid.
pub async fn look_up(pool: &PgPool, reference: Reference) -> Result<Option<Request>, db::Error> {
    let look = Look {
        reference,
        session: None,
    };
    let found = Whole::ask(pool, &[Whole(look)]).await?.pop();
    Ok(found.transpose()?.flatten().map(|(request, _)| request))
}

/// References and sessions, as columns for the statements.
fn columns(looks: impl Iterator<Item = Look> + Clone) -> (Vec<String>, Vec<Option<Vec<u8>>>) {
    let names = looks.clone().map(|look| look.reference.to_string());
    let hash = |look: Look| look.session.map(|token| token.hash().to_vec());
    (names.collect(), looks.map(hash).collect())
}

/// One result for each of `asked` queries: what was `found` under its number, from 1, or nothing.
fn in_order<A>(
    asked: usize,
    found: impl Iterator<Item = (i64, Result<A, db::Error>)>,
) -> Vec<Result<Option<A>, db::Error>> {
    let mut answers: Vec<_> = iter::repeat_with(|| Ok(None)).take(asked).collect();
    for (place, answer) in found {
        let place = usize::try_from(place - 1).unwrap_or(usize::MAX);
        if let Some(slot) = answers.get_mut(place) {
            *slot = answer.map(Some);
        }
    }
    answers
}

/// A row of `look_up.sql`.
struct Row {
    place: i64,
    id: i64,
    service_id: i64,
    kind: String,
    deployment: Option<String>,
    state: String,
    reason: Option<String>,
    submitted_at: DateTime<Utc>,
    ended_at: Option<DateTime<Utc>>,
    programme: String,
    number: String,
    token: String,
    key_hash: Vec<u8>,
    now: DateTime<Utc>,
    superseded: bool,
    edges: Vec<String>,
    domain_edges: Vec<i16>,
    domains: Vec<String>,
    /// The events, the last first.
    events: Json<Vec<StoredEvent>>,
    lost: Vec<String>,
    findings: Json<Vec<StoredFinding>>,
    due_at: Option<DateTime<Utc>>,
    checked_at: Option<DateTime<Utc>>,
    own: bool,
    unseen: bool,
}

impl Question for Whole {
    type Answer = Option<(Request, Visitor)>;

    async fn ask(
        pool: &PgPool,
        questions: &[Self],
    ) -> Result<Vec<Result<Self::Answer, db::Error>>, db::Error> {
        let (names, sessions) = columns(questions.iter().map(|question| question.0));
        let rows = sqlx::query_file_as!(
            Row,
            "src/request/look_up.sql",
            &names,
            &sessions as _,
            db::interval(SERVICE_SESSIONS.absolute),
            db::interval(SERVICE_SESSIONS.idle),
        )
        .fetch_all(pool.again())
        .await?;
        let found = rows.into_iter().filter_map(|row| {
            let reference = questions
                .get(usize::try_from(row.place - 1).ok()?)?
                .0
                .reference;
            Some((row.place, row.read(reference).map_err(Into::into)))
        });
        Ok(in_order(questions.len(), found))
    }
}

impl Row {
    fn read(self, reference: Reference) -> Result<(Request, Visitor), Impossible> {
        let row = self;
        let id = row.id;
        let impossible = |table, column| Impossible {
            table,
            column,
            id: Some(id),
        };
        let mut routes = row
            .edges
            .into_iter()
            .map(|edge| {
                Ok((
                    AccessEdge::from_database(edge)
                        .map_err(|_| impossible("request_edge", "access_edge"))?,
                    Vec::new(),
                ))
            })
            .collect::<Result<Vec<_>, Impossible>>()?;
        for (edge, domain) in row.domain_edges.iter().zip(row.domains) {
            let domain = SipDomain::from_database(domain)
                .map_err(|_| impossible("request_route", "sip_domain"))?;
            usize::try_from(edge - 1)
                .ok()
                .and_then(|place| routes.get_mut(place))
                .ok_or(impossible("request_route", "edge"))?
                .1
                .push(domain);
        }
        let events = row.events.0.into_iter().rev();
        let events = events
            .map(|stored| stored.read(id))
            .collect::<Result<Vec<_>, Impossible>>()?;
        let visitor = Visitor {
            is_own: row.own,
            is_due: row.unseen,
        };
        let request = Request {
            reference,
            kind: Kind::parse(&row.kind).ok_or(impossible("request", "kind"))?,
            service: ServiceId(row.service_id),
            deployment: match row.deployment {
                Some(name) => {
                    Some(Deployment::parse(&name).ok_or(impossible("request", "deployment"))?)
                }
                None => None,
            },
            state: State::from_columns(&row.state, row.reason.as_deref(), row.ended_at)
                .map_err(|_| impossible("request", "state"))?,
            submitted_at: row.submitted_at,
            programme: row
                .programme
                .parse()
                .map_err(|_| impossible("service", "programme"))?,
            number: AgreementNumber::from_database(&row.number)
                .map_err(|_| impossible("service", "number"))?,
            token: row.token,
            routes,
            events,
            lost: row.lost,
            findings: row
                .findings
                .0
                .into_iter()
                .map(|stored| stored.read().ok_or(impossible("finding", "code")))
                .collect::<Result<_, _>>()?,
            checked_at: row.checked_at,
            due_at: row.due_at,
            superseded: row.superseded,
            now: row.now,
            id: row.id,
            key_hash: row.key_hash,
        };
        Ok((request, visitor))
    }
}

impl Question for AtGlance {
    type Answer = Option<(Glance, Visitor)>;

    async fn ask(
        pool: &PgPool,
        questions: &[Self],
    ) -> Result<Vec<Result<Self::Answer, db::Error>>, db::Error> {
        let (names, sessions) = columns(questions.iter().map(|question| question.0));
        let rows = sqlx::query_file!(
            "src/request/look_up/glance.sql",
            &names,
            &sessions as _,
            db::interval(SERVICE_SESSIONS.absolute),
            db::interval(SERVICE_SESSIONS.idle),
        )
        .fetch_all(pool.again())
        .await?;
        let found = rows.into_iter().map(|row| {
            let visitor = Visitor {
                is_own: row.own,
                is_due: row.unseen,
            };
            let columns = Columns {
                id: row.id,
                kind: row.kind,
                state: row.state,
                reason: row.reason,
                submitted_at: row.submitted_at,
                ended_at: row.ended_at,
                superseded: row.superseded,
                seq: row.seq,
                severities: row.severities,
                checked_at: row.checked_at,
                due_at: row.due_at,
                now: row.now,
            };
            let glance = columns.glance().map(|glance| (glance, visitor));
            (row.place, glance.map_err(Into::into))
        });
        Ok(in_order(questions.len(), found))
    }
}
