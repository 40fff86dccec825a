//! Checks the memory of a portal that receives bodies that never end.

use axum::http::StatusCode;
use hyper::body::Bytes;
use pic_portal::db::MIGRATOR;
use tokio::{net::TcpStream, task::JoinSet};

use super::{
    memory::{most_resident, resident},
    setting,
};
use crate::{
    front_door::bodies::{http_2, upload},
    support::{
        db::TestDb,
        eventually,
        process::{Portal, exchange, scratch},
    },
};

/// Connections of the flood in the short form; `PIC_BODIES=256` is the long one, as many as one
/// network may have.
const CONNECTIONS: usize = 4;
/// Bodies at the same time on each connection.
const STREAMS: usize = 100;
/// Bytes of a body whose last byte never comes.
const BODY: usize = 500_000;
/// How many of them fit at the same time, at most.
const HELD: usize = 48 * 1024 * 1024 / BODY;
/// The most resident memory in KiB while they come, and a minute after they have ended.
const MOST: u64 = 150 * 1024;
const MOST_AFTERWARDS: u64 = 60 * 1024;

/// The client address that a proxy names for a connection of the flood.
type Client = fn(usize) -> String;

/// Sends all bodies of the flood, each for the network that `client` names for its connection, and
/// disconnects when all are answered except those that are held.
async fn flood(portal: &Portal, client: Client) {
    let connections = setting("PIC_BODIES", CONNECTIONS);
    let body = Bytes::from(format!("domains={}", "x".repeat(BODY)));
    let mut streams = JoinSet::new();
    for number in 0..connections {
        let sender = http_2(TcpStream::connect(portal.address).await.unwrap()).await;
        for _ in 0..STREAMS {
            let mut sender = sender.clone();
            let request = upload("/requests/new", &client(number), body.clone());
            streams.spawn(async move { sender.send_request(request).await });
        }
    }
    while streams.len() > HELD
        && let Some(answer) = streams.join_next().await
    {
        // 0: the connection was closed. 408: the machine is slow.
        let status = answer.unwrap().map_or(0, |answer| answer.status().as_u16());
        assert!([0, 408, 429, 503].contains(&status), "{status}");
    }
}

/// Requests from another network; returns the statuses of a page, and of a form.
async fn others(portal: &Portal) -> (StatusCode, StatusCode) {
    let page = exchange(portal.address, "GET", "/requests/new", &[], "");
    let headers = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("x-forwarded-for", "203.0.113.1"),
    ];
    let form = exchange(
        portal.address,
        "POST",
        "/requests/new",
        &headers,
        "action=change",
    );
    let (page, form) = (page.await.unwrap(), form.await.unwrap());
    (page.status, form.status)
}

#[expect(clippy::print_stdout, reason = "figures for whoever asks for them")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_never_end_take_little_memory() {
    let (db, scratch) = (TestDb::fresh(&MIGRATOR).await, scratch());
    let url = db.url();
    let settings = [
        ("DATABASE_URL", url.as_str()),
        ("PIC_ALLOW_UNSAFE_DATABASE", "true"),
        ("PIC_TRUSTED_PROXIES", "127.0.0.1"),
    ];
    let portal = Portal::start(&settings, &scratch.path().join("log")).await;
    let before = resident(portal.id());
    let floods: [(&str, Client); 2] = [
        ("one network", |_| "192.0.2.1".into()),
        ("many networks", |number| {
            format!("10.{}.{}.1", number / 256, number % 256)
        }),
    ];
    for (from, client) in floods {
        let is_one = from == "one network";
        let watching = async {
            loop {
                let (page, form) = others(&portal).await;
                assert_eq!(page, StatusCode::OK, "{from}");
                assert!(
                    form == StatusCode::OK || !is_one && form == StatusCode::SERVICE_UNAVAILABLE,
                    "{from}: {form}"
                );
            }
        };
        tokio::select! {
            () = watching => {}
            () = flood(&portal, client) => {}
        }
        let (most, at_its_end) = (most_resident(portal.id()), resident(portal.id()));
        println!(
            "from {from}: {before} KiB before, {most} KiB at most, {at_its_end} KiB at its end"
        );
        assert!(most <= MOST, "{most} KiB");
        eventually("others are served as before", async || {
            (others(&portal).await == (StatusCode::OK, StatusCode::OK)).then_some(())
        })
        .await;
    }
    let afterwards = eventually("the memory is given back", async || {
        let now = resident(portal.id());
        (now <= MOST_AFTERWARDS).then_some(now)
    })
    .await;
    println!("afterwards: {afterwards} KiB");
    portal.stop().await;
}
