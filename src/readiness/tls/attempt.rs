//! What does one address do when a handshake is begun?

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, OnceLock},
    time::Duration,
};

use chrono::{DateTime, Utc};
use rustls::{
    AlertDescription, ClientConfig, DigitallySignedStruct, Error, InvalidMessage, PeerIncompatible,
    SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use tokio::{
    io::AsyncWriteExt as _,
    net::TcpStream,
    time::{Instant, timeout_at},
};
use tokio_rustls::TlsConnector;

use super::{Failure, PORT, Shown, Version, bounded::Bounded, roots::Roots, trust::trust};
use crate::names::AccessEdge;

/// What an address did instead of showing a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// Nobody listens.
    Refused,
    /// No way leads there.
    NoRoute,
    /// No answer to the attempt to connect.
    NoAnswer,
    /// It could not be connected to for another reason.
    NoConnection,
    /// Connected, then closed without a word.
    Hung,
    /// Connected, then not a word.
    Silent,
    /// It says something, and that is not TLS.
    NotTls,
    /// It speaks versions of TLS or SSL only that are not safe.
    OldTls,
    /// It refuses, with an alert of this number (RFC 8446, 6).
    Alert(u8),
    /// It has nothing in common with what is safe.
    Incompatible,
    /// It begins a handshake and closes in the middle.
    Closed,
    /// It begins a handshake and does not go on.
    Stalled,
    /// It breaks the rules of TLS.
    Broken,
}

/// One address and how long it may take.
pub(super) struct Attempt<'a> {
    pub(super) roots: &'a Roots,
    pub(super) edge: &'a AccessEdge,
    pub(super) address: IpAddr,
    pub(super) now: DateTime<Utc>,
    pub(super) connect: Duration,
    pub(super) deadline: Instant,
}

impl Attempt<'_> {
    /// Shakes hands until the certificate is there, or why it is not.
    pub(super) async fn run(self) -> Result<Shown, Failure> {
        let witness = Arc::new(Witness::new(self.roots));
        let outcome = match self.connect().await {
            Ok(stream) => self.shake(stream, &witness).await,
            Err(outcome) => outcome,
        };
        let testimony = witness.testify(self.address, self.roots, self.now);
        testimony.ok_or(Failure {
            address: self.address,
            outcome,
        })
    }

    async fn connect(&self) -> Result<TcpStream, Outcome> {
        let deadline = self.deadline.min(Instant::now() + self.connect);
        let connecting = TcpStream::connect(SocketAddr::new(self.address, PORT));
        match timeout_at(deadline, connecting).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(match error.kind() {
                io::ErrorKind::ConnectionRefused => Outcome::Refused,
                io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => {
                    Outcome::NoRoute
                }
                io::ErrorKind::TimedOut => Outcome::NoAnswer,
                io::ErrorKind::ConnectionReset => Outcome::Hung,
                _ => Outcome::NoConnection,
            }),
            Err(_) => Err(Outcome::NoAnswer),
        }
    }

    /// Shakes hands; what is said counts only where the witness has nothing to tell.
    async fn shake(&self, stream: TcpStream, witness: &Arc<Witness>) -> Outcome {
        let builder = ClientConfig::builder_with_provider(Arc::new(self.roots.provider.clone()));
        let Ok(builder) = builder.with_safe_default_protocol_versions() else {
            return Outcome::Incompatible;
        };
        let verifier: Arc<dyn ServerCertVerifier> = Arc::clone(witness) as _;
        let mut config = builder
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        // A session that goes on shows no certificate.
        config.resumption = Resumption::disabled();
        let name = ServerName::try_from(self.edge.as_str().to_owned())
            .unwrap_or_else(|_| self.address.into());
        let mut stream = Bounded::new(stream);
        let handshake = async {
            let mut tls = TlsConnector::from(Arc::new(config))
                .connect(name, &mut stream)
                .await?;
            tls.shutdown().await
        };
        let ended = timeout_at(self.deadline, handshake).await;
        match ended {
            _ if !stream.began_as_tls() => Outcome::NotTls,
            Err(_) if stream.so_far() == 0 => Outcome::Silent,
            Err(_) => Outcome::Stalled,
            // It cannot be done without a certificate.
            Ok(Ok(())) => Outcome::Broken,
            Ok(Err(error)) => fault(&error, stream.so_far()),
        }
    }
}

/// What a failed handshake says about the peer.
fn fault(error: &io::Error, read: usize) -> Outcome {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    match inner {
        Some(
            Error::AlertReceived(AlertDescription::ProtocolVersion)
            | Error::PeerIncompatible(
                PeerIncompatible::ServerDoesNotSupportTls12Or13
                | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
            ),
        ) => Outcome::OldTls,
        Some(Error::AlertReceived(alert)) => Outcome::Alert(u8::from(*alert)),
        Some(Error::PeerIncompatible(_)) => Outcome::Incompatible,
        Some(Error::InvalidMessage(
            InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion,
        )) => Outcome::NotTls,
        Some(_) => Outcome::Broken,
        None if error.kind() == io::ErrorKind::QuotaExceeded => Outcome::Broken,
        None if read == 0 => Outcome::Hung,
        None => Outcome::Closed,
    }
}

/// Lets every chain pass and remembers it; holds the peer to the proof that it has the key.
#[derive(Debug)]
struct Witness {
    algorithms: WebPkiSupportedAlgorithms,
    seen: OnceLock<Vec<Vec<u8>>>,
    proof: OnceLock<(Version, bool)>,
}

impl Witness {
    fn new(roots: &Roots) -> Self {
        Self {
            algorithms: roots.provider.signature_verification_algorithms,
            seen: OnceLock::new(),
            proof: OnceLock::new(),
        }
    }

    /// What was seen, if a certificate was.
    fn testify(&self, address: IpAddr, roots: &Roots, now: DateTime<Utc>) -> Option<Shown> {
        let chain = self.seen.get()?;
        let (version, proven) = *self.proof.get()?;
        let (trust, constrained) = trust(chain, roots, now);
        Some(Shown {
            address,
            version,
            chain: chain.clone(),
            proven,
            trust,
            constrained,
        })
    }

    fn note(
        &self,
        version: Version,
        proof: Result<HandshakeSignatureValid, Error>,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.proof.get_or_init(|| (version, proof.is_ok()));
        proof
    }
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let chain = std::iter::once(own).chain(others);
        let chain = chain.map(|der| der.to_vec()).collect();
        self.seen.get_or_init(|| chain);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let proof = verify_tls12_signature(message, own, signed, &self.algorithms);
        self.note(Version::Tls12, proof)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let proof = verify_tls13_signature(message, own, signed, &self.algorithms);
        self.note(Version::Tls13, proof)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
