//! Refuses requests while they are settled: each must end once.

use axum::http::StatusCode;
use pic_portal::staff::Role;
use tokio::join;

use super::signed_in;
use crate::support::app::TestApp;

/// Requests that are refused while they are settled.
const MANY: usize = 24;

/// Each ends once, completely, and all pages agree.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_and_a_settlement_of_one_request_end_it_once() {
    let portal = TestApp::new().await;
    let agent = signed_in(&portal, "anna", Role::Agent).await;
    let (mut refused, mut provisioned) = (0, 0);
    for number in 0..MANY {
        let domain = format!("d{number}.example");
        let reference = portal
            .store_one(&[(&format!("sip.{domain}"), &domain)])
            .await;
        let path = format!("/staff/requests/{reference}/refuse");
        let fields = [("reason", "policy"), ("confirm", "on")];
        let worker = portal.own_worker();
        let (answer, settled) = join!(portal.post_with(&path, &fields, &agent), async {
            // Delays some of them, so that sometimes the one and sometimes the other goes first.
            for _ in 0..number % 6 {
                tokio::task::yield_now().await;
                portal.number("SELECT count(*) FROM staff").await;
            }
            worker.drain().await.unwrap().provisioned
        });
        let state = portal.state(&reference).await;
        match answer.status {
            StatusCode::SEE_OTHER => {
                assert_eq!((state.as_str(), settled), ("rejected", 0), "{reference}");
                refused += 1;
            }
            StatusCode::CONFLICT => {
                assert_eq!((state.as_str(), settled), ("provisioned", 1), "{reference}");
                provisioned += 1;
            }
            other => panic!("{other}: {}", answer.body),
        }
    }
    assert_eq!(refused + provisioned, MANY);
    for (what, sql, expected) in [
        (
            "final events",
            "SELECT count(*) FROM timeline WHERE code IN ('provisioned', 'rejected', 'withdrawn')",
            MANY,
        ),
        (
            "requests with one final event",
            "SELECT count(*) FROM request r WHERE 1 = (SELECT count(*) FROM timeline e
             WHERE e.request_id = r.id AND e.code = r.state)",
            MANY,
        ),
        ("routes", "SELECT count(*) FROM route", provisioned),
        (
            "routes of what was refused",
            "SELECT count(*) FROM route JOIN request r ON r.id = request_id WHERE r.state = 'rejected'",
            0,
        ),
        (
            "refusals in the audit",
            "SELECT count(*) FROM staff_audit WHERE action = 'refused'",
            refused,
        ),
        ("work left", "SELECT count(*) FROM work", 0),
    ] {
        let count = portal.number(sql).await;
        assert_eq!(count, i64::try_from(expected).unwrap(), "{what}");
    }
}

/// Two agents have the same request open.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_agents_refuse_it_once() {
    let portal = TestApp::new().await;
    let anna = signed_in(&portal, "anna", Role::Agent).await;
    let bert = signed_in(&portal, "bert", Role::Agent).await;
    for number in 0..8 {
        let domain = format!("d{number}.example");
        let reference = portal
            .store_one(&[(&format!("sip.{domain}"), &domain)])
            .await;
        let refuse = format!("/staff/requests/{reference}/refuse");
        let withdraw = format!("/staff/requests/{reference}/withdraw");
        let fields = [("reason", "policy"), ("confirm", "on")];
        let (one, two) = join!(
            portal.post_with(&refuse, &fields, &anna),
            portal.post_with(&withdraw, &fields[1..], &bert)
        );
        let mut both = [one.status, two.status];
        both.sort();
        assert_eq!(both, [StatusCode::SEE_OTHER, StatusCode::CONFLICT]);
    }
    let ends = "SELECT count(*) FROM event WHERE code IN ('rejected', 'withdrawn')";
    assert_eq!(portal.number(ends).await, 8);
    let noted = "SELECT count(*) FROM staff_audit WHERE action IN ('refused', 'withdrew')";
    assert_eq!(portal.number(noted).await, 8);
}
