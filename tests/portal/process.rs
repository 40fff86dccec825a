//! Checks that the portal as a process starts, stops, crashes and comes back as promised.

pub(crate) mod checks;
mod journal;
mod proxies;
mod recovery;
mod schema;
mod settings;
mod stopping;
mod units;

use std::{
    collections::HashMap,
    fs,
    io::ErrorKind,
    net::{SocketAddr, TcpListener},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use axum::http::StatusCode;
use nix::{
    sys::signal::Signal,
    unistd::{User, geteuid},
};
use pic_portal::db::{MIGRATOR, PgPool, private::PORTAL_DATABASE};
use sqlx::{Connection as _, PgConnection};
use tokio::{
    process::Command,
    task::JoinSet,
    time::{Duration, timeout},
};

use crate::support::{
    app::{EMPTY, advance, request, submission_id},
    assert_says,
    db::TestDb,
    eventually,
    process::{Connection, Portal, command, on, post, program, scratch},
    server::running_server,
    sql,
};

/// The body of a valid submission.
fn body(id: &str) -> String {
    serde_html_form::to_string(request(id, &[("sip.contoso.com", "contoso.com")])).unwrap()
}

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const WAITING: &str = "SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'";

// ---------------------------------------------------------------------------------------------
// Stopping

#[tokio::test]
async fn a_signal_stops_it_and_cuts_no_request_off() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let (db, scratch) = (TestDb::fresh(&MIGRATOR).await, scratch());
        let mut portal = Portal::start(&on(&db.url()), &scratch.path().join("log")).await;
        // It would wait for the same lock.
        let swept = "SELECT count(*) FROM retention_run WHERE ended_at IS NOT NULL";
        eventually("the first sweep is done", async || {
            (sql::number(db.pool(), swept).await > 0).then_some(())
        })
        .await;

        // A connection that nothing was sent on, one that is kept alive, one in the middle of a
        // form, and one whose submit waits for the database.
        let silent = Connection::to(portal.address).await.unwrap();
        let mut kept = Connection::to(portal.address).await.unwrap();
        for _ in 0..3 {
            kept.ask("GET", "/requests/new", &[], "").await.unwrap();
            assert_eq!(kept.answer().await.unwrap().status, StatusCode::OK);
        }
        let mut halfway = Connection::to(portal.address).await.unwrap();
        let form = body(&submission_id());
        let (begun, rest) = form.split_at(form.len() / 2);
        halfway
            .send(&format!(
                "POST /requests/new HTTP/1.1\r\nhost: portal.test\r\n\
                 content-type: application/x-www-form-urlencoded\r\n\
                 content-length: {}\r\nexpect: 100-continue\r\n\r\n",
                form.len()
            ))
            .await
            .unwrap();
        let go_on = halfway.answer().await.unwrap();
        assert_eq!(go_on.status, StatusCode::CONTINUE, "it is being read");
        halfway.send(begun).await.unwrap();
        let mut locks = db.pool().begin().await.unwrap();
        sql::run(&mut *locks, "LOCK TABLE request IN ACCESS EXCLUSIVE MODE").await;
        let mut waiting = Connection::to(portal.address).await.unwrap();
        let form = body(&submission_id());
        waiting
            .ask("POST", "/requests/new", &[FORM], &form)
            .await
            .unwrap();
        eventually("the submit waits for the database", async || {
            (sql::number(db.pool(), WAITING).await == 1).then_some(())
        })
        .await;

        portal.signal(signal);
        // Load balancers see this while present clients are still being served.
        eventually("it says that it is not ready", async || {
            let mut probe = Connection::to(portal.address).await.ok()?;
            probe.ask("GET", "/readyz", &[], "").await.ok()?;
            let answer = probe.answer().await.ok()?;
            (answer.status == StatusCode::SERVICE_UNAVAILABLE).then_some(())
        })
        .await;
        locks.rollback().await.unwrap();
        halfway.send(rest).await.unwrap();
        let answers = [
            waiting.answer().await.unwrap().reference(),
            halfway.answer().await.unwrap().reference(),
        ];
        assert!(kept.is_closed().await);
        assert_eq!(portal.ended().await.code(), Some(0), "{signal}");
        drop(silent);
        assert!(!portal.log().contains("still in progress"), "{signal}");
        for reference in answers {
            let found: i64 =
                sqlx::query_scalar("SELECT count(*) FROM request WHERE reference = $1")
                    .bind(reference)
                    .fetch_one(db.pool())
                    .await
                    .unwrap();
            assert_eq!(found, 1, "what was acknowledged is there");
        }
        assert_eq!(
            sql::number(db.pool(), "SELECT count(*) FROM request").await,
            2
        );
        let claimed = "SELECT count(*) FROM work WHERE lease_token IS NOT NULL";
        assert_eq!(
            sql::number(db.pool(), claimed).await,
            0,
            "nothing is left claimed"
        );
    }
}

/// A directory for a private server, as a setting.
fn private(dir: &Path) -> [(&str, &str); 1] {
    [("PIC_DATA_DIR", dir.to_str().unwrap())]
}

#[tokio::test]
async fn a_signal_during_the_first_start_leaves_nothing_running() {
    let scratch = scratch();
    let dir = scratch.path().join("data");
    let mut child = command(&program(), &private(&dir)).spawn().unwrap();
    eventually("the start has begun", async || {
        dir.join("lock").exists().then_some(())
    })
    .await;
    let id = nix::unistd::Pid::from_raw(child.id().unwrap().cast_signed());
    nix::sys::signal::kill(id, Signal::SIGTERM).unwrap();
    let ended = timeout(Duration::from_mins(1), child.wait()).await;
    assert_eq!(ended.expect("it ends").unwrap().code(), Some(0));
    assert!(running_server(&dir).is_none());
    // The next start succeeds.
    let portal = Portal::start(&private(&dir), &scratch.path().join("log")).await;
    assert_eq!(portal.get("/readyz").await.unwrap().body, "ready\n");
    portal.stop().await;
    assert!(
        running_server(&dir).is_none(),
        "it is stopped with the portal"
    );
}

// ---------------------------------------------------------------------------------------------
// Crashing

/// Submits until the portal has ended. Returns each submission that was begun, with its reference
/// if it was acknowledged.
async fn submit_until_gone(
    address: SocketAddr,
    client: usize,
    acknowledged: Arc<AtomicUsize>,
    gone: Arc<AtomicBool>,
) -> HashMap<(String, String), Option<String>> {
    let mut begun = HashMap::new();
    while !gone.load(Ordering::Relaxed) {
        let id = submission_id();
        let domain = format!("{}-{client}.example", &id[..18]);
        let edge = format!("sip.{domain}");
        let sent = post(address, "/requests/new", &request(&id, &[(&edge, &domain)])).await;
        let reference = sent.ok().and_then(|answer| {
            // Its database may end a moment before it.
            (answer.status == StatusCode::SEE_OTHER).then(|| answer.reference())
        });
        if reference.is_some() {
            acknowledged.fetch_add(1, Ordering::Relaxed);
        }
        begun.insert((id, domain), reference);
    }
    begun
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_before_a_crash_is_there_once_and_done_in_the_end() {
    let scratch = scratch();
    let dir = scratch.path().join("data");
    let log = scratch.path().join("log");
    let mut begun = HashMap::new();
    for _ in 0..2 {
        let portal = Portal::start(&private(&dir), &log).await;
        let (acknowledged, gone) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        let clients: JoinSet<_> = (0..8)
            .map(|client| {
                submit_until_gone(
                    portal.address,
                    client,
                    Arc::clone(&acknowledged),
                    Arc::clone(&gone),
                )
            })
            .collect();
        eventually("some are acknowledged", async || {
            (acknowledged.load(Ordering::Relaxed) >= 60).then_some(())
        })
        .await;
        portal.kill().await;
        gone.store(true, Ordering::Relaxed);
        begun.extend(clients.join_all().await.into_iter().flatten());
    }

    let portal = Portal::start(&private(&dir), &log).await;
    let server = running_server(&dir).unwrap().database(PORTAL_DATABASE);
    let pool = PgPool::new(server, 10);
    let known = begun.values().flatten().count();
    assert!(known >= 120);
    let kept = sql::number(&pool, "SELECT count(*) FROM request").await;
    assert!(usize::try_from(kept).unwrap() >= known);
    for ((id, domain), reference) in &begun {
        let edge = format!("sip.{domain}");
        let sent = portal
            .post("/requests/new", &request(id, &[(&edge, domain)]))
            .await
            .unwrap();
        let again = sent.reference();
        if let Some(reference) = reference {
            assert_eq!(&again, reference, "a retry leads to what was acknowledged");
        }
    }
    let total: i64 = begun.len().try_into().unwrap();
    assert_eq!(
        sql::number(&pool, "SELECT count(*) FROM request").await,
        total
    );
    // What the killed ones had claimed is free once their leases have expired.
    advance(&pool, Duration::from_mins(1)).await;
    eventually("everything is provisioned", async || {
        let wake = "SELECT pg_notify('pic_work', '')";
        sql::run(&pool, wake).await;
        let open = "SELECT count(*) FROM request WHERE state <> 'provisioned'";
        (sql::number(&pool, open).await == 0).then_some(())
    })
    .await;
    let not_once = "SELECT count(*) FROM request r WHERE 1 <> (
        SELECT count(*) FROM timeline WHERE request_id = r.id AND code = 'provisioned')";
    assert_eq!(sql::number(&pool, not_once).await, 0);
    assert_eq!(
        sql::number(&pool, "SELECT count(*) FROM route").await,
        total
    );
    pool.close().await;
    portal.stop().await;
}

// ---------------------------------------------------------------------------------------------
// Several

/// How many provisioned requests a log reports.
fn provisioned(log: &str) -> usize {
    log.split("settled.provisioned=")
        .skip(1)
        .map(|rest| rest.split(' ').next().unwrap().parse::<usize>().unwrap())
        .sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_that_start_at_once_migrate_once_and_share_the_work() {
    let (db, scratch) = (TestDb::fresh(&EMPTY).await, scratch());
    let url = db.url();
    let logs = [1, 2, 3].map(|n| scratch.path().join(format!("log{n}")));
    let settings = on(&url);
    let [one, two, three] = &logs;
    let portals: [Portal; 3] = tokio::join!(
        Portal::start(&settings, one),
        Portal::start(&settings, two),
        Portal::start(&settings, three),
    )
    .into();
    let applied = sql::number(
        db.pool(),
        "SELECT count(*) FROM _sqlx_migrations WHERE success",
    )
    .await;
    assert_eq!(usize::try_from(applied).unwrap(), MIGRATOR.iter().count());
    assert_eq!(
        sql::number(db.pool(), "SELECT count(*) FROM secret").await,
        1
    );

    let addresses = [0, 1, 2].map(|n| portals[n].address);
    let clients: JoinSet<()> = (0..60)
        .map(|n| async move {
            let (id, domain) = (submission_id(), format!("d{n}.example"));
            let edge = format!("sip.{domain}");
            let fields = request(&id, &[(&edge, &domain)]);
            let sent = post(addresses[n % 3], "/requests/new", &fields).await;
            let reference = sent.unwrap().reference();
            // A retry at another one is the same submission, with the same key.
            let again = post(addresses[(n + 1) % 3], "/requests/new", &fields).await;
            assert_eq!(again.unwrap().reference(), reference);
        })
        .collect();
    clients.join_all().await;
    eventually("everything is provisioned", async || {
        let open = "SELECT count(*) FROM request WHERE state = 'pending'";
        (sql::number(db.pool(), open).await == 0).then_some(())
    })
    .await;
    for portal in portals {
        portal.stop().await;
    }
    let done = logs.map(|log| provisioned(&fs::read_to_string(log).unwrap()));
    assert_eq!(done.iter().sum::<usize>(), 60, "{done:?}");
    assert_eq!(
        sql::number(db.pool(), "SELECT count(*) FROM route").await,
        60
    );
}

// ---------------------------------------------------------------------------------------------
// Starts that fail

/// The error message of a start that fails, with this exit code.
async fn refusal(command: &mut Command, code: i32) -> String {
    // While another test starts a process, that one has the program's copy open as it was when it
    // was written.
    let output = eventually("the program can be started", async || {
        let output = timeout(Duration::from_mins(1), command.output()).await;
        match output.expect("it ends by itself") {
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => None,
            output => Some(output.unwrap()),
        }
    })
    .await;
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert_eq!(said.lines().count(), 1, "one line: {said}");
    assert!(said.starts_with("pic-portal: "), "{said}");
    assert!(output.stdout.is_empty(), "it was never ready");
    said
}

async fn refused(settings: &[(&str, &str)], words: &[&str]) {
    let said = refusal(&mut command(&program(), settings), 1).await;
    for word in words {
        assert!(said.contains(word), "{word}: {said}");
    }
}

#[tokio::test]
async fn a_wrong_setting_is_named_with_an_example_and_without_its_value() {
    for (variable, value) in [
        ("DATABASE_URL", "mysql://pic:hunter2@db/pic"),
        ("DATABASE_URL", "postgres://pic:hunter2@db:port/pic"),
        ("PIC_LISTEN", "hunter2"),
        ("PIC_PUBLIC_URL", "https://pic:hunter2@contoso.com"),
        ("PIC_CHECKS", "hunter2"),
        ("PIC_PROOF", "hunter2"),
        ("PIC_DRAIN", "hunter2"),
        ("PIC_PROMISE", "hunter2"),
        ("PIC_EXPIRY", "hunter2"),
        ("PIC_RECHECK_FIRST", "hunter2"),
        ("PIC_RECHECK_MAX", "hunter2"),
        ("PIC_DB_POOL", "hunter2"),
        ("PIC_ALLOW_UNSAFE_DATABASE", "hunter2"),
        ("PIC_CHECK_PRIVATE", "hunter2"),
        ("PIC_LOG", "hunter2=hunter2=hunter2"),
        ("PIC_LOG_FORMAT", "hunter2"),
    ] {
        let said = refusal(&mut command(&program(), &[(variable, value)]), 78).await;
        assert!(
            said.starts_with(&format!("pic-portal: {variable}: ")),
            "{said}"
        );
        assert_says(&said, &format!("Example: {variable}="));
        assert!(!said.contains("hunter2"), "{said}");
        for looking in ["config", "doctor"] {
            let mut looking_at = command(&program(), &[(variable, value)]);
            assert_eq!(refusal(looking_at.arg(looking), 78).await, said);
        }
    }
}

#[tokio::test]
async fn a_taken_address_is_told_before_anything_is_started() {
    let scratch = scratch();
    let dir = scratch.path().join("data");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut settings = private(&dir).to_vec();
    settings.push(("PIC_LISTEN", &address));
    refused(
        &settings,
        &["cannot listen on", &address, "with PIC_LISTEN"],
    )
    .await;
    settings.pop();
    settings.push(("PIC_METRICS_LISTEN", &address));
    refused(
        &settings,
        &["cannot listen on", &address, "with PIC_METRICS_LISTEN"],
    )
    .await;
    assert!(!dir.exists(), "nothing is half-made");
}

#[tokio::test]
async fn a_database_that_cannot_be_reached_is_told() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let url = format!("postgres://pic:hunter2@{address}/pic");
    refused(&on(&url), &["cannot connect", "refused", "DATABASE_URL"]).await;
    let db = TestDb::fresh(&EMPTY).await;
    let missing = db.url().replace(db.name(), "no_such_database");
    assert_ne!(missing, db.url());
    let words = [
        "cannot connect",
        "3D000 (there is no database",
        "DATABASE_URL",
    ];
    refused(&on(&missing), &words).await;
    let unknown = "postgres://pic:hunter2@db.invalid/pic";
    refused(&on(unknown), &["name of the server cannot be resolved"]).await;
}

/// How many tables a database has, without the one that lists migrations.
const TABLES: &str = "SELECT count(*) FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname <> '_sqlx_migrations'";

#[tokio::test]
async fn a_database_that_will_not_do_is_told_and_left_alone() {
    let db = TestDb::fresh(&EMPTY).await;
    let set = async |setting: &str| {
        let sql = format!("ALTER DATABASE {} SET {setting}", db.name());
        sql::run(db.pool(), &sql).await;
    };
    let url = db.url();
    // The tests may use a durable server, on which only the other setting can be off.
    let fsync: String = sql::one(db.pool(), "SHOW fsync").await;
    set("synchronous_commit = off").await;
    let off = if fsync == "off" {
        "fsync"
    } else {
        "synchronous_commit"
    };
    let words = [&format!("has {off} off"), "PIC_ALLOW_UNSAFE_DATABASE=true"];
    refused(&[("DATABASE_URL", &url)], &words).await;
    set("default_transaction_read_only = on").await;
    refused(&on(&url), &["read-only", "DATABASE_URL"]).await;

    // Dropped with the other databases of this process if this test does not get there.
    let ascii = format!("{}_ascii", db.name());
    let make =
        format!("CREATE DATABASE {ascii} ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0");
    let mut connection = PgConnection::connect_with(&db.options().database("postgres"))
        .await
        .unwrap();
    sql::run(&mut connection, &make).await;
    let url = db.url().replace(db.name(), &ascii);
    refused(&on(&url), &["SQL_ASCII", "UTF8"]).await;
    let drop = format!("DROP DATABASE {ascii}");
    sql::run(&mut connection, &drop).await;
    assert_eq!(
        sql::number(db.pool(), TABLES).await,
        0,
        "nothing is half-made"
    );
}

#[tokio::test]
async fn a_second_portal_on_a_private_directory_is_refused_and_harms_nothing() {
    let scratch = scratch();
    let dir = scratch.path().join("data");
    let portal = Portal::start(&private(&dir), &scratch.path().join("log")).await;
    refused(&private(&dir), &["another portal", "PIC_DATA_DIR"]).await;
    let id = submission_id();
    let fields = request(&id, &[("sip.contoso.com", "contoso.com")]);
    let sent = portal.post("/requests/new", &fields).await.unwrap();
    assert_eq!(sent.status, StatusCode::SEE_OTHER);
    portal.stop().await;
}

/// The portal run by an ordinary user: the build directory may be closed to that user.
fn as_ordinary_user(scratch: &Path, settings: &[(&str, &str)]) -> Command {
    let copy: PathBuf = scratch.join("pic-portal");
    fs::copy(program(), &copy).unwrap();
    let mut command = command(&copy, settings);
    if geteuid().is_root() {
        let nobody = User::from_name("nobody").unwrap().unwrap();
        command.uid(nobody.uid.as_raw()).gid(nobody.gid.as_raw());
    }
    command
}

#[tokio::test]
async fn a_directory_that_cannot_be_used_is_told() {
    let scratch = scratch();
    let closed = scratch.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o555)).unwrap();
    let dir = closed.join("data");
    let said = refusal(&mut as_ordinary_user(scratch.path(), &private(&dir)), 1).await;
    for word in ["cannot use", dir.to_str().unwrap(), "PIC_DATA_DIR"] {
        assert!(said.contains(word), "{word}: {said}");
    }
    assert_eq!(fs::read_dir(&closed).unwrap().count(), 0);

    let data = scratch.path().join("other");
    fs::create_dir_all(data.join("pgdata")).unwrap();
    fs::write(data.join("pgdata/PG_VERSION"), "99\n").unwrap();
    refused(&private(&data), &["PostgreSQL 99", "newest installed"]).await;
}
