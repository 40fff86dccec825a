//! Counts the round trips and statements of each job.
//!
//! A proxy counts them on the wire, on connections where every statement is prepared already: these
//! figures are the same on every machine.

use std::sync::atomic::Ordering::Relaxed;

use axum::{
    body::Body,
    http::{Request, StatusCode},
};

use crate::support::{
    app::{TestApp, request, submission_id},
    proxy::Proxy,
};

/// Round trips and statements.
type Cost = (u64, u64);

/// What each job may cost (`docs/performance.md#goals`, P2 and P4).
const SUBMIT: Cost = (1, 1);
const BATCH: Cost = (1, 1);
const STATUS_PAGE: Cost = (1, 1);
const NOT_MODIFIED: Cost = (1, 1);
const READY: Cost = (1, 1);
/// A turn of the background task that finds work, with checks off: claimed and settled at once.
const TRANSITIONS: Cost = (1, 1);
/// A turn that finds nothing.
const NOTHING_DUE: Cost = (1, 1);

const ONE: &[(&str, &str)] = &[("sip.contoso.example", "contoso.example")];

/// The cost of `job` after it was done once.
async fn cost(proxy: &Proxy, mut job: impl AsyncFnMut()) -> Cost {
    // The second time it is prepared, on the only connection that is in use.
    for _ in 0..2 {
        job().await;
    }
    let prepared = proxy.counts().prepared.load(Relaxed);
    let mut least = (u64::MAX, u64::MAX);
    // On a busy machine a connection may have been idle so long that it is checked first.
    for _ in 0..3 {
        let (trips, statements) = proxy.cost();
        job().await;
        let after = proxy.cost();
        least = least.min((after.0 - trips, after.1 - statements));
    }
    assert_eq!(
        proxy.counts().prepared.load(Relaxed),
        prepared,
        "prepared before"
    );
    least
}

#[tokio::test]
async fn a_submit_is_one_round_trip() {
    let (portal, proxy) = TestApp::behind_a_proxy().await;
    let submit = async || {
        let id = submission_id();
        let sent = portal.post("/requests/new", &request(&id, ONE)).await;
        assert_eq!(sent.status, StatusCode::SEE_OTHER, "{}", sent.body);
    };
    assert_eq!(cost(&proxy, submit).await, SUBMIT);
    assert_eq!(
        proxy.counts().connections.load(Relaxed),
        2,
        "one to look at the schema, and one for everything"
    );
}

#[tokio::test]
async fn a_batch_of_submits_is_one_round_trip() {
    let (portal, proxy) = TestApp::behind_a_proxy().await;
    assert_eq!(cost(&proxy, async || portal.store(64).await).await, BATCH);
}

#[tokio::test]
async fn a_status_page_is_one_round_trip_and_so_is_saying_that_it_has_not_changed() {
    let (portal, proxy) = TestApp::behind_a_proxy().await;
    let address = format!("/requests/{}", portal.store_one(ONE).await);
    let look = async || {
        assert_eq!(portal.get(&address).await.status, StatusCode::OK);
    };
    assert_eq!(cost(&proxy, look).await, STATUS_PAGE);

    for address in ["feed.atom", "calendar.ics"].map(|file| format!("{address}/{file}")) {
        let ask = async |tag: &str| {
            let ask = Request::get(&address).header("if-none-match", tag);
            portal.send(ask.body(Body::empty()).unwrap()).await
        };
        let tag = ask("").await.header("etag").to_owned();
        assert_ne!(tag, "", "{address} has an ETag");
        let again = async || assert_eq!(ask(&tag).await.status, StatusCode::NOT_MODIFIED);
        assert_eq!(cost(&proxy, again).await, NOT_MODIFIED, "{address}");
    }
}

#[tokio::test]
async fn pages_that_need_no_database_ask_it_nothing() {
    let (portal, proxy) = TestApp::behind_a_proxy().await;
    for page in ["/", "/requests/new", "/status", "/help", "/livez"] {
        let look = async || {
            assert_eq!(portal.get(page).await.status, StatusCode::OK);
        };
        assert_eq!(cost(&proxy, look).await, (0, 0), "{page}");
    }
    let ready = async || {
        assert_eq!(portal.get("/readyz").await.status, StatusCode::OK);
    };
    assert_eq!(cost(&proxy, ready).await, READY);
}

#[tokio::test]
async fn transitions_cost_the_same_for_one_and_for_many() {
    let (portal, proxy) = TestApp::behind_a_proxy().await;
    let worker = portal.worker();
    let idle = async || assert_eq!(worker.step().await.unwrap(), None);
    assert_eq!(cost(&proxy, idle).await, NOTHING_DUE);

    for many in [1, 64] {
        let (mut trips, mut statements) = (0, 0);
        // The first two times something has to be prepared.
        for _ in 0..3 {
            portal.store(many).await;
            let before = proxy.cost();
            let settled = worker.step().await.unwrap().expect("something is due");
            let after = proxy.cost();
            assert_eq!(settled.provisioned, many);
            (trips, statements) = (after.0 - before.0, after.1 - before.1);
        }
        assert!(
            trips <= TRANSITIONS.0 && statements <= TRANSITIONS.1,
            "{many} at once: {trips} round trips, {statements} statements"
        );
    }
}
