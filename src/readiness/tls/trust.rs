//! Follows a chain of certificates to a root.

use std::time::Duration;

use chrono::{DateTime, Utc};
use openssl::x509::X509;
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{
    EndEntityCert, Error, ExtendedKeyUsageValidator, KeyPurposeIdIter, KeyUsage, VerifiedPath,
    anchor_from_trusted_cert,
};
use x509_parser::{
    certificate::X509Certificate, oid_registry::OID_X509_EXT_NAME_CONSTRAINTS,
    prelude::FromDer as _,
};

use super::{Leaf, leaf, signatures::ACCEPTED};

/// Where the chain leads that a server sent, whatever its names and the dates of its own
/// certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// To a trusted root.
    Root,
    /// Nowhere: the certificate is signed by itself.
    SelfSigned,
    /// To somebody who is neither sent along nor a trusted root.
    Incomplete {
        /// Certificates that were sent.
        sent: usize,
    },
    /// To a root that was sent along and is not a trusted one.
    UnknownRoot,
    /// Past a certificate above the server's own that has expired.
    IssuerExpired,
    /// Past a certificate above the server's own that is not valid yet.
    IssuerNotYetValid,
    /// Past a signature of a kind that is no longer accepted.
    Weak {
        /// The hash that it is made with.
        hash: &'static str,
        /// Whether it is that of the server's own certificate.
        own: bool,
    },
    /// Past an authority whose RSA key is too short, of so many bits.
    ShortKey(usize),
    /// Past a signature that does not fit.
    Signature,
    /// Past a certificate that was not made for servers.
    Purpose,
    /// Past an authority that may not issue it.
    NotPermitted,
    /// Nowhere: the server's own certificate cannot be read.
    Unreadable,
    /// Perhaps to a root: it cannot be followed here, which is no fault of it.
    Unfollowed(Limit),
}

/// What the portal cannot follow, and others can.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Limit {
    /// A certificate with this extension, which is critical; by its name, or by its number (OID).
    Extension(String),
    /// A signature of a kind that is not known here.
    Signature,
    /// An authority that issued a certificate to its own name, for a new key. webpki counts that as
    /// one more step, which RFC 5280, 6.1.4, does not, so such a chain may be right.
    Namesakes,
    /// The server's own certificate is that of an authority: OpenSSL takes it, webpki does not.
    Authority,
    /// An authority that may issue for some names of persons or organisations alone (RFC 5280,
    /// 4.2.1.10, `directoryName`), which webpki takes for none.
    Constraint,
    /// Something else about the form of a certificate, or too many ways.
    Other,
}

/// Lets every purpose pass, so that the rest of the chain can be judged too.
struct AnyPurpose;

impl ExtendedKeyUsageValidator for AnyPurpose {
    fn validate(&self, _: KeyPurposeIdIter<'_, '_>) -> Result<(), Error> {
        Ok(())
    }
}

/// Where `chain` leads at `now`, and whether an authority on a way to a trusted root may issue for some
/// names alone. Dates of the server's own certificate are told apart from that: if
/// it is not valid now, its chain is judged as of the nearest time at which it was.
pub(super) fn trust(
    chain: &[Vec<u8>],
    anchors: &[TrustAnchor<'static>],
    now: DateTime<Utc>,
) -> (Trust, bool) {
    let Some((own, others)) = chain.split_first() else {
        return (Trust::Unreadable, false);
    };
    let Some(leaf) = Leaf::read(own) else {
        return (Trust::Unfollowed(Limit::Other), false);
    };
    let at = now.min(leaf.not_after).max(leaf.not_before);
    let seconds = u64::try_from(at.timestamp()).unwrap_or(0);
    let at = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    let own = CertificateDer::from(own.as_slice());
    let others: Vec<_> = others
        .iter()
        .map(|der| CertificateDer::from(der.as_slice()))
        .collect();
    let own = match EndEntityCert::try_from(&own) {
        Ok(own) => own,
        Err(error) => return (reason(&error, &leaf, chain, anchors), false),
    };
    let any = own.verify_for_usage(ACCEPTED, anchors, &others, at, AnyPurpose, None, None);
    if let Err(error) = any {
        return (reason(&error, &leaf, chain, anchors), false);
    }
    let usage = KeyUsage::server_auth();
    match own.verify_for_usage(ACCEPTED, anchors, &others, at, usage, None, None) {
        Ok(path) => (Trust::Root, is_constrained(&path)),
        Err(_) => (Trust::Purpose, false),
    }
}

/// Whether an authority of the path has name constraints, or what may be some and cannot be read.
fn is_constrained(path: &VerifiedPath<'_>) -> bool {
    let mut between = path.intermediate_certificates();
    path.anchor().name_constraints.is_some()
        || between.any(|authority| {
            let der = authority.der();
            let read = X509Certificate::from_der(&der);
            read.map_or(true, |(_, read)| {
                !matches!(read.name_constraints(), Ok(None))
            })
        })
}

fn reason(
    error: &Error,
    leaf: &Leaf,
    chain: &[Vec<u8>],
    anchors: &[TrustAnchor<'static>],
) -> Trust {
    match error {
        Error::UnknownIssuer | Error::CaUsedAsEndEntity if leaf.is_self_issued() => {
            Trust::SelfSigned
        }
        Error::CaUsedAsEndEntity => Trust::Unfollowed(Limit::Authority),
        Error::NameConstraintViolation if limits_directory_names(chain, anchors) => {
            Trust::Unfollowed(Limit::Constraint)
        }
        Error::UnknownIssuer => loose_end(leaf, chain),
        Error::CertExpired { .. } => Trust::IssuerExpired,
        Error::CertNotValidYet { .. } => Trust::IssuerNotYetValid,
        Error::UnsupportedSignatureAlgorithmContext(_)
        | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => {
            weak(leaf, chain).unwrap_or(Trust::Unfollowed(Limit::Signature))
        }
        Error::InvalidSignatureForPublicKey if short_key(chain).is_some() => {
            Trust::ShortKey(short_key(chain).unwrap_or(0))
        }
        Error::InvalidSignatureForPublicKey | Error::PathLenConstraintViolated
            if has_new_key(chain) =>
        {
            Trust::Unfollowed(Limit::Namesakes)
        }
        Error::InvalidSignatureForPublicKey if has_false_root(chain, anchors) => Trust::UnknownRoot,
        Error::InvalidSignatureForPublicKey | Error::SignatureAlgorithmMismatch => Trust::Signature,
        Error::EndEntityUsedAsCa
        | Error::NameConstraintViolation
        | Error::PathLenConstraintViolated
        | Error::CertDistrusted => Trust::NotPermitted,
        Error::UnsupportedCriticalExtension => {
            let name = chain.iter().find_map(|der| leaf::unknown_critical(der));
            Trust::Unfollowed(name.map_or(Limit::Other, Limit::Extension))
        }
        _ => Trust::Unfollowed(Limit::Other),
    }
}

/// The first signature on the way that is made with a hash that is no longer accepted. That of a root
/// counts for nothing.
fn weak(leaf: &Leaf, chain: &[Vec<u8>]) -> Option<Trust> {
    if let Some(hash) = leaf.weak_hash {
        return Some(Trust::Weak { hash, own: true });
    }
    let above = chain.iter().skip(1).filter_map(|der| Leaf::read(der));
    let mut above = above.filter(|above| !above.is_self_issued());
    let hash = above.find_map(|above| above.weak_hash)?;
    Some(Trust::Weak { hash, own: false })
}

/// The size of the shortest RSA key of an authority, if it is too short.
fn short_key(chain: &[Vec<u8>]) -> Option<usize> {
    let above = chain.iter().skip(1).filter_map(|der| Leaf::read(der));
    above.filter_map(|above| above.short_key).min()
}

/// Whether an authority has issued a certificate to its own name, for a new key.
fn has_new_key(chain: &[Vec<u8>]) -> bool {
    let is_one = |der: &Vec<u8>| {
        let read = Leaf::read(der).filter(Leaf::is_self_issued);
        let own = read.and_then(|_| X509::from_der(der).ok());
        own.is_some_and(|own| {
            let verified = own.public_key().and_then(|key| own.verify(&key));
            !verified.unwrap_or(false)
        })
    };
    chain.iter().skip(1).any(is_one)
}

/// Whether an authority that was sent, or a root, has name constraints of the kind `directoryName`.
fn limits_directory_names(chain: &[Vec<u8>], anchors: &[TrustAnchor<'static>]) -> bool {
    // A subtree begins with its own tag and length; then comes the tag of the kind, 4.
    let has = |der: &[u8]| {
        let mut parts = der.windows(3);
        parts.any(|part| matches!(part, [0x30, _, 0xa4]))
    };
    let sent = chain.iter().skip(1).any(|der| {
        let read = X509Certificate::from_der(der);
        read.is_ok_and(|(_, read)| {
            let mut all = read.extensions().iter();
            all.any(|it| it.oid == OID_X509_EXT_NAME_CONSTRAINTS && has(it.value))
        })
    });
    let mut roots = anchors
        .iter()
        .filter_map(|root| root.name_constraints.as_ref());
    sent || roots.any(|der| has(der))
}

/// Whether a root was sent that has the name of a trusted one, and another key.
fn has_false_root(chain: &[Vec<u8>], anchors: &[TrustAnchor<'static>]) -> bool {
    chain.iter().skip(1).any(|der| {
        let sent = CertificateDer::from(der.as_slice());
        let sent = anchor_from_trusted_cert(&sent);
        let is_false = |sent: &TrustAnchor<'_>, known: &TrustAnchor<'_>| {
            sent.subject == known.subject
                && sent.subject_public_key_info != known.subject_public_key_info
        };
        Leaf::read(der).is_some_and(|read| read.is_self_issued())
            && sent.is_ok_and(|sent| anchors.iter().any(|known| is_false(&sent, known)))
    })
}

/// Whether the chain ends at a root, or just ends.
fn loose_end(leaf: &Leaf, chain: &[Vec<u8>]) -> Trust {
    let sent: Vec<_> = chain.iter().filter_map(|der| Leaf::read(der)).collect();
    let mut issuer = &leaf.issuer_der;
    // No further than there are certificates: they may go round in a circle.
    for _ in &sent {
        match sent.iter().find(|above| above.subject_der == *issuer) {
            Some(above) if above.is_self_issued() => return Trust::UnknownRoot,
            Some(above) => issuer = &above.issuer_der,
            None => break,
        }
    }
    Trust::Incomplete { sent: chain.len() }
}
