//! Lets PostgreSQL itself fail.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use pic_portal::db::{
    MIGRATOR, PgPool,
    private::{Options, PORTAL_DATABASE, PrivatePostgres, ensure_database},
};
use sqlx::postgres::PgConnectOptions;
use tempfile::TempDir;

use super::scene::{Scene, rounds, tell};
use crate::support::{
    assert_says,
    db::{TestDb, tool},
    eventually,
    process::{command, program, scratch},
    proxy::{Network, Target},
    server::running_server,
    sql,
};

/// A durable server of a test's own, which is restarted when it dies.
pub(super) struct Server {
    dir: PathBuf,
    pub(super) running: PrivatePostgres,
}

impl Server {
    pub(super) async fn start(dir: PathBuf, settings: &[(&str, &str)]) -> Self {
        let mut options = Options::durable(&dir);
        options.settings = settings
            .iter()
            .map(|&(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let started = tokio::task::spawn_blocking(move || PrivatePostgres::start(&options));
        let running = started.await.unwrap().unwrap();
        Self { dir, running }
    }

    pub(super) async fn database(&self) -> PgConnectOptions {
        let options = self.running.connect_options(PORTAL_DATABASE);
        ensure_database(&options).await.unwrap();
        options
    }

    /// The id of the server's first process.
    fn process(&self) -> Pid {
        let file = fs::read_to_string(self.dir.join("pgdata/postmaster.pid")).unwrap();
        Pid::from_raw(file.lines().next().unwrap().parse().unwrap())
    }

    /// Sends it a signal that ends it, and waits until a new one accepts connections.
    async fn restarts_after(&self, signal: Signal) {
        let before = self.process();
        kill(before, signal).unwrap();
        eventually("the server is there again", async || {
            running_server(&self.dir)?;
            (self.process() != before).then_some(())
        })
        .await;
    }

    pub(super) async fn stop(mut self) {
        tokio::task::spawn_blocking(move || self.running.stop())
            .await
            .unwrap();
    }
}

/// How often one server ends in a row: the supervisor waits longer after each, and gives up after
/// eight.
const ENDS: usize = 6;

/// A server that ends by this signal under traffic, and comes back.
async fn survives(signal: Signal) {
    let scratch = scratch();
    let server = Server::start(scratch.path().join("data"), &[]).await;
    let scene = Scene::on(server.database().await, None).await;
    for _ in 0..rounds().min(ENDS) {
        scene.flows(20).await;
        server.restarts_after(signal).await;
        scene.is_back(&format!("{signal}")).await;
    }
    scene.flows(20).await;
    scene.ends_whole().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_killed() {
    survives(Signal::SIGKILL).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_restarted_in_good_order() {
    survives(Signal::SIGINT).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backend_is_killed_and_all_sessions_end() {
    survives(Signal::SIGQUIT).await;
}

/// Ends the sessions of `role` on this database, or all except our own.
async fn end_sessions(pool: &PgPool, role: &str) {
    let end = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid()
         AND usename = '{role}' AND application_name = 'pic-portal'"
    );
    sql::run(pool, &end).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_only_reads() {
    let db = TestDb::fresh(&MIGRATOR).await;
    let (name, pool) = (
        db.name().to_owned(),
        PgPool::new(db.options().application_name("test"), 1),
    );
    let role = db.options().get_username().to_owned();
    let scene = Scene::on(db.options(), Some(db)).await;
    for _ in 0..rounds() {
        scene.flows(20).await;
        sql::run(
            &pool,
            &format!("ALTER DATABASE {name} SET default_transaction_read_only = on"),
        )
        .await;
        end_sessions(&pool, &role).await;
        scene.takes_nothing().await;
        // The present sessions stay as they are: the portal has to open new ones.
        sql::run(&pool, &format!(
            "SET default_transaction_read_only = off; ALTER DATABASE {name} RESET default_transaction_read_only"
        ))
        .await;
        scene.is_back("reading alone").await;
    }
    scene.flows(20).await;
    scene.ends_whole().await;
}

/// A role that may do what the owner of the database may, because a superuser is never refused; and
/// a connection that is not the portal's.
async fn role_of(db: &TestDb) -> (String, PgPool) {
    let role = format!("app_{}", db.name());
    let owner = db.options().get_username().to_owned();
    let pool = PgPool::new(db.options().application_name("test"), 1);
    sql::run(&pool, &format!("CREATE ROLE {role} LOGIN IN ROLE {owner}")).await;
    (role, pool)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_has_no_room_for_connections() {
    let db = TestDb::fresh(&MIGRATOR).await;
    let (role, pool) = role_of(&db).await;
    let scene = Scene::on(db.options().username(&role), None).await;
    for _ in 0..rounds() {
        scene.flows(20).await;
        sql::run(&pool, &format!("ALTER ROLE {role} CONNECTION LIMIT 0")).await;
        end_sessions(&pool, &role).await;
        scene.is_away().await;
        sql::run(&pool, &format!("ALTER ROLE {role} CONNECTION LIMIT -1")).await;
        scene.is_back("no room").await;

        // Some connections are enough: the two writers of submits keep theirs, everything else
        // waits for the two that are left.
        sql::run(&pool, &format!("ALTER ROLE {role} CONNECTION LIMIT 4")).await;
        end_sessions(&pool, &role).await;
        scene.is_back("little room").await;
        scene.flows(50).await;
        scene.refuses_nobody(50).await;
        sql::run(&pool, &format!("ALTER ROLE {role} CONNECTION LIMIT -1")).await;
    }
    scene.ends_whole().await;
    sql::run(&pool, &format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_role_may_not_log_in_any_more() {
    let db = TestDb::fresh(&MIGRATOR).await;
    let (role, pool) = role_of(&db).await;
    let scene = Scene::on(db.options().username(&role), None).await;
    scene.flows(20).await;
    sql::run(&pool, &format!("ALTER ROLE {role} NOLOGIN")).await;
    end_sessions(&pool, &role).await;
    scene.is_away().await;
    sql::run(&pool, &format!("ALTER ROLE {role} LOGIN")).await;
    scene.is_back("a login that was refused").await;
    scene.ends_whole().await;
    sql::run(&pool, &format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
}

/// A file system for a server, so small that it fills up.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// `None`: only root may mount one.
    fn new() -> Option<Self> {
        let dir = scratch();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=192m,mode=0755", "tmpfs"])
            .arg(dir.path())
            .output();
        mounted
            .is_ok_and(|mount| mount.status.success())
            .then_some(Self(dir))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: the server may still be ending.
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_disk_is_full() {
    let Some(disk) = SmallDisk::new() else {
        tell(
            "nobody but root may mount a small disk: `what_the_server_cannot_do_now` has SQLSTATE 53100",
        );
        return;
    };
    let server = Server::start(disk.path().join("data"), &[("max_wal_size", "64MB")]).await;
    let scene = Scene::on(server.database().await, None).await;
    scene.flows(20).await;
    // Takes all free space, to the last block.
    let ballast = disk.path().join("data/pgdata/ballast");
    let filled = Command::new("dd")
        .args(["if=/dev/zero", "bs=4k"])
        .arg(format!("of={}", ballast.display()))
        .output()
        .unwrap();
    assert!(!filled.status.success(), "the disk is full");
    // Pages with room still take rows; a table that has to grow does not.
    let direct = scene.direct();
    let grow = "CREATE TABLE filler AS SELECT repeat('x', 1000) FROM generate_series(1, 100000)";
    let refused = sqlx::raw_sql(grow).execute(&direct).await.unwrap_err();
    let code = refused
        .as_database_error()
        .and_then(|e| Some(e.code()?.into_owned()));
    assert_eq!(code.as_deref(), Some("53100"), "{refused}");
    scene.is_refused().await;
    let ready = scene.portal.get("/readyz").await.unwrap();
    assert_eq!(ready.body, "not ready\n");
    let settings = [("DATABASE_URL", &*scene.proxy.url(&scene.database))];
    let doctor = command(&program(), &settings).arg("doctor").output().await;
    let doctor = doctor.unwrap();
    let said = String::from_utf8([doctor.stdout, doctor.stderr].concat()).unwrap();
    assert!(!doctor.status.success(), "{said}");
    assert_says(&said, "wrong    database ");
    assert_says(&said, "53100 (the server's disk is full)");
    fs::remove_file(ballast).unwrap();
    scene.is_back("a full disk").await;
    scene.flows(20).await;
    scene.ends_whole().await;
    server.stop().await;
}

/// A standby of `primary` in `dir`, which has caught up.
pub(super) async fn standby(primary: &Server, dir: PathBuf) -> Server {
    fs::create_dir(&dir).unwrap();
    let options = primary.running.connect_options(PORTAL_DATABASE);
    let program = tool("pg_basebackup").expect("make tools-test installs PostgreSQL's tools");
    let made = Command::new(program)
        .args(["-h", options.get_socket().unwrap().to_str().unwrap()])
        .args([
            "-p",
            &options.get_port().to_string(),
            "-U",
            options.get_username(),
        ])
        .args(["-R", "-X", "stream", "-c", "fast", "-D"])
        .arg(dir.join("pgdata"))
        .output()
        .unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    // It gets the same owner as the primary's directory.
    let like = format!("--reference={}", primary.dir.join("pgdata").display());
    let owned = Command::new("chown").args(["-R", &like]).arg(&dir).status();
    assert!(owned.unwrap().success());
    Server::start(dir, &[]).await
}

/// From now on what is acknowledged is on both servers.
pub(super) async fn keep_both(primary: &PgPool) {
    sql::run(primary, "ALTER SYSTEM SET synchronous_standby_names = '*'").await;
    sql::run(primary, "SELECT pg_reload_conf()").await;
    eventually("the standby keeps up", async || {
        let synchronous: i64 = sql::one(
            primary,
            "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'",
        )
        .await;
        (synchronous == 1).then_some(())
    })
    .await;
}

/// Makes a standby the primary.
pub(super) async fn promote(standby: &PgConnectOptions) {
    let promoted: bool = sqlx::query_scalar("SELECT pg_promote()")
        .fetch_one(&PgPool::new(standby.clone(), 1).within(Duration::from_mins(1)))
        .await
        .unwrap();
    assert!(promoted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_takes_over() {
    let scratch = scratch();
    let primary = Server::start(scratch.path().join("one"), &[]).await;
    let scene = Scene::on(primary.database().await, None).await;
    scene.flows(20).await;
    let standby = standby(&primary, scratch.path().join("two")).await;
    keep_both(&scene.direct()).await;
    scene.flows(20).await;

    // The portal is led to the standby before its promotion: it can read, and accepts nothing.
    let options = standby.running.connect_options(PORTAL_DATABASE);
    scene.proxy.lead_to(Target::of(&options));
    scene.proxy.turn(Network::Resetting);
    scene.is_away().await;
    scene.proxy.turn(Network::Sound);
    scene.takes_nothing().await;
    primary.stop().await;
    promote(&options).await;
    let scene = scene.with_database(options);
    scene.is_back("a switch-over").await;
    scene.flows(20).await;
    scene.ends_whole().await;
    standby.stop().await;
}
