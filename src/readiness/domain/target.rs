//! Tells where an SRV record leads, and which slip made its target what it is.

use std::{iter::successors, net::IpAddr};

use super::super::dns::SrvRecord;
use crate::names::{AccessEdge, NameProblem, SipDomain, is_online_service, is_online_tenant};

/// Target of domains that are routed to consumer accounts.
pub(super) const CONSUMER: &str = "federation.messenger.msn.com";

/// Where a record leads.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Edge,
    Online,
    Consumer,
    Other,
}

impl Target {
    /// What was meant counts where the dot at the end is missing, except that no such record is
    /// right.
    pub(super) fn of(record: &SrvRecord, domain: &SipDomain, edge: &AccessEdge) -> Self {
        let meant = without_zone(&record.target, domain, edge).unwrap_or(&record.target);
        if record.target == edge.as_str() {
            Self::Edge
        } else if is_online(meant) {
            Self::Online
        } else if meant == CONSUMER {
            Self::Consumer
        } else {
            Self::Other
        }
    }
}

/// Whether the host belongs to the online service, and domains with a record that leads there are homed
/// online. A tenant's own domain is no server; who names it means the online service.
pub(in crate::readiness) fn is_online(host: &str) -> bool {
    (is_online_service(host) || is_online_tenant(host)) && host != CONSUMER
}

/// What the target of a record looks like, where it is no name that an Access Edge can have.
pub(super) fn note(record: &SrvRecord, domain: &SipDomain, edge: &AccessEdge) -> Option<String> {
    let target = record.target.as_str();
    if target == edge.as_str() || target == "." {
        return None;
    }
    let meant = without_zone(target, domain, edge);
    if is_address(meant.unwrap_or(target)) {
        return Some("an IP address, where the name of a server belongs".to_owned());
    }
    if let Some(meant) = meant {
        return Some(format!("it looks like {meant} without the dot at its end"));
    }
    if target == domain.as_str() {
        return Some("the domain itself, and no server in it".to_owned());
    }
    let is_elsewhere = is_online(target) || target == CONSUMER;
    no_edge(target).filter(|_| !is_elsewhere)
}

/// Why a target can be no Access Edge, if so: what the form refuses.
fn no_edge(target: &str) -> Option<String> {
    let is_host = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '-' | '.');
    let no_name = "no name that a server can have";
    if !target.chars().all(is_host) {
        return Some(no_name.to_owned());
    }
    let said = match AccessEdge::parse(target).err()?.problem() {
        NameProblem::NoDot => "a name without its domain",
        NameProblem::NotAServer | NameProblem::PublicSuffix => "a domain, and no server in it",
        NameProblem::InsideOnly(_) => "a name inside a network, which public DNS never has",
        NameProblem::NeverPublic(_) => "a name that public DNS never has",
        // Who is online was told before; what is left of the online service here are its mail servers.
        NameProblem::OnlineService | NameProblem::PersonalAccounts => {
            "a name of a provider of mail and personal accounts"
        }
        _ => no_name,
    };
    Some(said.to_owned())
}

/// The name that a target is, without the name of the zone behind it: a server puts it there where a
/// name in its file has no dot at the end (RFC 1035, 5.1). Only for names that are known, or have the
/// name of the zone twice.
fn without_zone<'t>(target: &'t str, domain: &SipDomain, edge: &AccessEdge) -> Option<&'t str> {
    let zones = successors(Some(domain.clone()), SipDomain::parent);
    let zones = zones.map(|zone| zone.to_string());
    let mut zones = [format!("_tcp.{domain}")].into_iter().chain(zones);
    zones.find_map(|zone| {
        let name = target.strip_suffix(&zone)?.strip_suffix('.')?;
        let is_known = name == edge.as_str()
            || name == CONSUMER
            || is_online(name)
            || is_address(name)
            || name == zone
            || name.ends_with(&format!(".{zone}"));
        is_known.then_some(name)
    })
}

/// Whether the target of a record is an address.
fn is_address(target: &str) -> bool {
    target.parse::<IpAddr>().is_ok()
}
