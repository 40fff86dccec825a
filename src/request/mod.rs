//! What did an administrator ask for, and how does it stand?
//!
//! [`State`] owns the state machine of `design.md`; [`Standing`] is the one place where what
//! people are told ("overdue", "needs your action", "superseded") is derived from it.

pub mod form;
pub mod pages;
pub mod reference;
pub mod store;

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest as _, Sha256};

use crate::{
    agreement::{AgreementNumber, Programme},
    names::{AccessEdge, SipDomain},
};

/// The most Access Edge FQDNs that a request may have (`facts.md`, Edges and domains).
pub const MAX_EDGES: usize = 10;
/// The most SIP domains that a request may have, over all its edges.
pub const MAX_DOMAINS: usize = 1_000;

/// An enumeration whose values have a name in SQL and in forms.
macro_rules! named {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$doc])* $variant,)+ }

        impl $name {
            /// Every value.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The name in SQL, in forms and in attributes.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// The value with that name.
            #[must_use]
            pub fn parse(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.as_str() == name)
            }
        }
    };
}

named! {
    /// What is asked of the service.
    Kind {
        /// A new service.
        Initiate = "initiate",
        /// Other routes for a service.
        Update = "update",
        /// No routes any more.
        Cancel = "cancel",
    }
}

named! {
    /// Where the users of the SIP domains are homed (`facts.md`, Split-domain).
    Deployment {
        /// All on the organisation's own servers.
        OnPremises = "on_premises",
        /// Of one domain, some on-premises and some online.
        Split = "split",
    }
}

named! {
    /// Why a request was rejected.
    Reason {
        /// The limit passed and the checks never held.
        Expired = "expired",
        /// The organisation or its servers are not eligible.
        NotEligible = "not-eligible",
        /// The same was asked already.
        Duplicate = "duplicate",
        /// What was given is wrong.
        WrongInformation = "wrong-information",
        /// The provider's policy forbids it.
        Policy = "policy",
    }
}

named! {
    /// Who caused an event; never a name.
    Actor {
        /// The organisation's administrator.
        Administrator = "administrator",
        /// A member of the support staff.
        Staff = "staff",
        /// The portal itself.
        Portal = "portal",
    }
}

named! {
    /// What an entry of the timeline tells.
    EventCode {
        /// The request was stored.
        Submitted = "submitted",
        /// One of its domains is in force under another service.
        Held = "held",
        /// Its routes came into force.
        Provisioned = "provisioned",
        /// It ended without its routes.
        Rejected = "rejected",
        /// The administrator took it back.
        Withdrawn = "withdrawn",
        /// A domain came over from another service, whose zone's owner spoke for this one.
        DomainGained = "domain-gained",
        /// A domain went over to another service, for the same reason.
        DomainLost = "domain-lost",
        /// The service's management key was replaced.
        KeyReplaced = "key-replaced",
    }
}

// ---------------------------------------------------------------------------------------------
// The state machine

/// The state of a request. Only [`Pending`] has edges, so one that `design.md` does not draw
/// does not compile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Waiting for its checks.
    Pending(Pending),
    /// Its routes came into force.
    Provisioned {
        /// When.
        at: DateTime<Utc>,
    },
    /// It ended without its routes.
    Rejected {
        /// When.
        at: DateTime<Utc>,
        /// Why.
        reason: Reason,
    },
    /// The administrator took it back.
    Withdrawn {
        /// When.
        at: DateTime<Utc>,
    },
}

/// Proof that a request is pending; the edges of the state machine start here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending(());

impl Pending {
    /// The checks hold and nothing stands against it.
    #[must_use]
    pub const fn provision(self, at: DateTime<Utc>) -> State {
        State::Provisioned { at }
    }

    /// The limit passed, or staff refused it.
    #[must_use]
    pub const fn reject(self, at: DateTime<Utc>, reason: Reason) -> State {
        State::Rejected { at, reason }
    }

    /// The administrator, or staff for them, took it back.
    #[must_use]
    pub const fn withdraw(self, at: DateTime<Utc>) -> State {
        State::Withdrawn { at }
    }
}

/// A column that contradicts another: the row is impossible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("state, reason and end of a request contradict each other")]
pub struct Contradiction;

impl State {
    /// Every name that a state has in SQL and in `data-state`.
    pub const NAMES: [&str; 4] = ["pending", "provisioned", "rejected", "withdrawn"];

    /// Where every request begins.
    #[must_use]
    pub const fn submitted() -> Self {
        Self::Pending(Pending(()))
    }

    /// The state from its columns; a half-set pair is refused.
    ///
    /// # Errors
    ///
    /// [`Contradiction`] when the columns do not make a state.
    pub fn from_columns(
        state: &str,
        reason: Option<&str>,
        ended_at: Option<DateTime<Utc>>,
    ) -> Result<Self, Contradiction> {
        match (state, reason.map(Reason::parse), ended_at) {
            ("pending", None, None) => Ok(Self::submitted()),
            ("provisioned", None, Some(at)) => Ok(Self::Provisioned { at }),
            ("rejected", Some(Some(reason)), Some(at)) => Ok(Self::Rejected { at, reason }),
            ("withdrawn", None, Some(at)) => Ok(Self::Withdrawn { at }),
            _ => Err(Contradiction),
        }
    }

    /// The name in SQL and in `data-state`.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Pending(_) => "pending",
            Self::Provisioned { .. } => "provisioned",
            Self::Rejected { .. } => "rejected",
            Self::Withdrawn { .. } => "withdrawn",
        }
    }

    /// The edges that lead on from here: none once the request has ended.
    #[must_use]
    pub const fn pending(self) -> Option<Pending> {
        match self {
            Self::Pending(pending) => Some(pending),
            Self::Provisioned { .. } | Self::Rejected { .. } | Self::Withdrawn { .. } => None,
        }
    }
}

// ---------------------------------------------------------------------------------------------
// What people are told

/// How long things take, from the settings (`facts.md`, Time).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clocks {
    /// Overdue after this (`PIC_PROMISE`).
    pub promise: Duration,
    /// Rejected as expired after this (`PIC_EXPIRY`).
    pub expiry: Duration,
}

impl Clocks {
    /// Until when the provider promises to have it done.
    #[must_use]
    pub fn promised_by(&self, submitted_at: DateTime<Utc>) -> DateTime<Utc> {
        later(submitted_at, self.promise)
    }

    /// When the request ends as expired.
    #[must_use]
    pub fn expires_at(&self, submitted_at: DateTime<Utc>) -> DateTime<Utc> {
        later(submitted_at, self.expiry)
    }
}

/// `at` and `by` after it; the end of time where that lies beyond.
fn later(at: DateTime<Utc>, by: Duration) -> DateTime<Utc> {
    TimeDelta::from_std(by)
        .ok()
        .and_then(|by| at.checked_add_signed(by))
        .unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// What a standing is derived from.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// The stored state.
    pub state: State,
    /// What was asked.
    pub kind: Kind,
    /// When it was stored.
    pub submitted_at: DateTime<Utc>,
    /// Whether a finding holds it back that the administrator can do something about.
    pub blocked: bool,
    /// Whether a later request of the same service has been provisioned.
    pub superseded: bool,
}

/// How a request stands, in the terms in which people are told. Never stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The portal is at work; nobody else need do anything.
    Checking {
        /// Whether the promise has passed.
        overdue: bool,
    },
    /// A finding holds it back, and the administrator must act.
    NeedsAction {
        /// Whether the promise has passed.
        overdue: bool,
    },
    /// Its routes are in force.
    InForce,
    /// It was provisioned, and a later request has replaced it.
    Superseded,
    /// The service was cancelled by it.
    Cancelled,
    /// It ended without its routes.
    Rejected(Reason),
    /// The administrator took it back.
    Withdrawn,
}

impl Standing {
    /// How a request stands at `now`. Pages, programs' interface and background task all ask this.
    #[must_use]
    pub fn of(facts: &Facts, clocks: &Clocks, now: DateTime<Utc>) -> Self {
        let overdue = now > clocks.promised_by(facts.submitted_at);
        match (facts.state, facts.kind) {
            (State::Pending(_), _) if facts.blocked => Self::NeedsAction { overdue },
            (State::Pending(_), _) => Self::Checking { overdue },
            (State::Provisioned { .. }, _) if facts.superseded => Self::Superseded,
            (State::Provisioned { .. }, Kind::Cancel) => Self::Cancelled,
            (State::Provisioned { .. }, Kind::Initiate | Kind::Update) => Self::InForce,
            (State::Rejected { reason, .. }, _) => Self::Rejected(reason),
            (State::Withdrawn { .. }, _) => Self::Withdrawn,
        }
    }
}

// ---------------------------------------------------------------------------------------------
// What is asked

/// Why a set of routes cannot be (`facts.md`, Edges and domains). Places count from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoutesProblem {
    /// There is no Access Edge.
    NoEdge,
    /// There are more than [`MAX_EDGES`].
    TooManyEdges,
    /// There are more than [`MAX_DOMAINS`].
    TooManyDomains,
    /// This edge has no domain.
    NoDomain {
        /// Place of the edge.
        edge: usize,
    },
    /// This edge stands at an earlier place too.
    EdgeTwice {
        /// Place of the edge.
        edge: usize,
        /// The earlier place.
        earlier: usize,
    },
    /// A domain stands at an earlier edge too: a SIP domain has exactly one Access Edge.
    DomainTwice {
        /// Place of the edge.
        edge: usize,
        /// Place of the domain at it.
        domain: usize,
        /// Place of the earlier edge.
        earlier: usize,
    },
    /// A domain is the FQDN of an Access Edge in the same request.
    DomainIsEdge {
        /// Place of the edge at which the domain stands.
        edge: usize,
        /// Place of the domain at it.
        domain: usize,
    },
}

/// A whole set of routes that can be: 1 to 10 edges in the order given, each with its domains in
/// order and without doubles, a domain at one edge only, none of them an edge itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Routes(Vec<(AccessEdge, Vec<SipDomain>)>);

impl Routes {
    /// Checks the set. A domain that is listed twice at the same edge counts once.
    ///
    /// # Errors
    ///
    /// Every [`RoutesProblem`] there is, in order of places.
    pub fn new(wanted: Vec<(AccessEdge, Vec<SipDomain>)>) -> Result<Self, Vec<RoutesProblem>> {
        let mut problems = Vec::new();
        if wanted.is_empty() {
            problems.push(RoutesProblem::NoEdge);
        }
        if wanted.len() > MAX_EDGES {
            problems.push(RoutesProblem::TooManyEdges);
        }
        let mut edges = BTreeMap::new();
        for (place, (edge, _)) in wanted.iter().enumerate() {
            if let Some(&earlier) = edges.get(edge.as_str()) {
                problems.push(RoutesProblem::EdgeTwice {
                    edge: place,
                    earlier,
                });
            } else {
                edges.insert(edge.as_str(), place);
            }
        }
        let mut homes = BTreeMap::new();
        for (place, (_, domains)) in wanted.iter().enumerate() {
            if domains.is_empty() {
                problems.push(RoutesProblem::NoDomain { edge: place });
            }
            for (i, domain) in domains.iter().enumerate() {
                if edges.contains_key(domain.as_str()) {
                    problems.push(RoutesProblem::DomainIsEdge {
                        edge: place,
                        domain: i,
                    });
                }
                let earlier = *homes.entry(domain.as_str()).or_insert(place);
                if earlier != place {
                    problems.push(RoutesProblem::DomainTwice {
                        edge: place,
                        domain: i,
                        earlier,
                    });
                }
            }
        }
        if homes.len() > MAX_DOMAINS {
            problems.push(RoutesProblem::TooManyDomains);
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let in_order = |(edge, mut domains): (AccessEdge, Vec<SipDomain>)| {
            domains.sort_unstable();
            domains.dedup();
            (edge, domains)
        };
        Ok(Self(wanted.into_iter().map(in_order).collect()))
    }

    /// The edges in the order given, each with its domains in alphabetical order.
    #[must_use]
    pub fn edges(&self) -> &[(AccessEdge, Vec<SipDomain>)] {
        &self.0
    }

    /// How many domains there are, over all edges.
    #[must_use]
    pub fn domain_count(&self) -> usize {
        self.0.iter().map(|(_, domains)| domains.len()).sum()
    }
}

/// A request for a new service, as an administrator wants it: every rule holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Licensing programme.
    pub programme: Programme,
    /// The number that the programme asks for.
    pub number: AgreementNumber,
    /// Where the users are homed.
    pub deployment: Deployment,
    /// The routes to put in force.
    pub routes: Routes,
}

/// The internal number of a service, for asking something of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceId(pub(crate) i64);

/// What is asked, and of whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A new service with these routes.
    Initiate(Wanted),
    /// Other routes for a service.
    Update {
        /// The service.
        service: ServiceId,
        /// Where the users are homed.
        deployment: Deployment,
        /// The whole set of routes to put in force.
        routes: Routes,
    },
    /// No routes any more for a service.
    Cancel {
        /// The service.
        service: ServiceId,
    },
}

impl Asked {
    /// What is asked, in a word.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Initiate(_) => Kind::Initiate,
            Self::Update { .. } => Kind::Update,
            Self::Cancel { .. } => Kind::Cancel,
        }
    }

    /// Where the users are homed; a cancel does not say.
    #[must_use]
    pub const fn deployment(&self) -> Option<Deployment> {
        match self {
            Self::Initiate(wanted) => Some(wanted.deployment),
            Self::Update { deployment, .. } => Some(*deployment),
            Self::Cancel { .. } => None,
        }
    }

    /// The service it is asked of; a new one has no number yet.
    #[must_use]
    pub const fn service(&self) -> Option<ServiceId> {
        match self {
            Self::Initiate(_) => None,
            Self::Update { service, .. } | Self::Cancel { service } => Some(*service),
        }
    }

    /// The wanted routes by edge; a cancel wants none.
    #[must_use]
    pub fn edges(&self) -> &[(AccessEdge, Vec<SipDomain>)] {
        match self {
            Self::Initiate(wanted) => wanted.routes.edges(),
            Self::Update { routes, .. } => routes.edges(),
            Self::Cancel { .. } => &[],
        }
    }

    /// SHA-256 of all of it, the same for the same content however it was typed: tells a retry
    /// from another request under the same submission id.
    #[must_use]
    pub fn content_hash(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        let mut part = |text: &str| {
            hash.update(text);
            hash.update([0]);
        };
        part(self.kind().as_str());
        match self {
            Self::Initiate(wanted) => {
                part(wanted.programme.as_str());
                part(wanted.number.as_str());
            }
            Self::Update { service, .. } | Self::Cancel { service } => part(&service.0.to_string()),
        }
        part(self.deployment().map_or("", Deployment::as_str));
        for (edge, domains) in self.edges() {
            part("edge");
            part(edge.as_str());
            for domain in domains {
                part(domain.as_str());
            }
        }
        hash.finalize().into()
    }
}

#[cfg(test)]
mod tests;
