//! Checks that nothing is accepted that is or contains an address.

use axum::{
    body::Body,
    http::{Method, Request, StatusCode},
};
use serde_json::Value;

use crate::{
    service::sign_in,
    support::app::{Answer, TestApp, request, submission_id},
};

const FORM: &str = "application/x-www-form-urlencoded";

async fn post(
    portal: &TestApp,
    path: &str,
    cookie: &str,
    kind: &str,
    accept: &str,
    body: &str,
) -> Answer {
    let request = Request::post(path)
        .header("host", "portal.test")
        .header("cookie", cookie)
        .header("content-type", kind)
        .header("accept", accept)
        .body(Body::from(body.to_owned()))
        .unwrap();
    portal.send(request).await
}

/// A portal with a request in force, the address of a form for each route that accepts one, and a
/// session cookie.
async fn forms() -> (TestApp, Vec<String>, String) {
    let portal = TestApp::new().await;
    let (_, key) = portal.submit(&[("sip.contoso.com", "contoso.com")]).await;
    portal.work().await;
    let (reference, _) = portal.submit(&[("sip.contoso.com", "contoso.com")]).await;
    let cookie = sign_in(&portal, &key).await;
    let posts = pic_portal::routes::table()
        .into_iter()
        .filter(|route| route.methods().contains(&Method::POST));
    let paths = posts
        .map(|route| route.path().replace("{reference}", &reference))
        .collect();
    (portal, paths, cookie)
}

#[tokio::test]
async fn every_form_refuses_fields_that_are_not_asked_for_with_the_rule() {
    let (portal, paths, cookie) = forms().await;
    assert!(paths.len() > 6);
    for path in paths {
        // The forms of the support desk need its own sign-in.
        if path.starts_with("/staff/") && path != "/staff/sign-in" {
            continue;
        }
        for field in [
            "contact_email",
            "phone",
            "name",
            "email",
            "comment",
            "Number",
            "number[]",
        ] {
            let body = format!("{field}=canary%40aviary.example");
            let page = post(&portal, &path, &cookie, FORM, "text/html", &body).await;
            if path == "/staff/sign-in" && field == "name" {
                continue;
            }
            assert_eq!(
                page.status,
                StatusCode::UNPROCESSABLE_ENTITY,
                "{path} {field}"
            );
            assert!(
                page.body
                    .contains("so that no contact information can reach it"),
                "{path} {field}"
            );
            assert!(!page.body.contains("aviary"), "{path} {field}");
            let problem = post(&portal, &path, &cookie, FORM, "application/json", &body).await;
            assert_eq!(problem.header("content-type"), "application/problem+json");
            problem.shows("so that no contact information can reach it");
            assert!(!problem.body.contains("aviary"), "{path} {field}");
        }
        let json = r#"{"contact_email": "canary@aviary.example"}"#;
        for (kind, body) in [
            ("application/json", json),
            ("text/plain", "canary@aviary.example"),
            (
                "multipart/form-data; boundary=b",
                "--b\r\ncanary@aviary.example",
            ),
            ("", json),
        ] {
            let answer = post(&portal, &path, &cookie, kind, "application/json", body).await;
            assert_eq!(
                answer.status,
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "{path} {kind}"
            );
            assert!(!answer.body.contains("aviary"), "{path} {kind}");
        }
        let malformed = post(
            &portal,
            &path,
            &cookie,
            FORM,
            "application/json",
            "%zz=canary@aviary",
        )
        .await;
        assert_eq!(malformed.status, StatusCode::BAD_REQUEST, "{path}");
        let long = format!("number={}", "canary@aviary.example".repeat(30_000));
        let long = post(&portal, &path, &cookie, FORM, "application/json", &long).await;
        assert_eq!(long.status, StatusCode::PAYLOAD_TOO_LARGE, "{path}");
        assert!(
            !malformed.body.contains("aviary") && !long.body.contains("aviary"),
            "{path}"
        );
    }
    assert_eq!(portal.number("SELECT count(*) FROM request").await, 2);
    assert_eq!(
        portal
            .number("SELECT count(*) FROM request WHERE state = 'pending'")
            .await,
        1
    );
}

/// Texts that are or contain a person's address.
const ADDRESSES: &[&str] = &[
    "ted@contoso.com",
    "TED@CONTOSO.COM",
    "sip:ted@contoso.com",
    "sips:ted@contoso.com;transport=tls",
    "mailto:ted@contoso.com?subject=hello",
    "Ted Baker <ted@contoso.com>",
    "contoso.com, ted@contoso.com",
    "ted%40contoso.com",
    "ted＠contoso.com",
    "tel:+442079460001",
];

#[tokio::test]
async fn an_address_is_refused_by_its_field_with_what_to_type_instead() {
    let portal = TestApp::new().await;
    for typed in ADDRESSES {
        for (field, id, like) in [
            ("number", "number", "number"),
            ("edge", "edge-1", "the server’s name"),
            ("domains", "domains-1", "the SIP domain"),
            ("programme", "programme", "Select one"),
            ("deployment", "deployment", "Select one"),
            ("terms", "licences", "Tick the box"),
        ] {
            let submission = submission_id();
            let mut fields = request(&submission, &[("sip.contoso.com", "contoso.com")]);
            fields
                .iter_mut()
                .find(|(name, _)| *name == field)
                .unwrap()
                .1 = typed;
            let page = portal.post("/requests/new", &fields).await;
            assert_eq!(
                page.status,
                StatusCode::UNPROCESSABLE_ENTITY,
                "{field}: {typed}"
            );
            assert!(page.blames(id), "{field}: {typed}: {}", page.body);
            let body = serde_html_form::to_string(&fields).unwrap();
            let problem = post(
                &portal,
                "/requests/new",
                "",
                FORM,
                "application/json",
                &body,
            )
            .await;
            let problem: Value = serde_json::from_str(&problem.body).unwrap();
            let error = problem["errors"]
                .as_array()
                .unwrap()
                .iter()
                .find(|error| error["field"] == id);
            let message = error.expect(id)["message"].as_str().unwrap();
            assert!(message.contains(like), "{field}: {typed}: {message}");
            assert!(
                !message.to_lowercase().contains("ted@") && !message.contains("Baker"),
                "{message}"
            );
        }
        let path = format!(
            "/status?q={}",
            url::form_urlencoded::byte_serialize(typed.as_bytes()).collect::<String>()
        );
        let found = portal.get(&path).await;
        assert_eq!(found.status, StatusCode::UNPROCESSABLE_ENTITY, "{typed}");
        assert!(found.blames("q"), "{typed}");
    }
    assert_eq!(portal.number("SELECT count(*) FROM request").await, 0);
}
