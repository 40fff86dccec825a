//! Checks that an address, a name or a telephone number leaves no trace, wherever people put it.
//!
//! Unique marks, in several forms, are put everywhere a person, a program or an older system can
//! put data, into the real process at its most verbose log level. After one sweep, with everything
//! still running, they are searched for in every table, in what `pg_dump` writes, in both logs, in
//! the pages and metrics, and in every byte of the server's directory.

mod commands;
mod places;

use std::time::Duration;
use std::{
    fs,
    path::Path,
    process::Command,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use axum::http::StatusCode;
use futures_util::StreamExt as _;
use pic_portal::db::PgPool;
use pic_portal::db::private::{PORTAL_DATABASE, PORTAL_USER};

use self::places::Places;
use crate::support::{
    app::{Answer, everything, request, submission_id},
    assert_says,
    db::tool,
    eventually,
    process::{Portal, command, exchange, program, scratch},
    server::running_server,
    sql,
};

/// Something that may be stored, to prove that the search works.
const KNOWN: &str = "well-known.example";
/// The least number of marks that are planted.
const PLANTED: usize = 10_000;
/// How many of them are in `legacy_contact`.
const LEGACY: i64 = 7_500;

/// The marks, and the forms in which they are typed.
struct Canary {
    /// What all forms have in common, in lower case: each contains one of these.
    marks: Vec<String>,
    forms: Vec<String>,
}

impl Canary {
    fn new() -> Self {
        let mark = format!("canary{}", &submission_id()[..8]);
        let name = format!("Xanthippe{}", &submission_id()[..8]);
        let digits: String = uuid::Uuid::new_v4().as_u128().to_string()[..12].to_owned();
        let (area, number) = digits.split_at(4);
        let plain = format!("{mark}@aviary.example");
        let forms = vec![
            plain.clone(),
            plain.to_uppercase(),
            plain.replace('@', "%40"),
            plain.replace('@', "%2540"),
            format!("sip:{plain}"),
            format!("mailto:{plain}?subject={mark}"),
            format!("{mark}@xn--{mark}-4ya.example"),
            format!("{mark}@{mark}ö.example"),
            format!("{KNOWN}, <{plain}>"),
            format!("\"{mark}\" <{plain}>"),
            format!("'; {plain} --"),
            format!("{plain}\u{0}"),
            format!("{name} Müller"),
            format!("{}, DR.", name.to_uppercase()),
            format!("+44 {area} {number}"),
            format!("tel:+44-{area}-{number}"),
            format!("(0{area}) {number}/{digits}"),
            format!("0{area} {number}"),
            format!("Tel. 0{area} {number}"),
            format!(
                "{} {} {}{}",
                &number[..3],
                &number[3..6],
                &number[6..],
                &area[..2]
            ),
            format!("{name} Mustermann"),
            format!("{mark} at aviary dot example"),
        ];
        let marks = vec![mark, name.to_lowercase(), number.to_owned()];
        Self { marks, forms }
    }

    /// Every mark as text, and as the hexadecimal digits of its bytes.
    fn written(&self) -> Vec<String> {
        let hex = |mark: &String| data_encoding::HEXLOWER.encode(mark.as_bytes());
        self.marks
            .iter()
            .cloned()
            .chain(self.marks.iter().map(hex))
            .collect()
    }

    /// Whether any of them is in `text`.
    fn is_in(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        self.written().iter().any(|mark| text.contains(mark))
    }
}

/// The files below `dir` that contain `mark`, in any case.
pub(crate) fn files(dir: &Path, mark: &str) -> Vec<String> {
    let found = Command::new("grep")
        .args(["-r", "-l", "-a", "-i", "-F", "-e", mark])
        .arg(dir)
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    // 1: nothing is found; 2: a file could not be read, or no longer exists.
    let gone = String::from_utf8(found.stderr).unwrap();
    assert!(
        gone.lines()
            .all(|line| line.ends_with("No such file or directory")),
        "{gone}"
    );
    let names = String::from_utf8(found.stdout).unwrap();
    names.lines().map(str::to_owned).collect()
}

/// What PostgreSQL's own tools see of the private server in `dir`.
fn dumped(dir: &Path) -> String {
    let file = fs::read_to_string(dir.join("pgdata/postmaster.pid")).unwrap();
    let sockets = file.lines().nth(4).unwrap();
    let program = tool("pg_dump").expect("pg_dump is missing: make tools-test installs it");
    let dump = Command::new(program)
        .args(["-h", sockets, "-U", PORTAL_USER, PORTAL_DATABASE])
        .output()
        .unwrap();
    assert!(dump.status.success(), "{dump:?}");
    String::from_utf8(dump.stdout).unwrap()
}

/// Writes contact rows of an older system: committed, deleted, changed, never committed.
async fn into_legacy_contact(pool: &PgPool, canary: &Canary) {
    let insert = "INSERT INTO legacy_contact (email, name, phone, source)
        SELECT ($1::text[])[1 + n % cardinality($1)], ($1::text[])[1 + (n + 1) % cardinality($1)], ($1::text[])[1 + (n + 2) % cardinality($1)],
               repeat(($1::text[])[1 + n % cardinality($1)], (1 + (n % 100 / 99) * 500)::int)
        FROM generate_series(1, $2) AS n";
    let forms: Vec<String> = canary
        .forms
        .iter()
        .map(|form| form.replace('\0', ""))
        .collect();
    sqlx::query(insert)
        .bind(&forms)
        .bind(LEGACY)
        .execute(pool)
        .await
        .unwrap();
    let mut undone = pool.begin().await.unwrap();
    sqlx::query(insert)
        .bind(&forms)
        .bind(500_i64)
        .execute(&mut *undone)
        .await
        .unwrap();
    undone.rollback().await.unwrap();
    sql::run(
        pool,
        "UPDATE legacy_contact SET email = upper(email) WHERE ctid < '(10,0)';
         DELETE FROM legacy_contact WHERE ctid < '(5,0)'; ANALYZE",
    )
    .await;
}

/// Writes everything that PostgreSQL has in memory to disk, including unlogged tables.
async fn flush(pool: &PgPool) {
    sqlx::raw_sql("CREATE DATABASE flush TEMPLATE template0 STRATEGY FILE_COPY")
        .execute(&pool.clone().within(Duration::from_mins(2)))
        .await
        .unwrap();
    sql::run(pool, "DROP DATABASE flush").await;
}

/// Submits a valid request.
async fn submitted(portal: &Portal) -> Answer {
    let id = submission_id();
    let fields = request(&id, &[("sip.contoso.com", KNOWN)]);
    portal.post("/requests/new", &fields).await.unwrap()
}

/// Sends requests in which the database refuses a statement.
async fn refused_halfway(canary: &Canary, portal: &Portal, pool: &PgPool) {
    sql::run(pool, "ALTER VIEW route RENAME TO gone").await;
    let headers = [
        ("user-agent", canary.forms[0].as_str()),
        ("referer", &canary.forms[0]),
    ];
    let asked = exchange(portal.address, "GET", "/status?q=contoso.com", &headers, "").await;
    assert_eq!(asked.unwrap().status, StatusCode::INTERNAL_SERVER_ERROR);
    sql::run(pool, "ALTER VIEW gone RENAME TO route; ANALYZE").await;
}

/// Searches everything that is stored, with everything running.
async fn assert_nowhere(canary: &Canary, pool: &PgPool, dir: &Path, scratch: &Path) {
    for mark in canary.written().iter().map(String::as_str) {
        let found = files(scratch, mark);
        assert!(found.is_empty(), "{mark}: {found:?}");
    }
    assert!(!files(dir, KNOWN).is_empty(), "the eye is sharp");
    let kept = everything(pool).await;
    assert!(
        kept.contains(KNOWN) && kept.contains("pg_statistic"),
        "the eye is sharp"
    );
    assert!(!canary.is_in(&kept), "a table holds it");
    let dump = dumped(dir);
    assert!(
        dump.contains(KNOWN) && !canary.is_in(&dump),
        "the dump holds it"
    );
    let running: String = sql::one(
        pool,
        "SELECT string_agg(query, ';') FROM pg_stat_activity WHERE pid <> pg_backend_pid()",
    )
    .await;
    assert!(!canary.is_in(&running), "a statement holds it");
    let requests: i64 = sql::one(pool, "SELECT count(*) FROM request").await;
    // Two by the form, one from the export.
    assert_eq!(requests, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_typed_or_lands_anywhere_is_nowhere_one_sweep_later() {
    let (canary, scratch) = (Canary::new(), scratch());
    let (dir, log) = (scratch.path().join("data"), scratch.path().join("log"));
    let settings = [
        ("PIC_DATA_DIR", dir.to_str().unwrap()),
        ("PIC_LOG", "trace"),
        ("PIC_METRICS_LISTEN", "127.0.0.1:0"),
    ];
    let portal = Portal::start(&settings, &log).await;
    let server = running_server(&dir).unwrap().database(PORTAL_DATABASE);
    let pool = PgPool::new(server, 10);
    let sent = submitted(&portal).await;
    let reference = sent.reference();
    // One that stays pending, so that it can be withdrawn.
    let pending = submitted(&portal).await.reference();
    eventually("one is in force, one is held", async || {
        let held = "SELECT count(*) FROM finding";
        let held: i64 = sql::one(&pool, held).await;
        (held == 1).then_some(())
    })
    .await;
    // A session, so that the pages behind it are tried too.
    let receipt = format!("/requests/{reference}/receipt");
    let key = exchange(
        portal.address,
        "GET",
        &receipt,
        &[("cookie", &sent.cookie())],
        "",
    )
    .await
    .unwrap();
    let key = key.attribute("data-management-key").unwrap().to_owned();
    let signed_in = portal
        .post(
            "/service",
            &[("number", "1234567"), ("management_key", &key)],
        )
        .await
        .unwrap();

    let planted = AtomicUsize::new(usize::try_from(LEGACY).unwrap());
    let places = Places {
        address: portal.address,
        reference: &reference,
        pending: &pending,
        session: &signed_in.cookie(),
        planted: &planted,
    };
    futures_util::stream::iter(&canary.forms)
        .for_each_concurrent(4, |typed| places.fill(typed))
        .await;
    into_legacy_contact(&pool, &canary).await;
    let names = commands::as_staff_names(&canary, &settings).await;
    let imported = commands::in_an_export(&canary, &settings).await;
    let numbers = commands::as_agreement_numbers(&canary, &settings).await;
    planted.fetch_add(names + imported + numbers, Relaxed);
    assert!(planted.load(Relaxed) >= PLANTED, "{planted:?}");
    refused_halfway(&canary, &portal, &pool).await;
    flush(&pool).await;
    for mark in &canary.marks {
        assert!(
            !files(&dir, mark).is_empty(),
            "the eye is sharp: what lands is seen"
        );
    }

    let swept = command(&program(), &settings)
        .arg("sweep")
        .output()
        .await
        .unwrap();
    let said = String::from_utf8(swept.stdout).unwrap();
    assert!(
        swept.status.success() && said.contains("nothing remains"),
        "{said}"
    );
    flush(&pool).await;

    assert_nowhere(&canary, &pool, &dir, scratch.path()).await;
    let scrape = commands::metrics(&portal).await;
    assert!(!canary.is_in(&scrape), "a metric holds it: {scrape}");
    for page in places.pages().await {
        assert!(!canary.is_in(&page), "a page holds it: {page}");
    }
    pool.close().await;
    let said = portal.log();
    assert_says(&said, "internal error");
    assert_says(&said, "settled");
    assert!(!canary.is_in(&said), "the portal's log holds it: {said}");
    let said = fs::read_to_string(dir.join("postgres.log")).unwrap();
    assert_says(&said, "ready to accept connections");
    assert!(!canary.is_in(&said), "the server's log holds it: {said}");
    portal.stop().await;
    for mark in canary.written() {
        let found = files(scratch.path(), &mark);
        assert!(found.is_empty(), "once it is stopped, {mark}: {found:?}");
    }
}
