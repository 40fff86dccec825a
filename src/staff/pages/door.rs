//! How do staff get in and out, and how is the first account made?

use axum::{
    extract::{Query, State, rejection::QueryRejection},
    http::{StatusCode, header},
    response::{AppendHeaders, IntoResponse as _, Redirect, Response},
};
use axum_extra::extract::cookie::CookieJar;
use serde::Deserialize;

use super::{
    QUEUE,
    session::{self, DOOR, SignedIn, own_path},
    view::{SetUpPage, SignInPage},
};
use crate::{
    app::App,
    error::{Error, FieldProblem, Problem},
    request::pages::view::Field,
    staff::{
        Name, SetUpToken, StaffId, gate,
        password::{Hashed, Password},
        store,
    },
    web::{form::Fields, limit::FailedTry, page, shell::Section},
};

/// The one answer to a wrong name, a wrong password, and an account that is shut.
const NOT_OPENED: &str = "No account is opened by this name and this password together. Check both";

/// The query of the page where staff sign in.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Wanted {
    next: String,
}

/// `GET /staff/sign-in`: whoever is signed in already goes on.
pub(crate) async fn sign_in(
    State(app): State<App>,
    signed_in: Option<SignedIn>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Response, Error> {
    let Query(Wanted { next }) = wanted.map_err(|_| Error::OtherQuery)?;
    let next = own_path(&next).unwrap_or_default();
    if signed_in.is_some() {
        return Ok(on(next));
    }
    sign_in_page(&app, "", next, None)
}

/// The fields of `POST /staff/sign-in`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SignInForm {
    name: String,
    password: String,
    next: String,
}

/// `POST /staff/sign-in`.
pub(crate) async fn send_sign_in(
    State(app): State<App>,
    earlier: Option<SignedIn>,
    jar: CookieJar,
    Fields(form): Fields<SignInForm>,
) -> Result<Response, Error> {
    let next = own_path(&form.next).unwrap_or_default();
    let name = Name::parse(&form.name).ok();
    let kept = store::password(&app.db().pool, name.as_ref()).await?;
    // A name that there is not and one that cannot be are slowed down like all others.
    let known = match (&name, &kept) {
        (Some(name), Some((_, password))) => {
            let shown = session::shown_mark(&app, &jar);
            gate::is_marked(&shown, &app.db().secret, name.as_str(), password)
        }
        _ => false,
    };
    if !known {
        let typed = name.as_ref().map_or("", Name::as_str);
        app.gate().brake.take(typed).map_err(Error::AccountBusy)?;
    }
    let hashed = kept.as_ref().map(|(_, hashed)| hashed.clone());
    let typed = Password::typed(form.password);
    let right = app.gate().hasher.matches(typed, hashed).await?;
    let opened = match (kept, name) {
        (Some((staff, password)), Some(name)) if right => {
            open(&app, staff, &name, &password, next, earlier).await?
        }
        _ => None,
    };
    match opened {
        Some(response) => {
            if !known {
                let typed = Name::parse(&form.name);
                app.gate()
                    .brake
                    .give_back(typed.as_ref().map_or("", Name::as_str));
            }
            Ok(response)
        }
        None => sign_in_page(&app, &form.name, next, Some(NOT_OPENED)),
    }
}

/// Opens a session and leads on; `None`: the account was changed meanwhile.
async fn open(
    app: &App,
    staff: StaffId,
    name: &Name,
    password: &Hashed,
    next: &str,
    earlier: Option<SignedIn>,
) -> Result<Option<Response>, Error> {
    let pool = &app.db().pool;
    let Some(token) = store::sign_in(pool, staff, password).await? else {
        return Ok(None);
    };
    // The browser forgets its earlier session, so nobody else shall have it.
    if let Some(earlier) = earlier {
        store::sign_out(pool, &earlier.token).await?;
    }
    let mark = gate::mark(&app.db().secret, name.as_str(), password);
    let cookies = [session::cookie(app, &token), session::mark(app, mark)];
    let cookies = cookies.map(|cookie| (header::SET_COOKIE, cookie.to_string()));
    Ok(Some((AppendHeaders(cookies), on(next)).into_response()))
}

/// To the page that was wanted, or to the queue.
fn on(next: &str) -> Response {
    Redirect::to(if next.is_empty() { QUEUE } else { next }).into_response()
}

fn sign_in_page(
    app: &App,
    name: &str,
    next: &str,
    problem: Option<&'static str>,
) -> Result<Response, Error> {
    let mut shell = app.shell(Section::Staff);
    shell.error = problem.is_some();
    let view = SignInPage {
        shell,
        name: Field {
            value: name.into(),
            errors: problem.iter().map(|text| (*text).into()).collect(),
            ..Field::new("name")
        },
        password: Field::new("password"),
        next: next.into(),
    };
    let Some(message) = problem else {
        return page(StatusCode::OK, &view);
    };
    let mut response = page(StatusCode::UNPROCESSABLE_ENTITY, &view)?;
    response
        .extensions_mut()
        .insert(Problem::field("name", message));
    response.extensions_mut().insert(FailedTry);
    Ok(response)
}

/// `POST /staff/sign-out`. The mark stays: it is the browser that is known by it, not a session.
pub(crate) async fn sign_out(
    State(app): State<App>,
    signed_in: Option<SignedIn>,
) -> Result<Response, Error> {
    if let Some(signed_in) = signed_in {
        store::sign_out(&app.db().pool, &signed_in.token).await?;
    }
    let cookie = session::removal(&app).to_string();
    Ok((
        AppendHeaders([(header::SET_COOKIE, cookie)]),
        Redirect::to(DOOR),
    )
        .into_response())
}

/// The query of the set-up link.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Link {
    token: String,
}

impl Link {
    /// The token, if the link is alive.
    async fn open(&self, app: &App) -> Result<SetUpToken, Error> {
        // Whoever has no link at all has guessed nothing.
        let token = SetUpToken::parse(&self.token).ok_or(Error::SetUpOver)?;
        if store::set_up_is_open(&app.db().pool, &token).await? {
            return Ok(token);
        }
        Err(Error::SetUpOver)
    }
}

/// `GET /staff/set-up?token=`: the form for the first account.
pub(crate) async fn set_up(
    State(app): State<App>,
    link: Result<Query<Link>, QueryRejection>,
) -> Result<Response, Error> {
    let Query(link) = link.map_err(|_| Error::OtherQuery)?;
    let token = link.open(&app).await?;
    set_up_page(&app, &token, "", [None, None])
}

/// The fields of `POST /staff/set-up`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SetUpForm {
    name: String,
    password: String,
}

/// `POST /staff/set-up?token=`: makes the first account, an agent, and signs it in.
pub(crate) async fn send_set_up(
    State(app): State<App>,
    link: Result<Query<Link>, QueryRejection>,
    Fields(form): Fields<SetUpForm>,
) -> Result<Response, Error> {
    let Query(link) = link.map_err(|_| Error::OtherQuery)?;
    let token = link.open(&app).await?;
    let name = match Name::parse(&form.name) {
        Ok(name) => name,
        Err(problem) => {
            return set_up_page(&app, &token, &form.name, [Some(problem.to_string()), None]);
        }
    };
    let password = match Password::new(form.password, &name) {
        Ok(password) => password,
        Err(problem) => {
            return set_up_page(&app, &token, &form.name, [None, Some(problem.to_string())]);
        }
    };
    let hashed = app.gate().hasher.hash(password).await?;
    let staff = store::set_up(&app.db().pool, &token, &name, &hashed).await?;
    let staff = staff.ok_or(Error::SetUpOver)?;
    let opened = open(&app, staff, &name, &hashed, "", None).await?;
    Ok(opened.unwrap_or_else(|| Redirect::to(DOOR).into_response()))
}

/// The form, with what is wrong with name and password.
fn set_up_page(
    app: &App,
    token: &SetUpToken,
    typed: &str,
    problems: [Option<String>; 2],
) -> Result<Response, Error> {
    let wrong: Vec<_> = ["name", "password"]
        .into_iter()
        .zip(&problems)
        .filter_map(|(field, message)| {
            Some(FieldProblem {
                field: field.into(),
                message: message.clone()?,
            })
        })
        .collect();
    let mut shell = app.shell(Section::Staff);
    shell.error = !wrong.is_empty();
    let [name, password] = problems.map(|problem| problem.into_iter().collect());
    let view = SetUpPage {
        shell,
        token: token.reveal(),
        name: Field {
            // An address is not shown again: nobody needs it in the page's source.
            value: if typed.contains('@') { "" } else { typed }.into(),
            errors: name,
            ..Field::new("name")
        },
        password: Field {
            errors: password,
            ..Field::new("password")
        },
    };
    if wrong.is_empty() {
        return page(StatusCode::OK, &view);
    }
    let mut response = page(StatusCode::UNPROCESSABLE_ENTITY, &view)?;
    response.extensions_mut().insert(Problem::form(wrong));
    Ok(response)
}
