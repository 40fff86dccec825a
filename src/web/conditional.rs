//! Conditional requests: `ETag`, `If-None-Match` and `If-Modified-Since` (RFC 9110, 13).
//!
//! A [`Tag`] names what a page, a file or JSON shows. A client that already has it gets a `304`
//! without a body.

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use chrono::{DateTime, TimeDelta, Utc};
use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

/// Only the client may cache the response, and must revalidate it each time.
pub(crate) const ASK_AGAIN: HeaderValue = HeaderValue::from_static("private, no-cache");

/// An entity tag: while it is the same, so is the content.
#[derive(Clone, Debug)]
pub(crate) struct Tag(HeaderValue);

impl Tag {
    /// A strong tag, of these very bytes.
    pub(crate) fn strong(body: &[u8]) -> Self {
        Self::named("", body)
    }

    /// A weak tag, of all content that means what `meaning` describes, in whatever bytes.
    pub(crate) fn weak(meaning: &[u8]) -> Self {
        Self::named("W/", meaning)
    }

    fn named(kind: &str, of: &[u8]) -> Self {
        let digest = HEXLOWER.encode(&Sha256::digest(of)[..16]);
        let tag = HeaderValue::try_from(format!("{kind}\"{digest}\""));
        Self(tag.expect("hexadecimal digits in quotes"))
    }

    /// Whether the client already has the tagged content. The comparison is the weak one, as for
    /// every `GET` (RFC 9110, 13.1.2).
    pub(crate) fn is_known(&self, asked: &HeaderMap) -> bool {
        let own = self.0.as_bytes();
        let own = own.strip_prefix(b"W/").unwrap_or(own);
        asked
            .get_all(header::IF_NONE_MATCH)
            .iter()
            .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
            .map(<[u8]>::trim_ascii)
            .any(|known| known == b"*" || known.strip_prefix(b"W/").unwrap_or(known) == own)
    }

    /// The `304` for a client that has the content. `like` has the headers of the full response.
    pub(crate) fn not_modified<const N: usize>(
        self,
        like: [(HeaderName, HeaderValue); N],
    ) -> Response {
        let mut response = StatusCode::NOT_MODIFIED.into_response();
        response.headers_mut().extend(like);
        self.put(&mut response);
        response
    }

    /// Adds the tag to `response`.
    pub(crate) fn put(self, response: &mut Response) {
        response.headers_mut().insert(header::ETAG, self.0);
    }
}

/// Whether the client sent a tag, so that it is worth finding out what the response would be.
pub(crate) fn names_any(asked: &HeaderMap) -> bool {
    asked.contains_key(header::IF_NONE_MATCH)
}

/// A file that was last modified at `modified`, as seen at `now`; or a `304` if the client has it.
pub(crate) fn answer(
    asked: &HeaderMap,
    kind: &'static str,
    modified: DateTime<Utc>,
    now: DateTime<Utc>,
    body: String,
) -> Response {
    let tag = Tag::strong(body.as_bytes());
    // Until the second is over, another change may get the same date.
    let modified = (now - modified >= TimeDelta::seconds(1)).then_some(modified);
    // The date counts only if the client sent no tag (RFC 9110, 13.2.2).
    let known = if names_any(asked) {
        tag.is_known(asked)
    } else {
        modified.is_some_and(|modified| is_since(asked, modified))
    };
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let kind = HeaderValue::from_static(kind);
        ([(header::CONTENT_TYPE, kind)], body).into_response()
    };
    tag.put(&mut response);
    let headers = response.headers_mut();
    if let Some(date) = modified.and_then(|at| HeaderValue::try_from(http_date(at)).ok()) {
        headers.insert(header::LAST_MODIFIED, date);
    }
    headers.insert(header::CACHE_CONTROL, ASK_AGAIN);
    headers.insert(
        HeaderName::from_static("x-robots-tag"),
        HeaderValue::from_static("noindex"),
    );
    response
}

/// Whether the client has the version of `modified`.
fn is_since(asked: &HeaderMap, modified: DateTime<Utc>) -> bool {
    asked
        .get(header::IF_MODIFIED_SINCE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| httpdate::parse_http_date(value).ok())
        .map(DateTime::<Utc>::from)
        .is_some_and(|since| modified.timestamp() <= since.timestamp())
}

/// `Mon, 05 May 2025 14:01:00 GMT`.
fn http_date(at: DateTime<Utc>) -> String {
    httpdate::fmt_http_date(at.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(asked: &[(HeaderName, &str)], age_millis: i64) -> StatusCode {
        let modified = DateTime::from_timestamp_millis(1_746_453_660_300).unwrap();
        let headers = asked
            .iter()
            .map(|(name, value)| (name.clone(), value.parse().unwrap()))
            .collect();
        let now = modified + TimeDelta::milliseconds(age_millis);
        answer(&headers, "text/plain", modified, now, "body".into()).status()
    }

    #[test]
    fn whoever_has_it_is_told_so() {
        const TAG: &str = "\"230d8358dc8e8890b4c58deeb62912ee\"";
        const DATE: &str = "Mon, 05 May 2025 14:01:00 GMT";
        const BEFORE: &str = "Mon, 05 May 2025 14:00:59 GMT";
        use header::{IF_MODIFIED_SINCE as SINCE, IF_NONE_MATCH as NONE};
        let same = StatusCode::NOT_MODIFIED;
        for (asked, expected) in [
            (&[][..], StatusCode::OK),
            (&[(NONE, TAG)], same),
            (&[(NONE, &format!("W/{TAG}"))], same),
            (&[(NONE, &format!("\"x\", {TAG}"))], same),
            (&[(NONE, "*")], same),
            (&[(NONE, "\"x\"")], StatusCode::OK),
            (&[(NONE, "\"x\""), (SINCE, DATE)], StatusCode::OK),
            (&[(SINCE, DATE)], same),
            (&[(SINCE, BEFORE)], StatusCode::OK),
            (&[(SINCE, "Monday, 05-May-25 14:01:00 GMT")], same),
            (&[(SINCE, "Mon May  5 14:01:00 2025")], same),
            (&[(SINCE, "yesterday")], StatusCode::OK),
        ] {
            assert_eq!(status(asked, 1_000), expected, "{asked:?}");
        }
        assert_eq!(
            status(&[(SINCE, DATE)], 999),
            StatusCode::OK,
            "not over yet"
        );
        assert_eq!(status(&[(NONE, TAG)], 0), same);
    }
}
