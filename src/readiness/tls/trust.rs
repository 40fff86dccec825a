//! Where does a chain of certificates lead?

use std::time::Duration;

use chrono::{DateTime, Utc};
use rustls::pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{
    EndEntityCert, Error, ExtendedKeyUsageValidator, KeyPurposeIdIter, KeyUsage, VerifiedPath,
    anchor_from_trusted_cert,
};
use x509_parser::{certificate::X509Certificate, prelude::FromDer as _};

use super::{Leaf, roots::Roots};

/// Where the chain leads that a server sent, whatever its names and the dates of its own
/// certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// Past a signature of a kind that is not accepted, such as SHA-1.
    Algorithm,
    /// Past a signature that does not fit.
    Signature,
    /// Past two authorities of one name, and not by the one nor by the other. webpki counts a
    /// certificate that an authority issued to its own name as one more step, which RFC 5280, 6.1.4,
    /// does not: so such a chain may be right and is still not followed.
    SameName,
    /// Past a certificate that was not made for servers.
    Purpose,
    /// Nowhere: the certificate is that of an authority, not of a server.
    Authority,
    /// Past an authority that may not issue it.
    NotPermitted,
    /// Nowhere: the server's own certificate cannot be read.
    Unreadable,
    /// Nowhere, for another reason.
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
pub(super) fn trust(chain: &[Vec<u8>], roots: &Roots, now: DateTime<Utc>) -> (Trust, bool) {
    let Some((own, others)) = chain.split_first() else {
        return (Trust::Unreadable, false);
    };
    let Some(leaf) = Leaf::read(own) else {
        return (Trust::Unreadable, false);
    };
    let at = now.min(leaf.not_after).max(leaf.not_before);
    let seconds = u64::try_from(at.timestamp()).unwrap_or(0);
    let at = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    let own = CertificateDer::from(own.as_slice());
    let others: Vec<_> = others
        .iter()
        .map(|der| CertificateDer::from(der.as_slice()))
        .collect();
    let algorithms = roots.provider.signature_verification_algorithms.all;
    let anchors = &roots.store.roots;
    let Ok(own) = EndEntityCert::try_from(&own) else {
        return (Trust::Unreadable, false);
    };
    let any = own.verify_for_usage(algorithms, anchors, &others, at, AnyPurpose, None, None);
    if let Err(error) = any {
        return (reason(&error, &leaf, chain, anchors), false);
    }
    let usage = KeyUsage::server_auth();
    match own.verify_for_usage(algorithms, anchors, &others, at, usage, None, None) {
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
        Error::CaUsedAsEndEntity => Trust::Authority,
        Error::UnknownIssuer => loose_end(leaf, chain),
        Error::CertExpired { .. } => Trust::IssuerExpired,
        Error::CertNotValidYet { .. } => Trust::IssuerNotYetValid,
        Error::UnsupportedSignatureAlgorithmContext(_)
        | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => Trust::Algorithm,
        Error::InvalidSignatureForPublicKey if has_namesakes(chain, anchors) => Trust::SameName,
        Error::InvalidSignatureForPublicKey | Error::SignatureAlgorithmMismatch => Trust::Signature,
        Error::EndEntityUsedAsCa
        | Error::NameConstraintViolation
        | Error::PathLenConstraintViolated
        | Error::CertDistrusted => Trust::NotPermitted,
        _ => Trust::Other,
    }
}

/// Whether two authorities of one name and of different keys are among those that were sent and the
/// trusted roots. Then a signature that does not fit the one says nothing of the other.
fn has_namesakes(chain: &[Vec<u8>], anchors: &[TrustAnchor<'static>]) -> bool {
    let sent = chain.iter().skip(1);
    let sent = sent.filter_map(|der| {
        anchor_from_trusted_cert(&CertificateDer::from(der.as_slice()))
            .ok()
            .map(|of| of.to_owned())
    });
    let sent: Vec<_> = sent.collect();
    sent.iter().any(|one| {
        sent.iter().chain(anchors).any(|other| {
            one.subject == other.subject
                && one.subject_public_key_info != other.subject_public_key_info
        })
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
