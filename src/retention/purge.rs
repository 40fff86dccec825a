//! How are contacts emptied out of an old portal's tables, so that no byte of them is left?
//!
//! Setting a column to `NULL` leaves the old rows in the table's files, in its indexes, in what the
//! planner knows of the column and in the write-ahead log (`docs/performance.md#traps-met`,
//! trap 2). So it goes in steps:
//!
//! 1. [`survey()`] looks at what is there, and refuses what must not or cannot be emptied;
//! 2. [`carry_out`] empties the columns a few pages at a time, each batch a short transaction of its
//!    own, so that nobody waits for it (a whole table goes by `TRUNCATE`);
//! 3. waits until no transaction is left that could still want the old rows, and writes the table
//!    anew with `VACUUM FULL`, which drops them from table, TOAST and indexes;
//! 4. throws away what the planner knows of the columns;
//! 5. asks for a new segment of the write-ahead log and a checkpoint, after which the server has no
//!    use for the older segments.
//!
//! Interrupted anywhere, the next run goes through all steps again and finishes. Nothing here reads
//! a value: rows are counted, and faults named by code and constraint.

mod elsewhere;
mod rewrite;
mod sql;
mod survey;
mod target;

use std::time::Duration;

use sqlx::{PgConnection, postgres::types::Oid};

pub use self::{
    elsewhere::Elsewhere,
    survey::{Refusal, survey},
    target::{NotATarget, Target},
};
use crate::db;

/// A table that may be purged, and what is in it.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The table as SQL writes it.
    pub table: String,
    /// The columns to empty, as SQL writes them, each with the number of rows that have a value;
    /// none: the whole table.
    pub columns: Vec<(String, i64)>,
    /// Rows of the table.
    pub rows: i64,
    /// Size of table, TOAST and indexes, in bytes.
    pub bytes: i64,
    /// Its indexes, which are built anew.
    pub indexes: Vec<String>,
    /// Tables that inherit from it, which are not touched.
    pub children: Vec<String>,
    /// Materialised views made from it, which hold copies of their own.
    pub copies: Vec<String>,
    oid: Oid,
    names: Vec<String>,
}

/// A step on the way, for whoever watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Emptying: pages done, of how many.
    Emptying(i64, i64),
    /// Waiting until nobody needs the old rows any more.
    WaitingForOthers,
    /// Waiting for the table's lock, or writing the table anew under it.
    Rewriting,
    /// Throwing away what the planner knows.
    Statistics,
    /// Asking for a new segment of the write-ahead log and a checkpoint.
    Log,
}

/// What was done.
#[derive(Clone, Debug)]
pub struct Report {
    /// Rows that were emptied, or removed with the whole table, in this run.
    pub rows: i64,
    /// Rows that still have a value in one of the columns, counted afterwards.
    pub remaining: i64,
    /// Whether what the planner knows of the columns is gone too, from its table's files as well.
    pub statistics: bool,
    /// Where old rows may still lie.
    pub elsewhere: Vec<Elsewhere>,
}

/// Why a table was not purged, or not to the end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It must not be, or cannot be.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A constraint wants values.
    #[error(
        "the constraint {0:?} does not let the columns be empty. Drop it (ALTER TABLE ... DROP CONSTRAINT), and run this again"
    )]
    Constraint(String),
    /// Somebody holds the table.
    #[error(
        "others have held {table} for {} s. Nothing is lost: run this again, and it goes on. Who holds it: SELECT pid, state FROM pg_stat_activity", waited.as_secs()
    )]
    Locked {
        /// The table as SQL writes it.
        table: String,
        /// How long it was waited for.
        waited: Duration,
    },
    /// Somebody's transaction still sees the old rows, so that no rewrite would drop them.
    #[error(
        "the columns are empty, but after {} s older transactions may still read the old rows, so their bytes cannot go yet ({holders}). End these, and run this again", waited.as_secs()
    )]
    StillSeen {
        /// What holds them.
        holders: String,
        /// How long it was waited for.
        waited: Duration,
    },
    /// Values come in as fast as they are emptied.
    #[error(
        "{0} rows have values again: something still writes to the table. Stop it, and run this again"
    )]
    StillWritten(i64),
    /// The database is away, or refuses.
    #[error(transparent)]
    Database(#[from] db::Error),
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

/// Empties what `plan` says, to the last byte that is in the portal's hands; `tell` hears of each
/// step. Others are waited for up to `patience` each time.
///
/// # Errors
///
/// [`Error`]; what was done until then stays done, and the next run goes on.
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
