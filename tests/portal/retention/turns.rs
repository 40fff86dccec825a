//! Checks that processes take turns to sweep, and that one that dies does not block the others.

use std::time::Duration;

use nix::sys::signal::Signal;
use pic_portal::{
    db::PgPool,
    retention::{
        Cause, Kind, Outcome, Until,
        scan::Looked,
        store::{Halt, LEASE, Turn, last_runs},
    },
};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{DAY, HOUR, plant, sweep, sweeper};
use crate::support::{
    app::{TestApp, advance},
    eventually,
    process::{command, on, program},
    sql,
};

/// Runs that overlap: there must be none.
const OVERLAPS: &str = "SELECT count(*) FROM retention_run a JOIN retention_run b
    ON a.id < b.id AND b.began_at < coalesce(a.ended_at, 'infinity') AND a.began_at < coalesce(b.ended_at, 'infinity')";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_instances_take_turns_and_remove_everything_once() {
    let portal = TestApp::new().await;
    portal.store(200).await;
    portal
        .run("SELECT pic_end(ARRAY[id], 'withdrawn', NULL, 'administrator') FROM request")
        .await;
    portal.advance(90 * DAY).await;
    plant(portal.pool(), "turns", 1_000).await;
    let sweeps: JoinSet<_> = (0..5)
        .map(|_| {
            let sweeper = sweeper(portal.pool());
            async move { sweeper.sweep(Cause::Hand).await.unwrap().unwrap() }
        })
        .collect();
    let runs = sweeps.join_all().await;
    let removed = |kind| runs.iter().map(|run| run.removed(kind)).sum::<u64>();
    assert_eq!(
        (removed(Kind::Contacts), removed(Kind::Requests)),
        (1_000, 200)
    );
    assert!(runs.iter().all(|run| run.outcome == Some(Outcome::Clean)));
    assert_eq!(portal.number(OVERLAPS).await, 0);
    assert_eq!(
        portal
            .number("SELECT count(DISTINCT instance) FROM retention_run")
            .await,
        5
    );
}

#[tokio::test]
async fn while_one_sweeps_the_other_waits_and_does_not_do_it_again() {
    let portal = TestApp::new().await;
    plant(portal.pool(), "wait", 3).await;
    let turn = Turn::take(portal.pool(), Uuid::new_v4(), Cause::Schedule, None)
        .await
        .unwrap()
        .unwrap();
    assert!(
        Turn::take(portal.pool(), Uuid::new_v4(), Cause::Hand, None)
            .await
            .unwrap()
            .is_none()
    );
    let (on_time, by_hand) = (sweeper(portal.pool()), sweeper(portal.pool()));
    let on_time = tokio::spawn(async move { on_time.sweep(Cause::Schedule).await.unwrap() });
    let by_hand = tokio::spawn(async move { by_hand.sweep(Cause::Hand).await.unwrap() });
    assert_eq!(turn.empty_contacts().await.unwrap(), 3);
    assert!(!on_time.is_finished() && !by_hand.is_finished());
    let first = turn
        .end(Outcome::Clean, None, &Looked::default(), Some(0))
        .await
        .unwrap();
    assert!(on_time.await.unwrap().is_none(), "it was just done");
    let second = by_hand
        .await
        .unwrap()
        .expect("whoever asks by hand gets one");
    assert!(second.began_at >= first.ended_at.unwrap());
    // The next sweep is due.
    portal.advance(HOUR).await;
    let third = sweeper(portal.pool()).sweep(Cause::Schedule).await.unwrap();
    assert!(third.unwrap().is_clean());
}

/// The result of `next`, which begins while a turn is ending as `outcome`, and is running when that
/// end is committed.
async fn while_one_ends<T: Send + 'static>(
    pool: &PgPool,
    outcome: Outcome,
    next: impl Future<Output = T> + Send + 'static,
) -> T {
    let turn = Turn::take(pool, Uuid::new_v4(), Cause::Schedule, None);
    turn.await.unwrap().unwrap();
    let mut ending = pool.begin().await.unwrap();
    let end = "UPDATE retention_run SET ended_at = pic_now(), outcome = $1, lease_until = NULL,
                   remaining = CASE $1 WHEN 'clean' THEN 0 END";
    let mut end_now = async || {
        sqlx::query(end)
            .bind(outcome.as_str())
            .execute(&mut *ending)
            .await
            .unwrap();
    };
    end_now().await;
    let next = tokio::spawn(next);
    eventually("it waits for the end", async || {
        let waiting =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'transactionid'";
        (sql::number(pool, waiting).await == 1).then_some(())
    })
    .await;
    end_now().await;
    ending.commit().await.unwrap();
    next.await.unwrap()
}

/// A turn that has read the clock, and then waits for another's end, begins after that end.
#[tokio::test]
async fn a_turn_begins_when_it_is_taken() {
    let portal = TestApp::new().await;
    let pool = portal.pool().clone();
    let next = async move { Turn::take(&pool, Uuid::new_v4(), Cause::Schedule, None).await };
    let next = while_one_ends(portal.pool(), Outcome::Unfinished, next).await;
    assert!(next.unwrap().is_some());
    assert_eq!(portal.number(OVERLAPS).await, 0);
}

/// A process that has seen that a sweep is needed, and then waits for one to end, does not repeat
/// it.
#[tokio::test]
async fn whether_a_sweep_is_needed_is_asked_when_the_turn_is_taken() {
    let portal = TestApp::new().await;
    for (outcome, needed) in [(Outcome::Unfinished, true), (Outcome::Clean, false)] {
        let next = sweeper(portal.pool());
        let next = async move { next.sweep(Cause::Schedule).await.unwrap() };
        let next = while_one_ends(portal.pool(), outcome, next).await;
        assert_eq!(next.is_some(), needed, "after one that ended {outcome:?}");
        portal.advance(HOUR).await;
    }
    let runs = last_runs(portal.pool(), 9).await.unwrap();
    assert_eq!(runs.len(), 3, "nothing is left of what was not needed");
}

#[tokio::test]
async fn a_turn_that_ran_out_removes_nothing_more() {
    let portal = TestApp::new().await;
    let slow = Turn::take(portal.pool(), Uuid::new_v4(), Cause::Schedule, None)
        .await
        .unwrap()
        .unwrap();
    portal.advance(LEASE * 11 / 12).await;
    slow.renew().await.unwrap();
    portal.advance(LEASE * 11 / 12).await;
    assert!(
        Turn::take(portal.pool(), Uuid::new_v4(), Cause::Hand, None)
            .await
            .unwrap()
            .is_none(),
        "it was renewed"
    );
    portal.advance(Duration::from_secs(10)).await;
    let other = Turn::take(portal.pool(), Uuid::new_v4(), Cause::Hand, None)
        .await
        .unwrap()
        .unwrap();
    plant(portal.pool(), "late", 2).await;
    assert!(matches!(slow.empty_contacts().await, Err(Halt::TurnLost)));
    assert!(matches!(slow.renew().await, Err(Halt::TurnLost)));
    let until = Until::For(Kind::Runs, Duration::ZERO);
    assert!(matches!(slow.remove(until).await, Err(Halt::TurnLost)));
    assert!(matches!(
        slow.end(Outcome::Clean, None, &Looked::default(), Some(0))
            .await,
        Err(Halt::TurnLost)
    ));
    assert_eq!(
        portal.number("SELECT count(*) FROM legacy_contact").await,
        2,
        "undone"
    );
    other
        .end(Outcome::Unfinished, None, &Looked::default(), None)
        .await
        .unwrap();
    let runs = last_runs(portal.pool(), 2).await.unwrap();
    assert_eq!(runs[1].outcome, Some(Outcome::Abandoned));
}

#[tokio::test]
async fn what_a_killed_sweep_leaves_the_next_one_finishes() {
    let portal = TestApp::new().await;
    portal.store(30).await;
    portal
        .run("SELECT pic_end(ARRAY[id], 'withdrawn', NULL, 'administrator') FROM request")
        .await;
    portal.advance(90 * DAY).await;
    plant(portal.pool(), "killed", 40).await;
    // It is held between two steps: contacts are gone, requests are not.
    let mut locks = portal.db().pool().begin().await.unwrap();
    sql::run(&mut *locks, "LOCK TABLE work IN ACCESS EXCLUSIVE MODE").await;
    let url = portal.db().url();
    let mut child = command(&program(), &on(&url)).arg("sweep").spawn().unwrap();
    eventually("it is in the middle", async || {
        let waiting = "SELECT count(*) FROM pg_stat_activity
                       WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE 'SELECT requests%'";
        (sql::number(portal.db().pool(), waiting).await == 1).then_some(())
    })
    .await;
    let id = nix::unistd::Pid::from_raw(child.id().unwrap().cast_signed());
    nix::sys::signal::kill(id, Signal::SIGKILL).unwrap();
    assert!(!child.wait().await.unwrap().success());
    locks.rollback().await.unwrap();
    // PostgreSQL may finish the running statement, but not commit it.
    eventually("its connection is gone", async || {
        let there = "SELECT count(*) FROM pg_stat_activity
                     WHERE datname = current_database() AND query LIKE 'SELECT requests%'";
        (sql::number(portal.db().pool(), there).await == 0).then_some(())
    })
    .await;
    assert_eq!(portal.number("SELECT count(*) FROM request").await, 30);
    assert_eq!(
        portal.number("SELECT count(*) FROM legacy_contact").await,
        0
    );

    advance(portal.pool(), LEASE).await;
    let run = sweep(&portal).await;
    assert!(run.is_clean());
    assert_eq!(
        (run.removed(Kind::Contacts), run.removed(Kind::Requests)),
        (0, 30)
    );
    let killed = &last_runs(portal.pool(), 2).await.unwrap()[1];
    assert_eq!(killed.outcome, Some(Outcome::Abandoned));
    assert_eq!(
        killed.removed,
        [(Kind::Contacts, 40)],
        "what it did is known"
    );
}
