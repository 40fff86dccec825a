//! The pages of a service: signing in, the hub, and the list of routes.

mod correct;
mod edit;
mod end;
mod news;
mod review;
pub mod view;
mod watch;

use axum::{
    extract::{Query, State},
    http::{HeaderValue, StatusCode, header},
    response::{AppendHeaders, IntoResponse as _, Redirect, Response},
};
use serde::Deserialize;
use std::sync::Arc;

use self::view::{HubPage, Line, SignInPage};
pub(crate) use self::{
    edit::{edit, send_edit},
    end::{cancel, conflict, key, send_cancel, send_key},
    watch::{send_watch, watch, watch_calendar, watch_feed},
};
use super::store::{self, Listed, Service};
use crate::{
    agreement::AgreementNumber,
    db::PgPool,
    error::{Error, FailedTry, FieldProblem, Problem},
    names::EdgeRoutes,
    readiness::{ProofMode, Severity, wording::Teller},
    request::{
        Kind, Standing,
        pages::{
            findings::Findings,
            moved::{Moved, has_moved},
            routes_of,
            view::Hidden,
        },
        wording,
    },
    secret::{ManagementKey, SessionToken},
    server::network::Network,
    session::{self, SignedIn, store as sessions},
    web::{
        client::Client,
        form::{Fields, NoFields},
        page, page_with,
        parts::{Field, Tone},
        shell::Section,
        site::Site,
        when::when,
    },
};

/// The only answer to a number and a key that open nothing together.
const NOT_OPENED: &str = "No service is opened by this number and this key together. Check both against the receipt, or against the page where a new key was made";

/// The query of `GET /service`.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Then {
    /// `edit`: go on to the form that changes the service.
    then: String,
}

/// `GET /service`: the hub for clients that are signed in, the sign-in form for others.
pub(crate) async fn service(
    State(site): State<Arc<Site>>,
    State(pool): State<PgPool>,
    Query(Then { then }): Query<Then>,
    signed_in: Option<SignedIn>,
) -> Result<Response, Error> {
    let goes_on = then == "edit";
    match signed_in {
        Some(_) if goes_on => Ok(Redirect::to(EDIT).into_response()),
        Some(signed_in) => hub(&site, &store::look_up(&pool, signed_in.service).await?),
        None => {
            let action = if goes_on { EDIT } else { "/service" };
            sign_in_page(&site, action, Vec::new(), "", Vec::new())
        }
    }
}

/// The form that changes a service.
const EDIT: &str = "/service/edit";

/// The fields of `POST /service`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SignInForm {
    number: String,
    management_key: String,
}

/// `POST /service`: sign in with the agreement number and the management key.
pub(crate) async fn sign_in(
    State(site): State<Arc<Site>>,
    State(pool): State<PgPool>,
    earlier: Option<SignedIn>,
    Client(network): Client,
    Fields(form): Fields<SignInForm>,
) -> Result<Response, Error> {
    let token = match open(&site, &pool, network, &form, earlier).await? {
        Ok(token) => token,
        Err(problems) => {
            return sign_in_page(&site, "/service", Vec::new(), &form.number, problems);
        }
    };
    let cookie = session::COOKIE.set(&site, None, token.reveal()).to_string();
    Ok((
        AppendHeaders([(header::SET_COOKIE, cookie)]),
        Redirect::to("/service"),
    )
        .into_response())
}

/// An error of the sign-in form as a whole, which its first field shows.
fn at_number(message: &str) -> Vec<FieldProblem> {
    vec![FieldProblem {
        field: "number".into(),
        message: message.into(),
    }]
}

/// Number and key as typed; or what is missing, and what no number or key looks like. It depends on
/// nothing that is stored.
fn typed(form: &SignInForm) -> Result<(AgreementNumber, ManagementKey), Vec<FieldProblem>> {
    let number = AgreementNumber::parse_to_find(&form.number);
    let key = ManagementKey::parse(&form.management_key).ok_or({
        if form.management_key.trim().is_empty() {
            "Enter the management key"
        } else {
            "That is no whole management key. Enter all of its 26 letters and digits"
        }
    });
    let mut problems = Vec::new();
    if let Err(problem) = &number {
        problems = at_number(&problem.message(None));
    }
    if let Err(message) = key {
        problems.push(FieldProblem {
            field: "management_key".into(),
            message: message.into(),
        });
    }
    match (number, key) {
        (Ok(number), Ok(key)) => Ok((number, key)),
        _ => Err(problems),
    }
}

/// A new session of the service that number and key open together, in place of the browser's earlier
/// one, which ends; or why they open none.
async fn open(
    site: &Site,
    pool: &PgPool,
    network: Network,
    form: &SignInForm,
    earlier: Option<SignedIn>,
) -> Result<Result<SessionToken, Vec<FieldProblem>>, Error> {
    let (number, key) = match typed(form) {
        Ok(typed) => typed,
        Err(problems) => return Ok(Err(problems)),
    };
    let success = site.throttle.sign_ins.take(network)?;
    let opened = sessions::open(pool, &number, &key).await?;
    match (opened, earlier) {
        (None, _) => success.give_back(),
        (Some(_), Some(earlier)) => sessions::end(pool, &earlier.token).await?,
        (Some(_), None) => {}
    }
    Ok(opened.ok_or_else(|| at_number(NOT_OPENED)))
}

/// The sign-in form, which sends `hidden` on to `action`.
fn sign_in_page(
    site: &Site,
    action: &'static str,
    hidden: Vec<Hidden>,
    number: &str,
    problems: Vec<FieldProblem>,
) -> Result<Response, Error> {
    let mut shell = site.shell(Section::Service);
    shell.error = !problems.is_empty();
    let field = |name: &str, value: &str| Field {
        value: value.into(),
        errors: problems
            .iter()
            .filter(|it| it.field == name)
            .map(|it| it.message.clone())
            .collect(),
        ..Field::new(name)
    };
    let view = SignInPage {
        shell,
        action,
        hidden,
        number: field("number", number),
        key: field("management_key", ""),
    };
    if problems.is_empty() {
        return page(StatusCode::OK, &view);
    }
    let failed = problems.iter().any(|it| it.message == NOT_OPENED);
    let mut response = page_with(
        Problem::form(problems.into_iter().map(|it| (it.field, it.message))),
        &view,
    )?;
    // What could open nothing is no guess at what opens something.
    if failed {
        response.extensions_mut().insert(FailedTry);
    }
    Ok(response)
}

/// `POST /service/sign-out`.
pub(crate) async fn sign_out(
    State(site): State<Arc<Site>>,
    State(pool): State<PgPool>,
    signed_in: Option<SignedIn>,
    Fields(NoFields {}): Fields<NoFields>,
) -> Result<Response, Error> {
    if let Some(signed_in) = signed_in {
        sessions::end(&pool, &signed_in.token).await?;
    }
    // The cookies of a new key and of a new address are removed too: the next person at this browser
    // may be another.
    let cookies = [
        session::COOKIE.remove(&site, None),
        end::key_removal(&site),
        watch::removal(&site),
    ];
    Ok((
        AppendHeaders(cookies.map(|cookie| (header::SET_COOKIE, cookie.to_string()))),
        Redirect::to("/service"),
    )
        .into_response())
}

fn hub(site: &Site, service: &Service) -> Result<Response, Error> {
    let teller = Teller::new(&site.provider, site.checks.mode(), &service.routes);
    let told = |request| line(site, request, service);
    let risks = service
        .risks
        .iter()
        .filter(|it| !has_moved(&service.lost, it));
    let last = service.provisioned().or(service.requests.first());
    let standing = last.map(|r| standing(site, r, service));
    page(
        StatusCode::OK,
        &HubPage {
            shell: site.shell(Section::Service),
            programme: service.programme.label().into(),
            number_label: service.programme.number_label().into(),
            number: service.number.to_string(),
            routes: routes_of(&service.routes),
            moved: Moved::of(&service.lost, service.now),
            tag: standing.map(|(tag, _)| tag),
            tone: standing.map_or(Tone::Neutral, |(_, tone)| tone),
            activated: EdgeRoutes::domain_count(&service.routes),
            gateways: (service.gateways.of > 0 && !service.routes.is_empty())
                .then_some(service.gateways),
            pending: service.pending().map(told),
            asks_proof: site.checks.proof() == ProofMode::Always
                && service
                    .pending()
                    .is_some_and(|r| r.facts.kind != Kind::Cancel),
            at_risk: risks.clone().any(|it| it.severity == Severity::Blocking),
            risks: Findings::tell(&teller, risks),
            risks_of: service
                .provisioned()
                .map(|r| r.reference.to_string())
                .unwrap_or_default(),
            requests: service.requests.iter().map(told).collect(),
            is_watched: service.watch_hash.is_some(),
        },
    )
}

/// The word for how a request stands, and its tone.
fn standing(site: &Site, request: &Listed, service: &Service) -> (&'static str, Tone) {
    let facts = &request.facts;
    wording::tag(Standing::of(facts, &site.clocks, service.now), facts.kind)
}

fn line(site: &Site, request: &Listed, service: &Service) -> Line {
    let (tag, tone) = standing(site, request, service);
    Line {
        reference: request.reference.to_string(),
        kind: wording::kind(request.facts.kind),
        state: request.facts.state.as_str(),
        tag,
        tone,
        blocked: request.facts.blocked,
        submitted: when(request.facts.submitted_at, service.now),
    }
}

/// `GET /service/routes.csv`: the routes in force, for a spreadsheet or a script. Names of hosts
/// and domains begin with a letter or a digit, so no cell can be a formula.
pub(crate) async fn routes_csv(
    State(pool): State<PgPool>,
    signed_in: SignedIn,
) -> Result<Response, Error> {
    let service = store::look_up(&pool, signed_in.service).await?;
    let mut csv = String::from("sip_domain,access_edge\r\n");
    for EdgeRoutes { edge, domains } in &service.routes {
        for domain in domains {
            csv.extend([domain.as_str(), ",", edge.as_str(), "\r\n"]);
        }
    }
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/csv; charset=utf-8"),
        ),
        (
            header::CONTENT_DISPOSITION,
            HeaderValue::from_static("attachment; filename=\"routes.csv\""),
        ),
    ];
    Ok((headers, csv).into_response())
}
