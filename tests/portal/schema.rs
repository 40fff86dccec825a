//! Checks that SQL itself enforces the rules, whatever program writes.

mod names;

use std::{collections::BTreeSet, fs, path::Path};

use pic_portal::{
    db::{Database, MIGRATOR, OpenError, Opening},
    readiness::Code,
    request::EventCode,
};
use sqlx::{
    AssertSqlSafe, Connection as _, PgConnection, Row as _,
    migrate::{Migration, Migrator},
    postgres::PgDatabaseError,
};

use crate::support::{
    app::{EMPTY, TestApp, WAITS},
    db::TestDb,
    sql,
};

/// The rows of `tests/portal/schema` for this migration: what a database holds of it when the next one comes.
fn rows(migration: &Migration) -> String {
    let name = format!(
        "{:04}_{}.sql",
        migration.version,
        migration.description.replace(' ', "_")
    );
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/portal/schema")
        .join(&name);
    fs::read_to_string(path).unwrap_or_else(|_| panic!("no rows for {name} in tests/portal/schema"))
}

/// An agent, a reader and an action of the agent, in addition to [`DATA`]; only the newest schema
/// has them.
async fn with_rows() -> TestDb {
    let db = TestDb::fresh(&MIGRATOR).await;
    for migration in MIGRATOR.iter() {
        let rows = sqlx::raw_sql(AssertSqlSafe(rows(migration)));
        rows.execute(db.pool()).await.unwrap();
    }
    db
}

/// A request 4 of service 2 with what `parts` insert for `id`, as one statement.
fn request(kind: &str, parts: &str) -> String {
    let deployment = if kind == "cancel" { "NULL" } else { "'split'" };
    format!(
        "WITH new AS (
             INSERT INTO request (service_id, submitted_at, reference, kind, deployment, content_hash)
             SELECT 2, pic_now(), 'PIC-0000-0000-0000-0004', '{kind}', {deployment}, substr(sha256('4'), 1, 8) RETURNING id)
         {parts} SELECT FROM new"
    )
}

/// Routes of it: edge, place, domain.
fn routes(wanted: &str) -> String {
    format!(
        ", route AS (INSERT INTO request_route SELECT id, edge, place, CASE place WHEN 1 THEN 'sip.e' || edge || '.example' END, name
                     FROM new, (VALUES {wanted}) AS d (edge, place, name))"
    )
}

/// The constraint that a statement breaks; the statement is rolled back. `None`: it breaks none.
async fn broken(connection: &mut PgConnection, sql: &str) -> Option<String> {
    let mut transaction = connection.begin().await.unwrap();
    let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(&mut *transaction)
        .await;
    transaction.rollback().await.unwrap();
    let error = done.err()?;
    let answer = error.as_database_error().expect("PostgreSQL says no");
    let answer: &PgDatabaseError = answer.downcast_ref();
    // Some errors have no constraint's name: those of triggers and missing values have a text.
    Some(answer.constraint().unwrap_or(answer.message()).to_owned())
}

#[tokio::test]
async fn what_breaks_a_rule_is_refused_by_the_rules_name() {
    let db = with_rows().await;
    let mut connection = db.pool().acquire().await.unwrap();
    let lines = include_str!("schema/refused.sql").lines();
    for line in lines.filter(|line| !line.is_empty() && !line.starts_with("--")) {
        let (sql, rule) = line.split_once("; --> ").expect("a rule for each");
        let broken = broken(&mut connection, sql).await;
        assert_eq!(broken.as_deref(), Some(rule), "{sql}");
    }
}

#[tokio::test]
async fn a_request_is_whole_or_refused() {
    let db = with_rows().await;
    let mut connection = db.pool().acquire().await.unwrap();
    let ten = routes(
        "(1, 1, 'a.example'), (2, 1, 'b.example'), (3, 1, 'c.example'), (4, 1, 'd.example'), (5, 1, 'e.example'),
         (6, 1, 'f.example'), (7, 1, 'g.example'), (8, 1, 'h.example'), (9, 1, 'i.example'), (10, 1, 'j.example')",
    );
    let many = |count| {
        format!(
            ", route AS (INSERT INTO request_route SELECT id, 1 + n / 1000, 1 + n % 1000, CASE n % 1000 WHEN 0 THEN 'sip.e' || n / 1000 || '.example' END, 'd' || n || '.example'
                         FROM new, generate_series(0, {count} - 1) AS n)"
        )
    };
    let update = |wanted| request("update", &routes(wanted));
    let cases: Vec<(String, Option<&str>)> = vec![
        (request("update", &ten), None),
        (request("update", &many(1000)), None),
        (request("update", &many(1001)), Some("request_whole")),
        (
            request("initiate", "")
                .replacen("(service_id", "(id, service_id", 1)
                .replacen("SELECT 2", "OVERRIDING SYSTEM VALUE SELECT 99, 99", 1),
            Some("request_service"),
        ),
        (request("initiate", ""), Some("request_makes_service")),
        (request("update", ""), Some("request_whole")),
        (update("(2, 2, 'a.example')"), Some("request_route_edges")),
        (request("cancel", ""), None),
        (request("cancel", &many(1)), Some("request_whole")),
        (
            update("(1, 1, 'sip.e1.example')"),
            Some("request_domain_is_no_host"),
        ),
        (
            // The edge of the other domain.
            update("(1, 1, 'sip.e2.example'), (2, 1, 'b.example')"),
            Some("request_domain_is_no_host"),
        ),
        (
            update("(1, 1, 'a.example'), (11, 1, 'b.example')"),
            Some("request_route_ten_edges"),
        ),
        (
            update("(1, 1, 'a.example'), (2, 1, 'a.example')"),
            Some("request_route_once"),
        ),
        (
            // Service 1 has a pending one already, which made it.
            request("cancel", "").replacen("SELECT 2", "SELECT 1", 1),
            Some("request_one_pending"),
        ),
        (
            format!(
                "{}; {}",
                request("cancel", ""),
                request("cancel", "").replace("0004", "0005")
            ),
            Some("request_one_pending"),
        ),
    ];
    for (sql, rule) in &cases {
        assert_eq!(
            broken(&mut connection, sql).await.as_deref(),
            *rule,
            "{sql}"
        );
    }
}

#[tokio::test]
async fn everything_has_a_comment() {
    let db = TestDb::fresh(&MIGRATOR).await;
    // sqlx's own table of migrations is excluded.
    let bare = sql::all::<String>(
        db.pool(),
        "SELECT c.relname || coalesce('.' || a.attname, '') FROM pg_class c
         LEFT JOIN LATERAL (
             SELECT attname, attnum FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped
             UNION ALL SELECT NULL, 0
         ) a ON true
         WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm')
           AND c.relname <> '_sqlx_migrations' AND col_description(c.oid, a.attnum) IS NULL
           AND NOT (a.attnum = 0 AND obj_description(c.oid, 'pg_class') IS NOT NULL)
         UNION ALL
         SELECT proname::text FROM pg_proc
         WHERE pronamespace = 'public'::regnamespace AND obj_description(oid, 'pg_proc') IS NULL
         UNION ALL
         SELECT typname::text FROM pg_type
         WHERE typnamespace = 'public'::regnamespace AND typtype = 'd' AND obj_description(oid, 'pg_type') IS NULL",
    )
    .await;
    assert!(bare.is_empty(), "without a comment: {bare:?}");
    let commented = "SELECT count(*)::text FROM pg_description d JOIN pg_class c ON c.oid = d.objoid
                     WHERE c.relnamespace = 'public'::regnamespace AND c.relname <> '_sqlx_migrations'";
    let commented: usize = sql::all::<String>(db.pool(), commented).await[0]
        .parse()
        .unwrap();
    assert!(commented > 50, "there is something to comment");
}

#[tokio::test]
async fn every_constraint_and_index_is_named_after_its_table() {
    let db = TestDb::fresh(&MIGRATOR).await;
    let odd = sql::all::<String>(
        db.pool(),
        "SELECT t.relname || ': ' || k.conname FROM pg_constraint k JOIN pg_class t ON t.oid = k.conrelid
         WHERE t.relnamespace = 'public'::regnamespace AND t.relname <> '_sqlx_migrations'
           AND k.contype <> 'n' AND NOT starts_with(k.conname, t.relname || '_')
         UNION ALL
         SELECT t.relname || ': ' || i.relname FROM pg_index x
         JOIN pg_class t ON t.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid
         WHERE t.relnamespace = 'public'::regnamespace AND t.relname <> '_sqlx_migrations'
           AND NOT starts_with(i.relname, t.relname || '_')
         UNION ALL
         SELECT y.typname || ': ' || k.conname FROM pg_constraint k JOIN pg_type y ON y.oid = k.contypid
         WHERE y.typnamespace = 'public'::regnamespace AND NOT starts_with(k.conname, y.typname || '_')",
    )
    .await;
    assert!(odd.is_empty(), "named otherwise: {odd:?}");
    // Names that PostgreSQL generates end in the kind; only primary keys may have them.
    let made_up = sql::all::<String>(
        db.pool(),
        "SELECT conname::text FROM pg_constraint
         WHERE connamespace = 'public'::regnamespace AND conname <> '_sqlx_migrations_pkey'
           AND contype <> 'n' AND conname ~ '_(check|key|fkey|excl)[0-9]*$'",
    )
    .await;
    assert!(made_up.is_empty(), "without a name of its own: {made_up:?}");
}

/// The migrations up to and including `version`.
fn up_to(version: i64) -> Migrator {
    let migrations = MIGRATOR.iter().filter(|m| m.version <= version).cloned();
    let mut migrator = Migrator::with_migrations(migrations.collect());
    migrator.ignore_missing = true;
    migrator.locking = false;
    migrator
}

#[tokio::test]
async fn migrations_follow_each_other_onto_data() {
    let db = TestDb::fresh(&EMPTY).await;
    let mut connection = db.pool().acquire().await.unwrap();
    for migration in MIGRATOR.iter() {
        up_to(migration.version)
            .run_direct(None, &mut *connection, false)
            .await
            .unwrap_or_else(|error| panic!("{}: {error}", migration.description));
        let rows = sqlx::raw_sql(AssertSqlSafe(rows(migration)));
        rows.execute(&mut *connection).await.unwrap();
    }
    drop(connection);
    let data =
        "SELECT (SELECT count(*) FROM service)::text UNION ALL SELECT count(*)::text FROM request
                UNION ALL SELECT count(*)::text FROM route";
    assert_eq!(sql::all::<String>(db.pool(), data).await, ["3", "3", "1"]);
    // The portal works on it: pending requests are settled, and the others are left alone.
    let worker = pic_portal::provisioning::worker::Worker::new(
        db.pool().clone(),
        WAITS,
        pic_portal::db::notify::Notifier::default(),
    );
    assert_eq!(worker.drain().await.unwrap().provisioned, 1);
    let row = sqlx::query("SELECT string_agg(state, ' ' ORDER BY id) FROM request")
        .fetch_one(db.pool())
        .await
        .unwrap();
    let states: String = row.get(0);
    assert_eq!(states, "provisioned provisioned rejected");
}

#[tokio::test]
async fn what_a_claim_changes_stands_in_no_index() {
    let portal = TestApp::new().await;
    portal.store(1).await;
    let indexed = sql::all::<String>(
        portal.pool(),
        "SELECT a.attname::text FROM pg_index x
         CROSS JOIN LATERAL pg_get_indexdef(x.indexrelid) AS said
         JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum > 0
         WHERE x.indrelid = 'work'::regclass AND said ~ ('\\m' || a.attname || '\\M')",
    )
    .await;
    assert!(indexed.iter().any(|column| column == "due_at"));
    assert!(
        !indexed.iter().any(|column| column.starts_with("lease")),
        "{indexed:?}"
    );
}

#[tokio::test]
async fn a_database_of_a_development_version_is_refused_with_what_to_do() {
    let db = TestDb::fresh(&MIGRATOR).await;
    // Its first file had the same number and other contents.
    sql::run(
        db.pool(),
        "UPDATE _sqlx_migrations SET checksum = sha384('other') WHERE version = 1",
    )
    .await;
    let opening = Opening {
        pool: 1,
        allow_unsafe: true,
    };
    let refused = Database::open(db.options(), &opening).await.unwrap_err();
    assert!(matches!(refused, OpenError::Development), "{refused}");
    let line = refused.to_string();
    assert!(
        line.contains("development version")
            && line.contains("DATABASE_URL")
            && !line.contains('\n'),
        "{line}"
    );
}

#[tokio::test]
async fn the_lists_of_codes_are_those_of_the_catalogues() {
    let portal = TestApp::new().await;
    let allowed = async |constraint: &str| -> BTreeSet<String> {
        let definition: String = sqlx::query_scalar(
            "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = $1",
        )
        .bind(constraint)
        .fetch_one(portal.pool())
        .await
        .unwrap();
        let quoted = definition.split('\'').skip(1).step_by(2);
        quoted.map(str::to_owned).collect()
    };
    let codes = Code::ALL.iter().map(|code| code.as_str().to_owned());
    assert_eq!(allowed("finding_code").await, codes.collect());
    // Provisioned is told by the row of the request.
    let events = EventCode::ALL
        .iter()
        .filter(|&&code| code != EventCode::Provisioned);
    let events = events.map(|code| code.as_str().to_owned());
    assert_eq!(allowed("event_code").await, events.collect());
}
