//! What the checks of one request have found, and whether that is proof enough.

use std::collections::BTreeSet;

use crate::{
    names::EdgeRoutes,
    readiness::{Code, Finding, Severity},
};

/// The findings for a set of routes.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// One or more for every edge and every domain that was checked, the most severe first, with as
    /// much evidence as one request may have.
    pub findings: Vec<Finding>,
    /// Edges and domains that were not checked within the time budget.
    pub unfinished: usize,
}

impl Report {
    /// Whether every edge and every domain of `routes` was checked and is fine, and nothing is
    /// blocking or unknown: the positive proof that `enforce` requires.
    #[must_use]
    pub fn proves(&self, routes: &[EdgeRoutes]) -> bool {
        let domains = EdgeRoutes::domain_count(routes);
        self.unfinished == 0 && proves(&self.findings, routes.len(), domains)
    }
}

/// Whether these findings say that so many edges and domains are fine, and that nothing that may hold a
/// request back is blocking or unknown.
#[must_use]
pub fn proves(findings: &[Finding], edges: usize, domains: usize) -> bool {
    let fine = |code| {
        let fine = findings
            .iter()
            .filter(|f| f.severity == Severity::Ok && f.code == code);
        fine.map(|f| &f.subject).collect::<BTreeSet<_>>().len()
    };
    let good = |f: &Finding| {
        !f.code.may_hold_back() || matches!(f.severity, Severity::Ok | Severity::Warning)
    };
    findings.iter().all(good) && fine(Code::Certificate) == edges && fine(Code::Srv) == domains
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::{AccessEdge, Fqdn, SipDomain};

    fn finding(code: Code, name: &str) -> Finding {
        Finding::new(code, &Fqdn::parse(name).unwrap(), "", [""])
    }

    #[test]
    fn everything_that_was_asked_for_has_to_be_proven() {
        let routes = [EdgeRoutes {
            edge: AccessEdge::parse("sip.contoso.com").unwrap(),
            domains: vec![SipDomain::parse("contoso.com").unwrap()],
        }];
        let report = |findings: &[Finding], unfinished| Report {
            findings: findings.to_vec(),
            unfinished,
        };
        let srv = finding(Code::Srv, "contoso.com");
        let certificate = finding(Code::Certificate, "sip.contoso.com");
        let both = [srv.clone(), certificate.clone()];
        let with = |code| [&both[..], &[finding(code, "contoso.com")]].concat();
        assert!(report(&both, 0).proves(&routes));
        assert!(report(&with(Code::SrvSuffix), 0).proves(&routes));
        assert!(!report(&both, 1).proves(&routes), "not done");
        assert!(!report(&[srv], 0).proves(&routes), "no certificate");
        assert!(!report(&[certificate], 0).proves(&routes), "no record");
        assert!(!report(&[], 0).proves(&routes), "nothing");
        assert!(!report(&with(Code::ResolverUnreachable), 0).proves(&routes));
        assert!(!report(&with(Code::SrvTarget), 0).proves(&routes));
        assert!(report(&[], 0).proves(&[]), "a cancel wants nothing");
    }
}
