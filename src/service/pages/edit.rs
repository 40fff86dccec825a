//! How are the routes of a service changed: form, review with now and after, sending?

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Redirect, Response},
};
use serde::Deserialize;

use super::{
    super::{
        ManagementKey,
        change::{Change, changes},
        store::{self, Service},
    },
    view::{ChangeLine, EditPage, ReviewPage},
};
use crate::{
    app::App,
    error::{Error, Problem},
    names::{AccessEdge, SipDomain},
    request::{
        Asked, Deployment,
        form::{Action, Checked, Field as At, FieldError, Note, RequestForm},
        pages::{
            fields::{
                self, Again, PutOff, already_sent, edge_fields, field, form_problem, general,
                hidden_edges, warning,
            },
            findings::{Findings, outlook},
            routes_of,
            view::{Field, Hidden, Tone, count},
        },
        queue::NotStored,
        reference::SubmissionId,
        store::{Submission, Submitted, was_sent},
    },
    web::{
        client::{Client, Network},
        form::Fields,
        page,
        session::SignedIn,
        shell::Section,
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
    /// The same as a request's form, with what the service knows already: one set of rules for
    /// both.
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
        }
    }
}

/// `GET /service/edit`: the form with what is in force.
pub(crate) async fn edit(State(app): State<App>, signed_in: SignedIn) -> Result<Response, Error> {
    let service = store::look_up(&app.db().pool, signed_in.service).await?;
    let mut form = RequestForm::blank();
    if !service.routes.is_empty() {
        form.edge = service
            .routes
            .iter()
            .map(|(edge, _)| edge.to_string())
            .collect();
        form.domains = service
            .routes
            .iter()
            .map(|(_, domains)| lines(domains))
            .collect();
    }
    form.deployment = service.deployment.map_or("", Deployment::as_str).into();
    if service.pending().is_some() {
        return in_the_way(&app, &service, &form);
    }
    show(&app, &service, &form, StatusCode::OK, &[])
}

fn lines(domains: &[SipDomain]) -> String {
    domains
        .iter()
        .map(SipDomain::as_str)
        .collect::<Vec<_>>()
        .join("\n")
}

/// `POST /service/edit`: what the pressed button says.
pub(crate) async fn send_edit(
    State(app): State<App>,
    signed_in: SignedIn,
    Client(network): Client,
    Fields(form): Fields<EditForm>,
) -> Result<Response, Error> {
    let action = Action::parse(&form.action).ok_or(Error::OtherFields)?;
    let confirmed = match form.confirm_edge_change.as_str() {
        "" => false,
        "on" => true,
        _ => return Err(Error::OtherFields),
    };
    let service = store::look_up(&app.db().pool, signed_in.service).await?;
    let mut form = form.into_request(&service);
    if action == Action::Submit
        && let Err(too_many) = app.site().throttle.submits.take(network)
    {
        return later(&app, &form, confirmed, PutOff::TooMany(too_many));
    }
    match action {
        Action::Change => show(&app, &service, &form, StatusCode::OK, &[]),
        Action::AddEdge => {
            form.add_edge();
            show(&app, &service, &form, StatusCode::OK, &[])
        }
        Action::RemoveEdge(place) => {
            form.remove_edge(place);
            show(&app, &service, &form, StatusCode::OK, &[])
        }
        Action::Review | Action::Submit => match form.check() {
            Err(errors) => {
                if SubmissionId::parse(&form.submission_id).is_none() {
                    form.submission_id = SubmissionId::random().to_field();
                }
                show(
                    &app,
                    &service,
                    &form,
                    StatusCode::UNPROCESSABLE_ENTITY,
                    &errors,
                )
            }
            Ok(checked) => {
                let decision = Decision {
                    checked,
                    action,
                    confirmed,
                    network,
                };
                decide(&app, &service, &form, decision).await
            }
        },
    }
}

/// An edit that keeps all rules, and what is to be done with it.
struct Decision {
    checked: Checked,
    action: Action,
    confirmed: bool,
    network: Network,
}

/// Reviews or sends an edit that keeps all rules of a request.
async fn decide(
    app: &App,
    service: &Service,
    form: &RequestForm,
    Decision {
        checked,
        action,
        confirmed,
        network,
    }: Decision,
) -> Result<Response, Error> {
    let told = changes(&service.routes, checked.wanted.routes.edges());
    let edge_change = told.iter().any(Change::is_edge_change);
    let sending = action == Action::Submit;
    // A retry of what was sent already finds its changes in force, and is answered all the same.
    if told.is_empty() && !(sending && was_sent(&app.db().pool, &checked.submission).await?) {
        let nothing = FieldError {
            field: At::Form,
            message: "Nothing would change: these routes are in force already".into(),
        };
        return show(
            app,
            service,
            form,
            StatusCode::UNPROCESSABLE_ENTITY,
            &[nothing],
        );
    }
    if !sending || (edge_change && !confirmed) {
        let outlook = outlook(app, network, checked.wanted.routes.edges()).await;
        return review(app, service, form, &checked, &told, sending, outlook);
    }
    if let Err(why) = fields::admit(app, network, checked.wanted.routes.domain_count()) {
        return later(app, form, confirmed, why);
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
    let submitted = match app.submit(submission).await {
        Ok(submitted) => submitted,
        Err(NotStored::Refused(error)) => return Err(error.into()),
        Err(why) => return later(app, form, confirmed, PutOff::NotStored(why)),
    };
    match submitted {
        Submitted::Stored { reference, .. } => {
            Ok(Redirect::to(&format!("/requests/{reference}/receipt")).into_response())
        }
        Submitted::AlreadySent { .. } => already_sent(app, Section::Service),
        Submitted::Pending { .. } => {
            let service = store::look_up(&app.db().pool, service.id).await?;
            in_the_way(app, &service, form)
        }
    }
}

/// Everything that was typed and confirmed, to be sent again later.
fn later(app: &App, form: &RequestForm, confirmed: bool, why: PutOff) -> Result<Response, Error> {
    let mut hidden = hidden(form);
    if confirmed {
        hidden.push(Hidden::new("confirm_edge_change", "on"));
    }
    let again = Again {
        section: Section::Service,
        action: "/service/edit",
        hidden,
        cancels: false,
    };
    fields::later(app, again, why)
}

/// Everything that was typed, in hidden fields.
fn hidden(form: &RequestForm) -> Vec<Hidden> {
    let mut hidden: Vec<_> = hidden_edges(form).collect();
    hidden.extend([
        Hidden::new("deployment", &form.deployment),
        Hidden::new("submission_id", &form.submission_id),
    ]);
    hidden
}

/// The form with everything that was typed.
fn show(
    app: &App,
    service: &Service,
    form: &RequestForm,
    status: StatusCode,
    errors: &[FieldError],
) -> Result<Response, Error> {
    let mut view = view(app, service, form, errors);
    view.shell.error = !errors.is_empty();
    let mut response = page(status, &view)?;
    if !errors.is_empty() {
        response.extensions_mut().insert(form_problem(errors));
    }
    Ok(response)
}

/// 409: a request of the service is pending, and there can be only one. Everything typed stays.
fn in_the_way(app: &App, service: &Service, form: &RequestForm) -> Result<Response, Error> {
    let mut view = view(app, service, form, &[]);
    view.pending = service
        .pending()
        .map(|request| request.reference.to_string());
    let mut response = page(StatusCode::CONFLICT, &view)?;
    response.extensions_mut().insert(Problem::pending());
    Ok(response)
}

fn view<'a>(
    app: &'a App,
    service: &Service,
    form: &RequestForm,
    errors: &[FieldError],
) -> EditPage<'a> {
    EditPage {
        shell: app.shell(Section::Service),
        number: service.number.to_string(),
        submission_id: form.submission_id.clone(),
        edges: edge_fields(form, errors),
        deployment: field(errors, At::Deployment, &form.deployment),
        general: general(errors),
        pending: None,
    }
}

/// *Check your changes*: now, after, each change in words. 422 when it was sent without the
/// confirmation that a change of an Access Edge FQDN needs.
fn review(
    app: &App,
    service: &Service,
    form: &RequestForm,
    checked: &Checked,
    told: &[Change],
    unconfirmed: bool,
    outlook: Option<Findings>,
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
    let mut shell = app.shell(Section::Service);
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
        outlook,
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
