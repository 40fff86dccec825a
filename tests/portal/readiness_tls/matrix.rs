//! Holds the verdict of the checks against that of OpenSSL's client, for a hundred Access Edges.
//!
//! The client is a partner of today: TLS 1.2 or 1.3, the security level that Debian has, the name and
//! the chain verified at the same time as the checks do. Where both may differ, [`otherwise`] says why.

use std::{net::IpAddr, pin::pin};

use chrono::{DateTime, Utc};
use openssl::{
    ssl::{Ssl, SslContext, SslMethod, SslVerifyMode, SslVersion},
    x509::{X509VerifyResult, verify::X509CheckFlags},
};
use pic_portal::readiness::{Severity, edge};
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose as Purpose, KeyPair,
    PKCS_ECDSA_P384_SHA384, SanType, date_time_ymd,
};
use tokio::net::TcpStream;
use tokio_openssl::SslStream;

use super::{ANYWHERE, contoso, now, tls, told};
use crate::support::edge::{
    Authority, Edge, Issued, Mode, PORT, authority,
    released::{Release, WINDOWS_2019},
    server,
};

const HOST: &str = "sip.contoso.com";
const NAMES: [&str; 2] = [HOST, "sip.fabrikam.com"];

/// Whether OpenSSL's client is content with what stands at an address: it got a certificate, and
/// nothing is wrong with it.
async fn is_content(root: &Authority, address: IpAddr) -> bool {
    let mut context = SslContext::builder(SslMethod::tls_client()).unwrap();
    context.set_security_level(2);
    context
        .set_min_proto_version(Some(SslVersion::TLS1_2))
        .unwrap();
    context.set_ca_file(root.file().path()).unwrap();
    // It goes on, and says at the end what was wrong.
    context.set_verify(SslVerifyMode::NONE);
    let mut ssl = Ssl::new(&context.build()).unwrap();
    ssl.set_hostname(HOST).unwrap();
    let rules = ssl.param_mut();
    rules.set_host(HOST).unwrap();
    rules.set_hostflags(X509CheckFlags::NO_PARTIAL_WILDCARDS);
    rules.set_time(now().timestamp());
    let stream = TcpStream::connect((address, PORT)).await;
    let Ok(stream) = stream else { return false };
    let mut ssl = pin!(SslStream::new(ssl, stream).unwrap());
    // A server that wants a certificate in return breaks off afterwards.
    drop(ssl.as_mut().connect().await);
    let ssl = ssl.ssl();
    ssl.peer_certificate().is_some() && ssl.verify_result() == X509VerifyResult::OK
}

/// Whether the checks are content with all of `addresses`, and what they say.
pub(super) async fn verdict(
    root: &Authority,
    addresses: &[IpAddr],
    now: DateTime<Utc>,
) -> (bool, String) {
    let (name, domains) = contoso();
    let facts = tls(root).probe(&name, addresses).await;
    let found = edge::judge(&name, &domains, addresses, ANYWHERE, Some(&facts), now);
    let good = |severity| matches!(severity, Severity::Ok | Severity::Warning);
    (found.iter().all(|it| good(it.severity)), told(&found))
}

/// Why the checks may say otherwise, of an edge with this description; else they must not.
fn otherwise(edge: &str) -> Option<&'static str> {
    match edge {
        "the subject alone, beside an address" => {
            Some("RFC 5922, 7.1: the subject counts only without any alternative name")
        }
        _ => None,
    }
}

/// Compares both, of edges that show `issued` in this manner.
async fn compare(root: &Authority, edges: impl IntoIterator<Item = Row>) -> (usize, usize) {
    let (mut good, mut bad) = (0, 0);
    for (what, issued, mode) in edges {
        let edge = Edge::start(issued).await;
        edge.behave(mode);
        let theirs = is_content(root, edge.address()).await;
        let (ours, said) = verdict(root, &[edge.address()], now()).await;
        let agrees = ours == theirs;
        let is_excused = otherwise(&what).is_some();
        assert_ne!(agrees, is_excused, "{what}: OpenSSL {theirs}, {said}");
        if theirs { good += 1 } else { bad += 1 }
    }
    (good, bad)
}

/// An edge: a description, what it shows, and how it behaves.
pub(super) type Row = (String, Issued, Mode);

/// Versions, suites, keys, and whether a certificate is wanted in return, which is refused then.
pub(super) fn handshakes(root: &Authority) -> Vec<Row> {
    const SUITES: [(&str, &str); 4] = [
        (
            "ECDHE with GCM",
            "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256",
        ),
        (
            "ECDHE with CBC",
            "ECDHE-RSA-AES128-SHA:ECDHE-ECDSA-AES128-SHA",
        ),
        ("DHE with GCM", "DHE-RSA-AES128-GCM-SHA256"),
        ("RSA with CBC", "AES128-SHA"),
    ];
    const VERSIONS: [(SslVersion, SslVersion); 5] = [
        (SslVersion::TLS1, SslVersion::TLS1),
        (SslVersion::TLS1_1, SslVersion::TLS1_1),
        (SslVersion::TLS1, SslVersion::TLS1_2),
        (SslVersion::TLS1_2, SslVersion::TLS1_3),
        (SslVersion::TLS1_3, SslVersion::TLS1_3),
    ];
    let between = root.below(authority("Between"));
    let rsa = include_str!("cases/edge-windows-2012r2/key.pem");
    let keys = [
        ("RSA", KeyPair::from_pem(rsa).unwrap()),
        ("P-256", KeyPair::generate().unwrap()),
        (
            "P-384",
            KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap(),
        ),
    ];
    let mut edges = Vec::new();
    for (key, pair) in &keys {
        let issued = between.issue_for(&server(&NAMES), pair);
        for (suite, suites) in SUITES {
            for versions in VERSIONS {
                // TLS 1.3 has suites of its own; some suites are of RSA keys alone.
                let is_first = suite == SUITES[0].0;
                let fits = *key == "RSA" || suite.starts_with("ECDHE");
                if !fits || (versions.0 == SslVersion::TLS1_3 && !is_first) {
                    continue;
                }
                for mutual in [false, true] {
                    let release = Release {
                        versions,
                        suites,
                        mutual,
                        ..WINDOWS_2019
                    };
                    let what = format!("{key} {suite} {versions:?} {mutual}");
                    edges.push((what, issued.clone(), Mode::Released(release)));
                }
            }
        }
    }
    edges
}

#[tokio::test]
async fn handshakes_are_judged_as_by_openssl() {
    let root = Authority::root();
    let (good, bad) = compare(&root, handshakes(&root)).await;
    assert!(good + bad >= 70 && good > 20 && bad > 20, "{good} {bad}");
}

fn subject(mut params: CertificateParams, name: &str) -> CertificateParams {
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn chains(root: &Authority, between: &Authority) -> Vec<(&'static str, Issued)> {
    let dated = |first: i32, last: i32, mut params: CertificateParams| {
        params.not_before = date_time_ymd(first, 1, 1);
        params.not_after = date_time_ymd(last, 1, 1);
        params
    };
    let good = || server(&NAMES);
    let old = root.below(dated(2020, 2021, authority("Old")));
    let early = root.below(dated(2030, 2040, authority("Early")));
    let mut lonely = between.issue(&good());
    lonely.chain.truncate(1);
    let mut swapped = between.issue(&good());
    swapped.chain.push(root.der());
    swapped.chain.swap(1, 2);
    let mut not_it = between.issue(&good());
    not_it.chain[1] = root.below(authority("Between")).der();
    vec![
        ("in full", between.issue(&good())),
        ("by the root itself", root.issue(&good())),
        ("in another order, with the root", swapped),
        ("without what is between", lonely),
        ("with another between of the same name", not_it),
        ("by itself", Issued::by_itself(&good())),
        (
            "by another root",
            Authority::rooted(authority("Other")).issue(&good()),
        ),
        (
            "by another root of the same name",
            Authority::root().issue(&good()),
        ),
        ("by one that has expired", old.issue(&good())),
        ("by one that is not valid yet", early.issue(&good())),
        ("by one that is no authority", {
            let mut params = server(&["between.example"]);
            params.key_usages = Vec::new();
            root.below(params).issue(&good())
        }),
        ("expired", between.issue(&dated(2020, 2025, good()))),
        ("not valid yet", between.issue(&dated(2027, 2035, good()))),
        ("soon expired", {
            let mut params = good();
            params.not_after = date_time_ymd(2026, 3, 9);
            between.issue(&params)
        }),
    ]
}

fn names_and_purposes(between: &Authority) -> Vec<(&'static str, Issued)> {
    let good = || server(&NAMES);
    let purposes = |purposes: &[Purpose]| {
        let mut params = good();
        params.extended_key_usages = purposes.to_vec();
        params
    };
    let with = |names: &[SanType]| {
        let mut params = subject(server(&[]), HOST);
        params.subject_alt_names = names.to_vec();
        params
    };
    let address = SanType::IpAddress([192, 0, 2, 7].into());
    vec![
        (
            "for servers and clients",
            between.issue(&purposes(&[Purpose::ServerAuth, Purpose::ClientAuth])),
        ),
        (
            "for servers",
            between.issue(&purposes(&[Purpose::ServerAuth])),
        ),
        (
            "for clients",
            between.issue(&purposes(&[Purpose::ClientAuth])),
        ),
        ("for everything", between.issue(&purposes(&[]))),
        (
            "for mail",
            between.issue(&purposes(&[Purpose::EmailProtection])),
        ),
        (
            "for another name",
            between.issue(&server(&["mail.contoso.com"])),
        ),
        (
            "for a name below",
            between.issue(&server(&["x.sip.contoso.com"])),
        ),
        (
            "for the name above",
            between.issue(&server(&["contoso.com"])),
        ),
        ("for a wildcard", between.issue(&server(&["*.contoso.com"]))),
        ("for a wildcard above", between.issue(&server(&["*.com"]))),
        (
            "for a wildcard below",
            between.issue(&server(&["*.sip.contoso.com"])),
        ),
        (
            "for a part of a label",
            between.issue(&server(&["s*.contoso.com"])),
        ),
        ("in capitals", between.issue(&server(&["SIP.Contoso.COM"]))),
        (
            "first of other names",
            between.issue(&server(&["mail.contoso.com", HOST])),
        ),
        ("the subject alone", between.issue(&with(&[]))),
        (
            "the subject alone, beside another name",
            between.issue(&with(&[SanType::DnsName(
                "mail.contoso.com".try_into().unwrap(),
            )])),
        ),
        (
            "the subject alone, beside an address",
            between.issue(&with(&[address])),
        ),
        (
            "another subject",
            between.issue(&subject(good(), "other.example")),
        ),
    ]
}

/// Chains, dates, names and purposes.
pub(super) fn certificates(root: &Authority) -> Vec<Row> {
    let between = root.below(authority("Between"));
    let rows = [chains(root, &between), names_and_purposes(&between)].concat();
    let shown =
        |(what, issued): (&str, Issued)| (what.to_owned(), issued, Mode::Released(WINDOWS_2019));
    rows.into_iter().map(shown).collect()
}

#[tokio::test]
async fn certificates_are_judged_as_by_openssl() {
    let root = Authority::root();
    let (good, bad) = compare(&root, certificates(&root)).await;
    assert!(good > 8 && bad > 12, "{good} {bad}");
}

/// A pool is as good as the worst of its members that shows a certificate.
#[tokio::test]
async fn pools() {
    let root = Authority::root();
    let mut expired = server(&NAMES);
    expired.not_after = date_time_ymd(2025, 1, 1);
    let other = server(&["mail.contoso.com"]);
    let kinds = [server(&NAMES), server(&["*.contoso.com"]), expired, other];
    for one in &kinds {
        for two in &kinds {
            let pool = [
                Edge::start(root.issue(one)).await,
                Edge::start(root.issue(two)).await,
            ];
            let addresses = [pool[0].address(), pool[1].address()];
            let theirs = [
                is_content(&root, addresses[0]).await,
                is_content(&root, addresses[1]).await,
            ];
            let (ours, said) = verdict(&root, &addresses, now()).await;
            assert_eq!(ours, theirs[0] && theirs[1], "{theirs:?} {said}");
        }
    }
}
