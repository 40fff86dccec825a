//! Checks every kind of answer: long, old, contradictory, addresses, proof of ownership.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use hickory_resolver::proto::rr::RecordType;
use pic_portal::{
    names::SipDomain,
    readiness::{
        dns::{AddressFacts, Addresses, Dns, DnsError, TokenFacts, Trouble},
        net::Reach,
    },
};

use super::{
    ANYWHERE, OTHERS, SHORT, SRV, TOKEN, assert_shown, contoso, found, fqdn, is_ok, own,
    own_within, resolved, routed, unreachable,
};
use crate::support::dns::{Internet, Manner, Server};

#[tokio::test]
async fn long_answers_come_by_tcp() {
    let internet = routed(2).await;
    for server in internet.authorities.iter().chain([&internet.resolver]) {
        server.behave(Manner::Truncate);
    }
    assert!(is_ok(&found(&own(&internet)).await));
    assert!(is_ok(&found(&resolved(&internet).await).await));
    let by_tcp = |server: &Server| server.asked().iter().filter(|a| a.over_tcp).count();
    assert_eq!(by_tcp(&internet.authorities[0]), 1);
    assert!(by_tcp(&internet.resolver) > 1);
}

#[tokio::test]
async fn two_hundred_records_are_all_looked_at_and_eight_lines_are_told() {
    let internet = routed(2).await;
    let mut records: Vec<_> = (1..200)
        .map(|n| format!("SRV 10 {n} 5061 sip{n}.contoso.com"))
        .collect();
    records.push("SRV 9 0 5061 sip.contoso.com".to_owned());
    let records: Vec<_> = records.iter().map(String::as_str).collect();
    internet.set(SRV, &records);
    for dns in [own(&internet), resolved(&internet).await] {
        assert_eq!(
            dns.srv(&contoso()).await.answers[0].answer.records.len(),
            200
        );
        let told = found(&dns).await;
        assert!(is_ok(&told), "{told}");
        let lines: Vec<_> = told.lines().filter(|l| l.starts_with("  found")).collect();
        assert_eq!(lines.len(), 9);
        assert_eq!(
            lines[0],
            "  found priority 9, weight 0, port 5061, target sip.contoso.com"
        );
        assert_eq!(lines[8], "  found and 192 more");
    }
    assert!(
        internet.authorities[1]
            .asked()
            .iter()
            .any(|asked| asked.over_tcp)
    );
}

#[tokio::test]
async fn records_of_a_name_that_does_not_exist_prove_nothing() {
    let internet = routed(1).await;
    let own_record = format!("TXT pic-service={TOKEN}");
    internet.set("_pic-portal.contoso.com", &[&own_record]);
    let contradiction = Manner::Mangle(Arc::new(|mut bytes| {
        bytes[3] = bytes[3] & 0xf0 | 3;
        bytes
    }));
    for server in [&internet.authorities[0], &internet.resolver] {
        server.behave(contradiction.clone());
    }
    for dns in [own(&internet), resolved(&internet).await] {
        let told = found(&dns).await;
        assert!(told.starts_with("srv-missing"), "{told}");
        assert_ne!(dns.token(&contoso(), TOKEN).await, TokenFacts::Proven);
    }
}

#[tokio::test]
async fn an_old_server_is_asked_without_extensions() {
    let internet = routed(0).await;
    // It does not know the record that EDNS adds, the last one in this answer.
    let old = Manner::Mangle(Arc::new(|bytes| {
        let has_extension = bytes[11] > 0;
        if has_extension {
            let mut fault = bytes[..12].to_vec();
            fault[3] = fault[3] & 0xf0 | 1;
            fault[6..12].fill(0);
            fault.extend(&bytes[12..]);
            let question = bytes[12..].iter().position(|byte| *byte == 0).unwrap() + 5;
            fault.truncate(12 + question);
            fault
        } else {
            bytes
        }
    }));
    internet.resolver.behave(old);
    assert!(is_ok(&found(&resolved(&internet).await).await));
    assert_eq!(internet.resolver.count(SRV, RecordType::SRV), 2);
}

#[tokio::test]
async fn what_is_not_globally_reachable_is_not_asked() {
    let internet = routed(2).await;
    let nowhere = Reach { private: false };
    let resolver = [internet.resolver.address];
    let dns = Dns::asking(resolver, Some(internet.port()), nowhere, SHORT);
    assert!(is_ok(&found(&dns).await), "the resolver answers");
    let proof = dns.token(&contoso(), TOKEN).await;
    assert_eq!(proof, TokenFacts::Unreachable(Trouble::Unanswered));
    for server in &internet.authorities {
        assert_eq!(server.asked(), [], "nothing was sent to it");
    }
    assert!(internet.resolver.count("ns1.dns.test", RecordType::A) > 0);
}

#[tokio::test]
async fn no_more_than_eight_servers_are_asked() {
    let internet = routed(12).await;
    assert!(is_ok(&found(&own(&internet)).await));
    let asked = |server: &&Server| !server.asked().is_empty();
    assert_eq!(internet.authorities.iter().filter(asked).count(), 8);
}

#[tokio::test]
async fn addresses_of_a_host() {
    let internet = Internet::start(0).await;
    internet.add("contoso.com", 120);
    let dns = own(&internet);
    let edge = fqdn("sip.contoso.com");
    let both = ["A 192.0.2.1", "A 192.0.2.2", "AAAA 2001:db8::1"];
    let addresses = ["192.0.2.1", "192.0.2.2", "2001:db8::1"].map(|ip| ip.parse().unwrap());
    let found = Addresses::Found(addresses.to_vec());
    internet.set("sip.contoso.com", &both);
    let facts = dns.addresses(&edge).await;
    assert_eq!(
        facts,
        AddressFacts {
            outcome: found.clone(),
            aliases: vec![],
            missed: None,
        }
    );
    internet.set("sip.contoso.com", &["CNAME Edge.contoso.com"]);
    internet.set("edge.contoso.com", &both);
    let facts = dns.addresses(&edge).await;
    let aliases = vec!["edge.contoso.com".to_owned()];
    assert_eq!(
        facts,
        AddressFacts {
            outcome: found,
            aliases: aliases.clone(),
            missed: None,
        }
    );
    for (records, exists) in [(&["TXT v=1"][..], true), (&[], false)] {
        internet.set("edge.contoso.com", records);
        let facts = dns.addresses(&edge).await;
        let remembered = Some(Duration::from_mins(2));
        let outcome = Addresses::None { exists, remembered };
        let expected = AddressFacts {
            outcome,
            aliases: aliases.clone(),
            missed: None,
        };
        assert_eq!(facts, expected);
    }
    internet.set("sip.contoso.com", &["CNAME sip.contoso.com"]);
    let facts = dns.addresses(&edge).await;
    assert_eq!(facts.outcome, Addresses::Circle);
}

#[tokio::test]
async fn the_owners_word() {
    const OWNER: &str = "_pic-portal.contoso.com";
    let other = |own, services, near, unrelated| TokenFacts::Other {
        own,
        services,
        near,
        unrelated,
    };
    let (mine, others) = (
        format!("TXT pic-service={TOKEN}"),
        format!("TXT pic-service={OTHERS}"),
    );
    let (mine, others) = (mine.as_str(), others.as_str());
    let nearly = "TXT pic-service=7K3M9QTX4HWD2Z0";
    let letter = "TXT pic-service=7K3M9QTX4HWD2Z02";
    let rows: [(&[&str], TokenFacts); 14] = [
        (&[mine], TokenFacts::Proven),
        (&["TXT pic-|service=7K3M9QTX|4HWD2Z01"], TokenFacts::Proven),
        (&["TXT pic-service=7k3m9qtx-4hwd-2zol."], TokenFacts::Proven),
        (&["TXT v=1", mine], TokenFacts::Proven),
        (&[mine, nearly], TokenFacts::Proven),
        (&[], TokenFacts::Missing),
        (&["A 192.0.2.1"], TokenFacts::Missing),
        (&["TXT pic-service=abcd"], other(false, 0, 0, 1)),
        (&[nearly], other(false, 0, 1, 0)),
        (&[letter], other(false, 0, 1, 0)),
        // It may be another service's all the same.
        (&[mine, letter], other(true, 0, 1, 0)),
        (&[others, "TXT x", "TXT y"], other(false, 1, 0, 2)),
        (&[mine, others], other(true, 1, 0, 0)),
        (&["TXT ann@contoso.com"], other(false, 0, 0, 1)),
    ];
    let internet = Internet::start(2).await;
    internet.add("contoso.com", 60);
    for (records, facts) in rows {
        internet.set(OWNER, records);
        for dns in [own(&internet), resolved(&internet).await] {
            assert_eq!(dns.token(&contoso(), TOKEN).await, facts, "{records:?}");
        }
        let told = facts.lines().join(", ");
        assert!(
            !told.is_empty() && !told.contains("ann") && !told.contains(OTHERS),
            "{told}"
        );
    }
    let (first, second) = (&internet.authorities[0], &internet.authorities[1]);
    first.zones.set(OWNER, &[mine]);
    for records in [&[others][..], &[], &["TXT x"]] {
        second.zones.set(OWNER, records);
        let disagree = TokenFacts::Disagree {
            proving: 1,
            answering: 2,
        };
        assert_eq!(own(&internet).token(&contoso(), TOKEN).await, disagree);
    }
    // The server that does not answer does not matter.
    second.behave(Manner::Silent);
    let dns = own_within(&internet, SHORT);
    assert_eq!(dns.token(&contoso(), TOKEN).await, TokenFacts::Proven);
}

/// The token at a name that is not quite the right one: told, and no proof.
#[tokio::test]
async fn the_owners_word_at_a_wrong_name() {
    let internet = Internet::start(0).await;
    internet.add("contoso.com", 60);
    let dns = resolved(&internet).await;
    let mine = format!("TXT pic-service={TOKEN}");
    for (owner, slip) in [
        ("_pic_portal.contoso.com", "an underscore where the hyphen"),
        ("pic-portal.contoso.com", "in front is missing"),
        ("__pic-portal.contoso.com", "an underscore too many"),
        ("contoso.com", "_pic-portal in front is missing"),
        (
            "_pic-portal.contoso.com.contoso.com",
            "the domain stands there twice",
        ),
    ] {
        let others = format!("TXT pic-service={OTHERS}");
        internet.set(owner, &[&others]);
        let facts = dns.token(&contoso(), TOKEN).await;
        assert_eq!(facts, TokenFacts::Missing, "{owner}");
        internet.set(owner, &[&mine]);
        let facts = dns.token(&contoso(), TOKEN).await;
        assert!(matches!(facts, TokenFacts::Misplaced(_)), "{facts:?}");
        let lines = facts.lines();
        assert_eq!(lines[0], "no TXT record at this name");
        let place = format!("the token of this service is at {owner} (");
        assert!(
            lines[1].starts_with(&place) && lines[1].contains(slip),
            "{lines:?}"
        );
        internet.set(owner, &[]);
    }
    // Nobody is asked where the right name has a record.
    internet.set("_pic-portal.contoso.com", &["TXT x"]);
    let before = internet.resolver.count("contoso.com", RecordType::TXT);
    let facts = dns.token(&contoso(), TOKEN).await;
    assert!(matches!(facts, TokenFacts::Other { .. }), "{facts:?}");
    let after = internet.resolver.count("contoso.com", RecordType::TXT);
    assert_eq!(after, before);
}

#[tokio::test]
async fn a_resolver_is_named_by_host_or_address() {
    let internet = routed(0).await;
    let by_name = format!("localhost:{}", internet.port());
    assert!(Dns::new(Some(&by_name), ANYWHERE).await.is_ok());
    for wrong in ["", "nonsense", "127.0.0.1", "127.0.0.1:99999"] {
        let error = Dns::new(Some(wrong), ANYWHERE).await.unwrap_err();
        assert!(matches!(error, DnsError::Unknown(_)), "{wrong}");
    }
    let nobody: [SocketAddr; 0] = [];
    let dns = Dns::asking(nobody, None, ANYWHERE, SHORT);
    assert_shown(&found(&dns).await, &unreachable("no answer in time"));
}

#[tokio::test]
async fn a_domain_too_long_for_the_record_has_none() {
    let label = "a".repeat(60);
    let long = format!("{label}.{label}.{label}.{}.com", "a".repeat(56));
    let domain = SipDomain::parse(&long).unwrap();
    let internet = Internet::start(0).await;
    let facts = own(&internet).srv(&domain).await;
    assert_eq!(facts.answers.len(), 1);
    assert!(facts.answers[0].answer.records.is_empty());
    assert_eq!(internet.resolver.asked(), []);
}

/// Boxes in front of old name servers answer for A and fail for AAAA. The edge can be looked at, and partners
/// that wait for both may not find it.
#[tokio::test]
async fn one_kind_of_address_that_cannot_be_looked_up_is_told() {
    let internet = Internet::start(0).await;
    internet.set("sip.contoso.com", &["A 192.0.2.1"]);
    let failing = |kind: u8| {
        Manner::Mangle(Arc::new(move |answer: Vec<u8>| {
            let mut answer = answer;
            // The end of the question: its kind, and the class of the internet.
            if answer.windows(4).any(|part| part == [0, kind, 0, 1]) {
                answer[3] = answer[3] & 0xf0 | 2;
            }
            answer
        }))
    };
    for (manner, missed) in [
        (Manner::Honest, None),
        (failing(28), Some(("AAAA", Trouble::Failed))),
    ] {
        internet.resolver.behave(manner);
        let facts = resolved(&internet)
            .await
            .addresses(&fqdn("sip.contoso.com"))
            .await;
        assert_eq!(facts.outcome, Addresses::Found(vec![[192, 0, 2, 1].into()]));
        assert_eq!(facts.missed, missed);
    }
    internet.resolver.behave(failing(1));
    let facts = resolved(&internet)
        .await
        .addresses(&fqdn("sip.contoso.com"))
        .await;
    assert_eq!(facts.outcome, Addresses::Unreachable(Trouble::Failed));
}
