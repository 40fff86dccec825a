//! What can be watched of the checks?
//!
//! Counters of this process, in memory, for whoever exports metrics: what kind of thing was looked
//! at, and the gravest that was found of it. No name, no address.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use super::Severity;
use crate::named::named;

named! {
    /// What is looked at.
    Look {
        /// The records of a SIP domain.
        Domain = "domain",
        /// Addresses and certificate of an Access Edge; one look may be shared by several requests.
        Edge = "edge",
        /// The record by which a domain's owner speaks for a service.
        Owner = "owner",
    }
}

/// The counters of one process. Cheap to clone; clones count together.
#[derive(Clone, Debug, Default)]
pub struct Meter(Arc<[[AtomicU64; Severity::ALL.len()]; Look::ALL.len()]>);

impl Meter {
    /// Something was looked at, and this is the gravest that was found.
    pub(super) fn looked(&self, look: Look, found: Severity) {
        self.0[look as usize][found as usize].fetch_add(1, Relaxed);
    }

    /// How many were looked at with that result (a counter).
    #[must_use]
    pub fn looks(&self, look: Look, found: Severity) -> u64 {
        self.0[look as usize][found as usize].load(Relaxed)
    }
}
