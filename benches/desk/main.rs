//! How quick is the support desk at a million requests, and what does finding them cost a submit?
//!
//! On a private PostgreSQL of its own that it fills first. Every filter and every kind of search is
//! asked many times, as the page asks it; which tables were read from end to end meanwhile is
//! PostgreSQL's own count, so it is about the very plans that were run. Then, on a durable one, the
//! bytes of write-ahead log a submit, with and without the indexes that only the desk reads.
//!
//! `cargo bench --bench desk -- 100000` fills with fewer; `-- wal` does the second part alone.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark prints its figures"
)]

#[path = "../common/fill.rs"]
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

/// Requests that there are, unless the command line says otherwise.
const REQUESTS: i64 = 1_000_000;

/// A database on a server of its own; one connection, so that what it has counted is told before the
/// next question.
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
