//! Makes the write-ahead log drop the old rows, and lists where PostgreSQL may still keep them.

use sqlx::{PgConnection, postgres::types::Oid};

/// A place where old rows may still be, which this command cannot clear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Elsewhere {
    /// The role may not request a new segment of the write-ahead log: the rows are in the present
    /// one.
    NotSwitched,
    /// The role may not request a checkpoint: old files and segments are still there.
    NotCheckpointed,
    /// The server keeps old segments under new names until they are overwritten (`wal_recycle`).
    Recycled,
    /// Old segments are always kept for a while (`wal_keep_size`).
    Kept,
    /// Segments are copied to an archive (`archive_mode`).
    Archived,
    /// Replicas that are connected, and slots that wait for one: their number.
    Replicas(i64),
    /// A publication that sends the table's rows to subscribers.
    Published(String),
}

/// Requests a new segment and a checkpoint, if the role may, and lists the other places.
pub(super) async fn settle(
    connection: &mut PgConnection,
    table: Oid,
) -> Result<Vec<Elsewhere>, sqlx::Error> {
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
    let places = [
        (!row.switch, Elsewhere::NotSwitched),
        (!row.checkpoint, Elsewhere::NotCheckpointed),
        (row.recycles, Elsewhere::Recycled),
        (row.keeps, Elsewhere::Kept),
        (row.archives, Elsewhere::Archived),
        (row.replicas > 0, Elsewhere::Replicas(row.replicas)),
    ];
    let places = places
        .into_iter()
        .filter_map(|(so, place)| so.then_some(place));
    Ok(places
        .chain(row.publications.into_iter().map(Elsewhere::Published))
        .collect())
}
