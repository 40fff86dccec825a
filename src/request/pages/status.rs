//! The status page: how a request stands, what happens next, and who must act.

mod content;

use axum::{
    extract::{OriginalUri, Query, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;

use self::content::view;
use super::{
    load::{ReferencePath, Requests, parse_reference},
    proof, routes_of,
    tag::{Edition, Face},
};
use crate::{
    db::{PgPool, notify::Notifier},
    error::{Error, FailedTry, Problem},
    request::{
        live,
        loader::{Lookup, Visitor},
        store::{self, Request, cancelled},
        summary::Summary,
    },
    secret::ManagementKey,
    session::{self, SignedIn, store as sessions},
    web::{conditional, form::Fields, page, page_with},
};

/// `GET /requests/{reference}`: the page, or JSON for clients that prefer it, or a `304`.
///
/// One statement, except for a client whose tag is no longer right: finding that out costs a
/// fraction of loading the request, and much less than the `304`s save. The tag comes from the same
/// read as what is shown, whatever changes in between.
pub(crate) async fn status(
    requests: Requests,
    State(edition): State<Edition>,
    reference: ReferencePath,
    OriginalUri(uri): OriginalUri,
    Query(After { again }): Query<After>,
    asked: HeaderMap,
) -> Result<Response, Error> {
    let reference = parse_reference(&reference, &uri)?;
    let session = session::brought(&requests.site, &asked);
    let look = Lookup { reference, session };
    if !again.is_empty() && Face::preferred(&asked) == Face::Page {
        // What became of *Check again* is shown once, and not kept.
        let found = requests.loader.whole(look).await?;
        let (request, visitor) = found.ok_or(Error::NoRequest)?;
        note_use(&requests.pool, look, visitor).await?;
        return show(&requests, &request, visitor.is_own, None, &again).await;
    }
    find(&requests, &edition, look, &asked).await
}

/// The query of a request's page.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct After {
    /// Set by *Check again*: when the checks had last run, in seconds, or `early`.
    again: String,
}

async fn find(
    requests: &Requests,
    edition: &Edition,
    look: Lookup,
    asked: &HeaderMap,
) -> Result<Response, Error> {
    let face = Face::preferred(asked);
    if conditional::names_any(asked) {
        let found = requests.loader.summary(look).await?;
        let (summary, visitor) = found.ok_or(Error::NoRequest)?;
        note_use(&requests.pool, look, visitor).await?;
        let tag = face.tag(
            edition,
            &requests.site.clocks,
            look.reference,
            &summary,
            visitor,
        );
        if tag.is_known(asked) {
            let mut response = tag.not_modified(face.headers());
            come_back(&mut response, &summary);
            return Ok(response);
        }
    }
    let found = requests.loader.whole(look).await?;
    let (request, visitor) = found.ok_or(Error::NoRequest)?;
    note_use(&requests.pool, look, visitor).await?;
    let mut response = match face {
        Face::Json => live::status::json(
            &requests.site,
            &request,
            &proof::needed(requests, &request).await?,
            &cancelled(&requests.pool, &request).await?,
        ),
        Face::Page => show(requests, &request, visitor.is_own, None, "").await?,
    };
    response.headers_mut().extend(face.headers());
    come_back(&mut response, &request.summary());
    face.tag(
        edition,
        &requests.site.clocks,
        look.reference,
        &request.summary(),
        visitor,
    )
    .put(&mut response);
    Ok(response)
}

/// Says when there may be something new about a pending request: after its next check.
fn come_back(response: &mut Response, summary: &Summary) {
    let due_at = summary.due_at;
    let due_at = due_at.filter(|_| summary.facts.state.pending().is_some());
    let Some(due_at) = due_at else { return };
    // It is looked at now, or in less than a second.
    let seconds = (due_at - summary.now).num_seconds() + 1;
    let seconds = u64::try_from(seconds).unwrap_or(0);
    let seconds = seconds.max(store::AGAIN_AFTER.as_secs());
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
}

/// Extends a session that is in use; recorded once a minute.
async fn note_use(pool: &PgPool, look: Lookup, visitor: Visitor) -> Result<(), Error> {
    if let Some(token) = look.session.filter(|_| visitor.is_due) {
        sessions::live(pool, &token).await?;
    }
    Ok(())
}

/// The fields of `POST /requests/{reference}/withdraw`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct WithdrawForm {
    management_key: String,
}

/// `POST /requests/{reference}/withdraw`, for a client that is signed in to its service or has the
/// management key.
pub(crate) async fn withdraw(
    requests: Requests,
    State(notifier): State<Notifier>,
    reference: ReferencePath,
    OriginalUri(uri): OriginalUri,
    signed_in: Option<SignedIn>,
    Fields(form): Fields<WithdrawForm>,
) -> Result<Response, Error> {
    let request = requests.named(&reference, &uri).await?;
    if request.state.pending().is_none() {
        return Err(Error::Ended);
    }
    let opened = signed_in
        .and_then(|signed_in| request.opened_by_service(signed_in.service))
        .or_else(|| request.opened_by_key(&ManagementKey::parse(&form.management_key)?));
    let Some(opened) = opened else {
        let message = if form.management_key.trim().is_empty() {
            "Enter the management key of this service"
        } else {
            "That is not the management key of this service. It stands on the receipt, or on the page where a new key was made: 26 letters and digits in groups of four"
        };
        let mut response = show(&requests, &request, false, Some(message), "").await?;
        if !form.management_key.trim().is_empty() {
            response.extensions_mut().insert(FailedTry);
        }
        return Ok(response);
    };
    if !store::withdraw(&requests.pool, &request, opened).await? {
        return Err(Error::Ended);
    }
    notifier.changed();
    Ok(Redirect::to(&format!("/requests/{}", request.reference)).into_response())
}

/// The request's page; 422 when the management key was wrong.
async fn show(
    requests: &Requests,
    request: &Request,
    is_own: bool,
    wrong_key: Option<&'static str>,
    again: &str,
) -> Result<Response, Error> {
    let mut view = view(
        &requests.site,
        request,
        &proof::needed(requests, request).await?,
        is_own,
    );
    view.cancels = routes_of(&cancelled(&requests.pool, request).await?);
    view.note = note(request, again);
    if !view.note.is_empty() {
        // Digits, or `early`: else there is no note.
        view.address = format!("{}?again={again}", view.address);
    }
    let mut response = if let Some(message) = wrong_key {
        view.shell.error = true;
        view.withdraw_errors.push(message.into());
        page_with(Problem::field("management_key", message), &view)?
    } else {
        page(StatusCode::OK, &view)?
    };
    response.headers_mut().insert(
        HeaderName::from_static("x-robots-tag"),
        HeaderValue::from_static("noindex"),
    );
    Ok(response)
}

/// What became of *Check again*, by what it put into the address.
pub(crate) fn note(request: &Request, again: &str) -> &'static str {
    let before = again.parse::<i64>();
    let last = request.checked_at.map_or(0, |at| at.timestamp());
    match before {
        _ if again == "early" => {
            "Nothing was checked: the last check was a moment ago. Ask again in a moment."
        }
        Ok(before) if last > before => "Checked just now. What was found is below.",
        Ok(_) => "A check was asked for. Its result is shown here in a moment.",
        Err(_) => "",
    }
}
