//! Runs the portal as a process of its own, and talks to it over a socket.

use std::{
    env,
    fmt::Write as _,
    fs::{self, File, OpenOptions},
    io,
    net::SocketAddr,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{ExitStatus, Output, Stdio},
    time::Duration,
};

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    process::{Child, Command},
    time::timeout,
};

use super::app::Answer;

/// Long enough for anything that happens at all, on any machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// A scratch directory that the private server's user can enter, also when the tests run as root.
pub(crate) fn scratch() -> TempDir {
    let scratch = tempfile::tempdir().unwrap();
    fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o755)).unwrap();
    scratch
}

/// The command for a portal with these settings and no others, on a free port unless they name one.
pub(crate) fn command(program: &Path, settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", env::var_os("PATH").unwrap_or_default())
        .env("PIC_LISTEN", "127.0.0.1:0")
        // All clients of a test are in one network.
        .env("PIC_SUBMIT_LIMIT", "0")
        .env("PIC_TRY_LIMIT", "0")
        .env("PIC_CHECKS", "off")
        .envs(settings.iter().copied())
        .current_dir("/")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// Settings for a portal on a test's database.
pub(crate) fn on(url: &str) -> [(&str, &str); 2] {
    [("DATABASE_URL", url), ("PIC_ALLOW_UNSAFE_DATABASE", "true")]
}

/// The path of the portal's program.
pub(crate) fn program() -> PathBuf {
    env!("CARGO_BIN_EXE_pic-portal").into()
}

/// What a command said: to its output, and about what went wrong.
pub(crate) fn said(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

/// What a command put out that has done its work.
pub(crate) fn succeeded(output: &Output) -> String {
    let (stdout, stderr) = said(output);
    assert!(output.status.success(), "{stdout}{stderr}");
    stdout
}

/// Why a command has refused.
pub(crate) fn refused(output: &Output) -> String {
    let (stdout, stderr) = said(output);
    assert_eq!(output.status.code(), Some(1), "{stdout}{stderr}");
    stderr
}

/// A portal that accepts requests; killed at the end of the test at the latest.
pub(crate) struct Portal {
    child: Child,
    pub(crate) address: SocketAddr,
    log: PathBuf,
}

impl Portal {
    /// Starts a portal that appends its log to `log`, and waits until it is ready.
    pub(crate) async fn start(settings: &[(&str, &str)], log: &Path) -> Self {
        let mut child = command(&program(), settings)
            .stdout(Stdio::piped())
            .stderr(append(log))
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = timeout(PATIENCE, lines.next_line()).await;
        let line = line.expect("the portal gets ready").unwrap();
        let address = line
            .as_deref()
            .and_then(|line| line.strip_prefix("listening on http://")?.parse().ok());
        let Some(address) = address else {
            let said = fs::read_to_string(log).unwrap();
            panic!("the portal does not start: {line:?} {said}");
        };
        Self {
            child,
            address,
            log: log.to_owned(),
        }
    }

    /// Its log so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// The id of its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let id = self.child.id().expect("it runs").cast_signed();
        kill(Pid::from_raw(id), signal).unwrap();
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let ended = timeout(PATIENCE, self.child.wait()).await;
        ended
            .unwrap_or_else(|_| panic!("the portal does not end: {}", self.log()))
            .unwrap()
    }

    /// Stops it, and waits until it has ended.
    pub(crate) async fn stop(mut self) {
        self.signal(Signal::SIGTERM);
        assert!(self.ended().await.success(), "{}", self.log());
    }

    /// Kills it, as in a crash.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// Posts a form on a connection of its own.
    pub(crate) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> io::Result<Answer> {
        post(self.address, path, fields).await
    }

    pub(crate) async fn get(&self, path: &str) -> io::Result<Answer> {
        exchange(self.address, "GET", path, &[], "").await
    }
}

fn append(log: &Path) -> File {
    let opened = OpenOptions::new().create(true).append(true).open(log);
    opened.unwrap()
}

/// Posts a form on a connection of its own.
pub(crate) async fn post(
    address: SocketAddr,
    path: &str,
    fields: &[(&str, &str)],
) -> io::Result<Answer> {
    let body = serde_html_form::to_string(fields).unwrap();
    let kind = ("content-type", "application/x-www-form-urlencoded");
    exchange(address, "POST", path, &[kind], &body).await
}

/// Sends one request and reads the response, on a connection of its own.
pub(crate) async fn exchange(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> io::Result<Answer> {
    let mut connection = Connection::to(address).await?;
    connection.ask(method, path, headers, body).await?;
    connection.answer().await
}

/// A connection that is kept alive.
pub(crate) struct Connection(BufReader<TcpStream>);

impl Connection {
    pub(crate) async fn to(address: SocketAddr) -> io::Result<Self> {
        TcpStream::connect(address)
            .await
            .map(|stream| Self(BufReader::new(stream)))
    }

    /// Sends these bytes.
    pub(crate) async fn send(&mut self, bytes: &str) -> io::Result<()> {
        self.0.write_all(bytes.as_bytes()).await
    }

    pub(crate) async fn ask(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> io::Result<()> {
        let mut lines = String::new();
        for (name, value) in headers {
            // Writing to a String cannot fail.
            let _ = write!(lines, "{name}: {value}\r\n");
        }
        let length = body.len();
        self.send(&format!(
            "{method} {path} HTTP/1.1\r\nhost: portal.test\r\n{lines}content-length: {length}\r\n\r\n{body}"
        ))
        .await
    }

    /// Reads one line of a head, without its end.
    async fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.0.read_line(&mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }

    /// Reads one complete response.
    pub(crate) async fn answer(&mut self) -> io::Result<Answer> {
        timeout(PATIENCE, self.whole_answer())
            .await
            .expect("an answer, or the end of the connection")
    }

    async fn whole_answer(&mut self) -> io::Result<Answer> {
        let first = self.line().await?;
        let status = first.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status: StatusCode = status.expect("a status line");
        let mut headers = HeaderMap::new();
        loop {
            let line = self.line().await?;
            let Some((name, value)) = line.split_once(": ") else {
                break;
            };
            let name: HeaderName = name.parse().unwrap();
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        let length = headers.get("content-length");
        let length = length.map_or(0, |value| value.to_str().unwrap().parse().unwrap());
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await?;
        Ok(Answer {
            status,
            headers,
            body: String::from_utf8(body).unwrap(),
        })
    }

    /// Whether the other side has closed it.
    pub(crate) async fn is_closed(&mut self) -> bool {
        let mut rest = Vec::new();
        let read = timeout(PATIENCE, self.0.read_to_end(&mut rest)).await;
        read.is_ok_and(|read| read.is_err() || rest.is_empty())
    }
}
