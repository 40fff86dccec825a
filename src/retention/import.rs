//! Imports an old portal's requests and services, and none of its contacts.
//!
//! The export is read a line at a time. What is a contact's, and what nobody knows, is counted and
//! dropped with the line. The rest is brought together by requests in memory, and held to the rules
//! that the portal's own form holds. Only when the whole file is right does anything become a request,
//! in one transaction: all of the file or nothing of it.
//!
//! Requests are stored by the statement that stores submissions, and those that were in force come into
//! force and end as those that are settled. That transaction only adds rows, so nobody waits for it: a
//! request of the portal meets it only if it wants the very same SIP domain in the same moment.
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
mod day;
mod error;
pub mod fields;
mod group;
mod intake;
mod json;
mod keys;
mod reader;
mod row;
mod store;
mod value;

use std::{
    collections::{BTreeMap, HashSet},
    path::{Path, PathBuf},
};

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

pub use self::{
    error::{Error, Step},
    reader::Format,
    row::{Problem, Problems},
};
use self::{
    group::{Group, Groups},
    intake::Intake,
    keys::KeysFile,
    reader::Fault,
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
    pub provisioned: usize,
    /// New requests that are pending.
    pub pending: usize,
    /// Requests that were imported before; they keep their management keys.
    pub known: usize,
    /// SIP domains of the new requests.
    pub domains: usize,
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
    let now = store::prepare(connection).await?;
    let mut problems = Problems::default();
    let (mut report, groups) = read(secret, order, now, &mut problems, &mut tell)?;
    let mut new = Vec::new();
    for (batch, looked) in groups.chunks(store::BATCH).zip(1..) {
        new.extend(store::new(connection, batch, &mut problems).await?);
        tell(Step::Looking(looked * store::BATCH, groups.len()));
    }
    if !problems.is_empty() {
        return Err(Error::Lines(problems));
    }
    let domains = new.iter().flat_map(|group| group.domains());
    let domains: HashSet<_> = domains.map(|(domain, _)| domain).collect();
    report.domains = domains.len();
    report.provisioned = new.iter().filter(|group| group.provisioned).count();
    report.pending = new.len() - report.provisioned;
    report.known = groups.len() - new.len();
    if order.dry_run || new.is_empty() {
        return Ok(report);
    }
    let mut keys = KeysFile::create(&order.keys)?;
    match store::store(connection, &new, &mut keys, &mut tell).await {
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
    store::finish(connection).await;
    Ok(report)
}

/// Reads the file to its end, and puts the lines of each request together.
fn read(
    secret: &Secret,
    order: &Order,
    now: DateTime<Utc>,
    problems: &mut Problems,
    tell: &mut dyn FnMut(Step),
) -> Result<(Report, Vec<Group>), Error> {
    let mut intake = Intake {
        now,
        numbers_checked: order.numbers_checked,
        file: None,
        tell,
        problems,
        groups: Groups::new(secret),
        lines: 0,
        over: 0,
        dropped: BTreeMap::new(),
    };
    let read = reader::open(&order.file, order.format).and_then(|(text, file)| {
        intake.file = Some(file);
        match order.format {
            Format::Csv => csv::read(text, &mut intake),
            Format::Json => json::read(text, &mut intake),
        }
    });
    match read {
        Ok(()) => {}
        Err(Fault::Broken(problem)) => intake.problems.add(problem),
        Err(Fault::Io(fault)) => {
            let file = order.file.clone();
            return Err(Error::File { file, fault });
        }
    }
    let dropped = intake.dropped.into_iter();
    let report = Report {
        lines: intake.lines,
        over: intake.over,
        dropped: dropped
            .map(|((place, kind), count)| (kind.name(place), count))
            .collect(),
        ..Report::default()
    };
    Ok((report, intake.groups.finish(intake.problems)))
}

/// The keys file's name where none is given: the export's, with `.keys.csv` after it.
#[must_use]
pub fn keys_beside(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".keys.csv");
    name.into()
}
