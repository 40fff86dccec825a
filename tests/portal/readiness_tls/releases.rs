//! Looks at servers that speak what the releases of Windows Server speak, and at rarer ones.

use openssl::{
    asn1::Asn1Time,
    bn::BigNum,
    ec::{EcGroup, EcKey},
    hash::MessageDigest,
    nid::Nid,
    pkey::{PKey, Private},
    ssl::SslVersion,
    x509::{
        X509, X509Builder, X509Name,
        extension::{BasicConstraints, SubjectAlternativeName},
    },
};
use pic_portal::readiness::tls::{Proof, Tls};
use rcgen::KeyPair;

use super::{ANYWHERE, certificates::FINE, contoso, judged, tls};
use crate::support::edge::{
    Authority, Edge, Issued, Mode, file,
    released::{
        Release, WINDOWS_2008_R2, WINDOWS_2008_R2_TLS_12, WINDOWS_2012_R2, WINDOWS_2016,
        WINDOWS_2019,
    },
    server,
};

const NAMES: [&str; 2] = ["sip.contoso.com", "sip.fabrikam.com"];

const OLD: &str = "warning tls-old";
const NO_TLS_12: &str = "blocking tls-old";

/// What is told beside that the certificate is fine, for a key of RSA and for one on P-256.
const RELEASES: [(Release, Option<&str>, Option<&str>); 5] = [
    (WINDOWS_2008_R2, Some(NO_TLS_12), Some(NO_TLS_12)),
    (WINDOWS_2008_R2_TLS_12, Some(OLD), None),
    (WINDOWS_2012_R2, Some(OLD), None),
    (WINDOWS_2016, None, None),
    (WINDOWS_2019, None, None),
];

/// Whether the server has to prove its key before it asks for a certificate in return.
fn proves_early(release: Release, rsa: bool) -> bool {
    !rsa || !release.suites.starts_with("AES128-SHA")
}

#[tokio::test]
async fn every_release_of_windows_server_shows_its_certificate() {
    let root = Authority::root();
    let rsa = include_str!("cases/edge-windows-2012r2/key.pem");
    let rsa = root.issue_for(&server(&NAMES), &KeyPair::from_pem(rsa).unwrap());
    let elliptic = root.issue(&server(&NAMES));
    let edge = Edge::start(rsa.clone()).await;
    for (release, by_rsa, by_p256) in RELEASES {
        for (issued, expected, is_rsa) in [(&rsa, by_rsa, true), (&elliptic, by_p256, false)] {
            edge.show(issued.clone());
            for release in [release, release.mutual()] {
                let what = format!("{} {is_rsa} {}", release.name, release.mutual);
                edge.behave(Mode::Released(release));
                let facts = tls(&root).probe(&contoso().0, &[edge.address()]).await;
                let said = judged(&[edge.address()], &facts);
                assert!(said.starts_with("ok certificate | "), "{what}: {said}");
                let beside = said.lines().nth(1);
                let is_told = |code: &str| beside.is_some_and(|line| line.starts_with(code));
                assert_eq!(beside.is_some(), expected.is_some(), "{what}: {said}");
                assert!(expected.is_none_or(is_told), "{what}: {said}");
                let early = proves_early(release, is_rsa) || !release.mutual;
                let proof = if early { Proof::Given } else { Proof::Unseen };
                assert_eq!(facts.shown[0].proof, proof, "{what}");
                assert_eq!(said.contains("broke off before it proved"), !early);
            }
        }
    }
}

/// The part of a server of TLS 1.2 that takes a key exchange by RSA, without the extension of RFC 5746.
fn part_by_rsa(issued: &Issued) -> Vec<u8> {
    let sized = |bytes: &[u8]| {
        let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
        [&length[1..], bytes].concat()
    };
    let chain: Vec<u8> = issued.chain.iter().flat_map(|der| sized(der)).collect();
    let hello = [&[3, 3][..], &[7; 32], &[0, 0x00, 0x3c, 0]].concat();
    let messages = [
        [vec![2], sized(&hello)].concat(),
        [vec![11], sized(&sized(&chain))].concat(),
        vec![14, 0, 0, 0],
    ];
    let messages = messages.concat();
    let length = u16::try_from(messages.len()).unwrap().to_be_bytes();
    [&[22, 3, 3][..], &length, &messages].concat()
}

/// OpenSSL offers those with CCM to nobody unless it is told to.
#[tokio::test]
async fn every_suite_of_tls_13_is_spoken() {
    let root = Authority::root();
    let edge = Edge::start(root.issue(&server(&NAMES))).await;
    for suite in [
        "TLS_AES_256_GCM_SHA384",
        "TLS_CHACHA20_POLY1305_SHA256",
        "TLS_AES_128_GCM_SHA256",
        "TLS_AES_128_CCM_SHA256",
        "TLS_AES_128_CCM_8_SHA256",
    ] {
        edge.behave(Mode::Released(Release {
            versions: (SslVersion::TLS1_3, SslVersion::TLS1_3),
            suites_13: Some(suite),
            ..WINDOWS_2019
        }));
        let facts = tls(&root).probe(&contoso().0, &[edge.address()]).await;
        assert_eq!(facts.shown[0].suite.0, suite);
        assert_eq!(judged(&[edge.address()], &facts), FINE);
    }
}

/// With a key exchange by RSA a server without the key is found out when it cannot read the answer; and
/// one that closes before that has proven nothing, nor the contrary.
#[tokio::test]
async fn a_key_exchange_by_rsa_proves_the_key_last() {
    let root = Authority::root();
    let rsa = include_str!("cases/edge-windows-2012r2/key.pem");
    let issued = root.issue_for(&server(&NAMES), &KeyPair::from_pem(rsa).unwrap());
    let part = part_by_rsa(&issued);
    let edge = Edge::start(issued).await;
    let alert = |number| vec![21, 3, 3, 0, 2, 2, number];
    for (answer, proof) in [
        (alert(20), Proof::Failed),
        (alert(51), Proof::Failed),
        (alert(40), Proof::Unseen),
        (Vec::new(), Proof::Unseen),
    ] {
        edge.behave(Mode::Answers(vec![part.clone(), answer]));
        let facts = tls(&root).probe(&contoso().0, &[edge.address()]).await;
        assert_eq!(facts.shown[0].proof, proof);
        let said = judged(&[edge.address()], &facts);
        let fine = said.starts_with("ok certificate | ");
        assert_eq!(fine, proof == Proof::Unseen, "{said}");
        assert_ne!(
            fine,
            said.starts_with("blocking edge-unreachable | "),
            "{said}"
        );
    }
}

/// A certificate by a key on a curve, signed with a hash; by itself, or by another.
fn crafted(
    curve: Nid,
    hash: MessageDigest,
    name: &str,
    issuer: Option<(&X509, &PKey<Private>)>,
) -> (X509, PKey<Private>) {
    let group = EcGroup::from_curve_name(curve).unwrap();
    let key = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
    let mut subject = X509Name::builder().unwrap();
    subject.append_entry_by_nid(Nid::COMMONNAME, name).unwrap();
    let subject = subject.build();
    let mut made = X509Builder::new().unwrap();
    made.set_version(2).unwrap();
    let serial = BigNum::from_u32(7).unwrap().to_asn1_integer().unwrap();
    made.set_serial_number(&serial).unwrap();
    made.set_subject_name(&subject).unwrap();
    made.set_issuer_name(issuer.map_or(&subject, |(above, _)| above.subject_name()))
        .unwrap();
    made.set_pubkey(&key).unwrap();
    let date = |text| Asn1Time::from_str(text).unwrap();
    made.set_not_before(&date("20200101000000Z")).unwrap();
    made.set_not_after(&date("20991231235959Z")).unwrap();
    if issuer.is_none() {
        let authority = BasicConstraints::new().critical().ca().build().unwrap();
        made.append_extension(authority).unwrap();
    } else {
        let context = made.x509v3_context(None, None);
        let names = SubjectAlternativeName::new()
            .dns(NAMES[0])
            .dns(NAMES[1])
            .build(&context)
            .unwrap();
        made.append_extension(names).unwrap();
    }
    made.sign(issuer.map_or(&key, |(_, above)| above), hash)
        .unwrap();
    (made.build(), key)
}

#[tokio::test]
async fn curves_and_hashes_that_are_rarer() {
    let p521 = Nid::SECP521R1;
    let (p256, p384) = (Nid::X9_62_PRIME256V1, Nid::SECP384R1);
    for (curve, hash) in [
        (p521, MessageDigest::sha512()),
        (p521, MessageDigest::sha384()),
        (p521, MessageDigest::sha256()),
        (p384, MessageDigest::sha512()),
        (p256, MessageDigest::sha512()),
    ] {
        let (root, root_key) = crafted(curve, hash, "Rare Root", None);
        let (own, key) = crafted(curve, hash, NAMES[0], Some((&root, &root_key)));
        let pem = [
            own.to_pem().unwrap(),
            key.private_key_to_pem_pkcs8().unwrap(),
        ];
        let edge = Edge::start(Issued::of_pem(&pem[0], &pem[1])).await;
        edge.behave(Mode::Released(Release {
            versions: (SslVersion::TLS1_2, SslVersion::TLS1_3),
            ..WINDOWS_2008_R2_TLS_12
        }));
        let root = file(&root.to_pem().unwrap());
        let tls = Tls::new(Some(root.path()), ANYWHERE).unwrap();
        let facts = tls.probe(&contoso().0, &[edge.address()]).await;
        let said = judged(&[edge.address()], &facts);
        assert!(said.starts_with("ok certificate | "), "{curve:?}: {said}");
        // A signature that does not fit is found out.
        let mut chain = facts.shown[0].chain.clone();
        *chain[0].last_mut().unwrap() ^= 1;
        assert_ne!(tls.trust(&chain), tls.trust(&facts.shown[0].chain));
    }
}
