//! The desk's page of a request, with the actions of agents.

use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse as _, Redirect, Response},
};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use std::sync::Arc;

use super::{
    desk, map_forbidden,
    session::{Agent, Proved, Reader, SignedIn},
    view::{Happened, HolderLine, May, RequestPage, Tab},
};
use crate::staff::pages::words::{self, Said};
use crate::{
    db::{PgPool, notify::Notifier},
    error::{Error, FieldProblem, Problem},
    names::EdgeRoutes,
    readiness::{Finding, Severity, wording::Teller},
    request::{
        Actor, Deployment, Kind, Reason, Standing, State as Stored, live,
        loader::store::look_up,
        pages::{
            earlier_events,
            findings::{Findings, Group},
            how_often, routes_of,
        },
        reference::Reference,
        store::{Event, Request},
        wording,
    },
    staff::{
        Name, REFUSALS, Role,
        case::store::{self, Insight},
    },
    web::{
        form::{Fields, NoFields},
        page,
        parts::{Choice, Field, count},
        shell::Section,
        site::Site,
        when::when,
    },
};

/// Loads the request that an address names, and records that it was opened.
async fn looked_at(
    pool: &PgPool,
    signed_in: &SignedIn,
    reference: &str,
) -> Result<(Request, Insight), Error> {
    let reference = Reference::parse(reference).ok_or(Error::NoRequest)?;
    if !store::look_at_request(pool, signed_in.account.id, reference).await? {
        return Err(Error::NoRequest);
    }
    let request = look_up(pool, reference).await?;
    let request = request.ok_or(Error::NoRequest)?;
    Ok((request, store::insight(pool, reference).await?))
}

/// `GET /staff/requests/{reference}`.
pub(crate) async fn request(
    State(site): State<Arc<Site>>,
    State(pool): State<PgPool>,
    Reader(signed_in): Reader,
    Path(reference): Path<String>,
) -> Result<Response, Error> {
    let (request, insight) = looked_at(&pool, &signed_in, &reference).await?;
    page(StatusCode::OK, &view(&site, &signed_in, &request, &insight))
}

fn back(reference: Reference) -> Response {
    Redirect::to(&format!("/staff/requests/{reference}")).into_response()
}

/// `POST /staff/requests/{reference}/check-again`.
pub(crate) async fn check_again(
    State(pool): State<PgPool>,
    State(notifier): State<Notifier>,
    Agent(signed_in): Agent,
    Path(reference): Path<String>,
    Fields(NoFields {}): Fields<NoFields>,
) -> Result<Response, Error> {
    let reference = Reference::parse(&reference).ok_or(Error::NoRequest)?;
    let done = store::check_again(&pool, signed_in.account.id, reference).await;
    if !map_forbidden(done)? {
        return Err(gone(&pool, reference).await?);
    }
    notifier.wake();
    notifier.changed();
    Ok(back(reference))
}

/// Why nothing was done: the request has ended, or does not exist.
async fn gone(pool: &PgPool, reference: Reference) -> Result<Error, Error> {
    let found = look_up(pool, reference).await?;
    Ok(found.map_or(Error::NoRequest, |_| Error::Ended))
}

/// The fields of `POST /staff/requests/{reference}/refuse`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RefuseForm {
    reason: String,
    confirm: String,
}

/// `POST /staff/requests/{reference}/refuse`: refuses it, for one of the listed reasons.
pub(crate) async fn refuse(
    State(site): State<Arc<Site>>,
    State(pool): State<PgPool>,
    State(notifier): State<Notifier>,
    Proved(signed_in): Proved,
    Path(reference): Path<String>,
    Fields(form): Fields<RefuseForm>,
) -> Result<Response, Error> {
    let reason = Reason::parse(&form.reason).filter(|reason| REFUSALS.contains(reason));
    let (Some(reason), "on") = (reason, form.confirm.as_str()) else {
        let mut wrong = Vec::new();
        if reason.is_none() {
            wrong.push(("reason", "Choose why the request is refused"));
        }
        if form.confirm != "on" {
            wrong.push((
                "confirm",
                "Tick the box: a refused request cannot be taken up again",
            ));
        }
        return again(&site, &pool, &signed_in, &reference, &form.reason, &wrong).await;
    };
    let reference = Reference::parse(&reference).ok_or(Error::NoRequest)?;
    let done = store::refuse(&pool, signed_in.account.id, reference, reason).await;
    if !map_forbidden(done)? {
        return Err(gone(&pool, reference).await?);
    }
    notifier.changed();
    Ok(back(reference))
}

/// The field of `POST /staff/requests/{reference}/withdraw`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct WithdrawForm {
    confirm: String,
}

/// `POST /staff/requests/{reference}/withdraw`, for an administrator who asks for it.
pub(crate) async fn withdraw(
    State(site): State<Arc<Site>>,
    State(pool): State<PgPool>,
    State(notifier): State<Notifier>,
    Proved(signed_in): Proved,
    Path(reference): Path<String>,
    Fields(form): Fields<WithdrawForm>,
) -> Result<Response, Error> {
    if form.confirm != "on" {
        let wrong = [(
            "confirm-withdraw",
            "Tick the box: a withdrawn request cannot be taken up again",
        )];
        return again(&site, &pool, &signed_in, &reference, "", &wrong).await;
    }
    let reference = Reference::parse(&reference).ok_or(Error::NoRequest)?;
    let done = store::withdraw(&pool, signed_in.account.id, reference).await;
    if !map_forbidden(done)? {
        return Err(gone(&pool, reference).await?);
    }
    notifier.changed();
    Ok(back(reference))
}

/// The page again, with what is wrong with the form; 409 if the action is no longer possible.
async fn again(
    site: &Site,
    pool: &PgPool,
    signed_in: &SignedIn,
    reference: &str,
    reason: &str,
    wrong: &[(&'static str, &'static str)],
) -> Result<Response, Error> {
    let (request, insight) = looked_at(pool, signed_in, reference).await?;
    if request.state.pending().is_none() {
        return Err(Error::Ended);
    }
    let mut view = view(site, signed_in, &request, &insight);
    view.shell.error = true;
    reason.clone_into(&mut view.reason.value);
    for (field, message) in wrong {
        let at = match *field {
            "reason" => &mut view.reason,
            "confirm" => &mut view.confirm,
            _ => &mut view.confirm_withdraw,
        };
        at.errors.push((*message).into());
    }
    let mut response = page(StatusCode::UNPROCESSABLE_ENTITY, &view)?;
    let wrong = wrong.iter().map(|(field, message)| FieldProblem {
        field: (*field).into(),
        message: (*message).into(),
    });
    response
        .extensions_mut()
        .insert(Problem::form(wrong.collect()));
    Ok(response)
}

fn view<'a>(
    site: &'a Site,
    signed_in: &SignedIn,
    request: &Request,
    insight: &Insight,
) -> RequestPage<'a> {
    let now = request.now;
    let facts = request.facts();
    let said = Said::of(&facts, &site.clocks, now);
    let is_agent = signed_in.account.role == Role::Agent;
    let is_pending = request.state.pending().is_some();
    let in_force = Standing::of(&facts, &site.clocks, now).is_in_force();
    let findings = findings(site, &request.findings, &request.routes, &request.token);
    let quiet = request.findings.iter().filter(|it| !is_loud(it)).count();
    let reasons = REFUSALS.map(|reason| Choice {
        value: reason.as_str().into(),
        label: words::reason(reason).into(),
        hint: String::new(),
    });
    RequestPage {
        shell: site.shell(Section::Staff),
        desk: desk(signed_in, Tab::Requests),
        reference: request.reference.to_string(),
        version: live::version(&request.summary(), &site.clocks),
        state: request.state.as_str(),
        tag: said.tag,
        tone: said.tone,
        turn: said.turn,
        age: format!("{}, {}", said.age, said.against),
        facts: told(site, request, insight),
        times: times(site, request, insight),
        service: insight.service,
        findings,
        quiet,
        holders: insight
            .holders
            .iter()
            .map(|holder| HolderLine {
                domain: holder.domain.to_string(),
                service: holder.service,
                number: holder.number.to_string(),
                since: when(holder.since, now),
            })
            .collect(),
        rivals: insight
            .rivals
            .iter()
            .map(|(domain, rival)| (domain.to_string(), rival.to_string()))
            .collect(),
        routes: routes_of(&request.routes),
        others: insight.others.iter().map(ToString::to_string).collect(),
        timeline: request
            .events
            .iter()
            .rev()
            .map(|event| {
                let name = insight.event_staff.get(&event.seq);
                happened(event, request.kind, name, now)
            })
            .collect(),
        earlier: earlier_events(&request.events),
        may: May {
            check: is_agent && (is_pending || (in_force && request.due_at.is_some())),
            end: is_agent && is_pending,
        },
        reason: Field::new("reason"),
        reasons: reasons.to_vec(),
        confirm: Field::new("confirm"),
        confirm_withdraw: Field::new("confirm-withdraw"),
    }
}

/// The facts about a request, each with its name.
fn told(site: &Site, request: &Request, insight: &Insight) -> Vec<(&'static str, String)> {
    let mut told = vec![
        ("Kind", wording::kind(request.kind).to_owned()),
        ("Programme", request.programme.label().to_owned()),
        (request.programme.number_label(), request.number.to_string()),
    ];
    if let Some(deployment) = request.deployment {
        let homed = match deployment {
            Deployment::OnPremises => "All users on-premises",
            Deployment::Split => "Users both on-premises and online",
        };
        told.push(("Users", homed.to_owned()));
    }
    let standing = Standing::of(&request.facts(), &site.clocks, request.now);
    if let Some(on) = live::live_on(standing, request.gateways) {
        let live = format!("Live on {} of {}", on.live, on.of);
        told.push(("Gateways", live));
    }
    if let Stored::Rejected { reason, .. } = request.state {
        told.push(("Why", words::reason(reason).to_owned()));
    }
    if let Some(attempts) = insight.attempts {
        told.push((
            "Failed checks",
            count(
                usize::try_from(attempts).unwrap_or_default(),
                "time",
                "times",
            ),
        ));
    }
    told
}

/// The times of a request, each with its name.
fn times(
    site: &Site,
    request: &Request,
    insight: &Insight,
) -> Vec<(&'static str, crate::web::parts::When)> {
    let (clocks, submitted) = (&site.clocks, request.submitted_at);
    let mut times = vec![("Submitted", submitted)];
    match request.state {
        Stored::Pending(_) => times.extend([
            ("Promised", clocks.promised_by(submitted)),
            ("Expires", clocks.expires_at(submitted)),
        ]),
        Stored::Provisioned { at } | Stored::Rejected { at, .. } | Stored::Withdrawn { at } => {
            let standing = Standing::of(&request.facts(), clocks, request.now);
            times.push((wording::ended(standing), at));
        }
    }
    let more = [
        ("Checks last ran", request.checked_at),
        ("Looked at next", request.due_at),
        ("Being looked at, until", insight.leased_until),
    ];
    times.extend(more.into_iter().filter_map(|(name, at)| Some((name, at?))));
    let said = times
        .into_iter()
        .map(|(name, at)| (name, when(at, request.now)));
    said.collect()
}

/// Whether a finding matters to the desk.
fn is_loud(finding: &Finding) -> bool {
    !matches!(finding.severity, Severity::Ok | Severity::Skipped)
}

/// The findings that matter, the most severe first, those of one code together.
pub(super) fn findings(
    site: &Site,
    findings: &[Finding],
    routes: &[EdgeRoutes],
    token: &str,
) -> Vec<Group> {
    let teller = Teller::new(&site.provider, site.checks.mode(), routes);
    let teller = teller.with_token(token);
    Findings::tell(&teller, findings.iter().filter(|it| is_loud(it))).groups
}

/// A line of the timeline.
fn happened(event: &Event, kind: Kind, name: Option<&Name>, now: DateTime<Utc>) -> Happened {
    let by = match (event.actor, name) {
        (Actor::Administrator, _) => "By the administrator".to_owned(),
        (Actor::Staff, Some(name)) => format!("By {name}, support"),
        (Actor::Staff, None) => "By support".to_owned(),
        (Actor::Portal, _) => "By the portal".to_owned(),
    };
    let about = event
        .subject
        .as_ref()
        .map_or(String::new(), |domain| format!(": {domain}"));
    Happened {
        when: when(event.latest(), now),
        title: event.code.entry(kind).staff_title,
        text: match how_often(event) {
            once if once.is_empty() => format!("{by}{about}"),
            often => format!("{by}{about}.{often}"),
        },
    }
}
