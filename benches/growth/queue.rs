//! Measures the background task with a long queue, and while an old snapshot is open.

use std::time::{Duration, Instant};

use pic_portal::{
    db::notify::Notifier,
    provisioning::{
        checking::store as checking,
        store::{BatchOutcome, Place, claim, settle_due},
        worker::Worker,
    },
    request::store::submit,
};

use super::{Sized, WAITS, jobs::rate, median, submission::submission};

const LEASE: Duration = Duration::from_secs(30);

/// Stores requests whose domains no other request wants, all due.
async fn store(sized: &Sized, pending: usize) {
    for from in (0..pending).step_by(500) {
        let members: Vec<_> = (from..pending.min(from + 500))
            .map(|_| submission(&sized.db))
            .collect();
        let pool = sized.db.pool.clone().within(Duration::from_mins(1));
        submit(&pool, &members).await.expect("stored");
    }
}

async fn look(sized: &Sized, since: Option<chrono::DateTime<chrono::Utc>>) -> (BatchOutcome, f64) {
    let began = Instant::now();
    let look = settle_due(&sized.db.pool, 500, since, &WAITS)
        .await
        .expect("a look");
    (look, began.elapsed().as_secs_f64() * 1000.0)
}

pub(crate) fn worker(sized: &Sized) -> Worker {
    Worker::new(sized.db.pool.clone(), WAITS, Notifier::default())
}

/// Drains `pending` requests, twice: once while another session holds an earlier snapshot open.
pub(crate) async fn measure(sized: &Sized, pending: usize) {
    println!("\nwith {} requests:", sized.requests);
    let worker = worker(sized);
    worker.drain().await.expect("drained");
    store(sized, pending).await;
    let began = Instant::now();
    let done = worker.drain().await.expect("drained").provisioned;
    println!(
        "  {done} pending drained in {:.1} s, {:.0} a second",
        began.elapsed().as_secs_f64(),
        rate(done, began)
    );
    let mut reader = sized.db.pool.acquire().await.expect("a connection");
    sqlx::raw_sql("SET idle_in_transaction_session_timeout = 0; BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM work")
        .execute(&mut *reader)
        .await
        .expect("a snapshot");
    store(sized, pending).await;
    let began = Instant::now();
    let done = worker.drain().await.expect("drained").provisioned;
    println!(
        "  under an old snapshot: {done} drained in {:.1} s, {:.0} a second",
        began.elapsed().as_secs_f64(),
        rate(done, began)
    );
    let (mut whole, mut from) = (Vec::new(), Vec::new());
    for _ in 0..9 {
        let (seen, took) = look(sized, None).await;
        whole.push(took);
        from.push(look(sized, seen.next_since).await.1);
    }
    println!(
        "  a look then: {:.2} ms at everything, {:.2} ms from where the last one ended",
        median(whole),
        median(from)
    );
    sqlx::raw_sql("ROLLBACK")
        .execute(&mut *reader)
        .await
        .expect("no more snapshot");
    drop(reader);
    hot(sized).await;
}

/// Claims, renews and releases as the checks do, and prints how many of these updates were HOT.
async fn hot(sized: &Sized) {
    let pool = &sized.db.pool;
    store(sized, 2_000).await;
    let before = updates(sized).await;
    let mut claims = Vec::new();
    for _ in 0..4 {
        claims.push(
            claim(pool, Place::Pending, 500, LEASE)
                .await
                .expect("a claim"),
        );
    }
    for _ in 0..3 {
        checking::renew(pool, &claims, LEASE)
            .await
            .expect("renewed");
    }
    checking::release(pool, &claims).await.expect("given back");
    // Idle connections report their counters after a second.
    let after = loop {
        let after = updates(sized).await;
        if after.0 >= before.0 + 10_000 {
            break after;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    println!(
        "  {} leases taken, renewed and given back, {} of them by HOT updates",
        after.0 - before.0,
        after.1 - before.1
    );
}

/// Rows of `work` that were updated so far, and how many of these by HOT updates.
async fn updates(sized: &Sized) -> (i64, i64) {
    sqlx::query_as(
        "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'work'",
    )
    .fetch_one(&sized.db.pool)
    .await
    .expect("two numbers")
}
