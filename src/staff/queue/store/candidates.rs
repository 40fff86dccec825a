//! Reads the requests that may match a filter, in the order of the queue.

use std::time::Duration;

use super::{MOST_FOUND, PAGE, WINDOW, found::find};
use crate::{
    db::{self, PgPool, interval},
    readiness::Code,
    staff::{
        Mark, StaffId,
        queue::{Age, Filter, StateFilter},
    },
};

/// Where the candidates come from: an index that has them in order.
#[derive(Debug)]
enum Source {
    /// The results of a search.
    Found(std::vec::IntoIter<i64>),
    /// Requests with this finding.
    Finding(Code),
    /// Requests with a blocking finding.
    Blocking,
    /// Requests that an account has taken.
    Mine(StaffId),
    /// Requests with this mark.
    Mark(Mark),
    /// Pending requests.
    Pending,
    /// Requests that have ended in this state.
    Ended(StateFilter),
}

/// Requests that may match, in the order of the queue.
#[derive(Debug)]
pub(super) struct Candidates {
    source: Source,
    /// Oldest first: those above `low` in rising order. Otherwise those below `high` in falling
    /// order.
    oldest_first: bool,
    low: i64,
    high: i64,
    window: usize,
    pub(super) too_many: bool,
}

impl Candidates {
    pub(super) async fn of(
        pool: &PgPool,
        filter: &Filter,
        promise: Duration,
    ) -> Result<Self, db::Error> {
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
        let age = filter.age.map(Age::length);
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
        } else if let Some(staff) = filter.mine {
            Source::Mine(staff)
        } else if let Some(mark) = filter.mark {
            Source::Mark(mark)
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
    pub(super) async fn next(&mut self, pool: &PgPool) -> Result<Vec<i64>, db::Error> {
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
            Source::Mine(staff) => taken(pool, *staff, high, most).await?,
            Source::Mark(mark) => marked(pool, *mark, high, most).await?,
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

/// At most `most` requests below `high` that `staff` has taken, newest first.
async fn taken(pool: &PgPool, staff: StaffId, high: i64, most: i64) -> Result<Vec<i64>, db::Error> {
    Ok(sqlx::query_scalar!(
        "SELECT request_id FROM staff_mark
         WHERE staff_id = $1 AND mark = 'taken' AND request_id < $2
         ORDER BY request_id DESC LIMIT $3",
        staff.0,
        high,
        most
    )
    .fetch_all(pool.retrying())
    .await?)
}

/// At most `most` requests below `high` that have the mark, newest first.
async fn marked(pool: &PgPool, mark: Mark, high: i64, most: i64) -> Result<Vec<i64>, db::Error> {
    Ok(sqlx::query_scalar!(
        "SELECT request_id FROM staff_mark WHERE mark = $1::text AND request_id < $2
         ORDER BY request_id DESC LIMIT $3",
        mark.as_str(),
        high,
        most
    )
    .fetch_all(pool.retrying())
    .await?)
}
