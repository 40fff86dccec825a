//! What does an Access Edge show on port 5061?
//!
//! A probe shakes hands as a partner's server would, but shows no certificate of its own. Whatever
//! certificate comes is let pass, so that it can be told later what is wrong with it, once the peer
//! has proven that it holds the key. After that proof the peer may do as it likes: with mutual TLS
//! it resets (`docs/field.md#dns-certificate-transport`).
//!
//! It goes to addresses that were looked up before and vetted, never to a name, so that an answer
//! that changes in between gains nothing; and to port 5061 alone.

mod attempt;
mod bounded;
mod leaf;
mod roots;
mod trust;

use std::{fmt, net::IpAddr, path::Path, sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use tokio::time::{Instant, sleep};

pub(super) use self::leaf::{Leaf, SHORTEST_RSA};
use self::{attempt::Attempt, roots::Roots};
pub use self::{attempt::Outcome, roots::TlsError, trust::Trust};
use super::net::Reach;
use crate::{clock::Clock, names::AccessEdge};

/// Where federation is spoken (`docs/field.md#dns-certificate-transport`).
pub const PORT: u16 = 5061;
/// The most addresses of an edge that are tried.
pub const MOST_ADDRESSES: usize = 4;
/// How long one address is waited for before the next is tried beside it, as in RFC 8305.
const STAGGER: Duration = Duration::from_millis(250);

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
    /// The certificate of the first address that showed one, and proved it if any did.
    pub shown: Option<Shown>,
    /// What became of the addresses that showed none until then, in order.
    pub failures: Vec<Failure>,
}

/// A certificate that a server showed.
#[derive(Clone, PartialEq, Eq)]
pub struct Shown {
    /// Who showed it.
    pub address: IpAddr,
    /// In which version of TLS.
    pub version: Version,
    /// The server's own certificate and what it sent along, in its order; DER, from a stranger.
    pub chain: Vec<Vec<u8>>,
    /// Whether the server has proven to hold its key, by a signature of this very handshake.
    pub proven: bool,
    /// Where the chain leads.
    pub trust: Trust,
    /// Whether an authority on that way, the root among them, may issue for some names alone (RFC 5280,
    /// 4.2.1.10, Name Constraints). Such a limit binds the subject alternative names and not the subject.
    pub constrained: bool,
}

/// Without the certificates: what they say must not reach a log.
impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shown")
            .field("version", &self.version)
            .field("chain", &self.chain.len())
            .field("proven", &self.proven)
            .field("trust", &self.trust)
            .field("constrained", &self.constrained)
            .finish_non_exhaustive()
    }
}

/// A version of TLS that is safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
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
            Self::Tls12 => "TLS 1.2",
            Self::Tls13 => "TLS 1.3",
        }
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
#[derive(Clone, Debug)]
pub struct Tls {
    roots: Arc<Roots>,
    reach: Reach,
    limits: Limits,
    clock: Clock,
}

impl Tls {
    /// Trusts the roots in the PEM file `ca`, or the public ones, and goes where `reach` allows.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn new(ca: Option<&Path>, reach: Reach) -> Result<Self, TlsError> {
        Ok(Self {
            roots: Arc::new(ca.map_or_else(|| Ok(Roots::public()), Roots::of_file)?),
            reach,
            limits: Limits::default(),
            clock: Clock::system(),
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

    /// Asks those of `addresses` that may be connected to, four at most, for the certificate of
    /// `edge`. Begins with one and takes the next where it fails or is slow; the first that shows a
    /// certificate and proves it ends the probe. Never takes longer than the limits.
    pub async fn probe(&self, edge: &AccessEdge, addresses: &[IpAddr]) -> TlsFacts {
        let deadline = Instant::now() + self.limits.whole;
        let mut waiting = chosen(addresses, self.reach).into_iter();
        let attempt = |address| {
            let attempt = Attempt {
                roots: &self.roots,
                edge,
                address,
                now: self.clock.now(),
                connect: self.limits.connect,
                deadline,
            };
            attempt.run()
        };
        let mut facts = TlsFacts::default();
        let mut running: FuturesUnordered<_> = waiting.next().map(attempt).into_iter().collect();
        loop {
            let may_start = waiting.len() > 0 && Instant::now() < deadline;
            tokio::select! {
                biased;
                Some(done) = running.next() => {
                    match done {
                        Ok(shown) if shown.proven => {
                            facts.shown = Some(shown);
                            break;
                        }
                        Ok(shown) => facts.shown = facts.shown.or(Some(shown)),
                        Err(failure) => facts.failures.push(failure),
                    }
                    if may_start {
                        running.extend(waiting.next().map(attempt));
                    }
                }
                () = sleep(STAGGER), if may_start => running.extend(waiting.next().map(attempt)),
                else => break,
            }
        }
        facts.failures.sort_unstable();
        facts
    }
}

/// The addresses to try: allowed ones, each once, both kinds of IP in turn. Their order does not
/// depend on DNS, so that a probe that is made again finds the same.
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
    .take(MOST_ADDRESSES)
    .collect()
}
