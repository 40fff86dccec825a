//! Checks that no filter and no search scans a whole table.

use sqlx::AssertSqlSafe;

use crate::support::{app::TestApp, assert_says, sql};

/// Twenty thousand services with a request each, a third of them pending, some with findings.
const MANY: &str = "
    INSERT INTO service (id, created_at, programme, number, token, key_hash)
    SELECT n, pic_now() - interval '40 days' + n * interval '2 minutes',
           (ARRAY['volume_licensing', 'partner_network', 'service_provider', 'high_volume'])[1 + n % 4],
           (1000000 + n / 3)::text, lpad(translate(to_hex(n), 'abcdef', 'ABCDEF'), 16, '0'), substr(sha256(n::text::bytea), 1, 16)
    FROM generate_series(1, 20000) AS n;
    ANALYZE service;
    WITH new AS (
        INSERT INTO request (id, service_id, submitted_at, ended_at, reference, kind, deployment, state, reason,
                             content_hash, provisioned_seq)
        OVERRIDING SYSTEM VALUE
        SELECT s.id, s.id, s.created_at, CASE WHEN s.id % 3 > 0 THEN pic_now() END,
               'PIC' || regexp_replace(upper(left(md5(s.id::text), 16)), '(.{4})', '-\\1', 'g'), 'initiate', 'on_premises',
               CASE WHEN s.id % 3 = 0 THEN 'pending' WHEN s.id % 50 = 1 THEN 'rejected' WHEN s.id % 50 = 2 THEN 'withdrawn'
                    ELSE 'provisioned' END,
               CASE WHEN s.id % 3 > 0 AND s.id % 50 = 1 THEN 'policy' END, substr(sha256(s.id::text::bytea), 1, 8),
               CASE WHEN s.id % 3 > 0 AND s.id % 50 NOT IN (1, 2) THEN 2 END
        FROM service s ORDER BY s.id RETURNING id, service_id, state
    ), route AS (
        INSERT INTO request_route SELECT id, 1, place, CASE place WHEN 1 THEN 'sip.d' || id || '.example' END, p || 'd' || id || '.example'
        FROM new, (VALUES ('', 1), ('a.', 2)) AS v (p, place)
    ), pending AS (
        INSERT INTO work (request_id, due_at) SELECT id, pic_now() FROM new WHERE state = 'pending'
    )
        INSERT INTO finding (request_id, code, subject, severity, at)
        SELECT id, code, 'd' || id || '.example', severity, pic_now()
        FROM new, (VALUES ('srv-port', 'blocking'), ('srv-suffix', 'warning'), ('certificate', 'ok')) AS f (code, severity)
        WHERE id % 20 = 0;
    INSERT INTO event (request_id, seq, at, actor, code)
    SELECT id, 2, ended_at, 'portal', state FROM request WHERE state IN ('rejected', 'withdrawn');
    INSERT INTO domain_in_force SELECT r.service_id, r.id, d.edge, d.sip_domain
    FROM request r JOIN request_route d ON d.request_id = r.id WHERE r.state = 'provisioned';
    INSERT INTO staff (name, role, password, created_at, password_at)
    SELECT 'anna', 'agent', '$argon2id$v=19$m=8,t=1,p=1$' || repeat('a', 22) || '$' || repeat('b', 43), pic_now(), pic_now();
    INSERT INTO staff_mark SELECT id, mark, 1, pic_now()
    FROM request, unnest(ARRAY['taken', 'called', 'test']) AS mark WHERE id % 5 = 0;
    ANALYZE;
";

/// The plan of a statement with known parameters, and the generic one.
async fn plans(portal: &TestApp, sql: &str, values: &str) -> String {
    let mut plans = String::new();
    let mut connection = portal.pool().acquire().await.unwrap();
    for mode in ["force_custom_plan", "force_generic_plan"] {
        let run = async |connection: &mut sqlx::PgConnection, sql: String| {
            sql::run(connection, &sql).await;
        };
        run(
            &mut connection,
            format!("SET plan_cache_mode = {mode}; PREPARE looked_at AS {sql}"),
        )
        .await;
        let lines: Vec<String> = sqlx::query_scalar(AssertSqlSafe(format!(
            "EXPLAIN EXECUTE looked_at ({values})"
        )))
        .persistent(false)
        .fetch_all(&mut *connection)
        .await
        .unwrap();
        plans.push_str(&lines.join("\n"));
        run(
            &mut connection,
            "DEALLOCATE looked_at; RESET plan_cache_mode".into(),
        )
        .await;
    }
    plans
}

/// A file of the desk, included at build time: if it does not exist, the tests do not build.
macro_rules! of_desk {
    ($path:literal) => {
        include_str!(concat!("../../../src/staff/", $path))
    };
}

/// What only the statement of the requests that have ended has.
const ENDED: &str = "$4 = 'provisioned'";

/// The statements of the candidates, each with its values.
fn candidates() -> Vec<(&'static str, String)> {
    let store = of_desk!("queue/store/candidates.rs");
    let mut statements = Vec::new();
    // The candidates' statements are in the store's source.
    let candidates: Vec<_> = store
        .split("sqlx::query_scalar!(")
        .skip(1)
        .filter_map(|rest| match rest.trim_start().strip_prefix("r#\"") {
            Some(raw) => raw.split("\"#").next(),
            None => rest.split('"').nth(1),
        })
        .filter(|sql| sql.contains("LIMIT $"))
        .collect();
    assert_eq!(candidates.len(), 6, "every source of candidates");
    for sql in candidates {
        let values = if sql.contains("staff_id = $4") {
            ", 1"
        } else if sql.contains("mark = $4") {
            ", 'called'"
        } else if sql.contains("code = $4") {
            ", 'srv-port'"
        } else if sql.contains(ENDED) {
            ", 'provisioned'"
        } else {
            ""
        };
        for order in ["0, 500, true", "9000000, 500, false"] {
            statements.push((sql, format!("{order}{values}")));
        }
    }
    statements
}

#[tokio::test]
async fn no_filter_and_no_search_reads_a_whole_table() {
    let portal = TestApp::new().await;
    // This takes longer than the limit of a page.
    sqlx::raw_sql(MANY)
        .execute(portal.db().pool())
        .await
        .unwrap();
    let window =
        "(SELECT array_agg(id) FROM (SELECT id FROM request ORDER BY id DESC LIMIT 500) r)";
    let window: String = sqlx::query_scalar(AssertSqlSafe(format!("SELECT {window}::text")))
        .fetch_one(portal.pool())
        .await
        .unwrap();
    let reference: String = portal
        .one("SELECT quote_literal(reference) FROM request WHERE id = 300")
        .await;
    let rows = |filter: &str| format!("'{window}'::bigint[], {filter}, 51, '48h'");
    let mut statements = vec![
        (
            of_desk!("queue/counts.sql"),
            "'48h', 10001, 1, 1000".to_owned(),
        ),
        (of_desk!("case/request.sql"), format!("{reference}, '48h'")),
        (of_desk!("case/service.sql"), "300".to_owned()),
        (of_desk!("overview/days.sql"), "14".to_owned()),
        (of_desk!("overview/median.sql"), "14, 10000".to_owned()),
        (
            of_desk!("overview/findings.sql"),
            "ARRAY['srv-port', 'srv-suffix', 'domain-held'], 1001".to_owned(),
        ),
        (of_desk!("overview/gauges.sql"), "'48h', 10001".to_owned()),
    ];
    for filter in [
        "'pending', NULL, NULL, NULL, NULL, false, false, NULL, NULL, NULL",
        "'pending', '48h', NULL, NULL, NULL, false, false, NULL, NULL, NULL",
        "'provisioned', NULL, '7d', 'high_volume', NULL, false, true, NULL, NULL, NULL",
        "NULL, NULL, NULL, NULL, 'srv-port', false, false, NULL, NULL, NULL",
        "'pending', NULL, NULL, NULL, NULL, true, false, NULL, NULL, NULL",
        "'pending', NULL, NULL, NULL, NULL, false, false, '48h', 'called', 1",
    ] {
        statements.push((of_desk!("queue/rows.sql"), rows(filter)));
    }
    for search in [
        "'100010', '100010~', '', '', '', '', 5001",
        "'', '', 'PIC-7K3M', 'PIC-7K3M~', '', '', 5001",
        "'', '', '', '', reverse('d77.example'), reverse('d77.example') || '/', 5001",
    ] {
        statements.push((of_desk!("queue/search.sql"), search.to_owned()));
    }
    for piece in ["'d77', 5001, 20000", "'sip', 5001, 20000"] {
        statements.push((of_desk!("queue/pieces.sql"), piece.to_owned()));
    }
    statements.extend(candidates());
    for (sql, values) in &statements {
        let plan = plans(&portal, sql, values).await;
        for table in [
            "request",
            "service",
            "request_route",
            "work",
            "finding",
            "event",
            "domain_in_force",
            "staff_mark",
        ] {
            let whole = plan.lines().find(|line| {
                line.trim_end().contains("Seq Scan on ")
                    && line.contains(&format!("Seq Scan on {table} "))
            });
            assert_eq!(whole, None, "{sql}\n({values})\n{plan}");
        }
        // Most requests have ended in one way: to sort them is to read them all.
        if sql.contains(ENDED) {
            let lines: Vec<_> = plan.lines().collect();
            let mut sorts = lines
                .iter()
                .enumerate()
                .filter(|(_, it)| it.contains("Sort  ("));
            let of_nothing = |at: usize| {
                lines[at..]
                    .iter()
                    .take(4)
                    .any(|it| it.contains("One-Time Filter: false"))
            };
            assert!(
                sorts.all(|(at, _)| of_nothing(at)),
                "{sql}\n({values})\n{plan}"
            );
        }
    }
    // The check itself notices a scan.
    let plan = plans(
        &portal,
        "SELECT count(*) FROM request WHERE content_hash = $1",
        "''",
    )
    .await;
    assert_says(&plan, "Seq Scan on request ");
}
