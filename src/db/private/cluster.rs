//! Makes a directory a database cluster and starts its server.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, chown},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use super::{
    binaries::Binaries,
    child::{self, Stop},
    error::StartError,
    options::{Durability, Options, PORTAL_USER},
    orphans, settings,
    user::ServerUser,
};
use crate::db::private::data_dir::{self, DataDir, unwritable};

/// How long the server may take until it accepts connections. Long: after a crash it recovers
/// first, and a recovery that is interrupted starts from the beginning the next time.
const READY_WITHIN: Duration = Duration::from_mins(5);
/// How often to check whether it does.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// A log longer than this is put aside at the next start, in bytes.
const LOG_LIMIT: u64 = 10 * 1024 * 1024;
/// How many lines of a program's output go into an error.
const LINES: usize = 4;
/// The name of a data directory until it is complete; the process id follows.
const UNFINISHED: &str = "pgdata.new.";

/// A directory held by this portal, with a complete cluster in it.
#[derive(Debug)]
pub(super) struct Cluster {
    data_dir: DataDir,
    data: PathBuf,
    sockets: PathBuf,
    binaries: Binaries,
    user: ServerUser,
    arguments: Vec<String>,
}

impl Cluster {
    /// Locks the directory, and sets the cluster up if there is none.
    pub(super) fn open(options: &Options) -> Result<Self, StartError> {
        let mut data_dir = DataDir::take(&options.dir)?;
        let data = data_dir.dir.join("pgdata");
        let user = ServerUser::choose(&data)?;
        let major = major_of(&data)?;
        let wanted = major.map(|major| (data.as_path(), major));
        let binaries = Binaries::find(options.bindir.as_deref(), wanted, &user)?;
        remove_unfinished(&data_dir.dir);
        if major.is_none() {
            set_up(&data_dir.dir, &data, &binaries, &user, options.durability)?;
        }
        data_dir.keep();
        let data = fs::canonicalize(&data).map_err(unwritable(&data))?;
        let sockets = data_dir::socket_dir(&data_dir.dir, &user);
        let arguments = settings::arguments(options.durability, &options.settings);
        Ok(Self {
            data_dir,
            data,
            sockets,
            binaries,
            user,
            arguments,
        })
    }

    /// Starts the server and waits until it accepts connections, or until `stop`.
    pub(super) fn launch(&self, stop: &Stop) -> Result<Child, StartError> {
        data_dir::make_private(&self.sockets, &self.user)?;
        orphans::clear(&self.data, &self.sockets, stop)?;
        let log = self.open_log()?;
        let said_before = log.metadata().map_or(0, |log| log.len());
        let mut command = self.command(&self.data_dir.dir, "postgres");
        command
            .arg("-D")
            .arg(&self.data)
            .arg("-k")
            .arg(&self.sockets)
            .args(&self.arguments)
            .stdout(log.try_clone().map_err(unwritable(&self.log_path()))?)
            .stderr(log)
            // Ctrl-C must reach the portal only, which then stops the server.
            .process_group(0);
        let mut child = spawn(command, &self.data_dir.dir, &self.user, "postgres")?;
        let began = Instant::now();
        while !self.is_ready(&child) {
            if let Some(status) = child.try_wait().map_err(unwritable(&self.data))? {
                let (log, lines) = self.log_since(said_before);
                return Err(StartError::Ended { status, log, lines });
            }
            if stop.within(LOOK_EVERY) || began.elapsed() > READY_WITHIN {
                child::shut_down(&mut child);
                let (log, lines) = self.log_since(said_before);
                return Err(StartError::NotReady {
                    limit: READY_WITHIN,
                    log,
                    lines,
                });
            }
        }
        Ok(child)
    }

    /// Removes what is left of a server that has ended, for whatever reason.
    pub(super) fn leave(&self) {
        let (_running, never) = mpsc::channel();
        if let Err(error) = orphans::clear(&self.data, &self.sockets, &Stop::new(never)) {
            tracing::warn!(%error, "parts of the private PostgreSQL are still running");
        }
        // Fails, as it should, if a server still runs.
        let _ = fs::remove_dir(&self.sockets);
    }

    pub(super) fn dir(&self) -> &Path {
        &self.data_dir.dir
    }

    pub(super) fn sockets(&self) -> &Path {
        &self.sockets
    }

    pub(super) fn major(&self) -> u32 {
        self.binaries.major
    }

    fn command(&self, dir: &Path, program: &str) -> Command {
        child::command(&self.binaries.program(program), dir, &self.user)
    }

    /// Whether the server is ready, by the first and last line of its `postmaster.pid`.
    fn is_ready(&self, child: &Child) -> bool {
        let file = fs::read_to_string(self.data.join("postmaster.pid")).unwrap_or_default();
        let mut lines = file.lines().map(str::trim);
        lines.next() == Some(&child.id().to_string()) && lines.next_back() == Some("ready")
    }

    fn log_path(&self) -> PathBuf {
        self.data_dir.dir.join("postgres.log")
    }

    /// Opens the log to append to; a log that has grown long is renamed first and replaces the one
    /// renamed before.
    fn open_log(&self) -> Result<File, StartError> {
        let path = self.log_path();
        if fs::metadata(&path).is_ok_and(|log| log.len() > LOG_LIMIT) {
            fs::rename(&path, path.with_extension("log.1")).map_err(unwritable(&path))?;
        }
        let mut options = OpenOptions::new();
        options
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&path)
            .map_err(unwritable(&path))
    }

    /// The log's path and the last lines of what was written to it beyond byte `start`.
    fn log_since(&self, start: u64) -> (PathBuf, String) {
        let path = self.log_path();
        let read = || -> io::Result<Vec<u8>> {
            let mut log = File::open(&path)?;
            let tail = log.metadata()?.len().saturating_sub(8 * 1024).max(start);
            log.seek(SeekFrom::Start(tail))?;
            let mut bytes = Vec::new();
            log.take(8 * 1024).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let said = read().unwrap_or_default();
        let lines = child::last_lines(&String::from_utf8_lossy(&said), LINES);
        (path, lines)
    }
}

/// The major version that made the data directory; `None` if there is nothing in it.
pub(super) fn major_of(data: &Path) -> Result<Option<u32>, StartError> {
    let version = data.join("PG_VERSION");
    let text = super::unless_missing(fs::read_to_string(&version)).map_err(unwritable(&version))?;
    // Until version 9.6 a major version had two parts.
    let major = text.trim().split('.').next().unwrap_or_default();
    if let Ok(major) = major.parse() {
        return Ok(Some(major));
    }
    match fs::read_dir(data).map(|mut entries| entries.next().is_some()) {
        Ok(false) => Ok(None),
        Ok(true) => Err(StartError::NotACluster {
            data_dir: data.to_owned(),
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unwritable(data)(error)),
    }
}

/// Removes what interrupted set-ups have left in `dir`.
fn remove_unfinished(dir: &Path) {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let unfinished = entries.filter(|entry| {
        entry
            .file_name()
            .as_encoded_bytes()
            .starts_with(UNFINISHED.as_bytes())
    });
    for entry in unfinished {
        if let Err(error) = fs::remove_dir_all(entry.path()) {
            // It only takes space, and the next start tries again.
            tracing::warn!(%error, path = %entry.path().display(), "cannot remove an unfinished set-up");
        }
    }
}

/// Makes the cluster under another name and renames it: a directory named `pgdata` is always
/// complete.
fn set_up(
    dir: &Path,
    data: &Path,
    binaries: &Binaries,
    user: &ServerUser,
    durability: Durability,
) -> Result<(), StartError> {
    let unfinished = dir.join(format!("{UNFINISHED}{}", std::process::id()));
    let finished = initdb(dir, &unfinished, binaries, user, durability).and_then(|()| {
        fs::rename(&unfinished, data)
            .and_then(|()| File::open(dir)?.sync_all())
            .map_err(unwritable(data))
    });
    if finished.is_err() {
        remove_unfinished(dir);
    }
    finished
}

fn initdb(
    dir: &Path,
    data: &Path,
    binaries: &Binaries,
    user: &ServerUser,
    durability: Durability,
) -> Result<(), StartError> {
    let mut output = String::new();
    // Sorting and letter case follow Unicode where the system can, and are the same everywhere.
    for locale in ["C.UTF-8", "C"] {
        super::unless_missing(fs::remove_dir_all(data)).map_err(unwritable(data))?;
        DirBuilder::new()
            .mode(0o700)
            .create(data)
            .map_err(unwritable(data))?;
        if let Some((uid, gid)) = user.owner() {
            chown(data, Some(uid), Some(gid)).map_err(unwritable(data))?;
        }
        let mut command = child::command(&binaries.program("initdb"), dir, user);
        command
            .arg("-D")
            .arg(data)
            .args(["-U", PORTAL_USER, "-E", "UTF8", "--auth=trust"]);
        command.args(["--no-instructions", "--locale", locale]);
        if durability == Durability::ThrowAway {
            command.arg("--no-sync");
        }
        command
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0);
        let child = spawn(command, dir, user, "initdb")?;
        let said = child.wait_with_output().map_err(unwritable(data))?;
        if said.status.success() {
            return Ok(());
        }
        output = child::last_lines(&String::from_utf8_lossy(&said.stderr), LINES);
    }
    Err(StartError::SetUp {
        dir: dir.to_owned(),
        output,
    })
}

/// Starts `command`, whose working directory is `dir`.
fn spawn(
    command: Command,
    dir: &Path,
    user: &ServerUser,
    program: &str,
) -> Result<Child, StartError> {
    child::spawn(command).map_err(|source| match source.kind() {
        // The program itself is executable: its version was read before. So the directory is closed
        // to the user.
        io::ErrorKind::PermissionDenied if user.other => StartError::Unreachable {
            closed: data_dir::closed_to(dir, user),
            user: user.name.clone(),
        },
        _ => StartError::Spawn {
            program: program.to_owned(),
            source,
        },
    })
}
