//! Where do the tests get a server from?
//!
//! All test processes share one throw-away server, which a process of its own looks after: a hidden
//! subcommand of the portal. Two files in the server's directory keep order: whoever attaches or
//! ends the server holds [`START_LOCK`] meanwhile; every test process holds a share of
//! [`CLIENTS_LOCK`] as long as it lives.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use sqlx::postgres::PgConnectOptions;

use super::{Options, PrivatePostgres, StartError, place};

/// Name of the file that is locked while somebody attaches or the server is ended.
pub const START_LOCK: &str = "start.lock";
/// Name of the file of which every test process holds a shared lock.
pub const CLIENTS_LOCK: &str = "clients.lock";
/// How often to look whether anybody still needs the server.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Runs a throw-away server in `dir` until no process has held [`CLIENTS_LOCK`] for `linger`.
/// Blocks. A cluster that does not start (an older version's, one that lost its memory in a crash
/// of the machine) is made anew.
///
/// # Errors
/// [`StartError`] if the server does not start, also when it died and cannot be started again.
pub fn supervise(dir: &Path, linger: Duration) -> Result<(), StartError> {
    let options = Options {
        settings: [
            ("max_connections", "300"),
            ("shared_buffers", "128MB"),
            ("max_wal_size", "128MB"),
            ("wal_level", "minimal"),
            ("max_wal_senders", "0"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into(),
        ..Options::throw_away(dir)
    };
    let mut server = start_or_renew(&options)?;
    let mut needed = Instant::now();
    loop {
        thread::sleep(LOOK_EVERY);
        if let Some(reason) = server.ended.borrow().clone() {
            return Err(StartError::Lost { reason });
        }
        if is_needed(dir).map_err(place::unwritable(dir))? {
            needed = Instant::now();
        } else if needed.elapsed() >= linger {
            let start = lock_file(&dir.join(START_LOCK)).map_err(place::unwritable(dir))?;
            start.lock().map_err(place::unwritable(dir))?;
            // Nobody can be about to attach now; somebody may have attached just before.
            if !is_needed(dir).map_err(place::unwritable(dir))? {
                server.stop();
                return Ok(());
            }
        }
    }
}

/// Does any process hold a share of [`CLIENTS_LOCK`]?
fn is_needed(dir: &Path) -> io::Result<bool> {
    match lock_file(&dir.join(CLIENTS_LOCK))?.try_lock() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn start_or_renew(options: &Options) -> Result<PrivatePostgres, StartError> {
    match PrivatePostgres::start(options) {
        Err(
            StartError::OtherMajor { data_dir, .. }
            | StartError::DataTooOld { data_dir, .. }
            | StartError::NotACluster { data_dir },
        ) => renew(&data_dir, options),
        Err(StartError::Ended { .. }) => renew(&options.dir.join("pgdata"), options),
        other => other,
    }
}

fn renew(data: &Path, options: &Options) -> Result<PrivatePostgres, StartError> {
    fs::remove_dir_all(data).map_err(place::unwritable(data))?;
    PrivatePostgres::start(options)
}

/// Opens a file to lock, made if it is missing.
///
/// # Errors
/// Those of opening a file for writing.
pub fn lock_file(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(path)
}

/// How to connect to the server that runs in `dir`; `None` if none takes connections.
#[must_use]
pub fn running_server(dir: &Path) -> Option<PgConnectOptions> {
    let file = fs::read_to_string(dir.join("pgdata/postmaster.pid")).ok()?;
    let mut lines = file.lines();
    let sockets = PathBuf::from(lines.nth(4)?);
    (lines.next_back()?.trim() == "ready").then_some(())?;
    // A file that a killed server left has no listener.
    UnixStream::connect(place::socket_file(&sockets)).ok()?;
    Some(super::connect_options(&sockets, "postgres"))
}
