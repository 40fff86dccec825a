//! The form that changes the routes of a service, or corrects what its pending request asks for.

mod typed;

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse as _, Redirect, Response},
};
use std::sync::Arc;

pub(crate) use self::typed::EditForm;
use self::typed::{hidden, typed};
use super::{
    super::{
        change::{Change, changes},
        store::{self, Service},
    },
    EDIT, SignInForm, at_number,
    correct::Basis,
    open,
    review::{Confirm, review},
    sign_in_page,
    view::EditPage,
};
use crate::{
    db::{PgPool, notify::Notifier},
    error::{Error, Problem},
    request::{
        Asked, Kind,
        form::{Field as At, FieldError, RequestForm},
        pages::{
            fields::{
                self, PutOff, Resubmit, already_sent, edge_fields, field, form_problem, general,
                offers, put_off,
            },
            findings::preflight,
            flow::{FormFlow, Step},
            view::Hidden,
        },
        queue::NotStored,
        reference::Reference,
        store::{Submission, Submitted, was_sent},
    },
    secret::Secret,
    session::{self, SignedIn, store as sessions},
    web::{form::Fields, page, page_with, shell::Section, site::Site},
};

/// What a form is told whose session has ended.
const SIGNED_OUT: &str =
    "You were signed out. That happens 30 minutes after the last use. What you typed is kept";

/// `GET /service/edit`: the form with the routes in force, or with those that the pending request asks
/// for.
pub(crate) async fn edit(
    State(site): State<Arc<Site>>,
    State(pool): State<PgPool>,
    signed_in: SignedIn,
) -> Result<Response, Error> {
    let service = store::look_up(&pool, signed_in.service).await?;
    if let Some(pending) = Basis::pending(&pool, &service).await? {
        return show(&site, &service, &pending, &pending.form(), &[]);
    }
    let in_force = Basis::in_force(&service);
    if service.pending().is_some() {
        return conflict(&site, &service, &in_force.form());
    }
    show(&site, &service, &in_force, &in_force.form(), &[])
}

/// `POST /service/edit`: does what the pressed button says. A browser whose session has ended signs in
/// again with the same form, which keeps what was typed.
pub(crate) async fn send_edit(
    State(pool): State<PgPool>,
    State(notifier): State<Notifier>,
    State(secret): State<Secret>,
    signed_in: Option<SignedIn>,
    flow: FormFlow,
    Fields(mut form): Fields<EditForm>,
) -> Result<Response, Error> {
    let tried = [&form.number, &form.management_key]
        .iter()
        .any(|typed| !typed.trim().is_empty());
    if let Some(signed_in) = signed_in
        && !tried
    {
        let service = store::look_up(&pool, signed_in.service).await?;
        return press(&pool, &notifier, &secret, &flow, &service, form).await;
    }
    let keys = SignInForm {
        number: std::mem::take(&mut form.number),
        management_key: std::mem::take(&mut form.management_key),
    };
    let asked = |form: EditForm, problems| {
        sign_in_page(&flow.site, EDIT, form.kept(), &keys.number, problems)
    };
    let signed_out = || at_number(SIGNED_OUT);
    if !tried && form.action.is_empty() {
        return Ok(Redirect::to("/service").into_response());
    }
    if !tried {
        return asked(form, signed_out());
    }
    let token = match open(&flow.site, &pool, flow.network, &keys, signed_in).await {
        Ok(Ok(token)) => token,
        Ok(Err(problems)) => return asked(form, problems),
        Err(Error::TooMany(too_many)) => {
            return Ok(put_off(
                asked(form, signed_out())?,
                Error::TooMany(too_many),
            ));
        }
        Err(error) => return Err(error),
    };
    let Some(service) = sessions::live(&pool, &token).await? else {
        return asked(form, signed_out());
    };
    let mut answer = if form.action.is_empty() {
        Redirect::to(EDIT).into_response()
    } else {
        let service = store::look_up(&pool, service).await?;
        press(&pool, &notifier, &secret, &flow, &service, form).await?
    };
    let cookie = session::COOKIE.set(&flow.site, None, token.reveal());
    if let Ok(cookie) = cookie.to_string().parse() {
        answer.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(answer)
}

/// Does what the pressed button says.
async fn press(
    pool: &PgPool,
    notifier: &Notifier,
    secret: &Secret,
    flow: &FormFlow,
    service: &Service,
    form: EditForm,
) -> Result<Response, Error> {
    let site = &flow.site;
    let confirmed = match form.confirm_edge_change.as_str() {
        "" => false,
        "on" => true,
        _ => return Err(Error::OtherFields),
    };
    let basis = Basis::of(pool, service, &form.corrects).await?;
    let Some(basis) = basis else {
        return ended(site, service, &form.into_request(Some(service)));
    };
    let mut form = form.into_corrected(service, &basis);
    let (checked, sending) = match flow.step(&mut form)? {
        Step::Show(errors) => return show(site, service, &basis, &form, &errors),
        Step::Later(why) => return later(site, &basis, &form, confirmed, why),
        Step::Review(checked) => (checked, false),
        Step::Submit(checked) => (checked, true),
    };
    let wanted = checked.wanted.routes.edges();
    let told = changes(&basis.routes, wanted);
    let number = Some(&checked.wanted.number).filter(|_| basis.number.is_some());
    let is_same = told.is_empty()
        && number == basis.number.as_ref()
        && (basis.corrects.is_none() || basis.deployment == Some(checked.wanted.deployment));
    // A retry of what was done already finds nothing to change, and gets the same response.
    if is_same {
        match basis.corrects {
            Some(reference) if sending => {
                return Ok(Redirect::to(&format!("/requests/{reference}")).into_response());
            }
            Some(_) => {
                let nothing = "Nothing would change: the request asks for these routes already";
                return show(site, service, &basis, &form, &[of_form(nothing)]);
            }
            None => {
                let reference = Reference::derive(secret, &checked.submission);
                if !(sending && was_sent(pool, reference).await?) {
                    let nothing = "Nothing would change: these routes are in force already";
                    return show(site, service, &basis, &form, &[of_form(nothing)]);
                }
            }
        }
    }
    let from_in_force = changes(&service.routes, wanted);
    let is_update = basis.corrects.is_some() && basis.number.is_none();
    if is_update && from_in_force.is_empty() {
        let nothing =
            "Nothing would change: these routes are in force already. Withdraw the request instead";
        return show(site, service, &basis, &form, &[of_form(nothing)]);
    }
    let confirm = match from_in_force.iter().any(Change::is_edge_change) {
        false => Confirm::NotNeeded,
        true if sending => Confirm::Missing,
        true => Confirm::Needed,
    };
    if !sending || (confirm == Confirm::Missing && !confirmed) {
        let preflight = preflight(site, flow.network, wanted).await;
        let hidden = hidden(&basis, &form);
        return review(site, service, &basis, &checked, confirm, preflight, hidden);
    }
    if let Err(why) = flow.admit(checked.wanted.routes.domain_count()) {
        return later(site, &basis, &form, confirmed, why);
    }
    let Some(reference) = basis.corrects else {
        let asked = Asked::Update {
            service: service.id,
            deployment: checked.wanted.deployment,
            routes: checked.wanted.routes,
        };
        let submission = Submission::new(secret, &checked.submission, asked);
        return submit(pool, flow, service, &basis, &form, submission, confirmed).await;
    };
    let deployment = checked.wanted.deployment;
    if !store::correct(pool, service.id, reference, number, deployment, wanted).await? {
        return ended(site, service, &form);
    }
    notifier.wake();
    notifier.changed();
    Ok(Redirect::to(&format!("/requests/{reference}")).into_response())
}

/// Stores the update.
async fn submit(
    pool: &PgPool,
    flow: &FormFlow,
    service: &Service,
    basis: &Basis,
    form: &RequestForm,
    submission: Submission,
    confirmed: bool,
) -> Result<Response, Error> {
    let site = &flow.site;
    match flow.queue.submit(submission).await {
        Ok(Submitted::Stored { reference, .. }) => {
            Ok(Redirect::to(&format!("/requests/{reference}/receipt")).into_response())
        }
        Ok(Submitted::AlreadySent { .. }) => already_sent(site, Section::Service),
        Ok(Submitted::Pending { .. }) => {
            let service = store::look_up(pool, service.id).await?;
            conflict(site, &service, form)
        }
        Err(NotStored::Refused(error)) => Err(error.into()),
        Err(why) => later(site, basis, form, confirmed, PutOff::NotStored(why)),
    }
}

/// An error of the form as a whole.
fn of_form(message: &str) -> FieldError {
    FieldError::new(At::Form, message)
}

/// The form as an update, because the request that it was to correct has ended.
fn ended(site: &Site, service: &Service, form: &RequestForm) -> Result<Response, Error> {
    let message = "The request has ended in the meantime, so it cannot be corrected. What you send from here changes the service";
    let in_force = Basis::in_force(service);
    show(site, service, &in_force, form, &[of_form(message)])
}

/// The page to submit again later, with everything that was typed and confirmed.
fn later(
    site: &Site,
    basis: &Basis,
    form: &RequestForm,
    confirmed: bool,
    why: PutOff,
) -> Result<Response, Error> {
    let mut hidden = hidden(basis, form);
    if confirmed {
        hidden.push(Hidden::new("confirm_edge_change", "on"));
    }
    let again = Resubmit {
        section: Section::Service,
        action: EDIT,
        hidden,
        cancels: false,
    };
    fields::later(site, again, why)
}

/// The form with everything that was typed, and its errors.
fn show(
    site: &Site,
    service: &Service,
    basis: &Basis,
    form: &RequestForm,
    errors: &[FieldError],
) -> Result<Response, Error> {
    let mut view = view(site, service, form, errors);
    view.corrects = basis.corrects();
    let number = || field(errors, At::Number, &form.number);
    view.corrected_number = basis.number.is_some().then(number);
    if errors.is_empty() {
        return page(StatusCode::OK, &view);
    }
    view.shell.error = true;
    page_with(form_problem(errors), &view)
}

/// 409: the service has a pending request, and can have only one. Everything typed stays.
fn conflict(site: &Site, service: &Service, form: &RequestForm) -> Result<Response, Error> {
    let mut view = view(site, service, form, &[]);
    if let Some(pending) = service.pending() {
        let reference = pending.reference.to_string();
        if pending.facts.kind != Kind::Cancel {
            view.hidden = typed(form);
            view.hidden.push(Hidden::new("corrects", &reference));
        }
        view.pending = Some(reference);
    }
    page_with(Problem::pending(), &view)
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
        has_routes: !service.routes.is_empty(),
        pending: None,
        corrects: String::new(),
        corrected_number: None,
        number_label: service.programme.number_label(),
        hidden: Vec::new(),
    }
}
