//! How is a request asked for: form, check your answers, sending?

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{AppendHeaders, IntoResponse as _, Redirect, Response},
};

use super::{
    domain_of, receipt,
    view::{
        AlreadySentPage, AnswerEdge, AnswersPage, Choice, EdgeFields, EdgeRoutes, Field, FormPage,
        Hidden, Normalised, Problem as Line, count,
    },
};
use crate::{
    agreement::Programme,
    app::App,
    error::{Error, FieldProblem, Problem},
    request::{
        Deployment,
        form::{self, Action, Checked, FieldError, Note, RequestForm},
        reference::SubmissionId,
        store::{self, Submission, Submitted},
    },
    service::ManagementKey,
    web::{client::Client, form::Fields, limit::TooMany, page, shell::Section},
};

/// `GET /requests/new`: an empty form with a submission id of its own.
pub(crate) async fn form(State(app): State<App>) -> Result<Response, Error> {
    show(&app, &RequestForm::blank(), &[])
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
    if action == Action::Submit
        && let Err(too_many) = app.site().throttle.submits.take(network)
    {
        return later(&app, &form, too_many);
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
            Ok(checked) if action == Action::Review => answers(&app, &form, checked),
            Ok(checked) => submit(&app, checked).await,
        },
    }
}

/// The form with everything that was typed, to be sent again later.
fn later(app: &App, form: &RequestForm, too_many: TooMany) -> Result<Response, Error> {
    let seconds = too_many.seconds();
    let error = FieldError {
        field: form::Field::Form,
        message: format!(
            "Too many requests were sent from your network. Nothing was stored: send this again in {}.",
            count(usize::from(seconds), "second", "seconds")
        ),
    };
    let mut response = show(app, form, &[error])?;
    *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, seconds.into());
    response
        .extensions_mut()
        .insert(Problem::from(Error::TooMany(too_many)));
    Ok(response)
}

/// Stores the request, and leads to its receipt with the key in a cookie of that address.
async fn submit(app: &App, checked: Checked) -> Result<Response, Error> {
    let key = ManagementKey::derive(&app.db().secret, &checked.submission);
    let submission = Submission {
        id: checked.submission,
        wanted: checked.wanted,
        key,
    };
    let [submitted] = store::submit(&app.db().pool, &[submission]).await?[..] else {
        return Err(Error::NoPage);
    };
    match submitted {
        Submitted::Stored { reference, created } => {
            if created {
                app.wake();
            }
            let address = format!("/requests/{reference}/receipt");
            // Not by a jar: it holds one cookie of a name, and these differ by their path alone.
            let cookies = receipt::key_cookies(app, &address, &key)
                .map(|c| (header::SET_COOKIE, c.to_string()));
            Ok((AppendHeaders(cookies), Redirect::to(&address)).into_response())
        }
        Submitted::AlreadySent { reference } => {
            let mut response = page(
                StatusCode::CONFLICT,
                &AlreadySentPage {
                    shell: app.shell(Section::Request),
                    reference: reference.to_string(),
                },
            )?;
            response.extensions_mut().insert(Problem::already_sent());
            Ok(response)
        }
    }
}

/// The most edges of one form that are shown again: no browser has sent more than ten.
const MOST_SHOWN: usize = 50;

/// The id of a field on the page, which error summary and programs name.
fn id_of(field: form::Field) -> String {
    match field {
        form::Field::Programme => "programme".into(),
        form::Field::Number => "number".into(),
        form::Field::Edge(place) => format!("edge-{}", place + 1),
        form::Field::Domains(place) => format!("domains-{}", place + 1),
        form::Field::Deployment => "deployment".into(),
        form::Field::Terms => "terms".into(),
        form::Field::Form => "form".into(),
    }
}

/// The form with everything that was typed; 422 when there are errors.
fn show(app: &App, form: &RequestForm, errors: &[FieldError]) -> Result<Response, Error> {
    let field = |field: form::Field, value: &str| Field {
        id: id_of(field),
        value: value.to_owned(),
        errors: errors
            .iter()
            .filter(|e| e.field == field)
            .map(|e| e.message.clone())
            .collect(),
        notes: Vec::new(),
    };
    let mut shell = app.shell(Section::Request);
    shell.error = !errors.is_empty();
    let view = FormPage {
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
        edges: form
            .pairs()
            .take(MOST_SHOWN)
            .enumerate()
            .map(|(place, (edge, domains))| EdgeFields {
                edge: field(form::Field::Edge(place), edge),
                domains: field(form::Field::Domains(place), domains),
            })
            .collect(),
        deployment: field(form::Field::Deployment, &form.deployment),
        terms: field(form::Field::Terms, &form.terms),
        general: errors
            .iter()
            .filter(|e| e.field == form::Field::Form)
            .map(|e| Line {
                id: String::new(),
                text: e.message.clone(),
            })
            .collect(),
    };
    if errors.is_empty() {
        return page(StatusCode::OK, &view);
    }
    let mut response = page(StatusCode::UNPROCESSABLE_ENTITY, &view)?;
    let by_field = |e: &FieldError| FieldProblem {
        field: id_of(e.field),
        message: e.message.clone(),
    };
    response
        .extensions_mut()
        .insert(Problem::form(errors.iter().map(by_field).collect()));
    Ok(response)
}

/// *Check your answers*: what will be stored, what was changed on the way, what looks odd.
fn answers(app: &App, form: &RequestForm, checked: Checked) -> Result<Response, Error> {
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
            Note::Merged { edge, doubles } => warnings.push(format!(
                "{} at Access Edge {} counted once.",
                count(
                    doubles,
                    "SIP domain that was listed twice is",
                    "SIP domains that were listed twice are"
                ),
                edge + 1
            )),
            Note::Number(warning) => warnings.push(warning.message()),
            Note::NotDiscoverable { edge, domains } => {
                let first: Vec<String> = domains.iter().take(3).map(ToString::to_string).collect();
                let more = domains.len().saturating_sub(first.len());
                let more = if more > 0 {
                    format!(" and {more} more")
                } else {
                    String::new()
                };
                warnings.push(format!(
                    "Partners who discover servers by the rule of 2019 look for a name directly under the SIP domain. {edge} is not one for {}{more}. You can go on: partners who add your server by name are not affected.",
                    first.join(", ")
                ));
            }
        }
    }
    let field = |name: &str, value: &str| Hidden {
        name: name.into(),
        value: value.into(),
    };
    let mut hidden = vec![
        field("programme", &form.programme),
        field("number", &form.number),
    ];
    for (edge, domains) in form.pairs() {
        hidden.extend([field("edge", edge), field("domains", domains)]);
    }
    hidden.extend([
        field("deployment", &form.deployment),
        field("terms", &form.terms),
        field("submission_id", &form.submission_id),
    ]);
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
            hidden,
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
