//! Checks that every state of the DNS is recognised on the wire, and explained in words that help.

mod answers;
mod fuzz;
mod resolvers;
mod servers;
mod slips;
mod words;

use std::{fmt::Write as _, time::Duration};

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

/// For servers that do not answer; all others have time enough on a busy machine.
const SHORT: Limits = Limits {
    query: Duration::from_secs(1),
    look_up: Duration::from_secs(4),
};

const SRV: &str = "_sipfederationtls._tcp.contoso.com";
const RIGHT: &str = "SRV 0 0 5061 sip.contoso.com";

/// The token of the service that is asked about, and that of another.
const TOKEN: &str = "7K3M9QTX4HWD2Z01";
const OTHERS: &str = "0123456789ABCDEF";

fn contoso() -> SipDomain {
    SipDomain::parse("contoso.com").unwrap()
}

fn fqdn(name: &str) -> Fqdn {
    Fqdn::parse(name).unwrap()
}

/// As without `PIC_DNS`: queries the authoritative servers.
fn own(internet: &Internet) -> Dns {
    own_within(internet, Limits::default())
}

fn own_within(internet: &Internet, limits: Limits) -> Dns {
    let port = Some(internet.port());
    Dns::asking([internet.resolver.address], port, ANYWHERE, limits)
}

/// As with `PIC_DNS`: queries one resolver.
async fn resolved(internet: &Internet) -> Dns {
    let server = internet.resolver.address.to_string();
    Dns::new(Some(&server), ANYWHERE).await.unwrap()
}

/// The findings for `contoso.com` when it is to be routed to `sip.contoso.com`.
async fn found(dns: &Dns) -> String {
    found_for(dns, "sip.contoso.com").await
}

async fn found_for(dns: &Dns, edge: &str) -> String {
    let domain = contoso();
    let facts = dns.srv(&domain).await;
    shown(&judge(&domain, &AccessEdge::parse(edge).unwrap(), &facts))
}

/// A world in which `contoso.com` is routed to its edge, on all servers.
async fn routed(authorities: usize) -> Internet {
    let internet = Internet::start(authorities).await;
    internet.add("contoso.com", 3600);
    internet.set(SRV, &[RIGHT]);
    internet
}

fn is_ok(told: &str) -> bool {
    told.starts_with("srv (ok)") && !told.contains("disagree")
}

fn unreachable(why: &str) -> String {
    format!(
        "resolver-unreachable (unknown) contoso.com
           expected an answer for _sipfederationtls._tcp.contoso.com
           found {why}
         srv (skipped) contoso.com
           expected
           found resolver-unreachable"
    )
}

fn shown(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let (code, severity) = (finding.code.as_str(), finding.severity.as_str());
        let subject = &finding.subject;
        let _ = write!(
            text,
            "{code} ({severity}) {subject}\n  expected {}\n",
            finding.expected
        );
        for line in &finding.found {
            let _ = writeln!(text, "  found {line}");
        }
    }
    text
}

/// Compares with an inline snapshot, ignoring its indentation.
#[track_caller]
fn assert_shown(found: &str, expected: &str) {
    let lines = |text: &str| {
        let trimmed = text.lines().map(str::trim).filter(|line| !line.is_empty());
        trimmed.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(lines(found), lines(expected), "\n{found}");
}
