//! Checks that a request with many names, or with names that get no answer, delays no other and
//! loses nothing.

use std::{
    collections::BTreeMap,
    env, fs,
    time::{Duration, Instant},
};

use hickory_resolver::proto::rr::RecordType;
use pic_portal::{
    db::notify::Notifier,
    provisioning::{
        checking::{Places, store::jobs::TurnSize},
        worker::Worker,
    },
};
use tokio_util::sync::CancellationToken;

use crate::support::{
    app::{TestApp, WAITS},
    dns::Manner,
    eventually,
    world::World,
};

const ONE: &[(&str, &str)] = &[("sip.contoso.com", "contoso.com")];
/// The end of names for which no server answers.
const SILENT: &str = "silent.example";

/// A few names in each turn.
const SHORT: TurnSize = TurnSize { first: 4, later: 8 };

fn number(name: &str, otherwise: usize) -> usize {
    env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

fn worker(portal: &TestApp, places: Places) -> Worker {
    Worker::new(portal.db().pool().clone(), WAITS, portal.notifier.clone())
        .with_checks(portal.app.site().checks.clone())
        .with_places(places)
}

/// Stores `requests` with `domains` each, all in zones of their own for which no server answers.
async fn store_silent(portal: &TestApp, requests: usize, domains: usize) {
    for request in 0..requests {
        let names: Vec<_> = (0..domains)
            .map(|domain| format!("r{request}d{domain}{SILENT}"))
            .collect();
        let edge = format!("sip.r{request}edge{SILENT}");
        portal.store_one(&[(&edge, &names.join(" "))]).await;
    }
}

/// The resident memory of this process, in megabytes.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<usize>()
        .unwrap()
        / 1_024
}

/// `PIC_STARVE` sets the number of requests, each of a thousand domains, with the slots that a
/// portal has; for `make soak`, which prints the measured times.
#[expect(clippy::print_stdout, reason = "figures for whoever asks for them")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_zones_keep_nothing_from_an_honest_request_that_comes_last() {
    let long = number("PIC_STARVE", 0);
    let (requests, domains, places) = if long > 0 {
        (long, 1_000, Places::default())
    } else {
        let places = Places {
            pending: 4,
            fresh: 2,
            slow: 1,
            turn: SHORT,
            ..Places::default()
        };
        (12, 40, places)
    };
    let (world, _edge) = World::with("contoso.com").await;
    world.internet.resolver.behave(Manner::SilentFor(SILENT));
    let portal = TestApp::checking(world.enforce()).await;
    let before = resident();
    store_silent(&portal, requests, domains).await;
    let honest = portal.store_one(ONE).await;
    let stop = CancellationToken::new();
    let began = Instant::now();
    let running = tokio::spawn(worker(&portal, places).run(stop.clone()));
    let names = [("domains", "contoso.com"), ("edge", "sip.contoso.com")];
    let page = portal.post("/check", &names).await;
    let checked = began.elapsed();
    assert!(
        page.body.contains("All 2 checks passed"),
        "somebody who waits is served beside: {}",
        page.body
    );
    eventually("the honest one is provisioned", async || {
        // Not by its page, which a busy database may delay.
        let state = "SELECT count(*) FROM request WHERE state = 'provisioned'";
        (portal.number(state).await == 1).then_some(())
    })
    .await;
    assert_eq!(portal.state(&honest).await, "provisioned");
    let waited = began.elapsed();
    // Before it, no other request had more than a first turn and one in the slow lane.
    let most = "SELECT coalesce(max(names_done), 0)::bigint FROM check_progress";
    let most = portal.number(most).await;
    let first = i64::from(places.turn.first) + 1;
    assert!(most <= 2 * first, "{most} names were done for another");
    // And each of the others has had its turn, or will soon.
    let asked: BTreeMap<_, _> = world
        .internet
        .resolver
        .asked()
        .into_iter()
        .filter(|asked| asked.name.ends_with(SILENT))
        .fold(BTreeMap::new(), |mut names, asked| {
            *names.entry((asked.name, asked.kind)).or_insert(0) += 1;
            names
        });
    let often = asked.values().max().copied().unwrap_or_default();
    assert!(often <= 4, "one name was asked for {often} times");
    if long > 0 {
        tokio::time::sleep(Duration::from_mins(2)).await;
        println!(
            "{requests} silent requests of {domains}: /check after {checked:.1?}, the honest one after {waited:.1?}, \
             {} questions to the resolver by then, memory {before} MB before and {} MB two minutes later",
            asked.values().sum::<usize>(),
            resident(),
        );
    }
    stop.cancel();
    running.await.unwrap();
    let leased = "SELECT count(*) FROM work WHERE lease_token IS NOT NULL";
    assert_eq!(portal.number(leased).await, 0, "all are given back");
}

/// A request of `domains` domains in a zone that is ready, and their names.
async fn large(world: &World, portal: &TestApp, domains: usize) -> (String, Vec<String>) {
    let names: Vec<_> = (0..domains)
        .map(|n| format!("d{n:03}.contoso.com"))
        .collect();
    for name in &names {
        world.route(name, "sip.contoso.com");
    }
    let domains = names.join(" ");
    let reference = portal.store_one(&[("sip.contoso.com", &domains)]).await;
    (reference, names)
}

/// How often each domain's record was queried at the zone's own server.
fn asked(world: &World, names: &[String]) -> Vec<usize> {
    let of = |name: &String| {
        let owner = format!("_sipfederationtls._tcp.{name}");
        world.internet.authorities[0].count(&owner, RecordType::SRV)
    };
    names.iter().map(of).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_request_is_done_in_several_turns_and_each_name_once() {
    let (world, _edge) = World::with("contoso.com").await;
    let portal = TestApp::checking(world.enforce()).await;
    let (reference, names) = large(&world, &portal, 19).await;
    let places = Places {
        turn: SHORT,
        ..Places::default()
    };
    let settled = worker(&portal, places).drain().await.unwrap();
    assert_eq!(settled.provisioned, 1);
    assert_eq!(portal.state(&reference).await, "provisioned");
    assert_eq!(asked(&world, &names), [1; 19]);
    let found = "SELECT count(*) FROM finding WHERE severity = 'ok'";
    assert_eq!(portal.number(found).await, 20, "of every turn");
    let kept = "SELECT count(*) FROM check_progress";
    assert_eq!(portal.number(kept).await, 0);

    // Once in force, it is checked in turns too; an error found in the first turn is reported at
    // the end.
    world.unroute(&names[0]);
    portal.advance(Duration::from_hours(24)).await;
    let settled = worker(&portal, places).drain().await.unwrap();
    assert_eq!(settled.watched, 1);
    assert_eq!(portal.number(found).await, 19);
    let at_risk = "SELECT count(*) FROM event WHERE code = 'at-risk'";
    assert_eq!(portal.number(at_risk).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_found_is_kept_when_the_process_ends_in_the_middle() {
    let (world, _edge) = World::with("contoso.com").await;
    let portal = TestApp::checking(world.enforce()).await;
    let (reference, names) = large(&world, &portal, 19).await;
    world.unroute(&names[0]);
    let places = Places {
        turn: SHORT,
        ..Places::default()
    };
    let stop = CancellationToken::new();
    // The first turn is quick; the following ones are not.
    world
        .internet
        .resolver
        .behave(Manner::SilentFor("d004.contoso.com"));
    let running = tokio::spawn(worker(&portal, places).run(stop.clone()));
    eventually("the first turn is over", async || {
        let done = "SELECT count(*) FROM check_progress WHERE names_done >= 5";
        (portal.number(done).await == 1).then_some(())
    })
    .await;
    stop.cancel();
    running.await.unwrap();
    let first = asked(&world, &names[..4]);
    world.internet.resolver.behave(Manner::Honest);
    // The error is fixed too late for this check, which still reports it.
    world.route(&names[0], "sip.contoso.com");
    let settled = worker(&portal, places).drain().await.unwrap();
    assert_eq!(settled.waiting, 1, "{settled:?}");
    assert_eq!(asked(&world, &names[..4]), first, "not looked at again");
    let blocked = "SELECT count(*) FROM event WHERE code = 'blocked'";
    assert_eq!(portal.number(blocked).await, 1);
    portal.advance(WAITS.first).await;
    let settled = worker(&portal, places).drain().await.unwrap();
    assert_eq!(settled.provisioned, 1);
    assert_eq!(portal.state(&reference).await, "provisioned");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_that_began_long_ago_begins_anew() {
    let (world, _edge) = World::with("contoso.com").await;
    let portal = TestApp::checking(world.enforce()).await;
    let (_, names) = large(&world, &portal, 6).await;
    portal
        .run(
            "INSERT INTO check_progress (request_id, began_at, names_done, slow, findings, proven)
             SELECT id, pic_now() - interval '1 day', 7, true, '{}', '{}' FROM request",
        )
        .await;
    assert_eq!(portal.work().await.provisioned, 1);
    assert_eq!(asked(&world, &names), [1; 6]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_checks_advise_what_is_slow_waits_for_one_turn() {
    let world = World::start().await;
    world.zone("contoso.com");
    world.internet.resolver.behave(Manner::SilentFor(SILENT));
    let portal = TestApp::checking(world.advise()).await;
    store_silent(&portal, 1, 40).await;
    let places = Places {
        turn: SHORT,
        ..Places::default()
    };
    assert_eq!(
        worker(&portal, places).drain().await.unwrap().provisioned,
        1
    );
    let found = "SELECT count(*) FROM finding WHERE code = 'resolver-unreachable'";
    let found = portal.number(found).await;
    assert!((1..=5).contains(&found), "{found} of the first turn");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_zone_that_is_silent_is_found_out_once_for_all_its_names() {
    let (world, _edge) = World::with("contoso.com").await;
    world.internet.resolver.behave(Manner::SilentFor(SILENT));
    let portal = TestApp::checking(world.enforce()).await;
    let names: Vec<_> = (0..60).map(|n| format!("d{n}.{SILENT}")).collect();
    portal
        .store_one(&[("sip.contoso.com", &names.join(" "))])
        .await;
    assert_eq!(portal.work().await.waiting, 1);
    let resolver = world.internet.resolver.asked();
    let asked = |name: &&String| resolver.iter().any(|asked| asked.name.ends_with(*name));
    let asked = names.iter().filter(asked).count();
    assert!((5..=21).contains(&asked), "{asked} names were asked for");
    let told = "SELECT count(*) FROM finding WHERE code = 'resolver-unreachable'";
    assert_eq!(portal.number(told).await, 60, "all of them are told of");
    // The request next to it is not affected.
    portal.store_one(ONE).await;
    let notifier = Notifier::default();
    let worker = Worker::new(portal.pool().clone(), WAITS, notifier);
    let worker = worker.with_checks(portal.app.site().checks.clone());
    assert_eq!(worker.drain().await.unwrap().provisioned, 1);
}
