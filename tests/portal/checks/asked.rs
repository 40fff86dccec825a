//! Checks what programs are told: what was asked in each check, and when to come back.

use std::time::Duration;

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use serde_json::{Value, json};

use crate::support::{app::TestApp, world::World};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_are_told_what_was_asked_and_when_to_come_back() {
    let world = World::start().await;
    world.zone("contoso.com");
    let (one, two) = (
        world.edge("sip.contoso.com", &["contoso.com"]).await,
        world.edge("sip.contoso.com", &["contoso.com"]).await,
    );
    let pool = [one.address(), two.address()].map(|address| format!("A {address}"));
    let pool = pool.each_ref().map(String::as_str);
    world.internet.set("sip.contoso.com", &pool);
    let portal = TestApp::checking(world.enforce()).await;
    let (reference, _) = portal.submit(&[("sip.contoso.com", "contoso.com")]).await;
    assert_eq!(portal.work().await.waiting, 1);
    let get = async |accept: &str, tag: &str| {
        let request = Request::get(format!("/requests/{reference}"))
            .header("accept", accept)
            .header("if-none-match", tag)
            .body(Body::empty());
        portal.send(request.unwrap()).await
    };
    let answer = get("application/json", "\"none\"").await;
    let told: Value = serde_json::from_str(&answer.body).unwrap();
    let of = |code: &str| {
        let findings = told["findings"].as_array().unwrap();
        let found = findings.iter().find(|it| it["code"] == code);
        found.map(|it| it["asked"].clone()).unwrap()
    };
    let at = &told["checked_at"];
    assert_eq!(
        of("srv-missing"),
        json!({
            "host": "_sipfederationtls._tcp.contoso.com", "records": "SRV", "port": null,
            "addresses": [], "at": at,
        })
    );
    let mut addresses = [one.address(), two.address()];
    addresses.sort_unstable();
    let seen = addresses.map(|it| json!({ "address": it.to_string(), "tls": "TLS 1.3" }));
    assert_eq!(
        of("certificate"),
        json!({
            "host": "sip.contoso.com", "records": "A AAAA", "port": 5061, "addresses": seen,
            "at": at,
        })
    );

    let page = get("text/html", "\"none\"").await;
    let known = get("text/html", page.header("etag")).await;
    assert_eq!(known.status, StatusCode::NOT_MODIFIED);
    for answer in [&answer, &page, &known] {
        let seconds: u64 = answer.header("retry-after").parse().unwrap();
        assert!((5..=31).contains(&seconds), "{seconds}");
    }
    world.route("contoso.com", "sip.contoso.com");
    portal.advance(Duration::from_mins(1)).await;
    // It is due, and is looked at now.
    let due = get("text/html", "\"none\"").await;
    assert_eq!(due.header("retry-after"), "5");
    assert_eq!(portal.work().await.provisioned, 1);
    let done = get("text/html", "\"none\"").await;
    assert_eq!(done.header("retry-after"), "");
}
