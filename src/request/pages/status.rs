//! How does a request stand, what happens next, and who must act?

use axum::{
    extract::{OriginalUri, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
    response::{IntoResponse, Redirect, Response},
};
use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::{
    findings::Findings,
    load::{ReferencePath, Requests, shown},
    proof::{self, Needed},
    routes_of,
    tag::{Edition, Face},
    tasks::Tasks,
    view::{Event, Overdue, StatusPage, Steps},
};
use crate::{
    db::{PgPool, notify::Notifier},
    error::{Error, FailedTry, Problem},
    readiness::{Code, Finding, Mode, ProofMode, Severity, words::Teller},
    request::{
        Actor, Deployment, EventCode, Reason, Standing, State as Stored, live,
        look_up::{Look, Visitor},
        store::{self, Request},
    },
    secret::ManagementKey,
    session::{self, SignedIn, store as sessions},
    web::{
        conditional,
        form::Fields,
        page,
        parts::{Tone, Way, count},
        shell::Section,
        site::Site,
        when::{between, span, when},
    },
};

/// What happens next, while a record has to be published that the checks have not looked up.
const PUBLISH: &str = "Publish the TXT record below, if you have not yet. As soon as it is there and the checks pass, the routes come into force.";

/// `GET /requests/{reference}`: the page, or JSON for who prefers it; or that what they have is
/// still the same.
///
/// One statement, but for who names a tag that is no longer right: to find that out costs a
/// fraction of the look-up, and is much less than what the right ones save. What is shown is
/// named by what was read with it, whatever happens in between.
pub(crate) async fn status(
    requests: Requests,
    State(edition): State<Edition>,
    reference: ReferencePath,
    OriginalUri(uri): OriginalUri,
    asked: HeaderMap,
) -> Result<Response, Response> {
    let reference = shown(&reference, &uri).map_err(IntoResponse::into_response)?;
    let session = session::brought(&requests.site, &asked);
    find(&requests, &edition, Look { reference, session }, &asked)
        .await
        .map_err(IntoResponse::into_response)
}

async fn find(
    requests: &Requests,
    edition: &Edition,
    look: Look,
    asked: &HeaderMap,
) -> Result<Response, Error> {
    let face = Face::preferred(asked);
    if conditional::names_any(asked) {
        let found = requests.readers.glance(look).await?;
        let (glance, visitor) = found.ok_or(Error::NoRequest)?;
        note_use(&requests.pool, look, visitor).await?;
        let tag = face.tag(
            edition,
            &requests.site.clocks,
            look.reference,
            &glance,
            visitor,
        );
        if tag.is_known(asked) {
            return Ok(tag.not_modified(face.headers()));
        }
    }
    let found = requests.readers.whole(look).await?;
    let (request, visitor) = found.ok_or(Error::NoRequest)?;
    note_use(&requests.pool, look, visitor).await?;
    let mut response = match face {
        Face::Json => live::status::json(
            &requests.site,
            &request,
            &proof::needed(requests, &request).await?,
        ),
        Face::Page => show(requests, &request, visitor.is_own, None).await?,
    };
    response.headers_mut().extend(face.headers());
    face.tag(
        edition,
        &requests.site.clocks,
        look.reference,
        &request.glance(),
        visitor,
    )
    .put(&mut response);
    Ok(response)
}

/// A session that is used goes on; that is noted once a minute.
async fn note_use(pool: &PgPool, look: Look, visitor: Visitor) -> Result<(), Error> {
    if let Some(token) = look.session.filter(|_| visitor.is_due) {
        sessions::live(pool, &token).await?;
    }
    Ok(())
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
    requests: Requests,
    State(notifier): State<Notifier>,
    reference: ReferencePath,
    OriginalUri(uri): OriginalUri,
    signed_in: Option<SignedIn>,
    Fields(form): Fields<WithdrawForm>,
) -> Result<Response, Response> {
    let request = requests.named(&reference, &uri).await?;
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
        let mut response = show(&requests, &request, false, Some(message))
            .await
            .map_err(axum::response::IntoResponse::into_response)?;
        if !form.management_key.trim().is_empty() {
            response.extensions_mut().insert(FailedTry);
        }
        return Ok(response);
    };
    match store::withdraw(&requests.pool, &request, opened).await {
        Ok(true) => {
            notifier.changed();
            Ok(Redirect::to(&format!("/requests/{}", request.reference)).into_response())
        }
        Ok(false) => Err(Error::Ended.into_response()),
        Err(error) => Err(Error::Database(error).into_response()),
    }
}

/// The request's page; 422 when the management key was wrong.
async fn show(
    requests: &Requests,
    request: &Request,
    is_own: bool,
    wrong_key: Option<&'static str>,
) -> Result<Response, Error> {
    let mut view = view(
        &requests.site,
        request,
        &proof::needed(requests, request).await?,
    );
    view.is_own = is_own;
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

fn view<'a>(site: &'a Site, request: &Request, needed: &[Needed]) -> StatusPage<'a> {
    let now = request.now;
    let standing = Standing::of(&request.facts(), &site.clocks, now);
    let mut words = Words::of(standing, request, &site.provider);
    if is_at_risk(standing, &request.findings) {
        words = Words::at_risk();
    }
    let proof = proof_section(site, request, standing, needed);
    if let (proof::Section::Publish(_), Standing::Checking { .. }) = (&proof, standing) {
        words.lead = PUBLISH.into();
    }
    let can_check = can_check(site, request, standing);
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
        shell: site.shell(Section::Status),
        reference: request.reference.to_string(),
        state: request.state.as_str().into(),
        tag: words.tag.into(),
        tone: words.tone,
        headline: words.headline,
        lead: words.lead,
        help: help(standing),
        lost: if standing == Standing::InForce {
            request.lost.join(", ")
        } else {
            String::new()
        },
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
        tasks: Tasks::of(request, standing, &site.checks, needed.len()),
        checked: request.checked_at.map(|at| when(at, now)),
        next: request
            .due_at
            .filter(|at| *at > now && can_check)
            .map(|at| when(at, now)),
        can_check,
        findings: told_of(site, request),
        proof,
        steps: steps(site, request, standing),
        routes: routes_of(&request.routes),
        timeline: request
            .events
            .iter()
            .rev()
            .map(|event| told(event, &site.provider, now))
            .collect(),
        earlier: earlier_events(&request.events),
        version: live::version(&request.glance(), &site.clocks),
        can_withdraw: request.state.pending().is_some(),
        is_own: false,
        withdraw_errors: Vec::new(),
    }
}

/// What there is to say of the records that prove its domains, besides its findings.
fn proof_section(
    site: &Site,
    request: &Request,
    standing: Standing,
    needed: &[Needed],
) -> proof::Section {
    let is_always = site.checks.proof() == ProofMode::Always;
    let gained = |event: &store::Event| event.code == EventCode::DomainGained;
    if standing == Standing::InForce && (is_always || request.events.iter().any(gained)) {
        return proof::Section::NotNeeded;
    }
    // Where only held domains have to be proven, the finding that says so shows the record.
    let records = is_always.then(|| proof::not_looked_up(request, needed));
    records
        .flatten()
        .map_or(proof::Section::Silent, proof::Section::Publish)
}

/// The latest findings of what is in force say that it will not work, or cannot tell.
fn is_at_risk(standing: Standing, findings: &[Finding]) -> bool {
    let grave = |it: &Finding| it.severity >= Severity::Unknown;
    standing == Standing::InForce && findings.iter().any(grave)
}

/// The findings of a request in words. The record that proves a domain is shown as long as it
/// helps this request.
fn told_of(site: &Site, request: &Request) -> Findings {
    let teller = Teller::new(&site.provider, site.checks.mode(), &request.routes);
    let teller = match request.state.pending() {
        Some(_) => teller.with_token(&request.token),
        None => teller,
    };
    Findings::tell(&teller, &request.findings)
}

/// Whether looking again helps: it waits or is in force, and somebody looks.
fn can_check(site: &Site, request: &Request, standing: Standing) -> bool {
    match standing {
        Standing::Checking { .. } | Standing::NeedsAction { .. } | Standing::InForce => {
            let held = |it: &Finding| it.code == Code::DomainHeld;
            site.checks.mode() != Mode::Off || request.findings.iter().any(held)
        }
        Standing::Superseded
        | Standing::Cancelled
        | Standing::Rejected(_)
        | Standing::Withdrawn => false,
    }
}

/// What is left to do on the own servers once the routes are in force.
fn steps(site: &Site, request: &Request, standing: Standing) -> Option<Steps> {
    (standing == Standing::InForce).then(|| Steps {
        identity: format!("'{}'", site.provider.replace('\'', "''")),
        edges: request
            .routes
            .iter()
            .map(|of| of.edge.to_string())
            .collect(),
        split: request.deployment == Some(Deployment::Split),
    })
}

/// How a standing is said.
struct Words {
    tag: &'static str,
    tone: Tone,
    headline: String,
    lead: String,
}

impl Words {
    fn at_risk() -> Self {
        Self {
            tag: "At risk",
            tone: Tone::Action,
            headline: "Your routes are in force, and something is wrong".into(),
            lead: "Nothing is taken away. But the checks found something that keeps calls and messages from arriving, or could not look. It is listed below, with what to do.".into(),
        }
    }

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

/// How many events there were before `events`, which are all that is shown, in a sentence; or empty.
pub(crate) fn earlier_events(events: &[store::Event]) -> String {
    match usize::try_from(store::earlier(events)).unwrap_or(usize::MAX) {
        0 => String::new(),
        more => format!(
            "{} not shown.",
            count(more, "earlier event is", "earlier events are")
        ),
    }
}

/// How often something happened, in a sentence after a space; empty where it happened once.
pub(crate) fn how_often(event: &store::Event) -> String {
    let at = |at: DateTime<Utc>| at.format("%-d %B %Y at %H:%M UTC");
    event.last_at.map_or_else(String::new, |last_at| {
        format!(
            " It happened {} times, first on {}, last on {}.",
            event.times,
            at(event.at),
            at(last_at)
        )
    })
}

/// An entry of the timeline.
pub(crate) fn told(event: &store::Event, provider: &str, now: DateTime<Utc>) -> Event {
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
        when: when(event.latest(), now),
        title: title.into(),
        text: format!("{by}. {text}{}", how_often(event)),
    }
}
