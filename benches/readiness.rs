//! Measures how fast pending requests are checked, compared with what the limits on lookups allow.
//!
//! 500 requests of 5 domains each, a resolver that takes 50 ms for every answer, ten Access Edges.
//! The yardstick is calculated: the least time for that many lookups, given how many may run at the
//! same time, and how many may begin in a second.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on ends")]

#[expect(dead_code, reason = "the tests' own means, not all of them needed")]
#[path = "../tests/portal/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use pic_portal::{
    provisioning::worker::Worker,
    readiness::{
        ProofMode,
        engine::{AT_A_TIME, Checks, PER_SECOND},
    },
};
use support::{app::TestApp, app::WAITS, world::World};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

const REQUESTS: u32 = 500;
const DOMAINS: u32 = 5;
const EDGES: u32 = 10;
const DELAY: Duration = Duration::from_millis(50);
const ROUNDS: usize = 3;

#[tokio::main]
async fn main() {
    let look_ups = REQUESTS * DOMAINS + EDGES;
    let (per_second, at_once) = PER_SECOND;
    let by_number = DELAY * look_ups / u32::try_from(AT_A_TIME).unwrap();
    let by_rate = Duration::from_secs(1) * look_ups.saturating_sub(at_once) / per_second;
    let least = by_number.max(by_rate);
    println!("{REQUESTS} pending requests of {DOMAINS} domains, a resolver of {DELAY:?}");
    println!("  at least, by {AT_A_TIME} look-ups at a time   {by_number:>8.2?}");
    println!("  at least, by {per_second} look-ups a second  {by_rate:>8.2?}");
    for _ in 0..ROUNDS {
        let took = round().await;
        let ratio = took.as_secs_f64() / least.as_secs_f64();
        println!("  all provisioned after              {took:>8.2?}   {ratio:.2} of the least");
    }
}

async fn round() -> Duration {
    let world = World::start().await;
    let mut edges = Vec::new();
    for n in 0..EDGES {
        let zone = format!("edge{n}.example");
        world.zone(&zone);
        edges.push(world.edge(&format!("sip.{zone}"), &[]).await);
    }
    let portal =
        TestApp::with(|site| site.checks = Checks::Enforce(world.asking(None), ProofMode::Held))
            .await;
    for n in 0..REQUESTS {
        let edge = format!("sip.edge{}.example", n % EDGES);
        let domains: Vec<_> = (0..DOMAINS).map(|d| format!("r{n}d{d}.example")).collect();
        for domain in &domains {
            world.zone(domain);
            world.route(domain, &edge);
        }
        portal.store_one(&[(&edge, &domains.join(" "))]).await;
    }
    world.internet.resolver.delay(DELAY);
    let stop = CancellationToken::new();
    let worker = Worker::new(portal.pool().clone(), WAITS, portal.notifier.clone())
        .with_checks(portal.app.site().checks.clone());
    let began = Instant::now();
    let worker = tokio::spawn(worker.run(stop.clone()));
    while portal.number("SELECT count(*) FROM work").await > 0 {
        sleep(Duration::from_millis(20)).await;
    }
    let took = began.elapsed();
    let provisioned = "SELECT count(*) FROM request WHERE state = 'provisioned'";
    assert_eq!(portal.number(provisioned).await, i64::from(REQUESTS));
    stop.cancel();
    worker.await.unwrap();
    took
}
