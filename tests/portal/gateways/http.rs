//! Checks what is published, and who gets it.

use std::{collections::BTreeMap, io::Read as _, time::Duration};

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use data_encoding::BASE64;
use http_body_util::BodyExt as _;
use pic_portal::{
    gateway::{GatewayName, GatewayToken, store},
    web::limit::Throttle,
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tower::ServiceExt as _;

use super::{Gateway, provision, publish, version};
use crate::support::{
    app::{Answer, CLOCKS, TestApp},
    sql,
};

const ONE: &[(&str, &str)] = &[("sip.contoso.com", "contoso.com kept.contoso.com")];
const OTHER: &[(&str, &str)] = &[("sip.fabrikam.com", "fabrikam.com")];

fn digest(body: &[u8]) -> String {
    format!("sha-256=:{}:", BASE64.encode(&Sha256::digest(body)))
}

#[tokio::test]
async fn the_set_is_whole_sorted_and_the_same_bytes_for_the_same_version() {
    let portal = TestApp::new().await;
    provision(&portal, ONE).await;
    let gateway = Gateway::add(&portal, "gw1").await;
    provision(&portal, OTHER).await;
    let first = gateway.ask(&portal, "/gateway/routes", &[]).await;
    let set: Value = serde_json::from_str(&first.body).unwrap();
    assert_eq!(
        set["routes"],
        json!([
            {"sip_domain": "contoso.com", "access_edge": "sip.contoso.com"},
            {"sip_domain": "fabrikam.com", "access_edge": "sip.fabrikam.com"},
            {"sip_domain": "kept.contoso.com", "access_edge": "sip.contoso.com"},
        ])
    );
    assert_eq!((&set["count"], &set["serial"]), (&json!(3), &json!(2)));
    let version = version(&set);
    assert_eq!(version, format!("{}.2", set["epoch"].as_str().unwrap()));
    assert_eq!(first.header("etag"), format!("\"{version}\""));
    assert_eq!(first.header("repr-digest"), digest(first.body.as_bytes()));
    assert_eq!(first.header("cache-control"), "no-store");
    let again = gateway.ask(&portal, "/gateway/routes", &[]).await;
    assert_eq!(again.body, first.body);
    let tag = first.header("etag");
    let known = gateway
        .ask(&portal, "/gateway/routes", &[("if-none-match", tag)])
        .await;
    assert_eq!(known.status, StatusCode::NOT_MODIFIED);
    assert_eq!((known.header("etag"), known.body.as_str()), (tag, ""));
    // Compressed; the digest is that of the bytes that come.
    let router = portal.router.clone();
    let request = Request::get("/gateway/routes")
        .header("authorization", format!("Bearer {}", gateway.token))
        .header("accept-encoding", "gzip");
    let answer = router
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap();
    let told = answer.headers()["repr-digest"].to_str().unwrap().to_owned();
    assert_eq!(answer.headers()["content-encoding"], "gzip");
    let bytes = answer.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(told, digest(&bytes));
    let mut plain = String::new();
    flate2::read::GzDecoder::new(&bytes[..])
        .read_to_string(&mut plain)
        .unwrap();
    assert_eq!(plain, first.body);
    let csv = gateway.ask(&portal, "/gateway/routes.csv", &[]).await;
    assert_eq!(
        csv.body,
        "sip_domain,access_edge\r\ncontoso.com,sip.contoso.com\r\nfabrikam.com,sip.fabrikam.com\r\nkept.contoso.com,sip.contoso.com\r\n"
    );
    let script = gateway.ask(&portal, "/gateway/routes.ps1", &[]).await;
    assert!(
        script
            .body
            .contains("$want['fabrikam.com'] = 'sip.fabrikam.com'\n")
    );
    for command in [
        "New-CsAllowedDomain",
        "Set-CsAllowedDomain",
        "Remove-CsAllowedDomain",
    ] {
        assert!(script.body.contains(command), "{command}");
    }
    assert_eq!(script.header("repr-digest"), digest(script.body.as_bytes()));
}

#[tokio::test]
async fn changes_lead_from_any_version_to_the_whole_set() {
    let portal = TestApp::new().await;
    let gateway = Gateway::add(&portal, "gw1").await;
    let begin = gateway.whole(&portal).await;
    let mut has = BTreeMap::new();
    let mut at = version(&begin);
    assert_eq!(begin["count"], 0);
    let apply = |has: &mut BTreeMap<String, String>, changed: &Value| {
        for route in changed["set"].as_array().unwrap() {
            let name = |of: &str| route[of].as_str().unwrap().to_owned();
            has.insert(name("sip_domain"), name("access_edge"));
        }
        for gone in changed["gone"].as_array().unwrap() {
            has.remove(gone.as_str().unwrap()).expect("it was there");
        }
    };
    provision(&portal, ONE).await;
    provision(&portal, OTHER).await;
    let early = gateway.changes(&portal, &at).await;
    apply(&mut has, &early);
    at = version(&early);
    assert_eq!((has.len(), &early["count"]), (3, &json!(3)));
    // By whatever way a route changes.
    portal
        .run(
            "DELETE FROM domain_in_force WHERE sip_domain = 'fabrikam.com'; \
             UPDATE domain_in_force SET sip_domain = 'renamed.example' WHERE sip_domain = 'kept.contoso.com'",
        )
        .await;
    let moved = "SELECT 'contoso.com' AS sip_domain, 'sip.new.example' AS access_edge";
    sql::put_routes(portal.pool(), moved).await;
    publish(&portal).await;
    let late = gateway.changes(&portal, &at).await;
    assert_eq!(late["from"], at);
    assert_eq!(late["gone"], json!(["fabrikam.com", "kept.contoso.com"]));
    apply(&mut has, &late);
    let set = gateway.whole(&portal).await;
    let whole: BTreeMap<String, String> = set["routes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| {
            let name = |of: &str| it[of].as_str().unwrap().to_owned();
            (name("sip_domain"), name("access_edge"))
        })
        .collect();
    assert_eq!(has, whole);
    assert_eq!(late["version"], set["version"]);
    // Nothing new: an empty answer from here to here.
    let nothing = gateway.changes(&portal, &version(&set)).await;
    assert_eq!(
        (&nothing["set"], &nothing["gone"]),
        (&json!([]), &json!([]))
    );
    assert_eq!(nothing["version"], set["version"]);
}

#[tokio::test]
async fn what_is_no_base_for_differences_is_told_to_begin_again() {
    let portal = TestApp::new().await;
    let gateway = Gateway::add(&portal, "gw1").await;
    let old = version(&gateway.whole(&portal).await);
    provision(&portal, ONE).await;
    let now = gateway.whole(&portal).await;
    let refused = async |since: &str| {
        let path = format!("/gateway/changes?since={since}");
        let answer = gateway.ask(&portal, &path, &[]).await;
        assert_eq!(answer.status, StatusCode::GONE, "{since}: {}", answer.body);
        assert_eq!(answer.header("content-type"), "application/problem+json");
        let problem: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(problem["type"], "publication-reset");
    };
    // Another history with the same serial, and a serial from the future.
    refused("0123456789abcdef.1").await;
    let epoch = now["epoch"].as_str().unwrap();
    refused(&format!("{epoch}.7")).await;
    // A database that was restored from a backup goes on from an earlier serial: what was published
    // meanwhile is unknown to it, though it publishes the same serial again; and at once one more, which
    // is newer than all that gateways know.
    portal
        .run("DELETE FROM publication WHERE serial = (SELECT max(serial) FROM publication); DELETE FROM domain_in_force; DELETE FROM to_publish")
        .await;
    provision(&portal, OTHER).await;
    let after = gateway.whole(&portal).await;
    assert_eq!(
        after["serial"].as_i64(),
        now["serial"].as_i64().map(|it| it + 1)
    );
    refused(&version(&now)).await;
    assert_eq!(
        gateway.changes(&portal, &old).await["version"],
        after["version"]
    );
    // One publication with more changes than an answer may have.
    sql::put_routes(portal.pool(), &many(1, 1001)).await;
    publish(&portal).await;
    refused(&version(&after)).await;
    // Nonsense is not looked up.
    let nonsense = gateway.ask(&portal, "/gateway/changes?since=1", &[]).await;
    assert_eq!(nonsense.status, StatusCode::BAD_REQUEST);
}

/// Routes of `d{first}.example` to `d{last}.example`.
fn many(first: u32, last: u32) -> String {
    format!(
        "SELECT 'd' || n || '.example' AS sip_domain, 'sip.example' AS access_edge FROM generate_series({first}, {last}) n"
    )
}

#[tokio::test]
async fn many_changes_come_in_pages_of_whole_publications() {
    let portal = TestApp::new().await;
    provision(&portal, ONE).await;
    let gateway = Gateway::add(&portal, "gw1").await;
    let mut at = version(&gateway.whole(&portal).await);
    for first in [1, 601, 1201] {
        sql::put_routes(portal.pool(), &many(first, first + 599)).await;
        publish(&portal).await;
    }
    let (mut pages, mut rows) = (Vec::new(), 0);
    loop {
        let page = gateway.changes(&portal, &at).await;
        let set = page["set"].as_array().unwrap().len();
        rows += set;
        pages.push(set);
        at = version(&page);
        if !page["count"].is_null() {
            assert_eq!(page["count"], 1802);
            break;
        }
    }
    assert_eq!((pages, rows), (vec![600, 600, 600], 1800));
}

#[tokio::test]
async fn who_waits_is_answered_as_soon_as_there_is_news() {
    let portal = TestApp::new().await;
    let gateway = Gateway::add(&portal, "gw1").await;
    let at = version(&gateway.whole(&portal).await);
    let tag = format!("\"{at}\"");
    let since = format!("/gateway/changes?since={at}");
    let wait = ("prefer", "wait=60");
    let patient = [("if-none-match", tag.as_str()), wait];
    let news = async {
        // Both are waiting by then, or are answered at once: either is right.
        provision(&portal, ONE).await;
    };
    let (whole, changes, ()) = tokio::join!(
        gateway.ask(&portal, "/gateway/routes", &patient),
        gateway.ask(&portal, &since, &patient[1..]),
        news
    );
    assert_eq!(whole.header("preference-applied"), "wait=60");
    for answer in [whole, changes] {
        assert_eq!(answer.status, StatusCode::OK);
        assert!(answer.body.contains("kept.contoso.com"), "{}", answer.body);
    }
    // A portal that stops lets nobody wait.
    let tag = format!("\"{}\"", version(&gateway.whole(&portal).await));
    let patient = [("if-none-match", tag.as_str()), wait];
    let (waited, ()) = tokio::join!(gateway.ask(&portal, "/gateway/routes", &patient), async {
        portal.app.stop();
    });
    assert_eq!(waited.status, StatusCode::NOT_MODIFIED);
}

#[tokio::test]
async fn a_token_reads_the_set_and_nothing_else() {
    let portal = TestApp::with(|site| {
        site.throttle = Throttle::new(
            0,
            30,
            site.throttle.proxies.as_ref().clone(),
            &site.throttle.clock,
        );
    })
    .await;
    let reference = provision(&portal, ONE).await;
    let gateway = Gateway::add(&portal, "gw1").await;
    let bearer = format!("Bearer {}", gateway.token);
    let rows = "SELECT md5(string_agg(t, '')) FROM (SELECT r::text FROM route r UNION ALL SELECT r::text FROM request r
                UNION ALL SELECT s::text FROM service s UNION ALL SELECT w::text FROM work w) AS x (t)";
    let before: String = sqlx::query_scalar(rows)
        .fetch_one(portal.pool())
        .await
        .unwrap();
    let with = async |path: &str, name: &str, value: &str| {
        let request = Request::get(path).header(name, value);
        portal.send(request.body(Body::empty()).unwrap()).await
    };
    for route in pic_portal::routes::table() {
        let path = route
            .path()
            .replace("{reference}", &reference)
            .replace("{service}", "1");
        if path.contains('{') || path.starts_with("/gateway/") || path.starts_with("/static/") {
            continue;
        }
        let told = |answer: &Answer| (answer.status, answer.header("location").to_owned());
        let cookie = format!("pic_session={0}; pic_staff={0}", gateway.token);
        let nobody = with(&path, "x-nothing", "x").await;
        for (name, value) in [("authorization", bearer.as_str()), ("cookie", &cookie)] {
            assert_eq!(
                told(&with(&path, name, value).await),
                told(&nobody),
                "{path} {name}"
            );
        }
    }
    let after: String = sqlx::query_scalar(rows)
        .fetch_one(portal.pool())
        .await
        .unwrap();
    assert_eq!(after, before);
    // Replaced, it is worth nothing.
    let (name, token) = (GatewayName::parse("gw1").unwrap(), GatewayToken::random());
    assert!(
        store::replace_token(portal.pool(), &name, &token)
            .await
            .unwrap()
    );
    for path in [
        "/gateway/routes",
        "/gateway/changes?since=0123456789abcdef.1",
        "/gateway/routes.csv",
    ] {
        let answer = with(path, "authorization", &bearer).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
        assert_eq!(answer.header("content-type"), "application/problem+json");
        assert!(!answer.body.contains("contoso"), "{}", answer.body);
    }
    // And guesses are counted.
    let mut last = StatusCode::UNAUTHORIZED;
    for _ in 0..30 {
        last = with("/gateway/routes", "authorization", &bearer)
            .await
            .status;
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
    assert!(store::remove(portal.pool(), &name).await.unwrap());
    assert!(!store::remove(portal.pool(), &name).await.unwrap());
}

#[tokio::test]
async fn without_a_gateway_nothing_is_written() {
    let portal = TestApp::new().await;
    let reference = portal.store_one(ONE).await;
    assert_eq!(portal.work().await.provisioned, 1);
    let turn = publish(&portal).await;
    assert!(turn.head.is_none() && !turn.news);
    let written =
        "SELECT (SELECT count(*) FROM to_publish) + (SELECT max(serial) FROM publication)";
    assert_eq!(portal.number(written).await, 0);
    let page = portal.get(&format!("/requests/{reference}")).await;
    assert!(!page.body.contains("gateway"), "{}", page.body);
}

#[tokio::test]
async fn old_publications_go_and_the_newest_stays() {
    let portal = TestApp::new().await;
    let gateway = Gateway::add(&portal, "gw1").await;
    provision(&portal, ONE).await;
    let old = version(&gateway.whole(&portal).await);
    portal
        .run("DELETE FROM domain_in_force WHERE sip_domain = 'contoso.com'")
        .await;
    publish(&portal).await;
    // A day without a change has a publication too, so that what gateways have stays good.
    let before = gateway.whole(&portal).await;
    portal.advance(Duration::from_hours(25)).await;
    publish(&portal).await;
    let after = gateway.whole(&portal).await;
    assert!(after["expires"].as_str() > before["expires"].as_str());
    assert_eq!(after["routes"], before["routes"]);
    assert_eq!(
        gateway.changes(&portal, &version(&before)).await["set"],
        json!([])
    );
    portal
        .advance(CLOCKS.expiry + Duration::from_hours(48))
        .await;
    let swept = crate::retention::sweep(&portal).await;
    let removed = swept.removed(pic_portal::retention::Kind::Publications);
    assert!(removed >= 3, "{removed}");
    let left = "SELECT count(*) FROM publication";
    assert_eq!(portal.number(left).await, 1);
    assert_eq!(gateway.whole(&portal).await["routes"], after["routes"]);
    let path = format!("/gateway/changes?since={old}");
    assert_eq!(
        gateway.ask(&portal, &path, &[]).await.status,
        StatusCode::GONE
    );
}
