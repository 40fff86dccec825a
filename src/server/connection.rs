//! Serves one connection, from its first byte to its last.

use std::{
    convert::Infallible,
    future::poll_fn,
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    task::{Poll, ready},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::ConnectInfo,
    http::{HeaderValue, Request, Response, StatusCode, Version, header},
};
use hyper::{
    body::{Body as _, Incoming},
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::{
    bodies::Bodies,
    body::{Download, Upload},
    limits::Limits,
    preface::Preface,
    socket::Socket,
};
use crate::server::static_errors::Refused;
use crate::server::{
    activity::{Activity, Answering, LINGER_MILLIS, Serving, Uploading},
    static_errors::StaticErrors,
};

/// A client that connects when a stop begins has this long to send its first byte.
const LATE_WORD: Duration = Duration::from_secs(1);
/// How often an HTTP/2 client is sent a PING, and how long it has to acknowledge it.
const PING: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(15));

/// Bytes that an HTTP/2 client may send before they are read, on one stream and on all: this much
/// can be in memory in addition to what [`Bodies`] counts. The second cannot be less (RFC 9113,
/// 6.9.2).
const WINDOWS: (u32, u32) = (32 * 1024, 65_535);

/// How long a connection between two requests keeps its buffers.
const NAP: Duration = Duration::from_millis(250);

/// What all connections share.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) router: Router,
    pub(super) limits: Limits,
    pub(super) bodies: Bodies,
    pub(super) refusals: Arc<StaticErrors>,
    /// When cancelled, an answer over HTTP/1.1 ends its connection.
    pub(super) draining: CancellationToken,
    /// When cancelled, requests in progress are answered and connections take no new ones.
    pub(super) stop: CancellationToken,
}

impl Server {
    /// Serves one client until it disconnects or runs into a limit.
    pub(super) async fn connection(self: Arc<Self>, mut stream: TcpStream, peer: SocketAddr) {
        set_options(&stream, &self.limits);
        let first = {
            let mut first = pin!(timeout(self.limits.head, Preface::read(&mut stream)));
            tokio::select! {
                biased;
                first = &mut first => first,
                () = self.stop.cancelled() => {
                    timeout(LATE_WORD, first).await.unwrap_or_else(Err)
                }
            }
        };
        // A client that sent nothing, or has disconnected, is not worth logging.
        let Ok(Ok(Some(first))) = first else { return };
        // Each future is boxed, so that silent connections stay small.
        if first.is_http_2() {
            return Box::pin(self.http_2(stream, first, peer)).await;
        }
        let pulse = Activity::new(false);
        let refusals = Some(Arc::clone(&self.refusals));
        let mut socket = Socket::new(stream, first, Arc::clone(&pulse), refusals);
        while let Some(idle) = Box::pin(self.http_1(socket, peer, &pulse)).await {
            socket = idle;
            let Some(deadline) = pulse.deadline(&self.limits) else {
                continue;
            };
            tokio::select! {
                biased;
                () = socket.readable() => {}
                () = self.stop.cancelled() => return,
                () = sleep_until(deadline.at) => return,
            }
        }
    }

    /// Serves requests until the connection has ended, or has been idle for a little while: then
    /// only the socket is kept, without hyper's buffers, which are most of a connection's memory.
    async fn http_1(
        &self,
        socket: Socket,
        peer: SocketAddr,
        pulse: &Arc<Activity>,
    ) -> Option<Socket> {
        let mut builder = http1::Builder::new();
        builder.max_buf_size(self.limits.head_bytes);
        // Set only when it differs from hyper's own value: hyper then allocates memory for each
        // request.
        if self.limits.headers != Limits::default().headers {
            builder.max_headers(self.limits.headers);
        }
        let service = service_fn(|request| self.answer(request, peer, pulse));
        let mut connection = builder.serve_connection(TokioIo::new(socket), service);
        let end = http1::Connection::graceful_shutdown;
        match self
            .drive(Pin::new(&mut connection), pulse, end, Some(NAP))
            .await
        {
            Outcome::Ended => None,
            Outcome::Naps => {
                let parts = connection.into_parts();
                let mut socket = parts.io.into_inner();
                socket.unread(parts.read_buf);
                Some(socket)
            }
        }
    }

    async fn http_2(self: Arc<Self>, stream: TcpStream, first: Preface, peer: SocketAddr) {
        let limits = &self.limits;
        let pulse = Activity::new(true);
        let socket = Socket::new(stream, first, Arc::clone(&pulse), None);
        let service = service_fn(|request| {
            let (server, pulse) = (Arc::clone(&self), Arc::clone(&pulse));
            // Boxed, and only when it runs: all streams of all connections may begin at once, and a
            // refused request never waits.
            async move { Box::pin(server.answer(request, peer, &pulse)).await }
        });
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(PING.0)
            .keep_alive_timeout(PING.1)
            .max_concurrent_streams(limits.streams)
            .max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX))
            .max_pending_accept_reset_streams(limits.resets)
            .max_local_error_reset_streams(limits.resets)
            .initial_stream_window_size(WINDOWS.0)
            .initial_connection_window_size(WINDOWS.1)
            .max_send_buf_size(64 * 1024)
            .serve_connection(TokioIo::new(socket), service);
        let end = http2::Connection::graceful_shutdown;
        self.drive(pin!(connection), &pulse, end, None).await;
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
        pulse: &Arc<Activity>,
    ) -> Result<Response<Download>, Infallible> {
        let _serving = Serving::begin(pulse);
        let mut refused = lacks_host(&request).then_some(Refused(StatusCode::BAD_REQUEST));
        let uploading = (!request.body().is_end_stream()).then(|| Uploading::begin(pulse));
        if uploading.as_ref().is_some_and(|uploading| {
            uploading.count > self.limits.uploads && !self.limits.exempts(peer.ip())
        }) {
            refused = Some(Refused(StatusCode::SERVICE_UNAVAILABLE));
        }
        let limit = self.limits.body;
        let mut request = request.map(|body| Body::new(Upload::new(body, limit, uploading)));
        request.extensions_mut().insert(ConnectInfo(peer));
        request.extensions_mut().insert(self.bodies.clone());
        if let Some(refused) = refused {
            request.extensions_mut().insert(refused);
        }
        let is_http_1 = request.version() <= Version::HTTP_11;
        let mut response = self.router.clone().oneshot(request).await?;
        let closes = self.draining.is_cancelled() || self.stop.is_cancelled();
        if is_http_1 && (closes || refused.is_some()) {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        Ok(response.map(|body| Download {
            body,
            watch: Answering::begin(pulse),
        }))
    }

    /// Drives `connection` until it ends, runs into a limit, or has been idle for `nap`.
    async fn drive<C: Future>(
        &self,
        mut connection: Pin<&mut C>,
        pulse: &Activity,
        end_in_good_order: impl Fn(Pin<&mut C>),
        nap: Option<Duration>,
    ) -> Outcome {
        let mut stop = pin!(self.stop.cancelled());
        let mut timer = pin!(sleep_until(Instant::now() + self.limits.head));
        let (mut told, mut stopping, mut ending) = (false, false, None);
        poll_fn(|cx| {
            if connection.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Outcome::Ended);
            }
            // hyper would drop a request whose head has just begun, so that one is answered first,
            // and its response ends the connection.
            if !stopping && !pulse.is_in_head() && self.stop.is_cancelled() {
                stopping = true;
                end_in_good_order(connection.as_mut());
                if connection.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(Outcome::Ended);
                }
            }
            if !told && stop.as_mut().poll(cx).is_ready() {
                told = true;
                cx.waker().wake_by_ref();
            }
            loop {
                let Some(mut deadline) = pulse.deadline(&self.limits) else {
                    return Poll::Pending;
                };
                let mut naps = false;
                if deadline.idle {
                    if let Some(ending) = ending {
                        deadline.at = ending;
                    } else if let Some(nap) = nap
                        && deadline.since + nap < deadline.at
                    {
                        (naps, deadline.at) = (true, deadline.since + nap);
                    }
                }
                // A timer that fires early costs one more check; setting it again would cost
                // something for each request.
                if deadline.at < timer.deadline() || timer.is_elapsed() {
                    timer.as_mut().reset(deadline.at);
                }
                ready!(timer.as_mut().poll(cx));
                if Instant::now() < deadline.at {
                    continue;
                }
                if naps {
                    return Poll::Ready(Outcome::Naps);
                }
                if !deadline.idle || ending.is_some() {
                    return Poll::Ready(Outcome::Ended);
                }
                ending = Some(Instant::now() + Duration::from_millis(LINGER_MILLIS));
                end_in_good_order(connection.as_mut());
                if connection.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(Outcome::Ended);
                }
            }
        })
        .await
    }
}

/// How serving a connection has ended.
enum Outcome {
    /// The connection has ended.
    Ended,
    /// The connection is idle: everything is answered, and no request has begun.
    Naps,
}

/// Whether the request must be refused because it is HTTP/1.1 without exactly one Host (RFC 9112,
/// 3.2).
fn lacks_host(request: &Request<Incoming>) -> bool {
    request.version() == Version::HTTP_11
        && request.headers().get_all(header::HOST).iter().count() != 1
}

/// Sends a refused client its response, if it reads it at all.
pub(super) async fn refuse(mut stream: TcpStream, answer: &[u8]) {
    const LIMIT: Duration = Duration::from_millis(LINGER_MILLIS);
    let told = async {
        let mut scratch = [0; 4096];
        // Unread input would make the system discard the response when the socket is closed.
        let _ = stream.read(&mut scratch).await?;
        stream.write_all(answer).await?;
        stream.shutdown().await?;
        while stream.read(&mut scratch).await? > 0 {}
        io::Result::Ok(())
    };
    let _ = timeout(LIMIT, told).await;
}

/// Small responses are sent at once; a connection ends when the client does not acknowledge what
/// was sent. If one of these options cannot be set, that is not worth logging.
fn set_options(stream: &TcpStream, limits: &Limits) {
    let _ = stream.set_nodelay(true);
    #[cfg(target_os = "linux")]
    {
        use nix::sys::socket::{setsockopt, sockopt::TcpUserTimeout};
        let millis = u32::try_from(limits.write.as_millis()).unwrap_or(u32::MAX);
        let _ = setsockopt(stream, TcpUserTimeout, &millis);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = limits;
}
