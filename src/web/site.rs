//! The settings that pages show or depend on.

use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::{
    about::About,
    limit::Throttle,
    origin::Origin,
    shell::{Section, Shell},
    sign_in::StaffSignIn,
};
use crate::{
    base32,
    clock::Clocks,
    names::SipDomain,
    readiness::{Mode, ProofMode, engine::Checks},
};

/// The settings that are the same on every page.
#[derive(Clone, Debug)]
pub struct Site {
    /// The public origin of the portal.
    pub public_url: Origin,
    /// Name of the network that people are provisioned for.
    pub provider: String,
    /// Where to turn when a request is overdue.
    pub support: Option<String>,
    /// A notice on every page.
    pub notice: Option<String>,
    /// The promise and the expiry of requests.
    pub clocks: Clocks,
    /// The rate limits by network, and the trusted proxies.
    pub throttle: Throttle,
    /// Domains whose addresses the address tool leaves as they are.
    pub plain_domains: Vec<SipDomain>,
    /// Who runs the portal, and how the network is reached.
    pub about: About,
    /// How staff sign in.
    pub sign_in: StaffSignIn,
    /// How often the retention sweep runs.
    pub sweep: Duration,
    /// A gateway that has not asked for routes for this long is silent.
    pub gateway_silent: Duration,
    /// How strict the readiness checks are, and what runs them.
    pub checks: Checks,
    /// The limits of live streams.
    pub live: StreamLimits,
}

impl Site {
    /// Names everything that pages show without the database: it differs for another build or other
    /// settings. It is computed anew at each call.
    #[must_use]
    pub fn edition(&self) -> String {
        let Self {
            public_url,
            provider,
            support,
            notice,
            clocks,
            checks,
            about,
            ..
        } = self;
        let (mode, proof) = (checks.mode(), checks.proof());
        let build = env!("PORTAL_BUILD");
        let shown = format!(
            "{build} {public_url:?} {provider:?} {support:?} {notice:?} {clocks:?} {mode:?} {proof:?} {about:?}"
        );
        base32::encode(&Sha256::digest(shown)[..10])
    }

    /// The frame of a page of `section`.
    #[must_use]
    pub fn shell(&self, section: Section) -> Shell<'_> {
        let checks = &self.checks;
        Shell {
            provider: &self.provider,
            about: &self.about,
            notice: self.notice.as_deref(),
            checks_notice: match (checks.mode(), checks.proof()) {
                (Mode::Enforce, _) => None,
                (Mode::Advise, ProofMode::Held) => {
                    Some("Advice only: checks show problems, but every request is provisioned.")
                }
                (Mode::Advise, ProofMode::Always) => Some(
                    "Advice only: checks show problems, but every request is provisioned once its domains are proven.",
                ),
                (Mode::Off, _) => Some(
                    "Readiness checks are off: a request is provisioned without looking at DNS or certificates.",
                ),
            },
            checks: checks.mode(),
            proof: checks.proof(),
            section,
            error: false,
        }
    }
}

/// The limits of live streams: how long each may last, and how many there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamLimits {
    /// Between two heartbeats on a stream, which keep proxies from closing it. Default: 15 s.
    pub heartbeat: Duration,
    /// After this, and up to a fifth more, a stream ends and its client reconnects by itself: so a
    /// stream that is not read any more does not last. Default: 1 h.
    pub lifetime: Duration,
    /// Shortest time between two queries for what is followed, however often something changes.
    /// Default: 50 ms.
    pub gap: Duration,
    /// Streams of one client network, or of one account of the staff; then `429`. Default: 10.
    pub share: usize,
    /// Between two checks whether a member of the staff is still signed in, if nothing happens
    /// meanwhile. Default: 30 s.
    pub session: Duration,
    /// Shortest time between two events that tell the staff's queue of a change. Default: 2 s.
    pub queue_gap: Duration,
    /// Streams in total; then `503`. Default: 2,000.
    pub in_all: usize,
}

impl Default for StreamLimits {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(15),
            lifetime: Duration::from_hours(1),
            gap: Duration::from_millis(50),
            share: 10,
            session: Duration::from_secs(30),
            queue_gap: Duration::from_secs(2),
            in_all: 2_000,
        }
    }
}
