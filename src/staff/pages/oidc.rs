//! The way to the OpenID provider and back, and the provider's logout.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{Query, State, rejection::QueryRejection},
    http::{StatusCode, header},
    response::{AppendHeaders, IntoResponse as _, Redirect, Response},
};
use axum_extra::extract::cookie::CookieJar;
use serde::Deserialize;

use super::{
    session::{self, DOOR, SignedIn, own_path},
    sign_in::{Door, on},
};
use crate::{
    error::{Error, FailedTry, Problem},
    staff::oidc::{
        self, Person,
        attempt::{Attempt, Purpose},
        provider::{Fault, Provider},
        store,
    },
    web::{client::Client, cookie, form::Fields, limit::Taken},
};

/// The cookie of an attempt (`staff::oidc::attempt`).
const ATTEMPT: cookie::Kind = cookie::Kind {
    name: "pic_staff_oidc",
    everywhere: true,
    lasts: Some(time::Duration::minutes(10)),
};
/// How much older a proof may be than was asked for: the way back takes its time.
const ON_THE_WAY: Duration = Duration::from_mins(1);
/// Errors by which the provider does not vouch for the person (OpenID Connect Core 1.0, 3.1.2.6).
const UNSURE: [&str; 5] = [
    "access_denied",
    "account_selection_required",
    "consent_required",
    "interaction_required",
    "login_required",
];

/// What a person is told who was not signed in.
fn told(status: StatusCode, title: &'static str, detail: &'static str) -> Error {
    let mut problem = Problem::of(status);
    problem.title = title;
    problem.detail = detail;
    problem.way = Some((DOOR, "Back to where one signs in"));
    Error::Told(Box::new(problem))
}

fn not_signed_in(detail: &'static str) -> Error {
    told(StatusCode::FORBIDDEN, "You were not signed in", detail)
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        tracing::warn!(%fault, "somebody could not be signed in");
        match fault {
            Fault::Away | Fault::Client => told(
                StatusCode::SERVICE_UNAVAILABLE,
                "Your organisation’s sign-in cannot be reached",
                "Try again in a minute. Until it can be asked, nobody is signed in by it.",
            ),
            Fault::Refused | Fault::Invalid => not_signed_in(
                "What your organisation’s sign-in said could not be used, or was used already. Sign in again.",
            ),
        }
    }
}

/// The query of the way to the provider.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Leaving {
    #[serde(rename = "for")]
    purpose: String,
    next: String,
}

/// `GET /staff/sign-in/oidc`: sends the browser to the provider.
pub(crate) async fn leave(
    door: Door,
    State(provider): State<Option<Arc<Provider>>>,
    leaving: Result<Query<Leaving>, QueryRejection>,
) -> Result<Response, Error> {
    let provider = provider.ok_or(Error::NoPage)?;
    let Query(leaving) = leaving.map_err(|_| Error::OtherQuery)?;
    let purpose = Purpose::parse(&leaving.purpose).ok_or(Error::OtherQuery)?;
    let attempt = Attempt::new(purpose, own_path(&leaving.next).unwrap_or_default());
    let address = provider.address(&attempt, &door.secret).await?;
    let cookie = ATTEMPT.set(&door.site, None, attempt.to_cookie());
    let cookie = AppendHeaders([(header::SET_COOKIE, cookie.to_string())]);
    Ok((cookie, Redirect::to(&address)).into_response())
}

/// What the provider sends the browser back with.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Back {
    state: String,
    code: String,
    error: String,
    iss: String,
}

/// `GET /staff/sign-in/oidc/callback`: where the provider sends the browser back to.
pub(crate) async fn back(
    door: Door,
    State(provider): State<Option<Arc<Provider>>>,
    Client(network): Client,
    jar: CookieJar,
    signed_in: Option<SignedIn>,
    back: Result<Query<Back>, QueryRejection>,
) -> Result<Response, Error> {
    let provider = provider.ok_or(Error::NoPage)?;
    let Query(back) = back.map_err(|_| Error::OtherQuery)?;
    let kept = ATTEMPT.value(&door.site, &jar);
    let attempt = kept.and_then(|cookie| Attempt::parse(&cookie));
    let Some(attempt) = attempt.filter(|it| it.is_of(&back.state, &door.secret)) else {
        // Another window of this browser has begun after this one, and was first.
        if signed_in.is_some() {
            return Ok(on(""));
        }
        return Err(not_signed_in(
            "This is not the end of what this browser began, or it took too long. Sign in again.",
        ));
    };
    if !back.iss.is_empty() && back.iss != provider.oidc.issuer {
        return Err(Fault::Invalid.into());
    }
    if back.code.is_empty() {
        return denied(&door, &jar, &attempt, &back.error).await;
    }
    // A success writes a row, and each try costs the provider an answer.
    let throttle = &door.site.throttle;
    let success = throttle.sign_ins.take(network)?;
    let tried = match throttle.tries.take(network) {
        Ok(tried) => tried,
        Err(too_many) => {
            success.give_back();
            return Err(too_many.into());
        }
    };
    let asked = provider.person(
        back.code,
        &attempt,
        &door.secret,
        door.site.throttle.clock.now(),
    );
    let person = match asked.await {
        Ok(person) => person,
        Err(fault) => {
            success.give_back();
            if fault == Fault::Away {
                tried.give_back();
            }
            return Err(fault.into());
        }
    };
    tried.give_back();
    enter(&door, &provider, &jar, &attempt, &person, success).await
}

/// The provider has sent no code.
async fn denied(
    door: &Door,
    jar: &CookieJar,
    attempt: &Attempt,
    error: &str,
) -> Result<Response, Error> {
    if !UNSURE.contains(&error) {
        return Err(Fault::Away.into());
    }
    if attempt.purpose != Purpose::Confirm {
        return Err(not_signed_in(
            "Your organisation’s sign-in did not let you through. Sign in again.",
        ));
    }
    // It does not vouch for the person any more without asking, so the session is over.
    if let Some(token) = session::token_in(&door.site, jar) {
        crate::staff::store::sign_out(&door.pool, &token).await?;
    }
    let query = [("next", own_path(&attempt.next).unwrap_or_default())];
    let query = serde_html_form::to_string(query).unwrap_or_default();
    Ok(Redirect::to(&format!("{DOOR}?{query}")).into_response())
}

/// Lets the person in for whom the provider vouches, or says why not.
async fn enter(
    door: &Door,
    provider: &Provider,
    jar: &CookieJar,
    attempt: &Attempt,
    person: &Person,
    success: Taken<'_>,
) -> Result<Response, Error> {
    let Some(role) = person.role else {
        success.give_back();
        store::end(&door.pool, &person.subject, None).await?;
        return Err(not_signed_in(
            "Your account is in no group that may use the support desk. Whoever runs the portal can tell you which.",
        ));
    };
    if attempt.purpose == Purpose::StepUp && !is_recent(provider, person) {
        success.give_back();
        return Err(told(
            StatusCode::FORBIDDEN,
            "That was not enough",
            "Your organisation’s sign-in did not ask you again, or not as strictly as is needed for this. Nothing was done.",
        ));
    }
    let next = own_path(&attempt.next).unwrap_or_default();
    let earlier = session::token_in(&door.site, jar);
    let done = ATTEMPT.remove(&door.site, None).to_string();
    if let Some(earlier) = &earlier
        && attempt.purpose != Purpose::SignIn
        && store::confirm(&door.pool, earlier, person, role).await?
    {
        success.give_back();
        return Ok((AppendHeaders([(header::SET_COOKIE, done)]), on(next)).into_response());
    }
    let Some(token) = store::open(&door.pool, person, role).await? else {
        return Err(not_signed_in(
            "Your account is disabled here. Whoever runs the portal can enable it.",
        ));
    };
    if let Some(earlier) = earlier {
        crate::staff::store::sign_out(&door.pool, &earlier).await?;
    }
    let session = session::COOKIE.set(&door.site, None, token.reveal());
    let cookies = [session.to_string(), done].map(|cookie| (header::SET_COOKIE, cookie));
    Ok((AppendHeaders(cookies), on(next)).into_response())
}

/// Whether the person has proved who they are as recently as a step-up asks for.
fn is_recent(provider: &Provider, person: &Person) -> bool {
    let most = provider.oidc.step_up.unwrap_or(oidc::LASTS);
    person
        .proved_ago
        .is_some_and(|ago| ago <= most + ON_THE_WAY)
}

/// The field of the provider's logout.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LogoutForm {
    logout_token: String,
}

/// `POST /staff/sign-in/oidc/logout`: the provider says that somebody has signed out there (OpenID
/// Connect Back-Channel Logout 1.0).
pub(crate) async fn log_out(
    door: Door,
    State(provider): State<Option<Arc<Provider>>>,
    Fields(form): Fields<LogoutForm>,
) -> Result<Response, Error> {
    let provider = provider.ok_or(Error::NoPage)?;
    let logout = match provider
        .logout(&form.logout_token, door.site.throttle.clock.now())
        .await
    {
        Ok(logout) => logout,
        Err(Fault::Away) => return Err(Fault::Away.into()),
        Err(_) => {
            let mut response = Problem::of(StatusCode::BAD_REQUEST).into_response();
            response.extensions_mut().insert(FailedTry);
            return Ok(response);
        }
    };
    let issuer = &provider.oidc.issuer;
    let subject = oidc::subject(&door.secret, issuer, &logout.subject);
    let session = logout.session.as_deref();
    let session = session.map(|it| oidc::session(&door.secret, issuer, it));
    store::end(&door.pool, &subject, session.as_ref()).await?;
    Ok(StatusCode::OK.into_response())
}
