//! Checks what happens to names and telephone numbers in the field of the agreement number.

use axum::http::StatusCode;

use crate::support::app::{Fields, TestApp, request, submission_id};

const ROUTES: &[(&str, &str)] = &[("sip.contoso.com", "contoso.com")];

/// The form with this number and this button.
fn form<'a>(id: &'a str, number: &'a str, action: &'a str) -> Fields<'a> {
    let mut fields = request(id, ROUTES);
    for (name, value) in &mut fields {
        match *name {
            "number" => *value = number,
            "action" => *value = action,
            _ => {}
        }
    }
    fields
}

#[tokio::test]
async fn names_and_telephone_numbers_are_refused_and_not_stored() {
    let portal = TestApp::new().await;
    for typed in [
        "Anna Mustermann",
        "annamustermann at gmail com",
        "425-555-0100",
        "0151 23456789",
        "Tel. 0151 23456789",
    ] {
        for action in ["review", "submit"] {
            let id = submission_id();
            let answer = portal
                .post("/requests/new", &form(&id, typed, action))
                .await;
            assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{typed}");
            assert!(answer.blames("number"), "{typed}");
            let told = "We do not ask for names or other contact details";
            answer.shows(told);
        }
    }
    assert_eq!(portal.number("SELECT count(*) FROM service").await, 0);
}

#[tokio::test]
async fn digits_that_could_be_a_telephone_number_are_asked_about() {
    let portal = TestApp::new().await;
    let id = submission_id();
    let asked = portal
        .post("/requests/new", &form(&id, "4255550100", "review"))
        .await;
    assert_eq!(asked.status, StatusCode::OK);
    let told = "A telephone number or a name must not be entered here";
    asked.shows(told);
    // A person who knows better can go on, and may write it in groups to sign in.
    let sent = portal
        .post("/requests/new", &form(&id, "4255550100", "submit"))
        .await;
    let receipt = portal
        .get_with(sent.header("location"), &sent.cookie())
        .await;
    let key = receipt.attribute("data-management-key").unwrap().to_owned();
    let fields = [("number", "425-555-0100"), ("management_key", key.as_str())];
    let answer = portal.post("/service", &fields).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    // For a usual number there is no question.
    let id = submission_id();
    let (number, action) = ("12345678ZZE1234", "review");
    let usual = portal
        .post("/requests/new", &form(&id, number, action))
        .await;
    assert!(usual.status == StatusCode::OK && !usual.body.contains(told));
}
