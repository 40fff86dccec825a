//! Measures how much a sweep slows down submits, and how long it takes.
//!
//! On a durable private PostgreSQL: submits at a steady rate, alone and then while a million
//! contact rows are emptied and old requests are deleted. The times are compared within the same
//! run: machines are shared and noisy, so only the ratios count.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

#[path = "common/server.rs"]
mod server;
#[path = "common/submission.rs"]
mod submission;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use pic_portal::{
    db::{
        Database,
        private::{Options, PORTAL_DATABASE},
    },
    request::store::submit,
    retention::{Cause, Kind, sweep::Sweeper},
};
use server::Server;
use submission::submission;
use tokio::{task::JoinSet, time::interval};
use tokio_util::sync::CancellationToken;

const LEGACY: i64 = 1_000_000;
/// Withdrawn requests that are no longer kept.
const OLD: i64 = 20_000;
const CLIENTS: usize = 8;
/// Pause between two submits of a client.
const PACE: Duration = Duration::from_millis(20);

/// Submits until `stop`; returns how long each took, in milliseconds, sorted.
async fn submits(db: &Database, stop: Arc<AtomicBool>) -> Vec<f64> {
    let clients: JoinSet<Vec<f64>> = (0..CLIENTS)
        .map(|_| {
            let (db, stop) = (db.clone(), Arc::clone(&stop));
            async move {
                let (mut times, mut pace) = (Vec::new(), interval(PACE));
                while !stop.load(Relaxed) {
                    pace.tick().await;
                    let submission = submission(&db);
                    let began = Instant::now();
                    submit(&db.pool, &[submission]).await.expect("stored");
                    times.push(began.elapsed().as_secs_f64() * 1000.0);
                }
                times
            }
        })
        .collect();
    let mut times = clients.join_all().await.concat();
    times.sort_by(f64::total_cmp);
    times
}

fn tell(what: &str, times: &[f64]) {
    let at = |part: usize| times[(times.len() * part / 1000).min(times.len() - 1)];
    println!(
        "{what}: {} submits, p50 {:.1} ms, p99 {:.1} ms, p99.9 {:.1} ms",
        times.len(),
        at(500),
        at(990),
        at(999)
    );
}

async fn run(db: &Database, sql: &'static str) {
    sqlx::raw_sql(sql)
        .execute(&db.pool)
        .await
        .expect("a statement of our own");
}

async fn fill(db: &Database) {
    let mut connection = db.pool.acquire().await.expect("a connection");
    let own = "SET statement_timeout = 0";
    sqlx::raw_sql(own)
        .execute(&mut *connection)
        .await
        .expect("a setting");
    let began = Instant::now();
    sqlx::query(
        "INSERT INTO legacy_contact SELECT 'name' || n || '@contoso.com', 'Name ' || n, '+44 20 7946 ' || n, 'old', now()
         FROM generate_series(1, $1) AS n",
    )
    .bind(LEGACY)
    .execute(&mut *connection)
    .await
    .expect("rows");
    println!(
        "{LEGACY} contact rows landed in {:.1} s",
        began.elapsed().as_secs_f64()
    );
}

#[tokio::main]
async fn main() {
    let server = Server::start(Options::durable, &[]);
    let db = server.open(PORTAL_DATABASE, 20).await;

    let old: Vec<_> = (0..OLD).map(|_| submission(&db)).collect();
    for some in old.chunks(500) {
        submit(&db.pool, some).await.expect("stored");
    }
    run(
        &db,
        "SET statement_timeout = 0; SELECT pic_end(ARRAY[id], 'withdrawn', NULL, 'administrator') FROM request; ANALYZE",
    )
    .await;
    // Moves all of that a hundred days into the past.
    run(
        &db,
        "CREATE OR REPLACE FUNCTION pic_now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
         RETURN clock_timestamp() + interval '100 days'",
    )
    .await;
    for _ in 0..3 {
        fill(&db).await;
        let stop = Arc::new(AtomicBool::new(false));
        let alone = tokio::spawn({
            let (db, stop) = (db.clone(), Arc::clone(&stop));
            async move { submits(&db, stop).await }
        });
        tokio::time::sleep(Duration::from_secs(5)).await;
        stop.store(true, Relaxed);
        tell("alone", &alone.await.expect("no panic"));

        let stop = Arc::new(AtomicBool::new(false));
        let meanwhile = tokio::spawn({
            let (db, stop) = (db.clone(), Arc::clone(&stop));
            async move { submits(&db, stop).await }
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        let sweeper = Sweeper::new(
            db.pool.clone(),
            Duration::from_hours(1),
            CancellationToken::new(),
        );
        let began = Instant::now();
        let swept = sweeper
            .sweep(Cause::Hand)
            .await
            .expect("swept")
            .expect("by us");
        let took = began.elapsed();
        assert_eq!(swept.removed(Kind::Contacts), LEGACY.unsigned_abs());
        tokio::time::sleep(Duration::from_secs(5).saturating_sub(took)).await;
        stop.store(true, Relaxed);
        println!(
            "swept in {:.2} s: {} contacts, {} requests",
            took.as_secs_f64(),
            swept.removed(Kind::Contacts),
            swept.removed(Kind::Requests)
        );
        tell("meanwhile", &meanwhile.await.expect("no panic"));
    }
    db.pool.close().await;
}
