//! Measures whether the portal stays as fast as its tables grow.
//!
//! On a durable private PostgreSQL a database of each size is filled first. Then every job runs on
//! each of them in turn, round after round, in one run: only the ratios count
//! (`docs/performance.md#goals`, P7). Then follow measurements for single sizes: updates that
//! change no index, queries while another session holds an old snapshot open, and draining a long
//! queue.
//!
//! `cargo bench --bench growth -- 10000 1000000 10000000 pending=1000000`; without arguments, small
//! sizes. Filling ten million takes half an hour and 25 GB: with `dir=` and a directory they are
//! kept there, and the next run uses them again.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark prints its figures"
)]

mod fill;
mod jobs;
mod queue;
#[path = "../common/server.rs"]
mod server;
#[path = "../common/submission.rs"]
mod submission;

use std::{env, time::Duration};

use pic_portal::{
    db::{Database, private::Options},
    provisioning::store::Waits,
};

use sqlx::{AssertSqlSafe, ConnectOptions as _};

use self::{jobs::JOBS, server::Server};

/// Rounds, of which the median counts.
const ROUNDS: usize = 7;
/// The settings of an operator with millions of requests. A laptop's private PostgreSQL keeps 64 MB
/// of the tables and copies most pages from the system's cache. Most of what is written among ten
/// million is whole pages: the first change of each after a checkpoint, and there is hardly ever a
/// second one. With fewer checkpoints, and compressed pages, 500 claimed and settled at once
/// reached 0.57 of the rate among 10,000; with the laptop's settings, 0.45.
const SETTINGS: [(&str, &str); 3] = [
    ("shared_buffers", "2GB"),
    ("max_wal_size", "8GB"),
    ("wal_compression", "lz4"),
];
/// From this number of requests on a database is kept for the next run.
const STAYS: i64 = 1_000_000;
/// Connections to each database.
const POOL: u32 = 10;
pub(crate) const WAITS: Waits = Waits {
    expiry: Duration::from_hours(24 * 400),
    first: Duration::from_secs(30),
    longest: Duration::from_hours(1),
};

/// A database with this number of requests.
pub(crate) struct Sized {
    pub(crate) db: Database,
    pub(crate) requests: i64,
}

pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// Drops the database of this name, if there is one.
async fn forget(server: &Server, name: &str) {
    let mut connection = server
        .database("postgres")
        .await
        .connect()
        .await
        .expect("a connection");
    sqlx::raw_sql(AssertSqlSafe(format!("DROP DATABASE IF EXISTS {name}")))
        .execute(&mut connection)
        .await
        .expect("a database that nobody uses");
}

/// Settles what an earlier run has left, and reads all rows once.
async fn warm(sized: &Sized) {
    queue::worker(sized).drain().await.expect("drained");
    let mut connection = sized.db.pool.acquire().await.expect("a connection");
    sqlx::raw_sql(
        "SET statement_timeout = 0;
         CREATE EXTENSION IF NOT EXISTS pg_prewarm;
         SELECT sum(pg_prewarm(oid, 'read')) FROM pg_class
         WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'i');
         RESET statement_timeout",
    )
    .execute(&mut *connection)
    .await
    .expect("tables that can be read");
    connection.give_back();
}

/// Runs every job on every database, in turn; prints a line for each.
async fn compare(all: &[Sized]) {
    let sizes: Vec<_> = all.iter().map(|sized| sized.requests).collect();
    println!(
        "a second, median of {ROUNDS} rounds, and the ratio of the largest to the smallest, round by round"
    );
    println!("{:<28}{}", "requests", columns(&sizes));
    for job in JOBS {
        let mut rates = vec![Vec::new(); all.len()];
        // The first round warms up.
        for round in 0..=ROUNDS {
            let order: Vec<_> = (0..all.len()).collect();
            let order = if round % 2 == 0 {
                order
            } else {
                order.into_iter().rev().collect()
            };
            for place in order {
                let rate = job.rate(&all[place], round).await;
                if round > 0 {
                    rates[place].push(rate);
                }
            }
        }
        let (first, last) = (&rates[0], &rates[rates.len() - 1]);
        let mut ratios: Vec<_> = last.iter().zip(first).map(|(l, f)| l / f).collect();
        ratios.sort_by(f64::total_cmp);
        println!(
            "{:<28}{}  {:.2} ({:.2} to {:.2})",
            job.name(),
            columns(
                &rates
                    .iter()
                    .map(|r| median(r.clone()).round())
                    .collect::<Vec<_>>()
            ),
            ratios[ratios.len() / 2],
            ratios[0],
            ratios[ratios.len() - 1],
        );
    }
}

fn columns<T: std::fmt::Display>(figures: &[T]) -> String {
    let columns: Vec<_> = figures.iter().map(|f| format!("{f:>12}")).collect();
    columns.concat()
}

#[tokio::main]
async fn main() {
    let words: Vec<String> = env::args().skip(1).collect();
    let mut sizes: Vec<i64> = words.iter().filter_map(|word| word.parse().ok()).collect();
    if sizes.is_empty() {
        sizes = vec![10_000, 50_000];
    }
    sizes.sort_unstable();
    let pending = words
        .iter()
        .find_map(|word| word.strip_prefix("pending=")?.parse().ok())
        .unwrap_or(10_000);
    let server = match words.iter().find_map(|word| word.strip_prefix("dir=")) {
        Some(dir) => Server::start_with(Options::durable(dir), &SETTINGS),
        None => Server::start(Options::durable, &SETTINGS),
    };
    let mut all = Vec::new();
    for requests in sizes {
        let name = format!("of_{requests}");
        // It is filled quickly, and would soon have no rows left that are old enough to be swept.
        if requests < STAYS {
            forget(&server, &name).await;
        }
        let db = server.open(&name, POOL).await;
        let is_filled: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM request)")
            .fetch_one(&db.pool)
            .await
            .expect("an answer");
        if !is_filled {
            fill::fill(&db.pool, requests).await;
        }
        all.push(Sized { db, requests });
    }
    // Reads into memory what fits; the smallest last, so that it certainly is there.
    for sized in all.iter().rev() {
        warm(sized).await;
    }
    compare(&all).await;
    for sized in &all {
        queue::measure(sized, pending).await;
    }
    for sized in all {
        sized.db.pool.close().await;
    }
}
