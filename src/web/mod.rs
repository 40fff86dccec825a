//! What is the same for every answer: headers, faces of errors, page shell, assets?

pub mod accept;
pub mod assets;
pub mod client;
pub(crate) mod conditional;
mod constant;
pub mod form;
pub mod guard;
pub mod limit;
pub mod metrics;
mod origin;
pub mod routes;
pub mod session;
pub mod shell;

use std::{
    cell::RefCell,
    collections::HashMap,
    net::SocketAddr,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use askama::Template;
use axum::{
    Router,
    body::{Body, Bytes, HttpBody as _},
    extract::{ConnectInfo, Request, State},
    http::{HeaderName, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use futures_util::FutureExt as _;
use http_body_util::Limited;
use tracing::Instrument as _;

use crate::{
    app::App,
    db::budget,
    error::{Error, Problem},
    request::pages::view::{ErrorPage, Way},
    server::{Bodies, Counted, Held},
    web::{
        client::{Client, Network},
        constant::Constants,
        form::MAX_BODY,
        routes::Route,
        shell::Section,
    },
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

/// A router of the `table`, with what every answer needs around it.
///
/// # Panics
///
/// When two routes have the same address.
pub fn router(table: Vec<Route>, app: &App) -> Router {
    let constants = Constants::default();
    table
        .into_iter()
        .fold(Router::new(), |router, route| {
            route.add_to(router, app, &constants)
        })
        .fallback(|| async { Error::NoPage })
        // Each layer copies all below it for every request: so there is one.
        .layer(middleware::from_fn_with_state(app.clone(), around))
        .with_state(app.clone())
}

/// What is around every handler. From the outside in: counted, an id, headers, a face for errors,
/// no address that is none, nothing that is meant for another site or comes from one, failed tries are
/// counted, a panic becomes a 500, the database's time is limited so that an answer comes within 5 s
/// whatever it does, no body over the limit or without room.
///
/// One future with steps before and after, and not one in another for each of them: that would be
/// of nine kilobytes, for every request that waits.
async fn around(State(app): State<App>, request: Request, next: Next) -> Response {
    let (count, name) = (metrics::Count::begin(&request), guard::Name::new(&request));
    let span = name.span();
    let answer = async {
        let face = Face::wanted(&request);
        let admitted = match guard::admit(&request) {
            Ok(()) => origin::admit(&app, &request),
            refused => refused,
        };
        let answered = if let Err(refused) = admitted {
            refused
        } else {
            let Client(network) = Client::of(&app, request.extensions(), request.headers());
            let answered = match bounded(request, network) {
                Ok((request, held)) => {
                    let running = budget::sharing(DATABASE_LIMIT, next.run(request));
                    let answered = caught(running).await;
                    drop(held);
                    answered
                }
                Err(refused) => refused,
            };
            limit::count_try(&app, network, answered)
        };
        let mut response = face.put_on(&app, answered);
        put_headers(&app, &mut response);
        name.put_on(&mut response);
        response
    };
    let response = answer.instrument(span).await;
    count.end(&app, response.status());
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

/// In the extensions of an answer: a program reads it, and its words stay as they are.
#[derive(Clone, Copy, Debug)]
pub struct Plain;

/// Error pages by what they show: the status, the heading, what to do, the way back, and whether for
/// staff. A page is the same for everybody, so the answers that wait to be sent share its bytes:
/// one client can have thousands of them waiting. All words are the program's own, so they are few.
#[derive(Debug, Default)]
pub(crate) struct ErrorPages(Mutex<HashMap<Words, Bytes>>);

type Words = (
    StatusCode,
    &'static str,
    &'static str,
    Option<(&'static str, &'static str)>,
    bool,
);

impl ErrorPages {
    fn lock(&self) -> MutexGuard<'_, HashMap<Words, Bytes>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How an error is shown to who asked: as a page, or as `application/problem+json`.
#[derive(Clone, Copy, Debug)]
struct Face {
    wants_json: bool,
    at_desk: bool,
}

impl Face {
    fn wanted(request: &Request) -> Self {
        Self {
            wants_json: accept::prefers_json(request.headers()),
            at_desk: request.uri().path().starts_with("/staff/"),
        }
    }

    /// Gives an error its face; everything else stays.
    fn put_on(self, app: &App, mut response: Response) -> Response {
        let wants_json = self.wants_json;
        let status = response.status();
        if !status.is_client_error() && !status.is_server_error() {
            return response;
        }
        if response.extensions().get::<Plain>().is_some() {
            return response;
        }
        let problem = response.extensions_mut().remove::<Problem>();
        // A form shown again with its errors has a page already.
        let has_page = response
            .headers()
            .get(header::CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
        if has_page && !wants_json {
            return response;
        }
        let problem = problem.unwrap_or_else(|| Problem::of(status));
        let mut faced = if wants_json {
            let body = serde_json::to_vec(&problem).unwrap_or_default();
            ([(header::CONTENT_TYPE, "application/problem+json")], body).into_response()
        } else {
            self.page(app, status, &problem).map_or_else(
                |_| problem.title.into_response(),
                |page| ([(header::CONTENT_TYPE, HTML)], page).into_response(),
            )
        };
        *faced.status_mut() = status;
        for name in [header::RETRY_AFTER, header::ALLOW] {
            if let Some(value) = response.headers_mut().remove(&name) {
                faced.headers_mut().insert(name, value);
            }
        }
        faced
    }

    /// The page of `problem`, shared with all others that show the same one.
    fn page(
        self,
        app: &App,
        status: StatusCode,
        problem: &Problem,
    ) -> Result<Bytes, askama::Error> {
        let at_desk = self.at_desk;
        let words = (status, problem.title, problem.detail, problem.way, at_desk);
        if problem.incident.is_none()
            && let Some(page) = app.error_pages().lock().get(&words)
        {
            return Ok(page.clone());
        }
        // Staff have no business with the pages of administrators.
        let way = match problem.way {
            Some((href, _)) if at_desk && !href.starts_with("/staff/") => None,
            way => way,
        };
        let back = Some(("/staff/requests", "Back to the requests")).filter(|_| at_desk);
        let way = way.or(back).map(|(href, label)| Way {
            href: href.into(),
            label: label.into(),
        });
        let page = rendered(&ErrorPage {
            shell: app.shell(if at_desk {
                Section::Staff
            } else {
                Section::None
            }),
            status: status.as_u16(),
            title: problem.title.into(),
            lines: vec![problem.detail.into()],
            ways: way.into_iter().collect(),
            incident: problem.incident.clone(),
        })?;
        if problem.incident.is_none() {
            app.error_pages().lock().insert(words, page.clone());
        }
        Ok(page)
    }
}

/// Headers on every answer, whatever it is. What a handler has set itself stays.
fn put_headers(app: &App, response: &mut Response) {
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
    if app.site().public_url.is_https() {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
    }
}
