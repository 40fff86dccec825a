//! Looks at Access Edges that show all kinds of certificates and behave in all kinds of ways.

mod addresses;
mod bettertls;
mod cases;
mod certificates;
mod constraints;
mod hostile;
mod kamailio;
mod limbo;
mod matrix;
mod moments;
mod names;
mod peers;
mod releases;
mod sip;

use std::{net::IpAddr, time::Duration};

use chrono::{DateTime, TimeZone as _, Utc};
use pic_portal::{
    names::{AccessEdge, SipDomain},
    readiness::{
        Evidence, Finding, edge,
        net::Reach,
        tls::{Limits, Tls, TlsFacts},
    },
};

use crate::support::edge::{Authority, Edge, Issued};

const ANYWHERE: Reach = Reach { private: true };

/// When all of these tests take place.
fn now() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 3, 1, 12, 0, 0).unwrap()
}

fn contoso() -> (AccessEdge, Vec<SipDomain>) {
    let domains = ["contoso.com", "fabrikam.com"];
    (
        AccessEdge::parse("sip.contoso.com").unwrap(),
        domains.map(|d| SipDomain::parse(d).unwrap()).to_vec(),
    )
}

/// What trusts `root` alone.
fn tls(root: &Authority) -> Tls {
    Tls::new(Some(root.file().path()), ANYWHERE).unwrap()
}

/// The same, and does not wait for long: for those who never come to an end.
fn hasty(root: &Authority) -> Tls {
    let limits = Limits {
        connect: Duration::from_millis(400),
        whole: Duration::from_millis(800),
    };
    tls(root).with_limits(limits)
}

/// What was found, as a text.
fn told(findings: &[Finding]) -> String {
    let tell = |finding: &Finding| {
        let found: Vec<_> = finding.found.iter().map(Evidence::as_str).collect();
        format!(
            "{} {} | {} | {}",
            finding.severity.as_str(),
            finding.code.as_str(),
            finding.expected,
            found.join("; ")
        )
    };
    findings.iter().map(tell).collect::<Vec<_>>().join("\n")
}

fn judged(addresses: &[IpAddr], facts: &TlsFacts) -> String {
    let (edge, domains) = contoso();
    told(&edge::judge(
        &edge,
        &domains,
        addresses,
        ANYWHERE,
        Some(facts),
        now(),
    ))
}

/// Probes a real server that shows `issued`, and judges.
async fn verdict(root: &Authority, issued: Issued) -> String {
    let edge = Edge::start(issued).await;
    let facts = tls(root).probe(&contoso().0, &[edge.address()]).await;
    assert_eq!(edge.connections(), 1);
    judged(&[edge.address()], &facts)
}
