//! Rejects requests with a malformed address, and gives each request its id and its line in the
//! log.
//!
//! An address with malformed percent-encoding, bytes that are no UTF-8, a NUL, or too many bytes
//! gets a 4xx before anything reads it. The line in the log has nothing that a client typed.

use std::time::Instant;

use axum::{
    extract::{MatchedPath, Request},
    http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse as _, Response},
};
use tracing::Span;

use crate::{
    error::Problem,
    server::{
        request_id::{REQUEST_ID, request_id},
        static_errors::Refused,
    },
};

/// The longest address, path and query together, in bytes.
pub const MAX_URI: usize = 8 * 1024;

/// The id of a request: in the response's header, and in every line that is logged for it.
#[derive(Debug)]
pub(crate) struct Name {
    id: String,
    began: Instant,
    method: &'static str,
    route: Option<MatchedPath>,
}

impl Name {
    /// A new id for `request`.
    pub(crate) fn new(request: &Request) -> Self {
        Self {
            id: request_id(),
            began: Instant::now(),
            method: known(request.method()),
            route: request.extensions().get().cloned(),
        }
    }

    /// The span in which the request is handled. Its level is `error`, so that errors have the id
    /// even where the log has no other lines.
    pub(crate) fn span(&self) -> Span {
        tracing::error_span!("request", id = self.id)
    }

    /// Adds the id to the response, and logs the request's line within the [`Name::span`].
    pub(crate) fn put_on(self, response: &mut Response) {
        tracing::debug!(
            method = self.method,
            route = self.route.as_ref().map_or("none", MatchedPath::as_str),
            status = response.status().as_u16(),
            duration_us = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX),
            "answered"
        );
        if let Ok(id) = HeaderValue::try_from(self.id) {
            let name = HeaderName::from_static(REQUEST_ID);
            response.headers_mut().insert(name, id);
        }
    }
}

/// A method's name; a method that is not HTTP's own is what a client typed, and is not logged.
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

/// Accepts requests with a valid address; the response to others.
#[expect(
    clippy::result_large_err,
    reason = "an answer, which is handed on as it is"
)]
pub(crate) fn admit(request: &Request) -> Result<(), Response> {
    if let Some(Refused(status)) = request.extensions().get() {
        return Err(Problem::of(*status).into_response());
    }
    if request.method() == Method::OPTIONS && request.uri().path() == "*" {
        let allow = [(header::ALLOW, "GET, HEAD, POST, OPTIONS")];
        return Err((StatusCode::NO_CONTENT, allow).into_response());
    }
    match fault(request.uri()) {
        Some(status) => Err(Problem::of(status).into_response()),
        None => Ok(()),
    }
}

fn fault(uri: &Uri) -> Option<StatusCode> {
    let (path, query) = (uri.path(), uri.query().unwrap_or_default());
    if path.len() + query.len() > MAX_URI {
        return Some(StatusCode::URI_TOO_LONG);
    }
    let is_text = |part: &str| decoded(part.as_bytes()).is_some_and(|text| !text.contains(&0));
    // Most parts need no decoding.
    let is_sound = |part: &str| !part.contains(['%', '\0']) || is_text(part);
    (!is_sound(path) || !is_sound(query)).then_some(StatusCode::BAD_REQUEST)
}

/// The bytes of the text that percent-encoded bytes stand for: each `%` with two hexadecimal
/// digits, and UTF-8. `None` if it is no such text. A NUL, which PostgreSQL refuses, is left to the
/// caller: in an address it is refused at once, in a form it is an error of the field.
pub(super) fn decoded(encoded: &[u8]) -> Option<Vec<u8>> {
    let hex = |byte: u8| char::from(byte).to_digit(16);
    let mut text = Vec::with_capacity(encoded.len());
    let mut bytes = encoded.iter().copied();
    while let Some(byte) = bytes.next() {
        text.push(if byte == b'%' {
            let (high, low) = (bytes.next().and_then(hex)?, bytes.next().and_then(hex)?);
            u8::try_from(high * 16 + low).ok()?
        } else {
            byte
        });
    }
    std::str::from_utf8(&text).is_ok().then_some(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_is_told_from_bytes() {
        for text in ["", "a+b", "%41", "%c3%A4", "ä", "a=1&b=2", "%25zz"] {
            assert!(decoded(text.as_bytes()).is_some(), "{text}");
        }
        for text in ["%", "%4", "%zz", "%+1", "%FF", "%C3", "%ED%A0%80"] {
            assert_eq!(decoded(text.as_bytes()), None, "{text}");
        }
        assert_eq!(decoded(b"\xff"), None);
        assert_eq!(decoded(b"a%00+"), Some(b"a\0+".to_vec()));
        let refused = |uri: &str| fault(&uri.parse().unwrap());
        assert_eq!(refused("/a%00"), Some(StatusCode::BAD_REQUEST));
        assert_eq!(refused("/a?q=%00"), Some(StatusCode::BAD_REQUEST));
        assert_eq!(refused("/a?q=%41"), None);
    }

    proptest! {
        #[test]
        fn what_a_browser_encodes_passes(text: String) {
            let encoded = serde_html_form::to_string([("q", text)]).unwrap();
            prop_assert!(decoded(encoded.as_bytes()).is_some());
        }
    }
}
