//! Shares one throw-away server among the test processes.
//!
//! The program `test-postgres`, in `tests/server`, supervises it. Two files in the server's
//! directory coordinate the processes: a process holds [`START_LOCK`] while it attaches to the
//! server or ends it; every test process holds a share of [`CLIENTS_LOCK`] as long as it runs.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::net::UnixStream,
    path::Path,
};

use pic_portal::db::private::connect_to_running;
use sqlx::postgres::PgConnectOptions;

/// Name of the file that is locked while a process attaches to the server or ends it.
pub(crate) const START_LOCK: &str = "start.lock";
/// Name of the file of which every test process holds a shared lock.
pub(crate) const CLIENTS_LOCK: &str = "clients.lock";

/// Opens a file to lock, which is created if it is missing.
///
/// # Errors
/// Those of opening a file for writing.
pub(crate) fn lock_file(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(path)
}

/// How to connect to the database `postgres` of the server that runs in `dir`; `None` if none
/// accepts connections.
pub(crate) fn running_server(dir: &Path) -> Option<PgConnectOptions> {
    let file = fs::read_to_string(dir.join("pgdata/postmaster.pid")).ok()?;
    (file.lines().last()?.trim() == "ready").then_some(())?;
    let options = connect_to_running(dir)?;
    // The socket file of a killed server has no listener.
    let socket = format!(".s.PGSQL.{}", options.get_port());
    UnixStream::connect(options.get_socket()?.join(socket)).ok()?;
    Some(options.database("postgres"))
}
