//! The feed and the calendar of a service: their secret, and what they tell.

use chrono::{DateTime, Utc};
use sqlx::types::Json;

use crate::{
    agreement::ServiceId,
    db::{self, PgPool},
    readiness::Finding,
    request::{Kind, reference::Reference, store::Event},
    secret::{SessionToken, WatchToken},
};

/// What the feed and the calendar of a service tell, beside what its own page tells.
#[derive(Clone, Debug)]
pub struct Watched {
    /// The service.
    pub id: ServiceId,
    /// When its first request was submitted.
    pub created_at: DateTime<Utc>,
    /// Its public token.
    pub token: String,
    /// The last events of its requests, the last first.
    pub events: Vec<(Reference, Kind, Event)>,
    /// The certificates of its Access Edges that are fine.
    pub certificates: Vec<Finding>,
}

/// The service whose feed and calendar have this secret; `None`: there is none.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable or a row is invalid.
pub async fn watched(pool: &PgPool, secret: &WatchToken) -> Result<Option<Watched>, db::Error> {
    let row = sqlx::query_file!("src/service/watched.sql", &secret.hash() as &[u8])
        .fetch_optional(pool.retrying())
        .await?;
    Ok(row.map(|row| Watched {
        id: ServiceId(row.id),
        created_at: row.created_at,
        token: row.token,
        events: row.events.0,
        certificates: row.certificates.0,
    }))
}

/// Gives the feed and the calendar of `service` this secret, or none; an earlier one opens nothing
/// any more. `false`: the session `by` has ended in the meantime, and nothing has changed.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable or refuses; then nothing has changed.
pub async fn replace(
    pool: &PgPool,
    service: ServiceId,
    secret: Option<&WatchToken>,
    by: &SessionToken,
) -> Result<bool, db::Error> {
    let hash = secret.map(WatchToken::hash);
    let done = sqlx::query!(
        "UPDATE service s SET watch_hash = $2::bytea
         WHERE s.id = $1 AND EXISTS (SELECT FROM session x WHERE x.service_id = s.id AND x.token_hash = $3::bytea)",
        service.0,
        hash.as_ref().map(<[u8; 32]>::as_slice),
        &by.hash(),
    )
    .execute(pool)
    .await?;
    Ok(done.rows_affected() == 1)
}
