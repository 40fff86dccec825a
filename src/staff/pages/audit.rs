//! The audit page: what staff have opened and done.

use axum::{
    extract::{Query, State, rejection::QueryRejection},
    http::StatusCode,
    response::Response,
};
use serde::Deserialize;
use std::sync::Arc;

use super::{
    desk,
    session::Agent,
    view::{AuditLine, AuditPage, Tab},
};
use crate::staff::pages::words;
use crate::{
    db::PgPool,
    error::Error,
    request::Reason,
    staff::{Action, case::store},
    web::{page, shell::Section, site::Site, when::when},
};

/// Lines on a page.
const PAGE: usize = 100;

/// The query of the audit.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct From {
    after: Option<i64>,
}

/// `GET /staff/audit`, for agents.
pub(crate) async fn audit(
    State(site): State<Arc<Site>>,
    State(pool): State<PgPool>,
    Agent(signed_in): Agent,
    from: Result<Query<From>, QueryRejection>,
) -> Result<Response, Error> {
    let Query(from) = from.map_err(|_| Error::OtherQuery)?;
    let before = from.after.unwrap_or(i64::MAX);
    let mut entries = store::audit(&pool, before, PAGE + 1).await?;
    let more = entries.len() > PAGE;
    entries.truncate(PAGE);
    let next = entries.last().filter(|_| more);
    let next = next.map(|last| format!("/staff/audit?after={}", last.id));
    let lines = entries.into_iter().map(|entry| AuditLine {
        when: when(entry.at, entry.now),
        name: entry.name.to_string(),
        action: words::action(entry.action),
        request: entry.request.map(|it| it.to_string()).unwrap_or_default(),
        service: entry.service,
        reason: match (entry.mark, entry.reason, entry.action) {
            (Some(mark), ..) => words::mark(mark),
            // In the words of the form.
            (None, Some(why), Action::Refused) => {
                Reason::parse(why.as_str()).map_or("", words::reason)
            }
            (None, why, _) => why.map_or("", words::cancel_reason),
        },
    });
    page(
        StatusCode::OK,
        &AuditPage {
            shell: site.shell(Section::Staff),
            desk: desk(&signed_in, Tab::Audit),
            lines: lines.collect(),
            next,
        },
    )
}
