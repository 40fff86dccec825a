//! The sessions of administrators: the service that a browser is signed in to.

pub mod store;

use std::sync::Arc;

use axum::{
    extract::{FromRef, FromRequestParts, OptionalFromRequestParts},
    http::{HeaderMap, request::Parts},
    response::{IntoResponse as _, Redirect, Response},
};
use axum_extra::extract::cookie::CookieJar;

use crate::{
    agreement::ServiceId,
    db::PgPool,
    error::Error,
    secret::SessionToken,
    web::{cookie, site::Site},
};

/// The session's cookie, which lasts until the browser is closed or the session ends.
pub(crate) const COOKIE: cookie::Kind = cookie::Kind {
    name: "pic_session",
    everywhere: true,
    lasts: None,
};

/// The session token that a browser sends, if any; the session may have ended.
pub(crate) fn brought(site: &Site, headers: &HeaderMap) -> Option<SessionToken> {
    SessionToken::parse(&COOKIE.value(site, &CookieJar::from_headers(headers))?)
}

/// A browser that is signed in to a service. As an extractor it redirects others to the sign-in
/// page.
#[derive(Clone, Copy, Debug)]
pub struct SignedIn {
    /// The service it is signed in to.
    pub service: ServiceId,
    /// The token of its session.
    pub token: SessionToken,
}

impl<S> OptionalFromRequestParts<S> for SignedIn
where
    Arc<Site>: FromRef<S>,
    PgPool: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Option<Self>, Error> {
        let Some(token) = brought(&Arc::<Site>::from_ref(state), &parts.headers) else {
            return Ok(None);
        };
        let service = store::live(&PgPool::from_ref(state), &token).await?;
        Ok(service.map(|service| Self { service, token }))
    }
}

impl<S> FromRequestParts<S> for SignedIn
where
    Arc<Site>: FromRef<S>,
    PgPool: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        match <Self as OptionalFromRequestParts<S>>::from_request_parts(parts, state).await {
            Ok(Some(signed_in)) => Ok(signed_in),
            Ok(None) => Err(Redirect::to("/service").into_response()),
            Err(error) => Err(error.into_response()),
        }
    }
}
