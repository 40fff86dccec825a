//! How many requests are looked at at a time, and of which kind.

use std::collections::HashMap;

use tokio::task;

use super::store::jobs::TurnSize;
use crate::provisioning::store::{Claim, Place};

/// The most requests that one process looks at at a time, and the most names of their turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places {
    /// Pending ones.
    pub pending: usize,
    /// More pending ones that were never looked at, where the others are full.
    pub fresh: usize,
    /// Pending ones whose last turn was slow.
    pub slow: usize,
    /// Those in force: they can wait.
    pub watched: usize,
    /// Those in force whose last turn was slow.
    pub watched_slow: usize,
    /// Names of one turn.
    pub turn: TurnSize,
}

impl Default for Places {
    /// As many as have room in some tens of megabytes.
    fn default() -> Self {
        Self {
            pending: 768,
            fresh: 256,
            slow: 64,
            watched: 64,
            watched_slow: 16,
            turn: TurnSize::default(),
        }
    }
}

/// All places, in the order in which they are filled.
pub(super) const ALL: [Place; 5] = [
    Place::Pending,
    Place::Fresh,
    Place::Slow,
    Place::Watched,
    Place::WatchedSlow,
];

impl Places {
    pub(super) const fn most(&self, place: Place) -> usize {
        match place {
            Place::Pending => self.pending,
            Place::Fresh => self.fresh,
            Place::Slow => self.slow,
            Place::Watched => self.watched,
            Place::WatchedSlow => self.watched_slow,
        }
    }
}

/// The requests that are being looked at, by their tasks.
#[derive(Debug, Default)]
pub(super) struct AtHand {
    requests: HashMap<task::Id, (Place, Claim)>,
    counts: [usize; ALL.len()],
}

impl AtHand {
    pub(super) const fn count(&self, place: Place) -> usize {
        self.counts[place as usize]
    }

    pub(super) fn insert(&mut self, task: task::Id, place: Place, claim: Claim) {
        self.counts[place as usize] += 1;
        self.requests.insert(task, (place, claim));
    }

    pub(super) fn remove(&mut self, task: task::Id) -> Option<(Place, Claim)> {
        let (place, claim) = self.requests.remove(&task)?;
        self.counts[place as usize] -= 1;
        Some((place, claim))
    }

    /// All claims.
    pub(super) fn claims(&self) -> Vec<Claim> {
        let all = |(_, claim): &(Place, Claim)| claim.of(claim.requests.clone());
        self.requests.values().map(all).collect()
    }
}
