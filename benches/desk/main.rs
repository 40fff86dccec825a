//! Measures the support desk at a million requests, and what its indexes cost a submit.
//!
//! It runs on a private PostgreSQL that it fills first. Every filter and every kind of search is
//! queried many times, as the page does it; PostgreSQL's own counters show which tables were
//! scanned meanwhile, so the result is about the plans that were really used. Then, on a durable
//! server, it measures the bytes of write-ahead log for each submit, with and without the indexes
//! that only the desk reads.
//!
//! `cargo bench --bench desk -- 100000` fills with fewer; `-- wal` runs the second part only.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark prints its figures"
)]

#[path = "../growth/fill.rs"]
mod fill;
mod reads;
#[path = "../common/server.rs"]
mod server;
#[path = "../common/submission.rs"]
mod submission;
mod wal;

use std::{env, path::PathBuf};

use pic_portal::db::{
    Database,
    private::{Options, PORTAL_DATABASE},
};
use server::Server;

/// Number of requests, unless the command line gives another.
const REQUESTS: i64 = 1_000_000;

/// A database on a server of its own; with one connection, so that its counters are up to date
/// before the next query.
async fn on(options: fn(PathBuf) -> Options) -> (Server, Database) {
    let server = Server::start(options, &[]);
    let db = server.open(PORTAL_DATABASE, 1).await;
    (server, db)
}

#[tokio::main]
async fn main() {
    let words: Vec<String> = env::args().skip(1).collect();
    let requests = words.iter().find_map(|word| word.parse().ok());
    if !words.iter().any(|word| word == "wal") {
        let requests = requests.unwrap_or(REQUESTS);
        let (_server, db) = on(Options::throw_away).await;
        fill::fill(&db.pool, requests).await;
        reads::measure(&db, requests).await;
        db.pool.close().await;
    }
    let (_server, db) = on(Options::durable).await;
    wal::measure(&db).await;
    db.pool.close().await;
}
