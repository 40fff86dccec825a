//! The pages that change the routes of a service: form, review with now and after, submit.

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Redirect, Response},
};
use serde::Deserialize;
use std::sync::Arc;

use super::{
    super::{
        change::{Change, changes},
        store::{self, Service},
    },
    view::{ChangeLine, EditPage, ReviewPage},
};
use crate::{
    db::PgPool,
    error::{Error, Problem},
    names::{AccessEdge, SipDomain},
    request::{
        Asked, Deployment,
        form::{Checked, Field as At, FieldError, Note, RequestForm},
        pages::{
            fields::{
                self, PutOff, Resubmit, already_sent, edge_fields, field, form_problem, general,
                hidden_edges, offers, warning,
            },
            findings::{Findings, preflight},
            flow::{FormFlow, Step},
            routes_of,
            view::Hidden,
        },
        queue::NotStored,
        store::{Submission, Submitted, was_sent},
    },
    secret::ManagementKey,
    session::SignedIn,
    web::{
        form::Fields,
        page,
        parts::{Field, Tone, count},
        shell::Section,
        site::Site,
    },
};

/// The fields of `POST /service/edit` (`docs/design.md#contract`): those of a request without
/// programme, number and terms.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct EditForm {
    edge: Vec<String>,
    domains: Vec<String>,
    deployment: String,
    submission_id: String,
    confirm_edge_change: String,
    action: String,
}

impl EditForm {
    /// Makes a request's form of it, with what the service knows already, so that the same rules
    /// apply.
    fn into_request(self, service: &Service) -> RequestForm {
        RequestForm {
            programme: service.programme.as_str().into(),
            number: service.number.as_str().into(),
            edge: self.edge,
            domains: self.domains,
            deployment: self.deployment,
            terms: "on".into(),
            submission_id: self.submission_id,
            action: self.action,
            ..RequestForm::default()
        }
    }
}

/// `GET /service/edit`: the form with the routes in force.
pub(crate) async fn edit(
    State(site): State<Arc<Site>>,
    State(pool): State<PgPool>,
    signed_in: SignedIn,
) -> Result<Response, Error> {
    let service = store::look_up(&pool, signed_in.service).await?;
    let mut form = RequestForm::blank();
    if !service.routes.is_empty() {
        form.edge = service
            .routes
            .iter()
            .map(|of| of.edge.to_string())
            .collect();
        form.domains = service.routes.iter().map(|of| lines(&of.domains)).collect();
    }
    form.deployment = service.deployment.map_or("", Deployment::as_str).into();
    if service.pending().is_some() {
        return conflict(&site, &service, &form);
    }
    show(&site, &service, &form, &[])
}

fn lines(domains: &[SipDomain]) -> String {
    domains
        .iter()
        .map(SipDomain::as_str)
        .collect::<Vec<_>>()
        .join("\n")
}

/// `POST /service/edit`: does what the pressed button says.
pub(crate) async fn send_edit(
    State(pool): State<PgPool>,
    signed_in: SignedIn,
    flow: FormFlow,
    Fields(form): Fields<EditForm>,
) -> Result<Response, Error> {
    let site = &flow.site;
    let confirmed = match form.confirm_edge_change.as_str() {
        "" => false,
        "on" => true,
        _ => return Err(Error::OtherFields),
    };
    let service = store::look_up(&pool, signed_in.service).await?;
    let mut form = form.into_request(&service);
    let (checked, sending) = match flow.step(&mut form)? {
        Step::Show(errors) => return show(site, &service, &form, &errors),
        Step::Later(why) => return later(site, &form, confirmed, why),
        Step::Review(checked) => (checked, false),
        Step::Submit(checked) => (checked, true),
    };
    let told = changes(&service.routes, checked.wanted.routes.edges());
    // A retry of an update that was provisioned finds its changes in force, and gets the same
    // response.
    if told.is_empty() && !(sending && was_sent(&pool, &checked.submission).await?) {
        let nothing = FieldError::new(
            At::Form,
            "Nothing would change: these routes are in force already",
        );
        return show(site, &service, &form, &[nothing]);
    }
    let edge_change = told.iter().any(Change::is_edge_change);
    if !sending || (edge_change && !confirmed) {
        let preflight = preflight(site, flow.network, checked.wanted.routes.edges()).await;
        return review(site, &service, &form, &checked, &told, sending, preflight);
    }
    if let Err(why) = flow.admit(checked.wanted.routes.domain_count()) {
        return later(site, &form, confirmed, why);
    }
    let submission = Submission {
        id: checked.submission,
        asked: Asked::Update {
            service: service.id,
            deployment: checked.wanted.deployment,
            routes: checked.wanted.routes,
        },
        key: ManagementKey::random(),
    };
    match flow.queue.submit(submission).await {
        Ok(Submitted::Stored { reference, .. }) => {
            Ok(Redirect::to(&format!("/requests/{reference}/receipt")).into_response())
        }
        Ok(Submitted::AlreadySent { .. }) => already_sent(site, Section::Service),
        Ok(Submitted::Pending { .. }) => {
            let service = store::look_up(&pool, service.id).await?;
            conflict(site, &service, &form)
        }
        Err(NotStored::Refused(error)) => Err(error.into()),
        Err(why) => later(site, &form, confirmed, PutOff::NotStored(why)),
    }
}

/// The page to submit again later, with everything that was typed and confirmed.
fn later(site: &Site, form: &RequestForm, confirmed: bool, why: PutOff) -> Result<Response, Error> {
    let mut hidden = hidden(form);
    if confirmed {
        hidden.push(Hidden::new("confirm_edge_change", "on"));
    }
    let again = Resubmit {
        section: Section::Service,
        action: "/service/edit",
        hidden,
        cancels: false,
    };
    fields::later(site, again, why)
}

/// Everything that was typed, as hidden fields.
fn hidden(form: &RequestForm) -> Vec<Hidden> {
    let mut hidden: Vec<_> = hidden_edges(form).collect();
    hidden.extend([
        Hidden::new("deployment", &form.deployment),
        Hidden::new("submission_id", &form.submission_id),
    ]);
    hidden
}

/// The form with everything that was typed, and its errors.
fn show(
    site: &Site,
    service: &Service,
    form: &RequestForm,
    errors: &[FieldError],
) -> Result<Response, Error> {
    let mut view = view(site, service, form, errors);
    if errors.is_empty() {
        return page(StatusCode::OK, &view);
    }
    view.shell.error = true;
    let mut response = page(StatusCode::UNPROCESSABLE_ENTITY, &view)?;
    response.extensions_mut().insert(form_problem(errors));
    Ok(response)
}

/// 409: the service has a pending request, and can have only one. Everything typed stays.
fn conflict(site: &Site, service: &Service, form: &RequestForm) -> Result<Response, Error> {
    let mut view = view(site, service, form, &[]);
    view.pending = service
        .pending()
        .map(|request| request.reference.to_string());
    let mut response = page(StatusCode::CONFLICT, &view)?;
    response.extensions_mut().insert(Problem::pending());
    Ok(response)
}

fn view<'a>(
    site: &'a Site,
    service: &Service,
    form: &RequestForm,
    errors: &[FieldError],
) -> EditPage<'a> {
    EditPage {
        shell: site.shell(Section::Service),
        number: service.number.to_string(),
        submission_id: form.submission_id.clone(),
        edges: edge_fields(form, errors),
        deployment: field(errors, At::Deployment, &form.deployment),
        offers: offers(form, errors),
        general: general(errors),
        pending: None,
    }
}

/// *Check your changes*: now, after, each change in words. 422 when it was sent without the
/// confirmation that a change of an Access Edge FQDN needs.
fn review(
    site: &Site,
    service: &Service,
    form: &RequestForm,
    checked: &Checked,
    told: &[Change],
    unconfirmed: bool,
    preflight: Option<Findings>,
) -> Result<Response, Error> {
    let message = "Tick the box to confirm that these domains change their Access Edge";
    let confirm = told.iter().any(Change::is_edge_change).then(|| Field {
        errors: if unconfirmed {
            vec![message.to_owned()]
        } else {
            Vec::new()
        },
        ..Field::new("confirm_edge_change")
    });
    let mut shell = site.shell(Section::Service);
    shell.error = unconfirmed;
    let added = |change: &&Change| matches!(change, Change::Added { .. });
    let to_prove = match told.iter().filter(added).count() {
        added if added > 0 && shell.asks_proof() => {
            count(added, "new SIP domain", "new SIP domains")
        }
        _ => String::new(),
    };
    let view = ReviewPage {
        shell,
        changes: told.iter().map(in_words).collect(),
        now: routes_of(&service.routes),
        after: routes_of(checked.wanted.routes.edges()),
        warnings: checked
            .notes
            .iter()
            .filter(|note| !matches!(note, Note::Number(_)))
            .filter_map(warning)
            .collect(),
        split: checked.wanted.deployment == Deployment::Split,
        to_prove,
        preflight,
        confirm,
        hidden: hidden(form),
    };
    if !unconfirmed {
        return page(StatusCode::OK, &view);
    }
    let mut response = page(StatusCode::UNPROCESSABLE_ENTITY, &view)?;
    response
        .extensions_mut()
        .insert(Problem::field("confirm_edge_change", message));
    Ok(response)
}

/// A change in words.
fn in_words(change: &Change) -> ChangeLine {
    let name = |edge: &AccessEdge| edge.to_string();
    let (tag, tone, text) = match change {
        Change::Added { edge, .. } => (
            "Added",
            Tone::Good,
            format!("comes into force at {}", name(edge)),
        ),
        Change::Removed { edge, .. } => (
            "Removed",
            Tone::Bad,
            format!("is in force no more at {}", name(edge)),
        ),
        Change::Moves { from, to, .. } => (
            "Moves",
            Tone::Action,
            format!("moves from {} to {}", name(from), name(to)),
        ),
    };
    ChangeLine {
        tag,
        tone,
        domain: change.domain().to_string(),
        text,
    }
}
