//! Opens the portal's database, checks that it is fit, migrates it, and defines the errors of the
//! database.

pub mod batcher;
pub mod notify;
mod pool;
pub mod private;

use std::{fmt, time::Duration};

use sqlx::{
    ConnectOptions as _, Connection as _, PgConnection,
    migrate::{MigrateError, Migrator},
    postgres::{PgConnectOptions, types::PgInterval},
};
use tokio::time::{sleep, timeout};

pub use self::pool::{Again, Held, PgPool, Transaction, budget};
use crate::{column::Unreadable, secret::Secret};

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

// ---------------------------------------------------------------------------------------------
// What goes wrong

/// An invalid row. It names where the row is, and none of the values in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("impossible value in {table}.{column}, row {id:?}")]
pub struct InvalidRow {
    /// Name of the table.
    pub table: &'static str,
    /// Name of the column.
    pub column: &'static str,
    /// Number of the row, where known.
    pub id: Option<i64>,
}

/// Why a database call failed. `Display` and `Debug` name codes and constraints, never a value:
/// what a person typed must not get into a log.
#[derive(Clone, thiserror::Error)]
pub enum Error {
    /// The database is unreachable, overloaded or read-only; the same call may succeed later.
    #[error("the database is not available: {0}")]
    Unavailable(Fault),
    /// Another transaction changed the same rows at the same time; nothing was changed, so the call
    /// can be retried.
    #[error("the database asks to try again: {0}")]
    Conflict(Fault),
    /// The database refused the statement; a retry would be refused too.
    #[error("the database refused: {0}")]
    Refused(Fault),
    /// The database holds an invalid row.
    #[error(transparent)]
    InvalidRow(#[from] InvalidRow),
    /// A column of an answer holds what its type does not allow.
    #[error("impossible value in column {column} of an answer: {fault}")]
    Unreadable {
        /// Its name, or its place in the answer from 0.
        column: String,
        /// What it should be.
        fault: Unreadable,
    },
}

impl Error {
    /// Whether the constraint of this name was broken.
    #[must_use]
    pub fn breaks(&self, name: &str) -> bool {
        matches!(self, Self::Refused(Fault::Answer { constraint: Some(broken), .. }) if broken == name)
    }

    /// Whether a part of the batch may be at fault, so that the rest may succeed without it: true
    /// unless the cause is a concurrent change of the same rows, or an unreachable or overloaded
    /// database.
    #[must_use]
    pub fn may_be_a_part(&self) -> bool {
        match self {
            Self::Refused(_) | Self::InvalidRow(_) | Self::Unreadable { .. } => true,
            Self::Conflict(_) => false,
            Self::Unavailable(_) => self.took_too_long(),
        }
    }

    /// Whether the statement was cancelled because it took too long.
    #[must_use]
    pub fn took_too_long(&self) -> bool {
        match self {
            Self::Unavailable(Fault::Answer { code, .. }) => code == "57014",
            Self::Unavailable(Fault::Connection(kind)) => *kind == std::io::ErrorKind::TimedOut,
            _ => false,
        }
    }

    /// PostgreSQL's error code (SQLSTATE, five characters); empty where there is none.
    #[must_use]
    pub fn sqlstate(&self) -> &str {
        match self {
            Self::Unavailable(Fault::Answer { code, .. })
            | Self::Conflict(Fault::Answer { code, .. })
            | Self::Refused(Fault::Answer { code, .. }) => code,
            _ => "",
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What is known of a database error, without any value in it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Fault {
    /// PostgreSQL answered with an error.
    #[error("SQLSTATE {code}{}{}", if constraint.is_some() { ", constraint " } else { "" }, constraint.as_deref().unwrap_or_default())]
    Answer {
        /// The SQLSTATE, five characters.
        code: String,
        /// Name of the constraint, where one was broken.
        constraint: Option<String>,
    },
    /// The connection failed.
    #[error("{0}")]
    Connection(std::io::ErrorKind),
    /// No connection became free in time.
    #[error("no connection became free in time")]
    Busy,
    /// The client library failed.
    #[error("{0}")]
    Client(&'static str),
}

impl Fault {
    /// Whether the connection was lost, or led to a server that became read-only after a
    /// switch-over: on a new connection the same call may succeed at once.
    #[must_use]
    pub fn is_loss(&self) -> bool {
        match self {
            Self::Connection(kind) => *kind != std::io::ErrorKind::TimedOut,
            Self::Answer { code, .. } => {
                code == "25006" || code.starts_with("57P") || code.starts_with("08")
            }
            Self::Busy | Self::Client(_) => false,
        }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error as E;
        match error {
            E::Database(answer) => {
                let code = answer.code().unwrap_or_default().into_owned();
                let fault = Fault::Answer {
                    constraint: answer.constraint().map(str::to_owned),
                    code: code.clone(),
                };
                match code.as_str() {
                    "40001" | "40P01" => Self::Conflict(fault),
                    // Cancelled or timed out, read-only after a switch-over.
                    "57014" | "25006" | "55P03" => Self::Unavailable(fault),
                    code => match &code[..code.len().min(2)] {
                        // Connection, resources, operator intervention.
                        "08" | "53" | "57" => Self::Unavailable(fault),
                        _ => Self::Refused(fault),
                    },
                }
            }
            E::Io(io) => Self::Unavailable(Fault::Connection(io.kind())),
            E::Tls(_) => Self::Unavailable(Fault::Client("TLS failed")),
            E::PoolTimedOut => Self::Unavailable(Fault::Busy),
            E::PoolClosed => Self::Unavailable(Fault::Client("the pool is closed")),
            E::WorkerCrashed => Self::Unavailable(Fault::Client("a worker crashed")),
            E::Protocol(_) => Self::Unavailable(Fault::Client("the protocol was broken")),
            E::RowNotFound => Self::Refused(Fault::Client("a row is missing")),
            E::ColumnDecode { index, source } => Self::Unreadable {
                column: index.trim_matches('"').to_owned(),
                fault: source
                    .downcast_ref()
                    .copied()
                    .unwrap_or(Unreadable("value of the column's type")),
            },
            E::Decode(_) | E::ColumnNotFound(_) | E::TypeNotFound { .. } => {
                Self::Refused(Fault::Client("a row could not be read"))
            }
            _ => Self::Refused(Fault::Client("the client library failed")),
        }
    }
}

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
    #[error("the database is read-only (a standby). Point DATABASE_URL at the primary")]
    ReadOnly,
    /// A setting of the server could lose acknowledged requests.
    #[error(
        "the database has {0} off: acknowledged requests could be lost in a crash. Turn it on, or set PIC_ALLOW_UNSAFE_DATABASE=true for a throw-away"
    )]
    Unsafe(&'static str),
    /// The schema could not be brought up to date.
    #[error(
        "the database's schema could not be brought up to date: {0}. The user of DATABASE_URL must be allowed to create tables"
    )]
    Migrate(String),
    /// The schema is that of a version from before the first release, which is not migrated.
    #[error(
        "the database was made by a development version of the portal, and its tables are not those of this version. Point DATABASE_URL at an empty database, or without it empty PIC_DATA_DIR: nothing comes over from a development version"
    )]
    Development,
    /// Another process has been migrating for too long.
    #[error("another process has been migrating the database for {} s. Wait for it, or stop it, and start again", .0.as_secs())]
    MigrationLocked(Duration),
}

// ---------------------------------------------------------------------------------------------
// Opening

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
    pub async fn open(options: PgConnectOptions, opening: &Opening) -> Result<Self, OpenError> {
        // sqlx would log each statement. Ours carry no values, but the log would be long and of no
        // use.
        let options = options
            .application_name("pic-portal")
            .disable_statement_logging();
        let mut connection = in_time(connect(&options)).await?;
        in_time(fit(&mut connection, opening)).await?;
        migrate(&options, connection).await?;
        let pool = PgPool::new(options, opening.pool);
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

    /// Whether the server answers within `patience` and accepts writes.
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
                !read_only
            }
            Err(_) => false,
        }
    }
}

/// Opens one connection, or says why that is not possible.
async fn connect(options: &PgConnectOptions) -> Result<PgConnection, OpenError> {
    options.connect().await.map_err(unreachable)
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

/// Applies the missing migrations, one process at a time. The lock is held by an open transaction
/// on `guard` and retried in a loop, because behind a pooler in transaction mode neither a
/// session's lock nor waiting for it inside the server works.
async fn migrate(options: &PgConnectOptions, mut guard: PgConnection) -> Result<(), OpenError> {
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
    let mut connection = in_time(connect(options)).await?;
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
