//! Statements of tests, which succeed.

use sqlx::{AssertSqlSafe, FromRow, PgExecutor, postgres::PgRow};

/// Runs statements.
pub(crate) async fn run(on: impl PgExecutor<'_>, sql: &str) {
    let statements = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
    statements.execute(on).await.unwrap();
}

/// The only value that a query returns.
pub(crate) async fn one<T>(on: impl PgExecutor<'_>, sql: &str) -> T
where
    (T,): for<'r> FromRow<'r, PgRow>,
    T: Send + Unpin,
{
    let query = sqlx::query_scalar(AssertSqlSafe(sql.to_owned()));
    query.fetch_one(on).await.unwrap()
}

/// An integer.
pub(crate) async fn number(on: impl PgExecutor<'_>, sql: &str) -> i64 {
    one(on, sql).await
}

/// The values of one column.
pub(crate) async fn all<T>(on: impl PgExecutor<'_>, sql: &str) -> Vec<T>
where
    (T,): for<'r> FromRow<'r, PgRow>,
    T: Send + Unpin,
{
    let query = sqlx::query_scalar(AssertSqlSafe(sql.to_owned()));
    query.fetch_all(on).await.unwrap()
}

/// Rows with several columns.
pub(crate) async fn rows<T>(on: impl PgExecutor<'_>, sql: &str) -> Vec<T>
where
    T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
{
    let query = sqlx::query_as(AssertSqlSafe(sql.to_owned()));
    query.fetch_all(on).await.unwrap()
}
