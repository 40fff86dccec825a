//! Checks that `pic-portal purge` leaves nothing of an old portal's contacts, and does not touch
//! anything else.

use std::{fs, path::Path, process::Output};

use pic_portal::db::{
    Database, MIGRATOR, Opening,
    private::{Options, PORTAL_DATABASE, PrivatePostgres, ensure_database},
};
use pic_portal::db::{PgPool, Transaction};
use sqlx::{ConnectOptions as _, Connection as _};

use crate::support::{
    app::{TestApp, submission_id},
    assert_says,
    process::{command, program, refused, said, scratch, succeeded},
    sql,
};

/// How many rows of contacts are planted.
const PLANTED: i64 = 10_000;

/// An old portal's table: three columns of contacts, one of them large enough for TOAST, indexed,
/// and analysed, so that the planner's statistics have the most common values.
const OLD: &str = "
    CREATE SCHEMA old;
    CREATE TABLE old.request (
        id int PRIMARY KEY, domain text NOT NULL, contact_name text, \"Contact E-Mail\" text, notes text);
    INSERT INTO old.request
    SELECT n, 'd' || n || '.example', 'MARK-name-' || n, 'MARK-' || n % 50 || '@aviary.example',
           CASE WHEN n % 100 = 0 THEN (SELECT string_agg('MARK-note-' || n * i, ' ') FROM generate_series(1, 900) AS i) END
    FROM generate_series(1, ROWS) AS n;
    ALTER TABLE old.request ALTER notes SET STORAGE EXTERNAL;
    UPDATE old.request SET notes = notes || '.' WHERE notes IS NOT NULL;
    CREATE INDEX by_mail ON old.request (\"Contact E-Mail\");
    CREATE INDEX by_name ON old.request (lower(contact_name));
    -- Few, so that PostgreSQL does not compress them: a compressed mark is not found.
    ALTER TABLE old.request ALTER contact_name SET STATISTICS 5, ALTER \"Contact E-Mail\" SET STATISTICS 5,
                            ALTER notes SET STATISTICS 0;
    ALTER INDEX old.by_name ALTER COLUMN 1 SET STATISTICS 5;
    CREATE STATISTICS old.together (mcv) ON contact_name, \"Contact E-Mail\" FROM old.request;
    ANALYZE old.request;";
const COLUMNS: &str = "old.request(contact_name, \"Contact E-Mail\", notes)";

/// A unique text.
fn mark() -> String {
    format!("canary{}", &submission_id()[..8])
}

fn old(mark: &str, rows: i64) -> String {
    OLD.replace("MARK", mark).replace("ROWS", &rows.to_string())
}

/// Runs `pic-portal purge` on the database at `url`.
async fn purge(url: &str, arguments: &[&str]) -> Output {
    command(&program(), &[("DATABASE_URL", url), ("PIC_LOG", "trace")])
        .arg("purge")
        .args(arguments)
        .output()
        .await
        .unwrap()
}

/// The files below `dir` that contain `mark`.
fn files_with(dir: &Path, mark: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, mark));
        } else if path.is_file() {
            // A file that the server has removed at this moment contains nothing.
            let bytes = fs::read(&path).unwrap_or_default();
            if bytes.windows(mark.len()).any(|w| w == mark.as_bytes()) {
                found.push(path.display().to_string());
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_byte_of_ten_thousand_contacts_is_left_in_the_data_directory() {
    let (mark, scratch) = (mark(), scratch());
    let dir = scratch.path().join("data");
    let options = Options {
        settings: vec![
            ("wal_recycle".into(), "off".into()),
            // So that the planted rows are written to the files soon.
            ("shared_buffers".into(), "1MB".into()),
        ],
        ..Options::throw_away(&dir)
    };
    let server = tokio::task::spawn_blocking(move || PrivatePostgres::start(&options).unwrap());
    let mut server = server.await.unwrap();
    let options = server.connect_options(PORTAL_DATABASE);
    ensure_database(&options).await.unwrap();
    let opening = Opening {
        pool: 3,
        allow_unsafe: true,
    };
    Database::open(options.clone(), &opening).await.unwrap();
    let mut connection = options.connect().await.unwrap();
    sql::run(&mut connection, &old(&mark, PLANTED)).await;
    sql::run(&mut connection, "CHECKPOINT").await;
    let before = files_with(&dir, &mark);
    let statistics = "SELECT pg_relation_filepath('pg_statistic')";
    let statistics: String = sql::one(&mut connection, statistics).await;
    for place in ["/base/", "/pg_wal/", &statistics] {
        assert!(
            before.iter().any(|file| file.contains(place)),
            "planted in {place}: {before:?}"
        );
    }

    let url = options.to_url_lossy();
    let output = purge(url.as_str(), &[COLUMNS, "--yes"]).await;
    let report = succeeded(&output);
    assert!(
        report.contains("10000 rows emptied, 0 with a value remain")
            && report.contains("What the planner knew of the values is gone too")
            && !report.contains("NOT DONE")
            && !report.contains("under new names"),
        "{report}"
    );
    assert!(!said(&output).1.contains(&mark), "{}", said(&output).1);
    let kept = "SELECT count(*) FROM old.request WHERE domain = 'd' || id || '.example'
                AND num_nulls(contact_name, \"Contact E-Mail\", notes) = 3";
    assert_eq!(sql::number(&mut connection, kept).await, PLANTED);
    let after = files_with(&dir, &mark);
    assert!(after.is_empty(), "while the server runs: {after:?}");

    // A whole table is purged in the same way.
    sql::run(&mut connection, "DROP SCHEMA old CASCADE").await;
    sql::run(&mut connection, &old(&mark, PLANTED)).await;
    assert!(!files_with(&dir, &mark).is_empty());
    let report = succeeded(&purge(url.as_str(), &["old.request", "--yes"]).await);
    assert_says(&report, "10000 rows removed, 0 remain");
    let after = files_with(&dir, &mark);
    assert!(after.is_empty(), "while the server runs: {after:?}");
    connection.close().await.unwrap();
    tokio::task::spawn_blocking(move || server.stop())
        .await
        .unwrap();
    let after = files_with(&dir, &mark);
    assert!(after.is_empty(), "after it has stopped: {after:?}");
}

#[tokio::test]
async fn nothing_is_changed_without_a_yes() {
    let portal = TestApp::new().await;
    let mut connection = portal.db().options().connect().await.unwrap();
    sql::run(&mut connection, &old("mark", 100)).await;
    let url = portal.db().url();
    let plan = succeeded(&purge(&url, &[COLUMNS, "--dry-run"]).await);
    for told in [
        "old.request: 100 rows",
        "  contact_name: 100 rows with a value",
        "  \"Contact E-Mail\": 100 rows with a value",
        "  notes: 1 row with a value",
        "old.by_mail, old.by_name, old.request_pkey",
        "ACCESS EXCLUSIVE",
        "Nothing was changed",
    ] {
        assert!(plan.contains(told), "{told}: {plan}");
    }
    let plan = succeeded(&purge(&url, &["old.request", "--dry-run"]).await);
    assert_says(&plan, "100 rows will be removed, which is all of it");
    // There is no terminal to ask at.
    let fault = refused(&purge(&url, &[COLUMNS]).await);
    assert_says(&fault, "no terminal to ask on");
    let filled = "SELECT count(*) FROM old.request WHERE contact_name IS NOT NULL";
    assert_eq!(sql::number(&mut connection, filled).await, 100);

    succeeded(&purge(&url, &["old.request(contact_name)", "--yes"]).await);
    assert_eq!(sql::number(&mut connection, filled).await, 0);
    let others = "SELECT count(*) FROM old.request WHERE \"Contact E-Mail\" IS NOT NULL";
    assert_eq!(sql::number(&mut connection, others).await, 100);
    // Again: there is nothing left to do, and it succeeds all the same.
    let report = succeeded(&purge(&url, &["old.request(contact_name)", "--yes"]).await);
    assert_says(&report, "0 rows emptied, 0 with a value remain");
}

#[tokio::test]
async fn names_are_quoted_by_the_server() {
    let portal = TestApp::new().await;
    let mut connection = portal.db().options().connect().await.unwrap();
    sql::run(&mut connection, r#"CREATE SCHEMA "O'ld "" %s $1";
           CREATE TABLE "O'ld "" %s $1"."Con.tact(%I)" (id int, "e-mail""; DROP TABLE route; --" text, "select" text);
           INSERT INTO "O'ld "" %s $1"."Con.tact(%I)" VALUES (1, 'x', 'y'), (2, NULL, NULL)"#,
    )
    .await;
    let target = r#""O'ld "" %s $1"."Con.tact(%I)"("e-mail""; DROP TABLE route; --","select")"#;
    let report = succeeded(&purge(&portal.db().url(), &[target, "--yes"]).await);
    assert_says(&report, "1 row emptied, 0 with a value remain");
    let left = r#"SELECT count(*) FROM "O'ld "" %s $1"."Con.tact(%I)"
                  WHERE id IS NOT NULL AND "e-mail""; DROP TABLE route; --" IS NULL AND "select" IS NULL"#;
    assert_eq!(sql::number(&mut connection, left).await, 2);
    assert_eq!(
        sql::number(&mut connection, "SELECT count(*) FROM route").await,
        0
    );
}

/// What is refused, and a part of the message.
const REFUSED: &[(&str, &str)] = &[
    ("old.nothing", "no table"),
    ("request", "the portal's own"),
    ("\"public\".request_route(sip_domain)", "the portal's own"),
    ("_sqlx_migrations", "the portal's own"),
    ("pg_catalog.pg_statistic", "PostgreSQL's own"),
    ("information_schema.sql_features", "PostgreSQL's own"),
    ("old.seen", "is a view"),
    ("old.kept", "is a materialised view"),
    ("old.parted", "partitioned"),
    ("old.far", "foreign table"),
    ("old.numbers", "a sequence"),
    ("old.by_mail", "an index"),
    ("old.audited(mail)", "trigger copy_it"),
    ("old.ruled(mail)", "rule copy_it"),
    ("old.person", "constraint of_person of old.post"),
    ("old.person(mail)", "is referred to"),
    ("old.person(nothing)", "no column nothing"),
    ("old.person(id)", "primary key"),
    ("old.person(phone)", "DROP NOT NULL"),
    ("old.person(fax)", "a type that is NOT NULL"),
    ("old.person(upper_mail)", "generated"),
    ("old.reached(mail, phone)", "constraint \"reachable\""),
    ("old.person(", "a column's name is missing"),
];

#[tokio::test]
async fn what_must_not_or_cannot_be_emptied_is_refused() {
    let portal = TestApp::new().await;
    let mut connection = portal.db().options().connect().await.unwrap();
    sql::run(&mut connection, "CREATE SCHEMA old; SET search_path = old;
         CREATE DOMAIN present AS text NOT NULL;
         CREATE TABLE person (id int PRIMARY KEY, mail text UNIQUE, phone text NOT NULL, fax present,
                              upper_mail text GENERATED ALWAYS AS (upper(mail)) STORED);
         INSERT INTO person VALUES (1, 'secret-value', 'secret-value', 'secret-value');
         CREATE INDEX by_mail ON person (mail);
         CREATE TABLE post (mail text, CONSTRAINT of_person FOREIGN KEY (mail) REFERENCES person (mail));
         CREATE VIEW seen AS SELECT * FROM person; CREATE MATERIALIZED VIEW kept AS SELECT * FROM person;
         CREATE TABLE parted (id int) PARTITION BY RANGE (id); CREATE SEQUENCE numbers;
         CREATE FOREIGN DATA WRAPPER far; CREATE SERVER far FOREIGN DATA WRAPPER far;
         CREATE FOREIGN TABLE far (mail text) SERVER far;
         CREATE FUNCTION copy_it() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
         CREATE TABLE audited (mail text);
         CREATE TRIGGER copy_it BEFORE UPDATE ON audited FOR EACH ROW EXECUTE FUNCTION copy_it();
         CREATE TABLE ruled (mail text);
         CREATE RULE copy_it AS ON UPDATE TO ruled DO ALSO INSERT INTO audited VALUES (OLD.mail);
         CREATE TABLE reached (mail text, phone text, CONSTRAINT reachable CHECK (num_nonnulls(mail, phone) > 0));
         INSERT INTO reached VALUES ('secret-value', 'secret-value')",
    )
    .await;
    let before = crate::support::app::everything(portal.pool()).await;
    for (target, part) in REFUSED {
        let output = purge(&portal.db().url(), &[target, "--yes"]).await;
        assert!(!output.status.success(), "{target}");
        let (stdout, stderr) = said(&output);
        assert!(stderr.contains(part), "{target}: {stderr}");
        assert!(!(stdout + &stderr).contains("secret-value"), "{target}");
    }
    for table in portal.all::< String>("SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'").await
    {
        let fault = refused(&purge(&portal.db().url(), &[&table, "--yes"]).await);
        assert!(fault.contains("the portal's own"), "{table}: {fault}");
    }
    let values = |text: &str| text.matches("secret-value").count();
    let after = crate::support::app::everything(portal.pool()).await;
    assert_eq!(values(&before), values(&after));
    assert!(MIGRATOR.iter().count() > 0 && values(&before) > 0);
}

/// Submits `count` requests, each of which must be stored.
async fn submits(portal: &TestApp, count: usize) {
    for _ in 0..count {
        portal.store(1).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn submits_go_on_while_a_table_is_purged() {
    let portal = TestApp::new().await;
    let mut connection = portal.db().options().connect().await.unwrap();
    sql::run(&mut connection, &old("mark", 20_000)).await;
    let url = portal.db().url();
    let purged = tokio::spawn(async move { purge(&url, &[COLUMNS, "--yes"]).await });
    let mut stored = 0;
    while !purged.is_finished() {
        submits(&portal, 10).await;
        stored += 10;
    }
    let report = succeeded(&purged.await.unwrap());
    assert_says(&report, "20000 rows emptied, 0 with a value remain");
    assert_eq!(portal.number("SELECT count(*) FROM request").await, stored);
    assert!(stored > 10, "they ran side by side: {stored}");
}

/// Another session's transaction, which sees the rows as they are now.
async fn looking(pool: &PgPool) -> Transaction {
    let mut transaction = pool.begin().await.unwrap();
    sql::run(
        &mut *transaction,
        "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT FROM old.request LIMIT 1",
    )
    .await;
    transaction
}

#[tokio::test]
async fn others_in_the_way_are_waited_for_and_named_and_the_next_run_finishes() {
    let portal = TestApp::new().await;
    let mut connection = portal.db().options().connect().await.unwrap();
    sql::run(&mut connection, &old("mark", 200)).await;
    let url = portal.db().url();
    let arguments = [COLUMNS, "--yes", "--wait", "1s"];

    // A running dump: a rewrite now would keep the old rows for it.
    let dump = looking(portal.pool()).await;
    let fault = refused(&purge(&url, &arguments).await);
    assert_says(&fault, "may still read the old rows");
    assert_says(&fault, "process ");
    let filled = "SELECT count(*) FROM old.request WHERE contact_name IS NOT NULL";
    assert_eq!(sql::number(&mut connection, filled).await, 0);
    dump.rollback().await.unwrap();

    // Another session that has locked the table.
    let mut holder = portal.pool().begin().await.unwrap();
    sql::run(&mut *holder, "LOCK TABLE old.request IN SHARE MODE").await;
    let fault = refused(&purge(&url, &["old.request", "--yes", "--wait", "1s"]).await);
    assert_says(&fault, "others have held old.request for 1 s");
    holder.rollback().await.unwrap();

    let report = succeeded(&purge(&url, &arguments).await);
    assert_says(&report, "0 rows emptied, 0 with a value remain");
}
