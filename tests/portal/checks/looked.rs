//! Requests whose zones and edges are really checked.

use std::time::{Duration, Instant};

use pic_portal::{provisioning::store::Settled, readiness::engine::SHARED_FOR};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::{
    app::{TestApp, WAITS},
    dns::Manner,
    edge::Mode,
    eventually,
    world::World,
};

const ONE: &[(&str, &str)] = &[("sip.contoso.com", "contoso.com")];

/// Every finding as `severity code subject`, in order.
async fn findings(portal: &TestApp, reference: &str) -> Vec<String> {
    portal
        .of_request(
            reference,
            "SELECT concat_ws(' ', f.severity, f.code, f.subject) FROM finding f
         JOIN request r ON r.id = f.request_id WHERE r.reference = $1 ORDER BY f.subject, f.code",
        )
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_ready_is_provisioned_and_what_it_shows_is_kept() {
    let (world, _edge) = World::with("contoso.com").await;
    let portal = TestApp::checking(world.enforce()).await;
    let (reference, _) = portal.submit(ONE).await;
    assert_eq!(portal.work().await.provisioned, 1);
    assert_eq!(portal.state(&reference).await, "provisioned");
    assert_eq!(
        findings(&portal, &reference).await,
        ["ok srv contoso.com", "ok certificate sip.contoso.com"]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mend_is_seen_when_the_wait_is_over() {
    let (world, _edge) = World::with("contoso.com").await;
    world.unroute("contoso.com");
    let portal = TestApp::checking(world.enforce()).await;
    let (reference, _) = portal.submit(ONE).await;
    assert_eq!(portal.work().await.waiting, 1);
    let missing = [
        "blocking srv-missing contoso.com",
        "ok certificate sip.contoso.com",
    ];
    assert_eq!(findings(&portal, &reference).await, missing);
    world.route("contoso.com", "sip.contoso.com");
    assert_eq!(
        portal.work().await,
        Settled::default(),
        "not before the wait is over"
    );
    portal.advance(WAITS.first).await;
    assert_eq!(portal.work().await.provisioned, 1);
    assert_eq!(portal.state(&reference).await, "provisioned");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mend_is_seen_sooner_by_who_asks_for_another_look() {
    let (world, _edge) = World::with("contoso.com").await;
    world.unroute("contoso.com");
    let portal = TestApp::checking(world.enforce()).await;
    let (reference, _) = portal.submit(ONE).await;
    portal.work().await;
    world.route("contoso.com", "sip.contoso.com");
    portal.advance(Duration::from_secs(6)).await;
    let sent = portal
        .post(&format!("/requests/{reference}/check-again"), &[])
        .await;
    let page = format!("/requests/{reference}?again=");
    assert!(sent.header("location").starts_with(&page));
    assert_eq!(portal.work().await.provisioned, 1);
    // There is nothing left to check, except once a day.
    let ended = portal
        .post(&format!("/requests/{reference}/check-again"), &[])
        .await;
    assert!(ended.header("location").starts_with(&page));
    assert_eq!(portal.work().await, Settled::default());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_resolver_is_no_proof_and_no_blame() {
    let world = World::start().await.impatient();
    let _edge = world.ready("contoso.com").await;
    world.internet.resolver.behave(Manner::Silent);
    let portal = TestApp::checking(world.enforce()).await;
    let (reference, _) = portal.submit(ONE).await;
    assert_eq!(portal.work().await.waiting, 1);
    assert_eq!(
        findings(&portal, &reference).await,
        [
            "unknown resolver-unreachable contoso.com",
            "skipped srv contoso.com",
            "skipped certificate sip.contoso.com",
            "unknown resolver-unreachable sip.contoso.com",
        ]
    );
    assert_eq!(portal.state(&reference).await, "pending");
    world.internet.resolver.behave(Manner::Honest);
    portal.advance(WAITS.first).await;
    eventually("the edge is looked at again", async || {
        portal.advance(WAITS.longest).await;
        (portal.work().await.provisioned == 1).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_checks_advise_everything_is_provisioned_and_told() {
    let world = World::start().await;
    world.zone("contoso.com");
    let portal = TestApp::checking(world.advise()).await;
    let (reference, _) = portal.submit(ONE).await;
    assert_eq!(portal.work().await.provisioned, 1);
    assert_eq!(
        findings(&portal, &reference).await,
        [
            "blocking srv-missing contoso.com",
            "skipped certificate sip.contoso.com",
            "blocking edge-no-address sip.contoso.com",
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_held_domain_moves_when_its_owner_speaks_for_the_service() {
    for enforce in [true, false] {
        let (world, _edge) = World::with("contoso.com").await;
        let checks = if enforce {
            world.enforce()
        } else {
            world.advise()
        };
        let portal = TestApp::checking(checks).await;
        let (holder, _) = portal.submit(ONE).await;
        assert_eq!(portal.work().await.provisioned, 1);
        let (heir, _) = portal.submit(ONE).await;
        assert_eq!(portal.work().await.held, 1);
        let held = findings(&portal, &heir).await;
        assert!(
            held.contains(&"blocking domain-held contoso.com".to_owned()),
            "{held:?}"
        );
        // The holder's token is public too, and of no use to the other.
        world.speak_for("contoso.com", &portal.token(&holder).await);
        portal.advance(WAITS.first).await;
        assert_eq!(portal.work().await.held, 1);
        world.speak_for("contoso.com", &portal.token(&heir).await);
        portal.advance(WAITS.longest).await;
        let settled = portal.work().await;
        let found = findings(&portal, &heir).await;
        assert_eq!(settled.provisioned, 1, "{settled:?} {found:?}");
        let moved = "SELECT count(*) FROM route x JOIN request r ON r.service_id = x.service_id
                     WHERE x.request_id = r.id AND r.id = (SELECT max(id) FROM request)";
        assert_eq!(portal.number(moved).await, 1);
        let told = "SELECT count(*) FROM event WHERE code IN ('domain-gained', 'domain-lost')";
        assert_eq!(portal.number(told).await, 2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_requests_for_one_edge_connect_to_it_once() {
    let world = World::start().await;
    world.zone("contoso.com");
    let edge = world.edge("sip.contoso.com", &["contoso.com"]).await;
    let portal = TestApp::checking(world.enforce()).await;
    for n in 0..20 {
        let domain = format!("d{n}.contoso.com");
        world.route(&domain, "sip.contoso.com");
        portal.store_one(&[("sip.contoso.com", &domain)]).await;
    }
    let began = Instant::now();
    assert_eq!(portal.work().await.provisioned, 20);
    assert_eq!(edge.connections(), 1);
    // Nor does a route that is published a moment later.
    world.route("late.contoso.com", "sip.contoso.com");
    portal
        .store_one(&[("sip.contoso.com", "late.contoso.com")])
        .await;
    assert_eq!(portal.work().await.provisioned, 1);
    assert!(edge.connections() == 1 || began.elapsed() >= SHARED_FOR);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_for_a_slow_neighbour() {
    let (world, _edge) = World::with("contoso.com").await;
    let slow = world.ready("fabrikam.com").await;
    slow.behave(Mode::Silent);
    let portal = TestApp::checking(world.enforce()).await;
    let slow = portal
        .store_one(&[("sip.fabrikam.com", "fabrikam.com")])
        .await;
    let quick = portal.store_one(ONE).await;
    let stop = CancellationToken::new();
    let worker = tokio::spawn(portal.own_worker().run(stop.clone()));
    eventually("the quick one is provisioned", async || {
        (portal.state(&quick).await == "provisioned").then_some(())
    })
    .await;
    // The slow one is still being checked: its lease is held, and it has no findings yet.
    assert_eq!(findings(&portal, &slow).await, [""; 0]);
    let held = "SELECT count(*) FROM work WHERE lease_token IS NOT NULL";
    assert_eq!(portal.number(held).await, 1);
    // A worker that stops releases the lease.
    stop.cancel();
    worker.await.unwrap();
    assert_eq!(portal.number(held).await, 0);
    assert_eq!(portal.state(&slow).await, "pending");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_looks_for_long_keeps_what_is_looked_at() {
    let world = World::start().await.patient();
    let edge = world.ready("contoso.com").await;
    edge.behave(Mode::Silent);
    let portal = TestApp::checking(world.enforce()).await;
    portal.store_one(ONE).await;
    let stop = CancellationToken::new();
    let worker = tokio::spawn(portal.own_worker().run(stop.clone()));
    let lease = async || -> Option<(Uuid, f64)> {
        let lease = "SELECT lease_token, extract(epoch FROM lease_until)::float8 FROM work
                     WHERE lease_token IS NOT NULL";
        let lease = sqlx::query_as(lease).fetch_optional(portal.pool());
        lease.await.unwrap()
    };
    let (token, until) = eventually("it is being looked at", lease).await;
    let renewed = eventually("the lease has another end", async || {
        lease().await.filter(|lease| lease.1 > until)
    })
    .await;
    assert_eq!(renewed.0, token, "it was never lost");
    stop.cancel();
    worker.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_limit_ends_it_without_another_look() {
    let (world, edge) = World::with("contoso.com").await;
    world.unroute("contoso.com");
    let portal = TestApp::checking(world.enforce()).await;
    let (reference, _) = portal.submit(ONE).await;
    assert_eq!(portal.work().await.waiting, 1);
    let last = findings(&portal, &reference).await;
    world.route("contoso.com", "sip.contoso.com");
    portal.advance(WAITS.expiry).await;
    assert_eq!(portal.work().await.expired, 1);
    assert_eq!(portal.state(&reference).await, "rejected");
    assert_eq!(findings(&portal, &reference).await, last);
    assert_eq!(edge.connections(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_put_in_force_without_checks_is_watched_once_there_are_some() {
    let world = World::start().await;
    world.zone("contoso.com");
    let portal = TestApp::new().await;
    let (reference, _) = portal.submit(ONE).await;
    assert_eq!(portal.work().await.provisioned, 1);
    let stop = CancellationToken::new();
    let worker = portal.own_worker().with_checks(world.enforce());
    let worker = tokio::spawn(worker.run(stop.clone()));
    eventually("it is watched", async || {
        (portal.number("SELECT count(*) FROM watch").await == 1).then_some(())
    })
    .await;
    portal.advance(Duration::from_hours(24)).await;
    portal.notifier.wake();
    eventually("its trouble is seen", async || {
        let found = findings(&portal, &reference).await;
        found
            .contains(&"blocking srv-missing contoso.com".to_owned())
            .then_some(())
    })
    .await;
    assert_eq!(portal.state(&reference).await, "provisioned");
    stop.cancel();
    worker.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_of_hundreds_of_domains_starves_no_other() {
    let (world, _edge) = World::with("contoso.com").await;
    world.zone("fabrikam.com");
    let _large = world.edge("sip.fabrikam.com", &["fabrikam.com"]).await;
    // More lookups than one zone may get at once.
    let domains: Vec<_> = (0..250).map(|n| format!("d{n}.fabrikam.com")).collect();
    for domain in &domains {
        world.route(domain, "sip.fabrikam.com");
    }
    let portal = TestApp::checking(world.enforce()).await;
    let large = portal
        .store_one(&[("sip.fabrikam.com", &domains.join(" "))])
        .await;
    let stop = CancellationToken::new();
    let worker = tokio::spawn(portal.own_worker().run(stop.clone()));
    let began = Instant::now();
    let (small, _) = portal.submit(ONE).await;
    eventually("the small one is provisioned", async || {
        (portal.state(&small).await == "provisioned").then_some(())
    })
    .await;
    let small_took = began.elapsed();
    assert_eq!(
        portal.state(&large).await,
        "pending",
        "after {small_took:?}"
    );
    eventually("the large one is provisioned", async || {
        (portal.state(&large).await == "provisioned").then_some(())
    })
    .await;
    stop.cancel();
    worker.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_force_is_looked_at_every_day_and_stays() {
    let (world, edge) = World::with("contoso.com").await;
    let portal = TestApp::checking(world.enforce()).await;
    let (reference, _) = portal.submit(ONE).await;
    assert_eq!(portal.work().await.provisioned, 1);
    world.unroute("contoso.com");
    edge.behave(Mode::Reset);
    portal.advance(Duration::from_hours(24)).await;
    // What the edge showed is shared for some seconds of real time.
    eventually("the trouble is seen", async || {
        portal.advance(Duration::from_hours(24)).await;
        assert_eq!(portal.work().await.watched, 1);
        let found = findings(&portal, &reference).await;
        found
            .contains(&"blocking edge-unreachable sip.contoso.com".to_owned())
            .then_some(())
    })
    .await;
    let found = findings(&portal, &reference).await;
    assert!(
        found.contains(&"blocking srv-missing contoso.com".to_owned()),
        "{found:?}"
    );
    assert_eq!(portal.state(&reference).await, "provisioned");
    assert_eq!(portal.number("SELECT count(*) FROM route").await, 1);
    let at_risk = "SELECT count(*) FROM event WHERE code = 'at-risk'";
    assert_eq!(portal.number(at_risk).await, 1);
}
