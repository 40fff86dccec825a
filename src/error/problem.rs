//! What a person or a program is told about what went wrong.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::base32;

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
    pub(super) const CROWDED_FOR: u16 = 2;

    /// A problem in these words.
    #[must_use]
    pub const fn new(status: StatusCode, title: &'static str, detail: &'static str) -> Self {
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

    /// The same, to be tried again after so many seconds.
    #[must_use]
    pub const fn again_after(mut self, seconds: u16) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// The same, with a link that leads back: its address and its text.
    #[must_use]
    pub const fn with_way(mut self, address: &'static str, text: &'static str) -> Self {
        self.way = Some((address, text));
        self
    }

    /// A form with errors: the names of the fields, and what to type instead.
    #[must_use]
    pub fn form<F: Into<String>, M: Into<String>>(
        errors: impl IntoIterator<Item = (F, M)>,
    ) -> Self {
        let errors = errors.into_iter().map(|(field, message)| FieldProblem {
            field: field.into(),
            message: message.into(),
        });
        Self {
            errors: errors.collect(),
            ..Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "There is a problem with what was entered",
                "Each field at fault is named with what to enter instead. Nothing was stored.",
            )
        }
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
        Self::form([(name, message)])
    }

    /// The service already has a pending request.
    #[must_use]
    pub const fn pending() -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "A request of this service is in progress",
            "A service has one request at a time. Wait until that one is provisioned, or withdraw it.",
        )
        .with_way("/service", "See the service and its requests")
    }

    /// Nobody is signed in to the support desk, and what was asked for is no page that could lead to
    /// where one signs in.
    #[must_use]
    pub const fn signed_out() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "You are not signed in any more",
            "The session has ended. Sign in to the support desk again.",
        )
        .with_way("/staff/sign-in", "Sign in to the support desk")
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
            StatusCode::SERVICE_UNAVAILABLE => Self::new(
                status,
                "The portal cannot answer just now",
                "Nothing that was acknowledged is lost. If you sent a form, send it again in a minute: it will not be stored twice.",
            )
            .again_after(Self::BUSY_FOR),
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

    /// Logs the cause once, under an id that is all the client sees of it.
    pub(super) fn internal(cause: &dyn std::fmt::Display) -> Self {
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
