//! Scans the schema for columns that could hold contact information, and for such values.
//!
//! For every column of every table in the portal's schema, also tables that others made, one of
//! these is true:
//!
//! - its type holds no text (numbers, times, random ids), or it is a `digest`, `half_digest` or
//!   `short_digest`: 32, 16 or 8 bytes that the portal has computed. Here the code has to be trusted: SQL cannot tell
//!   them from text;
//! - a constraint lets no `@` in, which its definition proves ([`super::proof`]): at ten million
//!   rows it costs what it costs at ten;
//! - neither: every value is scanned, block by block, half of the time at most, so that other
//!   queries are not slowed down. Of the portal's own tables only tiny ones are of this kind; large
//!   ones were put there by an operator.
//!
//! A column whose name suggests contact information counts in any case. Names of columns and
//! numbers are reported, never a value.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Row as _};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::{
    is_contact_like, proof,
    store::{Halt, Turn},
};
use crate::db::{self, PgPool};

/// Blocks in one batch: 8 MB.
const BLOCKS: i64 = 1_024;
/// What a sweep has not scanned after this time is left to the next, which begins elsewhere.
const TIME_LIMIT: Duration = Duration::from_mins(10);
/// The most columns that are reported.
const SUSPECTS: usize = 100;
/// The longest line of a report, in bytes: the domain `evidence` takes no more.
const LINE: usize = 300;
/// A pattern for addresses in text. It is used inside SQL quotes, so it has none itself.
const ADDRESS: &str = r"[^[:space:]@]@[^[:space:]@]+\.[^[:space:]@]";
/// A pattern for addresses in bytes, where any byte may precede or follow by chance.
const ADDRESS_IN_BYTES: &str = r"[a-z0-9._%+-]{2,}@([a-z0-9-]+\.)+[a-z]{2,}";

/// What was scanned, and what looks like contact information.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Looked {
    /// Columns that could hold text, except that their constraints exclude it.
    pub proven: u32,
    /// Columns that were scanned.
    pub columns: u32,
    /// Rows that were scanned.
    pub rows: u64,
    /// A line for each column that looks like contact information, by its name or its contents.
    pub suspects: Vec<String>,
}

/// The result of a scan.
#[derive(Debug, Default)]
pub struct Scan {
    /// What was scanned.
    pub looked: Looked,
    /// How many values look like contact information.
    pub found: u64,
    /// Whether everything was scanned that had to be.
    pub whole: bool,
}

/// What has to be scanned in a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ColumnClass {
    /// Nothing: it cannot hold text.
    Nothing,
    /// Nothing: a constraint excludes addresses.
    Proven,
    /// Any value counts, because of its name.
    Any,
    /// Text that contains an address.
    Text,
    /// Bytes that contain an address.
    Bytes,
}

/// A column of the schema.
struct Column {
    name: String,
    /// The name, quoted for SQL.
    sql_name: String,
    readable: bool,
    worth: ColumnClass,
}

impl Column {
    /// The SQL condition for a suspicious value; `None`: no value is.
    fn suspicion(&self) -> Option<String> {
        let column = &self.sql_name;
        match self.worth {
            ColumnClass::Nothing | ColumnClass::Proven => None,
            ColumnClass::Any => Some(format!("btrim({column}::text) <> ''")),
            ColumnClass::Text => Some(format!("{column}::text ~ '{ADDRESS}'")),
            ColumnClass::Bytes => Some(format!(
                "encode({column}, 'escape') ~* '{ADDRESS_IN_BYTES}'"
            )),
        }
    }
}

/// A table with its columns.
struct Table {
    name: String,
    /// The name with its schema, quoted for SQL.
    sql_name: String,
    blocks: i64,
    columns: Vec<Column>,
}

/// Scans the portal's schema, renewing `turn`, until `stop`.
///
/// # Errors
///
/// [`Halt`]: the database is unreachable, or the turn is lost.
pub async fn through(turn: &Turn, stop: &CancellationToken) -> Result<Scan, Halt> {
    let began = Instant::now();
    let mut look = Scan {
        whole: true,
        ..Scan::default()
    };
    let mut tables = tables(turn.pool()).await?;
    let proven = tables
        .iter()
        .flat_map(|table| &table.columns)
        .filter(|column| column.worth == ColumnClass::Proven);
    look.looked.proven = u32::try_from(proven.count()).unwrap_or(u32::MAX);
    // If there is not time for all, the next sweep begins with another table.
    if let Some(first) = tables.len().checked_sub(1) {
        tables.rotate_left(usize::from(crate::base32::random::<1>()[0]) % (first + 1));
    }
    for table in &mut tables {
        table.columns.retain(|column| column.suspicion().is_some());
        let unreadable = table.columns.extract_if(.., |column| !column.readable);
        for column in unreadable {
            suspect(
                &mut look.looked,
                &table.name,
                &column.name,
                "cannot be read",
            );
        }
        if !table.columns.is_empty() {
            look_through(table, turn, stop, began, &mut look).await?;
        }
    }
    look.looked.suspects.sort();
    Ok(look)
}

async fn look_through(
    table: &Table,
    turn: &Turn,
    stop: &CancellationToken,
    began: Instant,
    look: &mut Scan,
) -> Result<(), Halt> {
    let mut found = vec![0_u64; table.columns.len()];
    let mut block = 0;
    while block < table.blocks {
        if stop.is_cancelled() || began.elapsed() > TIME_LIMIT {
            look.whole = false;
            break;
        }
        let batch = Instant::now();
        match look_at(turn.pool(), table, block).await {
            Ok((rows, counts)) => {
                look.looked.rows += rows;
                found
                    .iter_mut()
                    .zip(counts)
                    .for_each(|(sum, count)| *sum += count);
            }
            // It was dropped or locked during the scan, so the result does not count.
            Err(db::Error::Refused(_)) => {
                look.whole = false;
                break;
            }
            Err(error) => return Err(error.into()),
        }
        turn.renew().await?;
        block += BLOCKS;
        if block < table.blocks {
            sleep(batch.elapsed()).await;
        }
    }
    look.looked.columns += u32::try_from(table.columns.len()).unwrap_or(u32::MAX);
    for (column, count) in table.columns.iter().zip(found) {
        look.found += count;
        if count > 0 || column.worth == ColumnClass::Any {
            suspect(
                &mut look.looked,
                &table.name,
                &column.name,
                &count.to_string(),
            );
        }
    }
    Ok(())
}

/// Adds a line to the report.
fn suspect(looked: &mut Looked, table: &str, column: &str, what: &str) {
    if looked.suspects.len() < SUSPECTS {
        let line = format!("{table}.{column}: {what}");
        // The names are an operator's own; the domain accepts no other characters.
        let plain = |c: char| {
            if matches!(c, ' '..='?' | 'A'..='~') {
                c
            } else {
                '?'
            }
        };
        looked
            .suspects
            .push(line.chars().map(plain).take(LINE).collect());
    }
}

/// Scans the rows in a batch of blocks: how many there are, and how many of each column are
/// suspicious.
async fn look_at(pool: &PgPool, table: &Table, block: i64) -> Result<(u64, Vec<u64>), db::Error> {
    let counts: Vec<String> = table
        .columns
        .iter()
        .filter_map(Column::suspicion)
        .map(|suspicion| format!("count(*) FILTER (WHERE {suspicion})"))
        .collect();
    // PostgreSQL itself quotes the names; everything else is our own text.
    let statement = format!(
        "SELECT count(*), ARRAY[{}]::bigint[] FROM {} WHERE ctid >= '({block},0)' AND ctid < '({},0)'",
        counts.join(", "),
        table.sql_name,
        block + BLOCKS,
    );
    let row = sqlx::query(AssertSqlSafe(statement))
        .persistent(false)
        .fetch_one(pool.retrying())
        .await?;
    let rows: i64 = row.try_get(0)?;
    let counts: Vec<i64> = row.try_get(1)?;
    Ok((
        rows.unsigned_abs(),
        counts.into_iter().map(i64::unsigned_abs).collect(),
    ))
}

/// Every table of the portal's schema with every column, except `legacy_contact`, which is emptied.
async fn tables(pool: &PgPool) -> Result<Vec<Table>, db::Error> {
    let rows = sqlx::query_file!("src/retention/columns.sql")
        .fetch_all(pool.retrying())
        .await?;
    let mut tables: Vec<Table> = Vec::new();
    for row in rows {
        if tables
            .last()
            .is_none_or(|table| table.sql_name != row.sql_table)
        {
            tables.push(Table {
                name: row.table_name,
                sql_name: row.sql_table,
                blocks: row.blocks,
                columns: Vec::new(),
            });
        }
        let is = |name: &str| row.types.iter().any(|of| of == name);
        let worth = if is_contact_like(&row.column_name) && !row.holds_time {
            ColumnClass::Any
        } else if !row.text_like {
            ColumnClass::Nothing
        } else if is("digest")
            || is("half_digest")
            || is("short_digest")
            || row.checks.iter().any(|check| proof::excludes_at(check))
        {
            ColumnClass::Proven
        } else if is("bytea") && row.types.iter().any(|of| of.starts_with('_')) {
            // Several byte strings in one value cannot be scanned, so any value counts.
            ColumnClass::Any
        } else if is("bytea") {
            ColumnClass::Bytes
        } else {
            ColumnClass::Text
        };
        let column = Column {
            worth,
            readable: row.readable,
            name: row.column_name,
            sql_name: row.sql_column,
        };
        if let Some(table) = tables.last_mut() {
            table.columns.push(column);
        }
    }
    Ok(tables)
}
