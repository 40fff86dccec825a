//! Checks SIP domains alone: their SRV records say which Access Edges to check.

use std::{pin::pin, time::Duration};

use futures_util::{StreamExt as _, stream};
use tokio::time::{Instant, timeout_at};

use super::{Checker, Hours, Lane, Name, Report, bound, domain, gravest};
use crate::{
    names::{EdgeRoutes, SipDomain},
    readiness::meter::CheckKind,
};

/// How many domains are looked up at the same time.
const AT_A_TIME: usize = 8;

impl Checker {
    /// Checks `domains`, and the Access Edges that their records name, for a client that waits, for
    /// `budget` at most. Returns the routes that the records make; a domain whose records name no
    /// Access Edge is in none of them.
    pub async fn check_alone(
        &self,
        domains: &[SipDomain],
        budget: Duration,
    ) -> (Vec<EdgeRoutes>, Report) {
        let end = Instant::now() + budget;
        let look_up = |domain: SipDomain| async move {
            let slot = self.turn(Lane::People, domain.as_fqdn()).await;
            (self.srv(&domain, slot).await, domain)
        };
        let domains_seen = stream::iter(domains.to_vec()).map(look_up);
        let mut domains_seen = pin!(domains_seen.buffer_unordered(AT_A_TIME));
        let mut routes: Vec<EdgeRoutes> = Vec::new();
        let mut report = Report {
            findings: Vec::new(),
            unfinished: domains.len(),
        };
        while let Ok(Some((facts, domain))) = timeout_at(end, domains_seen.next()).await {
            report.unfinished -= 1;
            let edge = domain::find_edge(&domain, &facts);
            let found = match edge {
                Err(found) => found,
                Ok(edge) => {
                    let found = domain::judge(&domain, &edge, &facts);
                    match routes.iter_mut().find(|of| of.edge == edge) {
                        Some(of) => of.domains.push(domain),
                        None => routes.push(EdgeRoutes {
                            edge,
                            domains: vec![domain],
                        }),
                    }
                    found
                }
            };
            self.meter().looked(CheckKind::Domain, gravest(&found));
            report.findings.extend(found);
        }
        for of in &mut routes {
            of.domains.sort();
        }
        routes.sort_by(|a, b| a.edge.cmp(&b.edge));

        let names: Vec<_> = routes.iter().map(|of| of.edge.clone()).collect();
        let look = |name, _slot| {
            let routes = &routes;
            async move {
                let of = routes
                    .iter()
                    .find(|of| matches!(&name, Name::Edge(edge) if *edge == of.edge));
                match of {
                    Some(of) => {
                        let shown = self.shown(&of.edge, Lane::People).await;
                        self.edge(&of.edge, &of.domains, &shown)
                    }
                    None => Vec::new(),
                }
            }
        };
        let hours = Hours { begin: end, end };
        let paced = self
            .paced(Lane::People, names.into_iter().map(Name::Edge), hours, look)
            .await;
        report.unfinished += routes.len() - paced.done.len();
        let found = paced.done.into_iter().flat_map(|(_, found)| found);
        report.findings.extend(found);
        let edges = routes.iter().map(|of| &of.edge);
        let shared = self.shared(edges, Lane::People, end).await;
        report.findings.extend(shared);
        bound(&mut report.findings);
        (routes, report)
    }
}
