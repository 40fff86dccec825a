//! Reads what a server's certificate says.

use chrono::{DateTime, Utc};
use x509_parser::{
    certificate::X509Certificate,
    extensions::{GeneralName, ParsedExtension},
    prelude::FromDer as _,
    public_key::PublicKey,
    time::ASN1Time,
};

/// The shortest RSA key that is accepted, in bits (CA/Browser Forum, Baseline Requirements, 6.1.5).
pub(in crate::readiness) const SHORTEST_RSA: usize = 2048;

/// What the checks want to know of a certificate. No name but those that have the form of DNS names,
/// or were meant to, is taken over, so nobody's name or address is among them.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::readiness) struct Leaf {
    /// DNS names among the subject alternative names, lower-case, wildcards too, each once.
    pub(in crate::readiness) names: Vec<String>,
    /// What stands among them as a DNS name and is not quite one, to the letter.
    pub(in crate::readiness) odd: Vec<String>,
    /// How many of the subject alternative names are neither in `names` nor in `odd`: addresses, and
    /// what may be personal.
    pub(in crate::readiness) others: usize,
    /// Whether there are subject alternative names at all, of whatever kind, or an extension for them
    /// that cannot be read. Then the subject names no server (RFC 5922, 7.1).
    pub(in crate::readiness) has_alternatives: bool,
    /// Common names of the subject that have the form of DNS names, also with a dot at the end.
    pub(in crate::readiness) subject: Vec<String>,
    pub(in crate::readiness) not_before: DateTime<Utc>,
    pub(in crate::readiness) not_after: DateTime<Utc>,
    /// Made for servers: its purposes are not restricted, or server authentication is one.
    pub(in crate::readiness) for_servers: bool,
    /// The same for clients. That every purpose is allowed (anyExtendedKeyUsage) does not count: OpenSSL,
    /// with which gateways check, refuses such a certificate for either.
    pub(in crate::readiness) for_clients: bool,
    /// The hash of its signature, where that is no longer accepted.
    pub(in crate::readiness) weak_hash: Option<&'static str>,
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
        let entries = || {
            names.iter().filter_map(|name| match name {
                GeneralName::DNSName(name) => Some((*name).to_owned()),
                GeneralName::Invalid(tag, bytes) if tag.0 == DNS_NAME => {
                    Some(String::from_utf8_lossy(bytes).into_owned())
                }
                _ => None,
            })
        };
        let odd = |entry: &String| dns_form(entry).is_none() && was_meant(entry);
        let told = entries().filter(|entry| dns_form(entry).is_some() || was_meant(entry));
        let others = names.len() - told.count();
        let subject = read.subject().iter_common_name();
        let subject = subject.filter_map(|name| {
            let name = name.as_str().ok()?;
            match name.strip_suffix('.') {
                Some(rest) => dns_form(rest).map(|form| form + "."),
                None => dns_form(name),
            }
        });
        let purposes = read.extended_key_usage();
        let purposes = purposes.map(|purposes| purposes.map(|found| found.value));
        Some(Self {
            names: once(entries().filter_map(|entry| dns_form(&entry))),
            odd: once(entries().filter(odd)),
            others,
            has_alternatives,
            subject: once(subject),
            not_before: time(read.validity().not_before)?,
            not_after: time(read.validity().not_after)?,
            for_servers: (purposes.as_ref()).is_ok_and(|it| it.is_none_or(|it| it.server_auth)),
            for_clients: (purposes.as_ref()).is_ok_and(|it| it.is_none_or(|it| it.client_auth)),
            weak_hash: weak_hash(&read.signature_algorithm.algorithm.to_id_string()),
            short_key: match read.public_key().parsed() {
                Ok(PublicKey::RSA(key)) => {
                    Some(bits(key.modulus)).filter(|bits| *bits < SHORTEST_RSA)
                }
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

/// The length of a positive number, in bits.
fn bits(number: &[u8]) -> usize {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let number = &number[zeros..];
    let unused = number.first().map_or(0, |byte| byte.leading_zeros());
    number.len() * 8 - unused as usize
}

fn time(read: ASN1Time) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(read.timestamp(), 0)
}

/// The tag of a DNS name among alternative names (RFC 5280, 4.2.1.6).
const DNS_NAME: u32 = 2;

/// The hash of a signature of this kind, where that is no longer accepted (RFC 9155; CA/Browser Forum,
/// Baseline Requirements, 7.1.3.2).
fn weak_hash(kind: &str) -> Option<&'static str> {
    match kind {
        "1.2.840.113549.1.1.5" | "1.2.840.10045.4.1" | "1.2.840.10040.4.3" | "1.3.14.3.2.29" => {
            Some("SHA-1")
        }
        "1.2.840.113549.1.1.4" => Some("MD5"),
        "1.2.840.113549.1.1.2" => Some("MD2"),
        _ => None,
    }
}

/// The first critical extension of a certificate that webpki does not know, by its name, or by its number
/// (OID).
pub(super) fn unknown_critical(der: &[u8]) -> Option<String> {
    let (_, read) = X509Certificate::from_der(der).ok()?;
    let mut critical = read.extensions().iter().filter(|found| found.critical);
    critical.find_map(|found| {
        let name = match found.parsed_extension() {
            ParsedExtension::BasicConstraints(_)
            | ParsedExtension::KeyUsage(_)
            | ParsedExtension::ExtendedKeyUsage(_)
            | ParsedExtension::NameConstraints(_)
            | ParsedExtension::SubjectAlternativeName(_)
            | ParsedExtension::CRLDistributionPoints(_) => return None,
            ParsedExtension::CertificatePolicies(_) => "certificatePolicies",
            ParsedExtension::PolicyMappings(_) => "policyMappings",
            ParsedExtension::PolicyConstraints(_) => "policyConstraints",
            ParsedExtension::InhibitAnyPolicy(_) => "inhibitAnyPolicy",
            _ => return Some(numbered(&found.oid.to_id_string())),
        };
        Some(name.to_owned())
    })
}

/// How an extension is told that has no name here. A number may be as long as a stranger likes.
fn numbered(oid: &str) -> String {
    const LONGEST: usize = 64;
    match oid.get(..=LONGEST) {
        Some(_) => "one with a very long number (OID)".to_owned(),
        None => format!("OID {oid}"),
    }
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

/// Whether an entry that is no DNS name was meant to be one: some part of it has dots between letters.
/// A person's address or a number of a host is not shown.
fn was_meant(entry: &str) -> bool {
    let parts = || entry.split(|c: char| !(c.is_alphanumeric() || ".-_*@%".contains(c)));
    let parts = || parts().map(|part| part.trim_matches('.'));
    let numbers = |part: &str| part.parse::<std::net::Ipv4Addr>().is_ok();
    !entry.contains(['@', '%'])
        && !parts().any(numbers)
        && parts().any(|part| part.split('.').count() > 1 && part.split('.').all(|l| !l.is_empty()))
}

/// Each once, in order.
fn once(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut kept = std::collections::BTreeSet::new();
    names.filter(|name| kept.insert(name.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_a_number_is_counted_to_the_bit() {
        for (number, length) in [
            (&[][..], 0),
            (&[0, 0], 0),
            (&[1], 1),
            (&[0, 0x80, 0], 16),
            (&[0x7f; 256], 2047),
            (&[0x80; 256], 2048),
        ] {
            assert_eq!(bits(number), length);
        }
    }

    #[test]
    fn a_number_of_an_extension_is_shown_unless_it_is_very_long() {
        assert_eq!(numbered("1.3.6.1.4.1.99999.1"), "OID 1.3.6.1.4.1.99999.1");
        assert!(numbered(&"1.2".repeat(100)).starts_with("one with"));
    }
}
