//! Access Edges of one request that have an address in common.

use std::time::Duration;

use crate::support::{
    app::{TestApp, request, submission_id},
    edge::{Edge, server},
    eventually,
    world::World,
};
use axum::http::StatusCode;

const BOTH: &[(&str, &str)] = &[
    ("sip.fabrikam.com", "fabrikam.com"),
    ("sip.contoso.com", "contoso.com"),
];
/// What is found of them at one address; the tests have no address that may be shown.
const SHARED: &str = "warning an address of its own: an address that is not globally reachable is an address of sip.contoso.com too";

/// A world in which two domains are ready, with an Access Edge each, at one address.
async fn at_one_address() -> (World, Edge) {
    let world = World::start().await;
    for (edge, domain) in BOTH {
        world.zone(domain);
        world.route(domain, edge);
    }
    let names = ["sip.contoso.com", "sip.fabrikam.com"];
    let edge = world.edge_with(names[0], &server(&names)).await;
    world
        .internet
        .set(names[1], &[&format!("A {}", edge.address())]);
    (world, edge)
}

/// What was found of a shared address, the later edge's.
async fn shared(portal: &TestApp, reference: &str) -> Vec<String> {
    portal
        .of_request(
            reference,
            "SELECT f.severity || ' ' || f.expected || ': ' || replace(f.found, E'\\n', '; ') FROM finding f
             JOIN request r ON r.id = f.request_id
             WHERE r.reference = $1 AND f.code = 'edge-shared-address' AND f.subject = 'sip.fabrikam.com'",
        )
        .await
}

/// How many such findings there are, of any edge.
const COUNT: &str = "SELECT count(*) FROM finding WHERE code = 'edge-shared-address'";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_edges_at_one_address_are_told_and_provisioned() {
    let (world, _edge) = at_one_address().await;
    let portal = TestApp::checking(world.enforce()).await;
    let (reference, _) = portal.submit(BOTH).await;
    assert_eq!(portal.work().await.provisioned, 1);
    assert_eq!(shared(&portal, &reference).await, [SHARED]);
    assert_eq!(portal.number(COUNT).await, 1, "the later has it");
    let page = portal.get(&format!("/requests/{reference}")).await;
    page.shows("Access Edge shares an address with another");
    page.shows("an address that is not globally reachable is an address of sip.contoso.com too");
    page.hides("127.");

    // What is in force keeps it, since when it was found first, until it is mended.
    let since = "SELECT at::text FROM finding WHERE code = 'edge-shared-address'";
    let before: String = portal.one(since).await;
    portal.advance(Duration::from_hours(24)).await;
    assert_eq!(portal.work().await.watched, 1);
    assert_eq!(shared(&portal, &reference).await, [SHARED]);
    assert_eq!(portal.one::<String>(since).await, before);
    let _own = world.edge("sip.fabrikam.com", &["fabrikam.com"]).await;
    // What an edge showed is shared for some seconds of real time.
    eventually("it is mended", async || {
        portal.advance(Duration::from_hours(24)).await;
        assert_eq!(portal.work().await.watched, 1);
        (portal.number(COUNT).await == 0).then_some(())
    })
    .await;
    assert_eq!(portal.state(&reference).await, "provisioned");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_edges_at_addresses_of_their_own_are_fine() {
    let (world, _contoso) = World::with("contoso.com").await;
    let _fabrikam = world.ready("fabrikam.com").await;
    let portal = TestApp::checking(world.enforce()).await;
    let (reference, _) = portal.submit(BOTH).await;
    assert_eq!(portal.work().await.provisioned, 1);
    assert_eq!(portal.state(&reference).await, "provisioned");
    assert_eq!(portal.number(COUNT).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_several_addresses_is_enough() {
    let (world, edge) = World::with("contoso.com").await;
    let other = world.ready("fabrikam.com").await;
    let addresses = [other.address(), edge.address()].map(|it| format!("A {it}"));
    let addresses = addresses.each_ref().map(String::as_str);
    world.internet.set("sip.fabrikam.com", &addresses);
    let portal = TestApp::checking(world.advise()).await;
    let (reference, _) = portal.submit(BOTH).await;
    assert_eq!(portal.work().await.provisioned, 1);
    assert_eq!(shared(&portal, &reference).await, [SHARED]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edges_of_different_requests_are_not_compared() {
    let (world, _edge) = at_one_address().await;
    let portal = TestApp::checking(world.enforce()).await;
    for one in BOTH {
        portal.store_one(&[*one]).await;
    }
    assert_eq!(portal.work().await.provisioned, 2);
    assert_eq!(portal.number(COUNT).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edges_of_different_turns_are_compared() {
    let (world, edge) = at_one_address().await;
    let portal = TestApp::checking(world.enforce()).await;
    let reference = portal.store_one(BOTH).await;
    // The turn before has looked at the first edge.
    portal
        .run(
            r#"INSERT INTO check_progress (request_id, began_at, names_done, slow, findings, proven)
             SELECT id, pic_now(), 1, false, ARRAY['["certificate", "ok", "sip.contoso.com", "", []]'], '{}'
             FROM request"#,
        )
        .await;
    assert_eq!(portal.work().await.provisioned, 1);
    assert_eq!(shared(&portal, &reference).await, [SHARED]);
    assert_eq!(edge.connections(), 1, "of the later alone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_checks_before_asking_is_told_too() {
    let (world, _edge) = at_one_address().await;
    let portal = TestApp::checking(world.enforce()).await;
    let finding = ("edge-shared-address", "warning");
    let id = submission_id();
    let mut fields = request(&id, BOTH);
    fields.retain(|(name, _)| *name != "action");
    fields.push(("action", "review"));
    let review = portal.post("/requests/new", &fields).await;
    let check = [("domains", "fabrikam.com contoso.com")];
    let check = portal.post("/check", &check).await;
    for page in [review, check] {
        assert_eq!(page.status, StatusCode::OK);
        let told = page.findings();
        assert_eq!(told.iter().filter(|it| **it == finding).count(), 1);
        page.shows("is an address of sip.contoso.com too");
        page.hides("127.");
    }
    let alone = [("domains", "fabrikam.com")];
    let page = portal.post("/check", &alone).await;
    assert!(!page.findings().contains(&finding), "one edge alone");
}
