//! Which addresses may a check connect to?

use std::net::IpAddr;

/// Where checks may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// Addresses that are not globally reachable are allowed too (`PIC_CHECK_PRIVATE`).
    pub private: bool,
}

impl Reach {
    /// Whether a check may connect to `address`.
    #[must_use]
    pub fn allows(self, address: IpAddr) -> bool {
        self.private || is_global(address)
    }
}

/// Whether `address` is globally reachable.
#[must_use]
pub fn is_global(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_unspecified()
                || v4.is_multicast()
                || v4.is_broadcast()
                || v4.is_documentation())
        }
        IpAddr::V6(v6) => v6.segments()[0] & 0xe000 == 0x2000,
    }
}
