//! The slots for lookups: how many run at the same time, by lane.
//!
//! Each lane has slots that no other lane can take, so that none blocks another. Lookups for a page
//! that waits, and for requests that were never checked, may also take the shared slots.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The purpose of a lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// A person waits for the page that shows it.
    People,
    /// A request that was never checked, and its first few names.
    First,
    /// Everything else.
    Rest,
    /// Names after one that was slow.
    Slow,
}

const PEOPLE: usize = 64;
const FIRST: usize = 384;
const SHARED: usize = 128;
const SLOW: usize = 64;

/// Lookups that run at the same time, in total.
pub const AT_A_TIME: usize = PEOPLE + FIRST + SHARED + SLOW;

/// The right to make one lookup; released when dropped.
pub(super) type Slot = OwnedSemaphorePermit;

pub(super) struct Slots {
    people: Arc<Semaphore>,
    first: Arc<Semaphore>,
    shared: Arc<Semaphore>,
    slow: Arc<Semaphore>,
}

impl Slots {
    pub(super) fn new() -> Self {
        let of = |slots| Arc::new(Semaphore::new(slots));
        Self {
            people: of(PEOPLE),
            first: of(FIRST),
            shared: of(SHARED),
            slow: of(SLOW),
        }
    }

    /// Waits for a slot. The semaphores are never closed, so it always gets one in the end.
    pub(super) async fn take(&self, lane: Lane) -> Option<Slot> {
        let own = match lane {
            Lane::People => &self.people,
            Lane::First => &self.first,
            Lane::Rest => &self.shared,
            Lane::Slow => &self.slow,
        };
        let own = own.clone().acquire_owned();
        let slot = match lane {
            Lane::Rest | Lane::Slow => own.await,
            Lane::People | Lane::First => tokio::select! {
                biased;
                slot = own => slot,
                slot = self.shared.clone().acquire_owned() => slot,
            },
        };
        slot.ok()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use tokio::task::unconstrained;

    use super::*;

    /// A slot, if one is free.
    fn free(slots: &Slots, lane: Lane) -> Option<Slot> {
        unconstrained(slots.take(lane)).now_or_never().flatten()
    }

    /// Takes all slots of a lane.
    fn fill(slots: &Slots, lane: Lane) -> Vec<Slot> {
        std::iter::from_fn(|| free(slots, lane)).collect()
    }

    #[test]
    fn no_lane_keeps_another_from_beginning() {
        for (lane, most) in [
            (Lane::People, PEOPLE + SHARED),
            (Lane::First, FIRST + SHARED),
            (Lane::Rest, SHARED),
            (Lane::Slow, SLOW),
        ] {
            let slots = Slots::new();
            let taken = fill(&slots, lane);
            assert_eq!(taken.len(), most, "{lane:?}");
            for other in [Lane::People, Lane::First, Lane::Slow] {
                let free = free(&slots, other).is_some();
                assert_eq!(free, other != lane, "{other:?} beside {lane:?}");
            }
            drop(taken);
            assert_eq!(fill(&slots, lane).len(), most, "given back");
        }
    }
}
