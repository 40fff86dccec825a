//! On which database do the commands work that are no portal?

use std::future::Future;

use sqlx::postgres::PgConnectOptions;
use tokio::signal::unix::{SignalKind, signal};

use super::{Failure, start_private};
use crate::{
    config::Source,
    db::private::{PORTAL_DATABASE, test_server::running_server},
};

/// Does `work` on the portal's database, beside a portal that runs or without one: a private
/// PostgreSQL that runs is used, one that does not is started and stopped. SIGINT and SIGTERM end
/// the work where it is.
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
    let (options, private) = match source {
        Source::Url(options) => (PgConnectOptions::clone(options), None),
        Source::Private(dir) => {
            if let Some(options) = running_server(dir) {
                (options.database(PORTAL_DATABASE), None)
            } else {
                let (options, server) = start_private(dir.clone()).await?;
                (options, Some(server))
            }
        }
    };
    let done = tokio::select! {
        done = work(options) => done,
        _ = terminate.recv() => Err(Failure::Interrupted),
        _ = interrupt.recv() => Err(Failure::Interrupted),
    };
    if let Some(mut server) = private {
        tokio::task::spawn_blocking(move || server.stop())
            .await
            .map_err(std::io::Error::other)?;
    }
    done
}

/// A runtime for one command.
pub(super) fn block_on(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(work)
}
