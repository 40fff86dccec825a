//! The pages of a service: signing in, the hub, and the list of routes.

mod edit;
mod end;
pub mod view;

use axum::{
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{AppendHeaders, IntoResponse as _, Redirect, Response},
};
use serde::Deserialize;
use std::sync::Arc;

use self::view::{HubPage, Line, SignInPage};
pub(crate) use self::{
    edit::{edit, send_edit},
    end::{cancel, conflict, key, send_cancel, send_key},
};
use super::store::{self, Listed, Service};
use crate::{
    agreement::AgreementNumber,
    db::PgPool,
    error::{Error, FailedTry, Problem},
    names::EdgeRoutes,
    readiness::{ProofMode, Severity, wording::Teller},
    request::{
        Kind, State as Stored,
        pages::{findings::Findings, routes_of},
        wording,
    },
    secret::ManagementKey,
    session::{self, SignedIn, store as sessions},
    web::{
        client::Client,
        form::{Fields, NoFields},
        page,
        parts::{Field, Tone},
        shell::Section,
        site::Site,
        when::when,
    },
};

/// The only answer to a wrong number, a wrong key, and text that is neither.
const NOT_OPENED: &str =
    "No service is opened by this number and this key together. Check both against the receipt";

/// `GET /service`: the hub for clients that are signed in, the sign-in form for others.
pub(crate) async fn service(
    State(site): State<Arc<Site>>,
    State(pool): State<PgPool>,
    signed_in: Option<SignedIn>,
) -> Result<Response, Error> {
    match signed_in {
        Some(signed_in) => hub(&site, &store::look_up(&pool, signed_in.service).await?),
        None => sign_in_page(&site, "", None),
    }
}

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
    let success = site.throttle.sign_ins.take(network)?;
    let number = AgreementNumber::parse_to_find(&form.number).ok();
    let key = ManagementKey::parse(&form.management_key);
    let opened = sessions::open(&pool, number.as_ref(), key.as_ref()).await?;
    let Some(token) = opened else {
        success.give_back();
        return sign_in_page(&site, &form.number, Some(NOT_OPENED));
    };
    // The browser loses its earlier session, so that session is ended.
    if let Some(earlier) = earlier {
        sessions::end(&pool, &earlier.token).await?;
    }
    let cookie = session::COOKIE.set(&site, None, token.reveal()).to_string();
    Ok((
        AppendHeaders([(header::SET_COOKIE, cookie)]),
        Redirect::to("/service"),
    )
        .into_response())
}

fn sign_in_page(
    site: &Site,
    number: &str,
    problem: Option<&'static str>,
) -> Result<Response, Error> {
    let mut shell = site.shell(Section::Service);
    shell.error = problem.is_some();
    let view = SignInPage {
        shell,
        number: Field {
            value: number.into(),
            errors: problem.iter().map(|text| (*text).into()).collect(),
            ..Field::new("number")
        },
        key: Field::new("management_key"),
        problem,
    };
    let Some(message) = problem else {
        return page(StatusCode::OK, &view);
    };
    let mut response = page(StatusCode::UNPROCESSABLE_ENTITY, &view)?;
    response
        .extensions_mut()
        .insert(Problem::field("number", message));
    response.extensions_mut().insert(FailedTry);
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
    // The cookie of a new key is removed too: the next person at this browser may be another.
    let cookies = [session::COOKIE.remove(&site, None), end::key_removal(&site)];
    Ok((
        AppendHeaders(cookies.map(|cookie| (header::SET_COOKIE, cookie.to_string()))),
        Redirect::to("/service"),
    )
        .into_response())
}

fn hub(site: &Site, service: &Service) -> Result<Response, Error> {
    let teller = Teller::new(&site.provider, site.checks.mode(), &service.routes);
    let lines: Vec<Line> = service.requests.iter().map(|r| line(r, service)).collect();
    page(
        StatusCode::OK,
        &HubPage {
            shell: site.shell(Section::Service),
            programme: service.programme.label().into(),
            number_label: service.programme.number_label().into(),
            number: service.number.to_string(),
            routes: routes_of(&service.routes),
            activated: EdgeRoutes::domain_count(&service.routes),
            pending: service.pending().map(|r| line(r, service)),
            asks_proof: site.checks.proof() == ProofMode::Always
                && service.pending().is_some_and(|r| r.kind != Kind::Cancel),
            risks: Findings::tell(&teller, &service.risks),
            at_risk: service
                .risks
                .iter()
                .any(|it| it.severity >= Severity::Unknown),
            risks_of: service
                .provisioned()
                .map(|r| r.reference.to_string())
                .unwrap_or_default(),
            requests: lines,
        },
    )
}

fn line(request: &Listed, service: &Service) -> Line {
    let (tag, tone) = match request.state {
        Stored::Pending(_) => ("In progress", Tone::Waiting),
        Stored::Provisioned { .. } => ("Provisioned", Tone::Good),
        Stored::Rejected { .. } => ("Rejected", Tone::Bad),
        Stored::Withdrawn { .. } => ("Withdrawn", Tone::Neutral),
    };
    Line {
        reference: request.reference.to_string(),
        kind: wording::kind(request.kind),
        state: request.state.as_str(),
        tag,
        tone,
        submitted: when(request.submitted_at, service.now),
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
