//! Reads the settings of the readiness checks.

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;

use super::{
    Checking, Source, Wrong,
    probe::{ProbeGiven, named},
    resolver, set, wrong, yes,
};
use crate::{
    names::Fqdn,
    readiness::{Mode, ProofMode},
};

/// The settings as given, not looked at yet.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Readiness checks")]
pub struct ChecksGiven {
    /// Readiness checks of DNS and certificates: `enforce` (a request is provisioned
    /// when its checks pass), `advise` (findings are shown, and it is provisioned in any case),
    /// `off` (no checks)
    /// [default: advise on the private PostgreSQL and a loopback address, else enforce]
    #[arg(long, env = "PIC_CHECKS", value_name = "MODE")]
    pub checks: Option<String>,
    /// When a domain is provisioned only after the owner of its zone has published the TXT record
    /// that names the service: `held` (the domain is in force under another service), `always`
    /// (every domain that is not in force under the service itself). It applies with
    /// `PIC_CHECKS=advise` too; `always` is not possible with `PIC_CHECKS=off` [default: held]
    #[arg(long, env = "PIC_PROOF", value_name = "WHEN")]
    pub proof: Option<String>,
    /// Resolver that the checks query, like `192.0.2.53:53` [default: the system's resolvers, to
    /// find the authoritative servers, and then those]
    #[arg(long, env = "PIC_DNS", value_name = "HOST:PORT")]
    pub dns: Option<String>,
    /// Let the checks connect to addresses that are not globally reachable [default: false]
    #[arg(long, env = "PIC_CHECK_PRIVATE", value_name = "BOOL")]
    pub check_private: Option<String>,
    /// PEM file of root certificates that checks trust instead of the public ones
    #[arg(long, env = "PIC_CHECK_CA", value_name = "FILE")]
    pub check_ca: Option<PathBuf>,
    /// As whom the checks ask by SIP.
    #[command(flatten)]
    pub probe: ProbeGiven,
}

impl ChecksGiven {
    /// How strict the checks are, for a portal on this address and database.
    pub(super) fn mode(&self, listen: SocketAddr, source: &Source) -> Result<Mode, Wrong> {
        match set(self.checks.as_ref()) {
            // A portal on a private database and a loopback address is for trying out.
            None if listen.ip().is_loopback() && matches!(source, Source::Private(_)) => {
                Ok(Mode::Advise)
            }
            None => Ok(Mode::Enforce),
            Some(mode) => Mode::parse(mode).ok_or_else(|| {
                wrong(
                    "PIC_CHECKS",
                    "is neither enforce, advise nor off",
                    "enforce",
                )
            }),
        }
    }

    /// When ownership has to be proven, where checks are as strict as `mode`.
    pub(super) fn proof(&self, mode: Mode) -> Result<ProofMode, Wrong> {
        let refused = |fault| wrong("PIC_PROOF", fault, "held");
        let text = set(self.proof.as_ref()).unwrap_or(ProofMode::Held.as_str());
        match ProofMode::parse(text) {
            None => Err(refused("is neither held nor always")),
            Some(ProofMode::Always) if mode == Mode::Off => Err(refused(
                "is always while PIC_CHECKS is off: nothing is looked up, so nothing could be proven. Set PIC_CHECKS to enforce or advise, or take PIC_PROOF back",
            )),
            Some(proof) => Ok(proof),
        }
    }

    /// The resolver, the roots, and who asks by SIP, where the gateways are named `proxy`.
    pub(super) fn checking(&self, proxy: Option<Fqdn>) -> Result<Checking, Wrong> {
        Ok(Checking {
            dns: resolver(self.dns.as_ref())?,
            private: yes("PIC_CHECK_PRIVATE", self.check_private.as_ref())?,
            ca: named(self.check_ca.as_ref()),
            probe: self.probe.probe(proxy)?,
        })
    }
}
