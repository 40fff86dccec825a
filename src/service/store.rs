//! Reads a service, and replaces its management key.

pub mod watch;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::types::Json;

use crate::{
    agreement::{AgreementNumber, Programme, ServiceId},
    db::{self, PgPool},
    names::{AccessEdge, EdgeRoutes, SipDomain},
    readiness::Finding,
    request::{Deployment, Facts, State, reference::Reference, summary::OnGateways},
    secret::{ManagementKey, SessionToken},
};

/// A request in a service's list.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its public name.
    pub reference: Reference,
    /// What its standing is derived from.
    pub facts: Facts,
}

/// A service with everything that its own pages show.
#[derive(Clone, Debug)]
pub struct Service {
    /// The internal id.
    pub id: ServiceId,
    /// The licensing programme.
    pub programme: Programme,
    /// The agreement number.
    pub number: AgreementNumber,
    /// The routes in force by edge, both in alphabetical order.
    pub routes: Vec<EdgeRoutes>,
    /// Its requests, newest first.
    pub requests: Vec<Listed>,
    /// The domains that went over to another service since the last request was provisioned, and
    /// when, in alphabetical order.
    pub lost: Vec<(SipDomain, DateTime<Utc>)>,
    /// What the last checks found about the routes in force, from warnings up.
    pub risks: Vec<Finding>,
    /// On how many gateways the routes of the last provisioned request are live.
    pub gateways: OnGateways,
    /// Where the users are homed, according to the last request.
    pub deployment: Option<Deployment>,
    /// SHA-256 of the secret of its feed and calendar; `None`: there are none.
    pub watch_hash: Option<Vec<u8>>,
    /// The database's time when this was read.
    pub now: DateTime<Utc>,
}

impl Service {
    /// The pending request, if there is one.
    #[must_use]
    pub fn pending(&self) -> Option<&Listed> {
        self.requests
            .iter()
            .find(|r| r.facts.state.pending().is_some())
    }

    /// The request that was provisioned last.
    #[must_use]
    pub fn provisioned(&self) -> Option<&Listed> {
        let done = |r: &&Listed| matches!(r.facts.state, State::Provisioned { .. });
        self.requests.iter().find(done)
    }
}

/// The service with this id, of which a session or another row says that it exists.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable, the service does not exist, or a row is invalid.
pub async fn look_up(pool: &PgPool, id: ServiceId) -> Result<Service, db::Error> {
    let found = find(pool, id).await?;
    found.ok_or_else(|| sqlx::Error::RowNotFound.into())
}

/// The service with this id, if there is one.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable or a row is invalid.
pub async fn find(pool: &PgPool, id: ServiceId) -> Result<Option<Service>, db::Error> {
    let row = sqlx::query_file!("src/service/look_up.sql", id.0)
        .fetch_optional(pool.retrying())
        .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let mut routes: BTreeMap<AccessEdge, Vec<SipDomain>> = BTreeMap::new();
    for (edge, domain) in row.edges.into_iter().zip(row.domains) {
        routes.entry(edge).or_default().push(domain);
    }
    let routes = routes.into_iter();
    let routes = routes.map(|(edge, domains)| EdgeRoutes { edge, domains });
    let requests = row.requests.into_iter();
    let requests = requests.map(|(reference, facts)| Listed { reference, facts });
    Ok(Some(Service {
        id,
        programme: row.programme,
        number: row.number,
        routes: routes.collect(),
        requests: requests.collect(),
        lost: row.lost,
        risks: row.risks.0,
        gateways: (row.gateways).map_or_else(OnGateways::default, |(live, of, since)| OnGateways {
            live,
            of,
            since,
        }),
        deployment: row.deployment,
        watch_hash: row.watch_hash,
        now: row.now,
    }))
}

/// Gives the pending request `reference` of `service` other routes, in place, and has it checked from
/// the beginning; `false`: it has ended. `number`: the service's, which its first request corrects.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable or refuses; then nothing has changed.
pub async fn correct(
    pool: &PgPool,
    service: ServiceId,
    reference: Reference,
    number: Option<&AgreementNumber>,
    deployment: Deployment,
    routes: &[EdgeRoutes],
) -> Result<bool, db::Error> {
    let edges: Vec<&str> = routes.iter().map(|of| of.edge.as_str()).collect();
    let (mut places, mut domains) = (Vec::<i16>::new(), Vec::new());
    for (place, of) in (1..).zip(routes) {
        for domain in &of.domains {
            places.push(place);
            domains.push(domain.as_str());
        }
    }
    let done = sqlx::query_scalar!(
        r#"SELECT pic_correct($1, $2, $3, $4, $5::text[], $6::smallint[], $7::text[]) AS "done!""#,
        service.0,
        reference as _,
        number as _,
        deployment as _,
        &edges as _,
        &places,
        &domains as _,
    )
    .fetch_one(pool)
    .await?;
    Ok(done)
}

/// Whether `key` is the management key of `service`.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable or the service does not exist.
pub async fn opens(
    pool: &PgPool,
    service: ServiceId,
    key: &ManagementKey,
) -> Result<bool, db::Error> {
    let hash = sqlx::query_scalar!(
        r#"SELECT key_hash AS "hash: Vec<u8>" FROM service WHERE id = $1"#,
        service.0
    )
    .fetch_one(pool)
    .await?;
    Ok(key.matches(&hash))
}

/// Replaces the management key of `service` at once, and ends all its sessions except `keep`.
/// `false`: `keep` itself has ended in the meantime, and the old key stays.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable or refuses; then the old key stays.
pub async fn replace_key(
    pool: &PgPool,
    service: ServiceId,
    key: &ManagementKey,
    keep: &SessionToken,
) -> Result<bool, db::Error> {
    let replaced = sqlx::query_scalar!(
        r#"SELECT pic_replace_key($1, $2::bytea, $3::bytea) AS "replaced!""#,
        service.0,
        &key.hash(),
        &keep.hash(),
    )
    .fetch_one(pool)
    .await?;
    Ok(replaced)
}
