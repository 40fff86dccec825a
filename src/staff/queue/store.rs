//! Reads the queue, a page at a time.

mod candidates;
mod export;
mod found;

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::types::Json;

use super::Filter;
use crate::{
    agreement::{AgreementNumber, Programme},
    db::{self, PgPool, interval},
    names::{AccessEdge, SipDomain},
    readiness::Code,
    request::{Facts, reference::Reference},
    staff::{Mark, Name, StaffId},
};

use self::candidates::Candidates;
pub use self::export::{Export, Names};

/// Lines on a page.
pub const PAGE: usize = 50;
/// Candidates that are read at once.
const WINDOW: usize = 500;
/// The most candidates that are tested for one page.
pub const MOST_LOOKED_AT: usize = 10_000;
/// The most requests that a search may find.
pub const MOST_FOUND: usize = 5_000;
/// How many names are looked through for the beginning of a label: the newest, and as many of
/// requests in progress.
pub const NAMES_LOOKED_AT: usize = 20_000;
/// Counting stops at this number, which is shown as "more than".
pub const MOST_COUNTED: usize = 10_000;
/// Of so many requests in progress, the oldest, it is counted how many are the desk's to act on or
/// overdue.
pub const MOST_WEIGHED: usize = 1_000;

/// A line of the queue.
#[derive(Clone, Debug)]
pub struct Row {
    /// The request's id, from which the next page begins.
    pub id: i64,
    /// The request's reference.
    pub reference: Reference,
    /// The id of its service.
    pub service: i64,
    /// What its standing is derived from.
    pub facts: Facts,
    /// The licensing programme.
    pub programme: Programme,
    /// The agreement number.
    pub number: AgreementNumber,
    /// The request whose names these are: of a cancel the one that was provisioned before it.
    about: i64,
    /// The first SIP domain that it is about.
    pub domain: Option<SipDomain>,
    /// The first Access Edge that it is about.
    pub edge: Option<AccessEdge>,
    /// How many SIP domains it is about.
    pub domains: i64,
    /// How many Access Edges it is about.
    pub edges: i64,
    /// What staff have noted, and who did.
    pub marks: Json<Vec<(Mark, Name)>>,
    /// Whether it has been held by another service's domain for longer than the promise.
    pub held_long: bool,
    /// The gravest of its findings, those that are fine or were skipped left out.
    pub worst: Option<Code>,
    /// The database's time when this was read.
    pub now: DateTime<Utc>,
}

/// A page of the queue.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Its lines, at most [`PAGE`].
    pub rows: Vec<Row>,
    /// Where the next page begins; `None`: this is the last one.
    pub next: Option<i64>,
    /// Whether [`MOST_LOOKED_AT`] candidates were tested before the page was full.
    pub unfinished: bool,
    /// Whether the search finds more than [`MOST_FOUND`] requests, and only that many were tested.
    pub too_many: bool,
}

/// A page of the requests that match `filter`; `promise` decides what is overdue.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable or a row is invalid.
pub async fn page(pool: &PgPool, filter: &Filter, promise: Duration) -> Result<Page, db::Error> {
    let candidates = Candidates::of(pool, filter, promise).await?;
    let too_many = candidates.too_many;
    let (mut rows, looked_to) = read(pool, filter, promise, candidates).await?;
    let is_full = rows.len() > PAGE;
    rows.truncate(PAGE);
    Ok(Page {
        next: match rows.last() {
            Some(last) if is_full => Some(last.id),
            _ => looked_to,
        },
        rows,
        unfinished: !is_full && looked_to.is_some(),
        too_many,
    })
}

/// What comes before a page of the queue.
#[derive(Clone, Debug)]
pub struct Before {
    /// The request right before it; `None`: none of those that were looked at matches.
    pub nearest: Option<Row>,
    /// After which request the page before it begins; `None`: that is the first one.
    pub after: Option<i64>,
}

/// What comes before the page that `filter` begins; `None`: nothing.
///
/// # Errors
///
/// As [`page`].
pub async fn before(
    pool: &PgPool,
    filter: &Filter,
    promise: Duration,
) -> Result<Option<Before>, db::Error> {
    if filter.after.is_none() {
        return Ok(None);
    }
    let candidates = Candidates::before(pool, filter, promise).await?;
    let (rows, looked_to) = read(pool, filter, promise, candidates).await?;
    let after = rows.get(PAGE).map_or(looked_to, |row| Some(row.id));
    let nearest = rows.into_iter().next();
    Ok((nearest.is_some() || after.is_some()).then_some(Before { nearest, after }))
}

/// The first of the candidates that match, a page and one more at most; and the last candidate that was
/// looked at, unless there are no more.
async fn read(
    pool: &PgPool,
    filter: &Filter,
    promise: Duration,
    mut candidates: Candidates,
) -> Result<(Vec<Row>, Option<i64>), db::Error> {
    let (mut found, mut looked_at, mut looked_to) = (Vec::new(), 0, None);
    while looked_at < MOST_LOOKED_AT && found.len() <= PAGE {
        let ids = candidates.next(pool).await?;
        looked_to = ids.last().copied();
        if looked_to.is_none() {
            break;
        }
        looked_at += ids.len();
        let wanted = PAGE + 1 - found.len();
        found.extend(rows(pool, filter, promise, &ids, wanted).await?);
    }
    Ok((found, looked_to))
}

/// The lines of `requests`, as far as there are any, in the order of submission.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable or a row is invalid.
pub async fn lines(
    pool: &PgPool,
    requests: &[Reference],
    promise: Duration,
) -> Result<Vec<Row>, db::Error> {
    let ids = sqlx::query_scalar!(
        "SELECT id FROM request WHERE reference = ANY ($1) ORDER BY id",
        requests as _
    )
    .fetch_all(pool.retrying())
    .await?;
    rows(pool, &Filter::default(), promise, &ids, ids.len()).await
}

/// Those of the candidates that match, `most` at most, in the candidates' order.
async fn rows(
    pool: &PgPool,
    filter: &Filter,
    promise: Duration,
    ids: &[i64],
    most: usize,
) -> Result<Vec<Row>, db::Error> {
    Ok(sqlx::query_file_as!(
        Row,
        "src/staff/queue/rows.sql",
        ids,
        filter.state as _,
        filter.overdue.then(|| interval(promise)),
        filter.age.map(|age| interval(age.length())),
        filter.programme as _,
        filter.finding as _,
        filter.needs,
        filter.risk,
        filter.ours.then(|| interval(promise)),
        filter.mark as _,
        filter.mine.map(|staff| staff.0),
        i64::try_from(most).unwrap_or(i64::MAX),
        interval(promise),
    )
    .fetch_all(pool.retrying())
    .await?)
}

/// How many requests there are in each state, counted to [`MOST_COUNTED`] plus one at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests in progress.
    pub pending: usize,
    /// Of the oldest [`MOST_WEIGHED`] of them, those that are the desk's to act on.
    pub ours: usize,
    /// Requests that the account has taken.
    pub mine: usize,
    /// Of the oldest [`MOST_WEIGHED`] in progress, those that are past the promise.
    pub overdue: usize,
    /// Requests whose routes came into force.
    pub provisioned: usize,
    /// Requests that ended without their routes in force.
    pub rejected: usize,
    /// Requests that were withdrawn.
    pub withdrawn: usize,
}

/// Counts the requests by state; `staff` is the account whose own are counted.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable.
pub async fn counts(pool: &PgPool, promise: Duration, staff: StaffId) -> Result<Counts, db::Error> {
    let row = sqlx::query_file!(
        "src/staff/queue/counts.sql",
        interval(promise),
        i64::try_from(MOST_COUNTED + 1).unwrap_or(i64::MAX),
        staff.0,
        i64::try_from(MOST_WEIGHED).unwrap_or(i64::MAX)
    )
    .fetch_one(pool.retrying())
    .await?;
    let number = |count: i64| usize::try_from(count).unwrap_or_default();
    Ok(Counts {
        pending: number(row.pending),
        ours: number(row.ours),
        mine: number(row.mine),
        overdue: number(row.overdue),
        provisioned: number(row.provisioned),
        rejected: number(row.rejected),
        withdrawn: number(row.withdrawn),
    })
}
