//! `GET /metrics`, on a listener of its own (`PIC_METRICS_LISTEN`), never on the public one.

use axum::{
    Router,
    extract::{Request, State},
    http::{Method, StatusCode, Uri, header},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
};
use tracing::Instrument as _;

use super::Metrics;
use crate::web::guard;

/// `/metrics` and nothing else: no route of the portal's table is on that listener.
pub fn router(metrics: Metrics) -> Router {
    Router::new()
        .fallback(scrape)
        .layer(middleware::from_fn(around))
        .with_state(metrics)
}

/// An id, and no address that is none.
async fn around(request: Request, next: Next) -> Response {
    let name = guard::Name::new(&request);
    let span = name.span();
    let answer = async {
        let mut response = match guard::admit(&request) {
            Ok(()) => next.run(request).await,
            Err(refused) => refused,
        };
        name.put_on(&mut response);
        response
    };
    answer.instrument(span).await
}

async fn scrape(State(metrics): State<Metrics>, method: Method, uri: Uri) -> Response {
    if uri.path() != "/metrics" || !matches!(method, Method::GET | Method::HEAD) {
        return (StatusCode::NOT_FOUND, "only /metrics is here\n").into_response();
    }
    let headers = [
        (
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        ),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, metrics.text().await).into_response()
}
