//! Reads and checks the settings.
//!
//! Every setting is an environment variable and a flag of the same name
//! (`docs/design.md#contract`). They are read once; a wrong value stops the start with a message
//! that names the variable, the error and an example. Each file has those of one theme, under the
//! heading that they have in `--help`.

mod about;
mod checks;
mod database;
mod door;
mod log;
mod probe;
mod sign_in;
mod times;
mod values;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::Args;

use self::values::{
    address, database, duration, duration_or_none, first_line, per_minute, resolver, set, wrong,
    yes,
};
pub use self::{log::LogFormat, probe::Probe, values::Wrong};
use crate::{
    clock::Clocks,
    db::{Opening, Servers},
    names::SipDomain,
    provisioning::store::Waits,
    readiness::{Mode, ProofMode},
    server::network::Proxies,
    web::{about::About, origin::Origin, sign_in::StaffSignIn},
};

/// The settings as given, not looked at yet. An empty value counts as unset.
#[derive(Args, Clone, Debug, Default)]
// Before a command and behind it.
#[command(mut_args(|setting| setting.global(true)))]
pub struct Given {
    /// Which database, and how it is used.
    #[command(flatten)]
    pub database: database::DatabaseGiven,
    /// Where the portal listens, behind what, and how much it takes.
    #[command(flatten)]
    pub door: door::DoorGiven,
    /// Who runs the portal, and how the network is reached.
    #[command(flatten)]
    pub about: about::AboutGiven,
    /// How staff sign in.
    #[command(flatten)]
    pub sign_in: sign_in::SignInGiven,
    /// How readiness is checked.
    #[command(flatten)]
    pub checks: checks::ChecksGiven,
    /// How long things take at most, and how often they are done.
    #[command(flatten)]
    pub times: times::TimesGiven,
    /// What is logged, and how.
    #[command(flatten)]
    pub log: log::LogGiven,
}

/// The resolver and the roots that the readiness checks use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checking {
    /// `host:port` of the resolver to ask; `None`: the system's.
    pub dns: Option<String>,
    /// Whether checks may connect to addresses that are not globally reachable.
    pub private: bool,
    /// PEM file of roots to trust; `None`: the public ones.
    pub ca: Option<PathBuf>,
    /// As whom they ask by SIP; `None`: they do not.
    pub probe: Option<Probe>,
}

/// Which database is used.
#[derive(Clone, Debug)]
pub enum Source {
    /// A server of the operator's, or several of which one takes writes.
    Url(Servers),
    /// The private PostgreSQL, in this directory.
    Private(PathBuf),
}

/// The settings, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the database is.
    pub source: Source,
    /// The options for opening it.
    pub opening: Opening,
    /// Address to listen on.
    pub listen: SocketAddr,
    /// Address of `/metrics`; `None`: it is not served.
    pub metrics_listen: Option<SocketAddr>,
    /// How long it goes on serving after the signal that stops it.
    pub drain: Duration,
    /// Origin that people see; `None`: the address listened on.
    pub public_url: Option<Origin>,
    /// Proxies whose `X-Forwarded-For` is trusted.
    pub trusted_proxies: Proxies,
    /// Submits a minute and client network; 0: no limit.
    pub submit_limit: u32,
    /// Failed attempts a minute and network; 0: no limit.
    pub try_limit: u32,
    /// Where to turn when a request is overdue.
    pub support: Option<String>,
    /// A notice on every page.
    pub notice: Option<String>,
    /// Name of the network.
    pub provider: String,
    /// Domains whose addresses the address tool leaves as they are.
    pub plain_domains: Vec<SipDomain>,
    /// Who runs the portal, and how the network is reached.
    pub about: About,
    /// How staff sign in.
    pub sign_in: StaffSignIn,
    /// How strict the checks are.
    pub checks: Mode,
    /// When ownership of a domain has to be proven; never `always` where checks are off.
    pub proof: ProofMode,
    /// The resolver and the roots that checks use.
    pub checking: Checking,
    /// The promise and the expiry of requests.
    pub clocks: Clocks,
    /// Waits and limits of the background task.
    pub waits: Waits,
    /// How often the retention sweep runs.
    pub sweep: Duration,
    /// A gateway that has not asked for routes for this long is silent.
    pub gateway_silent: Duration,
}

impl Given {
    /// Checks all settings.
    ///
    /// # Errors
    ///
    /// The first [`Wrong`] setting.
    pub fn config(&self) -> Result<Config, Wrong> {
        let (door, about, times) = (&self.door, &self.about, &self.times);
        let (clocks, waits) = times.clocks()?;
        let source = self.database.source()?;
        let listen = door.listen()?;
        let checks = self.checks.mode(listen, &source)?;
        let provider = set(about.provider.as_ref()).unwrap_or("Skype");
        Ok(Config {
            opening: self.database.opening()?,
            listen,
            metrics_listen: door.metrics_listen()?,
            drain: duration_or_none("PIC_DRAIN", door.drain.as_ref(), "5s")?,
            public_url: door.public_url()?,
            trusted_proxies: door.trusted_proxies()?,
            submit_limit: per_minute("PIC_SUBMIT_LIMIT", door.submit_limit.as_ref(), "30")?,
            try_limit: per_minute("PIC_TRY_LIMIT", door.try_limit.as_ref(), "10")?,
            support: set(about.support.as_ref()).map(str::to_owned),
            notice: set(about.notice.as_ref()).map(str::to_owned),
            provider: provider.to_owned(),
            about: about.about(provider)?,
            sign_in: self.sign_in.sign_in()?,
            plain_domains: about.plain_domains()?,
            checks,
            proof: self.checks.proof(checks)?,
            checking: self.checks.checking(about.proxy()?)?,
            clocks,
            waits,
            sweep: duration("PIC_SWEEP", times.sweep.as_ref(), "1h")?,
            gateway_silent: duration("PIC_GATEWAY_SILENT", times.gateway_silent.as_ref(), "5m")?,
            source,
        })
    }
}

#[cfg(test)]
mod tests;
