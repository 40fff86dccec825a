//! Measures PostgreSQL alone, with its own load generator.
//!
//! `pgbench` comes with the server that is measured and runs the portal's own SQL over the same
//! socket, prepared as the portal prepares it.

use std::{fs, path::PathBuf, process::Stdio};

use sqlx::{ConnectOptions as _, postgres::PgConnectOptions};
use tempfile::TempDir;
use tokio::process::Command;

use super::figures::{Times, figure};

/// The path of the program.
pub(crate) struct Pgbench(PathBuf);

/// A run of `pgbench`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan<'a> {
    /// The script of each transaction: lines of `\set`, and one statement.
    pub(crate) script: &'a str,
    pub(crate) connections: usize,
    /// Seconds of warm-up, and of measuring.
    pub(crate) seconds: (u32, u32),
    /// Transactions a second that are due; `None`: as many as possible.
    pub(crate) rate: Option<f64>,
}

/// The results of a run.
#[derive(Debug)]
pub(crate) struct Told {
    /// Transactions a second, in the measured time.
    pub(crate) rate: f64,
    /// All transactions that were done.
    pub(crate) all: usize,
    /// How long they took, from when they were due; empty if they had no due times.
    pub(crate) times: Times,
}

impl Pgbench {
    /// The program in the directory of the server's own.
    ///
    /// # Panics
    ///
    /// When there is none, with the way to install it: without it there is no yardstick.
    pub(crate) async fn beside(server: &PgConnectOptions) -> Self {
        let mut connection = server.connect().await.expect("a connection");
        let dir: String =
            sqlx::query_scalar("SELECT setting FROM pg_config() WHERE name = 'BINDIR'")
                .fetch_one(&mut connection)
                .await
                .expect("the server's own directory");
        let program = PathBuf::from(dir).join("pgbench");
        assert!(
            program.is_file(),
            "{} is missing, and with it the yardstick: install PostgreSQL's contrib programs (on Debian they come \
             with the package postgresql, on Fedora with postgresql-contrib)",
            program.display()
        );
        Self(program)
    }

    /// Runs a plan on the database that `options` name.
    ///
    /// # Panics
    ///
    /// When a transaction fails: then the figures would be wrong.
    pub(crate) async fn run(&self, options: &PgConnectOptions, plan: Plan<'_>) -> Told {
        let dir = tempfile::tempdir().expect("a directory");
        let script = dir.path().join("script.sql");
        fs::write(&script, plan.script).expect("our own directory");
        let (warm_up, measured) = plan.seconds;
        let mut command = Command::new(&self.0);
        command
            .env_clear()
            .current_dir(dir.path())
            .arg("--host")
            .arg(options.get_socket().expect("a Unix socket"))
            .args(["--username", options.get_username()])
            .args(["--client", &plan.connections.to_string()])
            .args(["--jobs", &plan.connections.min(2).to_string()])
            .args(["--time", &(warm_up + measured).to_string()])
            .args(["--no-vacuum", "--protocol=prepared", "--progress=1"])
            // Another start value for each run: what is stored must be new.
            .args(["--define", &format!("run={}", next_run())])
            .args(["--define", "n=0"])
            .arg("--file")
            .arg(&script)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        if let Some(rate) = plan.rate {
            command.arg(format!("--rate={rate:.3}"));
            command.args(["--log", "--log-prefix=times"]);
        }
        command.arg(options.get_database().expect("a database"));
        let output = command.output().await.expect("pgbench runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "pgbench failed: {said}");
        let told = String::from_utf8_lossy(&output.stdout);
        let count = |label: &str| {
            let line = told.lines().find_map(|line| line.strip_prefix(label))?;
            line.split_whitespace().next()?.parse::<usize>().ok()
        };
        assert_eq!(count("number of failed transactions: ").unwrap_or(0), 0);
        let all = count("number of transactions actually processed: ").expect("a count");
        let skipped = usize::try_from(warm_up).expect("few");
        let seconds = said.lines().filter_map(transactions_in_a_second);
        let counted: Vec<f64> = seconds.skip(skipped).collect();
        let rate = match counted.len() {
            // The run ended before the first second was reported.
            0 => figure(all) / f64::from(warm_up + measured),
            seconds => counted.iter().sum::<f64>() / figure(seconds),
        };
        Told {
            rate,
            all,
            times: times(&dir, warm_up),
        }
    }
}

/// A number for each run of this process.
fn next_run() -> usize {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    static NEXT: AtomicUsize = AtomicUsize::new(1);
    NEXT.fetch_add(1, Relaxed)
}

/// Parses `progress: 2.0 s, 1234.5 tps, lat ...`
fn transactions_in_a_second(line: &str) -> Option<f64> {
    let (_, rest) = line.strip_prefix("progress: ")?.split_once(" s, ")?;
    rest.split_once(" tps")?.0.parse().ok()
}

/// How long each transaction took, according to the log after the warm-up: the third column has the
/// microseconds since it was due, the fifth and sixth the time when it ended.
fn times(dir: &TempDir, warm_up: u32) -> Times {
    let mut ended = Vec::new();
    for entry in fs::read_dir(dir.path()).expect("our own directory") {
        let path = entry.expect("our own directory").path();
        if path.extension().is_some_and(|kind| kind == "sql") {
            continue;
        }
        for line in fs::read_to_string(path).expect("a log").lines() {
            let columns: Vec<f64> = line.split(' ').filter_map(|c| c.parse().ok()).collect();
            let [_, _, took, _, seconds, micros, ..] = columns[..] else {
                panic!("a log of pgbench has six columns or more");
            };
            ended.push((seconds + micros / 1e6, took / 1000.0));
        }
    }
    let first = ended
        .iter()
        .map(|(at, _)| *at)
        .fold(f64::INFINITY, f64::min);
    let mut times = Times::default();
    for (_, took) in ended
        .iter()
        .filter(|(at, _)| at - first >= f64::from(warm_up))
    {
        times.push_ms(*took);
    }
    times
}
