//! Does `/check` keep what was typed to itself, and do nothing where checks are off?

use axum::http::StatusCode;

use crate::support::app::{TestApp, everything};

#[tokio::test]
async fn where_checks_are_off_nothing_is_asked_and_nothing_is_looked_up() {
    let portal = TestApp::new().await;
    for path in ["/check", "/check?domains=contoso.com&edge=sip.contoso.com"] {
        let page = portal.get(path).await;
        assert_eq!(page.status, StatusCode::OK);
        assert!(
            page.body.contains("Readiness checks are off"),
            "{}",
            page.body
        );
        assert!(
            !page.body.contains("<textarea"),
            "there is nothing to fill in"
        );
    }
    let names = [("domains", "contoso.com"), ("edge", "sip.contoso.com")];
    let page = portal.post("/check", &names).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.body.contains("Readiness checks are off"));
    assert_eq!(page.attribute("data-finding"), None);
    for path in ["/", "/help", "/help/dns-and-certificate"] {
        let page = portal.get(path).await;
        assert!(
            !page.body.contains("href=\"/check\""),
            "{path} leads nowhere"
        );
    }
}

#[tokio::test]
async fn fields_that_are_not_asked_for_are_refused_and_what_is_typed_is_kept_nowhere() {
    let portal = TestApp::new().await;
    let more = [
        ("domains", "canary-check.example"),
        ("contact", "canary-check@contoso.com"),
    ];
    let page = portal.post("/check", &more).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(!page.body.contains("canary-check"));
    let names = [
        ("domains", "canary-check.example"),
        ("edge", "sip.canary-check.example"),
    ];
    portal.post("/check", &names).await;
    assert!(!everything(portal.pool()).await.contains("canary-check"));
    for query in ["?domains=a&domains=b", "?edge=a&edge=b"] {
        let page = portal.get(&format!("/check{query}")).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "{query}");
    }
}
