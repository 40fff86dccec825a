//! Checks that clients that are being served do not notice a stop.

use std::time::Duration;

use nix::sys::signal::Signal;
use pic_portal::server::Limits;
use tokio::{io::AsyncWriteExt as _, net::TcpStream, task::JoinSet};

use super::{Open, header, one_answer, rest, status};
use crate::support::{
    app::TestApp,
    assert_says, eventually,
    process::{Portal, on, scratch},
};

const ALIVE: &[u8] = b"GET /livez HTTP/1.1\r\nhost: portal.test\r\n\r\n";
/// A form whose last byte is missing.
const ALMOST: &[u8] = b"POST /requests/new HTTP/1.1\r\nhost: portal.test\r\n\
    content-type: application/x-www-form-urlencoded\r\ncontent-length: 13\r\n\r\naction=chang";

async fn idle(mut stream: TcpStream) -> TcpStream {
    stream.write_all(ALIVE).await.unwrap();
    assert_eq!(status(&one_answer(&mut stream).await.unwrap()), 200);
    stream
}

#[tokio::test]
async fn requests_in_progress_are_answered_and_idle_connections_closed() {
    let open = Open::with(Limits::default()).await;
    let mut idle_ones = Vec::new();
    for _ in 0..20 {
        idle_ones.push(idle(open.connect().await).await);
    }
    let mut busy = idle(open.connect().await).await;
    busy.write_all(ALMOST).await.unwrap();
    // Its head has been read once a later client has been served.
    eventually("the request is in progress", async || {
        (open.door.connections() == 21).then_some(())
    })
    .await;
    open.get("/livez").await;
    open.portal.app.stop();
    open.stop.cancel();
    for mut stream in idle_ones {
        assert_eq!(rest(&mut stream).await, "");
    }
    let answer = open.get("/readyz").await;
    assert_eq!(
        (status(&answer), header(&answer, "connection")),
        (503, "close"),
        "no new work, but an answer"
    );
    busy.write_all(b"e").await.unwrap();
    let answer = rest(&mut busy).await;
    assert_eq!(status(&answer), 200, "{answer}");
    assert!(answer.contains("</html>"), "the whole page");
    open.server.await.unwrap();
    TcpStream::connect(open.address)
        .await
        .expect_err("nobody listens any more");
}

#[tokio::test]
async fn who_never_ends_does_not_hold_up_the_stop() {
    let limits = Limits {
        stop: Duration::from_millis(200),
        ..Limits::default()
    };
    let open = Open::with(limits).await;
    let mut busy = open.connect().await;
    busy.write_all(ALMOST).await.unwrap();
    open.get("/livez").await;
    open.stop.cancel();
    open.server.await.unwrap();
    assert_eq!(rest(&mut busy).await, "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_no_request_that_was_sent_goes_unanswered() {
    let open = Open::with(Limits::default()).await;
    let mut clients = JoinSet::new();
    for _ in 0..16 {
        let (address, told) = (open.address, open.stop.clone());
        clients.spawn(async move {
            let mut answered = 0;
            // A connection for each request: once it is accepted, there is a response.
            while !told.is_cancelled() {
                let mut stream = TcpStream::connect(address).await.unwrap();
                tokio::task::yield_now().await;
                let ask = b"GET / HTTP/1.1\r\nhost: portal.test\r\n\r\n";
                stream.write_all(ask).await.unwrap();
                let answer = one_answer(&mut stream).await.unwrap();
                assert_eq!(status(&answer), 200, "after {answered}: {answer}");
                answered += 1;
            }
            answered
        });
    }
    eventually("there is load", async || {
        (open.door.connections() > 4).then_some(())
    })
    .await;
    open.stop.cancel();
    open.server.await.unwrap();
    assert!(clients.join_all().await.iter().sum::<u32>() > 0);
}

#[tokio::test]
async fn a_portal_told_to_stop_says_at_once_that_it_is_not_ready() {
    let portal = TestApp::new().await;
    let dir = scratch();
    let mut process = Portal::start(&on(&portal.db().url()), &dir.path().join("log")).await;
    let address = process.address;
    let connect = async || TcpStream::connect(address).await.unwrap();
    let ready = async || {
        let mut stream = connect().await;
        let ask = b"GET /readyz HTTP/1.1\r\nhost: portal.test\r\nconnection: close\r\n\r\n";
        stream.write_all(ask).await.unwrap();
        status(&rest(&mut stream).await)
    };
    let mut busy = connect().await;
    busy.write_all(ALMOST).await.unwrap();
    assert_eq!(ready().await, 200);
    process.signal(Signal::SIGTERM);
    eventually("it says so", async || (ready().await == 503).then_some(())).await;
    busy.write_all(b"e").await.unwrap();
    assert_eq!(status(&rest(&mut busy).await), 200);
    assert!(process.ended().await.success());
}

#[tokio::test]
async fn a_line_of_the_log_tells_of_a_request_and_nothing_of_what_was_sent() {
    let portal = TestApp::new().await;
    let (dir, url) = (scratch(), portal.db().url());
    let settings = [&on(&url)[..], &[("PIC_LOG", "debug")]].concat();
    let process = Portal::start(&settings, &dir.path().join("log")).await;
    let (mut ids, mut clients) = (Vec::new(), Vec::new());
    for head in [
        "GET /requests/canary?canary=1",
        "GET /canary",
        "CANARY /status",
    ] {
        let mut stream = TcpStream::connect(process.address).await.unwrap();
        let ask = format!(
            "{head} HTTP/1.1\r\nhost: canary\r\nx-request-id: canary\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(ask.as_bytes()).await.unwrap();
        clients.push(stream.local_addr().unwrap());
        ids.push(header(&rest(&mut stream).await, "x-request-id").to_owned());
    }
    process.stop().await;
    let said = std::fs::read_to_string(dir.path().join("log")).unwrap();
    for (id, told) in ids.iter().zip([
        "method=\"GET\" route=\"/requests/{reference}\" status=404",
        "method=\"GET\" route=\"none\" status=404",
        "method=\"other\" route=\"/status\" status=405",
    ]) {
        let line = said.lines().find(|line| line.contains(id.as_str()));
        let line = line.unwrap_or_else(|| panic!("no line for {id} in {said}"));
        assert_says(&line, told);
    }
    assert!(!said.to_lowercase().contains("canary"), "{said}");
    for client in clients {
        assert!(!said.contains(&client.to_string()), "{said}");
    }
}
