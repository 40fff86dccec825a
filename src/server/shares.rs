//! Counts who holds how much of a scarce resource: in total, and by client network.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::server::network::Network;

/// Counts what is held, in all and by network. An IPv6 network is counted with the blocks around
/// it, which may hold more ([`Network::enclosing`]). Its size is bounded by what is held.
#[derive(Debug)]
pub(super) struct Shares {
    most: usize,
    most_per_network: usize,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    all: usize,
    by_network: HashMap<Network, usize>,
}

/// The limit that is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// The limit of all clients together.
    All,
    /// The limit of the client's network.
    Network,
}

impl Shares {
    pub(super) fn new(most: usize, most_per_network: usize) -> Self {
        Self {
            most,
            most_per_network,
            held: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is held now, in total.
    pub(super) fn held(&self) -> usize {
        self.lock().all
    }

    /// Counts `amount` more for `network`; `None` counts in the total only.
    ///
    /// # Errors
    ///
    /// [`Over`]; then nothing is counted.
    pub(super) fn take(&self, network: Option<Network>, amount: usize) -> Result<(), Over> {
        let mut held = self.lock();
        let fits = |held: usize, most| held.checked_add(amount).is_some_and(|sum| sum <= most);
        if !fits(held.all, self.most) {
            return Err(Over::All);
        }
        let blocks = || network.into_iter().flat_map(Network::enclosing);
        for (block, times) in blocks() {
            let times = usize::try_from(times).unwrap_or(usize::MAX);
            let most = self.most_per_network.saturating_mul(times);
            if !fits(held.by_network.get(&block).copied().unwrap_or(0), most) {
                return Err(Over::Network);
            }
        }
        for (block, _) in blocks() {
            *held.by_network.entry(block).or_default() += amount;
        }
        held.all += amount;
        Ok(())
    }

    /// Subtracts `amount` from what is counted for `network`.
    pub(super) fn give_back(&self, network: Option<Network>, amount: usize) {
        let mut held = self.lock();
        held.all -= amount;
        for (block, _) in network.into_iter().flat_map(Network::enclosing) {
            if let Some(count) = held.by_network.get_mut(&block) {
                *count -= amount;
                if *count == 0 {
                    held.by_network.remove(&block);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(address: &str) -> Network {
        Network::of(address.parse().unwrap())
    }

    #[test]
    fn it_is_counted_by_network_by_the_blocks_around_it_and_in_all() {
        let shares = Shares::new(100, 2);
        let take = |address: &str| shares.take(Some(network(address)), 1);
        // A /56 has four times what a /64 has, a /48 sixteen times.
        for subnet in 0..4 {
            for _ in 0..2 {
                take(&format!("2001:db8::{subnet}:0:0:0:1")).unwrap();
            }
            let full = take(&format!("2001:db8::{subnet}:0:0:0:2"));
            assert_eq!(full, Err(Over::Network), "the same /64");
        }
        assert_eq!(
            take("2001:db8::4:0:0:0:1"),
            Err(Over::Network),
            "the same /56"
        );
        for subnet in 0..24 {
            take(&format!(
                "2001:db8:0:{:x}::1",
                0x100 * (1 + subnet / 8) + subnet
            ))
            .unwrap();
        }
        assert_eq!(
            take("2001:db8:0:ff00::1"),
            Err(Over::Network),
            "the same /48"
        );
        for last in 0..34 {
            take(&format!("192.0.2.{last}")).unwrap();
            take(&format!("192.0.2.{last}")).unwrap();
        }
        assert_eq!(take("198.51.100.1"), Err(Over::All));
        assert_eq!(shares.take(None, 1), Err(Over::All));
    }

    #[test]
    fn nothing_is_left_of_what_was_given_back() {
        let shares = Shares::new(100, 10);
        for address in ["192.0.2.1", "2001:db8::1"] {
            assert_eq!(shares.take(Some(network(address)), 11), Err(Over::Network));
            shares.take(Some(network(address)), 10).unwrap();
            shares.give_back(Some(network(address)), 10);
        }
        let held = shares.lock();
        assert_eq!((held.all, held.by_network.len()), (0, 0));
    }
}
