//! Runs a throw-away PostgreSQL for the tests: `test-postgres <directory> <seconds>`.
//!
//! The first test process that needs the server starts this program, and it ends the server when no
//! process has held a share of `CLIENTS_LOCK` for that many seconds. It is not part of the portal:
//! cargo builds it with the tests, and only the tests run it.

use std::{
    env,
    error::Error,
    fs::{self, TryLockError},
    io,
    path::{Path, PathBuf},
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use futures_util::FutureExt as _;
use pic_portal::db::private::{Options, PrivatePostgres, StartError};

use self::shared::{CLIENTS_LOCK, START_LOCK, lock_file};

#[expect(
    dead_code,
    reason = "the tests connect to the server, this program does not"
)]
#[path = "../portal/support/server.rs"]
mod shared;

/// How often to check whether a process still needs the server.
const LOOK_EVERY: Duration = Duration::from_millis(250);

#[expect(clippy::print_stderr, reason = "the tests read why there is no server")]
fn main() -> ExitCode {
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    let [dir, linger] = &arguments[..] else {
        eprintln!("usage: test-postgres <directory> <seconds>");
        return ExitCode::FAILURE;
    };
    let linger = linger.to_str().and_then(|seconds| seconds.parse().ok());
    let Some(linger) = linger.map(Duration::from_secs) else {
        eprintln!("test-postgres: the seconds are no number");
        return ExitCode::FAILURE;
    };
    match supervise(&PathBuf::from(dir), linger) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("test-postgres: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a throw-away server in `dir` until no process has held [`CLIENTS_LOCK`] for `linger`. A
/// cluster that does not start (an older version's, one that lost its memory in a crash of the
/// machine) is made again.
fn supervise(dir: &Path, linger: Duration) -> Result<(), Box<dyn Error>> {
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
        if let Some(error) = server.ended().now_or_never() {
            return Err(error.into());
        }
        if is_needed(dir)? {
            needed = Instant::now();
        } else if needed.elapsed() >= linger {
            let start = lock_file(&dir.join(START_LOCK))?;
            start.lock()?;
            // No process can attach now, but one may have attached just before.
            if !is_needed(dir)? {
                server.stop();
                return Ok(());
            }
        }
    }
}

/// Whether any process holds a share of [`CLIENTS_LOCK`].
fn is_needed(dir: &Path) -> io::Result<bool> {
    match lock_file(&dir.join(CLIENTS_LOCK))?.try_lock() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn start_or_renew(options: &Options) -> Result<PrivatePostgres, Box<dyn Error>> {
    let data = match PrivatePostgres::start(options) {
        Err(
            StartError::OtherMajor { data_dir, .. }
            | StartError::DataTooOld { data_dir, .. }
            | StartError::NotACluster { data_dir },
        ) => data_dir,
        Err(StartError::Ended { .. }) => options.dir.join("pgdata"),
        other => return Ok(other?),
    };
    fs::remove_dir_all(data)?;
    Ok(PrivatePostgres::start(options)?)
}
