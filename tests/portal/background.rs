//! Checks that the background task does everything exactly once.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use pic_portal::{
    db::{self, PgPool},
    provisioning::store::{self, Claim, Settled, Verdicts},
};
use sqlx::Row as _;
use tokio::{task::JoinSet, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::support::{
    app::{TestApp, WAITS},
    eventually, sql,
};

const LEASE: Duration = Duration::from_secs(30);
/// Long enough for anything that happens at all, on any machine.
const PATIENCE: Duration = Duration::from_secs(30);
const ONE: &[(&str, &str)] = &[("sip.contoso.com", "contoso.com")];

async fn claim(pool: &PgPool, most: u32) -> Claim {
    store::claim(pool, store::Place::Pending, most, LEASE)
        .await
        .unwrap()
}

/// Settles as the worker does, and counts how often it had to be repeated.
async fn settle(pool: &PgPool, claim: &Claim, conflicts: &AtomicUsize) -> Settled {
    loop {
        match store::settle(pool, claim, &WAITS, &Verdicts::default()).await {
            Err(db::Error::Conflict(_)) => conflicts.fetch_add(1, Ordering::Relaxed),
            settled => return settled.unwrap(),
        };
    }
}

/// Requests that do not have exactly one event `provisioned`.
const NOT_ONCE: &str = "SELECT count(*) FROM request r WHERE 1 <> (
    SELECT count(*) FROM timeline WHERE request_id = r.id AND code = 'provisioned')";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_that_race_share_the_work_without_a_double() {
    let portal = TestApp::new().await;
    portal.store(300).await;
    let workers: JoinSet<Settled> = (0..4)
        .map(|n| {
            let (worker, pool) = (portal.worker(), portal.db().pool().clone());
            async move {
                let mut sum = Settled::default();
                // Two take all that they can get, two take little at a time.
                loop {
                    let few = if n % 2 == 1 { 7 } else { 0 };
                    let few = claim(&pool, few).await;
                    if few.is_empty() {
                        break;
                    }
                    let settled = settle(&pool, &few, &AtomicUsize::new(0)).await;
                    assert_eq!(settled.provisioned, few.len(), "nobody else had it");
                    sum.provisioned += settled.provisioned;
                }
                sum.provisioned += worker.drain().await.unwrap().provisioned;
                sum
            }
        })
        .collect();
    let done = workers.join_all().await;
    assert_eq!(done.iter().map(|s| s.provisioned).sum::<usize>(), 300);
    assert_eq!(portal.number(NOT_ONCE).await, 0);
    assert_eq!(portal.number("SELECT count(*) FROM route").await, 300);
    assert_eq!(portal.number("SELECT count(*) FROM work").await, 0);
}

#[tokio::test]
async fn what_a_killed_worker_had_is_done_by_another_once_its_lease_is_over() {
    let portal = TestApp::new().await;
    portal.store(20).await;
    let killed = claim(portal.pool(), 500).await;
    assert_eq!(killed.len(), 20);
    assert_eq!(portal.worker().step().await.unwrap(), None, "it is leased");
    portal.advance(LEASE / 2).await;
    assert_eq!(portal.worker().step().await.unwrap(), None, "still");
    portal.advance(Duration::from_secs(16)).await;

    let second = claim(portal.pool(), 500).await;
    assert_eq!(second.len(), 20);
    let late = store::settle(portal.pool(), &killed, &WAITS, &Verdicts::default())
        .await
        .unwrap();
    assert_eq!(late, Settled::default(), "it was not dead, and has lost it");
    assert_eq!(portal.number("SELECT count(*) FROM route").await, 0);
    assert_eq!(portal.number("SELECT count(*) FROM work").await, 20);

    let done = store::settle(portal.pool(), &second, &WAITS, &Verdicts::default())
        .await
        .unwrap();
    assert_eq!(done.provisioned, 20);
    for claim in [&killed, &second] {
        let late = store::settle(portal.pool(), claim, &WAITS, &Verdicts::default())
            .await
            .unwrap();
        assert_eq!(late, Settled::default());
    }
    assert_eq!(portal.number(NOT_ONCE).await, 0);
    assert_eq!(portal.number("SELECT count(*) FROM timeline").await, 40);
}

#[tokio::test]
async fn a_settlement_that_is_late_for_some_settles_the_others() {
    let portal = TestApp::new().await;
    portal.store(10).await;
    let mine = claim(portal.pool(), 500).await;
    // Four of them are withdrawn, and three belong to another service by now.
    portal
        .run(
            "WITH gone AS (DELETE FROM work WHERE request_id IN
                 (SELECT id FROM request ORDER BY id LIMIT 4) RETURNING request_id)
             UPDATE request SET state = 'withdrawn', ended_at = pic_now() FROM gone WHERE id = request_id;
             UPDATE work SET lease_token = gen_random_uuid() WHERE request_id IN
                 (SELECT id FROM request ORDER BY id DESC LIMIT 3)",
        )
        .await;
    let done = store::settle(portal.pool(), &mine, &WAITS, &Verdicts::default())
        .await
        .unwrap();
    assert_eq!(done.provisioned, 3);
    let others = "SELECT count(*) FROM request WHERE state <> 'provisioned' AND NOT EXISTS (
        SELECT FROM timeline WHERE request_id = id AND code = 'provisioned')";
    assert_eq!(portal.number(others).await, 7);
    assert_eq!(portal.number("SELECT count(*) FROM route").await, 3);
}

#[tokio::test]
async fn the_worker_sleeps_until_the_next_thing_that_it_can_do() {
    let portal = TestApp::new().await;
    let idle = async || store::idle_for(portal.pool(), false).await.unwrap();
    // A check that settles makes the same entries.
    let told = async || {
        let look = store::settle_due(portal.pool(), 5, None, &WAITS).await;
        look.unwrap().idle
    };
    assert_eq!(idle().await, None, "nothing is waiting");
    assert_eq!(told().await, None, "nothing is waiting");
    portal.store(2).await;
    assert_eq!(idle().await, Some(Duration::ZERO));
    // One of the two is claimed, and the other is due later.
    assert_eq!(claim(portal.pool(), 1).await.len(), 1);
    let after = async |sql| {
        portal.run(sql).await;
        [idle().await.unwrap(), told().await.unwrap()]
    };
    let due = "UPDATE work SET due_at = pic_now() + interval '20 s' WHERE lease_token IS NULL";
    for until_due in after(due).await {
        assert!(until_due <= Duration::from_secs(20), "{until_due:?}");
    }
    let due_later = "UPDATE work SET due_at = pic_now() + interval '1 h' WHERE lease_token IS NULL";
    let gone = "DELETE FROM work WHERE lease_token IS NULL";
    for sql in [due_later, gone] {
        for until_free in after(sql).await {
            assert!(
                until_free > LEASE / 2 && until_free <= LEASE,
                "{until_free:?}"
            );
        }
    }
}

/// Seconds from the last check of the only held request to the next.
const WAIT: &str = "SELECT round(extract(epoch FROM due_at - checked_at))::bigint FROM work";

#[tokio::test]
async fn the_wait_of_a_held_request_doubles_up_to_the_longest() {
    let portal = TestApp::new().await;
    portal.store_one(ONE).await;
    portal.work().await;
    portal.store_one(ONE).await;
    for expected in [30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600] {
        let settled = portal.work().await;
        assert_eq!((settled.held, settled.provisioned), (1, 0));
        let wait = portal.number(WAIT).await;
        // Up to a tenth less, so that requests that came together do not stay together.
        assert!((expected * 9 / 10..=expected).contains(&wait), "{wait}");
        let half = Duration::from_secs(expected.unsigned_abs() / 2);
        portal.advance(half).await;
        assert_eq!(portal.worker().step().await.unwrap(), None, "too early");
        portal.advance(half).await;
    }
    // Checked ten times, and one event.
    let told = "SELECT count(*) FROM event WHERE code = 'held'";
    assert_eq!(portal.number(told).await, 1);
    assert_eq!(portal.number("SELECT count(*) FROM finding").await, 1);
}

#[tokio::test]
async fn a_held_request_expires_on_time() {
    let portal = TestApp::new().await;
    portal.store_one(ONE).await;
    portal.work().await;
    let late = portal.store_one(ONE).await;
    portal.advance(Duration::from_mins(30 * 24 * 60 - 10)).await;
    assert_eq!(portal.work().await.held, 1);
    // By the back-off the next check would be in an hour, but the limit is earlier.
    portal
        .run("UPDATE work SET attempts = 9, due_at = pic_now()")
        .await;
    assert_eq!(portal.work().await.held, 1);
    let at_the_limit = "SELECT count(*) FROM work JOIN request ON id = request_id
                        WHERE due_at = submitted_at + interval '30 days'";
    assert_eq!(portal.number(at_the_limit).await, 1);
    portal.advance(Duration::from_mins(5)).await;
    assert_eq!(portal.work().await, Settled::default(), "too early");
    portal.advance(Duration::from_mins(5)).await;
    let settled = portal.work().await;
    assert_eq!((settled.expired, settled.held), (1, 0));
    assert_eq!(portal.state(&late).await, "rejected");
    let page = portal.get(&format!("/requests/{late}")).await;
    let finding = page.attribute("data-finding");
    assert_eq!(finding, Some("domain-held"), "its last findings stay");
    let told = "SELECT count(*) FROM event WHERE code = 'rejected' AND actor = 'portal'";
    assert_eq!(portal.number(told).await, 1);
    assert_eq!(portal.work().await, Settled::default());
}

/// Stores an update of the service that holds contoso.com, for these routes.
const UPDATE: &str = "
    WITH holder AS (SELECT service_id FROM route WHERE sip_domain = 'contoso.com'),
    new AS (
        INSERT INTO request (service_id, submitted_at, reference, kind, deployment, content_hash)
        SELECT service_id, pic_now(), 'PIC-0000-0000-0000-0000', 'update', 'on_premises', substr(sha256('update'), 1, 8)
        FROM holder RETURNING id),
    routes AS (
        INSERT INTO request_route
        SELECT id, d.* FROM new, (VALUES (1, 1, 'new.contoso.net', 'moved.com'), (2, 1, 'sip.contoso.com', 'kept.com'),
                                         (2, 2, NULL, 'added.com')) AS d)
    INSERT INTO work SELECT id, pic_now() FROM new";

#[tokio::test]
async fn an_update_changes_all_routes_at_once_and_frees_what_others_wait_for() {
    let portal = TestApp::new().await;
    portal
        .store_one(&[("sip.contoso.com", "contoso.com kept.com moved.com")])
        .await;
    portal.work().await;
    let waiting = portal.store_one(ONE).await;
    let other = portal.store_one(&[("sip.kept.com", "kept.com")]).await;
    assert_eq!(portal.work().await.held, 2);
    let kept = "SELECT extract(epoch FROM since)::bigint FROM route WHERE sip_domain = 'kept.com'";
    let since = portal.number(kept).await;
    portal.advance(Duration::from_secs(5)).await;
    assert_eq!(portal.work().await, Settled::default(), "nothing is due");

    portal.run(UPDATE).await;
    let settled = portal.work().await;
    assert_eq!((settled.provisioned, settled.held), (2, 0), "at once");
    assert_eq!(portal.state(&waiting).await, "provisioned");
    assert_eq!(portal.state(&other).await, "pending");
    let routes = sqlx::query(
        "SELECT x.sip_domain::text, x.access_edge::text, r.kind FROM route x
         JOIN request r ON r.id = x.request_id ORDER BY x.sip_domain",
    )
    .fetch_all(portal.pool())
    .await
    .unwrap();
    let routes: Vec<[String; 3]> = routes
        .iter()
        .map(|row| [0, 1, 2].map(|column| row.get(column)))
        .collect();
    assert_eq!(
        routes,
        [
            ["added.com", "sip.contoso.com", "update"],
            ["contoso.com", "sip.contoso.com", "initiate"],
            ["kept.com", "sip.contoso.com", "initiate"],
            ["moved.com", "new.contoso.net", "update"],
        ]
    );
    assert_eq!(portal.number(kept).await, since, "a kept route is kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settlements_that_want_the_same_domains_never_both_get_them() {
    let portal = TestApp::new().await;
    let conflicts = AtomicUsize::new(0);
    for round in 0..40 {
        let [a, b, c] = ["a", "b", "c"].map(|name| format!("{name}{round}.example"));
        let there = format!("{a} {b} {c}");
        let back = format!("{c} {b} {a}");
        portal.store_one(&[("sip.contoso.com", &there)]).await;
        portal.store_one(&[("sip.fabrikam.com", &back)]).await;
        let (one, two) = (claim(portal.pool(), 1).await, claim(portal.pool(), 1).await);
        assert_eq!((one.len(), two.len()), (1, 1));
        let settled = timeout(PATIENCE, async {
            tokio::join!(
                settle(portal.pool(), &one, &conflicts),
                settle(portal.db().pool(), &two, &conflicts),
            )
        });
        let (one, two) = settled.await.expect("the round ends");
        assert_eq!(one.provisioned + two.provisioned, 1, "round {round}");
        assert_eq!(one.held + two.held, 1, "round {round}: none is lost");
    }
    assert_eq!(portal.number("SELECT count(*) FROM route").await, 120);
    let split = "SELECT count(*) FROM (SELECT request_id FROM route GROUP BY 1 HAVING count(*) <> 3) AS odd";
    assert_eq!(portal.number(split).await, 0, "all routes of one, or none");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_settlement_that_comes_second_is_told_to_wait() {
    assert_eq!(comes_second("").await.unwrap().held, 1);
}

/// What was looked at before is no new request: its routes are looked at one by one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_settlement_that_comes_second_changes_nothing_and_asks_to_be_called_again() {
    let outcome = comes_second("UPDATE work SET checked_at = pic_now() WHERE request_id = 2").await;
    assert!(
        matches!(outcome, Err(db::Error::Conflict(_))),
        "{outcome:?}"
    );
}

/// Settles a request, prepared by `sql`, whose domain goes to another one in the same moment; what the
/// first call comes to. After the last the request is held.
async fn comes_second(sql: &'static str) -> Result<Settled, db::Error> {
    let portal = TestApp::new().await;
    portal.store_one(ONE).await;
    let second = portal.store_one(ONE).await;
    portal.run(sql).await;
    // The first is being settled by somebody who has not committed yet.
    let first = claim(portal.pool(), 1).await;
    let mut transaction = portal.db().pool().begin().await.unwrap();
    let settled = sql::one::< i32>(&mut *transaction, "SELECT provisioned FROM work w, pic_settle(
             ARRAY[w.request_id], w.lease_token, NULL, NULL, ROW('30 days', '30 s', '1 h', '1 day')::pic_waits, '[]')
         WHERE w.lease_token IS NOT NULL").await;
    assert_eq!((first.len(), settled), (1, 1));
    let claimed = claim(portal.pool(), 1).await;
    let pool = portal.pool().clone();
    let late = tokio::spawn(async move {
        let outcome = store::settle(&pool, &claimed, &WAITS, &Verdicts::default()).await;
        if outcome.is_err() {
            let again = store::settle(&pool, &claimed, &WAITS, &Verdicts::default()).await;
            assert_eq!(again.unwrap().held, 1);
        }
        outcome
    });
    portal.blocked(1).await;
    transaction.commit().await.unwrap();
    let outcome = late.await.unwrap();
    assert_eq!(portal.state(&second).await, "pending");
    outcome
}

// ---------------------------------------------------------------------------------------------
// Wake-ups. A worker that is not woken polls, once a second at most, so rounds that each need a
// wake-up and take less than the patience in total cannot have been polls.

const ROUNDS: usize = 60;

async fn rounds_within_patience(portal: &TestApp, round: impl AsyncFn()) {
    let began = Instant::now();
    for n in 0..ROUNDS {
        round().await;
        eventually("the worker does it", async || {
            let pending = "SELECT count(*) FROM request WHERE state = 'pending'";
            (portal.number(pending).await == 0).then_some(())
        })
        .await;
        assert!(
            began.elapsed() < PATIENCE,
            "only {n} rounds: these are polls"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_submit_wakes_its_own_process_where_no_notification_arrives() {
    let portal = TestApp::new().await;
    // As behind a pooler in transaction mode: notifications are lost. New connections use this
    // function first.
    portal
        .run(
            "CREATE FUNCTION public.pg_notify(text, text) RETURNS void LANGUAGE sql AS '';
             DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = public, pg_catalog',
                                        current_database()); END $$",
        )
        .await;
    let stop = CancellationToken::new();
    let running = tokio::spawn(portal.own_worker().run(stop.clone()));
    rounds_within_patience(&portal, async || {
        let domain = format!("{}.example", crate::support::app::submission_id());
        portal.submit(&[("sip.contoso.com", &domain)]).await;
    })
    .await;
    stop.cancel();
    timeout(PATIENCE, running).await.expect("it ends").unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notification_wakes_another_process() {
    let portal = TestApp::new().await;
    let stop = CancellationToken::new();
    // Nothing wakes it in memory.
    let running = tokio::spawn(portal.worker().run(stop.clone()));
    rounds_within_patience(&portal, async || {
        portal.store(1).await;
        portal.run("SELECT pg_notify('pic_work', '')").await;
    })
    .await;
    stop.cancel();
    timeout(PATIENCE, running).await.expect("it ends").unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_submit_tells_the_other_processes_without_any_data() {
    let portal = TestApp::new().await;
    let mut other = portal.db().pool().listener().await.unwrap();
    other.listen("pic_work").await.unwrap();
    let stop = CancellationToken::new();
    let running = tokio::spawn(portal.own_worker().run(stop.clone()));
    portal.submit(ONE).await;
    let told = async {
        // Each process also notifies itself, to see whether notifications arrive.
        while !other.recv().await.unwrap().payload().is_empty() {}
    };
    timeout(PATIENCE, told).await.expect("the others are told");
    stop.cancel();
    timeout(PATIENCE, running).await.expect("it ends").unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_is_stopped_ends_and_leaves_nothing_claimed() {
    let portal = TestApp::new().await;
    for _ in 0..5 {
        let stop = CancellationToken::new();
        let running = tokio::spawn(portal.own_worker().run(stop.clone()));
        portal.store(40).await;
        portal.app.notifier().wake();
        stop.cancel();
        timeout(PATIENCE, running).await.expect("it ends").unwrap();
        let claimed = "SELECT count(*) FROM work WHERE lease_token IS NOT NULL";
        assert_eq!(portal.number(claimed).await, 0);
    }
    portal.work().await;
    assert_eq!(portal.number(NOT_ONCE).await, 0);
    assert_eq!(portal.number("SELECT count(*) FROM request").await, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_is_stopped_leaves_the_queue_to_others() {
    let portal = TestApp::new().await;
    portal.store(1_200).await;
    let mut first_batch = portal.db().pool().begin().await.unwrap();
    sql::run(&mut *first_batch, "LOCK TABLE route IN SHARE MODE").await;
    let stop = CancellationToken::new();
    let running = tokio::spawn(portal.worker().run(stop.clone()));
    portal.blocked(1).await;
    stop.cancel();
    first_batch.rollback().await.unwrap();
    timeout(PATIENCE, running).await.expect("it ends").unwrap();
    let left = "SELECT count(*) FROM work WHERE lease_token IS NULL";
    assert_eq!(portal.number(left).await, 700, "all but one batch");
}
