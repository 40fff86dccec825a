//! Judges every case of x509-limbo, a public suite on paths of certificates.
//!
//! The suite is not kept here: it is made by a program in Python (<https://github.com/C2SP/x509-limbo>).
//! Where its `limbo.json` lies is said by `PIC_LIMBO`:
//!
//! ```text
//! PIC_LIMBO=limbo.json cargo test --test portal limbo -- --ignored --nocapture
//! ```

use chrono::{DateTime, Utc};
use pic_portal::{
    clock::Clock,
    readiness::{Severity, tls::Tls},
};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use serde_json::Value;

use super::{
    ANYWHERE,
    bettertls::{gravest, is_accepted},
};
use crate::support::edge::file;

/// The cases that are judged otherwise (`docs/readiness.md#public-suites`).
const OTHERWISE: [&str; 65] = [
    "crl::crlnumber-critical",
    "crl::crlnumber-missing",
    "crl::issuer-missing-crlsign",
    "crl::revoked-certificate-with-crl",
    "pathlen::max-chain-depth-0-exhausted",
    "pathlen::max-chain-depth-1-exhausted",
    "pathlen::self-issued-certs-pathlen",
    "pathlen::validation-ignores-pathlen-in-leaf",
    "rfc5280::aki::critical-aki",
    "rfc5280::aki::cross-signed-root-missing-aki",
    "rfc5280::aki::intermediate-missing-aki",
    "rfc5280::aki::leaf-missing-aki",
    "rfc5280::ca-as-leaf",
    "rfc5280::ca-empty-subject",
    "rfc5280::leaf-ku-keycertsign",
    "rfc5280::nc::invalid-dnsname-leading-period",
    "rfc5280::nc::not-allowed-in-ee-critical",
    "rfc5280::nc::not-allowed-in-ee-noncritical",
    "rfc5280::nc::permitted-dn-match",
    "rfc5280::nc::permitted-dns-match-noncritical",
    "rfc5280::nc::permitted-self-issued",
    "rfc5280::pc::ica-noncritical-pc",
    "rfc5280::root-inconsistent-ca-extensions",
    "rfc5280::root-missing-basic-constraints",
    "rfc5280::root-non-critical-basic-constraints",
    "rfc5280::san::noncritical-with-empty-subject",
    "rfc5280::san::underscore-dns",
    "rfc5280::serial::too-long",
    "rfc5280::serial::zero",
    "rfc5280::ski::critical-ski",
    "rfc5280::ski::intermediate-missing-ski",
    "rfc5280::ski::root-missing-ski",
    "rfc5280::unknown-critical-extension-root",
    "rfc5280::validity::expired-root",
    "webpki::aki::root-with-aki-all-fields",
    "webpki::aki::root-with-aki-authoritycertissuer",
    "webpki::aki::root-with-aki-authoritycertserialnumber",
    "webpki::aki::root-with-aki-missing-keyidentifier",
    "webpki::aki::root-with-aki-ski-mismatch",
    "webpki::cn::case-mismatch",
    "webpki::cn::ipv4-hex-mismatch",
    "webpki::cn::ipv4-leading-zeros-mismatch",
    "webpki::cn::ipv6-non-rfc5952-mismatch",
    "webpki::cn::ipv6-uncompressed-mismatch",
    "webpki::cn::ipv6-uppercase-mismatch",
    "webpki::cn::not-in-san",
    "webpki::cn::punycode-not-in-san",
    "webpki::cn::utf8-vs-punycode-mismatch",
    "webpki::eku::ee-anyeku",
    "webpki::eku::ee-critical-eku",
    "webpki::eku::ee-without-eku",
    "webpki::eku::root-has-eku",
    "webpki::forbidden-dsa-leaf",
    "webpki::forbidden-p192-leaf",
    "webpki::forbidden-rsa-key-not-divisible-by-8-in-leaf",
    "webpki::forbidden-rsa-not-divisible-by-8-in-root",
    "webpki::malformed-aia",
    "webpki::nc::intermediate-permitted-excluded-subtrees-both-empty-sequences",
    "webpki::nc::intermediate-permitted-excluded-subtrees-both-null",
    "webpki::san::no-san",
    "webpki::san::public-suffix-private-namespace-wildcard-san",
    "webpki::san::san-critical-with-nonempty-subject",
    "webpki::san::san-wildcard-only-tld",
    "webpki::san::unicode-emoji-san",
    "webpki::san::wildcard-embedded-ulabel-san",
];

fn text<'v>(case: &'v Value, key: &str) -> &'v str {
    case[key].as_str().unwrap_or_default()
}

fn pems<'v>(case: &'v Value, key: &str) -> impl Iterator<Item = &'v str> {
    case[key]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
}

/// The gravest that is said of the certificate of a case; and where its chain leads.
fn judged(case: &Value) -> (Severity, String) {
    let now = DateTime::parse_from_rfc3339(text(case, "validation_time"));
    let now = now.map_or_else(|_| Clock::system().now(), |now| now.with_timezone(&Utc));
    let roots: Vec<_> = pems(case, "trusted_certs").collect();
    let Ok(tls) = Tls::new(Some(file(roots.join("\n").as_bytes()).path()), ANYWHERE) else {
        return (Severity::Blocking, "a root that cannot be read".to_owned());
    };
    let tls = tls.with_clock(Clock::mock(now));
    let chain = [text(case, "peer_certificate")].into_iter();
    let chain = chain.chain(pems(case, "untrusted_intermediates"));
    let chain = chain.map(|pem| {
        CertificateDer::from_pem_slice(pem.as_bytes())
            .unwrap()
            .to_vec()
    });
    let chain: Vec<_> = chain.collect();
    let (trust, _) = tls.trust(&chain);
    let host = text(&case["expected_peer_name"], "value");
    (gravest(&tls, chain, host, now), format!("{trust:?}"))
}

#[test]
#[expect(clippy::print_stdout, reason = "the figures are what it is run for")]
#[ignore = "its cases are made by a program in Python: PIC_LIMBO says where they are"]
fn every_case_of_a_server_is_judged_rightly() {
    let path = std::env::var_os("PIC_LIMBO").expect("PIC_LIMBO=path of limbo.json");
    let suite: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let cases = suite["testcases"].as_array().unwrap().iter();
    let cases = cases.filter(|case| text(case, "validation_kind") == "SERVER");
    let (mut agree, mut otherwise) = (0, Vec::new());
    for case in cases {
        let (grave, trust) = judged(case);
        let is_valid = text(case, "expected_result") == "SUCCESS";
        if is_accepted(grave) == is_valid {
            agree += 1;
            continue;
        }
        let (id, expected) = (text(case, "id"), text(case, "expected_result"));
        println!("{id} {expected} {} {trust}", case["features"]);
        // What is valid may be unknown here, and is never called bad.
        assert!(!is_valid || grave == Severity::Unknown, "{id}");
        otherwise.push(id);
    }
    println!("{agree} agree, {} do not", otherwise.len());
    assert!(agree > 100, "there is something to compare");
    otherwise.sort_unstable();
    assert_eq!(otherwise, OTHERWISE);
}
