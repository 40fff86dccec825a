//! Looks at what an Access Edge shows on port 5061.
//!
//! A probe shakes hands as a partner's server would. It shows no certificate of its own, unless it was
//! given the gateway's; then it also asks by SIP (`sip`). Whatever certificate comes is let pass, so
//! that it can be told later what is wrong with it, once the peer has proven that it holds the key.
//! After that proof the peer may do as it likes: with mutual TLS it resets
//! (`docs/field.md#dns-certificate-transport`).
//!
//! The handshake is OpenSSL's, which speaks what servers of the field speak and newer libraries do
//! not: TLS 1.0 to 1.3, all suites, all curves. Nothing secret goes over it, so its lowest security
//! level is right. Chains are followed by webpki alone.
//!
//! It goes to addresses that were looked up before and vetted, never to a name, so that an answer
//! that changes in between gains nothing; and to port 5061 alone.

mod attempt;
mod bounded;
mod leaf;
mod roots;
mod signatures;
mod sip;
mod trust;

use std::{fmt, net::IpAddr, path::Path, sync::Arc, time::Duration};

use futures_util::future::join_all;
use openssl::{
    error::ErrorStack,
    ssl::{SslContext, SslContextBuilder, SslMethod, SslOptions, SslVerifyMode, SslVersion},
};
use rustls_pki_types::TrustAnchor;
use tokio::time::Instant;

use self::attempt::Attempt;
pub(super) use self::leaf::{Leaf, SHORTEST_RSA};
pub use self::{
    attempt::Outcome,
    roots::TlsError,
    sip::{Identity, Part, Sip},
    trust::{Limit, Trust},
};
use super::net::Reach;
use crate::{clock::Clock, names::AccessEdge};

/// Where federation is spoken (`docs/field.md#dns-certificate-transport`).
pub const PORT: u16 = 5061;
/// The most addresses of an edge that are tried.
pub const MOST_ADDRESSES: usize = 8;
/// All that OpenSSL has, the safest first, but for suites without a certificate.
const SUITES: &str = "ALL:!aNULL:!eNULL:!PSK:!SRP:@SECLEVEL=0";
/// All of TLS 1.3 (RFC 8446, B.4): OpenSSL leaves those with CCM out unless it is told.
const SUITES_13: &str = "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256:\
    TLS_AES_128_CCM_SHA256:TLS_AES_128_CCM_8_SHA256";
/// Connects to servers that lack RFC 5746 (Windows without an update of 2010): `ssl.h`.
const LEGACY_SERVER_CONNECT: u8 = 4;

/// How long a probe waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// For one connection.
    pub connect: Duration,
    /// For everything.
    pub whole: Duration,
}

impl Default for Limits {
    /// 3 s for a connection, 5 s for everything.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(3),
            whole: Duration::from_secs(5),
        }
    }
}

/// What a probe saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFacts {
    /// The certificate of each address that showed one, in the order of addresses.
    pub shown: Vec<Shown>,
    /// What became of the addresses that showed none, in order.
    pub failures: Vec<Failure>,
    /// How many addresses were left out, because there were more than [`MOST_ADDRESSES`].
    pub left_out: usize,
}

/// A certificate that a server showed.
#[derive(Clone, PartialEq, Eq)]
pub struct Shown {
    /// Who showed it.
    pub address: IpAddr,
    /// In which version of TLS.
    pub version: Version,
    /// With which suite.
    pub suite: Suite,
    /// The server's own certificate and what it sent along, in its order; DER, from a stranger.
    pub chain: Vec<Vec<u8>>,
    /// Whether the server has proven to hold its key in this very handshake.
    pub proof: Proof,
    /// Where the chain leads.
    pub trust: Trust,
    /// Whether an authority on that way, the root among them, may issue for some names alone (RFC 5280,
    /// 4.2.1.10, Name Constraints). Such a limit binds the subject alternative names and not the subject.
    pub constrained: bool,
    /// What it made of the gateway's certificate and of OPTIONS; `None`: it was not asked.
    pub sip: Option<Sip>,
}

/// Without the certificates: what they say must not reach a log.
impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shown")
            .field("version", &self.version)
            .field("chain", &self.chain.len())
            .field("suite", &self.suite)
            .field("proof", &self.proof)
            .field("trust", &self.trust)
            .field("constrained", &self.constrained)
            .field("sip", &self.sip)
            .finish_non_exhaustive()
    }
}

/// Whether a server has proven that it holds the key of its certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// By a signature that fits, or by reading what was encrypted for it.
    Given,
    /// It broke off before it had to. With a key exchange by RSA alone the proof comes last, and a
    /// server that wants a certificate in return breaks off before.
    Unseen,
    /// What it did as a proof does not fit.
    Failed,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// TLS 1.0
    Tls10,
    /// TLS 1.1
    Tls11,
    /// TLS 1.2
    Tls12,
    /// TLS 1.3
    Tls13,
}

impl Version {
    /// As people write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tls10 => "TLS 1.0",
            Self::Tls11 => "TLS 1.1",
            Self::Tls12 => "TLS 1.2",
            Self::Tls13 => "TLS 1.3",
        }
    }
}

/// A cipher suite, by its name in IANA's registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suite(pub &'static str);

impl Suite {
    /// None was agreed on.
    const UNKNOWN: Self = Self("");

    /// Whether the server signs the key exchange, with any suite but those of RSA key exchange.
    fn is_signed(self) -> bool {
        !self.0.starts_with("TLS_RSA_")
    }

    /// Whether programs that speak the suites of today alone cannot use it: its keys are exchanged by
    /// RSA, or it does not encrypt and authenticate in one (RFC 9325, 4.2).
    #[must_use]
    pub fn is_old(self) -> bool {
        let modern = ["_GCM_", "_CCM", "_CHACHA20_"];
        self != Self::UNKNOWN
            && (!self.is_signed() || !modern.iter().any(|mode| self.0.contains(mode)))
    }
}

/// An address that showed no certificate.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Failure {
    /// Who.
    pub address: IpAddr,
    /// What it did instead.
    pub outcome: Outcome,
}

/// Without the address: what DNS says must not reach a log.
impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Failure({:?})", self.outcome)
    }
}

/// What probes Access Edges. Cheap to clone.
#[derive(Clone)]
pub struct Tls {
    roots: Arc<[TrustAnchor<'static>]>,
    context: SslContext,
    /// Who asks by SIP, and how it shakes hands.
    asker: Option<(Identity, SslContext)>,
    reach: Reach,
    limits: Limits,
    clock: Clock,
}

/// Without the roots, which are many.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("roots", &self.roots.len())
            .field("reach", &self.reach)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl Tls {
    /// Trusts the roots in the PEM file `ca`, or the public ones, and goes where `reach` allows.
    ///
    /// # Errors
    /// What is wrong with the file, or with OpenSSL.
    pub fn new(ca: Option<&Path>, reach: Reach) -> Result<Self, TlsError> {
        Ok(Self {
            roots: ca
                .map_or_else(|| Ok(roots::public()), roots::of_file)?
                .into(),
            context: context()?.build(),
            asker: None,
            reach,
            limits: Limits::default(),
            clock: Clock::system(),
        })
    }

    /// The same, which shows the certificate of `identity` to who asks for one, and then sends OPTIONS.
    ///
    /// # Errors
    /// What is wrong with OpenSSL.
    pub fn with_identity(self, identity: Identity) -> Result<Self, TlsError> {
        let mut context = context()?;
        identity.put_into(&mut context)?;
        Ok(Self {
            asker: Some((identity, context.build())),
            ..self
        })
    }

    /// The same by this clock, which says whether what a chain leads past has expired.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// The same with other limits.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Where `chain` leads, as a probe would find; and whether an authority on the way may issue for
    /// some names alone.
    #[must_use]
    pub fn trust(&self, chain: &[Vec<u8>]) -> (Trust, bool) {
        trust::trust(chain, &self.roots, self.clock.now())
    }

    /// Asks those of `addresses` that may be connected to, eight at most and all at once, for the
    /// certificate of `edge`. Never takes longer than the limits.
    pub async fn probe(&self, edge: &AccessEdge, addresses: &[IpAddr]) -> TlsFacts {
        let deadline = Instant::now() + self.limits.whole;
        let now = self.clock.now();
        let asker = self.asker.as_ref().filter(|(it, _)| it.is_valid(now));
        let mut chosen = chosen(addresses, self.reach);
        let left_out = chosen.len().saturating_sub(MOST_ADDRESSES);
        chosen.truncate(MOST_ADDRESSES);
        let attempts = chosen.into_iter().map(|address| {
            let attempt = Attempt {
                context: asker.map_or(&self.context, |(_, context)| context),
                roots: &self.roots,
                edge,
                asker: asker.map(|(identity, _)| identity),
                address,
                now,
                connect: self.limits.connect,
                deadline,
            };
            attempt.run()
        });
        let mut facts = TlsFacts {
            left_out,
            ..TlsFacts::default()
        };
        for done in join_all(attempts).await {
            match done {
                Ok(shown) => facts.shown.push(shown),
                Err(failure) => facts.failures.push(failure),
            }
        }
        facts.shown.sort_unstable_by_key(|shown| shown.address);
        facts.failures.sort_unstable();
        facts
    }
}

/// How hands are shaken: whatever the server speaks, whatever it shows.
fn context() -> Result<SslContextBuilder, ErrorStack> {
    let mut context = SslContext::builder(SslMethod::tls_client())?;
    context.set_security_level(0);
    context.set_min_proto_version(Some(SslVersion::TLS1))?;
    context.set_max_proto_version(Some(SslVersion::TLS1_3))?;
    context.set_cipher_list(SUITES)?;
    context.set_ciphersuites(SUITES_13)?;
    context.set_options(SslOptions::from_bits_retain(LEGACY_SERVER_CONNECT.into()));
    context.set_options(SslOptions::NO_TICKET);
    context.set_read_ahead(true);
    context.set_verify(SslVerifyMode::NONE);
    Ok(context)
}

/// The addresses to try, the first of them first: allowed ones, each once, both kinds of IP in turn. Their
/// order does not depend on DNS, so that a probe that is made again finds the same.
fn chosen(addresses: &[IpAddr], reach: Reach) -> Vec<IpAddr> {
    let mut allowed: Vec<_> = addresses
        .iter()
        .copied()
        .filter(|address| reach.allows(*address))
        .collect();
    allowed.sort_unstable();
    allowed.dedup();
    let (v4, v6): (Vec<_>, Vec<_>) = allowed.into_iter().partition(IpAddr::is_ipv4);
    let (mut v4, mut v6) = (v4.into_iter(), v6.into_iter());
    std::iter::from_fn(|| {
        let pair = [v4.next(), v6.next()];
        pair.iter().any(Option::is_some).then_some(pair)
    })
    .flatten()
    .flatten()
    .collect()
}
