//! Asks the server whether standbys are there, and whether a commit waits for one.

use super::{Error, PgPool};

/// What is there if the server is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standbys {
    /// How many standbys are connected.
    pub connected: i64,
    /// Whether a commit waits for none of them, so that the last ones are lost with the server.
    pub waited_for_none: bool,
}

/// Asks the server for its standbys. A base backup that is being taken is none.
///
/// # Errors
///
/// [`Error`] when the database is unreachable.
pub async fn standbys(pool: &PgPool) -> Result<Standbys, Error> {
    let standbys = sqlx::query_as!(
        Standbys,
        r#"SELECT (SELECT count(*) FROM pg_stat_replication WHERE state IS DISTINCT FROM 'backup') AS "connected!",
                  current_setting('synchronous_standby_names') = '' AS "waited_for_none!""#
    );
    Ok(standbys.fetch_one(pool.retrying()).await?)
}
