//! Finds a request by its reference, and says whether a SIP domain is in force.

use axum::{
    extract::{Query, State, rejection::QueryRejection},
    http::StatusCode,
    response::{IntoResponse as _, Redirect, Response},
};
use serde::Deserialize;
use std::sync::Arc;

use super::{
    domain_of,
    view::{DomainAnswer, FindPage},
};
use crate::{
    db::PgPool,
    error::{Error, Problem},
    names::{Role, SipDomain},
    request::{reference::Reference, store},
    web::{page, page_with, parts::Field, shell::Section, site::Site},
};

/// The query of `GET /status`.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Asked {
    q: String,
}

/// `GET /status?q=`: a reference redirects to its request; for a SIP domain the page only says
/// whether it is in force.
pub(crate) async fn find(
    State(site): State<Arc<Site>>,
    State(pool): State<PgPool>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Error> {
    let Query(Asked { q }) = asked.map_err(|_| Error::OtherQuery)?;
    let mut view = FindPage {
        shell: site.shell(Section::Status),
        q: Field::new("q"),
        answer: None,
    };
    if q.trim().is_empty() {
        return page(StatusCode::OK, &view);
    }
    if let Some(reference) = Reference::parse(&q) {
        return Ok(Redirect::to(&format!("/requests/{reference}")).into_response());
    }
    view.q.value.clone_from(&q);
    match SipDomain::parse_any(&q) {
        Ok(domain) => {
            let in_force = store::in_force(&pool, &domain).await?;
            view.answer = Some(DomainAnswer {
                domain: domain_of(&domain),
                in_force,
            });
            page(StatusCode::OK, &view)
        }
        Err(error) => {
            let message = if q.contains('.') || q.contains('@') {
                error.message(Role::SipDomain)
            } else {
                "Enter a reference, like PIC-7K3M-9QTX-4HWD-2ZRB, or a SIP domain, like contoso.com"
                    .to_owned()
            };
            view.shell.error = true;
            view.q.errors.push(message.clone());
            page_with(Problem::field("q", &message), &view)
        }
    }
}
