//! Checks that the portal as a process answers all simultaneous submits, also while it stops.

use std::collections::HashSet;

use axum::http::StatusCode;
use nix::sys::signal::Signal;
use pic_portal::db::MIGRATOR;
use tokio::task::JoinSet;

use super::{REQUESTS, TRANSACTIONS, held, hold};
use crate::support::{
    app::{request, submission_id},
    db::TestDb,
    eventually,
    process::{Connection, Portal, on, scratch},
    sql,
};

/// Text that must not be in a log.
const TYPED: &str = "canary4e7b";
const CONNECTIONS: usize = 512;

async fn start(db: &TestDb, dir: &tempfile::TempDir) -> Portal {
    let url = db.url();
    let settings = [&on(&url)[..], &[("PIC_LOG", "trace")]].concat();
    Portal::start(&settings, &dir.path().join("log")).await
}

fn body(id: &str, domain: &str) -> String {
    serde_html_form::to_string(request(id, &[("sip.contoso.net", domain)])).unwrap()
}

async fn ask(connection: &mut Connection, body: &str) {
    let kind = ("content-type", "application/x-www-form-urlencoded");
    connection
        .ask("POST", "/requests/new", &[kind], body)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_512_connections_that_submit_at_once_each_is_stored_once() {
    let db = TestDb::fresh(&MIGRATOR).await;
    let dir = scratch();
    let portal = start(&db, &dir).await;
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(Connection::to(portal.address).await.unwrap());
    }
    let mut clients = JoinSet::new();
    for (n, mut connection) in connections.into_iter().enumerate() {
        clients.spawn(async move {
            let id = submission_id();
            let body = body(&id, &format!("{TYPED}-{n}.example"));
            // A client that is refused because this machine is slow sends the same again.
            for _ in 0..100 {
                ask(&mut connection, &body).await;
                let answer = connection.answer().await.unwrap();
                if answer.status != StatusCode::SERVICE_UNAVAILABLE {
                    return answer.reference();
                }
                assert_eq!(answer.header("retry-after"), "10");
                assert!(answer.body.contains(&id), "the form comes back");
            }
            panic!("never stored");
        });
    }
    let references: HashSet<_> = clients.join_all().await.into_iter().collect();
    assert_eq!(references.len(), CONNECTIONS);
    let all = i64::try_from(CONNECTIONS).unwrap();
    assert_eq!(sql::number(db.pool(), REQUESTS).await, all);
    let submitted = "SELECT count(*) FROM timeline WHERE code = 'submitted'";
    assert_eq!(sql::number(db.pool(), submitted).await, all);
    let twice = "SELECT count(*) FROM (SELECT FROM timeline WHERE code = 'submitted'
                 GROUP BY request_id HAVING count(*) > 1) e";
    assert_eq!(sql::number(db.pool(), twice).await, 0);
    let mut stored: Vec<String> = sql::all(db.pool(), "SELECT reference FROM request").await;
    stored.retain(|reference| !references.contains(reference));
    assert!(stored.is_empty(), "what is stored was acknowledged");
    let transactions = "SELECT count(DISTINCT xmin::text) FROM request_route";
    assert!(
        sql::number(db.pool(), transactions).await < all / 2,
        "stored together"
    );
    let log = portal.log();
    portal.stop().await;
    assert!(!log.contains(TYPED), "nothing that was typed is logged");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_stores_and_answers_what_waits() {
    let db = TestDb::fresh(&MIGRATOR).await;
    let dir = scratch();
    let mut portal = start(&db, &dir).await;
    let holder = hold(db.pool()).await;
    let mut clients = Vec::new();
    for n in 0..20 {
        let mut connection = Connection::to(portal.address).await.unwrap();
        ask(
            &mut connection,
            &body(&submission_id(), &format!("{TYPED}-{n}.example")),
        )
        .await;
        clients.push(connection);
        if n < 2 {
            held(db.pool(), i64::from(n) + 1).await;
        }
    }
    portal.signal(Signal::SIGTERM);
    // It has got the signal: `/readyz` says so, and requests in progress go on.
    eventually("it says that it stops", async || {
        let answer = portal.get("/readyz").await.ok()?;
        (answer.status == StatusCode::SERVICE_UNAVAILABLE).then_some(())
    })
    .await;
    holder.rollback().await.unwrap();
    let mut references = HashSet::new();
    for mut client in clients {
        references.insert(client.answer().await.unwrap().reference());
    }
    assert!(portal.ended().await.success(), "{}", portal.log());
    assert_eq!(references.len(), 20);
    assert_eq!(sql::number(db.pool(), REQUESTS).await, 20);
    assert!(
        sql::number(db.pool(), TRANSACTIONS).await <= 4,
        "stored together"
    );
    assert!(!portal.log().contains(TYPED));
}
