//! How are many checks made side by side, without hammering anybody?

use std::time::Duration;

use super::{Code, Finding, Mode, Severity};
use crate::names::{AccessEdge, Fqdn, SipDomain};

/// What the checks of a set of routes found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// One or more for every edge and every domain that was looked at.
    pub findings: Vec<Finding>,
    /// Edges and domains that were not done within the budget.
    pub unfinished: usize,
}

impl Report {
    /// Whether everything was looked at and nothing is blocking or unknown: the positive proof that
    /// `enforce` asks for.
    #[must_use]
    pub fn proves(&self, routes: &[(AccessEdge, Vec<SipDomain>)]) -> bool {
        let good = |f: &Finding| matches!(f.severity, Severity::Ok | Severity::Warning);
        let fine = |code, subject: &Fqdn| {
            let mut findings = self.findings.iter();
            findings.any(|f| f.code == code && f.severity == Severity::Ok && f.subject == *subject)
        };
        self.unfinished == 0
            && self.findings.iter().all(good)
            && routes.iter().all(|(edge, domains)| {
                fine(Code::Certificate, edge.as_fqdn())
                    && domains
                        .iter()
                        .all(|domain| fine(Code::Srv, domain.as_fqdn()))
            })
    }
}

/// How strict the checks are, and what makes them.
#[derive(Clone, Debug, Default)]
pub enum Checks {
    /// Nothing is looked up.
    #[default]
    Off,
    /// Findings are shown; provisioned all the same, but for a domain that is held.
    Advise(Checker),
    /// Provisioned on positive proof alone.
    Enforce(Checker),
}

impl Checks {
    /// How strict they are.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        match self {
            Self::Off => Mode::Off,
            Self::Advise(_) => Mode::Advise,
            Self::Enforce(_) => Mode::Enforce,
        }
    }

    /// What makes them; `None`: nothing is looked up.
    #[must_use]
    pub const fn checker(&self) -> Option<&Checker> {
        match self {
            Self::Off => None,
            Self::Advise(checker) | Self::Enforce(checker) => Some(checker),
        }
    }
}

/// The readiness checks. Cheap to clone; all clones share limits and what they know of edges.
#[derive(Clone, Debug)]
pub struct Checker(());

impl Checker {
    /// Looks at `routes` for `budget` at most.
    pub async fn check(&self, routes: &[(AccessEdge, Vec<SipDomain>)], budget: Duration) -> Report {
        let _ = (routes, budget);
        std::future::ready(Report::default()).await
    }
    /// Whether the owner of the zone has spoken.
    pub async fn owner_says(&self, domain: &SipDomain, token: &str) -> Result<(), Finding> {
        let _ = (domain, token);
        std::future::ready(Ok(())).await
    }
}
