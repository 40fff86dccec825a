//! Reads the fields of a form from a request's body.
//!
//! A form is read as it comes, and no further than to the first field that it must not have: a form
//! that will be refused takes no memory.

mod names;

use axum::{
    body::Body,
    extract::{FromRequest, Request},
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use http_body_util::{BodyExt as _, LengthLimitError};
use serde::{Deserialize, de::DeserializeOwned};

use self::names::Names;
use super::guard::decoded;
use crate::{
    error::{Error, Problem},
    server::{NoRoom, Over, TooSlow},
};

/// The most bytes of a form: 10 edges and 1,000 domains of full length, percent-encoded, fit.
pub const MAX_BODY: usize = 512 * 1024;

/// Why a body could not be read: no room, too large, too slow, or the client disconnected.
fn fault(error: &axum::Error) -> Problem {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(no_room) = error.downcast_ref::<NoRoom>() {
            return without_room(*no_room);
        }
        if error.is::<TooSlow>() {
            return Problem::of(StatusCode::REQUEST_TIMEOUT);
        }
        if error.is::<LengthLimitError>() {
            return Problem::of(StatusCode::PAYLOAD_TOO_LARGE);
        }
        cause = error.source();
    }
    Problem::of(StatusCode::BAD_REQUEST)
}

/// The problem for a body that has no room. If one network sends too much at once, that is no
/// failure of the portal and must not look like one in its metrics: 429, not 503.
pub(super) fn without_room(no_room: NoRoom) -> Problem {
    match no_room.0 {
        Over::All => Problem::of(StatusCode::SERVICE_UNAVAILABLE),
        Over::Network => Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "Your network sends too much at once",
            "Wait until what it sends now is answered, then try again. Of this form nothing was stored.",
        )
        .again_after(Problem::BUSY_FOR),
    }
}

/// A form without fields, only with a button.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoFields {}

/// The fields of a posted form. A form with fields that `T` does not have is refused, and nothing
/// of it is echoed or logged.
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
        let read = read(request.into_body(), Names::of::<T>()).await;
        let form = read.map_err(|problem| (*problem).into_response())?;
        if decoded(&form).is_none() {
            return Err(Problem::of(StatusCode::BAD_REQUEST).into_response());
        }
        serde_html_form::from_bytes(&form)
            .map(Self)
            .map_err(|_| Error::OtherFields.into_response())
    }
}

/// Reads a form with these `names` to its end, or to the first field it must not have.
async fn read(mut body: Body, mut names: Names) -> Result<Vec<u8>, Box<Problem>> {
    let mut form = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| fault(&error))?;
        if let Ok(data) = frame.into_data() {
            // Exactly what is counted: a vector that doubles would take up to twice that.
            form.reserve_exact(data.len());
            form.extend_from_slice(&data);
            names.check(&form)?;
        }
    }
    names.check_end(&form)?;
    Ok(form)
}
