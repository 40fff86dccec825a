//! Is every state of the DNS told apart, on the wire, and told in words that help?

mod fuzz;
mod servers;
mod words;

use std::time::Duration;

use pic_portal::{
    names::{AccessEdge, Fqdn, SipDomain},
    readiness::{
        Finding,
        dns::{Dns, Limits},
        domain::judge,
        net::Reach,
    },
};

use crate::support::dns::Internet;

/// The servers of these tests are on loopback addresses.
const ANYWHERE: Reach = Reach { private: true };

/// For servers that do not answer: the rest has time enough on a busy machine.
const SHORT: Limits = Limits {
    query: Duration::from_millis(1_000),
    look_up: Duration::from_millis(4_000),
};

const SRV: &str = "_sipfederationtls._tcp.contoso.com";
const RIGHT: &str = "SRV 0 0 5061 sip.contoso.com";

fn contoso() -> SipDomain {
    SipDomain::parse("contoso.com").unwrap()
}

fn fqdn(name: &str) -> Fqdn {
    Fqdn::parse(name).unwrap()
}

/// As without `PIC_DNS`: asks the authoritative servers.
fn own(internet: &Internet) -> Dns {
    own_within(internet, Limits::default())
}

fn own_within(internet: &Internet, limits: Limits) -> Dns {
    let port = Some(internet.port());
    Dns::asking([internet.resolver.address], port, ANYWHERE, limits)
}

/// As with `PIC_DNS`: asks one resolver.
async fn resolved(internet: &Internet) -> Dns {
    let server = internet.resolver.address.to_string();
    Dns::new(Some(&server), ANYWHERE).await.unwrap()
}

/// What is found for `contoso.com` when it is to be routed to `sip.contoso.com`.
async fn found(dns: &Dns) -> String {
    found_for(dns, "sip.contoso.com").await
}

async fn found_for(dns: &Dns, edge: &str) -> String {
    let domain = contoso();
    let facts = dns.srv(&domain).await;
    shown(&judge(&domain, &AccessEdge::parse(edge).unwrap(), &facts))
}

fn shown(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let (code, severity) = (finding.code.as_str(), finding.severity.as_str());
        let subject = &finding.subject;
        text += &format!(
            "{code} ({severity}) {subject}\n  expected {}\n",
            finding.expected
        );
        for line in &finding.found {
            text += &format!("  found {line}\n");
        }
    }
    text
}

/// Compares with an inline snapshot, whose indentation does not count.
#[track_caller]
fn assert_shown(found: &str, expected: &str) {
    let lines = |text: &str| {
        let lines: Vec<_> = text.lines().map(str::trim).map(str::to_owned).collect();
        lines
            .into_iter()
            .filter(|l| !l.is_empty())
            .collect::<Vec<_>>()
    };
    assert_eq!(lines(found), lines(expected), "\n{found}");
}
