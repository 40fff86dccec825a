//! How do the fields of a form come in?

use axum::{
    extract::{FromRequest, Request},
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use http_body_util::LengthLimitError;
use serde::{Deserialize, de::DeserializeOwned};

use super::guard::decoded;
use crate::{
    error::{Error, Problem},
    server::TooSlow,
};

/// The most bytes of a form: 10 edges and 1,000 domains of full length, percent-encoded, fit.
pub const MAX_BODY: usize = 512 * 1024;

/// Why a body could not be read: over the limit, over its time, or the client went away.
fn fault(error: &axum::Error) -> StatusCode {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<TooSlow>() {
            return StatusCode::REQUEST_TIMEOUT;
        }
        if error.is::<LengthLimitError>() {
            return StatusCode::PAYLOAD_TOO_LARGE;
        }
        cause = error.source();
    }
    StatusCode::BAD_REQUEST
}

/// A form of a button and nothing else.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoFields {}

/// The fields of a posted form. Fields that `T` does not name are refused, and nothing of the
/// form is echoed or logged then.
#[derive(Clone, Copy)]
pub struct Fields<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for Fields<T> {
    type Rejection = Response;

    async fn from_request(request: Request, _: &S) -> Result<Self, Response> {
        let is_form = request
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split(';').next())
            .is_some_and(|kind| {
                kind.trim()
                    .eq_ignore_ascii_case("application/x-www-form-urlencoded")
            });
        if !is_form {
            return Err(Problem::of(StatusCode::UNSUPPORTED_MEDIA_TYPE).into_response());
        }
        let body = axum::body::to_bytes(request.into_body(), MAX_BODY)
            .await
            .map_err(|error| Problem::of(fault(&error)).into_response())?;
        if decoded(&body).is_none() {
            return Err(Problem::of(StatusCode::BAD_REQUEST).into_response());
        }
        serde_html_form::from_bytes(&body)
            .map(Self)
            .map_err(|_| Error::OtherFields.into_response())
    }
}
