//! The commands of the program, and how each is run.

mod backup;
mod check;
mod demo;
mod doctor;
mod gateway;
mod import;
mod manual;
mod purge;
mod reach;
mod serve;
mod set_up;
mod settings;
mod staff;
mod stopping;
mod sweep;
mod systemd;

use std::path::PathBuf;

use clap::{FromArgMatches as _, Parser, Subcommand};

use crate::{
    config::{Given, Wrong},
    db::{self, OpenError, private::StartError},
    retention, telemetry,
};

/// Self-service portal for SIP federation: administrators ask for their SIP domains to be
/// federated, a background task provisions them. No contact information is asked for, stored or
/// logged.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    given: Given,
    /// The settings, with where each comes from.
    #[arg(skip)]
    settings: Vec<settings::Setting>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the portal [the default]
    Serve,
    /// Check the DNS records and certificate of a domain as the portal would, with `PIC_DNS`,
    /// `PIC_CHECK_PRIVATE` and `PIC_CHECK_CA`; exit code 0 when all checks pass
    Check {
        /// SIP domain, like `contoso.com`
        domain: String,
        /// Access Edge FQDN, like `sip.contoso.com` [default: the one that the SRV record names]
        edge: Option<String>,
    },
    /// Manage the accounts of support staff; the portal may be running
    #[command(subcommand)]
    Staff(staff::Command),
    /// Register the gateways that take the routes; the portal may be running
    #[command(subcommand)]
    Gateway(gateway::Command),
    /// Bring the database's schema up to date, and do nothing else; the start of the portal and `import` do it
    /// too, no other command does
    Migrate,
    Demo(demo::Demo),
    Backup(backup::Make),
    Restore(backup::Restore),
    Psql(backup::Psql),
    /// Move the data of the private PostgreSQL to the newest major version that is installed; the old data
    /// are kept
    Upgrade,
    /// Run the retention sweep now: delete expired data and search for contact information; exit code 1 when some remains
    Sweep,
    /// Say what is well and what is not, with what to do, and what is kept for how long; exit code 1
    /// when something is wrong
    Doctor(doctor::Doctor),
    /// Print the settings that are in force, and where each comes from; passwords never
    Config(settings::Show),
    Import(import::Import),
    Purge(purge::Purge),
    /// Write the man page and the completions of bash, zsh and fish, for packages
    Manual {
        /// The directory to write them to
        directory: PathBuf,
    },
}

/// Why the program stops, in one line that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A setting is wrong.
    #[error(transparent)]
    Setting(#[from] Wrong),
    /// The private PostgreSQL does not start.
    #[error(transparent)]
    Private(#[from] StartError),
    /// The database cannot be used.
    #[error(transparent)]
    Database(#[from] OpenError),
    /// A database call of a command failed.
    #[error("nothing was changed: {0}. Try again when the database is up")]
    Command(#[from] db::Error),
    /// A command cannot do what it was asked to do.
    #[error("{0}")]
    Refused(String),
    /// The portal cannot listen on the address.
    #[error("cannot listen on {address}: {}. Stop what uses it, or choose another with {variable} (port 0 picks a free one)", fault.kind())]
    Listen {
        /// The setting that names it.
        variable: &'static str,
        /// The address.
        address: std::net::SocketAddr,
        /// The error of the operating system.
        fault: std::io::Error,
    },
    /// A sweep or a check of the database was not successful.
    #[error("{0}")]
    Sweep(String),
    /// The doctor has found something that is wrong; the first of it.
    #[error("something is wrong. {0}")]
    Unwell(String),
    /// A table cannot be purged.
    #[error(transparent)]
    Purge(#[from] retention::purge::Error),
    /// A backup cannot be made, or not be restored.
    #[error(transparent)]
    Backup(#[from] crate::backup::Error),
    /// The demonstration cannot be made.
    #[error(transparent)]
    Demo(#[from] crate::demo::past::Error),
    /// An export cannot be imported.
    #[error(transparent)]
    Import(#[from] retention::import::Error),
    /// A command needs confirmation, and there is no terminal to ask at.
    #[error("there is no terminal to ask on: look at it with --dry-run, then add --yes")]
    NobodyToAsk,
    /// The person at the terminal did not confirm.
    #[error("nothing was changed")]
    Declined,
    /// A signal ended the command.
    #[error("interrupted. Run the same again: it goes on where it was, or starts anew")]
    Interrupted,
    /// The operating system refused something basic.
    #[error("the operating system refused: {0}")]
    System(#[from] std::io::Error),
}

impl Failure {
    /// The exit code: 78 where a setting is wrong, which trying again does not mend
    /// (`RestartPreventExitStatus` of the units in `deploy`); 1 for anything else.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Setting(_) => 78,
            _ => 1,
        }
    }
}

impl Cli {
    /// Reads the command line and the environment. Prints help, or what is wrong with a flag, and
    /// ends the process then.
    #[must_use]
    pub fn read() -> Self {
        let matches = settings::program().get_matches();
        let mut cli = Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
        cli.settings = settings::given(&matches);
        cli
    }

    /// Runs the command, and returns when it is done.
    ///
    /// # Errors
    ///
    /// [`Failure`], one line for standard error.
    pub fn run(self) -> Result<(), Failure> {
        // Of every command, so that `doctor` and `config` find what the portal would not start with.
        let (filter, format) = self.given.log.log()?;
        match self.command.unwrap_or(Command::Serve) {
            Command::Serve => {
                let config = self.given.config()?;
                telemetry::init(filter, format);
                tell_unknown();
                let writer_runtime = writer_runtime()?;
                runtime()?.block_on(serve::serve(config, writer_runtime.handle()))
            }
            Command::Demo(demo) => {
                telemetry::init(filter, format);
                let writer_runtime = writer_runtime()?;
                runtime()?.block_on(demo.run(&self.given, writer_runtime.handle()))
            }
            Command::Check { domain, edge } => {
                let config = self.given.config()?;
                runtime()?.block_on(check::check(&config, &domain, edge.as_deref()))
            }
            Command::Staff(command) => {
                let config = self.given.config()?;
                telemetry::init(filter, format);
                runtime()?.block_on(command.run(config))
            }
            Command::Gateway(command) => {
                let config = self.given.config()?;
                telemetry::init(filter, format);
                runtime()?.block_on(command.run(config))
            }
            Command::Manual { directory } => Ok(manual::write(settings::program(), &directory)?),
            Command::Migrate => runtime()?.block_on(reach::migrate(&self.given.config()?)),
            Command::Backup(make) => runtime()?.block_on(make.run(&self.given.config()?)),
            Command::Restore(restore) => runtime()?.block_on(restore.run(&self.given.config()?)),
            Command::Psql(psql) => runtime()?.block_on(psql.run(&self.given.config()?)),
            Command::Upgrade => runtime()?.block_on(backup::upgrade(&self.given.config()?)),
            Command::Sweep => runtime()?.block_on(sweep::run(self.given.config()?)),
            Command::Doctor(doctor) => runtime()?.block_on(doctor.run(self.given.config()?)),
            Command::Config(show) => {
                show.run(&self.settings, &self.given.config()?);
                Ok(())
            }
            Command::Import(import) => {
                let config = self.given.config()?;
                telemetry::init(filter, format);
                runtime()?.block_on(import.run(&config))
            }
            Command::Purge(purge) => {
                let config = self.given.config()?;
                telemetry::init(filter, format);
                runtime()?.block_on(purge.run(&config.source))
            }
        }
    }
}

/// Warns of variables that look like settings and are none.
fn tell_unknown() {
    for name in settings::unknown() {
        tracing::warn!(
            variable = %name.display(),
            "there is no setting of this name, so it is ignored: `pic-portal --help` lists all"
        );
    }
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
}

/// A runtime of one thread, for work that must go on however many requests come in.
fn writer_runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("writer_runtime")
        .enable_all()
        .build()
}

/// `1 line`, `2 lines`.
fn counted(count: impl Into<i128>, what: &str) -> String {
    let count = count.into();
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Prints a line on standard output: programs wait for the address, and read the output of
/// commands. Where nobody reads it any more, as behind `head`, it is lost, which is no error.
fn say(line: &str) {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}");
    let _ = out.flush();
}
