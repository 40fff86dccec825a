//! Checks the events of a stream, and when it ends.

use std::time::{Duration, Instant};

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use pic_portal::{
    server::{HttpServer, listen, network::Proxies},
    web::site::StreamLimits,
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{Instance, ONE, PATIENCE, Stream};
use crate::{
    gateways::{Gateway, publish},
    service::sign_in,
    support::{
        app::{Answer, TestApp, WAITS},
        eventually,
        world::World,
    },
};

const OTHER: &[(&str, &str)] = &[("sip.fabrikam.com", "contoso.com")];

#[tokio::test]
async fn a_stream_begins_with_how_things_stand() {
    let portal = TestApp::new().await;
    let (reference, _) = portal.submit(ONE).await;
    let accept = [("accept-encoding", "gzip, br")];
    let mut stream = Stream::open(&portal.router, &reference, &accept).await;
    let header = |name| stream.headers.get(name).map(|v| v.to_str().unwrap());
    assert_eq!(header("content-type"), Some("text/event-stream"));
    assert_eq!(header("cache-control"), Some("no-store"));
    assert_eq!(header("x-accel-buffering"), Some("no"));
    assert_eq!(header("content-encoding"), None);
    let hello = stream.block().await.unwrap();
    let retry: u64 = hello.retry.parse().unwrap();
    assert!((2_000..=4_000).contains(&retry), "{hello:?}");
    let event = stream.block().await.unwrap();
    assert_eq!((event.name.as_str(), event.id.as_str()), ("status", "1"));
    let mut told = event.json();
    let version = told.as_object_mut().unwrap().remove("version").unwrap();
    let due_at = told.as_object_mut().unwrap().remove("due_at").unwrap();
    assert!(due_at.as_str().unwrap().ends_with('Z'));
    assert_eq!(
        told,
        json!({
            "reference": reference,
            "state": "pending",
            "standing": "checking",
            "overdue": false,
            "at_risk": false,
            "reason": null,
            "seq": 1,
            "earlier_events": 0,
            "checked_at": null,
            "findings": { "ok": 0, "skipped": 0, "warning": 0, "unknown": 0, "blocking": 0 },
        })
    );
    let page = portal.get(&format!("/requests/{reference}")).await;
    assert_eq!(page.attribute("data-live-version"), version.as_str());

    portal.work().await;
    portal.app.notifier().changed();
    assert_eq!(
        stream.until_status().await,
        ["2 timeline provisioned", "2 status in-force"]
    );
    let page = portal.get(&format!("/requests/{reference}")).await;
    assert_ne!(page.attribute("data-live-version"), version.as_str());
}

#[tokio::test]
async fn a_gateway_that_loads_the_routes_is_news() {
    let portal = TestApp::new().await;
    let gateways = [
        Gateway::add(&portal, "gw1").await,
        Gateway::add(&portal, "gw2").await,
    ];
    let (reference, _) = portal.submit(ONE).await;
    portal.work().await;
    publish(&portal).await;
    let mut stream = Stream::open(&portal.router, &reference, &[]).await;
    assert_eq!(stream.until_status().await, ["2 status in-force"]);
    gateways[0].load(&portal).await;
    assert_eq!(stream.until_status().await, ["2 status in-force"]);
    gateways[1].load(&portal).await;
    // What the last one has loaded is news, and so is that all have.
    assert_eq!(stream.until_status().await, ["2 status in-force"]);
    publish(&portal).await;
    assert_eq!(
        stream.until_status().await,
        ["3 timeline live", "3 status in-force"]
    );
}

#[tokio::test]
async fn who_comes_back_is_told_what_happened_meanwhile() {
    let portal = TestApp::new().await;
    portal.submit(ONE).await;
    portal.work().await;
    let (reference, key) = portal.submit(OTHER).await;
    portal.work().await;
    let withdraw = format!("/requests/{reference}/withdraw");
    portal.post(&withdraw, &[("management_key", &key)]).await;
    let all = [
        "1 timeline submitted",
        "2 timeline held",
        "3 timeline withdrawn",
        "3 status withdrawn",
    ];
    for (last, missed) in [
        ("0", &all[..]),
        ("1", &all[1..]),
        ("2", &all[2..]),
        ("3", &all[3..]),
        // From a database that was restored from a backup, or nonsense.
        ("999", &all[3..]),
        ("-1", &all[3..]),
        ("x", &all[3..]),
        ("", &all[3..]),
    ] {
        let headers = [("last-event-id", last)];
        let mut stream = Stream::open(&portal.router, &reference, &headers).await;
        assert_eq!(stream.until_status().await, missed, "after {last:?}");
    }
    let mut stream = Stream::open(&portal.router, &reference, &[("last-event-id", "1")]).await;
    let held = stream.event().await.json();
    let at = held["at"].as_str().unwrap();
    assert_eq!(
        held,
        json!({ "seq": 2, "at": at, "times": 1, "last_at": null, "actor": "portal", "code": "held", "subject": null })
    );
}

#[tokio::test]
async fn what_happens_again_is_told_again_and_of_a_long_timeline_its_end() {
    let portal = TestApp::new().await;
    let (reference, _) = portal.submit(ONE).await;
    let mut stream = Stream::open(&portal.router, &reference, &[]).await;
    assert_eq!(stream.until_status().await, ["1 status checking"]);
    for round in 0..3 {
        portal
            .run("SELECT pic_append_event(ARRAY[1]::bigint[], pic_now(), 'portal', 'blocked')")
            .await;
        portal.app.notifier().changed();
        let told = stream.event().await;
        assert_eq!(told.brief(), format!("{} timeline blocked", round + 2));
        assert_eq!(told.json()["times"], round + 1);
        stream.until_status().await;
    }
    portal
        .run(
            "INSERT INTO event (request_id, seq, at, actor, code)
             SELECT 1, n, pic_now(), 'administrator', 'key-replaced' FROM generate_series(5, 1000) AS n",
        )
        .await;
    // A new client does not get the events of this one.
    drop(stream);
    let all = [("last-event-id", "0")];
    let mut stream = Stream::open(&portal.router, &reference, &all).await;
    let told = stream.until_status().await;
    assert_eq!(told.len(), 100 + 1, "the last hundred and how it stands");
    assert_eq!(told[0], "901 timeline key-replaced");
    assert_eq!(told[100], "1000 status checking");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_process_does_is_on_the_streams_of_another() {
    let portal = TestApp::new().await;
    let (_, holder) = portal.submit(ONE).await;
    portal.work().await;
    let (reference, _) = portal.submit(OTHER).await;
    portal.work().await;
    let (one, other) = (
        Instance::beside(&portal).await,
        Instance::beside(&portal).await,
    );
    let mut streams = Vec::new();
    for router in [&one.router, &other.router, &other.router] {
        let mut stream = Stream::open(router, &reference, &[]).await;
        assert_eq!(stream.until_status().await, ["2 status needs-action"]);
        streams.push(stream);
    }
    // The holder releases it: the background task of one of the two settles both requests.
    let cookie = sign_in(&portal, &holder).await;
    portal
        .post_with("/service/cancel", &[("confirm", "on")], &cookie)
        .await;
    one.app.notifier().wake();
    for stream in &mut streams {
        let mut told = Vec::new();
        // That it is checked again at once is news too.
        while told.last().is_none_or(|last| last != "3 status in-force") {
            told.extend(stream.until_status().await);
        }
        told.retain(|brief| brief != "2 status needs-action");
        assert_eq!(told, ["3 timeline provisioned", "3 status in-force"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_checks_of_one_process_find_is_on_the_streams_of_another() {
    let (world, _edge) = World::with("contoso.com").await;
    world.route("it.contoso.com", "sip.contoso.com");
    world.unroute("contoso.com");
    let portal = TestApp::checking(world.enforce()).await;
    let both = "contoso.com it.contoso.com";
    let (reference, _) = portal.submit(&[("sip.contoso.com", both)]).await;
    assert_eq!(portal.work().await.waiting, 1);
    let (one, other) = (
        Instance::beside(&portal).await,
        Instance::beside(&portal).await,
    );
    let mut streams = Vec::new();
    for router in [&one.router, &other.router] {
        let mut stream = Stream::open(router, &reference, &[]).await;
        let told = stream.event().await.json();
        assert_eq!(told["findings"]["blocking"], 1);
        streams.push(stream);
    }
    // A further finding makes no event in the timeline: the stream has it all the same. One of the
    // two checks.
    world.unroute("it.contoso.com");
    portal.advance(WAITS.first).await;
    one.app.notifier().wake();
    for stream in &mut streams {
        while stream.event().await.json()["findings"]["blocking"] != 2 {}
    }
    // All is fixed: whichever process checks, both streams get it.
    world.route("contoso.com", "sip.contoso.com");
    world.route("it.contoso.com", "sip.contoso.com");
    portal.advance(WAITS.longest).await;
    one.app.notifier().wake();
    for stream in &mut streams {
        while stream.event().await.json()["standing"] != "in-force" {}
    }
}

/// Waiting for the poll would take ten seconds in each round.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_wakes_the_other_processes_without_any_data() {
    const ROUNDS: u32 = 20;
    let portal = TestApp::new().await;
    let (one, other) = (
        Instance::beside(&portal).await,
        Instance::beside(&portal).await,
    );
    let mut spy = portal.db().pool().listener().await.unwrap();
    spy.listen("pic_status").await.unwrap();
    let mut changes = other.app.notifier().changes();
    // Until it listens it polls once a second.
    let began = Instant::now();
    let mut waits = Vec::new();
    for _ in 0..ROUNDS {
        let round = Instant::now();
        one.notifier.changed();
        changes.next().await;
        waits.push(round.elapsed());
        let told = timeout(PATIENCE, spy.recv()).await.expect("all are told");
        assert_eq!(told.unwrap().payload(), "");
    }
    assert!(
        began.elapsed() < Duration::from_secs(1) * ROUNDS / 2,
        "these are polls: {waits:?}"
    );
}

#[tokio::test]
async fn what_passes_by_itself_is_noticed() {
    let portal = TestApp::new().await;
    let (reference, _) = portal.submit(ONE).await;
    let mut stream = Stream::open(&portal.router, &reference, &[]).await;
    assert_eq!(stream.event().await.json()["overdue"], false);
    portal.advance(Duration::from_hours(49)).await;
    // No notification is sent.
    let late = stream.event().await;
    assert_eq!(
        (late.id.as_str(), &late.json()["overdue"]),
        ("1", &true.into())
    );
}

#[tokio::test]
async fn a_stream_shows_that_it_lives_and_does_not_last_for_ever() {
    let portal = TestApp::with(|site| {
        site.live.heartbeat = Duration::from_millis(5);
        site.live.lifetime = Duration::from_millis(300);
    })
    .await;
    let (reference, _) = portal.submit(ONE).await;
    let mut stream = Stream::open(&portal.router, &reference, &[]).await;
    stream.event().await;
    for _ in 0..10 {
        assert!(stream.block().await.unwrap().is_comment);
    }
    while let Some(block) = stream.block().await {
        assert!(block.is_comment);
    }
    drop(stream);
    assert_eq!(portal.app.live().streams(), 0);
}

#[tokio::test]
async fn a_reader_that_never_reads_does_not_keep_its_place() {
    let portal = TestApp::with(|site| {
        site.live.lifetime = Duration::from_millis(200);
    })
    .await;
    let (reference, _) = portal.submit(ONE).await;
    let door = HttpServer::new(pic_portal::server::Limits {
        idle: Duration::from_millis(200),
        ..pic_portal::server::Limits::default()
    });
    let listener = listen(([127, 0, 0, 1], 0).into()).unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    tokio::spawn(
        door.clone()
            .serve(listener, portal.router.clone(), stop.clone()),
    );
    let _stopped = stop.drop_guard();
    let mut mute = TcpStream::connect(address).await.unwrap();
    let ask = format!("GET /requests/{reference}/stream HTTP/1.1\r\nhost: portal.test\r\n\r\n");
    mute.write_all(ask.as_bytes()).await.unwrap();
    eventually("it is taken in", async || {
        (portal.app.live().streams() == 1).then_some(())
    })
    .await;
    eventually("its place and its connection are free", async || {
        (portal.app.live().streams() == 0 && door.connections() == 0).then_some(())
    })
    .await;
}

#[expect(clippy::print_stdout, reason = "a figure for whoever asks for it")]
#[tokio::test]
async fn a_stop_ends_open_streams_in_good_order() {
    let portal = TestApp::with(|site| site.live.share = 200).await;
    let (reference, _) = portal.submit(ONE).await;
    let listener = listen(([127, 0, 0, 1], 0).into()).unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let door = HttpServer::new(pic_portal::server::Limits::default());
    let server = tokio::spawn(door.serve(listener, portal.router.clone(), stop.clone()));
    let mut loader = Vec::new();
    for _ in 0..100 {
        let mut reader = TcpStream::connect(address).await.unwrap();
        let ask = format!("GET /requests/{reference}/stream HTTP/1.1\r\nhost: portal.test\r\n\r\n");
        reader.write_all(ask.as_bytes()).await.unwrap();
        loader.push(reader);
    }
    eventually("all are open", async || {
        (portal.app.live().streams() == 100).then_some(())
    })
    .await;
    let began = Instant::now();
    portal.app.stop();
    stop.cancel();
    for mut reader in loader {
        let mut all = String::new();
        let read = reader.read_to_string(&mut all);
        timeout(PATIENCE, read).await.expect("it ends").unwrap();
        assert!(all.starts_with("HTTP/1.1 200 "), "{all}");
        assert!(all.ends_with("0\r\n\r\n"), "to its end, not cut off: {all}");
    }
    timeout(Duration::from_secs(10), server)
        .await
        .expect("well before the streams would be cut")
        .unwrap();
    println!("100 open streams: stopped within {:?}", began.elapsed());
    assert_eq!(portal.app.live().streams(), 0);
}

/// Opens a stream as a client of `network`, through a trusted proxy.
async fn ask(portal: &TestApp, reference: &str, network: &str) -> axum::response::Response {
    let request = Request::get(format!("/requests/{reference}/stream"))
        .header("x-forwarded-for", network)
        .header("accept", "application/json")
        .extension(axum::extract::ConnectInfo(std::net::SocketAddr::from((
            [10, 0, 0, 1],
            1,
        ))))
        .body(Body::empty())
        .unwrap();
    tower::ServiceExt::oneshot(portal.router.clone(), request)
        .await
        .unwrap()
}

#[tokio::test]
async fn streams_are_counted_by_network_and_in_all() {
    let portal = TestApp::with(|site| {
        site.throttle.proxies = Proxies::parse("10.0.0.0/8").unwrap().into();
        site.live = StreamLimits {
            share: 2,
            in_all: 5,
            ..StreamLimits::default()
        };
    })
    .await;
    let (reference, _) = portal.submit(ONE).await;
    let mut open = Vec::new();
    for network in ["192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.2"] {
        let answer = ask(&portal, &reference, network).await;
        assert_eq!(answer.status(), StatusCode::OK);
        open.push(answer);
    }
    let refused = ask(&portal, &reference, "192.0.2.1").await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.headers()["retry-after"], "30");
    assert_eq!(
        refused.headers()["content-type"],
        "application/problem+json"
    );
    open.push(ask(&portal, &reference, "192.0.2.3").await);
    let refused = ask(&portal, &reference, "192.0.2.4").await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()["retry-after"], "30");
    // There is room as soon as a client has disconnected.
    open.remove(0);
    assert_eq!(
        ask(&portal, &reference, "192.0.2.1").await.status(),
        StatusCode::OK
    );
    open.clear();
    assert_eq!(portal.app.live().streams(), 0);
}

#[tokio::test]
async fn what_is_no_stream_leaves_nobody_following() {
    let portal = TestApp::new().await;
    let (reference, _) = portal.submit(ONE).await;
    let unknown = portal.get("/requests/PIC-0000-0000-0000-0000/stream").await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    let typed = reference.to_lowercase();
    let other: Answer = portal.get(&format!("/requests/{typed}/stream")).await;
    assert_eq!(other.status, StatusCode::PERMANENT_REDIRECT);
    assert_eq!(
        other.header("location"),
        format!("/requests/{reference}/stream")
    );
    for _ in 0..20 {
        let head = Request::head(format!("/requests/{reference}/stream"));
        let answer = portal.send(head.body(Body::empty()).unwrap()).await;
        assert_eq!((answer.status, answer.body.as_str()), (StatusCode::OK, ""));
    }
    assert_eq!(portal.app.live().streams(), 0);
}

/// Deleting a request from the database ends its streams, and no others.
#[tokio::test]
async fn a_request_that_is_gone_ends_its_streams() {
    let portal = TestApp::new().await;
    let (gone, _) = portal.submit(ONE).await;
    let (stays, _) = portal.submit(OTHER).await;
    let (mut one, mut other) = (
        Stream::open(&portal.router, &gone, &[]).await,
        Stream::open(&portal.router, &stays, &[]).await,
    );
    one.event().await;
    other.event().await;
    sqlx::query("DELETE FROM request WHERE reference = $1")
        .bind(&gone)
        .execute(portal.pool())
        .await
        .unwrap();
    portal.app.notifier().changed();
    assert_eq!(one.block().await, None);
    portal.work().await;
    portal.app.notifier().changed();
    assert_eq!(
        other.until_status().await,
        ["2 timeline provisioned", "2 status in-force"]
    );
}
