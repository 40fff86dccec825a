//! The desk's page of a request, with the actions of agents.

use axum::{
    extract::{Path, Query as InAddress, State, rejection::QueryRejection},
    http::StatusCode,
    response::{IntoResponse as _, Redirect, Response},
};
use serde::Deserialize;
use std::sync::Arc;

use super::{
    desk,
    list::{self, FromList},
    map_forbidden, marks,
    session::{Agent, Proved, Reader, SignedIn},
    told::{and_more, happened, times, told},
    view::{HolderLine, InList, May, RequestPage, Tab},
};
use crate::staff::pages::words::{self, Said};
use crate::{
    db::{PgPool, notify::Notifier},
    error::{Error, Problem},
    names::EdgeRoutes,
    readiness::{Finding, Severity, wording::Teller},
    request::{
        Reason, Standing, live,
        loader::store::look_up,
        pages::{
            earlier_events,
            findings::{Findings, Group},
            note, routes_of,
        },
        reference::Reference,
        store::Request,
        wording,
    },
    staff::{
        REFUSALS, Role,
        case::store::{self, Insight},
        queue::{Filter, Query},
    },
    web::{
        form::{Fields, NoFields},
        page, page_with,
        parts::{Choice, Field},
        shell::Section,
        site::Site,
        when::{span, when},
    },
};

/// Loads the request that an address names, and records that it was opened.
async fn looked_at(
    site: &Site,
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
    let insight = store::insight(pool, reference, site.clocks.promise).await?;
    Ok((request, insight))
}

/// The part of the query that is not the list's.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct After {
    /// Set by *Check again*: when the checks had last run, in seconds.
    again: String,
}

/// `GET /staff/requests/{reference}`.
pub(crate) async fn request(
    State(site): State<Arc<Site>>,
    State(pool): State<PgPool>,
    Reader(signed_in): Reader,
    Path(reference): Path<String>,
    FromList(query): FromList,
    after: Result<InAddress<After>, QueryRejection>,
) -> Result<Response, Error> {
    let InAddress(After { again }) = after.map_err(|_| Error::OtherQuery)?;
    let (request, insight) = looked_at(&site, &pool, &signed_in, &reference).await?;
    let mut view = view(&site, &signed_in, &request, &insight);
    view.list = list_of(&site, &pool, &signed_in, &query, &insight).await?;
    view.note = note(&request, &again);
    view.address = list::of_request(request.reference, &query);
    if !view.note.is_empty() {
        // Digits: else there is no note.
        let mark = if view.address.contains('?') { '&' } else { '?' };
        view.address = format!("{}{mark}again={again}", view.address);
    }
    page(StatusCode::OK, &view)
}

/// Where the request leads to in the list that it was opened from.
async fn list_of(
    site: &Site,
    pool: &PgPool,
    signed_in: &SignedIn,
    query: &Query,
    insight: &Insight,
) -> Result<Option<InList>, Error> {
    let filter = Filter::of(query, signed_in.account.id).map_err(|_| Error::OtherQuery)?;
    Ok(list::in_list(pool, &site.clocks, query, &filter, insight.id).await?)
}

/// `POST /staff/requests/{reference}/check-again`.
pub(crate) async fn check_again(
    State(pool): State<PgPool>,
    State(notifier): State<Notifier>,
    Agent(signed_in): Agent,
    Path(reference): Path<String>,
    FromList(query): FromList,
    Fields(NoFields {}): Fields<NoFields>,
) -> Result<Response, Error> {
    let reference = Reference::parse(&reference).ok_or(Error::NoRequest)?;
    let request = look_up(&pool, reference).await?.ok_or(Error::NoRequest)?;
    let done = store::check_again(&pool, signed_in.account.id, reference).await;
    if !map_forbidden(done)? {
        return Err(gone(&pool, reference).await?);
    }
    notifier.wake();
    notifier.changed();
    let page = list::of_request(reference, &query);
    let mark = if page.contains('?') { '&' } else { '?' };
    let before = request.checked_at.map_or(0, |at| at.timestamp());
    Ok(Redirect::to(&format!("{page}{mark}again={before}#checks")).into_response())
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
    FromList(query): FromList,
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
        let form = Refused {
            reason: &form.reason,
            wrong: &wrong,
            query: &query,
        };
        return again(&site, &pool, &signed_in, &reference, form).await;
    };
    let reference = Reference::parse(&reference).ok_or(Error::NoRequest)?;
    let done = store::refuse(&pool, signed_in.account.id, reference, reason).await;
    if !map_forbidden(done)? {
        return Err(gone(&pool, reference).await?);
    }
    notifier.changed();
    Ok(list::back(reference, &query))
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
    FromList(query): FromList,
    Fields(form): Fields<WithdrawForm>,
) -> Result<Response, Error> {
    if form.confirm != "on" {
        let wrong = [(
            "confirm-withdraw",
            "Tick the box: a withdrawn request cannot be taken up again",
        )];
        let form = Refused {
            reason: "",
            wrong: &wrong,
            query: &query,
        };
        return again(&site, &pool, &signed_in, &reference, form).await;
    }
    let reference = Reference::parse(&reference).ok_or(Error::NoRequest)?;
    let done = store::withdraw(&pool, signed_in.account.id, reference).await;
    if !map_forbidden(done)? {
        return Err(gone(&pool, reference).await?);
    }
    notifier.changed();
    Ok(list::back(reference, &query))
}

/// A form that was refused.
struct Refused<'a> {
    /// The reason that was chosen, or empty.
    reason: &'a str,
    /// The fields that are wrong, each with its message.
    wrong: &'a [(&'static str, &'static str)],
    /// The list that the request was opened from.
    query: &'a Query,
}

/// The page again, with what is wrong with the form; 409 if the action is no longer possible.
async fn again(
    site: &Site,
    pool: &PgPool,
    signed_in: &SignedIn,
    reference: &str,
    form: Refused<'_>,
) -> Result<Response, Error> {
    let (request, insight) = looked_at(site, pool, signed_in, reference).await?;
    if request.state.pending().is_none() {
        return Err(Error::Ended);
    }
    let mut view = view(site, signed_in, &request, &insight);
    view.list = list_of(site, pool, signed_in, form.query, &insight).await?;
    view.shell.error = true;
    form.reason.clone_into(&mut view.reason.value);
    for (field, message) in form.wrong {
        let at = match *field {
            "reason" => &mut view.reason,
            "confirm" => &mut view.confirm,
            _ => &mut view.confirm_withdraw,
        };
        at.errors.push((*message).into());
    }
    page_with(Problem::form(form.wrong.iter().copied()), &view)
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
    let (marks, to_mark) = marks::lines(insight, &signed_in.account.name, now);
    RequestPage {
        shell: site.shell(Section::Staff),
        desk: desk(signed_in, Tab::Requests),
        list: None,
        address: String::new(),
        note: "",
        marks,
        to_mark: if is_agent { to_mark } else { Vec::new() },
        is_agent,
        about: match &insight.domain {
            Some(first) => and_more(first, insight.domains - 1),
            None => wording::kind(request.kind).to_owned(),
        },
        number_label: request.programme.number_label(),
        number: request.number.to_string(),
        reference: request.reference.to_string(),
        version: live::version(&request.summary(), &site.clocks),
        state: request.state.as_str(),
        tag: said.tag,
        tone: said.tone,
        turn: said.turn,
        held_long: if insight.held_long {
            span(site.clocks.promise)
        } else {
            String::new()
        },
        age: match request.state.pending() {
            Some(_) => format!("{}, {}", said.age, said.against),
            None => format!("{} {}", said.age, said.against),
        },
        facts: told(site, request),
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
