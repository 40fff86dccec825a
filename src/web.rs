//! What is the same for every response: headers, error pages, the frame of pages, assets.

pub mod about;
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
mod misled;
pub mod origin;
pub mod parts;
pub mod routes;
mod same_site;
pub mod shell;
pub mod sign_in;
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

/// The content type of a page.
pub(crate) const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// How long all statements of a page may take together, including the wait for connections.
const DATABASE_LIMIT: Duration = Duration::from_secs(4);

/// A page with a status.
///
/// # Errors
///
/// [`Error::Render`] when the template fails.
pub fn page(status: StatusCode, page: &impl Template) -> Result<Response, Error> {
    Ok((status, [(header::CONTENT_TYPE, HTML)], rendered(page)?).into_response())
}

/// A page that shows a problem, which programs are told instead.
///
/// # Errors
///
/// [`Error::Render`] when the template fails.
pub fn page_with(problem: Problem, view: &impl Template) -> Result<Response, Error> {
    let mut response = page(problem.status, view)?;
    response.extensions_mut().insert(problem);
    Ok(response)
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

/// The rendered template, in bytes of its own: rendered into a buffer that is large enough already,
/// so that nothing is moved while it grows.
fn rendered(page: &impl Template) -> Result<Bytes, askama::Error> {
    /// Capacity of that buffer, in bytes: enough for all but the largest pages.
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

/// The state of the middleware around every handler. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Around(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    site: Arc<Site>,
    error_pages: ErrorPages,
    meter: metrics::Meter,
}

impl Around {
    /// The middleware of a portal with these settings.
    #[must_use]
    pub fn new(site: &Arc<Site>) -> Self {
        Self(Arc::new(Parts {
            site: Arc::clone(site),
            error_pages: ErrorPages::default(),
            meter: metrics::Meter::default(),
        }))
    }

    /// Counts responses.
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

/// A router of the `table` on `state`, with the middleware that every response needs.
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

/// The middleware around every handler. From the outside in: it counts the request, gives it an id,
/// sets headers, renders errors, rejects malformed addresses and requests for or from another site,
/// counts failed attempts, makes a panic a 500, limits the time in the database so that a response
/// comes within 5 s in any case, and refuses bodies that are too large or have no room.
///
/// It is one future with steps before and after, not one future in another for each step: that
/// would take nine kilobytes for every request that waits.
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

/// The response of `answer`, or a 500 if it panics; the panic hook has logged that already.
async fn caught(answer: impl Future<Output = Response>) -> Response {
    let answered = AssertUnwindSafe(answer).catch_unwind().await;
    answered.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

/// Refuses a body whose announced length is over the limit or has no room, and cuts one that grows
/// too long. What it holds is needed until the response is there.
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

/// Sets the headers that every response has, unless the handler has set them.
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
    // Not `includeSubDomains`: the portal cannot decide for the hosts below its own.
    const HSTS: HeaderValue = fixed("max-age=31536000");
    let headers = response.headers_mut();
    // Also for those that are added later: the id, the length, the date.
    headers.reserve(FIXED.len() + 5);
    headers.extend(FIXED);
    headers.entry(header::CACHE_CONTROL).or_insert(NO_STORE);
    if site.public_url.is_https() {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
    }
}
