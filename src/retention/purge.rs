//! Empties contacts out of an old portal's tables, so that no byte of them is left.
//!
//! Setting a column to `NULL` leaves the old rows in the table's files, in its indexes, in the
//! planner's statistics of the column and in the write-ahead log (`docs/performance.md#traps-met`,
//! trap 2). So there are several steps:
//!
//! 1. [`survey()`] examines the table, and refuses what must not or cannot be emptied;
//! 2. [`carry_out`] empties the columns a few pages at a time, each batch a short transaction of
//!    its own, so that no other transaction waits for long (a whole table is emptied by
//!    `TRUNCATE`);
//! 3. it waits until no transaction is left that could still need the old rows, and rewrites the
//!    table with `VACUUM FULL`, which drops them from table, TOAST and indexes;
//! 4. it deletes the planner's statistics of the columns;
//! 5. it requests a new segment of the write-ahead log and a checkpoint, after which the server no
//!    longer needs the older segments.
//!
//! After an interruption the next run repeats all steps and finishes. Nothing here reads a value:
//! rows are counted, and errors named by code and constraint.

mod elsewhere;
mod rewrite;
mod sql;
mod survey;
mod target;

use std::time::Duration;

use sqlx::{PgConnection, postgres::types::Oid};

pub use self::{
    elsewhere::Elsewhere,
    survey::{Refusal, own_tables, survey},
    target::{NotATarget, Target},
};
use crate::db;

/// A table that may be purged, and its contents.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The table's name, quoted for SQL.
    pub table: String,
    /// The columns to empty, quoted for SQL, each with the number of rows that have a value; empty:
    /// the whole table.
    pub columns: Vec<(String, i64)>,
    /// Rows of the table.
    pub rows: i64,
    /// Size of table, TOAST and indexes, in bytes.
    pub bytes: i64,
    /// Its indexes, which are rebuilt.
    pub indexes: Vec<String>,
    /// Tables that inherit from it, which are not changed.
    pub children: Vec<String>,
    /// Materialised views made from it, which hold copies of their own.
    pub copies: Vec<String>,
    oid: Oid,
    names: Vec<String>,
}

/// A step of the purge, to report progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Emptying the columns: pages done, and pages in total.
    Emptying(i64, i64),
    /// Waiting until no transaction needs the old rows.
    WaitingForOthers,
    /// Waiting for the table's lock, or rewriting the table under it.
    Rewriting,
    /// Deleting the planner's statistics.
    Statistics,
    /// Requesting a new segment of the write-ahead log and a checkpoint.
    Log,
}

/// The result of a purge.
#[derive(Clone, Debug)]
pub struct Report {
    /// Rows that were emptied, or removed with the whole table, in this run.
    pub rows: i64,
    /// Rows that still have a value in one of the columns, counted afterwards.
    pub remaining: i64,
    /// Whether the planner's statistics of the columns are gone too, also from the files of their
    /// table.
    pub statistics: bool,
    /// Where old rows may still be.
    pub elsewhere: Vec<Elsewhere>,
}

/// Why a table was not purged, or not completely.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The table must not be purged, or cannot be.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A constraint requires values.
    #[error(
        "the constraint {0:?} does not let the columns be empty. Drop it (ALTER TABLE ... DROP CONSTRAINT), and run this again"
    )]
    Constraint(String),
    /// Other sessions hold the table.
    #[error(
        "others have held {table} for {} s. Nothing is lost: run this again, and it goes on. Who holds it: SELECT pid, state FROM pg_stat_activity", waited.as_secs()
    )]
    Locked {
        /// The table's name, quoted for SQL.
        table: String,
        /// How long the purge waited.
        waited: Duration,
    },
    /// Another transaction still sees the old rows, so that a rewrite would keep them.
    #[error(
        "the columns are empty, but after {} s older transactions may still read the old rows, so their bytes cannot go yet ({holders}). End these, and run this again", waited.as_secs()
    )]
    StillSeen {
        /// The sessions that hold them.
        holders: String,
        /// How long the purge waited.
        waited: Duration,
    },
    /// New values are written as fast as they are emptied.
    #[error(
        "{0} rows have values again: something still writes to the table. Stop it, and run this again"
    )]
    StillWritten(i64),
    /// The database is unreachable, or refuses.
    #[error(transparent)]
    Database(#[from] db::Error),
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

/// Carries out `plan`, as completely as the portal can; calls `tell` at each step. Waits for other
/// sessions up to `patience` each time.
///
/// # Errors
///
/// [`Error`]; what was done until then stays done, and the next run continues.
pub async fn carry_out(
    connection: &mut PgConnection,
    plan: &Plan,
    patience: Duration,
    mut tell: impl FnMut(Step),
) -> Result<Report, Error> {
    sql::prepare(connection).await?;
    let rows = if plan.names.is_empty() {
        tell(Step::Rewriting);
        rewrite::truncate(connection, plan, patience).await?
    } else {
        let rows = rewrite::empty(connection, plan, patience, &mut tell).await?;
        tell(Step::WaitingForOthers);
        rewrite::until_unseen(connection, patience).await?;
        tell(Step::Rewriting);
        rewrite::anew(connection, plan, patience).await?;
        rows
    };
    tell(Step::Statistics);
    let statistics = rewrite::forget_statistics(connection, plan, patience).await?;
    tell(Step::Log);
    let elsewhere = elsewhere::settle(connection, plan.oid).await?;
    Ok(Report {
        rows,
        remaining: sql::filled(connection, plan.oid, &plan.names).await?,
        statistics,
        elsewhere,
    })
}
