//! Signs staff in and out.

use axum::{
    extract::{FromRef, FromRequestParts},
    http::request::Parts,
};
use axum::{
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderValue, StatusCode, header},
    response::{AppendHeaders, IntoResponse as _, Redirect, Response},
};
use axum_extra::extract::cookie::CookieJar;
use serde::Deserialize;
use std::{convert::Infallible, sync::Arc};

use super::{
    QUEUE,
    session::{self, DOOR, SignedIn, own_path},
    view::SignInPage,
};
use crate::{
    db::PgPool,
    error::{Error, Problem},
    secret::{Secret, SessionToken},
    server::network::Network,
    staff::{
        Name, StaffId,
        login_throttle::{self, LoginThrottle, Paid},
        oidc::store as oidc_store,
        password::{Hashed, Lane, Password},
        store,
    },
    web::{
        client::Client, form::Fields, limit::Taken, page, page_with, parts::Field, shell::Section,
        site::Site,
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
    State(pool): State<PgPool>,
    jar: CookieJar,
    signed_in: Option<SignedIn>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Response, Error> {
    let Query(Wanted { next }) = wanted.map_err(|_| Error::OtherQuery)?;
    let next = own_path(&next).unwrap_or_default();
    if signed_in.is_some() {
        return Ok(on(next));
    }
    let token = session::token_in(&site, &jar).filter(|_| site.sign_in.oidc.is_some());
    if let Some(token) = token
        && oidc_store::may_go_on(&pool, &token).await?
    {
        return confirm_page(&site, next);
    }
    sign_in_page(&site, "", next, None)
}

/// The page from which a browser goes on to the provider by itself. A redirect would be refused by
/// browsers after a form: the policy lets forms lead to this origin alone.
fn confirm_page(site: &Site, next: &str) -> Result<Response, Error> {
    let way = session::way_to_provider("confirm", next);
    let refresh = HeaderValue::try_from(format!("0; url={way}"));
    let refresh = refresh.map_err(|_| Error::Internal("an address is no header"))?;
    let mut view = sign_in_view(site, "", next, None);
    view.goes_on = true;
    view.provider = Some(way);
    let mut response = page(StatusCode::OK, &view)?;
    response.headers_mut().insert(header::REFRESH, refresh);
    Ok(response)
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
    if !door.site.sign_in.passwords {
        return Err(no_passwords());
    }
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

/// Whoever posts a password where none is taken.
fn no_passwords() -> Error {
    let problem = Problem::new(
        StatusCode::FORBIDDEN,
        "Passwords are not used here",
        "Staff of this portal sign in with the account of their organisation.",
    );
    Error::Told(Box::new(problem.with_way(DOOR, "Go to where one signs in")))
}

/// The parts of the state that signing in needs.
pub(crate) struct Door {
    pub(super) site: Arc<Site>,
    pub(super) pool: PgPool,
    pub(super) secret: Secret,
    pub(super) gate: Arc<LoginThrottle>,
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
    pub(super) async fn open(
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
pub(super) fn on(next: &str) -> Response {
    Redirect::to(if next.is_empty() { QUEUE } else { next }).into_response()
}

fn sign_in_page(
    site: &Site,
    name: &str,
    next: &str,
    problem: Option<&'static str>,
) -> Result<Response, Error> {
    let view = sign_in_view(site, name, next, problem);
    let Some(message) = problem else {
        return page(StatusCode::OK, &view);
    };
    page_with(Problem::field("name", message), &view)
}

fn sign_in_view<'a>(
    site: &'a Site,
    name: &str,
    next: &str,
    problem: Option<&'static str>,
) -> SignInPage<'a> {
    let mut shell = site.shell(Section::Staff);
    shell.error = problem.is_some();
    let provider = site.sign_in.oidc.as_ref();
    SignInPage {
        shell,
        name: Field {
            value: name.into(),
            errors: problem.iter().map(|text| (*text).into()).collect(),
            ..Field::new("name")
        },
        password: Field::new("password"),
        next: next.into(),
        passwords: site.sign_in.passwords,
        provider: provider.map(|_| session::way_to_provider("", next)),
        goes_on: false,
    }
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
