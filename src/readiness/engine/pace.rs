//! Paces the checks of many names, so that slow ones cost the others little.
//!
//! Names begin in order, a few at a time. Each quick one lets one more run at the same time; after
//! a slow one they run one by one, in the lane for slow names, until one is quick again. So names
//! that take seconds each hold one slot, however many they are, and names that are answered at once
//! use all that a request may have.

use std::{future::Future, pin::pin, time::Duration};

use futures_util::{
    FutureExt as _, StreamExt as _,
    future::{Fuse, FusedFuture as _},
    stream::FuturesUnordered,
};
use tokio::time::{Instant, sleep_until};

use super::slots::Slot;
use super::{Checker, slots::Lane};
use crate::names::{AccessEdge, SipDomain};

/// The most names of one request or page that are checked at the same time.
const WIDEST: usize = 16;
/// A check that takes longer is slow.
const SLOW: Duration = Duration::from_secs(1);

/// A name to check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    /// An Access Edge.
    Edge(AccessEdge),
    /// A SIP domain that is to be routed to this Access Edge.
    Domain(SipDomain, AccessEdge),
}

/// The time limits for names.
#[derive(Clone, Copy, Debug)]
pub struct Hours {
    /// No check begins later.
    pub begin: Instant,
    /// Checks that are not done by then are dropped.
    pub end: Instant,
}

/// The result of checking several names.
#[derive(Debug)]
pub struct Paced<T> {
    /// The index of each name that was done, with its result, in the order in which they ended.
    pub done: Vec<(usize, T)>,
    /// How many checks were begun.
    pub begun: usize,
    /// How many of them were slow.
    pub slow: usize,
}

impl Checker {
    /// Checks `names` with `look`, which gets each with its slot; a name that needs no lookup, or
    /// takes its slot itself, has none.
    pub(crate) async fn paced<T, F>(
        &self,
        lane: Lane,
        names: impl IntoIterator<Item = Name>,
        hours: Hours,
        look: impl Fn(Name, Option<Slot>) -> F,
    ) -> Paced<T>
    where
        F: Future<Output = T>,
    {
        let mut names = names.into_iter();
        let (mut width, mut now_in) = match lane {
            Lane::People => (4, lane),
            Lane::First => (2, lane),
            Lane::Rest => (8, lane),
            Lane::Slow => (1, lane),
        };
        let mut paced = Paced {
            done: Vec::new(),
            begun: 0,
            slow: 0,
        };
        let mut running = FuturesUnordered::new();
        // The next name, while it waits for its turn.
        let mut next = pin!(Fuse::terminated());
        let mut closed = false;
        let (mut closing, mut ending) =
            (pin!(sleep_until(hours.begin)), pin!(sleep_until(hours.end)));
        loop {
            if !closed && next.is_terminated() && running.len() < width {
                match names.next() {
                    Some(name) => next.set(self.begin(now_in, name).fuse()),
                    None => closed = true,
                }
            }
            if running.is_empty() && next.is_terminated() {
                break;
            }
            tokio::select! {
                biased;
                () = &mut ending => break,
                () = &mut closing, if !closed || !next.is_terminated() => {
                    closed = true;
                    next.set(Fuse::terminated());
                }
                Some((place, quick, outcome)) = running.next(), if !running.is_empty() => {
                    paced.done.push((place, outcome));
                    if quick {
                        width = (width + 1).min(WIDEST);
                        now_in = lane;
                    } else {
                        width = 1;
                        paced.slow += 1;
                        if lane != Lane::People {
                            now_in = Lane::Slow;
                        }
                    }
                }
                (name, slot) = &mut next, if !next.is_terminated() => {
                    let (place, began) = (paced.begun, Instant::now());
                    paced.begun += 1;
                    let look = look(name, slot);
                    running.push(async move {
                        let outcome = look.await;
                        (place, began.elapsed() < SLOW, outcome)
                    });
                }
            }
        }
        paced
    }

    /// Waits until `name` may be checked. For an edge the actual read waits, and a name in a zone
    /// that is known not to answer need not wait.
    async fn begin(&self, lane: Lane, name: Name) -> (Name, Option<Slot>) {
        let slot = match &name {
            Name::Edge(_) => None,
            Name::Domain(domain, _) => self.turn(lane, domain.as_fqdn()).await,
        };
        (name, slot)
    }
}
