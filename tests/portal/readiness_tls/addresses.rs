//! Does a check go nowhere but where anybody may go?

use std::net::IpAddr;

use pic_portal::readiness::{
    edge,
    net::{Reach, is_global},
    tls::{Outcome, PORT, Proof, Tls, TlsFacts},
};
use proptest::prelude::*;

use super::{contoso, now, told};
use crate::support::edge::{Authority, Edge, server};

const OUTSIDE: Reach = Reach { private: false };

/// First and last address of everything that is closed, by IANA's registries, and what lies just
/// before and after it, if that is open.
const CLOSED: [(&str, &str, Option<&str>, Option<&str>); 33] = [
    ("0.0.0.0", "0.255.255.255", None, Some("1.0.0.0")),
    (
        "10.0.0.0",
        "10.255.255.255",
        Some("9.255.255.255"),
        Some("11.0.0.0"),
    ),
    (
        "100.64.0.0",
        "100.127.255.255",
        Some("100.63.255.255"),
        Some("100.128.0.0"),
    ),
    (
        "127.0.0.0",
        "127.255.255.255",
        Some("126.255.255.255"),
        Some("128.0.0.0"),
    ),
    (
        "169.254.0.0",
        "169.254.255.255",
        Some("169.253.255.255"),
        Some("169.255.0.0"),
    ),
    (
        "172.16.0.0",
        "172.31.255.255",
        Some("172.15.255.255"),
        Some("172.32.0.0"),
    ),
    (
        "192.0.0.0",
        "192.0.0.8",
        Some("191.255.255.255"),
        Some("192.0.0.9"),
    ),
    (
        "192.0.0.11",
        "192.0.0.255",
        Some("192.0.0.10"),
        Some("192.0.1.0"),
    ),
    (
        "192.0.2.0",
        "192.0.2.255",
        Some("192.0.1.255"),
        Some("192.0.3.0"),
    ),
    (
        "192.88.99.0",
        "192.88.99.255",
        Some("192.88.98.255"),
        Some("192.88.100.0"),
    ),
    (
        "192.168.0.0",
        "192.168.255.255",
        Some("192.167.255.255"),
        Some("192.169.0.0"),
    ),
    (
        "198.18.0.0",
        "198.19.255.255",
        Some("198.17.255.255"),
        Some("198.20.0.0"),
    ),
    (
        "198.51.100.0",
        "198.51.100.255",
        Some("198.51.99.255"),
        Some("198.51.101.0"),
    ),
    (
        "203.0.113.0",
        "203.0.113.255",
        Some("203.0.112.255"),
        Some("203.0.114.0"),
    ),
    (
        "224.0.0.0",
        "239.255.255.255",
        Some("223.255.255.255"),
        None,
    ),
    ("240.0.0.0", "255.255.255.255", None, None),
    // Unspecified, loopback, compatible, mapped, discard-only: all below what is given out.
    ("::", "::1", None, None),
    ("::2", "::ffff:ffff", None, None),
    ("::ffff:0.0.0.0", "::ffff:255.255.255.255", None, None),
    (
        "::ffff:0:127.0.0.1",
        "64:ff9a:ffff:ffff:ffff:ffff:ffff:ffff",
        None,
        None,
    ),
    (
        "64:ff9b::1:0:0",
        "64:ff9b:1:ffff:ffff:ffff:ffff:ffff",
        None,
        None,
    ),
    ("100::", "100:0:0:1:ffff:ffff:ffff:ffff", None, None),
    (
        "200::",
        "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        None,
        Some("2000::"),
    ),
    // Teredo, benchmarking and the rest of the protocol assignments.
    (
        "2001::",
        "2001:1::",
        Some("2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        Some("2001:1::1"),
    ),
    (
        "2001:1::4",
        "2001:2:ffff:ffff:ffff:ffff:ffff:ffff",
        Some("2001:1::3"),
        Some("2001:3::"),
    ),
    (
        "2001:4::",
        "2001:4:111:ffff:ffff:ffff:ffff:ffff",
        Some("2001:3:ffff:ffff:ffff:ffff:ffff:ffff"),
        Some("2001:4:112::"),
    ),
    (
        "2001:4:113::",
        "2001:1f:ffff:ffff:ffff:ffff:ffff:ffff",
        Some("2001:4:112:ffff:ffff:ffff:ffff:ffff"),
        Some("2001:20::"),
    ),
    (
        "2001:40::",
        "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff",
        Some("2001:3f:ffff:ffff:ffff:ffff:ffff:ffff"),
        Some("2001:200::"),
    ),
    (
        "2001:db8::",
        "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
        Some("2001:db7:ffff:ffff:ffff:ffff:ffff:ffff"),
        Some("2001:db9::"),
    ),
    (
        "2002::",
        "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        Some("2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        Some("2003::"),
    ),
    (
        "3fff::",
        "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff",
        Some("3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        Some("3fff:1000::"),
    ),
    (
        "4000::",
        "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        Some("3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        None,
    ),
    // Unique local, link-local, site-local, multicast.
    (
        "6000::",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        None,
        None,
    ),
];

/// Addresses that the registries call globally reachable, or do not mention.
const OPEN: [&str; 17] = [
    "1.1.1.1",
    "8.8.8.8",
    "192.31.196.1",
    "192.52.193.1",
    "192.175.48.1",
    "64:ff9b::8.8.8.8",
    "64:ff9b::192.0.0.9",
    "2001:1::1",
    "2001:1::2",
    "2001:1::3",
    "2001:3::1",
    "2001:4:112::1",
    "2001:20::1",
    "2001:30::1",
    "2001:4860:4860::8888",
    "2620:4f:8000::1",
    "2001:4860::200:5efe:8.8.8.8",
];

/// Open by their prefix, and leading to an address that is closed.
const LEADING_IN: [&str; 10] = [
    "64:ff9b::127.0.0.1",
    "64:ff9b::10.0.0.1",
    "64:ff9b::169.254.169.254",
    "64:ff9b::100.64.0.1",
    "64:ff9b::192.168.0.1",
    "64:ff9b::224.0.0.1",
    "64:ff9b::255.255.255.255",
    "2001:4860::5efe:10.0.0.1",
    "2001:4860::200:5efe:192.168.0.1",
    "2001:4860::5efe:127.0.0.1",
];

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u32::from(v4).into(),
        IpAddr::V6(v6) => v6.into(),
    }
}

/// The closed addresses of the tables, ends and middles.
fn closed() -> Vec<IpAddr> {
    let ranges = CLOSED.into_iter().flat_map(|(first, last, ..)| {
        let (first, last) = (ip(first), ip(last));
        let middle = number(first) + (number(last) - number(first)) / 2;
        let middle = match first {
            IpAddr::V4(_) => IpAddr::V4(u32::try_from(middle).unwrap().into()),
            IpAddr::V6(_) => IpAddr::V6(middle.into()),
        };
        [first, middle, last]
    });
    ranges.chain(LEADING_IN.map(ip)).collect()
}

#[test]
fn what_is_closed_is_closed_from_first_to_last_and_no_further() {
    for address in closed() {
        assert!(!is_global(address), "{address}");
    }
    for (first, last, before, after) in CLOSED {
        let step = |open: Option<&str>, apart: fn(u128, u128) -> u128, end: &str| {
            if let Some(open) = open {
                assert!(is_global(ip(open)), "{open}");
                assert_eq!(apart(number(ip(open)), number(ip(end))), 1, "{open} {end}");
            }
        };
        step(before, |open, end| end - open, first);
        step(after, |open, end| open - end, last);
    }
    for address in OPEN {
        assert!(is_global(ip(address)), "{address}");
    }
}

proptest! {
    #[test]
    fn an_address_is_open_only_if_what_it_leads_to_is(v4: [u8; 4], prefix in 0x2000_u16..0x4000) {
        let inside = IpAddr::from(v4);
        let [a, b, c, d] = v4.map(u16::from);
        let (high, low) = (a << 8 | b, c << 8 | d);
        let nat64 = IpAddr::from([0x64, 0xff9b, 0, 0, 0, 0, high, low]);
        prop_assert_eq!(is_global(nat64), is_global(inside));
        for middle in [0, 0x200] {
            let isatap = IpAddr::from([prefix, 0, 0, 0, middle, 0x5efe, high, low]);
            prop_assert!(!is_global(isatap) || is_global(inside));
        }
        for hidden in [
            [0, 0, 0, 0, 0, 0, high, low],
            [0, 0, 0, 0, 0, 0xffff, high, low],
            [0x2002, high, low, 0, 0, 0, 0, 1],
            [0x2001, 0, high, low, 0, 0, !high, !low],
        ] {
            prop_assert!(!is_global(hidden.into()));
        }
    }
}

/// Loopback answers on any of its addresses: whatever a check connects to there is counted.
#[tokio::test]
async fn nothing_that_is_closed_is_connected_to() {
    let root = Authority::root();
    let edge = Edge::start(root.issue(&server(&["sip.contoso.com"]))).await;
    let IpAddr::V4(v4) = edge.address() else {
        panic!("an edge has an IPv4 address")
    };
    let mut addresses = vec![
        v4.into(),
        v4.to_ipv6_mapped().into(),
        v4.to_ipv6_compatible().into(),
    ];
    addresses.extend(closed());
    let (name, domains) = contoso();
    let within = Tls::new(Some(root.file().path()), OUTSIDE).unwrap();
    for some in addresses.chunks(4) {
        assert_eq!(within.probe(&name, some).await, TlsFacts::default());
    }
    assert_eq!(within.probe(&name, &[]).await, TlsFacts::default());
    assert_eq!(edge.connections(), 0);
    let said = edge::judge(&name, &domains, &addresses[..2], OUTSIDE, None, now());
    assert_eq!(
        told(&said),
        "blocking edge-private-address | globally reachable addresses alone | \
         2 of 2 addresses are not globally reachable\n\
         skipped certificate |  | edge-private-address"
    );
    // The eye of this test is sharp: where it is allowed, both of these are the edge.
    let anywhere = super::tls(&root);
    for address in &addresses[..2] {
        let facts = anywhere.probe(&name, &[*address]).await;
        assert!(
            facts.shown.iter().any(|it| it.proof == Proof::Given),
            "{address}"
        );
    }
    assert_eq!(edge.connections(), 2);
}

#[test]
fn an_edge_without_addresses_has_no_certificate() {
    let (name, domains) = contoso();
    let said = edge::judge(&name, &domains, &[], OUTSIDE, None, now());
    assert_eq!(
        told(&said),
        "blocking edge-no-address | an A or AAAA record | no address\n\
         skipped certificate |  | edge-no-address"
    );
}

#[test]
fn what_is_open_is_looked_at_beside_what_is_closed() {
    let (name, domains) = contoso();
    let addresses = [ip("10.1.2.3"), ip("8.8.8.8")];
    let mut facts = TlsFacts::default();
    let judge = |facts: Option<&TlsFacts>| {
        told(&edge::judge(
            &name,
            &domains,
            &addresses,
            OUTSIDE,
            facts,
            now(),
        ))
    };
    let private = "blocking edge-private-address | globally reachable addresses alone | \
                   1 of 2 addresses is not globally reachable\n";
    assert_eq!(judge(None), format!("{private}skipped certificate |  | "));
    let failed = |address: &str, outcome| pic_portal::readiness::tls::Failure {
        address: ip(address),
        outcome,
    };
    facts.failures = vec![
        failed("8.8.8.8", Outcome::Refused),
        failed("10.1.2.3", Outcome::Silent),
        failed("10.1.2.4", Outcome::Silent),
    ];
    assert_eq!(
        judge(Some(&facts)),
        format!(
            "{private}blocking edge-unreachable | TLS 1.2 or later on port 5061, and a certificate \
             | 8.8.8.8: the connection is refused; it accepts the connection and says nothing\n\
             skipped certificate |  | edge-unreachable"
        )
    );
    assert!(!format!("{facts:?}").contains("8.8.8.8"));
    assert_eq!(PORT, 5061);
}
