//! The status page: how a request stands, what happens next, and who must act.

use axum::{
    extract::{OriginalUri, Query, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;

use super::{
    again::{again, asked},
    findings::Findings,
    load::{ReferencePath, Requests, parse_reference},
    moved::{Moved, has_moved},
    proof::{self, Needed},
    routes_of,
    tag::{Edition, Face},
    tasks::Tasks,
    timeline::{earlier_events, timeline_entry},
    view::{Overdue, StatusPage, Steps},
};
use crate::{
    db::{PgPool, notify::Notifier},
    error::{Error, FailedTry, Problem},
    readiness::{Code, Finding, Mode, ProofMode, wording::Teller},
    request::{
        Deployment, EventCode, Kind, Standing, State as Stored, live,
        loader::{Lookup, Visitor},
        store::{self, Request, cancelled},
        summary::Summary,
        wording::{self, Words},
    },
    secret::ManagementKey,
    session::{self, SignedIn, store as sessions},
    web::{
        conditional,
        form::Fields,
        page,
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
    Query(After { again }): Query<After>,
    asked: HeaderMap,
) -> Result<Response, Error> {
    let reference = parse_reference(&reference, &uri)?;
    let session = session::brought(&requests.site, &asked);
    let look = Lookup { reference, session };
    if !again.is_empty() && Face::preferred(&asked) == Face::Page {
        // What became of *Check again* is shown once, and not kept.
        let found = requests.loader.whole(look).await?;
        let (request, visitor) = found.ok_or(Error::NoRequest)?;
        note_use(&requests.pool, look, visitor).await?;
        return show(&requests, &request, visitor.is_own, None, &again).await;
    }
    find(&requests, &edition, look, &asked).await
}

/// The query of a request's page.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct After {
    /// Set by *Check again*: when the checks had last run, in seconds, or `early`.
    again: String,
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
            &cancelled(&requests.pool, &request).await?,
        ),
        Face::Page => show(requests, &request, visitor.is_own, None, "").await?,
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
        let mut response = show(&requests, &request, false, Some(message), "").await?;
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
    again: &str,
) -> Result<Response, Error> {
    let mut view = view(
        &requests.site,
        request,
        &proof::needed(requests, request).await?,
        is_own,
    );
    view.cancels = routes_of(&cancelled(&requests.pool, request).await?);
    view.note = note(request, again);
    if !view.note.is_empty() {
        // Digits, or `early`: else there is no note.
        view.address = format!("{}?again={again}", view.address);
    }
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

/// What became of *Check again*, by what it put into the address.
fn note(request: &Request, again: &str) -> &'static str {
    let before = again.parse::<i64>();
    let last = request.checked_at.map_or(0, |at| at.timestamp());
    match before {
        _ if again == "early" => {
            "Nothing was checked: the last check was a moment ago. Ask again in a moment."
        }
        Ok(before) if last > before => "Checked just now. What was found is below.",
        Ok(_) => "A check was asked for. Its result is shown here in a moment.",
        Err(_) => "",
    }
}

fn view<'a>(site: &'a Site, request: &Request, needed: &[Needed], is_own: bool) -> StatusPage<'a> {
    let now = request.now;
    let standing = Standing::of(&request.facts(), &site.clocks, now);
    let (tag, tone) = wording::tag(standing, request.kind);
    let mut words = Words::of(
        standing,
        request.deployment == Some(Deployment::Split),
        &site.provider,
    );
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
    let promised_by = request.facts().promised_by(&site.clocks);
    let promised_by = promised_by.filter(|_| pending);
    let waits = standing == Standing::NeedsAction;
    StatusPage {
        shell: site.shell(Section::Status),
        reference: request.reference.to_string(),
        state: request.state.as_str().into(),
        tag: tag.into(),
        tone,
        headline: words.headline,
        lead: words.lead,
        ways: wording::ways(standing),
        moved: Moved::of(&request.lost, now).filter(|_| !request.superseded),
        gateways: live::live_on(standing, request.gateways),
        submitted: when(request.submitted_at, now),
        elapsed: span(between(request.submitted_at, ended.unwrap_or(now))),
        promised: promised_by.map(|by| when(by, now)),
        waiting: waits.then(|| span(between(request.turn_at, now))),
        limit: pending.then(|| when(site.clocks.expires_at(request.submitted_at), now)),
        ended: ended.map(|at| (wording::ended(standing, request.kind), when(at, now))),
        overdue: promised_by
            .filter(|_| standing.is_overdue())
            .map(|by| Overdue {
                text: format!(
                    "This request is {} past its promise.",
                    span(between(by, now))
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
        findings: told_of(site, request, standing),
        proof,
        steps: steps(site, request, standing),
        asked: asked(request, is_own),
        routes: routes_of(&request.routes),
        cancels: Vec::new(),
        timeline: request
            .events
            .iter()
            .rev()
            .map(|event| timeline_entry(event, request.kind, &site.provider, now))
            .collect(),
        earlier: earlier_events(&request.events),
        version: live::version(&request.summary(), &site.clocks),
        warning: if pending && request.deployment == Some(Deployment::Split) {
            "Leave external communications off online until this request is provisioned."
        } else {
            ""
        },
        note: "",
        address: format!("/requests/{}", request.reference),
        correct: match request.kind {
            Kind::Initiate | Kind::Update if pending && is_own => "/service/edit",
            Kind::Initiate | Kind::Update if pending => "/service?then=edit",
            Kind::Initiate | Kind::Update | Kind::Cancel => "",
        },
        again: again(request),
        can_withdraw: pending,
        is_own,
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
    if standing.is_in_force() && (is_always || request.events.iter().any(gained)) {
        return proof::Section::NotNeeded;
    }
    // Where only held domains have to be proven, the finding shows the record.
    let records = is_always.then(|| proof::not_looked_up(request, needed));
    records
        .flatten()
        .map_or(proof::Section::Silent, proof::Section::Publish)
}

/// The findings of a request in words: those that matter still. The record that proves a domain is
/// shown as long as it helps this request.
fn told_of(site: &Site, request: &Request, standing: Standing) -> Findings {
    let teller = Teller::new(&site.provider, site.checks.mode(), &request.routes);
    let teller = match request.state.pending() {
        Some(_) => teller.with_token(&request.token),
        None => teller,
    };
    let is_over = match standing {
        Standing::Checking { .. }
        | Standing::NeedsAction
        | Standing::InForce { .. }
        | Standing::MovedAway { all: false }
        | Standing::Rejected(_) => false,
        Standing::MovedAway { all: true }
        | Standing::Superseded
        | Standing::Cancelled
        | Standing::Withdrawn => true,
    };
    let matters = |it: &&Finding| !is_over && !has_moved(&request.lost, it);
    Findings::tell(&teller, request.findings.iter().filter(matters))
}

/// Whether *Check again* helps: the request waits or is in force, and checks are on.
fn can_check(site: &Site, request: &Request, standing: Standing) -> bool {
    match standing {
        Standing::Checking { .. }
        | Standing::NeedsAction
        | Standing::InForce { .. }
        | Standing::MovedAway { all: false } => {
            let held = |it: &Finding| it.code == Code::DomainHeld;
            site.checks.mode() != Mode::Off || request.findings.iter().any(held)
        }
        Standing::MovedAway { all: true }
        | Standing::Superseded
        | Standing::Cancelled
        | Standing::Rejected(_)
        | Standing::Withdrawn => false,
    }
}

/// What is left to do on the administrator's own servers once the routes are in force.
fn steps(site: &Site, request: &Request, standing: Standing) -> Option<Steps> {
    standing.is_in_force().then(|| Steps {
        identity: format!("'{}'", site.provider.replace('\'', "''")),
        edges: request
            .routes
            .iter()
            .map(|of| of.edge.to_string())
            .collect(),
        split: request.deployment == Some(Deployment::Split),
    })
}
