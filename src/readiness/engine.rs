//! How are many checks made side by side, without hammering anybody?
//!
//! Form, background task, `/check` and `pic-portal check` share one [`Checker`] a process. It keeps
//! to limits however many ask: so many look-ups at a time, so many a second in all, for one zone and
//! for one address. What an edge shows is shared for some seconds. A request's look-ups take turns
//! with those of others, a few at a time, so that one of a thousand domains starves nobody.

use std::{
    collections::BTreeSet,
    fmt,
    net::IpAddr,
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture, stream};
use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Jitter, Quota};
use moka::future::Cache;
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout_at},
};

use super::{
    Code, Finding, Mode, ProofMode, Severity, bound,
    dns::{AddressFacts, Addresses, Dns, TokenFacts},
    domain, edge,
    meter::{Look, Meter},
    net::Reach,
    tls::{Tls, TlsFacts},
};
use crate::{
    clock::Clock,
    names::{AccessEdge, Fqdn, SipDomain},
};

/// Look-ups that are under way at a time, in all.
pub const AT_A_TIME: usize = 256;
/// The same for one request.
const AT_A_TIME_EACH: usize = 16;
/// Look-ups a second, and how many may come at once after a pause.
pub const PER_SECOND: (u32, u32) = (1_000, 1_000);
/// The same for the names of one zone, and for connections to one address.
const PER_ZONE: (u32, u32) = (50, 100);
const PER_ADDRESS: (u32, u32) = (5, 10);
/// What an edge shows is not looked at again for so long, whoever asks.
pub const SHARED_FOR: Duration = Duration::from_secs(5);
/// The most edges that are remembered.
const MOST_EDGES: u64 = 10_000;
/// Whoever is over a limit comes back within this of the others.
const SPREAD: Duration = Duration::from_millis(50);

/// What the checks of a set of routes found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// One or more for every edge and every domain that was looked at, the gravest first, with as much
    /// evidence as one request may have.
    pub findings: Vec<Finding>,
    /// Edges and domains that were not done within the budget.
    pub unfinished: usize,
}

impl Report {
    /// Whether every edge and every domain of `routes` was looked at and is fine, and nothing is
    /// blocking or unknown: the positive proof that `enforce` asks for.
    #[must_use]
    pub fn proves(&self, routes: &[(AccessEdge, Vec<SipDomain>)]) -> bool {
        let fine: BTreeSet<(Code, &Fqdn)> = self
            .findings
            .iter()
            .filter(|finding| finding.severity == Severity::Ok)
            .map(|finding| (finding.code, &finding.subject))
            .collect();
        let good = |f: &Finding| matches!(f.severity, Severity::Ok | Severity::Warning);
        self.unfinished == 0
            && self.findings.iter().all(good)
            && routes.iter().all(|(edge, domains)| {
                fine.contains(&(Code::Certificate, edge.as_fqdn()))
                    && domains
                        .iter()
                        .all(|domain| fine.contains(&(Code::Srv, domain.as_fqdn())))
            })
    }
}

/// How strict the checks are, what makes them, and when ownership has to be proven: where nothing is
/// looked up, nothing can be.
#[derive(Clone, Debug, Default)]
pub enum Checks {
    /// Nothing is looked up.
    #[default]
    Off,
    /// Findings are shown; provisioned all the same, but for a domain that has to be proven.
    Advise(Checker, ProofMode),
    /// Provisioned on positive proof alone.
    Enforce(Checker, ProofMode),
}

impl Checks {
    /// How strict they are.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        match self {
            Self::Off => Mode::Off,
            Self::Advise(..) => Mode::Advise,
            Self::Enforce(..) => Mode::Enforce,
        }
    }

    /// What makes them; `None`: nothing is looked up.
    #[must_use]
    pub const fn checker(&self) -> Option<&Checker> {
        match self {
            Self::Off => None,
            Self::Advise(checker, _) | Self::Enforce(checker, _) => Some(checker),
        }
    }

    /// When ownership of a domain has to be proven.
    #[must_use]
    pub const fn proof(&self) -> ProofMode {
        match self {
            Self::Off => ProofMode::Held,
            Self::Advise(_, proof) | Self::Enforce(_, proof) => *proof,
        }
    }
}

/// The readiness checks. Cheap to clone; all clones share limits and what they know of edges.
#[derive(Clone)]
pub struct Checker(Arc<Inner>);

struct Inner {
    dns: Dns,
    tls: Tls,
    reach: Reach,
    clock: Clock,
    under_way: Semaphore,
    all: DefaultDirectRateLimiter,
    zones: DefaultKeyedRateLimiter<String>,
    addresses: DefaultKeyedRateLimiter<IpAddr>,
    /// Counts look-ups, to forget now and then whom nobody asks for any more.
    asked: AtomicU32,
    edges: Cache<AccessEdge, Arc<Shown>>,
    meter: Meter,
}

/// Without what was looked at.
impl fmt::Debug for Checker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checker").finish_non_exhaustive()
    }
}

/// What an edge shows.
struct Shown {
    addresses: AddressFacts,
    tls: Option<TlsFacts>,
}

fn quota((per_second, burst): (u32, u32)) -> Quota {
    let some = |n| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
    Quota::per_second(some(per_second)).allow_burst(some(burst))
}

impl Checker {
    /// Checks that ask `dns` and `tls`, and connect where `reach` allows.
    #[must_use]
    pub fn new(dns: Dns, tls: Tls, reach: Reach, clock: Clock) -> Self {
        Self(Arc::new(Inner {
            dns,
            tls,
            reach,
            clock,
            under_way: Semaphore::new(AT_A_TIME),
            all: DefaultDirectRateLimiter::direct(quota(PER_SECOND)),
            zones: DefaultKeyedRateLimiter::keyed(quota(PER_ZONE)),
            addresses: DefaultKeyedRateLimiter::keyed(quota(PER_ADDRESS)),
            asked: AtomicU32::new(0),
            edges: Cache::builder()
                .max_capacity(MOST_EDGES)
                .time_to_live(SHARED_FOR)
                .build(),
            meter: Meter::default(),
        }))
    }

    /// What was looked at.
    #[must_use]
    pub fn meter(&self) -> &Meter {
        &self.0.meter
    }

    /// Looks at every edge and every domain of `routes`, for `budget` at most.
    pub async fn check(&self, routes: &[(AccessEdge, Vec<SipDomain>)], budget: Duration) -> Report {
        let deadline = Instant::now() + budget;
        let mut looks = Vec::<BoxFuture<'static, Vec<Finding>>>::new();
        for (edge, domains) in routes {
            let (checker, edge, domains) = (self.clone(), edge.clone(), domains.clone());
            looks.push(async move { checker.edge(&edge, &domains).await }.boxed());
        }
        for (edge, domains) in routes {
            for domain in domains {
                let (checker, edge, domain) = (self.clone(), edge.clone(), domain.clone());
                looks.push(async move { checker.domain(&domain, &edge).await }.boxed());
            }
        }
        let mut report = Report {
            findings: Vec::new(),
            unfinished: looks.len(),
        };
        let mut done = stream::iter(looks).buffer_unordered(AT_A_TIME_EACH);
        while let Ok(Some(findings)) = timeout_at(deadline, done.next()).await {
            report.findings.extend(findings);
            report.unfinished -= 1;
        }
        bound(&mut report.findings);
        report
    }

    /// What the owner of the zone of `domain` says of the service with this token (`design.md`,
    /// Whose domain). [`owner::judge`](super::owner::judge) makes a finding of it.
    pub async fn owner_says(&self, domain: &SipDomain, token: &str) -> TokenFacts {
        let _turn = self.turn(domain.as_fqdn()).await;
        let said = self.0.dns.token(domain, token).await;
        let found = match said {
            TokenFacts::Proven => Severity::Ok,
            TokenFacts::Missing
            | TokenFacts::Other { .. }
            | TokenFacts::Disagree { .. }
            | TokenFacts::Unreachable(_) => Severity::Blocking,
        };
        self.0.meter.looked(Look::Owner, found);
        said
    }

    async fn domain(&self, domain: &SipDomain, edge: &AccessEdge) -> Vec<Finding> {
        let _turn = self.turn(domain.as_fqdn()).await;
        let findings = domain::judge(domain, edge, &self.0.dns.srv(domain).await);
        self.0.meter.looked(Look::Domain, gravest(&findings));
        findings
    }

    async fn edge(&self, edge: &AccessEdge, domains: &[SipDomain]) -> Vec<Finding> {
        let findings = self.judged(edge, domains).await;
        self.0.meter.looked(Look::Edge, gravest(&findings));
        findings
    }

    async fn judged(&self, edge: &AccessEdge, domains: &[SipDomain]) -> Vec<Finding> {
        let shown = self
            .0
            .edges
            .get_with(edge.clone(), async { Arc::new(self.look_at(edge).await) })
            .await;
        let Addresses::Found(addresses) = &shown.addresses.outcome else {
            return edge::without_address(edge, &shown.addresses);
        };
        edge::judge(
            edge,
            domains,
            addresses,
            self.0.reach,
            shown.tls.as_ref(),
            self.0.clock.now(),
        )
    }

    async fn look_at(&self, edge: &AccessEdge) -> Shown {
        let turn = self.turn(edge.as_fqdn()).await;
        let addresses = self.0.dns.addresses(edge.as_fqdn()).await;
        drop(turn);
        let found = match &addresses.outcome {
            Addresses::Found(found) => found.as_slice(),
            Addresses::None { .. } | Addresses::Unreachable(_) => &[],
        };
        let mut allowed = found.to_vec();
        allowed.retain(|&address| self.0.reach.allows(address));
        let tls = if allowed.is_empty() {
            None
        } else {
            for address in &allowed {
                let limit = &self.0.addresses;
                limit
                    .until_key_ready_with_jitter(address, Jitter::up_to(SPREAD))
                    .await;
            }
            let _turn = self.slot().await;
            Some(self.0.tls.probe(edge, &allowed).await)
        };
        Shown { addresses, tls }
    }

    /// Waits until it is our turn to ask for a name.
    async fn turn(&self, name: &Fqdn) -> Option<tokio::sync::SemaphorePermit<'_>> {
        // Before a slot is taken: who waits for a zone keeps nobody from another.
        let zone = zone(name);
        self.0
            .zones
            .until_key_ready_with_jitter(&zone, Jitter::up_to(SPREAD))
            .await;
        self.slot().await
    }

    async fn slot(&self) -> Option<tokio::sync::SemaphorePermit<'_>> {
        // Nobody closes the semaphore.
        let slot = self.0.under_way.acquire().await.ok();
        self.0
            .all
            .until_ready_with_jitter(Jitter::up_to(SPREAD))
            .await;
        if self.0.asked.fetch_add(1, Ordering::Relaxed) % 4_096 == 4_095 {
            self.0.zones.retain_recent();
            self.0.addresses.retain_recent();
        }
        slot
    }
}

/// The gravest of what was found.
fn gravest(findings: &[Finding]) -> Severity {
    let graves = findings.iter().map(|finding| finding.severity);
    graves.max().unwrap_or(Severity::Ok)
}

/// The zone that a name most likely stands in: what is registered under a public suffix.
fn zone(name: &Fqdn) -> String {
    let registered = psl::domain_str(name.as_str());
    registered.unwrap_or(name.as_str()).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(code: Code, name: &str) -> Finding {
        Finding::new(code, &Fqdn::parse(name).unwrap(), "", [""])
    }

    #[test]
    fn everything_that_was_asked_for_has_to_be_proven() {
        let routes = [(
            AccessEdge::parse("sip.contoso.com").unwrap(),
            vec![SipDomain::parse("contoso.com").unwrap()],
        )];
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

    #[test]
    fn names_of_one_owner_are_one_zone() {
        let zone = |name| zone(&Fqdn::parse(name).unwrap());
        assert_eq!(zone("sip.a.contoso.co.uk"), "contoso.co.uk");
        assert_eq!(zone("contoso.com"), zone("example.contoso.com"));
    }
}
