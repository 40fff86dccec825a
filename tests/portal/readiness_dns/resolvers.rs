//! Checks resolvers whose answer is no answer: that it is told why, and held against nobody.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use hickory_resolver::proto::{op::ResponseCode, rr::RecordType};
use pic_portal::readiness::dns::{Addresses, Dns, Limits, TokenFacts, Trouble};

use super::{
    ANYWHERE, OTHERS, RIGHT, SRV, TOKEN, assert_shown, contoso, found, fqdn, is_ok, own, resolved,
    routed, unreachable,
};
use crate::support::dns::{Internet, Manner, Role, Server};

const OWNER: &str = "_pic-portal.contoso.com";

/// `ID 81 81 00 00 00 00 00 00 00 00` (case dns-formerr-without-question), and the like with other codes.
#[tokio::test]
async fn a_bare_header_is_no_silence() {
    let internet = routed(0).await;
    for code in [
        ResponseCode::FormErr,
        ResponseCode::NotImp,
        ResponseCode::Refused,
        ResponseCode::ServFail,
    ] {
        internet.resolver.behave(Manner::Bare(code));
        let before = internet.resolver.count(SRV, RecordType::SRV);
        assert!(is_ok(&found(&resolved(&internet).await).await), "{code}");
        let asked = internet.resolver.count(SRV, RecordType::SRV) - before;
        assert_eq!(asked, 2, "with EDNS and without: {code}");
    }
    for (code, why) in [
        (1, "the resolver does not understand the question"),
        (2, "the resolver could not find out (SERVFAIL)"),
        (5, "the resolver refuses to answer (REFUSED)"),
    ] {
        let bare = Manner::Mangle(Arc::new(move |_| {
            let mut header = vec![0; 12];
            header[2..4].copy_from_slice(&[0x81, 0x80 | code]);
            header
        }));
        internet.resolver.behave(bare);
        assert_shown(&found(&resolved(&internet).await).await, &unreachable(why));
    }
}

/// Old servers, and boxes in front of them, that know no EDNS and do not say so.
#[tokio::test]
async fn who_knows_no_edns_is_asked_without_it() {
    let internet = routed(1).await;
    internet.set(OWNER, &[&format!("TXT pic-service={TOKEN}")]);
    for manner in [
        Manner::Plain(ResponseCode::ServFail),
        Manner::Plain(ResponseCode::Refused),
        Manner::Plain(ResponseCode::FormErr),
        Manner::DropsEdns,
    ] {
        internet.authorities[0].behave(manner.clone());
        let dns = own(&internet);
        assert!(is_ok(&found(&dns).await));
        // Its own word is needed for this.
        assert_eq!(dns.token(&contoso(), TOKEN).await, TokenFacts::Proven);
        internet.authorities[0].behave(Manner::Honest);
        internet.resolver.behave(manner);
        assert!(is_ok(&found(&resolved(&internet).await).await));
        internet.resolver.behave(Manner::Honest);
    }
    // An answer that is too long for UDP comes by TCP, without EDNS too.
    let records: Vec<_> = (1..40)
        .map(|n| format!("SRV 10 {n} 5061 sip{n}.contoso.com"))
        .chain([RIGHT.to_owned()])
        .collect();
    let records: Vec<_> = records.iter().map(String::as_str).collect();
    internet.set(SRV, &records);
    internet.resolver.behave(Manner::DropsEdns);
    assert!(is_ok(&found(&resolved(&internet).await).await));
    // One that uses EDNS in its error knows it, and is asked once.
    internet
        .resolver
        .behave(Manner::Code(ResponseCode::Refused));
    let before = internet.resolver.count(SRV, RecordType::SRV);
    let why = "the resolver refuses to answer (REFUSED)";
    assert_shown(&found(&resolved(&internet).await).await, &unreachable(why));
    assert_eq!(internet.resolver.count(SRV, RecordType::SRV) - before, 1);
}

#[tokio::test]
async fn a_resolver_that_is_not_there_is_no_silence_of_the_zone() {
    // A port that nothing listens on: that of a server that has ended.
    let gone = Server::start(Role::Resolver).await.address;
    let dns = Dns::asking([gone], None, ANYWHERE, Limits::default());
    let why = "the resolver that this portal asks cannot be reached";
    assert_shown(&found(&dns).await, &unreachable(why));
    let facts = dns.addresses(&fqdn("sip.contoso.com")).await;
    assert_eq!(facts.outcome, Addresses::Unreachable(Trouble::Closed));
}

#[tokio::test]
async fn signatures_that_do_not_hold_are_named() {
    let internet = routed(1).await;
    internet.resolver.behave(Manner::Bogus);
    let why = "the zone's DNSSEC signatures do not hold: a resolver that checks them answers only \
               when it is told not to";
    for dns in [own(&internet), resolved(&internet).await] {
        assert_shown(&found(&dns).await, &unreachable(why));
        let facts = dns.addresses(&fqdn("sip.contoso.com")).await;
        assert_eq!(facts.outcome, Addresses::Unreachable(Trouble::Bogus));
        let facts = dns.token(&contoso(), TOKEN).await;
        assert_eq!(facts, TokenFacts::Unreachable(Trouble::Bogus));
    }
    // One that failed for a moment is believed again.
    let asked = Arc::new(AtomicUsize::new(0));
    let once = Manner::Mangle(Arc::new(move |mut bytes| {
        if asked.fetch_add(1, SeqCst) == 0 {
            bytes[3] = bytes[3] & 0xf0 | 2;
        }
        bytes
    }));
    internet.resolver.behave(once);
    assert!(is_ok(&found(&resolved(&internet).await).await));
    // Where several are asked, the one that does not check is enough.
    let other = routed(0).await;
    internet.resolver.behave(Manner::Bogus);
    let both = [internet.resolver.address, other.resolver.address];
    let dns = Dns::asking(both, None, ANYWHERE, Limits::default());
    assert!(is_ok(&found(&dns).await));
}

/// What panels and people put around a token proves nothing less (case token-with-space).
#[tokio::test]
async fn what_stands_around_a_token() {
    let internet = Internet::start(1).await;
    internet.add("contoso.com", 60);
    internet.set(SRV, &[RIGHT]);
    let around = [
        "pic-service=abc ",
        " pic-service=abc",
        "\"pic-service=abc\"",
        "'pic-service=abc'",
        "pic-service=\"abc\"",
        "pic-service= abc",
        "\\\"pic-service=abc\\\"",
        "\u{201c}pic-service=abc\u{201d}",
        "pic-service=abc\r\n",
        "pic-service=abc\u{200b}",
        "pic-service=<abc>",
        "pic-service=abc.",
        "PIC-Service = abc;",
        "pic-service=pic-service=abc",
        "TXT pic-service=abc",
        "abc",
    ];
    for text in around {
        let (mine, others) = (
            format!("TXT {}", text.replace("abc", TOKEN)),
            format!("TXT {}", text.replace("abc", OTHERS)),
        );
        internet.set(OWNER, &[&mine]);
        for dns in [own(&internet), resolved(&internet).await] {
            let facts = dns.token(&contoso(), TOKEN).await;
            assert_eq!(facts, TokenFacts::Proven, "{text:?}");
        }
        // Another service's contradicts it all the same.
        internet.set(OWNER, &[&mine, &others]);
        let facts = own(&internet).token(&contoso(), TOKEN).await;
        let contradicted = TokenFacts::Other {
            own: true,
            services: 1,
            near: 0,
            unrelated: 0,
        };
        assert_eq!(facts, contradicted, "{text:?}");
    }
    for text in ["pic-service=", "pic-service", "portal"] {
        internet.set(OWNER, &[&format!("TXT {text}")]);
        let facts = own(&internet).token(&contoso(), TOKEN).await;
        let no_token = TokenFacts::Other {
            own: false,
            services: 0,
            near: 0,
            unrelated: 1,
        };
        assert_eq!(facts, no_token, "{text}");
    }
}
