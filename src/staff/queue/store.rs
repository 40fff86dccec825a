//! Reads the queue, a page at a time.

mod export;
mod found;

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{Filter, StateFilter};
use crate::{
    agreement::{AgreementNumber, Programme},
    db::{self, PgPool, interval},
    names::{AccessEdge, SipDomain},
    readiness::Code,
    request::{Facts, reference::Reference},
};

pub use self::export::{Export, Names};
use self::found::find;

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

/// A line of the queue.
#[derive(Clone, Debug)]
pub struct Row {
    /// The request's id, from which the next page begins.
    pub id: i64,
    /// The request's reference.
    pub reference: Reference,
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
    let mut candidates = Candidates::of(pool, filter, promise).await?;
    let mut page = Page {
        too_many: candidates.too_many,
        ..Page::default()
    };
    let mut looked_at = 0;
    while looked_at < MOST_LOOKED_AT {
        let ids = candidates.next(pool).await?;
        let Some(&last) = ids.last() else {
            page.next = None;
            return Ok(page);
        };
        looked_at += ids.len();
        let wanted = PAGE + 1 - page.rows.len();
        page.rows
            .extend(rows(pool, filter, promise, &ids, wanted).await?);
        if page.rows.len() > PAGE {
            page.rows.truncate(PAGE);
            page.next = page.rows.last().map(|row| row.id);
            return Ok(page);
        }
        page.next = Some(last);
    }
    page.unfinished = true;
    Ok(page)
}

/// Where the candidates come from: an index that has them in order.
#[derive(Debug)]
enum Source {
    /// The results of a search.
    Found(std::vec::IntoIter<i64>),
    /// Requests with this finding.
    Finding(Code),
    /// Requests with a blocking finding.
    Blocking,
    /// Pending requests.
    Pending,
    /// Requests that have ended in this state.
    Ended(StateFilter),
}

/// Requests that may match, in the order of the queue.
#[derive(Debug)]
struct Candidates {
    source: Source,
    /// Oldest first: those above `low` in rising order. Otherwise those below `high` in falling
    /// order.
    oldest_first: bool,
    low: i64,
    high: i64,
    window: usize,
    too_many: bool,
}

impl Candidates {
    async fn of(pool: &PgPool, filter: &Filter, promise: Duration) -> Result<Self, db::Error> {
        let oldest_first = filter.is_oldest_first();
        let (mut low, mut high) = (0, i64::MAX);
        if let Some(after) = filter.after {
            if oldest_first {
                low = after;
            } else {
                high = after;
            }
        }
        if filter.state == Some(StateFilter::Pending) && oldest_first {
            // Requests in force have findings too, and most of them are older.
            low = low.max(first_pending(pool).await?.saturating_sub(1));
        }
        let age = filter.age.map(super::Age::length);
        let least = age.max(filter.overdue.then_some(promise));
        if let Some(least) = least {
            high = high.min(last_before(pool, least).await?.saturating_add(1));
        }
        let mut too_many = false;
        let source = if let Some(search) = &filter.search {
            let mut found = find(pool, search).await?;
            too_many = found.len() > MOST_FOUND;
            found.truncate(MOST_FOUND);
            found.retain(|&id| id < high);
            Source::Found(found.into_iter())
        } else if let Some(code) = filter.finding {
            Source::Finding(code)
        } else if filter.needs || filter.risk {
            Source::Blocking
        } else {
            match filter.state {
                None | Some(StateFilter::Pending) => Source::Pending,
                Some(state) => Source::Ended(state),
            }
        };
        Ok(Self {
            source,
            oldest_first,
            low,
            high,
            window: if filter.is_plain() { PAGE + 1 } else { WINDOW },
            too_many,
        })
    }

    /// The next candidates; empty if there are no more.
    async fn next(&mut self, pool: &PgPool) -> Result<Vec<i64>, db::Error> {
        let most = i64::try_from(self.window).unwrap_or(i64::MAX);
        let (low, high) = (self.low, self.high);
        let ids = match &mut self.source {
            Source::Found(found) => found.take(self.window).collect(),
            Source::Finding(code) if self.oldest_first => {
                sqlx::query_scalar!(
                    "SELECT DISTINCT request_id FROM finding
                     WHERE code = $1 AND severity NOT IN ('ok', 'skipped') AND request_id > $2 AND request_id < $3
                     ORDER BY request_id LIMIT $4",
                    *code as _,
                    low,
                    high,
                    most
                )
                .fetch_all(pool.retrying())
                .await?
            }
            Source::Finding(code) => {
                sqlx::query_scalar!(
                    "SELECT DISTINCT request_id FROM finding
                     WHERE code = $1 AND severity NOT IN ('ok', 'skipped') AND request_id < $2
                     ORDER BY request_id DESC LIMIT $3",
                    *code as _,
                    high,
                    most
                )
                .fetch_all(pool.retrying())
                .await?
            }
            Source::Blocking if self.oldest_first => {
                sqlx::query_scalar!(
                    "SELECT DISTINCT request_id FROM finding
                     WHERE severity = 'blocking' AND request_id > $1 AND request_id < $2
                     ORDER BY request_id LIMIT $3",
                    low,
                    high,
                    most
                )
                .fetch_all(pool.retrying())
                .await?
            }
            Source::Blocking => {
                sqlx::query_scalar!(
                    "SELECT DISTINCT request_id FROM finding
                     WHERE severity = 'blocking' AND request_id < $1
                     ORDER BY request_id DESC LIMIT $2",
                    high,
                    most
                )
                .fetch_all(pool.retrying())
                .await?
            }
            Source::Pending => {
                sqlx::query_scalar!(
                    "SELECT request_id FROM work WHERE request_id > $1 AND request_id < $2
                     ORDER BY request_id LIMIT $3",
                    low,
                    high,
                    most
                )
                .fetch_all(pool.retrying())
                .await?
            }
            Source::Ended(state) => {
                sqlx::query_scalar!(
                    r#"SELECT id AS "id!" FROM (
                         SELECT id FROM request WHERE state = 'provisioned' AND $1 = 'provisioned' UNION ALL
                         SELECT id FROM request WHERE state = 'rejected' AND $1 = 'rejected' UNION ALL
                         SELECT id FROM request WHERE state = 'withdrawn' AND $1 = 'withdrawn') AS ended
                       WHERE id < $2 ORDER BY id DESC LIMIT $3"#,
                    *state as _,
                    high,
                    most
                )
                .fetch_all(pool.retrying())
                .await?
            }
        };
        if let Some(&last) = ids.last() {
            if self.oldest_first {
                self.low = last;
            } else {
                self.high = last;
            }
        }
        Ok(ids)
    }
}

/// An id below which no request is pending.
async fn first_pending(pool: &PgPool) -> Result<i64, db::Error> {
    let first = sqlx::query_scalar!(r#"SELECT coalesce(min(request_id), 0) AS "first!" FROM work"#)
        .fetch_one(pool.retrying())
        .await?;
    Ok(first)
}

/// An id above which all requests are younger than `least`.
async fn last_before(pool: &PgPool, least: Duration) -> Result<i64, db::Error> {
    let beyond = sqlx::query_scalar!(
        r#"SELECT pic_last_request_before(pic_now() - $1::interval) AS "last!""#,
        interval(least)
    )
    .fetch_one(pool.retrying())
    .await?;
    Ok(beyond)
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
        i64::try_from(most).unwrap_or(i64::MAX),
    )
    .fetch_all(pool.retrying())
    .await?)
}

/// How many requests there are in each state, counted to [`MOST_COUNTED`] plus one at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests in progress.
    pub pending: usize,
    /// Those of them that are past the promise.
    pub overdue: usize,
    /// Requests whose routes came into force.
    pub provisioned: usize,
    /// Requests that ended without their routes in force.
    pub rejected: usize,
    /// Requests that were withdrawn.
    pub withdrawn: usize,
}

/// Counts the requests by state.
///
/// # Errors
///
/// [`db::Error`] when the database is unreachable.
pub async fn counts(pool: &PgPool, promise: Duration) -> Result<Counts, db::Error> {
    let row = sqlx::query_file!(
        "src/staff/queue/counts.sql",
        interval(promise),
        i64::try_from(MOST_COUNTED + 1).unwrap_or(i64::MAX)
    )
    .fetch_one(pool.retrying())
    .await?;
    let number = |count: i64| usize::try_from(count).unwrap_or_default();
    Ok(Counts {
        pending: number(row.pending),
        overdue: number(row.overdue),
        provisioned: number(row.provisioned),
        rejected: number(row.rejected),
        withdrawn: number(row.withdrawn),
    })
}
