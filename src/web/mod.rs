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
pub mod routes;
pub mod session;
pub mod shell;

use std::time::Duration;

use askama::Template;
use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderName, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use tower_http::{catch_panic::CatchPanicLayer, csrf::CsrfLayer, limit::RequestBodyLimitLayer};

use crate::{
    app::App,
    db::budget,
    error::{Error, Problem},
    request::pages::view::{ErrorPage, Way},
    web::{constant::Constants, form::MAX_BODY, routes::Route, shell::Section},
};

/// What a page may load and do (`ux.md`, Everywhere): nothing inline, nothing from elsewhere.
const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// How long all statements of a page may take together, the wait for connections included.
const DATABASE_LIMIT: Duration = Duration::from_secs(4);

/// What a page is.
pub(crate) const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// A page with a status.
///
/// # Errors
///
/// [`Error::Render`] when the template fails.
pub fn page(status: StatusCode, page: &impl Template) -> Result<Response, Error> {
    Ok((status, [(header::CONTENT_TYPE, HTML)], page.render()?).into_response())
}

/// A text file with a status.
///
/// # Errors
///
/// [`Error::Render`] when the template fails.
pub fn text(page: &impl Template) -> Result<Response, Error> {
    Ok((
        [(header::CONTENT_TYPE, "text/plain; charset=utf-8")],
        page.render()?,
    )
        .into_response())
}

/// A router of the `table`, with what every answer needs around it. From the outside in: counted, an id,
/// headers, a face for errors, no address that is none, a panic becomes a 500, failed tries are
/// counted, no body over the limit, no form of another site.
///
/// # Panics
///
/// When two routes have the same address.
pub fn router(table: Vec<Route>, app: &App) -> Router {
    let csrf = CsrfLayer::new()
        .add_trusted_origin(app.site().public_url.as_str())
        .expect("an origin that was looked at when the settings were read");
    let constants = Constants::default();
    table
        .into_iter()
        .fold(Router::new(), |router, route| {
            route.add_to(router, app, &constants)
        })
        .fallback(|| async { Error::NoPage })
        .layer(csrf)
        .layer(RequestBodyLimitLayer::new(MAX_BODY))
        .layer(middleware::from_fn_with_state(
            app.clone(),
            limit::count_tries,
        ))
        .layer(middleware::from_fn(in_time))
        .layer(CatchPanicLayer::custom(|_| {
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }))
        .layer(middleware::from_fn(guard::admit))
        .layer(middleware::from_fn_with_state(app.clone(), faces))
        .layer(middleware::from_fn_with_state(app.clone(), headers))
        .layer(middleware::from_fn(guard::name))
        .layer(middleware::from_fn_with_state(app.clone(), metrics::count))
        .with_state(app.clone())
}

/// Holds all that a page asks of the database within a limit: the answer comes within 5 s, whatever
/// the database does.
async fn in_time(request: Request, next: Next) -> Response {
    budget::sharing(DATABASE_LIMIT, next.run(request)).await
}

/// In the extensions of an answer: a program reads it, and its words stay as they are.
#[derive(Clone, Copy, Debug)]
pub struct Plain;

/// Gives an error a face: a page, or `application/problem+json` for who asks for it.
async fn faces(State(app): State<App>, request: Request, next: Next) -> Response {
    let wants_json = accept::prefers_json(request.headers());
    let at_desk = request.uri().path().starts_with("/staff/");
    let mut response = next.run(request).await;
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
        let face = ErrorPage {
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
        };
        page(status, &face).unwrap_or_else(|_| problem.title.into_response())
    };
    *faced.status_mut() = status;
    for name in [header::RETRY_AFTER, header::ALLOW] {
        if let Some(value) = response.headers_mut().remove(&name) {
            faced.headers_mut().insert(name, value);
        }
    }
    faced
}

/// Headers on every answer, whatever it is. What a handler has set itself stays.
async fn headers(State(app): State<App>, request: Request, next: Next) -> Response {
    const FIXED: [(HeaderName, &str); 7] = [
        (header::CONTENT_SECURITY_POLICY, CSP),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("permissions-policy"),
            "camera=(), geolocation=(), microphone=()",
        ),
    ];
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in FIXED {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    if app.site().public_url.is_https() {
        headers.insert(
            header::STRICT_TRANSPORT_SECURITY,
            HeaderValue::from_static("max-age=31536000"),
        );
    }
    response
}
