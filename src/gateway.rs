//! Publishes the routes in force to the operator's gateways, and knows which gateway has loaded what
//! (`docs/gateways.md`).
//!
//! | module | what it does |
//! |---|---|
//! | [`store`] | registers gateways, publishes, reads what is published, notes what each has loaded |
//! | [`publish`] | runs the publisher, a part of the background task; lets gateways wait for its news |
//! | [`set`] | writes the whole set, as JSON, CSV and PowerShell |
//! | [`pages`] | has the addresses below `/gateway` |
//! | [`meter`] | measures for Prometheus |

pub mod meter;
pub mod pages;
pub mod publish;
pub mod set;
pub mod store;

use std::{fmt, time::Duration};

use crate::secret::Token;

/// How long after its publication a set is good for; afterwards a gateway keeps it, and raises an alarm.
pub const EXPIRES: Duration = Duration::from_hours(7 * 24);
/// The most differences that one answer tells, and that one publication may have to be told as
/// differences.
pub const MOST_CHANGES: usize = 1_000;

/// The secret by which a gateway reads the routes: 160 random bits.
pub type GatewayToken = Token<20>;

/// The name of a gateway: 1 to 40 of `a-z`, `0-9`, `.`, `_` and `-`, the first a letter or digit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayName(String);

impl GatewayName {
    /// Reads a name as typed. `None`: it has another form.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let is_first = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let is_part = |byte: &u8| is_first(byte) || matches!(byte, b'.' | b'_' | b'-');
        let bytes = name.as_bytes();
        let sound = bytes.first().is_some_and(is_first) && bytes.iter().all(is_part);
        (sound && bytes.len() <= 40).then(|| Self(name.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A publication of the routes: `EPOCH.SERIAL`, like `0f3a5c7788aabbcd.42`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// 16 hexadecimal digits, random in each publication.
    pub epoch: String,
    /// One more with each publication.
    pub serial: i64,
}

impl Version {
    /// Reads a version as a gateway sends it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (epoch, serial) = text.split_once('.')?;
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let sound = epoch.len() == 16
            && epoch.bytes().all(is_hex)
            && serial.bytes().all(|byte| byte.is_ascii_digit());
        Some(Self {
            serial: serial.parse().ok().filter(|_| sound)?,
            epoch: epoch.to_owned(),
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.serial)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_as_it_is_written_and_nothing_else_is() {
        let version = Version::parse("0123456789abcdef.42").unwrap();
        assert_eq!(version.to_string(), "0123456789abcdef.42");
        for text in [
            "",
            "42",
            "0123456789abcdef",
            "0123456789abcdef.",
            "0123456789abcdef.+1",
            "0123456789abcdef.-1",
            "0123456789ABCDEF.1",
            "0123456789abcdef.99999999999999999999",
            "0123456789abcde.1",
        ] {
            assert_eq!(Version::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_gateway_has_the_name_of_a_server() {
        for name in ["gw1", "7", "edge-1.fra_2", &"a".repeat(40)] {
            assert!(GatewayName::parse(name).is_some(), "{name}");
        }
        for name in [
            "",
            "-gw",
            "Gw1",
            "ted@contoso.com",
            "a b",
            "gw\n",
            &"a".repeat(41),
        ] {
            assert!(GatewayName::parse(name).is_none(), "{name}");
        }
    }
}
