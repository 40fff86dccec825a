//! What does an administrator take away: reference, management key, what happens next?

use axum::{
    extract::{OriginalUri, State},
    http::StatusCode,
    response::Response,
};
use axum_extra::extract::cookie::{Cookie, CookieJar, SameSite};
use chrono::TimeDelta;

use super::{
    ReferencePath, named, proof, routes_of,
    view::{ReceiptPage, ReceiptText},
    when::{span, when},
};
use crate::{
    app::App,
    error::Error,
    readiness::ProofMode,
    request::{Kind, look_up::Look, reference::Reference, store::Request},
    service::ManagementKey,
    web::{page, shell::Section, text},
};

/// How long the management key can be seen (`docs/design.md#contract`).
const KEY_SHOWN_FOR: time::Duration = time::Duration::minutes(15);

/// For how long after a request was sent the very same form, sent again, shows the management key
/// again: long enough for whoever has lost the first answer, and not for who finds the form in an
/// old log.
const KEY_SHOWN_AGAIN_FOR: TimeDelta = TimeDelta::hours(24);

/// Whether a form that made this request before leads to its management key once more.
pub(super) async fn shows_key_again(app: &App, reference: Reference) -> Result<bool, Error> {
    let look = Look {
        reference,
        session: None,
    };
    let found = app.readers().whole(look).await?;
    Ok(found.is_some_and(|(request, _)| request.now - request.submitted_at < KEY_SHOWN_AGAIN_FOR))
}

/// The cookie that brings the management key to the receipt. Over https its name demands that it
/// was set over https; `__Host-` would demand the path `/`.
fn cookie_name(app: &App) -> &'static str {
    if app.site().public_url.is_https() {
        "__Secure-pic_receipt"
    } else {
        "pic_receipt"
    }
}

/// The key as a cookie for `path` and for no other address.
pub(crate) fn key_cookie(app: &App, path: String, key: &ManagementKey) -> Cookie<'static> {
    build(app, path, key.reveal(), KEY_SHOWN_FOR)
}

/// The cookie that takes the one for `path` away.
pub(crate) fn removal(app: &App, path: String) -> Cookie<'static> {
    build(app, path, String::new(), time::Duration::ZERO)
}

fn build(app: &App, path: String, value: String, lasts: time::Duration) -> Cookie<'static> {
    Cookie::build((cookie_name(app), value))
        .path(path)
        .http_only(true)
        .secure(app.site().public_url.is_https())
        .same_site(SameSite::Lax)
        .max_age(lasts)
        .build()
}

/// The key as cookies for the receipt at `address` and for its text.
pub(super) fn key_cookies(app: &App, address: &str, key: &ManagementKey) -> [Cookie<'static>; 2] {
    [address.to_owned(), format!("{address}.txt")].map(|path| key_cookie(app, path, key))
}

/// The key that a browser brings, if it brings one: not yet known to be anybody's.
pub(crate) fn key_in(app: &App, jar: &CookieJar) -> Option<ManagementKey> {
    ManagementKey::parse(jar.get(cookie_name(app))?.value())
}

/// `GET /requests/{reference}/receipt`.
pub(crate) async fn receipt(
    State(app): State<App>,
    reference: ReferencePath,
    OriginalUri(uri): OriginalUri,
    jar: CookieJar,
) -> Result<Response, Response> {
    let request = named(&app, &reference, &uri).await?;
    let view = view(&app, &request, &jar).await;
    view.and_then(|view| page(StatusCode::OK, &view))
        .map_err(axum::response::IntoResponse::into_response)
}

/// `GET /requests/{reference}/receipt.txt`.
pub(crate) async fn receipt_text(
    State(app): State<App>,
    reference: ReferencePath,
    OriginalUri(uri): OriginalUri,
    jar: CookieJar,
) -> Result<Response, Response> {
    let request = named(&app, &reference, &uri).await?;
    let page = view(&app, &request, &jar)
        .await
        .map_err(axum::response::IntoResponse::into_response)?;
    let view = ReceiptText {
        page: &page,
        number: request.number.to_string(),
        number_label: request.programme.number_label().into(),
        edges: routes_of(&request.routes),
    };
    text(&view).map_err(|error: Error| axum::response::IntoResponse::into_response(error))
}

async fn view<'a>(
    app: &'a App,
    request: &Request,
    jar: &CookieJar,
) -> Result<ReceiptPage<'a>, Error> {
    let clocks = &app.site().clocks;
    // A domain that another service holds is nothing that a receipt tells of; the request's page does.
    let proof = if app.site().checks.proof() == ProofMode::Always {
        proof::missing(request, &proof::needed(app, request).await?)
    } else {
        None
    };
    // Only this service's key is shown: a cookie is what somebody sends.
    let key = key_in(app, jar).filter(|key| request.opened_by_key(key).is_some());
    Ok(ReceiptPage {
        shell: app.shell(Section::Request),
        reference: request.reference.to_string(),
        is_new: request.kind == Kind::Initiate,
        key: key.map(|key| key.reveal()),
        submitted: when(request.submitted_at, request.now),
        promise: span(clocks.promise),
        promised: when(clocks.promised_by(request.submitted_at), request.now),
        status_url: format!(
            "{}/requests/{}",
            app.site().public_url.as_str(),
            request.reference
        ),
        proof,
    })
}
