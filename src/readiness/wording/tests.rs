mod reasons;

use super::*;
use crate::names::{AccessEdge, Fqdn};

fn routes() -> Vec<EdgeRoutes> {
    let domain = |name| SipDomain::parse(name).unwrap();
    vec![EdgeRoutes {
        edge: AccessEdge::parse("sip.contoso.com").unwrap(),
        domains: vec![domain("contoso.com"), domain("it.fabrikam.co.uk")],
    }]
}

fn finding(code: Code, subject: &str, expected: &str, found: &[&str]) -> Finding {
    Finding::new(code, &Fqdn::parse(subject).unwrap(), expected, found)
}

/// What the edge or the domain of each code's example is.
fn example(code: Code) -> Finding {
    let subject = if code.entry().area.is_of_edge() {
        "sip.contoso.com"
    } else {
        "contoso.com"
    };
    let wrong = ["_sipfederationtls_tcp.contoso.com 0 0 5061 sip.contoso.com"];
    let found = (code == Code::SrvMisspelt).then_some(wrong);
    finding(code, subject, "", found.as_slice().as_flattened())
}

#[test]
fn each_code_is_told_with_all_names_filled_in() {
    let routes = routes();
    let teller = Teller::new("Skype", Mode::Enforce, &routes).with_token("7K3M9QTX4HWD2ZRB");
    for code in Code::ALL {
        let finding = example(*code);
        let words = teller.tell(&finding);
        assert!(!words.title.is_empty(), "{code:?}");
        assert!(!words.text.contains(['{', '}']), "{}", words.text);
        let kinds = code.entry().lines.len();
        assert!(words.lines.len() >= kinds, "{code:?}: a line of each kind");
        assert_eq!(words.lines.is_empty(), kinds == 0);
        for Line { label, line } in &words.lines {
            assert!(!label.is_empty() && !line.contains('\n'), "{line}");
            assert!(line.contains("contoso.com"), "{line}");
        }
    }
    let missing = teller.tell(&example(Code::SrvMissing));
    assert!(missing.text.starts_with("Skype and other partners"));
    assert_eq!(
        missing.lines.last().unwrap().line,
        "Resolve-DnsName -Name '_sipfederationtls._tcp.contoso.com' -Type SRV"
    );
    let held = teller.tell(&example(Code::DomainHeld));
    assert_eq!(held.found, ["in force under another service"]);
    assert_eq!(
        held.lines[0].line,
        "_pic-portal.contoso.com. 300 IN TXT \"pic-service=7K3M9QTX4HWD2ZRB\""
    );
}

#[test]
fn a_title_and_a_text_are_the_same_for_every_subject() {
    let routes = routes();
    let teller = Teller::new("Skype", Mode::Advise, &routes);
    for code in Code::ALL {
        let one = teller.tell(&finding(*code, "contoso.com", "", &[]));
        let other = teller.tell(&finding(*code, "it.fabrikam.co.uk", "", &[]));
        assert_eq!((one.title, &one.text), (other.title, &other.text));
        assert_eq!(one.who.is_empty(), code.severity() == Severity::Ok);
        assert_eq!(one.text.is_empty(), code.severity() == Severity::Ok);
    }
}

#[test]
fn what_was_not_looked_at_names_its_cause() {
    let routes = routes();
    let teller = Teller::new("Skype", Mode::Enforce, &routes);
    let edge = Fqdn::parse("sip.contoso.com").unwrap();
    for (code, title, cause) in [
        (
            Code::Certificate,
            "Certificate not checked",
            Code::EdgeUnreachable,
        ),
        (
            Code::EdgeUnreachable,
            "Access Edge not checked",
            Code::EdgeNoAddress,
        ),
        (
            Code::Srv,
            "SRV record not checked",
            Code::ResolverUnreachable,
        ),
    ] {
        let words = teller.tell(&Finding::skipped(code, &edge, cause));
        assert_eq!(words.title, title);
        let text = format!("Not checked, because of: {}.", cause.title());
        assert_eq!(words.text, text);
        assert!(words.lines.is_empty() && words.found.is_empty() && words.who.is_empty());
    }
}

#[test]
fn names_below_a_registered_domain_stand_in_its_zone() {
    let routes = routes();
    let teller = Teller::new("Skype", Mode::Enforce, &routes).with_token("T");
    let lines = |code, subject| {
        let lines = teller.tell(&finding(code, subject, "", &[])).lines;
        lines.into_iter().map(|it| it.line).collect::<Vec<_>>()
    };
    assert_eq!(
        lines(Code::SrvPort, "it.fabrikam.co.uk")[..3],
        [
            "_sipfederationtls._tcp.it.fabrikam.co.uk. 3600 IN SRV 0 0 5061 sip.contoso.com.",
            "Add-DnsServerResourceRecord -Srv -ZoneName 'fabrikam.co.uk' -Name '_sipfederationtls._tcp.it' -DomainName 'sip.contoso.com' -Priority 0 -Weight 0 -Port 5061",
            "Get-DnsServerResourceRecord -ZoneName 'fabrikam.co.uk' -Name '_sipfederationtls._tcp.it' -RRType Srv | Where-Object { $_.RecordData.DomainName -ne 'sip.contoso.com.' -or $_.RecordData.Port -ne 5061 } | Remove-DnsServerResourceRecord -ZoneName 'fabrikam.co.uk'",
        ]
    );
    // No public suffix is known: the domain counts as a zone, a host as a name in one.
    let held = lines(Code::DomainHeld, "contoso.test");
    assert!(held[1].contains("-ZoneName 'contoso.test' -Name '_pic-portal'"));
    let address = lines(Code::EdgeNoAddress, "sip.contoso.test");
    assert!(address[1].contains("-ZoneName 'contoso.test' -Name 'sip'"));
}

#[test]
fn nobody_is_told_to_publish_a_name_that_public_dns_never_has() {
    let routes = routes();
    let teller = Teller::new("Skype", Mode::Enforce, &routes);
    let words = teller.tell(&finding(
        Code::EdgeNoAddress,
        "edge01.contoso.local",
        "",
        &[],
    ));
    assert!(words.text.contains("external one"), "{}", words.text);
    let lines: Vec<_> = words.lines.iter().map(|it| it.line.as_str()).collect();
    assert_eq!(
        lines,
        ["Resolve-DnsName -Name 'edge01.contoso.local' -Type A"]
    );
}

#[test]
fn a_domain_that_is_held_is_proved_by_a_record_as_long_as_somebody_looks() {
    let routes = routes();
    let held = finding(Code::DomainHeld, "contoso.com", "", &[]);
    let tell = |mode, token: Option<&'static str>| {
        let teller = Teller::new("Skype", mode, &routes);
        let teller = match token {
            Some(token) => teller.with_token(token),
            None => teller,
        };
        teller.tell(&held)
    };
    let looked_up = tell(Mode::Advise, Some("T"));
    assert!(looked_up.text.contains("Once we see it"));
    assert_eq!(looked_up.lines.len(), 3);
    let off = tell(Mode::Off, Some("T"));
    assert!(off.text.contains("is not looked up"), "{}", off.text);
    let ended = tell(Mode::Advise, None);
    assert!(!ended.text.contains("TXT") && ended.lines.is_empty());
}

#[test]
fn a_proof_that_no_server_answered_for_is_not_said_to_be_missing() {
    let routes = routes();
    let teller = Teller::new("Skype", Mode::Enforce, &routes).with_token("T");
    let mut unknown = finding(Code::DomainUnproven, "contoso.com", "", &[]);
    let missing = teller.tell(&unknown);
    unknown.severity = Severity::Unknown;
    let words = teller.tell(&unknown);
    assert_ne!(words.title, missing.title);
    assert!(
        words.text.contains("check again automatically"),
        "{}",
        words.text
    );
    assert_eq!(words.lines, missing.lines, "the record may be missing too");
}

#[test]
fn old_suites_are_no_reason_to_say_that_there_is_no_tls() {
    let routes = routes();
    let teller = Teller::new("Skype", Mode::Enforce, &routes);
    let mut old = finding(Code::TlsOld, "sip.contoso.com", "", &[]);
    let suites = teller.tell(&old);
    assert!(suites.text.contains("suites"), "{}", suites.text);
    old.severity = Severity::Blocking;
    let version = teller.tell(&old);
    assert!(
        version.text.contains("Enable TLS 1.2 on"),
        "{}",
        version.text
    );
    assert_ne!(version.title, suites.title);
}

#[test]
fn a_thousand_domains_make_no_line_that_nobody_can_use() {
    let domain = |n| SipDomain::parse(&format!("d{n}.contoso.com")).unwrap();
    let edge = AccessEdge::parse("sip.contoso.com").unwrap();
    let domains = (0..1_000).map(domain).collect();
    let routes = [EdgeRoutes { edge, domains }];
    let teller = Teller::new("Skype", Mode::Enforce, &routes);
    let words = teller.tell(&finding(Code::CertificateName, "sip.contoso.com", "", &[]));
    assert_eq!(
        words.lines[0].label,
        "Names for the certificate, the first 100"
    );
    assert_eq!(words.lines[0].line.split(',').count(), 100);
    let missing = teller.tell(&finding(Code::SrvMissing, "d999.contoso.com", "", &[]));
    assert_eq!(missing.lines.len(), 3);
    // A domain that is no longer requested has no lines.
    let gone = teller.tell(&finding(Code::SrvMissing, "gone.example", "", &[]));
    assert!(gone.lines.is_empty());
}

#[test]
fn a_record_is_told_by_field_and_for_each_service() {
    let routes = routes();
    let teller = Teller::new("Skype", Mode::Enforce, &routes).with_token("7K3M9QTX4HWD2ZRB");
    let record = |code| {
        teller
            .tell(&finding(code, "it.fabrikam.co.uk", "", &[]))
            .record
    };
    let srv = record(Code::SrvMissing).unwrap();
    let shown = |record: &Record| {
        let fields = record.fields().into_iter();
        fields
            .map(|(name, value)| format!("{name}: {value}"))
            .collect::<Vec<_>>()
    };
    assert_eq!(srv.zone(), "fabrikam.co.uk");
    assert_eq!(
        shown(&srv),
        [
            "Name: _sipfederationtls._tcp.it",
            "Type: SRV",
            "Priority: 0",
            "Weight: 0",
            "Port: 5061",
            "Target: sip.contoso.com",
            "TTL: 3600"
        ]
    );
    let txt = record(Code::DomainHeld).unwrap();
    assert_eq!(
        shown(&txt),
        [
            "Name: _pic-portal.it",
            "Type: TXT",
            "Text: pic-service=7K3M9QTX4HWD2ZRB",
            "TTL: 300"
        ]
    );
    let owner = ["_sipfederationtls._tcp.it", "_pic-portal.it"];
    for (record, owner) in [&srv, &txt].into_iter().zip(owner) {
        let commands = record.commands();
        for Line { label, line } in &commands {
            assert!(
                line.contains(owner) && line.contains("fabrikam.co.uk"),
                "{label}: {line}"
            );
            // What is sent as JSON is JSON.
            for json in line.split('\'').filter(|it| it.starts_with('{')) {
                let json: serde_json::Value = serde_json::from_str(json).unwrap();
                assert!(json.to_string().contains("fabrikam.co.uk"), "{label}");
            }
        }
        assert!(
            commands[0].line.starts_with("update add ") && commands[0].line.ends_with("\nsend")
        );
        let [.., azure] = commands;
        assert!(
            azure
                .line
                .contains(" --zone-name 'fabrikam.co.uk' --record-set-name '_")
        );
    }
    assert_eq!(record(Code::Srv), None);
    assert_eq!(
        zone_file(&routes),
        "; SRV records for SIP federation, by zone\n\n\
         ; contoso.com\n_sipfederationtls._tcp.contoso.com. 3600 IN SRV 0 0 5061 sip.contoso.com.\n\n\
         ; fabrikam.co.uk\n_sipfederationtls._tcp.it.fabrikam.co.uk. 3600 IN SRV 0 0 5061 sip.contoso.com.\n"
    );
}
