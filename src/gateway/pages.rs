//! The addresses below `/gateway`: the whole set of routes, and what has changed (`docs/gateways.md#http`).
//!
//! Whatever goes wrong is told as JSON: only programs ask here.

use std::{fmt::Write as _, time::Duration};

use axum::{
    Extension,
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};

use super::{GatewayToken, Version, publish::Publication, set::Form, store::Heard};
use crate::{
    db,
    error::{Error, FailedTry, Problem},
    web::{Plain, accept::takes_gzip},
};

/// The longest time that a gateway may wait for news.
const LONGEST_WAIT: u64 = 60;

/// Why a gateway gets nothing.
#[derive(Debug)]
pub(crate) enum Refused {
    /// It has no token, or one that is none.
    Stranger,
    /// The query is none of this address.
    Query,
    /// What it has is no base for differences.
    Reset,
    /// The database is away, or refused.
    Database(db::Error),
}

impl From<db::Error> for Refused {
    fn from(error: db::Error) -> Self {
        Self::Database(error)
    }
}

/// A problem with the name by which programs know it, where the status does not say it.
#[derive(Serialize)]
struct Told {
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(flatten)]
    problem: Problem,
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let is_reset = matches!(self, Self::Reset);
        let problem = match self {
            Self::Stranger => Problem::no_gateway(),
            Self::Query => Problem::of(StatusCode::BAD_REQUEST),
            Self::Reset => Problem::publication_reset(),
            // Logs the cause.
            Self::Database(error) => Problem::from(Error::Database(error)),
        };
        let again = problem.retry_after.map(HeaderValue::from);
        let kind = HeaderValue::from_static("application/problem+json");
        let status = problem.status;
        let told = Told {
            kind: is_reset.then_some("publication-reset"),
            problem,
        };
        let mut response = (
            status,
            [(header::CONTENT_TYPE, kind)],
            Extension(Plain),
            serde_json::to_vec(&told).unwrap_or_default(),
        )
            .into_response();
        if let Some(seconds) = again {
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        if status == StatusCode::UNAUTHORIZED {
            let headers = response.headers_mut();
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            response.extensions_mut().insert(FailedTry);
        }
        response
    }
}

/// `GET /gateway/routes`: the whole set as JSON.
pub(crate) async fn routes(
    State(publication): State<Publication>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    whole(&publication, &headers, Form::Json).await
}

/// `GET /gateway/routes.csv`: the same for imports.
pub(crate) async fn csv(
    State(publication): State<Publication>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    whole(&publication, &headers, Form::Csv).await
}

/// `GET /gateway/routes.ps1`: the same as commands for Skype for Business Server.
pub(crate) async fn power_shell(
    State(publication): State<Publication>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    whole(&publication, &headers, Form::PowerShell).await
}

async fn whole(
    publication: &Publication,
    headers: &HeaderMap,
    form: Form,
) -> Result<Response, Refused> {
    let has = tagged(headers);
    let wait = asked_wait(headers);
    let token = brought(headers).ok_or(Refused::Stranger)?;
    let heard = hear(publication, &token, has.as_ref(), wait).await?;
    if has.as_ref() == Some(&heard.head) {
        let mut response = StatusCode::NOT_MODIFIED.into_response();
        put_version(&mut response, &heard.head, wait);
        return Ok(response);
    }
    let set = publication.set(&heard.head).await?;
    let set = set.ok_or(Refused::Stranger)?;
    let packs = form == Form::Json && takes_gzip(headers);
    let written = if packs {
        set.packed()
    } else {
        set.written(form)
    };
    let kind = match form {
        Form::Json => "application/json",
        Form::Csv => "text/csv; charset=utf-8",
        Form::PowerShell => "text/plain; charset=utf-8",
    };
    let mut response = ([(header::CONTENT_TYPE, kind)], written.bytes).into_response();
    put_version(&mut response, &set.version, wait);
    let headers = response.headers_mut();
    if packs {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    put_digest(&mut response, written.digest);
    Ok(response)
}

/// The query of `/gateway/changes`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Since {
    since: String,
}

/// `GET /gateway/changes?since=VERSION`: what has changed since then.
pub(crate) async fn changes(
    State(publication): State<Publication>,
    query: Result<Query<Since>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let token = brought(&headers).ok_or(Refused::Stranger)?;
    let Query(Since { since }) = query.map_err(|_| Refused::Query)?;
    let since = Version::parse(&since).ok_or(Refused::Query)?;
    let wait = asked_wait(&headers);
    let heard = hear(&publication, &token, Some(&since), wait).await?;
    let differences = publication.changes(&since, &heard.head).await?;
    let (version, written) = differences.told.clone().ok_or(Refused::Reset)?;
    let kind = HeaderValue::from_static("application/json");
    let mut response = ([(header::CONTENT_TYPE, kind)], written.bytes).into_response();
    put_version(&mut response, &version, wait);
    put_digest(&mut response, written.digest);
    Ok(response)
}

/// The gateway that asks, when there is an answer for it.
async fn hear(
    publication: &Publication,
    token: &GatewayToken,
    has: Option<&Version>,
    wait: Option<u64>,
) -> Result<Heard, Refused> {
    let wait = Duration::from_secs(wait.unwrap_or_default());
    let heard = publication.hear(token, has, wait).await?;
    heard.ok_or(Refused::Stranger)
}

/// The token in `Authorization: Bearer TOKEN`.
fn brought(headers: &HeaderMap) -> Option<GatewayToken> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let is_bearer = scheme.eq_ignore_ascii_case("bearer");
    GatewayToken::parse(token.trim()).filter(|_| is_bearer)
}

/// The first version in `If-None-Match`.
fn tagged(headers: &HeaderMap) -> Option<Version> {
    let values = headers.get_all(header::IF_NONE_MATCH).iter();
    let mut tags = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|tag| tag.trim().trim_start_matches("W/").trim_matches('"'));
    tags.find_map(Version::parse)
}

/// The seconds in `Prefer: wait=N` (RFC 7240), as many as may be.
fn asked_wait(headers: &HeaderMap) -> Option<u64> {
    let values = headers.get_all("prefer").iter();
    let mut wishes = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split([',', ';']))
        .filter_map(|wish| wish.trim().split_once('='));
    let (_, wait) = wishes.find(|(name, _)| name.trim().eq_ignore_ascii_case("wait"))?;
    let wait: u64 = wait.trim().trim_matches('"').parse().ok()?;
    Some(wait.min(LONGEST_WAIT))
}

/// Says what the bytes of the answer amount to (RFC 9530).
fn put_digest(response: &mut Response, digest: String) {
    if let Ok(digest) = HeaderValue::try_from(digest) {
        let name = HeaderName::from_static("repr-digest");
        response.headers_mut().insert(name, digest);
    }
}

/// Says which version an answer is about, and how long it would have been waited for.
fn put_version(response: &mut Response, version: &Version, wait: Option<u64>) {
    let headers = response.headers_mut();
    let mut text = String::new();
    let _ = write!(text, "\"{version}\"");
    if let Ok(tag) = HeaderValue::try_from(text) {
        headers.insert(header::ETAG, tag);
    }
    let applied = wait.map(|wait| HeaderValue::try_from(format!("wait={wait}")));
    if let Some(Ok(applied)) = applied {
        headers.insert(HeaderName::from_static("preference-applied"), applied);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(HeaderName::from_static(name), value.parse().unwrap())])
    }

    #[test]
    fn what_a_gateway_wishes_is_read_from_its_headers() {
        let waits = |value| asked_wait(&headers("prefer", value));
        assert_eq!(waits("wait=25"), Some(25));
        assert_eq!(waits("respond-async, Wait = \"5\""), Some(5));
        assert_eq!(waits("wait=99999"), Some(60));
        assert_eq!(waits("wait=-1"), None);
        assert_eq!(waits("return=minimal"), None);
        let has = |value| tagged(&headers("if-none-match", value)).map(|it| it.serial);
        assert_eq!(has("\"0123456789abcdef.7\""), Some(7));
        assert_eq!(has("\"x\", W/\"0123456789abcdef.8\""), Some(8));
        assert_eq!(has("*"), None);
        let token = GatewayToken::random();
        let came = |value: String| brought(&headers("authorization", &value)).is_some();
        assert!(came(format!("Bearer {}", token.reveal())));
        assert!(came(format!("bearer  {}", token.reveal())));
        assert!(!came(token.reveal()) && !came(format!("Basic {}", token.reveal())));
    }
}
