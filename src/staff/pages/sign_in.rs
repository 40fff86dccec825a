//! Signs staff in and out, and makes the first account.

use axum::{
    extract::{FromRef, FromRequestParts},
    http::request::Parts,
};
use axum::{
    extract::{Query, State, rejection::QueryRejection},
    http::{StatusCode, header},
    response::{AppendHeaders, IntoResponse as _, Redirect, Response},
};
use axum_extra::extract::cookie::CookieJar;
use serde::Deserialize;
use std::{convert::Infallible, sync::Arc};

use super::{
    QUEUE,
    session::{self, DOOR, SignedIn, own_path},
    view::{SetUpPage, SignInPage},
};
use crate::{
    db::PgPool,
    error::{Error, FieldProblem, Problem},
    secret::{Secret, SessionToken, SetUpToken},
    server::network::Network,
    staff::{
        Name, StaffId,
        login_throttle::{self, LoginThrottle, Paid},
        password::{Hashed, Lane, Password},
        store,
    },
    web::{
        client::Client, form::Fields, limit::Taken, page, parts::Field, shell::Section, site::Site,
    },
};

/// The only answer to a wrong name, a wrong password, and a disabled account.
const NOT_OPENED: &str = "No account is opened by this name and this password together. Check both";

/// The query of the sign-in page.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Wanted {
    next: String,
}

/// `GET /staff/sign-in`: redirects browsers that are signed in already.
pub(crate) async fn sign_in(
    State(site): State<Arc<Site>>,
    signed_in: Option<SignedIn>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Response, Error> {
    let Query(Wanted { next }) = wanted.map_err(|_| Error::OtherQuery)?;
    let next = own_path(&next).unwrap_or_default();
    if signed_in.is_some() {
        return Ok(on(next));
    }
    sign_in_page(&site, "", next, None)
}

/// The fields of `POST /staff/sign-in`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SignInForm {
    name: String,
    password: String,
    next: String,
}

/// One attempt to sign in, counted before anything is compared: for the account, and for the
/// network unless the browser is known. When dropped, it stays counted.
struct Attempt<'a> {
    network: Option<Taken<'a>>,
    account: Paid<'a>,
    /// Successes are limited too: each writes a row.
    success: Taken<'a>,
}

impl<'a> Attempt<'a> {
    /// Counts the attempt, or says why not; then nothing is counted.
    fn take(
        door: &'a Door,
        network: Network,
        name: Option<&Name>,
        is_known: bool,
    ) -> Result<Self, Error> {
        let (throttle, gate) = (&door.site.throttle, &door.gate);
        let success = throttle.sign_ins.take(network)?;
        let tried = if is_known {
            Ok(None)
        } else {
            throttle.tries.take(network).map(Some)
        };
        let network = match tried {
            Ok(network) => network,
            Err(too_many) => {
                success.give_back();
                return Err(too_many.into());
            }
        };
        let brake = if is_known { &gate.known } else { &gate.brake };
        // Names that do not exist or cannot exist are throttled like all others.
        match brake.take(name.map_or("", Name::as_str)) {
            Ok(account) => Ok(Self {
                network,
                account,
                success,
            }),
            Err(too_many) => {
                success.give_back();
                network.into_iter().for_each(Taken::give_back);
                Err(Error::AccountBusy(too_many))
            }
        }
    }

    /// Records that the password was right.
    fn succeeded(self) {
        self.network.into_iter().for_each(Taken::give_back);
        self.account.give_back();
    }

    /// Records that the password was wrong.
    fn failed(self) {
        self.success.give_back();
    }

    /// Takes the attempt off the count, because nothing was compared.
    fn give_back(self) {
        self.network.into_iter().for_each(Taken::give_back);
        self.account.give_back();
        self.success.give_back();
    }
}

/// `POST /staff/sign-in`. Nothing is queried before an attempt is counted, except for a browser
/// that has a mark: so many attempts at once do not keep the database busy, and a client that is
/// refused learns nothing about the account.
pub(crate) async fn send_sign_in(
    door: Door,
    Client(network): Client,
    jar: CookieJar,
    Fields(form): Fields<SignInForm>,
) -> Result<Response, Error> {
    let next = own_path(&form.next).unwrap_or_default();
    let name = Name::parse(&form.name).ok();
    let is_known = door.is_known(&jar, name.as_ref()).await?;
    let attempt = Attempt::take(&door, network, name.as_ref(), is_known)?;
    let lane = if is_known {
        Lane::Known
    } else {
        Lane::Of(network)
    };
    let typed = Password::typed(form.password);
    let (kept, right) = match door.compare(name.as_ref(), typed, lane).await {
        Ok(compared) => compared,
        Err(error) => {
            attempt.give_back();
            return Err(error);
        }
    };
    let opened = match (kept, name) {
        (Some((staff, password)), Some(name)) if right => {
            let earlier = session::token_in(&door.site, &jar);
            door.open(staff, &name, &password, next, earlier).await?
        }
        _ => None,
    };
    if let Some(response) = opened {
        attempt.succeeded();
        return Ok(response);
    }
    attempt.failed();
    sign_in_page(&door.site, &form.name, next, Some(NOT_OPENED))
}

/// The parts of the state that signing in needs.
pub(crate) struct Door {
    site: Arc<Site>,
    pool: PgPool,
    secret: Secret,
    gate: Arc<LoginThrottle>,
}

impl<S> FromRequestParts<S> for Door
where
    Arc<Site>: FromRef<S>,
    PgPool: FromRef<S>,
    Secret: FromRef<S>,
    Arc<LoginThrottle>: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Infallible;

    async fn from_request_parts(_: &mut Parts, state: &S) -> Result<Self, Infallible> {
        Ok(Self {
            site: Arc::from_ref(state),
            pool: PgPool::from_ref(state),
            secret: Secret::from_ref(state),
            gate: Arc::from_ref(state),
        })
    }
}

impl Door {
    /// Whether the browser has the mark of the account of this name.
    async fn is_known(&self, jar: &CookieJar, name: Option<&Name>) -> Result<bool, Error> {
        let shown = session::KNOWN.value(&self.site, jar).unwrap_or_default();
        let Some(name) = name.filter(|name| login_throttle::was_marked(&shown, &self.secret, name))
        else {
            return Ok(false);
        };
        let kept = store::password(&self.pool, Some(name)).await?;
        Ok(kept.is_some_and(|(_, password)| {
            login_throttle::is_marked(&shown, &self.secret, name, &password)
        }))
    }

    /// The account of this name, if it may sign in, and whether `typed` is its password.
    async fn compare(
        &self,
        name: Option<&Name>,
        typed: Password,
        lane: Lane,
    ) -> Result<(Option<(StaffId, Hashed)>, bool), Error> {
        let kept = store::password(&self.pool, name).await?;
        let hashed = kept.as_ref().map(|(_, hashed)| hashed.clone());
        let right = self.gate.hasher.matches(typed, hashed, lane).await?;
        Ok((kept, right))
    }

    /// Opens a session and redirects; `None`: the account was changed meanwhile.
    async fn open(
        &self,
        staff: StaffId,
        name: &Name,
        password: &Hashed,
        next: &str,
        earlier: Option<SessionToken>,
    ) -> Result<Option<Response>, Error> {
        let Some(token) = store::sign_in(&self.pool, staff, password).await? else {
            return Ok(None);
        };
        // The browser loses its earlier session, so that session is ended.
        if let Some(earlier) = earlier {
            store::sign_out(&self.pool, &earlier).await?;
        }
        let mark = login_throttle::mark(&self.secret, name, password);
        let cookies = [
            session::COOKIE.set(&self.site, None, token.reveal()),
            session::KNOWN.set(&self.site, None, mark),
        ];
        let cookies = cookies.map(|cookie| (header::SET_COOKIE, cookie.to_string()));
        Ok(Some((AppendHeaders(cookies), on(next)).into_response()))
    }
}

/// Redirects to the page that was wanted, or to the queue.
fn on(next: &str) -> Response {
    Redirect::to(if next.is_empty() { QUEUE } else { next }).into_response()
}

fn sign_in_page(
    site: &Site,
    name: &str,
    next: &str,
    problem: Option<&'static str>,
) -> Result<Response, Error> {
    let mut shell = site.shell(Section::Staff);
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
    Ok(response)
}

/// `POST /staff/sign-out`. The mark stays: it belongs to the browser, not to a session.
pub(crate) async fn sign_out(
    State(site): State<Arc<Site>>,
    State(pool): State<PgPool>,
    signed_in: Option<SignedIn>,
) -> Result<Response, Error> {
    if let Some(signed_in) = signed_in {
        store::sign_out(&pool, &signed_in.token).await?;
    }
    let cookie = session::COOKIE.remove(&site, None).to_string();
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
    /// The token, if the link is valid.
    async fn open(&self, pool: &PgPool) -> Result<SetUpToken, Error> {
        // A request without any token is no guess.
        let token = SetUpToken::parse(&self.token).ok_or(Error::SetUpOver)?;
        if store::set_up_is_open(pool, &token).await? {
            return Ok(token);
        }
        Err(Error::SetUpOver)
    }
}

/// `GET /staff/set-up?token=`: the form for the first account.
pub(crate) async fn set_up(
    State(site): State<Arc<Site>>,
    State(pool): State<PgPool>,
    link: Result<Query<Link>, QueryRejection>,
) -> Result<Response, Error> {
    let Query(link) = link.map_err(|_| Error::OtherQuery)?;
    let token = link.open(&pool).await?;
    set_up_page(&site, &token, "", [None, None])
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
    door: Door,
    Client(network): Client,
    link: Result<Query<Link>, QueryRejection>,
    Fields(form): Fields<SetUpForm>,
) -> Result<Response, Error> {
    let Query(link) = link.map_err(|_| Error::OtherQuery)?;
    let token = link.open(&door.pool).await?;
    let name = match Name::parse(&form.name) {
        Ok(name) => name,
        Err(problem) => {
            return set_up_page(
                &door.site,
                &token,
                &form.name,
                [Some(problem.to_string()), None],
            );
        }
    };
    let password = match Password::new(form.password, &name) {
        Ok(password) => password,
        Err(problem) => {
            return set_up_page(
                &door.site,
                &token,
                &form.name,
                [None, Some(problem.to_string())],
            );
        }
    };
    let lane = Lane::Of(network);
    let hashed = door.gate.hasher.hash(password, lane).await?;
    let staff = store::set_up(&door.pool, &token, &name, &hashed).await?;
    let staff = staff.ok_or(Error::SetUpOver)?;
    let opened = door.open(staff, &name, &hashed, "", None).await?;
    Ok(opened.unwrap_or_else(|| Redirect::to(DOOR).into_response()))
}

/// The form, with what is wrong with name and password.
fn set_up_page(
    site: &Site,
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
    let mut shell = site.shell(Section::Staff);
    shell.error = !wrong.is_empty();
    let [name, password] = problems.map(|problem| problem.into_iter().collect());
    let view = SetUpPage {
        shell,
        token: token.reveal(),
        name: Field {
            // An address is not shown again, so that it is not in the page's source.
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
