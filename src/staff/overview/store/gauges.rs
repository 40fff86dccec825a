//! How full is the database?

use std::time::Duration;

use crate::db::{self, PgPool, interval};

/// What is counted is counted so far: a million takes no longer.
pub const MOST: i64 = 10_001;

/// The numbers of one scrape.
#[derive(Clone, Copy, Debug)]
pub struct Gauges {
    /// Pending requests, [`MOST`] at most.
    pub pending: i64,
    /// Of those, past the promise, [`MOST`] at most.
    pub overdue: i64,
    /// Age of the oldest pending request, in seconds.
    pub oldest: f64,
    /// For how long the background task's next look has been due, in seconds.
    pub lag: f64,
    /// Services in force with something blocking; among the first [`MOST`] requests with such.
    pub at_risk: i64,
    /// Administrators signed in, and not yet swept; [`MOST`] at most.
    pub sessions: i64,
    /// Staff signed in, and not yet swept; [`MOST`] at most.
    pub staff_sessions: i64,
    /// Processes that have told of themselves within three minutes.
    pub instances: i64,
    /// Services, as the planner estimates.
    pub services: f64,
    /// Routes in force, as the planner estimates.
    pub routes: f64,
}

/// Reads them by one statement, for `patience` at most.
///
/// # Errors
///
/// [`db::Error`] when the database is away or too slow.
pub async fn gauges(
    pool: &PgPool,
    promise: Duration,
    patience: Duration,
) -> Result<Gauges, db::Error> {
    let pool = pool.clone().within(patience);
    let mut transaction = pool.begin().await?;
    let limit = format!("{}ms", patience.as_millis());
    sqlx::query!("SELECT set_config('statement_timeout', $1, true)", limit)
        .fetch_one(&mut *transaction)
        .await?;
    let row = sqlx::query_file!("src/staff/overview/gauges.sql", interval(promise), MOST)
        .fetch_one(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(Gauges {
        pending: row.pending,
        overdue: row.overdue,
        oldest: row.oldest.unwrap_or_default(),
        lag: row.lag.unwrap_or_default(),
        at_risk: row.at_risk,
        sessions: row.sessions,
        staff_sessions: row.staff_sessions,
        instances: row.instances,
        services: row.services,
        routes: row.routes,
    })
}
