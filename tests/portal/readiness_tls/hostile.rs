//! Can a stranger's bytes do harm?

use std::{
    net::IpAddr,
    sync::LazyLock,
    time::{Duration, Instant},
};

use pic_portal::readiness::{
    Code, Severity, edge,
    tls::{Limit, Limits, Proof, Shown, Suite, TlsFacts, Trust, Version},
};
use proptest::prelude::*;
use rcgen::{CertificateParams, DnType, SanType};

use super::{ANYWHERE, contoso, now, tls};
use crate::support::edge::{Authority, Edge, Mode, authority, server};

/// Real certificates of several kinds.
static REAL: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let root = Authority::root();
    let mut rich = server(&["sip.contoso.com", "*.fabrikam.com"]);
    rich.subject_alt_names.extend([
        SanType::Rfc822Name("zoe@contoso.com".try_into().unwrap()),
        SanType::URI("sip:zoe@contoso.com".try_into().unwrap()),
        SanType::IpAddress(IpAddr::from([192, 0, 2, 1])),
    ]);
    rich.distinguished_name
        .push(DnType::OrganizationName, "B\u{fc}cher");
    [
        server(&["sip.contoso.com"]),
        rich,
        authority("Lower"),
        CertificateParams::default(),
    ]
    .iter()
    .map(|params| root.issue(params).chain[0].to_vec())
    .collect()
});

fn judge(chain: Vec<Vec<u8>>, trust: Trust, proven: bool) -> Vec<pic_portal::readiness::Finding> {
    let (name, domains) = contoso();
    let address = IpAddr::from([127, 0, 0, 1]);
    let facts = TlsFacts {
        shown: vec![Shown {
            address,
            version: Version::Tls13,
            suite: Suite("TLS_AES_256_GCM_SHA384"),
            chain,
            proof: if proven { Proof::Given } else { Proof::Failed },
            trust,
            constrained: false,
            sip: None,
        }],
        failures: Vec::new(),
        left_out: 0,
    };
    edge::judge(&name, &domains, &[address], ANYWHERE, Some(&facts), now())
}

fn is_fine(findings: &[pic_portal::readiness::Finding]) -> bool {
    findings
        .iter()
        .any(|f| f.code == Code::Certificate && f.severity == Severity::Ok)
}

fn is_blocked(findings: &[pic_portal::readiness::Finding]) -> bool {
    findings.iter().any(|f| f.severity == Severity::Blocking)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_bytes_are_no_certificate(
        chain in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..4),
        proven: bool,
    ) {
        let findings = judge(chain, Trust::Root, proven);
        prop_assert!(is_blocked(&findings));
        prop_assert!(!is_fine(&findings));
    }

    #[test]
    fn a_changed_certificate_is_judged_all_the_same(
        which in 0..4_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
        proven: bool,
    ) {
        let mut der = REAL[which].clone();
        for (at, byte) in changes {
            let at = at.index(der.len());
            der[at] = byte;
        }
        if let Some(cut) = cut {
            der.truncate(cut.index(der.len()));
        }
        let findings = judge(vec![der], Trust::Root, proven);
        prop_assert!(!findings.is_empty());
        // Fine or blocked, never both, never neither.
        prop_assert_ne!(is_fine(&findings), is_blocked(&findings));
        prop_assert!(proven || !is_fine(&findings));
        for line in findings.iter().flat_map(|f| &f.found) {
            prop_assert!(!line.as_str().contains("zoe"), "{}", line);
        }
    }
}

#[test]
fn nothing_but_a_trusted_root_is_fine() {
    let real = || vec![REAL[1].clone()];
    assert!(is_fine(&judge(real(), Trust::Root, true)));
    assert!(is_blocked(&judge(real(), Trust::Root, false)));
    for trust in [
        Trust::SelfSigned,
        Trust::Incomplete { sent: 1 },
        Trust::UnknownRoot,
        Trust::IssuerExpired,
        Trust::IssuerNotYetValid,
        Trust::Weak {
            hash: "SHA-1",
            own: true,
        },
        Trust::ShortKey(1024),
        Trust::Signature,
        Trust::Purpose,
        Trust::NotPermitted,
        Trust::Unreadable,
    ] {
        let findings = judge(real(), trust.clone(), true);
        assert_eq!(findings[0].code, Code::CertificateUntrusted);
        assert_eq!(findings[0].found.len(), 1, "{trust:?}");
        assert!(!is_fine(&findings));
    }
    // What cannot be followed is neither.
    for limit in [
        Limit::Extension("policyConstraints".to_owned()),
        Limit::Signature,
        Limit::Namesakes,
        Limit::Authority,
        Limit::Constraint,
        Limit::Other,
    ] {
        let findings = judge(real(), Trust::Unfollowed(limit), true);
        assert_eq!(findings[0].code, Code::CertificateUnknown);
        assert_eq!(findings[0].severity, Severity::Unknown);
        assert!(!is_fine(&findings));
    }
}

#[test]
fn a_key_that_is_too_short() {
    use rustls::pki_types::{CertificateDer, pem::PemObject as _};

    let pem = include_bytes!("rsa-1024.pem");
    let der = CertificateDer::from_pem_slice(pem).unwrap().to_vec();
    let said = super::told(&judge(vec![der], Trust::SelfSigned, true)[..1]);
    assert_eq!(
        said,
        "blocking certificate-untrusted | a server's certificate, sent with all between it and a \
         trusted root | it is signed by itself, not by an authority; its RSA key of 1024 bits is \
         too short: 2048 or more"
    );
}

/// Whatever a server says, a probe ends in time and finds no certificate in it.
#[test]
fn whatever_a_server_says_a_probe_ends_in_time() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let root = Authority::root();
    let limits = Limits {
        connect: Duration::from_millis(400),
        whole: Duration::from_millis(100),
    };
    let probe = tls(&root).with_limits(limits);
    let edge = runtime.block_on(Edge::start(root.issue(&server(&["sip.contoso.com"]))));
    let record = (
        20..25_u8,
        0..6_u8,
        prop::collection::vec(any::<u8>(), 0..300),
    );
    let records = prop::collection::vec(record, 0..4).prop_map(|records| {
        let framed = records.into_iter().flat_map(|(kind, minor, body)| {
            let length = u16::try_from(body.len()).unwrap().to_be_bytes();
            [vec![kind, 3, minor], length.to_vec(), body].concat()
        });
        framed.collect::<Vec<u8>>()
    });
    let bytes = prop_oneof![prop::collection::vec(any::<u8>(), 0..600), records];
    let config = ProptestConfig::with_cases(150);
    let said = proptest::test_runner::TestRunner::new(config).run(
        &(bytes, any::<bool>()),
        |(bytes, closes)| {
            edge.behave(if closes {
                Mode::SaysAndCloses(bytes)
            } else {
                Mode::Says(bytes)
            });
            let started = Instant::now();
            let facts = runtime.block_on(probe.probe(&contoso().0, &[edge.address()]));
            prop_assert!(started.elapsed() < Duration::from_secs(4));
            prop_assert_eq!(&facts.shown, &[]);
            prop_assert_eq!(facts.failures.len(), 1);
            Ok(())
        },
    );
    said.unwrap();
}
