//! How does a request stand, what happens next, and who must act?

use axum::{
    extract::{OriginalUri, State},
    http::{HeaderName, HeaderValue, StatusCode},
    response::{IntoResponse as _, Redirect, Response},
};
use serde::Deserialize;

use super::{
    ReferencePath, named, routes_of,
    view::{Event, Finding, Overdue, Publish, StatusPage, Tone, Way},
    when::{between, span, when},
};
use crate::{
    app::App,
    error::{Error, Problem},
    readiness::Code,
    request::{
        Actor, Deployment, EventCode, Reason, Standing, State as Stored,
        store::{self, Request},
    },
    service::ManagementKey,
    web::{form::Fields, limit::FailedTry, page, session::SignedIn, shell::Section},
};

/// `GET /requests/{reference}`.
pub(crate) async fn status(
    State(app): State<App>,
    reference: ReferencePath,
    OriginalUri(uri): OriginalUri,
    signed_in: Option<SignedIn>,
) -> Result<Response, Response> {
    let request = named(&app, &reference, &uri).await?;
    show(&app, &request, signed_in, None).map_err(axum::response::IntoResponse::into_response)
}

/// The fields of `POST /requests/{reference}/withdraw`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct WithdrawForm {
    management_key: String,
}

/// `POST /requests/{reference}/withdraw`, for whoever is signed in to its service or has the
/// management key.
pub(crate) async fn withdraw(
    State(app): State<App>,
    reference: ReferencePath,
    OriginalUri(uri): OriginalUri,
    signed_in: Option<SignedIn>,
    Fields(form): Fields<WithdrawForm>,
) -> Result<Response, Response> {
    let request = named(&app, &reference, &uri).await?;
    if request.state.pending().is_none() {
        return Err(Error::Ended.into_response());
    }
    let opened = signed_in
        .and_then(|signed_in| request.opened_by_service(signed_in.service))
        .or_else(|| request.opened_by_key(&ManagementKey::parse(&form.management_key)?));
    let Some(opened) = opened else {
        let message = if form.management_key.trim().is_empty() {
            "Enter the management key of this service"
        } else {
            "That is not the management key of this service. It stands on the receipt: 26 letters and digits in groups of four"
        };
        let mut response = show(&app, &request, signed_in, Some(message))
            .map_err(axum::response::IntoResponse::into_response)?;
        if !form.management_key.trim().is_empty() {
            response.extensions_mut().insert(FailedTry);
        }
        return Ok(response);
    };
    match store::withdraw(&app.db().pool, &request, opened).await {
        Ok(true) => Ok(Redirect::to(&format!("/requests/{}", request.reference)).into_response()),
        Ok(false) => Err(Error::Ended.into_response()),
        Err(error) => Err(Error::Database(error).into_response()),
    }
}

/// The request's page; 422 when the management key was wrong.
fn show(
    app: &App,
    request: &Request,
    signed_in: Option<SignedIn>,
    wrong_key: Option<&'static str>,
) -> Result<Response, Error> {
    let mut view = view(app, request);
    view.is_own = signed_in.is_some_and(|s| request.opened_by_service(s.service).is_some());
    let mut code = StatusCode::OK;
    if let Some(message) = wrong_key {
        code = StatusCode::UNPROCESSABLE_ENTITY;
        view.shell.error = true;
        view.withdraw_errors.push(message.into());
    }
    let mut response = page(code, &view)?;
    if let Some(message) = wrong_key {
        response
            .extensions_mut()
            .insert(Problem::field("management_key", message));
    }
    response.headers_mut().insert(
        HeaderName::from_static("x-robots-tag"),
        HeaderValue::from_static("noindex"),
    );
    Ok(response)
}

fn view<'a>(app: &'a App, request: &Request) -> StatusPage<'a> {
    let site = app.site();
    let now = request.now;
    let standing = Standing::of(&request.facts(), &site.clocks, now);
    let words = Words::of(standing, request, &site.provider);
    let ended = match request.state {
        Stored::Pending(_) => None,
        Stored::Provisioned { at } | Stored::Rejected { at, .. } | Stored::Withdrawn { at } => {
            Some(at)
        }
    };
    let pending = ended.is_none();
    let promised_by = site.clocks.promised_by(request.submitted_at);
    let overdue = matches!(
        standing,
        Standing::Checking { overdue: true } | Standing::NeedsAction { overdue: true }
    );
    StatusPage {
        shell: app.shell(Section::Status),
        reference: request.reference.to_string(),
        state: request.state.as_str().into(),
        tag: words.tag.into(),
        tone: words.tone,
        headline: words.headline,
        lead: words.lead,
        help: help(standing),
        submitted: when(request.submitted_at, now),
        elapsed: span(between(request.submitted_at, ended.unwrap_or(now))),
        promised: pending.then(|| when(promised_by, now)),
        limit: pending.then(|| when(site.clocks.expires_at(request.submitted_at), now)),
        ended: ended.map(|at| when(at, now)),
        overdue: overdue.then(|| Overdue {
            text: format!(
                "This request is {} past its promise.",
                span(between(promised_by, now))
            ),
            support: site.support.clone().unwrap_or_default(),
        }),
        checked: request.checked_at.map(|at| when(at, now)),
        findings: request
            .findings
            .iter()
            .filter(|finding| finding.code == Code::DomainHeld)
            .map(|finding| held(finding.subject.as_str(), request))
            .collect(),
        routes: routes_of(&request.routes),
        timeline: request
            .events
            .iter()
            .rev()
            .map(|event| told(event, &site.provider, now))
            .collect(),
        can_withdraw: request.state.pending().is_some(),
        is_own: false,
        withdraw_errors: Vec::new(),
    }
}

/// The finding `domain-held` (`design.md`, Whose domain).
fn held(domain: &str, request: &Request) -> Finding {
    let token = &request.token;
    // Whoever publishes it now has it in place when look-ups are on.
    let record = Publish {
        label: format!(
            "The record by which the owner of the zone of {domain} gives the domain to this service. Readiness checks are off here, so it is not looked up yet: the request waits until the holder lets go"
        ),
        line: format!("_pic-portal.{domain}. 300 IN TXT \"pic-service={token}\""),
    };
    Finding {
        code: "domain-held".into(),
        severity: "blocking".into(),
        subject: domain.into(),
        title: format!("{domain} is in force under another service"),
        text: "A SIP domain can be in force once. If it is yours under another agreement or an older request, release it there: this request then goes on by itself. Who holds it is not shown.".into(),
        expected: "Not in force under another service".into(),
        found: "In force under another service".into(),
        publish: request.state.pending().map(|_| record).into_iter().collect(),
    }
}

/// How a standing is said.
struct Words {
    tag: &'static str,
    tone: Tone,
    headline: String,
    lead: String,
}

impl Words {
    fn of(standing: Standing, request: &Request, provider: &str) -> Self {
        let split = request.deployment == Some(Deployment::Split);
        let (tag, tone, headline, lead): (_, _, &str, String) = match standing {
            Standing::Checking { overdue } => (
                if overdue { "Overdue" } else { "In progress" },
                if overdue { Tone::Action } else { Tone::Waiting },
                "Your request is being checked",
                "There is nothing you have to do. As soon as its checks pass, its routes come into force.".into(),
            ),
            Standing::NeedsAction { overdue } => (
                if overdue { "Overdue" } else { "Needs your action" },
                Tone::Action,
                "Your request is waiting for you",
                "What holds it back is listed below, with what to do. It is looked at again by itself.".into(),
            ),
            Standing::InForce => (
                "Provisioned",
                Tone::Good,
                "Your routes are in force",
                if split {
                    format!("Now turn on external communications online for your split domains, and enable {provider} on your own servers.")
                } else {
                    format!("Now enable {provider} on your own servers. Then your users can add contacts.")
                },
            ),
            Standing::Superseded => (
                "Superseded",
                Tone::Neutral,
                "A later request has replaced this one",
                "It was provisioned, and the service has been changed since.".into(),
            ),
            Standing::Cancelled => (
                "Cancelled",
                Tone::Neutral,
                "The service is cancelled",
                "None of its SIP domains is in force any more.".into(),
            ),
            Standing::Rejected(reason) => ("Rejected", Tone::Bad, "This request was rejected", rejected(reason).into()),
            Standing::Withdrawn => (
                "Withdrawn",
                Tone::Neutral,
                "This request was withdrawn",
                "Nothing was changed by it. You can make a new request at any time.".into(),
            ),
        };
        Self {
            tag,
            tone,
            headline: headline.into(),
            lead,
        }
    }
}

/// Where the help has more about a standing. A finding leads to its own page.
fn help(standing: Standing) -> Option<Way> {
    let (href, label) = match standing {
        Standing::Checking { .. } => ("/help/times".into(), "How long it takes"),
        Standing::InForce => (
            "/help/after-provisioning".into(),
            "The commands for your own servers",
        ),
        Standing::Rejected(reason) => (
            format!("/help/reasons/{}", reason.as_str()),
            "What this means and what to do",
        ),
        Standing::NeedsAction { .. }
        | Standing::Superseded
        | Standing::Cancelled
        | Standing::Withdrawn => return None,
    };
    Some(Way {
        href,
        label: label.into(),
    })
}

/// What a rejection means, and what to do.
fn rejected(reason: Reason) -> &'static str {
    match reason {
        Reason::Expired => {
            "Its time limit passed before everything held. Mend what is listed below and make a new request."
        }
        Reason::NotEligible => {
            "The organisation or its servers are not eligible. Check your licences and server versions before you make a new request."
        }
        Reason::Duplicate => {
            "The same routes were asked for by another request. Look at that one instead."
        }
        Reason::WrongInformation => {
            "The agreement number or a name in it is wrong. Check them against your agreement and make a new request."
        }
        Reason::Policy => "The provider's policy does not allow it.",
    }
}

/// An entry of the timeline.
fn told(event: &store::Event, provider: &str, now: chrono::DateTime<chrono::Utc>) -> Event {
    let by = match event.actor {
        Actor::Administrator => "By you",
        Actor::Staff => "By support",
        Actor::Portal => "By the portal",
    };
    let about = event.subject.as_ref().map_or("", |domain| domain.as_str());
    let (title, text) = match event.code {
        EventCode::Submitted => ("Submitted", "The request was stored.".to_owned()),
        EventCode::Held => (
            "Held back",
            "One of its SIP domains is in force under another service.".to_owned(),
        ),
        EventCode::Blocked => (
            "Waiting for you",
            "The checks found something to mend.".to_owned(),
        ),
        EventCode::AtRisk => (
            "At risk",
            "A later check found something to mend. Its routes stay in force.".to_owned(),
        ),
        EventCode::Recovered => (
            "Well again",
            "What a later check had found is mended.".to_owned(),
        ),
        EventCode::Provisioned => (
            "Provisioned",
            format!("Its routes came into force for {provider}."),
        ),
        EventCode::Rejected => ("Rejected", "It ended without its routes.".to_owned()),
        EventCode::Withdrawn => ("Withdrawn", "It was taken back.".to_owned()),
        EventCode::DomainGained => (
            "Domain moved here",
            format!("The owner of the zone of {about} has proved that it belongs to this service."),
        ),
        EventCode::DomainLost => (
            "Domain moved away",
            format!(
                "The owner of the zone of {about} has proved that it belongs to another service."
            ),
        ),
        EventCode::KeyReplaced => (
            "New management key",
            "The service's management key was replaced.".to_owned(),
        ),
        EventCode::CheckAsked => (
            "Another check",
            "It was put up to be looked at again at once.".to_owned(),
        ),
    };
    Event {
        when: when(event.at, now),
        title: title.into(),
        text: format!("{by}. {text}"),
    }
}
