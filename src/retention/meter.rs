//! What can be watched of the sweep?
//!
//! Counters of this process, in memory, for whoever exports metrics. They are about numbers and
//! kinds; there is nothing in them that anybody typed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use super::{Fault, Kind, Outcome};

/// The counters of one process. Cheap to clone; clones count together.
#[derive(Clone, Debug, Default)]
pub struct Meter(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    outcomes: [AtomicU64; Outcome::ALL.len()],
    faults: [AtomicU64; Fault::ALL.len()],
    removed: [AtomicU64; Kind::ALL.len()],
    failing: AtomicU64,
    remaining: AtomicU64,
    duration_ms: AtomicU64,
}

impl Meter {
    /// A sweep of this process has ended.
    pub fn ended(
        &self,
        outcome: Outcome,
        fault: Option<Fault>,
        remaining: Option<u64>,
        took: Duration,
    ) {
        self.0.outcomes[outcome as usize].fetch_add(1, Relaxed);
        if let Some(fault) = fault {
            self.0.faults[fault as usize].fetch_add(1, Relaxed);
            self.0.failing.fetch_add(1, Relaxed);
        } else {
            self.0.failing.store(0, Relaxed);
        }
        if let Some(remaining) = remaining {
            self.0.remaining.store(remaining, Relaxed);
        }
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.0.duration_ms.store(millis, Relaxed);
    }

    /// Rows were removed.
    pub fn removed(&self, kind: Kind, rows: u64) {
        self.0.removed[kind as usize].fetch_add(rows, Relaxed);
    }

    /// How many sweeps of this process ended like this (a counter).
    #[must_use]
    pub fn sweeps(&self, outcome: Outcome) -> u64 {
        self.0.outcomes[outcome as usize].load(Relaxed)
    }

    /// How many failed for this reason (a counter).
    #[must_use]
    pub fn failures(&self, fault: Fault) -> u64 {
        self.0.faults[fault as usize].load(Relaxed)
    }

    /// How many rows of a kind this process removed (a counter).
    #[must_use]
    pub fn rows_removed(&self, kind: Kind) -> u64 {
        self.0.removed[kind as usize].load(Relaxed)
    }

    /// How many sweeps in a row have failed; 0: the last one did not (a gauge, for an alarm).
    #[must_use]
    pub fn failing(&self) -> u64 {
        self.0.failing.load(Relaxed)
    }

    /// How many contact-like values remained when it was last looked to the end (a gauge).
    #[must_use]
    pub fn remaining(&self) -> u64 {
        self.0.remaining.load(Relaxed)
    }

    /// How long the last sweep took, in milliseconds (a gauge).
    #[must_use]
    pub fn duration_ms(&self) -> u64 {
        self.0.duration_ms.load(Relaxed)
    }
}
