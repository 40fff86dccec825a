//! Starts a private PostgreSQL for a benchmark.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

use pic_portal::db::{
    Database, Opening,
    private::{Options, PrivatePostgres, ensure_database},
};
use sqlx::postgres::PgConnectOptions;
use tempfile::TempDir;

/// A private PostgreSQL, stopped when it is dropped.
pub(crate) struct Server {
    postgres: PrivatePostgres,
    _scratch: Option<TempDir>,
}

impl Server {
    /// Starts a server with the portal's own settings and `settings` in addition, in a scratch
    /// directory on the disk of the build, which is deleted with it.
    ///
    /// # Panics
    ///
    /// When it does not start, with the reason.
    pub(crate) fn start(options: fn(PathBuf) -> Options, settings: &[(&str, &str)]) -> Self {
        let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
        // When run as root, the server's own user must be able to enter it.
        fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o755))
            .expect("our own directory");
        let path = scratch.path().to_owned();
        Self {
            _scratch: Some(scratch),
            ..Self::start_with(options(path), settings)
        }
    }

    /// Starts a server with `options`, in their directory, which is kept.
    pub(crate) fn start_with(mut options: Options, settings: &[(&str, &str)]) -> Self {
        let settings = settings
            .iter()
            .map(|&(name, value)| (name.to_owned(), value.to_owned()));
        options.settings.extend(settings);
        let postgres = PrivatePostgres::start(&options).unwrap_or_else(|error| panic!("{error}"));
        Self {
            postgres,
            _scratch: None,
        }
    }

    /// How to connect to the database of this name, which is made if it is missing.
    pub(crate) async fn database(&self, name: &str) -> PgConnectOptions {
        let options = self.postgres.connect_options(name);
        ensure_database(&options).await.expect("a database");
        options
    }

    /// The database of this name, migrated, over `pool` connections at most.
    pub(crate) async fn open(&self, name: &str, pool: u32) -> Database {
        let opening = Opening {
            pool,
            allow_unsafe: true,
        };
        Database::open(self.database(name).await, &opening)
            .await
            .expect("a database that is fit")
    }
}
