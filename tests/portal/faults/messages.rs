//! Loses single messages to the database, or single answers.

use std::{collections::VecDeque, sync::atomic::Ordering::Relaxed, time::Duration};

use axum::http::StatusCode;

use crate::support::{
    app::{TestApp, request, submission_id},
    eventually,
    proxy::{Fate, Proxy},
    sql,
};

const ONE: &[(&str, &str)] = &[("sip.contoso.example", "contoso.example")];
/// The message that executes a statement, followed by a commit.
const EXECUTE: u8 = b'E';
/// The first message of a prepared statement.
const BIND: u8 = b'B';

/// Messages of this type have these fates from now on, one after the other; then all pass.
fn fates(proxy: &Proxy, of: u8, fates: &[Fate]) {
    let mut fates: VecDeque<_> = fates.iter().copied().collect();
    proxy.judge(move |kind, _| {
        let is_due = kind == of;
        let fate = is_due.then(|| fates.pop_front()).flatten();
        fate.unwrap_or(Fate::Pass)
    });
}

/// A portal whose submit and status page were used before, with one request in it.
async fn warm() -> (TestApp, Proxy, String) {
    let (portal, proxy) = TestApp::behind_a_proxy().await;
    let id = submission_id();
    let edges = [("sip.fabrikam.example", "fabrikam.example")];
    let known = portal.post("/requests/new", &request(&id, &edges)).await;
    let known = format!("/requests/{}", known.reference());
    assert_eq!(portal.get(&known).await.status, StatusCode::OK);
    (portal, proxy, known)
}

async fn stored(portal: &TestApp) -> (i64, i64) {
    let pool = portal.db().pool();
    let counts = "SELECT (SELECT count(*) FROM request), (SELECT count(*) FROM timeline)";
    sqlx::query_as(counts).fetch_one(pool).await.unwrap()
}

#[tokio::test]
async fn a_submit_whose_commit_is_not_heard_of_is_stored_once() {
    let (portal, proxy, _) = warm().await;
    let before = stored(&portal).await;
    let id = submission_id();
    let submit = async || portal.post("/requests/new", &request(&id, ONE)).await;

    // Once: the portal retries by itself.
    fates(&proxy, EXECUTE, &[Fate::LoseAnswer]);
    let (_, statements) = proxy.cost();
    let reference = submit().await.reference();
    assert_eq!(
        proxy.cost().1 - statements,
        5,
        "it was carried out twice, a new connection was set up, what had been stored was found, and whether the key is still shown"
    );
    assert_eq!(stored(&portal).await, (before.0 + 1, before.1 + 1));

    // Twice: the client gets an error, and sends it again.
    let id = submission_id();
    let edges = [("sip.litware.example", "litware.example")];
    let submit_other = async || portal.post("/requests/new", &request(&id, &edges)).await;
    fates(&proxy, EXECUTE, &[Fate::LoseAnswer, Fate::LoseAnswer]);
    let sent = submit_other().await;
    assert_eq!(
        sent.status,
        StatusCode::SERVICE_UNAVAILABLE,
        "{}",
        sent.body
    );
    assert_eq!(
        stored(&portal).await,
        (before.0 + 2, before.1 + 2),
        "it was stored all the same"
    );
    let again = submit_other().await.reference();
    assert_ne!(again, reference);
    assert_eq!(submit_other().await.reference(), again);
    assert_eq!(stored(&portal).await, (before.0 + 2, before.1 + 2));
}

#[tokio::test]
async fn who_asks_on_a_connection_that_is_cut_gets_an_answer_from_another() {
    let (portal, proxy, known) = warm().await;
    let before = stored(&portal).await;
    fates(&proxy, EXECUTE, &[Fate::Cut]);
    assert_eq!(portal.get(&known).await.status, StatusCode::OK);
    fates(&proxy, EXECUTE, &[Fate::Cut]);
    let id = submission_id();
    let sent = portal.post("/requests/new", &request(&id, ONE)).await;
    assert_eq!(sent.status, StatusCode::SEE_OTHER, "{}", sent.body);
    assert_eq!(stored(&portal).await, (before.0 + 1, before.1 + 1));

    // The retry ends after one attempt.
    fates(&proxy, EXECUTE, &[Fate::Cut, Fate::Cut]);
    assert_eq!(
        portal.get(&known).await.status,
        StatusCode::SERVICE_UNAVAILABLE
    );
    assert_eq!(portal.get(&known).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_message_that_is_lost_costs_one_answer() {
    let (portal, proxy, known) = warm().await;
    let before = stored(&portal).await;
    for message in [BIND, EXECUTE] {
        fates(&proxy, message, &[Fate::Drop]);
        let id = submission_id();
        let form = request(&id, ONE);
        let (sent, page) = tokio::join!(portal.post("/requests/new", &form), portal.get(&known));
        let mut both = [sent.status, page.status];
        both.sort();
        assert!(
            matches!(
                both,
                [
                    StatusCode::OK | StatusCode::SEE_OTHER,
                    StatusCode::SERVICE_UNAVAILABLE
                ]
            ),
            "one is lost: {both:?}"
        );
    }
    let (requests, events) = stored(&portal).await;
    assert_eq!(requests - before.0, events - before.1);
    assert_eq!(portal.get(&known).await.status, StatusCode::OK);
}

#[tokio::test]
async fn what_the_server_cannot_do_now_is_said_and_not_stored() {
    let (portal, proxy, known) = warm().await;
    let before = stored(&portal).await;
    // A password that was changed, a role that may not log in, a database that is gone, disk full, out
    // of memory, too many connections, an administrator's command, starting up, a
    // standby, a statement and a lock that took too long.
    for code in [
        "28P01", "28000", "3D000", "53100", "53200", "53300", "57P01", "57P03", "25006", "57014",
        "55P03",
    ] {
        // For the second attempt too.
        fates(&proxy, BIND, &[Fate::Error(code), Fate::Error(code)]);
        let id = submission_id();
        let sent = portal.post("/requests/new", &request(&id, ONE)).await;
        assert_eq!(
            sent.status,
            StatusCode::SERVICE_UNAVAILABLE,
            "{code}: {}",
            sent.body
        );
        assert_ne!(sent.header("retry-after"), "", "{code}");
        assert_eq!(stored(&portal).await, before, "{code}");
        fates(&proxy, BIND, &[Fate::Error(code), Fate::Error(code)]);
        let page = portal.get(&known).await;
        assert_eq!(
            page.status,
            StatusCode::SERVICE_UNAVAILABLE,
            "{code}: {}",
            page.body
        );
        proxy.judge_no_more();
        assert_eq!(portal.get(&known).await.status, StatusCode::OK, "{code}");
    }
    let id = submission_id();
    let sent = portal.post("/requests/new", &request(&id, ONE)).await;
    assert_eq!(sent.status, StatusCode::SEE_OTHER, "{}", sent.body);
    assert_eq!(stored(&portal).await, (before.0 + 1, before.1 + 1));
}

#[tokio::test]
async fn after_a_full_disk_it_is_ready_once_there_is_room() {
    let (portal, proxy, _) = warm().await;
    let ready = async || portal.get("/readyz").await.status == StatusCode::OK;
    // The statement by which it is tried whether there is room.
    let no_room = || {
        proxy.judge(|kind, bytes| {
            let tries = kind == b'P' && bytes.windows(8).any(|part| part == b"pic_room");
            if tries {
                Fate::Error("53100")
            } else {
                Fate::Pass
            }
        });
    };
    no_room();
    assert!(ready().await, "nobody has met a full disk: it is not tried");
    let full = [Fate::Error("53100"), Fate::Error("53100")];
    fates(&proxy, BIND, &full);
    let sent = portal
        .post("/requests/new", &request(&submission_id(), ONE))
        .await;
    assert_eq!(sent.status, StatusCode::SERVICE_UNAVAILABLE);
    no_room();
    assert!(!ready().await);
    assert!(!ready().await, "until there is room");
    proxy.judge_no_more();
    assert!(ready().await);
    no_room();
    assert!(ready().await, "it is not tried any more");
}

#[tokio::test]
async fn a_settling_that_is_not_heard_of_happened_once() {
    let (portal, proxy, _) = warm().await;
    let worker = portal.worker();
    worker.drain().await.unwrap();
    // The claim and the settling are one statement or two.
    for lost in 0..2 {
        portal.store(5).await;
        let mut fate = vec![Fate::Pass; lost];
        fate.push(Fate::LoseAnswer);
        fates(&proxy, EXECUTE, &fate);
        // Whether the answer arrived or not.
        let _ = worker.step().await;
        proxy.judge_no_more();
        // The lease has expired.
        portal.advance(Duration::from_mins(1)).await;
        worker.drain().await.unwrap();
        let pool = portal.db().pool();
        let count = async |sql: &'static str| -> i64 { sql::one(pool, sql).await };
        assert_eq!(
            count("SELECT count(*) FROM request WHERE state <> 'provisioned'").await,
            0
        );
        let routes = "SELECT count(*) - (SELECT count(*) FROM request) FROM route";
        assert_eq!(count(routes).await, 0);
    }
}

#[tokio::test]
async fn nobody_meets_the_connections_that_ended_with_a_restart() {
    let (portal, proxy, known) = warm().await;
    // Several connections at once, which are then idle. Pages alone would share two.
    let before = proxy.counts().connections.load(Relaxed);
    let pool = &portal.app.db().pool;
    let held = futures_util::future::try_join_all((0..4).map(|_| pool.acquire())).await;
    for connection in held.unwrap() {
        connection.give_back();
    }
    let opened = proxy.counts().connections.load(Relaxed) - before;
    assert!(opened >= 3, "{opened} more connections");

    let direct = portal.db().pool();
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid()";
    eventually("every session has ended", async || {
        let there: i64 = sql::one(direct, end).await;
        (there == 0).then_some(())
    })
    .await;
    for _ in 0..=opened {
        assert_eq!(portal.get(&known).await.status, StatusCode::OK);
    }
}
