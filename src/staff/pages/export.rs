//! The queue as a file.

use std::{collections::VecDeque, fmt::Write as _, sync::Arc};

use axum::{
    body::Body,
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use chrono::SecondsFormat;
use futures_util::stream;

use super::{queue::read, session::Reader, words::Said};
use crate::{
    clock::Clocks,
    db::PgPool,
    error::Error,
    readiness::Code,
    request::State as Stored,
    staff::{
        case::store,
        queue::{
            self,
            store::{Export, Names, Row},
        },
    },
    web::site::Site,
};

/// The first line of the file.
const HEADINGS: &str = "reference,kind,state,reason,standing,whose_turn,programme,agreement_number,domains,submitted_at,ended_at,worst_finding,access_edges,sip_domains\r\n";

/// `GET /staff/requests.csv`: all requests of the filter, streamed: a million lines take no more
/// memory than a few hundred.
pub(crate) async fn export(
    State(site): State<Arc<Site>>,
    State(pool): State<PgPool>,
    Reader(signed_in): Reader,
    query: Result<Query<queue::Query>, QueryRejection>,
) -> Result<Response, Error> {
    let (_, filter) = read(query, &signed_in)?;
    let clocks = site.clocks;
    store::export(&pool, signed_in.account.id).await?;
    let parts = Export::begin(&pool, filter, clocks.promise).await?;
    let begun = (pool, parts, VecDeque::from([HEADINGS.to_owned()]));
    let body = stream::try_unfold(begun, move |(pool, mut parts, mut ready)| async move {
        if let Some(text) = ready.pop_front() {
            return Ok(Some((text, (pool, parts, ready))));
        }
        // On a database error the connection is cut: half a file must not look complete.
        let rows = parts.next(&pool).await?;
        Ok::<_, crate::db::Error>(rows.map(|rows| {
            let text = rows
                .iter()
                .map(|(row, names)| csv(row, names, &clocks))
                .collect();
            (text, (pool, parts, ready))
        }))
    });
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/csv; charset=utf-8"),
        ),
        (
            header::CONTENT_DISPOSITION,
            HeaderValue::from_static("attachment; filename=\"requests.csv\""),
        ),
    ];
    Ok((headers, Body::from_stream(body)).into_response())
}

fn csv(row: &Row, names: &Names, clocks: &Clocks) -> String {
    let time = |at: chrono::DateTime<chrono::Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
    let said = Said::of(&row.facts, clocks, row.now);
    let (reason, ended) = match row.facts.state {
        Stored::Pending(_) => ("", String::new()),
        Stored::Provisioned { at } | Stored::Withdrawn { at } => ("", time(at)),
        Stored::Rejected { at, reason } => (reason.as_str(), time(at)),
    };
    let cells = [
        row.reference.to_string(),
        row.facts.kind.as_str().into(),
        row.facts.state.as_str().into(),
        reason.into(),
        said.tag.into(),
        said.turn.into(),
        row.programme.as_str().into(),
        row.number.to_string(),
        row.domains.to_string(),
        time(row.facts.submitted_at),
        ended,
        row.worst.map_or("", Code::as_str).into(),
        names.edges.clone(),
        names.domains.clone(),
    ];
    let mut line = String::new();
    for (place, text) in cells.iter().enumerate() {
        let comma = if place == 0 { "" } else { "," };
        // Writing to a String cannot fail.
        let _ = write!(line, "{comma}{}", cell(text));
    }
    line.push_str("\r\n");
    line
}

/// A cell that a spreadsheet takes as text: what would begin a formula gets a `'` before it, and
/// what would end the cell is quoted.
fn cell(text: &str) -> String {
    let harmless = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{text}")
    } else {
        text.to_owned()
    };
    if harmless.contains(['"', ',', '\r', '\n']) {
        format!("\"{}\"", harmless.replace('"', "\"\""))
    } else {
        harmless
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula_and_none_ends_early() {
        for (text, written) in [
            ("", ""),
            ("1234567", "1234567"),
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
            ("\r=1", "\"'\r=1\""),
            ("a,b", "\"a,b\""),
            ("say \"a\"", "\"say \"\"a\"\"\""),
            ("=\"a\",b", "\"'=\"\"a\"\",b\""),
        ] {
            assert_eq!(cell(text), written, "{text:?}");
        }
    }
}
