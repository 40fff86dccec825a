//! Checks servers that are slow, dead, lame, too talkative or lying.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use hickory_resolver::proto::{op::ResponseCode, rr::RecordType};
use pic_portal::readiness::dns::{Addresses, Dns, Limits, TokenFacts, Trouble};

use super::{
    ANYWHERE, RIGHT, SHORT, SRV, TOKEN, assert_shown, contoso, found, fqdn, is_ok, own, own_within,
    resolved, routed, unreachable,
};
use crate::support::{
    assert_says,
    dns::{Internet, Manner, Role, Server},
};

/// For lookups that no server answers.
const HASTY: Limits = Limits {
    query: Duration::from_millis(60),
    look_up: Duration::from_millis(200),
};

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
    // With a configured resolver no other server is queried.
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
    // The resolver still has its negative answer cached.
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
    // The name itself leads elsewhere, and that SOA record is another zone's.
    let internet = Internet::start(1).await;
    internet.add("contoso.com", 60);
    internet.resolver.zones.add("fabrikam.com", 60);
    internet.set(SRV, &["CNAME x.fabrikam.com"]);
    internet.authorities[0].zones.set(SRV, &[RIGHT]);
    assert!(is_ok(&found(&own(&internet)).await));
    // Or that of the zone around it, which has other servers.
    let internet = Internet::start(1).await;
    internet.resolver.zones.add("contoso.com", 60);
    internet.add("_tcp.contoso.com", 60);
    internet.set(SRV, &["CNAME x.contoso.com"]);
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
        Manner::WrongQuestionByTcp,
        Manner::Code(ResponseCode::Refused),
        Manner::Code(ResponseCode::ServFail),
        Manner::Code(ResponseCode::FormErr),
        Manner::Mangle(Arc::new(|_| b"nonsense".to_vec())),
        // Records from others in its answer.
        Manner::Mangle(Arc::new(|mut bytes| {
            bytes[2] &= !4;
            bytes
        })),
    ] {
        let internet = routed(2).await;
        // This one would give another answer if it could.
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
    assert_says(&told, "may remember this answer for up to 1 hour");
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
            Manner::WrongQuestionByTcp,
            "the resolver's answer cannot be read",
        ),
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
            "the resolver does not understand the question",
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
            // Enough for an answer that comes at once.
            let limits = if why.starts_with("no answer") {
                HASTY
            } else {
                SHORT
            };
            let dns = Dns::asking([internet.resolver.address], authorities, ANYWHERE, limits);
            assert_shown(&found(&dns).await, &unreachable(why));
            let facts = dns.token(&contoso(), TOKEN).await;
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
        query: Duration::from_mins(5),
        look_up: Duration::from_millis(100),
    };
    let internet = routed(1).await;
    internet.authorities[0].behave(Manner::Silent);
    let dns = own_within(&internet, limits);
    let slow = Duration::from_mins(1);
    for resolver_is_silent in [false, true] {
        if resolver_is_silent {
            internet.resolver.behave(Manner::Silent);
        }
        let all = async {
            let _ = dns.srv(&contoso()).await;
            let _ = dns.token(&contoso(), TOKEN).await;
            dns.addresses(&fqdn("sip.contoso.com")).await
        };
        tokio::time::timeout(slow, all).await.unwrap();
    }
}

#[tokio::test]
async fn one_of_several_resolvers_is_enough() {
    let internet = routed(1).await;
    let mut asked = 0;
    for manner in [Manner::Silent, Manner::Code(ResponseCode::ServFail)] {
        let dead = Server::start(Role::Resolver).await;
        dead.behave(manner);
        let both = [dead.address, internet.resolver.address];
        let dns = Dns::asking(both, Some(internet.port()), ANYWHERE, Limits::default());
        assert!(is_ok(&found(&dns).await));
        assert!(!dead.asked().is_empty());
        // There was time enough to find and query the zone's own server.
        asked += 1;
        assert_eq!(internet.authorities[0].count(SRV, RecordType::SRV), asked);
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

/// Collects what is logged.
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
    // Threads of its own, whose log is not captured.
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
