//! Checks that bodies that never end stay within their memory limit, and that others are still
//! served.

use std::{
    convert::Infallible,
    error::Error,
    pin::Pin,
    task::{Context, Poll},
};

use axum::http::{Method, Request, StatusCode};
use hyper::{
    body::{Body, Bytes, Frame},
    client::conn::http2::SendRequest,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use pic_portal::{
    clock::Clock,
    server::{Limits, network::Proxies},
    web::limit::Throttle,
};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use super::{Open, assert_has_face, header, one_answer, rest, status};
use crate::support::eventually;

const FORM: &str = "application/x-www-form-urlencoded";

/// The beginning of a body, after which nothing comes.
pub(crate) struct Withheld(Option<Bytes>);

impl Withheld {
    pub(crate) fn after(begin: impl Into<Bytes>) -> Self {
        Self(Some(begin.into()))
    }
}

impl hyper::body::Body for Withheld {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let begin = self.0.take();
        begin.map_or(Poll::Pending, |begin| {
            Poll::Ready(Some(Ok(Frame::data(begin))))
        })
    }
}

/// A client over HTTP/2 without TLS.
pub(crate) async fn http_2<B>(stream: TcpStream) -> SendRequest<B>
where
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + Unpin + 'static,
{
    let io = TokioIo::new(stream);
    let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
        .await
        .unwrap();
    tokio::spawn(connection);
    sender
}

/// A form over HTTP/2 of which only the beginning comes, forwarded by a proxy for `client`.
pub(crate) fn upload(path: &str, client: &str, begin: impl Into<Bytes>) -> Request<Withheld> {
    Request::post(format!("http://portal.test{path}"))
        .header("content-type", FORM)
        .header("x-forwarded-for", client)
        .body(Withheld::after(begin))
        .unwrap()
}

/// A form over HTTP/1.1 of `length` bytes, of which `begin` comes.
fn post(path: &str, kind: &str, length: usize, begin: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: portal.test\r\ncontent-type: {kind}\r\n\
         content-length: {length}\r\n\r\n{begin}"
    )
}

/// 20,000 bytes of a field.
fn domains() -> String {
    format!("domains={}", "x".repeat(19_992))
}

/// Room for one body of 20,000 bytes for each network, and for three in total.
fn narrow() -> Limits {
    Limits {
        body_bytes: 100_000,
        body_bytes_per_network: 45_000,
        exempt: vec!["127.0.0.1/32".parse().unwrap()],
        ..Limits::default()
    }
}

async fn held(open: &Open, bodies: usize) {
    eventually("the bodies are held", async || {
        (open.door.body_bytes() >= bodies * 20_000).then_some(())
    })
    .await;
}

async fn nothing_is_held(open: &Open) {
    eventually("everything is given back", async || {
        (open.door.body_bytes() == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn bodies_that_never_end_are_bounded_by_network_and_in_all() {
    let open = Open::with(narrow()).await;
    let mut held_back = Vec::new();
    for (count, last) in [2, 3, 4].into_iter().enumerate() {
        let mut stream = open.connect_from(last).await;
        let begin = post("/requests/new", FORM, 30_000, &domains());
        stream.write_all(begin.as_bytes()).await.unwrap();
        held(&open, count + 1).await;
        held_back.push(stream);
        if count == 0 {
            // The same network has no room for another one like it, and another network has.
            let answer = tell_from(&open, 2, &begin).await;
            assert_eq!(status(&answer), 429, "{answer}");
            assert_eq!(header(&answer, "retry-after"), "10");
            assert_has_face(&answer);
            let small = post("/requests/new", FORM, 13, "action=change");
            assert_eq!(status(&tell_from(&open, 3, &small).await), 200);
        }
    }
    let small = post("/requests/new", FORM, 13, "action=change");
    let answer = tell_from(&open, 5, &small).await;
    assert_eq!(
        (status(&answer), header(&answer, "retry-after")),
        (503, "10"),
        "{answer}"
    );
    assert_has_face(&answer);
    assert_eq!(
        status(&open.get("/requests/new").await),
        200,
        "without a body"
    );
    // The others disconnect, and one of them is completed after all.
    let mut first = held_back.remove(0);
    drop(held_back);
    eventually("the others are given back", async || {
        (open.door.body_bytes() < 40_000).then_some(())
    })
    .await;
    first
        .write_all("x".repeat(10_000).as_bytes())
        .await
        .unwrap();
    assert_eq!(status(&one_answer(&mut first).await.unwrap()), 422);
    nothing_is_held(&open).await;
    assert_eq!(status(&tell_from(&open, 5, &small).await), 200);
    nothing_is_held(&open).await;
}

/// Sends `request` from another address of this machine; returns the response.
async fn tell_from(open: &Open, last: u8, request: &str) -> String {
    let mut stream = open.connect_from(last).await;
    stream.write_all(request.as_bytes()).await.unwrap();
    one_answer(&mut stream).await.unwrap()
}

#[tokio::test]
async fn a_proxy_is_counted_by_the_clients_that_it_names() {
    let proxies = Proxies::parse("127.0.0.1").unwrap();
    let throttle = Throttle::new(0, 0, proxies, &Clock::system());
    let open = Open::with_throttle(narrow(), throttle).await;
    let client = http_2(open.connect().await).await;
    let send = |from: &str, begin: String| {
        let mut client = client.clone();
        let request = upload("/requests/new", from, begin);
        async move { client.send_request(request).await.unwrap().status() }
    };
    let first = tokio::spawn(send("192.0.2.1", domains()));
    held(&open, 1).await;
    let refused = send("192.0.2.1", domains()).await;
    assert_eq!(refused, StatusCode::TOO_MANY_REQUESTS);
    let second = tokio::spawn(send("2001:db8::1", domains()));
    held(&open, 2).await;
    // Requests for which a proxy names no client do not count as one network.
    let third = tokio::spawn(send("", domains()));
    held(&open, 3).await;
    let refused = send("198.51.100.1", domains()).await;
    assert_eq!(refused, StatusCode::SERVICE_UNAVAILABLE);
    for sent in [first, second, third] {
        sent.abort();
    }
    drop(client);
    nothing_is_held(&open).await;
}

#[tokio::test]
async fn few_bodies_come_at_a_time_on_one_http_2_connection() {
    let open = Open::with(Limits {
        uploads: 2,
        exempt: vec!["127.0.0.1/32".parse().unwrap()],
        ..Limits::default()
    })
    .await;
    let client = http_2(open.connect_from(2).await).await;
    let send = |begin: String| {
        let mut client = client.clone();
        async move {
            let request = upload("/requests/new", "", begin);
            client.send_request(request).await.unwrap().status()
        }
    };
    let kept = [tokio::spawn(send(domains())), tokio::spawn(send(domains()))];
    held(&open, 2).await;
    assert_eq!(send(domains()).await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(status(&open.get("/").await), 200);
    // A body that was refused is not counted.
    for sent in kept {
        sent.abort();
    }
    nothing_is_held(&open).await;
    for _ in 0..10 {
        let refused = send("other=1&".into()).await;
        assert_eq!(refused, StatusCode::UNPROCESSABLE_ENTITY);
    }
    nothing_is_held(&open).await;
}

#[tokio::test]
async fn what_will_be_refused_is_not_waited_for() {
    let open = Open::with(Limits::default()).await;
    let client = http_2(open.connect().await).await;
    for route in pic_portal::routes::table() {
        let path = route
            .path()
            .replace("{reference}", "PIC-0000-0000-0000-0000");
        if !route.methods().contains(&Method::POST) || path.contains('{') {
            continue;
        }
        // Clients that are not signed in, or ask for what does not exist, get these statuses.
        let known = [303, 401, 403, 404, 422];
        let begin = post(&path, FORM, 500_000, "management_keys=1");
        let mut stream = open.connect().await;
        stream.write_all(begin.as_bytes()).await.unwrap();
        let answer = one_answer(&mut stream).await.unwrap();
        assert!(known.contains(&status(&answer)), "{path}: {answer}");
        let request = upload(&path, "", "management_keys=1");
        let answer = client.clone().send_request(request).await.unwrap();
        assert!(known.contains(&answer.status().as_u16()), "{path}");
    }
    for (path, begin, expected) in [
        ("/requests/new", "number=1&domains=a&mail=", 422),
        ("/requests/new", "number=1&%zz=", 400),
        ("/check", "edge=a&x&", 422),
        (
            "/service",
            "nonsense-that-is-longer-than-any-field-of-it",
            422,
        ),
        ("/help/address", "address=a&address=b&addresses=", 422),
    ] {
        let mut stream = open.connect().await;
        let begin = post(path, FORM, 500_000, begin);
        stream.write_all(begin.as_bytes()).await.unwrap();
        let answer = one_answer(&mut stream).await.unwrap();
        assert_eq!(status(&answer), expected, "{path}: {answer}");
        assert_has_face(&answer);
    }
    let other = post("/requests/new", "text/plain", 500_000, "number=1");
    let mut stream = open.connect().await;
    stream.write_all(other.as_bytes()).await.unwrap();
    assert_eq!(status(&one_answer(&mut stream).await.unwrap()), 415);
    // As many fields as fit into a form would each take memory.
    let many = post("/requests/new", FORM, 500_000, &"edge=&".repeat(101));
    let mut stream = open.connect().await;
    stream.write_all(many.as_bytes()).await.unwrap();
    let answer = rest(&mut stream).await;
    assert_eq!(status(&answer), 413, "{answer}");
    nothing_is_held(&open).await;
}
