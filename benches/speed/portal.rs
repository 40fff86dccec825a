//! Runs the portal as the process it is in production.

use std::{
    fs,
    net::SocketAddr,
    process::Stdio,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use sqlx::ConnectOptions as _;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

use super::{
    Bench,
    http::{Connection, get},
};

/// The portal's program, built like the benchmark itself.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_pic-portal");

/// A portal with the default settings, except for the limits by network, because all load comes
/// from one, and for the checks, which are off.
pub(crate) struct Portal {
    child: Child,
    pub(crate) address: SocketAddr,
    /// The time from its start until it listened.
    pub(crate) start: Duration,
}

impl Portal {
    /// Starts it on the database of this name, and waits until it listens.
    pub(crate) async fn start(bench: &Bench, database: &str) -> Self {
        let options = bench.server.database(database).await;
        let began = Instant::now();
        let mut child = Command::new(PROGRAM)
            .env_clear()
            .env("DATABASE_URL", options.to_url_lossy().as_str())
            .env("PIC_LISTEN", "127.0.0.1:0")
            .env("PIC_SUBMIT_LIMIT", "0")
            .env("PIC_TRY_LIMIT", "0")
            .env("PIC_CHECKS", "off")
            .env("PIC_LOG", "error")
            // Durable, unless nothing is measured.
            .env("PIC_ALLOW_UNSAFE_DATABASE", bench.short.to_string())
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the portal's program");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let line = lines.next_line().await.expect("a line");
        let address = line
            .as_deref()
            .and_then(|line| line.strip_prefix("listening on http://")?.parse().ok())
            .unwrap_or_else(|| panic!("the portal does not start: {line:?}"));
        Self {
            child,
            address,
            start: began.elapsed(),
        }
    }

    /// Whether `/readyz` answers that it is ready.
    pub(crate) async fn is_ready(&self) -> bool {
        let mut connection = Connection::to(self.address).await.expect("a connection");
        let answer = connection.ask(&get("/readyz", "")).await;
        answer.expect("an answer").status == 200
    }

    /// Memory in megabytes: now, and the most it used.
    pub(crate) fn memory(&self) -> (f64, f64) {
        let id = self.child.id().expect("it runs");
        let status = fs::read_to_string(format!("/proc/{id}/status")).expect("Linux");
        let of = |name: &str| -> f64 {
            let kilobytes = status.lines().find_map(|line| {
                line.strip_prefix(name)?
                    .trim()
                    .strip_suffix(" kB")?
                    .parse::<f64>()
                    .ok()
            });
            kilobytes.expect("a figure") / 1024.0
        };
        (of("VmRSS:"), of("VmHWM:"))
    }

    /// Stops it, and waits until it has ended.
    pub(crate) async fn stop(mut self) {
        let id = self.child.id().expect("it runs").cast_signed();
        kill(Pid::from_raw(id), Signal::SIGTERM).expect("our own child");
        assert!(self.child.wait().await.expect("a status").success());
    }
}
