//! Checks that the consistency checker finds each kind of inconsistency.

use std::collections::BTreeSet;

use sqlx::AssertSqlSafe;

use crate::{
    service::{send_edit, sign_in},
    support::{
        app::TestApp,
        consistency::{RULES, assert_consistent, broken},
        sql,
    },
};

/// A portal with rows of every kind.
async fn lived_in() -> TestApp {
    let portal = TestApp::new().await;
    let (_, key) = portal
        .submit(&[("sip.contoso.com", "contoso.com it.contoso.com")])
        .await;
    portal.work().await;
    let cookie = sign_in(&portal, &key).await;
    let after = [
        ("sip.contoso.com", "contoso.com"),
        ("edge.contoso.com", "new.contoso.com"),
    ];
    let update = send_edit(&portal, &cookie, &after, &[("action", "submit")]).await;
    update.reference();
    portal.work().await;
    portal.submit(&[("sip.fabrikam.com", "contoso.com")]).await;
    portal.work().await;
    let (reference, key) = portal.submit(&[("sip.d.example", "d.example")]).await;
    let withdraw = format!("/requests/{reference}/withdraw");
    portal.post(&withdraw, &[("management_key", &key)]).await;
    assert_consistent(portal.pool(), "some days").await;
    portal
}

#[tokio::test]
async fn every_rule_is_broken_by_what_breaks_it() {
    let portal = lived_in().await;
    let last = "(SELECT max(id) FROM request WHERE state = 'provisioned')";
    let held = "(SELECT id FROM request WHERE state = 'pending')";
    let gone = "(SELECT id FROM request WHERE state = 'withdrawn')";
    let breakers = [
        ("a request has its edges, each with domains", format!("DELETE FROM request_route WHERE request_id = {held}")),
        ("a request has its edges, each with domains", format!("DELETE FROM request_route WHERE request_id = {last} AND edge = 1")),
        ("a request has its edges, each with domains", format!("UPDATE request_route SET edge = 7 WHERE request_id = {held}")),
        ("everything belongs to a request", format!("DELETE FROM request WHERE id = {gone}")),
        ("every request has its service", format!("DELETE FROM service WHERE id = (SELECT service_id FROM request WHERE id = {held})")),
        ("every service has a request", "INSERT INTO service (id, created_at, programme, number, token, key_hash) SELECT 99, created_at, programme, number, token, key_hash FROM service LIMIT 1".into()),
        ("a reference names one request", "ALTER TABLE request DROP CONSTRAINT request_reference; UPDATE request SET reference = 'PIC-0000-0000-0000-0000'".into()),
        ("a service has one pending request", format!("ALTER TABLE request DROP CONSTRAINT request_makes_service; UPDATE request SET state = 'pending', ended_at = NULL, service_id = (SELECT service_id FROM request WHERE id = {held}) WHERE id = {gone}")),
        ("what is pending is to be done, and nothing else", "DELETE FROM work".into()),
        ("what is pending is to be done, and nothing else", format!("INSERT INTO work (request_id, due_at) VALUES ({gone}, pic_now())")),
        ("it has ended at a time, and for a reason if it was rejected", format!("ALTER TABLE request DROP CONSTRAINT request_ended; UPDATE request SET ended_at = NULL WHERE id = {gone}")),
        ("only what is in force last is watched", "INSERT INTO watch (request_id, due_at, checked_at) SELECT min(id), pic_now(), pic_now() FROM request".into()),
        ("a lease has a holder and an end", "ALTER TABLE work DROP CONSTRAINT work_lease; UPDATE work SET lease_until = pic_now()".into()),
        ("a timeline begins with the only submission", format!("INSERT INTO event (request_id, seq, at, actor, code) VALUES ({held}, 1, pic_now(), 'administrator', 'submitted')")),
        ("the places of a timeline count what has happened", format!("UPDATE event SET seq = 9 WHERE request_id = {held} AND seq = 2")),
        ("the places of a timeline count what has happened", format!("UPDATE request SET provisioned_seq = 9 WHERE id = {last}")),
        ("a timeline is in order of time", format!("UPDATE event SET at = at - interval '1 h' WHERE request_id = {held} AND seq = 2")),
        ("a request ends once, and its timeline says how and when", format!("DELETE FROM event WHERE request_id = {gone} AND code = 'withdrawn'")),
        ("a request ends once, and its timeline says how and when", format!("INSERT INTO event (request_id, seq, at, actor, code) SELECT request_id, 3, at, actor, code FROM event WHERE request_id = {gone} AND code = 'withdrawn'")),
        ("a request ends once, and its timeline says how and when", format!("UPDATE request SET state = 'provisioned', provisioned_seq = 2 WHERE id = {gone}")),
        ("nothing holds back what has ended", format!("INSERT INTO event (request_id, seq, at, actor, code) VALUES ({gone}, 3, pic_now(), 'portal', 'held')")),
        ("only what is in force is at risk or lost", format!("INSERT INTO event (request_id, seq, at, actor, code) VALUES ({gone}, 3, pic_now(), 'portal', 'at-risk')")),
        ("a domain that is gained was lost by another", format!("INSERT INTO event (request_id, seq, at, actor, code, subject) VALUES ({last}, 3, pic_now(), 'portal', 'domain-gained', 'contoso.com')")),
        ("a domain that is lost was gained by another", format!("INSERT INTO event (request_id, seq, at, actor, code, subject) VALUES ({last}, 3, pic_now(), 'portal', 'domain-lost', 'contoso.com')")),
        ("a finding that holds back is told in the timeline", "DELETE FROM event WHERE code = 'held'".into()),
        ("what was taken back has no findings", format!("UPDATE finding SET request_id = {gone}")),
        ("what was provisioned last is in force", "DELETE FROM domain_in_force WHERE sip_domain = 'new.contoso.com'".into()),
        ("what was provisioned last is in force", "UPDATE domain_in_force SET edge = 2 WHERE sip_domain = 'contoso.com'".into()),
        ("nothing else is in force", "INSERT INTO domain_in_force SELECT service_id, request_id, edge, 'it.contoso.com' FROM domain_in_force LIMIT 1".into()),
        ("a route names the request that brought it, and its edge", format!("UPDATE domain_in_force SET request_id = {gone}")),
        ("a route names the request that brought it, and its edge", "UPDATE domain_in_force SET edge = 3 - edge".into()),
        ("what staff did is in timeline and audit", format!("INSERT INTO staff_audit (staff_id, at, action, request_id) VALUES (1, pic_now(), 'withdrew', {gone})")),
        ("one sweep is under way", "DROP INDEX retention_run_under_way; INSERT INTO retention_run (instance, cause, began_at, lease_until) SELECT gen_random_uuid(), 'hand', pic_now(), pic_now() FROM generate_series(1, 2)".into()),
    ];
    for (rule, breaking) in &breakers {
        let mut transaction = portal.pool().begin().await.unwrap();
        // As a torn page would do it: without triggers and foreign keys.
        let breaking = format!("SET LOCAL session_replication_role = replica; {breaking}");
        sqlx::raw_sql(AssertSqlSafe(breaking.clone()))
            .execute(&mut *transaction)
            .await
            .unwrap_or_else(|error| panic!("{breaking}: {error}"));
        let found: Vec<(String, String)> = sql::rows(&mut *transaction, RULES).await;
        assert!(
            found.iter().any(|(broken, _)| broken == rule),
            "{rule}: {breaking}: {found:?}"
        );
        transaction.rollback().await.unwrap();
    }
    assert_eq!(broken(portal.pool()).await, []);
    let rules: BTreeSet<_> = RULES
        .split("SELECT '")
        .skip(1)
        .map(|rule| rule.split('\'').next().unwrap())
        .collect();
    let tried: BTreeSet<_> = breakers.iter().map(|(rule, _)| *rule).collect();
    assert_eq!(tried, rules, "each rule that there is was broken above");
}
