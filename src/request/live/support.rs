//! The support bundle: what support staff ask for, to be copied or sent.
//!
//! `docs/field.md#what-support-asked-for`: enterprise, agreement number, access proxy, domain,
//! network; with timeline and findings, and without any contact or key. The only token is the
//! public one in the records to publish. It has codes rather than words, because support staff
//! search for these.
//!
//! The agreement number is given in full to an administrator who is signed in to the service, and
//! masked for others who have the reference: the request's page does not show it to them either.
//! The support desk has its own page for it, which records who opened it.

use askama::Template;
use axum::{
    extract::OriginalUri,
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::Response,
};

use super::{iso, status::Status};
use crate::{
    error::Error,
    request::{
        Deployment, Standing,
        pages::{ReferencePath, Requests, proof},
        store::cancelled,
        wording,
    },
    session,
    web::{shell::NAME, text},
};

/// The support bundle of a request.
#[derive(Template)]
#[template(path = "request/support.txt")]
struct Bundle<'a> {
    portal: &'static str,
    status: Status,
    network: &'a str,
    programme: &'static str,
    number_label: &'static str,
    number: String,
    /// Whether the number is masked.
    masked: bool,
    deployment: &'static str,
    /// What the time is called at which it ended.
    ended: &'static str,
    /// How strict the checks are.
    checks: &'static str,
    now: String,
}

/// `GET /requests/{reference}/support.txt`. Browsers show it, and it has a file name for saving.
pub(crate) async fn support(
    requests: Requests,
    reference: ReferencePath,
    OriginalUri(uri): OriginalUri,
    asked: HeaderMap,
) -> Result<Response, Error> {
    let session = session::brought(&requests.site, &asked);
    let (request, visitor) = requests.seen(&reference, &uri, session).await?;
    let needed = proof::needed(&requests, &request).await?;
    let cancels = cancelled(&requests.pool, &request).await?;
    let bundle = Bundle {
        portal: NAME,
        status: Status::of(&requests.site, &request, &needed, &cancels),
        network: &requests.site.provider,
        programme: request.programme.label(),
        number_label: request.programme.number_label(),
        number: if visitor.is_own {
            request.number.to_string()
        } else {
            request.number.masked()
        },
        masked: !visitor.is_own,
        deployment: request.deployment.map_or("", Deployment::as_str),
        ended: wording::ended(
            Standing::of(&request.facts(), &requests.site.clocks, request.now),
            request.kind,
        ),
        checks: requests.site.checks.mode().as_str(),
        now: iso(request.now),
    };
    let mut response = text(&bundle)?;
    let name = format!("inline; filename=\"{}.txt\"", request.reference);
    let headers = response.headers_mut();
    if let Ok(name) = HeaderValue::from_str(&name) {
        headers.insert(header::CONTENT_DISPOSITION, name);
    }
    headers.insert(
        HeaderName::from_static("x-robots-tag"),
        HeaderValue::from_static("noindex"),
    );
    Ok(response)
}
