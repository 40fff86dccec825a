//! Examines a table, and decides whether it may be emptied.

use std::sync::LazyLock;

use sqlx::{PgConnection, postgres::types::Oid};

use super::{Error, Plan, Target, sql};
use crate::db::MIGRATOR;

/// Why a table or column is not emptied, and what to do.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no table of that name.
    #[error(
        "there is no table {0} in this database. Names without quotes are read in lower case; a table without a schema is one of public"
    )]
    NoTable(String),
    /// It is one of the portal's own tables.
    #[error(
        "{0} is the portal's own table, and holds no contact information: this is for the tables of an old portal. What lies in legacy_contact is emptied by the portal itself"
    )]
    Own(String),
    /// It is one of PostgreSQL's own tables.
    #[error("{0} is PostgreSQL's own")]
    System(String),
    /// It is not a table.
    #[error("{table} is {kind}. {advice}")]
    NotATable {
        /// Its name, quoted for SQL.
        table: String,
        /// What it is instead.
        kind: &'static str,
        /// What to do.
        advice: String,
    },
    /// The table belongs to another role.
    #[error(
        "{0} belongs to another role, and only its owner can have it written anew. Connect as its owner (DATABASE_URL), or take it over: ALTER TABLE {0} OWNER TO CURRENT_USER"
    )]
    NotOwner(String),
    /// Row security hides rows from our role.
    #[error(
        "row security hides rows of {0} from this role. ALTER TABLE {0} NO FORCE ROW LEVEL SECURITY, or connect as a role that bypasses it"
    )]
    RowSecurity(String),
    /// A trigger or rule would run, and could copy the old values.
    #[error(
        "{table} has a {kind} {name} that would run, and could copy the values elsewhere. Disable it first: ALTER TABLE {table} DISABLE {command} {name}"
    )]
    Acts {
        /// The table's name, quoted for SQL.
        table: String,
        /// What would run: a trigger or a rule.
        kind: &'static str,
        /// Its name, quoted for SQL.
        name: String,
        /// Its name in `ALTER TABLE`.
        command: &'static str,
    },
    /// Other tables refer to it.
    #[error(
        "{table} is referred to by the constraint {constraint} of {by}, so it cannot be emptied whole. Drop that first: ALTER TABLE {by} DROP CONSTRAINT {constraint}"
    )]
    ReferredTo {
        /// The table's name, quoted for SQL.
        table: String,
        /// Name of the constraint.
        constraint: String,
        /// The table that refers to it.
        by: String,
    },
    /// There is no such column.
    #[error("{table} has no column {column}. Names without quotes are read in lower case")]
    NoColumn {
        /// The table's name, quoted for SQL.
        table: String,
        /// The column's name, quoted for SQL.
        column: String,
    },
    /// The column cannot be emptied.
    #[error("{column} of {table} {fault}. {advice}")]
    Column {
        /// The table's name, quoted for SQL.
        table: String,
        /// The column's name, quoted for SQL.
        column: String,
        /// The reason for it.
        fault: &'static str,
        /// What to do.
        advice: String,
    },
}

/// The tables that the migrations create, and the one in which they are listed.
static OWN_TABLES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let made = MIGRATOR.iter().flat_map(|m| m.sql.as_str().lines());
    made.filter_map(created_table)
        .chain(["_sqlx_migrations"])
        .map(str::to_owned)
        .collect()
});

/// The names of the portal's own tables.
#[must_use]
pub fn own_tables() -> &'static [String] {
    &OWN_TABLES
}

/// The name of the table that a line of a migration creates.
fn created_table(line: &str) -> Option<&str> {
    let mut words = line.split([' ', '(']).filter(|word| !word.is_empty());
    (words.next()? == "CREATE").then_some(())?;
    let mut word = words.next()?;
    if word == "UNLOGGED" {
        word = words.next()?;
    }
    (word == "TABLE").then_some(())?;
    let name = words.next()?;
    Some(name.strip_suffix(';').unwrap_or(name))
}

/// Examines the table that `target` names, and counts its contents. Changes nothing.
///
/// # Errors
///
/// [`Error::Refused`] if it must not or cannot be emptied; [`Error::Database`].
pub async fn survey(connection: &mut PgConnection, target: &Target) -> Result<Plan, Error> {
    let Some(table) = find(connection, target).await? else {
        let name = Target {
            columns: Vec::new(),
            ..target.clone()
        };
        return Err(Refusal::NoTable(name.to_string()).into());
    };
    if let Some(refusal) = table.refusal() {
        return Err(refusal.into());
    }
    let whole = target.columns.is_empty();
    if let Some(refusal) = in_the_way(connection, &table, whole).await? {
        return Err(refusal.into());
    }
    let columns = columns(connection, &table, &target.columns).await?;
    let counts = sql::counts(connection, table.oid, &target.columns).await?;
    let kin = sqlx::query!(
        r#"
        WITH RECURSIVE seen AS (
            SELECT $1::oid AS oid
            UNION
            SELECT r.ev_class FROM seen s
            JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = s.oid
                AND d.classid = 'pg_rewrite'::regclass
            JOIN pg_rewrite r ON r.oid = d.objid
        )
        SELECT ARRAY(SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = $1 ORDER BY 1) AS "indexes!",
               ARRAY(SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = $1 ORDER BY 1) AS "children!",
               ARRAY(SELECT oid::regclass::text FROM pg_class JOIN seen USING (oid) WHERE relkind = 'm' ORDER BY 1) AS "copies!"
        "#,
        table.oid
    )
    .fetch_one(connection)
    .await?;
    Ok(Plan {
        table: table.name,
        columns: columns.into_iter().zip(counts.filled).collect(),
        rows: counts.rows,
        bytes: table.bytes,
        indexes: kin.indexes,
        children: kin.children,
        copies: kin.copies,
        oid: table.oid,
        names: target.columns.clone(),
    })
}

/// What the system catalogues say about the table.
struct Table {
    oid: Oid,
    name: String,
    kind: String,
    bytes: i64,
}

async fn find(
    connection: &mut PgConnection,
    target: &Target,
) -> Result<Option<Table>, sqlx::Error> {
    sqlx::query_as!(
        Table,
        r#"
        SELECT c.oid, format('%I.%I', n.nspname, c.relname) AS "name!", coalesce(pg_total_relation_size(c.oid), 0) AS "bytes!",
               CASE WHEN EXISTS (SELECT FROM unnest($3::text[]) AS own WHERE to_regclass(format('%I', own)) = c.oid)
                        THEN 'own'
                    WHEN c.relpersistence = 't' AND c.relkind = 'r' THEN 'temporary'
                    WHEN n.nspname ~ '^pg_' OR n.nspname = 'information_schema' THEN 'system'
                    WHEN c.relkind = 'r' AND NOT pg_has_role(c.relowner, 'USAGE') THEN 'other owner'
                    WHEN c.relkind = 'r' AND row_security_active(c.oid) THEN 'hidden'
                    ELSE c.relkind::text END AS "kind!"
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = $1 AND c.relname = $2
        "#,
        target.schema,
        target.table,
        own_tables(),
    )
    .fetch_optional(connection)
    .await
}

impl Table {
    /// Why the table is not emptied, whatever is in it.
    fn refusal(&self) -> Option<Refusal> {
        let table = self.name.clone();
        let kind = match self.kind.as_str() {
            "own" => return Some(Refusal::Own(table)),
            "system" => return Some(Refusal::System(table)),
            "temporary" => (
                "a temporary table",
                "It goes with the session that made it".to_owned(),
            ),
            "other owner" => return Some(Refusal::NotOwner(table)),
            "hidden" => return Some(Refusal::RowSecurity(table)),
            "r" => return None,
            "p" => (
                "a partitioned table, which holds no rows itself",
                format!(
                    "Empty its partitions one by one; they are: SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = '{table}'::regclass"
                ),
            ),
            "v" => (
                "a view, which holds nothing",
                "Empty the tables behind it".to_owned(),
            ),
            "m" => (
                "a materialised view, which copies its rows from elsewhere",
                format!(
                    "Empty the tables behind it, then REFRESH MATERIALIZED VIEW {table}, or drop it"
                ),
            ),
            "f" => (
                "a foreign table, whose rows are in another place",
                "Empty it there".to_owned(),
            ),
            "i" | "I" => ("an index", "Empty its table".to_owned()),
            "S" => (
                "a sequence, which holds only numbers",
                "Leave it".to_owned(),
            ),
            _ => ("no table", "Name one".to_owned()),
        };
        Some(Refusal::NotATable {
            table,
            kind: kind.0,
            advice: kind.1,
        })
    }
}

/// What would run on the change, or forbids it.
async fn in_the_way(
    connection: &mut PgConnection,
    table: &Table,
    whole: bool,
) -> Result<Option<Refusal>, sqlx::Error> {
    // Bits of tgtype: 16 for UPDATE, 32 for TRUNCATE. A TRUNCATE does not fire rules.
    let row = sqlx::query!(
        r#"
        SELECT (SELECT min(format('%I', tgname)) FROM pg_trigger
                WHERE tgrelid = $1 AND NOT tgisinternal AND tgenabled <> 'D'
                  AND tgtype & CASE WHEN $2 THEN 32 ELSE 16 END <> 0) AS trigger_name,
               (SELECT min(format('%I', rulename)) FROM pg_rewrite
                WHERE ev_class = $1 AND NOT $2 AND ev_type = '2' AND ev_enabled <> 'D') AS rule_name,
               f.constraint_name AS "constraint_name?", f.by AS "by?"
        FROM (SELECT) AS one LEFT JOIN LATERAL (
            SELECT format('%I', conname) AS constraint_name, conrelid::regclass::text AS by FROM pg_constraint
            WHERE contype = 'f' AND confrelid = $1 AND conrelid <> $1 AND $2 ORDER BY conname LIMIT 1
        ) f ON true
        "#,
        table.oid,
        whole,
    )
    .fetch_one(connection)
    .await?;
    let table = table.name.clone();
    let acts = |kind, name, command| Refusal::Acts {
        table: table.clone(),
        kind,
        name,
        command,
    };
    Ok(match (row.trigger_name, row.rule_name) {
        (Some(name), _) => Some(acts("trigger", name, "TRIGGER")),
        (None, Some(name)) => Some(acts("rule", name, "RULE")),
        (None, None) => {
            row.constraint_name
                .zip(row.by)
                .map(|(constraint, by)| Refusal::ReferredTo {
                    table: table.clone(),
                    constraint,
                    by,
                })
        }
    })
}

/// The columns that can be emptied, quoted for SQL.
async fn columns(
    connection: &mut PgConnection,
    table: &Table,
    names: &[String],
) -> Result<Vec<String>, Error> {
    let rows = sqlx::query!(
        r#"
        SELECT format('%I', w.name) AS "column!", a.attnum IS NOT NULL AS "there!",
               coalesce(a.attnotnull, false) AS "not_null!", coalesce(t.typnotnull, false) AS "domain_not_null!",
               coalesce(a.attgenerated <> '', false) AS "generated!",
               EXISTS (SELECT FROM pg_index i WHERE i.indrelid = $1 AND i.indisprimary AND a.attnum = ANY (i.indkey)) AS "key!",
               (SELECT min(format('%I of %s', conname, conrelid::regclass)) FROM pg_constraint
                WHERE contype = 'f' AND confrelid = $1 AND a.attnum = ANY (confkey)) AS referred_by
        FROM unnest($2::text[]) WITH ORDINALITY AS w (name, place)
        LEFT JOIN pg_attribute a ON a.attrelid = $1 AND a.attname = w.name AND a.attnum > 0 AND NOT a.attisdropped
        LEFT JOIN pg_type t ON t.oid = a.atttypid
        ORDER BY w.place
        "#,
        table.oid,
        names,
    )
    .fetch_all(connection)
    .await?;
    let mut columns = Vec::new();
    for row in rows {
        let (table, column) = (table.name.clone(), row.column);
        if !row.there {
            return Err(Refusal::NoColumn { table, column }.into());
        }
        let refused = if row.generated {
            let advice = "Empty the columns that it is made of: it follows";
            Some(("is a generated column", advice.to_owned()))
        } else if row.key {
            let advice = "Empty the whole table, or give it another key first: ALTER TABLE ... DROP CONSTRAINT";
            Some(("is part of the primary key", advice.to_owned()))
        } else if row.not_null {
            let advice = format!(
                "Let it be empty first: ALTER TABLE {table} ALTER COLUMN {column} DROP NOT NULL"
            );
            Some(("is NOT NULL", advice))
        } else if row.domain_not_null {
            let advice = format!(
                "Give it another type first: ALTER TABLE {table} ALTER COLUMN {column} TYPE text"
            );
            Some(("has a type that is NOT NULL", advice))
        } else {
            row.referred_by.map(|by| {
                let advice = format!("Drop that constraint first: {by}");
                ("is referred to by other rows", advice)
            })
        };
        if let Some((fault, advice)) = refused {
            return Err(Refusal::Column {
                table,
                column,
                fault,
                advice,
            }
            .into());
        }
        columns.push(column);
    }
    Ok(columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_found_in_the_line_that_makes_it() {
        for (line, table) in [
            ("CREATE TABLE request (", Some("request")),
            (
                "CREATE UNLOGGED TABLE legacy_contact (",
                Some("legacy_contact"),
            ),
            ("CREATE TABLE a(b int);", Some("a")),
            ("CREATE INDEX a ON b (c);", None),
            ("ALTER TABLE a ADD COLUMN b int;", None),
            ("-- CREATE TABLE a (", None),
            ("", None),
        ] {
            assert_eq!(created_table(line), table, "{line}");
        }
    }
}
