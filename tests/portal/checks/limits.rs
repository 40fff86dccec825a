//! Checks that readiness checks limit their load on other people's servers.

use std::time::{Duration, Instant};

use pic_portal::names::{AccessEdge, EdgeRoutes, SipDomain};

use crate::support::{edge::Mode, world::World};

/// Long enough for any check here.
const BUDGET: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_zone_is_asked_for_a_few_names_a_second() {
    let (world, _edge) = World::with("contoso.com").await;
    let domains: Vec<_> = (0..160)
        .map(|n| SipDomain::parse(&format!("d{n}.contoso.com")).unwrap())
        .collect();
    let edge = AccessEdge::parse("sip.contoso.com").unwrap();
    let routes = [EdgeRoutes { edge, domains }];
    let began = Instant::now();
    let report = world.checker().check(&routes, BUDGET).await;
    assert_eq!(report.unfinished, 0);
    // A hundred at once, then fifty a second.
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(1), "{took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_address_is_connected_to_a_few_times_a_second() {
    let (world, edge) = World::with("contoso.com").await;
    let address = format!("A {}", edge.address());
    let routes: Vec<_> = (0..20)
        .map(|n| {
            let name = format!("e{n}.contoso.com");
            world.internet.set(&name, &[&address]);
            EdgeRoutes {
                edge: AccessEdge::parse(&name).unwrap(),
                domains: Vec::new(),
            }
        })
        .collect();
    let began = Instant::now();
    let report = world.checker().check(&routes, BUDGET).await;
    assert_eq!(report.unfinished, 0);
    assert!(edge.connections() >= 20, "{}", edge.connections());
    // Ten at once, then five a second.
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(1_800), "{took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_done_in_time_is_left_and_proves_nothing() {
    let world = World::start().await.patient();
    let edge = world.ready("contoso.com").await;
    edge.behave(Mode::Silent);
    let routes = [EdgeRoutes {
        edge: AccessEdge::parse("sip.contoso.com").unwrap(),
        domains: vec![SipDomain::parse("contoso.com").unwrap()],
    }];
    let budget = Duration::from_millis(500);
    let began = Instant::now();
    let report = world.checker().check(&routes, budget).await;
    assert!(began.elapsed() < Duration::from_secs(30));
    assert_eq!(report.unfinished, 1, "the edge");
    assert_eq!(report.findings.len(), 1, "the domain");
    assert!(!report.proves(&routes));
}
