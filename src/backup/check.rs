//! Checks a backup by restoring it into a throw-away server.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use sqlx::postgres::PgConnectOptions;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    Error, compare, restoring, run,
    store::{Content, Moment},
};
use crate::{
    db::{
        Database, Opening,
        private::{Options, PORTAL_DATABASE, PrivatePostgres, StartError, Tools, ensure_database},
    },
    retention::{Cause, Run, sweep::Sweeper},
};

/// What a check came to.
#[derive(Debug)]
pub struct Check {
    /// Columns of the restored copy that look like contact information, with the number of values.
    pub suspects: Vec<String>,
}

/// A throw-away server, which ends with this value, and its directory, which goes with it.
struct ThrowAway {
    server: Option<PrivatePostgres>,
    dir: PathBuf,
}

impl Drop for ThrowAway {
    fn drop(&mut self) {
        self.server = None;
        if let Err(error) = fs::remove_dir_all(&self.dir) {
            tracing::warn!(%error, dir = %self.dir.display(), "the throw-away server's directory cannot be removed");
        }
    }
}

/// Restores `file` and compares it with `contents`. `None`: there is no server on this machine.
pub(super) async fn check(
    tools: &Tools,
    file: &Path,
    contents: &[Content],
) -> Result<Option<Check>, Error> {
    let dir = std::env::temp_dir().join(format!("pic-portal-check-{}", Uuid::new_v4()));
    let mut options = Options::throw_away(&dir);
    // Of the version that was dumped, where that is installed.
    options.bindir = tools
        .dir
        .join("initdb")
        .is_file()
        .then(|| tools.dir.clone());
    let start = tokio::task::spawn_blocking(move || PrivatePostgres::start(&options));
    let started = start.await.map_err(std::io::Error::other)?;
    let server = match started {
        Err(StartError::NoBinaries { .. } | StartError::BinariesTooOld { .. }) => return Ok(None),
        started => started?,
    };
    let options = server.connect_options(PORTAL_DATABASE);
    let throw_away = ThrowAway {
        server: Some(server),
        dir,
    };
    let checked = look(tools, options, file, contents).await;
    let ended = tokio::task::spawn_blocking(move || drop(throw_away));
    ended.await.map_err(std::io::Error::other)?;
    checked.map(Some)
}

async fn look(
    tools: &Tools,
    options: PgConnectOptions,
    file: &Path,
    contents: &[Content],
) -> Result<Check, Error> {
    ensure_database(&options).await?;
    let mut restore = restoring(tools, &options);
    restore.stdin(File::open(file).map_err(Error::of(file))?);
    run(restore).await?;
    compare(contents, &Moment::begin(&options).await?.contents().await?)?;
    let opening = Opening {
        pool: 3,
        allow_unsafe: true,
    };
    let copy = Database::open(options, &opening).await?;
    let never = CancellationToken::new();
    let sweeper = Sweeper::new(copy.pool.clone(), std::time::Duration::from_hours(1), never);
    let swept = sweeper.sweep(Cause::Hand).await;
    copy.pool.close().await;
    let run: Option<Run> = swept.map_err(|halt| Error::Unsearched(halt.to_string()))?;
    Ok(Check {
        suspects: run.map(|run| run.looked.suspects).unwrap_or_default(),
    })
}
