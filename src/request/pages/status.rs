//! The status page: how a request stands, what happens next, and who must act.

use axum::{
    extract::{OriginalUri, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::{
    findings::Findings,
    load::{ReferencePath, Requests, parse_reference},
    proof::{self, Needed},
    routes_of,
    tag::{Edition, Face},
    tasks::Tasks,
    view::{Event, Overdue, StatusPage, Steps},
};
use crate::{
    db::{PgPool, notify::Notifier},
    error::{Error, FailedTry, Problem},
    readiness::{Code, Finding, Mode, ProofMode, Severity, wording::Teller},
    request::{
        Actor, Deployment, EventCode, Standing, State as Stored, live,
        loader::{Lookup, Visitor},
        store::{self, Request},
        summary::Summary,
        wording::{self, Words},
    },
    secret::ManagementKey,
    session::{self, SignedIn, store as sessions},
    web::{
        conditional,
        form::Fields,
        page,
        parts::count,
        shell::Section,
        site::Site,
        when::{between, span, when},
    },
};

/// The text for what happens next, while a record has to be published that the checks have not
/// looked up.
const PUBLISH: &str = "Publish the TXT record below, if you have not yet. As soon as it is there and the checks pass, the routes come into force.";

/// `GET /requests/{reference}`: the page, or JSON for clients that prefer it, or a `304`.
///
/// One statement, except for a client whose tag is no longer right: finding that out costs a
/// fraction of loading the request, and much less than the `304`s save. The tag comes from the same
/// read as what is shown, whatever changes in between.
pub(crate) async fn status(
    requests: Requests,
    State(edition): State<Edition>,
    reference: ReferencePath,
    OriginalUri(uri): OriginalUri,
    asked: HeaderMap,
) -> Result<Response, Error> {
    let reference = parse_reference(&reference, &uri)?;
    let session = session::brought(&requests.site, &asked);
    find(&requests, &edition, Lookup { reference, session }, &asked).await
}

async fn find(
    requests: &Requests,
    edition: &Edition,
    look: Lookup,
    asked: &HeaderMap,
) -> Result<Response, Error> {
    let face = Face::preferred(asked);
    if conditional::names_any(asked) {
        let found = requests.loader.summary(look).await?;
        let (summary, visitor) = found.ok_or(Error::NoRequest)?;
        note_use(&requests.pool, look, visitor).await?;
        let tag = face.tag(
            edition,
            &requests.site.clocks,
            look.reference,
            &summary,
            visitor,
        );
        if tag.is_known(asked) {
            let mut response = tag.not_modified(face.headers());
            come_back(&mut response, &summary);
            return Ok(response);
        }
    }
    let found = requests.loader.whole(look).await?;
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
    come_back(&mut response, &request.summary());
    face.tag(
        edition,
        &requests.site.clocks,
        look.reference,
        &request.summary(),
        visitor,
    )
    .put(&mut response);
    Ok(response)
}

/// Says when there may be something new about a pending request: after its next check.
fn come_back(response: &mut Response, summary: &Summary) {
    let due_at = summary.due_at;
    let due_at = due_at.filter(|_| summary.facts.state.pending().is_some());
    let Some(due_at) = due_at else { return };
    // It is looked at now, or in less than a second.
    let seconds = (due_at - summary.now).num_seconds() + 1;
    let seconds = u64::try_from(seconds).unwrap_or(0);
    let seconds = seconds.max(store::AGAIN_AFTER.as_secs());
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
}

/// Extends a session that is in use; recorded once a minute.
async fn note_use(pool: &PgPool, look: Lookup, visitor: Visitor) -> Result<(), Error> {
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

/// `POST /requests/{reference}/withdraw`, for a client that is signed in to its service or has the
/// management key.
pub(crate) async fn withdraw(
    requests: Requests,
    State(notifier): State<Notifier>,
    reference: ReferencePath,
    OriginalUri(uri): OriginalUri,
    signed_in: Option<SignedIn>,
    Fields(form): Fields<WithdrawForm>,
) -> Result<Response, Error> {
    let request = requests.named(&reference, &uri).await?;
    if request.state.pending().is_none() {
        return Err(Error::Ended);
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
        let mut response = show(&requests, &request, false, Some(message)).await?;
        if !form.management_key.trim().is_empty() {
            response.extensions_mut().insert(FailedTry);
        }
        return Ok(response);
    };
    if !store::withdraw(&requests.pool, &request, opened).await? {
        return Err(Error::Ended);
    }
    notifier.changed();
    Ok(Redirect::to(&format!("/requests/{}", request.reference)).into_response())
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
    let mut words = Words::of(
        standing,
        request.deployment == Some(Deployment::Split),
        &site.provider,
    );
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
        help: wording::help(standing),
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
            .map(|event| timeline_entry(event, &site.provider, now))
            .collect(),
        earlier: earlier_events(&request.events),
        version: live::version(&request.summary(), &site.clocks),
        can_withdraw: request.state.pending().is_some(),
        is_own: false,
        withdraw_errors: Vec::new(),
    }
}

/// What the page says about the records that prove its domains, in addition to the findings.
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
    // Where only held domains have to be proven, the finding shows the record.
    let records = is_always.then(|| proof::not_looked_up(request, needed));
    records
        .flatten()
        .map_or(proof::Section::Silent, proof::Section::Publish)
}

/// Whether the latest findings about routes in force say that they will not work, or cannot tell.
fn is_at_risk(standing: Standing, findings: &[Finding]) -> bool {
    let grave = |it: &Finding| it.severity >= Severity::Unknown;
    standing == Standing::InForce && findings.iter().any(grave)
}

/// The findings of a request in words. The record that proves a domain is shown as long as it helps
/// this request.
fn told_of(site: &Site, request: &Request) -> Findings {
    let teller = Teller::new(&site.provider, site.checks.mode(), &request.routes);
    let teller = match request.state.pending() {
        Some(_) => teller.with_token(&request.token),
        None => teller,
    };
    Findings::tell(&teller, &request.findings)
}

/// Whether *Check again* helps: the request waits or is in force, and checks are on.
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

/// What is left to do on the administrator's own servers once the routes are in force.
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

/// How many events came before `events`, which are all that is shown, as a sentence; or empty.
pub(crate) fn earlier_events(events: &[store::Event]) -> String {
    match usize::try_from(store::earlier(events)).unwrap_or(usize::MAX) {
        0 => String::new(),
        more => format!(
            "{} not shown.",
            count(more, "earlier event is", "earlier events are")
        ),
    }
}

/// How often an event happened, as a sentence after a space; empty if once.
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
pub(crate) fn timeline_entry(event: &store::Event, provider: &str, now: DateTime<Utc>) -> Event {
    let by = match event.actor {
        Actor::Administrator => "By you",
        Actor::Staff => "By support",
        Actor::Portal => "By the portal",
    };
    let domain = event.subject.as_ref().map_or("", |domain| domain.as_str());
    let entry = event.code.entry();
    let text = entry.text(provider, domain);
    Event {
        when: when(event.latest(), now),
        title: entry.title.into(),
        text: format!("{by}. {text}{}", how_often(event)),
    }
}
