//! Reads the overview: requests provisioned, findings, and running processes.

pub mod gauges;

use std::time::Duration;

use super::{DAYS, Instance, MOST_FOUND, MOST_TIMED, Overview};
use crate::{
    db::{self, PgPool},
    readiness::{Code, Severity},
};

/// Reads all of it, without scanning a whole table: days and median read the end of
/// `request_provisioned_when`, findings a limited number of entries for each code of
/// `finding_by_code`.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable or a row is invalid.
pub async fn overview(pool: &PgPool) -> Result<Overview, db::Error> {
    let days = sqlx::query_file!("src/staff/overview/days.sql", DAYS)
        .fetch_all(pool.retrying())
        .await?;
    let timed = sqlx::query_file!("src/staff/overview/median.sql", DAYS, MOST_TIMED)
        .fetch_one(pool.retrying())
        .await?;
    let codes: Vec<Code> = Code::ALL
        .iter()
        .copied()
        .filter(|code| code.severity() != Severity::Ok)
        .collect();
    let found = sqlx::query_file!("src/staff/overview/findings.sql", &codes as _, MOST_FOUND)
        .fetch_all(pool.retrying())
        .await?;
    let instances = sqlx::query_as!(
        Instance,
        "SELECT started_at, seen_at, worked_at, version FROM instance ORDER BY started_at DESC, id LIMIT 100"
    )
    .fetch_all(pool.retrying())
    .await?;
    let now = sqlx::query_scalar!(r#"SELECT pic_now() AS "now!""#)
        .fetch_one(pool.retrying())
        .await?;
    let findings = found
        .into_iter()
        .map(|row| (row.code, row.requests, row.cut));
    Ok(Overview {
        days: days
            .into_iter()
            .map(|row| (row.day, row.provisioned))
            .collect(),
        median: timed
            .median
            .map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or_default()),
        timed: timed.timed,
        findings: findings.collect(),
        instances,
        now,
    })
}
