//! How does a command reach the portal's database, whether a portal is running or not?

use sqlx::postgres::PgConnectOptions;
use tokio::signal::unix::{SignalKind, signal};

use super::{Failure, serve::start_private};
use crate::{
    config::{Config, Source},
    db::{
        Database,
        private::{self, PrivatePostgres, StartError},
    },
};

/// An open database for one command.
pub(super) struct Reached {
    pub(super) db: Database,
    /// Started for this command alone.
    private: Option<PrivatePostgres>,
}

/// How to connect: a running portal's private PostgreSQL is used beside it, one that is not running
/// is started for the command.
async fn server(source: &Source) -> Result<(PgConnectOptions, Option<PrivatePostgres>), Failure> {
    let dir = match source {
        Source::Url(options) => return Ok((PgConnectOptions::clone(options), None)),
        Source::Private(dir) => dir.clone(),
    };
    match start_private(dir).await {
        Ok((options, server)) => Ok((options, Some(server))),
        Err(Failure::Private(StartError::AlreadyRuns { dir, process })) => {
            let running = private::connect_to_running(&dir);
            Ok((
                running.ok_or(StartError::AlreadyRuns { dir, process })?,
                None,
            ))
        }
        Err(failure) => Err(failure),
    }
}

/// Opens the portal's database.
pub(super) async fn database(config: &Config) -> Result<Reached, Failure> {
    let (options, private) = server(&config.source).await?;
    match Database::open(options, &config.opening).await {
        Ok(db) => Ok(Reached { db, private }),
        Err(error) => {
            stop(private).await?;
            Err(error.into())
        }
    }
}

impl Reached {
    /// Closes it, and stops what was started for it.
    pub(super) async fn close(self) -> Result<(), Failure> {
        self.db.pool.close().await;
        stop(self.private).await
    }
}

/// Does `work` with connections of its own. SIGINT and SIGTERM end the work where it is.
///
/// # Errors
///
/// Those of `work`, those of reaching the database, and [`Failure::Interrupted`].
pub(super) async fn with_database<F>(
    source: &Source,
    work: impl FnOnce(PgConnectOptions) -> F,
) -> Result<(), Failure>
where
    F: Future<Output = Result<(), Failure>>,
{
    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    let (options, private) = server(source).await?;
    let done = tokio::select! {
        done = work(options) => done,
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
