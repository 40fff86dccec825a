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
mod wal;

use std::env;

use pic_portal::db::{
    Database, Opening,
    private::{Options, PORTAL_DATABASE, PrivatePostgres, ensure_database},
};
use tokio::task::spawn_blocking;

/// Requests that there are, unless the command line says otherwise.
const REQUESTS: i64 = 1_000_000;

/// Runs `job` on a private PostgreSQL, which is gone afterwards.
async fn on<F, Fut>(options: fn(std::path::PathBuf) -> Options, job: F)
where
    F: FnOnce(Database) -> Fut,
    Fut: Future<Output = ()>,
{
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let path = dir.path().to_owned();
    let mut server = spawn_blocking(move || PrivatePostgres::start(&options(path)))
        .await
        .expect("no panic")
        .unwrap_or_else(|error| panic!("{error}"));
    let options = server.connect_options(PORTAL_DATABASE);
    ensure_database(&options).await.expect("a database");
    let opening = Opening {
        // One connection: what it has counted is told before the next question.
        pool: 1,
        allow_unsafe: true,
    };
    let db = Database::open(options, &opening)
        .await
        .expect("a database that is fit");
    let pool = db.pool.clone();
    job(db).await;
    pool.close().await;
    spawn_blocking(move || server.stop())
        .await
        .expect("no panic");
}

#[tokio::main]
async fn main() {
    let words: Vec<String> = env::args().skip(1).collect();
    let requests = words.iter().find_map(|word| word.parse().ok());
    if !words.iter().any(|word| word == "wal") {
        let requests = requests.unwrap_or(REQUESTS);
        on(Options::throw_away, async |db: Database| {
            fill::fill(&db.pool, requests).await;
            reads::measure(&db, requests).await;
        })
        .await;
    }
    on(Options::durable, async |db: Database| {
        wal::measure(&db).await;
    })
    .await;
}
