//! The roots that certificates have to lead to.

use std::{fs, io, path::Path};

use rustls_pki_types::{CertificateDer, TrustAnchor, pem::PemObject as _};
use webpki::anchor_from_trusted_cert;

/// Why the roots to trust cannot be taken from a file.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// It cannot be read.
    #[error("the file of trusted roots cannot be read: {0}")]
    File(#[source] io::Error),
    /// There is PEM in it, and it is broken.
    #[error("the file of trusted roots is not well-formed PEM")]
    Pem,
    /// There is no certificate in it.
    #[error("the file of trusted roots has no PEM certificate (BEGIN CERTIFICATE) in it")]
    Empty,
    /// What stands there as a certificate is none.
    #[error("certificate {0} in the file of trusted roots cannot be read")]
    Certificate(usize),
    /// The library that speaks TLS does not start.
    #[error("OpenSSL cannot be used: {0}")]
    Library(#[from] openssl::error::ErrorStack),
}

/// The roots of Mozilla, as they were when this was built.
pub(super) fn public() -> Vec<TrustAnchor<'static>> {
    webpki_roots::TLS_SERVER_ROOTS.to_vec()
}

/// Those in a PEM file.
pub(super) fn of_file(path: &Path) -> Result<Vec<TrustAnchor<'static>>, TlsError> {
    let text = fs::read(path).map_err(TlsError::File)?;
    let mut roots = Vec::new();
    for (place, root) in CertificateDer::pem_slice_iter(&text).enumerate() {
        let root = root.map_err(|_| TlsError::Pem)?;
        let anchor =
            anchor_from_trusted_cert(&root).map_err(|_| TlsError::Certificate(place + 1))?;
        roots.push(anchor.to_owned());
    }
    if roots.is_empty() {
        return Err(TlsError::Empty);
    }
    Ok(roots)
}
