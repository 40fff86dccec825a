//! What becomes of the write-ahead log, and what does PostgreSQL keep in other places?

use sqlx::{PgConnection, postgres::types::Oid};

/// What the server did with its log, and where else old rows may lie.
#[derive(Clone, Debug)]
pub struct Elsewhere {
    /// A new segment of the write-ahead log was begun.
    pub switched: bool,
    /// A checkpoint was made, after which the older segments are of no use.
    pub checkpointed: bool,
    /// The server keeps old segments under new names until they are written over (`wal_recycle`).
    pub recycles: bool,
    /// Old segments are kept for a while whatever happens (`wal_keep_size`).
    pub keeps: bool,
    /// Segments are copied to an archive (`archive_mode`).
    pub archives: bool,
    /// Replicas that are connected, and slots that wait for one.
    pub replicas: i64,
    /// Publications that send the table's rows to subscribers.
    pub publications: Vec<String>,
}

/// Asks for a new segment and a checkpoint, where the role may, and looks at what is kept.
pub(super) async fn settle(
    connection: &mut PgConnection,
    table: Oid,
) -> Result<Elsewhere, sqlx::Error> {
    let row = sqlx::query!(
        r#"SELECT pg_has_role('pg_checkpoint', 'USAGE') AS "checkpoint!",
                  has_function_privilege('pg_switch_wal()', 'EXECUTE') AS "switch!",
                  current_setting('wal_recycle')::bool AS "recycles!",
                  (SELECT setting <> '0' FROM pg_settings WHERE name = 'wal_keep_size') AS "keeps!",
                  current_setting('archive_mode') <> 'off' AS "archives!",
                  (SELECT count(*) FROM pg_stat_replication) + (SELECT count(*) FROM pg_replication_slots) AS "replicas!",
                  ARRAY(SELECT pubname::text FROM pg_publication_tables p
                        JOIN pg_class c ON c.relname = p.tablename
                        JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = p.schemaname
                        WHERE c.oid = $1 ORDER BY 1) AS "publications!""#,
        table
    )
    .fetch_one(&mut *connection)
    .await?;
    if row.switch {
        sqlx::query("SELECT pg_switch_wal()")
            .execute(&mut *connection)
            .await?;
    }
    if row.checkpoint {
        sqlx::raw_sql("CHECKPOINT").execute(connection).await?;
    }
    Ok(Elsewhere {
        switched: row.switch,
        checkpointed: row.checkpoint,
        recycles: row.recycles,
        keeps: row.keeps,
        archives: row.archives,
        replicas: row.replicas,
        publications: row.publications,
    })
}
