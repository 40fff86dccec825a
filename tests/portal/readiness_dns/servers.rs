//! What if servers are slow, dead, lame, talkative or lying?

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use hickory_resolver::proto::{op::ResponseCode, rr::RecordType};
use pic_portal::readiness::{
    dns::{AddressFacts, Addresses, Dns, DnsError, Limits, TokenFacts, Trouble},
    net::Reach,
};

use super::{
    ANYWHERE, RIGHT, SHORT, SRV, assert_shown, contoso, found, fqdn, own, own_within, resolved,
};
use crate::support::dns::{Internet, Manner, Role, Server};

/// For look-ups that nobody answers.
const HASTY: Limits = Limits {
    query: Duration::from_millis(60),
    look_up: Duration::from_millis(200),
};

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

#[tokio::test]
async fn every_authoritative_server_is_asked_for_what_it_knows_itself() {
    let internet = routed(3).await;
    assert!(is_ok(&found(&own(&internet)).await));
    for server in &internet.authorities {
        let asked = server.asked();
        assert_eq!(server.count(SRV, RecordType::SRV), 1);
        assert!(asked.iter().all(|asked| !asked.recursive), "{asked:?}");
    }
    let asked = internet.resolver.asked();
    assert!(asked.iter().all(|asked| asked.recursive), "{asked:?}");
    // With a resolver of one's own nobody else is asked.
    let before = internet.authorities[0].asked().len();
    assert!(is_ok(&found(&resolved(&internet).await).await));
    assert_eq!(internet.authorities[0].asked().len(), before);
}

#[tokio::test]
async fn a_mend_is_seen_at_once() {
    let internet = Internet::start(2).await;
    internet.add("contoso.com", 86_400);
    let dns = own(&internet);
    assert!(found(&dns).await.starts_with("srv-missing"));
    // The resolver still remembers its "no".
    for server in &internet.authorities {
        server.zones.set(SRV, &[RIGHT]);
    }
    assert!(is_ok(&found(&dns).await));
    assert!(
        found(&resolved(&internet).await)
            .await
            .starts_with("srv-missing")
    );
    for server in &internet.authorities {
        server.zones.set(SRV, &[] as &[&str]);
    }
    assert!(found(&dns).await.starts_with("srv-missing"));
}

#[tokio::test]
async fn the_zone_may_be_cut_below_or_above_the_domain() {
    for zone in ["_tcp.contoso.com", "contoso.com", "com", SRV] {
        let internet = Internet::start(1).await;
        internet.add(zone, 60);
        internet.authorities[0].zones.set(SRV, &[RIGHT]);
        let told = found(&own(&internet)).await;
        assert!(is_ok(&told), "{zone}: {told}");
    }
    // The name itself leads elsewhere, whose SOA record is another zone's.
    let internet = Internet::start(1).await;
    internet.add("contoso.com", 60);
    internet.resolver.zones.add("fabrikam.com", 60);
    internet.set(SRV, &["CNAME x.fabrikam.com"]);
    internet.authorities[0].zones.set(SRV, &[RIGHT]);
    assert!(is_ok(&found(&own(&internet)).await));
}

#[tokio::test]
async fn servers_that_do_not_answer_are_no_disagreement_as_long_as_one_does() {
    for manner in [
        Manner::Silent,
        Manner::Lame,
        Manner::TruncateOnly,
        Manner::WrongSource,
        Manner::WrongNumber,
        Manner::WrongQuestion,
        Manner::Code(ResponseCode::Refused),
        Manner::Code(ResponseCode::ServFail),
        Manner::Code(ResponseCode::FormErr),
        Manner::Mangle(Arc::new(|_| b"nonsense".to_vec())),
    ] {
        let internet = routed(2).await;
        // It would say something else if it could.
        internet.authorities[0]
            .zones
            .set(SRV, &["SRV 0 0 1 other.test"]);
        internet.authorities[0].behave(manner);
        let told = found(&own_within(&internet, SHORT)).await;
        assert!(is_ok(&told), "{told}");
        assert!(internet.authorities[0].count(SRV, RecordType::SRV) > 0);
    }
}

#[tokio::test]
async fn slow_servers_count_as_much_as_quick_ones() {
    let internet = routed(2).await;
    let slow = &internet.authorities[1];
    slow.delay(Duration::from_millis(300));
    slow.zones.set(SRV, &["SRV 0 0 5061 old.contoso.com"]);
    let told = found(&own(&internet)).await;
    assert!(
        told.starts_with("srv-target") && told.contains("dns-disagrees"),
        "{told}"
    );
}

#[tokio::test]
async fn where_authoritative_servers_cannot_be_reached_the_resolver_counts() {
    let internet = routed(2).await;
    internet.resolver.zones.set(SRV, &[] as &[&str]);
    assert!(
        is_ok(&found(&own(&internet)).await),
        "not asked while they answer"
    );
    for server in &internet.authorities {
        server.behave(Manner::Silent);
    }
    let dns = own_within(&internet, SHORT);
    let told = found(&dns).await;
    assert!(told.starts_with("srv-missing"), "{told}");
    assert!(
        told.contains("may remember this answer for up to 1 hour"),
        "{told}"
    );
    internet.resolver.zones.set(SRV, &[RIGHT]);
    assert!(is_ok(&found(&dns).await));
}

#[tokio::test]
async fn a_resolver_in_trouble_is_never_proof_nor_held_against_the_domain() {
    for (manner, why) in [
        (Manner::Silent, "no answer in time"),
        (Manner::TruncateOnly, "no answer in time"),
        (Manner::WrongSource, "no answer in time"),
        (Manner::WrongNumber, "no answer in time"),
        (Manner::WrongQuestion, "no answer in time"),
        (
            Manner::Code(ResponseCode::Refused),
            "the resolver refuses to answer (REFUSED)",
        ),
        (
            Manner::Code(ResponseCode::ServFail),
            "the resolver could not find out (SERVFAIL)",
        ),
        (
            Manner::Code(ResponseCode::NotImp),
            "the resolver could not find out (SERVFAIL)",
        ),
        (
            Manner::Lame,
            "the resolver does not look names up for others",
        ),
        (
            Manner::Mangle(Arc::new(|bytes| bytes[..20].to_vec())),
            "the resolver's answer cannot be read",
        ),
    ] {
        let internet = routed(1).await;
        internet.resolver.behave(manner);
        for authorities in [None, Some(internet.port())] {
            // Enough for what comes at once.
            let limits = if why.starts_with("no answer") {
                HASTY
            } else {
                SHORT
            };
            let dns = Dns::asking([internet.resolver.address], authorities, ANYWHERE, limits);
            assert_shown(&found(&dns).await, &unreachable(why));
            let facts = dns.token(&contoso(), "t").await;
            assert!(matches!(facts, TokenFacts::Unreachable(_)), "{facts:?}");
            assert!(why.starts_with(&facts.lines()[0]), "{facts:?}");
            let facts = dns.addresses(&fqdn("sip.contoso.com")).await;
            assert!(
                matches!(facts.outcome, Addresses::Unreachable(_)),
                "{facts:?}"
            );
        }
    }
}

#[tokio::test]
async fn no_look_up_takes_longer_than_its_limit() {
    let limits = Limits {
        query: Duration::from_secs(300),
        look_up: Duration::from_millis(100),
    };
    let internet = routed(1).await;
    internet.authorities[0].behave(Manner::Silent);
    let dns = own_within(&internet, limits);
    let slow = Duration::from_secs(60);
    for resolver_is_silent in [false, true] {
        if resolver_is_silent {
            internet.resolver.behave(Manner::Silent);
        }
        let all = async {
            let _ = dns.srv(&contoso()).await;
            let _ = dns.token(&contoso(), "t").await;
            dns.addresses(&fqdn("sip.contoso.com")).await
        };
        tokio::time::timeout(slow, all).await.unwrap();
    }
}

#[tokio::test]
async fn one_of_several_resolvers_is_enough() {
    let internet = routed(1).await;
    for manner in [Manner::Silent, Manner::Code(ResponseCode::ServFail)] {
        let dead = Server::start(Role::Resolver).await;
        dead.behave(manner);
        let both = [dead.address, internet.resolver.address];
        let dns = Dns::asking(both, Some(internet.port()), ANYWHERE, Limits::default());
        assert!(is_ok(&found(&dns).await));
        assert!(!dead.asked().is_empty());
    }
}

#[tokio::test]
async fn a_question_is_sent_once_more_when_the_first_is_lost() {
    let internet = routed(0).await;
    internet.resolver.behave(Manner::Silent);
    let limits = Limits {
        query: Duration::from_millis(500),
        ..SHORT
    };
    let dns = own_within(&internet, limits);
    let facts = dns.srv(&contoso()).await;
    assert_eq!(facts.trouble, Some(Trouble::Silent));
    assert_eq!(internet.resolver.count(SRV, RecordType::SRV), 2);
}

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
async fn two_hundred_records_are_all_looked_at_and_forty_lines_are_told() {
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
        assert_eq!(lines.len(), 40);
        assert_eq!(
            lines[0],
            "  found priority 9, weight 0, port 5061, target sip.contoso.com"
        );
        assert_eq!(lines[39], "  found and 161 more");
    }
    assert!(
        internet.authorities[1]
            .asked()
            .iter()
            .any(|asked| asked.over_tcp)
    );
}

#[tokio::test]
async fn an_old_server_is_asked_without_extensions() {
    let internet = routed(0).await;
    // It knows nothing of the record that EDNS adds, the last one in this answer.
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
    let proof = dns.token(&contoso(), "t").await;
    assert_eq!(proof, TokenFacts::Missing);
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
        }
    );
    for (records, exists) in [(&["TXT v=1"][..], true), (&[], false)] {
        internet.set("edge.contoso.com", records);
        let facts = dns.addresses(&edge).await;
        let remembered = Some(Duration::from_mins(2));
        let outcome = Addresses::None { exists, remembered };
        let aliases = aliases.clone();
        assert_eq!(facts, AddressFacts { outcome, aliases });
    }
    internet.set("sip.contoso.com", &["CNAME sip.contoso.com"]);
    let facts = dns.addresses(&edge).await;
    assert!(matches!(facts.outcome, Addresses::None { .. }), "{facts:?}");
}

#[tokio::test]
async fn the_owners_word() {
    const OWNER: &str = "_pic-portal.contoso.com";
    let other = |own, services, unrelated| TokenFacts::Other {
        own,
        services,
        unrelated,
    };
    let rows: [(&[&str], TokenFacts); 9] = [
        (&["TXT pic-service=abc"], TokenFacts::Proven),
        (&["TXT pic-|service=a|bc"], TokenFacts::Proven),
        (&["TXT v=1", "TXT pic-service=abc"], TokenFacts::Proven),
        (&[], TokenFacts::Missing),
        (&["A 192.0.2.1"], TokenFacts::Missing),
        (&["TXT pic-service=abcd"], other(false, 1, 0)),
        (
            &["TXT pic-service=ABC", "TXT x", "TXT y"],
            other(false, 1, 2),
        ),
        (
            &["TXT pic-service=abc", "TXT pic-service=abd"],
            other(true, 1, 0),
        ),
        (&["TXT ann@contoso.com"], other(false, 0, 1)),
    ];
    let internet = Internet::start(2).await;
    internet.add("contoso.com", 60);
    for (records, facts) in rows {
        internet.set(OWNER, records);
        for dns in [own(&internet), resolved(&internet).await] {
            assert_eq!(dns.token(&contoso(), "abc").await, facts, "{records:?}");
        }
        let told = facts.lines().join(", ");
        assert!(
            !told.is_empty() && !told.contains("ann") && !told.contains("abd"),
            "{told}"
        );
    }
    let (first, second) = (&internet.authorities[0], &internet.authorities[1]);
    first.zones.set(OWNER, &["TXT pic-service=abc"]);
    for records in [&["TXT pic-service=other"][..], &[], &["TXT x"]] {
        second.zones.set(OWNER, records);
        let disagree = TokenFacts::Disagree {
            proving: 1,
            answering: 2,
        };
        assert_eq!(own(&internet).token(&contoso(), "abc").await, disagree);
    }
    // The one that is silent does not stand in the way.
    second.behave(Manner::Silent);
    let dns = own_within(&internet, SHORT);
    assert_eq!(dns.token(&contoso(), "abc").await, TokenFacts::Proven);
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
    let domain = pic_portal::names::SipDomain::parse(&long).unwrap();
    let internet = Internet::start(0).await;
    let facts = own(&internet).srv(&domain).await;
    assert_eq!(facts.answers.len(), 1);
    assert!(facts.answers[0].answer.records.is_empty());
    assert_eq!(internet.resolver.asked(), []);
}

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn nothing_of_a_look_up_is_logged_at_any_level() {
    // On threads of its own, whose log is not ours.
    let outside = tokio::runtime::Runtime::new().unwrap();
    let internet = outside.block_on(routed(2));
    let inside = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, || {
        tracing::trace!(target: "hickory_net", "the eye is sharp");
        for manner in [
            Manner::Honest,
            Manner::WrongNumber,
            Manner::WrongQuestion,
            Manner::WrongSource,
            Manner::Truncate,
            Manner::Mangle(Arc::new(|bytes| bytes[..20].to_vec())),
        ] {
            for server in internet.authorities.iter().chain([&internet.resolver]) {
                server.behave(manner.clone());
            }
            inside.block_on(async {
                let dns = own_within(&internet, HASTY);
                let _ = dns.srv(&contoso()).await;
                let _ = dns.addresses(&fqdn("sip.contoso.com")).await;
            });
        }
    });
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("the eye is sharp"));
    for line in log.lines() {
        for trace in ["contoso", "dns.test", "hickory_net::"] {
            assert!(!line.contains(trace), "{line}");
        }
    }
}
