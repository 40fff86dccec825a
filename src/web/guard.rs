//! Is this a request that a handler should see at all?
//!
//! What is no address (malformed percent-encoding, bytes that are no UTF-8, NUL, too long) ends
//! here with a 4xx, before anything reads it. Every request gets its id here, and its line in the
//! log, which has nothing that a client typed.

use std::time::Instant;

use axum::{
    extract::{MatchedPath, Request},
    http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use tracing::Instrument as _;

use crate::{code, error::Problem};

/// The header with a request's id. A client's own is never looked at.
pub const REQUEST_ID: &str = "x-request-id";
/// The longest address, path and query together, in bytes.
pub const MAX_URI: usize = 8 * 1024;

/// In the extensions of a request: the front door has refused it, and only its face is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Refused(pub StatusCode);

/// A new id: 80 random bits, 16 letters and digits.
#[must_use]
pub fn request_id() -> String {
    code::encode(&code::random::<10>())
}

/// Gives the request its id: in the answer's header, and in every line that is logged meanwhile.
pub(super) async fn name(request: Request, next: Next) -> Response {
    let id = request_id();
    let (started, method) = (Instant::now(), known(request.method()));
    let route = request.extensions().get::<MatchedPath>().cloned();
    // At `error`, so that the id stands beside grave lines also where the log has no others.
    let span = tracing::error_span!("request", id);
    async {
        let mut response = next.run(request).await;
        tracing::debug!(
            method,
            route = route.as_ref().map_or("none", MatchedPath::as_str),
            status = response.status().as_u16(),
            duration_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
            "answered"
        );
        if let Ok(id) = HeaderValue::from_str(&id) {
            let name = HeaderName::from_static(REQUEST_ID);
            response.headers_mut().insert(name, id);
        }
        response
    }
    .instrument(span)
    .await
}

/// A method's name; one that is not HTTP's own is what a client typed.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::OPTIONS => "OPTIONS",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

/// Lets through what has an address.
pub(super) async fn admit(request: Request, next: Next) -> Response {
    if let Some(Refused(status)) = request.extensions().get() {
        return Problem::of(*status).into_response();
    }
    if request.method() == Method::OPTIONS && request.uri().path() == "*" {
        let allow = [(header::ALLOW, "GET, HEAD, POST, OPTIONS")];
        return (StatusCode::NO_CONTENT, allow).into_response();
    }
    match fault(request.uri()) {
        Some(status) => Problem::of(status).into_response(),
        None => next.run(request).await,
    }
}

fn fault(uri: &Uri) -> Option<StatusCode> {
    let (path, query) = (uri.path(), uri.query().unwrap_or_default());
    if path.len() + query.len() > MAX_URI {
        return Some(StatusCode::URI_TOO_LONG);
    }
    (!is_encoded_text(path.as_bytes()) || !is_encoded_text(query.as_bytes()))
        .then_some(StatusCode::BAD_REQUEST)
}

/// Whether percent-encoded bytes stand for text: each `%` with two hexadecimal digits, UTF-8, no
/// NUL (which PostgreSQL refuses, and nobody types).
pub(super) fn is_encoded_text(encoded: &[u8]) -> bool {
    let hex = |byte: u8| char::from(byte).to_digit(16);
    let mut text = Vec::with_capacity(encoded.len());
    let mut bytes = encoded.iter().copied();
    while let Some(byte) = bytes.next() {
        let byte = if byte == b'%' {
            let (Some(high), Some(low)) = (bytes.next().and_then(hex), bytes.next().and_then(hex))
            else {
                return false;
            };
            u8::try_from(high * 16 + low).unwrap_or_default()
        } else {
            byte
        };
        if byte == 0 {
            return false;
        }
        text.push(byte);
    }
    std::str::from_utf8(&text).is_ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_is_told_from_bytes() {
        for text in ["", "a+b", "%41", "%c3%A4", "ä", "a=1&b=2", "%25zz"] {
            assert!(is_encoded_text(text.as_bytes()), "{text}");
        }
        for text in [
            "%",
            "%4",
            "%zz",
            "%+1",
            "%00",
            "a\0",
            "%FF",
            "%C3",
            "%ED%A0%80",
        ] {
            assert!(!is_encoded_text(text.as_bytes()), "{text}");
        }
        assert!(!is_encoded_text(b"\xff"));
    }

    proptest! {
        #[test]
        fn what_a_browser_encodes_passes(text in "[^\0]*") {
            let encoded = serde_html_form::to_string([("q", text)]).unwrap();
            prop_assert!(is_encoded_text(encoded.as_bytes()));
        }
    }

    #[test]
    fn an_id_is_new_each_time() {
        let id = request_id();
        assert_eq!(id.len(), 16);
        assert_ne!(id, request_id());
    }
}
