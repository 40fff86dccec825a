//! Will partners accept the Access Edge?
//!
//! Source of the rules: `docs/field.md#dns-certificate-transport`. Nothing of what is found depends
//! on the hour, so that a check that is made again finds the same until something changes.

mod certificate;

use std::net::IpAddr;

use chrono::{DateTime, Utc};

use super::{
    Code, Finding,
    dns::{AddressFacts, Addresses},
    domain::remembered,
    net::{Reach, is_global},
    tls::{Failure, Leaf, Outcome, Shown, TlsFacts, Trust},
};
use crate::names::{AccessEdge, Fqdn, SipDomain};

/// Findings about one edge and the domains that are to be routed to it. Always at least one.
///
/// `addresses` are all that DNS gave, `tls` what a probe of those that `reach` allows saw; `None`:
/// there was no probe, and the certificate is skipped.
#[must_use]
pub fn judge(
    edge: &AccessEdge,
    domains: &[SipDomain],
    addresses: &[IpAddr],
    reach: Reach,
    tls: Option<&TlsFacts>,
    now: DateTime<Utc>,
) -> Vec<Finding> {
    let name = edge.as_fqdn();
    let skipped = |cause| Finding::skipped(Code::Certificate, name, cause);
    if addresses.is_empty() {
        let expected = "an A or AAAA record";
        let none = Finding::new(Code::EdgeNoAddress, name, expected, ["no address"]);
        return vec![none, skipped(Code::EdgeNoAddress)];
    }
    let closed = addresses.iter().filter(|a| !reach.allows(**a)).count();
    let mut findings = Vec::new();
    if closed > 0 {
        findings.push(private_address(name, closed, addresses.len()));
    }
    let saw = match tls {
        _ if closed == addresses.len() => Err(skipped(Code::EdgePrivateAddress)),
        // Nothing went before that could be named.
        None => Err(Finding {
            found: Vec::new(),
            ..skipped(Code::Certificate)
        }),
        Some(facts) => Ok(facts),
    };
    match saw {
        Err(skipped) => findings.push(skipped),
        Ok(facts) => match seen(facts) {
            Ok(shown) => findings.extend(certificate::judge(edge, domains, shown, now)),
            Err(lines) => {
                let expected = "TLS 1.2 or later on port 5061, and a certificate";
                findings.push(Finding::new(Code::EdgeUnreachable, name, expected, lines));
                findings.push(skipped(Code::EdgeUnreachable));
            }
        },
    }
    findings
}

/// Findings about an edge whose address is not known: that it has none, or that nobody could say.
/// Its certificate is not looked at then.
#[must_use]
pub fn without_address(edge: &AccessEdge, facts: &AddressFacts) -> Vec<Finding> {
    let name = edge.as_fqdn();
    let mut found = facts
        .aliases
        .iter()
        .map(|alias| format!("an alias (CNAME) of {alias}"))
        .collect::<Vec<_>>();
    let code = match &facts.outcome {
        Addresses::Unreachable(trouble) => {
            found.push(trouble.to_string());
            Code::ResolverUnreachable
        }
        Addresses::None { exists: false, .. } => {
            found.push("there is no such name (NXDOMAIN)".to_owned());
            Code::EdgeNoAddress
        }
        Addresses::None { .. } | Addresses::Found(_) => {
            found.push("no A or AAAA record at this name".to_owned());
            Code::EdgeNoAddress
        }
    };
    if let Addresses::None {
        remembered: Some(time),
        ..
    } = &facts.outcome
    {
        found.push(remembered(*time));
    }
    vec![
        Finding::new(code, name, "an A or AAAA record", found),
        Finding::skipped(Code::Certificate, name, code),
    ]
}

fn private_address(name: &Fqdn, closed: usize, all: usize) -> Finding {
    let are = if closed == 1 { "is" } else { "are" };
    let them = if all == 1 { "address" } else { "addresses" };
    let found = format!("{closed} of {all} {them} {are} not globally reachable");
    let expected = "globally reachable addresses alone";
    Finding::new(Code::EdgePrivateAddress, name, expected, [found])
}

/// The certificate to judge, or why there is none, a line each.
fn seen(facts: &TlsFacts) -> Result<&Shown, Vec<String>> {
    let mut failures: Vec<_> = facts
        .failures
        .iter()
        .map(|Failure { address, outcome }| line(*address, &says(*outcome)))
        .collect();
    match &facts.shown {
        // Where its key cannot be used for a proof, the certificate says why.
        Some(shown) if shown.proven || !is_sound(shown) => return Ok(shown),
        Some(shown) => failures.push(line(
            shown.address,
            "it shows a certificate, but does not prove that it holds the key",
        )),
        None if failures.is_empty() => failures.push("nothing was heard of it".to_owned()),
        None => {}
    }
    failures.dedup();
    Err(failures)
}

/// Whether a proof could have been made with the certificate.
fn is_sound(shown: &Shown) -> bool {
    let own = shown.chain.first().and_then(|der| Leaf::read(der));
    shown.trust != Trust::Unreadable && own.is_some_and(|own| own.short_key.is_none())
}

/// What happened at `address`, which is shown if it is anybody's to see.
fn line(address: IpAddr, what: &str) -> String {
    if is_global(address) {
        format!("{address}: {what}")
    } else {
        what.to_owned()
    }
}

fn says(outcome: Outcome) -> String {
    let what = match outcome {
        Outcome::Refused => "the connection is refused",
        Outcome::NoRoute => "there is no route to it from here",
        Outcome::NoAnswer => "it does not answer: the connection timed out",
        Outcome::NoConnection => "it cannot be connected to",
        Outcome::Hung => "it accepts the connection and closes it at once",
        Outcome::Silent => "it accepts the connection and says nothing",
        Outcome::NotTls => "it does not speak TLS",
        Outcome::OldTls => "it speaks old versions of TLS only: TLS 1.2 or later is needed",
        Outcome::Alert(number) => return alert(number),
        Outcome::Incompatible => "it speaks TLS, but offers nothing that is still safe",
        Outcome::Closed => "it closes in the middle of the TLS handshake, without a certificate",
        Outcome::Stalled => "it begins a TLS handshake and does not finish it in time",
        Outcome::Broken => "it breaks the rules of TLS",
    };
    what.to_owned()
}

/// Names as in RFC 8446, 6.
fn alert(number: u8) -> String {
    let name = match number {
        40 => "handshake_failure: no cipher or key exchange in common",
        80 => "internal_error",
        112 => "unrecognized_name: it does not know the name of the Access Edge",
        _ => return format!("it refuses the TLS handshake (alert {number})"),
    };
    format!("it refuses the TLS handshake (alert {number}, {name})")
}
