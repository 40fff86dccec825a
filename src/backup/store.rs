//! Reads what a database holds at one moment.

use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, Row as _,
    postgres::PgConnectOptions,
};

use crate::retention::purge;

/// Values must be written alike on both sides, and a backup takes its time.
const SESSION: &str = "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0;
    SET extra_float_digits = 3; SET IntervalStyle = 'postgres'; SET bytea_output = 'hex';
    BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY";

/// What a table holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Content {
    /// Its name.
    pub(super) table: String,
    /// How many rows.
    pub(super) rows: i64,
    /// The sum of the hashes of all rows.
    sum: String,
}

/// A database as it is at one moment, for as long as this value lives.
pub(super) struct Moment {
    connection: PgConnection,
    /// The name by which other sessions can have the same view (`pg_dump --snapshot`).
    pub(super) id: String,
    /// The server's major version.
    pub(super) major: u32,
    /// Schemas that are not the portal's, as patterns of `pg_dump`.
    pub(super) schemas: Vec<String>,
    /// Tables in the portal's schema that are not the portal's, as such patterns.
    pub(super) foreign: Vec<String>,
}

impl Moment {
    pub(super) async fn begin(options: &PgConnectOptions) -> sqlx::Result<Self> {
        let mut connection = connect(options).await?;
        sqlx::raw_sql(SESSION).execute(&mut connection).await?;
        let row = sqlx::query(
            r#"SELECT pg_export_snapshot() AS id, current_setting('server_version_num')::int / 10000 AS major,
                      ARRAY(SELECT format('"%s"', replace(nspname, '"', '""')) FROM pg_namespace
                            WHERE nspname NOT IN (current_schema(), 'gateway', 'information_schema')
                              AND nspname NOT LIKE 'pg\_%') AS schemas,
                      ARRAY(SELECT format('"%s"."%s"', replace(nspname, '"', '""'), replace(relname, '"', '""'))
                            FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
                            WHERE nspname = current_schema() AND relkind IN ('r', 'p', 'm', 'f')
                              AND relname <> ALL ($1)) AS foreign"#,
        )
        .bind(purge::own_tables())
        .fetch_one(&mut connection)
        .await?;
        Ok(Self {
            id: row.try_get("id")?,
            major: row.try_get::<i32, _>("major")?.unsigned_abs(),
            schemas: row.try_get("schemas")?,
            foreign: row.try_get("foreign")?,
            connection,
        })
    }

    /// What the portal's tables hold, but `legacy_contact`.
    pub(super) async fn contents(&mut self) -> sqlx::Result<Vec<Content>> {
        let tables: Vec<String> = sqlx::query_scalar(
            "SELECT c.oid::regclass::text FROM pg_class c
             WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r' AND relpersistence = 'p'
               AND relname = ANY ($1) AND relname <> 'legacy_contact' ORDER BY 1",
        )
        .bind(purge::own_tables())
        .fetch_all(&mut self.connection)
        .await?;
        let mut contents = Vec::with_capacity(tables.len());
        for table in tables {
            let hashes = format!(
                "SELECT count(*), coalesce(sum(hashtextextended(its::text, 0)), 0)::text FROM {table} AS its"
            );
            let (rows, sum) = sqlx::query_as(AssertSqlSafe(hashes))
                .fetch_one(&mut self.connection)
                .await?;
            contents.push(Content { table, rows, sum });
        }
        Ok(contents)
    }
}

async fn connect(options: &PgConnectOptions) -> sqlx::Result<PgConnection> {
    let options = options.clone().application_name("pic-portal");
    options.disable_statement_logging().connect().await
}

/// Tells the server's major version if there is no table in the database.
pub(super) async fn empty(options: &PgConnectOptions) -> Result<u32, super::Error> {
    let mut connection = connect(options).await?;
    let (major, table): (i32, Option<String>) = sqlx::query_as(
        "SELECT current_setting('server_version_num')::int / 10000,
                (SELECT oid::regclass::text FROM pg_class
                 WHERE relkind IN ('r', 'p', 'v', 'm', 'f')
                   AND relnamespace IN (SELECT oid FROM pg_namespace
                                        WHERE nspname <> 'information_schema' AND nspname NOT LIKE 'pg\\_%')
                 ORDER BY 1 LIMIT 1)",
    )
    .fetch_one(&mut connection)
    .await?;
    connection.close().await?;
    match table {
        Some(table) => Err(super::Error::NotEmpty(table)),
        None => Ok(major.unsigned_abs()),
    }
}

/// Reads the statistics by which queries are planned: an archive has none.
pub(super) async fn settled(options: &PgConnectOptions) -> sqlx::Result<()> {
    let mut connection = connect(options).await?;
    sqlx::raw_sql("SET statement_timeout = 0; ANALYZE")
        .execute(&mut connection)
        .await?;
    connection.close().await
}

/// Empties `legacy_contact` in data that are put aside: nobody sweeps them any more.
pub(super) async fn empty_contacts(options: &PgConnectOptions) -> sqlx::Result<()> {
    let mut connection = connect(options).await?;
    let table: Option<String> = sqlx::query_scalar("SELECT to_regclass('legacy_contact')::text")
        .fetch_one(&mut connection)
        .await?;
    if table.is_some() {
        sqlx::raw_sql("TRUNCATE legacy_contact")
            .execute(&mut connection)
            .await?;
    }
    connection.close().await
}
