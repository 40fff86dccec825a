//! The pages of a new request: form, review, submit.

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{AppendHeaders, IntoResponse as _, Redirect, Response},
};
use std::{str::FromStr as _, sync::Arc};

use super::{
    blank::BlankForm,
    domain_of,
    fields::{
        self, PutOff, Resubmit, already_sent, edge_fields, field, form_problem, general,
        hidden_edges, offers, warning,
    },
    findings::{Findings, preflight},
    flow::{FormFlow, Step},
    load::Requests,
    receipt,
    view::{AnswerEdge, AnswersPage, FormPage, Hidden, Normalised},
};
use crate::{
    agreement::Programme,
    error::Error,
    names::EdgeRoutes,
    request::{
        Asked, Deployment,
        form::{self, Checked, FieldError, Note, RequestForm},
        queue::NotStored,
        store::{Submission, Submitted},
    },
    secret::Secret,
    web::{
        form::Fields,
        page, page_with,
        parts::{Choice, EdgeText},
        shell::Section,
        site::Site,
    },
};

/// `GET /requests/new`: an empty form with a submission id of its own.
pub(crate) async fn form(
    State(site): State<Arc<Site>>,
    State(blank): State<BlankForm>,
) -> Result<Response, Error> {
    blank.show(&site)
}

/// `POST /requests/new`: does what the pressed button says.
pub(crate) async fn send_form(
    State(secret): State<Secret>,
    flow: FormFlow,
    requests: Requests,
    Fields(mut form): Fields<RequestForm>,
) -> Result<Response, Error> {
    let site = &flow.site;
    match flow.step(&mut form)? {
        Step::Show(errors) => show(site, &form, &errors),
        Step::Later(why) => later(site, &form, why),
        Step::Review(checked) => {
            let preflight = preflight(site, flow.network, checked.wanted.routes.edges()).await;
            answers(site, &form, checked, preflight)
        }
        Step::Submit(checked) => match flow.admit(checked.wanted.routes.domain_count()) {
            Ok(()) => submit(&flow, &requests, &secret, &form, checked).await,
            Err(why) => later(site, &form, why),
        },
    }
}

/// The page to submit again later, with everything that was typed.
fn later(site: &Site, form: &RequestForm, why: PutOff) -> Result<Response, Error> {
    let again = Resubmit {
        section: Section::Request,
        action: "/requests/new",
        hidden: hidden(form),
        cancels: false,
    };
    fields::later(site, again, why)
}

/// Everything that was typed, as hidden fields.
fn hidden(form: &RequestForm) -> Vec<Hidden> {
    let mut hidden = vec![
        Hidden::new("programme", &form.programme),
        Hidden::new("number", &form.number),
    ];
    hidden.extend(hidden_edges(form));
    hidden.push(Hidden::new("deployment", &form.deployment));
    let declared = [
        ("licences", form.declares_licences()),
        ("may_act", form.declares_may_act()),
    ];
    let declared = declared.into_iter().filter(|(_, declared)| *declared);
    hidden.extend(declared.map(|(name, _)| Hidden::new(name, ticked(true))));
    hidden.push(Hidden::new("submission_id", &form.submission_id));
    hidden
}

/// The value of a checkbox.
const fn ticked(is: bool) -> &'static str {
    if is { "on" } else { "" }
}

/// Stores the request, and redirects to its receipt with the key in a cookie of that path.
async fn submit(
    flow: &FormFlow,
    requests: &Requests,
    secret: &Secret,
    form: &RequestForm,
    checked: Checked,
) -> Result<Response, Error> {
    let site = &flow.site;
    let submission = Submission::new(secret, &checked.submission, Asked::Initiate(checked.wanted));
    let key = submission.key;
    let submitted = match flow.queue.submit(submission).await {
        Ok(submitted) => submitted,
        Err(NotStored::Refused(error)) => return Err(error.into()),
        Err(why) => return later(site, form, PutOff::NotStored(why)),
    };
    match submitted {
        Submitted::Stored { reference, created } => {
            let address = format!("/requests/{reference}/receipt");
            if !created && !receipt::shows_key_again(requests, reference).await? {
                return Ok(Redirect::to(&address).into_response());
            }
            // Not with a jar: it holds one cookie of a name, and these differ only in their path.
            let cookies = [address.clone(), format!("{address}.txt")].map(|path| {
                let cookie = receipt::COOKIE.set(site, Some(path), key.reveal());
                (header::SET_COOKIE, cookie.to_string())
            });
            Ok((AppendHeaders(cookies), Redirect::to(&address)).into_response())
        }
        Submitted::AlreadySent { .. } => already_sent(site, Section::Request),
        // A new service has no other request.
        Submitted::Pending { .. } => Err(Error::Pending),
    }
}

/// The form with everything that was typed; 422 when there are errors.
fn show(site: &Site, form: &RequestForm, errors: &[FieldError]) -> Result<Response, Error> {
    let view = view(site, form, errors);
    if errors.is_empty() {
        return page(StatusCode::OK, &view);
    }
    page_with(form_problem(errors), &view)
}

/// The form with everything that was typed, and its errors.
pub(super) fn view<'a>(site: &'a Site, form: &RequestForm, errors: &[FieldError]) -> FormPage<'a> {
    let field = |at, value: &str| field(errors, at, value);
    let mut shell = site.shell(Section::Request);
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
        number_label: Programme::from_str(&form.programme)
            .map_or("Agreement number", Programme::number_label),
        licences: field(form::Field::Licences, ticked(form.declares_licences())),
        may_act: field(form::Field::MayAct, ticked(form.declares_may_act())),
        offers: offers(form, errors),
        general: general(errors),
    }
}

/// *Check your answers*: what will be stored, what was normalised, what looks unusual.
fn answers(
    site: &Site,
    form: &RequestForm,
    checked: Checked,
    preflight: Option<Findings>,
) -> Result<Response, Error> {
    let mut number_typed = String::new();
    let mut edges: Vec<AnswerEdge> = checked
        .wanted
        .routes
        .edges()
        .iter()
        .map(|EdgeRoutes { edge, domains }| AnswerEdge {
            routes: EdgeText {
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
            shell: site.shell(Section::Request),
            programme: checked.wanted.programme.label().into(),
            number_label: checked.wanted.programme.number_label().into(),
            number: checked.wanted.number.to_string(),
            number_typed,
            edges,
            split: checked.wanted.deployment == Deployment::Split,
            normalised,
            warnings,
            preflight,
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
