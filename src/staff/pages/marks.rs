//! Sets and removes the marks of a request.

use axum::{
    extract::{Path, State},
    response::Response,
};
use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::{
    list::{self, FromList},
    map_forbidden,
    session::Agent,
    view::MarkLine,
    words,
};
use crate::{
    db::{PgPool, notify::Notifier},
    error::Error,
    request::reference::Reference,
    staff::{
        Mark, Name,
        case::store::{self, Insight},
    },
    web::{form::Fields, when::when},
};

/// The fields of `POST /staff/requests/{reference}/mark`: the mark to set, or the one to remove.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct MarkForm {
    set: String,
    remove: String,
}

/// `POST /staff/requests/{reference}/mark`.
pub(crate) async fn mark(
    State(pool): State<PgPool>,
    State(notifier): State<Notifier>,
    Agent(signed_in): Agent,
    Path(reference): Path<String>,
    FromList(query): FromList,
    Fields(form): Fields<MarkForm>,
) -> Result<Response, Error> {
    let reference = Reference::parse(&reference).ok_or(Error::NoRequest)?;
    let set = form.remove.is_empty();
    let name = if set { &form.set } else { &form.remove };
    let mark = Mark::parse(name).ok_or(Error::OtherFields)?;
    let done = store::mark(&pool, signed_in.account.id, reference, mark, set).await;
    if !map_forbidden(done)? {
        return Err(Error::NoRequest);
    }
    notifier.changed();
    Ok(list::back(reference, &query))
}

/// The marks of a request, and those that `asks` may set: those that it does not have, and to take what
/// another has taken.
pub(super) fn lines(
    insight: &Insight,
    asks: &Name,
    now: DateTime<Utc>,
) -> (Vec<MarkLine>, Vec<(&'static str, &'static str)>) {
    let there = insight.marks.iter().map(|(mark, by, at)| MarkLine {
        value: mark.as_str(),
        words: words::mark(*mark),
        by: by.to_string(),
        when: when(*at, now),
    });
    let to_set = Mark::ALL.iter().filter_map(|mark| {
        let set = insight.marks.iter().find(|(it, ..)| it == mark);
        let words = match (mark, set) {
            (_, None) => words::to_mark(*mark),
            (Mark::Taken, Some((_, by, _))) if by != asks => "Take it over",
            _ => return None,
        };
        Some((mark.as_str(), words))
    });
    (there.collect(), to_set.collect())
}
