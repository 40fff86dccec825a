//! Opens the portal's database for a command, whether a portal is running or not.

use std::time::Duration;

use sqlx::{Connection as _, postgres::PgConnectOptions};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::timeout,
};

use super::{
    Failure, say,
    serve::{recovered, start_private},
};
use crate::{
    config::{Config, Source},
    db::{
        self, Database, OpenError, Servers,
        private::{self, PrivatePostgres, StartError},
    },
};

/// How long a server may take to answer a command.
const ANSWER: Duration = Duration::from_secs(10);

/// An open database for one command.
pub(super) struct Reached {
    pub(super) db: Database,
    /// The private PostgreSQL, if it was started for this command.
    private: Option<PrivatePostgres>,
}

/// How to connect: if a portal runs its private PostgreSQL, that is used too; otherwise it is
/// started for the command.
pub(super) async fn server(source: &Source) -> Result<(Servers, Option<PrivatePostgres>), Failure> {
    let dir = match source {
        Source::Url(servers) => return Ok((servers.clone(), None)),
        Source::Private(dir) => dir.clone(),
    };
    match start_private(dir).await {
        Ok((options, server)) => {
            recovered(&options).await?;
            Ok((options.into(), Some(server)))
        }
        Err(Failure::Private(StartError::AlreadyRuns { dir, process })) => {
            let running = private::connect_to_running(&dir);
            Ok((
                running
                    .ok_or(StartError::AlreadyRuns { dir, process })?
                    .into(),
                None,
            ))
        }
        Err(failure) => Err(failure),
    }
}

/// Refuses a private PostgreSQL that was never started, for commands that need a database that is
/// there: under a wrong `PIC_DATA_DIR` they would make an empty one, and find nothing wrong with it.
///
/// # Errors
///
/// [`Failure::Refused`], with what to do.
pub(super) fn existing(source: &Source) -> Result<(), Failure> {
    match source {
        Source::Private(dir) if !dir.join("pgdata").exists() => Err(Failure::Refused(format!(
            "there is no private PostgreSQL in {} yet. Start the portal, which makes it, or name the right directory by PIC_DATA_DIR, or a database by DATABASE_URL",
            dir.display()
        ))),
        _ => Ok(()),
    }
}

/// The options of the one server that takes writes, for programs that connect by themselves.
pub(super) async fn writable(servers: &Servers) -> Result<PgConnectOptions, Failure> {
    let unreachable = |error: sqlx::Error| OpenError::Connect(error.into());
    let connection = timeout(ANSWER, servers.connect()).await;
    let connection = connection
        .unwrap_or_else(|_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()))
        .map_err(unreachable)?;
    connection.close().await.map_err(unreachable)?;
    Ok(servers.last().clone())
}

/// Opens the portal's database, makes none, and leaves its schema as it is.
pub(super) async fn database(config: &Config) -> Result<Reached, Failure> {
    existing(&config.source)?;
    let (servers, private) = server(&config.source).await?;
    match Database::open_migrated(servers, &config.opening).await {
        Ok(db) => Ok(Reached { db, private }),
        Err(error) => {
            stop(private).await?;
            Err(error.into())
        }
    }
}

impl Reached {
    /// Closes the connections, and stops the server that was started for them.
    pub(super) async fn close(self) -> Result<(), Failure> {
        self.db.pool.close().await;
        stop(self.private).await
    }
}

/// The command `migrate`: brings the schema up to date, and nothing else.
pub(super) async fn migrate(config: &Config) -> Result<(), Failure> {
    with_database(&config.source, |servers| async move {
        let db = Database::open(servers, &config.opening).await?;
        db.pool.close().await;
        say(&format!("the schema is at {} or newer", db::newest()));
        Ok(())
    })
    .await
}

/// Runs `work` with connections of its own. SIGINT and SIGTERM end it at any point.
///
/// # Errors
///
/// Those of `work`, those of opening the database, and [`Failure::Interrupted`].
pub(super) async fn with_database<F>(
    source: &Source,
    work: impl FnOnce(Servers) -> F,
) -> Result<(), Failure>
where
    F: Future<Output = Result<(), Failure>>,
{
    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    let (servers, private) = server(source).await?;
    let done = tokio::select! {
        done = work(servers) => done,
        _ = terminate.recv() => Err(Failure::Interrupted),
        _ = interrupt.recv() => Err(Failure::Interrupted),
    };
    stop(private).await?;
    done
}

async fn stop(private: Option<PrivatePostgres>) -> Result<(), Failure> {
    if let Some(mut server) = private {
        tokio::task::spawn_blocking(move || server.stop())
            .await
            .map_err(std::io::Error::other)?;
    }
    Ok(())
}
