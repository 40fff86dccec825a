//! Shakes hands with one address until it has shown its certificate.

use std::{
    io,
    net::{IpAddr, SocketAddr, UdpSocket},
    pin::pin,
    time::Duration,
};

use chrono::{DateTime, Utc};
use nix::errno::Errno;
use openssl::ssl::{self, Ssl, SslContext, SslRef, SslVersion};
use rustls_pki_types::TrustAnchor;
use tokio::{
    io::AsyncWriteExt as _,
    net::TcpStream,
    time::{Instant, timeout_at},
};
use tokio_openssl::SslStream;

use super::{
    super::net::is_global,
    Failure, PORT, Proof, Shown, Suite, Version,
    bounded::Bounded,
    sip::{Identity, Sip},
    trust::trust,
};
use crate::names::AccessEdge;

/// What an address did instead of showing a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It cannot be looked at from this machine, which has no way to such addresses at all, or lacks
    /// something else. That says nothing about the address.
    NotFromHere,
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
    /// It speaks no version of TLS that is known here.
    OldTls,
    /// It refuses, with an alert of this number (RFC 8446, 6).
    Alert(u8),
    /// It begins a handshake and closes in the middle.
    Closed,
    /// It begins a handshake and does not go on.
    Stalled,
    /// The handshake cannot be brought to an end.
    Broken,
}

/// How a handshake ended.
#[derive(Clone, Copy)]
enum End {
    Done,
    /// Its signature does not fit its certificate.
    FalseProof,
    /// Its certificate is none.
    Unreadable,
    Otherwise(Outcome),
}

impl End {
    /// What a handshake that came to this end, after the server was shown a certificate, says about SIP.
    const fn refusal(self) -> Option<Sip> {
        match self {
            Self::Otherwise(Outcome::Alert(number)) => Some(Sip::Refused(Some(number))),
            Self::Otherwise(Outcome::Closed | Outcome::Hung) => Some(Sip::Refused(None)),
            Self::Otherwise(Outcome::Stalled) => Some(Sip::NoAnswer),
            _ => None,
        }
    }
}

/// One address and how long it may take.
pub(super) struct Attempt<'a> {
    pub(super) context: &'a SslContext,
    pub(super) roots: &'a [TrustAnchor<'static>],
    pub(super) edge: &'a AccessEdge,
    /// Who asks by SIP after the handshake, if anybody; then the context has its certificate.
    pub(super) asker: Option<&'a Identity>,
    pub(super) address: IpAddr,
    pub(super) now: DateTime<Utc>,
    pub(super) connect: Duration,
    pub(super) deadline: Instant,
}

impl Attempt<'_> {
    /// Shakes hands until the certificate is there, or says why it is not.
    pub(super) async fn run(self) -> Result<Shown, Failure> {
        let shown = match self.connect().await {
            Ok(stream) => self.shake(stream).await,
            Err(outcome) => Err(outcome),
        };
        shown.map_err(|outcome| Failure {
            address: self.address,
            outcome,
        })
    }

    async fn connect(&self) -> Result<TcpStream, Outcome> {
        let deadline = self.deadline.min(Instant::now() + self.connect);
        let connecting = TcpStream::connect(SocketAddr::new(self.address, PORT));
        match timeout_at(deadline, connecting).await {
            Ok(connected) => connected.map_err(|error| self.unconnected(&error)),
            Err(_) => Err(self.unanswered()),
        }
    }

    fn unconnected(&self, error: &io::Error) -> Outcome {
        match Errno::from_raw(error.raw_os_error().unwrap_or(0)) {
            Errno::ECONNREFUSED => Outcome::Refused,
            // A router on the way says that it has no route (RFC 4443, 3.1). Where IPv6 leads no further than
            // the next router, which is frequent, that is the answer for every address.
            Errno::ENETUNREACH if self.address.is_ipv6() => Outcome::NotFromHere,
            Errno::ENETUNREACH | Errno::EHOSTUNREACH if self.leads_somewhere() => Outcome::NoRoute,
            Errno::ENETUNREACH
            | Errno::EHOSTUNREACH
            | Errno::EADDRNOTAVAIL
            | Errno::EAFNOSUPPORT
            | Errno::EACCES
            | Errno::EPERM
            | Errno::EMFILE
            | Errno::ENFILE
            | Errno::ENOBUFS
            | Errno::ENOMEM => Outcome::NotFromHere,
            Errno::ETIMEDOUT => self.unanswered(),
            Errno::ECONNRESET => Outcome::Hung,
            _ => Outcome::NoConnection,
        }
    }

    /// What it means that no answer came to the attempt to connect.
    fn unanswered(&self) -> Outcome {
        if self.leads_somewhere() {
            Outcome::NoAnswer
        } else {
            Outcome::NotFromHere
        }
    }

    /// Whether this machine has a way to the address, by its own tables: nothing is sent.
    fn leads_somewhere(&self) -> bool {
        let any: SocketAddr = match self.address {
            IpAddr::V4(_) => ([0; 4], 0).into(),
            IpAddr::V6(_) => ([0; 16], 0).into(),
        };
        let own = UdpSocket::bind(any).and_then(|socket| {
            socket.connect((self.address, PORT))?;
            socket.local_addr()
        });
        own.is_ok_and(|own| gets_an_answer(own.ip(), self.address))
    }

    /// Shakes hands, and tells what there was to see.
    async fn shake(&self, stream: TcpStream) -> Result<Shown, Outcome> {
        let ssl = Ssl::new(self.context).and_then(|mut ssl| {
            ssl.set_hostname(self.edge.as_str())?;
            SslStream::new(ssl, Bounded::new(stream))
        });
        let mut tls = pin!(ssl.map_err(|_| Outcome::NotFromHere)?);
        let ended = timeout_at(self.deadline, tls.as_mut().connect()).await;
        let read = tls.get_ref().so_far();
        let asked = tls.get_ref().asked();
        let mut sip = None;
        let end = match ended {
            Ok(Ok(())) => {
                if let Some(asker) = self.asker {
                    let stream = &mut tls.as_mut();
                    sip = Some(asker.ask(self.edge, stream, asked, self.deadline).await);
                }
                // What it makes of the farewell is its own affair.
                drop(timeout_at(self.deadline, tls.shutdown()).await);
                End::Done
            }
            Ok(Err(error)) => end(&error, read),
            Err(_) if read == 0 => End::Otherwise(Outcome::Silent),
            Err(_) => End::Otherwise(Outcome::Stalled),
        };
        let seen = self.seen(tls.ssl(), tls.get_ref(), end);
        seen.map(|shown| Shown {
            sip: sip.or_else(|| end.refusal().filter(|_| asked && self.asker.is_some())),
            ..shown
        })
    }

    /// What there is to see after a handshake came to this end.
    fn seen<S>(&self, ssl: &SslRef, wire: &Bounded<S>, end: End) -> Result<Shown, Outcome> {
        if !wire.began_as_tls() {
            return Err(Outcome::NotTls);
        }
        let chain = ssl.peer_cert_chain().into_iter().flatten();
        let chain: Vec<_> = chain.filter_map(|one| one.to_der().ok()).collect();
        let suite = ssl.current_cipher().map_or(Suite::UNKNOWN, |cipher| {
            Suite(cipher.standard_name().unwrap_or(cipher.name()))
        });
        let proof = match end {
            End::Done => Proof::Given,
            End::Unreadable => Proof::Unseen,
            End::FalseProof if !chain.is_empty() => Proof::Failed,
            // A server without the key cannot read what it is sent.
            End::Otherwise(Outcome::Alert(20 | 51)) if wire.went_on() && !suite.is_signed() => {
                Proof::Failed
            }
            End::Otherwise(_) if wire.went_on() && suite.is_signed() => Proof::Given,
            End::Otherwise(_) if wire.went_on() => Proof::Unseen,
            End::Otherwise(outcome) => return Err(outcome),
            End::FalseProof => return Err(Outcome::Broken),
        };
        let (trust, constrained) = trust(&chain, self.roots, self.now);
        Ok(Shown {
            address: self.address,
            version: version(ssl),
            suite,
            chain,
            proof,
            trust,
            constrained,
            sip: None,
        })
    }
}

/// Whether `to` could send its answer to `own`, the address that this machine takes for it. In IPv6 an
/// address of a private network is no address on the internet; one that was translated on the way would
/// have had its answer. In IPv4 most machines have a private address, and it is translated.
fn gets_an_answer(own: IpAddr, to: IpAddr) -> bool {
    own.is_ipv4() || is_global(own) || !is_global(to)
}

fn version(ssl: &SslRef) -> Version {
    match ssl.version2() {
        Some(SslVersion::TLS1_3) => Version::Tls13,
        Some(SslVersion::TLS1_2) => Version::Tls12,
        Some(SslVersion::TLS1_1) => Version::Tls11,
        _ => Version::Tls10,
    }
}

/// Libraries that OpenSSL's errors come from, and its reasons, by their numbers (`err.h`, `sslerr.h`).
mod number {
    pub(super) const IN_ASN1: i32 = 13;
    pub(super) const IN_SSL: i32 = 20;
    /// An alert that came is a reason of this and its own number.
    pub(super) const ALERT: i32 = 1000;
    pub(super) const BAD_SIGNATURE: i32 = 123;
    pub(super) const DIGEST_CHECK_FAILED: i32 = 149;
    pub(super) const UNSUPPORTED_PROTOCOL: i32 = 258;
    pub(super) const WRONG_SSL_VERSION: i32 = 266;
    pub(super) const WRONG_VERSION_NUMBER: i32 = 267;
    pub(super) const UNEXPECTED_EOF: i32 = 294;
}

/// The number of the alert that ended a connection, if one did.
pub(super) fn alert(error: &ssl::Error) -> Option<u8> {
    let stack = error.ssl_error()?.errors().iter();
    let mut reasons = stack.filter(|it| it.library_code() == number::IN_SSL);
    reasons.find_map(|it| u8::try_from(it.reason_code() - number::ALERT).ok())
}

/// What a failed handshake says about the peer, of which so many bytes were read.
fn end(error: &ssl::Error, read: usize) -> End {
    let closed = if read == 0 {
        Outcome::Hung
    } else {
        Outcome::Closed
    };
    let quota = |error: &io::Error| error.kind() == io::ErrorKind::QuotaExceeded;
    let Some(stack) = error.ssl_error() else {
        let broken = error.io_error().is_some_and(quota);
        return End::Otherwise(if broken { Outcome::Broken } else { closed });
    };
    let of = |library| move |error: &&openssl::error::Error| error.library_code() == library;
    let reason = stack.errors().iter().find(of(number::IN_SSL));
    match reason.map_or(0, openssl::error::Error::reason_code) {
        number::UNEXPECTED_EOF => End::Otherwise(closed),
        number::BAD_SIGNATURE | number::DIGEST_CHECK_FAILED => End::FalseProof,
        number::UNSUPPORTED_PROTOCOL | number::WRONG_SSL_VERSION | number::WRONG_VERSION_NUMBER => {
            End::Otherwise(Outcome::OldTls)
        }
        _ if stack.errors().iter().any(|it| of(number::IN_ASN1)(&it)) => End::Unreadable,
        alert => End::Otherwise(match u8::try_from(alert - number::ALERT) {
            Ok(70) => Outcome::OldTls,
            Ok(alert) => Outcome::Alert(alert),
            Err(_) => Outcome::Broken,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_answer_comes_from_the_internet_to_a_private_ipv6_address() {
        let (public, other) = ("2a01:111:f400::1", "2a00:1450:4001::1");
        for (own, to, gets) in [
            (other, public, true),
            ("fd12:3456:789a::5", public, false),
            ("fe80::1", public, false),
            ("::1", public, false),
            ("fd12:3456:789a::5", "fd12:3456:789a::6", true),
            ("::1", "::1", true),
            ("10.0.0.5", "203.0.114.1", true),
        ] {
            let [own_ip, to_ip] = [own, to].map(|it| it.parse().unwrap());
            assert_eq!(gets_an_answer(own_ip, to_ip), gets, "{own} {to}");
        }
    }
}
