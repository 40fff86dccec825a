//! The lists of the desk in addresses: a request that is opened from a list leads on in it.

use axum::{
    extract::{FromRequestParts, Query as InAddress},
    http::request::Parts,
    response::{IntoResponse as _, Redirect, Response},
};

use super::view::InList;
use crate::{
    clock::Clocks,
    db::{self, PgPool},
    error::Error,
    request::reference::Reference,
    staff::queue::{
        Filter, Query,
        store::{self, Row},
    },
};

/// The list that a request was opened from, as the address of the request has it; empty: none.
#[derive(Clone, Debug)]
pub(crate) struct FromList(pub(super) Query);

impl<S: Sync> FromRequestParts<S> for FromList {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        let query = InAddress::try_from_uri(&parts.uri).map_err(|_| Error::OtherQuery)?;
        Ok(Self(query.0))
    }
}

/// Leads back to the page of a request after an action, in the same list.
pub(super) fn back(reference: Reference, query: &Query) -> Response {
    Redirect::to(&of_request(reference, query)).into_response()
}

/// The address of a request, in the list that it was opened from.
pub(super) fn of_request(reference: Reference, query: &Query) -> String {
    let query = if *query == Query::default() {
        String::new()
    } else {
        appended(query)
    };
    format!("/staff/requests/{reference}{query}")
}

/// The address of the list with this query.
pub(super) fn address(query: &Query) -> String {
    match serde_html_form::to_string(query)
        .unwrap_or_default()
        .as_str()
    {
        "" => "/staff/requests".to_owned(),
        query => format!("/staff/requests?{query}"),
    }
}

/// The query of the page of the same list that begins after this request; `None`: its first page.
pub(super) fn beginning_after(query: &Query, after: Option<i64>) -> Query {
    Query {
        after: after.map_or(String::new(), |after| after.to_string()),
        ..query.clone()
    }
}

/// The query of a list, as the addresses of its requests have it: never empty.
pub(super) fn appended(query: &Query) -> String {
    let mut query = query.clone();
    if query == Query::default() {
        query.ours = "on".into();
    }
    format!("?{}", serde_html_form::to_string(query).unwrap_or_default())
}

/// Where a request leads to in the list that it was opened from, `None`: from none.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable or a row is invalid.
pub(super) async fn in_list(
    pool: &PgPool,
    clocks: &Clocks,
    query: &Query,
    filter: &Filter,
    request: i64,
) -> Result<Option<InList>, db::Error> {
    if *query == Query::default() {
        return Ok(None);
    }
    let page = store::page(pool, filter, clocks.promise).await?;
    // The request may have left the list since: its place is known by its number.
    let comes_after = |row: &&Row| {
        if filter.is_oldest_first() {
            row.id > request
        } else {
            row.id < request
        }
    };
    let leads_to =
        |row: &Row, query: &Query| format!("/staff/requests/{}{}", row.reference, appended(query));
    let previous = page.rows.iter().rev();
    let mut previous = previous
        .filter(|row| row.id != request && !comes_after(row))
        .map(|row| leads_to(row, query))
        .next();
    if previous.is_none()
        && let Some(before) = store::before(pool, filter, clocks.promise).await?
    {
        // The last one of the page before.
        let query = beginning_after(query, before.after);
        let nearest = before.nearest.filter(|row| row.id != request);
        previous = nearest.map(|row| leads_to(&row, &query));
    }
    let mut next = page
        .rows
        .iter()
        .find(comes_after)
        .map(|row| leads_to(row, query));
    if let (None, Some(last)) = (&next, page.next) {
        // The first one of the next page.
        let query = beginning_after(query, Some(last));
        let mut filter = filter.clone();
        filter.after = Some(last);
        let page = store::page(pool, &filter, clocks.promise).await?;
        next = page.rows.first().map(|row| leads_to(row, &query));
    }
    Ok(Some(InList {
        query: appended(query),
        list: address(query),
        previous,
        next,
    }))
}
