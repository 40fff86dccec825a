//! Checks what people are told of gateways: live on how many, and which is behind or silent.

use std::time::Duration;

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use pic_portal::staff::Role;
use serde_json::{Value, json};

use super::{Gateway, provision, publish};
use crate::{support::app::TestApp, swaps::settle_with};

/// The time after which the gateways of these tests are silent.
const SILENT: Duration = Duration::from_mins(5);

const ONE: &[(&str, &str)] = &[("sip.contoso.com", "contoso.com")];
const OTHER: &[(&str, &str)] = &[("sip.fabrikam.com", "fabrikam.com")];

/// `gateways` of the request's JSON.
async fn told(portal: &TestApp, reference: &str) -> Value {
    let request =
        Request::get(format!("/requests/{reference}")).header("accept", "application/json");
    let answer = portal.send(request.body(Body::empty()).unwrap()).await;
    let status: Value = serde_json::from_str(&answer.body).unwrap();
    status["gateways"].clone()
}

/// What the request's page says.
async fn shown(portal: &TestApp, reference: &str) -> String {
    let page = portal.get(&format!("/requests/{reference}")).await;
    page.attribute("data-gateways")
        .unwrap_or_default()
        .to_owned()
}

#[tokio::test]
async fn a_request_is_live_where_its_routes_are_loaded() {
    let portal = TestApp::new().await;
    let early = provision(&portal, OTHER).await;
    assert_eq!(told(&portal, &early).await, Value::Null);
    let (one, two) = (
        Gateway::add(&portal, "gw1").await,
        Gateway::add(&portal, "gw2").await,
    );
    let waiting = portal.store_one(ONE).await;
    assert_eq!(
        told(&portal, &waiting).await,
        Value::Null,
        "not in force yet"
    );
    let reference = waiting;
    one.load(&portal).await;
    assert_eq!(portal.work().await.provisioned, 1);
    assert_eq!(shown(&portal, &reference).await, "0/2", "not published yet");
    publish(&portal).await;
    assert_eq!(shown(&portal, &reference).await, "0/2");
    let tag = async || {
        let page = portal.get(&format!("/requests/{reference}")).await;
        page.header("etag").to_owned()
    };
    let before = tag().await;
    // Only asking from the publication says that it is loaded.
    one.whole(&portal).await;
    assert_eq!(shown(&portal, &reference).await, "0/2");
    two.whole(&portal).await;
    one.load(&portal).await;
    assert_ne!(tag().await, before, "the page has changed");
    assert_eq!(
        told(&portal, &reference).await,
        json!({"live": 1, "of": 2, "since": null})
    );
    publish(&portal).await;
    let live = "SELECT count(*) FROM event WHERE code = 'live'";
    assert_eq!(portal.number(live).await, 0, "one of two");
    two.load(&portal).await;
    publish(&portal).await;
    publish(&portal).await;
    assert_eq!(portal.number(live).await, 1, "once");
    let all = told(&portal, &reference).await;
    assert_eq!((&all["live"], &all["of"]), (&json!(2), &json!(2)));
    assert!(all["since"].is_string(), "{all}");
    let bundle = format!("/requests/{reference}/support.txt");
    let bundle = portal.get(&bundle).await.body;
    let told_of_all = "Live on gateways     2 of 2, on all that could be heard since 2";
    assert!(bundle.contains(told_of_all), "{bundle}");
    let feed = portal
        .get(&format!("/requests/{reference}/feed.atom"))
        .await;
    assert!(feed.body.contains("<title>Live</title>"), "{}", feed.body);
    // What was in force before there was a gateway is live too, without an event.
    assert_eq!(shown(&portal, &early).await, "2/2");
}

#[tokio::test]
async fn the_hub_says_it_of_what_is_in_force() {
    let portal = TestApp::new().await;
    let (reference, key) = portal.submit(ONE).await;
    portal.work().await;
    let session = crate::service::sign_in(&portal, &key).await;
    let hub = async || {
        let hub = portal.get_with("/service", &session).await;
        hub.attribute("data-gateways").map(str::to_owned)
    };
    let bundle = async || {
        let path = format!("/requests/{reference}/support.txt");
        portal.get(&path).await.body
    };
    assert_eq!(hub().await, None, "there is no gateway");
    assert!(!bundle().await.contains("Live on"));
    let one = Gateway::add(&portal, "gw1").await;
    Gateway::add(&portal, "gw2").await;
    assert_eq!(hub().await.as_deref(), Some("0/2"));
    one.load(&portal).await;
    assert_eq!(hub().await.as_deref(), Some("1/2"));
    assert!(bundle().await.contains("Live on gateways     1 of 2\n"));
    portal.run("DELETE FROM domain_in_force").await;
    assert_eq!(hub().await, None, "nothing is in force");
}

#[tokio::test]
async fn what_stays_in_force_is_told_as_live_when_a_domain_has_moved_away() {
    let portal = TestApp::new().await;
    let gateway = Gateway::add(&portal, "gw1").await;
    let two = [("sip.contoso.com", "contoso.com it.contoso.com")];
    let reference = provision(&portal, &two).await;
    let taker = portal.store_one(&[("sip.new.com", "contoso.com")]).await;
    settle_with(&portal, &[(&taker, "contoso.com")]).await;
    publish(&portal).await;
    gateway.load(&portal).await;
    assert_eq!(shown(&portal, &reference).await, "1/1");
    let taker = portal.store_one(&[("sip.new.com", "it.contoso.com")]).await;
    settle_with(&portal, &[(&taker, "it.contoso.com")]).await;
    assert_eq!(shown(&portal, &reference).await, "", "nothing is left");
}

#[tokio::test]
async fn a_silent_gateway_holds_nothing_up_and_counts_as_not_live() {
    let portal = TestApp::new().await;
    let (one, two) = (
        Gateway::add(&portal, "gw1").await,
        Gateway::add(&portal, "gw2").await,
    );
    one.load(&portal).await;
    two.load(&portal).await;
    portal.advance(SILENT).await;
    one.load(&portal).await;
    publish(&portal).await;
    let reference = provision(&portal, ONE).await;
    one.load(&portal).await;
    publish(&portal).await;
    assert_eq!(shown(&portal, &reference).await, "1/2");
    assert_eq!(
        portal
            .number("SELECT count(*) FROM event WHERE code = 'live'")
            .await,
        1
    );
    let cookie = crate::staff::signed_in(&portal, "anna", Role::Reader).await;
    let desk = portal.get_with("/staff/gateways", &cookie).await;
    assert_eq!(desk.status, StatusCode::OK);
    assert!(
        desk.body.contains("Silent") && desk.body.contains("gw2"),
        "{}",
        desk.body
    );
    let overview = portal.get_with("/staff", &cookie).await;
    assert!(overview.body.contains("1 of 2"), "{}", overview.body);
    let desk = portal
        .get_with(&format!("/staff/requests/{reference}"), &cookie)
        .await;
    assert!(desk.body.contains("Live on 1 of 2"), "{}", desk.body);
    two.load(&portal).await;
    assert_eq!(shown(&portal, &reference).await, "2/2");
}

#[tokio::test]
async fn nobody_who_watches_the_serials_misses_a_change() {
    let portal = TestApp::new().await;
    let gateway = Gateway::add(&portal, "gw1").await;
    let mut at = super::version(&gateway.whole(&portal).await);
    portal.store(60).await;
    // Several background tasks settle while the publisher publishes.
    let (one, two) = (portal.worker(), portal.worker());
    let work = async { tokio::join!(one.drain(), two.drain()) };
    let publishing = async {
        for _ in 0..20 {
            publish(&portal).await;
            tokio::task::yield_now().await;
        }
    };
    let ((one, two), ()) = tokio::join!(work, publishing);
    one.and(two).unwrap();
    publish(&portal).await;
    let mut seen = 0;
    loop {
        let page = gateway.changes(&portal, &at).await;
        seen += page["set"].as_array().unwrap().len();
        at = super::version(&page);
        if !page["count"].is_null() {
            break;
        }
    }
    assert_eq!(seen, 60);
    assert_eq!(gateway.whole(&portal).await["count"], 60);
}
