//! Lets the network between the portal and PostgreSQL fail.

use std::time::{Duration, Instant};

use axum::http::StatusCode;

use pic_portal::staff::Role;

use super::scene::{Scene, rounds};
use crate::{
    service, staff,
    support::{app::TestApp, proxy::Network},
};

/// A fault of the network, under traffic, and its end.
async fn survives(fault: Network) {
    let scene = Scene::new().await;
    for _ in 0..rounds() {
        scene.flows(20).await;
        scene.proxy.turn(fault);
        scene.is_away().await;
        // Later requests get an error as well, and sooner.
        scene.is_away().await;
        scene.proxy.turn(Network::Sound);
        scene.is_back(&format!("{fault:?}")).await;
    }
    scene.flows(20).await;
    scene.ends_whole().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_listens() {
    survives(Network::Refusing).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_swallowed() {
    survives(Network::BlackHole).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_servers_side_is_gone_and_nobody_says_so() {
    survives(Network::HalfOpen).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_connection_is_reset() {
    survives(Network::Resetting).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_comes_too_late() {
    survives(Network::Slow(Duration::from_secs(4))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_network_is_slow_and_no_more() {
    let scene = Scene::new().await;
    scene.flows(20).await;
    scene.proxy.turn(Network::Slow(Duration::from_millis(200)));
    scene.flows(6).await;
    scene.stands().await;
    // New connections too.
    scene.proxy.turn(Network::Resetting);
    scene.is_away().await;
    scene.proxy.turn(Network::Slow(Duration::from_millis(200)));
    scene.flows(6).await;
    scene.proxy.turn(Network::Sound);
    scene.is_back("a slow network").await;
    scene.ends_whole().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_page_waits_for_ever_for_a_network_that_swallows_everything() {
    let (portal, proxy) = TestApp::behind_a_proxy().await;
    let (reference, key) = portal
        .submit(&[("sip.contoso.example", "contoso.example")])
        .await;
    let service = service::sign_in(&portal, &key).await;
    let agent = staff::signed_in(&portal, "agent", Role::Agent).await;
    proxy.turn(Network::BlackHole);

    let door = [("name", "agent"), ("password", staff::PASSWORD)];
    let held = [("number", "1234567"), ("management_key", &*key)];
    let request = format!("/requests/{reference}");
    let path = |rest: &str| format!("{request}{rest}");
    // Pages that use the database in both ways: with one statement and with several.
    let mut asked = Vec::new();
    for address in [
        path(""),
        path("/feed.atom"),
        path("/calendar.ics"),
        path("/support.txt"),
        path("/stream"),
        "/privacy".to_owned(),
        "/readyz".to_owned(),
    ] {
        asked.push(answered(&portal, address, None, &[]));
    }
    for address in [
        "/service",
        "/service/edit",
        "/service/routes.csv",
        "/service/cancel",
    ] {
        asked.push(answered(&portal, address.to_owned(), Some(&service), &[]));
    }
    for address in [
        "/staff",
        "/staff/requests",
        "/staff/requests.csv",
        "/staff/account",
        "/staff/audit",
    ] {
        asked.push(answered(&portal, address.to_owned(), Some(&agent), &[]));
    }
    for (address, fields) in [("/staff/sign-in", &door[..]), ("/service", &held[..])] {
        asked.push(answered(&portal, address.to_owned(), None, fields));
    }
    for (address, status, took) in futures_util::future::join_all(asked).await {
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{address}");
        assert!(took < Duration::from_secs(5), "{address} took {took:?}");
    }
}

/// The status of a response, and how long it took.
async fn answered(
    portal: &TestApp,
    address: String,
    cookie: Option<&str>,
    fields: &[(&str, &str)],
) -> (String, StatusCode, Duration) {
    let began = Instant::now();
    let answer = if fields.is_empty() {
        portal.get_with(&address, cookie.unwrap_or_default()).await
    } else {
        portal.post(&address, fields).await
    };
    (address, answer.status, began.elapsed())
}
