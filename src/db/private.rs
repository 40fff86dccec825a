//! Runs a PostgreSQL of the portal's own.
//!
//! It starts real server binaries as a child of the portal, on a Unix socket that no other user can
//! reach; `docs/design.md#the-private-postgresql`. What each file does:
//!
//! | file | what it does |
//! |---|---|
//! | `binaries` | finds the installed PostgreSQL, or the command that installs one |
//! | `user` | chooses the user the server runs as |
//! | `place` | makes and locks the directories, closed to other users |
//! | `cluster` | makes a directory a cluster and starts its server |
//! | `settings` | has the server's settings |
//! | `child` | starts and ends processes |
//! | `orphans` | removes what a killed portal left behind |
//! | `tools` | finds PostgreSQL's programs to dump, restore and look |
//! | `upgrade` | puts a cluster of a newer major version in the place of the old one |
//! | `supervisor` | restarts the server when it dies |
//! | `error` | says why it did not start, and what to do |

mod binaries;
mod child;
mod cluster;
mod data_dir;
mod error;
mod options;
mod orphans;
mod settings;
mod supervisor;
mod tools;
mod upgrade;
mod user;

use std::{
    convert::Infallible,
    future::{self, Future},
    path::{Path, PathBuf},
    sync::mpsc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _,
    postgres::{PgConnectOptions, PgSslMode},
};
use tokio::{sync::watch, time::sleep};

use self::{
    child::Stop,
    cluster::Cluster,
    options::{PORT, unless_missing},
};
pub use self::{
    error::StartError,
    options::{Durability, MINIMUM_MAJOR, Options, PORTAL_USER},
    tools::Tools,
    upgrade::Upgrade,
};

/// The database in which the portal keeps its tables.
pub const PORTAL_DATABASE: &str = "portal";

/// A PostgreSQL server that runs as long as this value lives, and is restarted if it dies.
#[derive(Debug)]
pub struct PrivatePostgres {
    sockets: PathBuf,
    ended: watch::Receiver<Option<String>>,
    /// Dropped to tell the supervising thread to stop the server.
    running: Option<mpsc::Sender<Infallible>>,
    supervisor: Option<JoinHandle<()>>,
}

impl PrivatePostgres {
    /// Starts the server of a directory, which is set up first if it is new, and waits until it
    /// accepts connections. Blocks: for 1 to 2 seconds the first time, some 50 milliseconds later,
    /// and as long as it takes to recover after a crash.
    ///
    /// # Errors
    /// [`StartError`], each a line that says what is wrong and what to do; nothing half-made stays
    /// behind.
    pub fn start(options: &Options) -> Result<Self, StartError> {
        let began = Instant::now();
        let (running, stop) = mpsc::channel();
        let stop = Stop::new(stop);
        let cluster = Cluster::open(options)?;
        let child = cluster.launch(&stop).inspect_err(|_| cluster.leave())?;
        tracing::info!(
            major = cluster.major(),
            dir = %cluster.dir().display(),
            milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            "the private PostgreSQL is ready"
        );
        let sockets = cluster.sockets().to_owned();
        let (end, ended) = watch::channel(None);
        let supervisor = thread::Builder::new()
            .name("private-postgres".into())
            .spawn(move || supervisor::keep_running(&cluster, child, &stop, &end))
            .map_err(|source| StartError::Spawn {
                program: "a thread".into(),
                source,
            })?;
        Ok(Self {
            sockets,
            ended,
            running: Some(running),
            supervisor: Some(supervisor),
        })
    }

    /// How to connect to one of its databases, as [`PORTAL_USER`].
    #[must_use]
    pub fn connect_options(&self, database: &str) -> PgConnectOptions {
        connect_options(&self.sockets, database)
    }

    /// Resolves with [`StartError::Lost`] when the server died and cannot be restarted; never while
    /// it runs or once it was stopped.
    pub fn ended(&self) -> impl Future<Output = StartError> + Send + use<> {
        let mut ended = self.ended.clone();
        async move {
            let reason = match ended.wait_for(Option::is_some).await {
                Ok(reason) => reason.clone(),
                Err(_) => None,
            };
            match reason {
                Some(reason) => StartError::Lost { reason },
                None => future::pending().await,
            }
        }
    }

    /// Stops the server and waits for its end, for 30 seconds before it is forced. Blocks. Dropping
    /// the value does the same.
    pub fn stop(&mut self) {
        self.running = None;
        if let Some(supervisor) = self.supervisor.take() {
            // The thread returns nothing; a panic in it was already reported.
            let _ = supervisor.join();
        }
    }
}

impl Drop for PrivatePostgres {
    fn drop(&mut self) {
        self.stop();
    }
}

/// How to connect to the server whose socket lies in `sockets`.
fn connect_options(sockets: &Path, database: &str) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .socket(sockets)
        .port(PORT)
        .username(PORTAL_USER)
        .database(database)
        .ssl_mode(PgSslMode::Disable)
        .application_name("pic-portal")
}

/// How to connect to the server that another portal runs in `dir`, so that a command can work
/// beside it. `None`: none is running, or its files may not be read.
#[must_use]
pub fn connect_to_running(dir: &Path) -> Option<PgConnectOptions> {
    // The server writes the socket's directory into the fifth line.
    let file = std::fs::read_to_string(dir.join("pgdata/postmaster.pid")).ok()?;
    let sockets = file.lines().nth(4).filter(|dir| dir.starts_with('/'))?;
    Some(connect_options(
        Path::new(sockets.trim_end()),
        PORTAL_DATABASE,
    ))
}

/// Whether a portal or a command uses `dir` at this moment.
#[must_use]
pub fn is_in_use(dir: &Path) -> bool {
    matches!(
        data_dir::DataDir::take(dir),
        Err(StartError::AlreadyRuns { .. })
    )
}

/// Where the private cluster lives unless `PIC_DATA_DIR` says otherwise
/// (`docs/configuration.md#database`): `/var/lib/pic-portal` for root, whose home the server's own
/// user could not enter; else `pic-portal` in the user's data directory.
#[must_use]
pub fn default_dir() -> PathBuf {
    data_dir::default_dir(
        nix::unistd::geteuid().is_root(),
        std::env::var_os("XDG_DATA_HOME").map(PathBuf::from),
        std::env::home_dir(),
    )
}

/// Waits until the server takes writes: one that was restored from a base backup reads its archive
/// first, and lets itself be read meanwhile. One that has stopped at its target waits for
/// `pg_wal_replay_resume()`.
///
/// # Errors
/// Those of connecting, such as that the server has ended.
pub async fn recovered(options: &PgConnectOptions) -> sqlx::Result<()> {
    let mut connection = options.clone().database("postgres").connect().await?;
    let mut looks = 0_u32;
    while sqlx::query_scalar("SELECT pg_is_in_recovery()")
        .fetch_one(&mut connection)
        .await?
    {
        if looks.is_multiple_of(150) {
            tracing::info!(
                "the private PostgreSQL still recovers: the portal waits until it takes writes"
            );
        }
        looks += 1;
        sleep(Duration::from_millis(200)).await;
    }
    connection.close().await
}

/// Creates the database that `options` name, unless it is there.
///
/// # Errors
/// Those of connecting to the server's database `postgres` and of `CREATE DATABASE`.
pub async fn ensure_database(options: &PgConnectOptions) -> sqlx::Result<()> {
    let name = options.get_database().unwrap_or(PORTAL_DATABASE);
    let mut connection = options.clone().database("postgres").connect().await?;
    let exists: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
            .bind(name)
            .fetch_one(&mut connection)
            .await?;
    if !exists {
        let quoted = name.replace('"', "\"\"");
        sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE \"{quoted}\"")))
            .execute(&mut connection)
            .await?;
    }
    connection.close().await
}
