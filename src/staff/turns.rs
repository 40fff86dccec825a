//! Decides whose password is hashed next.
//!
//! A hash takes a core for some 15 ms, so a few are made at a time and the others wait. Those that
//! wait take turns by network, so that a thousand from one network delay another one by a single
//! hash. The number that wait is bounded in total and for each network; when it is reached, the
//! last of the network with the most makes room for one of a network with fewer. Known browsers
//! have a queue of their own, which goes first: their number is bounded by their throttle
//! (`staff::login_throttle`).
//!
//! An IPv6 network counts as the /48 that it is in.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use prometheus::IntCounter;
use tokio::sync::oneshot;

use crate::{
    meter::{self, Collectors},
    server::network::Network,
};

/// How many passwords are hashed at the same time.
const AT_A_TIME: usize = 2;
/// The most that wait, without known browsers: half a second of work on two cores.
const MOST: usize = 64;
/// The most of one network that wait: all that the default of `PIC_TRY_LIMIT` lets through at once.
const MOST_OF_A_NETWORK: usize = 16;
/// The most known browsers that wait.
const MOST_KNOWN: usize = 32;

/// The queue in which an attempt waits.
#[derive(Clone, Copy, Debug)]
pub enum Lane {
    /// The queue of those that are known: by the mark of their browser, by a session, or because
    /// they run the portal's command.
    Known,
    /// The queue of this network.
    Of(Network),
}

/// Too many wait; nothing was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// Turns, a few at a time. Cheap to clone; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Turns(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    line: Mutex<Line>,
    had: IntCounter,
    refused: IntCounter,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            line: Mutex::default(),
            had: meter::counter(
                "pic_password_hashes_total",
                "Passwords of the staff that were hashed or compared.",
            ),
            refused: meter::counter(
                "pic_password_hashes_refused_total",
                "Passwords that were not, because too many waited: answered 503.",
            ),
        }
    }
}

#[derive(Debug, Default)]
struct Line {
    /// How many are being hashed. While a slot is free, none wait.
    busy: usize,
    known: VecDeque<Waiter>,
    /// The network whose turn it is comes first; each has at least one that waits.
    others: VecDeque<(Network, VecDeque<Waiter>)>,
}

type Waiter = oneshot::Sender<Turn>;

/// A turn; when it is dropped, the next one gets it.
#[derive(Debug)]
pub struct Turn(Option<Arc<Shared>>);

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(shared) = self.0.take() else {
            return;
        };
        loop {
            let next = shared.line().next_waiter();
            let Some(next) = next else {
                return;
            };
            match next.send(Turn(Some(Arc::clone(&shared)))) {
                Ok(()) => return,
                // That one has disconnected meanwhile and does not take the turn.
                Err(mut turn) => turn.0 = None,
            }
        }
    }
}

impl Turns {
    /// Waits for a turn. Dropping the future gives up the place.
    ///
    /// # Errors
    ///
    /// [`Full`]: at once, or when one of a network with fewer that wait needs the place.
    pub async fn wait(&self, lane: Lane) -> Result<Turn, Full> {
        let (waiter, called) = oneshot::channel();
        let free = self.0.line().enter(lane, waiter);
        let turn = match free {
            Ok(true) => Ok(Turn(Some(Arc::clone(&self.0)))),
            // The channel is closed when another one has taken the place.
            Ok(false) => called.await.map_err(|_| Full),
            Err(full) => Err(full),
        };
        let count = if turn.is_ok() {
            &self.0.had
        } else {
            &self.0.refused
        };
        count.inc();
        turn
    }

    /// How many turns there were so far.
    #[must_use]
    pub fn had(&self) -> u64 {
        self.0.had.get()
    }

    /// How many were refused so far because too many waited.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.0.refused.get()
    }

    /// How many wait now.
    #[must_use]
    pub fn waiting(&self) -> usize {
        let line = self.0.line();
        line.known.len() + line.waiting()
    }

    /// For a scrape.
    #[must_use]
    pub fn collectors(&self) -> Collectors {
        let waiting = meter::reading(
            "pic_password_hashes_waiting",
            "Passwords that wait to be hashed or compared.",
            self.waiting() as u64,
        );
        vec![
            Box::new(self.0.had.clone()),
            Box::new(self.0.refused.clone()),
            waiting,
        ]
    }
}

impl Shared {
    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    /// `true`: it has its turn at once; `false`: it waits.
    fn enter(&mut self, lane: Lane, waiter: Waiter) -> Result<bool, Full> {
        if self.busy < AT_A_TIME {
            self.busy += 1;
            return Ok(true);
        }
        match lane {
            Lane::Known => {
                self.known.retain(|waiter| !waiter.is_closed());
                if self.known.len() >= MOST_KNOWN {
                    return Err(Full);
                }
                self.known.push_back(waiter);
            }
            Lane::Of(network) => {
                let widest = network.enclosing().last();
                let network = widest.map_or(network, |(network, _)| network);
                self.make_room(network)?;
                match self.others.iter_mut().find(|(it, _)| *it == network) {
                    Some((_, own)) => own.push_back(waiter),
                    None => self.others.push_back((network, VecDeque::from([waiter]))),
                }
            }
        }
        Ok(false)
    }

    /// Makes sure that one more of `network` may wait.
    fn make_room(&mut self, network: Network) -> Result<(), Full> {
        for (_, waiters) in &mut self.others {
            waiters.retain(|waiter| !waiter.is_closed());
        }
        self.others.retain(|(_, waiters)| !waiters.is_empty());
        let own = self.others.iter().find(|(it, _)| *it == network);
        let own = own.map_or(0, |(_, waiters)| waiters.len());
        if own >= MOST_OF_A_NETWORK {
            return Err(Full);
        }
        if self.waiting() < MOST {
            return Ok(());
        }
        let longest = self.others.iter_mut().max_by_key(|(_, it)| it.len());
        match longest {
            Some((_, waiters)) if waiters.len() > own + 1 => {
                waiters.pop_back();
                Ok(())
            }
            _ => Err(Full),
        }
    }

    fn waiting(&self) -> usize {
        self.others.iter().map(|(_, waiters)| waiters.len()).sum()
    }

    /// The one that takes over a turn that ends; `None`: none wait, and the slot becomes free.
    fn next_waiter(&mut self) -> Option<Waiter> {
        if let Some(known) = self.known.pop_front() {
            return Some(known);
        }
        let Some((network, mut waiters)) = self.others.pop_front() else {
            self.busy -= 1;
            return None;
        };
        let next = waiters.pop_front();
        if !waiters.is_empty() {
            self.others.push_back((network, waiters));
        }
        next.or_else(|| self.next_waiter())
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use tokio::task::JoinHandle;

    use super::*;

    fn of(number: u8) -> Lane {
        Lane::Of(Network::V4([192, 0, 2, number]))
    }

    /// Starts an attempt that waits.
    async fn waits(turns: &Turns, lane: Lane) -> JoinHandle<Result<Turn, Full>> {
        let turns = turns.clone();
        let waits = tokio::spawn(async move { turns.wait(lane).await });
        // On this single thread it has run as far as it can by then.
        tokio::task::yield_now().await;
        waits
    }

    /// Takes all slots.
    async fn taken(turns: &Turns) -> Vec<Turn> {
        let mut held = Vec::new();
        for _ in 0..AT_A_TIME {
            held.push(turns.wait(of(0)).await.unwrap());
        }
        held
    }

    /// Ends one turn after the other; returns the order in which those that wait get one.
    async fn order(
        mut held: Vec<Turn>,
        mut waiting: Vec<(&'static str, JoinHandle<Result<Turn, Full>>)>,
    ) -> Vec<&'static str> {
        let mut order = Vec::new();
        let mut turn = held.pop();
        while !waiting.is_empty() {
            drop(turn.take());
            let next = loop {
                tokio::task::yield_now().await;
                if let Some(next) = waiting.iter().position(|(_, it)| it.is_finished()) {
                    break next;
                }
            };
            let (name, it) = waiting.remove(next);
            turn = Some(it.await.unwrap().unwrap());
            order.push(name);
        }
        order
    }

    #[tokio::test]
    async fn networks_take_turns_and_who_is_known_goes_first() {
        let turns = Turns::default();
        let held = taken(&turns).await;
        let mut waiting = Vec::new();
        for (name, lane) in [
            ("a", of(1)),
            ("a", of(1)),
            ("a", of(1)),
            ("b", of(2)),
            ("b", of(2)),
            ("c", of(3)),
            ("known", Lane::Known),
        ] {
            waiting.push((name, waits(&turns, lane).await));
        }
        assert_eq!(turns.waiting(), 7);
        let order = order(held, waiting).await;
        assert_eq!(order, ["known", "a", "b", "c", "a", "b", "a"]);
        // A free slot is given at once.
        assert_eq!(turns.waiting(), 0);
        let again = taken(&turns).await;
        assert_eq!(turns.had(), 2 + 7 + 2);
        assert!(turns.wait(of(9)).now_or_never().is_none());
        drop(again);
    }

    #[tokio::test]
    async fn a_network_has_its_most_and_so_has_the_line() {
        let turns = Turns::default();
        let held = taken(&turns).await;
        let mut waiting = Vec::new();
        for _ in 0..MOST_OF_A_NETWORK {
            waiting.push(waits(&turns, of(1)).await);
        }
        assert_eq!(turns.wait(of(1)).await.unwrap_err(), Full);
        // A /48 counts as one network here.
        for subnet in 0..40 {
            let lane = Lane::Of(Network::V6([1, 2, 3, subnet]));
            let full = waits(&turns, lane).await;
            assert_eq!(full.is_finished(), usize::from(subnet) >= MOST_OF_A_NETWORK);
            waiting.push(full);
        }
        assert_eq!(turns.waiting(), 2 * MOST_OF_A_NETWORK);
        // Others come until the queue is full; then the largest network makes room for them.
        for number in 2..100 {
            waiting.push(waits(&turns, of(number)).await);
            assert!(turns.waiting() <= MOST);
        }
        assert_eq!(turns.waiting(), MOST);
        let lengths = {
            let line = turns.0.line();
            let lengths = line.others.iter().map(|(_, it)| it.len());
            lengths.collect::<Vec<_>>()
        };
        assert_eq!(lengths, [1; MOST], "each has one place");
        assert_eq!(turns.wait(of(200)).await.unwrap_err(), Full);
        let known = waits(&turns, Lane::Known).await;
        drop(held);
        known.await.unwrap().unwrap();
        // Each ends its turn at once.
        let ended = waiting
            .into_iter()
            .map(async |it| it.await.unwrap().is_ok());
        let ended = futures_util::future::join_all(ended).await;
        assert_eq!(ended.into_iter().filter(|&had| had).count(), MOST);
        assert_eq!(turns.0.line().busy, 0);
    }

    #[tokio::test]
    async fn who_goes_away_leaves_the_place_to_others() {
        let turns = Turns::default();
        let held = taken(&turns).await;
        for _ in 0..10 * MOST_KNOWN {
            for lane in [of(1), Lane::Known] {
                assert!(turns.wait(lane).now_or_never().is_none());
            }
        }
        let last = waits(&turns, of(1)).await;
        drop(held);
        last.await.unwrap().unwrap();
        assert_eq!(turns.0.line().busy, 0);
    }
}
