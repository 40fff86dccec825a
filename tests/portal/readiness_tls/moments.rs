//! Judges certificates at the very moments, and by the very names, at which a verdict turns.

use std::net::IpAddr;

use chrono::{DateTime, TimeDelta, TimeZone as _, Utc};
use pic_portal::{
    names::{AccessEdge, SipDomain},
    readiness::{
        Code, edge,
        tls::{Proof, Shown, Suite, TlsFacts, Trust, Version},
    },
};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, date_time_ymd};

use super::ANYWHERE;
use crate::support::edge::{Issued, server};

/// What is found of a certificate that leads to a root, `now`.
fn codes(
    params: &CertificateParams,
    edge: &str,
    domain: &str,
    now: DateTime<Utc>,
) -> Vec<&'static str> {
    let address = IpAddr::from([127, 0, 0, 1]);
    let facts = TlsFacts {
        shown: vec![Shown {
            address,
            version: Version::Tls12,
            suite: Suite("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
            chain: vec![Issued::by_itself(params).chain[0].to_vec()],
            proof: Proof::Given,
            trust: Trust::Root,
            constrained: false,
            sip: None,
        }],
        failures: Vec::new(),
        left_out: 0,
    };
    let edge = AccessEdge::parse(edge).unwrap();
    let domains = [SipDomain::parse(domain).unwrap()];
    edge::judge(&edge, &domains, &[address], ANYWHERE, Some(&facts), now)
        .iter()
        .map(|finding| finding.code.as_str())
        .collect()
}

#[test]
fn dates_turn_to_the_second() {
    let mut params = server(&["sip.contoso.com"]);
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2026, 7, 1);
    let from = Utc.with_ymd_and_hms(2026, 1, 1, 0, 0, 0).unwrap();
    let until = Utc.with_ymd_and_hms(2026, 7, 1, 0, 0, 0).unwrap();
    let (second, month) = (TimeDelta::seconds(1), TimeDelta::days(30));
    let fine = Code::Certificate.as_str();
    let soon = [fine, Code::CertificateExpiresSoon.as_str()];
    for (now, codes_then) in [
        (from - second, &[Code::CertificateNotYetValid.as_str()][..]),
        (from, &[fine]),
        (until - month, &[fine]),
        (until - month + second, &soon),
        (until, &soon),
        (until + second, &[Code::CertificateExpired.as_str()]),
    ] {
        let found = codes(&params, "sip.contoso.com", "contoso.com", now);
        assert_eq!(found, codes_then, "{now}");
    }
}

/// Certificates that live for days or weeks are renewed by themselves at two thirds of their time (case
/// certificate-short-lived).
#[test]
fn short_lived_certificates_expire_soon_in_their_last_third() {
    let midnight = |day| Utc.with_ymd_and_hms(2026, 1, day, 0, 0, 0).unwrap();
    let soon = [
        Code::Certificate.as_str(),
        Code::CertificateExpiresSoon.as_str(),
    ];
    for days in [6, 45, 47, 89, 90, 200] {
        let life = TimeDelta::days(days);
        let mut params = server(&["sip.contoso.com"]);
        params.not_before = date_time_ymd(2026, 1, 1);
        params.not_after = date_time_ymd(2026, 1, 1) + time::Duration::days(days);
        let turns = midnight(1) + life - (life / 3).min(TimeDelta::days(30));
        for (now, told) in [
            (midnight(1) + life / 2, &soon[..1]),
            (turns, &soon[..1]),
            (turns + TimeDelta::seconds(1), &soon[..]),
        ] {
            let found = codes(&params, "sip.contoso.com", "contoso.com", now);
            assert_eq!(found, told, "{days} {now}");
        }
    }
}

#[test]
fn purposes_without_clients_and_other_names_in_front_are_told() {
    let now = Utc.with_ymd_and_hms(2026, 1, 1, 0, 0, 0).unwrap();
    let of = |params: &CertificateParams| codes(params, "sip.contoso.com", "contoso.com", now);
    let fine = "certificate";
    let mut params = server(&["sip.contoso.com"]);
    for (purposes, told) in [
        // OpenSSL, with which gateways check, takes "any purpose" for none (`openssl verify -purpose`).
        (vec![], &[fine][..]),
        (
            vec![ExtendedKeyUsagePurpose::ServerAuth],
            &[fine, "certificate-client"],
        ),
        (
            vec![
                ExtendedKeyUsagePurpose::ServerAuth,
                ExtendedKeyUsagePurpose::Any,
            ],
            &[fine, "certificate-client"],
        ),
        // That it is for no server is told, and the rest follows from it.
        (
            vec![ExtendedKeyUsagePurpose::EmailProtection],
            &["certificate-untrusted"],
        ),
    ] {
        params.extended_key_usages = purposes;
        assert_eq!(of(&params), told);
    }
    for (names, subject, told) in [
        (
            &["mail.contoso.com", "sip.contoso.com"][..],
            "mail.contoso.com",
            &[fine, "certificate-first-name"][..],
        ),
        (
            &["mail.contoso.com", "sip.contoso.com"],
            "sip.contoso.com",
            &[fine],
        ),
        (
            &["sip.contoso.com", "mail.contoso.com"],
            "mail.contoso.com",
            &[fine],
        ),
        // Another finding says what is wrong with the name.
        (
            &["mail.contoso.com", "*.contoso.com"],
            "mail.contoso.com",
            &[fine, "certificate-wildcard"],
        ),
    ] {
        let mut params = server(names);
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, subject);
        assert_eq!(of(&params), told, "{names:?} {subject}");
    }
}

#[test]
fn a_wildcard_stands_for_one_label() {
    let now = Utc.with_ymd_and_hms(2026, 1, 1, 0, 0, 0).unwrap();
    let (fine, wild) = ("certificate", "certificate-wildcard");
    let (wrong, san) = ("certificate-name", "certificate-domain-san");
    for (name, edge, domain, found) in [
        (
            "*.contoso.com",
            "sip.contoso.com",
            "contoso.com",
            &[fine, wild][..],
        ),
        (
            "*.contoso.com",
            "sip.eu.contoso.com",
            "contoso.com",
            &[wrong],
        ),
        (
            "*.contoso.com",
            "sip.contoso.com",
            "eu.contoso.com",
            &[fine, wild, san],
        ),
        (
            "*.eu.contoso.com",
            "sip.eu.contoso.com",
            "eu.contoso.com",
            &[fine, wild],
        ),
        (
            "*.eu.contoso.com",
            "sip.contoso.com",
            "eu.contoso.com",
            &[wrong],
        ),
        ("*.oso.com", "sip.contoso.com", "contoso.com", &[wrong]),
        ("contoso.com", "sip.contoso.com", "contoso.com", &[wrong]),
    ] {
        let params = server(&[name]);
        assert_eq!(
            codes(&params, edge, domain, now),
            found,
            "{name} {edge} {domain}"
        );
    }
}
