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

/// Requests that may match, in the order of the queue, or in the opposite one.
#[derive(Debug)]
pub(super) struct Candidates {
    source: Source,
    /// Those above `low` in rising order; otherwise those below `high` in falling order.
    rising: bool,
    low: i64,
    high: i64,
    window: usize,
    pub(super) too_many: bool,
}

impl Candidates {
    /// Those after the one that the filter names, or all.
    pub(super) async fn of(
        pool: &PgPool,
        filter: &Filter,
        promise: Duration,
    ) -> Result<Self, db::Error> {
        Self::on(pool, filter, promise, false).await
    }

    /// That one and those before it, the nearest first.
    pub(super) async fn before(
        pool: &PgPool,
        filter: &Filter,
        promise: Duration,
    ) -> Result<Self, db::Error> {
        Self::on(pool, filter, promise, true).await
    }

    async fn on(
        pool: &PgPool,
        filter: &Filter,
        promise: Duration,
        backwards: bool,
    ) -> Result<Self, db::Error> {
        let oldest_first = filter.is_oldest_first();
        let rising = oldest_first != backwards;
        let (mut low, mut high) = (0, i64::MAX);
        if let Some(after) = filter.after {
            match (rising, backwards) {
                (true, false) => low = after,
                (false, false) => high = after,
                (true, true) => low = after.saturating_sub(1),
                (false, true) => high = after.saturating_add(1),
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
            found.retain(|&id| id > low && id < high);
            if rising {
                found.reverse();
            }
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
            rising,
            low,
            high,
            window: if filter.is_plain() { PAGE + 1 } else { WINDOW },
            too_many,
        })
    }

    /// The next candidates; empty if there are no more.
    pub(super) async fn next(&mut self, pool: &PgPool) -> Result<Vec<i64>, db::Error> {
        let most = i64::try_from(self.window).unwrap_or(i64::MAX);
        let (low, high, rising) = (self.low, self.high, self.rising);
        let from = if rising { low } else { high };
        let part = (from, most, rising);
        // Of the two halves of each statement one is read, by the order.
        let mut ids: Vec<i64> = match &mut self.source {
            Source::Found(found) => found.take(self.window).collect(),
            Source::Finding(code) => {
                sqlx::query_scalar!(
                    r#"(SELECT DISTINCT request_id AS "id!" FROM finding
                        WHERE $3 AND code = $4 AND severity NOT IN ('ok', 'skipped') AND request_id > $1
                        ORDER BY request_id LIMIT $2)
                       UNION ALL
                       (SELECT DISTINCT request_id FROM finding
                        WHERE NOT $3 AND code = $4 AND severity NOT IN ('ok', 'skipped') AND request_id < $1
                        ORDER BY request_id DESC LIMIT $2)"#,
                    from,
                    most,
                    rising,
                    *code as _
                )
                .fetch_all(pool.retrying())
                .await?
            }
            Source::Blocking => {
                sqlx::query_scalar!(
                    r#"(SELECT DISTINCT request_id AS "id!" FROM finding
                        WHERE $3 AND severity = 'blocking' AND request_id > $1
                        ORDER BY request_id LIMIT $2)
                       UNION ALL
                       (SELECT DISTINCT request_id FROM finding
                        WHERE NOT $3 AND severity = 'blocking' AND request_id < $1
                        ORDER BY request_id DESC LIMIT $2)"#,
                    from,
                    most,
                    rising
                )
                .fetch_all(pool.retrying())
                .await?
            }
            Source::Mine(staff) => taken(pool, *staff, part).await?,
            Source::Mark(mark) => marked(pool, *mark, part).await?,
            Source::Pending => {
                sqlx::query_scalar!(
                    r#"(SELECT request_id AS "id!" FROM work WHERE $3 AND request_id > $1
                        ORDER BY request_id LIMIT $2)
                       UNION ALL
                       (SELECT request_id FROM work WHERE NOT $3 AND request_id < $1
                        ORDER BY request_id DESC LIMIT $2)"#,
                    from,
                    most,
                    rising
                )
                .fetch_all(pool.retrying())
                .await?
            }
            Source::Ended(state) => ended(pool, *state, part).await?,
        };
        // What is beyond the other end is the end.
        ids.retain(|&id| id > low && id < high);
        if let Some(&last) = ids.last() {
            if rising {
                self.low = last;
            } else {
                self.high = last;
            }
        }
        Ok(ids)
    }
}

/// From which request on, how many at most, and whether in rising order.
type Part = (i64, i64, bool);

/// Requests that have ended in a state. Each state has an index of its own, and each part its order:
/// PostgreSQL sorts what several parts have together, though the indexes have it in order.
async fn ended(
    pool: &PgPool,
    state: StateFilter,
    (from, most, rising): Part,
) -> Result<Vec<i64>, db::Error> {
    Ok(sqlx::query_scalar!(
        r#"(SELECT id AS "id!" FROM request
            WHERE $3 AND $4 = 'provisioned' AND state = 'provisioned' AND id > $1 ORDER BY id LIMIT $2)
           UNION ALL
           (SELECT id FROM request
            WHERE NOT $3 AND $4 = 'provisioned' AND state = 'provisioned' AND id < $1 ORDER BY id DESC LIMIT $2)
           UNION ALL
           (SELECT id FROM request
            WHERE $3 AND $4 = 'rejected' AND state = 'rejected' AND id > $1 ORDER BY id LIMIT $2)
           UNION ALL
           (SELECT id FROM request
            WHERE NOT $3 AND $4 = 'rejected' AND state = 'rejected' AND id < $1 ORDER BY id DESC LIMIT $2)
           UNION ALL
           (SELECT id FROM request
            WHERE $3 AND $4 = 'withdrawn' AND state = 'withdrawn' AND id > $1 ORDER BY id LIMIT $2)
           UNION ALL
           (SELECT id FROM request
            WHERE NOT $3 AND $4 = 'withdrawn' AND state = 'withdrawn' AND id < $1 ORDER BY id DESC LIMIT $2)"#,
        from,
        most,
        rising,
        state as _
    )
    .fetch_all(pool.retrying())
    .await?)
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

/// Requests that `staff` has taken.
async fn taken(
    pool: &PgPool,
    staff: StaffId,
    (from, most, rising): Part,
) -> Result<Vec<i64>, db::Error> {
    Ok(sqlx::query_scalar!(
        r#"(SELECT request_id AS "id!" FROM staff_mark
            WHERE $3 AND staff_id = $4 AND mark = 'taken' AND request_id > $1
            ORDER BY request_id LIMIT $2)
           UNION ALL
           (SELECT request_id FROM staff_mark
            WHERE NOT $3 AND staff_id = $4 AND mark = 'taken' AND request_id < $1
            ORDER BY request_id DESC LIMIT $2)"#,
        from,
        most,
        rising,
        staff.0
    )
    .fetch_all(pool.retrying())
    .await?)
}

/// Requests that have the mark.
async fn marked(
    pool: &PgPool,
    mark: Mark,
    (from, most, rising): Part,
) -> Result<Vec<i64>, db::Error> {
    Ok(sqlx::query_scalar!(
        r#"(SELECT request_id AS "id!" FROM staff_mark
            WHERE $3 AND mark = $4::text AND request_id > $1
            ORDER BY request_id LIMIT $2)
           UNION ALL
           (SELECT request_id FROM staff_mark
            WHERE NOT $3 AND mark = $4::text AND request_id < $1
            ORDER BY request_id DESC LIMIT $2)"#,
        from,
        most,
        rising,
        mark.as_str()
    )
    .fetch_all(pool.retrying())
    .await?)
}
