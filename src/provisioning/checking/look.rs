//! One turn of the check of one request.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use super::store::{
    jobs::{self, Job},
    progress::{SoFar, Turn},
};
use crate::{
    db::{self, PgPool},
    names::SipDomain,
    provisioning::store::Place,
    readiness::{
        Code, Finding, ProofMode, bound,
        engine::{Checker, Hours, Lane, Name, proves},
        owner,
    },
};

/// No name is begun after so much of a turn.
const TURN: Duration = Duration::from_secs(5);
/// What a turn has begun is waited for so long: a look-up has limits of its own, which are shorter.
const TURN_END: Duration = Duration::from_secs(25);
/// The addresses of edges that were looked at before are looked up again for so long.
const COMPARING: Duration = Duration::from_secs(5);

/// What the look at one request came to.
#[derive(Debug)]
pub(super) struct Looked {
    pub(super) job: Job,
    /// How many of its names are done now.
    pub(super) names_done: usize,
    pub(super) is_slow: bool,
    pub(super) findings: Vec<Finding>,
    pub(super) proven: Vec<SipDomain>,
}

impl Looked {
    /// Whether its check needs another turn. Where it `is_waited_for` it comes to its end; else one
    /// that is slow, or has taken long, ends with what was found by then.
    pub(super) fn goes_on(&self, is_waited_for: bool) -> bool {
        let is_done = self.job.is_expired || self.names_done >= self.job.name_count();
        let may_end = !is_waited_for && (self.is_slow || self.job.is_urgent);
        !is_done && !may_end
    }

    pub(super) fn turn(mut self) -> Turn {
        bound(&mut self.findings);
        Turn {
            request: self.job.request,
            names_done: (self.job.names_done, self.names_done),
            is_slow: self.is_slow,
            findings: self.findings,
            proven: self.proven,
        }
    }

    /// Adds what the turns before found.
    pub(super) fn goes_on_from(&mut self, before: SoFar) {
        self.findings.extend(before.findings);
        self.proven.extend(before.proven);
    }

    /// Whether everything of the request is fine, apart from what is said of its owner.
    pub(super) fn proves(&self) -> bool {
        let of_checks: Vec<_> = self
            .findings
            .iter()
            .filter(|finding| !matches!(finding.code, Code::DomainHeld | Code::DomainUnproven))
            .cloned()
            .collect();
        proves(&of_checks, self.job.edges.len(), self.job.domain_count)
    }

    /// Whether an owner did not speak for the service, or was not asked yet. A domain that is held
    /// holds the request back when it is settled, unless it is free by then; that is not enough where
    /// every domain has to be proven.
    pub(super) fn lacks_proof(&self) -> bool {
        let unproven = |it: &Finding| matches!(it.code, Code::DomainHeld | Code::DomainUnproven);
        self.names_done < self.job.name_count() || self.findings.iter().any(unproven)
    }

    /// Whether all its edges are looked at, the last of them in this turn.
    fn ends_edges(&self) -> bool {
        let edges = self.job.edges.len();
        self.job.names_done < edges && self.names_done >= edges
    }

    /// Takes what came of the names up to the first that is not done: the others are in the next
    /// turn.
    fn takes(&mut self, done: Vec<(usize, Outcome)>) {
        let mut done: BTreeMap<_, _> = done.into_iter().collect();
        for place in 0.. {
            match done.remove(&place) {
                Some(Ok((findings, proven))) => {
                    self.findings.extend(findings);
                    self.proven.extend(proven);
                    self.names_done += 1;
                }
                Some(Err(error)) => {
                    tracing::debug!(%error, "the check goes on in the next turn");
                    break;
                }
                None => break,
            }
        }
    }
}

/// What one look-up came to: findings, and the domain if its owner has spoken for the service.
type Outcome = Result<(Vec<Finding>, Option<SipDomain>), db::Error>;

/// One turn of a request's check. What has expired is not looked at: its last findings stay.
pub(super) async fn look(
    checker: Checker,
    pool: PgPool,
    place: Place,
    proof: ProofMode,
    job: Job,
) -> Looked {
    let lane = job.lane;
    let now = Instant::now();
    let hours = Hours {
        begin: now + TURN,
        end: now + TURN_END,
    };
    let names = if job.is_expired {
        Vec::new()
    } else {
        job.names()
    };
    let (checker, pool, job) = (&checker, &pool, job);
    let of = &job;
    let paced = checker
        .paced(lane, names, hours, |name, slot| async move {
            match name {
                Name::Edge(edge) => {
                    let shown = checker.shown(&edge, lane).await;
                    let domains = if of.is_whole() {
                        of.domains_at(&edge)
                    } else {
                        jobs::domains_at(pool, of.request, &edge, place.is_in_force()).await?
                    };
                    Ok((checker.edge(&edge, &domains, &shown), None))
                }
                Name::Domain(domain, edge) => {
                    let found = checker.domain(&domain, &edge, slot);
                    let Some(is_held) = of.asks_owner(&domain, proof) else {
                        return Ok((found.await, None));
                    };
                    let said = checker.owner_says(&domain, &of.token);
                    let (mut findings, said) = tokio::join!(found, said);
                    let told = owner::judge(&domain, &of.token, &said, is_held);
                    let is_proven = told.code == Code::DomainProven;
                    if !is_proven || proof == ProofMode::Always {
                        findings.push(told);
                    }
                    Ok((findings, is_proven.then_some(domain)))
                }
            }
        })
        .await;
    let is_slow = match paced.begun {
        0 => lane == Lane::Slow,
        begun => paced.slow * 2 >= begun && paced.slow > 0,
    };
    let mut looked = Looked {
        names_done: job.names_done,
        is_slow,
        findings: Vec::new(),
        proven: Vec::new(),
        job,
    };
    looked.takes(paced.done);
    if looked.ends_edges() {
        let lane = if is_slow { Lane::Slow } else { lane };
        let end = Instant::now() + COMPARING;
        let shared = checker.shared(&looked.job.edges, lane, end).await;
        looked.findings.extend(shared);
    }
    looked
}
