//! Measures the write-ahead log of a submit, and how much of it is for the desk.

use pic_portal::{db::Database, request::store::submit};

use super::submission::submission;

/// Submits that are measured, and as many before them.
const SUBMITS: usize = 1_000;

/// Bytes of write-ahead log for each submit. The first change of a page after a checkpoint writes
/// the whole page, so as many submits are made before.
async fn a_submit(db: &Database) -> i64 {
    let run = async |sql: &'static str| {
        sqlx::raw_sql(sql).execute(&db.pool).await.expect("it runs");
    };
    let submits = async || {
        for _ in 0..SUBMITS {
            submit(&db.pool, &[submission(db)]).await.expect("stored");
        }
    };
    let at = async || -> i64 {
        sqlx::query_scalar("SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint")
            .fetch_one(&db.pool)
            .await
            .expect("a place")
    };
    run("CHECKPOINT").await;
    submits().await;
    let before = at().await;
    submits().await;
    (at().await - before) / i64::try_from(SUBMITS).expect("a small number")
}

/// Prints how many bytes a submit writes, with all indexes and then without those of the desk.
pub(crate) async fn measure(db: &Database) {
    println!(
        "WAL a submit of one edge and two domains, as it is: {} bytes",
        a_submit(db).await
    );
    sqlx::raw_sql("DROP INDEX request_route_backwards")
        .execute(&db.pool)
        .await
        .expect("it runs");
    let without = a_submit(db).await;
    println!("without request_route_backwards: {without} bytes");
}
