//! Decides whether one more connection is accepted.

use std::{net::IpAddr, sync::Arc};

use super::{limits::Limits, shares::Shares};
use crate::server::network::Network;

/// Counts the connections, in total and by client network. Its size is bounded by the number of
/// connections.
#[derive(Debug)]
pub(super) struct Admission {
    places: Shares,
    limits: Limits,
}

/// The permit of one connection; released when it is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    admission: Arc<Admission>,
    network: Option<Network>,
}

impl Admission {
    pub(super) fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            places: Shares::new(limits.connections, limits.per_network),
            limits: limits.clone(),
        })
    }

    /// How many connections hold a permit.
    pub(super) fn count(&self) -> usize {
        self.places.held()
    }

    /// A permit for a connection from `peer`, if the limits allow it.
    pub(super) fn admit(self: &Arc<Self>, peer: IpAddr) -> Option<Slot> {
        let network = (!self.limits.exempts(peer)).then(|| Network::of(peer));
        self.places.take(network, 1).ok()?;
        Some(Slot {
            admission: Arc::clone(self),
            network,
        })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.admission.places.give_back(self.network, 1);
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
}
