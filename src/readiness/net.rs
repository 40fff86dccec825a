//! Which addresses may a check connect to?
//!
//! Anyone can put any address into a zone, so a check connects only to addresses that IANA's
//! special-purpose registries call globally reachable, or do not mention. An IPv6 address that
//! contains an IPv4 address, and leads there, is judged by both.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

/// The addresses that checks may connect to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// Whether addresses that are not globally reachable are allowed too (`PIC_CHECK_PRIVATE`).
    pub private: bool,
}

impl Reach {
    /// Whether a check may connect to `address`.
    #[must_use]
    pub fn allows(self, address: IpAddr) -> bool {
        self.private || is_global(address)
    }
}

const fn v4(a: u8, b: u8, c: u8, d: u8, length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length)
}

const fn v6(head: [u16; 4], last: u16, length: u8) -> Ipv6Net {
    let [a, b, c, d] = head;
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, 0, 0, 0, last), length)
}

/// Not globally reachable by the IANA IPv4 Special-Purpose Address Registry, and multicast.
const V4_CLOSED: [Ipv4Net; 16] = [
    v4(0, 0, 0, 0, 8),       // this network
    v4(10, 0, 0, 0, 8),      // private use
    v4(100, 64, 0, 0, 10),   // shared by a provider's customers (CGNAT)
    v4(127, 0, 0, 0, 8),     // loopback
    v4(169, 254, 0, 0, 16),  // link-local, and the metadata of many a cloud
    v4(172, 16, 0, 0, 12),   // private use
    v4(192, 0, 0, 0, 24),    // protocol assignments
    v4(192, 0, 2, 0, 24),    // documentation
    v4(192, 88, 99, 0, 24),  // 6to4 relays, deprecated
    v4(192, 168, 0, 0, 16),  // private use
    v4(198, 18, 0, 0, 15),   // benchmarking
    v4(198, 51, 100, 0, 24), // documentation
    v4(203, 0, 113, 0, 24),  // documentation
    v4(224, 0, 0, 0, 4),     // multicast
    v4(240, 0, 0, 0, 4),     // reserved
    v4(255, 255, 255, 255, 32),
];

/// Globally reachable parts of those networks.
const V4_OPEN: [Ipv4Net; 2] = [
    v4(192, 0, 0, 9, 32),  // port control protocol, anycast
    v4(192, 0, 0, 10, 32), // traversal using relays around NAT, anycast
];

/// The only part of IPv6 from which global unicast addresses are assigned.
const V6_UNICAST: Ipv6Net = v6([0x2000, 0, 0, 0], 0, 3);

/// Not globally reachable inside it by the IANA IPv6 Special-Purpose Address Registry.
const V6_CLOSED: [Ipv6Net; 4] = [
    v6([0x2001, 0, 0, 0], 0, 23), // protocol assignments, Teredo among them
    v6([0x2001, 0xdb8, 0, 0], 0, 32), // documentation
    v6([0x2002, 0, 0, 0], 0, 16), // 6to4: leads wherever the IPv4 address inside says
    v6([0x3fff, 0, 0, 0], 0, 20), // documentation
];

/// Globally reachable parts of those networks.
const V6_OPEN: [Ipv6Net; 7] = [
    v6([0x2001, 1, 0, 0], 1, 128),    // port control protocol, anycast
    v6([0x2001, 1, 0, 0], 2, 128),    // traversal using relays around NAT, anycast
    v6([0x2001, 1, 0, 0], 3, 128),    // service registration, anycast
    v6([0x2001, 3, 0, 0], 0, 32),     // automatic multicast tunnelling
    v6([0x2001, 4, 0x112, 0], 0, 48), // AS112
    v6([0x2001, 0x20, 0, 0], 0, 28),  // cryptographic hash identifiers, second version
    v6([0x2001, 0x30, 0, 0], 0, 28),  // drones' identifiers
];

/// The well-known prefix of NAT64; its other one, `64:ff9b:1::/48`, is for local use.
const NAT64: Ipv6Net = v6([0x64, 0xff9b, 0, 0], 0, 96);

/// Whether `address` is globally reachable.
///
/// Sources: the IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890), where anything
/// but a plain "true" counts as no; RFC 5771 and RFC 4291 for multicast; RFC 6052 for NAT64; RFC
/// 5214 for ISATAP. Mapped addresses (`::ffff:0:0/96`) are never used on a network, and refused.
#[must_use]
pub fn is_global(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_global_v4(v4),
        IpAddr::V6(v6) if NAT64.contains(&v6) => is_global_v4(last_four(v6)),
        IpAddr::V6(v6) => is_global_v6(v6),
    }
}

fn is_global_v4(address: Ipv4Addr) -> bool {
    let among = |nets: &[Ipv4Net]| nets.iter().any(|net| net.contains(&address));
    among(&V4_OPEN) || !among(&V4_CLOSED)
}

fn is_global_v6(address: Ipv6Addr) -> bool {
    let among = |nets: &[Ipv6Net]| nets.iter().any(|net| net.contains(&address));
    let inside = isatap(address);
    V6_UNICAST.contains(&address)
        && (among(&V6_OPEN) || !among(&V6_CLOSED))
        && inside.is_none_or(is_global_v4)
}

/// The IPv4 address it leads to inside a site, if its interface identifier is an ISATAP one.
fn isatap(address: Ipv6Addr) -> Option<Ipv4Addr> {
    matches!(address.segments()[4..6], [0x0000 | 0x0200, 0x5efe]).then(|| last_four(address))
}

fn last_four(address: Ipv6Addr) -> Ipv4Addr {
    let [.., a, b, c, d] = address.octets();
    Ipv4Addr::new(a, b, c, d)
}
