//! Checks that frequent updates are HOT: they change no index, and the old version is pruned when
//! its page is next read.

use std::time::Duration;

use pic_portal::{
    db::PgPool,
    provisioning::{checking::store as checking, store},
};

use crate::support::{
    app::{TestApp, WAITS},
    sql,
};

const LEASE: Duration = Duration::from_secs(30);
const MANY: usize = 700;

/// One connection, so that its counters are up to date before the next query.
fn alone(portal: &TestApp) -> PgPool {
    PgPool::new(portal.db().options(), 1)
}

/// How many rows of `table` were updated so far, and how many of these by HOT updates.
async fn updates(pool: &PgPool, table: &str) -> (i64, i64) {
    sql::run(pool, "SELECT pg_stat_force_next_flush()").await;
    sqlx::query_as("SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = $1")
        .bind(table)
        .fetch_one(pool)
        .await
        .unwrap()
}

/// Updates of `table` by `job`: all, and those that are HOT.
async fn counted(pool: &PgPool, table: &str, job: impl AsyncFnOnce()) -> (i64, i64) {
    let before = updates(pool, table).await;
    job().await;
    let after = updates(pool, table).await;
    (after.0 - before.0, after.1 - before.1)
}

#[tokio::test]
async fn claims_renewals_and_releases_are_hot_however_often() {
    let portal = TestApp::new().await;
    portal.store(MANY).await;
    let pool = alone(&portal);
    let all = i64::try_from(MANY).unwrap();
    let mut claims = Vec::new();
    let claimed = counted(&pool, "work", async || {
        loop {
            let claim = store::claim(&pool, store::Place::Pending, 500, LEASE)
                .await
                .unwrap();
            if claim.is_empty() {
                break;
            }
            claims.push(claim);
        }
    })
    .await;
    assert_eq!(claimed, (all, all), "claims");
    let renewed = counted(&pool, "work", async || {
        for _ in 0..6 {
            // Old versions are pruned when their page is next read, or later if another database of
            // the server is busy: this removes them now.
            sql::run(&pool, "VACUUM work").await;
            checking::renew(&pool, &claims, LEASE).await.unwrap();
        }
    })
    .await;
    assert_eq!(renewed, (6 * all, 6 * all), "renewals");
    sql::run(&pool, "VACUUM work").await;
    let released = counted(&pool, "work", async || {
        checking::release(&pool, &claims).await.unwrap();
    })
    .await;
    assert_eq!(released, (all, all), "releases");
    // A request that is checked at another time has another entry in the index of due times.
    let moved = counted(&pool, "work", async || {
        sql::run(&pool, "UPDATE work SET due_at = due_at + interval '1 s'").await;
    })
    .await;
    assert_eq!(moved, (all, 0), "the count is sharp");
}

#[tokio::test]
async fn a_claim_on_what_is_in_force_is_hot_too() {
    let portal = TestApp::new().await;
    portal.store(MANY).await;
    portal.work().await;
    let pool = alone(&portal);
    sql::run(&pool, "INSERT INTO watch (request_id, due_at, checked_at) SELECT id, pic_now(), pic_now() FROM request",
    )
    .await;
    // Due times are spread over the day, as in reality: neighbours are not due together.
    sql::run(
        &pool,
        "UPDATE watch SET due_at = pic_now() - (request_id * 7919 % 43200) * interval '1 s'",
    )
    .await;
    sql::run(&pool, "VACUUM watch").await;
    let mut claims = Vec::new();
    let claimed = counted(&pool, "watch", async || {
        claims.push(
            store::claim(&pool, store::Place::Watched, 16, LEASE)
                .await
                .unwrap(),
        );
        checking::renew(&pool, &claims, LEASE).await.unwrap();
    })
    .await;
    assert_eq!(claimed, (32, 32));
}

#[tokio::test]
async fn what_waits_for_a_rival_is_given_back_by_a_hot_update() {
    let portal = TestApp::new().await;
    for _ in 0..3 {
        portal
            .store_one(&[("sip.contoso.com", "contoso.com")])
            .await;
    }
    let pool = alone(&portal);
    let claim = store::claim(&pool, store::Place::Pending, 500, LEASE)
        .await
        .unwrap();
    let settled = counted(&pool, "work", async || {
        let verdicts = store::Verdicts::default();
        let settled = store::settle(&pool, &claim, &WAITS, &verdicts).await;
        assert_eq!(settled.unwrap().provisioned, 1);
    })
    .await;
    assert_eq!(settled, (2, 2));
}

#[tokio::test]
async fn telling_that_a_process_is_there_is_hot() {
    let portal = TestApp::new().await;
    let pool = alone(&portal);
    let [one, two] = [uuid::Uuid::new_v4(), uuid::Uuid::new_v4()];
    let show = async |instance| {
        store::show_instance(&pool, instance, LEASE, Duration::ZERO)
            .await
            .unwrap();
    };
    show(one).await;
    show(two).await;
    let shown = counted(&pool, "instance", async || {
        for _ in 0..50 {
            show(one).await;
            show(two).await;
        }
    })
    .await;
    assert_eq!(shown, (100, 100));
}

#[tokio::test]
async fn a_request_is_updated_once_in_its_life() {
    let portal = TestApp::new().await;
    portal.store(MANY).await;
    let pool = alone(&portal);
    let worker = pic_portal::provisioning::worker::Worker::new(
        pool.clone(),
        WAITS,
        pic_portal::db::notify::Notifier::default(),
    );
    let all = i64::try_from(MANY).unwrap();
    let requests = counted(&pool, "request", async || {
        assert_eq!(worker.drain().await.unwrap().provisioned, MANY);
    })
    .await;
    // The state is in predicates of indexes (one pending request for each service; the desk's
    // counts), so this one is not HOT. It is the only one.
    assert_eq!(requests, (all, 0));
    // With checks off its row of work is not updated at all, only deleted.
    assert_eq!(updates(&pool, "work").await, (0, 0));
}
