//! Follows a request all the way from the form to routes in force.

use std::time::Duration;

use axum::{
    body::Body,
    http::{Request, StatusCode},
};

use crate::support::app::{TestApp, request, submission_id};

const TWO_EDGES: &[(&str, &str)] = &[
    ("sip.contoso.com", "contoso.com, fabrikam.com"),
    ("edge.northwind.example", "northwind.example"),
];

#[tokio::test]
async fn a_request_is_stored_as_pending_and_then_provisioned() {
    let portal = TestApp::new().await;
    let (reference, key) = portal.submit(TWO_EDGES).await;
    assert_eq!(portal.state(&reference).await, "pending");
    assert_eq!(portal.number("SELECT count(*) FROM route").await, 0);
    assert_eq!(key.len(), 32, "26 symbols and 6 hyphens");

    assert_eq!(portal.work().await.provisioned, 1);
    assert_eq!(portal.state(&reference).await, "provisioned");
    let routes: Vec<(String, String)> = portal
        .rows("SELECT sip_domain::text, access_edge::text FROM route ORDER BY sip_domain")
        .await;
    let routes: Vec<_> = routes
        .iter()
        .map(|(d, e)| (d.as_str(), e.as_str()))
        .collect();
    assert_eq!(
        routes,
        [
            ("contoso.com", "sip.contoso.com"),
            ("fabrikam.com", "sip.contoso.com"),
            ("northwind.example", "edge.northwind.example"),
        ]
    );
    assert_eq!(portal.number("SELECT count(*) FROM work").await, 0);
}

#[tokio::test]
async fn a_request_that_never_gets_its_domain_expires() {
    let portal = TestApp::new().await;
    portal.submit(&[("sip.contoso.com", "contoso.com")]).await;
    portal.work().await;
    let (late, _) = portal.submit(&[("sip.contoso.com", "contoso.com")]).await;
    assert_eq!(portal.work().await.held, 1);
    portal.advance(Duration::from_mins(30 * 24 * 60 - 1)).await;
    assert_eq!(portal.work().await.held, 1);
    assert_eq!(portal.state(&late).await, "pending");
    portal.advance(Duration::from_mins(2)).await;
    assert_eq!(portal.work().await.expired, 1);
    assert_eq!(portal.state(&late).await, "rejected");
    assert_eq!(portal.number("SELECT count(*) FROM route").await, 1);
}

#[tokio::test]
async fn the_key_on_the_receipt_withdraws_the_request() {
    let portal = TestApp::new().await;
    let (reference, key) = portal.submit(TWO_EDGES).await;
    let path = format!("/requests/{reference}/withdraw");
    let wrong = portal
        .post(
            &path,
            &[("management_key", "0000-0000-0000-0000-0000-0000-00")],
        )
        .await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(portal.state(&reference).await, "pending");
    let done = portal
        .post(&path, &[("management_key", &key.to_lowercase())])
        .await;
    assert_eq!(done.header("location"), format!("/requests/{reference}"));
    assert_eq!(portal.state(&reference).await, "withdrawn");
    assert_eq!(portal.work().await.provisioned, 0);
    let again = portal.post(&path, &[("management_key", &key)]).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn the_same_submission_again_gives_the_same_receipt_and_other_content_does_not() {
    let portal = TestApp::new().await;
    let id = submission_id();
    let first = portal.post("/requests/new", &request(&id, TWO_EDGES)).await;
    let again = portal.post("/requests/new", &request(&id, TWO_EDGES)).await;
    assert_eq!(first.reference(), again.reference());
    assert_eq!(first.cookie(), again.cookie());
    let other = portal
        .post("/requests/new", &request(&id, &TWO_EDGES[..1]))
        .await;
    assert_eq!(other.status, StatusCode::CONFLICT);
    assert_eq!(portal.number("SELECT count(*) FROM request").await, 1);
    assert_eq!(portal.number("SELECT count(*) FROM service").await, 1);
}

#[tokio::test]
async fn the_same_submission_shows_its_key_for_a_day() {
    let portal = TestApp::new().await;
    let id = submission_id();
    let first = portal.post("/requests/new", &request(&id, TWO_EDGES)).await;
    portal.advance(Duration::from_mins(24 * 60 - 1)).await;
    let again = portal.post("/requests/new", &request(&id, TWO_EDGES)).await;
    assert_eq!(first.cookie(), again.cookie());
    portal.advance(Duration::from_mins(1)).await;
    let late = portal.post("/requests/new", &request(&id, TWO_EDGES)).await;
    assert_eq!(late.reference(), first.reference(), "it is stored once");
    assert!(late.set_cookies().is_empty(), "{:?}", late.set_cookies());
    let receipt = portal.get(late.header("location")).await;
    assert_eq!(receipt.attribute("data-management-key"), None);
    receipt.shows("for 24 hours after that");
    assert_eq!(portal.number("SELECT count(*) FROM request").await, 1);
}

#[tokio::test]
async fn a_submission_id_that_is_no_random_one_is_refused_by_its_name() {
    let portal = TestApp::new().await;
    for id in ["00000000-0000-4000-8000-000000000000", "1"] {
        let fields = request(id, TWO_EDGES);
        let refused = portal.post("/requests/new", &fields).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
        refused.shows("not a random UUID");
        // The page has a new one, so that the next submit works.
        let (_, new) = &refused.hidden()[0];
        let sent = portal.post("/requests/new", &request(new, TWO_EDGES)).await;
        sent.reference();
        let program = Request::post("/requests/new")
            .header("accept", "application/json")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::from(serde_html_form::to_string(&fields).unwrap()));
        let problem = portal.send(program.unwrap()).await;
        assert_eq!(problem.status, StatusCode::UNPROCESSABLE_ENTITY);
        let problem: serde_json::Value = serde_json::from_str(&problem.body).unwrap();
        assert_eq!(problem["errors"][0]["field"], "submission_id", "{problem}");
    }
}
