//! Checks how many simultaneous attempts are compared, and who can sign in meanwhile.

mod bounds;
mod passwords;
mod same;

use std::{net::SocketAddr, sync::Arc};

use axum::{body::Body, extract::ConnectInfo, http::Request};
use chrono::DateTime;
use pic_portal::{
    clock::Clock,
    server::network::Proxies,
    staff::{
        password::Lane,
        turns::{Turn, Turns},
    },
    web::limit::Throttle,
};
use tokio::task::JoinHandle;

use crate::support::{
    app::{Answer, TestApp},
    eventually,
};

/// The network of most attempts.
const HERE: &str = "192.0.2.1:1";
/// Another network.
const ELSEWHERE: &str = "198.51.100.1:1";

/// A portal with a limit of `tries` failed attempts a minute and network, and its clock.
async fn portal(tries: u32) -> (Arc<TestApp>, Clock) {
    let clock = Clock::mock(DateTime::UNIX_EPOCH);
    let throttle = Throttle::new(0, tries, Proxies::default(), &clock);
    let portal = TestApp::with(|site| site.throttle = throttle).await;
    (Arc::new(portal), clock)
}

async fn ask(portal: &TestApp, peer: &str, mut request: Request<Body>) -> Answer {
    let peer: SocketAddr = peer.parse().unwrap();
    request.extensions_mut().insert(ConnectInfo(peer));
    portal.send(request).await
}

async fn get(portal: &TestApp, peer: &str, path: &str) -> Answer {
    let request = Request::get(path).body(Body::empty()).unwrap();
    ask(portal, peer, request).await
}

/// Posts a form from `peer`, with cookies.
async fn post(
    portal: &TestApp,
    peer: &str,
    path: &str,
    fields: &[(&str, &str)],
    cookie: &str,
) -> Answer {
    let request = Request::post(path)
        .header("host", "portal.test")
        .header("cookie", cookie)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from(serde_html_form::to_string(fields).unwrap()))
        .unwrap();
    ask(portal, peer, request).await
}

/// The same, in a task of its own.
fn sent(
    portal: &Arc<TestApp>,
    peer: &str,
    path: &str,
    fields: &[(&str, &str)],
    cookie: &str,
) -> JoinHandle<Answer> {
    let owned = |text: &str| text.to_owned();
    let (portal, peer, path) = (Arc::clone(portal), owned(peer), owned(path));
    let fields: Vec<_> = fields.iter().map(|(n, v)| (owned(n), owned(v))).collect();
    let cookie = owned(cookie);
    tokio::spawn(async move {
        let fields: Vec<_> = fields.iter().map(|(n, v)| (&n[..], &v[..])).collect();
        post(&portal, &peer, &path, &fields, &cookie).await
    })
}

fn turns(portal: &TestApp) -> &Turns {
    portal.app.gate().hasher.turns()
}

/// Takes all turns, so that no password is hashed while they are held.
async fn hold(portal: &TestApp) -> Vec<Turn> {
    let mut held = Vec::new();
    for _ in 0..2 {
        held.push(turns(portal).wait(Lane::Known).await.unwrap());
    }
    held
}

/// Waits until `waiting` passwords wait to be hashed and the other `tries` are answered.
async fn settled(portal: &TestApp, waiting: usize, tries: &[JoinHandle<Answer>], answered: usize) {
    eventually("tries wait or are answered", async || {
        let done = tries.iter().filter(|it| it.is_finished()).count();
        (turns(portal).waiting() == waiting && done == answered).then_some(())
    })
    .await;
}

/// Waits until every one of `tries` waits for the hasher or is answered; returns how many wait.
async fn at_rest(portal: &TestApp, tries: &[JoinHandle<Answer>]) -> usize {
    eventually("tries wait or are answered", async || {
        let done = tries.iter().filter(|it| it.is_finished()).count();
        let waiting = turns(portal).waiting();
        (waiting + done == tries.len()).then_some(waiting)
    })
    .await
}

async fn all(tries: Vec<JoinHandle<Answer>>) -> Vec<Answer> {
    let answers = futures_util::future::join_all(tries).await;
    answers.into_iter().map(Result::unwrap).collect()
}
