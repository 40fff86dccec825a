//! Checks that slow, greedy and wrong clients run into their limits, while all others are served.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode},
    routing::get,
};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Bytes, Frame};
use hyper_util::rt::{TokioExecutor, TokioIo};
use pic_portal::{
    server::{HttpServer, Limits, listen},
    web::assets,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    task::JoinSet,
    time::{Interval, interval},
};
use tokio_util::sync::CancellationToken;

use super::{Open, assert_has_face, bodies::http_2, header, one_answer, rest, short, status};
use crate::support::eventually;

/// Slow clients of each kind. `PIC_SLOW=300` is the long form.
fn slow_clients() -> usize {
    std::env::var("PIC_SLOW").map_or(60, |number| number.parse().unwrap())
}

/// Sends a byte now and then, until the other side closes; returns what it sent.
async fn drip(mut stream: TcpStream, begin: &str, drop: &'static [u8]) -> String {
    let _ = stream.write_all(begin.as_bytes()).await;
    let (mut read, mut write) = stream.into_split();
    let dripping = tokio::spawn(async move {
        let mut tick = interval(Duration::from_millis(100));
        loop {
            tick.tick().await;
            if write.write_all(drop).await.is_err() {
                return;
            }
        }
    });
    let mut said = Vec::new();
    let mut some = [0; 4096];
    while let Ok(bytes @ 1..) = read.read(&mut some).await {
        said.extend_from_slice(&some[..bytes]);
    }
    dripping.abort();
    String::from_utf8_lossy(&said).into_owned()
}

/// Requests a lot and reads nothing.
async fn asks_and_never_reads(open: &Open) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(open.address).await.unwrap();
    let ask = format!(
        "GET {} HTTP/1.1\r\nhost: portal.test\r\n\r\n",
        assets::url("app.css")
    );
    stream.write_all(ask.repeat(60).as_bytes()).await.unwrap();
    stream
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_clients_are_ended_while_everybody_else_is_served() {
    let open = Open::with(short()).await;
    let (mut silent, mut heads, mut bodies, mut deaf) =
        (JoinSet::new(), JoinSet::new(), JoinSet::new(), Vec::new());
    for _ in 0..slow_clients() {
        let mut stream = open.connect().await;
        silent.spawn(async move { rest(&mut stream).await });
        let stream = open.connect().await;
        heads.spawn(drip(
            stream,
            "GET / HTTP/1.1\r\nhost: portal.test\r\nx-slow: ",
            b"x",
        ));
        let stream = open.connect().await;
        let begin = "POST /requests/new HTTP/1.1\r\nhost: portal.test\r\n\
            content-type: application/x-www-form-urlencoded\r\ncontent-length: 10000\r\n\r\n";
        bodies.spawn(drip(stream, begin, b"x"));
        deaf.push(asks_and_never_reads(&open).await);
    }
    eventually("the slow clients are ended", async || {
        // Before the request, whose own connection may be counted for a moment longer.
        let ended = open.door.connections() == 0;
        assert_eq!(status(&open.get("/").await), 200, "a normal request");
        ended.then_some(())
    })
    .await;
    assert!(silent.join_all().await.iter().all(String::is_empty));
    assert!(heads.join_all().await.iter().all(String::is_empty));
    for answer in bodies.join_all().await {
        assert_eq!(status(&answer), 408, "{answer}");
        assert_has_face(&answer);
    }
    for mut stream in deaf {
        let answers = rest(&mut stream).await.matches("HTTP/1.1 200").count();
        assert!(answers < 60, "all of {answers} answers");
    }
}

#[tokio::test]
async fn a_connection_is_kept_between_requests_but_not_for_ever() {
    let open = Open::with(short()).await;
    let mut stream = open.connect().await;
    for _ in 0..3 {
        let ask = "GET /livez HTTP/1.1\r\nhost: portal.test\r\n\r\n";
        stream.write_all(ask.as_bytes()).await.unwrap();
        assert_eq!(status(&one_answer(&mut stream).await.unwrap()), 200);
    }
    assert_eq!(rest(&mut stream).await, "");
}

#[tokio::test]
async fn over_the_caps_clients_are_told_to_come_back() {
    let limits = Limits {
        connections: 4,
        per_network: 2,
        exempt: vec!["127.0.0.1/32".parse().unwrap()],
        ..Limits::default()
    };
    let open = Open::with(limits).await;
    let ask = "GET /livez HTTP/1.1\r\nhost: portal.test\r\n\r\n";
    let mut kept = Vec::new();
    for last in [2, 2, 3] {
        let mut stream = open.connect_from(last).await;
        stream.write_all(ask.as_bytes()).await.unwrap();
        assert_eq!(status(&one_answer(&mut stream).await.unwrap()), 200);
        kept.push(stream);
    }
    let mut refused = open.connect_from(2).await;
    refused.write_all(ask.as_bytes()).await.unwrap();
    let answer = rest(&mut refused).await;
    assert_eq!(
        (status(&answer), header(&answer, "retry-after")),
        (503, "10")
    );
    assert_has_face(&answer);
    assert!(!header(&answer, "date").is_empty());

    let mut last = open.connect().await;
    last.write_all(ask.as_bytes()).await.unwrap();
    assert_eq!(status(&one_answer(&mut last).await.unwrap()), 200);
    assert_eq!(status(&open.get("/livez").await), 503, "four in all");
    drop(kept);
    eventually("there are places again", async || {
        (open.door.connections() == 1).then_some(())
    })
    .await;
    assert_eq!(status(&open.get("/livez").await), 200);
}

#[tokio::test]
async fn what_is_no_http_gets_a_face_too() {
    let open = Open::with(Limits::default()).await;
    let host = "host: portal.test\r\n";
    let fields = "x: 1\r\n".repeat(101);
    for (expected, request) in [
        (400, "nonsense\r\n\r\n".to_owned()),
        (400, "GET / HTTP/1.1\r\nno colon\r\n\r\n".into()),
        (400, "GET / HTTP/1.1\r\n\r\n".into()),
        (400, format!("GET / HTTP/1.1\r\n{host}{host}\r\n")),
        (400, format!("GET / HTTP/9.9\r\n{host}\r\n")),
        (400, format!("GET /\0 HTTP/1.1\r\n{host}\r\n")),
        (
            400,
            format!("POST /status HTTP/1.1\r\n{host}content-length: x\r\n\r\n"),
        ),
        (
            414,
            format!("GET /{} HTTP/1.1\r\n{host}\r\n", "x".repeat(9_000)),
        ),
        (
            431,
            format!("GET / HTTP/1.1\r\n{host}x: {}\r\n\r\n", "x".repeat(40_000)),
        ),
        (431, format!("GET / HTTP/1.1\r\n{host}{fields}\r\n")),
    ] {
        let request = request.replacen(host, &format!("{host}connection: close\r\n"), 1);
        let answer = open.tell(&request).await;
        let shown: String = request.chars().take(60).collect();
        assert_eq!(status(&answer), expected, "{shown} {answer}");
        assert_has_face(&answer);
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1);
    }
    // The next response on a connection too, and only that one.
    let answers = open
        .tell("GET /livez HTTP/1.1\r\nhost: portal.test\r\n\r\nnonsense\r\n\r\n")
        .await;
    let (first, second) = answers.split_once("alive\n").unwrap();
    assert_eq!((status(first), status(second)), (200, 400));
}

#[tokio::test]
async fn a_body_that_is_too_large_is_not_waited_for() {
    let open = Open::with(Limits::default()).await;
    for expect in ["", "expect: 100-continue\r\n"] {
        let answer = open
            .tell(format!(
                "POST /requests/new HTTP/1.1\r\nhost: portal.test\r\n{expect}\
                content-type: application/x-www-form-urlencoded\r\ncontent-length: 600000\r\n\r\n"
            ))
            .await;
        assert_eq!(status(&answer), 413, "{answer}");
        assert_has_face(&answer);
    }
    // Without a length, as soon as it is too much.
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000)).repeat(9);
    let answer = open
        .tell(format!(
            "POST /requests/new HTTP/1.1\r\nhost: portal.test\r\ntransfer-encoding: chunked\r\n\
            content-type: application/x-www-form-urlencoded\r\n\r\n8\r\ndomains=\r\n{chunk}"
        ))
        .await;
    assert_eq!(status(&answer), 413, "{answer}");
}

#[tokio::test]
async fn a_client_that_asks_first_is_told_to_go_on() {
    let open = Open::with(Limits::default()).await;
    let mut stream = open.connect().await;
    let ask = "POST /requests/new HTTP/1.1\r\nhost: portal.test\r\nexpect: 100-continue\r\n\
        connection: close\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: 13\r\n\r\n";
    stream.write_all(ask.as_bytes()).await.unwrap();
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"action=change").await.unwrap();
    assert_eq!(status(&rest(&mut stream).await), 200);
}

type Http2 = hyper::client::conn::http2::SendRequest<Empty<Bytes>>;

async fn ask_2(client: &mut Http2, path: &str, field: &str) -> Option<(StatusCode, usize)> {
    let request = Request::get(format!("http://portal.test{path}"))
        .header("x-field", field)
        .body(Empty::new())
        .unwrap();
    let (parts, body) = client.send_request(request).await.ok()?.into_parts();
    let body = body.collect().await.ok()?.to_bytes();
    Some((parts.status, body.len()))
}

#[tokio::test]
async fn http_2_without_tls_is_spoken_to_who_speaks_it() {
    let open = Open::with(short()).await;
    let mut client = http_2(open.connect().await).await;
    let mut many = JoinSet::new();
    for _ in 0..100 {
        let mut client = client.clone();
        many.spawn(async move { ask_2(&mut client, "/", "").await.unwrap().0 });
    }
    assert!(many.join_all().await.iter().all(|s| *s == StatusCode::OK));
    let (status, _) = ask_2(&mut client, "/", &"x".repeat(40_000)).await.unwrap();
    assert_eq!(status, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    // Idle, and closed cleanly.
    eventually("the idle connection is ended", async || {
        (client.is_closed() && open.door.connections() == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_window_that_stays_shut_ends_an_http_2_connection() {
    let open = Open::with(short()).await;
    let io = TokioIo::new(open.connect().await);
    let (mut client, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(1)
        .handshake(io)
        .await
        .unwrap();
    tokio::spawn(connection);
    let request = Request::get("http://portal.test/")
        .body(Empty::<Bytes>::new())
        .unwrap();
    let mut answer = client.send_request(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    eventually("it is ended", async || {
        (open.door.connections() == 0).then_some(())
    })
    .await;
    let whole = answer.body_mut().collect().await;
    assert!(whole.is_err(), "the page is not whole");
}

/// A live stream with heartbeats: less frequent than the limit for silent clients.
struct Beats {
    left: u8,
    every: Interval,
}

impl hyper::body::Body for Beats {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        ready!(self.every.poll_tick(cx));
        self.left -= 1;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"beat\n")))))
    }
}

#[tokio::test]
async fn a_live_stream_lasts_as_long_as_it_is_read() {
    const LIMIT: Duration = Duration::from_millis(100);
    let limits = Limits {
        head: LIMIT,
        idle: LIMIT,
        body: LIMIT,
        write: LIMIT,
        ..Limits::default()
    };
    let beats = async || {
        let every = interval(4 * LIMIT);
        Body::new(Beats { left: 4, every })
    };
    let router = Router::new().route("/", get(beats));
    let listener = listen(([127, 0, 0, 1], 0).into()).unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(HttpServer::new(limits).serve(listener, router, CancellationToken::new()));

    let mut stream = TcpStream::connect(address).await.unwrap();
    let ask = "GET / HTTP/1.1\r\nhost: portal.test\r\n\r\n";
    stream.write_all(ask.as_bytes()).await.unwrap();
    assert_eq!(rest(&mut stream).await.matches("beat").count(), 4);

    let mut client = http_2(TcpStream::connect(address).await.unwrap()).await;
    let (status, bytes) = ask_2(&mut client, "/", "").await.unwrap();
    assert_eq!((status, bytes), (StatusCode::OK, 20));
}
