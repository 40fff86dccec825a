//! What can a member of the staff do to the own account?

use axum::{
    extract::{Query, State, rejection::QueryRejection},
    http::{StatusCode, header},
    response::{AppendHeaders, IntoResponse as _, Redirect, Response},
};
use serde::Deserialize;

use super::{
    desk,
    session::{self, DOOR, Reader, SignedIn},
    view::{AccountPage, Tab},
};
use crate::{
    app::App,
    error::{Error, Problem},
    request::pages::view::Field,
    staff::{
        gate,
        password::{Lane, Password},
        store,
    },
    web::{form::Fields, limit::FailedTry, page, shell::Section},
};

/// The query after a change.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct After {
    changed: String,
}

/// `GET /staff/account`.
pub(crate) async fn account(
    State(app): State<App>,
    Reader(signed_in): Reader,
    after: Result<Query<After>, QueryRejection>,
) -> Result<Response, Error> {
    let Query(after) = after.map_err(|_| Error::OtherQuery)?;
    let mut view = view(&app, &signed_in).await?;
    view.changed = !after.changed.is_empty();
    page(StatusCode::OK, &view)
}

async fn view<'a>(app: &'a App, signed_in: &SignedIn) -> Result<AccountPage<'a>, Error> {
    let sessions = store::sessions(&app.db().pool, signed_in.account.id).await?;
    Ok(AccountPage {
        shell: app.shell(Section::Staff),
        desk: desk(signed_in, Tab::Account),
        old: Field::new("old"),
        new: Field::new("new"),
        sessions: usize::try_from(sessions).unwrap_or_default(),
        changed: false,
    })
}

/// The fields of `POST /staff/account`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct PasswordForm {
    old: String,
    new: String,
}

/// `POST /staff/account`: another password. Every other session ends.
pub(crate) async fn send_password(
    State(app): State<App>,
    Reader(signed_in): Reader,
    Fields(form): Fields<PasswordForm>,
) -> Result<Response, Error> {
    let (account, pool) = (&signed_in.account, &app.db().pool);
    let new = match Password::new(form.new, &account.name) {
        Ok(new) => new,
        Err(problem) => return refuse(&app, &signed_in, "new", &problem.to_string()).await,
    };
    let kept = store::password(pool, Some(&account.name)).await?;
    let old = kept.map(|(_, hashed)| hashed);
    // A browser that somebody has left open is no licence to guess. What others try elsewhere is
    // not held against it.
    let paid = app.gate().known.take(account.name.as_str());
    let paid = paid.map_err(Error::AccountBusy)?;
    let hasher = &app.gate().hasher;
    let typed = Password::typed(form.old);
    let right = match hasher.matches(typed, old.clone(), Lane::Known).await {
        Ok(right) => right,
        Err(fault) => {
            paid.give_back();
            return Err(fault.into());
        }
    };
    let (Some(old), true) = (old, right) else {
        let message = "That is not your password. Enter the one you have signed in with";
        let mut response = refuse(&app, &signed_in, "old", message).await?;
        response.extensions_mut().insert(FailedTry);
        return Ok(response);
    };
    paid.give_back();
    let new = hasher.hash(new, Lane::Known).await?;
    if !store::change_password(pool, account, &old, &new, &signed_in.token).await? {
        // Changed elsewhere in the same moment; this session has ended with it.
        return Ok(Redirect::to(DOOR).into_response());
    }
    let mark = gate::mark(&app.db().secret, &account.name, &new);
    let cookie = session::mark(&app, mark).to_string();
    Ok((
        AppendHeaders([(header::SET_COOKIE, cookie)]),
        Redirect::to("/staff/account?changed=yes"),
    )
        .into_response())
}

async fn refuse(
    app: &App,
    signed_in: &SignedIn,
    field: &str,
    message: &str,
) -> Result<Response, Error> {
    let mut view = view(app, signed_in).await?;
    view.shell.error = true;
    let at = if field == "old" {
        &mut view.old
    } else {
        &mut view.new
    };
    at.errors.push(message.to_owned());
    let mut response = page(StatusCode::UNPROCESSABLE_ENTITY, &view)?;
    response
        .extensions_mut()
        .insert(Problem::field(field, message));
    Ok(response)
}

/// `POST /staff/account/sign-out`: ends every session of the account, this one too.
pub(crate) async fn sign_out_everywhere(
    State(app): State<App>,
    Reader(signed_in): Reader,
) -> Result<Response, Error> {
    store::sign_out_everywhere(&app.db().pool, signed_in.account.id).await?;
    let cookie = session::removal(&app).to_string();
    Ok((
        AppendHeaders([(header::SET_COOKIE, cookie)]),
        Redirect::to(DOOR),
    )
        .into_response())
}
