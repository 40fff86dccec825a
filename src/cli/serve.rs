//! The command `serve`: runs the portal, from the start to the signal that ends it.

use std::{net::SocketAddr, path::PathBuf};

use sqlx::postgres::PgConnectOptions;
use tokio::{net::TcpListener, runtime::Handle};
use tokio_util::sync::CancellationToken;

use super::{Failure, check, say, set_up, stopping::Stopping, systemd};
use crate::{
    app::App,
    clock::Clock,
    config::{Config, Source},
    db::{
        self, Database, OpenError, PgPool, Servers,
        notify::Notifier,
        private::{self, PORTAL_DATABASE, PrivatePostgres},
    },
    metrics::{Metrics, endpoint},
    provisioning::worker::Worker,
    readiness::{Mode, ProofMode, engine::Checks},
    request::queue,
    retention::sweep::Sweeper,
    routes,
    server::{self, HttpServer, Limits},
    web::{
        limit::Throttle,
        origin::Origin,
        site::{Site, StreamLimits},
    },
};

/// Runs the portal until SIGINT or SIGTERM: no request is cut off, and a private PostgreSQL is
/// stopped with it.
pub(super) async fn serve(config: Config, writer_runtime: &Handle) -> Result<(), Failure> {
    // Before anything is started, so that a signal during the start stops it cleanly too.
    let stopping = Stopping::on_signals(config.drain)?;
    // The address first: if it is in use, nothing else has been started yet.
    let listener = listen_at("PIC_LISTEN", config.listen)?;
    let metrics = config
        .metrics_listen
        .map(|address| listen_at("PIC_METRICS_LISTEN", address))
        .transpose()?;
    // The resolver and the roots in the settings are checked just as early.
    let clock = Clock::told();
    let checks = check::checks(&config, &clock).await?;
    let (servers, private) = match &config.source {
        Source::Url(servers) => (servers.clone(), None),
        Source::Private(dir) => {
            let (options, server) = start_private(dir.clone()).await?;
            (Servers::from(options), Some(server))
        }
    };
    let opened = async {
        if private.is_some() {
            recovered(servers.last()).await?;
        }
        Ok(Database::open(servers, &config.opening).await?)
    };
    let served = match stopping.draining.run_until_cancelled(opened).await {
        None => Ok(()),
        Some(Err(error)) => Err(error),
        Some(Ok(db)) => {
            let listeners = (listener, metrics);
            serve_on(
                db,
                listeners,
                &config,
                (checks, clock),
                private.as_ref(),
                writer_runtime,
                stopping,
            )
            .await
        }
    };
    if let Some(mut server) = private {
        tokio::task::spawn_blocking(move || server.stop())
            .await
            .map_err(std::io::Error::other)?;
    }
    served
}

fn listen_at(variable: &'static str, address: SocketAddr) -> Result<TcpListener, Failure> {
    server::listen(address).map_err(|fault| Failure::Listen {
        variable,
        address,
        fault,
    })
}

/// Starts the private PostgreSQL in `dir`, and creates the portal's database in it if it is new.
pub(super) async fn start_private(
    dir: PathBuf,
) -> Result<(PgConnectOptions, PrivatePostgres), Failure> {
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

/// Waits until the private PostgreSQL takes writes.
pub(super) async fn recovered(options: &PgConnectOptions) -> Result<(), Failure> {
    let recovered = private::recovered(options).await;
    recovered.map_err(|e| OpenError::Connect(e.into()).into())
}

/// The settings that pages need, for the site that is served at `address`.
fn site(config: &Config, address: SocketAddr, checks: Checks) -> Site {
    Site {
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
        about: config.about.clone(),
        sign_in: config.sign_in.clone(),
        sweep: config.sweep,
        gateway_silent: config.gateway_silent,
        checks,
        live: StreamLimits::default(),
    }
}

/// Logs which version starts, and how it checks.
fn announce(checks: &Checks) {
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "the portal starts");
    tracing::info!("{}", in_words(checks.mode(), checks.proof()));
    tracing::info!("{}", proof_in_words(checks.proof()));
}

/// Runs the web server and the background task on an open database until `stop`.
async fn serve_on(
    db: Database,
    (listener, metrics_listener): (TcpListener, Option<TcpListener>),
    config: &Config,
    (checks, clock): (Checks, Clock),
    private: Option<&PrivatePostgres>,
    writer_runtime: &Handle,
    stopping: Stopping,
) -> Result<(), Failure> {
    let stop = stopping.stop.clone();
    let address = listener.local_addr()?;
    let notifier = Notifier::default();
    let mut limits = Limits::default().within_open_files();
    limits
        .exempt
        .extend_from_slice(config.trusted_proxies.networks());
    let pool = db.pool.clone();
    let app = App::with_queue(
        db,
        site(config, address, checks.clone()),
        notifier.clone(),
        queue::Limits::default(),
        Some(writer_runtime.clone()),
    );
    announce(&checks);
    // With checks on, the worker runs on the main runtime and its cores; with checks off it shares
    // the writers' runtime, so that a flood of connections cannot starve it.
    let works_on = match checks.mode() {
        Mode::Off => writer_runtime.clone(),
        Mode::Advise | Mode::Enforce => Handle::current(),
    };
    let worker = Worker::new(pool.clone(), config.waits, notifier)
        .with_checks(checks)
        .with_clock(clock);
    // Before the first check: it sets the clock that the checks use.
    if let Err(error) = worker.show_once().await {
        tracing::debug!(%error, "this instance could not be recorded");
    }
    let worker_meter = worker.meter().clone();
    let worker = works_on.spawn(worker.run(stop.clone()));
    let publisher = works_on.spawn(app.publication().clone().run(stop.clone()));
    let sweeper = Sweeper::new(pool.clone(), config.sweep, stop.clone());
    let door = HttpServer::new(limits);
    let metrics = Metrics::new(
        app.clone(),
        worker_meter,
        sweeper.meter().clone(),
        door.clone(),
    );
    if let Some(listener) = &metrics_listener {
        tracing::info!("metrics on http://{}/metrics", listener.local_addr()?);
    }
    let metrics = tokio::spawn(serve_metrics(metrics_listener, metrics, stop.clone()));
    // A restored backup may have brought contact data back: no request is answered before they are
    // removed.
    sweeper.make_clean().await;
    let sweeper = tokio::spawn(sweeper.run());
    warn_of_standbys(&pool).await;
    if nix::unistd::geteuid().is_root() {
        tracing::warn!(
            "runs as root, which it does not need: start it as a user of its own, as deploy/pic-portal.service does"
        );
    }
    say(&format!("listening on http://{address}"));
    systemd::tell("READY=1");
    if let Source::Private(dir) = &config.source
        && config.sign_in.passwords
    {
        set_up::offer(&app, dir).await;
    }
    tokio::spawn({
        let (app, door, stopping) = (app.clone(), door.clone(), stopping.clone());
        async move {
            stopping.draining.cancelled().await;
            systemd::tell("STOPPING=1");
            app.drain();
            door.drain();
            stopping.stop.cancelled().await;
            app.stop();
        }
    });
    let server = door.serve(listener, routes::router(&app), stop.clone());
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
            stopping.now();
            server.await;
        }
    }
    if worker.await.is_err() {
        tracing::error!("the background task panicked");
    }
    if publisher.await.is_err() {
        tracing::error!("the publisher panicked");
    }
    if sweeper.await.is_err() {
        tracing::error!("the retention sweep panicked");
    }
    if metrics.await.is_err() {
        tracing::error!("the listener for metrics panicked");
    }
    pool.close().await;
    outcome
}

/// Warns where standbys are meant to take over, and would do so without what was acknowledged last.
async fn warn_of_standbys(pool: &PgPool) {
    match db::standbys(pool).await {
        Ok(it) if it.connected > 0 && it.waited_for_none => tracing::warn!(
            standbys = it.connected,
            "the database has standbys, and a commit waits for none of them (synchronous_standby_names is empty): requests that were acknowledged last are lost in a fail-over"
        ),
        Ok(_) => {}
        Err(error) => tracing::debug!(%error, "the standbys of the database are not known"),
    }
}

/// Answers Prometheus until `stop`, if there is a listener.
async fn serve_metrics(listener: Option<TcpListener>, metrics: Metrics, stop: CancellationToken) {
    let Some(listener) = listener else { return };
    let limits = Limits {
        connections: 16,
        refusals: 4,
        ..Limits::default()
    };
    HttpServer::new(limits)
        .serve(listener, endpoint::router(metrics), stop)
        .await;
}

/// What the checks' mode means, for the log.
const fn in_words(mode: Mode, proof: ProofMode) -> &'static str {
    match (mode, proof) {
        (Mode::Enforce, _) => {
            "readiness checks enforce: a request is provisioned on positive proof alone"
        }
        (Mode::Advise, ProofMode::Held) => {
            "readiness checks advise: a request is provisioned whatever they find"
        }
        (Mode::Advise, ProofMode::Always) => {
            "readiness checks advise: a request is provisioned whatever they find, once its domains are proven"
        }
        (Mode::Off, _) => "readiness checks are off: requests are provisioned without look-ups",
    }
}

/// When ownership has to be proven, for the log.
const fn proof_in_words(proof: ProofMode) -> &'static str {
    match proof {
        ProofMode::Held => {
            "proof of ownership is asked for where another service holds a domain (PIC_PROOF=held)"
        }
        ProofMode::Always => {
            "proof of ownership is asked for every domain that its service does not hold yet (PIC_PROOF=always)"
        }
    }
}
