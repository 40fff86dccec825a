//! Reads the settings of the database.

use std::path::PathBuf;

use clap::Args;

use super::{Source, Wrong, database, first_line, set, wrong, yes};
use crate::db::{Opening, private};

/// The settings as given, not looked at yet.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Database")]
pub struct DatabaseGiven {
    /// PostgreSQL 15 or later, like `postgres://pic@db.contoso.com/pic`; of several hosts, as in
    /// `postgres://pic@db1,db2/pic`, the one that takes writes. Unset: a private PostgreSQL
    /// is started from the server binaries on this machine.
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: Option<String>,
    /// File with the URL in its first line, for a URL with a password in it; instead of `DATABASE_URL`
    #[arg(long, env = "DATABASE_URL_FILE", value_name = "FILE")]
    pub database_url_file: Option<PathBuf>,
    /// Where the private PostgreSQL lives [default: /var/lib/pic-portal for root, else
    /// $XDG_DATA_HOME/pic-portal or ~/.local/share/pic-portal]
    #[arg(long, env = "PIC_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Connections to the database, at most [default: 10]
    #[arg(long, env = "PIC_DB_POOL", value_name = "N")]
    pub db_pool: Option<String>,
    /// Start although the database has `fsync` or `synchronous_commit` off [default: false]
    #[arg(long, env = "PIC_ALLOW_UNSAFE_DATABASE", value_name = "BOOL")]
    pub allow_unsafe_database: Option<String>,
}

impl DatabaseGiven {
    /// Which database is used.
    pub(super) fn source(&self) -> Result<Source, Wrong> {
        const FILE: &str = "DATABASE_URL_FILE";
        const EXAMPLE: &str = "/etc/pic-portal/database-url";
        let url = set(self.database_url.as_ref());
        match (
            url,
            first_line(FILE, self.database_url_file.as_ref(), EXAMPLE)?,
        ) {
            (Some(_), Some(_)) => Err(wrong(
                FILE,
                "is set, and DATABASE_URL too: take one of them back",
                EXAMPLE,
            )),
            (Some(url), None) => database(url).map(Source::Url),
            (None, Some(url)) => database(&url).map(Source::Url),
            (None, None) => Ok(Source::Private(
                self.data_dir
                    .clone()
                    .filter(|dir| !dir.as_os_str().is_empty())
                    .unwrap_or_else(private::default_dir),
            )),
        }
    }

    /// How it is opened.
    pub(super) fn opening(&self) -> Result<Opening, Wrong> {
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
