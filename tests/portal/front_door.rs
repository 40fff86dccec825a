//! Checks the HTTP server: it refuses what does not belong, and serves everyone else.

pub(crate) mod bodies;
mod fuzz;
mod limits;
mod origin;
mod routes;
mod sockets;
mod stop;

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use pic_portal::{
    server::{HttpServer, Limits, listen},
    web::limit::Throttle,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::support::{app::TestApp, assert_says};

/// Headers that every response has.
const EVERYWHERE: [&str; 9] = [
    "content-security-policy",
    "x-content-type-options",
    "referrer-policy",
    "x-frame-options",
    "cross-origin-opener-policy",
    "cross-origin-resource-policy",
    "permissions-policy",
    "cache-control",
    "x-request-id",
];

/// A portal on a real socket.
struct Open {
    portal: TestApp,
    door: HttpServer,
    address: SocketAddr,
    stop: CancellationToken,
    server: JoinHandle<()>,
}

impl Open {
    async fn with(limits: Limits) -> Self {
        Self::with_throttle(limits, Throttle::none()).await
    }

    async fn with_throttle(limits: Limits, throttle: Throttle) -> Self {
        let portal = TestApp::with(|site| site.throttle = throttle).await;
        let door = HttpServer::new(limits.within_open_files());
        let listener = listen((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let serve = door
            .clone()
            .serve(listener, portal.router.clone(), stop.clone());
        let server = tokio::spawn(serve);
        Self {
            portal,
            door,
            address,
            stop,
            server,
        }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// A connection from another address of this machine.
    async fn connect_from(&self, last: u8) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, last], 0).into()).unwrap();
        socket.connect(self.address).await.unwrap()
    }

    /// Sends `request` on a connection of its own; returns everything that comes back.
    async fn tell(&self, request: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect().await;
        stream.write_all(request.as_ref()).await.unwrap();
        rest(&mut stream).await
    }

    /// A plain GET request.
    async fn get(&self, path: &str) -> String {
        self.tell(format!(
            "GET {path} HTTP/1.1\r\nhost: portal.test\r\nconnection: close\r\n\r\n"
        ))
        .await
    }
}

/// Everything until the other side closes. Slow and wrong clients must expect a reset.
async fn rest(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    let mut some = vec![0; 16 * 1024];
    while let Ok(bytes @ 1..) = stream.read(&mut some).await {
        all.extend_from_slice(&some[..bytes]);
    }
    String::from_utf8_lossy(&all).into_owned()
}

/// One response with a Content-Length, after which the connection stays open.
async fn one_answer(stream: &mut TcpStream) -> Option<String> {
    let mut all = Vec::new();
    let mut some = vec![0; 16 * 1024];
    loop {
        let text = String::from_utf8_lossy(&all);
        if let Some((head, _)) = text.split_once("\r\n\r\n") {
            let whole = head.len() + 4 + header(head, "content-length").parse().unwrap_or(0);
            if all.len() >= whole {
                return Some(text.into_owned());
            }
        }
        match stream.read(&mut some).await {
            Ok(bytes @ 1..) => all.extend_from_slice(&some[..bytes]),
            _ => return None,
        }
    }
}

/// The value of a header of a response; empty when there is none.
fn header<'a>(answer: &'a str, name: &str) -> &'a str {
    let head = answer.split("\r\n\r\n").next().unwrap_or_default();
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(found, _)| found.eq_ignore_ascii_case(name))
        .map_or("", |(_, value)| value.trim())
}

/// The status of a response, 0 when there is none.
fn status(answer: &str) -> u16 {
    answer
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3)?.parse().ok())
        .unwrap_or(0)
}

/// Checks that a response has every common header, and an error page.
fn assert_has_face(answer: &str) {
    for name in EVERYWHERE {
        assert_ne!(header(answer, name), "", "{name} in {answer}");
    }
    assert_says(&answer, "<h1");
}

/// Limits that are short enough for tests.
fn short() -> Limits {
    let limit = Duration::from_secs(1);
    Limits {
        head: limit,
        idle: limit,
        body: limit,
        write: limit,
        ..Limits::default()
    }
}
