//! The Access Edges of the demonstration: TLS servers on port 5061 of loopback addresses.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    pin::Pin,
};

use openssl::{
    asn1::Asn1Time,
    bn::BigNum,
    ec::{EcGroup, EcKey},
    error::ErrorStack,
    hash::MessageDigest,
    nid::Nid,
    pkey::{PKey, Private},
    ssl::{Ssl, SslAcceptor, SslMethod},
    x509::{
        X509, X509Builder, X509NameBuilder,
        extension::{BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName},
    },
};
use tokio::{
    io::AsyncReadExt as _,
    net::{TcpListener, TcpStream},
};
use tokio_openssl::SslStream;

/// A day, in seconds.
const DAY: i64 = 24 * 60 * 60;

/// What an Access Edge shows to those who connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shows {
    /// A certificate that is right.
    Right,
    /// One for another name.
    WrongName,
    /// One that was right until so many days ago.
    Expired(i64),
    /// One that it has signed itself.
    OwnSignature,
    /// Nothing: it does not answer.
    Nothing,
}

/// A certificate authority of the demonstration's own.
#[derive(Debug)]
pub struct Authority {
    certificate: X509,
    key: PKey<Private>,
}

impl Authority {
    /// A new one.
    ///
    /// # Errors
    ///
    /// Those of OpenSSL.
    pub fn new() -> io::Result<Self> {
        let key = new_key()?;
        let mut builder = begin("Demonstration authority", &key, (400, 400))?;
        builder.append_extension(BasicConstraints::new().critical().ca().build()?)?;
        builder.append_extension(KeyUsage::new().critical().key_cert_sign().build()?)?;
        builder.sign(&key, MessageDigest::sha256())?;
        Ok(Self {
            certificate: builder.build(),
            key,
        })
    }

    /// Its certificate, as PEM.
    ///
    /// # Errors
    ///
    /// Those of OpenSSL.
    pub fn pem(&self) -> io::Result<Vec<u8>> {
        Ok(self.certificate.to_pem()?)
    }

    fn issue(&self, domain: &str, shows: Shows) -> Result<(X509, PKey<Private>), ErrorStack> {
        let named = match shows {
            Shows::WrongName => format!("mail.{domain}"),
            _ => format!("sip.{domain}"),
        };
        let valid = match shows {
            Shows::Expired(ago) => (60, -ago),
            _ => (60, 330),
        };
        let key = new_key()?;
        let mut builder = begin(&named, &key, valid)?;
        let alternative = SubjectAlternativeName::new()
            .dns(&named)
            .build(&builder.x509v3_context(Some(&self.certificate), None))?;
        builder.append_extension(alternative)?;
        let usage = ExtendedKeyUsage::new()
            .server_auth()
            .client_auth()
            .build()?;
        builder.append_extension(usage)?;
        if shows == Shows::OwnSignature {
            builder.sign(&key, MessageDigest::sha256())?;
        } else {
            builder.set_issuer_name(self.certificate.subject_name())?;
            builder.sign(&self.key, MessageDigest::sha256())?;
        }
        Ok((builder.build(), key))
    }
}

fn new_key() -> Result<PKey<Private>, ErrorStack> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
    PKey::from_ec_key(EcKey::generate(&group)?)
}

/// A certificate for `named`, issued by itself, valid from so many days ago for so many days from now.
fn begin(
    named: &str,
    key: &PKey<Private>,
    (since, until): (i64, i64),
) -> Result<X509Builder, ErrorStack> {
    let mut name = X509NameBuilder::new()?;
    name.append_entry_by_nid(Nid::COMMONNAME, named)?;
    let name = name.build();
    let now = crate::clock::Clock::system().now().timestamp();
    let mut builder = X509::builder()?;
    builder.set_version(2)?;
    let mut serial = BigNum::new()?;
    serial.pseudo_rand(120, openssl::bn::MsbOption::MAYBE_ZERO, false)?;
    let serial = serial.to_asn1_integer()?;
    builder.set_serial_number(&serial)?;
    builder.set_subject_name(&name)?;
    builder.set_issuer_name(&name)?;
    builder.set_pubkey(key)?;
    let (since, until) = (
        Asn1Time::from_unix(now - since * DAY)?,
        Asn1Time::from_unix(now + until * DAY)?,
    );
    builder.set_not_before(&since)?;
    builder.set_not_after(&until)?;
    Ok(builder)
}

/// Starts the edge of `domain`, and tells its address, the `number`th of this process. It runs as long as the
/// process.
///
/// # Errors
///
/// Those of listening and of OpenSSL.
pub async fn start(
    number: u8,
    domain: &str,
    shows: Shows,
    authority: &Authority,
) -> io::Result<Ipv4Addr> {
    // Two demonstrations may run at a time.
    let process = u8::try_from(std::process::id() % 250).unwrap_or_default();
    let address = Ipv4Addr::new(127, 51, process, number);
    if shows == Shows::Nothing {
        return Ok(address);
    }
    let (certificate, key) = authority.issue(domain, shows)?;
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls())?;
    acceptor.set_certificate(&certificate)?;
    acceptor.set_private_key(&key)?;
    let acceptor = acceptor.build();
    let listener = TcpListener::bind(SocketAddr::from((address, 5061))).await?;
    tokio::spawn(async move {
        loop {
            // An error is of one client, which connects again.
            if let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, acceptor.clone()));
            }
        }
    });
    Ok(address)
}

/// Completes the handshake, and waits until the client goes.
async fn answer(stream: TcpStream, acceptor: SslAcceptor) -> io::Result<()> {
    let mut stream = SslStream::new(Ssl::new(acceptor.context())?, stream)?;
    Pin::new(&mut stream)
        .accept()
        .await
        .map_err(io::Error::other)?;
    while stream.read_u8().await.is_ok() {}
    Ok(())
}
