//! Runs many checks at the same time, within limits that spare the servers of others.
//!
//! Form, background task, `/check` and `pic-portal check` share one [`Checker`] in each process.
//! Its limits hold however many checks run: lookups at a time in total and for each [`Lane`],
//! lookups a second in total, for one zone and for one address. What an edge shows is shared for
//! some seconds; a zone that did not answer several times in a row is not queried for a minute.
//! `pace` decides how the names of one request or page take turns.

mod alone;
mod checks;
mod pace;
mod report;
mod shared;
mod slots;

use std::{
    fmt,
    net::IpAddr,
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Jitter, Quota};
use moka::future::Cache;
use tokio::time::{Instant, timeout};

use self::slots::{Slot, Slots};
pub use self::{
    checks::Checks,
    pace::{Hours, Name, Paced},
    report::{Report, proves},
    slots::{AT_A_TIME, Lane},
};
use super::{
    Finding, Severity, bound,
    dns::{AddressFacts, Addresses, Dns, SrvFacts, TokenFacts, Trouble},
    domain, edge,
    meter::{CheckKind, Meter},
    net::Reach,
    silence::Silence,
    tls::{Tls, TlsFacts},
};
use crate::{
    clock::Clock,
    names::{AccessEdge, EdgeRoutes, Fqdn, SipDomain},
};

/// Lookups a second, and how many may come at once after a pause.
pub const PER_SECOND: (u32, u32) = (1_000, 1_000);
/// The same for the names of one zone, and for connections to one address.
const PER_ZONE: (u32, u32) = (50, 100);
const PER_ADDRESS: (u32, u32) = (5, 10);
/// For this long, what an edge shows is not read again.
pub const SHARED_FOR: Duration = Duration::from_secs(5);
/// The most edges that are remembered.
const MOST_EDGES: u64 = 10_000;
/// Lookups over a limit retry within this time, spread randomly.
const SPREAD: Duration = Duration::from_millis(50);
/// A zone that did not answer this often in a row is not queried again for a minute.
const TOO_SILENT: u32 = 5;
/// How long a check waits for an edge whose addresses are over their limit; then its certificate
/// counts as not checked.
const ADDRESS_WAIT: Duration = Duration::from_secs(10);

/// The readiness checks. Cheap to clone; clones share limits and what they know of edges.
#[derive(Clone)]
pub struct Checker(Arc<Inner>);

struct Inner {
    dns: Dns,
    tls: Tls,
    reach: Reach,
    clock: Clock,
    slots: Slots,
    all: DefaultDirectRateLimiter,
    zones: DefaultKeyedRateLimiter<String>,
    addresses: DefaultKeyedRateLimiter<IpAddr>,
    /// Counts lookups, so that zones no longer queried are forgotten now and then.
    asked: AtomicU32,
    edges: Cache<AccessEdge, Arc<Shown>>,
    /// Counts unanswered queries by zone.
    silence: Silence<String>,
    meter: Meter,
}

/// Prints nothing of what was checked.
impl fmt::Debug for Checker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checker").finish_non_exhaustive()
    }
}

/// What an edge shows: its addresses and certificate.
pub struct Shown {
    addresses: AddressFacts,
    tls: Option<TlsFacts>,
}

fn quota((per_second, burst): (u32, u32)) -> Quota {
    let some = |n| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
    Quota::per_second(some(per_second)).allow_burst(some(burst))
}

impl Checker {
    /// Checks that use `dns` and `tls`, and connect where `reach` allows.
    #[must_use]
    pub fn new(dns: Dns, tls: Tls, reach: Reach, clock: Clock) -> Self {
        Self(Arc::new(Inner {
            dns,
            tls,
            reach,
            clock,
            slots: Slots::new(),
            all: DefaultDirectRateLimiter::direct(quota(PER_SECOND)),
            zones: DefaultKeyedRateLimiter::keyed(quota(PER_ZONE)),
            addresses: DefaultKeyedRateLimiter::keyed(quota(PER_ADDRESS)),
            asked: AtomicU32::new(0),
            edges: Cache::builder()
                .max_capacity(MOST_EDGES)
                .time_to_live(SHARED_FOR)
                .build(),
            silence: Silence::new(TOO_SILENT),
            meter: Meter::default(),
        }))
    }

    /// Counts the checks.
    #[must_use]
    pub fn meter(&self) -> &Meter {
        &self.0.meter
    }

    /// Checks every edge and every domain of `routes` for a client that waits, for `budget` at
    /// most.
    pub async fn check(&self, routes: &[EdgeRoutes], budget: Duration) -> Report {
        let end = Instant::now() + budget;
        let mut names = Vec::new();
        for EdgeRoutes { edge, .. } in routes {
            names.push(Name::Edge(edge.clone()));
        }
        for EdgeRoutes { edge, domains } in routes {
            for domain in domains {
                names.push(Name::Domain(domain.clone(), edge.clone()));
            }
        }
        let all = names.len();
        let look = |name, slot| async move {
            match name {
                Name::Edge(edge) => {
                    let shown = self.shown(&edge, Lane::People).await;
                    let own = routes.iter().find(|own| own.edge == edge);
                    let domains = own.map_or(&[][..], |own| &own.domains);
                    self.edge(&edge, domains, &shown)
                }
                Name::Domain(domain, edge) => self.domain(&domain, &edge, slot).await,
            }
        };
        let hours = Hours { begin: end, end };
        let paced = self.paced(Lane::People, names, hours, look).await;
        let mut report = Report {
            unfinished: all - paced.done.len(),
            findings: paced
                .done
                .into_iter()
                .flat_map(|(_, found)| found)
                .collect(),
        };
        let edges = routes.iter().map(|of| &of.edge);
        let shared = self.shared(edges, Lane::People, end).await;
        report.findings.extend(shared);
        bound(&mut report.findings);
        report
    }

    /// Whether the owner of the zone of `domain` names the service with this token
    /// (`docs/design.md#whose-domain`). [`owner::judge`](super::owner::judge) makes a finding of
    /// it.
    pub async fn owner_says(&self, domain: &SipDomain, token: &str) -> TokenFacts {
        let said = match self.turn(Lane::Rest, domain.as_fqdn()).await {
            Some(_slot) => self.0.dns.token(domain, token).await,
            None => TokenFacts::Unreachable(Trouble::Silent),
        };
        let found = match said {
            TokenFacts::Proven => Severity::Ok,
            TokenFacts::Missing
            | TokenFacts::Misplaced(_)
            | TokenFacts::Other { .. }
            | TokenFacts::Disagree { .. }
            | TokenFacts::Unreachable(_) => Severity::Blocking,
        };
        self.0.meter.looked(CheckKind::Owner, found);
        said
    }

    /// The findings of a domain; without a slot, that its zone does not answer.
    pub(crate) async fn domain(
        &self,
        domain: &SipDomain,
        edge: &AccessEdge,
        slot: Option<Slot>,
    ) -> Vec<Finding> {
        let facts = self.srv(domain, slot).await;
        let findings = domain::judge(domain, edge, &facts);
        self.0.meter.looked(CheckKind::Domain, gravest(&findings));
        findings
    }

    /// The SRV records of a domain; without a slot, that its zone does not answer.
    async fn srv(&self, domain: &SipDomain, slot: Option<Slot>) -> SrvFacts {
        match slot {
            Some(_slot) => {
                let facts = self.0.dns.srv(domain).await;
                self.learn(domain.as_fqdn(), facts.trouble).await;
                facts
            }
            None => SrvFacts::unanswered(Trouble::Silent),
        }
    }

    /// The findings of an edge that shows this, and of the domains that are to be routed to it.
    pub(crate) fn edge(
        &self,
        edge: &AccessEdge,
        domains: &[SipDomain],
        shown: &Shown,
    ) -> Vec<Finding> {
        let findings = edge::of(
            edge,
            domains,
            &shown.addresses,
            self.0.reach,
            shown.tls.as_ref(),
            self.0.clock.now(),
        );
        self.0.meter.looked(CheckKind::Edge, gravest(&findings));
        findings
    }

    /// What an edge shows, or showed some seconds ago.
    pub(crate) async fn shown(&self, edge: &AccessEdge, lane: Lane) -> Arc<Shown> {
        let look = async { Arc::new(self.look_at(edge, lane).await) };
        self.0.edges.get_with(edge.clone(), look).await
    }

    async fn look_at(&self, edge: &AccessEdge, lane: Lane) -> Shown {
        let addresses = self.addresses(edge, lane).await;
        let found = match &addresses.outcome {
            Addresses::Found(found) => found.as_slice(),
            Addresses::None { .. } | Addresses::Circle | Addresses::Unreachable(_) => &[],
        };
        let mut allowed = found.to_vec();
        allowed.retain(|&address| self.0.reach.allows(address));
        let tls = if allowed.is_empty() || !self.may_connect(&allowed).await {
            None
        } else {
            let _slot = self.slot(lane).await;
            Some(self.0.tls.probe(edge, &allowed).await)
        };
        Shown { addresses, tls }
    }

    /// What DNS has about the name of an edge.
    async fn addresses(&self, edge: &AccessEdge, lane: Lane) -> AddressFacts {
        let Some(_slot) = self.turn(lane, edge.as_fqdn()).await else {
            return AddressFacts::unreachable(Trouble::Silent);
        };
        let facts = self.0.dns.addresses(edge.as_fqdn()).await;
        let trouble = match facts.outcome {
            Addresses::Unreachable(trouble) => Some(trouble),
            Addresses::Found(_) | Addresses::None { .. } | Addresses::Circle => None,
        };
        self.learn(edge.as_fqdn(), trouble).await;
        facts
    }

    /// Waits, without a slot, until all of `addresses` may be connected to; returns whether they
    /// may.
    async fn may_connect(&self, addresses: &[IpAddr]) -> bool {
        let limit = &self.0.addresses;
        let all = async {
            for address in addresses {
                limit
                    .until_key_ready_with_jitter(address, Jitter::up_to(SPREAD))
                    .await;
            }
        };
        timeout(ADDRESS_WAIT, all).await.is_ok()
    }

    /// Records whether the zone of `name` answered.
    async fn learn(&self, name: &Fqdn, trouble: Option<Trouble>) {
        let zone = zone(name);
        if trouble == Some(Trouble::Silent) {
            self.0.silence.silent(&zone).await;
        } else {
            self.0.silence.answered(&zone).await;
        }
    }

    /// Waits for the turn of a lookup for a name; `None`: its zone is known not to answer.
    async fn turn(&self, lane: Lane, name: &Fqdn) -> Option<Slot> {
        let zone = zone(name);
        if self.0.silence.is_silent(&zone) {
            return None;
        }
        // Before a slot is taken: waiting for one zone must not block others.
        self.0
            .zones
            .until_key_ready_with_jitter(&zone, Jitter::up_to(SPREAD))
            .await;
        let slot = self.slot(lane).await;
        // Other checks may have found out while this one waited.
        slot.filter(|_| !self.0.silence.is_silent(&zone))
    }

    async fn slot(&self, lane: Lane) -> Option<Slot> {
        let slot = self.0.slots.take(lane).await;
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

/// The highest severity of the findings.
fn gravest(findings: &[Finding]) -> Severity {
    let graves = findings.iter().map(|finding| finding.severity);
    graves.max().unwrap_or(Severity::Ok)
}

/// The zone that most likely contains a name: the domain registered under a public suffix.
fn zone(name: &Fqdn) -> String {
    let registered = psl::domain_str(name.as_str());
    registered.unwrap_or(name.as_str()).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_one_owner_are_one_zone() {
        let zone = |name| zone(&Fqdn::parse(name).unwrap());
        assert_eq!(zone("sip.a.contoso.co.uk"), "contoso.co.uk");
        assert_eq!(zone("contoso.com"), zone("example.contoso.com"));
    }
}
