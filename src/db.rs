//! Opens the portal's database, checks that it is fit, and migrates it.

pub mod batcher;
mod error;
pub mod notify;
mod pool;
pub mod private;
mod servers;
mod standbys;

use std::{collections::HashMap, time::Duration};

use sqlx::{
    Connection as _, PgConnection,
    migrate::{MigrateError, Migrator},
    postgres::types::PgInterval,
};
use tokio::time::{sleep, timeout};

pub use self::{
    error::{Error, Fault, InvalidRow},
    pool::{Again, Held, PgPool, Transaction, budget},
    servers::Servers,
    standbys::{Standbys, standbys},
};
use crate::secret::Secret;

/// The schema, in order; applied files never change. Each migration works with the version of the
/// portal before it and the one after it (expand, then contract).
pub static MIGRATOR: Migrator = migrator();

const fn migrator() -> Migrator {
    // An older portal runs on a newer schema; the lock is our own, see `migrate`.
    let mut migrator = sqlx::migrate!();
    migrator.ignore_missing = true;
    migrator.locking = false;
    migrator
}

/// The oldest major version of PostgreSQL that will do (`docs/design.md#contract`).
pub const OLDEST_MAJOR: i32 = 15;

/// How long a start waits for a database that does not answer.
const START_LIMIT: Duration = Duration::from_secs(10);

/// The advisory lock that lets one process at a time migrate: the letters "pic" and a year.
const MIGRATION_LOCK: i64 = 0x0070_6963_2026;

/// Why the portal does not start on a database. Each text is one line and says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The server cannot be reached or refuses the login.
    #[error(
        "cannot connect to the database: {0}. Check DATABASE_URL (like postgres://pic@db.contoso.com/pic) and that the server is up"
    )]
    Connect(Error),
    /// The server is too old.
    #[error(
        "the database server is PostgreSQL {0}, and the portal needs {OLDEST_MAJOR} or later. Upgrade the server, or point DATABASE_URL at another"
    )]
    TooOld(String),
    /// The database is not in UTF-8.
    #[error(
        "the database's encoding is {0}, and the portal needs UTF8. Make one with: CREATE DATABASE pic ENCODING 'UTF8' TEMPLATE template0"
    )]
    Encoding(String),
    /// The server is a standby.
    #[error(
        "the database is read-only (a standby, or default_transaction_read_only is on). Point DATABASE_URL at the primary, or name all servers in it: postgres://pic@db1,db2/pic"
    )]
    ReadOnly,
    /// A setting of the server could lose acknowledged requests.
    #[error(
        "the database has {0} off: acknowledged requests could be lost in a crash. Turn it on, or set PIC_ALLOW_UNSAFE_DATABASE=true for a throw-away"
    )]
    Unsafe(&'static str),
    /// The schema could not be brought up to date.
    #[error(
        "the database's schema could not be brought up to date: {0}. Where the role of DATABASE_URL may not create tables, run `pic-portal migrate` as one that may"
    )]
    Migrate(String),
    /// The schema is older than this version of the portal, and this command does not migrate.
    #[error(
        "the database's schema is at {at}, and this version of the portal needs {}. Run `pic-portal migrate`, or start this version of the portal: nothing else changes the schema",
        newest()
    )]
    Behind {
        /// The newest migration that was applied; 0: none.
        at: i64,
    },
    /// The schema is that of a version from before the first release, which is not migrated.
    #[error(
        "the database was made by a development version of the portal, and its tables are not those of this version. Point DATABASE_URL at an empty database, or without it empty PIC_DATA_DIR: nothing comes over from a development version"
    )]
    Development,
    /// Another process has been migrating for too long.
    #[error("another process has been migrating the database for {} s. Wait for it, or stop it, and start again", .0.as_secs())]
    MigrationLocked(Duration),
}

/// How a database is to be opened.
#[derive(Clone, Copy, Debug)]
pub struct Opening {
    /// The most connections (`PIC_DB_POOL`).
    pub pool: u32,
    /// Whether a database that may lose acknowledged requests is accepted
    /// (`PIC_ALLOW_UNSAFE_DATABASE`).
    pub allow_unsafe: bool,
}

/// A database that is fit, migrated and ready to use.
#[derive(Clone, Debug)]
pub struct Database {
    /// The pool of its connections.
    pub pool: PgPool,
    /// The secret that is stored in it.
    pub secret: Secret,
}

impl Database {
    /// Connects, checks that the database is fit, migrates it and reads its secret.
    ///
    /// # Errors
    ///
    /// [`OpenError`]; nothing is left half done then.
    pub async fn open(servers: impl Into<Servers>, opening: &Opening) -> Result<Self, OpenError> {
        Self::connect(servers.into(), opening, true).await
    }

    /// Like [`Database::open`], and leaves the schema as it is.
    ///
    /// # Errors
    ///
    /// [`OpenError`]; [`OpenError::Behind`] when the schema is older than this version.
    pub async fn open_migrated(
        servers: impl Into<Servers>,
        opening: &Opening,
    ) -> Result<Self, OpenError> {
        Self::connect(servers.into(), opening, false).await
    }

    async fn connect(
        servers: Servers,
        opening: &Opening,
        migrates: bool,
    ) -> Result<Self, OpenError> {
        let servers = servers.named("pic-portal");
        let mut connection = in_time(connect(&servers)).await?;
        in_time(fit(&mut connection, opening)).await?;
        match in_time(up_to_date(&mut connection)).await {
            // A role that may not create tables can run the portal then.
            Ok(()) => in_time(async { connection.close().await.map_err(unreachable) }).await?,
            Err(OpenError::Behind { .. }) if migrates => migrate(&servers, connection).await?,
            Err(error) => return Err(error),
        }
        let pool = PgPool::new(servers, opening.pool);
        let secret = sqlx::query_scalar!("SELECT value FROM secret")
            .fetch_one(pool.retrying())
            .await
            .map_err(unreachable)?;
        let secret = Secret::from_bytes(&secret).ok_or_else(|| {
            OpenError::Connect(
                InvalidRow {
                    table: "secret",
                    column: "value",
                    id: None,
                }
                .into(),
            )
        })?;
        Ok(Self { pool, secret })
    }

    /// Whether the server answers within `patience` and accepts writes. Whether its disk has room is
    /// tried only after it was full: a statement that writes would be too much for every probe.
    pub async fn answers(&self, patience: Duration) -> bool {
        let pool = self.pool.clone().within(patience);
        let read_only = sqlx::query_scalar!(
            r#"SELECT current_setting('transaction_read_only') = 'on' AS "read_only!""#
        )
        .fetch_one(pool.retrying())
        .await;
        match read_only {
            Ok(read_only) => {
                if read_only {
                    // The next check then uses a new connection, which leads to the new primary
                    // after a switch-over.
                    self.pool.renew();
                }
                !read_only && (!self.pool.was_full() || room(&pool).await.is_ok())
            }
            Err(_) => false,
        }
    }
}

/// Tries whether the server's disk has room, by a temporary table that is gone at once.
///
/// # Errors
///
/// [`Error`], of which [`Error::is_disk_full`] tells more. A role without the right to make temporary
/// tables cannot try, and gets none.
pub async fn room(pool: &PgPool) -> Result<(), Error> {
    let table = "CREATE TEMPORARY TABLE pic_room ON COMMIT DROP AS SELECT generate_series(1, 1000)";
    let tried = sqlx::query(table).persistent(false).execute(pool).await;
    match tried.map_err(Error::from) {
        Err(error) if error.sqlstate() != "42501" => Err(error),
        _ => {
            pool.has_room();
            Ok(())
        }
    }
}

/// Opens one connection, or says why that is not possible.
async fn connect(servers: &Servers) -> Result<PgConnection, OpenError> {
    servers.connect().await.map_err(unreachable)
}

fn unreachable(error: sqlx::Error) -> OpenError {
    OpenError::Connect(error.into())
}

/// Runs one step of opening the database within [`START_LIMIT`].
async fn in_time<T>(step: impl Future<Output = Result<T, OpenError>>) -> Result<T, OpenError> {
    timeout(START_LIMIT, Box::pin(step))
        .await
        .unwrap_or_else(|_| {
            Err(unreachable(sqlx::Error::Io(
                std::io::ErrorKind::TimedOut.into(),
            )))
        })
}

/// Checks that the server can keep what the portal promises.
async fn fit(connection: &mut PgConnection, opening: &Opening) -> Result<(), OpenError> {
    let row = sqlx::query!(
        r#"SELECT current_setting('server_version_num')::int / 10000 AS "major!",
                  current_setting('server_version') AS "version!",
                  current_setting('server_encoding') AS "encoding!",
                  pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on' AS "read_only!",
                  current_setting('fsync') = 'off' AS "no_fsync!",
                  current_setting('synchronous_commit') = 'off' AS "no_synchronous_commit!""#
    )
    .fetch_one(connection)
    .await
    .map_err(unreachable)?;
    if row.major < OLDEST_MAJOR {
        return Err(OpenError::TooOld(row.version));
    }
    if row.encoding != "UTF8" {
        return Err(OpenError::Encoding(row.encoding));
    }
    if row.read_only {
        return Err(OpenError::ReadOnly);
    }
    if !opening.allow_unsafe {
        if row.no_fsync {
            return Err(OpenError::Unsafe("fsync"));
        }
        if row.no_synchronous_commit {
            return Err(OpenError::Unsafe("synchronous_commit"));
        }
    }
    Ok(())
}

/// The newest migration that this program knows.
#[must_use]
pub fn newest() -> i64 {
    let versions = MIGRATOR.iter().map(|migration| migration.version);
    versions.max().unwrap_or_default()
}

/// Checks that the database has all migrations of this program; it may have newer ones too.
async fn up_to_date(connection: &mut PgConnection) -> Result<(), OpenError> {
    // The table belongs to the migrator, and does not exist when queries are checked at build time.
    let applied: Result<Vec<(i64, Vec<u8>)>, _> =
        sqlx::query_as("SELECT version, checksum FROM _sqlx_migrations WHERE success")
            .persistent(false)
            .fetch_all(connection)
            .await;
    let applied: HashMap<i64, Vec<u8>> = match applied.map_err(Error::from) {
        Ok(applied) => applied.into_iter().collect(),
        Err(error) if error.sqlstate() == "42P01" => HashMap::new(),
        Err(error) => return Err(OpenError::Connect(error)),
    };
    for migration in MIGRATOR.iter() {
        match applied.get(&migration.version) {
            Some(checksum) if **checksum == *migration.checksum => {}
            // Files of a release never change, so this one was applied by no release.
            Some(_) => return Err(OpenError::Development),
            None => {
                let at = applied.keys().copied().max().unwrap_or_default();
                return Err(OpenError::Behind { at });
            }
        }
    }
    Ok(())
}

/// Applies the missing migrations, one process at a time. The lock is held by an open transaction
/// on `guard` and retried in a loop, because behind a pooler in transaction mode neither a
/// session's lock nor waiting for it inside the server works.
async fn migrate(servers: &Servers, mut guard: PgConnection) -> Result<(), OpenError> {
    const PATIENCE: Duration = Duration::from_mins(2);
    let began = tokio::time::Instant::now();
    let mut transaction = loop {
        let mut transaction = in_time(async { guard.begin().await.map_err(unreachable) }).await?;
        let alone = sqlx::query_scalar!(
            r#"SELECT pg_try_advisory_xact_lock($1) AS "alone!""#,
            MIGRATION_LOCK
        );
        let alone = in_time(async {
            let alone = alone.fetch_one(&mut *transaction).await;
            alone.map_err(unreachable)
        });
        if alone.await? {
            break transaction;
        }
        in_time(async { transaction.rollback().await.map_err(unreachable) }).await?;
        if began.elapsed() > PATIENCE {
            return Err(OpenError::MigrationLocked(PATIENCE));
        }
        sleep(Duration::from_millis(50)).await;
    };
    let mut connection = in_time(connect(servers)).await?;
    let applied = async {
        MIGRATOR
            .run_direct(None, &mut connection, false)
            .await
            .map_err(|e| match e {
                // Files of a release never change, so this one was applied by no release.
                MigrateError::VersionMismatch(_) => OpenError::Development,
                MigrateError::Execute(e) | MigrateError::ExecuteMigration(e, _) => {
                    OpenError::Migrate(Error::from(e).to_string())
                }
                // The other errors carry versions and file names, no values.
                other => OpenError::Migrate(other.to_string()),
            })
    };
    // A migration may take any time, but the server must stay reachable.
    let watched = async {
        loop {
            sleep(START_LIMIT).await;
            in_time(async { transaction.ping().await.map_err(unreachable) }).await?;
        }
    };
    tokio::select! {
        applied = applied => applied?,
        lost = watched => return lost,
    }
    let close = async { connection.close().await.map_err(unreachable) };
    in_time(close).await?;
    in_time(async { transaction.commit().await.map_err(unreachable) }).await?;
    in_time(async { guard.close().await.map_err(unreachable) }).await
}

/// Converts `duration` to a PostgreSQL interval, to the microsecond; the longest one where it does
/// not fit.
#[must_use]
pub fn interval(duration: Duration) -> PgInterval {
    PgInterval {
        months: 0,
        days: 0,
        microseconds: i64::try_from(duration.as_micros()).unwrap_or(i64::MAX),
    }
}
