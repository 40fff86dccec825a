//! Checks that exactly the rows that are no longer kept are deleted.

use axum::http::StatusCode;
use pic_portal::retention::{KEPT, Kind, Until};

use super::{DAY, HOUR, sweep};
use crate::{
    service::sign_in,
    support::app::{TestApp, submission_id},
};

const A: &[(&str, &str)] = &[("sip.a.example", "a.example")];
const B: &[(&str, &str)] = &[("sip.b.example", "b.example")];
const C: &[(&str, &str)] = &[("sip.c.example", "c.example")];
const D: &[(&str, &str)] = &[("sip.d.example", "d.example")];

async fn withdraw(portal: &TestApp, reference: &str, key: &str) {
    let path = format!("/requests/{reference}/withdraw");
    let answer = portal.post(&path, &[("management_key", key)]).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
}

async fn status(portal: &TestApp, reference: &str) -> StatusCode {
    portal.get(&format!("/requests/{reference}")).await.status
}

/// How many rows there are in every table that belongs to requests.
const ROWS: &str = "SELECT (SELECT count(*) FROM request_route)
    + (SELECT count(*) FROM event) + (SELECT count(*) FROM finding) + (SELECT count(*) FROM work)";

#[tokio::test]
async fn withdrawn_and_rejected_requests_go_after_ninety_days_and_no_others() {
    let portal = TestApp::new().await;
    let (in_force, _) = portal.submit(A).await;
    portal.work().await;
    let (held, _) = portal.submit(A).await;
    portal.work().await;
    assert_eq!(portal.number("SELECT count(*) FROM finding").await, 1);
    // The request expires: rejected, with its findings.
    portal.advance(30 * DAY).await;
    assert_eq!(portal.work().await.expired, 1);
    let (withdrawn, key) = portal.submit(B).await;
    withdraw(&portal, &withdrawn, &key).await;
    let (pending, _) = portal.submit(A).await;

    portal.advance(89 * DAY + 23 * HOUR).await;
    let run = sweep(&portal).await;
    assert_eq!(
        (run.removed(Kind::Requests), run.removed(Kind::Services)),
        (0, 0)
    );
    for reference in [&in_force, &held, &withdrawn, &pending] {
        assert_eq!(status(&portal, reference).await, StatusCode::OK);
    }
    let before = portal.number(ROWS).await;
    portal.advance(HOUR).await;
    let run = sweep(&portal).await;
    assert_eq!(
        (run.removed(Kind::Requests), run.removed(Kind::Services)),
        (2, 2)
    );
    assert!(run.is_clean());
    for (reference, expected) in [
        (&in_force, StatusCode::OK),
        (&pending, StatusCode::OK),
        (&held, StatusCode::NOT_FOUND),
        (&withdrawn, StatusCode::NOT_FOUND),
    ] {
        assert_eq!(status(&portal, reference).await, expected);
    }
    assert!(portal.number(ROWS).await < before);
    assert_eq!(portal.number("SELECT count(*) FROM service").await, 2);
    assert_eq!(portal.number("SELECT count(*) FROM route").await, 1);
    let orphans = "SELECT count(*) FROM request_route e WHERE NOT EXISTS (SELECT FROM request WHERE id = e.request_id)";
    assert_eq!(portal.number(orphans).await, 0);
    // The remaining requests are still settled.
    portal.run("UPDATE work SET due_at = pic_now()").await;
    assert_eq!(
        portal.work().await.expired,
        1,
        "its limit has passed meanwhile"
    );
}

#[tokio::test]
async fn an_update_that_was_taken_back_goes_and_its_service_stays() {
    let portal = TestApp::new().await;
    let (in_force, key) = portal.submit(A).await;
    portal.work().await;
    let cookie = sign_in(&portal, &key).await;
    let id = submission_id();
    let fields = [
        ("edge", "sip.a.example"),
        ("domains", "a.example more.a.example"),
        ("deployment", "on_premises"),
        ("submission_id", id.as_str()),
        ("action", "submit"),
    ];
    let sent = portal.post_with("/service/edit", &fields, &cookie).await;
    let update = sent.reference();
    withdraw(&portal, &update, &key).await;
    portal.advance(91 * DAY).await;
    let run = sweep(&portal).await;
    assert_eq!(
        (run.removed(Kind::Requests), run.removed(Kind::Services)),
        (1, 0)
    );
    assert_eq!(run.removed(Kind::Sessions), 1);
    assert_eq!(status(&portal, &update).await, StatusCode::NOT_FOUND);
    assert_eq!(status(&portal, &in_force).await, StatusCode::OK);
    // Its key still opens it, and its domain is in force.
    sign_in(&portal, &key).await;
    assert_eq!(portal.number("SELECT count(*) FROM route").await, 1);
}

#[tokio::test]
async fn a_service_that_somebody_is_busy_with_has_time_until_the_next_sweep() {
    let portal = TestApp::new().await;
    for edges in [A, B, C] {
        let (reference, key) = portal.submit(edges).await;
        withdraw(&portal, &reference, &key).await;
    }
    let (reference, key) = portal.submit(D).await;
    withdraw(&portal, &reference, &key).await;
    portal.advance(91 * DAY).await;
    let cookie = sign_in(&portal, &key).await;
    // Another session is about to submit for one of them.
    let mut busy = portal.db().pool().begin().await.unwrap();
    sqlx::query("SELECT id FROM service ORDER BY id LIMIT 1 FOR KEY SHARE")
        .fetch_one(&mut *busy)
        .await
        .unwrap();
    let run = sweep(&portal).await;
    assert_eq!(
        (run.removed(Kind::Requests), run.removed(Kind::Services)),
        (2, 2)
    );
    busy.rollback().await.unwrap();
    assert_eq!(
        portal.get_with("/service", &cookie).await.status,
        StatusCode::OK
    );
    let run = sweep(&portal).await;
    assert_eq!(
        (run.removed(Kind::Requests), run.removed(Kind::Services)),
        (1, 1)
    );
    assert_eq!(status(&portal, &reference).await, StatusCode::OK);
    portal.advance(HOUR).await;
    let run = sweep(&portal).await;
    assert_eq!(
        (run.removed(Kind::Requests), run.removed(Kind::Sessions)),
        (1, 1)
    );
    assert_eq!(portal.number("SELECT count(*) FROM service").await, 0);
}

#[tokio::test]
async fn many_go_in_batches_that_add_up() {
    let portal = TestApp::new().await;
    portal.store(330).await;
    portal
        .run("SELECT pic_end(ARRAY[id], 'withdrawn', NULL, 'administrator') FROM request")
        .await;
    portal.advance(90 * DAY).await;
    portal.store(20).await;
    let run = sweep(&portal).await;
    assert_eq!(
        (run.removed(Kind::Requests), run.removed(Kind::Services)),
        (330, 330)
    );
    assert_eq!(portal.number("SELECT count(*) FROM request").await, 20);
}

#[tokio::test]
async fn sessions_that_are_over_go_and_others_stay() {
    let portal = TestApp::new().await;
    let (_, key) = portal.submit(A).await;
    let cookie = sign_in(&portal, &key).await;
    portal
        .run(
            "INSERT INTO session
             SELECT sha256(n::text::bytea), id, pic_now() - began * interval '1 minute', pic_now() - seen * interval '1 minute'
             FROM service, (VALUES (1, 31, 31), (2, 481, 1), (3, 479, 29), (4, 500, 500)) AS v (n, began, seen)",
        )
        .await;
    let run = sweep(&portal).await;
    assert_eq!(run.removed(Kind::Sessions), 3);
    assert_eq!(portal.number("SELECT count(*) FROM session").await, 2);
    assert_eq!(
        portal.get_with("/service", &cookie).await.status,
        StatusCode::OK
    );
}

/// The tables of the support desk, as far as the sweep needs them, for a schema that does not have
/// them yet.
const STAFF: &str = "
    CREATE TABLE IF NOT EXISTS staff (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text, role text,
        password text, created_at timestamptz, password_at timestamptz);
    CREATE TABLE IF NOT EXISTS staff_session (token_hash bytea PRIMARY KEY, staff_id bigint REFERENCES staff,
        began_at timestamptz, seen_at timestamptz);
    CREATE TABLE IF NOT EXISTS staff_audit (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        staff_id bigint REFERENCES staff, at timestamptz, action text);
    INSERT INTO staff (name, role, password, created_at, password_at)
    VALUES ('anna', 'agent', '$argon2id$v=19$m=1,t=1,p=1$AAAAAAAAAAA$' || repeat('A', 43), pic_now(), pic_now());
    INSERT INTO staff_session
    SELECT sha256(n::text::bytea), (SELECT id FROM staff), pic_now() - began * interval '1 minute',
           pic_now() - seen * interval '1 minute'
    FROM (VALUES (1, 31, 31), (2, 721, 1), (3, 719, 29)) AS v (n, began, seen);
    INSERT INTO staff_audit (staff_id, at, action)
    SELECT (SELECT id FROM staff), pic_now() - n * interval '1 day', 'signed-in' FROM generate_series(360, 369) AS n;";

#[tokio::test]
async fn the_support_desks_sessions_end_and_its_audit_goes_after_a_year() {
    let portal = TestApp::new().await;
    portal.run(STAFF).await;
    let run = sweep(&portal).await;
    assert_eq!(run.removed(Kind::StaffSessions), 2);
    assert_eq!(run.removed(Kind::StaffAudit), 5);
    assert_eq!(portal.number("SELECT count(*) FROM staff_audit").await, 5);
}

#[tokio::test]
async fn records_of_sweeps_go_too() {
    let portal = TestApp::new().await;
    sweep(&portal).await;
    portal.advance(89 * DAY).await;
    sweep(&portal).await;
    portal.advance(2 * DAY).await;
    let run = sweep(&portal).await;
    assert_eq!(run.removed(Kind::Runs), 1);
    assert_eq!(portal.number("SELECT count(*) FROM retention_run").await, 2);
}

#[test]
fn whatever_the_sweep_removes_stands_in_the_table_of_what_is_kept() {
    for kind in Kind::ALL {
        let listed = KEPT.iter().any(|kept| match kept.until {
            Until::NextSweep(of) | Until::For(of, _) | Until::Unused(of, ..) => of == *kind,
            Until::Never | Until::While(_) | Until::Limit | Until::Memory(_) => false,
        });
        // Services are deleted with the last of their requests.
        assert!(listed || *kind == Kind::Services, "{kind:?}");
        let kept_for = KEPT.iter().find_map(|kept| match kept.until {
            Until::For(of, duration) if of == *kind => Some(duration),
            _ => None,
        });
        assert_eq!(kind.kept_for(), kept_for);
    }
}
