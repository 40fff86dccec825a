//! Reads the health of the database, for its operator.

use crate::db::{self, PgPool};

/// The health of the database: numbers and settings, no contents.
#[derive(Clone, Debug)]
pub struct Health {
    /// PostgreSQL's version.
    pub version: String,
    /// The setting `fsync`: whether acknowledged data survive a crash of the machine, on or off.
    pub fsync: String,
    /// The setting `synchronous_commit`, which also decides that: on, off, local, ...
    pub synchronous_commit: String,
    /// Version of the newest migration applied.
    pub schema: i64,
    /// Connections to the server, of all databases and programs.
    pub connections: i64,
    /// The most connections that it accepts.
    pub most_connections: i64,
    /// Size of the database on disk.
    pub bytes: i64,
    /// Size of `legacy_contact` on disk, including deleted rows; 0 after each sweep.
    pub legacy_bytes: i64,
    /// Whether `legacy_contact` stays out of the write-ahead log.
    pub legacy_unlogged: bool,
    /// Whether ANALYZE keeps no samples of its columns.
    pub legacy_without_statistics: bool,
}

/// Reads the health of the database.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable.
pub async fn health(pool: &PgPool) -> Result<Health, db::Error> {
    // The table belongs to the migrator, and does not exist when queries are checked at build time.
    let schema: i64 = sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations WHERE success")
        .fetch_one(pool.retrying())
        .await?;
    let health = sqlx::query_as!(
        Health,
        r#"SELECT current_setting('server_version') AS "version!", current_setting('fsync') AS "fsync!",
                  current_setting('synchronous_commit') AS "synchronous_commit!",
                  $1::bigint AS "schema!",
                  (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS "connections!",
                  current_setting('max_connections')::bigint AS "most_connections!",
                  pg_database_size(current_database()) AS "bytes!",
                  pg_relation_size(c.oid::regclass)
                      + coalesce(pg_relation_size(nullif(c.reltoastrelid, 0)::regclass), 0) AS "legacy_bytes!",
                  c.relpersistence = 'u' AS "legacy_unlogged!",
                  NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0
                                  AND NOT a.attisdropped AND a.attstattarget IS DISTINCT FROM 0)
                      AS "legacy_without_statistics!"
           FROM pg_class c WHERE c.oid = 'legacy_contact'::regclass"#,
        schema,
    )
    .fetch_one(pool.retrying())
    .await?;
    Ok(health)
}
