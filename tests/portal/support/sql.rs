//! Statements of tests, which succeed.

use sqlx::{AssertSqlSafe, FromRow, PgExecutor, postgres::PgRow};

/// Runs statements.
pub(crate) async fn run(on: impl PgExecutor<'_>, sql: &str) {
    let statements = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
    statements.execute(on).await.unwrap();
}

/// Puts routes in force that nobody has asked for: `routes` is a query for columns `sip_domain` and
/// `access_edge`. The service that was made first holds them.
pub(crate) async fn put_routes(on: impl PgExecutor<'_>, routes: &str) {
    let sql = include_str!("put_routes.sql")
        .replace("{routes}", routes)
        .replace("{service}", "(SELECT min(id) FROM service)");
    run(on, &sql).await;
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
