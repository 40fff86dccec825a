//! Has whoever asks got this already?
//!
//! Conditional requests (RFC 9110, 13) for what feed readers and calendars fetch every hour.

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use chrono::{DateTime, TimeDelta, Utc};
use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

/// A file that was last modified at `modified`, as seen at `now`; or that it is the same as before.
pub(super) fn answer(
    asked: &HeaderMap,
    kind: &'static str,
    modified: DateTime<Utc>,
    now: DateTime<Utc>,
    body: String,
) -> Response {
    let digest = Sha256::digest(&body);
    let tag = format!("\"{}\"", HEXLOWER.encode(&digest[..16]));
    // In a second that is not over, something else may still happen that has the same date.
    let modified = (now - modified >= TimeDelta::seconds(1)).then_some(modified);
    let mut response = if is_known(asked, &tag, modified) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        (
            [(header::CONTENT_TYPE, HeaderValue::from_static(kind))],
            body,
        )
            .into_response()
    };
    let mut set = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(name, value);
        }
    };
    set(header::ETAG, &tag);
    if let Some(modified) = modified {
        set(header::LAST_MODIFIED, &http_date(modified));
    }
    // Kept by the reader alone, and asked for each time.
    set(header::CACHE_CONTROL, "private, no-cache");
    set(HeaderName::from_static("x-robots-tag"), "noindex");
    response
}

/// The date is looked at only by who names no tag (RFC 9110, 13.2.2).
fn is_known(asked: &HeaderMap, tag: &str, modified: Option<DateTime<Utc>>) -> bool {
    if asked.contains_key(header::IF_NONE_MATCH) {
        return asked
            .get_all(header::IF_NONE_MATCH)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(str::trim)
            .any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag);
    }
    let since = asked
        .get(header::IF_MODIFIED_SINCE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| httpdate::parse_http_date(value).ok())
        .map(DateTime::<Utc>::from);
    match (modified, since) {
        (Some(modified), Some(since)) => modified.timestamp() <= since.timestamp(),
        _ => false,
    }
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
