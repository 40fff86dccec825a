//! Measures the portal, compared with PostgreSQL, the disk and a bare server on the same machine.
//!
//! `cargo bench --bench speed` measures the goals of `docs/performance.md#goals`, each next to its
//! yardstick in the same run, in turn, as the median of three pairs or more: machines are shared
//! and noisy, so only ratios count. `-- p1 p4` measures some of them, `-- --million` drains a
//! million requests too. The portal is the real process on a durable PostgreSQL; every response is
//! checked, and what was acknowledged is counted in the database.
//!
//! `cargo test --bench speed` runs the short form: everything once, so that it keeps working; its
//! figures mean nothing.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark prints its figures"
)]

mod bare;
mod express;
mod figures;
mod footprint;
mod http;
mod load;
mod overload;
mod pages;
mod pgbench;
mod portal;
#[path = "../common/server.rs"]
mod server;
mod statements;
mod submits;
mod transitions;
mod wait;
mod yardstick;

use std::{env, time::Duration};

use pic_portal::db::private::Options;
use sqlx::{PgPool, postgres::PgPoolOptions};

use figures::{HEAD, Line};
use load::Span;
use pgbench::Pgbench;
use server::Server;

/// The server's settings in addition to the portal's own: enough connections for a yardstick of
/// 512, and statement counters where a database needs them.
const SETTINGS: [(&str, &str); 5] = [
    ("max_connections", "600"),
    // Otherwise the yardstick, which stores most, soon measures what does not fit and how often
    // that is flushed.
    ("shared_buffers", "1GB"),
    ("max_wal_size", "8GB"),
    ("shared_preload_libraries", "pg_stat_statements"),
    ("pg_stat_statements.track", "none"),
];

/// What all measurements need.
struct Bench {
    server: Server,
    pgbench: Pgbench,
    /// Whether everything runs once and briefly.
    short: bool,
    /// Whether to use a million where fewer would do.
    million: bool,
}

impl Bench {
    /// `full`, or `short` in the short form.
    fn of<T>(&self, full: T, short: T) -> T {
        if self.short { short } else { full }
    }

    /// Connections to the database of this name, migrated; without the time limits of the portal's
    /// pool.
    async fn pool(&self, database: &str) -> PgPool {
        self.server.open(database, 1).await.pool.close().await;
        PgPoolOptions::new()
            .max_connections(3)
            .connect_lazy_with(self.server.database(database).await)
    }

    /// How often each figure is measured.
    fn rounds(&self) -> usize {
        self.of(3, 1)
    }

    /// A measured time after a warm-up, in seconds.
    fn span(&self, warm_up: f64, measured: f64) -> Span {
        Span {
            warm_up: Duration::from_secs_f64(self.of(warm_up, 0.1)),
            measured: Duration::from_secs_f64(self.of(measured, 0.2)),
        }
    }

    /// The same for `pgbench`, which counts whole seconds.
    fn seconds(&self, warm_up: u32, measured: u32) -> (u32, u32) {
        self.of((warm_up, measured), (0, 1))
    }
}

/// The names of all measurements.
const SUBJECTS: [&str; 8] = ["p1", "p2", "p3", "p4", "p5", "p6", "p8", "p9"];

async fn measure(bench: &Bench, subject: &str) -> Vec<Line> {
    match subject {
        "p1" => submits::throughput(bench).await,
        "p2" => submits::flushes(bench).await,
        "p3" => submits::latency(bench).await,
        "p4" => pages::measure(bench).await,
        "p5" => transitions::measure(bench).await,
        "p6" => wait::measure(bench).await,
        "p8" => footprint::measure(bench).await,
        "p9" => overload::measure(bench).await,
        other => panic!("there is no subject {other}; there are {SUBJECTS:?}"),
    }
}

fn main() {
    let words: Vec<String> = env::args().skip(1).collect();
    if let [word, bytes] = &words[..]
        && word == bare::WORD
    {
        return bare::serve(bytes.parse().expect("a number of bytes"));
    }
    let has = |word: &str| words.iter().any(|w| w == word);
    // Run as a test, the program is asked for its list.
    if has("--list") {
        return;
    }
    // `cargo bench` passes this flag; `cargo test` does not, and selects tests by part of their
    // name.
    let as_test = !has("--bench");
    let named = |subject: &&str| {
        let mut names = words
            .iter()
            .filter(|word| !word.starts_with('-'))
            .peekable();
        names.peek().is_none()
            || names.any(|name| {
                if as_test {
                    subject.contains(name)
                } else {
                    subject == name
                }
            })
    };
    if !as_test {
        let unknown = words
            .iter()
            .find(|word| !word.starts_with('-') && !SUBJECTS.contains(&word.as_str()));
        assert!(
            unknown.is_none(),
            "there is no subject {unknown:?}; there are {SUBJECTS:?}"
        );
    }
    let subjects: Vec<_> = SUBJECTS.into_iter().filter(named).collect();
    if subjects.is_empty() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    raise_open_files();
    let short = as_test || has("--short");
    let options = if short {
        Options::throw_away
    } else {
        Options::durable
    };
    let server = Server::start(options, &SETTINGS);
    let lines = runtime.block_on(async {
        let bench = Bench {
            pgbench: Pgbench::beside(&server.database("postgres").await).await,
            server,
            short,
            million: has("--million"),
        };
        let mut lines = Vec::new();
        for subject in subjects {
            let began = std::time::Instant::now();
            lines.extend(measure(&bench, subject).await);
            eprintln!("{subject}: {:.0} s", began.elapsed().as_secs_f64());
        }
        lines
    });
    println!("{HEAD}");
    for mut line in lines {
        if short {
            line.goal = figures::Goal::None;
        }
        println!("{line}");
    }
}

/// Raises the limit of open files as far as possible: each connection is one.
fn raise_open_files() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    setrlimit(Resource::RLIMIT_NOFILE, most, most).expect("up to the hard limit");
}
