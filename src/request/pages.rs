//! The pages and forms of a request.

mod again;
mod blank;
mod check;
pub(crate) mod fields;
mod find;
pub mod findings;
pub(crate) mod flow;
mod form;
mod load;
pub mod moved;
pub(crate) mod proof;
pub(crate) mod receipt;
mod recheck;
mod status;
mod tag;
pub mod tasks;
mod timeline;
pub mod view;

use std::sync::Arc;

use axum::{extract::State, http::StatusCode, response::Response};

use self::view::StartPage;
pub(crate) use self::{
    blank::BlankForm,
    check::{check, form as check_form},
    find::find,
    form::{form, send_form},
    load::{ReferencePath, Requests, parse_reference},
    receipt::{receipt, receipt_text},
    status::{note, status, withdraw},
    tag::Edition,
    timeline::{earlier_events, how_often, timeline_entry},
};
pub(crate) use crate::request::pages::recheck::check_again;
use crate::{
    error::Error,
    names::{EdgeRoutes, SipDomain},
    web::{
        page,
        parts::{Domain, EdgeText},
        shell::Section,
        site::Site,
        when,
    },
};

/// `GET /`: what the portal is, what to have at hand, three ways on.
pub(crate) async fn start(State(site): State<Arc<Site>>) -> Result<Response, Error> {
    let clocks = &site.clocks;
    page(
        StatusCode::OK,
        &StartPage {
            shell: site.shell(Section::Start),
            promise: when::span(clocks.promise),
            limit: when::span(clocks.expiry),
        },
    )
}

pub(crate) fn routes_of<'a>(routes: impl IntoIterator<Item = &'a EdgeRoutes>) -> Vec<EdgeText> {
    routes
        .into_iter()
        .map(|EdgeRoutes { edge, domains }| EdgeText {
            access_edge: edge.to_string(),
            domains: domains.iter().map(domain_of).collect(),
        })
        .collect()
}

pub(crate) fn domain_of(domain: &SipDomain) -> Domain {
    Domain {
        name: domain.to_string(),
        readable: domain.unicode().unwrap_or_default(),
    }
}
