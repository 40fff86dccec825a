//! P5: measures how many requests a second leave pending, compared with the best possible SQL.

use std::time::Instant;

use pic_portal::{db::notify::Notifier, provisioning::worker::Worker};
use sqlx::{AssertSqlSafe, PgPool};

use super::{
    Bench,
    figures::{Goal, Line, Rounds, figure, in_turn},
    pages::WAITS,
    statements::fill,
};

/// How many are settled at once, by the portal and by the yardstick (`provisioning::worker`).
const BATCH: &str = "500";

/// One statement that does everything: without lease, without checking for conflicts, without
/// concurrency. It only writes what every solution has to write.
const BEST: &str = "
    WITH claimed AS (
        DELETE FROM work WHERE request_id IN (
            SELECT request_id FROM work WHERE due_at <= pic_now() ORDER BY due_at LIMIT BATCH FOR UPDATE SKIP LOCKED)
        RETURNING request_id
    ), moved AS (
        UPDATE request r SET state = 'provisioned', ended_at = pic_now(), provisioned_seq = 2
        FROM claimed c WHERE r.id = c.request_id AND r.state = 'pending'
        RETURNING r.id, r.service_id
    ), in_force AS (
        INSERT INTO domain_in_force (service_id, request_id, edge, sip_domain)
        SELECT m.service_id, m.id, d.edge, d.sip_domain
        FROM moved m
        JOIN request_route d ON d.request_id = m.id
    )
    SELECT count(*) FROM moved";

/// Copies a database with pending requests; there must be no connections to the original.
async fn copy(server: &PgPool, from: &str, to: &str) {
    let sql = format!("CREATE DATABASE {to} TEMPLATE {from} STRATEGY FILE_COPY");
    run(server, sql).await;
}

async fn run(pool: &PgPool, sql: String) {
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(pool)
        .await
        .expect("it runs");
}

/// Checks that everything was done: state, entry in the timeline, routes, and no work left.
async fn assert_settled(pool: &PgPool, requests: usize) {
    let done: Vec<i64> = sqlx::query_scalar(
        "SELECT ARRAY[(SELECT count(*) FROM request WHERE state = 'provisioned'),
                      (SELECT count(*) FROM request WHERE provisioned_seq = 2),
                      (SELECT count(*) FROM route) / 2, (SELECT count(*) FROM work)]",
    )
    .fetch_one(pool)
    .await
    .expect("numbers");
    let requests = i64::try_from(requests).expect("few");
    assert_eq!(done, [requests, requests, requests, 0], "what was settled");
}

/// Settles everything pending by the portal's own background task; returns the rate a second.
async fn by_worker(bench: &Bench, database: &str, requests: usize) -> f64 {
    let db = bench.server.open(database, 10).await;
    let worker = Worker::new(db.pool.clone(), WAITS, Notifier::default());
    let began = Instant::now();
    let settled = worker.drain().await.expect("the database is there");
    let rate = figure(requests) / began.elapsed().as_secs_f64();
    assert_eq!(settled.provisioned, requests);
    db.pool.close().await;
    rate
}

/// The same by the best statement.
async fn by_sql(bench: &Bench, database: &str, requests: usize) -> f64 {
    let pool = bench.pool(database).await;
    let sql = BEST.replace("BATCH", BATCH);
    let began = Instant::now();
    loop {
        let moved: i64 = sqlx::query_scalar(AssertSqlSafe(sql.as_str()))
            .fetch_one(&pool)
            .await
            .expect("it runs");
        if moved == 0 {
            break;
        }
    }
    let rate = figure(requests) / began.elapsed().as_secs_f64();
    pool.close().await;
    rate
}

/// Drains the same requests in both ways.
async fn pairs(bench: &Bench, server: &PgPool, requests: usize, rounds: usize) -> [Rounds; 2] {
    let pool = bench.pool("p5").await;
    fill(&pool, requests).await;
    pool.close().await;
    let mut rates = [(); 2].map(|()| Rounds::default());
    for round in 0..rounds {
        for place in in_turn(round, 2) {
            copy(server, "p5", "p5_once").await;
            rates[place].push(match place {
                0 => by_worker(bench, "p5_once", requests).await,
                _ => by_sql(bench, "p5_once", requests).await,
            });
            assert_settled(&bench.pool("p5_once").await, requests).await;
            run(server, "DROP DATABASE p5_once WITH (FORCE)".into()).await;
        }
    }
    run(server, "DROP DATABASE p5 WITH (FORCE)".into()).await;
    rates
}

pub(crate) async fn measure(bench: &Bench) -> Vec<Line> {
    let server = PgPool::connect_with(bench.server.database("postgres").await)
        .await
        .expect("a connection");
    let requests = bench.of(30_000, 1_000);
    let [ours, best] = pairs(bench, &server, requests, bench.rounds()).await;
    let yardstick = format!("one statement for {BATCH} at a time");
    let measure = format!("P5 transitions, {requests} pending");
    let goal = Goal::AtLeast(0.95);
    let mut lines = vec![Line::ratio(&measure, goal, &ours, (&yardstick, &best))];
    if bench.million {
        const MILLION: usize = 1_000_000;
        let [ours, best] = pairs(bench, &server, MILLION, 1).await;
        lines.push(Line {
            measure: "P5 a million pending drained".into(),
            goal: Goal::AtMost(60.0),
            figure: figure(MILLION) / ours.median(),
            unit: " s",
            beside: String::new(),
            yardstick: format!("{yardstick}: {:.1} s", figure(MILLION) / best.median()),
            spread: "one round".into(),
        });
    }
    server.close().await;
    lines
}
