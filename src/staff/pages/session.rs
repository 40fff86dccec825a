//! Who is asking: which member of the staff is this browser signed in as?

use axum::{
    extract::{FromRequestParts, OptionalFromRequestParts},
    http::{Method, Uri, request::Parts},
    response::{IntoResponse as _, Redirect, Response},
};
use axum_extra::extract::cookie::{Cookie, CookieJar, SameSite};

use crate::{
    app::App,
    error::Error,
    staff::{Account, Role, SessionToken, store},
};

/// Where staff sign in.
pub(super) const DOOR: &str = "/staff/sign-in";
/// A header of what an open page asks for by itself (`static/source/js/live.js`): nobody is at it.
const BY_ITSELF: &str = "x-pic-live";
/// How long a browser is known again (`staff::gate`).
const MARK_LASTS: time::Duration = time::Duration::days(90);

/// The name of a cookie. Over https it demands that it was set over https, for this host alone and
/// for all of it.
fn cookie_name(app: &App, name: &'static str) -> String {
    let prefix = if app.site().public_url.is_https() {
        "__Host-"
    } else {
        ""
    };
    format!("{prefix}{name}")
}

fn build(app: &App, name: &'static str, value: String) -> cookie::CookieBuilder<'static> {
    Cookie::build((cookie_name(app, name), value))
        .path("/")
        .http_only(true)
        .secure(app.site().public_url.is_https())
        .same_site(SameSite::Lax)
}

/// The cookie that keeps a browser signed in until it is closed or the session ends.
pub(super) fn cookie(app: &App, token: &SessionToken) -> Cookie<'static> {
    build(app, "pic_staff", token.reveal()).build()
}

/// The cookie that takes the session's cookie away.
pub(super) fn removal(app: &App) -> Cookie<'static> {
    build(app, "pic_staff", String::new())
        .max_age(time::Duration::ZERO)
        .build()
}

/// The cookie by which a browser is known again.
pub(super) fn mark(app: &App, mark: String) -> Cookie<'static> {
    build(app, "pic_staff_known", mark)
        .max_age(MARK_LASTS)
        .build()
}

/// What the browser shows to be known again, or nothing.
pub(super) fn shown_mark(app: &App, jar: &CookieJar) -> String {
    jar.get(&cookie_name(app, "pic_staff_known"))
        .map(|cookie| cookie.value().to_owned())
        .unwrap_or_default()
}

/// The session that a browser brings, if it brings one: it may have ended.
pub(super) fn token_in(app: &App, jar: &CookieJar) -> Option<SessionToken> {
    SessionToken::parse(jar.get(&cookie_name(app, "pic_staff"))?.value())
}

/// A browser in which somebody is signed in to the support desk.
#[derive(Clone, Debug)]
pub(crate) struct SignedIn {
    /// Who.
    pub(crate) account: Account,
    /// The session.
    pub(crate) token: SessionToken,
}

impl OptionalFromRequestParts<App> for SignedIn {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Option<Self>, Error> {
        let Some(token) = token_in(app, &CookieJar::from_headers(&parts.headers)) else {
            return Ok(None);
        };
        let in_use = !parts.headers.contains_key(BY_ITSELF);
        let account = store::session(&app.db().pool, &token, in_use).await?;
        Ok(account.map(|account| Self { account, token }))
    }
}

/// Somebody who may look. Whoever is not signed in is led to where one signs in, and back.
#[derive(Clone, Debug)]
pub(crate) struct Reader(pub(crate) SignedIn);

impl FromRequestParts<App> for Reader {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        match <SignedIn as OptionalFromRequestParts<App>>::from_request_parts(parts, app).await {
            Ok(Some(signed_in)) => Ok(Self(signed_in)),
            Ok(None) => Err(Redirect::to(&way_in(&parts.method, &parts.uri)).into_response()),
            Err(error) => Err(error.into_response()),
        }
    }
}

/// Somebody who may look and act. A reader is told that it takes an agent.
#[derive(Clone, Debug)]
pub(crate) struct Agent(pub(crate) SignedIn);

impl FromRequestParts<App> for Agent {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        let Reader(signed_in) = Reader::from_request_parts(parts, app).await?;
        match signed_in.account.role {
            Role::Agent => Ok(Self(signed_in)),
            Role::Reader => Err(Error::NotAgent.into_response()),
        }
    }
}

/// Where somebody signs in who wanted this page; a form that was sent is not sent again.
fn way_in(method: &Method, uri: &Uri) -> String {
    let wanted = uri.path_and_query().map_or("", |wanted| wanted.as_str());
    match own_path(wanted) {
        Some(wanted) if method.is_safe() => {
            let query = serde_html_form::to_string([("next", wanted)]).unwrap_or_default();
            format!("{DOOR}?{query}")
        }
        _ => DOOR.to_owned(),
    }
}

/// `next`, if it is a page of the support desk and nothing else: no other host, no other scheme,
/// nothing that a browser would read otherwise than we do.
pub(super) fn own_path(next: &str) -> Option<&str> {
    const LONGEST: usize = 2_000;
    let plain = |c: char| c.is_ascii_graphic() && c != '\\';
    let inside = next
        .strip_prefix("/staff/")
        .filter(|rest| !rest.starts_with("sign-") && !rest.starts_with("set-up"))?;
    let path = inside.split(['?', '#']).next().unwrap_or_default();
    let is_own = next.len() <= LONGEST
        && next.chars().all(plain)
        && !path.starts_with('/')
        && !path.contains("//")
        && !path.split('/').any(|part| part == "." || part == "..");
    is_own.then_some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back_is_an_own_page_or_none() {
        for own in [
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
            "/staff",
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
    }
}
