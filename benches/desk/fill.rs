//! How do a million requests come into the database within minutes?

use std::time::Instant;

use pic_portal::db::PgPool;
use sqlx::AssertSqlSafe;

/// Requests in one go.
const STEP: i64 = 50_000;

/// Fills an empty database with `requests` requests and what belongs to them.
pub(crate) async fn fill(pool: &PgPool, requests: i64) {
    let began = Instant::now();
    let run = async |sql: String| {
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(pool)
            .await
            .expect("a statement that runs")
    };
    // No limit on how long one statement takes, and PostgreSQL's own upkeep keeps out of the way.
    run("SET statement_timeout = 0".into()).await;
    for first in (1..=requests).step_by(usize::try_from(STEP).expect("a small number")) {
        let last = (first + STEP - 1).min(requests);
        let sql = include_str!("fill.sql")
            .replace("$FROM", &first.to_string())
            .replace("$TO", &last.to_string())
            .replace("$ALL", &requests.to_string());
        run(sql).await;
        // Without figures the next step's plans are those for empty tables (`limits.md`, trap 9).
        if first == 1 {
            run("ANALYZE".into()).await;
        }
        eprintln!(
            "{last} of {requests}, {:.0} s",
            began.elapsed().as_secs_f64()
        );
    }
    for table in [
        "request",
        "service",
        "request_edge",
        "request_route",
        "event",
        "finding",
        "route",
        "work",
        "watch",
    ] {
        run(format!("VACUUM ANALYZE {table}")).await;
    }
    for table in ["service", "request"] {
        run(format!("SELECT setval('{table}_id_seq', {requests})")).await;
    }
    run("RESET session_replication_role; RESET statement_timeout; CHECKPOINT".into()).await;
    let size: String =
        sqlx::query_scalar("SELECT pg_size_pretty(pg_database_size(current_database()))")
            .fetch_one(pool)
            .await
            .expect("a size");
    println!(
        "{requests} requests, {size}, filled in {:.0} s\n",
        began.elapsed().as_secs_f64()
    );
}
