//! Checks that the bulk way of settling does exactly what the full way does.

use std::time::Duration;

use pic_portal::{
    db::PgPool,
    provisioning::store::{self, Settled, Verdicts},
};
use sqlx::AssertSqlSafe;

use crate::support::{
    app::{TestApp, WAITS},
    sql,
};

const LEASE: Duration = Duration::from_secs(30);

/// Everything that settling may change, except the times.
const STANDING: &str = "
    SELECT concat_ws(' ', 'request', id, state, reason, ended_at IS NULL) FROM request
    UNION ALL SELECT concat_ws(' ', 'event', request_id, seq, actor, code, subject) FROM timeline
    UNION ALL SELECT concat_ws(' ', 'route', sip_domain, access_edge, service_id, request_id) FROM route
    UNION ALL SELECT concat_ws(' ', 'finding', request_id, code, subject, severity) FROM finding
    UNION ALL SELECT concat_ws(' ', 'work', request_id, attempts, lease_token, lease_until, checked_at IS NULL, again,
                               due_at <= pic_now()) FROM work
    UNION ALL SELECT concat_ws(' ', 'watch', request_id) FROM watch
    ORDER BY 1";

async fn standing(portal: &TestApp) -> Vec<String> {
    portal.all(STANDING).await
}

/// A few of everything that can be due at once.
async fn one_of_each(portal: &TestApp) {
    for edges in [
        // In force: unchanged, to be changed, to be cancelled, to expire.
        &[("sip.held.example", "held.example also.held.example")][..],
        &[("sip.old.example", "kept.example dropped.example")],
        &[("sip.gone.example", "gone.example")],
    ] {
        portal.store_one(edges).await;
    }
    portal.work().await;
    // The following requests, in this order, do not depend on each other.
    for edges in [
        &[
            ("sip.a.example", "a.example b.a.example"),
            ("sip2.a.example", "c.a.example"),
        ][..],
        &[("sip.held2.example", "held.example fine.example")],
        &[("sip.twin.example", "twin.example first.example")],
        &[("sip.twin.example", "twin.example second.example")],
        &[("sip.late.example", "late.example")],
        &[("sip.b.example", "b.example")],
        &[("sip.waits.example", "dropped.example")],
        &[("sip.third.example", "second.example")],
        &[("sip.again.example", "again.example")],
    ] {
        portal.store_one(edges).await;
    }
    portal
        .run(
            "UPDATE request SET submitted_at = submitted_at - interval '31 days' WHERE id = 8;
             -- Asked for again while somebody had it who died of it.
             UPDATE work SET lease_token = '00000000-0000-4000-8000-000000000000', lease_until = '2020-01-01 00:00Z', again = true
             WHERE request_id = 5;
             -- Looked at before, and held then.
             UPDATE work SET checked_at = pic_now(), attempts = 3 WHERE request_id = 12;
             INSERT INTO finding VALUES (12, pic_now(), 'domain-held', 'again.example', 'blocking');
             INSERT INTO event VALUES (12, 2, pic_now(), 'portal', 'held');
             -- Signed in, and another key.
             INSERT INTO event VALUES (9, 2, pic_now(), 'administrator', 'key-replaced');
             WITH new AS (
                 INSERT INTO request (service_id, submitted_at, reference, kind, deployment, content_hash)
                 VALUES (2, pic_now(), 'PIC-0000-0000-0000-0000', 'update', 'on_premises', substr(sha256('1'), 1, 8))
                 RETURNING id),
             wanted AS (INSERT INTO request_route SELECT id, 1, place, edge, name
                        FROM new, (VALUES (1, 'sip.new.example', 'kept.example'), (2, NULL, 'added.example')) AS v (place, edge, name))
             INSERT INTO work SELECT id, pic_now() FROM new;
             WITH new AS (
                 INSERT INTO request (service_id, submitted_at, reference, kind, content_hash)
                 VALUES (3, pic_now(), 'PIC-0000-0000-0000-0001', 'cancel', substr(sha256('2'), 1, 8)) RETURNING id)
             INSERT INTO work SELECT id, pic_now() FROM new",
        )
        .await;
}

/// The way with checks: what is due is claimed, and everything is settled under its claim.
async fn by_claims(pool: &PgPool) -> Settled {
    let mut sum = Settled::default();
    loop {
        let claim = store::claim(pool, store::Place::Pending, 500, LEASE)
            .await
            .unwrap();
        if claim.is_empty() {
            return sum;
        }
        sum += store::settle(pool, &claim, &WAITS, &Verdicts::default())
            .await
            .unwrap();
    }
}

/// The oldest that is due, until nothing is.
async fn one_by_one(pool: &PgPool) -> Settled {
    let mut sum = Settled::default();
    loop {
        let look = store::settle_due(pool, 1, None, &WAITS).await.unwrap();
        if look.settled == Settled::default() && !look.full {
            return sum;
        }
        sum += look.settled;
    }
}

#[tokio::test]
async fn all_ways_leave_the_same_behind() {
    let [due, claimed, single] = [
        TestApp::new().await,
        TestApp::new().await,
        TestApp::new().await,
    ];
    for portal in [&due, &claimed, &single] {
        one_of_each(portal).await;
    }
    assert_eq!(standing(&due).await, standing(&claimed).await, "before");
    let sum = due.work().await;
    assert_eq!((sum.expired, sum.held), (1, 3), "{sum:?}");
    assert_eq!(due.number("SELECT count(*) FROM finding").await, 2);
    assert_eq!(sum, by_claims(claimed.pool()).await);
    assert_eq!(standing(&due).await, standing(&claimed).await);
    // What is new goes another way than what is not, unless all of a batch is.
    assert_eq!(sum, one_by_one(single.pool()).await);
    assert_eq!(standing(&due).await, standing(&single).await);
}

/// Runs `sql` in a transaction, lets the background task run into it, and commits.
async fn step_against(portal: &TestApp, sql: &str) -> Settled {
    let mut transaction = portal.db().pool().begin().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(&mut *transaction)
        .await
        .unwrap();
    let worker = portal.worker();
    let step = tokio::spawn(async move { worker.drain().await });
    portal.blocked(1).await;
    transaction.commit().await.unwrap();
    step.await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_domain_that_somebody_takes_in_the_same_moment_holds_its_request_and_no_other() {
    let portal = TestApp::new().await;
    portal
        .store_one(&[("sip.first.example", "first.example")])
        .await;
    portal.work().await;
    portal.store(5).await;
    let taken = portal
        .store_one(&[("sip.taken.example", "taken.example")])
        .await;
    let settled = step_against(
        &portal,
        "INSERT INTO domain_in_force SELECT service_id, id, 1, 'taken.example' FROM request WHERE id = 1",
    )
    .await;
    assert_eq!((settled.provisioned, settled.held), (5, 1));
    assert_eq!(portal.state(&taken).await, "pending");
    let leased = "SELECT count(*) FROM work WHERE lease_token IS NOT NULL";
    assert_eq!(portal.number(leased).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_writes_to_a_timeline_in_the_same_moment_keeps_its_place() {
    let portal = TestApp::new().await;
    portal.store(3).await;
    let settled = step_against(
        &portal,
        "SELECT pic_append_event(ARRAY[2]::bigint[], pic_now(), 'administrator', 'key-replaced')",
    )
    .await;
    assert_eq!(settled.provisioned, 3);
    let told: Vec<String> = portal.all("SELECT request_id || ': ' || string_agg(seq || ' ' || code, ', ' ORDER BY seq) FROM timeline GROUP BY request_id ORDER BY 1").await;
    assert_eq!(
        told,
        [
            "1: 1 submitted, 2 provisioned",
            "2: 1 submitted, 2 key-replaced, 3 provisioned",
            "3: 1 submitted, 2 provisioned",
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_is_cut_off_leaves_everything_as_it_was() {
    let portal = TestApp::new().await;
    portal.store(50).await;
    let before = standing(&portal).await;
    let mut transaction = portal.db().pool().begin().await.unwrap();
    // The last request of the batch: all others are done by then.
    sql::run(
        &mut *transaction,
        "SELECT FROM request WHERE id = 50 FOR UPDATE",
    )
    .await;
    let worker = portal.worker();
    let step = tokio::spawn(async move { worker.step().await });
    portal.blocked(1).await;
    // Meanwhile no other worker finds anything, and none waits.
    assert_eq!(portal.worker().step().await.unwrap(), None);
    let ended = "SELECT count(*) FROM pg_stat_activity, pg_terminate_backend(pid)
                 WHERE datname = current_database() AND wait_event_type = 'Lock'";
    assert_eq!(portal.number(ended).await, 1);
    assert!(step.await.unwrap().is_err());
    transaction.rollback().await.unwrap();
    assert_eq!(standing(&portal).await, before, "no lease either");
    assert_eq!(portal.work().await.provisioned, 50, "at once");
}

/// Pages that a query for due work reads when nothing is due.
async fn pages(portal: &TestApp, since: &str) -> u64 {
    let mut connection = portal.pool().acquire().await.unwrap();
    let look = format!(
        "SELECT * FROM pic_settle(NULL, NULL, 500, {since}, ROW('30 days', '30 s', '1 h', '1 day')::pic_waits, '[]')"
    );
    let mut told = 0;
    // The first times it is planned too.
    for _ in 0..3 {
        told = super::cost(&mut connection, &look).await.unwrap().pages;
    }
    told
}

#[tokio::test]
async fn an_old_snapshot_does_not_make_looks_slower() {
    let portal = TestApp::new().await;
    let mut snapshot = portal.db().pool().begin().await.unwrap();
    sql::run(
        &mut *snapshot,
        "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM work",
    )
    .await;
    portal.store(200).await;
    portal.work().await;
    let few = pages(&portal, "NULL").await;
    for _ in 0..8 {
        portal.store(500).await;
    }
    portal.work().await;
    // Dead rows, which cannot be removed as long as a snapshot may still need them.
    let many = pages(&portal, "NULL").await;
    assert!(
        many > 2 * few,
        "{few} pages, {many} pages: the dead are in the way"
    );
    let since = pages(&portal, "pic_now()").await;
    assert!(since <= few, "{since} pages, {few} at first");
    snapshot.commit().await.unwrap();
}

#[tokio::test]
async fn a_look_from_a_moment_on_leaves_what_was_due_before_to_a_look_at_everything() {
    let portal = TestApp::new().await;
    portal.store(3).await;
    portal
        .run("UPDATE work SET due_at = due_at - interval '1 hour' WHERE request_id = 1")
        .await;
    let look = async |since| {
        store::settle_due(portal.pool(), 500, since, &WAITS)
            .await
            .unwrap()
    };
    let recent = portal
        .number("SELECT extract(epoch FROM pic_now())::bigint - 60")
        .await;
    let recent = chrono::DateTime::from_timestamp_secs(recent);
    let found = look(recent).await;
    assert_eq!((found.settled.provisioned, found.full), (2, false));
    // Where a clock was put back, everything is looked at.
    let later = recent.map(|at| at + Duration::from_hours(1));
    let found = look(later).await;
    assert_eq!(found.settled.provisioned, 1);
    // What was stored in the last seconds may not have been seen by the look before.
    let next = found.next_since.expect("a moment");
    portal.store(1).await;
    portal
        .run("UPDATE work SET due_at = due_at - interval '1 s'")
        .await;
    assert_eq!(look(Some(next)).await.settled.provisioned, 1);
}
