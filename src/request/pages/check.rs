//! The readiness check without a request: nothing of it is stored or logged.
//!
//! `GET /check` shows the form and checks nothing, so that following a link to it costs nothing;
//! `POST /check` runs the checks.

use std::{collections::HashSet, sync::Arc, time::Duration};

use askama::Template;
use axum::{
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderName, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use serde::Deserialize;

use crate::{
    error::{Error, TooMany},
    names::{EdgeRoutes, SipDomain},
    readiness::{
        Mode,
        wording::{self, Teller},
    },
    request::{
        form::{Field as At, FieldError, Note, RequestForm},
        pages::{
            fields::{field, form_problem, general, offers, put_off, warning},
            findings::Findings,
            view::Hidden,
        },
        reference::SubmissionId,
    },
    web::{
        client::Client,
        form::Fields,
        page, page_with,
        parts::{Field, Problem, count},
        shell::{Section, Shell},
        site::Site,
    },
};

/// The most domains in one check: a request can have more.
const MOST_DOMAINS: usize = 50;
/// How long a check may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest address, in bytes, that is offered for sharing: every browser accepts it.
const LONGEST_LINK: usize = 2_000;

/// The fields of `/check`. Not `Debug`: people typed this.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct CheckForm {
    domains: String,
    edge: String,
    /// `use-these`, `zone-file`, or empty.
    action: String,
}

impl CheckForm {
    /// The same fields as a request's form has, so that the same rules apply.
    fn to_request(&self) -> RequestForm {
        RequestForm {
            edge: vec![self.edge.clone()],
            domains: vec![self.domains.clone()],
            ..RequestForm::default()
        }
    }

    /// Puts the offered names in place of the refused ones.
    fn take_offers(&mut self) {
        let mut request = self.to_request();
        request.take_offers();
        self.edge = request.edge.concat();
        self.domains = request.domains.concat();
    }
}

/// The query string of `GET /check`: the same fields, and any others, which are ignored.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Asked {
    domains: String,
    edge: String,
}

/// `GET /check`, and the answer to `POST /check`.
#[derive(Debug, Template)]
#[template(path = "check.html")]
struct CheckPage<'a> {
    shell: Shell<'a>,
    /// The field `domains`.
    domains: Field,
    /// The field `edge`.
    edge: Field,
    /// Names offered in place of refused ones.
    offers: Vec<String>,
    general: Vec<Problem>,
    outcome: Option<Outcome>,
}

/// The result of a check.
#[derive(Debug)]
struct Outcome {
    findings: Findings,
    /// How many domains were checked, in words.
    domains: String,
    /// The Access Edges that were typed or found.
    edges: Vec<String>,
    /// What was normalised or looks unusual.
    warnings: Vec<String>,
    /// Address of the form with the same names; empty if it would be too long.
    link: String,
    /// The fields that a form for a request takes over.
    hidden: Vec<Hidden>,
}

impl CheckPage<'_> {
    fn problems(&self) -> Vec<Problem> {
        let of_fields = [&self.domains, &self.edge].into_iter();
        let of_fields = of_fields.flat_map(Field::problems);
        self.general.iter().cloned().chain(of_fields).collect()
    }

    fn is_off(&self) -> bool {
        self.shell.checks == Mode::Off
    }
}

/// `GET /check?domains=&edge=`: the form, filled in. Checks nothing.
pub(crate) async fn form(
    State(site): State<Arc<Site>>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Error> {
    let Query(Asked { domains, edge }) = asked.map_err(|_| Error::OtherQuery)?;
    let form = CheckForm {
        domains,
        edge,
        ..CheckForm::default()
    };
    show(&site, &form, &[])
}

/// `POST /check`: the findings of the checks.
pub(crate) async fn check(
    State(site): State<Arc<Site>>,
    Client(network): Client,
    Fields(mut form): Fields<CheckForm>,
) -> Result<Response, Error> {
    match form.action.as_str() {
        "" => {}
        "use-these" => form.take_offers(),
        "zone-file" => return zone_file(&site, &form),
        _ => return Err(Error::OtherFields),
    }
    let Some(checker) = site.checks.checker() else {
        return show(&site, &form, &[]);
    };
    let (asked, notes) = match asked(&form) {
        Ok(asked) => asked,
        Err(errors) => return show(&site, &form, &errors),
    };
    if let Err(too_many) = site.throttle.checks.take(network) {
        let shown = show(&site, &form, &[too_often(too_many)])?;
        return Ok(put_off(shown, too_many));
    }
    let (routes, report) = match &asked {
        AskedFor::Routes(routes) => (routes.clone(), checker.check(routes, PATIENCE).await),
        AskedFor::Domains(domains) => checker.check_alone(domains, PATIENCE).await,
    };
    let domains = asked.domains();
    let teller = Teller::new(&site.provider, site.checks.mode(), &routes).without_request();
    let mut view = view(&site, &form, &[]);
    view.outcome = Some(Outcome {
        findings: Findings::report(&teller, &report),
        domains: count(domains.len(), "SIP domain", "SIP domains"),
        edges: routes.iter().map(|of| of.edge.to_string()).collect(),
        warnings: notes
            .iter()
            // What partners can discover is among the findings.
            .filter(|note| !matches!(note, Note::NotDiscoverable { .. }))
            .filter_map(warning)
            .collect(),
        link: link(&site, &asked),
        hidden: hidden(&routes, &domains),
    });
    page(StatusCode::OK, &view)
}

/// The SRV records for the names, as a file to import or to copy from. Nothing is looked up.
fn zone_file(site: &Site, form: &CheckForm) -> Result<Response, Error> {
    const HEADERS: [(HeaderName, &str); 2] = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"sip-federation.zone\"",
        ),
    ];
    match form.to_request().routes() {
        Ok((routes, _)) => Ok((HEADERS, wording::zone_file(routes.edges())).into_response()),
        Err(errors) => show(site, form, &errors),
    }
}

/// What is to be checked.
enum AskedFor {
    /// Domains at the Access Edge that was typed.
    Routes(Vec<EdgeRoutes>),
    /// Domains alone: their records name the Access Edges.
    Domains(Vec<SipDomain>),
}

impl AskedFor {
    fn domains(&self) -> Vec<&str> {
        let domains = match self {
            Self::Routes(routes) => routes.iter().flat_map(|of| &of.domains).collect(),
            Self::Domains(domains) => domains.iter().collect::<Vec<_>>(),
        };
        domains.into_iter().map(SipDomain::as_str).collect()
    }
}

/// What is asked for and the notes about it, or all errors: the rules of a request, and a limit of
/// its own.
fn asked(form: &CheckForm) -> Result<(AskedFor, Vec<Note>), Vec<FieldError>> {
    let request = form.to_request();
    let (asked, notes) = if form.edge.trim().is_empty() {
        let (domains, notes) = request.domains_alone()?;
        (AskedFor::Domains(domains), notes)
    } else {
        let (routes, notes) = request.routes()?;
        (AskedFor::Routes(routes.edges().to_vec()), notes)
    };
    if asked.domains().len() > MOST_DOMAINS {
        return Err(vec![FieldError::new(
            At::Domains(0),
            format!(
                "Here {MOST_DOMAINS} SIP domains can be checked at a time. Remove some, and check them afterwards"
            ),
        )]);
    }
    Ok((asked, notes))
}

/// The address of the form with the same names; empty if it would be too long.
fn link(site: &Site, asked: &AskedFor) -> String {
    let edge = match asked {
        AskedFor::Routes(routes) => routes.iter().map(|of| of.edge.as_str()).collect(),
        AskedFor::Domains(_) => String::new(),
    };
    let edge = if edge.is_empty() {
        edge
    } else {
        format!("&edge={edge}")
    };
    // Names in their normal form need no escaping.
    let domains = asked.domains().join(",");
    let link = format!("{}/check?domains={domains}{edge}", site.public_url.as_str());
    Some(link)
        .filter(|link| link.len() <= LONGEST_LINK)
        .unwrap_or_default()
}

/// The fields of a form for a request: the routes, and the domains that are in none.
fn hidden(routes: &[EdgeRoutes], domains: &[&str]) -> Vec<Hidden> {
    let names = |of: &EdgeRoutes| {
        let names = of.domains.iter().map(SipDomain::as_str);
        names.collect::<Vec<_>>().join("\n")
    };
    let mut hidden = Vec::new();
    for of in routes {
        hidden.push(Hidden::new("edge", of.edge.as_str()));
        hidden.push(Hidden::new("domains", names(of)));
    }
    let placed = routes.iter().flat_map(|of| &of.domains);
    let placed: HashSet<&str> = placed.map(SipDomain::as_str).collect();
    let rest: Vec<_> = domains
        .iter()
        .copied()
        .filter(|it| !placed.contains(it))
        .collect();
    if !rest.is_empty() {
        hidden.push(Hidden::new("edge", ""));
        hidden.push(Hidden::new("domains", rest.join("\n")));
    }
    hidden.push(Hidden::new(
        "submission_id",
        SubmissionId::random().to_field(),
    ));
    hidden
}

fn too_often(too_many: TooMany) -> FieldError {
    let seconds = count(usize::from(too_many.seconds()), "second", "seconds");
    FieldError::new(
        At::Form,
        format!(
            "Too many checks came from your network. Nothing was looked up: check again in {seconds}"
        ),
    )
}

fn view<'a>(site: &'a Site, form: &CheckForm, errors: &[FieldError]) -> CheckPage<'a> {
    let mut shell = site.shell(Section::Check);
    shell.error = !errors.is_empty();
    CheckPage {
        shell,
        domains: field(errors, At::Domains(0), &form.domains),
        edge: field(errors, At::Edge(0), &form.edge),
        offers: offers(&form.to_request(), errors),
        general: general(errors),
        outcome: None,
    }
}

/// The form with everything that was typed; 422 when there are errors.
fn show(site: &Site, form: &CheckForm, errors: &[FieldError]) -> Result<Response, Error> {
    let view = view(site, form, errors);
    if errors.is_empty() {
        return page(StatusCode::OK, &view);
    }
    page_with(form_problem(errors), &view)
}
