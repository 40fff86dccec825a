//! What went wrong in a handler, and what a person or a program is told about it.
//!
//! One table: [`Error`] -> [`Problem`] (status, title, what to do) -> a page, or
//! `application/problem+json` (RFC 9457). Causes go to the log, never to the client.

mod problem;

use std::time::Duration;

use axum::{
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};

pub use self::problem::{FieldProblem, Problem};
use crate::db;

/// Why a handler has no page to return.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such page.
    #[error("no such page")]
    NoPage,
    /// There is no request with this reference.
    #[error("no such request")]
    NoRequest,
    /// The form has fields that this form does not have, or is no form at all.
    #[error("a form with other fields than those asked for")]
    OtherFields,
    /// The query string is not what the page expects, such as a field given twice.
    #[error("a query that cannot be read")]
    OtherQuery,
    /// The client's network has done this too often.
    #[error("too many tries")]
    TooMany(TooMany),
    /// There were too many attempts on this staff account, from any network.
    #[error("too many tries at an account")]
    AccountBusy(TooMany),
    /// The service, or the client's network, has had too many new management keys.
    #[error("too many new management keys")]
    TooManyKeys(TooMany),
    /// The service already has a pending request; it can have only one.
    #[error("a request is pending")]
    Pending,
    /// There is nothing in force to cancel.
    #[error("nothing is in force")]
    NothingInForce,
    /// The request has ended in the meantime.
    #[error("the request has ended")]
    Ended,
    /// The action needs the role of an agent, and the account is a reader.
    #[error("for agents alone")]
    NotAgent,
    /// The link for the first staff account was used or has expired.
    #[error("the set-up link is dead")]
    SetUpOver,
    /// There is no such service.
    #[error("no such service")]
    NoService,
    /// No service has a feed or a calendar with this secret.
    #[error("no such feed or calendar")]
    NoWatch,
    /// Too many passwords wait to be hashed.
    #[error("too many passwords wait to be hashed")]
    Crowded,
    /// There is too much to do, or it is unknown whether the request was stored: the client may
    /// send it again. The cause is already in the log.
    #[error("too much to do")]
    Busy,
    /// The database returned an error.
    #[error(transparent)]
    Database(#[from] db::Error),
    /// The address has another, canonical form: this one.
    #[error("moved")]
    Moved(String),
    /// An error with a text of its own.
    #[error("{}", .0.title)]
    Told(Box<Problem>),
    /// Something failed that should never fail.
    #[error("{0}")]
    Internal(&'static str),
    /// A page could not be rendered.
    #[error("a page could not be rendered")]
    Render(#[from] askama::Error),
}

impl From<TooMany> for Error {
    fn from(too_many: TooMany) -> Self {
        Self::TooMany(too_many)
    }
}

/// A limit is reached, and when the next attempt is allowed, if there are no others before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany {
    /// At most the span of the limit: a minute or an hour.
    pub retry_after: Duration,
}

impl TooMany {
    /// Full seconds, at least one, after which the attempt is allowed.
    #[must_use]
    pub fn seconds(&self) -> u16 {
        u16::try_from(self.retry_after.as_millis().div_ceil(1_000).max(1)).unwrap_or(u16::MAX)
    }
}

/// In the extensions of a response: an attempt at something that can be guessed has failed.
#[derive(Clone, Copy, Debug)]
pub struct FailedTry;

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            // A moved address is answered by a redirect before this.
            Error::NoPage | Error::Moved(_) => Self::of(StatusCode::NOT_FOUND),
            Error::NoRequest => Self::new(
                StatusCode::NOT_FOUND,
                "There is no request with this reference",
                "A reference looks like PIC-7K3M-9QTX-4HWD-2ZRB. Check each group of four, or look the request up.",
            )
            .with_way("/status", "Look up a request"),
            Error::OtherFields => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "The form has fields that are not asked for",
                "The portal takes the fields of its own forms and no others, so that no contact information can reach it. Nothing was stored or logged.",
            ),
            Error::OtherQuery => Self::of(StatusCode::BAD_REQUEST),
            Error::TooMany(too_many) => {
                Self::of(StatusCode::TOO_MANY_REQUESTS).again_after(too_many.seconds())
            }
            Error::AccountBusy(too_many) => Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "Too many tries at this account",
                "It was tried too often in a short time, from here or from elsewhere. Wait a moment, then try again: nobody is locked out.",
            )
            .again_after(too_many.seconds())
            .with_way("/staff/sign-in", "Back to where one signs in"),
            Error::TooManyKeys(too_many) => Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "Too many new management keys in a short time",
                "None was made now, and the last one stays in force. Try again later: the answer says after how many seconds.",
            )
            .again_after(too_many.seconds()),
            Error::Pending => Self::pending(),
            Error::NothingInForce => Self::new(
                StatusCode::CONFLICT,
                "There is nothing to cancel",
                "None of this service’s SIP domains is in force.",
            )
            .with_way("/service", "See the service and its requests"),
            Error::Ended => Self::new(
                StatusCode::CONFLICT,
                "This request has ended",
                "It was decided in the meantime and cannot be changed any more. Its page shows how it ended.",
            ),
            Error::NotAgent => Self::new(
                StatusCode::FORBIDDEN,
                "This is for agents",
                "Your account may look and not act. Whoever runs the portal can give you one that may.",
            )
            .with_way("/staff/requests", "Back to the requests"),
            Error::SetUpOver => Self::new(
                StatusCode::NOT_FOUND,
                "This link is over",
                "It makes the first account, once, within an hour of the portal’s start. Sign in; or, if there is no account yet, start the portal again for a new link.",
            )
            .with_way("/staff/sign-in", "Sign in to the support desk"),
            Error::NoService => Self::new(
                StatusCode::NOT_FOUND,
                "There is no such service",
                "Look for one of its requests, by its agreement number or one of its domains.",
            )
            .with_way("/staff/requests", "Find a request"),
            Error::NoWatch => Self::new(
                StatusCode::NOT_FOUND,
                "There is no feed or calendar at this address",
                "The address was withdrawn, or replaced by a new one. Whoever is signed in to the service can make a new one.",
            )
            .with_way("/service/watch", "Feed and calendar of a service"),
            Error::Crowded => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "Too many are signing in at this moment",
                "The password was not looked at, and nothing was stored. Send it again in a few seconds.",
            )
            .again_after(Self::CROWDED_FOR),
            Error::Internal(cause) => Self::internal(&cause),
            Error::Database(error @ (db::Error::Unavailable(_) | db::Error::Conflict(_))) => {
                tracing::warn!(%error, "no answer");
                Self::of(StatusCode::SERVICE_UNAVAILABLE)
            }
            Error::Told(problem) => *problem,
            Error::Busy => Self::of(StatusCode::SERVICE_UNAVAILABLE),
            Error::Database(error) => Self::internal(&error),
            Error::Render(_) => Self::internal(&"a page could not be rendered"),
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        if let Self::Moved(address) = self {
            return Redirect::permanent(&address).into_response();
        }
        // A client that asks for something that does not exist may be guessing.
        let failed = matches!(self, Error::NoRequest | Error::NoWatch | Error::SetUpOver);
        let mut response = Problem::from(self).into_response();
        if failed {
            response.extensions_mut().insert(FailedTry);
        }
        response
    }
}
