//! The responses to clients that the server refuses before a handler runs.
//!
//! They are rendered once, by the router itself, so that they have the headers and the error page
//! of every other response; only the request's id and the date are new each time.

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderName, HeaderValue, Request, StatusCode, header},
};
use hyper::body::Bytes;
use tower::ServiceExt as _;

use crate::{
    clock::Clock,
    server::request_id::{REQUEST_ID, request_id},
};

/// Larger than any error page.
const MOST_BYTES: usize = 256 * 1024;

/// In the extensions of a request: the server has refused it, and only its error page is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Refused(pub StatusCode);

/// In the extensions of a request: no client has sent it; its error page is rendered in advance.
#[derive(Clone, Copy, Debug)]
pub struct InAdvance;

/// Error responses that no handler makes.
#[derive(Debug)]
pub(super) struct StaticErrors {
    clock: Clock,
    errors: Vec<StaticError>,
}

#[derive(Debug)]
struct StaticError {
    status: StatusCode,
    head: Vec<u8>,
    body: Bytes,
}

impl StaticErrors {
    /// Renders all of them with `router`.
    pub(super) async fn render(router: &Router) -> Arc<Self> {
        let mut errors = Vec::new();
        for status in [
            StatusCode::BAD_REQUEST,
            StatusCode::URI_TOO_LONG,
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            StatusCode::SERVICE_UNAVAILABLE,
        ] {
            errors.push(StaticError::render(router.clone(), status).await);
        }
        let clock = Clock::system();
        Arc::new(Self { clock, errors })
    }

    fn error(&self, status: StatusCode) -> Option<&StaticError> {
        self.errors.iter().find(|error| error.status == status)
    }

    /// The whole response with `status`, which ends the connection.
    pub(super) fn answer(&self, status: StatusCode) -> Option<Bytes> {
        let error = self.error(status)?;
        let mut answer = error.head.clone();
        let date = self.clock.now().format("%a, %d %b %Y %H:%M:%S GMT");
        let own = format!("{REQUEST_ID}: {}\r\ndate: {date}\r\n\r\n", request_id());
        answer.extend_from_slice(own.as_bytes());
        answer.extend_from_slice(&error.body);
        Some(answer.into())
    }

    /// Our response in place of a bare one of hyper's that begins with `begin`. A handler's
    /// response has an id and is not replaced.
    pub(super) fn in_place_of(&self, begin: &[u8]) -> Option<Bytes> {
        let rest = begin
            .strip_prefix(b"HTTP/1.1 ")
            .or_else(|| begin.strip_prefix(b"HTTP/1.0 "))?;
        let status = StatusCode::from_bytes(rest.get(..3)?).ok()?;
        // In this order: few responses have one of these statuses, and the second test reads the
        // whole head.
        let is_bare = self.error(status).is_some() && !has_id(begin);
        is_bare.then(|| self.answer(status)).flatten()
    }
}

/// Whether the head of the response that begins with `begin` has the header that all our responses
/// have. hyper writes a head in one piece, its names in lower case.
fn has_id(begin: &[u8]) -> bool {
    begin
        .split(|&byte| byte == b'\n')
        .take_while(|line| !line.trim_ascii().is_empty())
        .filter_map(|line| line.strip_prefix(REQUEST_ID.as_bytes()))
        .any(|rest| rest.starts_with(b":"))
}

impl StaticError {
    async fn render(router: Router, status: StatusCode) -> Self {
        let mut request = Request::new(Body::empty());
        request.extensions_mut().insert(Refused(status));
        request.extensions_mut().insert(InAdvance);
        let Ok(response) = router.oneshot(request).await;
        let (mut parts, body) = response.into_parts();
        let body = to_bytes(body, MOST_BYTES).await.unwrap_or_default();
        let headers = &mut parts.headers;
        headers.remove(HeaderName::from_static(REQUEST_ID));
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        let mut head = format!("HTTP/1.1 {status}\r\n").into_bytes();
        for (name, value) in headers.iter() {
            head.extend_from_slice(name.as_str().as_bytes());
            head.extend_from_slice(b": ");
            head.extend_from_slice(value.as_bytes());
            head.extend_from_slice(b"\r\n");
        }
        Self { status, head, body }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_ours_is_told_by_its_id() {
        assert!(has_id(
            b"HTTP/1.1 503 Busy\r\nretry-after: 10\r\nx-request-id: A1\r\n\r\n<p>"
        ));
        for bare in [
            &b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"[..],
            b"HTTP/1.1 400 Bad Request\r\n\r\nx-request-id: in a body",
            b"HTTP/1.1 400 Bad Request\r\nx-request-idle: no\r\n\r\n",
            b"",
        ] {
            assert!(!has_id(bare));
        }
    }
}
