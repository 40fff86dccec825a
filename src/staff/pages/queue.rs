//! The queue page: lists, filters, searches and exports requests.

use std::sync::Arc;
use std::{collections::VecDeque, fmt::Write as _};

use axum::{
    body::Body,
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Redirect, Response},
};
use chrono::SecondsFormat;
use futures_util::stream;

use super::{
    desk,
    session::Reader,
    view::{About, Choices, QueueLine, QueuePage, StateTab, Tab},
};
use crate::staff::pages::words::{self, Said};
use crate::{
    agreement::Programme,
    clock::Clocks,
    db::PgPool,
    error::Error,
    readiness::{Code, Severity},
    request::{State as Stored, pages::domain_of, summary::store as summary, wording},
    staff::{
        case::store as desk_store,
        queue::{
            self, Age, Filter, StateFilter,
            search::Search,
            store::{self, Counts, Export, MOST_COUNTED, MOST_FOUND, MOST_LOOKED_AT, Names, Row},
        },
    },
    web::{
        page,
        parts::{Choice, Field, count},
        shell::Section,
        site::Site,
        when::{span, when},
    },
};

/// The query of the address, and the filter it stands for.
fn read(
    query: Result<Query<queue::Query>, QueryRejection>,
) -> Result<(queue::Query, Filter), Error> {
    let Query(query) = query.map_err(|_| Error::OtherQuery)?;
    let filter = Filter::of(&query).map_err(|_| Error::OtherQuery)?;
    Ok((query, filter))
}

/// `GET /staff/requests`.
pub(crate) async fn queue(
    State(site): State<Arc<Site>>,
    State(pool): State<PgPool>,
    Reader(signed_in): Reader,
    query: Result<Query<queue::Query>, QueryRejection>,
) -> Result<Response, Error> {
    let (query, filter) = read(query)?;
    let (pool, clocks) = (&pool, &site.clocks);
    let whole = filter.search.as_ref().and_then(Search::whole_reference);
    if let Some(reference) = whole
        && summary::find(pool, reference).await?.is_some()
    {
        return Ok(Redirect::to(&format!("/staff/requests/{reference}")).into_response());
    }
    let found = store::page(pool, &filter, clocks.promise).await?;
    let counts = store::counts(pool, clocks.promise).await?;
    let taken_for = match &filter.search {
        None => String::new(),
        Some(search) if search.is_nothing() => {
            "That is neither a number, a reference nor a name. Type an agreement number, a reference, a domain or an Access Edge, or the beginning of one.".to_owned()
        }
        Some(search) => format!("Taken for {}.", search.words().join(", or ")),
    };
    let next = found.next.map(|last| {
        address(&queue::Query {
            after: last.to_string(),
            ..query.clone()
        })
    });
    let view = QueuePage {
        shell: site.shell(Section::Staff),
        desk: desk(&signed_in, Tab::Requests),
        q: Field {
            value: query.q.clone(),
            ..Field::new("q")
        },
        taken_for,
        tabs: tabs(&query, &filter, &counts),
        choices: choices(&query),
        only: vec![
            ("overdue", "Overdue", filter.overdue),
            ("needs", "Needs the administrator’s action", filter.needs),
            ("risk", "In force and at risk", filter.risk),
        ],
        state: query.state.clone(),
        lines: found.rows.iter().map(|row| line(row, clocks)).collect(),
        too_many: found.too_many.then(|| {
            format!(
                "More than {} match: only so many are looked at. Narrow the search.",
                requests(MOST_FOUND)
            )
        }),
        unfinished: found
            .unfinished
            .then(|| format!("{} were looked at so far.", requests(MOST_LOOKED_AT))),
        next,
        is_filtered: query != queue::Query::default(),
        first: filter.after.map(|_| {
            address(&queue::Query {
                after: String::new(),
                ..query.clone()
            })
        }),
        here: address(&query),
        export: export_address(&query),
        promise: span(clocks.promise),
        limit: span(clocks.expiry),
    };
    page(StatusCode::OK, &view)
}

fn requests(number: usize) -> String {
    count(number, "request", "requests")
}

fn address(query: &queue::Query) -> String {
    match serde_html_form::to_string(query)
        .unwrap_or_default()
        .as_str()
    {
        "" => "/staff/requests".to_owned(),
        query => format!("/staff/requests?{query}"),
    }
}

fn export_address(query: &queue::Query) -> String {
    let all = queue::Query {
        after: String::new(),
        ..query.clone()
    };
    address(&all).replacen("/staff/requests", "/staff/requests.csv", 1)
}

/// A tab for each state, with its number of requests.
fn tabs(query: &queue::Query, filter: &Filter, counts: &Counts) -> Vec<StateTab> {
    let tab = |words, number: usize, query: queue::Query, is_here| StateTab {
        words,
        count: if number > MOST_COUNTED {
            format!("more than {}", count(MOST_COUNTED, "", "").trim_end())
        } else {
            count(number, "", "").trim_end().to_owned()
        },
        href: address(&query),
        is_here,
    };
    let only = |state: StateFilter| queue::Query {
        state: state.as_str().into(),
        ..queue::Query::default()
    };
    let here = |state| query.q.is_empty() && filter.state == Some(state) && !filter.overdue;
    let overdue = queue::Query {
        overdue: "on".into(),
        ..queue::Query::default()
    };
    vec![
        tab(
            "In progress",
            counts.pending,
            only(StateFilter::Pending),
            here(StateFilter::Pending),
        ),
        tab(
            "Overdue",
            counts.overdue,
            overdue,
            query.q.is_empty() && filter.overdue,
        ),
        tab(
            "Provisioned",
            counts.provisioned,
            only(StateFilter::Provisioned),
            here(StateFilter::Provisioned),
        ),
        tab(
            "Rejected",
            counts.rejected,
            only(StateFilter::Rejected),
            here(StateFilter::Rejected),
        ),
        tab(
            "Withdrawn",
            counts.withdrawn,
            only(StateFilter::Withdrawn),
            here(StateFilter::Withdrawn),
        ),
    ]
}

/// The options of the filters, with what is chosen.
fn choices(query: &queue::Query) -> Choices {
    let choice = |value: &str, label: &str| Choice {
        value: value.into(),
        label: label.into(),
        hint: String::new(),
    };
    let programmes = Programme::ALL.map(|p| choice(p.as_str(), words::programme(p)));
    let ages = Age::ALL
        .iter()
        .map(|age| choice(age.as_str(), &format!("At least {}", span(age.length()))));
    let codes = Code::ALL
        .iter()
        .filter(|code| code.severity() != Severity::Ok)
        .map(|code| choice(code.as_str(), code.title()));
    Choices {
        programme: (query.programme.clone(), programmes.to_vec()),
        age: (query.age.clone(), ages.collect()),
        finding: (query.finding.clone(), codes.collect()),
    }
}

impl About {
    /// The names of a line.
    fn of(row: &Row) -> Self {
        let more = |all: i64| {
            if all > 1 {
                format!("+{}", all - 1)
            } else {
                String::new()
            }
        };
        Self {
            domain: row.domain.as_ref().map(domain_of),
            more_domains: more(row.domains),
            edge: row.edge.as_ref().map_or(String::new(), ToString::to_string),
            more_edges: more(row.edges),
        }
    }
}

fn line(row: &Row, clocks: &Clocks) -> QueueLine {
    let said = Said::of(&row.facts, clocks, row.now);
    QueueLine {
        reference: row.reference.to_string(),
        state: row.facts.state.as_str(),
        kind: wording::kind(row.facts.kind),
        tag: said.tag,
        tone: said.tone,
        turn: said.turn,
        age: said.age,
        against: said.against,
        submitted: when(row.facts.submitted_at, row.now),
        worst: row.worst.map_or("", Code::title),
        worst_code: row.worst.map_or("", Code::as_str),
        programme: words::programme(row.programme),
        number: row.number.to_string(),
        about: About::of(row),
    }
}

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
    let (_, filter) = read(query)?;
    let clocks = site.clocks;
    desk_store::export(&pool, signed_in.account.id).await?;
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
