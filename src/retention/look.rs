//! Which columns could hold contact information, and do they?
//!
//! Of every column of every table in the portal's schema, whoever made it, one of these holds:
//!
//! - its type holds no text (numbers, times, random ids), or it is a `digest`: 32 bytes that the portal
//!   has computed. That one is the code's word: SQL cannot tell them from 32 bytes of text;
//! - a constraint lets no `@` in, which its definition proves ([`super::proof`]): at ten million rows it
//!   costs what it costs at ten;
//! - neither: every value is looked at, block by block, half of the time at most, so that nobody notices.
//!   Of the portal's own tables only tiny ones are of this kind; large ones are what an operator has
//!   put there.
//!
//! And whatever a column's name calls contact information counts, whatever its values look like.
//! Reported are names of columns and numbers, never a value.

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
/// What a sweep has not looked at after this is left to the next, which begins elsewhere.
const TIME_LIMIT: Duration = Duration::from_mins(10);
/// The most columns that are reported.
const SUSPECTS: usize = 100;
/// The longest line of a report, in bytes: the domain `evidence` takes no more.
const LINE: usize = 300;
/// What an address looks like in text. In quotes of SQL, so it has none.
const ADDRESS: &str = r"[^[:space:]@]@[^[:space:]@]+\.[^[:space:]@]";
/// The same in bytes, where anything may stand around it by chance.
const ADDRESS_IN_BYTES: &str = r"[a-z0-9._%+-]{2,}@([a-z0-9-]+\.)+[a-z]{2,}";

/// What was looked at, and what looks like contact information.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Looked {
    /// Columns that could hold text, but for their constraints.
    pub proven: u32,
    /// Columns that were looked through.
    pub columns: u32,
    /// Rows that were looked through.
    pub rows: u64,
    /// A line for each column that looks like contact information, by name or contents.
    pub suspects: Vec<String>,
}

/// What came of a look.
#[derive(Debug, Default)]
pub struct Look {
    /// What was looked at.
    pub looked: Looked,
    /// How many contact-like values there are.
    pub found: u64,
    /// Whether all was looked at that had to be.
    pub whole: bool,
}

/// What there is to look for in a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Worth {
    /// Nothing: no text fits.
    Nothing,
    /// Nothing: a constraint lets no address in.
    Proven,
    /// Any value, because of its name.
    Any,
    /// Text with an address in it.
    Text,
    /// Bytes with an address among them.
    Bytes,
}

/// A column of the schema.
struct Column {
    name: String,
    /// Quoted.
    sql_name: String,
    readable: bool,
    worth: Worth,
}

impl Column {
    /// What makes a value of it suspicious, in SQL; `None`: no value does.
    fn suspicion(&self) -> Option<String> {
        let column = &self.sql_name;
        match self.worth {
            Worth::Nothing | Worth::Proven => None,
            Worth::Any => Some(format!("btrim({column}::text) <> ''")),
            Worth::Text => Some(format!("{column}::text ~ '{ADDRESS}'")),
            Worth::Bytes => Some(format!(
                "encode({column}, 'escape') ~* '{ADDRESS_IN_BYTES}'"
            )),
        }
    }
}

/// A table with its columns.
struct Table {
    name: String,
    /// Quoted, with its schema.
    sql_name: String,
    blocks: i64,
    columns: Vec<Column>,
}

/// Looks through the portal's schema, renewing `turn`, until `stop`.
///
/// # Errors
///
/// [`Halt`]: the database is away, or the turn is lost.
pub async fn through(turn: &Turn, stop: &CancellationToken) -> Result<Look, Halt> {
    let began = Instant::now();
    let mut look = Look {
        whole: true,
        ..Look::default()
    };
    let mut tables = tables(turn.pool()).await?;
    let proven = tables
        .iter()
        .flat_map(|table| &table.columns)
        .filter(|column| column.worth == Worth::Proven);
    look.looked.proven = u32::try_from(proven.count()).unwrap_or(u32::MAX);
    // Should there be no time for all, the next sweep begins with another.
    if let Some(first) = tables.len().checked_sub(1) {
        tables.rotate_left(usize::from(crate::code::random::<1>()[0]) % (first + 1));
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
    look: &mut Look,
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
            // It was dropped or locked while we looked: nothing to rely on.
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
        if count > 0 || column.worth == Worth::Any {
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
        // The names are an operator's own; the domain takes no others.
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

/// Looks at the rows in a batch of blocks: how many there are, and how many of each column are
/// suspicious.
async fn look_at(pool: &PgPool, table: &Table, block: i64) -> Result<(u64, Vec<u64>), db::Error> {
    let counts: Vec<String> = table
        .columns
        .iter()
        .filter_map(Column::suspicion)
        .map(|suspicion| format!("count(*) FILTER (WHERE {suspicion})"))
        .collect();
    // Names are quoted by PostgreSQL itself; everything else is ours.
    let statement = format!(
        "SELECT count(*), ARRAY[{}]::bigint[] FROM {} WHERE ctid >= '({block},0)' AND ctid < '({},0)'",
        counts.join(", "),
        table.sql_name,
        block + BLOCKS,
    );
    let row = sqlx::query(AssertSqlSafe(statement))
        .persistent(false)
        .fetch_one(pool.again())
        .await?;
    let rows: i64 = row.try_get(0)?;
    let counts: Vec<i64> = row.try_get(1)?;
    Ok((
        rows.unsigned_abs(),
        counts.into_iter().map(i64::unsigned_abs).collect(),
    ))
}

/// Every table of the portal's schema with every column, but for `legacy_contact`, which is emptied.
async fn tables(pool: &PgPool) -> Result<Vec<Table>, db::Error> {
    let rows = sqlx::query_file!("src/retention/columns.sql")
        .fetch_all(pool.again())
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
            Worth::Any
        } else if !row.text_like {
            Worth::Nothing
        } else if is("digest") || row.checks.iter().any(|check| proof::excludes_at(check)) {
            Worth::Proven
        } else if is("bytea") && row.types.iter().any(|of| of.starts_with('_')) {
            // Several byte strings in one value cannot be looked into: whatever is there counts.
            Worth::Any
        } else if is("bytea") {
            Worth::Bytes
        } else {
            Worth::Text
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
