//! Fills a database with millions of requests within minutes.

use std::{
    io::{IsTerminal as _, stderr},
    time::Instant,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use pic_portal::db::PgPool;
use sqlx::{AssertSqlSafe, PgConnection};

/// Requests stored by one statement.
const STEP: i64 = 50_000;

/// The tables that are filled, parents first.
const TABLES: [&str; 8] = [
    "service",
    "request",
    "request_route",
    "event",
    "work",
    "watch",
    "domain_in_force",
    "finding",
];

/// Shows the progress: a bar on a terminal, lines elsewhere.
struct Progress {
    bar: ProgressBar,
    of: i64,
    began: Instant,
}

impl Progress {
    fn new(of: i64) -> Self {
        let bar = ProgressBar::with_draw_target(
            Some(of.unsigned_abs()),
            if stderr().is_terminal() {
                ProgressDrawTarget::stderr()
            } else {
                ProgressDrawTarget::hidden()
            },
        );
        let style = "filling {bar:40} {human_pos} of {human_len}, {eta} to go";
        bar.set_style(ProgressStyle::with_template(style).expect("a template"));
        Self {
            bar,
            of,
            began: Instant::now(),
        }
    }

    fn tell(&self, done: i64) {
        self.bar.set_position(done.unsigned_abs());
        if self.bar.is_hidden() {
            let seconds = self.began.elapsed().as_secs_f64();
            eprintln!("{done} of {}, {seconds:.0} s", self.of);
        }
    }
}

async fn run(connection: &mut PgConnection, sql: String) {
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(connection)
        .await
        .expect("a statement that runs");
}

/// Fills an empty database with `requests` requests and what belongs to them.
pub(crate) async fn fill(pool: &PgPool, requests: i64) {
    let progress = Progress::new(requests);
    // One connection without time limits for statements.
    let mut connection = pool.acquire().await.expect("a connection");
    run(&mut connection, "SET statement_timeout = 0".into()).await;
    for first in (1..=requests).step_by(usize::try_from(STEP).expect("a small number")) {
        let last = (first + STEP - 1).min(requests);
        let sql = include_str!("fill.sql")
            .replace("$FROM", &first.to_string())
            .replace("$TO", &last.to_string())
            .replace("$ALL", &requests.to_string());
        for (place, part) in sql.split("-- next\n").enumerate() {
            run(&mut connection, part.to_owned()).await;
            // Without statistics of the parents, the children's plans are those for empty tables
            // (`docs/performance.md#traps-met`, trap 9).
            if first == 1 && place > 0 {
                run(&mut connection, format!("ANALYZE {}", TABLES[place - 1])).await;
            }
        }
        progress.tell(last);
    }
    for table in TABLES {
        run(&mut connection, format!("VACUUM ANALYZE {table}")).await;
    }
    let sql = format!("SELECT setval('request_id_seq', {requests})");
    run(&mut connection, sql).await;
    run(
        &mut connection,
        "RESET session_replication_role; RESET statement_timeout; CHECKPOINT".into(),
    )
    .await;
    progress.bar.finish_and_clear();
    let size: String =
        sqlx::query_scalar("SELECT pg_size_pretty(pg_database_size(current_database()))")
            .fetch_one(&mut *connection)
            .await
            .expect("a size");
    println!(
        "{requests} requests, {size}, filled in {:.0} s\n",
        progress.began.elapsed().as_secs_f64()
    );
}
