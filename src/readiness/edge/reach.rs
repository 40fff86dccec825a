//! Tells what became of the addresses of an Access Edge that showed no certificate of their own.

use std::{collections::BTreeMap, net::IpAddr};

use super::super::{
    Finding,
    tls::{Outcome, Proof, TlsFacts, Version},
};

/// What should be at an address.
pub(super) const EXPECTED: &str = "TLS 1.2 or later on port 5061, and a certificate";

/// How a line begins that names the addresses that were connected to.
const CONNECTED: &str = "connected to ";

/// The addresses that showed a certificate, where they may be named, a line for each version of TLS.
pub(super) fn connected(
    facts: &TlsFacts,
    shown_as: &impl Fn(IpAddr) -> Option<String>,
) -> Vec<String> {
    let mut versions = BTreeMap::<_, Vec<String>>::new();
    for shown in &facts.shown {
        if let Some(address) = shown_as(shown.address) {
            versions.entry(shown.version).or_default().push(address);
        }
    }
    let line = |(version, addresses): (Version, Vec<String>)| {
        format!("{CONNECTED}{}: {}", addresses.join(", "), version.as_str())
    };
    versions.into_iter().map(line).collect()
}

/// The addresses that the lines of findings about one edge name, each with the version of TLS that was
/// spoken there, if any.
pub fn connections<'f>(
    findings: impl IntoIterator<Item = &'f Finding>,
) -> BTreeMap<IpAddr, Option<&'f str>> {
    let mut all = BTreeMap::new();
    for line in findings.into_iter().flat_map(|finding| &finding.found) {
        let Some((addresses, rest)) = line.as_str().rsplit_once(": ") else {
            continue;
        };
        let connected = addresses.strip_prefix(CONNECTED);
        let first = line.as_str().split(": ").next().unwrap_or_default();
        for address in connected.unwrap_or(first).split(", ") {
            if let Ok(address) = address.parse() {
                let tls = all.entry(address).or_insert(None);
                *tls = tls.or(connected.map(|_| rest));
            }
        }
    }
    all
}

/// Addresses without a certificate, a line each.
#[derive(Debug, Default)]
pub(super) struct Sights {
    /// That were looked at.
    pub(super) dead: Vec<String>,
    /// That cannot be looked at from here.
    pub(super) unseen: Vec<String>,
}

impl Sights {
    /// Out of what a probe saw; `shown_as` names an address, where it may be named.
    pub(super) fn of(facts: &TlsFacts, shown_as: &impl Fn(IpAddr) -> Option<String>) -> Self {
        let line = |address, what: &str| {
            let named = shown_as(address).map(|address| format!("{address}: {what}"));
            named.unwrap_or_else(|| what.to_owned())
        };
        let mut sights = Self::default();
        for failure in &facts.failures {
            let kept = match failure.outcome {
                Outcome::NotFromHere => &mut sights.unseen,
                _ => &mut sights.dead,
            };
            kept.push(line(
                failure.address,
                &says(failure.address, failure.outcome),
            ));
        }
        for shown in facts.shown.iter().filter(|it| it.proof == Proof::Failed) {
            let what = "it shows a certificate, but does not prove that it holds the key";
            sights.dead.push(line(shown.address, what));
        }
        sights.dead.dedup();
        sights.unseen.dedup();
        sights
    }

    /// All of them, and that nothing was heard if there are none.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = [self.dead.clone(), self.unseen.clone()].concat();
        if lines.is_empty() {
            lines.push("nothing was heard of it".to_owned());
        }
        lines
    }
}

fn says(address: IpAddr, outcome: Outcome) -> String {
    let what = match outcome {
        Outcome::NotFromHere if address.is_ipv6() => {
            "not looked at: this portal has no way to IPv6 addresses, which says nothing about it"
        }
        Outcome::NotFromHere => {
            "not looked at: this portal cannot connect to it now, which says nothing about it"
        }
        Outcome::Refused => "the connection is refused",
        Outcome::NoRoute => "there is no route to it from here",
        Outcome::NoAnswer => "it does not answer: the connection timed out",
        Outcome::NoConnection => "it cannot be connected to",
        Outcome::Hung => "it accepts the connection and closes it at once",
        Outcome::Silent => "it accepts the connection and says nothing",
        Outcome::NotTls => "it does not speak TLS",
        Outcome::OldTls => "it speaks none of TLS 1.0 to 1.3: switch TLS 1.2 on",
        Outcome::Alert(number) => return alert(number),
        Outcome::Closed => "it closes in the middle of the TLS handshake, without a certificate",
        Outcome::Stalled => "it begins a TLS handshake and does not finish it in time",
        Outcome::Broken => "its TLS handshake breaks off: it does not go as TLS has it",
    };
    what.to_owned()
}

/// Names as in RFC 8446, B.2.
fn alert(number: u8) -> String {
    let name = match number {
        10 => "unexpected_message",
        20 => "bad_record_mac",
        22 => "record_overflow",
        40 => "handshake_failure: no certificate, or no cipher suite in common",
        42 => "bad_certificate",
        43 => "unsupported_certificate",
        44 => "certificate_revoked",
        45 => "certificate_expired",
        46 => "certificate_unknown",
        47 => "illegal_parameter",
        48 => "unknown_ca",
        49 => "access_denied",
        50 => "decode_error",
        51 => "decrypt_error",
        71 => "insufficient_security: no cipher suite in common that it takes for safe",
        80 => "internal_error",
        86 => "inappropriate_fallback",
        109 => "missing_extension",
        110 => "unsupported_extension",
        112 => "unrecognized_name",
        116 => "certificate_required",
        120 => "no_application_protocol",
        _ => return format!("it refuses the TLS handshake (alert {number})"),
    };
    // These are about who connects, and about that one's certificate.
    let what = match number {
        42..=46 | 48 | 49 | 116 => {
            "it refuses whoever connects, before it shows a certificate itself"
        }
        112 => "it does not know the name of the Access Edge, and ends the TLS handshake",
        _ => "it refuses the TLS handshake",
    };
    format!("{what} (alert {number}, {name})")
}
