//! What a cancel ends: it names no routes itself.

use crate::{
    db::{self, PgPool},
    names::{AccessEdge, EdgeRoutes, SipDomain},
    request::{Kind, store::Request},
};

/// The routes that `request` ends or ended, or would have ended, by edge: those of the request that
/// was provisioned before it, without what went over to another service since. None unless it is a
/// cancel.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable or a row is invalid.
pub async fn cancelled(pool: &PgPool, request: &Request) -> Result<Vec<EdgeRoutes>, db::Error> {
    match request.kind {
        Kind::Cancel => {}
        Kind::Initiate | Kind::Update => return Ok(Vec::new()),
    }
    let rows = sqlx::query!(
        r#"SELECT min(d.access_edge::text) AS "edge!: AccessEdge",
                  array_agg(d.sip_domain::text ORDER BY d.sip_domain) AS "domains!: Vec<SipDomain>"
           FROM request_route d
           WHERE d.request_id = (
               SELECT max(o.id) FROM pic_requests_of($2) o
               WHERE o.id < $1 AND o.kind <> 'cancel' AND o.state = 'provisioned')
             AND NOT EXISTS (
               SELECT FROM event l
               WHERE l.request_id = d.request_id AND l.code = 'domain-lost' AND l.subject = d.sip_domain)
           GROUP BY d.edge
           ORDER BY d.edge"#,
        request.id,
        request.service.0,
    )
    .fetch_all(pool.retrying())
    .await?;
    let routes = rows.into_iter().map(|row| EdgeRoutes {
        edge: row.edge,
        domains: row.domains,
    });
    Ok(routes.collect())
}
