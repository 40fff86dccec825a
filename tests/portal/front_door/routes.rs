//! Checks every route of the table for what every route must have.

use std::{collections::HashSet, time::Duration};

use axum::{
    body::Body,
    http::{Method, Request, StatusCode},
};
use pic_portal::{
    app::App,
    staff::Role,
    web::{
        assets,
        form::MAX_BODY,
        routes::{Kind, Route},
    },
};

use super::EVERYWHERE;
use crate::support::app::{Answer, TestApp};

const EDGES: &[(&str, &str)] = &[("sip.contoso.com", "contoso.com")];
const FORM: &str = "application/x-www-form-urlencoded";

/// A line of the table, and one of its addresses at which there is something.
type Table = Vec<(Route<App>, String)>;

/// A portal, its table, and a session cookie.
async fn table() -> (TestApp, Table, String) {
    // Streams end at once.
    let portal = TestApp::with(|site| site.live.lifetime = Duration::ZERO).await;
    let (reference, key) = portal.submit(EDGES).await;
    portal.work().await;
    let fields = [("number", "1234567"), ("management_key", key.as_str())];
    let cookie = portal.post("/service", &fields).await.cookie();
    let (feed, _) = crate::watch::made(&portal, &cookie).await;
    let secret = feed.split('/').nth(2).unwrap();
    let staff = crate::staff::signed_in(&portal, "anna", Role::Agent).await;
    let cookie = format!("{cookie}; {staff}");
    let file = assets::url("app.css").strip_prefix("/static/").unwrap();
    let address = |route: Route<App>| {
        let path = route
            .path()
            .replace("{reference}", &reference)
            .replace("{name}", file)
            .replace("{topic}", "edges-and-domains")
            .replace("{reason}", "expired")
            .replace("{service}", "1")
            .replace("{secret}", secret)
            .replace("{code}", "domain-held");
        assert!(!path.contains('{'), "teach this test about {path}");
        (route, path)
    };
    let table = pic_portal::routes::table()
        .into_iter()
        .map(address)
        .collect();
    (portal, table, cookie)
}

fn ask(method: &Method, path: &str) -> axum::http::request::Builder {
    Request::builder()
        .method(method)
        .uri(path)
        .header("host", "portal.test")
}

/// GET requests are sent with the session, others without.
async fn send(portal: &TestApp, method: &Method, path: &str, cookie: &str) -> Answer {
    let cookie = if method == Method::POST { "" } else { cookie };
    let request = ask(method, path)
        .header("content-type", FORM)
        .header("cookie", cookie);
    portal.send(request.body(Body::empty()).unwrap()).await
}

fn assert_headers(answer: &Answer, what: &str) {
    for name in EVERYWHERE {
        assert_ne!(answer.header(name), "", "{name} of {what}");
    }
    assert!(
        answer
            .header("content-security-policy")
            .contains("default-src 'none'")
    );
    assert!(!answer.headers.contains_key("access-control-allow-origin"));
}

/// Header names of a response, without those that differ from time to time.
fn names(answer: &Answer) -> HashSet<String> {
    answer.headers.keys().map(ToString::to_string).collect()
}

#[tokio::test]
async fn every_route_answers_its_methods_with_every_header_and_no_other_method() {
    let (portal, table, cookie) = table().await;
    for (route, path) in &table {
        for method in [
            Method::GET,
            Method::HEAD,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
            Method::TRACE,
            Method::OPTIONS,
            Method::from_bytes(b"BREW").unwrap(),
        ] {
            let answer = send(&portal, &method, path, &cookie).await;
            let what = format!("{method} {path}");
            assert_headers(&answer, &what);
            if method == Method::OPTIONS {
                assert_eq!(answer.status, StatusCode::NO_CONTENT, "{what}");
                for known in route.methods() {
                    assert!(answer.header("allow").contains(known.as_str()), "{what}");
                }
            } else if route.methods().contains(&method) {
                assert_ne!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{what}");
                assert!(!answer.status.is_server_error(), "{what}");
                // The first redirects a client that is signed in, and the second is no longer valid
                // by then.
                let expected = match path.as_str() {
                    "/staff/sign-in" => StatusCode::SEE_OTHER,
                    "/staff/set-up" => StatusCode::NOT_FOUND,
                    // There is no provider.
                    _ if path.starts_with("/staff/sign-in/oidc") => StatusCode::NOT_FOUND,
                    _ if path.starts_with("/gateway/") => StatusCode::UNAUTHORIZED,
                    _ => StatusCode::OK,
                };
                if method != Method::POST {
                    assert_eq!(answer.status, expected, "{what}");
                }
            } else {
                assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{what}");
                assert!(answer.header("allow").contains("OPTIONS"), "{what}");
            }
        }
        if route.methods().contains(&Method::GET) {
            let (get, head) = (
                send(&portal, &Method::GET, path, &cookie).await,
                send(&portal, &Method::HEAD, path, &cookie).await,
            );
            assert_eq!(names(&get), names(&head), "{path}");
            assert_eq!(get.header("content-length"), head.header("content-length"));
            assert_eq!(head.body, "", "{path}");
            assert_ne!(get.header("x-request-id"), head.header("x-request-id"));
        }
    }
}

#[tokio::test]
async fn every_route_refuses_forms_of_other_sites_and_bodies_over_the_limit() {
    let (portal, table, _) = table().await;
    for (route, path) in &table {
        let foreign = ask(&Method::POST, path)
            .header("content-type", FORM)
            .header("origin", "https://evil.example")
            .header("sec-fetch-site", "cross-site");
        let answer = portal.send(foreign.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}");
        assert_headers(&answer, path);
        for method in route.methods() {
            let large = ask(method, path)
                .header("content-type", FORM)
                .header("content-length", MAX_BODY + 1);
            let answer = portal.send(large.body(Body::empty()).unwrap()).await;
            assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE, "{path}");
            assert_headers(&answer, path);
        }
    }
}

#[tokio::test]
async fn only_pages_that_are_the_same_for_everybody_are_compressed() {
    let (portal, table, _) = table().await;
    for (route, path) in &table {
        if !route.methods().contains(&Method::GET) {
            continue;
        }
        let compressed = |accept: &'static str| {
            let request = ask(&Method::GET, path).header("accept-encoding", accept);
            let router = portal.router.clone();
            async move {
                let request = request.body(Body::empty()).unwrap();
                let answer = tower::ServiceExt::oneshot(router, request).await.unwrap();
                let coding = answer.headers().get("content-encoding").cloned();
                coding
                    .map(|c| c.to_str().unwrap().to_owned())
                    .unwrap_or_default()
            }
        };
        let packed = matches!(route.kind(), Kind::Open | Kind::File);
        let expected = |coding| if packed { coding } else { "" };
        assert_eq!(compressed("gzip, br").await, expected("br"), "{path}");
        assert_eq!(compressed("gzip").await, expected("gzip"), "{path}");
        assert_eq!(compressed("identity").await, "", "{path}");
        if route.kind() == Kind::Open {
            let (one, other) = (
                portal.get(path).await,
                portal.get(&format!("{path}?x=marker")).await,
            );
            assert_eq!(one.body, other.body, "{path} is the same for everybody");
        }
    }
}

#[tokio::test]
async fn a_slash_too_many_leads_to_the_page() {
    let (portal, table, _) = table().await;
    for (route, path) in &table {
        if path == "/" {
            continue;
        }
        let answer = portal.get(&format!("{path}/?q=a%20b")).await;
        let is_page = matches!(route.kind(), Kind::Open | Kind::Page)
            && route.methods().contains(&Method::GET);
        // With a slash behind it, `bulk` stands where a request's reference does.
        if is_page || path == "/staff/requests/bulk" {
            assert_eq!(answer.status, StatusCode::PERMANENT_REDIRECT, "{path}");
            assert_eq!(answer.header("location"), format!("{path}?q=a%20b"));
        } else {
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        }
        assert_headers(&answer, path);
    }
    for path in ["//evil.example/", "//evil.example/status/", "/nowhere/"] {
        assert_eq!(portal.get(path).await.status, StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn what_is_no_address_or_no_text_is_refused_with_a_face() {
    let portal = TestApp::new().await;
    for path in [
        "/%00",
        "/%",
        "/%zz",
        "/%ff",
        "/requests/%C3",
        "/requests/%00/receipt",
        "/static/%FF",
        "/status?q=%",
        "/status?q=%FF",
        "/status?q=%00",
        "/status?q=a&q=b",
        "/livez?%",
    ] {
        let answer = portal.get(path).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}");
        assert!(answer.body.contains("<h1"), "{path}");
        assert_headers(&answer, path);
    }
    let long = portal
        .get(&format!("/status?q={}", "x".repeat(9_000)))
        .await;
    assert_eq!(long.status, StatusCode::URI_TOO_LONG);
    for body in ["number=%", "number=%FF", "%C3=1"] {
        let request = ask(&Method::POST, "/requests/new").header("content-type", FORM);
        let answer = portal.send(request.body(Body::from(body)).unwrap()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}");
    }
}

#[tokio::test]
async fn neither_host_nor_request_id_of_the_client_is_believed() {
    let (portal, table, _) = table().await;
    let mut ids = HashSet::new();
    for (route, path) in &table {
        for method in route.methods() {
            for path in [path.clone(), format!("{path}/"), format!("{path}/nowhere")] {
                let request = Request::builder()
                    .method(method)
                    .uri(&path)
                    .header("host", "evil.example")
                    .header("x-forwarded-host", "evil.example")
                    .header("forwarded", "host=evil.example")
                    .header("x-request-id", "evil.example");
                let answer = portal.send(request.body(Body::empty()).unwrap()).await;
                assert!(!answer.body.contains("evil"), "{path}");
                assert!(!format!("{:?}", answer.headers).contains("evil"), "{path}");
                assert!(ids.insert(answer.header("x-request-id").to_owned()));
            }
        }
    }
}

#[test]
fn routes_are_added_by_the_table_alone() {
    let of_files = ["src/web/routes.rs", "src/web/assets.rs"];
    let mut open = vec![std::path::PathBuf::from("src")];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(std::fs::read_dir(path).unwrap().map(|e| e.unwrap().path()));
        } else if !of_files.iter().any(|known| path.ends_with(known)) {
            let source = std::fs::read_to_string(&path).unwrap();
            assert!(!source.contains(".route("), "{}", path.display());
        }
    }
}
