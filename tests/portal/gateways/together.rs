//! Checks that gateways that ask at the same time are told the same, each what is right for it, and that the first
//! gateway begins anew.

use axum::http::StatusCode;
use futures_util::future::join_all;
use pic_portal::gateway::{GatewayName, GatewayToken, store};

use super::{Gateway, provision, publish, version};
use crate::support::app::TestApp;

const ONE: &[(&str, &str)] = &[("sip.contoso.com", "contoso.com")];
const OTHER: &[(&str, &str)] = &[("sip.fabrikam.com", "fabrikam.com")];

#[tokio::test]
async fn each_of_those_who_ask_together_is_heard_as_what_it_is() {
    let portal = TestApp::new().await;
    let mut gateways = Vec::new();
    for number in 0..150 {
        gateways.push(Gateway::add(&portal, &format!("gw{number}")).await);
    }
    let old = version(&gateways[0].whole(&portal).await);
    provision(&portal, ONE).await;
    let new = version(&gateways[0].whole(&portal).await);
    let stranger = Gateway {
        token: GatewayToken::random().reveal(),
    };
    let unknown = "/gateway/changes?since=0123456789abcdef.1".to_owned();
    let (old, new) = (
        format!("/gateway/changes?since={old}"),
        format!("/gateway/changes?since={new}"),
    );
    // A third is behind, a third has nothing of this database, and with each asks one that is no gateway.
    let asked = gateways.iter().enumerate().map(async |(number, gateway)| {
        let (path, status) = match number % 3 {
            0 => (&old, StatusCode::OK),
            1 => (&new, StatusCode::OK),
            _ => (&unknown, StatusCode::GONE),
        };
        let (answer, refused) = tokio::join!(
            gateway.ask(&portal, path, &[]),
            stranger.ask(&portal, path, &[])
        );
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
        assert_eq!(answer.status, status, "{number}: {}", answer.body);
        let has_news = answer.body.contains("sip.contoso.com");
        assert_eq!(has_news, number % 3 == 0, "{number}: {}", answer.body);
    });
    join_all(asked).await;
    let right = "SELECT count(*) FROM gateway g
                 WHERE g.serial IS NOT DISTINCT FROM CASE substr(g.name, 3)::int % 3
                     WHEN 0 THEN 1 WHEN 1 THEN 2 END";
    assert_eq!(portal.number(right).await, 150);
}

#[tokio::test]
async fn a_whole_set_is_published_before_it_is_told() {
    let portal = TestApp::new().await;
    let gateway = Gateway::add(&portal, "gw1").await;
    let before = gateway.whole(&portal).await;
    // Nobody has published since.
    portal.store_one(ONE).await;
    portal.work().await;
    let path = format!("/gateway/changes?since={}", version(&before));
    let unpublished = gateway.ask(&portal, &path, &[]).await;
    assert!(
        !unpublished.body.contains("contoso"),
        "{}",
        unpublished.body
    );
    // The set is cached by its version, which is the same until there is a publication.
    assert_eq!(gateway.whole(&portal).await, before);
    publish(&portal).await;
    portal.store_one(OTHER).await;
    portal.work().await;
    let now = gateway.whole(&portal).await;
    assert_eq!(now["count"], 2, "{now}");
    let changes = gateway.changes(&portal, &version(&before)).await;
    assert_eq!(
        (&changes["version"], &changes["count"]),
        (&now["version"], &now["count"])
    );
    assert_eq!(changes["set"], now["routes"]);
}

#[tokio::test]
async fn the_first_gateway_begins_anew() {
    let portal = TestApp::new().await;
    let gateway = Gateway::add(&portal, "gw1").await;
    provision(&portal, ONE).await;
    let old = version(&gateway.whole(&portal).await);
    let name = GatewayName::parse("gw1").unwrap();
    assert!(store::remove(portal.pool(), &name).await.unwrap());
    // While there is no gateway, nothing is noted.
    portal.run("DELETE FROM domain_in_force").await;
    portal.store_one(OTHER).await;
    portal.work().await;
    let gateway = Gateway::add(&portal, "gw1").await;
    let path = format!("/gateway/changes?since={old}");
    let refused = gateway.ask(&portal, &path, &[]).await;
    assert_eq!(refused.status, StatusCode::GONE, "{}", refused.body);
    let whole = gateway.whole(&portal).await;
    assert_eq!(
        (&whole["count"], &whole["routes"][0]["sip_domain"]),
        (&1.into(), &"fabrikam.com".into())
    );
}
