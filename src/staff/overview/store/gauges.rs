//! Reads the numbers of the database for Prometheus.

use std::time::Duration;

use crate::db::{self, PgPool, interval};

/// Counting stops at this number, so that a million take no longer.
pub const MOST: i64 = 10_001;

/// The numbers for one scrape.
#[derive(Clone, Copy, Debug)]
pub struct Gauges {
    /// Pending requests, [`MOST`] at most.
    pub pending: i64,
    /// Those of them that are past the promise, [`MOST`] at most.
    pub overdue: i64,
    /// Age of the oldest pending request, in seconds.
    pub oldest: f64,
    /// For how long the background task's next check has been due, in seconds.
    pub lag: f64,
    /// Services in force with a blocking finding, among the first [`MOST`] requests that have one.
    pub at_risk: i64,
    /// Sessions of administrators that are not yet swept; [`MOST`] at most.
    pub sessions: i64,
    /// Sessions of staff that are not yet swept; [`MOST`] at most.
    pub staff_sessions: i64,
    /// Processes that have reported within three minutes.
    pub instances: i64,
    /// Services, as the planner estimates.
    pub services: f64,
    /// Routes in force, as the planner estimates.
    pub routes: f64,
}

/// Reads them with one statement, within `patience`.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable or too slow.
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
