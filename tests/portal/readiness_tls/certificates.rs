//! Judges certificates: their chains, dates, purposes and signatures.

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    NameConstraints, date_time_ymd,
};

use super::{tls, verdict};
use crate::support::edge::{Authority, Issued, authority, server};

/// All the names that the two domains want.
pub(super) const NAMES: [&str; 2] = ["sip.contoso.com", "sip.fabrikam.com"];

pub(super) const FINE: &str = "ok certificate | a certificate for sip.contoso.com that leads to a trusted \
    root | TLS 1.3; leads to a trusted root; valid until 4096-01-01 00:00 UTC; valid from 1975-01-01 00:00 UTC; \
    for sip.contoso.com; for sip.fabrikam.com";

const UNTRUSTED: &str = "blocking certificate-untrusted | a server's certificate, sent with all \
    between it and a trusted root | ";

const NAMESAKES: &str = "unknown certificate-unknown | a way to a trusted root that can be followed here | \
    two authorities of the same name stand above it, and no way past them to a trusted root is found \
    here: it helps to send the one that issued it, and not the other";

/// What is said of a certificate by a root that is trusted.
pub(super) async fn of(params: &CertificateParams) -> String {
    let root = Authority::root();
    verdict(&root, root.issue(params)).await
}

#[tokio::test]
async fn a_good_one_is_fine() {
    assert_eq!(of(&server(&NAMES)).await, FINE);
}

#[tokio::test]
async fn a_chain_sent_in_full_is_fine_in_any_order() {
    let root = Authority::root();
    let upper = root.below(authority("Upper"));
    let lower = upper.below(authority("Lower"));
    let mut issued = lower.issue(&server(&NAMES));
    assert_eq!(issued.chain.len(), 3);
    assert_eq!(verdict(&root, issued.clone()).await, FINE);
    issued.chain.swap(1, 2);
    assert_eq!(verdict(&root, issued.clone()).await, FINE);
    issued.chain.push(root.der());
    assert_eq!(verdict(&root, issued).await, FINE);
}

#[tokio::test]
async fn expired() {
    let mut params = server(&NAMES);
    params.not_after = date_time_ymd(2026, 2, 28);
    assert_eq!(
        of(&params).await,
        "blocking certificate-expired | a certificate that has not expired | \
         valid until 2026-02-28 00:00 UTC"
    );
}

#[tokio::test]
async fn not_yet_valid() {
    let mut params = server(&NAMES);
    params.not_before = date_time_ymd(2026, 3, 2);
    assert_eq!(
        of(&params).await,
        "blocking certificate-not-yet-valid | a certificate that is valid already | \
         valid from 2026-03-02 00:00 UTC"
    );
}

#[tokio::test]
async fn expires_soon() {
    let mut params = server(&NAMES);
    params.not_after = date_time_ymd(2026, 3, 31);
    assert_eq!(
        of(&params).await,
        format!(
            "{}\nwarning certificate-expires-soon | valid for more than the last third of its time, or for 30 days | \
             valid until 2026-03-31 00:00 UTC",
            FINE.replace("4096-01-01", "2026-03-31")
        )
    );
    params.not_after = date_time_ymd(2026, 4, 1);
    assert_eq!(of(&params).await, FINE.replace("4096-01-01", "2026-04-01"));
}

#[tokio::test]
async fn signed_by_itself() {
    let root = Authority::root();
    let said = UNTRUSTED.to_owned() + "it is signed by itself, not by an authority";
    assert_eq!(
        verdict(&root, Issued::by_itself(&server(&NAMES))).await,
        said
    );
    // As `openssl req -x509` makes them.
    let mut params = authority("sip.contoso.com");
    params.subject_alt_names = server(&NAMES).subject_alt_names;
    assert_eq!(verdict(&root, Issued::by_itself(&params)).await, said);
}

#[tokio::test]
async fn an_intermediate_is_missing() {
    let root = Authority::root();
    let lower = root.below(authority("Upper")).below(authority("Lower"));
    let mut issued = lower.issue(&server(&NAMES));
    let missing = "and the issuer is neither among them nor trusted: an intermediate certificate \
                   is missing, or the root is a private one";
    issued.chain.truncate(2);
    assert_eq!(
        verdict(&root, issued.clone()).await,
        format!("{UNTRUSTED}2 certificates are sent, {missing}")
    );
    issued.chain.truncate(1);
    assert_eq!(
        verdict(&root, issued).await,
        format!("{UNTRUSTED}1 certificate is sent, {missing}")
    );
}

#[tokio::test]
async fn a_root_that_is_not_trusted() {
    let stranger = Authority::root().below(authority("Lower"));
    let other = Authority::root();
    let mut issued = stranger.issue(&server(&NAMES));
    issued.chain.push(other.der());
    // Same name as the trusted root, another key.
    let said = verdict(&Authority::root(), issued).await;
    let untrusted = UNTRUSTED.to_owned() + "it leads to a root that is not trusted";
    assert_eq!(said, untrusted);

    let key = rcgen::KeyPair::generate().unwrap();
    let params = authority("Private Root");
    let private = rcgen::CertifiedIssuer::self_signed(params, key).unwrap();
    let own = rcgen::KeyPair::generate().unwrap();
    let leaf = server(&NAMES).signed_by(&own, &private).unwrap();
    let issued = Issued {
        chain: vec![leaf.der().clone(), private.der().clone()],
        key: std::sync::Arc::new(rustls::pki_types::PrivateKeyDer::Pkcs8(
            own.serialize_der().into(),
        )),
    };
    let said = verdict(&Authority::root(), issued).await;
    assert_eq!(
        said,
        UNTRUSTED.to_owned() + "it leads to a root that is not trusted"
    );
}

#[tokio::test]
async fn made_for_something_else() {
    let said = UNTRUSTED.to_owned() + "server authentication is not among its purposes";
    let mut params = server(&NAMES);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    assert_eq!(of(&params).await, said);
    // Where nothing is restricted, servers are not either (RFC 5280, 4.2.1.12).
    params.extended_key_usages.clear();
    assert_eq!(of(&params).await, FINE);
    // An authority's purposes bind what it issues.
    let root = Authority::root();
    let mut below = authority("Clients");
    below.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let issued = root.below(below).issue(&server(&NAMES));
    assert_eq!(verdict(&root, issued).await, said);
}

#[tokio::test]
async fn an_authority_that_is_in_the_way() {
    let root = Authority::root();
    let mut old = authority("Old");
    old.not_after = date_time_ymd(2020, 1, 1);
    let mut early = authority("Early");
    early.not_before = date_time_ymd(2999, 1, 1);
    let mut bound = authority("Bound");
    bound.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![GeneralSubtree::DnsName("example.com".to_owned())],
        excluded_subtrees: Vec::new(),
    });
    for (params, said) in [
        (
            old,
            "a certificate above it has expired: the server has to send the one that its authority \
             uses now",
        ),
        (early, "a certificate above it is not valid yet"),
        (bound, "an authority above it may not issue it"),
        (
            server(&["ca.contoso.com"]),
            "an authority above it may not issue it",
        ),
    ] {
        let issued = root.below(params).issue(&server(&NAMES));
        assert_eq!(verdict(&root, issued).await, format!("{UNTRUSTED}{said}"));
    }
    let mut own = authority("sip.contoso.com");
    own.subject_alt_names = server(&NAMES).subject_alt_names;
    assert_eq!(
        verdict(&root, root.issue(&own)).await,
        "unknown certificate-unknown | a way to a trusted root that can be followed here | it is an \
         authority's own certificate, which some programs do not take for a server's"
    );
}

/// An authority that issued a certificate to its own name, for a new key. One such step does not count
/// for the length of the path (RFC 5280, 6.1.4); webpki counts it.
#[tokio::test]
async fn an_authority_that_issued_to_its_own_name() {
    let root = Authority::root();
    for (length, said) in [
        (BasicConstraints::Unconstrained, FINE.to_owned()),
        (BasicConstraints::Constrained(0), NAMESAKES.to_owned()),
    ] {
        let mut upper = authority("Lower");
        upper.is_ca = IsCa::Ca(length);
        let lower = root.below(upper).below(authority("Lower"));
        let issued = lower.issue(&server(&NAMES));
        assert_eq!(verdict(&root, issued).await, said);
    }
}

#[tokio::test]
async fn a_signature_that_is_not_accepted() {
    let root = Authority::root();
    let mut issued = root.issue(&server(&NAMES));
    // ecdsa-with-SHA256 becomes ecdsa-with-SHA224, which is as long and which nobody accepts.
    let mut der = issued.chain[0].to_vec();
    let algorithm = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
    let places: Vec<_> = (0..der.len() - 8)
        .filter(|at| der[*at..at + 8] == algorithm)
        .collect();
    assert_eq!(places.len(), 2);
    for at in places {
        der[at + 7] = 1;
    }
    issued.chain[0] = der.into();
    assert_eq!(
        verdict(&root, issued.clone()).await,
        "unknown certificate-unknown | a way to a trusted root that can be followed here | a signature \
         on the way to the root is of a kind that is not known here"
    );
    // One bit of the signature.
    let mut der = root.issue(&server(&NAMES)).chain[0].to_vec();
    let mut genuine = root.issue(&server(&NAMES));
    der.clone_from(&genuine.chain[0].to_vec());
    *der.last_mut().unwrap() ^= 1;
    genuine.chain[0] = der.into();
    assert_eq!(
        verdict(&root, genuine).await,
        UNTRUSTED.to_owned() + "a signature on the way to the root does not fit"
    );
}

#[tokio::test]
async fn everything_at_once() {
    let mut params = server(&["mail.contoso.com"]);
    params.not_before = date_time_ymd(2025, 1, 1);
    params.not_after = date_time_ymd(2026, 1, 1);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::EmailProtection];
    let issued = Issued::by_itself(&params);
    assert_eq!(
        verdict(&Authority::root(), issued).await,
        format!(
            "{UNTRUSTED}it is signed by itself, not by an authority; server authentication is not \
             among its purposes\n\
             blocking certificate-expired | a certificate that has not expired | \
             valid until 2026-01-01 00:00 UTC\n\
             blocking certificate-name | sip.contoso.com among the subject alternative names | \
             for mail.contoso.com\n\
             warning certificate-domain-san | sip. and each SIP domain among the subject \
             alternative names | sip.fabrikam.com is missing"
        )
    );
}

#[tokio::test]
async fn a_certificate_may_change_between_probes() {
    let root = Authority::root();
    let edge = crate::support::edge::Edge::start(root.issue(&server(&["a.example.com"]))).await;
    let (tls, name) = (tls(&root), super::contoso().0);
    let first = tls.probe(&name, &[edge.address()]).await;
    edge.show(root.issue(&server(&NAMES)));
    let second = tls.probe(&name, &[edge.address()]).await;
    assert!(super::judged(&[edge.address()], &first).starts_with("blocking certificate-name"));
    assert_eq!(super::judged(&[edge.address()], &second), FINE);
}
