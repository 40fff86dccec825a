//! How does a command reach the portal's database, whether a portal is running or not?

use sqlx::postgres::PgConnectOptions;

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

/// Opens the portal's database: a running portal's private PostgreSQL is used beside it, one that is
/// not running is started for the command.
pub(super) async fn database(config: &Config) -> Result<Reached, Failure> {
    let (options, private) = match &config.source {
        Source::Url(options) => (PgConnectOptions::clone(options), None),
        Source::Private(dir) => match start_private(dir.clone()).await {
            Ok((options, server)) => (options, Some(server)),
            Err(Failure::Private(StartError::AlreadyRuns { dir, process })) => {
                let running = private::connect_to_running(&dir);
                (
                    running.ok_or(StartError::AlreadyRuns { dir, process })?,
                    None,
                )
            }
            Err(failure) => return Err(failure),
        },
    };
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

async fn stop(private: Option<PrivatePostgres>) -> Result<(), Failure> {
    if let Some(mut server) = private {
        tokio::task::spawn_blocking(move || server.stop())
            .await
            .map_err(std::io::Error::other)?;
    }
    Ok(())
}
