//! Checks that contacts in a restored database are deleted before the portal answers any request.

use std::{
    fs,
    os::unix::{fs::MetadataExt as _, process::CommandExt as _},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use pic_portal::db::PgPool;
use pic_portal::db::{
    MIGRATOR,
    private::{PORTAL_DATABASE, PORTAL_USER},
};

use super::{bytes, plant};
use crate::{
    canary::files,
    support::{
        app::{EMPTY, everything, request, submission_id},
        assert_says,
        db::{TestDb, tool},
        eventually,
        process::{Portal, exchange, on, scratch},
        server::running_server,
        sql,
    },
};

/// The database's URL for PostgreSQL's own tools: without options that only our client knows.
fn for_tools(db: &TestDb) -> String {
    let mut url = url::Url::parse(&db.url()).unwrap();
    let known: Vec<(String, String)> = url
        .query_pairs()
        .filter(|(name, _)| name != "statement-cache-capacity")
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    url.query_pairs_mut().clear().extend_pairs(known);
    url.into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contacts_in_a_dump_are_gone_before_the_first_answer() {
    let (Some(pg_dump), Some(psql)) = (tool("pg_dump"), tool("psql")) else {
        panic!("pg_dump and psql are missing: make tools-test installs them");
    };
    let (before, after, scratch) = (
        TestDb::fresh(&MIGRATOR).await,
        TestDb::fresh(&EMPTY).await,
        scratch(),
    );
    plant(before.pool(), "dumped", 100).await;
    let dumped = Command::new(&pg_dump)
        .arg(for_tools(&before))
        .output()
        .unwrap();
    assert!(dumped.status.success(), "{dumped:?}");
    let dump = String::from_utf8(dumped.stdout).unwrap();
    assert!(
        dump.contains("dumped100@aviary.example"),
        "the eye is sharp"
    );
    let without = Command::new(&pg_dump)
        .args(["--no-unlogged-table-data", &for_tools(&before)])
        .output()
        .unwrap();
    assert!(
        without.status.success()
            && !String::from_utf8(without.stdout)
                .unwrap()
                .contains("dumped")
    );

    // Restores into a completely empty database.
    sql::run(after.pool(), "DROP TABLE _sqlx_migrations").await;
    let file = scratch.path().join("dump.sql");
    fs::write(&file, dump).unwrap();
    let url = after.url();
    let restored = Command::new(&psql)
        .args([
            "-q",
            "-v",
            "ON_ERROR_STOP=1",
            "-f",
            file.to_str().unwrap(),
            &for_tools(&after),
        ])
        .stdout(Stdio::null())
        .output()
        .unwrap();
    assert!(
        restored.status.success(),
        "{}",
        String::from_utf8_lossy(&restored.stderr)
    );
    assert_eq!(
        sql::number(after.pool(), "SELECT count(*) FROM legacy_contact").await,
        100
    );

    // Another session reads the table while the portal starts: it answers no request until that
    // ends.
    let mut reader = after.pool().begin().await.unwrap();
    sql::run(
        &mut *reader,
        "LOCK TABLE legacy_contact IN ACCESS SHARE MODE",
    )
    .await;
    let settings = on(&url);
    let log = scratch.path().join("log");
    let mut starting = Box::pin(Portal::start(&settings, &log));
    tokio::select! {
        _ = &mut starting => panic!("it answers although contacts are there"),
        () = eventually("the failure is recorded", async || {
            let failed = "SELECT count(*) FROM retention_run WHERE cause = 'start' AND fault = 'locked'";
            (sql::number(after.pool(), failed).await > 1).then_some(())
        }) => {}
    }
    assert_eq!(
        sql::number(after.pool(), "SELECT count(*) FROM legacy_contact").await,
        100
    );
    reader.rollback().await.unwrap();
    let portal = starting.await;
    assert_eq!(bytes(after.pool()).await, 0, "before anything was asked");
    assert!(!everything(after.pool()).await.contains("dumped"));
    let page = portal.get("/privacy").await.unwrap();
    page.shows("100 contact rows of an older system");
    page.shows("something, such as a backup, was reading");
    let log = portal.log();
    let refused = "the portal does not listen before that";
    assert_says(&log, refused);
    portal.stop().await;
}

/// Makes a base backup of the private server in `dir`, as the server's own user.
fn base_backup(dir: &Path, to: &Path) {
    let program =
        tool("pg_basebackup").expect("pg_basebackup is missing: make tools-test installs it");
    let file = fs::read_to_string(dir.join("pgdata/postmaster.pid")).unwrap();
    let sockets = file.lines().nth(4).unwrap();
    let owner = fs::metadata(dir.join("pgdata")).unwrap();
    fs::create_dir(to).unwrap();
    let mut command = Command::new(program);
    command
        .args([
            "-h",
            sockets,
            "-U",
            PORTAL_USER,
            "-X",
            "fetch",
            "-c",
            "fast",
            "-D",
        ])
        .arg(to.join("pgdata"))
        .current_dir("/");
    if nix::unistd::geteuid().is_root() {
        std::os::unix::fs::chown(to, Some(owner.uid()), Some(owner.gid())).unwrap();
        command.uid(owner.uid()).gid(owner.gid());
    }
    let made = command.output().unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_base_backup_holds_no_contacts_and_starts_clean() {
    let scratch = scratch();
    let (dir, copy) = (scratch.path().join("data"), scratch.path().join("copy"));
    let settings = [("PIC_DATA_DIR", dir.to_str().unwrap())];
    let portal = Portal::start(&settings, &scratch.path().join("log")).await;
    let server = running_server(&dir).unwrap().database(PORTAL_DATABASE);
    let pool = PgPool::new(server, 10);
    let id = submission_id();
    let fields = request(&id, &[("sip.contoso.com", "in-the-backup.example")]);
    let reference = portal
        .post("/requests/new", &fields)
        .await
        .unwrap()
        .reference();
    plant(&pool, "backedup", 500).await;
    // Only this kind of checkpoint writes unlogged tables to disk; it takes long on a busy disk.
    sqlx::raw_sql("CREATE DATABASE flush TEMPLATE template0 STRATEGY FILE_COPY")
        .execute(&pool.clone().within(Duration::from_mins(2)))
        .await
        .unwrap();
    assert!(!files(&dir, "backedup").is_empty(), "the eye is sharp");
    base_backup(&dir, &copy);
    assert!(
        files(&copy, "backedup").is_empty(),
        "{:?}",
        files(&copy, "backedup")
    );
    assert!(!files(&copy, "in-the-backup.example").is_empty());
    pool.close().await;
    portal.stop().await;

    let settings = [("PIC_DATA_DIR", copy.to_str().unwrap())];
    let portal = Portal::start(&settings, &scratch.path().join("log2")).await;
    let path = format!("/requests/{reference}");
    let page = exchange(portal.address, "GET", &path, &[], "")
        .await
        .unwrap();
    page.shows("in-the-backup.example");
    portal.stop().await;
    assert!(files(&copy, "backedup").is_empty());
}
