//! What does a server's certificate say?

use chrono::{DateTime, Utc};
use x509_parser::{
    certificate::X509Certificate, extensions::GeneralName, prelude::FromDer as _,
    public_key::PublicKey, time::ASN1Time,
};

/// The shortest RSA key that is accepted, in bits (CA/Browser Forum, Baseline Requirements, 6.1.5).
pub(in crate::readiness) const SHORTEST_RSA: usize = 2048;

/// What the checks want to know of a certificate. No name but those that have the form of DNS names
/// is taken over, so nobody's name or address is among them.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::readiness) struct Leaf {
    /// DNS names among the subject alternative names, lower-case, wildcards too, each once.
    pub(in crate::readiness) names: Vec<String>,
    /// Whether there are subject alternative names at all, of whatever kind, or an extension for them
    /// that cannot be read. Then the subject names no server (RFC 5922, 7.1).
    pub(in crate::readiness) has_alternatives: bool,
    /// Common names of the subject that have the form of DNS names.
    pub(in crate::readiness) subject: Vec<String>,
    pub(in crate::readiness) not_before: DateTime<Utc>,
    pub(in crate::readiness) not_after: DateTime<Utc>,
    /// Made for servers: its purposes are not restricted, or server authentication is one.
    pub(in crate::readiness) for_servers: bool,
    /// Size of its RSA key in bits, where that is below [`SHORTEST_RSA`].
    pub(in crate::readiness) short_key: Option<usize>,
    /// Distinguished names, to compare and nothing else; DER.
    pub(super) subject_der: Vec<u8>,
    pub(super) issuer_der: Vec<u8>,
}

impl Leaf {
    /// Reads a certificate; `None` if it is none.
    pub(in crate::readiness) fn read(der: &[u8]) -> Option<Self> {
        let (_, read) = X509Certificate::from_der(der).ok()?;
        let alternatives = read.subject_alternative_name();
        let has_alternatives = !matches!(alternatives, Ok(None));
        let names = alternatives.ok().flatten();
        let names = names.map_or(&[][..], |found| &found.value.general_names);
        let names = names.iter().filter_map(|name| match name {
            GeneralName::DNSName(name) => dns_form(name),
            _ => None,
        });
        let subject = read.subject().iter_common_name();
        let subject = subject.filter_map(|name| dns_form(name.as_str().ok()?));
        let purposes = read.extended_key_usage();
        Some(Self {
            names: once(names),
            has_alternatives,
            subject: once(subject),
            not_before: time(read.validity().not_before)?,
            not_after: time(read.validity().not_after)?,
            for_servers: purposes
                .is_ok_and(|purposes| purposes.is_none_or(|found| found.value.server_auth)),
            short_key: match read.public_key().parsed() {
                Ok(PublicKey::RSA(key)) => Some(key.key_size()).filter(|bits| *bits < SHORTEST_RSA),
                _ => None,
            },
            subject_der: read.subject().as_raw().to_vec(),
            issuer_der: read.issuer().as_raw().to_vec(),
        })
    }

    /// Whether it names itself as its issuer.
    pub(super) fn is_self_issued(&self) -> bool {
        self.subject_der == self.issuer_der
    }
}

fn time(read: ASN1Time) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(read.timestamp(), 0)
}

/// The name in lower case, if it has the form of a DNS name of two labels or more. An IPv4 address
/// has not: no last label is a number.
fn dns_form(name: &str) -> Option<String> {
    let name = name.to_ascii_lowercase();
    let good = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'*');
    let label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(good);
    let (_, last) = name.rsplit_once('.')?;
    let number = last.bytes().all(|b| b.is_ascii_digit());
    (name.len() <= 253 && !number && name.split('.').all(label)).then_some(name)
}

/// Each once, in order.
fn once(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut kept = std::collections::BTreeSet::new();
    names.filter(|name| kept.insert(name.clone())).collect()
}
