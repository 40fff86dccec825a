//! Checks that the private PostgreSQL starts, keeps running, recovers and reports errors.

use std::{
    fs::{self, File},
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, User, geteuid},
};
use pic_portal::db::private::{
    Options, PORTAL_DATABASE, PrivatePostgres, StartError, ensure_database,
};
use sqlx::{
    ConnectOptions as _, PgConnection,
    postgres::{PgConnectOptions, PgRow},
};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::support::{
    assert_says, eventually,
    server::{lock_file, running_server},
    sql,
};

/// A scratch directory that the server's user can enter, also when the tests run as root.
fn scratch() -> TempDir {
    let scratch = tempfile::tempdir().unwrap();
    fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o755)).unwrap();
    scratch
}

/// A scratch directory with a new cluster in it: a copy, because setting one up takes a second of
/// computing. The original is kept in the build directory; if that cannot be used, the directory
/// stays empty, and the test's first start sets the cluster up.
async fn scratch_with_cluster() -> TempDir {
    static ORIGINAL: OnceCell<Option<(File, PathBuf)>> = OnceCell::const_new();
    let scratch = scratch();
    if let Some((_, original)) = ORIGINAL.get_or_init(original_cluster).await {
        let copied = Command::new("cp")
            .arg("-a")
            .arg(original)
            .arg(scratch.path())
            .status();
        assert!(copied.unwrap().success());
    }
    scratch
}

/// The original's data directory, and the lock that keeps other test processes from starting it.
async fn original_cluster() -> Option<(File, PathBuf)> {
    let base = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let dir = base.join(format!("cluster-{}", geteuid()));
    let lock = lock_file(&dir.with_extension("lock")).ok()?;
    // A process that is alone checks that it still starts; others rely on that.
    if lock.try_lock().is_ok() {
        let server = if let Ok(server) = start(Options::throw_away(&dir)).await {
            server
        } else {
            let _ = fs::remove_dir_all(&dir);
            start(Options::throw_away(&dir)).await.ok()?
        };
        stop(server).await;
    }
    lock.lock_shared().ok()?;
    Some((lock, dir.join("pgdata")))
}

async fn start(options: Options) -> Result<PrivatePostgres, StartError> {
    tokio::task::spawn_blocking(move || PrivatePostgres::start(&options))
        .await
        .unwrap()
}

async fn start_in(dir: &Path) -> PrivatePostgres {
    start(Options::throw_away(dir)).await.unwrap()
}

async fn refusal(options: Options) -> String {
    start(options)
        .await
        .expect_err("it must not start")
        .to_string()
}

async fn stop(mut server: PrivatePostgres) {
    tokio::task::spawn_blocking(move || server.stop())
        .await
        .unwrap();
}

async fn portal_database(server: &PrivatePostgres) -> PgConnection {
    let options = server.connect_options(PORTAL_DATABASE);
    ensure_database(&options).await.unwrap();
    options.connect().await.unwrap()
}

/// Inserts a row; returns how many there are.
async fn add_row(connection: &mut PgConnection) -> i64 {
    let table = "CREATE TABLE IF NOT EXISTS kept (at timestamptz DEFAULT now())";
    sql::run(&mut *connection, table).await;
    sql::run(&mut *connection, "INSERT INTO kept DEFAULT VALUES").await;
    sql::one(connection, "SELECT count(*) FROM kept").await
}

fn postmaster(dir: &Path) -> Pid {
    let file = fs::read_to_string(dir.join("pgdata/postmaster.pid")).unwrap();
    Pid::from_raw(file.lines().next().unwrap().parse().unwrap())
}

/// Uid and gid that the server runs with when the tests run as root.
fn server_user() -> Option<(u32, u32)> {
    let named = |name| User::from_name(name).unwrap();
    let user = named("postgres").or_else(|| named("nobody")).unwrap();
    geteuid()
        .is_root()
        .then(|| (user.uid.as_raw(), user.gid.as_raw()))
}

fn as_user(command: &mut Command, user: Option<(u32, u32)>) -> &mut Command {
    if let Some((uid, gid)) = user {
        command.uid(uid).gid(gid);
    }
    command
}

/// A process that is killed at the end of the test at the latest.
struct Process(Child);

impl Process {
    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A process that runs a server in `dir`, and how to connect to it.
async fn portal_process(dir: &Path) -> (Process, PgConnectOptions) {
    let child = Command::new(env!("CARGO_BIN_EXE_test-postgres"))
        .arg(dir)
        .arg("600")
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let process = Process(child);
    let options = eventually("the server runs", async || running_server(dir)).await;
    ensure_database(&options.clone().database(PORTAL_DATABASE))
        .await
        .unwrap();
    // Acknowledged data are no longer in the killed processes' memory only, as on a durable server.
    (
        process,
        options
            .database(PORTAL_DATABASE)
            .options([("synchronous_commit", "on")]),
    )
}

#[tokio::test]
async fn data_last_from_start_to_start() {
    let scratch = scratch();
    let dir = scratch.path().join("data");
    for rows in 1..=2 {
        let server = start(Options::durable(&dir)).await.unwrap();
        let mut connection = portal_database(&server).await;
        assert_eq!(add_row(&mut connection).await, rows);
        let settings: Vec<String> = sql::all(
            &mut connection,
            "SELECT setting FROM pg_settings
             WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit')",
        )
        .await;
        assert_eq!(settings, ["on", "on", "on"]);
        let sockets = server.connect_options("").get_socket().unwrap().clone();
        stop(server).await;
        assert!(!sockets.exists(), "the socket's directory stays behind");
    }
}

#[tokio::test]
async fn a_directory_has_one_portal() {
    let scratch = scratch_with_cluster().await;
    let dir = scratch.path();
    let server = start_in(dir).await;
    let text = refusal(Options::durable(dir)).await;
    let expected = format!(
        "another portal (process {}) already runs on {}: stop it, or set PIC_DATA_DIR to another \
         directory",
        std::process::id(),
        fs::canonicalize(dir).unwrap().display()
    );
    assert_eq!(text, expected);
    assert_eq!(add_row(&mut portal_database(&server).await).await, 1);
}

#[tokio::test]
async fn a_killed_server_is_started_again() {
    let scratch = scratch_with_cluster().await;
    let server = start(Options::durable(scratch.path())).await.unwrap();
    let mut connection = portal_database(&server).await;
    assert_eq!(add_row(&mut connection).await, 1);
    let killed = postmaster(scratch.path());
    kill(killed, Signal::SIGKILL).unwrap();
    let options = server.connect_options(PORTAL_DATABASE);
    let mut connection = eventually("the server is back", async || {
        running_server(scratch.path())?;
        options.connect().await.ok()
    })
    .await;
    assert_ne!(postmaster(scratch.path()), killed);
    assert_eq!(add_row(&mut connection).await, 2);
}

#[tokio::test]
async fn stopping_wins_against_a_restart() {
    let scratch = scratch_with_cluster().await;
    for _ in 0..3 {
        let server = start_in(scratch.path()).await;
        kill(postmaster(scratch.path()), Signal::SIGKILL).unwrap();
        stop(server).await;
        assert!(running_server(scratch.path()).is_none());
    }
    // Only the next start removes the shared memory of a killed server.
    stop(start_in(scratch.path()).await).await;
}

#[tokio::test]
async fn a_killed_portal_loses_nothing() {
    let scratch = scratch_with_cluster().await;
    let (mut portal, options) = portal_process(scratch.path()).await;
    assert_eq!(add_row(&mut options.connect().await.unwrap()).await, 1);
    portal.kill();
    // Its server may still be ending.
    let server = start_in(scratch.path()).await;
    assert_eq!(add_row(&mut portal_database(&server).await).await, 2);
}

#[tokio::test]
async fn a_killed_portal_and_server_lose_nothing() {
    let scratch = scratch_with_cluster().await;
    let (mut portal, options) = portal_process(scratch.path()).await;
    let mut connection = options.connect().await.unwrap();
    assert_eq!(add_row(&mut connection).await, 1);
    portal.kill();
    // The connection keeps a process of the server busy beyond its end.
    let _ = kill(postmaster(scratch.path()), Signal::SIGKILL);
    let server = start_in(scratch.path()).await;
    assert_eq!(add_row(&mut portal_database(&server).await).await, 2);
}

#[tokio::test]
async fn a_process_id_that_somebody_else_has_now_does_no_harm() {
    let scratch = scratch_with_cluster().await;
    stop(start_in(scratch.path()).await).await;
    // It runs as the server's own user, because only such a process would keep PostgreSQL from
    // starting.
    let mut sleep = Command::new("sleep");
    let stranger = Process(as_user(sleep.arg("600"), server_user()).spawn().unwrap());
    let data = fs::canonicalize(scratch.path().join("pgdata")).unwrap();
    let stale = format!(
        "{}\n{}\n1700000000\n5432\n",
        stranger.0.id(),
        data.display()
    );
    for content in [stale.as_str(), ""] {
        fs::write(data.join("postmaster.pid"), content).unwrap();
        stop(start_in(scratch.path()).await).await;
    }
    assert!(kill(Pid::from_raw(stranger.0.id().cast_signed()), None).is_ok());
}

#[tokio::test]
async fn a_set_up_that_was_cut_short_is_done_again() {
    let scratch = scratch();
    let half = scratch.path().join("pgdata.new.4711");
    fs::create_dir_all(half.join("base")).unwrap();
    fs::write(half.join("PG_VERSION"), "15\n").unwrap();
    fs::create_dir(scratch.path().join("pgdata")).unwrap();
    let server = start_in(scratch.path()).await;
    assert!(!half.exists());
    assert_eq!(add_row(&mut portal_database(&server).await).await, 1);
}

#[tokio::test]
async fn data_that_do_not_fit_are_left_alone() {
    let scratch = scratch();
    let data = scratch.path().join("pgdata");
    let options = || Options::durable(scratch.path());
    fs::create_dir(&data).unwrap();
    fs::write(data.join("something"), "else").unwrap();
    let text = refusal(options()).await;
    assert_says(&text, "is not empty and holds no PostgreSQL data");
    fs::write(data.join("PG_VERSION"), "99\n").unwrap();
    let text = refusal(options()).await;
    assert_says(
        &text,
        "was made by PostgreSQL 99, but the newest installed here is",
    );
    assert_says(&text, "install version 99 with");
    for (version, major) in [("14\n", 14), ("9.6\n", 9)] {
        fs::write(data.join("PG_VERSION"), version).unwrap();
        let text = refusal(options()).await;
        let expected = format!("was made by PostgreSQL {major}, the portal needs 15 or newer");
        assert_says(&text, &expected);
    }
    assert_eq!(fs::read_to_string(data.join("something")).unwrap(), "else");
}

#[tokio::test]
async fn without_binaries_nothing_is_left_behind() {
    let scratch = scratch();
    let dir = scratch.path().join("not/yet");
    let options = Options {
        bindir: Some(scratch.path().to_owned()),
        ..Options::durable(&dir)
    };
    let text = refusal(options).await;
    assert!(
        text.starts_with("no PostgreSQL server was found on this machine: install"),
        "{text}"
    );
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_server_that_ends_at_once_says_why() {
    let scratch = scratch_with_cluster().await;
    let settings = vec![("no_such_setting".to_owned(), "1".to_owned())];
    let options = Options {
        settings,
        ..Options::throw_away(scratch.path())
    };
    let text = refusal(options).await;
    assert!(
        text.starts_with("PostgreSQL ended at its start (exit status: 1)"),
        "{text}"
    );
    assert_says(
        &text,
        "unrecognized configuration parameter \"no_such_setting\"",
    );
    assert_eq!(text.lines().count(), 1, "{text}");
}

/// The output of a server that an ordinary user starts in `dir`.
fn start_as_ordinary_user(dir: &Path) -> Output {
    let scratch = scratch();
    // The build directory may be closed to that user.
    let program = scratch.path().join("test-postgres");
    // Copied by another process: if this one wrote the program, a new process of any other test
    // would have it open too for a moment, and it could not be executed.
    let copied = Command::new("cp")
        .arg(env!("CARGO_BIN_EXE_test-postgres"))
        .arg(&program)
        .status();
    assert!(copied.unwrap().success());
    let nobody = User::from_name("nobody").unwrap().unwrap();
    let user = geteuid()
        .is_root()
        .then(|| (nobody.uid.as_raw(), nobody.gid.as_raw()));
    let mut command = Command::new(program);
    command.arg(dir).arg("0").current_dir("/");
    as_user(&mut command, user).output().unwrap()
}

#[tokio::test]
async fn a_directory_that_cannot_be_written_to_is_refused() {
    let scratch = scratch();
    fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o555)).unwrap();
    for dir in [scratch.path().to_owned(), scratch.path().join("below")] {
        let output = start_as_ordinary_user(&dir);
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success());
        assert!(
            text.starts_with(&format!("test-postgres: cannot use {}", dir.display())),
            "{text}"
        );
        assert_says(&text, "(Permission denied (os error 13))");
        assert_says(&text, "or set PIC_DATA_DIR to a directory");
        assert_eq!(text.lines().count(), 1, "{text}");
    }
}

#[tokio::test]
async fn an_ordinary_user_can_run_it() {
    let scratch = scratch();
    fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let output = start_as_ordinary_user(&scratch.path().join("data"));
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[tokio::test]
async fn a_directory_closed_to_the_servers_user_is_refused() {
    if !geteuid().is_root() {
        // Only root runs the server as another user.
        return;
    }
    let closed = scratch();
    fs::set_permissions(closed.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let text = refusal(Options::durable(closed.path().join("data"))).await;
    assert_says(
        &text,
        &format!("cannot enter {}: let it in", closed.path().display()),
    );
    assert_eq!(fs::read_dir(closed.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn any_path_will_do() {
    let scratch = scratch();
    let long = scratch
        .path()
        .join(format!("long {}", "d".repeat(150)))
        .join("e".repeat(150));
    let real = scratch.path().join("it's \"real\" ü");
    let link = scratch.path().join("link");
    fs::create_dir(&real).unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let here = std::env::current_dir().unwrap();
    let up: PathBuf = here.ancestors().skip(1).map(|_| "..").collect();
    let relative = up.join(real.strip_prefix("/").unwrap());
    assert!(relative.is_relative());
    let mut rows = 0;
    for dir in [link, relative] {
        let server = start_in(&dir).await;
        rows += 1;
        assert_eq!(add_row(&mut portal_database(&server).await).await, rows);
        stop(server).await;
    }
    let server = start_in(&long).await;
    assert_eq!(add_row(&mut portal_database(&server).await).await, 1);
}

#[tokio::test]
async fn nothing_typed_reaches_the_servers_log() {
    let scratch = scratch_with_cluster().await;
    let server = start_in(scratch.path()).await;
    let mut connection = portal_database(&server).await;
    let secret = "canary-5f0c3a@example.org";
    let table =
        "CREATE TABLE typed (id int PRIMARY KEY, word text UNIQUE CHECK (length(word) > 5))";
    sql::run(&mut connection, table).await;
    let insert = "INSERT INTO typed VALUES ($1, $2)";
    for (id, fails) in [(1, false), (1, true), (2, true)] {
        let done = sqlx::query(insert)
            .bind(id)
            .bind(secret)
            .execute(&mut connection)
            .await;
        assert_eq!(done.is_err(), fails);
    }
    for statement in [
        "SELECT ($1::text)::int",
        "INSERT INTO typed VALUES (NULL, $1)",
        "INSERT INTO typed SELECT 3, left($1, 3)",
        "INSERT INTO typed SELECT 4, $1 || repeat(md5(random()::text), 9000)",
        "SELECT set_config('work_mem', $1, false)",
        "SELECT pg_terminate_backend(pg_backend_pid()), $1",
    ] {
        let failed: Result<PgRow, _> = sqlx::query(statement)
            .bind(secret)
            .fetch_one(&mut connection)
            .await;
        let failed = failed.err().map(|error| error.to_string());
        assert!(failed.is_some(), "{statement}");
    }
    // When a busy process of the server is killed, it restarts completely, and logs the reason.
    let mut connection = portal_database(&server).await;
    let killed = "DO $$ BEGIN EXECUTE 'COPY (SELECT 1) TO PROGRAM ''kill -9 $PPID # canary-5f0c3a'''; \
                  END $$";
    assert!(
        sqlx::raw_sql(killed)
            .execute(&mut connection)
            .await
            .is_err()
    );
    stop(server).await;
    let log = fs::read_to_string(scratch.path().join("postgres.log")).unwrap();
    assert_says(&log, "was terminated by signal 9");
    assert!(!log.contains("canary"), "{log}");
}
