//! The commands `backup`, `restore`, `psql` and `upgrade`: the database in the operator's hands.

use std::{
    ffi::OsString,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
};

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::{
    Failure,
    reach::{self, server},
    say,
    serve::{recovered, start_private},
};
use crate::{
    backup::{self, Backup},
    clock::Clock,
    config::{Config, Source},
    db::private::{PORTAL_DATABASE, PrivatePostgres, Tools, Upgrade, ensure_database},
};

/// Back the database up into a file, without contact rows, and check the file by restoring it into a
/// throw-away server; the portal may be running
#[derive(Args, Debug)]
pub(super) struct Make {
    /// The file to make; no file is overwritten
    file: PathBuf,
}

/// Restore an empty database from a file that `backup` made; the portal must not be running
#[derive(Args, Debug)]
pub(super) struct Restore {
    /// The file
    file: PathBuf,
}

/// Open psql on the portal's database, the private PostgreSQL's too; the portal may be running
#[derive(Args, Debug)]
pub(super) struct Psql {
    /// Arguments of psql, after `--`, like `-- -c 'SELECT count(*) FROM request'`
    #[arg(last = true)]
    arguments: Vec<OsString>,
}

impl Make {
    pub(super) async fn run(self, config: &Config) -> Result<(), Failure> {
        reach::existing(&config.source)?;
        reach::with_database(&config.source, |servers| async move {
            let options = reach::writable(&servers).await?;
            let at = Clock::system().now();
            let made = backup::back_up(&options, &self.file).await?;
            tell(&self.file, &made);
            if let Source::Private(dir) = &config.source
                && let Err(error) = backup::note(dir, at, &made)
            {
                tracing::debug!(%error, "the backup is not noted for doctor");
            }
            Ok(())
        })
        .await
    }
}

fn tell(file: &Path, made: &Backup) {
    say(&format!(
        "{}: {} bytes, {} rows of {} tables, without contact rows",
        file.display(),
        made.bytes,
        made.rows,
        made.tables
    ));
    for table in &made.foreign {
        say(&format!(
            "not in it, because it is not the portal's: table {table}"
        ));
    }
    match &made.check {
        Some(check) => {
            say(
                "checked: it was restored into a throw-away server, and holds what the database held",
            );
            for suspect in &check.suspects {
                say(&format!("looks like contact information: {suspect}"));
            }
        }
        None => say(
            "NOT checked: there is no PostgreSQL server on this machine to restore it into. Try `pic-portal restore` on another",
        ),
    }
}

impl Restore {
    pub(super) async fn run(self, config: &Config) -> Result<(), Failure> {
        reach::with_database(&config.source, |servers| async move {
            let options = reach::writable(&servers).await?;
            backup::restore(&options, &self.file).await?;
            say("restored. Start the portal: it brings the schema up to date, and publishes to gateways anew");
            Ok(())
        })
        .await
    }
}

impl Psql {
    pub(super) async fn run(self, config: &Config) -> Result<(), Failure> {
        reach::existing(&config.source)?;
        let tools = Tools::find("psql", 0)?;
        let (servers, started) = server(&config.source).await?;
        let options = reach::writable(&servers).await?;
        let mut psql = tools.command("psql", &options);
        psql.args(self.arguments);
        let Some(mut server) = started else {
            // It takes this process's place, and its signals.
            return Err(psql.exec().into());
        };
        // Ctrl-C is for psql, which ends a query by it.
        let _signals = (
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
        );
        let ended = tokio::process::Command::from(psql).status().await;
        let stopped = tokio::task::spawn_blocking(move || server.stop());
        stopped.await.map_err(std::io::Error::other)?;
        if ended?.success() {
            Ok(())
        } else {
            Err(Failure::Refused("psql ended with an error".into()))
        }
    }
}

/// Moves the data of the private PostgreSQL to the newest major version that is installed.
pub(super) async fn upgrade(config: &Config) -> Result<(), Failure> {
    let Source::Private(dir) = &config.source else {
        return Err(Failure::Refused(
            "this is for the private PostgreSQL, and DATABASE_URL is set: upgrade that server as its own documentation says".into(),
        ));
    };
    let Some(upgrade) = Upgrade::of(dir)? else {
        say(
            "nothing to do: there are no data, or they are of the newest PostgreSQL that is installed",
        );
        return Ok(());
    };
    say(&format!(
        "moving the data from PostgreSQL {} to {}",
        upgrade.from, upgrade.to
    ));
    let (old, mut old_server) = start_private(dir.clone()).await?;
    let moved = async {
        recovered(&old).await?;
        let options = upgrade.prepare()?;
        let start = tokio::task::spawn_blocking(move || PrivatePostgres::start(&options));
        let mut server = start.await.map_err(std::io::Error::other)??;
        let new = server.connect_options(PORTAL_DATABASE);
        let copied = async {
            ensure_database(&new).await.map_err(backup::Error::from)?;
            backup::move_to(&old, &new).await
        };
        let copied = copied.await;
        let stopped = tokio::task::spawn_blocking(move || server.stop());
        stopped.await.map_err(std::io::Error::other)?;
        Ok::<_, Failure>(copied?)
    };
    let moved = moved.await;
    let stopped = tokio::task::spawn_blocking(move || old_server.stop());
    stopped.await.map_err(std::io::Error::other)?;
    let rows = moved?;
    let kept = tokio::task::spawn_blocking(move || upgrade.finish())
        .await
        .map_err(std::io::Error::other)??;
    say(&format!(
        "moved and compared: {rows} rows. Start the portal; when all is well, remove the old data: rm -r {}",
        kept.display()
    ));
    Ok(())
}
