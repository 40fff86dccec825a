//! Judges cases from the field: certificates and servers that administrators reported.
//!
//! Below `cases` is what each shows; all lead to `ca.pem`. They are for `sip.contoso.com`, valid from
//! November 2026 to 2036 where nothing else is said.

use std::{net::IpAddr, path::PathBuf};

use chrono::{DateTime, TimeZone as _, Utc};
use openssl::ssl::SslVersion;
use pic_portal::{
    names::{AccessEdge, SipDomain},
    readiness::{
        edge,
        tls::{Tls, TlsFacts},
    },
};

use super::{ANYWHERE, told};
use crate::support::edge::{
    Edge, Issued, Mode,
    ports::closed,
    released::{Release, WINDOWS_2008_R2, WINDOWS_2012_R2, WINDOWS_2019},
};

fn path(name: &str) -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.join("tests/portal/readiness_tls/cases").join(name)
}

/// A chain and its key, by the names of their files without what they end in.
fn issued(chain: &str, key: &str) -> Issued {
    let read = |name| std::fs::read(path(&format!("{name}.pem"))).unwrap();
    Issued::of_pem(&read(chain), &read(key))
}

/// When all of them are looked at.
fn now() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 12, 24, 12, 0, 0).unwrap()
}

async fn probed(addresses: &[IpAddr]) -> TlsFacts {
    let tls = Tls::new(Some(&path("ca.pem")), ANYWHERE).unwrap();
    let edge = AccessEdge::parse("sip.contoso.com").unwrap();
    tls.probe(&edge, addresses).await
}

async fn verdict(addresses: &[IpAddr]) -> String {
    let facts = probed(addresses).await;
    let edge = AccessEdge::parse("sip.contoso.com").unwrap();
    let domains = [SipDomain::parse("contoso.com").unwrap()];
    let found = edge::judge(&edge, &domains, addresses, ANYWHERE, Some(&facts), now());
    told(&found)
}

/// What is said of a server of this release that shows this.
async fn of(release: Release, issued: Issued) -> String {
    let edge = Edge::start(issued).await;
    edge.behave(Mode::Released(release));
    verdict(&[edge.address()]).await
}

const UNTIL: &str = "valid until 2036-11-27 05:10 UTC; valid from 2026-11-20 05:10 UTC";

fn fine(version: &str) -> String {
    format!(
        "ok certificate | a certificate for sip.contoso.com that leads to a trusted root | {version}; \
         leads to a trusted root; {UNTIL}; for sip.contoso.com"
    )
}

fn untrusted(why: &str) -> String {
    format!(
        "blocking certificate-untrusted | a server's certificate, sent with all between it and a \
         trusted root | {why}"
    )
}

#[tokio::test]
async fn windows_server_2012_r2_with_an_rsa_certificate() {
    let pair = issued("edge-windows-2012r2/chain", "edge-windows-2012r2/key");
    assert_eq!(
        of(WINDOWS_2012_R2, pair).await,
        fine("TLS 1.2")
            + "\nwarning tls-old | TLS 1.2 or later, with ECDHE and GCM | TLS 1.2 with \
               TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384, offered newer ones"
    );
}

#[tokio::test]
async fn a_server_with_tls_10_alone() {
    let pair = issued("edge-old-tls/chain", "edge-old-tls/key");
    assert_eq!(
        of(WINDOWS_2008_R2, pair).await,
        fine("TLS 1.0")
            + "\nblocking tls-old | TLS 1.2 or later, with ECDHE and GCM | TLS 1.0 is the newest that it \
               speaks: switch TLS 1.2 on"
    );
}

#[tokio::test]
async fn a_server_that_signs_with_sha_512_by_a_key_on_p_256() {
    let release = Release {
        versions: (SslVersion::TLS1_2, SslVersion::TLS1_2),
        signs: Some("ECDSA+SHA512"),
        ..WINDOWS_2019
    };
    let pair = issued("edge-signs-with-sha512/chain", "edge-signs-with-sha512/key");
    assert_eq!(of(release, pair).await, fine("TLS 1.2"));
}

#[tokio::test]
async fn a_pool_whose_second_member_has_the_old_certificate_or_is_down() {
    let member = |kind: &str| {
        let file = |name| format!("edge-pool-member-expired/{name}{kind}");
        Edge::start(issued(&file("chain"), &file("key")))
    };
    let (new, old) = (member("").await, member("-old").await);
    let expired = "blocking certificate-expired | a certificate that has not expired | ";
    let connected = |one: IpAddr, two: IpAddr| {
        format!("connected to {}, {}: TLS 1.3", one.min(two), one.max(two))
    };
    assert_eq!(
        verdict(&[new.address(), old.address()]).await,
        format!(
            "{expired}{}: valid until 2026-11-27 05:10 UTC; {}",
            old.address(),
            connected(new.address(), old.address())
        )
    );
    // What both have is told once.
    assert_eq!(
        verdict(&[old.address()]).await,
        format!("{expired}valid until 2026-11-27 05:10 UTC")
    );
    let other = member("-old").await;
    assert_eq!(
        verdict(&[other.address(), old.address()]).await,
        format!(
            "{expired}valid until 2026-11-27 05:10 UTC; {}",
            connected(other.address(), old.address())
        )
    );
    let (down, _held) = closed().await;
    assert_eq!(
        verdict(&[new.address(), down]).await,
        fine("TLS 1.3")
            + &format!(
                "; connected to {}: TLS 1.3\nwarning edge-partly-unreachable | a certificate on port 5061 at every address | \
                 {down}: the connection is refused",
                new.address()
            )
    );
}

#[tokio::test]
async fn names_that_are_not_quite_names_are_shown_to_the_letter() {
    for (kind, entry) in [
        ("dot", "sip.contoso.com."),
        ("joined", "sip.contoso.com, sip.fabrikam.com"),
    ] {
        let file = |name| format!("certificate-odd-names/{kind}-{name}");
        let said = of(WINDOWS_2019, issued(&file("chain"), &file("key"))).await;
        let wrong =
            "blocking certificate-name | sip.contoso.com among the subject alternative names | ";
        let shown = format!("an entry that is no DNS name: \"{entry}\"");
        assert!(said.starts_with(wrong) && said.contains(&shown), "{said}");
        assert!(!said.contains("no DNS name among"), "{said}");
    }
}

#[tokio::test]
async fn a_critical_extension_for_policies_is_no_fault() {
    let pair = issued(
        "certificate-policies-critical/chain",
        "certificate-policies-critical/key",
    );
    assert_eq!(
        of(WINDOWS_2019, pair).await,
        "unknown certificate-unknown | a way to a trusted root that can be followed here | it, or one \
         above it, has a critical extension that is not known here: certificatePolicies"
    );
}

#[tokio::test]
async fn what_is_not_trusted_says_why() {
    for (kind, why) in [
        ("client", "server authentication is not among its purposes"),
        (
            "expired",
            "a certificate above it has expired: the server has to send the one that its authority uses \
             now",
        ),
        (
            "sha1",
            "it is signed with SHA-1, which is no longer accepted: SHA-256 or better is needed",
        ),
    ] {
        let file = |name| format!("certificate-untrusted-other-causes/{kind}-{name}");
        let said = of(WINDOWS_2019, issued(&file("chain"), &file("key"))).await;
        let first = said.lines().next();
        assert_eq!(first, Some(untrusted(why).as_str()), "{said}");
    }
}
