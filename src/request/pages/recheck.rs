//! Handles *Check again*: an administrator who has fixed something asks for a check now.

use axum::{
    extract::{OriginalUri, State},
    response::{IntoResponse as _, Redirect, Response},
};

use super::load::{ReferencePath, Requests};
use crate::{
    db::notify::Notifier,
    error::Error,
    request::store,
    web::{
        client::Client,
        form::{Fields, NoFields},
    },
};

/// `POST /requests/{reference}/check-again`: queues a check now, and redirects to the request's
/// page, which says what became of it. Limited by network, and for one request to once in [`store::AGAIN_AFTER`]; pressing the
/// button too early changes nothing.
pub(crate) async fn check_again(
    requests: Requests,
    State(notifier): State<Notifier>,
    reference: ReferencePath,
    OriginalUri(uri): OriginalUri,
    Client(network): Client,
    Fields(NoFields {}): Fields<NoFields>,
) -> Result<Response, Error> {
    let request = requests.named(&reference, &uri).await?;
    if request.due_at.is_none() {
        return Err(Error::Ended);
    }
    requests.site.throttle.checks.take(network)?;
    let before = if store::check_again(&requests.pool, &request).await? {
        notifier.wake();
        let before = request.checked_at.map_or(0, |at| at.timestamp());
        before.to_string()
    } else {
        "early".to_owned()
    };
    let page = format!("/requests/{}?again={before}#checks", request.reference);
    Ok(Redirect::to(&page).into_response())
}
