//! Checks that a backup is complete, holds no contacts and comes back elsewhere, and that the private
//! PostgreSQL moves to a newer version.

use std::{
    collections::BTreeSet,
    env, fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Output,
    sync::{Arc, Mutex},
};

use axum::http::StatusCode;
use pic_portal::db::{MIGRATOR, PgPool, private::PORTAL_DATABASE};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    retention::plant,
    support::{
        app::{EMPTY, request, submission_id},
        assert_says,
        db::{TestDb, tool},
        eventually,
        process::{Portal, command, exchange, post, program, scratch},
        server::running_server,
        sql,
    },
};

async fn run(settings: &[(&str, &str)], arguments: &[&str]) -> Output {
    let mut command = command(&program(), settings);
    command.args(arguments).output().await.unwrap()
}

/// Runs a command that succeeds, and returns what it says.
async fn said(settings: &[(&str, &str)], arguments: &[&str]) -> String {
    let output = run(settings, arguments).await;
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a command that fails, and returns why.
async fn refused(settings: &[(&str, &str)], arguments: &[&str]) -> String {
    let output = run(settings, arguments).await;
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// What is in a backup, as SQL. Each archive has a random word of its own in two lines.
fn text(file: &Path) -> String {
    let pg_restore = tool("pg_restore").expect("make tools-test installs it");
    let read = std::process::Command::new(pg_restore)
        .args(["-f", "-"])
        .arg(file)
        .output();
    let text = String::from_utf8(read.unwrap().stdout).unwrap();
    let lines = text.lines().filter(|line| !line.contains("restrict "));
    lines.collect::<Vec<_>>().join("\n")
}

/// Submits without a pause until `stop`, by eight clients; collects the references of what was
/// acknowledged.
fn load(portal: &Portal, stop: &CancellationToken) -> (JoinSet<()>, Arc<Mutex<BTreeSet<String>>>) {
    let stored = Arc::new(Mutex::new(BTreeSet::new()));
    let mut clients = JoinSet::new();
    for _ in 0..8 {
        let (address, stop, stored) = (portal.address, stop.clone(), stored.clone());
        clients.spawn(async move {
            while !stop.is_cancelled() {
                let id = submission_id();
                let domain = format!("d{id}.example");
                let fields = request(&id, &[("sip.contoso.com", &domain)]);
                let answer = post(address, "/requests/new", &fields).await.unwrap();
                stored.lock().unwrap().insert(answer.reference());
            }
        });
    }
    (clients, stored)
}

async fn gateway(portal: &Portal, token: &str, path: &str) -> (StatusCode, Value) {
    let header = ("authorization", format!("Bearer {token}"));
    let headers = [(header.0, header.1.as_str())];
    let answer = exchange(portal.address, "GET", path, &headers, "").await;
    let answer = answer.unwrap();
    (answer.status, serde_json::from_str(&answer.body).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_under_load_comes_back_elsewhere_without_contacts() {
    let scratch = scratch();
    let path = |name: &str| scratch.path().join(name).to_str().unwrap().to_owned();
    let (here, there) = (path("here"), path("there"));
    let (here, there) = ([("PIC_DATA_DIR", &*here)], [("PIC_DATA_DIR", &*there)]);
    let portal = Portal::start(&here, &scratch.path().join("log")).await;
    let server = running_server(here[0].1.as_ref()).unwrap();
    let pool = PgPool::new(server.database(PORTAL_DATABASE), 5);
    let token = said(&here, &["gateway", "add", "gw1"]).await;
    let token = token.split_whitespace().last().unwrap();
    plant(&pool, "planted", 100).await;
    let older = "CREATE TABLE customer (email text); INSERT INTO customer VALUES ('planted@aviary.example')";
    sql::run(&pool, older).await;

    let stop = CancellationToken::new();
    let (mut clients, stored) = load(&portal, &stop);
    eventually("there is something to back up", async || {
        (stored.lock().unwrap().len() > 100).then_some(())
    })
    .await;
    let before = stored.lock().unwrap().clone();
    let file = path("backup");
    let told = said(&here, &["backup", &file]).await;
    stop.cancel();
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }
    let after = stored.lock().unwrap().len();
    assert!(after > before.len(), "it was loaded meanwhile");
    assert_says(&told, "checked: it was restored");
    assert_says(&told, "table \"public\".\"customer\"");
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let note = fs::read(Path::new(here[0].1).join("backup.json")).unwrap();
    let note: Value = serde_json::from_slice(&note).unwrap();
    assert_eq!(note["bytes"], fs::metadata(&file).unwrap().len());
    let text_of_file = text(file.as_ref());
    assert!(
        text_of_file.contains("COPY public.request "),
        "the eye is sharp"
    );
    for planted in ["planted", "aviary", "Canary", "20 7946"] {
        assert!(!text_of_file.contains(planted), "{planted}");
    }
    let (status, published) = gateway(&portal, token, "/gateway/routes").await;
    assert_eq!(status, StatusCode::OK);
    let again = refused(&here, &["backup", &file]).await;
    assert_says(&again, "No file is overwritten");
    let full = refused(&here, &["restore", &file]).await;
    assert_says(&full, "the database is not empty");
    pool.close().await;
    portal.stop().await;

    said(&there, &["restore", &file]).await;
    let copy = path("copy");
    said(&there, &["backup", &copy]).await;
    let text_of_copy = text(copy.as_ref());
    let difference = text_of_file
        .lines()
        .zip(text_of_copy.lines())
        .find(|(one, other)| one != other);
    assert_eq!(difference, None);
    let portal = Portal::start(&there, &scratch.path().join("log2")).await;
    for reference in &before {
        let page = portal.get(&format!("/requests/{reference}")).await.unwrap();
        assert_eq!(page.status, StatusCode::OK, "{reference}");
    }
    // What was published after the backup is unknown to the restored database.
    let version = published["version"].as_str().unwrap();
    let changes = format!("/gateway/changes?since={version}");
    assert_eq!(gateway(&portal, token, &changes).await.0, StatusCode::GONE);
    portal.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_of_the_operator_is_backed_up_and_restored_alike() {
    let (full, empty) = (TestDb::fresh(&MIGRATOR).await, TestDb::fresh(&EMPTY).await);
    let (full_url, empty_url) = (full.url(), empty.url());
    let home = scratch();
    let of = |url| {
        [
            ("DATABASE_URL", url),
            ("PIC_ALLOW_UNSAFE_DATABASE", "true"),
            ("XDG_DATA_HOME", home.path().to_str().unwrap()),
        ]
    };
    let file = home.path().join("backup");
    let file = file.to_str().unwrap();
    said(&of(&full_url), &["backup", file]).await;
    let secret = "SELECT encode(value, 'hex') FROM secret";
    let at = |url| ["psql", "--", "-Atc", url];
    let kept = said(&of(&full_url), &at(secret)).await;
    sql::run(empty.pool(), "DROP TABLE _sqlx_migrations").await;

    let nothing = home.path().join("nothing");
    let told = refused(&of(&empty_url), &["backup", nothing.to_str().unwrap()]).await;
    assert!(told.contains("tables are not in this database"), "{told}");
    assert!(!nothing.exists());
    let broken = home.path().join("broken");
    let bytes = fs::read(file).unwrap();
    // PostgreSQL 18 repeats the list of what there is at the end, and restores without it.
    fs::write(&broken, &bytes[..bytes.len() / 3]).unwrap();
    let told = refused(&of(&empty_url), &["restore", broken.to_str().unwrap()]).await;
    assert_says(&told, "pg_restore failed");
    said(&of(&empty_url), &["restore", file]).await;
    assert_eq!(said(&of(&empty_url), &at(secret)).await, kept);
}

#[tokio::test]
async fn no_command_makes_a_private_postgresql_that_it_finds_nothing_in() {
    let scratch = scratch();
    let nowhere = scratch.path().join("nowhere");
    let file = scratch.path().join("backup");
    let settings = [("PIC_DATA_DIR", nowhere.to_str().unwrap())];
    for command in [
        &["backup", file.to_str().unwrap()][..],
        &["psql", "--", "-c", "SELECT 1"],
        &["staff", "list"],
        &["gateway", "list"],
        &["sweep"],
        &["doctor"],
    ] {
        let told = refused(&settings, command).await;
        assert!(
            told.contains("there is no private PostgreSQL in"),
            "{command:?}: {told}"
        );
    }
    assert!(!nowhere.exists() && !file.exists());
}

/// Where a newer PostgreSQL than the one in use is for this test: `PIC_NEWER_POSTGRES`.
fn newer() -> Option<PathBuf> {
    env::var_os("PIC_NEWER_POSTGRES").map(PathBuf::from)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_move_to_the_newest_version_that_is_installed() {
    let scratch = scratch();
    let dir = scratch.path().join("data");
    let settings = [("PIC_DATA_DIR", dir.to_str().unwrap())];
    let portal = Portal::start(&settings, &scratch.path().join("log")).await;
    let stop = CancellationToken::new();
    let (mut clients, stored) = load(&portal, &stop);
    eventually("there is something to move", async || {
        (stored.lock().unwrap().len() > 100).then_some(())
    })
    .await;
    stop.cancel();
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }
    let major = || fs::read_to_string(dir.join("pgdata/PG_VERSION")).unwrap();
    let before = major();
    let runs = refused(&settings, &["restore", "/nowhere"]).await;
    assert_says(&runs, "cannot use /nowhere");
    let Some(newer) = newer() else {
        let told = said(&settings, &["upgrade"]).await;
        assert_says(&told, "nothing to do");
        portal.stop().await;
        assert_eq!(major(), before);
        return;
    };
    let search = env::join_paths([newer, "/usr/bin".into()]).unwrap();
    let settings = [settings[0], ("PATH", search.to_str().unwrap())];
    let runs = refused(&settings, &["upgrade"]).await;
    assert_says(&runs, "already runs");
    portal.stop().await;
    let told = said(&settings, &["upgrade"]).await;
    assert_says(&told, "moved and compared");
    assert_ne!(major(), before);
    let old = format!("pgdata.{}", before.trim());
    assert_eq!(
        fs::read_to_string(dir.join(old).join("PG_VERSION")).unwrap(),
        before
    );
    let portal = Portal::start(&settings, &scratch.path().join("log2")).await;
    let stored = stored.lock().unwrap().clone();
    for reference in &stored {
        let page = portal.get(&format!("/requests/{reference}")).await.unwrap();
        assert_eq!(page.status, StatusCode::OK, "{reference}");
    }
    portal.stop().await;
}
