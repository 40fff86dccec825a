//! The pages that cancel a service, and that replace its management key.

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{AppendHeaders, IntoResponse as _, Redirect, Response},
};
use axum_extra::extract::cookie::{Cookie, CookieJar};
use serde::Deserialize;
use std::sync::Arc;

use super::{
    super::store::{self, Service},
    view::{CancelPage, KeyPage},
};
use crate::{
    db::{PgPool, notify::Notifier},
    error::{Error, Problem, TooMany},
    names::EdgeRoutes,
    request::{
        Asked,
        pages::{
            fields::{PutOff, Resubmit, already_sent, later, put_off},
            receipt, routes_of,
            view::Hidden,
        },
        queue::{NotStored, Queue},
        reference::{NOT_AN_ID, SubmissionId},
        store::{Submission, Submitted, was_sent},
    },
    secret::{ManagementKey, Secret},
    session::SignedIn,
    web::{
        client::Client,
        form::Fields,
        page, page_with,
        parts::{Field, Problem as Line, count},
        shell::Section,
        site::Site,
    },
};

/// `GET /service/cancel`: what the service will lose.
pub(crate) async fn cancel(
    State(site): State<Arc<Site>>,
    State(pool): State<PgPool>,
    signed_in: SignedIn,
) -> Result<Response, Error> {
    let service = store::look_up(&pool, signed_in.service).await?;
    if let Some(error) = conflict(&service) {
        return Err(error);
    }
    cancel_page(&site, &service, &SubmissionId::random().to_field(), None)
}

/// The fields of `POST /service/cancel`. Programs may omit the submission id; then a retry is not
/// recognised.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct CancelForm {
    confirm: String,
    submission_id: String,
}

/// `POST /service/cancel`: stores a cancelling request, with receipt and timeline.
pub(crate) async fn send_cancel(
    State(site): State<Arc<Site>>,
    State(pool): State<PgPool>,
    State(queue): State<Queue>,
    State(secret): State<Secret>,
    signed_in: SignedIn,
    Fields(form): Fields<CancelForm>,
) -> Result<Response, Error> {
    let id = match form.submission_id.as_str() {
        "" => SubmissionId::random(),
        typed => match SubmissionId::parse(typed) {
            Some(id) => id,
            None => return Ok(Problem::field("submission_id", NOT_AN_ID).into_response()),
        },
    };
    let service = store::look_up(&pool, signed_in.service).await?;
    let id_again = id.to_field();
    let confirmed = form.confirm == "on";
    // A retry is blocked by its own request, and gets the same response.
    let asked = Asked::Cancel {
        service: service.id,
    };
    let submission = Submission::new(&secret, &id, asked);
    if let Some(error) = conflict(&service)
        && !(confirmed && was_sent(&pool, submission.reference).await?)
    {
        return Err(error);
    }
    if !confirmed {
        let unconfirmed = Some("Tick the box to cancel the service");
        return cancel_page(&site, &service, &id_again, unconfirmed);
    }
    match queue.submit(submission).await {
        Ok(Submitted::Stored { reference, .. }) => {
            Ok(Redirect::to(&format!("/requests/{reference}/receipt")).into_response())
        }
        Ok(Submitted::AlreadySent { .. }) => already_sent(&site, Section::Service),
        Ok(Submitted::Pending { .. }) => Err(Error::Pending),
        Err(NotStored::Refused(error)) => Err(error.into()),
        Err(why) => {
            let again = Resubmit {
                section: Section::Service,
                action: "/service/cancel",
                hidden: vec![
                    Hidden::new("confirm", "on"),
                    Hidden::new("submission_id", id_again),
                ],
                cancels: true,
            };
            later(&site, again, PutOff::NotStored(why))
        }
    }
}

/// Why this service cannot be cancelled now.
pub(crate) fn conflict(service: &Service) -> Option<Error> {
    if service.pending().is_some() {
        Some(Error::Pending)
    } else if service.routes.is_empty() {
        Some(Error::NothingInForce)
    } else {
        None
    }
}

fn cancel_page(
    site: &Site,
    service: &Service,
    submission_id: &str,
    unconfirmed: Option<&'static str>,
) -> Result<Response, Error> {
    let mut shell = site.shell(Section::Service);
    shell.error = unconfirmed.is_some();
    let view = CancelPage {
        shell,
        submission_id: submission_id.to_owned(),
        number: service.number.to_string(),
        routes: routes_of(&service.routes),
        domains: EdgeRoutes::domain_count(&service.routes),
        confirm: Field {
            errors: unconfirmed.map(str::to_owned).into_iter().collect(),
            ..Field::new("confirm")
        },
    };
    let Some(message) = unconfirmed else {
        return page(StatusCode::OK, &view);
    };
    page_with(Problem::field("confirm", message), &view)
}

/// The page where a new key is made and, for fifteen minutes, shown.
const KEY_PAGE: &str = "/service/key";

/// The cookie that removes the new key's cookie.
pub(super) fn key_removal(site: &Site) -> Cookie<'static> {
    receipt::COOKIE.remove(site, Some(KEY_PAGE.to_owned()))
}

/// `GET /service/key`.
pub(crate) async fn key(
    State(site): State<Arc<Site>>,
    State(pool): State<PgPool>,
    signed_in: SignedIn,
    jar: CookieJar,
) -> Result<Response, Error> {
    key_page(&site, &pool, signed_in, &jar, None).await
}

/// The key that a browser sends, or the button for a new one; with `problem`, why there is none.
async fn key_page(
    site: &Site,
    pool: &PgPool,
    signed_in: SignedIn,
    jar: &CookieJar,
    problem: Option<Line>,
) -> Result<Response, Error> {
    let service = store::look_up(pool, signed_in.service).await?;
    let key = receipt::key_in(site, jar);
    // Only the key in force is shown: a client can send any cookie.
    let key = match key {
        Some(key) if store::opens(pool, service.id, &key).await? => Some(key.reveal()),
        _ => None,
    };
    let mut shell = site.shell(Section::Service);
    shell.error = problem.is_some();
    page(
        StatusCode::OK,
        &KeyPage {
            shell,
            key,
            number: service.number.to_string(),
            is_watched: service.watch_hash.is_some(),
            problems: problem.into_iter().collect(),
        },
    )
}

/// `POST /service/key` has no fields.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct KeyForm {}

/// `POST /service/key`: makes a new key. The old one becomes invalid at once, and every other
/// session ends.
pub(crate) async fn send_key(
    State(site): State<Arc<Site>>,
    State(pool): State<PgPool>,
    State(notifier): State<Notifier>,
    signed_in: SignedIn,
    Client(network): Client,
    jar: CookieJar,
    Fields(KeyForm {}): Fields<KeyForm>,
) -> Result<Response, Error> {
    let throttle = &site.throttle;
    let by_network = match throttle.keys.take(network) {
        Ok(taken) => taken,
        Err(too_many) => return key_later(&site, &pool, signed_in, &jar, too_many).await,
    };
    let by_service = match throttle.keys_of_a_service.take(signed_in.service) {
        Ok(taken) => taken,
        Err(too_many) => {
            by_network.give_back();
            return key_later(&site, &pool, signed_in, &jar, too_many).await;
        }
    };
    let key = ManagementKey::random();
    if !store::replace_key(&pool, signed_in.service, &key, &signed_in.token).await? {
        by_network.give_back();
        by_service.give_back();
        // Another browser has replaced the key in the meantime.
        return Ok(Redirect::to("/service").into_response());
    }
    notifier.changed();
    let cookie = receipt::COOKIE
        .set(&site, Some(KEY_PAGE.to_owned()), key.reveal())
        .to_string();
    Ok((
        AppendHeaders([(header::SET_COOKIE, cookie)]),
        Redirect::to(KEY_PAGE),
    )
        .into_response())
}

/// 429: the page as it was, with the time to wait. The key in force stays.
async fn key_later(
    site: &Site,
    pool: &PgPool,
    signed_in: SignedIn,
    jar: &CookieJar,
    too_many: TooMany,
) -> Result<Response, Error> {
    let minutes = usize::from(too_many.seconds().div_ceil(60));
    let problem = Line {
        id: String::new(),
        text: format!(
            "Too many new keys were made in a short time, so none was made now. The last one stays in force. Try again in {}.",
            count(minutes, "minute", "minutes")
        ),
        ..Line::default()
    };
    let shown = key_page(site, pool, signed_in, jar, Some(problem)).await?;
    Ok(put_off(shown, Error::TooManyKeys(too_many)))
}
