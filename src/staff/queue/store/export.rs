//! Reads all requests of a filter with all their names, for the file that staff download.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use super::{PAGE, Row, candidates::Candidates, rows};
use crate::{
    db::{self, PgPool},
    staff::queue::Filter,
};

/// All requests that match `filter`, read in parts.
#[derive(Debug)]
pub struct Export {
    filter: Filter,
    promise: Duration,
    candidates: Candidates,
    ready: VecDeque<Row>,
}

/// All names that a request is about, separated by spaces.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// Its SIP domains.
    pub domains: String,
    /// Its Access Edges.
    pub edges: String,
}

impl Export {
    /// Begins before the first request.
    ///
    /// # Errors
    ///
    /// [`db::Error`] when the database is unreachable.
    pub async fn begin(
        pool: &PgPool,
        filter: Filter,
        promise: Duration,
    ) -> Result<Self, db::Error> {
        let candidates = Candidates::of(pool, &filter, promise).await?;
        Ok(Self {
            filter,
            promise,
            candidates,
            ready: VecDeque::new(),
        })
    }

    /// The next lines, perhaps none, a page at most: a request may have a thousand names. `None` at
    /// the end.
    ///
    /// # Errors
    ///
    /// [`db::Error`] when the database is unreachable or a row is invalid.
    pub async fn next(&mut self, pool: &PgPool) -> Result<Option<Vec<(Row, Names)>>, db::Error> {
        if self.ready.is_empty() {
            let ids = self.candidates.next(pool).await?;
            if ids.is_empty() {
                return Ok(None);
            }
            let rows = rows(pool, &self.filter, self.promise, &ids, ids.len()).await?;
            self.ready = rows.into();
        }
        let part: Vec<Row> = self.ready.drain(..self.ready.len().min(PAGE)).collect();
        let ids: Vec<i64> = part.iter().map(|row| row.about).collect();
        let names = names(pool, &ids).await?;
        let with_names = part.into_iter().map(|row| {
            let names = names.get(&row.about).cloned().unwrap_or_default();
            (row, names)
        });
        Ok(Some(with_names.collect()))
    }
}

/// The names of each of `requests`.
async fn names(pool: &PgPool, requests: &[i64]) -> Result<HashMap<i64, Names>, db::Error> {
    let rows = sqlx::query!(
        r#"SELECT request_id, string_agg(sip_domain, ' ' ORDER BY edge, place) AS "domains!",
                  string_agg(access_edge, ' ' ORDER BY edge) FILTER (WHERE place = 1) AS "edges!"
           FROM request_route WHERE request_id = ANY ($1) GROUP BY request_id"#,
        requests
    )
    .fetch_all(pool.retrying())
    .await?;
    let names = rows.into_iter().map(|row| {
        let (domains, edges) = (row.domains, row.edges);
        (row.request_id, Names { domains, edges })
    });
    Ok(names.collect())
}
