//! What went wrong in a handler, and what a person or a program is told about it.
//!
//! One table: [`Error`] -> [`Problem`] (status, title, what to do) -> a page, or
//! `application/problem+json` (RFC 9457). Causes go to the log, never to the client.

use std::time::Duration;

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use serde::Serialize;

use crate::{base32, db};

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

/// An error in words, the same for pages and programs.
#[derive(Clone, Debug, Serialize)]
pub struct Problem {
    /// HTTP status.
    #[serde(serialize_with = "number")]
    pub status: StatusCode,
    /// What happened, as a heading.
    pub title: &'static str,
    /// What to do now.
    pub detail: &'static str,
    /// Errors of single fields, where a form was wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldProblem>,
    /// The id by which support staff find the cause in the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incident: Option<String>,
    /// Seconds after which to try again.
    #[serde(skip)]
    pub retry_after: Option<u16>,
    /// A link that leads back: its address and its text.
    #[serde(skip)]
    pub way: Option<(&'static str, &'static str)>,
}

/// What is wrong with one field.
#[derive(Clone, Debug, Serialize)]
pub struct FieldProblem {
    /// The field's name, with its number from 1 where there are several: `edge-2`.
    pub field: String,
    /// What to type instead.
    pub message: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn number<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

impl Problem {
    /// Seconds for `Retry-After` where there is too much to do, or the database is unreachable.
    pub const BUSY_FOR: u16 = 10;
    /// Seconds for `Retry-After` where too many passwords wait to be hashed.
    const CROWDED_FOR: u16 = 2;

    const fn new(status: StatusCode, title: &'static str, detail: &'static str) -> Self {
        Self {
            status,
            title,
            detail,
            errors: Vec::new(),
            incident: None,
            retry_after: None,
            way: None,
        }
    }

    /// A form with errors in these fields.
    #[must_use]
    pub fn form(errors: Vec<FieldProblem>) -> Self {
        let mut problem = Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "There is a problem with what was entered",
            "Each field at fault is named with what to enter instead. Nothing was stored.",
        );
        problem.errors = errors;
        problem
    }

    /// This submission id was used for other content before. The response does not say what that
    /// was: its sender has the receipt.
    #[must_use]
    pub const fn already_sent() -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "This form was sent already",
            "A request with other content was stored from the same form; its receipt has its reference. Begin a new form for another request.",
        )
    }

    /// A form with an error in one field.
    #[must_use]
    pub fn field(name: &str, message: &str) -> Self {
        Self::form(vec![FieldProblem {
            field: name.into(),
            message: message.into(),
        }])
    }

    /// The service already has a pending request.
    #[must_use]
    pub const fn pending() -> Self {
        let mut problem = Self::new(
            StatusCode::CONFLICT,
            "A request of this service is in progress",
            "A service has one request at a time. Wait until that one is provisioned, or withdraw it.",
        );
        problem.way = Some(("/service", "See the service and its requests"));
        problem
    }

    /// Whoever asks for routes has no gateway's token.
    #[must_use]
    pub const fn no_gateway() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "This is for gateways",
            "Send a gateway’s token in the header Authorization, after the word Bearer. Whoever runs the portal makes one.",
        )
    }

    /// What a gateway has is no base for differences.
    #[must_use]
    pub const fn publication_reset() -> Self {
        Self::new(
            StatusCode::GONE,
            "What has changed since then cannot be told",
            "The version is not one of this database, or too much has changed since. Take the whole set.",
        )
    }

    /// The problem for a bare status: layers below the handlers return nothing else.
    #[must_use]
    pub fn of(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::new(
                status,
                "Page not found",
                "If you typed the address, check it. If you followed a link, it may be out of date.",
            ),
            StatusCode::METHOD_NOT_ALLOWED => Self::new(
                status,
                "This address cannot be used like that",
                "Begin again from the start page: the forms there lead to the right places.",
            ),
            StatusCode::REQUEST_TIMEOUT => Self::new(
                status,
                "The form did not arrive in time",
                "The connection was too slow. Nothing was stored: send it again.",
            ),
            StatusCode::URI_TOO_LONG | StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => Self::new(
                status,
                "The address or its headers are too long",
                "If you followed a link, it is damaged. If your browser sends many cookies for this host, delete them.",
            ),
            StatusCode::TOO_MANY_REQUESTS => Self::new(
                status,
                "Too many tries from your network",
                "Wait a minute, then try again. What was sent just now was not looked at, and nothing was stored.",
            ),
            StatusCode::FORBIDDEN => Self::new(
                status,
                "The form came from another site",
                "For your safety only forms of this portal are accepted. Open the form here and send it again.",
            ),
            StatusCode::MISDIRECTED_REQUEST => Self::new(
                status,
                "The portal does not know itself by this name",
                "Open it by its own address. If this is its address, the setting PIC_PUBLIC_URL has to name it.",
            ),
            StatusCode::PAYLOAD_TOO_LARGE => Self::new(
                status,
                "That is too much for one request",
                "A request can have 10 Access Edge FQDNs and 1,000 SIP domains. Split it into several.",
            ),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::new(
                status,
                "That is not a form",
                "Send the fields as application/x-www-form-urlencoded.",
            ),
            StatusCode::SERVICE_UNAVAILABLE => {
                let mut problem = Self::new(
                    status,
                    "The portal cannot answer just now",
                    "Nothing that was acknowledged is lost. If you sent a form, send it again in a minute: it will not be stored twice.",
                );
                problem.retry_after = Some(Self::BUSY_FOR);
                problem
            }
            status if status.is_client_error() => Self::new(
                status,
                "The request was not understood",
                "Begin again from the start page.",
            ),
            status => Self::new(
                status,
                "Something went wrong on our side",
                "It was not your doing. Try again; if you sent a form, it will not be stored twice.",
            ),
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            // A moved address is answered by a redirect before this.
            Error::NoPage | Error::Moved(_) => Self::of(StatusCode::NOT_FOUND),
            Error::NoRequest => Self::not_found(
                "There is no request with this reference",
                "A reference looks like PIC-7K3M-9QTX-4HWD-2ZRB. Check each group of four, or look the request up.",
                ("/status", "Look up a request"),
            ),
            Error::OtherFields => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "The form has fields that are not asked for",
                "The portal takes the fields of its own forms and no others, so that no contact information can reach it. Nothing was stored or logged.",
            ),
            Error::OtherQuery => Self::of(StatusCode::BAD_REQUEST),
            Error::TooMany(too_many) => {
                let mut problem = Self::of(StatusCode::TOO_MANY_REQUESTS);
                problem.retry_after = Some(too_many.seconds());
                problem
            }
            Error::AccountBusy(too_many) => {
                let mut problem = Self::of(StatusCode::TOO_MANY_REQUESTS);
                problem.title = "Too many tries at this account";
                problem.detail = "It was tried too often in a short time, from here or from elsewhere. Wait a moment, then try again: nobody is locked out.";
                problem.retry_after = Some(too_many.seconds());
                problem.way = Some(("/staff/sign-in", "Back to where one signs in"));
                problem
            }
            Error::TooManyKeys(too_many) => {
                let mut problem = Self::of(StatusCode::TOO_MANY_REQUESTS);
                problem.title = "Too many new management keys in a short time";
                problem.detail = "None was made now, and the last one stays in force. Try again later: the answer says after how many seconds.";
                problem.retry_after = Some(too_many.seconds());
                problem
            }
            Error::Pending => Self::pending(),
            Error::NothingInForce => {
                let mut problem = Self::new(
                    StatusCode::CONFLICT,
                    "There is nothing to cancel",
                    "None of this service’s SIP domains is in force.",
                );
                problem.way = Some(("/service", "See the service and its requests"));
                problem
            }
            Error::Ended => Self::new(
                StatusCode::CONFLICT,
                "This request has ended",
                "It was decided in the meantime and cannot be changed any more. Its page shows how it ended.",
            ),
            Error::NotAgent => {
                let mut problem = Self::new(
                    StatusCode::FORBIDDEN,
                    "This is for agents",
                    "Your account may look and not act. Whoever runs the portal can give you one that may.",
                );
                problem.way = Some(("/staff/requests", "Back to the requests"));
                problem
            }
            Error::SetUpOver => Self::not_found(
                "This link is over",
                "It makes the first account, once, within an hour of the portal’s start. Sign in; or, if there is no account yet, start the portal again for a new link.",
                ("/staff/sign-in", "Sign in to the support desk"),
            ),
            Error::NoService => Self::not_found(
                "There is no such service",
                "Look for one of its requests, by its agreement number or one of its domains.",
                ("/staff/requests", "Find a request"),
            ),
            Error::NoWatch => Self::not_found(
                "There is no feed or calendar at this address",
                "The address was withdrawn, or replaced by a new one. Whoever is signed in to the service can make a new one.",
                ("/service/watch", "Feed and calendar of a service"),
            ),
            Error::Crowded => {
                let mut problem = Self::of(StatusCode::SERVICE_UNAVAILABLE);
                problem.title = "Too many are signing in at this moment";
                problem.detail = "The password was not looked at, and nothing was stored. Send it again in a few seconds.";
                problem.retry_after = Some(Self::CROWDED_FOR);
                problem
            }
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

impl Problem {
    /// That something is not there, with a way on.
    fn not_found(
        title: &'static str,
        detail: &'static str,
        way: (&'static str, &'static str),
    ) -> Self {
        let mut problem = Self::new(StatusCode::NOT_FOUND, title, detail);
        problem.way = Some(way);
        problem
    }

    /// Logs the cause once, under an id that is all the client sees of it.
    fn internal(cause: &dyn std::fmt::Display) -> Self {
        let incident = base32::encode(&base32::random::<5>());
        tracing::error!(incident, %cause, "internal error");
        let mut problem = Self::of(StatusCode::INTERNAL_SERVER_ERROR);
        problem.incident = Some(incident);
        problem
    }
}

/// A response with a status and a [`Problem`] but no body yet: `web::error_page` adds the error
/// page.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        if let Some(seconds) = self.retry_after {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response.extensions_mut().insert(self);
        response
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
