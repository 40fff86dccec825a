//! Judges every case of `BetterTLS`, a public suite on name constraints and path building.
//!
//! The suite is not kept here: it is a program that makes certificates, in Go
//! (<https://github.com/Netflix/bettertls>). Where its export lies is said by `PIC_BETTERTLS`:
//!
//! ```text
//! bettertls export-tests --out bettertls.json
//! PIC_BETTERTLS=bettertls.json cargo test --test portal bettertls -- --ignored --nocapture
//! ```

use std::{collections::BTreeMap, net::IpAddr};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use pic_portal::{
    clock::Clock,
    names::AccessEdge,
    readiness::{
        Severity, edge,
        tls::{Proof, Shown, Suite, Tls, TlsFacts, Trust, Version},
    },
};
use serde_json::Value;
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, prelude::FromDer as _};

use super::ANYWHERE;
use crate::support::edge::file;

fn der(value: &Value) -> Vec<u8> {
    STANDARD.decode(value.as_str().unwrap()).unwrap()
}

/// The gravest that is said of `chain` as that of `host`.
pub(super) fn gravest(tls: &Tls, chain: Vec<Vec<u8>>, host: &str, now: DateTime<Utc>) -> Severity {
    let (trust, constrained) = tls.trust(&chain);
    let ip = host.parse::<IpAddr>();
    // By the rules of DNS alone: suites have names that nobody can register, and registered ones.
    let name = AccessEdge::from_database(host.to_owned()).ok();
    let Some(name) = name.filter(|_| ip.is_err()) else {
        // No edge has an address or a name of one label as its name, so the chain is judged alone,
        // and beside it whether the address is one of its names.
        let named = ip.map_or(true, |ip| names_address(&chain[0], ip));
        return match trust {
            Trust::Root if named => Severity::Ok,
            Trust::Unfollowed(_) => Severity::Unknown,
            _ => Severity::Blocking,
        };
    };
    let address = IpAddr::from([192, 0, 2, 1]);
    let facts = TlsFacts {
        shown: vec![Shown {
            address,
            version: Version::Tls13,
            suite: Suite("TLS_AES_256_GCM_SHA384"),
            chain,
            proof: Proof::Given,
            trust,
            constrained,
            sip: None,
        }],
        failures: Vec::new(),
        left_out: 0,
    };
    let found = edge::judge(&name, &[], &[address], ANYWHERE, Some(&facts), now);
    let graves = found.iter().map(|found| found.severity);
    graves.max().expect("a finding")
}

/// Whether partners would be said to accept it.
pub(super) fn is_accepted(grave: Severity) -> bool {
    matches!(grave, Severity::Ok | Severity::Warning)
}

fn names_address(own: &[u8], ip: IpAddr) -> bool {
    let (_, own) = X509Certificate::from_der(own).unwrap();
    let octets_of = match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    own.subject_alternative_name()
        .unwrap()
        .is_some_and(|names| {
            let mut names = names.value.general_names.iter();
            names.any(|name| matches!(name, GeneralName::IPAddress(octets) if *octets == octets_of))
        })
}

#[test]
#[expect(clippy::print_stdout, reason = "the figures are what it is run for")]
#[ignore = "its cases are made by a program in Go: PIC_BETTERTLS says where they are"]
fn every_case_is_judged_rightly() {
    let path = std::env::var_os("PIC_BETTERTLS").expect("PIC_BETTERTLS=path of the export");
    let export: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let root = data_encoding::BASE64_MIME.encode(&der(&export["trustRoot"]));
    let root = format!("-----BEGIN CERTIFICATE-----\n{root}-----END CERTIFICATE-----\n");
    let tls = Tls::new(Some(file(root.as_bytes()).path()), ANYWHERE).unwrap();
    let (mut counted, mut wrong) = (BTreeMap::new(), Vec::new());
    for (suite, cases) in export["suites"].as_object().unwrap() {
        for case in cases["testCases"].as_array().unwrap() {
            let chain = case["certificates"].as_array().unwrap();
            let chain: Vec<_> = chain.iter().map(der).collect();
            let trust = tls.trust(&chain).0;
            let host = case["hostname"].as_str().unwrap();
            let expected = case["expected"].as_str().unwrap();
            let soft = case["failureIsWarning"].as_bool().unwrap();
            let grave = gravest(&tls, chain, host, Clock::system().now());
            let agrees = is_accepted(grave) == (expected == "ACCEPT");
            let kind = (suite, host, expected, if soft { "warning" } else { "must" });
            *counted.entry((kind, agrees)).or_insert(0) += 1;
            if !agrees && !soft {
                wrong.push(format!(
                    "{suite} {} {expected} {host} {trust:?}",
                    case["id"]
                ));
            }
        }
    }
    for ((kind, agrees), number) in counted {
        println!(
            "{kind:?}: {number} {}",
            if agrees { "agree" } else { "disagree" }
        );
    }
    assert!(wrong.is_empty(), "{} {wrong:#?}", wrong.len());
}
