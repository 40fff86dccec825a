//! Checks submits that wait while the database fails.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use axum::http::StatusCode;
use pic_portal::{
    db::MIGRATOR,
    request::queue::{Limits, meter::Why},
};

use super::{
    Busy, REQUESTS, all, assert_put_off, assert_whole, hold, patient, post, stored_in_the_end,
};
use crate::support::{
    app::{TestApp, submission_id},
    db::TestDb,
    proxy::{Fate, Proxy, Target},
    sql,
};

/// A domain for which the answer to the commit is lost.
const CUT: &str = "cut-off.example";

/// `docs/performance.md#traps-met`: if the answer to a COMMIT is lost, its result is unknown.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_is_lost_is_found_by_the_portal_itself() {
    let (portal, lost, _proxy) = losing(1).await;
    let told = post(&portal, &submission_id(), CUT).await.unwrap();
    assert_eq!(lost.load(SeqCst), 1);
    let stored: Vec<String> = sql::all(portal.db().pool(), "SELECT reference FROM request").await;
    assert_eq!(stored, [told.reference()]);
    assert_whole(&portal, 1).await;
}

/// A portal that loses the first `cuts` answers to [`CUT`], and how many it has lost.
async fn losing(cuts: usize) -> (Arc<TestApp>, Arc<AtomicUsize>, Proxy) {
    let db = TestDb::fresh(&MIGRATOR).await;
    let proxy = Proxy::to(Target::of(&db.options())).await;
    let lost = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&lost);
    proxy.judge(move |_, message| {
        let is_it = message
            .windows(CUT.len())
            .any(|part| part == CUT.as_bytes());
        if !is_it || count.load(SeqCst) >= cuts {
            return Fate::Pass;
        }
        count.fetch_add(1, SeqCst);
        Fate::LoseAnswer
    });
    let through = proxy.options(&db.options());
    let portal = TestApp::on(db, through, |_| {}, patient()).await;
    (Arc::new(portal), lost, proxy)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_is_lost_twice_is_found_by_who_sends_it_again() {
    let (portal, lost, _proxy) = losing(2).await;
    let id = submission_id();
    let unknown = post(&portal, &id, CUT).await.unwrap();
    assert_put_off(&unknown, &id, CUT);
    assert_eq!(lost.load(SeqCst), 2);
    assert_eq!(portal.app.queue().meter().put_offs(Why::Away), 1);
    let stored: Vec<String> = sql::all(portal.db().pool(), "SELECT reference FROM request").await;
    assert_eq!(stored.len(), 1, "it is stored, which nobody was told");
    let again = post(&portal, &id, CUT).await.unwrap();
    assert_eq!(again.reference(), stored[0]);
    assert_whole(&portal, 1).await;
    // With the key that the first response would have had.
    let receipt = portal
        .get_with(again.header("location"), &again.cookie())
        .await;
    let key = receipt.attribute("data-management-key").unwrap();
    let path = format!("/requests/{}/withdraw", stored[0]);
    let withdrawn = portal.post(&path, &[("management_key", key)]).await;
    assert_eq!(withdrawn.status, StatusCode::SEE_OTHER);
}

/// Makes the first `faults` statements that store requests fail with `code`.
async fn failing(portal: &TestApp, faults: i32, code: &str) {
    let sql = format!(
        "CREATE SEQUENCE faults;
         CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
             IF nextval('faults') <= {faults} THEN
                 RAISE EXCEPTION 'not now' USING ERRCODE = '{code}';
             END IF;
             RETURN NULL;
         END $$;
         CREATE TRIGGER fail AFTER INSERT ON request FOR EACH STATEMENT EXECUTE FUNCTION fail();"
    );
    portal.run(&sql).await;
}

const TRIES: &str = "SELECT last_value FROM faults";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_database_asks_to_try_again_is_tried_again() {
    for code in ["40001", "40P01"] {
        let portal = TestApp::with_queue(patient()).await;
        failing(&portal, 3, code).await;
        let busy = Busy::of(portal).await;
        let posts: Vec<_> = (0..10)
            .map(|n| post(&busy.portal, &submission_id(), &format!("d{n}.example")))
            .collect();
        busy.waiting(10).await;
        let (portal, _) = busy.release().await;
        all(posts).await.iter().for_each(|a| drop(a.reference()));
        assert_whole(&portal, 12).await;
        assert_eq!(
            portal.number(TRIES).await,
            6,
            "1 + 1 + 10, and three in vain"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_to_be_tried_again_for_ever_is_given_up() {
    let portal = Arc::new(TestApp::with_queue(patient()).await);
    failing(&portal, 1_000, "40001").await;
    let id = submission_id();
    let told = post(&portal, &id, "d1.example").await.unwrap();
    assert_put_off(&told, &id, "d1.example");
    assert_eq!(portal.number(TRIES).await, 4);
    assert_eq!(portal.number(REQUESTS).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_has_no_room_puts_the_whole_batch_off_and_the_next_is_stored() {
    let portal = TestApp::with_queue(Limits {
        batch: 10,
        ..patient()
    })
    .await;
    // Out of disk: the two that the writers are busy with, and one batch of ten.
    failing(&portal, 3, "53100").await;
    let busy = Busy::of(portal).await;
    let posts = busy.lined_up(20).await;
    let (portal, first) = busy.release().await;
    let put_off = StatusCode::SERVICE_UNAVAILABLE;
    assert!(first.iter().all(|answer| answer.status == put_off));
    let answers = all(posts).await;
    let stored = answers.iter().filter(|a| a.status == StatusCode::SEE_OTHER);
    assert_eq!(stored.count(), 10);
    let told = answers.iter().filter(|a| a.status == put_off);
    assert_eq!(told.count(), 10);
    assert_whole(&portal, 10).await;
    assert_eq!(portal.app.queue().meter().put_offs(Why::Away), 12);
    assert_eq!(portal.number(TRIES).await, 4, "none was tried by halves");
}

/// All connections are busy with something else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_free_connection_there_is_an_answer_in_time_and_it_recovers() {
    let portal = Arc::new(TestApp::new().await);
    let mut taken = Vec::new();
    for _ in 0..portal.pool().most() {
        taken.push(portal.pool().acquire().await.unwrap());
    }
    let began = Instant::now();
    let sent: Vec<_> = (0..20)
        .map(|n| {
            let (id, domain) = (submission_id(), format!("d{n}.example"));
            let answer = post(&portal, &id, &domain);
            (id, domain, answer)
        })
        .collect();
    let mut again = Vec::new();
    for (id, domain, answer) in sent {
        assert_put_off(&answer.await.unwrap(), &id, &domain);
        again.push((id, domain));
    }
    // The promise is 5 s; this machine may be busy.
    assert!(began.elapsed() < Duration::from_secs(10));
    drop(taken);
    for (id, domain) in again {
        post(&portal, &id, &domain).await.unwrap().reference();
    }
    assert_whole(&portal, 20).await;
}

/// A statement that hangs fails its own batch, and not the next one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_hangs_is_given_up() {
    let limits = Limits {
        store: Duration::from_millis(100),
        ..patient()
    };
    let portal = Arc::new(TestApp::with_queue(limits).await);
    let holder = hold(portal.db().pool()).await;
    let id = submission_id();
    let told = post(&portal, &id, "d1.example").await.unwrap();
    assert_put_off(&told, &id, "d1.example");
    assert_eq!(portal.app.queue().meter().put_offs(Why::Away), 1);
    holder.rollback().await.unwrap();
    // The connection that hung is not used again; the next attempt finds one that works.
    stored_in_the_end(&portal, &id).await;
    assert_whole(&portal, 1).await;
}
