//! Who is asking: which service is this browser signed in to?

use axum::{
    extract::{FromRequestParts, OptionalFromRequestParts},
    http::{HeaderMap, request::Parts},
    response::{IntoResponse as _, Redirect, Response},
};
use axum_extra::extract::cookie::{Cookie, CookieJar, SameSite};

use crate::{
    app::App,
    error::Error,
    request::ServiceId,
    service::{SessionToken, store},
};

/// The session's cookie. Over https its name demands that it was set over https, for this host
/// alone and for all of it.
fn cookie_name(app: &App) -> &'static str {
    if app.site().public_url.is_https() {
        "__Host-pic_session"
    } else {
        "pic_session"
    }
}

/// The cookie that keeps a browser signed in until it is closed or the session ends.
#[must_use]
pub fn cookie(app: &App, token: &SessionToken) -> Cookie<'static> {
    build(app, token.reveal()).build()
}

/// The cookie that takes the session's cookie away.
#[must_use]
pub fn removal(app: &App) -> Cookie<'static> {
    build(app, String::new())
        .max_age(time::Duration::ZERO)
        .build()
}

fn build(app: &App, value: String) -> cookie::CookieBuilder<'static> {
    Cookie::build((cookie_name(app), value))
        .path("/")
        .http_only(true)
        .secure(app.site().public_url.is_https())
        .same_site(SameSite::Lax)
}

/// The session that a browser brings, if it brings one: it may have ended.
#[must_use]
pub fn brought(app: &App, headers: &HeaderMap) -> Option<SessionToken> {
    let jar = CookieJar::from_headers(headers);
    SessionToken::parse(jar.get(cookie_name(app))?.value())
}

/// A browser that is signed in to a service. Whoever is not is led to the page where one signs in.
#[derive(Clone, Copy, Debug)]
pub struct SignedIn {
    /// The service.
    pub service: ServiceId,
    /// The session.
    pub token: SessionToken,
}

impl OptionalFromRequestParts<App> for SignedIn {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Option<Self>, Error> {
        let Some(token) = brought(app, &parts.headers) else {
            return Ok(None);
        };
        let service = store::session(&app.db().pool, &token).await?;
        Ok(service.map(|service| Self { service, token }))
    }
}

impl FromRequestParts<App> for SignedIn {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        match <Self as OptionalFromRequestParts<App>>::from_request_parts(parts, app).await {
            Ok(Some(signed_in)) => Ok(signed_in),
            Ok(None) => Err(Redirect::to("/service").into_response()),
            Err(error) => Err(error.into_response()),
        }
    }
}
