//! The domain model of a request: what an administrator asks for, and how it stands.
//!
//! [`State`] owns the state machine of `docs/design.md#state-machine`; [`Standing`] alone derives
//! what people are shown ("overdue", "needs action", "superseded") from it.

pub mod events;
pub mod form;
pub mod live;
pub mod loader;
pub mod pages;
pub mod queue;
pub mod reference;
mod state;
pub mod store;
pub mod summary;
pub(crate) mod wording;

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

pub use self::events::EventCode;
pub use self::state::{Facts, Pending, Standing, State};
pub use crate::clock::Clocks;
use crate::{
    agreement::{AgreementNumber, Programme, ServiceId},
    names::EdgeRoutes,
    text_enum::text_enum,
};

/// The most Access Edge FQDNs that a request may have (`docs/field.md#edges-and-domains`).
pub const MAX_EDGES: usize = 10;
/// The most SIP domains that a request may have, over all its edges.
pub const MAX_DOMAINS: usize = 1_000;
/// The most entries of a timeline that are read and shown: the last ones. `load.sql`, the desk's
/// `request.sql` and the timelines of the streams use the same number.
pub const MOST_EVENTS: usize = 100;

text_enum! {
    /// What is asked of the service.
    Kind {
        /// A new service.
        Initiate = "initiate",
        /// Other routes for a service.
        Update = "update",
        /// The end of a service: no routes.
        Cancel = "cancel",
    }
}

text_enum! {
    /// Where the users of the SIP domains are homed (`docs/field.md#split-domain`).
    Deployment {
        /// All on the organisation's own servers.
        OnPremises = "on_premises",
        /// Some users of a domain are on-premises and some online.
        Split = "split",
    }
}

text_enum! {
    /// Why a request was rejected.
    Reason {
        /// The time limit passed before all checks passed.
        Expired = "expired",
        /// The organisation or its servers are not eligible.
        NotEligible = "not-eligible",
        /// The same was already requested.
        Duplicate = "duplicate",
        /// Some information in the request is wrong.
        WrongInformation = "wrong-information",
        /// The provider's policy forbids it.
        Policy = "policy",
    }
}

text_enum! {
    /// Who caused an event; never a person's name.
    Actor {
        /// The organisation's administrator.
        Administrator = "administrator",
        /// A member of the support staff.
        Staff = "staff",
        /// The portal itself.
        Portal = "portal",
    }
}

// ---------------------------------------------------------------------------------------------
// What is asked

/// Why a set of routes is invalid (`docs/field.md#edges-and-domains`). Indexes count from 0.
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
        /// Index of the edge.
        edge: usize,
    },
    /// This edge is listed earlier too.
    EdgeTwice {
        /// Index of the edge.
        edge: usize,
        /// Index where it is listed earlier.
        earlier: usize,
    },
    /// A domain is listed under an earlier edge too: a SIP domain has exactly one Access Edge.
    DomainTwice {
        /// Index of the edge.
        edge: usize,
        /// Index of the domain under it.
        domain: usize,
        /// Index of the earlier edge.
        earlier: usize,
    },
    /// A domain is the FQDN of an Access Edge in the same request.
    DomainIsEdge {
        /// Index of the edge under which the domain is listed.
        edge: usize,
        /// Index of the domain under it.
        domain: usize,
    },
}

/// A valid set of routes: 1 to 10 edges in the order given, each with its domains in order and
/// without duplicates, a domain under one edge only, none of them an edge itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Routes(Vec<EdgeRoutes>);

impl Routes {
    /// Checks the set. A domain that is listed twice under the same edge counts once.
    ///
    /// # Errors
    ///
    /// All [`RoutesProblem`]s, ordered by index.
    pub fn new(mut wanted: Vec<EdgeRoutes>) -> Result<Self, Vec<RoutesProblem>> {
        let mut problems = Vec::new();
        if wanted.is_empty() {
            problems.push(RoutesProblem::NoEdge);
        }
        if wanted.len() > MAX_EDGES {
            problems.push(RoutesProblem::TooManyEdges);
        }
        let mut edges = BTreeMap::new();
        for (place, EdgeRoutes { edge, .. }) in wanted.iter().enumerate() {
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
        for (place, EdgeRoutes { domains, .. }) in wanted.iter().enumerate() {
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
        for EdgeRoutes { domains, .. } in &mut wanted {
            domains.sort_unstable();
            domains.dedup();
        }
        Ok(Self(wanted))
    }

    /// The edges in the order given, each with its domains in alphabetical order.
    #[must_use]
    pub fn edges(&self) -> &[EdgeRoutes] {
        &self.0
    }

    /// How many domains there are, over all edges.
    #[must_use]
    pub fn domain_count(&self) -> usize {
        EdgeRoutes::domain_count(&self.0)
    }
}

/// A valid request for a new service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Licensing programme.
    pub programme: Programme,
    /// The number that the programme requires.
    pub number: AgreementNumber,
    /// Where the users are homed.
    pub deployment: Deployment,
    /// The routes to put in force.
    pub routes: Routes,
}

/// What is asked, and for which service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A new service with these routes.
    Initiate(Wanted),
    /// Other routes for a service.
    Update {
        /// The service to change.
        service: ServiceId,
        /// Where the users are homed.
        deployment: Deployment,
        /// The whole set of routes to put in force.
        routes: Routes,
    },
    /// The end of a service: no routes.
    Cancel {
        /// The service to cancel.
        service: ServiceId,
    },
}

impl Asked {
    /// The kind of request.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Initiate(_) => Kind::Initiate,
            Self::Update { .. } => Kind::Update,
            Self::Cancel { .. } => Kind::Cancel,
        }
    }

    /// Where the users are homed; `None` for a cancel.
    #[must_use]
    pub const fn deployment(&self) -> Option<Deployment> {
        match self {
            Self::Initiate(wanted) => Some(wanted.deployment),
            Self::Update { deployment, .. } => Some(*deployment),
            Self::Cancel { .. } => None,
        }
    }

    /// The service it is for; a new service has no id yet.
    #[must_use]
    pub const fn service(&self) -> Option<ServiceId> {
        match self {
            Self::Initiate(_) => None,
            Self::Update { service, .. } | Self::Cancel { service } => Some(*service),
        }
    }

    /// The wanted routes by edge; none for a cancel.
    #[must_use]
    pub fn edges(&self) -> &[EdgeRoutes] {
        match self {
            Self::Initiate(wanted) => wanted.routes.edges(),
            Self::Update { routes, .. } => routes.edges(),
            Self::Cancel { .. } => &[],
        }
    }

    /// The first 8 bytes of the SHA-256 of the content, the same however it was typed: tells a retry
    /// from another request under the same submission id.
    #[must_use]
    pub fn content_hash(&self) -> [u8; 8] {
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
        for EdgeRoutes { edge, domains } in self.edges() {
            part("edge");
            part(edge.as_str());
            for domain in domains {
                part(domain.as_str());
            }
        }
        let mut short = [0; 8];
        short.copy_from_slice(&hash.finalize()[..8]);
        short
    }
}

#[cfg(test)]
mod tests;
