//! Makes the statements for a table that only the operator knows.
//!
//! The server builds them itself, with its own quoting, from the table's OID and the columns'
//! names. The functions exist in the session only.

use sqlx::{AssertSqlSafe, PgConnection, postgres::types::Oid};

/// The code that a statement reports when a constraint requires a value, in place of the
/// constraint's own error, whose DETAIL would write the row into the server's log.
pub(super) const CONSTRAINT: &str = "PIC01";

/// The session's settings: no statement waits long for a lock, everything else has no time limit.
/// Commits need not be durable one by one: the checkpoint at the end makes them so.
const SETTINGS: &str = "
    SELECT set_config('lock_timeout', '2s', false), set_config('statement_timeout', '0', false),
           set_config('idle_in_transaction_session_timeout', '0', false),
           set_config('synchronous_commit', 'off', false), set_config('row_security', 'off', false)";

const FUNCTIONS: &str = "
    CREATE OR REPLACE FUNCTION pg_temp.pic_any_filled(columns text[]) RETURNS text LANGUAGE sql
        RETURN (SELECT string_agg(format('%I IS NOT NULL', c), ' OR ') FROM unnest(columns) AS c);

    CREATE OR REPLACE FUNCTION pg_temp.pic_counts(t oid, columns text[]) RETURNS bigint[] LANGUAGE plpgsql AS $$
    DECLARE counts bigint[];
    BEGIN
        EXECUTE format('SELECT ARRAY[count(*)%s] FROM ONLY %s',
            coalesce((SELECT string_agg(format(', count(*) FILTER (WHERE %I IS NOT NULL)', c), '' ORDER BY place)
                      FROM unnest(columns) WITH ORDINALITY AS u (c, place)), ''), t::regclass) INTO counts;
        RETURN counts;
    END $$;

    CREATE OR REPLACE FUNCTION pg_temp.pic_filled(t oid, columns text[]) RETURNS bigint LANGUAGE plpgsql AS $$
    DECLARE filled bigint;
    BEGIN
        EXECUTE format('SELECT count(*) FROM ONLY %s WHERE %s', t::regclass,
                       coalesce(pg_temp.pic_any_filled(columns), 'true')) INTO filled;
        RETURN filled;
    END $$;

    CREATE OR REPLACE FUNCTION pg_temp.pic_empty(t oid, columns text[], first bigint, past bigint) RETURNS bigint
        LANGUAGE plpgsql AS $$
    DECLARE
        emptied bigint;
        broken text;
        missing text;
    BEGIN
        EXECUTE format('UPDATE ONLY %s SET %s WHERE ctid >= %L::tid AND ctid < %L::tid AND (%s)', t::regclass,
                       (SELECT string_agg(format('%I = NULL', c), ', ') FROM unnest(columns) AS c),
                       format('(%s,0)', first), format('(%s,0)', past), pg_temp.pic_any_filled(columns));
        GET DIAGNOSTICS emptied = ROW_COUNT;
        RETURN emptied;
    EXCEPTION WHEN integrity_constraint_violation THEN
        GET STACKED DIAGNOSTICS broken = CONSTRAINT_NAME, missing = COLUMN_NAME;
        RAISE EXCEPTION 'a constraint wants values' USING ERRCODE = 'PIC01',
            CONSTRAINT = coalesce(nullif(broken, ''), nullif(missing, ''), 'of a partition');
    END $$;";

/// Sets the session up; safe to repeat.
pub(super) async fn prepare(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query(SETTINGS).execute(&mut *connection).await?;
    sqlx::raw_sql(FUNCTIONS).execute(connection).await?;
    Ok(())
}

/// The numbers of rows.
pub(super) struct Counts {
    pub(super) rows: i64,
    /// Rows with a value, for each column.
    pub(super) filled: Vec<i64>,
}

/// Counts the rows of a table, and those with a value in each column.
pub(super) async fn counts(
    connection: &mut PgConnection,
    table: Oid,
    columns: &[String],
) -> Result<Counts, sqlx::Error> {
    prepare(connection).await?;
    let mut counts: Vec<i64> = sqlx::query_scalar("SELECT pg_temp.pic_counts($1, $2)")
        .bind(table)
        .bind(columns)
        .fetch_one(connection)
        .await?;
    let filled = counts.split_off(1);
    Ok(Counts {
        rows: counts[0],
        filled,
    })
}

/// How many rows have a value in one of the columns; without columns, how many rows there are.
pub(super) async fn filled(
    connection: &mut PgConnection,
    table: Oid,
    columns: &[String],
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT pg_temp.pic_filled($1, $2)")
        .bind(table)
        .bind(columns)
        .fetch_one(connection)
        .await
}

/// Empties the columns of the rows on the pages from `first` up to, and without, `past`.
pub(super) async fn empty(
    connection: &mut PgConnection,
    table: Oid,
    columns: &[String],
    (first, past): (i64, i64),
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT pg_temp.pic_empty($1, $2, $3, $4)")
        .bind(table)
        .bind(columns)
        .bind(first)
        .bind(past)
        .fetch_one(connection)
        .await
}

/// How many pages the table has.
pub(super) async fn pages(connection: &mut PgConnection, table: Oid) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT pg_relation_size($1::oid) / current_setting('block_size')::bigint")
        .bind(table)
        .fetch_one(connection)
        .await
}

/// The file of the table: another one after a rewrite.
pub(super) async fn file(
    connection: &mut PgConnection,
    table: Oid,
) -> Result<Option<Oid>, sqlx::Error> {
    sqlx::query_scalar("SELECT pg_relation_filenode($1::oid)")
        .bind(table)
        .fetch_one(connection)
        .await
}

/// Runs `command`, in which the server itself writes the table's name in place of `%s`.
pub(super) async fn on_table(
    connection: &mut PgConnection,
    command: &'static str,
    table: Oid,
) -> Result<(), sqlx::Error> {
    let statement: String = sqlx::query_scalar(
        "SELECT format($1, format('%I.%I', nspname, relname))
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $2",
    )
    .bind(command)
    .bind(table)
    .fetch_one(&mut *connection)
    .await?;
    sqlx::raw_sql(AssertSqlSafe(statement))
        .execute(connection)
        .await?;
    Ok(())
}
