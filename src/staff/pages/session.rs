//! The sessions of staff, and the extractors that check them.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{FromRef, FromRequestParts, OptionalFromRequestParts},
    http::{HeaderMap, Method, StatusCode, Uri, header, request::Parts},
    response::{IntoResponse as _, Redirect, Response},
};
use axum_extra::extract::cookie::CookieJar;

use super::{
    desk,
    view::{StepUpPage, Tab},
};
use crate::{
    db::PgPool,
    error::{Error, Problem},
    secret::SessionToken,
    staff::{
        Account, Role,
        oidc::{CONFIRMED_AHEAD, store as oidc_store},
        store::{self, Look},
    },
    web::{cookie, page_with, shell::Section, site::Site},
};

/// The sign-in page of the staff.
pub(super) const DOOR: &str = "/staff/sign-in";
/// A header of requests that an open page makes in the background (`static/source/js/live.js`):
/// they are no use of the session.
const POLLED_HEADER: &str = "x-pic-live";
/// What browsers say of a request for a whole page.
const NAVIGATE: (&str, &[u8]) = ("sec-fetch-mode", b"navigate");
/// How long a browser keeps its mark (`staff::login_throttle`).
const MARK_LASTS: time::Duration = time::Duration::days(90);

/// The cookie that keeps a browser signed in until it is closed or the session ends.
pub(super) const COOKIE: cookie::Kind = cookie::Kind {
    name: "pic_staff",
    everywhere: true,
    lasts: None,
};

/// The cookie with the mark of a known browser (`staff::login_throttle`).
pub(super) const KNOWN: cookie::Kind = cookie::Kind {
    name: "pic_staff_known",
    everywhere: true,
    lasts: Some(MARK_LASTS),
};

/// The session token that a browser sends, if any; the session may have ended.
pub(super) fn token_in(site: &Site, jar: &CookieJar) -> Option<SessionToken> {
    SessionToken::parse(&COOKIE.value(site, jar)?)
}

/// A browser that is signed in to the support desk.
#[derive(Clone, Debug)]
pub(crate) struct SignedIn {
    /// The account it is signed in to.
    pub(crate) account: Account,
    /// The token of its session.
    pub(crate) token: SessionToken,
}

impl<S> OptionalFromRequestParts<S> for SignedIn
where
    Arc<Site>: FromRef<S>,
    PgPool: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Option<Self>, Error> {
        let site = Arc::<Site>::from_ref(state);
        let jar = CookieJar::from_headers(&parts.headers);
        let Some(token) = token_in(&site, &jar) else {
            return Ok(None);
        };
        let mode = parts.headers.get(NAVIGATE.0);
        let is_page =
            parts.method == Method::GET && mode.is_some_and(|mode| mode.as_bytes() == NAVIGATE.1);
        let look = Look {
            in_use: !parts.headers.contains_key(POLLED_HEADER),
            passwords: site.sign_in.passwords,
            ahead: if is_page {
                CONFIRMED_AHEAD
            } else {
                Duration::ZERO
            },
        };
        let account = store::session(&PgPool::from_ref(state), &token, look).await?;
        Ok(account.map(|account| Self { account, token }))
    }
}

/// Any signed-in account. Others are redirected to the sign-in page, and back afterwards; a script
/// that asks for a stream of events can do nothing with that page and gets an error.
#[derive(Clone, Debug)]
pub(crate) struct Reader(pub(crate) SignedIn);

impl<S> FromRequestParts<S> for Reader
where
    Arc<Site>: FromRef<S>,
    PgPool: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        match <SignedIn as OptionalFromRequestParts<S>>::from_request_parts(parts, state).await {
            Ok(Some(signed_in)) => Ok(Self(signed_in)),
            Ok(None) if wants_events(&parts.headers) => Err(Problem::signed_out().into_response()),
            Ok(None) => Err(Redirect::to(&way_in(&parts.method, &parts.uri)).into_response()),
            Err(error) => Err(error.into_response()),
        }
    }
}

/// Whether a script asks for a stream of events, as browsers say it.
fn wants_events(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT);
    accept.is_some_and(|accept| accept.as_bytes() == b"text/event-stream")
}

/// A signed-in account that may act. A reader gets an error that says so.
#[derive(Clone, Debug)]
pub(crate) struct Agent(pub(crate) SignedIn);

impl<S> FromRequestParts<S> for Agent
where
    Arc<Site>: FromRef<S>,
    PgPool: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let Reader(signed_in) = Reader::from_request_parts(parts, state).await?;
        match signed_in.account.role {
            Role::Agent => Ok(Self(signed_in)),
            Role::Reader => Err(Error::NotAgent.into_response()),
        }
    }
}

/// An agent who has proved to the OpenID provider who they are, as recently as `PIC_OIDC_STEP_UP`
/// asks for. Others get a page that leads to the provider and back.
#[derive(Clone, Debug)]
pub(crate) struct Proved(pub(crate) SignedIn);

impl<S> FromRequestParts<S> for Proved
where
    Arc<Site>: FromRef<S>,
    PgPool: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let Agent(signed_in) = Agent::from_request_parts(parts, state).await?;
        let (site, pool) = (Arc::<Site>::from_ref(state), PgPool::from_ref(state));
        let back = page_of(&parts.method, &parts.uri);
        match step_up(&site, &pool, &signed_in, &back).await {
            Ok(None) => Ok(Self(signed_in)),
            Ok(Some(page)) => Err(page),
            Err(error) => Err(error.into_response()),
        }
    }
}

/// The page that leads to the OpenID provider, and from there to `back`. None is needed where
/// `PIC_OIDC_STEP_UP` is not set, or this agent has proved it recently.
pub(super) async fn step_up(
    site: &Site,
    pool: &PgPool,
    signed_in: &SignedIn,
    back: &str,
) -> Result<Option<Response>, Error> {
    let Some(time) = site.sign_in.oidc.as_ref().and_then(|oidc| oidc.step_up) else {
        return Ok(None);
    };
    if oidc_store::has_proved(pool, &signed_in.token, time).await? {
        return Ok(None);
    }
    let view = StepUpPage {
        shell: site.shell(Section::Staff),
        desk: desk(signed_in, Tab::Requests),
        way: way_to_provider("step-up", back),
    };
    let (title, detail) = (StepUpPage::TITLE, StepUpPage::DETAIL);
    let problem = Problem::new(StatusCode::FORBIDDEN, title, detail);
    page_with(problem, &view).map(Some)
}

/// The address that leads to the OpenID provider, and back to `next`.
pub(super) fn way_to_provider(purpose: &str, next: &str) -> String {
    let query = [("for", purpose), ("next", next)];
    let given = query.into_iter().filter(|(_, value)| !value.is_empty());
    let query = serde_html_form::to_string(given.collect::<Vec<_>>()).unwrap_or_default();
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{DOOR}/oidc{mark}{query}")
}

/// The address of the sign-in page that leads back to the page that was asked for; a form that was
/// posted is not sent again.
fn way_in(method: &Method, uri: &Uri) -> String {
    let next = page_of(method, uri);
    if next.is_empty() {
        return DOOR.to_owned();
    }
    let query = serde_html_form::to_string([("next", next)]).unwrap_or_default();
    format!("{DOOR}?{query}")
}

/// The page of the desk that was asked for, or the one on which the form stood that was posted, in the
/// same list; empty if there is none.
fn page_of(method: &Method, uri: &Uri) -> String {
    if method.is_safe() {
        let wanted = uri.path_and_query().map_or("", |wanted| wanted.as_str());
        return own_path(wanted).unwrap_or_default().to_owned();
    }
    let path = uri.path();
    let page = match path {
        "/staff/account" | "/staff/account/sign-out" => "/staff/account",
        "/staff/requests/bulk" => super::QUEUE,
        _ => {
            let of_one = ["/staff/requests/", "/staff/services/"];
            let page = path.rsplit_once('/').map_or("", |(page, _)| page);
            let is_there = of_one.iter().any(|it| page.starts_with(it));
            if is_there { page } else { "" }
        }
    };
    let query = uri.query().filter(|_| !page.is_empty());
    let page = query.map_or_else(|| page.to_owned(), |query| format!("{page}?{query}"));
    own_path(&page).unwrap_or_default().to_owned()
}

/// `next`, if it is a page of the support desk and nothing else: no other host, no other scheme,
/// nothing that a browser would parse differently.
pub(super) fn own_path(next: &str) -> Option<&str> {
    const LONGEST: usize = 2_000;
    let plain = |c: char| c.is_ascii_graphic() && c != '\\';
    let path = next.split(['?', '#']).next().unwrap_or_default();
    let inside = match path.strip_prefix("/staff")? {
        "" => "",
        inside => inside.strip_prefix('/')?,
    };
    let is_own = next.len() <= LONGEST
        && next.chars().all(plain)
        && !inside.starts_with("sign-")
        && !inside.starts_with("set-up")
        && !path.contains("//")
        && !path.split('/').any(|part| part == "." || part == "..");
    is_own.then_some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_leads_back_to_the_page_that_it_stands_on() {
        for (posted, page) in [
            (
                "/staff/requests/PIC-1/refuse",
                "%2Fstaff%2Frequests%2FPIC-1",
            ),
            ("/staff/services/7/cancel", "%2Fstaff%2Fservices%2F7"),
            (
                "/staff/requests/PIC-1/mark?state=pending&after=7",
                "%2Fstaff%2Frequests%2FPIC-1%3Fstate%3Dpending%26after%3D7",
            ),
            ("/staff/requests/bulk", "%2Fstaff%2Frequests"),
            (
                "/staff/requests/bulk?state=rejected",
                "%2Fstaff%2Frequests%3Fstate%3Drejected",
            ),
            ("/staff/account", "%2Fstaff%2Faccount"),
            ("/staff/account/sign-out", "%2Fstaff%2Faccount"),
        ] {
            let way = way_in(&Method::POST, &Uri::from_static(posted));
            assert_eq!(way, format!("{DOOR}?next={page}"));
        }
        for none in ["/staff/requests/..%2F/x/../y", "/staff/sign-out"] {
            let way = way_in(&Method::POST, &Uri::from_static(none));
            assert_eq!(way, DOOR, "{none}");
        }
    }

    #[test]
    fn the_way_back_is_an_own_page_or_none() {
        for own in [
            "/staff",
            "/staff?x",
            "/staff/requests",
            "/staff/requests?q=contoso.com&state=pending",
            "/staff/requests?q=https%3A%2F%2Fx",
            "/staff/audit",
        ] {
            assert_eq!(own_path(own), Some(own));
        }
        for other in [
            "",
            "/",
            "/staffs",
            "/staff.evil.example",
            "/staff/../x?y",
            "/service",
            "//evil.example/staff/",
            "https://evil.example/staff/",
            "/staff/\\evil.example",
            "/staff//evil.example",
            "/staff/../service",
            "/staff/requests/./x",
            "/staff/requests\r\nx: y",
            "/staff/requests x",
            "/staff/sign-in?next=/staff/sign-in",
            "/staff/sign-out",
            "/staff/ä",
            "staff/requests",
        ] {
            assert_eq!(own_path(other), None, "{other}");
        }
        assert_eq!(own_path(&format!("/staff/{}", "a".repeat(2_000))), None);
    }

    #[test]
    fn a_form_that_was_sent_is_not_sent_again() {
        let uri: Uri = "/staff/requests?q=a%20b".parse().unwrap();
        assert_eq!(
            way_in(&Method::GET, &uri),
            "/staff/sign-in?next=%2Fstaff%2Frequests%3Fq%3Da%2520b"
        );
        assert_eq!(way_in(&Method::POST, &uri), DOOR);
        let action: Uri = "/staff/requests/PIC-1/refuse".parse().unwrap();
        let page = "/staff/sign-in?next=%2Fstaff%2Frequests%2FPIC-1";
        assert_eq!(way_in(&Method::POST, &action), page);
    }
}
