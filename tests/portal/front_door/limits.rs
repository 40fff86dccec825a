//! Checks the rate limits: `Retry-After` is true, and other clients are not affected.

use axum::{
    body::Body,
    extract::ConnectInfo,
    http::{Request, StatusCode},
};
use chrono::DateTime;
use pic_portal::{clock::Clock, server::network::Proxies, web::limit::Throttle};
use std::{net::SocketAddr, time::Duration};

use crate::{
    service::{provisioned, send_edit},
    support::app::{Answer, TestApp, request, submission_id},
};

const EDGES: &[(&str, &str)] = &[("sip.contoso.com", "contoso.com")];
const UNKNOWN: &str = "/requests/PIC-0000-0000-0000-0000";

async fn portal(submits: u32, tries: u32) -> (TestApp, Clock) {
    let clock = Clock::mock(DateTime::UNIX_EPOCH);
    let proxies = Proxies::parse("10.0.0.0/8").unwrap();
    let throttle = Throttle::new(submits, tries, proxies, &clock);
    (TestApp::with(|site| site.throttle = throttle).await, clock)
}

async fn get_from(portal: &TestApp, peer: &str, forwarded: &str, path: &str) -> StatusCode {
    let peer: SocketAddr = peer.parse().unwrap();
    let mut request = Request::get(path).body(Body::empty()).unwrap();
    request.extensions_mut().insert(ConnectInfo(peer));
    if !forwarded.is_empty() {
        let value = forwarded.parse().unwrap();
        request.headers_mut().insert("x-forwarded-for", value);
    }
    portal.send(request).await.status
}

async fn submit(portal: &TestApp) -> Answer {
    let id = submission_id();
    portal.post("/requests/new", &request(&id, EDGES)).await
}

#[tokio::test]
async fn submits_are_limited_and_allowed_again() {
    let (portal, clock) = portal(3, 0).await;
    for _ in 0..3 {
        assert_eq!(submit(&portal).await.status, StatusCode::SEE_OTHER);
    }
    clock.advance(Duration::from_millis(20_500));
    let refused = submit(&portal).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.header("retry-after"), "40");
    refused.shows("in 40 seconds");
    assert!(
        refused.body.contains("value=\"sip.contoso.com\""),
        "what was typed is still there"
    );
    // Other buttons are not limited.
    let id = submission_id();
    let mut fields = request(&id, EDGES);
    fields.last_mut().unwrap().1 = "review";
    let review = portal.post("/requests/new", &fields).await;
    assert_eq!(review.status, StatusCode::OK);
    clock.advance(Duration::from_secs(40));
    assert_eq!(submit(&portal).await.status, StatusCode::SEE_OTHER);
    assert_eq!(portal.number("SELECT count(*) FROM request").await, 4);
}

#[tokio::test]
async fn an_edit_that_is_put_off_is_kept_whole() {
    let (portal, clock) = portal(1, 0).await;
    let (_, cookie) = provisioned(&portal, EDGES).await;
    let more = [("confirm_edge_change", "on"), ("action", "submit")];
    let refused = send_edit(
        &portal,
        &cookie,
        &[("edge.contoso.com", "contoso.com")],
        &more,
    )
    .await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    refused.shows("in 60 seconds");
    clock.advance(Duration::from_mins(1));
    let mut kept = refused.hidden();
    kept.push(("action".into(), "submit".into()));
    let kept: Vec<_> = kept.iter().map(|(n, v)| (&n[..], &v[..])).collect();
    let sent = portal.post_with("/service/edit", &kept, &cookie).await;
    sent.reference();
}

#[tokio::test]
async fn programs_are_told_in_their_own_words() {
    let (portal, _) = portal(0, 1).await;
    portal.get(UNKNOWN).await;
    let request = Request::get(UNKNOWN).header("accept", "application/json");
    let refused = portal.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.header("retry-after"), "60");
    assert_eq!(refused.header("content-type"), "application/problem+json");
}

#[tokio::test]
async fn failed_tries_are_limited_and_a_right_key_is_not_told_from_a_wrong_one() {
    let (portal, clock) = portal(0, 3).await;
    let (reference, key) = portal.submit(EDGES).await;
    let status = format!("/requests/{reference}");
    let withdraw = format!("{status}/withdraw");
    let wrong = [("management_key", "0000-0000-0000-0000-0000-0000-00")];
    for _ in 0..50 {
        assert_eq!(portal.get(&status).await.status, StatusCode::OK);
    }
    // An empty field is no guess.
    let blank = portal.post(&withdraw, &[("management_key", "")]).await;
    assert_eq!(blank.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(portal.get(UNKNOWN).await.status, StatusCode::NOT_FOUND);
    let receipt = portal.get(&format!("{UNKNOWN}/receipt")).await;
    assert_eq!(receipt.status, StatusCode::NOT_FOUND);
    let refused = portal.post(&withdraw, &wrong).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    for (key, why) in [(wrong[0].1, "wrong"), (&key, "right")] {
        let refused = portal.post(&withdraw, &[("management_key", key)]).await;
        assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS, "{why}");
        assert_eq!(refused.header("retry-after"), "60");
    }
    let unknown = portal.get(UNKNOWN).await;
    assert_eq!(unknown.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(
        portal.state(&reference).await,
        "pending",
        "the page is seen"
    );
    clock.advance(Duration::from_mins(1));
    let done = portal.post(&withdraw, &[("management_key", &key)]).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn another_network_is_another_client_but_only_a_trusted_proxy_names_one() {
    const NOT_FOUND: StatusCode = StatusCode::NOT_FOUND;
    const TOO_MANY: StatusCode = StatusCode::TOO_MANY_REQUESTS;
    let (portal, _) = portal(0, 1).await;
    for (peer, forwarded, expected) in [
        ("192.0.2.1:1", "", NOT_FOUND),
        ("192.0.2.1:2", "", TOO_MANY),
        ("192.0.2.1:3", "198.51.100.1", TOO_MANY),
        ("10.0.0.1:1", "198.51.100.1", NOT_FOUND),
        ("10.0.0.1:2", "198.51.100.1", TOO_MANY),
        ("10.0.0.2:1", "203.0.113.7, 198.51.100.1", TOO_MANY),
        ("10.0.0.1:3", "198.51.100.2", NOT_FOUND),
        ("[2001:db8::1]:1", "", NOT_FOUND),
        ("[2001:db8::2]:1", "", TOO_MANY),
        ("[2001:db8:0:1::2]:1", "", NOT_FOUND),
    ] {
        let status = get_from(&portal, peer, forwarded, UNKNOWN).await;
        assert_eq!(status, expected, "{peer} {forwarded}");
    }
}
