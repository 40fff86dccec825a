//! Which commands are there, and what does each do?

mod import;
mod purge;
mod reach;

use std::{path::PathBuf, time::Duration};

use clap::{Parser, Subcommand};
use sqlx::postgres::PgConnectOptions;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;

use crate::{
    app::{App, Site},
    clock::Clock,
    config::{Config, Given, Origin, Source, Wrong},
    db::{
        Database, OpenError,
        private::{self, PORTAL_DATABASE, PrivatePostgres, StartError},
    },
    provisioning::worker::{Waker, Worker},
    readiness::engine::Checks,
    retention,
    server::{self, Door, Limits},
    telemetry,
    web::limit::Throttle,
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
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the portal [the default]
    Serve,
    Import(import::Import),
    Purge(purge::Purge),
    /// Hold a throw-away PostgreSQL for the tests
    #[command(name = "__test-postgres", hide = true)]
    TestPostgres {
        /// Where it lives.
        dir: PathBuf,
        /// Seconds that it outlives its last user.
        linger: u64,
    },
}

/// Why the portal does not run, in one line with the way out.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A setting is wrong.
    #[error(transparent)]
    Setting(#[from] Wrong),
    /// The private PostgreSQL does not start.
    #[error(transparent)]
    Private(#[from] StartError),
    /// The database will not do.
    #[error(transparent)]
    Database(#[from] OpenError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {}. Stop what uses it, or choose another with PIC_LISTEN (port 0 picks a free one)", fault.kind())]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// What the system says.
        fault: std::io::Error,
    },
    /// A table cannot be purged.
    #[error(transparent)]
    Purge(#[from] retention::purge::Error),
    /// An export cannot be imported.
    #[error(transparent)]
    Import(#[from] retention::import::Error),
    /// Somebody must agree, and nobody is there.
    #[error("there is no terminal to ask on: look at it with --dry-run, then add --yes")]
    NobodyToAsk,
    /// Somebody did not agree.
    #[error("nothing was changed")]
    Declined,
    /// A signal ended a command.
    #[error("interrupted. Run the same again: it goes on where it was, or starts anew")]
    Interrupted,
    /// The operating system refused something basic.
    #[error("the operating system refused: {0}")]
    System(#[from] std::io::Error),
}

impl Cli {
    /// Does what the command says, and returns when it is done.
    ///
    /// # Errors
    ///
    /// [`Failure`], one line for standard error.
    pub fn run(self) -> Result<(), Failure> {
        match self.command.unwrap_or(Command::Serve) {
            Command::Serve => {
                let (filter, format) = self.given.log()?;
                let config = self.given.config()?;
                telemetry::init(filter, format);
                tokio::runtime::Builder::new_multi_thread()
                    .enable_all()
                    .build()?
                    .block_on(serve(config))
            }
            Command::Import(import) => {
                let (filter, format) = self.given.log()?;
                let config = self.given.config()?;
                telemetry::init(filter, format);
                reach::block_on(import.run(&config))
            }
            Command::Purge(purge) => {
                let (filter, format) = self.given.log()?;
                let config = self.given.config()?;
                telemetry::init(filter, format);
                reach::block_on(purge.run(&config.source))
            }
            Command::TestPostgres { dir, linger } => Ok(private::test_server::supervise(
                &dir,
                Duration::from_secs(linger),
            )?),
        }
    }
}

/// Runs the portal until SIGINT or SIGTERM: no request is cut off, and a private PostgreSQL is
/// stopped with it.
async fn serve(config: Config) -> Result<(), Failure> {
    let stop = CancellationToken::new();
    // Before anything is started, so that a signal during the start stops it in good order too.
    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    tokio::spawn({
        let stop = stop.clone();
        async move {
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
            stop.cancel();
        }
    });
    // The address first: if it is taken, nothing else has been started yet.
    let listener = server::listen(config.listen).map_err(|fault| Failure::Listen {
        address: config.listen,
        fault,
    })?;
    let (options, private) = match &config.source {
        Source::Url(options) => (PgConnectOptions::clone(options), None),
        Source::Private(dir) => {
            let (options, server) = start_private(dir.clone()).await?;
            (options, Some(server))
        }
    };
    let served = match stop
        .run_until_cancelled(Database::open(options, &config.opening))
        .await
    {
        None => Ok(()),
        Some(Err(error)) => Err(error.into()),
        Some(Ok(db)) => serve_on(db, listener, &config, private.as_ref(), stop).await,
    };
    if let Some(mut server) = private {
        tokio::task::spawn_blocking(move || server.stop())
            .await
            .map_err(std::io::Error::other)?;
    }
    served
}

/// Starts the private PostgreSQL in `dir`, and makes the portal's database in it once.
async fn start_private(dir: PathBuf) -> Result<(PgConnectOptions, PrivatePostgres), Failure> {
    let server = tokio::task::spawn_blocking(move || {
        PrivatePostgres::start(&private::Options::durable(dir))
    })
    .await
    .map_err(std::io::Error::other)??;
    let options = server.connect_options(PORTAL_DATABASE);
    private::ensure_database(&options)
        .await
        .map_err(|e| OpenError::Connect(e.into()))?;
    Ok((options, server))
}

/// Runs web server and background task on an open database until `stop`.
async fn serve_on(
    db: Database,
    listener: TcpListener,
    config: &Config,
    private: Option<&PrivatePostgres>,
    stop: CancellationToken,
) -> Result<(), Failure> {
    let address = listener.local_addr()?;
    let waker = Waker::default();
    let site = Site {
        public_url: config
            .public_url
            .clone()
            .unwrap_or_else(|| Origin::of(address)),
        provider: config.provider.clone(),
        support: config.support.clone(),
        notice: config.notice.clone(),
        clocks: config.clocks,
        throttle: Throttle::new(
            config.submit_limit,
            config.try_limit,
            config.trusted_proxies.clone(),
            &Clock::system(),
        ),
        plain_domains: config.plain_domains.clone(),
        checks: Checks::Off,
    };
    let mut limits = Limits::default().within_open_files();
    limits
        .exempt
        .extend_from_slice(config.trusted_proxies.networks());
    let pool = db.pool.clone();
    let app = App::new(db, site, waker.clone());
    let worker = tokio::spawn(Worker::new(pool.clone(), config.waits, waker).run(stop.clone()));
    tracing::info!("readiness checks are off: requests are provisioned without look-ups");
    say(&format!("listening on http://{address}"));
    // First of all: no new requests are to be sent here.
    tokio::spawn({
        let (app, stop) = (app.clone(), stop.clone());
        async move {
            stop.cancelled().await;
            app.stop();
        }
    });
    let server = Door::new(limits).serve(listener, app.router(), stop.clone());
    let ended = async {
        match private {
            Some(server) => server.ended().await,
            None => std::future::pending().await,
        }
    };
    let mut outcome = Ok(());
    tokio::pin!(server);
    tokio::select! {
        () = &mut server => {}
        reason = ended => {
            outcome = Err(reason.into());
            stop.cancel();
            server.await;
        }
    }
    if worker.await.is_err() {
        tracing::error!("the background task panicked");
    }
    pool.close().await;
    outcome
}

/// The one line on standard output: programs wait for it.
#[expect(
    clippy::print_stdout,
    reason = "the contract: the address is printed on stdout"
)]
fn say(line: &str) {
    use std::io::Write as _;
    println!("{line}");
    // Whoever reads it through a pipe waits for it; nobody reading is no fault.
    let _ = std::io::stdout().flush();
}
