//! May one more connection come in?

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use ipnet::IpNet;

use super::limits::Limits;
use crate::web::client::Network;

/// Counts the connections, in all and by client network. Bounded by the connections themselves.
#[derive(Debug)]
pub(super) struct Admission {
    most: usize,
    most_per_network: usize,
    exempt: Vec<IpNet>,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    by_network: HashMap<Network, usize>,
}

/// One connection's place; free again when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    admission: Arc<Admission>,
    network: Option<Network>,
}

impl Admission {
    pub(super) fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            most: limits.connections,
            most_per_network: limits.per_network,
            exempt: limits.exempt.clone(),
            counts: Mutex::default(),
        })
    }

    /// Connections that have a place now.
    pub(super) fn count(&self) -> usize {
        self.counts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .all
    }

    /// A place for a connection from `peer`, if there is one.
    pub(super) fn admit(self: &Arc<Self>, peer: IpAddr) -> Option<Place> {
        let peer = peer.to_canonical();
        let network =
            (!self.exempt.iter().any(|net| net.contains(&peer))).then(|| Network::of(peer));
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.all >= self.most {
            return None;
        }
        if let Some(network) = network {
            let count = counts.by_network.entry(network).or_default();
            if *count >= self.most_per_network {
                return None;
            }
            *count += 1;
        }
        counts.all += 1;
        Some(Place {
            admission: Arc::clone(self),
            network,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self
            .admission
            .counts
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        counts.all -= 1;
        if let Some(network) = self.network
            && let Some(count) = counts.by_network.get_mut(&network)
        {
            *count -= 1;
            if *count == 0 {
                counts.by_network.remove(&network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_by_network_and_in_all() {
        let admission = Admission::new(&Limits {
            connections: 4,
            per_network: 2,
            ..Limits::default()
        });
        let admit = |peer: &str| admission.admit(peer.parse().unwrap());
        let first = admit("2001:db8::1").unwrap();
        let _second = admit("2001:db8::2").unwrap();
        assert!(admit("2001:db8::3").is_none(), "the same /64");
        let _other = admit("2001:db8:0:1::1").unwrap();
        drop(first);
        let _first = admit("2001:db8::3").unwrap();
        let local = admit("127.0.0.1").unwrap();
        assert!(admit("::ffff:127.0.0.1").is_none(), "four in all");
        drop(local);
        let _local = admit("::ffff:127.0.0.1").unwrap();
    }

    #[test]
    fn nothing_is_left_of_those_who_went() {
        let admission = Admission::new(&Limits::default());
        for last in 0..=255 {
            drop(admission.admit([192, 0, 2, last].into()).unwrap());
        }
        let counts = admission.counts.lock().unwrap();
        assert_eq!((counts.all, counts.by_network.len()), (0, 0));
    }
}
