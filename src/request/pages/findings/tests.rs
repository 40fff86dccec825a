//! Checks how findings are grouped, counted and named.

use super::*;
use crate::{
    names::{AccessEdge, Fqdn, SipDomain},
    readiness::{Code, Mode},
};

fn told(findings: &[Finding]) -> Findings {
    let domain = |n| SipDomain::parse(&format!("d{n:02}.example")).unwrap();
    let edge = AccessEdge::parse("sip.contoso.com").unwrap();
    let domains = (0..40).map(domain).collect();
    let routes = [EdgeRoutes { edge, domains }];
    let teller = Teller::new("Skype", Mode::Enforce, &routes);
    Findings::tell(&teller, findings)
}

fn of(code: Code, name: &str) -> Finding {
    Finding::new(code, &Fqdn::parse(name).unwrap(), "this", ["that"])
}

#[test]
fn forty_domains_with_one_fault_are_one_card() {
    let mut findings: Vec<_> = (0..40)
        .map(|n| of(Code::SrvMissing, &format!("d{n:02}.example")))
        .collect();
    findings.push(of(Code::Certificate, "sip.contoso.com"));
    findings.push(of(Code::ResolverUnreachable, "d99.example"));
    findings.push(of(Code::SrvSuffix, "d00.example"));
    findings.push(of(Code::CertificateExpired, "sip.contoso.com"));
    let told = told(&findings);
    let codes: Vec<_> = told.groups.iter().map(|g| g.code).collect();
    assert_eq!(
        codes,
        [
            "srv-missing",
            "certificate-expired",
            "resolver-unreachable",
            "srv-suffix"
        ],
        "the gravest first"
    );
    assert_eq!(told.groups[0].subjects.len(), 40);
    for block in &told.groups[0].lines {
        assert_eq!(block.lines.lines().count(), 40, "{}", block.label);
    }
    assert_eq!(
        told.summary(),
        "41 problems to fix, 1 check not possible, 1 warning."
    );
    let page = told.to_string();
    assert_eq!(page.matches("data-finding=").count(), findings.len());
    assert_eq!(page.matches("data-severity=").count(), findings.len());
    assert_eq!(page.matches("<article").count(), 4);
}

#[test]
fn a_line_that_two_names_of_a_zone_have_in_common_is_there_once() {
    let both = ["d00.example", "sip.d00.example"];
    let told = told(&both.map(|name| of(Code::ResolverUnreachable, name)));
    let [group] = told.groups.as_slice() else {
        panic!("one card: {told:?}");
    };
    let lines = group.lines.iter().flat_map(|it| it.lines.lines());
    let of_zone = lines.filter(|line| line.ends_with("'d00.example' -Type NS"));
    assert_eq!(of_zone.count(), 1, "{:?}", group.lines);
}

#[test]
fn all_is_well_when_everything_was_looked_at() {
    let fine = [
        of(Code::Srv, "d00.example"),
        of(Code::Certificate, "sip.contoso.com"),
    ];
    assert_eq!(told(&fine).summary(), "All 2 checks passed.");
    let edge = Fqdn::parse("sip.contoso.com").unwrap();
    let skipped = [Finding::skipped(
        Code::Certificate,
        &edge,
        Code::EdgeNoAddress,
    )];
    assert_eq!(told(&skipped).summary(), "");
    assert_eq!(told(&skipped).quiet_title(), "1 check not done yet");
    let both = [fine.as_slice(), &skipped].concat();
    let both = told(&both).quiet_title();
    assert_eq!(both, "2 checks passed, 1 check not done yet");
    assert!(told(&[]).is_empty());
    let warned = [of(Code::SrvSuffix, "d00.example")];
    assert!(!told(&warned).has_problems());
    let teller = Teller::new("Skype", Mode::Enforce, &[]);
    let report = Report {
        findings: fine.into(),
        unfinished: 2,
    };
    let cut = Findings::report(&teller, &report);
    assert!(cut.summary().is_empty() && cut.note.starts_with("2 names were not done"));
}
