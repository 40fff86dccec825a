//! Counts what the sweeps of this process did.

use std::time::Duration;

use prometheus::{
    Gauge, IntCounterVec,
    core::{AtomicU64, GenericGauge},
};

use super::{Fault, Kind, Outcome};
use crate::meter::{self, Collectors};

/// The counters of one process. Cheap to clone; clones count together.
#[derive(Clone, Debug)]
pub struct Meter {
    sweeps: IntCounterVec,
    faults: IntCounterVec,
    removed: IntCounterVec,
    failing: GenericGauge<AtomicU64>,
    remaining: GenericGauge<AtomicU64>,
    seconds: Gauge,
}

impl Default for Meter {
    fn default() -> Self {
        Self {
            sweeps: meter::counters(
                "pic_sweeps_total",
                "Retention sweeps of this process by how they ended.",
                ["outcome"],
                Outcome::ALL.iter().map(|outcome| [outcome.as_str()]),
            ),
            faults: meter::counters(
                "pic_sweep_faults_total",
                "Sweeps that failed, by why.",
                ["fault"],
                Fault::ALL.iter().map(|fault| [fault.as_str()]),
            ),
            removed: meter::counters(
                "pic_swept_rows_total",
                "Rows that this process's sweeps removed, by kind.",
                ["kind"],
                Kind::ALL.iter().map(|kind| [kind.as_str()]),
            ),
            failing: meter::gauge(
                "pic_sweeps_failing",
                "Sweeps of this process that failed in a row; 0: the last one did not.",
            ),
            remaining: meter::gauge(
                "pic_contacts_remaining",
                "Contact-like values that remained when this process last looked to the end.",
            ),
            seconds: meter::gauge(
                "pic_sweep_duration_seconds",
                "Time that the last sweep of this process took.",
            ),
        }
    }
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
        self.sweeps.with_label_values(&[outcome.as_str()]).inc();
        if let Some(fault) = fault {
            self.faults.with_label_values(&[fault.as_str()]).inc();
            self.failing.inc();
        } else {
            self.failing.set(0);
        }
        if let Some(remaining) = remaining {
            self.remaining.set(remaining);
        }
        self.seconds.set(took.as_secs_f64());
    }

    /// Rows were removed.
    pub fn removed(&self, kind: Kind, rows: u64) {
        self.removed
            .with_label_values(&[kind.as_str()])
            .inc_by(rows);
    }

    /// How many sweeps of this process ended like this.
    #[must_use]
    pub fn sweeps(&self, outcome: Outcome) -> u64 {
        self.sweeps.with_label_values(&[outcome.as_str()]).get()
    }

    /// How many failed for this reason.
    #[must_use]
    pub fn failures(&self, fault: Fault) -> u64 {
        self.faults.with_label_values(&[fault.as_str()]).get()
    }

    /// How many rows of a kind this process removed.
    #[must_use]
    pub fn rows_removed(&self, kind: Kind) -> u64 {
        self.removed.with_label_values(&[kind.as_str()]).get()
    }

    /// How many sweeps in a row have failed; 0: the last one did not.
    #[must_use]
    pub fn failing(&self) -> u64 {
        self.failing.get()
    }

    /// How many contact-like values remained when it was last looked to the end.
    #[must_use]
    pub fn remaining(&self) -> u64 {
        self.remaining.get()
    }

    /// For a scrape.
    #[must_use]
    pub fn collectors(&self) -> Collectors {
        vec![
            Box::new(self.sweeps.clone()),
            Box::new(self.faults.clone()),
            Box::new(self.removed.clone()),
            Box::new(self.failing.clone()),
            Box::new(self.remaining.clone()),
            Box::new(self.seconds.clone()),
        ]
    }
}
