//! How are connections taken in, and how do they end?
//!
//! An accept loop of our own: `axum::serve` sets no header timer (`limits.md`, Traps met).

use std::{net::SocketAddr, time::Duration};

use axum::{Router, body::Body, extract::ConnectInfo, http::Request};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
};
use tokio::{
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

/// How long a client may take to send the head of a request.
const HEADER_LIMIT: Duration = Duration::from_secs(10);
/// How long requests in progress may take once we are asked to stop.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// Serves `router` on `listener` until `stop`; requests in progress are answered first.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_LIMIT);
    builder.http2().timer(TokioTimer::new());
    let graceful = GracefulShutdown::new();
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((stream, peer)) => {
                let connection = connection(&builder, stream, peer, router.clone());
                let connection = graceful.watch(connection);
                tokio::spawn(async move {
                    // A client that goes away is no event of ours.
                    let _ = connection.await;
                });
            }
            Err(error) => {
                // Out of files, most likely: it passes when connections end.
                tracing::warn!(%error, "cannot accept a connection");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    if timeout(STOP_LIMIT, graceful.shutdown()).await.is_err() {
        tracing::warn!(
            "requests were still in progress {} s after the stop",
            STOP_LIMIT.as_secs()
        );
    }
}

fn connection(
    builder: &auto::Builder<TokioExecutor>,
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
) -> impl hyper_util::server::graceful::GracefulConnection<Output: Send> + Send + use<> {
    // Small answers go at once; that this fails is not worth a word.
    let _ = stream.set_nodelay(true);
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().oneshot(request.map(Body::new))
    });
    builder
        .serve_connection(TokioIo::new(stream), service)
        .into_owned()
}
