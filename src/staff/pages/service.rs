//! The desk's page of a service, where agents can cancel it for its owner.

use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse as _, Redirect, Response},
};
use serde::Deserialize;
use std::sync::Arc;

use super::{
    desk, map_forbidden,
    request::findings,
    session::{Proved, Reader, SignedIn},
    told::first_domain,
    view::{HoldingLine, ServiceLine, ServicePage, Tab},
};
use crate::staff::pages::words;
use crate::{
    agreement::ServiceId,
    db::PgPool,
    error::{Error, Problem},
    names::EdgeRoutes,
    request::{
        Standing,
        pages::routes_of,
        queue::{NotStored, Queue},
        reference::Reference,
        store::Submitted,
        wording,
    },
    secret::Secret,
    service::{pages::conflict, store as services},
    staff::{CancelReason, Role, StaffId, case::store},
    web::{
        form::Fields,
        page, page_with,
        parts::{Choice, Field},
        shell::Section,
        site::Site,
        when::when,
    },
};

fn named(service: &str) -> Result<ServiceId, Error> {
    service.parse().map(ServiceId).map_err(|_| Error::NoService)
}

/// `GET /staff/services/{service}`.
pub(crate) async fn service(
    State(site): State<Arc<Site>>,
    State(pool): State<PgPool>,
    Reader(signed_in): Reader,
    Path(service): Path<String>,
) -> Result<Response, Error> {
    page(
        StatusCode::OK,
        &view(&site, &pool, &signed_in, named(&service)?).await?,
    )
}

/// The fields of `POST /staff/services/{service}/cancel`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct CancelForm {
    reason: String,
    confirm: String,
}

/// `POST /staff/services/{service}/cancel`: stores a cancelling request, as when the owner cancels.
pub(crate) async fn cancel(
    State(site): State<Arc<Site>>,
    State(pool): State<PgPool>,
    State(queue): State<Queue>,
    State(secret): State<Secret>,
    Proved(signed_in): Proved,
    Path(service): Path<String>,
    Fields(form): Fields<CancelForm>,
) -> Result<Response, Error> {
    let service = named(&service)?;
    let reason = CancelReason::parse(&form.reason);
    let (Some(reason), "on") = (reason, form.confirm.as_str()) else {
        let mut view = view(&site, &pool, &signed_in, service).await?;
        view.shell.error = true;
        view.reason.value = form.reason;
        let mut wrong = Vec::new();
        if reason.is_none() {
            wrong.push(("reason", "Choose why the service is cancelled"));
            view.reason.errors = vec!["Choose why the service is cancelled".into()];
        }
        if form.confirm != "on" {
            wrong.push(("confirm", "Tick the box to cancel the service"));
            view.confirm.errors = vec!["Tick the box to cancel the service".into()];
        }
        if !view.may_cancel {
            return Err(if view.domains == 0 {
                Error::NothingInForce
            } else {
                Error::Pending
            });
        }
        return page_with(Problem::form(wrong), &view);
    };
    let staff = signed_in.account.id;
    let reference = cancel_service(&pool, &queue, &secret, staff, service, reason).await?;
    Ok(Redirect::to(&format!("/staff/requests/{reference}")).into_response())
}

/// Stores a request that cancels the service, and returns its reference.
pub(super) async fn cancel_service(
    pool: &PgPool,
    queue: &Queue,
    secret: &Secret,
    staff: StaffId,
    service: ServiceId,
    reason: CancelReason,
) -> Result<Reference, Error> {
    let found = services::find(pool, service).await?;
    if let Some(error) = conflict(&found.ok_or(Error::NoService)?) {
        return Err(error);
    }
    let cancel = store::cancellation(secret, staff, service, reason);
    match queue.submit(cancel).await {
        Ok(Submitted::Stored { reference, .. }) => Ok(reference),
        // Its submission id is new.
        Ok(Submitted::AlreadySent { .. } | Submitted::Pending { .. }) => Err(Error::Pending),
        Err(NotStored::Refused(error)) => map_forbidden(Err(error)),
        Err(why) => Err(why.into()),
    }
}

async fn view<'a>(
    site: &'a Site,
    pool: &PgPool,
    signed_in: &SignedIn,
    id: ServiceId,
) -> Result<ServicePage<'a>, Error> {
    if !store::look_at_service(pool, signed_in.account.id, id).await? {
        return Err(Error::NoService);
    }
    let service = services::look_up(pool, id).await?;
    let history = store::history(pool, id).await?;
    let now = service.now;
    let domains = EdgeRoutes::domain_count(&service.routes);
    let findings = findings(site, &history.findings, &service.routes, &history.token);
    let may_cancel =
        signed_in.account.role == Role::Agent && domains > 0 && service.pending().is_none();
    Ok(ServicePage {
        shell: site.shell(Section::Staff),
        desk: desk(signed_in, Tab::Requests),
        id: id.0,
        about: first_domain(&service.routes),
        programme: service.programme.label(),
        number_label: service.programme.number_label(),
        number: service.number.to_string(),
        token: history.token,
        created: when(history.created_at, now),
        routes: routes_of(&service.routes),
        domains,
        findings: if domains > 0 { findings } else { Vec::new() },
        holdings: history
            .holdings
            .into_iter()
            .map(|holding| HoldingLine {
                domain: holding.domain.to_string(),
                service: holding.service,
                number: holding.number.to_string(),
                is_own: holding.service == id.0,
                since: when(holding.since, now),
                until: holding.until.map(|until| when(until, now)),
            })
            .collect(),
        requests: service
            .requests
            .iter()
            .map(|request| {
                let facts = &request.facts;
                let standing = Standing::of(facts, &site.clocks, now);
                let (tag, tone) = wording::tag(standing, facts.kind);
                ServiceLine {
                    reference: request.reference.to_string(),
                    kind: wording::kind(facts.kind),
                    state: facts.state.as_str(),
                    tag,
                    tone,
                    submitted: when(facts.submitted_at, now),
                }
            })
            .collect(),
        may_cancel,
        reason: Field::new("reason"),
        reasons: CancelReason::ALL
            .iter()
            .map(|reason| Choice {
                value: reason.as_str().into(),
                label: words::cancel_reason(*reason).into(),
                hint: String::new(),
            })
            .collect(),
        confirm: Field::new("confirm"),
    })
}
