//! Counts the checks: what kind of thing was looked at, and the gravest that was found of it.

use prometheus::IntCounterVec;

use super::Severity;
use crate::{
    meter::{self, Collectors},
    text_enum::text_enum,
};

text_enum! {
    /// What is looked at.
    CheckKind {
        /// The records of a SIP domain.
        Domain = "domain",
        /// Addresses and certificate of an Access Edge; one look may be shared by several requests.
        Edge = "edge",
        /// The record by which a domain's owner speaks for a service.
        Owner = "owner",
    }
}

/// The counters of one process. Cheap to clone; clones count together.
#[derive(Clone, Debug)]
pub struct Meter(IntCounterVec);

impl Default for Meter {
    fn default() -> Self {
        let found = |look: CheckKind| {
            let severities = Severity::ALL.iter();
            severities.map(move |found| [look.as_str(), found.as_str()])
        };
        Self(meter::counters(
            "pic_looks_total",
            "Readiness checks by what was looked at and the gravest that was found.",
            ["kind", "found"],
            CheckKind::ALL.iter().copied().flat_map(found),
        ))
    }
}

impl Meter {
    /// Something was looked at, and this is the gravest that was found.
    pub(super) fn looked(&self, look: CheckKind, found: Severity) {
        let labels = [look.as_str(), found.as_str()];
        self.0.with_label_values(&labels).inc();
    }

    /// For a scrape.
    #[must_use]
    pub fn collectors(&self) -> Collectors {
        vec![Box::new(self.0.clone())]
    }
}
