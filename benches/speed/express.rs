//! Express and `pg`, as a yardstick for the portal: the same form, four statements a transaction.
//!
//! `express/server.mjs` is the program; `express/package-lock.json` has the versions.

use std::{fs, net::SocketAddr, path::Path, process::Stdio};

use sqlx::ConnectOptions as _;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

use super::Bench;

/// The program's files.
const FILES: [&str; 3] = ["package.json", "package-lock.json", "server.mjs"];

/// The server as a process, killed when it is dropped; its workers end with it.
pub(crate) struct Express {
    _child: Child,
    pub(crate) address: SocketAddr,
}

impl Express {
    /// Starts it on the empty database of this name. `None`, and a line that says so: there is no
    /// Node.js, or its packages are not there and cannot be fetched, which the short form does not
    /// try.
    pub(crate) async fn start(bench: &Bench, database: &str) -> Option<Self> {
        // Beside what is built, so that no packages lie among the sources.
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("express");
        fs::create_dir_all(&dir).expect("a directory of our own");
        for file in FILES {
            let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/speed/express");
            fs::copy(from.join(file), dir.join(file)).expect("the program's file");
        }
        let has_packages = dir.join("node_modules").exists();
        if !has_packages && (bench.short || !fetch(&dir).await) {
            eprintln!(
                "without Express: there is no Node.js, or npm ci failed in {}",
                dir.display()
            );
            return None;
        }
        let options = bench.server.database(database).await;
        let mut child = Command::new("node")
            .arg("server.mjs")
            .env("DATABASE_URL", options.to_url_lossy().as_str())
            .env("NODE_ENV", "production")
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .ok()?;
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let line = lines.next_line().await.expect("a line");
        let address = line.as_deref().and_then(|line| line.parse().ok());
        Some(Self {
            _child: child,
            address: address.unwrap_or_else(|| panic!("Express does not start: {line:?}")),
        })
    }
}

/// Whether `npm` fetches what the lock file says.
async fn fetch(dir: &Path) -> bool {
    let npm = Command::new("npm")
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status();
    npm.await.is_ok_and(|status| status.success())
}
