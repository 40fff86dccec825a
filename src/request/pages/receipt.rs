//! The receipt: reference, management key, what was asked for, and what happens next.

use askama::Template;
use axum::{extract::OriginalUri, http::StatusCode, response::Response};
use axum_extra::extract::cookie::CookieJar;
use chrono::TimeDelta;

use super::{
    again::asked,
    load::{ReferencePath, Requests},
    proof::{self, Records},
    routes_of,
};
use crate::{
    error::Error,
    readiness::{Mode, ProofMode},
    request::{
        Deployment, Kind,
        loader::Lookup,
        reference::Reference,
        store::{Request, cancelled},
    },
    secret::ManagementKey,
    web::{
        cookie, page,
        parts::{EdgeText, When},
        shell::{Section, Shell},
        site::Site,
        text,
        when::{span, when},
    },
};

/// `GET /requests/{reference}/receipt`.
#[derive(Clone, Debug, Template)]
#[template(path = "request/receipt.html")]
pub(super) struct ReceiptPage<'a> {
    /// The frame of the page.
    pub shell: Shell<'a>,
    /// The request's public name.
    pub reference: String,
    /// What was asked for. A new service has a key of its own.
    pub kind: Kind,
    /// Programme, number and users, each with its name.
    pub asked: Vec<(&'static str, String)>,
    /// Whether it waits, and some users of its domains are online.
    pub is_split: bool,
    /// The routes that were asked for, or that a cancel ends.
    pub edges: Vec<EdgeText>,
    /// The management key; `None` when it is no longer shown.
    pub key: Option<String>,
    /// When the request was submitted.
    pub submitted: When,
    /// The promise in words, such as `48 hours`.
    pub promise: String,
    /// The time by which the provider promises to be done.
    pub promised: When,
    /// Absolute address of the status page, to be bookmarked.
    pub status_url: String,
    /// The records that prove who owns its domains, where it waits for them.
    pub proof: Option<Records>,
}

/// `GET /requests/{reference}/receipt.txt`.
#[derive(Clone, Debug, Template)]
#[template(path = "request/receipt.txt", escape = "none")]
pub(super) struct ReceiptText<'a> {
    /// The page with the same content.
    pub page: &'a ReceiptPage<'a>,
}

impl ReceiptPage<'_> {
    fn is_new(&self) -> bool {
        self.kind == Kind::Initiate
    }

    fn is_cancel(&self) -> bool {
        self.kind == Kind::Cancel
    }

    /// On what the promise depends, as the end of a sentence.
    fn proviso(&self) -> &'static str {
        match (self.kind, self.shell.checks) {
            (Kind::Cancel, _) => "",
            (_, Mode::Enforce) => ", if nothing is missing on your side",
            (_, Mode::Advise | Mode::Off) if self.proof.is_some() => {
                ", if the TXT records are published and no other service holds one of the domains"
            }
            (_, Mode::Advise | Mode::Off) => ", if no other service holds one of the domains",
        }
    }

    /// What to leave off while a split domain waits.
    fn leave_off(&self) -> &'static str {
        if self.is_new() {
            "Leave external communications off online until this request is provisioned."
        } else {
            "For domains that are new here: leave external communications off online until this request is provisioned."
        }
    }

    /// What was received, as the heading.
    fn title(&self) -> &'static str {
        match self.kind {
            Kind::Initiate => "Request received",
            Kind::Update => "Update received",
            Kind::Cancel => "Cancellation received",
        }
    }
}

/// How long the management key can be seen (`docs/design.md#contract`).
const KEY_SHOWN_FOR: time::Duration = time::Duration::minutes(15);

/// How long after a request was sent the same form, sent again, shows the management key again:
/// long enough for a client that lost the first response, and not for someone who finds the form in
/// an old log.
const KEY_SHOWN_AGAIN_FOR: TimeDelta = TimeDelta::hours(24);

/// Whether a form that was sent before shows its management key once more.
pub(super) async fn shows_key_again(
    requests: &Requests,
    reference: Reference,
) -> Result<bool, Error> {
    let look = Lookup {
        reference,
        session: None,
    };
    let found = requests.loader.whole(look).await?;
    Ok(found.is_some_and(|(request, _)| request.now - request.submitted_at < KEY_SHOWN_AGAIN_FOR))
}

/// The cookie that brings the management key to the receipt.
pub(crate) const COOKIE: cookie::Kind = cookie::Kind {
    name: "pic_receipt",
    everywhere: false,
    lasts: Some(KEY_SHOWN_FOR),
};

/// The key that a browser sends, if any; it is not yet compared with the service's.
pub(crate) fn key_in(site: &Site, jar: &CookieJar) -> Option<ManagementKey> {
    ManagementKey::parse(&COOKIE.value(site, jar)?)
}

/// `GET /requests/{reference}/receipt`.
pub(crate) async fn receipt(
    requests: Requests,
    reference: ReferencePath,
    OriginalUri(uri): OriginalUri,
    jar: CookieJar,
) -> Result<Response, Error> {
    let request = requests.named(&reference, &uri).await?;
    let view = view(&requests, &request, &jar).await;
    view.and_then(|view| page(StatusCode::OK, &view))
}

/// `GET /requests/{reference}/receipt.txt`.
pub(crate) async fn receipt_text(
    requests: Requests,
    reference: ReferencePath,
    OriginalUri(uri): OriginalUri,
    jar: CookieJar,
) -> Result<Response, Error> {
    let request = requests.named(&reference, &uri).await?;
    let page = view(&requests, &request, &jar).await?;
    text(&ReceiptText { page: &page })
}

async fn view<'a>(
    requests: &'a Requests,
    request: &Request,
    jar: &CookieJar,
) -> Result<ReceiptPage<'a>, Error> {
    let site = &requests.site;
    let clocks = &site.clocks;
    // The receipt does not mention domains that another service holds; the request's page does.
    let proof = if site.checks.proof() == ProofMode::Always {
        proof::missing(request, &proof::needed(requests, request).await?)
    } else {
        None
    };
    let cancels = cancelled(&requests.pool, request).await?;
    // Only this service's key is shown: a client can send any cookie.
    let key = key_in(site, jar).filter(|key| request.opened_by_key(key).is_some());
    Ok(ReceiptPage {
        shell: site.shell(match request.kind {
            Kind::Initiate => Section::Request,
            Kind::Update | Kind::Cancel => Section::Service,
        }),
        reference: request.reference.to_string(),
        kind: request.kind,
        asked: asked(request, true),
        is_split: request.deployment == Some(Deployment::Split)
            && request.state.pending().is_some(),
        edges: routes_of(&[&request.routes[..], &cancels].concat()),
        key: key.map(|key| key.reveal()),
        submitted: when(request.submitted_at, request.now),
        promise: span(clocks.promise),
        promised: when(
            request
                .facts()
                .promised_by(clocks)
                .unwrap_or_else(|| clocks.promised_by(request.submitted_at)),
            request.now,
        ),
        status_url: format!(
            "{}/requests/{}",
            site.public_url.as_str(),
            request.reference
        ),
        proof,
    })
}
