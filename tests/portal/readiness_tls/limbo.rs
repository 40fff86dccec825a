//! Judges every case of x509-limbo, a public suite on paths of certificates.
//!
//! The suite is not kept here: it is made by a program in Python (<https://github.com/C2SP/x509-limbo>).
//! Where its `limbo.json` lies is said by `PIC_LIMBO`:
//!
//! ```text
//! PIC_LIMBO=limbo.json cargo test --test portal limbo -- --ignored --nocapture
//! ```

use chrono::{DateTime, Utc};
use pic_portal::{clock::Clock, readiness::tls::Tls};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use serde_json::Value;

use super::{ANYWHERE, bettertls::is_accepted};
use crate::support::edge::file;

/// The cases that are judged otherwise (`docs/readiness.md#public-suites`).
const OTHERWISE: [&str; 0] = [];

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

/// Whether partners would be said to accept the certificate of a case; and where its chain leads.
fn judged(case: &Value) -> (bool, String) {
    let now = DateTime::parse_from_rfc3339(text(case, "validation_time"));
    let now = now.map_or_else(|_| Clock::system().now(), |now| now.with_timezone(&Utc));
    let roots: Vec<_> = pems(case, "trusted_certs").collect();
    let Ok(tls) = Tls::new(Some(file(roots.join("\n").as_bytes()).path()), ANYWHERE) else {
        return (false, "a root that cannot be read".to_owned());
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
    (is_accepted(&tls, chain, host, now), format!("{trust:?}"))
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
        let (is_accepted, trust) = judged(case);
        if is_accepted == (text(case, "expected_result") == "SUCCESS") {
            agree += 1;
            continue;
        }
        let (id, expected) = (text(case, "id"), text(case, "expected_result"));
        println!("{id} {expected} {} {trust}", case["features"]);
        otherwise.push(id);
    }
    println!("{agree} agree, {} do not", otherwise.len());
    assert!(agree > 100, "there is something to compare");
    otherwise.sort_unstable();
    assert_eq!(otherwise, OTHERWISE);
}
