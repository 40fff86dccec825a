//! The account page: staff change their password and end their sessions.

use axum::{
    extract::{Query, State, rejection::QueryRejection},
    http::{StatusCode, header},
    response::{AppendHeaders, IntoResponse as _, Redirect, Response},
};
use serde::Deserialize;
use std::sync::Arc;

use super::{
    desk,
    session::{self, DOOR, Reader, SignedIn},
    view::{AccountPage, Tab},
};
use crate::{
    db::PgPool,
    error::{Error, FailedTry, Problem},
    secret::Secret,
    staff::{
        login_throttle::{self, LoginThrottle},
        password::{Lane, Password},
        store,
    },
    web::{form::Fields, page, page_with, parts::Field, shell::Section, site::Site},
};

/// The query after a change.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct After {
    changed: String,
}

/// `GET /staff/account`.
pub(crate) async fn account(
    State(site): State<Arc<Site>>,
    State(pool): State<PgPool>,
    Reader(signed_in): Reader,
    after: Result<Query<After>, QueryRejection>,
) -> Result<Response, Error> {
    let Query(after) = after.map_err(|_| Error::OtherQuery)?;
    let mut view = view(&site, &pool, &signed_in).await?;
    view.changed = !after.changed.is_empty();
    page(StatusCode::OK, &view)
}

async fn view<'a>(
    site: &'a Site,
    pool: &PgPool,
    signed_in: &SignedIn,
) -> Result<AccountPage<'a>, Error> {
    let sessions = store::sessions(pool, signed_in.account.id).await?;
    Ok(AccountPage {
        shell: site.shell(Section::Staff),
        desk: desk(signed_in, Tab::Account),
        old: Field::new("old"),
        new: Field::new("new"),
        sessions: usize::try_from(sessions).unwrap_or_default(),
        has_password: store::password(pool, Some(&signed_in.account.name))
            .await?
            .is_some(),
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

/// `POST /staff/account`: changes the password. Every other session ends.
pub(crate) async fn send_password(
    State(site): State<Arc<Site>>,
    State(pool): State<PgPool>,
    State(secret): State<Secret>,
    State(gate): State<Arc<LoginThrottle>>,
    Reader(signed_in): Reader,
    Fields(form): Fields<PasswordForm>,
) -> Result<Response, Error> {
    let account = &signed_in.account;
    let new = match Password::new(form.new, &account.name) {
        Ok(new) => new,
        Err(problem) => return refuse(&site, &pool, &signed_in, "new", &problem.to_string()).await,
    };
    let kept = store::password(&pool, Some(&account.name)).await?;
    let old = kept.map(|(_, hashed)| hashed);
    // A browser that was left open gives no right to guess. Attempts from elsewhere are counted
    // separately.
    let paid = gate.known.take(account.name.as_str());
    let paid = paid.map_err(Error::AccountBusy)?;
    let hasher = &gate.hasher;
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
        let mut response = refuse(&site, &pool, &signed_in, "old", message).await?;
        response.extensions_mut().insert(FailedTry);
        return Ok(response);
    };
    paid.give_back();
    let new = hasher.hash(new, Lane::Known).await?;
    if !store::change_password(&pool, account, &old, &new, &signed_in.token).await? {
        // The password was changed elsewhere at the same moment, which has ended this session.
        return Ok(Redirect::to(DOOR).into_response());
    }
    let mark = login_throttle::mark(&secret, &account.name, &new);
    let cookie = session::KNOWN.set(&site, None, mark).to_string();
    Ok((
        AppendHeaders([(header::SET_COOKIE, cookie)]),
        Redirect::to("/staff/account?changed=yes"),
    )
        .into_response())
}

async fn refuse(
    site: &Site,
    pool: &PgPool,
    signed_in: &SignedIn,
    field: &str,
    message: &str,
) -> Result<Response, Error> {
    let mut view = view(site, pool, signed_in).await?;
    view.shell.error = true;
    let at = if field == "old" {
        &mut view.old
    } else {
        &mut view.new
    };
    at.errors.push(message.to_owned());
    page_with(Problem::field(field, message), &view)
}

/// `POST /staff/account/sign-out`: ends every session of the account, including this one.
pub(crate) async fn sign_out_everywhere(
    State(site): State<Arc<Site>>,
    State(pool): State<PgPool>,
    Reader(signed_in): Reader,
) -> Result<Response, Error> {
    store::sign_out_everywhere(&pool, signed_in.account.id).await?;
    let cookie = session::COOKIE.remove(&site, None).to_string();
    Ok((
        AppendHeaders([(header::SET_COOKIE, cookie)]),
        Redirect::to(DOOR),
    )
        .into_response())
}
