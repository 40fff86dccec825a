//! Checks that name servers named by a stranger's zone are spared, and the database when no check
//! is possible.

use std::sync::Arc;

use axum::http::StatusCode;
use hickory_resolver::proto::rr::RecordType;
use pic_portal::{
    clock::Clock,
    names::SipDomain,
    readiness::dns::{TokenFacts, Trouble},
    server::network::Proxies,
    web::limit::{Throttle, domains::Domains},
};

use crate::support::{
    app::{TestApp, request, submission_id},
    dns::Manner,
    world::World,
};

/// Eight names for the only server of the internet, as the name servers of `zone`.
fn eight_names(world: &World, zone: &str) {
    let address = format!("A {}", world.internet.authorities[0].address.ip());
    let servers: Vec<_> = (0..8).map(|n| format!("NS ns{n}.{zone}")).collect();
    world.zone(zone);
    let servers: Vec<_> = servers.iter().map(String::as_str).collect();
    world.internet.set(zone, &servers);
    for n in 0..8 {
        world.internet.set(&format!("ns{n}.{zone}"), &[&address]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_names_of_one_server_are_asked_once() {
    let world = World::start().await;
    eight_names(&world, "contoso.com");
    world.route("contoso.com", "sip.contoso.com");
    let _edge = world.edge("sip.contoso.com", &["contoso.com"]).await;
    let portal = TestApp::checking(world.enforce()).await;
    let names = [("domains", "contoso.com"), ("edge", "sip.contoso.com")];
    let page = portal.post("/check", &names).await;
    page.shows("checks passed");
    let owner = "_sipfederationtls._tcp.contoso.com";
    let server = &world.internet.authorities[0];
    assert_eq!(server.count(owner, RecordType::SRV), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_sends_few_packets_to_whom_a_zone_names_as_its_servers() {
    for manner in [Manner::Silent, Manner::Lame] {
        let world = World::start().await;
        eight_names(&world, "contoso.com");
        let _edge = world.edge("sip.contoso.com", &[]).await;
        let domains: Vec<_> = (0..50).map(|n| format!("d{n}.contoso.com")).collect();
        for domain in &domains {
            world.route(domain, "sip.contoso.com");
        }
        let victim = &world.internet.authorities[0];
        victim.behave(manner);
        let portal = TestApp::checking(world.enforce()).await;
        let domains = domains.join(" ");
        let names = [("domains", domains.as_str()), ("edge", "sip.contoso.com")];
        let page = portal.post("/check", &names).await;
        let packets = victim.asked().len();
        assert!((1..=40).contains(&packets), "{packets} packets");
        // The resolver's answer is enough for a client that waits: no server is reported dead that
        // is not.
        page.hides("data-severity=\"unknown\"");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resolver_alone_proves_no_ownership_unless_it_is_configured() {
    let world = World::start().await.impatient();
    world.zone("contoso.com");
    world.speak_for("contoso.com", "0123456789ABCDEF");
    let domain = SipDomain::parse("contoso.com").unwrap();
    let own = |world: &World| world.asking(Some(world.internet.port()));
    let proven = TokenFacts::Proven;
    assert_eq!(
        own(&world).owner_says(&domain, "0123456789ABCDEF").await,
        proven
    );
    for manner in [Manner::Silent, Manner::Lame] {
        world.internet.authorities[0].behave(manner);
        let said = own(&world).owner_says(&domain, "0123456789ABCDEF").await;
        assert_eq!(said, TokenFacts::Unreachable(Trouble::Unanswered));
        assert!(said.lines()[0].starts_with("could not check"));
        assert_eq!(
            world
                .asking(None)
                .owner_says(&domain, "0123456789ABCDEF")
                .await,
            proven
        );
    }
}

#[tokio::test]
async fn a_network_asks_for_so_many_domains_an_hour_and_keeps_what_it_typed() {
    let world = World::start().await;
    let throttle = Throttle {
        domains: Arc::new(Domains::new(3)),
        ..Throttle::new(0, 0, Proxies::default(), &Clock::system())
    };
    let portal = TestApp::with(|site| {
        site.checks = world.advise();
        site.throttle = throttle;
    })
    .await;
    let send = async |domains: &str| {
        let id = submission_id();
        let edges = [("sip.contoso.com", domains)];
        portal.post("/requests/new", &request(&id, &edges)).await
    };
    let taken = send("a.contoso.com b.contoso.com").await;
    assert_eq!(taken.status, StatusCode::SEE_OTHER, "{}", taken.body);
    let refused = send("c.contoso.com d.contoso.com").await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    let seconds: u32 = refused.header("retry-after").parse().unwrap();
    assert!(
        (1..=1_200).contains(&seconds),
        "a third of an hour: {seconds}"
    );
    refused.shows("value=\"c.contoso.com d.contoso.com\"");
    assert_eq!(portal.number("SELECT count(*) FROM request").await, 1);
    assert_eq!(send("c.contoso.com").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn when_a_million_domains_are_pending_no_more_are_taken() {
    let world = World::start().await;
    let portal = TestApp::checking(world.advise()).await;
    let send = async || {
        let id = submission_id();
        let edges = [("sip.contoso.com", "contoso.com")];
        portal.post("/requests/new", &request(&id, &edges)).await
    };
    assert_eq!(send().await.status, StatusCode::SEE_OTHER);
    portal.own_worker().show_once().await.unwrap();
    assert_eq!(portal.notifier.pending_domains(), 1, "counted");
    portal.notifier.tell_pending_domains(1_000_000);
    let refused = send().await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(!refused.header("retry-after").is_empty());
    refused.shows("value=\"contoso.com\"");
    assert_eq!(portal.number("SELECT count(*) FROM request").await, 1);
}
