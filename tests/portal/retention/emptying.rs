//! Checks that nothing is left of an older system's contacts, whatever blocks the sweep.

use axum::http::StatusCode;
use pic_portal::retention::{Cause, Fault, Kind, Outcome, sweep::Sweeper};
use tokio_util::sync::CancellationToken;

use super::{HOUR, bytes, plant, sweep, sweeper};
use crate::support::{
    app::{TestApp, everything},
    eventually, sql,
};

#[tokio::test]
async fn a_sweep_empties_the_table_to_the_last_byte_and_says_so() {
    let portal = TestApp::new().await;
    let long = "long".repeat(20_000);
    plant(portal.pool(), "sweepme", 300).await;
    plant(portal.pool(), &long, 2).await;
    portal.run("ANALYZE").await;
    assert!(
        everything(portal.pool()).await.contains("sweepme"),
        "the eye is sharp"
    );
    let run = sweep(&portal).await;
    assert_eq!(run.outcome, Some(Outcome::Clean));
    assert_eq!((run.removed(Kind::Contacts), run.remaining), (302, Some(0)));
    assert!(run.is_clean());
    assert_eq!(bytes(portal.pool()).await, 0);
    assert!(!everything(portal.pool()).await.contains("sweepme"));
    let again = sweep(&portal).await;
    assert_eq!(
        (again.removed(Kind::Contacts), again.remaining),
        (0, Some(0))
    );
}

#[tokio::test]
async fn rows_that_were_deleted_or_never_committed_leave_bytes_that_go_too() {
    let portal = TestApp::new().await;
    plant(portal.pool(), "deleted", 10).await;
    portal.run("DELETE FROM legacy_contact").await;
    assert!(bytes(portal.pool()).await > 0);
    assert!(sweep(&portal).await.is_clean());
    assert_eq!(bytes(portal.pool()).await, 0);

    let mut other = portal.db().pool().begin().await.unwrap();
    sql::run(
        &mut *other,
        "INSERT INTO legacy_contact (email) VALUES ('never@aviary.example')",
    )
    .await;
    other.rollback().await.unwrap();
    assert!(bytes(portal.pool()).await > 0);
    assert!(sweep(&portal).await.is_clean());
    assert_eq!(bytes(portal.pool()).await, 0);
}

#[tokio::test]
async fn an_empty_table_disturbs_nobody() {
    let portal = TestApp::new().await;
    let mut reader = portal.db().pool().begin().await.unwrap();
    let nothing: Vec<Option<String>> =
        sql::all(&mut *reader, "SELECT email FROM legacy_contact").await;
    assert!(nothing.is_empty());
    assert!(sweep(&portal).await.is_clean());
    reader.rollback().await.unwrap();
}

#[tokio::test]
async fn a_reader_in_the_way_is_seen_and_the_sweep_tried_again() {
    let portal = TestApp::new().await;
    plant(portal.pool(), "read", 7).await;
    // The lock that `pg_dump` holds until it is done.
    let mut dump = portal.db().pool().begin().await.unwrap();
    sql::run(&mut *dump, "LOCK TABLE legacy_contact IN ACCESS SHARE MODE").await;
    let stop = CancellationToken::new();
    let sweeper = Sweeper::new(portal.pool().clone(), HOUR, stop.clone());
    let meter = sweeper.meter().clone();
    let task = tokio::spawn(sweeper.run());
    eventually("the failure is counted", async || {
        (meter.failures(Fault::Locked) > 0).then_some(())
    })
    .await;
    assert!(meter.failing() > 0);
    assert_eq!(meter.sweeps(Outcome::Clean), 0);
    let page = portal.get("/privacy").await;
    assert_eq!(page.status, StatusCode::OK);
    page.shows("something, such as a backup, was reading");
    assert_eq!(
        sql::number(portal.db().pool(), "SELECT count(*) FROM legacy_contact").await,
        7,
        "nothing half-done"
    );
    dump.rollback().await.unwrap();
    eventually("it is tried again, and done", async || {
        (meter.sweeps(Outcome::Clean) == 1).then_some(())
    })
    .await;
    assert_eq!(
        (
            meter.failing(),
            meter.remaining(),
            meter.rows_removed(Kind::Contacts)
        ),
        (0, 0, 7)
    );
    stop.cancel();
    task.await.unwrap();
    assert_eq!(bytes(portal.pool()).await, 0);
    let retried = "SELECT count(*) FROM retention_run WHERE cause = 'retry' AND outcome = 'clean'";
    assert_eq!(portal.number(retried).await, 1);
}

#[tokio::test]
async fn a_reader_in_the_way_keeps_nothing_else_from_being_done() {
    let portal = TestApp::new().await;
    plant(portal.pool(), "read", 1).await;
    portal.submit(&[("sip.contoso.com", "contoso.com")]).await;
    portal
        .run(
            "INSERT INTO session SELECT sha256('old'), id, pic_now() - interval '9 hours', pic_now() - interval '9 hours'
             FROM service",
        )
        .await;
    let mut dump = portal.db().pool().begin().await.unwrap();
    sql::run(&mut *dump, "LOCK TABLE legacy_contact IN ACCESS SHARE MODE").await;
    let run = sweep(&portal).await;
    dump.rollback().await.unwrap();
    assert_eq!(
        (run.outcome, run.fault),
        (Some(Outcome::Failed), Some(Fault::Locked))
    );
    assert_eq!((run.remaining, run.removed(Kind::Contacts)), (None, 0));
    assert_eq!(run.removed(Kind::Sessions), 1);
}

#[tokio::test]
async fn a_database_that_refuses_is_a_failure_and_no_clean_sweep() {
    let portal = TestApp::new().await;
    portal
        .run("ALTER TABLE session RENAME COLUMN seen_at TO gone")
        .await;
    let sweeper = sweeper(portal.pool());
    let run = sweeper.sweep(Cause::Hand).await.unwrap().unwrap();
    assert_eq!(
        (run.outcome, run.fault),
        (Some(Outcome::Failed), Some(Fault::Database))
    );
    assert_eq!(sweeper.meter().failures(Fault::Database), 1);
    portal
        .run("ALTER TABLE session RENAME COLUMN gone TO seen_at")
        .await;
    assert!(sweep(&portal).await.is_clean());
    portal.run("ALTER TABLE retention_run RENAME TO gone").await;
    assert!(sweeper.sweep(Cause::Hand).await.is_err());
    assert_eq!(sweeper.meter().failures(Fault::Database), 2);
}

#[tokio::test]
async fn one_that_is_stopped_is_not_clean() {
    let portal = TestApp::new().await;
    let stop = CancellationToken::new();
    let sweeper = Sweeper::new(portal.pool().clone(), HOUR, stop.clone());
    stop.cancel();
    let run = sweeper.sweep(Cause::Hand).await.unwrap().unwrap();
    assert_eq!(run.outcome, Some(Outcome::Unfinished));
    assert_eq!(run.remaining, None);
}
