//! Checks that SQL itself enforces the rules, whatever program writes.

mod names;

use std::{collections::BTreeSet, fs, path::Path};

use pic_portal::{
    db::{Database, MIGRATOR, OpenError, Opening, PgPool},
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
             SELECT 2, pic_now(), 'PIC-0000-0000-0000-0004', '{kind}', {deployment}, substr(sha256('4'), 1, 16) RETURNING id)
         {parts} SELECT FROM new"
    )
}

/// Routes of it: edge, place, domain.
fn routes(wanted: &str) -> String {
    format!(
        ", route AS (INSERT INTO request_route SELECT id, edge, place, 'sip.e' || edge || '.example', name
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

/// Statements on [`with_rows`], and what each breaks.
const BREAKS: &[(&str, &str)] = &[
    // Names and numbers.
    (
        "UPDATE route SET sip_domain = 'Contoso.com'",
        "dns_name_form",
    ),
    ("UPDATE route SET sip_domain = 'contoso'", "dns_name_form"),
    (
        "UPDATE route SET sip_domain = 'contoso.com.'",
        "dns_name_form",
    ),
    (
        "UPDATE route SET sip_domain = '-a.example'",
        "dns_name_labels",
    ),
    (
        "UPDATE route SET sip_domain = 'a-.example'",
        "dns_name_labels",
    ),
    (
        "UPDATE route SET sip_domain = 'a_b.example'",
        "dns_name_form",
    ),
    (
        "UPDATE route SET sip_domain = 'ted@contoso.com'",
        "dns_name_form",
    ),
    (
        "UPDATE route SET sip_domain = E'a.example\\nb.example'",
        "dns_name_form",
    ),
    (
        "UPDATE route SET sip_domain = 'münchen.de'",
        "dns_name_form",
    ),
    (
        "UPDATE route SET sip_domain = repeat('a', 64) || '.b'",
        "dns_name_labels",
    ),
    (
        "UPDATE route SET sip_domain = repeat('a.', 126) || 'ab'",
        "dns_name_length",
    ),
    (
        "UPDATE route SET access_edge = 'a b.example'",
        "dns_name_form",
    ),
    (
        "INSERT INTO request_route VALUES (1, 1, 2, '10.0.0.1.', 'more.example')",
        "dns_name_form",
    ),
    (
        "INSERT INTO request_route VALUES (1, 1, 2, 'sip.d1.example', '*.example')",
        "dns_name_form",
    ),
    (
        "UPDATE finding SET subject = 'ted@contoso.com'",
        "dns_name_form",
    ),
    ("UPDATE service SET number = '12-34'", "service_number"),
    ("UPDATE service SET number = 'abc'", "service_number"),
    ("UPDATE service SET number = ''", "service_number"),
    (
        "UPDATE service SET number = repeat('1', 33)",
        "service_number_length",
    ),
    (
        "UPDATE service SET number = 'TED@CONTOSO.COM'",
        "service_number",
    ),
    ("UPDATE service SET number = E'1\\n'", "service_number"),
    (
        "UPDATE service SET number = 'ANNAMUSTERMANN'",
        "service_number_no_name",
    ),
    ("UPDATE service SET number = 'BO'", "service_number_no_name"),
    (
        "UPDATE service SET number = 'ANNA1ATGMAILCOM'",
        "service_number_no_name",
    ),
    ("UPDATE service SET programme = 'oem'", "service_programme"),
    (
        "UPDATE service SET token = 'U000000000000001'",
        "service_token",
    ),
    ("UPDATE service SET token = '1'", "service_token_length"),
    ("UPDATE service SET key_hash = 'short'", "digest_length"),
    // Requests.
    (
        "UPDATE request SET state = 'done', ended_at = pic_now() WHERE id = 1",
        "request_state",
    ),
    (
        "UPDATE request SET kind = 'renew' WHERE id = 1",
        "request_kind",
    ),
    (
        "UPDATE request SET deployment = 'cloud' WHERE id = 1",
        "request_deployment",
    ),
    (
        "UPDATE request SET reference = 'PIC-1' WHERE id = 1",
        "request_reference_form",
    ),
    (
        "UPDATE request SET reference = 'PIC-0000-0000-0000-000U' WHERE id = 1",
        "request_reference_form",
    ),
    (
        "UPDATE request SET reference = 'PIC-0000-0000-0000-0002' WHERE id = 1",
        "request_reference",
    ),
    (
        "UPDATE request SET content_hash = '' WHERE id = 1",
        "half_digest_length",
    ),
    (
        "UPDATE request SET service_id = 9 WHERE id = 1",
        "a request stays with its service",
    ),
    (
        "UPDATE request SET kind = 'update' WHERE id = 1",
        "request_makes_service",
    ),
    ("DELETE FROM request WHERE id = 2", "route_request"),
    ("DELETE FROM service WHERE id = 1", "request_service"),
    (
        "UPDATE service SET id = 9 WHERE id = 1",
        "a service keeps its internal number",
    ),
    // Half-set pairs.
    (
        "UPDATE request SET ended_at = pic_now() WHERE id = 1",
        "request_ended",
    ),
    (
        "UPDATE request SET state = 'provisioned' WHERE id = 1",
        "request_ended",
    ),
    (
        "UPDATE request SET state = 'provisioned', ended_at = pic_now() WHERE id = 1",
        "request_provisioned",
    ),
    (
        "UPDATE request SET provisioned_seq = 2 WHERE id = 1",
        "request_provisioned",
    ),
    (
        "UPDATE request SET state = 'provisioned', ended_at = pic_now(), provisioned_seq = 1 WHERE id = 1",
        "request_provisioned_seq",
    ),
    (
        "UPDATE request SET state = 'rejected', ended_at = pic_now() WHERE id = 1",
        "request_rejected",
    ),
    (
        "UPDATE request SET reason = 'policy' WHERE id = 1",
        "request_rejected",
    ),
    (
        "UPDATE request SET state = 'rejected', reason = 'bored', ended_at = pic_now() WHERE id = 1",
        "request_reason",
    ),
    (
        "UPDATE work SET lease_token = gen_random_uuid()",
        "work_lease",
    ),
    ("UPDATE work SET lease_until = pic_now()", "work_lease"),
    // Final states do not change.
    (
        "UPDATE request SET state = 'pending', ended_at = NULL WHERE id = 2",
        "an ended request does not change",
    ),
    (
        "UPDATE request SET state = 'withdrawn' WHERE id = 2",
        "an ended request does not change",
    ),
    (
        "UPDATE request SET state = 'provisioned', reason = NULL WHERE id = 3",
        "an ended request does not change",
    ),
    (
        "UPDATE request SET deployment = 'split' WHERE id = 3",
        "an ended request does not change",
    ),
    // The timeline.
    (
        "UPDATE event SET code = 'withdrawn'",
        "the timeline is append-only",
    ),
    ("UPDATE event SET at = at", "the timeline is append-only"),
    (
        "UPDATE event SET seq = 2, times = 3, last_at = at",
        "the timeline is append-only",
    ),
    (
        "UPDATE event SET seq = 2, times = 2, last_at = at, code = 'held'",
        "the timeline is append-only",
    ),
    (
        "UPDATE event SET times = 2, last_at = at",
        "the timeline is append-only",
    ),
    (
        "INSERT INTO event (request_id, seq, at, actor, code, times) VALUES (1, 2, pic_now(), 'portal', 'held', 0)",
        "event_times",
    ),
    (
        "INSERT INTO event (request_id, seq, at, actor, code, times) VALUES (1, 2, pic_now(), 'portal', 'held', 2)",
        "event_again",
    ),
    (
        "INSERT INTO event (request_id, seq, at, actor, code, times, last_at)
         VALUES (1, 2, pic_now(), 'portal', 'held', 2, pic_now() - interval '1 s')",
        "event_in_order",
    ),
    (
        "INSERT INTO event SELECT 1, 2, pic_now(), 'portal', 'held' FROM generate_series(1, 2)",
        "event_pkey",
    ),
    (
        "INSERT INTO event VALUES (1, 1, pic_now(), 'portal', 'held')",
        "event_first",
    ),
    (
        "INSERT INTO event VALUES (1, 2, pic_now(), 'portal', 'submitted')",
        "event_first",
    ),
    (
        "INSERT INTO event VALUES (1, 0, pic_now(), 'portal', 'held')",
        "event_seq",
    ),
    (
        "INSERT INTO event VALUES (1, 2, pic_now(), 'Ted', 'held')",
        "event_actor",
    ),
    (
        "INSERT INTO event VALUES (1, 2, pic_now(), 'portal', 'called')",
        "event_code",
    ),
    (
        "INSERT INTO event VALUES (9, 2, pic_now(), 'portal', 'held')",
        "event_request",
    ),
    // Edges and routes of a request.
    (
        "INSERT INTO request_route VALUES (1, 11, 1, 'sip.more.example', 'more.example')",
        "request_route_ten_edges",
    ),
    (
        "INSERT INTO request_route VALUES (1, 0, 1, 'sip.more.example', 'more.example')",
        "request_route_ten_edges",
    ),
    (
        "INSERT INTO request_route VALUES (1, 1, 0, 'sip.d1.example', 'more.example')",
        "request_route_place",
    ),
    (
        "INSERT INTO request_route VALUES (1, 1, 1, 'sip.d1.example', 'more.example')",
        "request_route_pkey",
    ),
    // Another name of an edge, another edge of a name, and one that has no first place.
    (
        "INSERT INTO request_route VALUES (1, 1, 2, 'sip.more.example', 'more.example')",
        "request_route_edges",
    ),
    (
        "INSERT INTO request_route VALUES (1, 2, 1, 'sip.d1.example', 'more.example')",
        "request_route_edges",
    ),
    (
        "INSERT INTO request_route VALUES (1, 2, 2, 'sip.more.example', 'more.example')",
        "request_route_edges",
    ),
    (
        "INSERT INTO request_route VALUES (1, 1, 2, 'sip.d1.example', 'd1.example')",
        "request_route_once",
    ),
    (
        "INSERT INTO request_route VALUES (9, 1, 1, 'sip.more.example', 'more.example')",
        "request_route_request",
    ),
    (
        "UPDATE request_route SET sip_domain = 'more.example'",
        "what a request wants does not change",
    ),
    // Routes in force.
    (
        "INSERT INTO route VALUES ('d2.example', 'sip.d1.example', 1, 1, pic_now())",
        "route_pkey",
    ),
    (
        "INSERT INTO route VALUES ('sip.d1.example', 'sip.d1.example', 1, 1, pic_now())",
        "route_not_to_itself",
    ),
    (
        "INSERT INTO route VALUES ('d1.example', 'sip.d1.example', 9, 1, pic_now())",
        "route_request",
    ),
    (
        "INSERT INTO route VALUES ('d1.example', 'sip.d1.example', 1, 9, pic_now())",
        "route_request",
    ),
    // Findings and work.
    (
        "INSERT INTO finding VALUES (1, 'rumour', 'd1.example', 'ok', pic_now())",
        "finding_code",
    ),
    (
        "INSERT INTO finding VALUES (2, 'domain-held', 'd1.example', 'bad', pic_now())",
        "finding_severity",
    ),
    ("INSERT INTO finding SELECT * FROM finding", "finding_pkey"),
    (
        "INSERT INTO finding VALUES (9, 'domain-held', 'd1.example', 'blocking', pic_now())",
        "finding_request",
    ),
    ("INSERT INTO work VALUES (1, pic_now())", "work_pkey"),
    ("INSERT INTO work VALUES (9, pic_now())", "work_request"),
    ("UPDATE work SET attempts = -1", "work_attempts"),
    // Progress of the checks, and what is watched.
    (
        "UPDATE finding SET expected = 'ted@contoso.com'",
        "evidence_form",
    ),
    (
        "UPDATE finding SET expected = repeat('x', 301)",
        "evidence_length",
    ),
    ("UPDATE finding SET expected = E'a\\nb'", "evidence_form"),
    (
        "UPDATE finding SET found = ARRAY['ted@contoso.com']",
        "evidence_form",
    ),
    (
        "UPDATE finding SET found = array_fill('x'::text, ARRAY[41])",
        "finding_found",
    ),
    ("UPDATE finding SET severity = 'ok'", "finding_gravity"),
    ("UPDATE finding SET code = 'srv-suffix'", "finding_gravity"),
    (
        "INSERT INTO watch VALUES (9, pic_now(), pic_now())",
        "watch_request",
    ),
    (
        "INSERT INTO watch SELECT 2, pic_now(), pic_now() FROM generate_series(1, 2)",
        "watch_pkey",
    ),
    (
        "INSERT INTO watch (request_id, due_at, checked_at, lease_token) VALUES (2, pic_now(), pic_now(), gen_random_uuid())",
        "watch_lease",
    ),
    // Staff.
    (
        "INSERT INTO staff (name, role, password, created_at, password_at) VALUES ('ted@contoso.com', 'agent', '', pic_now(), pic_now())",
        "staff_name_form",
    ),
    (
        "INSERT INTO staff (name, role, password, created_at, password_at) VALUES ('ted', 'agent', 'plain text', pic_now(), pic_now())",
        "staff_password",
    ),
    (
        "UPDATE staff SET name = 'rita' WHERE name = 'anna'",
        "staff_name",
    ),
    ("UPDATE staff SET role = 'owner'", "staff_role"),
    (
        "INSERT INTO staff (name, role, created_at) VALUES ('ted', 'agent', pic_now())",
        "staff_password_or_subject",
    ),
    (
        "UPDATE staff SET subject = sha256('2') WHERE name = 'anna'",
        "staff_password_or_subject",
    ),
    (
        "UPDATE staff SET password_at = NULL WHERE name = 'anna'",
        "staff_password_when",
    ),
    (
        "INSERT INTO staff (name, role, subject, created_at) VALUES ('ted', 'agent', sha256('1'), pic_now())",
        "staff_subject",
    ),
    (
        "INSERT INTO staff (name, role, subject, created_at) VALUES ('ted', 'agent', 'short', pic_now())",
        "digest_length",
    ),
    (
        "INSERT INTO staff_session VALUES (sha256('1'), 1, pic_now(), pic_now(), pic_now() - interval '1 s')",
        "staff_session_confirmed",
    ),
    (
        "INSERT INTO staff_session VALUES (sha256('1'), 1, pic_now(), pic_now(), 'infinity', 'short')",
        "digest_length",
    ),
    (
        "UPDATE staff SET password_at = created_at - interval '1 s'",
        "staff_password_at",
    ),
    (
        "UPDATE staff SET disabled_at = created_at - interval '1 s'",
        "staff_disabled_at",
    ),
    (
        "INSERT INTO staff_session VALUES (sha256('1'), 9, pic_now(), pic_now())",
        "staff_session_staff",
    ),
    (
        "INSERT INTO staff_session VALUES ('short', 1, pic_now(), pic_now())",
        "digest_length",
    ),
    (
        "INSERT INTO staff_session SELECT sha256('1'), 1, pic_now(), pic_now() FROM generate_series(1, 2)",
        "staff_session_pkey",
    ),
    (
        "INSERT INTO staff_session VALUES (sha256('1'), 1, pic_now(), pic_now() - interval '1 h')",
        "staff_session_seen",
    ),
    (
        "INSERT INTO staff_set_up VALUES (false, sha256('1'), pic_now())",
        "staff_set_up_only_one",
    ),
    (
        "INSERT INTO staff_set_up SELECT true, sha256('1'), pic_now() FROM generate_series(1, 2)",
        "staff_set_up_pkey",
    ),
    // The audit.
    ("UPDATE staff_audit SET at = at", "the audit is append-only"),
    (
        "INSERT INTO staff_audit (staff_id, at, action) VALUES (9, pic_now(), 'signed-in')",
        "staff_audit_staff",
    ),
    (
        "INSERT INTO staff_audit (staff_id, at, action) VALUES (1, pic_now(), 'slept')",
        "staff_audit_action",
    ),
    (
        "INSERT INTO staff_audit (staff_id, at, action) VALUES (1, pic_now(), 'looked')",
        "staff_audit_about",
    ),
    (
        "INSERT INTO staff_audit (staff_id, at, action, request_id) VALUES (1, pic_now(), 'signed-in', 1)",
        "staff_audit_about",
    ),
    (
        "INSERT INTO staff_audit (staff_id, at, action, request_id) VALUES (1, pic_now(), 'refused', 1)",
        "staff_audit_why",
    ),
    (
        "INSERT INTO staff_audit (staff_id, at, action, request_id, reason) VALUES (1, pic_now(), 'withdrew', 1, 'policy')",
        "staff_audit_why",
    ),
    (
        "INSERT INTO staff_audit (staff_id, at, action, request_id, reason) VALUES (1, pic_now(), 'refused', 1, 'owner-asked')",
        "staff_audit_refusal",
    ),
    (
        "INSERT INTO staff_audit (staff_id, at, action, request_id, reason) VALUES (1, pic_now(), 'refused', 1, 'bored')",
        "staff_audit_reason",
    ),
    (
        "INSERT INTO staff_audit (staff_id, at, action, request_id) VALUES (1, pic_now(), 'marked', 1)",
        "staff_audit_marks",
    ),
    (
        "INSERT INTO staff_mark VALUES (1, 'ask for Ted', 1, pic_now())",
        "staff_mark_name_listed",
    ),
    (
        "INSERT INTO staff_mark VALUES (2, 'taken', 1, pic_now())",
        "staff_mark_pkey",
    ),
    (
        "INSERT INTO staff_mark VALUES (99, 'called', 1, pic_now())",
        "staff_mark_request",
    ),
    (
        "INSERT INTO staff_mark VALUES (1, 'called', 9, pic_now())",
        "staff_mark_staff",
    ),
    (
        "SELECT pic_mark('PIC-0000-0000-0000-0001', 2, 'called', true)",
        "staff_may",
    ),
    // Events by staff.
    (
        "INSERT INTO event (request_id, seq, at, actor, code, staff_id) VALUES (1, 2, pic_now(), 'portal', 'held', 1)",
        "event_by_staff",
    ),
    (
        "INSERT INTO event (request_id, seq, at, actor, code, staff_id) VALUES (1, 2, pic_now(), 'staff', 'held', 9)",
        "event_staff",
    ),
    (
        "SELECT pic_staff_check('PIC-0000-0000-0000-0001', 2)",
        "staff_may",
    ),
    // The secret.
    (
        "INSERT INTO secret (value) VALUES (sha256('x'))",
        "secret_pkey",
    ),
    (
        "INSERT INTO secret VALUES (false, sha256('x'))",
        "secret_only_one",
    ),
    ("UPDATE secret SET value = 'short'", "secret_length"),
];

#[tokio::test]
async fn what_breaks_a_rule_is_refused_by_the_rules_name() {
    let db = with_rows().await;
    let mut connection = db.pool().acquire().await.unwrap();
    for (sql, rule) in BREAKS {
        let broken = broken(&mut connection, sql).await;
        assert_eq!(broken.as_deref(), Some(*rule), "{sql}");
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
            ", route AS (INSERT INTO request_route SELECT id, 1 + n / 1000, 1 + n % 1000, 'sip.e' || n / 1000 || '.example', 'd' || n || '.example'
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

/// The texts of one column.
async fn texts(pool: &PgPool, sql: &'static str) -> Vec<String> {
    sqlx::query_scalar(sql).fetch_all(pool).await.unwrap()
}

#[tokio::test]
async fn everything_has_a_comment() {
    let db = TestDb::fresh(&MIGRATOR).await;
    // sqlx's own table of migrations is excluded.
    let bare = texts(
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
    let commented: usize = texts(db.pool(), commented).await[0].parse().unwrap();
    assert!(commented > 50, "there is something to comment");
}

#[tokio::test]
async fn every_constraint_and_index_is_named_after_its_table() {
    let db = TestDb::fresh(&MIGRATOR).await;
    let odd = texts(
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
    let made_up = texts(
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
    assert_eq!(texts(db.pool(), data).await, ["3", "3", "1"]);
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
    let indexed = texts(
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
    sqlx::raw_sql("UPDATE _sqlx_migrations SET checksum = sha384('other') WHERE version = 1")
        .execute(db.pool())
        .await
        .unwrap();
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
