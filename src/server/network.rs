//! The client network that a request comes from.
//!
//! Limits count by network: an IPv4 address, or the /64 of an IPv6 address, since a single customer
//! has a whole /64. Some have a /56 or a /48, which hold many of them, so limits count in these too
//! ([`Network::enclosing`]). A peer in `PIC_TRUSTED_PROXIES` forwards requests of others, and names
//! them in `X-Forwarded-For`; from any other peer that header is not trusted.

use std::{
    fmt, iter,
    net::{IpAddr, SocketAddr},
};

use axum::http::{HeaderMap, HeaderName};
use ipnet::IpNet;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The network of a client, used for counting and for nothing else.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum Network {
    /// An IPv4 address.
    V4([u8; 4]),
    /// The first 64 bits of an IPv6 address.
    V6([u16; 4]),
    /// The first 56 bits of an IPv6 address; the last 8 bits here are 0.
    V6Of56([u16; 4]),
    /// The first 48 bits of an IPv6 address.
    V6Of48([u16; 3]),
    /// There is no socket behind the request: all of these count as one network.
    Unknown,
}

/// Redacted: no address of a client gets into a log.
impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Network(..)")
    }
}

impl Network {
    /// The network of an address; an IPv4 address written as IPv6 is an IPv4 address.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.octets()),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self::V6([a, b, c, d])
            }
        }
    }

    /// The network itself and those around it, from the smallest to the widest, each with the
    /// multiple of a limit that holds for all of it: a /64 has the limit, its /56 four times as
    /// much, its /48 sixteen times. A network that is no /64 has none around it.
    pub fn enclosing(self) -> impl Iterator<Item = (Self, u32)> {
        let wider = match self {
            Self::V6([a, b, c, d]) => Some([
                (Self::V6Of56([a, b, c, d & 0xff00]), 4),
                (Self::V6Of48([a, b, c]), 16),
            ]),
            Self::V4(_) | Self::V6Of56(_) | Self::V6Of48(_) | Self::Unknown => None,
        };
        iter::once((self, 1)).chain(wider.into_iter().flatten())
    }
}

/// Why a list of proxies' networks cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoProxies {
    /// The text is no list of networks.
    #[error("is not a list of IP networks with commas between them")]
    NotNetworks,
    /// The list has a network of all addresses.
    #[error(
        "has a network of all addresses (/0): everybody could claim any address by X-Forwarded-For"
    )]
    Everybody,
    /// An address with bits beyond the length of its network; the network that was probably meant.
    #[error("has an address that is not the first of its network; the network is {0}")]
    NotFirst(IpNet),
}

/// Networks whose `X-Forwarded-For` counts (`PIC_TRUSTED_PROXIES`).
#[derive(Clone, Debug, Default)]
pub struct Proxies(Vec<IpNet>);

impl Proxies {
    /// Reads networks and addresses with commas between them, like `10.0.0.0/8, 2001:db8::1`.
    ///
    /// # Errors
    ///
    /// [`NoProxies`], for the first entry that is wrong.
    pub fn parse(text: &str) -> Result<Self, NoProxies> {
        let network = |item: &str| {
            let item = item.trim();
            let network = item
                .parse::<IpNet>()
                .or_else(|_| item.parse::<IpAddr>().map(IpNet::from))
                .map_err(|_| NoProxies::NotNetworks)?;
            if network.prefix_len() == 0 {
                return Err(NoProxies::Everybody);
            }
            if network != network.trunc() {
                return Err(NoProxies::NotFirst(network.trunc()));
            }
            Ok(network)
        };
        text.split(',')
            .map(network)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The networks in the list.
    #[must_use]
    pub fn networks(&self) -> &[IpNet] {
        &self.0
    }

    /// Whether `address` is that of a trusted proxy.
    #[must_use]
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }

    /// The network of the client whose request came from `peer` with these `headers`: the
    /// right-most address that is not a trusted proxy's. What a trusted proxy has not written is
    /// not trusted.
    #[must_use]
    pub fn client(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> Network {
        let Some(peer) = peer else {
            return Network::Unknown;
        };
        let mut nearest = peer.to_canonical();
        let mut hops = headers
            .get_all(FORWARDED_FOR)
            .iter()
            .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
            .collect::<Vec<_>>()
            .into_iter()
            .rev();
        while self.trusts(nearest) {
            match hops.next().and_then(address) {
                Some(hop) => nearest = hop,
                None => break,
            }
        }
        Network::of(nearest)
    }
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:80`.
fn address(hop: &[u8]) -> Option<IpAddr> {
    let hop = std::str::from_utf8(hop).ok()?.trim_matches([' ', '\t']);
    let bare = hop
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .filter(|rest| rest.contains(':'))
        .unwrap_or(hop);
    bare.parse()
        .ok()
        .or_else(|| hop.parse().ok().map(|socket: SocketAddr| socket.ip()))
        .map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn client(peer: &str, lines: &[&str]) -> Network {
        let proxies = Proxies::parse("10.0.0.0/8, 2001:db8:f::1").unwrap();
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, line.parse().unwrap());
        }
        proxies.client(Some(peer.parse().unwrap()), &headers)
    }

    fn net(address: &str) -> Network {
        Network::of(address.parse().unwrap())
    }

    #[test]
    fn only_what_trusted_proxies_wrote_is_believed() {
        for (peer, lines, from) in [
            ("192.0.2.1", &["198.51.100.1"][..], "192.0.2.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("::ffff:10.0.0.1", &["::ffff:198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["203.0.113.9, 198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["203.0.113.9", "198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["198.51.100.1, 10.9.9.9"], "198.51.100.1"),
            (
                "10.0.0.1",
                &["198.51.100.1", "10.9.9.9 ,10.1.1.1"],
                "198.51.100.1",
            ),
            ("10.0.0.1", &["10.9.9.9"], "10.9.9.9"),
            ("10.0.0.1", &["198.51.100.1:4711"], "198.51.100.1"),
            ("10.0.0.1", &["[2001:db8::1]:4711"], "2001:db8::2"),
            ("10.0.0.1", &["[2001:db8::1]"], "2001:db8::2"),
            ("2001:db8:f::1", &["2001:db8:1::1"], "2001:db8:1::2"),
            // An entry that is no address ends the search, whoever wrote it.
            ("10.0.0.1", &["198.51.100.1, unknown"], "10.0.0.1"),
            (
                "10.0.0.1",
                &["198.51.100.1, 10.2.2.2, x, 10.3.3.3"],
                "10.3.3.3",
            ),
            ("10.0.0.1", &["198.51.100.1,"], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100"], "10.0.0.1"),
            ("10.0.0.1", &["[198.51.100.1]"], "10.0.0.1"),
        ] {
            assert!(client(peer, lines) == net(from), "{peer} {lines:?}");
        }
    }

    #[test]
    fn an_ipv6_network_is_counted_in_those_around_it_too() {
        let around = |address: &str| net(address).enclosing().collect::<Vec<_>>();
        let [itself, site, provider] = around("2001:db8:1:23ff::1")[..] else {
            panic!("three");
        };
        assert!(itself == (net("2001:db8:1:23ff::2"), 1));
        assert!((site.1, provider.1) == (4, 16));
        // Another network in the same /56, one in the same /48, and one in neither.
        assert!(around("2001:db8:1:2300::")[1..] == [site, provider]);
        assert!(around("2001:db8:1:2400::")[1] != site);
        assert!(around("2001:db8:1:2400::")[2] == provider);
        assert!(around("2001:db8:2:2300::")[2] != provider);
        // A /64 of zeros differs from the networks around it.
        let zeros = around("2001:db8::");
        assert!(zeros[0].0 != zeros[1].0 && zeros[1].0 != zeros[2].0);
        assert!(around("192.0.2.1") == [(net("192.0.2.1"), 1)]);
    }

    #[test]
    fn networks_are_read_strictly() {
        for text in [
            "10.0.0.0/8",
            "::1",
            "10.0.0.1,fd00::/8",
            " 10.0.0.1 , ::1/128 ",
        ] {
            assert!(Proxies::parse(text).is_ok(), "{text}");
        }
        for text in [
            "10.0.0.0/33",
            "10.0.0.1,",
            "proxy",
            "10.0.0.0-10.0.0.9",
            "10.0.0.1 ::1",
        ] {
            let wrong = Proxies::parse(text).unwrap_err();
            assert_eq!(wrong, NoProxies::NotNetworks, "{text}");
        }
        for text in ["0.0.0.0/0", "::/0", "10.0.0.1, 192.0.2.1/0"] {
            let wrong = Proxies::parse(text).unwrap_err();
            assert_eq!(wrong, NoProxies::Everybody, "{text}");
        }
        for (text, meant) in [("10.1.2.3/8", "10.0.0.0/8"), ("fd00::1/64", "fd00::/64")] {
            let wrong = Proxies::parse(text).unwrap_err().to_string();
            assert!(wrong.ends_with(meant), "{wrong}");
        }
        assert_eq!(format!("{:?}", net("192.0.2.1")), "Network(..)");
    }

    proptest! {
        #[test]
        fn nobody_untrusted_can_pose_as_another(lines in prop::collection::vec("[ -~]{0,40}", 0..4)) {
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            prop_assert!(client("192.0.2.1", &lines) == net("192.0.2.1"));
            let behind: Vec<&str> = lines.iter().copied().chain(["198.51.100.1"]).collect();
            prop_assert!(client("10.0.0.1", &behind) == net("198.51.100.1"));
        }
    }
}
