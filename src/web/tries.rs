//! Counts attempts at what can be guessed: before a guarded form does anything, and afterwards
//! where a response reports that one has failed (`web::limit` has the rule).

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::Method,
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use super::{client::Client, site::Site};
use crate::{
    error::{Error, FailedTry},
    server::network::Network,
};

/// Whether this is the response to a failed attempt; the caller counts it.
fn has_failed(answered: &mut Response) -> bool {
    answered.extensions_mut().remove::<FailedTry>().is_some()
}

/// Counts a failed attempt of `network` where the route is not guarded; over the limit the response
/// is 429, whatever it would have been.
pub(super) fn count_try(site: &Site, network: Network, mut answered: Response) -> Response {
    if has_failed(&mut answered)
        && let Err(too_many) = site.throttle.tries.take(network)
    {
        return Error::TooMany(too_many).into_response();
    }
    answered
}

/// Counts an attempt before a guarded `POST` does anything, and gives it back unless it failed.
/// Only `POST`, because keys and passwords are only posted.
pub(super) async fn guard_tries(
    State(site): State<Arc<Site>>,
    request: Request,
    next: Next,
) -> Response {
    if request.method() != Method::POST {
        return next.run(request).await;
    }
    let Client(network) = Client::of(&site, request.extensions(), request.headers());
    let taken = match site.throttle.tries.take(network) {
        Ok(taken) => taken,
        Err(too_many) => return Error::TooMany(too_many).into_response(),
    };
    let mut answered = next.run(request).await;
    if !has_failed(&mut answered) {
        taken.give_back();
    }
    answered
}
