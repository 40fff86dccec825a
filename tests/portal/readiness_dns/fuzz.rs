//! Checks that no message from the network breaks a lookup, or passes for proof.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use pic_portal::{
    names::AccessEdge,
    readiness::{
        Code,
        dns::{Dns, Limits, TokenFacts},
        domain::judge,
    },
};
use proptest::{collection::vec, prelude::*};

use super::{ANYWHERE, SRV, TOKEN, contoso, fqdn};
use crate::support::dns::{Internet, Manner, Server};

const LIMITS: Limits = Limits {
    query: Duration::from_millis(15),
    look_up: Duration::from_millis(40),
};

/// Changes to a message: what kind, where (as a share of its length) and by what.
#[derive(Clone, Debug)]
enum Change {
    Replace(usize, u8),
    Insert(usize, Vec<u8>),
    Remove(usize, usize),
    Cut(usize),
}

fn changed(mut bytes: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    for change in changes {
        let length = bytes.len();
        match change {
            Change::Replace(at, byte) if length > 0 => bytes[at % length] = *byte,
            Change::Insert(at, more) => {
                let at = at % (length + 1);
                bytes.splice(at..at, more.iter().copied());
            }
            Change::Remove(at, count) if length > 0 => {
                let at = at % length;
                bytes.drain(at..(at + count).min(length));
            }
            Change::Cut(at) => bytes.truncate(at % (length + 1)),
            Change::Replace(..) | Change::Remove(..) => {}
        }
    }
    bytes
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let one = prop_oneof![
        6 => (any::<usize>(), any::<u8>()).prop_map(|(at, byte)| Change::Replace(at, byte)),
        1 => (any::<usize>(), vec(any::<u8>(), 1..40)).prop_map(|(at, more)| Change::Insert(at, more)),
        1 => (any::<usize>(), 1..40_usize).prop_map(|(at, count)| Change::Remove(at, count)),
        1 => any::<usize>().prop_map(Change::Cut),
    ];
    vec(one, 0..6)
}

/// What a server makes of its correct answer; the id of the message stays right.
#[derive(Clone, Debug)]
enum Wire {
    /// These bytes, after the correct header or without it.
    Noise(bool, Vec<u8>),
    /// A changed correct answer.
    Changed(Vec<Change>),
}

impl Wire {
    fn manner(self) -> Manner {
        Manner::Mangle(Arc::new(move |honest| match &self {
            Self::Noise(true, noise) => [&honest[..12], noise].concat(),
            Self::Noise(false, noise) => noise.clone(),
            Self::Changed(changes) => changed(honest, changes),
        }))
    }
}

fn anything() -> impl Strategy<Value = Wire> {
    let noise = (any::<bool>(), vec(any::<u8>(), 0..600));
    prop_oneof![
        1 => noise.prop_map(|(headed, bytes)| Wire::Noise(headed, bytes)),
        3 => changes().prop_map(Wire::Changed),
    ]
}

#[test]
fn nothing_on_the_wire_breaks_a_look_up_or_passes_for_proof() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let internet = runtime.block_on(Internet::start(1));
    internet.add("contoso.com", 3600);
    internet.set(
        SRV,
        &[
            "SRV 0 0 5061 other.fabrikam.com",
            "SRV 0 0 443 x.fabrikam.com",
        ],
    );
    internet.set(
        "_pic-portal.contoso.com",
        &["TXT pic-service=other", "TXT x"],
    );
    internet.set("sip.contoso.com", &["CNAME a.contoso.com"]);
    internet.set("a.contoso.com", &["A 192.0.2.1", "AAAA 2001:db8::1"]);
    let resolver: &Server = &internet.resolver;
    let edge = AccessEdge::parse("sip.contoso.com").unwrap();

    let config = ProptestConfig {
        cases: 300,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(of_resolver in anything(), of_authority in anything(), which in 0..3)| {
        resolver.behave(if which == 1 { Manner::Honest } else { of_resolver.manner() });
        internet.authorities[0].behave(if which == 2 { Manner::Honest } else { of_authority.manner() });
        // A new one each time: a server that did not answer before would not be queried.
        let dns = Dns::asking([resolver.address], Some(internet.port()), ANYWHERE, LIMITS);
        let began = Instant::now();
        let (facts, addresses, word) = runtime.block_on(async {
            let (domain, host) = (contoso(), fqdn("sip.contoso.com"));
            tokio::join!(dns.srv(&domain), dns.addresses(&host), dns.token(&domain, TOKEN))
        });
        // A busy machine is slow, but a hanging lookup is slower.
        prop_assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
        let _ = addresses;
        let findings = judge(&contoso(), &edge, &facts);
        prop_assert!(!findings.is_empty());
        let proves = |f: &pic_portal::readiness::Finding| {
            f.code == Code::Srv && f.severity == Code::Srv.severity()
        };
        prop_assert!(!findings.iter().any(proves), "{facts:?}");
        prop_assert!(word != TokenFacts::Proven);
    });
}
