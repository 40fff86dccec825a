//! Checks that a page that is the same for all is made once, and right in every coding.

use std::io::Read as _;

use axum::{
    body::{Body, Bytes},
    http::{Method, Request, StatusCode},
};
use http_body_util::BodyExt as _;
use pic_portal::{
    app::App,
    web::routes::{Kind, Route},
};
use tower::ServiceExt as _;

use super::{ask, get, lasting};
use crate::support::app::TestApp;

/// The bytes at `path` for a client that accepts this coding.
async fn bytes(portal: &TestApp, path: &str, accept: &str) -> (Option<String>, Bytes) {
    let request = Request::get(path).header("accept-encoding", accept);
    let request = request.body(Body::empty()).unwrap();
    let answer = portal.router.clone().oneshot(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK, "{path}");
    let coding = answer.headers().get("content-encoding");
    let coding = coding.map(|name| name.to_str().unwrap().to_owned());
    (
        coding,
        answer.into_body().collect().await.unwrap().to_bytes(),
    )
}

/// One address of each route whose pages are the same for all.
fn paths() -> Vec<String> {
    let open = |route: &Route<App>| route.kind() == Kind::Open;
    let path = |route: Route<App>| {
        route
            .path()
            .replace("{topic}", "times")
            .replace("{reason}", "expired")
            .replace("{code}", "srv-missing")
    };
    let paths: Vec<_> = pic_portal::routes::table()
        .into_iter()
        .filter(open)
        .map(path)
        .collect();
    assert!(paths.len() > 4 && paths.iter().all(|path| !path.contains('{')));
    paths
}

#[tokio::test]
async fn a_page_that_is_kept_is_the_page_that_is_made() {
    let (portal, fresh) = (TestApp::new().await, TestApp::new().await);
    for path in paths() {
        let (none, made) = bytes(&portal, &path, "identity").await;
        assert_eq!(none, None);
        assert!(
            made.starts_with(b"<!DOCTYPE html>") && made.ends_with(b"</html>"),
            "{path}"
        );
        assert_eq!(
            bytes(&portal, &path, "identity").await,
            (None, made.clone())
        );
        // A name in the address may be percent-encoded; then the page is made each time.
        if let Some((route, name)) = path.rsplit_once('/').filter(|(route, _)| !route.is_empty()) {
            let (first, rest) = name.split_at(1);
            let escaped = format!("{route}/%{:02x}{rest}", first.as_bytes()[0]);
            let answer = bytes(&portal, &escaped, "gzip, br").await;
            assert_eq!(answer, (None, made.clone()), "{escaped}");
        }
        // First requested by a client that wants it compressed, or only the headers.
        let head = ask(&fresh, Method::HEAD, &path, &[]).await;
        assert_eq!(
            head.header("content-length"),
            made.len().to_string(),
            "{path}"
        );
        assert_eq!(head.body, "");
        assert_eq!(bytes(&fresh, &path, "").await.1, made, "{path}");
        let (coding, gzip) = bytes(&portal, &path, "gzip").await;
        assert_eq!(coding.as_deref(), Some("gzip"));
        let mut unpacked = Vec::new();
        let mut gunzip = flate2::read::GzDecoder::new(&gzip[..]);
        gunzip.read_to_end(&mut unpacked).unwrap();
        assert_eq!(unpacked, made, "{path}");
        let (coding, brotli) = bytes(&portal, &path, "br").await;
        assert_eq!(coding.as_deref(), Some("br"));
        let mut unpacked = Vec::new();
        let mut unbrotli = brotli::Decompressor::new(&brotli[..], 4096);
        unbrotli.read_to_end(&mut unpacked).unwrap();
        assert_eq!(unpacked, made, "{path}");
        assert!(
            brotli.len() < gzip.len() && gzip.len() < made.len() / 2,
            "{path}"
        );
    }
}

#[tokio::test]
async fn whoever_has_a_constant_page_is_told_so() {
    let portal = TestApp::new().await;
    let mut tags = std::collections::HashSet::new();
    for path in paths() {
        let page = get(&portal, &path, &[]).await;
        let tag = page.header("etag");
        assert!(tags.insert(tag.to_owned()), "{path} has a tag of its own");
        assert_eq!(page.header("cache-control"), "no-cache");
        assert_eq!(page.header("vary"), "accept-encoding");
        for method in [Method::GET, Method::HEAD] {
            for coding in ["identity", "gzip", "br"] {
                let headers = [("if-none-match", tag), ("accept-encoding", coding)];
                let same = ask(&portal, method.clone(), &path, &headers).await;
                assert_eq!(same.status, StatusCode::NOT_MODIFIED, "{path}");
                assert_eq!((same.body.as_str(), same.header("etag")), ("", tag));
                assert_eq!(same.header("content-encoding"), "");
                assert_eq!(same.header("vary"), "accept-encoding");
                assert_eq!(same.header("cache-control"), "no-cache");
            }
        }
        let head = ask(&portal, Method::HEAD, &path, &[]).await;
        assert_eq!(lasting(&head), lasting(&page), "{path}");
    }
    let start = get(&portal, "/", &[]).await;
    let other = [("if-none-match", start.header("etag"))];
    assert_eq!(get(&portal, "/help", &other).await.status, StatusCode::OK);
    // Another text, another tag.
    let noticed = TestApp::with(|site| site.notice = Some("Closed on Sunday".into())).await;
    let page = get(&noticed, "/", &other).await;
    assert_eq!(page.status, StatusCode::OK);
    page.shows("Closed on Sunday");
    // A missing page is not cached.
    for path in ["/help/nothing", "/help/reasons/none", "/help/findings/none"] {
        for _ in 0..2 {
            let missing = get(&portal, path, &[("if-none-match", "*")]).await;
            assert_eq!(missing.status, StatusCode::NOT_FOUND, "{path}");
            assert_eq!(missing.header("cache-control"), "no-store");
            assert_eq!(missing.header("etag"), "");
        }
    }
}

#[tokio::test]
async fn the_empty_form_has_an_id_of_its_own_each_time_and_is_kept_by_one_browser() {
    let portal = TestApp::new().await;
    let mut ids = std::collections::HashSet::new();
    let mut pages = std::collections::HashSet::new();
    for _ in 0..3 {
        let form = get(&portal, "/requests/new", &[("if-none-match", "*")]).await;
        assert_eq!(form.status, StatusCode::OK);
        assert_eq!(form.header("cache-control"), "private, no-cache");
        assert_eq!(form.header("etag"), "");
        assert_eq!(form.header("content-encoding"), "");
        let hidden = form.hidden();
        let [(name, id)] = &hidden[..] else {
            panic!("one hidden field: {hidden:?}");
        };
        assert_eq!(name, "submission_id");
        pages.insert(form.body.replace(id.as_str(), "ID"));
        assert_eq!(form.body.matches(id.as_str()).count(), 1);
        assert!(ids.insert(id.clone()), "nobody else has it");
        // The same as the form that is rendered with what was typed, which is nothing here.
        let fields = [
            ("edge", ""),
            ("domains", ""),
            ("submission_id", id),
            ("action", "change"),
        ];
        let rendered = portal.post("/requests/new", &fields).await;
        assert_eq!(rendered.body, form.body);
        let length = form.body.len().to_string();
        assert_eq!(form.header("content-length"), length);
    }
    assert_eq!(pages.len(), 1, "nothing else differs");
    let head = ask(&portal, Method::HEAD, "/requests/new", &[]).await;
    let form = get(&portal, "/requests/new", &[]).await;
    assert_eq!(lasting(&head), lasting(&form));
}
