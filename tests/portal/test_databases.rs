//! Checks that each test has a database of its own.

use pic_portal::db::MIGRATOR;
use pic_portal::db::PgPool;
use sqlx::{ConnectOptions as _, postgres::PgConnectOptions};

use crate::support::{db::TestDb, eventually, sql};

async fn count(pool: &PgPool) -> i64 {
    sql::one(pool, "SELECT count(*) FROM secret").await
}

#[tokio::test]
async fn databases_cloned_in_parallel_are_independent() {
    let (one, two) = tokio::join!(TestDb::fresh(&MIGRATOR), TestDb::fresh(&MIGRATOR));
    sql::run(one.pool(), "DELETE FROM secret").await;
    assert_ne!(one.name(), two.name());
    assert_eq!((count(one.pool()).await, count(two.pool()).await), (0, 1));
}

#[tokio::test]
async fn a_database_goes_with_its_test() {
    let watcher = TestDb::fresh(&MIGRATOR).await;
    let gone = TestDb::fresh(&MIGRATOR).await;
    let name = gone.name().to_owned();
    // Still in use, and in a task that panics: it is dropped all the same.
    let used = gone.options().connect().await.unwrap();
    let test = tokio::spawn(async move {
        let _gone = gone;
        panic!("this test is meant to fail");
    });
    assert!(test.await.is_err());
    eventually("the database is dropped", async || {
        let exists: bool =
            sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
                .bind(&name)
                .fetch_one(watcher.pool())
                .await
                .unwrap();
        (!exists).then_some(())
    })
    .await;
    drop(used);
}

#[tokio::test]
async fn a_url_leads_other_processes_to_the_database() {
    let db = TestDb::fresh(&MIGRATOR).await;
    let pool = PgPool::new(db.url().parse::<PgConnectOptions>().unwrap(), 1);
    let name: String = sql::one(&pool, "SELECT current_database()::text").await;
    assert_eq!(name, db.name());
}

#[tokio::test]
async fn another_process_leaves_the_databases_of_this_one() {
    let db = TestDb::fresh(&MIGRATOR).await;
    // It drops the databases of processes that have ended, and keeps those of this one.
    let other = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "test_databases::a_url_leads_other_processes_to_the_database",
        ])
        .output()
        .unwrap();
    assert!(
        other.status.success(),
        "{}",
        String::from_utf8_lossy(&other.stdout)
    );
    let exists: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
            .bind(db.name())
            .fetch_one(TestDb::fresh(&MIGRATOR).await.pool())
            .await
            .unwrap();
    assert!(exists);
}
