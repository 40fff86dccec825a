//! What does the portal do when the network between it and PostgreSQL fails?

use std::time::Duration;

use super::scene::{Scene, rounds};
use crate::support::proxy::Network;

/// A fault of the network, under traffic, and its end.
async fn survives(fault: Network) {
    let scene = Scene::new().await;
    for _ in 0..rounds() {
        scene.flows(20).await;
        scene.proxy.turn(fault);
        scene.is_away().await;
        // Whoever comes later is told as well, and sooner.
        scene.is_away().await;
        scene.proxy.turn(Network::Sound);
        scene.is_back(&format!("{fault:?}")).await;
    }
    scene.flows(20).await;
    scene.is_whole().await;
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
    // New connections as well.
    scene.proxy.turn(Network::Resetting);
    scene.is_away().await;
    scene.proxy.turn(Network::Slow(Duration::from_millis(200)));
    scene.flows(6).await;
    scene.proxy.turn(Network::Sound);
    scene.is_back("a slow network").await;
    scene.is_whole().await;
}
