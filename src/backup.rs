//! Backs a database up into a file, and restores it from one.
//!
//! The file is an archive of `pg_dump`, of one moment, with the portal's own tables and without contact
//! rows (`docs/operating.md#back-up-and-restore`). It is checked: restored into a throw-away server,
//! compared table by table with what the database held at that moment, brought to this version's
//! schema, and searched for contact information.

mod check;
mod error;
mod store;

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    process::{Command, Output, Stdio},
};

use sqlx::postgres::PgConnectOptions;
use tokio::process::Child;

use self::store::{Content, Moment};
pub use self::{check::Check, error::Error};
use crate::db::private::Tools;

/// What is in no backup, beside the tables of others: rows of contacts, owners, rights of other roles.
const LEFT_OUT: [&str; 8] = [
    "--no-unlogged-table-data",
    "--exclude-table-data=*.legacy_contact",
    "--no-blobs",
    "--no-owner",
    "--no-privileges",
    "--no-publications",
    "--no-subscriptions",
    "--no-security-labels",
];

/// A backup that was made.
#[derive(Debug)]
pub struct Backup {
    /// Length of the file in bytes.
    pub bytes: u64,
    /// How many rows of how many tables are in it.
    pub rows: i64,
    /// How many tables are in it.
    pub tables: usize,
    /// Tables in the portal's schema that are not the portal's, and are not in it.
    pub foreign: Vec<String>,
    /// What the check came to; `None`: there is no server on this machine to restore it into.
    pub check: Option<Check>,
}

/// Backs the database of `options` up into `file`, which must not exist, and checks it.
///
/// # Errors
///
/// [`Error`]; then there is no file.
pub async fn back_up(options: &PgConnectOptions, file: &Path) -> Result<Backup, Error> {
    let out = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .map_err(Error::of(file))?;
    let unfinished = Unfinished(file);
    let made = dump_and_check(options, file, out).await?;
    std::mem::forget(unfinished);
    Ok(made)
}

/// A file that is removed with this value: by an error, and by a signal that ends the command.
struct Unfinished<'f>(&'f Path);

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        // The error that led here is told.
        let _ = fs::remove_file(self.0);
    }
}

async fn dump_and_check(
    options: &PgConnectOptions,
    file: &Path,
    out: File,
) -> Result<Backup, Error> {
    let unreadable = Error::of(file);
    let mut moment = Moment::begin(options).await?;
    let tools = Tools::find("pg_dump", moment.major)?;
    let mut dump = dump(&tools, options, &moment);
    dump.stdout(out.try_clone().map_err(unreadable)?);
    let (dumped, contents) = tokio::join!(run(dump), moment.contents());
    dumped?;
    let contents = contents?;
    if contents.is_empty() {
        return Err(Error::NoPortal);
    }
    out.sync_all().map_err(unreadable)?;
    let bytes = out.metadata().map_err(unreadable)?.len();
    Ok(Backup {
        bytes,
        rows: contents.iter().map(|content| content.rows).sum(),
        tables: contents.len(),
        check: check::check(&tools, file, &contents).await?,
        foreign: moment.foreign,
    })
}

fn dump(tools: &Tools, options: &PgConnectOptions, moment: &Moment) -> Command {
    let mut dump = tools.command("pg_dump", options);
    dump.args(["--format=custom", "--snapshot", &moment.id]);
    dump.args(LEFT_OUT);
    for schema in &moment.schemas {
        dump.arg("--exclude-schema").arg(schema);
    }
    for table in &moment.foreign {
        dump.arg("--exclude-table").arg(table);
    }
    dump
}

/// Copies the database `from` into the empty database `to`, compares the two, and empties the contact
/// rows of `from`, which stays otherwise. Tells how many rows were copied.
///
/// # Errors
///
/// [`Error`]; then `from` is as it was.
pub async fn move_to(from: &PgConnectOptions, to: &PgConnectOptions) -> Result<i64, Error> {
    let mut moment = Moment::begin(from).await?;
    let target = store::empty(to).await?;
    let tools = Tools::find("pg_dump", moment.major.max(target))?;
    let mut dump = dump(&tools, from, &moment);
    dump.stdout(Stdio::piped());
    let mut dumping = started(dump)?;
    let mut restore = restoring(&tools, to);
    if let Some(archive) = dumping.stdout.take() {
        restore.stdin(TryInto::<Stdio>::try_into(archive)?);
    }
    run(restore).await?;
    told(&dumping.wait_with_output().await?, "pg_dump")?;
    let contents = moment.contents().await?;
    compare(&contents, &Moment::begin(to).await?.contents().await?)?;
    drop(moment);
    store::settled(to).await?;
    store::empty_contacts(from).await?;
    Ok(contents.iter().map(|content| content.rows).sum())
}

/// Restores the database of `options`, which must be empty, from `file`: all of it, or nothing.
///
/// # Errors
///
/// [`Error`]; then nothing was restored.
pub async fn restore(options: &PgConnectOptions, file: &Path) -> Result<(), Error> {
    let archive = File::open(file).map_err(Error::of(file))?;
    let server = store::empty(options).await?;
    let tools = Tools::find("pg_restore", server)?;
    let mut restore = restoring(&tools, options);
    restore.stdin(archive);
    run(restore).await?;
    Ok(store::settled(options).await?)
}

fn restoring(tools: &Tools, options: &PgConnectOptions) -> Command {
    let mut restore = tools.command("pg_restore", options);
    restore
        .args(["--exit-on-error", "--single-transaction", "--no-owner"])
        .arg("--no-privileges")
        .arg("--dbname")
        .arg(options.get_database().unwrap_or_default());
    restore
}

/// Compares two databases, table by table.
fn compare(one: &[Content], other: &[Content]) -> Result<(), Error> {
    match one.iter().find(|content| !other.contains(content)) {
        Some(content) => Err(Error::Differs(content.table.clone())),
        None => Ok(()),
    }
}

/// Starts one of PostgreSQL's programs; a signal that ends the command ends it too.
fn started(mut command: Command) -> Result<Child, Error> {
    let program = command.get_program().to_string_lossy().into_owned();
    command.stderr(Stdio::piped());
    tokio::process::Command::from(command)
        .kill_on_drop(true)
        .spawn()
        .map_err(|fault| Error::Program(program, fault.to_string()))
}

/// Runs one of PostgreSQL's programs to its end.
async fn run(command: Command) -> Result<(), Error> {
    let program = command.get_program().to_string_lossy().into_owned();
    told(&started(command)?.wait_with_output().await?, &program)
}

/// The error of a program that has failed: its last line.
fn told(output: &Output, program: &str) -> Result<(), Error> {
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let line = said.lines().find(|line| line.contains("error:"));
    let line = line.or(said.lines().next_back()).unwrap_or("nothing");
    Err(Error::Program(program.to_owned(), line.to_owned()))
}

/// Notes in the directory `dir` that a backup was made, for `doctor`: `backup.json`.
///
/// # Errors
///
/// Those of writing it.
pub fn note(dir: &Path, at: chrono::DateTime<chrono::Utc>, backup: &Backup) -> io::Result<()> {
    let note = serde_json::json!({
        "at": at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
        "bytes": backup.bytes,
        "version": env!("CARGO_PKG_VERSION"),
    });
    let new = dir.join("backup.json.new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o644)
        .open(&new)?;
    writeln!(file, "{note}")?;
    fs::rename(new, dir.join("backup.json"))
}
