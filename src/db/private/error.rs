//! The reasons why the private PostgreSQL did not start, with what to do about each.

use std::{io, path::PathBuf, process::ExitStatus, time::Duration};

use super::options::MINIMUM_MAJOR;

/// Why the private PostgreSQL did not start. Each text is one line: what is wrong, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There are no server binaries.
    #[error(
        "no PostgreSQL server was found on this machine: install one with {install}, \
         or set DATABASE_URL to a server elsewhere"
    )]
    NoBinaries {
        /// The command, in backticks, that installs them on this platform.
        install: String,
    },
    /// One of PostgreSQL's programs is missing.
    #[error(
        "{program} of PostgreSQL {server} or newer was not found on this machine: install it with {install}"
    )]
    NoTools {
        /// The program.
        program: &'static str,
        /// The major version of the server that they are for.
        server: u32,
        /// The command, in backticks, that installs them on this platform.
        install: String,
    },
    /// All binaries found are older than [`MINIMUM_MAJOR`].
    #[error(
        "the newest PostgreSQL found on this machine is version {found}, the portal needs \
         {MINIMUM_MAJOR} or newer: install one with {install}, or set DATABASE_URL to a server \
         elsewhere"
    )]
    BinariesTooOld {
        /// The newest major version found.
        found: u32,
        /// The command, in backticks, that installs a newer one on this platform.
        install: String,
    },
    /// The data belong to a major version that is not installed.
    #[error(
        "{} was made by PostgreSQL {data}, but the newest installed here is {found}: install \
         version {data} with {install}{}", data_dir.display(), and_upgrade(*data, *found)
    )]
    OtherMajor {
        /// The cluster's data directory.
        data_dir: PathBuf,
        /// The major version that made it.
        data: u32,
        /// The newest major version found.
        found: u32,
        /// The command, in backticks, that installs the data's version on this platform.
        install: String,
    },
    /// The data belong to a major version older than [`MINIMUM_MAJOR`].
    #[error(
        "{} was made by PostgreSQL {data}, the portal needs {MINIMUM_MAJOR} or newer: dump the \
         data with {data}, move the directory away and restore them with a newer version",
        data_dir.display()
    )]
    DataTooOld {
        /// The cluster's data directory.
        data_dir: PathBuf,
        /// The major version that made it.
        data: u32,
    },
    /// The directory is not empty and holds no cluster.
    #[error(
        "{} is not empty and holds no PostgreSQL data (PG_VERSION says no version): move it away, \
         or set PIC_DATA_DIR to another directory", data_dir.display()
    )]
    NotACluster {
        /// The directory that was to be the cluster's data directory.
        data_dir: PathBuf,
    },
    /// Another portal uses the directory.
    #[error(
        "another portal{} already runs on {}: stop it, or set PIC_DATA_DIR to another directory",
        process.map_or_else(String::new, |id| format!(" (process {id})")), dir.display()
    )]
    AlreadyRuns {
        /// The directory that is in use.
        dir: PathBuf,
        /// The other portal's process id, where it could be read.
        process: Option<u32>,
    },
    /// A file or directory cannot be created, read or written.
    #[error(
        "cannot use {} as user {user} ({source}): mend that, or set PIC_DATA_DIR to a directory \
         that this user can write to", path.display()
    )]
    Unwritable {
        /// The file or directory.
        path: PathBuf,
        /// Name of the user the portal runs as.
        user: String,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The portal is root, and the server's own user cannot enter the directory.
    #[error(
        "user {user}, as whom PostgreSQL runs because root may not, cannot enter {}: let it in \
         (`chmod o+x`), or set PIC_DATA_DIR to a directory that everybody can enter, such as \
         /var/lib/pic-portal", closed.display()
    )]
    Unreachable {
        /// The first directory on the way that keeps the user out.
        closed: PathBuf,
        /// Name of the server's user.
        user: String,
    },
    /// The directory for the socket belongs to another user, or others can enter it.
    #[error(
        "{} is needed for the database's socket, but belongs to somebody else or is no directory: \
         have it removed", dir.display()
    )]
    SocketDirectory {
        /// The directory for the socket.
        dir: PathBuf,
    },
    /// The portal is root, and there is no other user to run the server as.
    #[error(
        "PostgreSQL does not run as root, and there is neither a user postgres nor a user nobody: \
         create one, or start the portal as an ordinary user"
    )]
    NoUser,
    /// `initdb` failed.
    #[error("the database could not be set up in {}; initdb says: {output}", dir.display())]
    SetUp {
        /// The directory it was to set up.
        dir: PathBuf,
        /// The last lines of its output, joined.
        output: String,
    },
    /// Processes left behind by a killed portal do not end.
    #[error(
        "process {process}, left behind by a killed portal, still works in {} and does not end: \
         end it with `kill -9 {process}`", data_dir.display()
    )]
    Orphan {
        /// The id of the process that was found.
        process: i32,
        /// The cluster's data directory.
        data_dir: PathBuf,
    },
    /// The server ended while it started.
    #[error("PostgreSQL ended at its start ({status}); {} says: {lines}", log.display())]
    Ended {
        /// Its exit status.
        status: ExitStatus,
        /// Path of the server's log.
        log: PathBuf,
        /// The log's last lines, joined.
        lines: String,
    },
    /// The server was not ready in time.
    #[error(
        "PostgreSQL was not ready within {} seconds; {} says: {lines}", limit.as_secs(),
        log.display()
    )]
    NotReady {
        /// The time limit.
        limit: Duration,
        /// Path of the server's log.
        log: PathBuf,
        /// The log's last lines, joined.
        lines: String,
    },
    /// The operating system refused to start a program.
    #[error("cannot start {program} ({source}): mend that, and start the portal again")]
    Spawn {
        /// Path of the program.
        program: String,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The server ran, died, and cannot be restarted.
    #[error("the private PostgreSQL died and cannot be started again: {reason}")]
    Lost {
        /// Why the last attempt to start it failed.
        reason: String,
    },
}

/// What else to do where the newest version that is installed is newer than the data.
fn and_upgrade(data: u32, found: u32) -> String {
    if found > data {
        format!(", and then move the data to {found} with `pic-portal upgrade`")
    } else {
        String::new()
    }
}
