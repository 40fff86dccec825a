//! Checks that the database is consistent, and that everything due was done.
//!
//! For any test, at any moment: the rules hold between any two transactions, also while portals
//! run. They do not know what was submitted; the test that submitted it compares that itself.

use pic_portal::db::PgPool;
use sqlx::{postgres::PgRow, prelude::*};

use super::sql;

/// A statement that returns a row for each broken rule, with its place.
pub(crate) const RULES: &str = include_str!("consistency.sql");

/// The rules that are broken, each with its place; empty when all is well. The database may have
/// been killed since the pool was last used.
pub(crate) async fn broken(pool: &PgPool) -> Vec<(String, String)> {
    sql::rows(pool.retrying(), RULES).await
}

/// Asserts that no rule is broken; `after` says what was done.
///
/// # Panics
///
/// With the broken rules, and with everything about the requests that they name.
pub(crate) async fn assert_consistent(pool: &PgPool, after: &str) {
    let broken = broken(pool).await;
    if broken.is_empty() {
        return;
    }
    let mut known = String::new();
    for (_, about) in broken.iter().take(5) {
        let id = about.split(' ').next().unwrap().parse::<i64>();
        if let Ok(id) = id {
            known += &timeline(pool, id).await;
        }
    }
    panic!("after {after}: {broken:#?}\n{known}");
}

/// A request and its timeline, to be printed.
async fn timeline(pool: &PgPool, id: i64) -> String {
    let row: Option<PgRow> = sqlx::query(
        "SELECT concat_ws(' ', r.id, 'of', r.service_id, r.kind, r.state, r.reason, r.submitted_at, r.ended_at, E'\n',
             (SELECT string_agg(concat_ws(' ', '  ', seq, at, actor, code, subject), E'\n' ORDER BY seq)
              FROM timeline WHERE request_id = r.id), E'\n') FROM request r WHERE id = $1",
    )
    .bind(id)
    .fetch_optional(pool)
    .await
    .unwrap();
    row.map_or_else(String::new, |row| row.get(0))
}

/// Pending requests that are not blocked by anything: neither by a domain in force under another
/// service, nor by a check.
pub(crate) async fn unfinished(pool: &PgPool) -> i64 {
    sql::one(pool, "SELECT count(*) FROM work w JOIN request r ON r.id = w.request_id
         WHERE NOT EXISTS (SELECT FROM request_route d JOIN route x ON x.sip_domain = d.sip_domain
                           WHERE d.request_id = r.id AND x.service_id <> r.service_id)
           AND NOT EXISTS (SELECT FROM finding f WHERE f.request_id = r.id AND f.severity IN ('blocking', 'unknown')
                           AND f.code <> 'domain-held')").await
}
