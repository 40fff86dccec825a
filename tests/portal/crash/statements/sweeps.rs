//! The retention sweep, with a failure at each write.

use std::time::Duration;

use pic_portal::retention::{
    Cause,
    store::{LEASE, empty_at_start},
    sweep::Sweeper,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Operation, Struck, fail_everywhere};
use crate::{
    service::sign_in,
    staff::account,
    support::app::{TestApp, WAITS},
};

const CONTACTS: &str = "INSERT INTO legacy_contact (email, name) SELECT n || '@aviary.example', 'A Canary' FROM generate_series(1, 3) AS n";

/// A sweep that has rows of every kind to delete.
struct Sweep;

impl Operation for Sweep {
    const ATOMIC: bool = false;
    const PLACES: i64 = 80;
    const STRIDE: usize = 2;

    async fn prepare(portal: &TestApp) -> Self {
        // One withdrawn, with a session on it; one rejected; one in force, which stays.
        portal.submit(&[("sip.a.example", "a.example")]).await;
        portal.work().await;
        let (reference, key) = portal.submit(&[("sip.w.example", "w.example")]).await;
        sign_in(portal, &key).await;
        let withdraw = format!("/requests/{reference}/withdraw");
        portal.post(&withdraw, &[("management_key", &key)]).await;
        portal.store_one(&[("sip.r.example", "a.example")]).await;
        portal.work().await;
        portal.advance(WAITS.expiry).await;
        assert_eq!(portal.work().await.expired, 1);
        portal.run(CONTACTS).await;
        portal
            .run(
                "INSERT INTO staff_audit (staff_id, at, action)
                 SELECT id, pic_now() - interval '300 days', 'signed-in' FROM staff;
                 INSERT INTO retention_run (instance, cause, began_at, ended_at, outcome, remaining)
                 SELECT gen_random_uuid(), 'hand', at, at, 'clean', 0 FROM (SELECT pic_now() - interval '300 days' AS at) t",
            )
            .await;
        // All of it is no longer kept; the session has long ended.
        portal.advance(Duration::from_hours(24 * 100)).await;
        Self
    }

    async fn run(&self, portal: &TestApp) -> Result<(), String> {
        let sweeper = Sweeper::new(
            portal.pool().clone(),
            Duration::from_hours(1),
            CancellationToken::new(),
        );
        match Box::pin(sweeper.sweep(Cause::Hand)).await {
            Ok(Some(run)) if run.is_clean() => Ok(()),
            Ok(Some(run)) => Err(format!("{:?} {:?}", run.outcome, run.fault)),
            Ok(None) => Err("nobody swept".into()),
            Err(halt) => Err(halt.to_string()),
        }
    }

    async fn recover(&self, portal: &TestApp) {
        // The turn to sweep may not have been released.
        portal.advance(LEASE).await;
    }
}

#[tokio::test]
async fn a_sweep_removes_and_records_everything_once_whatever_fails_on_the_way() {
    let struck = Struck::new().await;
    account(&struck.portal, "anna", pic_portal::staff::Role::Agent).await;
    struck.everywhere::<Sweep>().await;
}

/// The sweep before the portal answers any request.
struct AtStart;

impl Operation for AtStart {
    // The failure itself is recorded.
    const ATOMIC: bool = false;
    const PLACES: i64 = 5;

    async fn prepare(portal: &TestApp) -> Self {
        portal.run(CONTACTS).await;
        Self
    }

    async fn run(&self, portal: &TestApp) -> Result<(), String> {
        let emptied = Box::pin(empty_at_start(portal.pool(), Uuid::new_v4())).await;
        emptied.map(drop).map_err(|error| error.to_string())
    }
}

#[tokio::test]
async fn contacts_are_gone_and_counted_before_anybody_is_answered() {
    fail_everywhere::<AtStart>().await;
}
