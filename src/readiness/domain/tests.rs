//! The judgement holds for any records that the DNS may return.

use proptest::{collection::vec, option, prelude::*};

use super::{super::dns::Variant, *};
use crate::readiness::Severity;

const ONLINE: &str = "sipfed.online.partner.lync.cn";
const CONSUMER: &str = "federation.messenger.msn.com";

fn domain() -> SipDomain {
    SipDomain::parse("contoso.com").unwrap()
}

fn edge() -> AccessEdge {
    AccessEdge::parse("sip.contoso.com").unwrap()
}

/// Facts from `priority port target` of each record, one text for each server.
fn facts(servers: &[&str]) -> SrvFacts {
    let record = |words: &[&str]| SrvRecord {
        priority: words[0].parse().unwrap(),
        weight: 0,
        port: words[1].parse().unwrap(),
        target: words[2].to_owned(),
    };
    let answer = |(place, text): (usize, &&str)| {
        let words: Vec<_> = text.split_whitespace().collect();
        ServerAnswer {
            server: Some(format!("ns{place}.contoso.com")),
            answer: SrvAnswer {
                exists: true,
                records: words.chunks(3).map(record).collect(),
                ..SrvAnswer::default()
            },
        }
    };
    SrvFacts {
        answers: servers.iter().enumerate().map(answer).collect(),
        ..SrvFacts::default()
    }
}

/// Such a route can have been stored before the form refused its edge.
#[test]
fn a_route_to_the_online_service_is_never_proven() {
    let online = "0 5061 sipfed.online.lync.com";
    let edge = AccessEdge::from_database("sipfed.online.lync.com".into()).unwrap();
    for records in [online, "0 5061 sip.contoso.com", ""] {
        let found = judge(&domain(), &edge, &facts(&[records]));
        assert_eq!(found[0].code, Code::HomedOnline, "{records}");
        assert_eq!(found[0].severity, Severity::Blocking);
    }
    for target in ["sipfed2.online.lync.com", "sipdir.online.lync.com"] {
        let records = format!("0 5061 {target}");
        let found = judge(&domain(), &self::edge(), &facts(&[&records]));
        assert_eq!(found[0].code, Code::HomedOnline, "{target}");
    }
}

#[test]
fn the_worst_answer_of_the_records_in_use_counts() {
    let online = "0 5061 sipfed.online.lync.com";
    let consumer = "0 5061 federation.messenger.msn.com";
    let right = "0 5061 sip.contoso.com";
    let rows: [(&[&str], &[Code]); 27] = [
        (&[right], &[Code::Srv]),
        (&[right, right], &[Code::Srv]),
        (
            &["1 5061 sip.contoso.com 1 443 sip.contoso.com"],
            &[Code::Srv, Code::SrvPort],
        ),
        (
            &["1 5061 sip.contoso.com 1 5061 x.test"],
            &[Code::Srv, Code::SrvTarget],
        ),
        (
            &["1 5061 sip.contoso.com 1 5061 sipfed.online.lync.com"],
            &[Code::HomedOnline],
        ),
        (
            &["1 5061 sip.contoso.com 2 5061 sipfed.online.lync.com"],
            &[Code::Srv],
        ),
        (
            &["1 5061 federation.messenger.msn.com 1 5061 sip.contoso.com"],
            &[Code::RoutedToConsumer],
        ),
        (
            &["1 5061 sip.contoso.com 1 443 sip.contoso.com", right],
            &[Code::Srv, Code::SrvPort, Code::DnsDisagrees],
        ),
        (
            &["0 5061 sipfed.online.lync.com.contoso.com"],
            &[Code::HomedOnline],
        ),
        (
            &["0 5061 federation.messenger.msn.com.contoso.com"],
            &[Code::RoutedToConsumer],
        ),
        (&["0 5061 sipdir.online.lync.com"], &[Code::HomedOnline]),
        (&["0 5061 sip.notlync.com"], &[Code::SrvTarget]),
        (&["1 5061 sip.contoso.com 2 5061 x.test"], &[Code::Srv]),
        (
            &["2 5061 sip.contoso.com 1 5061 x.test"],
            &[Code::SrvTarget],
        ),
        (
            &["2 5061 sip.contoso.com 1 443 sip.contoso.com"],
            &[Code::SrvPort],
        ),
        (&["65535 0 sip.contoso.com"], &[Code::SrvPort]),
        (&["0 0 ."], &[Code::SrvTarget]),
        (&["0 5061 sip.contoso.com.contoso.com"], &[Code::SrvTarget]),
        (
            &["1 5061 x.test 2 5061 sipfed.online.lync.com"],
            &[Code::SrvTarget],
        ),
        (
            &["1 5061 x.test 1 5061 sipfed.online.lync.com"],
            &[Code::HomedOnline],
        ),
        (&[""], &[Code::SrvMissing]),
        // The same records in another order are the same records.
        (
            &[
                "1 5061 sip.contoso.com 2 1 b.test",
                "2 1 b.test 1 5061 sip.contoso.com",
            ],
            &[Code::Srv],
        ),
        (
            &[right, "1 5061 sip.contoso.com"],
            &[Code::Srv, Code::DnsDisagrees],
        ),
        (
            &["0 1 sip.contoso.com", right],
            &[Code::SrvPort, Code::DnsDisagrees],
        ),
        (
            &[right, consumer],
            &[Code::RoutedToConsumer, Code::DnsDisagrees],
        ),
        (
            &[online, right, consumer],
            &[Code::HomedOnline, Code::DnsDisagrees],
        ),
        (
            &[right, online, ""],
            &[Code::SrvMissing, Code::DnsDisagrees],
        ),
    ];
    for (servers, codes) in rows {
        let found = judge(&domain(), &edge(), &facts(servers));
        let found: Vec<_> = found.iter().map(|finding| finding.code).collect();
        assert_eq!(found, codes, "{servers:?}");
    }
}

/// Nobody has told the edge: what a slip made of a name does not become it.
#[test]
fn a_slip_never_becomes_the_edge() {
    let named = |records: &[&str]| find_edge(&domain(), &facts(records));
    for (records, edge) in [
        ("0 5061 sip.contoso.com", "sip.contoso.com"),
        ("0 443 edge.fabrikam.com", "edge.fabrikam.com"),
        (
            "0 5061 sip.contoso.com.contoso.com 0 5061 a.contoso.com",
            "a.contoso.com",
        ),
        (
            "0 5061 sipfed.online.lync.com 0 5061 a.contoso.com",
            "a.contoso.com",
        ),
    ] {
        assert_eq!(named(&[records]).unwrap().as_str(), edge, "{records}");
    }
    for (target, code, note) in [
        (
            "sip.contoso.com.contoso.com",
            Code::SrvTarget,
            "(it looks like sip.contoso.com without the dot at its end)",
        ),
        (
            "sipfed.online.lync.com.contoso.com",
            Code::HomedOnline,
            "(it looks like sipfed.online.lync.com without the dot at its end)",
        ),
        (
            "federation.messenger.msn.com.contoso.com",
            Code::RoutedToConsumer,
            "(it looks like federation.messenger.msn.com without the dot at its end)",
        ),
        (
            "203.0.113.10.contoso.com",
            Code::SrvTarget,
            "(an IP address, where the name of a server belongs)",
        ),
        (
            "https://sip.contoso.com",
            Code::SrvTarget,
            "(no name that a server can have)",
        ),
        (
            "contoso.com",
            Code::SrvTarget,
            "(the domain itself, and no server in it)",
        ),
        (
            "fabrikam.com",
            Code::SrvTarget,
            "(a domain, and no server in it)",
        ),
        ("sip", Code::SrvTarget, "(a name without its domain)"),
        ("localhost", Code::SrvTarget, "(a name without its domain)"),
        (
            "edge01.corp.contoso.local",
            Code::SrvTarget,
            "(a name inside a network, which public DNS never has)",
        ),
        (
            "sip.contoso.invalid",
            Code::SrvTarget,
            "(a name that public DNS never has)",
        ),
        (
            "contoso-com.mail.protection.outlook.com",
            Code::SrvTarget,
            "(a name of a provider of mail and personal accounts)",
        ),
        ("contoso.onmicrosoft.com", Code::HomedOnline, ""),
        ("sip.contoso.mail.onmicrosoft.com", Code::HomedOnline, ""),
        (
            "sipfed.online.lync.com.onmicrosoft.com",
            Code::HomedOnline,
            "",
        ),
        (".", Code::SrvTarget, "(there is no such service)"),
    ] {
        let records = format!("0 5061 {target}");
        let found = named(&[&records]).unwrap_err();
        let line = format!("priority 0, weight 0, port 5061, target {target} {note}");
        assert_eq!(found[0].code, code, "{target}");
        assert_eq!(found[0].found[0].as_str(), line.trim_end());
        // The same where the edge is told.
        let told = judge(&domain(), &edge(), &facts(&[&records]));
        assert_eq!(told[0].code, code, "{target}");
        assert_eq!(told[0].found, found[0].found);
    }
    // A domain below another one is no edge of its own either.
    let below = SipDomain::parse("it.contoso.com").unwrap();
    assert!(find_edge(&below, &facts(&["0 5061 it.contoso.com"])).is_err());
}

#[test]
fn times_are_told_in_words_and_never_too_short() {
    for (seconds, words) in [
        (0, "0 seconds"),
        (1, "1 second"),
        (60, "1 minute"),
        (119, "119 seconds"),
        (121, "3 minutes"),
        (3600, "1 hour"),
        (5400, "90 minutes"),
        (86_400, "1 day"),
        (100_000, "28 hours"),
        (u32::MAX.into(), "49711 days"),
    ] {
        assert_eq!(in_words(Duration::from_secs(seconds)), words);
    }
}

/// Names among which the right one is frequent.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => Just("sip.contoso.com".to_owned()),
        1 => Just(".".to_owned()),
        1 => Just(ONLINE.to_owned()),
        1 => Just(CONSUMER.to_owned()),
        1 => any::<String>(),
    ]
}

fn record() -> impl Strategy<Value = SrvRecord> {
    let port = prop_oneof![3 => Just(PORT), 1 => any::<u16>()];
    (0..3_u16, 0..2_u16, port, name()).prop_map(|(priority, weight, port, target)| SrvRecord {
        priority,
        weight,
        port,
        target,
    })
}

fn answer() -> impl Strategy<Value = ServerAnswer> {
    let times = option::of(any::<Duration>());
    let parts = (
        option::of(name()),
        any::<(bool, bool)>(),
        vec(name(), 0..4),
        vec(record(), 0..5),
        times,
    );
    parts.prop_map(
        |(server, (exists, circular), aliases, records, remembered)| ServerAnswer {
            server,
            answer: SrvAnswer {
                exists,
                aliases,
                circular,
                records,
                remembered,
            },
        },
    )
}

fn any_facts() -> impl Strategy<Value = SrvFacts> {
    let variant = (name(), vec(record(), 0..3)).prop_map(|(owner, records)| Variant {
        owner,
        slip: "",
        records,
    });
    let trouble = option::of(prop_oneof![Just(Trouble::Silent), Just(Trouble::Lame)]);
    (vec(answer(), 0..4), trouble, vec(variant, 0..3)).prop_map(|(answers, trouble, variants)| {
        SrvFacts {
            answers,
            trouble,
            variants,
        }
    })
}

proptest! {
    #[test]
    fn a_route_is_right_when_and_only_when_every_server_leads_to_its_edge(facts in any_facts()) {
        let findings = judge(&domain(), &edge(), &facts);
        prop_assert!(!findings.is_empty());
        prop_assert!(findings.iter().all(|finding| !finding.found.is_empty()));

        // Written in another way than the judge does it.
        let leads = |said: &ServerAnswer| {
            let mut records = said.answer.records.clone();
            records.sort_by_key(|record| record.priority);
            let lowest = records.first().map(|record| record.priority);
            records
                .iter()
                .take_while(|record| Some(record.priority) == lowest)
                .fold((false, true), |(leads, only), record| {
                    let is_right = record.target == "sip.contoso.com" && record.port == 5061;
                    let strays = record.target == ONLINE || record.target == CONSUMER;
                    (leads || is_right, only && !strays)
                })
                == (true, true)
        };
        let right = !facts.answers.is_empty() && facts.answers.iter().all(leads);
        let is_ok = |f: &Finding| f.code == Code::Srv && f.severity == Severity::Ok;
        prop_assert_eq!(findings.iter().any(is_ok), right);
        // Any error prevents proof.
        let good = |f: &Finding| matches!(f.severity, Severity::Ok | Severity::Warning);
        prop_assert_eq!(findings.iter().all(good), right);
        let silent = findings.iter().any(|f| f.code == Code::ResolverUnreachable);
        prop_assert_eq!(silent, facts.answers.is_empty());
    }
}
