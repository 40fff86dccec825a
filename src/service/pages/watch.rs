//! The feed and the calendar of a service, at a secret address, and the page where that is made.

use axum::{
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{AppendHeaders, IntoResponse as _, Redirect, Response},
};
use axum_extra::extract::cookie::{Cookie, CookieJar};
use serde::Deserialize;
use std::sync::Arc;

use super::{
    super::store::{self, watch as secrets},
    news::News,
    view::WatchPage,
};
use crate::{
    db::PgPool,
    error::{Error, Problem},
    request::{live::ical, pages::receipt},
    secret::WatchToken,
    session::SignedIn,
    web::{client::Client, conditional, form::Fields, page, shell::Section, site::Site},
};

/// The page where the addresses are made and, for fifteen minutes, shown.
const PAGE: &str = "/service/watch";

/// The cookie that removes the one with the secret.
pub(super) fn removal(site: &Site) -> Cookie<'static> {
    receipt::COOKIE.remove(site, Some(PAGE.to_owned()))
}

/// The absolute address of a file with this secret.
fn address(site: &Site, secret: &WatchToken, file: &str) -> String {
    let origin = site.public_url.as_str();
    format!("{origin}/watch/{}/{file}", secret.reveal())
}

/// `GET /service/watch`.
pub(crate) async fn watch(
    State(site): State<Arc<Site>>,
    State(pool): State<PgPool>,
    signed_in: SignedIn,
    jar: CookieJar,
) -> Result<Response, Error> {
    let service = store::look_up(&pool, signed_in.service).await?;
    let hash = service.watch_hash.as_deref();
    let brought = receipt::COOKIE.value(&site, &jar);
    let secret = brought.and_then(|value| WatchToken::parse(&value));
    let secret = secret.filter(|secret| hash == Some(secret.hash().as_slice()));
    page(
        StatusCode::OK,
        &WatchPage {
            shell: site.shell(Section::Service),
            addresses: secret.map(|secret| {
                let of = |file| address(&site, &secret, file);
                (of("feed.atom"), of("calendar.ics"))
            }),
            is_watched: hash.is_some(),
        },
    )
}

/// The fields of `POST /service/watch`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct WatchForm {
    /// `make` or `withdraw`.
    action: String,
}

/// `POST /service/watch`: makes new addresses, or withdraws them. The old ones stop at once.
pub(crate) async fn send_watch(
    State(site): State<Arc<Site>>,
    State(pool): State<PgPool>,
    signed_in: SignedIn,
    Client(network): Client,
    Fields(form): Fields<WatchForm>,
) -> Result<Response, Error> {
    let secret = match form.action.as_str() {
        "make" => Some(WatchToken::random()),
        "withdraw" => None,
        _ => return Ok(Problem::field("action", "Send make or withdraw").into_response()),
    };
    site.throttle.keys.take(network)?;
    if !secrets::replace(&pool, signed_in.service, secret.as_ref(), &signed_in.token).await? {
        return Ok(Redirect::to("/service").into_response());
    }
    let cookie = secret.map_or_else(
        || removal(&site),
        |it| receipt::COOKIE.set(&site, Some(PAGE.to_owned()), it.reveal()),
    );
    let cookie = AppendHeaders([(header::SET_COOKIE, cookie.to_string())]);
    Ok((cookie, Redirect::to(PAGE)).into_response())
}

/// What is to be told of the service with this secret.
async fn news(site: &Site, pool: &PgPool, secret: &WatchToken) -> Result<News, Error> {
    let watched = secrets::watched(pool, secret).await?;
    let watched = watched.ok_or(Error::NoWatch)?;
    let service = store::look_up(pool, watched.id).await?;
    Ok(News::of(site, service, watched))
}

/// `GET /watch/{secret}/feed.atom`.
pub(crate) async fn watch_feed(
    State(site): State<Arc<Site>>,
    State(pool): State<PgPool>,
    Path(secret): Path<String>,
    asked: HeaderMap,
) -> Result<Response, Error> {
    let secret = WatchToken::parse(&secret).ok_or(Error::NoWatch)?;
    let news = news(&site, &pool, &secret).await?;
    let own = address(&site, &secret, "feed.atom");
    news.feed(&site, own).answer(&asked, news.now())
}

/// `GET /watch/{secret}/calendar.ics`.
pub(crate) async fn watch_calendar(
    State(site): State<Arc<Site>>,
    State(pool): State<PgPool>,
    Path(secret): Path<String>,
    asked: HeaderMap,
) -> Result<Response, Error> {
    let secret = WatchToken::parse(&secret).ok_or(Error::NoWatch)?;
    let news = news(&site, &pool, &secret).await?;
    let body = news.calendar();
    // It changes from one day to the next without an event, so it is known by its tag alone.
    let now = news.now();
    Ok(conditional::answer(&asked, ical::KIND, now, now, body))
}
