//! How is a request asked for: form, check your answers, sending?

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{AppendHeaders, IntoResponse as _, Redirect, Response},
};

use super::{
    blank, domain_of,
    fields::{
        self, Again, PutOff, already_sent, edge_fields, field, form_problem, general, hidden_edges,
        warning,
    },
    findings::{Findings, outlook},
    receipt,
    view::{AnswerEdge, AnswersPage, Choice, EdgeRoutes, FormPage, Hidden, Normalised},
};
use crate::{
    agreement::Programme,
    app::App,
    error::Error,
    request::{
        Asked, Deployment,
        form::{self, Action, Checked, FieldError, Note, RequestForm},
        queue::NotStored,
        reference::SubmissionId,
        store::{Submission, Submitted},
    },
    service::ManagementKey,
    web::{client::Client, form::Fields, page, shell::Section},
};

/// `GET /requests/new`: an empty form with a submission id of its own.
pub(crate) async fn form(State(app): State<App>) -> Result<Response, Error> {
    blank::show(&app)
}

/// `POST /requests/new`: what the pressed button says.
pub(crate) async fn send_form(
    State(app): State<App>,
    Client(network): Client,
    Fields(mut form): Fields<RequestForm>,
) -> Result<Response, Error> {
    let Some(action) = Action::parse(&form.action) else {
        return Err(Error::OtherFields);
    };
    if action == Action::Submit {
        if let Err(too_many) = app.site().throttle.submits.take(network) {
            return later(&app, &form, PutOff::TooMany(too_many));
        }
        if let Err(full) = app.queue().admit() {
            return later(&app, &form, PutOff::NotStored(full));
        }
    }
    match action {
        Action::Change => show(&app, &form, &[]),
        Action::AddEdge => {
            form.add_edge();
            show(&app, &form, &[])
        }
        Action::RemoveEdge(place) => {
            form.remove_edge(place);
            show(&app, &form, &[])
        }
        Action::Review | Action::Submit => match form.check() {
            Err(errors) => {
                // A damaged number is replaced, so that the next press works.
                if SubmissionId::parse(&form.submission_id).is_none() {
                    form.submission_id = SubmissionId::random().to_field();
                }
                show(&app, &form, &errors)
            }
            Ok(checked) if action == Action::Review => {
                let outlook = outlook(&app, network, checked.wanted.routes.edges()).await;
                answers(&app, &form, checked, outlook)
            }
            Ok(checked) => {
                let domains = checked.wanted.routes.domain_count();
                match fields::admit(&app, network, domains) {
                    Ok(()) => submit(&app, &form, checked).await,
                    Err(why) => later(&app, &form, why),
                }
            }
        },
    }
}

/// Everything that was typed, to be sent again later.
fn later(app: &App, form: &RequestForm, why: PutOff) -> Result<Response, Error> {
    let again = Again {
        section: Section::Request,
        action: "/requests/new",
        hidden: hidden(form),
        cancels: false,
    };
    fields::later(app, again, why)
}

/// Everything that was typed, in hidden fields.
fn hidden(form: &RequestForm) -> Vec<Hidden> {
    let mut hidden = vec![
        Hidden::new("programme", &form.programme),
        Hidden::new("number", &form.number),
    ];
    hidden.extend(hidden_edges(form));
    hidden.extend([
        Hidden::new("deployment", &form.deployment),
        Hidden::new("terms", &form.terms),
        Hidden::new("submission_id", &form.submission_id),
    ]);
    hidden
}

/// Stores the request, and leads to its receipt with the key in a cookie of that address.
async fn submit(app: &App, form: &RequestForm, checked: Checked) -> Result<Response, Error> {
    let key = ManagementKey::derive(&app.db().secret, &checked.submission);
    let submission = Submission {
        id: checked.submission,
        asked: Asked::Initiate(checked.wanted),
        key,
    };
    let submitted = match app.submit(submission).await {
        Ok(submitted) => submitted,
        Err(NotStored::Refused(error)) => return Err(error.into()),
        Err(why) => return later(app, form, PutOff::NotStored(why)),
    };
    match submitted {
        Submitted::Stored { reference, created } => {
            let address = format!("/requests/{reference}/receipt");
            if !created && !receipt::shows_key_again(app, reference).await? {
                return Ok(Redirect::to(&address).into_response());
            }
            // Not by a jar: it holds one cookie of a name, and these differ by their path alone.
            let cookies = receipt::key_cookies(app, &address, &key)
                .map(|c| (header::SET_COOKIE, c.to_string()));
            Ok((AppendHeaders(cookies), Redirect::to(&address)).into_response())
        }
        Submitted::AlreadySent { .. } => already_sent(app, Section::Request),
        // A new service has no other request.
        Submitted::Pending { .. } => Err(Error::Pending),
    }
}

/// The form with everything that was typed; 422 when there are errors.
fn show(app: &App, form: &RequestForm, errors: &[FieldError]) -> Result<Response, Error> {
    let view = view(app, form, errors);
    if errors.is_empty() {
        return page(StatusCode::OK, &view);
    }
    let mut response = page(StatusCode::UNPROCESSABLE_ENTITY, &view)?;
    response.extensions_mut().insert(form_problem(errors));
    Ok(response)
}

/// The page with everything that was typed, and what is wrong with it.
pub(super) fn view<'a>(app: &'a App, form: &RequestForm, errors: &[FieldError]) -> FormPage<'a> {
    let field = |at, value: &str| field(errors, at, value);
    let mut shell = app.shell(Section::Request);
    shell.error = !errors.is_empty();
    FormPage {
        shell,
        submission_id: form.submission_id.clone(),
        programmes: Programme::ALL
            .map(|programme| Choice {
                value: programme.as_str().into(),
                label: programme.label().into(),
                hint: format!("{}: {}", programme.number_label(), programme.number_hint()),
            })
            .into(),
        programme: field(form::Field::Programme, &form.programme),
        number: field(form::Field::Number, &form.number),
        edges: edge_fields(form, errors),
        deployment: field(form::Field::Deployment, &form.deployment),
        terms: field(form::Field::Terms, &form.terms),
        general: general(errors),
    }
}

/// *Check your answers*: what will be stored, what was changed on the way, what looks odd.
fn answers(
    app: &App,
    form: &RequestForm,
    checked: Checked,
    outlook: Option<Findings>,
) -> Result<Response, Error> {
    let mut number_typed = String::new();
    let mut edges: Vec<AnswerEdge> = checked
        .wanted
        .routes
        .edges()
        .iter()
        .map(|(edge, domains)| AnswerEdge {
            routes: EdgeRoutes {
                access_edge: edge.to_string(),
                domains: domains.iter().map(domain_of).collect(),
            },
            typed: String::new(),
        })
        .collect();
    let mut normalised = Vec::new();
    let mut warnings = Vec::new();
    for note in checked.notes {
        match note {
            Note::Normalised {
                field: form::Field::Number,
                typed,
                ..
            } => number_typed = typed.0,
            Note::Normalised {
                field: form::Field::Edge(place),
                typed,
                ..
            } if place < edges.len() => {
                edges[place].typed = typed.0;
            }
            Note::Normalised { typed, used, .. } => normalised.push(Normalised {
                typed: typed.0,
                used: used.0,
            }),
            odd => warnings.extend(warning(&odd)),
        }
    }
    page(
        StatusCode::OK,
        &AnswersPage {
            shell: app.shell(Section::Request),
            programme: checked.wanted.programme.label().into(),
            number_label: checked.wanted.programme.number_label().into(),
            number: checked.wanted.number.to_string(),
            number_typed,
            edges,
            split: checked.wanted.deployment == Deployment::Split,
            normalised,
            warnings,
            outlook,
            hidden: hidden(form),
        },
    )
}

#[cfg(test)]
mod tests {
    use super::FormPage;
    use crate::request::MAX_EDGES;

    #[test]
    fn the_page_has_room_for_as_many_edges_as_a_request() {
        assert_eq!(FormPage::MOST_EDGES, MAX_EDGES);
    }
}
