//! Starts a browser for a test, and ends it with the test.
//!
//! Chromedriver leaves Chromium running, whatever ends it. So both are killed with their process
//! group when the [`Browser`] is dropped, and `setpriv --pdeathsig`, if installed, kills them if
//! the tests are killed.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use fantoccini::{Client, ClientBuilder, wd::Capabilities};
use hyper_util::client::legacy::connect::HttpConnector;
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

/// More at once gain nothing on two cores, and each takes half a gigabyte.
static BROWSERS: Semaphore = Semaphore::const_new(2);

const START_LIMIT: Duration = Duration::from_mins(1);
const INSTALL: &str = "run `make test`, or: apt-get install -y --no-install-recommends chromium chromium-driver fonts-liberation fonts-dejavu-core";

/// Chromium with an empty profile.
pub(crate) struct Browser {
    pub(crate) client: Client,
    _driver: Driver,
    _permit: SemaphorePermit<'static>,
}

impl Browser {
    /// Waits until one more may run, and starts it.
    ///
    /// # Panics
    /// If Chromium or chromedriver is missing, with the command that installs them.
    pub(crate) async fn start() -> Self {
        let permit = BROWSERS.acquire().await.unwrap();
        let driver = Driver::start().await;
        let session = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities(driver.scratch.path()))
            .connect(&driver.url)
            .await;
        let client = session.unwrap_or_else(|error| panic!("no browser session: {error}"));
        Self {
            client,
            _driver: driver,
            _permit: permit,
        }
    }
}

/// Chromedriver, and the folder in which it and Chromium leave their files.
struct Driver {
    child: Child,
    url: String,
    scratch: TempDir,
}

impl Driver {
    async fn start() -> Self {
        let scratch = TempDir::with_prefix("browser-test-").unwrap();
        // `--port=0` lets the kernel choose: no race for a free port.
        let driver =
            program("chromedriver").unwrap_or_else(|| panic!("chromedriver is missing; {INSTALL}"));
        let mut command = match program("setpriv") {
            Some(setpriv) => {
                let mut command = Command::new(setpriv);
                command.args(["--pdeathsig", "TERM", "--"]).arg(driver);
                command
            }
            None => Command::new(driver),
        };
        let mut child = command
            .args(["--port=0", "--log-level=WARNING"])
            .env("TMPDIR", scratch.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = timeout(START_LIMIT, async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if let Some((_, rest)) = line.split_once("started successfully on port ") {
                    return rest.trim_end_matches('.').to_owned();
                }
            }
            panic!("chromedriver ended before it was ready")
        })
        .await
        .expect("chromedriver is ready in time");
        // Drained, so that chromedriver never blocks on it.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self {
            child,
            url: format!("http://127.0.0.1:{port}"),
            scratch,
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if let Some(id) = self.child.id() {
            let _ = killpg(Pid::from_raw(id.cast_signed()), Signal::SIGKILL);
        }
        // Processes that are being killed may still write; what is left is deleted at the next
        // clean-up.
        for _ in 0..20 {
            if fs::remove_dir_all(self.scratch.path()).is_ok() {
                break;
            }
        }
    }
}

/// A program from `PATH`.
fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// Chromium itself; Debian's `/usr/bin/chromium` is a script that adds flags.
fn chromium() -> PathBuf {
    let itself = PathBuf::from("/usr/lib/chromium/chromium");
    std::env::var_os("CHROMIUM")
        .map(PathBuf::from)
        .or_else(|| itself.is_file().then_some(itself))
        .or_else(|| program("chromium"))
        .unwrap_or_else(|| panic!("chromium is missing; {INSTALL}; or name it in CHROMIUM"))
}

/// A script that ends Chromium when chromedriver has ended.
fn launcher(scratch: &Path) -> PathBuf {
    let path = scratch.join("launch");
    let tied = program("setpriv").map_or("", |_| "setpriv --pdeathsig KILL -- ");
    let script = format!("#!/bin/sh\nexec {tied}'{}' \"$@\"\n", chromium().display());
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    path
}

fn capabilities(scratch: &Path) -> Capabilities {
    let mut args: Vec<String> = [
        "--headless",
        "--no-sandbox", // Chromium refuses to start as root without it.
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-quic",
        "--no-first-run",
        "--no-default-browser-check",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-default-apps",
        "--disable-domain-reliability",
        "--disable-extensions",
        "--disable-sync",
        "--disable-breakpad",
        "--metrics-recording-only",
        "--password-store=basic",
        "--hide-scrollbars",
        "--force-color-profile=srgb",
        "--font-render-hinting=none",
        "--lang=en-GB",
        "--window-size=1280,900",
        // Only the loopback can be reached, whatever a page or the browser requests.
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE 127.0.0.2",
        "--disable-features=Translate,OptimizationHints,MediaRouter,AutofillServerCommunication",
    ]
    .map(String::from)
    .into();
    args.push(format!(
        "--user-data-dir={}",
        scratch.join("profile").display()
    ));
    let capabilities = json!({
        "browserName": "chrome",
        "pageLoadStrategy": "normal",
        "timeouts": { "script": 120_000, "pageLoad": 60_000, "implicit": 0 },
        "unhandledPromptBehavior": "ignore",
        "goog:loggingPrefs": { "browser": "ALL" },
        "goog:chromeOptions": { "binary": launcher(scratch), "args": args }
    });
    match capabilities {
        Value::Object(map) => map,
        _ => unreachable!("written as an object"),
    }
}
