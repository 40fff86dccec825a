//! Checks that names which an earlier version stored as agreement numbers are replaced.

use pic_portal::retention::{Kind, Outcome};
use sqlx::AssertSqlSafe;

use super::sweep;
use crate::{
    service::sign_in,
    support::{app::TestApp, assert_says, sql},
};

/// Puts `number` into the newest service, as an earlier version could.
async fn plant(portal: &TestApp, number: &str) {
    let planted = format!(
        "ALTER TABLE service DROP CONSTRAINT service_number_no_name;
         UPDATE service SET number = '{number}' WHERE id = (SELECT max(id) FROM service);
         ALTER TABLE service ADD CONSTRAINT service_number_no_name
             CHECK (number ~ '[0-9]' AND number !~ '[A-Z]{{5}}') NOT VALID"
    );
    let planted = sqlx::raw_sql(AssertSqlSafe(planted));
    planted.execute(portal.pool()).await.unwrap();
}

#[tokio::test]
async fn a_name_stored_as_an_agreement_number_is_replaced_and_counted() {
    let portal = TestApp::new().await;
    let (_, kept) = portal.submit(&[("sip.a.example", "a.example")]).await;
    let mut keys = Vec::new();
    for (place, number) in ["ANNAMUSTERMANN", "BO", "A1ATGMAILCOM"].iter().enumerate() {
        let domain = format!("d{place}.example");
        let (_, key) = portal.submit(&[("sip.b.example", &domain)]).await;
        plant(&portal, number).await;
        keys.push(key);
    }
    portal.work().await;
    let run = sweep(&portal).await;
    assert_eq!(run.removed(Kind::Numbers), 3);
    assert_eq!(run.outcome, Some(Outcome::Clean));
    let masked = "SELECT count(*) FROM service WHERE number = '0'";
    assert_eq!(portal.number(masked).await, 3);
    // A number stays, and a second sweep finds nothing.
    sign_in(&portal, &kept).await;
    assert_eq!(sweep(&portal).await.removed(Kind::Numbers), 0);
    // The service is as it was, under the number 0.
    let fields = [("number", "0"), ("management_key", keys[0].as_str())];
    let answer = portal.post("/service", &fields).await;
    assert!(answer.status.is_redirection(), "{}", answer.status);
    let hub = portal.get_with("/service", &answer.cookie()).await;
    hub.shows("d0.example");
    let said = portal.get("/privacy").await.body;
    assert_says(&said, "3 words in place of agreement numbers");
}

/// Names are found without reading all the other numbers.
#[tokio::test]
async fn they_are_found_by_an_index() {
    let portal = TestApp::new().await;
    portal.store(50).await;
    let mut connection = portal.pool().acquire().await.unwrap();
    sql::run(
        &mut *connection,
        "ANALYZE service; SET enable_seqscan = off",
    )
    .await;
    let plan: Vec<String> = sql::all(&mut *connection, "EXPLAIN SELECT id FROM service WHERE number !~ '[0-9]' OR number ~ '[A-Z]{5}' ORDER BY id LIMIT 5").await;
    let plan = plan.join("\n");
    assert_says(&plan, "service_number_to_mask");
}
