//! What is the same for every answer: headers, faces of errors, page shell, assets.

pub mod accept;
pub mod assets;
pub mod client;
pub(crate) mod conditional;
mod constant;
pub(crate) mod cookie;
mod error_page;
pub mod form;
pub mod guard;
pub mod limit;
pub mod metrics;
pub mod origin;
pub mod parts;
pub mod routes;
mod same_site;
pub mod shell;
pub mod site;
mod tries;
pub(crate) mod when;

use std::{cell::RefCell, net::SocketAddr, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use askama::Template;
use axum::{
    Router,
    body::{Body, Bytes, HttpBody as _},
    extract::{ConnectInfo, FromRef, Request, State},
    http::{HeaderName, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::MethodRouter,
};
use futures_util::FutureExt as _;
use http_body_util::Limited;
use tracing::Instrument as _;

pub use self::error_page::Plain;
use self::{
    client::Client,
    constant::Constants,
    error_page::{ErrorPages, Face},
    form::MAX_BODY,
    routes::Route,
    site::Site,
};
use crate::{
    db::budget,
    error::{Error, Problem},
    server::{Bodies, Counted, Held, network::Network},
};

/// What a page may load and do (`docs/pages.md#everywhere`): nothing inline, nothing from
/// elsewhere.
const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What a page is.
pub(crate) const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// How long all statements of a page may take together, the wait for connections included.
const DATABASE_LIMIT: Duration = Duration::from_secs(4);

/// A page with a status.
///
/// # Errors
///
/// [`Error::Render`] when the template fails.
pub fn page(status: StatusCode, page: &impl Template) -> Result<Response, Error> {
    Ok((status, [(header::CONTENT_TYPE, HTML)], rendered(page)?).into_response())
}

/// A text file with a status.
///
/// # Errors
///
/// [`Error::Render`] when the template fails.
pub fn text(page: &impl Template) -> Result<Response, Error> {
    const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
    Ok(([(header::CONTENT_TYPE, TEXT)], rendered(page)?).into_response())
}

/// What is written, in bytes of its own: written where there is room already, so that nothing
/// is moved while it grows.
fn rendered(page: &impl Template) -> Result<Bytes, askama::Error> {
    /// Room that is kept, in bytes: for all but the largest pages.
    const KEPT: usize = 64 * 1024;
    thread_local! {
        static ROOM: RefCell<String> = const { RefCell::new(String::new()) };
    }
    let mut room = ROOM.take();
    room.clear();
    let written = page.render_into(&mut room);
    let bytes = Bytes::copy_from_slice(room.as_bytes());
    if room.capacity() <= KEPT {
        ROOM.set(room);
    }
    written.map(|()| bytes)
}

/// What is around every handler, and what it needs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Around(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    site: Arc<Site>,
    error_pages: ErrorPages,
    meter: metrics::Meter,
}

impl Around {
    /// What is around the handlers of a portal with these settings.
    #[must_use]
    pub fn new(site: &Arc<Site>) -> Self {
        Self(Arc::new(Parts {
            site: Arc::clone(site),
            error_pages: ErrorPages::default(),
            meter: metrics::Meter::default(),
        }))
    }

    /// Counts answers.
    #[must_use]
    pub fn meter(&self) -> &metrics::Meter {
        &self.0.meter
    }

    /// Puts itself around the `handlers` of a route, whose answers are `counted`. Each layer copies
    /// all below it for every request: so there is one.
    fn put<S>(&self, counted: Arc<metrics::Line>, handlers: MethodRouter<S>) -> MethodRouter<S>
    where
        S: Clone + Send + Sync + 'static,
    {
        handlers.layer(middleware::from_fn_with_state(
            (self.clone(), counted),
            answer,
        ))
    }
}

/// A router of the `table` on `state`, with what every answer needs around it.
///
/// # Panics
///
/// When two routes have the same address.
pub fn router<S>(table: Vec<Route<S>>, state: &S, around: &Around) -> Router
where
    S: Clone + Send + Sync + 'static,
    Arc<Site>: FromRef<S>,
{
    let constants = Constants::default();
    let counted = around.meter().of_no_route();
    let others =
        Router::new()
            .fallback(|| async { Error::NoPage })
            .layer(middleware::from_fn_with_state(
                (around.clone(), counted),
                answer,
            ));
    table
        .into_iter()
        .fold(others, |router, route| {
            route.add_to(router, around, &constants)
        })
        .with_state(state.clone())
}

/// What is around every handler. From the outside in: counted, an id, headers, a face for errors,
/// no address that is none, nothing that is meant for another site or comes from one, failed tries are
/// counted, a panic becomes a 500, the database's time is limited so that an answer comes within 5 s
/// whatever it does, no body over the limit or without room.
///
/// One future with steps before and after, and not one in another for each of them: that would be
/// of nine kilobytes, for every request that waits.
async fn answer(
    State((around, line)): State<(Around, Arc<metrics::Line>)>,
    request: Request,
    next: Next,
) -> Response {
    let Parts {
        site, error_pages, ..
    } = &*around.0;
    let (count, name) = (metrics::Count::begin(&request), guard::Name::new(&request));
    let span = name.span();
    let answer = async {
        let face = Face::wanted(&request);
        let admitted = match guard::admit(&request) {
            Ok(()) => same_site::admit(site, &request),
            refused => refused,
        };
        let answered = if let Err(refused) = admitted {
            refused
        } else {
            let Client(network) = Client::of(site, request.extensions(), request.headers());
            let answered = match bounded(request, network) {
                Ok((request, held)) => {
                    let running = budget::sharing(DATABASE_LIMIT, next.run(request));
                    let answered = caught(running).await;
                    drop(held);
                    answered
                }
                Err(refused) => refused,
            };
            tries::count_try(site, network, answered)
        };
        let mut response = face.put_on(site, error_pages, answered);
        put_headers(site, &mut response);
        name.put_on(&mut response);
        response
    };
    let response = answer.instrument(span).await;
    count.end(&line, response.status());
    response
}

/// What `answer` gives; a panic of it has been told by the panic's own line.
async fn caught(answer: impl Future<Output = Response>) -> Response {
    let answered = AssertUnwindSafe(answer).catch_unwind().await;
    answered.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

/// Refuses a body that is said to be over the limit or has no room, and ends one that turns out to
/// be. What it holds is needed until the answer is there.
#[expect(
    clippy::result_large_err,
    reason = "both are what is handed on, and neither is seldom"
)]
fn bounded(request: Request, client: Network) -> Result<(Request, Option<Arc<Held>>), Response> {
    let said = request.headers().get(header::CONTENT_LENGTH);
    let said = said.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if said.is_some_and(|length| length > MAX_BODY as u64) {
        return Err(Problem::of(StatusCode::PAYLOAD_TOO_LARGE).into_response());
    }
    if request.body().is_end_stream() {
        return Ok((request, None));
    }
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map(|ConnectInfo(peer)| peer.ip());
    let request = request.map(|body| Limited::new(body, MAX_BODY));
    let Some(bodies) = request.extensions().get::<Bodies>() else {
        return Ok((request.map(Body::new), None));
    };
    let held = bodies
        .begin(peer, client)
        .map_err(|no_room| form::without_room(no_room).into_response())?;
    let counted = request.map(|body| {
        let held = Arc::clone(&held);
        Body::new(Counted { body, held })
    });
    Ok((counted, Some(held)))
}

/// Headers on every answer, whatever it is. What a handler has set itself stays.
fn put_headers(site: &Site, response: &mut Response) {
    const fn fixed(text: &'static str) -> HeaderValue {
        HeaderValue::from_static(text)
    }
    const FIXED: [(HeaderName, HeaderValue); 7] = [
        (header::CONTENT_SECURITY_POLICY, fixed(CSP)),
        (header::X_CONTENT_TYPE_OPTIONS, fixed("nosniff")),
        (header::REFERRER_POLICY, fixed("same-origin")),
        (header::X_FRAME_OPTIONS, fixed("DENY")),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            fixed("same-origin"),
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            fixed("same-origin"),
        ),
        (
            HeaderName::from_static("permissions-policy"),
            fixed("camera=(), geolocation=(), microphone=()"),
        ),
    ];
    const NO_STORE: HeaderValue = fixed("no-store");
    // Not `includeSubDomains`: the hosts below the portal's are not the portal's to decide about.
    const HSTS: HeaderValue = fixed("max-age=31536000");
    let headers = response.headers_mut();
    // And those that come after: the id, the length, the date.
    headers.reserve(FIXED.len() + 5);
    headers.extend(FIXED);
    headers.entry(header::CACHE_CONTROL).or_insert(NO_STORE);
    if site.public_url.is_https() {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
    }
}
