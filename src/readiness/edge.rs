//! Judges whether partners will accept an Access Edge: each of its addresses, and what it shows there.
//!
//! Source of the rules: `docs/field.md#dns-certificate-transport`. Nothing of what is found depends
//! on the hour, so that a check that is made again finds the same until something changes.

mod certificate;
mod pool;
mod reach;
mod shared;
mod sip;

pub use self::{certificate::validity, reach::connections, shared::shared};

use std::net::IpAddr;

use chrono::{DateTime, Utc};

use super::{
    Code, Evidence, Finding, Severity,
    dns::{AddressFacts, Addresses},
    domain::{is_online, remembered},
    net::{Reach, is_global},
    tls::{MOST_ADDRESSES, Proof, TlsFacts},
};
use crate::names::{AccessEdge, Fqdn, SipDomain};

/// Findings about one edge and the domains that are to be routed to it, from what DNS has about its
/// name and what a probe saw. Always at least one.
#[must_use]
pub fn of(
    edge: &AccessEdge,
    domains: &[SipDomain],
    facts: &AddressFacts,
    reach: Reach,
    tls: Option<&TlsFacts>,
    now: DateTime<Utc>,
) -> Vec<Finding> {
    let alias = alias(edge, facts);
    match (&facts.outcome, alias) {
        // Whatever stands there is another's: nothing can be mended on it.
        (_, Some(alias)) if alias.severity == Severity::Blocking => {
            let name = edge.as_fqdn();
            let skipped = Finding::skipped(Code::Certificate, name, Code::EdgeAlias);
            vec![alias, skipped]
        }
        (Addresses::Found(addresses), alias) => {
            let mut findings = judge(edge, domains, addresses, reach, tls, now);
            if let Some((records, trouble)) = facts.missed {
                let line = format!("its {records} records could not be looked up: {trouble}");
                tell_missed(&mut findings, &line);
            }
            findings.extend(alias);
            findings
        }
        (Addresses::None { .. } | Addresses::Circle | Addresses::Unreachable(_), _) => {
            without_address(edge, facts)
        }
    }
}

/// Tells of records that could not be looked up, beside what was found at the others. An edge that cannot be
/// reached at those may be well at these.
fn tell_missed(findings: &mut [Finding], line: &str) {
    let tells = |it: &&mut Finding| match it.code {
        Code::Certificate => it.severity == Severity::Ok,
        Code::EdgeUnreachable | Code::EdgeNoRoute => true,
        _ => false,
    };
    if let Some(finding) = findings.iter_mut().find(tells) {
        finding.found.push(Evidence::new(line));
        if finding.code == Code::EdgeUnreachable {
            finding.severity = Severity::Unknown;
        }
    }
}

/// That the name is an alias, which the target of an SRV record must not be (RFC 2782).
fn alias(edge: &AccessEdge, facts: &AddressFacts) -> Option<Finding> {
    if facts.aliases.is_empty() {
        return None;
    }
    let expected = format!("an A or AAAA record at {edge} itself");
    let lines = aliases(edge, facts);
    let mut finding = Finding::new(Code::EdgeAlias, edge.as_fqdn(), &expected, lines);
    let mut hosts = facts.aliases.iter();
    if hosts.any(|host| is_online(host) || online_without_dot(host, edge).is_some()) {
        finding.severity = Severity::Blocking;
    }
    Some(finding)
}

/// The CNAMEs on the way, a line each.
fn aliases(edge: &AccessEdge, facts: &AddressFacts) -> impl Iterator<Item = String> {
    let each = facts.aliases.iter();
    each.map(|host| match online_without_dot(host, edge) {
        Some(meant) => {
            format!("an alias (CNAME) of {host} (it looks like {meant} without the dot at its end)")
        }
        None => format!("an alias (CNAME) of {host}"),
    })
}

/// The server of the online service that an alias means, where its last dot is missing: then the name of
/// the zone, which has the edge, stands behind it (RFC 1035, 5.1).
fn online_without_dot<'h>(host: &'h str, edge: &AccessEdge) -> Option<&'h str> {
    let name = edge.as_str();
    let zones = name.match_indices('.').map(|(at, _)| &name[at..]);
    let mut meant = zones.filter_map(|zone| host.strip_suffix(zone));
    meant.find(|meant| is_online(meant))
}

/// What is found of an edge at `addresses`. Always at least one finding.
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
    // An address is named where it is anybody's to see; and, where there are several, if the settings
    // let it be connected to.
    let several = addresses.len() > 1;
    let shown_as = |address: IpAddr| {
        let open = is_global(address) || several && reach.allows(address);
        open.then(|| address.to_string())
    };
    match saw {
        Err(skipped) => findings.push(skipped),
        Ok(facts) => findings.extend(looked_at(edge, domains, &shown_as, facts, now)),
    }
    findings
}

/// What a probe saw of all addresses; `shown_as` names one, where it may be named.
fn looked_at(
    edge: &AccessEdge,
    domains: &[SipDomain],
    shown_as: &impl Fn(IpAddr) -> Option<String>,
    facts: &TlsFacts,
    now: DateTime<Utc>,
) -> Vec<Finding> {
    let name = edge.as_fqdn();
    let sights = reach::Sights::of(facts, shown_as);
    let proven = facts.shown.iter().filter(|it| it.proof != Proof::Failed);
    let judged = proven.map(|shown| {
        let mut found = certificate::judge(edge, domains, shown, now);
        found.extend(sip::judge(edge, shown.sip));
        (shown.address, found)
    });
    let mut findings = pool::joined(judged);
    if findings.is_empty() {
        let (code, expected) = if sights.dead.is_empty() && !sights.unseen.is_empty() {
            (Code::EdgeNoRoute, "a way to its addresses from here")
        } else {
            (Code::EdgeUnreachable, reach::EXPECTED)
        };
        let lines = sights.lines();
        let skipped = Finding::skipped(Code::Certificate, name, code);
        let mut finding = Finding::new(code, name, expected, lines);
        if facts.left_out > 0 {
            // One that was not looked at may be well.
            finding.severity = Severity::Unknown;
        }
        finding.found.extend(left_out(facts.left_out));
        return vec![finding, skipped];
    }
    if let Some(first) = findings.first_mut() {
        let connected = reach::connected(facts, shown_as);
        first.found.extend(Evidence::lines(connected));
    }
    let fine = findings.iter().position(|it| it.code == Code::Certificate);
    if let Some(told) = findings.get_mut(fine.unwrap_or(0)) {
        if fine.is_some() {
            told.found.extend(Evidence::lines(&sights.unseen));
        }
        told.found.extend(left_out(facts.left_out));
    }
    if !sights.dead.is_empty() {
        let expected = "a certificate on port 5061 at every address";
        let partly = Finding::new(Code::EdgePartlyUnreachable, name, expected, &sights.dead);
        findings.push(partly);
    }
    findings
}

/// That an edge has more addresses than a probe looks at.
fn left_out(addresses: usize) -> Option<Evidence> {
    let (what, are) = match addresses {
        0 => return None,
        1 => ("1 more address".to_owned(), "was"),
        more => (format!("{more} more addresses"), "were"),
    };
    let most = MOST_ADDRESSES;
    let line = format!("{what} {are} not looked at: {most} at most are");
    Some(Evidence::new(&line))
}

/// Findings about an edge whose address is not known: that it has none, or that nobody could say.
/// Its certificate is not looked at then.
fn without_address(edge: &AccessEdge, facts: &AddressFacts) -> Vec<Finding> {
    let name = edge.as_fqdn();
    let mut found: Vec<_> = aliases(edge, facts).collect();
    let code = match &facts.outcome {
        Addresses::Unreachable(trouble) => {
            found.push(trouble.to_string());
            Code::ResolverUnreachable
        }
        Addresses::Circle => {
            found.push("an alias (CNAME) that leads in a circle".to_owned());
            Code::EdgeNoAddress
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
