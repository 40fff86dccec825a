//! The queue page: lists, filters, searches and exports requests.

use std::sync::Arc;

use axum::{
    extract::{Query, State, rejection::QueryRejection},
    http::StatusCode,
    response::{IntoResponse as _, Redirect, Response},
};

use super::{
    desk,
    list::{address, appended, beginning_after},
    session::{Reader, SignedIn},
    view::{About, Choices, QueueLine, QueuePage, StateTab, Tab},
    words::{self, Said},
};
use crate::{
    agreement::Programme,
    clock::Clocks,
    db::PgPool,
    error::Error,
    gateway::store as gateways,
    readiness::{Code, Severity},
    request::{pages::domain_of, summary::store as summary, wording},
    staff::{
        Deed, Mark, Role,
        queue::{
            self, Age, Filter, StateFilter,
            search::Search,
            store::{self, Counts, MOST_COUNTED, MOST_FOUND, MOST_LOOKED_AT, MOST_WEIGHED, Row},
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
pub(super) fn read(
    query: Result<Query<queue::Query>, QueryRejection>,
    signed_in: &SignedIn,
) -> Result<(queue::Query, Filter), Error> {
    let Query(query) = query.map_err(|_| Error::OtherQuery)?;
    let filter = Filter::of(&query, signed_in.account.id).map_err(|_| Error::OtherQuery)?;
    Ok((query, filter))
}

/// `GET /staff/requests`.
pub(crate) async fn queue(
    State(site): State<Arc<Site>>,
    State(pool): State<PgPool>,
    Reader(signed_in): Reader,
    query: Result<Query<queue::Query>, QueryRejection>,
) -> Result<Response, Error> {
    let (query, filter) = read(query, &signed_in)?;
    let (pool, clocks) = (&pool, &site.clocks);
    let whole = filter.search.as_ref().and_then(Search::whole_reference);
    if let Some(reference) = whole
        && summary::find(pool, reference).await?.is_some()
    {
        return Ok(Redirect::to(&format!("/staff/requests/{reference}")).into_response());
    }
    let found = store::page(pool, &filter, clocks.promise).await?;
    let counts = store::counts(pool, clocks.promise, signed_in.account.id).await?;
    let taken_for = match &filter.search {
        None => String::new(),
        Some(search) if search.is_nothing() => {
            "That is neither a number, a reference nor a name. Type an agreement number, a reference, a domain or an Access Edge; or the beginning of a number, of a reference or of a part of a name.".to_owned()
        }
        Some(search) => format!("Taken for {}.", search.words().join(", or ")),
    };
    let mut behind = Vec::new();
    if filter.ours {
        let all = gateways::list(pool).await?.into_iter();
        behind.extend(
            all.filter(|it| it.silent || it.behind() > 0)
                .map(|it| it.name),
        );
    }
    let tabs = tabs(&query, &filter, &counts);
    let page_after = |after| address(&beginning_after(&query, after));
    let before = store::before(pool, &filter, clocks.promise).await?;
    let previous = before.map(|before| page_after(before.after));
    let first = filter.after.map(|_| page_after(None));
    let view = QueuePage {
        shell: site.shell(Section::Staff),
        desk: desk(&signed_in, Tab::Requests),
        q: Field {
            value: query.q.clone(),
            ..Field::new("q")
        },
        taken_for,
        filters_open: are_open(&query, &tabs),
        tabs,
        everywhere: everywhere(&query),
        choices: choices(&query),
        only: vec![
            ("ours", "Ours to act on", query.ours == "on"),
            ("mine", "Mine", filter.mine.is_some()),
            ("overdue", "Overdue", filter.overdue),
            ("needs", "Needs the administrator’s action", filter.needs),
            ("risk", "In force and at risk", filter.risk),
        ],
        state: query.state.clone(),
        lines: found
            .rows
            .iter()
            .map(|row| line(row, clocks, &appended(&query)))
            .collect(),
        deeds: match signed_in.account.role {
            Role::Reader => Vec::new(),
            Role::Agent => Deed::ALL
                .iter()
                .map(|it| (it.as_str(), it.words()))
                .collect(),
        },
        too_many: found.too_many.then(|| {
            format!(
                "More than {} match: only so many are looked at. Narrow the search.",
                requests(MOST_FOUND)
            )
        }),
        unfinished: found
            .unfinished
            .then(|| format!("{} were looked at so far.", requests(MOST_LOOKED_AT))),
        next: found.next.map(|last| page_after(Some(last))),
        first: first.filter(|first| previous.as_ref() != Some(first)),
        previous,
        is_first: query == queue::Query::default(),
        behind,
        here: address(&query),
        export: export_address(&query),
        promise: span(clocks.promise),
        limit: span(clocks.expiry),
    };
    page(StatusCode::OK, &view)
}

/// Whether something is filtered that no tab says: then the filters are shown open.
fn are_open(query: &queue::Query, tabs: &[StateTab]) -> bool {
    let first = beginning_after(query, None);
    let searched = queue::Query {
        q: query.q.clone(),
        ..queue::Query::default()
    };
    first != searched && !tabs.iter().any(|tab| tab.href == address(&first))
}

/// The address of the same search without any filter; `None`: it has none.
fn everywhere(query: &queue::Query) -> Option<String> {
    let all = queue::Query {
        q: query.q.clone(),
        ..queue::Query::default()
    };
    (!query.q.is_empty() && *query != all).then(|| address(&all))
}

fn requests(number: usize) -> String {
    count(number, "request", "requests")
}

/// The address of the same list as a file.
fn export_address(query: &queue::Query) -> String {
    let all = beginning_after(query, None);
    address(&all).replacen("/staff/requests", "/staff/requests.csv", 1)
}

/// A tab for each state, with its number of requests.
fn tabs(query: &queue::Query, filter: &Filter, counts: &Counts) -> Vec<StateTab> {
    let grouped = |number| count(number, "", "").trim_end().to_owned();
    let tab = |words, number: usize, query: queue::Query, is_here| StateTab {
        words,
        count: if number > MOST_COUNTED {
            format!("more than {}", grouped(MOST_COUNTED))
        } else {
            grouped(number)
        },
        href: address(&query),
        is_here,
    };
    let weighed = |words, number, query, is_here| {
        let mut tab = tab(words, number, query, is_here);
        if counts.pending > MOST_WEIGHED {
            tab.count = format!("at least {}", grouped(number));
        }
        tab
    };
    let only = |state: StateFilter| queue::Query {
        state: state.as_str().into(),
        ..queue::Query::default()
    };
    let here = |state| {
        query.q.is_empty()
            && filter.state == Some(state)
            && !filter.overdue
            && !filter.ours
            && filter.mine.is_none()
    };
    let overdue = queue::Query {
        overdue: "on".into(),
        ..queue::Query::default()
    };
    let mine = queue::Query {
        mine: "on".into(),
        ..queue::Query::default()
    };
    vec![
        weighed(
            "Ours to act on",
            counts.ours,
            queue::Query::default(),
            query.q.is_empty() && filter.ours,
        ),
        tab("Mine", counts.mine, mine, filter.mine.is_some()),
        tab(
            "In progress",
            counts.pending,
            only(StateFilter::Pending),
            here(StateFilter::Pending),
        ),
        weighed(
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
    let marks = Mark::ALL
        .iter()
        .map(|mark| choice(mark.as_str(), words::mark(*mark)));
    Choices {
        programme: (query.programme.clone(), programmes.to_vec()),
        age: (query.age.clone(), ages.collect()),
        finding: (query.finding.clone(), codes.collect()),
        mark: (query.mark.clone(), marks.collect()),
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

/// A line of the queue; `query` leads on in its list.
pub(super) fn line(row: &Row, clocks: &Clocks, query: &str) -> QueueLine {
    let said = Said::of(&row.facts, clocks, row.now);
    QueueLine {
        reference: row.reference.to_string(),
        href: format!("/staff/requests/{}{query}", row.reference),
        marks: row
            .marks
            .iter()
            .map(|(mark, name)| match mark {
                Mark::Taken => format!("{} by {name}", words::mark(*mark)),
                mark => words::mark(*mark).to_owned(),
            })
            .collect(),
        state: row.facts.state.as_str(),
        kind: wording::kind(row.facts.kind),
        tag: said.tag,
        tone: said.tone,
        turn: said.turn,
        held_long: row.held_long,
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
