//! Imports an old portal's requests and services, and none of its contacts.
//!
//! The export is read a line at a time. What is a contact's, and what nobody knows, is counted and
//! dropped with the line. What is right is staged in temporary tables of the session, which reach
//! neither the write-ahead log nor another session; there the lines of one request are brought
//! together, and held to the rules that the portal's own form holds. Only when the whole file is
//! right does anything become a request, in one transaction: all of the file or nothing of it.
//!
//! That transaction only adds rows, so nobody waits for it: a request of the portal meets it only
//! if it wants the very same SIP domain in the same moment. Memory does not grow with the file.
//!
//! A request's submission id is derived from the database's secret and its old number, or from
//! programme and agreement number where the file has none. So the same file again finds everything
//! stored already, and changes nothing.
//!
//! A management key is random: the keys file has it and SQL its hash, so that no copy of the database
//! tells it. The keys file is on the disk before the requests are stored: a crash in between leaves a
//! file with keys that open nothing, and never a service whose key is lost. What was imported before
//! keeps its key, which is not written a second time.

mod csv;
mod error;
pub mod fields;
mod group;
mod intake;
mod json;
mod keys;
mod reader;
mod row;
mod stage;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use sqlx::PgConnection;

pub use self::{
    error::{Error, Step},
    reader::Format,
    row::{Problem, Problems},
};
use self::{
    fields::Dropped, group::Grouping, intake::Intake, keys::KeysFile, reader::Fault, stage::Staging,
};
use crate::secret::Secret;

/// What is imported, and how.
#[derive(Clone, Debug)]
pub struct Order {
    /// The export.
    pub file: PathBuf,
    /// How it is written.
    pub format: Format,
    /// Where the management keys go; must not be there yet.
    pub keys: PathBuf,
    /// Scan, and store nothing.
    pub dry_run: bool,
    /// The agreement numbers that could be telephone numbers were checked and are none; else they are
    /// refused.
    pub numbers_checked: bool,
}

/// What came over, or would.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Lines with a request or a part of one.
    pub lines: u64,
    /// Lines left out, because their request is over.
    pub over: u64,
    /// New requests that are in force.
    pub provisioned: i64,
    /// New requests that are pending.
    pub pending: i64,
    /// Requests that were imported before; they keep their management keys.
    pub known: i64,
    /// SIP domains of the new requests.
    pub domains: i64,
    /// How many values were dropped, by what their column is called.
    pub dropped: Vec<(String, u64)>,
    /// The file with the management keys, if there are any.
    pub keys: Option<PathBuf>,
}

/// Imports an export, or says what would come of it; `tell` hears of each step.
///
/// # Errors
///
/// [`Error`]; nothing is imported then, and no keys file is left, but for [`Error::Unsure`].
pub async fn import(
    connection: &mut PgConnection,
    secret: &Secret,
    order: &Order,
    mut tell: impl FnMut(Step),
) -> Result<Report, Error> {
    let imported = stage_and_store(connection, secret, order, &mut tell).await;
    stage::clear(connection).await;
    imported
}

async fn stage_and_store(
    connection: &mut PgConnection,
    secret: &Secret,
    order: &Order,
    tell: &mut impl FnMut(Step),
) -> Result<Report, Error> {
    let mut problems = Problems::default();
    let mut report = read(connection, secret, order, &mut problems, tell).await?;
    let requests = Grouping::new(secret)
        .look(connection, &mut problems, tell)
        .await?;
    stage::compare(connection, &mut problems).await?;
    if !problems.is_empty() {
        return Err(Error::Lines(problems));
    }
    let counts = stage::counts(connection).await?;
    report.provisioned = counts.provisioned;
    report.pending = counts.pending;
    report.known = requests - counts.provisioned - counts.pending;
    report.domains = counts.domains;
    let new = counts.provisioned + counts.pending;
    if order.dry_run || new == 0 {
        return Ok(report);
    }
    let mut keys = KeysFile::create(&order.keys)?;
    match stage::store(connection, requests, &mut keys, tell).await {
        Ok(()) => report.keys = Some(keys.keep()),
        Err(unsure @ Error::Unsure { .. }) => {
            keys.keep();
            return Err(unsure);
        }
        Err(error) => {
            keys.remove();
            return Err(error);
        }
    }
    stage::finish(connection).await;
    Ok(report)
}

/// Reads the file to its end, and stages what is right.
async fn read(
    connection: &mut PgConnection,
    secret: &Secret,
    order: &Order,
    problems: &mut Problems,
    tell: &mut impl FnMut(Step),
) -> Result<Report, Error> {
    let now = stage::prepare(connection).await?;
    let opened = reader::open(&order.file, order.format);
    let (text, handle) = opened.map_err(|fault| order.told(fault, Problems::default()))?;
    let mut progress = || {
        let (done, of) = reader::progress(&handle);
        tell(Step::Reading(done, of));
    };
    let mut intake = Intake {
        now,
        numbers_checked: order.numbers_checked,
        progress: &mut progress,
        problems: Problems::default(),
        rows: Vec::new(),
        lines: 0,
        over: 0,
        dropped: BTreeMap::new(),
    };
    let read = match order.format {
        Format::Csv => csv::read(text, &mut intake),
        Format::Json => json::read(text, &mut intake),
    };
    *problems = std::mem::take(&mut intake.problems);
    match read {
        Ok(()) => {}
        Err(Fault::Broken(problem)) => problems.add(problem),
        Err(fault) => return Err(order.told(fault, Problems::default())),
    }
    let mut staging = Staging::new(secret);
    for row in &intake.rows {
        staging.add(row);
        if staging.is_full() {
            staging.flush(connection).await?;
        }
    }
    staging.flush(connection).await?;
    let name = |((place, kind), count): ((usize, Dropped), u64)| (kind.name(place), count);
    Ok(Report {
        lines: intake.lines,
        over: intake.over,
        dropped: intake.dropped.into_iter().map(name).collect(),
        ..Report::default()
    })
}

impl Order {
    /// Why the file cannot be read.
    fn told(&self, fault: Fault, mut problems: Problems) -> Error {
        match fault {
            Fault::Broken(problem) => {
                problems.add(problem);
                Error::Lines(problems)
            }
            Fault::Missing(line, field) => Error::Missing { line, field },
            Fault::Io(fault) => Error::File {
                file: self.file.clone(),
                fault,
            },
        }
    }
}

/// The keys file's name where none is given: the export's, with `.keys.csv` after it.
#[must_use]
pub fn keys_beside(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".keys.csv");
    name.into()
}
