//! Checks the numbers on the overview.

use std::time::Duration;

use axum::http::StatusCode;
use pic_portal::{
    db,
    readiness::Code,
    retention::{Cause, sweep::Sweeper},
    staff::{
        Role,
        overview::{DAYS, store},
    },
};
use tokio_util::sync::CancellationToken;

use super::signed_in;
use crate::support::{app::TestApp, eventually};

/// Provisioned at noon of the last days: today none, yesterday 1, the day before 2, and so on, up
/// to 20 days ago; each took as many hours as its day is away. Some are pending, with findings.
const POPULATION: &str = "
    INSERT INTO service (id, created_at, programme, number, token, key_hash)
    SELECT n, pic_now(), 'volume_licensing', n::text, lpad(n::text, 16, '0'), substr(sha256(n::text::bytea), 1, 16)
    FROM generate_series(1, 222) AS n;
    WITH ended AS (
        SELECT day, row_number() OVER (ORDER BY day, n) AS service,
               (date_trunc('day', pic_now() AT TIME ZONE 'UTC') - day * interval '1 day' + interval '12 hours') AT TIME ZONE 'UTC' AS at
        FROM generate_series(1, 20) AS day, LATERAL generate_series(1, day) AS n
    ), new AS (
        INSERT INTO request (id, service_id, submitted_at, ended_at, reference, kind, deployment, state, content_hash,
                             provisioned_seq)
        OVERRIDING SYSTEM VALUE
        SELECT n, n, submitted, ended, reference, 'initiate', 'split', CASE WHEN ended IS NULL THEN 'pending' ELSE 'provisioned' END,
               substr(sha256('x'), 1, 8), CASE WHEN ended IS NOT NULL THEN 2 END
        FROM (SELECT p.*, row_number() OVER (ORDER BY submitted) AS n FROM (
                  SELECT at - day * interval '1 hour' AS submitted, at AS ended, 'PIC-0000-0000-0000-' || lpad(service::text, 4, '0') AS reference
                  FROM ended
                  UNION ALL
                  SELECT pic_now() - n * interval '10 hours', NULL, 'PIC-0000-0000-0001-' || lpad(n::text, 4, '0')
                  FROM generate_series(1, 12) AS n) p) q
        RETURNING id, state
    ), route AS (INSERT INTO request_route SELECT id, 1, 1, 'sip.d' || id || '.example', 'd' || id || '.example' FROM new),
    pending AS (INSERT INTO work (request_id, due_at) SELECT id, pic_now() FROM new WHERE state = 'pending')
    INSERT INTO finding (request_id, code, subject, severity, at)
    SELECT id, code, subject, severity, pic_now()
    FROM (SELECT id, row_number() OVER (ORDER BY id) AS place FROM new WHERE state = 'pending') p,
         (VALUES (7, 'srv-missing', 'a.example', 'blocking'), (7, 'srv-missing', 'b.example', 'blocking'),
                 (3, 'srv-suffix', 'a.example', 'warning'), (12, 'certificate', 'e.example', 'ok'),
                 (12, 'srv', 'f.example', 'skipped'), (1, 'resolver-unreachable', 'g.example', 'unknown'))
             AS f (first, code, subject, severity)
    WHERE place <= first;
";

#[tokio::test]
async fn the_numbers_are_those_of_the_population() {
    let portal = TestApp::new().await;
    portal.run(POPULATION).await;
    let seen = store::overview(portal.pool()).await.unwrap();
    let today = seen.now.date_naive();
    let expected: Vec<_> = (0..i64::from(DAYS))
        .rev()
        .map(|ago| (today - chrono::Days::new(ago.cast_unsigned()), ago))
        .collect();
    assert_eq!(seen.days, expected);
    // 1 + 2 + ... + 13, and those of a fortnight ago when it is not noon yet.
    let fortnight = if seen.timed == 91 { 0 } else { 14 };
    assert_eq!(seen.timed, 91 + fortnight);
    // The median of 1, 2, 2, 3, 3, 3, ...: the 46th of 91 is among the ten of day 10, as 45 come
    // before.
    let median = seen.median.unwrap();
    assert_eq!(median, Duration::from_hours(10));
    assert_eq!(
        seen.findings,
        [
            (Code::SrvMissing, 7, false),
            (Code::SrvSuffix, 3, false),
            (Code::ResolverUnreachable, 1, false)
        ]
    );
    // What is in force counts, what has ended otherwise does not.
    portal
        .run(
            "INSERT INTO watch (request_id, due_at, checked_at)
             SELECT min(id), pic_now(), pic_now() FROM request WHERE state = 'provisioned';
             INSERT INTO finding (request_id, code, subject, severity, at)
             SELECT id, 'srv-suffix', 'a.example', 'warning', pic_now() FROM request WHERE state = 'provisioned';
             SELECT pic_end(ARRAY(SELECT request_id FROM finding WHERE code = 'resolver-unreachable'), 'rejected', 'policy', 'portal')",
        )
        .await;
    let seen = store::overview(portal.pool()).await.unwrap();
    let suffix = seen.findings.iter().find(|it| it.0 == Code::SrvSuffix);
    assert_eq!(suffix.unwrap().1, 1 + 2, "one in force, two in progress");
    let ended = seen
        .findings
        .iter()
        .find(|it| it.0 == Code::ResolverUnreachable);
    assert_eq!(ended, None);
}

#[tokio::test]
async fn the_page_says_it_and_leads_on() {
    let portal = TestApp::new().await;
    let reader = signed_in(&portal, "reader", Role::Reader).await;
    let empty = portal.get_with("/staff", &reader).await;
    assert_eq!(empty.status, StatusCode::OK, "{}", empty.body);
    assert!(empty.body.contains("nothing is provisioned"), "no instance");
    empty.shows("None has run yet");
    assert!(!empty.body.contains("<rect"), "no bars of nothing");
    portal.run(POPULATION).await;
    let stop = CancellationToken::new();
    let sweeper = Sweeper::new(portal.pool().clone(), Duration::from_hours(1), stop);
    sweeper.sweep(Cause::Hand).await.unwrap();
    portal.worker().show_once().await.unwrap();
    let page = portal.get_with("/staff", &reader).await.body;
    for words in [
        ">12</a>",
        "the oldest for 5 days",
        // Submitted 50 hours ago; those before it wait for their administrators.
        ">1</a>",
        "91 provisioned in 14 days; 13 on the busiest.",
        "10 hours",
        "href=\"/staff/requests?finding=srv-missing\"",
        "At work",
        "clean: nothing remains",
        env!("CARGO_PKG_VERSION"),
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert_eq!(page.matches("class=\"app-chart__bar\"").count(), 13 + 3);
    assert!(!page.contains("style="), "nothing inline");
    assert!(!page.contains("nothing is provisioned"));
    portal.advance(Duration::from_mins(4)).await;
    let page = portal.get_with("/staff", &reader).await.body;
    assert!(page.contains("nothing is provisioned") && page.contains("Silent"));
}

#[tokio::test]
async fn a_process_shows_itself_and_goes() {
    const THERE: &str = "SELECT count(*) FROM instance";
    let portal = TestApp::new().await;
    let stop = CancellationToken::new();
    let working = tokio::spawn(portal.own_worker().run(stop.clone()));
    eventually("it shows itself", async || {
        (portal.number(THERE).await == 1).then_some(())
    })
    .await;
    stop.cancel();
    working.await.unwrap();
    assert_eq!(portal.number(THERE).await, 0);

    // The next process removes the entry of one that was killed.
    let (killed, next) = (portal.worker(), portal.worker());
    killed.show_once().await.unwrap();
    killed.show_once().await.unwrap();
    assert_eq!(portal.number(THERE).await, 1, "one row a process");
    portal.advance(Duration::from_mins(59)).await;
    next.show_once().await.unwrap();
    assert_eq!(portal.number(THERE).await, 2);
    portal.advance(Duration::from_mins(2)).await;
    next.show_once().await.unwrap();
    assert_eq!(portal.number(THERE).await, 1);
}

#[tokio::test]
async fn an_instance_is_what_it_says() {
    let portal = TestApp::new().await;
    for (values, broken) in [
        (
            "now(), now() - interval '1 s', now() - interval '1 s', '1'",
            "instance_seen",
        ),
        (
            "now(), now(), now() + interval '1 s', '1'",
            "instance_worked",
        ),
        ("now(), now(), now(), 'a@b'", "instance_version"),
        ("now(), now(), now(), ''", "instance_version"),
    ] {
        let sql = format!("INSERT INTO instance VALUES (gen_random_uuid(), {values})");
        let error = sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
            .execute(portal.pool())
            .await
            .unwrap_err();
        assert!(db::Error::from(error).breaks(broken), "{values}");
    }
}
