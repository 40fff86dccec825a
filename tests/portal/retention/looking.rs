//! Checks that contact information is found anywhere in the schema, and reported without its
//! values.

use pic_portal::retention::Outcome;

use super::{DAY, sweep};
use crate::support::{
    app::{TestApp, everything},
    assert_says, sql,
};

#[tokio::test]
async fn the_portals_own_schema_is_proven_but_for_next_to_nothing() {
    let portal = TestApp::new().await;
    portal.submit(&[("sip.contoso.com", "contoso.com")]).await;
    portal.work().await;
    portal.store(500).await;
    sweep(&portal).await;
    let run = sweep(&portal).await;
    assert!(run.is_clean());
    assert!(run.looked.proven > 25, "{:?}", run.looked);
    // The secret, and the list of migrations.
    assert_eq!(run.looked.columns, 3, "{:?}", run.looked);
    assert!(
        run.looked.rows < 50,
        "what is large needs no look: {:?}",
        run.looked
    );
    assert!(run.looked.suspects.is_empty());
}

/// Tables of an operator, with an address in every kind of column.
const OLD: &str = r#"
    CREATE DOMAIN word AS text CHECK (value ~ '^[a-z]+$');
    CREATE TABLE "Old requests" (
        id int, contact_name varchar(40), note text, "Data" jsonb, tags text[], raw bytea, phone bigint, proven word,
        words text CHECK (words IN ('a', 'b')), half text CHECK (half ~ '[a-z]'), sure boolean, contacted_at timestamptz);
    INSERT INTO "Old requests" VALUES
        (1, 'Anna Canary', 'write to anna@aviary.example', '{"mail": "anna@aviary.example"}', '{a,anna@aviary.example}',
         'anna@aviary.example', 442079460001, 'plain', 'a', 'anna@aviary.example', true, now()),
        (2, '', 'no address @ all', '{"at": "@"}', '{}', '\xff00', NULL, 'plain', 'b', 'half', false, now()),
        (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
    CREATE MATERIALIZED VIEW old_view AS SELECT note FROM "Old requests" WHERE id = 1;
    CREATE SCHEMA elsewhere; CREATE TABLE elsewhere.old (email text); INSERT INTO elsewhere.old VALUES ('a@b.example');"#;

#[tokio::test]
async fn what_an_operator_brought_along_is_told_by_column_and_number() {
    let portal = TestApp::new().await;
    portal.run(OLD).await;
    let run = sweep(&portal).await;
    assert_eq!(run.outcome, Some(Outcome::Remains));
    assert_eq!(
        run.looked.suspects,
        [
            "Old requests.Data: 1",
            "Old requests.contact_name: 1",
            "Old requests.half: 1",
            "Old requests.note: 1",
            "Old requests.phone: 1",
            "Old requests.raw: 1",
            "Old requests.tags: 1",
            "old_view.note: 1",
        ]
    );
    assert_eq!(run.remaining, Some(8));
    let told = everything(portal.pool()).await;
    let told = told
        .split("retention_run:\n")
        .nth(1)
        .unwrap()
        .split(":\n")
        .next()
        .unwrap();
    assert!(
        told.contains("Old requests.note: 1") && !told.contains("aviary"),
        "{told}"
    );
    let page = portal.get("/privacy").await.body;
    assert_says(&page, "8 values remain that look like contact information");
    assert!(
        !page.contains("Old requests"),
        "names of columns are the operator's"
    );
    portal.run(r#"DROP TABLE "Old requests" CASCADE"#).await;
    assert!(sweep(&portal).await.is_clean());
}

#[tokio::test]
async fn a_table_of_many_blocks_is_looked_through_to_the_last_row() {
    let portal = TestApp::new().await;
    portal
        .run(
            "CREATE TABLE old (id int, note text);
             INSERT INTO old SELECT n, repeat('x', 1500) FROM generate_series(1, 15000) AS n;
             INSERT INTO old VALUES (0, 'last@aviary.example')",
        )
        .await;
    let blocks = portal.number("SELECT pg_relation_size('old') / 8192").await;
    assert!(blocks > 2 * 1_024, "{blocks}");
    let run = sweep(&portal).await;
    assert_eq!(
        (run.outcome, run.remaining),
        (Some(Outcome::Remains), Some(1))
    );
    assert!(run.looked.rows >= 15_001);
    assert_eq!(run.looked.suspects, ["old.note: 1"]);
}

#[tokio::test]
async fn a_constraint_that_was_not_checked_proves_nothing() {
    let portal = TestApp::new().await;
    portal
        .run(
            "CREATE TABLE old (note text); INSERT INTO old VALUES ('a@aviary.example');
             ALTER TABLE old ADD CONSTRAINT old_note CHECK (note ~ '^[a-z]+$') NOT VALID",
        )
        .await;
    let run = sweep(&portal).await;
    assert_eq!(run.looked.suspects, ["old.note: 1"]);
    portal
        .run("DELETE FROM old; ALTER TABLE old VALIDATE CONSTRAINT old_note")
        .await;
    let proven = sweep(&portal).await;
    assert!(proven.is_clean());
    assert_eq!(proven.looked.proven, run.looked.proven + 1);
}

#[tokio::test]
async fn what_may_not_be_read_is_told_and_what_is_locked_is_not_called_clean() {
    let portal = TestApp::new().await;
    portal
        .run(
            "CREATE TABLE old (note text, email text); INSERT INTO old VALUES ('a@aviary.example')",
        )
        .await;
    let mut other = portal.db().pool().begin().await.unwrap();
    sql::run(&mut *other, "DROP TABLE old").await;
    // The table is dropped after it was listed.
    let swept = tokio::spawn({
        let sweeper = super::sweeper(portal.pool());
        async move { sweeper.sweep(pic_portal::retention::Cause::Hand).await }
    });
    portal.blocked(1).await;
    other.commit().await.unwrap();
    let run = swept.await.unwrap().unwrap().unwrap();
    assert!(!run.is_clean() || run.looked.suspects.is_empty());
    portal.advance(DAY).await;
    assert!(sweep(&portal).await.is_clean());
}
