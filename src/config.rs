//! Reads and checks the settings.
//!
//! Every setting is an environment variable and a flag of the same name
//! (`docs/design.md#contract`). They are read once; a wrong value stops the start with a message
//! that names the variable, the error and an example.

mod about;
mod probe;
mod values;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};
use sqlx::postgres::PgConnectOptions;

pub use self::{probe::Probe, values::Wrong};
use self::{
    probe::named,
    values::{
        address, database, duration, duration_or_none, per_minute, resolver, set, wrong, yes,
    },
};
use crate::{
    clock::Clocks,
    db::Opening,
    names::{SipDomain, split_names},
    provisioning::store::Waits,
    readiness::{Mode, ProofMode},
    server::network::Proxies,
    web::{about::About, origin::Origin},
};

/// The settings as given, not looked at yet. An empty value counts as unset.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Settings")]
pub struct Given {
    /// PostgreSQL 15 or later, like `postgres://pic@db.contoso.com/pic`. Unset: a private PostgreSQL
    /// is started from the server binaries on this machine.
    #[arg(
        long,
        env = "DATABASE_URL",
        value_name = "URL",
        hide_env_values = true,
        global = true
    )]
    pub database_url: Option<String>,
    /// Where the private PostgreSQL lives [default: /var/lib/pic-portal for root, else
    /// $XDG_DATA_HOME/pic-portal or ~/.local/share/pic-portal]
    #[arg(long, env = "PIC_DATA_DIR", value_name = "DIR", global = true)]
    pub data_dir: Option<PathBuf>,
    /// Address to listen on; port 0 picks one [default: 127.0.0.1:8080]
    #[arg(long, env = "PIC_LISTEN", value_name = "ADDR", global = true)]
    pub listen: Option<String>,
    /// Address of `/metrics`, for Prometheus; never the public one [default: none]
    #[arg(long, env = "PIC_METRICS_LISTEN", value_name = "ADDR", global = true)]
    pub metrics_listen: Option<String>,
    /// How long the portal goes on serving after SIGTERM while `/readyz` already says no, so that load
    /// balancers notice first; longer than the time between two of their checks [default: 0s]
    #[arg(long, env = "PIC_DRAIN", value_name = "TIME", global = true)]
    pub drain: Option<String>,
    /// Origin that people see, like `https://federation.contoso.com`; https sets Secure cookies and
    /// HSTS [default: http:// and the address listened on]
    #[arg(long, env = "PIC_PUBLIC_URL", value_name = "URL", global = true)]
    pub public_url: Option<String>,
    /// Networks of proxies whose X-Forwarded-For names the client, like 10.0.0.0/8 or
    /// 192.0.2.1, with commas between them
    /// [default: none]
    #[arg(
        long,
        env = "PIC_TRUSTED_PROXIES",
        value_name = "NETWORKS",
        global = true
    )]
    pub trusted_proxies: Option<String>,
    /// Submits a minute and client network; 0: no limit [default: 30]
    #[arg(long, env = "PIC_SUBMIT_LIMIT", value_name = "N", global = true)]
    pub submit_limit: Option<String>,
    /// Failed attempts a minute and client network at anything that can be guessed, such as a
    /// management key; 0: no limit [default: 10]
    #[arg(long, env = "PIC_TRY_LIMIT", value_name = "N", global = true)]
    pub try_limit: Option<String>,
    /// Where administrators turn when a request is overdue: a text or a URL
    #[arg(long, env = "PIC_SUPPORT", value_name = "TEXT", global = true)]
    pub support: Option<String>,
    /// A notice on every page
    #[arg(long, env = "PIC_NOTICE", value_name = "TEXT", global = true)]
    pub notice: Option<String>,
    /// Name of the network that domains are provisioned for [default: Skype]
    #[arg(long, env = "PIC_PROVIDER", value_name = "NAME", global = true)]
    pub provider: Option<String>,
    /// Domains that the address tool of the help pages leaves plain, with commas between them
    /// [default: msn.com,outlook.com,live.com,hotmail.com]
    #[arg(long, env = "PIC_PLAIN_DOMAINS", value_name = "DOMAINS", global = true)]
    pub plain_domains: Option<String>,
    /// Who runs the portal, and how the network is reached.
    #[command(flatten)]
    pub about: about::AboutGiven,
    /// Readiness checks of DNS and certificates: `enforce` (a request is provisioned
    /// when its checks pass), `advise` (findings are shown, and it is provisioned in any case),
    /// `off` (no checks)
    /// [default: advise on the private PostgreSQL and a loopback address, else enforce]
    #[arg(long, env = "PIC_CHECKS", value_name = "MODE", global = true)]
    pub checks: Option<String>,
    /// When a domain is provisioned only after the owner of its zone has published the TXT record
    /// that names the service: `held` (the domain is in force under another service), `always`
    /// (every domain that is not in force under the service itself). It applies with
    /// `PIC_CHECKS=advise` too; `always` is not possible with `PIC_CHECKS=off` [default: held]
    #[arg(long, env = "PIC_PROOF", value_name = "WHEN", global = true)]
    pub proof: Option<String>,
    /// Resolver that the checks query, like `192.0.2.53:53` [default: the system's resolvers, to
    /// find the authoritative servers, and then those]
    #[arg(long, env = "PIC_DNS", value_name = "HOST:PORT", global = true)]
    pub dns: Option<String>,
    /// Let the checks connect to addresses that are not globally reachable [default: false]
    #[arg(long, env = "PIC_CHECK_PRIVATE", value_name = "BOOL", global = true)]
    pub check_private: Option<String>,
    /// PEM file of root certificates that checks trust instead of the public ones
    #[arg(long, env = "PIC_CHECK_CA", value_name = "FILE", global = true)]
    pub check_ca: Option<PathBuf>,
    /// As whom the checks ask by SIP.
    #[command(flatten)]
    pub probe: probe::ProbeGiven,
    /// First wait before a request that is held back is checked again; it doubles each time
    /// [default: 30s]
    #[arg(long, env = "PIC_RECHECK_FIRST", value_name = "TIME", global = true)]
    pub recheck_first: Option<String>,
    /// Longest such wait [default: 1h]
    #[arg(long, env = "PIC_RECHECK_MAX", value_name = "TIME", global = true)]
    pub recheck_max: Option<String>,
    /// A pending request is overdue after this [default: 48h]
    #[arg(long, env = "PIC_PROMISE", value_name = "TIME", global = true)]
    pub promise: Option<String>,
    /// A pending request is rejected as expired after this [default: 30d]
    #[arg(long, env = "PIC_EXPIRY", value_name = "TIME", global = true)]
    pub expiry: Option<String>,
    /// How often the retention sweep deletes expired data; it also runs at the start, before the
    /// first response [default: 1h]
    #[arg(long, env = "PIC_SWEEP", value_name = "TIME", global = true)]
    pub sweep: Option<String>,
    /// A gateway that has not asked for routes for this long is silent [default: 5m]
    #[arg(long, env = "PIC_GATEWAY_SILENT", value_name = "TIME", global = true)]
    pub gateway_silent: Option<String>,
    /// Connections to the database, at most [default: 10]
    #[arg(long, env = "PIC_DB_POOL", value_name = "N", global = true)]
    pub db_pool: Option<String>,
    /// Start although the database has `fsync` or `synchronous_commit` off [default: false]
    #[arg(
        long,
        env = "PIC_ALLOW_UNSAFE_DATABASE",
        value_name = "BOOL",
        global = true
    )]
    pub allow_unsafe_database: Option<String>,
    /// Which log lines are written: error, warn, info, debug, trace, or a tracing filter
    /// [default: info]
    #[arg(long, env = "PIC_LOG", value_name = "FILTER", global = true)]
    pub log: Option<String>,
    /// How log lines are written: text, or json for machines [default: text]
    #[arg(long, env = "PIC_LOG_FORMAT", value_name = "FORMAT", global = true)]
    pub log_format: Option<String>,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
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
    /// A server of the operator's.
    Url(Box<PgConnectOptions>),
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
    /// The log's filter and format.
    ///
    /// # Errors
    ///
    /// The first [`Wrong`] setting.
    pub fn log(&self) -> Result<(tracing_subscriber::EnvFilter, LogFormat), Wrong> {
        let filter =
            tracing_subscriber::EnvFilter::try_new(set(self.log.as_ref()).unwrap_or("info"))
                .map_err(|_| wrong("PIC_LOG", "is not a level or a tracing filter", "info"))?;
        let format = match set(self.log_format.as_ref()) {
            None => LogFormat::Text,
            Some(text) => LogFormat::from_str(text, true)
                .map_err(|_| wrong("PIC_LOG_FORMAT", "is neither text nor json", "json"))?,
        };
        Ok((filter, format))
    }

    /// Checks all settings.
    ///
    /// # Errors
    ///
    /// The first [`Wrong`] setting.
    pub fn config(&self) -> Result<Config, Wrong> {
        let clocks = Clocks {
            promise: duration("PIC_PROMISE", self.promise.as_ref(), "48h")?,
            expiry: duration("PIC_EXPIRY", self.expiry.as_ref(), "30d")?,
        };
        let waits = Waits {
            expiry: clocks.expiry,
            first: duration("PIC_RECHECK_FIRST", self.recheck_first.as_ref(), "30s")?,
            longest: duration("PIC_RECHECK_MAX", self.recheck_max.as_ref(), "1h")?,
        };
        if waits.longest < waits.first {
            return Err(wrong(
                "PIC_RECHECK_MAX",
                "is shorter than PIC_RECHECK_FIRST",
                "1h",
            ));
        }
        if clocks.expiry < clocks.promise {
            return Err(wrong("PIC_EXPIRY", "is shorter than PIC_PROMISE", "30d"));
        }
        let source = self.source()?;
        let listen = address(
            "PIC_LISTEN",
            set(self.listen.as_ref()).unwrap_or("127.0.0.1:8080"),
            "127.0.0.1:8080",
        )?;
        let checks = self.checks(listen, &source)?;
        let provider = set(self.provider.as_ref()).unwrap_or("Skype");
        Ok(Config {
            opening: self.opening()?,
            listen,
            metrics_listen: set(self.metrics_listen.as_ref())
                .map(|text| address("PIC_METRICS_LISTEN", text, "127.0.0.1:9464"))
                .transpose()?,
            drain: duration_or_none("PIC_DRAIN", self.drain.as_ref(), "5s")?,
            public_url: set(self.public_url.as_ref())
                .map(|text| {
                    Origin::parse(text).ok_or_else(|| {
                        wrong(
                            "PIC_PUBLIC_URL",
                            "is not an origin: http or https, a host, perhaps a port, no path",
                            "https://federation.contoso.com",
                        )
                    })
                })
                .transpose()?,
            trusted_proxies: set(self.trusted_proxies.as_ref())
                .map(|text| {
                    Proxies::parse(text).map_err(|fault| {
                        wrong(
                            "PIC_TRUSTED_PROXIES",
                            fault.to_string(),
                            "10.0.0.0/8,2001:db8::1",
                        )
                    })
                })
                .transpose()?
                .unwrap_or_default(),
            submit_limit: per_minute("PIC_SUBMIT_LIMIT", self.submit_limit.as_ref(), "30")?,
            try_limit: per_minute("PIC_TRY_LIMIT", self.try_limit.as_ref(), "10")?,
            support: set(self.support.as_ref()).map(str::to_owned),
            notice: set(self.notice.as_ref()).map(str::to_owned),
            provider: provider.to_owned(),
            about: self.about.about(provider)?,
            plain_domains: self.plain_domains()?,
            checks,
            proof: self.proof(checks)?,
            checking: Checking {
                dns: resolver(self.dns.as_ref())?,
                private: yes("PIC_CHECK_PRIVATE", self.check_private.as_ref())?,
                ca: named(self.check_ca.as_ref()),
                probe: self.probe.probe(self.about.proxy()?)?,
            },
            clocks,
            waits,
            sweep: duration("PIC_SWEEP", self.sweep.as_ref(), "1h")?,
            gateway_silent: duration("PIC_GATEWAY_SILENT", self.gateway_silent.as_ref(), "5m")?,
            source,
        })
    }

    fn checks(&self, listen: SocketAddr, source: &Source) -> Result<Mode, Wrong> {
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

    fn proof(&self, checks: Mode) -> Result<ProofMode, Wrong> {
        let refused = |fault| wrong("PIC_PROOF", fault, "held");
        let text = set(self.proof.as_ref()).unwrap_or(ProofMode::Held.as_str());
        match ProofMode::parse(text) {
            None => Err(refused("is neither held nor always")),
            Some(ProofMode::Always) if checks == Mode::Off => Err(refused(
                "is always while PIC_CHECKS is off: nothing is looked up, so nothing could be proven. Set PIC_CHECKS to enforce or advise, or take PIC_PROOF back",
            )),
            Some(proof) => Ok(proof),
        }
    }

    fn source(&self) -> Result<Source, Wrong> {
        match set(self.database_url.as_ref()) {
            Some(url) => database(url).map(|options| Source::Url(Box::new(options))),
            None => Ok(Source::Private(
                self.data_dir
                    .clone()
                    .filter(|dir| !dir.as_os_str().is_empty())
                    .unwrap_or_else(crate::db::private::default_dir),
            )),
        }
    }

    fn plain_domains(&self) -> Result<Vec<SipDomain>, Wrong> {
        const DEFAULT: &str = "msn.com,outlook.com,live.com,hotmail.com";
        split_names(set(self.plain_domains.as_ref()).unwrap_or(DEFAULT))
            .map(|name| {
                SipDomain::parse_any(name).map_err(|error| {
                    let fault = format!("has a name that is no domain ({})", error.problem());
                    wrong("PIC_PLAIN_DOMAINS", fault, DEFAULT)
                })
            })
            .collect()
    }

    fn opening(&self) -> Result<Opening, Wrong> {
        Ok(Opening {
            pool: match set(self.db_pool.as_ref()).unwrap_or("10").parse() {
                // The background task needs two: one for LISTEN, and one for its work.
                Ok(pool @ 3..=1000) => pool,
                _ => return Err(wrong("PIC_DB_POOL", "is not a number from 3 to 1000", "10")),
            },
            allow_unsafe: yes(
                "PIC_ALLOW_UNSAFE_DATABASE",
                self.allow_unsafe_database.as_ref(),
            )?,
        })
    }
}

#[cfg(test)]
mod tests;
