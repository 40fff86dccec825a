//! Loads what there is to look at in the next turn of a request's check.

use std::time::Duration;

use super::progress::LONGEST;
use crate::{
    db::{self, InvalidRow, PgPool, interval},
    names::{AccessEdge, SipDomain},
    provisioning::store::Claim,
    readiness::{
        ProofMode,
        engine::{Lane, Name},
    },
};

/// The most domains in the first turn of a check, and in each that follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TurnSize {
    /// In the first turn: it is short, so that requests that were never looked at soon are.
    pub first: u32,
    /// In all other turns.
    pub later: u32,
}

impl Default for TurnSize {
    fn default() -> Self {
        Self {
            first: 16,
            later: 64,
        }
    }
}

/// What there is to look at in the next turn of one request.
#[derive(Clone, Debug)]
pub struct Job {
    /// Internal number of the request.
    pub request: i64,
    /// Its service's token, which proves a domain to be its own.
    pub token: String,
    /// All its edges, in alphabetical order; those of a cancel are none.
    pub edges: Vec<AccessEdge>,
    /// How many domains it has.
    pub domain_count: usize,
    /// The domains of this turn, and their edges.
    pub domains: Vec<Wanted>,
    /// How many of its edges and domains were looked at in the turns before.
    pub names_done: usize,
    /// First, where it was looked at never before, not even in part; slow, where its last turn was.
    pub lane: Lane,
    /// Where checks advise: it has waited long enough.
    pub is_urgent: bool,
    /// Its limit has passed: there is nothing to look at any more.
    pub is_expired: bool,
}

/// A domain to look at.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The domain.
    pub domain: SipDomain,
    /// Where it is to be routed to.
    pub edge: AccessEdge,
    /// It is in force under another service.
    pub is_held: bool,
    /// It is in force under no service.
    pub is_free: bool,
}

impl Job {
    /// How many names the whole check has.
    #[must_use]
    pub fn name_count(&self) -> usize {
        self.edges.len() + self.domain_count
    }

    /// Whether this turn has all names.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.names_done == 0 && self.domains.len() == self.domain_count
    }

    /// Its domains of this turn that are to be routed to `edge`.
    #[must_use]
    pub fn domains_at(&self, edge: &AccessEdge) -> Vec<SipDomain> {
        let at = self.domains.iter().filter(|it| it.edge == *edge);
        at.map(|it| it.domain.clone()).collect()
    }

    /// Whether the owner of `domain`, one of this turn, has to speak for the service: where it is
    /// held, and in [`ProofMode::Always`] where it is free. If so, whether it is held.
    #[must_use]
    pub fn asks_owner(&self, domain: &SipDomain, proof: ProofMode) -> Option<bool> {
        let it = self.domains.iter().find(|it| it.domain == *domain)?;
        let asks = it.is_held || (it.is_free && proof == ProofMode::Always);
        asks.then_some(it.is_held)
    }

    /// The names of this turn, in order.
    #[must_use]
    pub fn names(&self) -> Vec<Name> {
        let edges = self.edges.iter().skip(self.names_done).cloned();
        let domains = self.domains.iter();
        let of = |it: &Wanted| Name::Domain(it.domain.clone(), it.edge.clone());
        edges.map(Name::Edge).chain(domains.map(of)).collect()
    }
}

/// What there is to look at in the requests of `claim`: what they want or, where they are in force, what
/// their services have. Pending ones expire after `expiry`, and are urgent after `urgent`. A service that
/// has lost all its domains has nothing to look at.
///
/// # Errors
///
/// [`db::Error`] when the database is away or a row is impossible.
pub async fn load(
    pool: &PgPool,
    claim: &Claim,
    is_in_force: bool,
    (expiry, urgent): (Duration, Duration),
    size: TurnSize,
) -> Result<Vec<Job>, db::Error> {
    let rows = sqlx::query!(
        r#"
        SELECT r.id AS "id!", s.token AS "token!", e.edges, coalesce(p.names_done, 0) AS "names_done!", coalesce(p.slow, false) AS "slow!",
               NOT $7 AND w.checked_at IS NULL AS "fresh!", NOT $7 AND r.submitted_at + $2::interval <= pic_now() AS "expired!",
               NOT $7 AND r.submitted_at + $3::interval <= pic_now() AS "urgent!",
               CASE WHEN $7 THEN (SELECT count(*) FROM route c WHERE c.service_id = r.service_id)
                    ELSE (SELECT count(*) FROM request_route c WHERE c.request_id = r.id) END AS "domain_count!",
               d.domains, d.edge_of, d.held, d.free
        FROM request r
        JOIN service s ON s.id = r.service_id
        LEFT JOIN work w ON w.request_id = r.id
        LEFT JOIN check_progress p ON p.request_id = r.id AND p.began_at > pic_now() - $4::interval
        CROSS JOIN LATERAL (
            SELECT array_agg(n.access_edge::text ORDER BY n.access_edge) AS edges
            FROM (
                SELECT i.access_edge FROM request_edge i WHERE i.request_id = r.id AND NOT $7
                UNION SELECT x.access_edge FROM route x WHERE x.service_id = r.service_id AND $7
            ) n
        ) e
        CROSS JOIN LATERAL (
            -- Looked up one by one, by keys: no plan for large tables, whatever is known of them.
            SELECT array_agg(n.sip_domain::text ORDER BY n.sip_domain) AS domains,
                   array_agg(n.access_edge::text ORDER BY n.sip_domain) AS edge_of,
                   array_agg(NOT $7 AND coalesce((SELECT x.service_id FROM route x WHERE x.sip_domain = n.sip_domain)
                                      <> r.service_id, false) ORDER BY n.sip_domain) AS held,
                   array_agg(NOT $7 AND NOT EXISTS (SELECT FROM route x WHERE x.sip_domain = n.sip_domain)
                             ORDER BY n.sip_domain) AS free
            FROM (
                SELECT o.sip_domain, i.access_edge FROM request_route o
                JOIN request_edge i ON i.request_id = o.request_id AND i.ordinal = o.edge
                WHERE o.request_id = r.id AND NOT $7
                UNION ALL
                SELECT x.sip_domain, x.access_edge FROM route x WHERE x.service_id = r.service_id AND $7
                ORDER BY sip_domain
                OFFSET greatest(coalesce(p.names_done, 0) - coalesce(cardinality(e.edges), 0), 0)
                LIMIT CASE WHEN p.names_done > 0 THEN $6::bigint ELSE $5::bigint END
            ) n
        ) d
        WHERE r.id = ANY ($1) AND ($7 OR w.request_id IS NOT NULL)
        "#,
        &claim.requests,
        interval(expiry),
        interval(urgent),
        interval(LONGEST),
        i64::from(size.first),
        i64::from(size.later),
        is_in_force,
    )
    .fetch_all(pool.retrying())
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Job {
                request: row.id,
                token: row.token,
                edges: edges(row.id, row.edges)?,
                domain_count: usize::try_from(row.domain_count).unwrap_or_default(),
                domains: together(row.id, row.domains, row.edge_of, (row.held, row.free))?,
                names_done: usize::try_from(row.names_done).unwrap_or_default(),
                lane: lane(row.slow, row.fresh && row.names_done == 0),
                is_urgent: row.urgent,
                is_expired: row.expired,
            })
        })
        .collect()
}

/// All domains of a request that are to be routed to `edge`, those wanted or those in force.
///
/// # Errors
///
/// [`db::Error`] when the database is away or a row is impossible.
pub async fn domains_at(
    pool: &PgPool,
    request: i64,
    edge: &AccessEdge,
    is_in_force: bool,
) -> Result<Vec<SipDomain>, db::Error> {
    let names = sqlx::query_scalar!(
        r#"
        SELECT d.sip_domain::text AS "sip_domain!" FROM request_route d
        JOIN request_edge e ON e.request_id = d.request_id AND e.ordinal = d.edge
        WHERE d.request_id = $1 AND e.access_edge = $2 AND NOT $3
        UNION ALL
        SELECT x.sip_domain::text FROM request r JOIN route x ON x.service_id = r.service_id
        WHERE r.id = $1 AND x.access_edge = $2 AND $3
        ORDER BY 1
        "#,
        request,
        edge.as_str() as _,
        is_in_force,
    )
    .fetch_all(pool.retrying())
    .await?;
    let domain = |name| SipDomain::from_database(name).map_err(|_| invalid("sip_domain", request));
    names
        .into_iter()
        .map(|name| domain(name).map_err(Into::into))
        .collect()
}

const fn lane(is_slow: bool, is_fresh: bool) -> Lane {
    match (is_slow, is_fresh) {
        (true, _) => Lane::Slow,
        (false, true) => Lane::First,
        (false, false) => Lane::Rest,
    }
}

fn edges(id: i64, names: Option<Vec<String>>) -> Result<Vec<AccessEdge>, InvalidRow> {
    names
        .unwrap_or_default()
        .into_iter()
        .map(|name| edge(id, name))
        .collect()
}

fn edge(id: i64, name: String) -> Result<AccessEdge, InvalidRow> {
    AccessEdge::from_database(name).map_err(|_| invalid("access_edge", id))
}

/// The rows of the parallel columns.
fn together(
    id: i64,
    domains: Option<Vec<String>>,
    edges: Option<Vec<String>>,
    (held, free): (Option<Vec<bool>>, Option<Vec<bool>>),
) -> Result<Vec<Wanted>, InvalidRow> {
    let names = domains
        .into_iter()
        .flatten()
        .zip(edges.into_iter().flatten());
    let flags = held.into_iter().flatten().zip(free.into_iter().flatten());
    names
        .zip(flags)
        .map(|((domain, at), (is_held, is_free))| {
            Ok(Wanted {
                domain: SipDomain::from_database(domain).map_err(|_| invalid("sip_domain", id))?,
                edge: edge(id, at)?,
                is_held,
                is_free,
            })
        })
        .collect()
}

const fn invalid(column: &'static str, id: i64) -> InvalidRow {
    InvalidRow {
        table: "request_route",
        column,
        id: Some(id),
    }
}
