//! Whom do certificates have to lead to?

use std::{fs, io, path::Path};

use rustls::{
    RootCertStore,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, pem::PemObject as _},
};

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
}

/// The roots that are trusted, and the cryptography to get there.
#[derive(Debug)]
pub(super) struct Roots {
    pub(super) store: RootCertStore,
    pub(super) provider: CryptoProvider,
}

impl Roots {
    /// Those of Mozilla, as they were when this was built.
    pub(super) fn public() -> Self {
        Self::new(webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect())
    }

    /// Those in a PEM file.
    pub(super) fn of_file(path: &Path) -> Result<Self, TlsError> {
        let text = fs::read(path).map_err(TlsError::File)?;
        let mut store = RootCertStore::empty();
        for (place, root) in CertificateDer::pem_slice_iter(&text).enumerate() {
            let root = root.map_err(|_| TlsError::Pem)?;
            let added = store.add(root);
            added.map_err(|_| TlsError::Certificate(place + 1))?;
        }
        if store.is_empty() {
            return Err(TlsError::Empty);
        }
        Ok(Self::new(store))
    }

    fn new(store: RootCertStore) -> Self {
        Self {
            store,
            provider: ring::default_provider(),
        }
    }
}
