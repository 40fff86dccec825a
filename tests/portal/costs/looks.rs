//! Checks how often the background task queries the database.

use std::time::{Duration, Instant};

use pic_portal::{
    db::{PgPool, notify::Notifier},
    provisioning::worker::Worker,
};
use tokio::{task::JoinSet, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::support::{
    app::{TestApp, WAITS},
    eventually,
};

const PATIENCE: Duration = Duration::from_secs(30);
const SUBMITS: i64 = 40;

/// Counts every query for due work, by any process, and also where it finds none: a sequence is not
/// rolled back with its transaction.
const COUNTED: &str = "
    ALTER FUNCTION pic_settle RENAME TO settle;
    CREATE SEQUENCE looks;
    SELECT nextval('looks');
    CREATE FUNCTION pic_settle(
        ids bigint[], token uuid, most integer, since timestamptz, waits pic_waits, told jsonb,
        OUT provisioned integer, OUT held integer, OUT waiting integer, OUT expired integer,
        OUT full_batch boolean, OUT again boolean, OUT next_since timestamptz, OUT idle interval
    ) LANGUAGE plpgsql AS $$ BEGIN
        PERFORM nextval('looks');
        SELECT * INTO provisioned, held, waiting, expired, full_batch, again, next_since, idle
        FROM settle(ids, token, most, since, waits, told);
    END $$";

async fn looks(portal: &TestApp) -> i64 {
    portal.number("SELECT last_value FROM looks").await
}

/// The background tasks of `instances` processes, until stopped; the first is woken by the portal's
/// submits.
fn instances(portal: &TestApp, count: usize, stop: &CancellationToken) -> JoinSet<()> {
    (0..count)
        .map(|place| {
            let worker = if place == 0 {
                portal.own_worker()
            } else {
                // Connections of its own, as a process has.
                Worker::new(
                    PgPool::new(portal.db().options(), 4),
                    WAITS,
                    Notifier::default(),
                )
            };
            worker.run(stop.clone())
        })
        .collect()
}

/// Submits one request after the other, each after the previous one was settled; returns how many
/// queries there were, and how many polls may be among them.
async fn looks_for_submits(instances_there: usize) -> (i64, i64) {
    let portal = TestApp::new().await;
    portal.run(COUNTED).await;
    let stop = CancellationToken::new();
    let running = instances(&portal, instances_there, &stop);
    let pending = "SELECT count(*) FROM work";
    // Each begins with one, and makes another when LISTEN takes effect.
    let at_the_start = 2 * i64::try_from(instances_there).unwrap();
    eventually("all have begun", async || {
        (looks(&portal).await >= at_the_start - 1).then_some(())
    })
    .await;
    let (began, before) = (Instant::now(), looks(&portal).await);
    for place in 0..SUBMITS {
        let domain = format!("d{place}.example");
        portal.submit(&[("sip.contoso.com", &domain)]).await;
        eventually("it is done", async || {
            (portal.number(pending).await == 0).then_some(())
        })
        .await;
    }
    let taken = looks(&portal).await - before;
    let polls = i64::try_from(began.elapsed().as_secs() / 10 + 2).unwrap();
    stop.cancel();
    timeout(PATIENCE, running.join_all())
        .await
        .expect("they end");
    (taken, polls * i64::try_from(instances_there).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_submit_costs_an_idle_portal_one_look_and_one_for_its_own_echo() {
    let (taken, polls) = looks_for_submits(1).await;
    assert!(taken <= 2 * SUBMITS + polls, "{taken} looks");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_submit_wakes_each_other_process_for_one_look_at_most() {
    let others = 7;
    let (taken, polls) = looks_for_submits(1 + others).await;
    let most = SUBMITS * (2 + i64::try_from(others).unwrap());
    assert!(taken <= most + polls, "{taken} looks, {most} at most");
}

#[tokio::test]
async fn one_look_settles_a_batch_and_tells_when_to_look_next() {
    let portal = TestApp::new().await;
    portal.run(COUNTED).await;
    let worker = portal.worker();
    for many in [1, 2, 499] {
        portal.store(many).await;
        let before = looks(&portal).await;
        assert_eq!(worker.drain().await.unwrap().provisioned, many);
        assert_eq!(looks(&portal).await - before, 1, "{many} at once");
    }
    // For a long queue: one for each batch, one for each of the two lanes that finds the rest
    // taken, and one that finds that nothing at all is due.
    for _ in 0..4 {
        portal.store(500).await;
    }
    let before = looks(&portal).await;
    assert_eq!(worker.drain().await.unwrap().provisioned, 2_000);
    let taken = looks(&portal).await - before;
    assert!((4 + 1..=4 + 3).contains(&taken), "{taken} looks");
}

#[tokio::test]
async fn where_there_is_no_queue_one_looks_after_the_other() {
    let portal = TestApp::new().await;
    portal
        .store_one(&[("sip.has.example", "has.example")])
        .await;
    portal.work().await;
    portal.run(COUNTED).await;
    portal
        .store_one(&[("sip.wants.example", "has.example")])
        .await;
    let before = looks(&portal).await;
    assert_eq!(portal.worker().drain().await.unwrap().held, 1);
    // One finds it, one finds no request that it woke, and one finds that nothing at all is due.
    // With two at a time, requests that wait for one domain could be in two batches.
    assert_eq!(looks(&portal).await - before, 1);
}
