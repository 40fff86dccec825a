//! The findings of every cause that a check may meet.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use rcgen::{CertificateParams, DnType, DnValue, KeyPair, SanType};

use crate::{
    names::{AccessEdge, SipDomain},
    readiness::{
        Finding,
        dns::{
            AddressFacts, Addresses, ServerAnswer, SrvAnswer, SrvFacts, SrvRecord, TokenFacts,
            Trouble,
        },
        domain, edge,
        net::Reach,
        owner,
        tls::{Failure, Limit, Outcome, Proof, Shown, Suite, TlsFacts, Trust, Version},
    },
};

const TROUBLES: [Trouble; 10] = [
    Trouble::Silent,
    Trouble::Closed,
    Trouble::Refused,
    Trouble::Failed,
    Trouble::Bogus,
    Trouble::Puzzled,
    Trouble::Garbled,
    Trouble::Lame,
    Trouble::Unanswered,
    Trouble::Busy,
];

const TRUSTS: [Trust; 13] = [
    Trust::SelfSigned,
    Trust::Incomplete { sent: 1 },
    Trust::UnknownRoot,
    Trust::IssuerExpired,
    Trust::IssuerNotYetValid,
    Trust::Weak {
        hash: "SHA-1",
        own: true,
    },
    Trust::Weak {
        hash: "SHA-1",
        own: false,
    },
    Trust::ShortKey(1024),
    Trust::Signature,
    Trust::Purpose,
    Trust::NotPermitted,
    Trust::Unreadable,
    Trust::Unfollowed(Limit::Signature),
];

const OUTCOMES: [Outcome; 16] = [
    Outcome::NotFromHere,
    Outcome::Refused,
    Outcome::NoRoute,
    Outcome::NoAnswer,
    Outcome::NoConnection,
    Outcome::Hung,
    Outcome::Silent,
    Outcome::NotTls,
    Outcome::OldTls,
    Outcome::Alert(40),
    Outcome::Alert(71),
    Outcome::Alert(112),
    Outcome::Alert(116),
    Outcome::Closed,
    Outcome::Stalled,
    Outcome::Broken,
];

/// An SRV record with this target.
pub(super) fn leading_to(target: &str) -> SrvFacts {
    let record = SrvRecord {
        priority: 0,
        weight: 0,
        port: 5061,
        target: target.to_owned(),
    };
    SrvFacts {
        answers: vec![ServerAnswer {
            server: None,
            answer: SrvAnswer {
                records: vec![record],
                ..SrvAnswer::default()
            },
        }],
        ..SrvFacts::default()
    }
}

/// All that is found of a domain, by every cause.
pub(super) fn of_domain(edge: &AccessEdge, domain: &SipDomain) -> Vec<Finding> {
    let mut found = Vec::new();
    let targets = [
        "203.0.113.10",
        "sip.contoso.com.contoso.com",
        ".",
        "sip_1.example",
        "other.example",
        "contoso.com",
        "sip",
        "edge01.contoso.local",
        "contoso-com.mail.protection.outlook.com",
        "sipfed.online.lync.com",
        "sipfed.online.lync.com.contoso.com",
        "federation.messenger.msn.com",
    ];
    let record = |target: &str, port| SrvRecord {
        priority: 0,
        weight: 0,
        port,
        target: target.to_owned(),
    };
    let answer = |records, aliases: &[&str]| ServerAnswer {
        server: None,
        answer: SrvAnswer {
            records,
            aliases: aliases.iter().map(ToString::to_string).collect(),
            ..SrvAnswer::default()
        },
    };
    let right = record(edge.as_str(), 5061);
    let wrong = targets.map(|target| record(target, 5061));
    let wrong = wrong.into_iter().chain([record(edge.as_str(), 443)]);
    let answers = wrong
        .flat_map(|wrong| [vec![wrong.clone()], vec![right.clone(), wrong]])
        .map(|records| answer(records, &[]));
    let none = [
        answer(Vec::new(), &[]),
        answer(Vec::new(), &["srv.example"]),
    ];
    for answer in answers.chain(none) {
        let facts = SrvFacts {
            answers: vec![answer],
            ..SrvFacts::default()
        };
        found.extend(domain::judge(domain, edge, &facts));
    }
    let other = |services, near, unrelated| TokenFacts::Other {
        own: false,
        services,
        near,
        unrelated,
    };
    let mut said = vec![
        TokenFacts::Missing,
        TokenFacts::Misplaced(vec![("contoso.com".to_owned(), "")]),
        other(1, 0, 0),
        other(2, 0, 0),
        other(0, 1, 0),
        other(0, 2, 0),
        other(0, 0, 1),
        other(0, 0, 2),
    ];
    said.push(TokenFacts::Disagree {
        proving: 1,
        answering: 2,
    });
    said.extend(TROUBLES.map(TokenFacts::Unreachable));
    for said in said {
        found.extend([true, false].map(|held| owner::judge(domain, "TOKEN", &said, held)));
    }
    for trouble in TROUBLES {
        // Those two are of proof alone.
        if !matches!(trouble, Trouble::Unanswered | Trouble::Busy) {
            found.extend(domain::judge(domain, edge, &SrvFacts::unanswered(trouble)));
        }
    }
    found
}

fn shown(trust: Trust, names: Option<(&str, &[SanType])>) -> Shown {
    let chain = names.map(|(subject, names)| {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names.to_vec();
        params
            .distinguished_name
            .push(DnType::CommonName, DnValue::from(subject));
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    });
    Shown {
        address: [192, 0, 2, 1].into(),
        version: Version::Tls13,
        suite: Suite("TLS_AES_256_GCM_SHA384"),
        chain: chain.into_iter().collect(),
        proof: Proof::Given,
        trust,
        constrained: false,
        sip: None,
    }
}

/// All that is found of an edge, by every cause.
pub(super) fn of_edge(edge: &AccessEdge, domains: &[SipDomain]) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut saw = |address: IpAddr, facts: TlsFacts| {
        let reach = Reach { private: true };
        let now = DateTime::<Utc>::from_timestamp(1_800_000_000, 0).unwrap();
        found.extend(edge::judge(
            edge,
            domains,
            &[address],
            reach,
            Some(&facts),
            now,
        ));
    };
    for outcome in OUTCOMES {
        for address in ["192.0.2.1", "2001:db8::1"].map(|it| it.parse().unwrap()) {
            let failures = vec![Failure { address, outcome }];
            let facts = TlsFacts {
                shown: Vec::new(),
                failures,
                left_out: 0,
            };
            saw(address, facts);
        }
    }
    let address = [192, 0, 2, 1].into();
    saw(address, TlsFacts::default());
    let one = |shown| TlsFacts {
        shown: vec![shown],
        failures: Vec::new(),
        left_out: 0,
    };
    let failed = Shown {
        proof: Proof::Failed,
        ..shown(Trust::Root, None)
    };
    saw(address, one(failed));
    for trust in TRUSTS {
        saw(address, one(shown(trust, None)));
    }
    let dns = |name: &str| SanType::DnsName(name.try_into().unwrap());
    for (subject, names) in [
        ("sip.contoso.com", &[dns("mail.contoso.com")][..]),
        ("x", &[dns("sip.contoso.com.")]),
        ("x", &[dns("mail.contoso.com")]),
        ("*.contoso.com", &[dns("sip.contoso.com")]),
        ("x", &[dns("*.contoso.com")]),
    ] {
        saw(address, one(shown(Trust::Root, Some((subject, names)))));
    }
    let none = |aliases: &[&str]| AddressFacts {
        outcome: Addresses::None {
            exists: true,
            remembered: None,
        },
        aliases: aliases.iter().map(ToString::to_string).collect(),
        missed: None,
    };
    for facts in [
        none(&[]),
        none(&["gone.example"]),
        none(&["sipdir.online.lync.com"]),
        none(&["sipdir.online.lync.com.contoso.com"]),
        AddressFacts {
            outcome: Addresses::Circle,
            aliases: Vec::new(),
            missed: None,
        },
    ] {
        let reach = Reach { private: true };
        found.extend(edge::of(
            edge,
            domains,
            &facts,
            reach,
            None,
            DateTime::UNIX_EPOCH,
        ));
    }
    found
}
