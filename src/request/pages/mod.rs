//! What does a browser see of a request, and what does it send?

mod again;
mod blank;
pub(crate) mod fields;
mod find;
pub mod findings;
mod form;
pub mod parts;
pub(crate) mod proof;
pub(crate) mod receipt;
mod status;
mod tag;
pub mod tasks;
pub mod view;
pub(crate) mod when;

use axum::{
    extract::{Path, State},
    http::{StatusCode, Uri},
    response::{IntoResponse, Redirect, Response},
};

use self::view::{Domain, EdgeRoutes, StartPage};
pub(crate) use self::{
    again::check_again,
    blank::BlankForm,
    find::find,
    form::{form, send_form},
    receipt::{receipt, receipt_text},
    status::{earlier_events, how_often, status, told, withdraw},
};
use super::{
    look_up::{Look, Visitor},
    reference::Reference,
    store::Request,
};
use crate::{
    app::App,
    error::Error,
    names::{AccessEdge, SipDomain},
    service::SessionToken,
    web::{page, shell::Section},
};

/// `GET /`: what this is, what to have at hand, three ways on.
pub(crate) async fn start(State(app): State<App>) -> Result<Response, Error> {
    let clocks = &app.site().clocks;
    page(
        StatusCode::OK,
        &StartPage {
            shell: app.shell(Section::Start),
            promise: when::span(clocks.promise),
            limit: when::span(clocks.expiry),
        },
    )
}

/// Why an address does not name a request as it is shown.
pub(crate) enum Misnamed {
    /// That is no reference.
    NotAtAll,
    /// It is written in another way: this is the address.
    Otherwise(String),
}

impl IntoResponse for Misnamed {
    fn into_response(self) -> Response {
        match self {
            Self::NotAtAll => Error::NoRequest.into_response(),
            Self::Otherwise(address) => Redirect::permanent(&address).into_response(),
        }
    }
}

/// The reference in an address. Whoever types it otherwise than it is shown is led to the address
/// that is, with all that follows the reference there.
pub(crate) fn shown(reference: &str, uri: &Uri) -> Result<Reference, Misnamed> {
    let parsed = Reference::parse(reference).ok_or(Misnamed::NotAtAll)?;
    let shown = parsed.to_string();
    if shown != reference {
        let rest = uri
            .path()
            .splitn(4, '/')
            .nth(3)
            .map(|rest| format!("/{rest}"))
            .unwrap_or_default();
        return Err(Misnamed::Otherwise(format!("/requests/{shown}{rest}")));
    }
    Ok(parsed)
}

/// The request that an address names.
pub(crate) async fn named(app: &App, reference: &str, uri: &Uri) -> Result<Request, Response> {
    let (request, _) = seen(app, reference, uri, None).await?;
    Ok(request)
}

/// The request that an address names, and what whoever brings this session has to do with it.
pub(crate) async fn seen(
    app: &App,
    reference: &str,
    uri: &Uri,
    session: Option<SessionToken>,
) -> Result<(Request, Visitor), Response> {
    let reference = shown(reference, uri).map_err(IntoResponse::into_response)?;
    match app.readers().whole(Look { reference, session }).await {
        Ok(found) => found.ok_or_else(|| Error::NoRequest.into_response()),
        Err(error) => Err(Error::Database(error).into_response()),
    }
}

/// A reference as it stands in an address.
pub(crate) type ReferencePath = Path<String>;

pub(crate) fn routes_of<'a>(
    routes: impl IntoIterator<Item = &'a (AccessEdge, Vec<SipDomain>)>,
) -> Vec<EdgeRoutes> {
    routes
        .into_iter()
        .map(|(edge, domains)| EdgeRoutes {
            access_edge: edge.to_string(),
            domains: domains.iter().map(domain_of).collect(),
        })
        .collect()
}

fn domain_of(domain: &SipDomain) -> Domain {
    Domain {
        name: domain.to_string(),
        readable: domain.unicode().unwrap_or_default(),
    }
}
