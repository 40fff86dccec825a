//! Serves a certificate as a release of Windows Server does, through OpenSSL.
//!
//! Suites in the vendor's order ("Cipher Suites in TLS/SSL (Schannel SSP)", learn.microsoft.com), without
//! those that OpenSSL no longer has (RC4, 3DES) and those of DSS.

use std::{io, pin::pin};

use openssl::{
    pkey::PKey,
    ssl::{Ssl, SslContext, SslMethod, SslOptions, SslVerifyMode, SslVersion},
    x509::X509,
};
use tokio::net::TcpStream;
use tokio_openssl::SslStream;

use super::Issued;

/// What a server speaks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Release {
    pub(crate) name: &'static str,
    /// The oldest and the newest version.
    pub(crate) versions: (SslVersion, SslVersion),
    /// In the order in which it prefers them.
    pub(crate) suites: &'static str,
    /// Those of TLS 1.3, where they are not OpenSSL's.
    pub(crate) suites_13: Option<&'static str>,
    pub(crate) groups: &'static str,
    /// What it signs with, where it is not all that OpenSSL has.
    pub(crate) signs: Option<&'static str>,
    /// Whether it wants a certificate in return, and resets when there is none.
    pub(crate) mutual: bool,
}

impl Release {
    /// The same, which wants a certificate in return.
    pub(crate) fn mutual(self) -> Self {
        Self {
            mutual: true,
            ..self
        }
    }
}

/// As it was installed: TLS 1.0 alone, and RSA key exchange first.
pub(crate) const WINDOWS_2008_R2: Release = Release {
    name: "Windows Server 2008 R2",
    versions: (SslVersion::TLS1, SslVersion::TLS1),
    suites: "AES128-SHA:AES256-SHA:ECDHE-RSA-AES128-SHA:ECDHE-RSA-AES256-SHA:ECDHE-ECDSA-AES128-SHA:\
             ECDHE-ECDSA-AES256-SHA",
    suites_13: None,
    groups: "P-256:P-384:P-521",
    signs: None,
    mutual: false,
};

/// The same with TLS 1.2 switched on, before the update that put ECDHE first (KB 3042058).
pub(crate) const WINDOWS_2008_R2_TLS_12: Release = Release {
    name: "Windows Server 2008 R2 with TLS 1.2",
    versions: (SslVersion::TLS1, SslVersion::TLS1_2),
    suites: "AES128-SHA256:AES128-SHA:AES256-SHA256:AES256-SHA:ECDHE-RSA-AES128-SHA256:\
             ECDHE-RSA-AES128-SHA:ECDHE-RSA-AES256-SHA:ECDHE-ECDSA-AES128-GCM-SHA256:\
             ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-GCM-SHA384:\
             ECDHE-ECDSA-AES256-SHA384:ECDHE-ECDSA-AES256-SHA",
    ..WINDOWS_2008_R2
};

pub(crate) const WINDOWS_2012_R2: Release = Release {
    name: "Windows Server 2012 R2",
    suites: "ECDHE-RSA-AES256-SHA384:ECDHE-RSA-AES128-SHA256:ECDHE-RSA-AES256-SHA:ECDHE-RSA-AES128-SHA:\
             DHE-RSA-AES256-GCM-SHA384:DHE-RSA-AES128-GCM-SHA256:AES256-GCM-SHA384:AES128-GCM-SHA256:\
             AES256-SHA256:AES128-SHA256:AES256-SHA:AES128-SHA:ECDHE-ECDSA-AES256-GCM-SHA384:\
             ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-SHA384:ECDHE-ECDSA-AES128-SHA256:\
             ECDHE-ECDSA-AES256-SHA:ECDHE-ECDSA-AES128-SHA",
    ..WINDOWS_2008_R2_TLS_12
};

pub(crate) const WINDOWS_2016: Release = Release {
    name: "Windows Server 2016",
    suites: "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384:\
             ECDHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384:DHE-RSA-AES128-GCM-SHA256:\
             ECDHE-ECDSA-AES256-SHA384:ECDHE-ECDSA-AES128-SHA256:ECDHE-RSA-AES256-SHA384:\
             ECDHE-RSA-AES128-SHA256:ECDHE-ECDSA-AES256-SHA:ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES256-SHA:\
             ECDHE-RSA-AES128-SHA:AES256-GCM-SHA384:AES128-GCM-SHA256:AES256-SHA256:AES128-SHA256:\
             AES256-SHA:AES128-SHA",
    groups: "X25519:P-256:P-384",
    ..WINDOWS_2012_R2
};

/// TLS 1.3 came with 2022.
pub(crate) const WINDOWS_2019: Release = Release {
    name: "Windows Server 2019",
    suites: "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384:\
             ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-SHA384:ECDHE-ECDSA-AES128-SHA256:\
             ECDHE-RSA-AES256-SHA384:ECDHE-RSA-AES128-SHA256:ECDHE-ECDSA-AES256-SHA:\
             ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES256-SHA:ECDHE-RSA-AES128-SHA:AES256-GCM-SHA384:\
             AES128-GCM-SHA256:AES256-SHA256:AES128-SHA256:AES256-SHA:AES128-SHA",
    ..WINDOWS_2016
};

fn context(release: Release, issued: &Issued) -> Result<SslContext, openssl::error::ErrorStack> {
    let mut context = SslContext::builder(SslMethod::tls_server())?;
    context.set_security_level(0);
    context.set_min_proto_version(Some(release.versions.0))?;
    context.set_max_proto_version(Some(release.versions.1))?;
    context.set_cipher_list(release.suites)?;
    if let Some(suites) = release.suites_13 {
        context.set_ciphersuites(suites)?;
    }
    context.set_groups_list(release.groups)?;
    context.set_options(SslOptions::CIPHER_SERVER_PREFERENCE);
    if let Some(signs) = release.signs {
        context.set_sigalgs_list(signs)?;
    }
    if release.mutual {
        context.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
    }
    let (own, above) = issued.chain.split_first().expect("a certificate");
    context.set_certificate(X509::from_der(own)?.as_ref())?;
    for certificate in above {
        context.add_extra_chain_cert(X509::from_der(certificate)?)?;
    }
    let key = PKey::private_key_from_der(issued.key.secret_der())?;
    context.set_private_key(&key)?;
    Ok(context.build())
}

/// Shakes hands, and resets where it is not content.
pub(super) async fn shake(stream: TcpStream, release: Release, issued: &Issued) -> io::Result<()> {
    let context = context(release, issued).expect("a server");
    let mut tls = pin!(SslStream::new(Ssl::new(&context)?, stream)?);
    if tls.as_mut().accept().await.is_err() {
        return tls.get_ref().set_zero_linger();
    }
    tokio::io::copy(&mut tls, &mut tokio::io::sink()).await?;
    Ok(())
}
