//! Limits of attempts at keys and references, and of rows that successes write.

use std::time::Duration;

use axum::http::StatusCode;
use futures_util::future::join_all;
use pic_portal::{
    agreement::AgreementNumber,
    secret::ManagementKey,
    session::store as sessions,
    staff::{Name, Role, store as staff},
};

use super::{ELSEWHERE, HERE, all, get, portal, post, sent};
use crate::{service::sign_in, staff::account, support::app::TestApp};

const TOO_MANY: StatusCode = StatusCode::TOO_MANY_REQUESTS;
const ONE: &[(&str, &str)] = &[("sip.contoso.com", "contoso.com")];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_keys_at_once_no_more_than_the_limit_are_compared() {
    let (portal, _) = portal(5).await;
    let (reference, key) = portal.submit(ONE).await;
    let wrong = "0000-0000-0000-0000-0000-0000-00";
    let withdraw = format!("/requests/{reference}/withdraw");
    for (peer, path, number) in [
        (HERE, "/service", Some(("number", "1234567"))),
        (ELSEWHERE, withdraw.as_str(), None),
    ] {
        let fields = |key| number.into_iter().chain([("management_key", key)]);
        let wrong: Vec<_> = fields(wrong).collect();
        let tries = (0..60).map(|_| sent(&portal, peer, path, &wrong, ""));
        let answers = all(tries.collect()).await;
        let compared = |status| answers.iter().filter(|it| it.status == status).count();
        assert_eq!(compared(StatusCode::UNPROCESSABLE_ENTITY), 5, "{path}");
        assert_eq!(compared(TOO_MANY), 55, "{path}");
        let right: Vec<_> = fields(key.as_str()).collect();
        let refused = post(&portal, peer, path, &right, "").await;
        assert_eq!(refused.status, TOO_MANY, "{path}");
        assert!(refused.set_cookies().is_empty());
    }
    assert_eq!(portal.number("SELECT count(*) FROM session").await, 0);
    // What is no number or no key costs nothing, and a success nothing in the end.
    let right = [("number", "1234567"), ("management_key", key.as_str())];
    for _ in 0..7 {
        let half = [("number", "1234567"), ("management_key", "7K3M")];
        for none in [&half[..], &[]] {
            let refused = post(&portal, "192.0.2.2:1", "/service", none, "").await;
            assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
            assert!(!refused.body.contains("No service is opened"));
        }
        let opened = post(&portal, "192.0.2.2:1", "/service", &right, "").await;
        assert_eq!(opened.status, StatusCode::SEE_OTHER);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_references_and_secrets_at_once_no_more_than_the_limit_are_denied() {
    let (portal, _) = portal(5).await;
    let (reference, _) = portal.submit(ONE).await;
    let secret = pic_portal::base32::encode(&[7; 20]);
    for (unknown, network) in [
        ("/requests/PIC-0000-0000-0000-0000", HERE),
        (&format!("/watch/{secret}/feed.atom"), ELSEWHERE),
    ] {
        let tries = (0..60).map(|_| get(&portal, network, unknown));
        let answers = join_all(tries).await;
        let with = |status| answers.iter().filter(|it| it.status == status).count();
        assert_eq!((with(StatusCode::NOT_FOUND), with(TOO_MANY)), (5, 55));
    }
    let there = get(&portal, HERE, &format!("/requests/{reference}")).await;
    assert_eq!(
        there.status,
        StatusCode::OK,
        "a stale bookmark shuts nobody out"
    );
}

#[tokio::test]
async fn new_keys_are_bounded_by_service_and_by_network() {
    const KEY: &str = "/service/key";
    let (portal, clock) = portal(1_000).await;
    let mut browsers = Vec::new();
    for domain in ["a.example", "b.example", "c.example"] {
        let (_, key) = portal.submit(&[("sip.contoso.com", domain)]).await;
        browsers.push(sign_in(&portal, &key).await);
    }
    let made = async |browser: &str| post(&portal, HERE, KEY, &[], browser).await;
    let mut shown = String::new();
    for _ in 0..5 {
        let new = made(&browsers[0]).await;
        assert_eq!(new.status, StatusCode::SEE_OTHER);
        shown = format!("{}; {}", browsers[0], new.cookie());
    }
    clock.advance(Duration::from_mins(1));
    let page = portal.get_with(KEY, &shown).await;
    let key = page.attribute("data-management-key").expect("the key");
    let refused = made(&shown).await;
    assert_eq!(refused.status, TOO_MANY);
    assert_eq!(refused.header("retry-after"), (59 * 60).to_string());
    assert_eq!(refused.attribute("data-management-key"), Some(key));
    refused.shows("in 59 minutes");
    refused.hides("your network");
    assert!(
        made(&browsers[0])
            .await
            .body
            .contains("action=\"/service/key\"")
    );
    // Another service has its own limit, until that of the network is reached.
    for browser in [1, 1, 1, 1, 1, 2, 2, 2, 2, 2] {
        let new = made(&browsers[browser]).await;
        assert_eq!(new.status, StatusCode::SEE_OTHER);
    }
    let (_, key) = portal.submit(&[("sip.contoso.com", "d.example")]).await;
    let fourth = sign_in(&portal, &key).await;
    let refused = made(&fourth).await;
    assert_eq!(
        (refused.status, refused.header("retry-after")),
        (TOO_MANY, "60")
    );
    refused.shows("in 1 minute.");
    let elsewhere = post(&portal, ELSEWHERE, KEY, &[], &fourth).await;
    assert_eq!(elsewhere.status, StatusCode::SEE_OTHER);
    clock.advance(Duration::from_mins(59));
    assert_eq!(made(&browsers[0]).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn successful_sign_ins_of_a_network_are_bounded() {
    let (portal, clock) = portal(1_000).await;
    let (_, key) = portal.submit(ONE).await;
    let fields = [("number", "1234567"), ("management_key", key.as_str())];
    let wrong = [
        ("number", "1234567"),
        ("management_key", "0000-0000-0000-0000-0000-0000-00"),
    ];
    for _ in 0..30 {
        // A failure writes nothing, and does not count here.
        let failed = post(&portal, HERE, "/service", &wrong, "").await;
        assert_eq!(failed.status, StatusCode::UNPROCESSABLE_ENTITY);
        let opened = post(&portal, HERE, "/service", &fields, "").await;
        assert_eq!(opened.status, StatusCode::SEE_OTHER);
    }
    // Over the limit a right key looks like a wrong one.
    for fields in [fields, wrong] {
        let refused = post(&portal, HERE, "/service", &fields, "").await;
        assert_eq!(
            (refused.status, refused.header("retry-after")),
            (TOO_MANY, "60")
        );
    }
    let staff = [("name", "anna"), ("password", "wrong")];
    let refused = post(&portal, HERE, "/staff/sign-in", &staff, "").await;
    assert_eq!(refused.status, TOO_MANY);
    let other = post(&portal, ELSEWHERE, "/service", &fields, "").await;
    assert_eq!(other.status, StatusCode::SEE_OTHER);
    clock.advance(Duration::from_mins(1));
    let opened = post(&portal, HERE, "/service", &fields, "").await;
    assert_eq!(opened.status, StatusCode::SEE_OTHER);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_oldest_of_too_many_sessions_ends() {
    let portal = TestApp::new().await;
    let (_, key) = portal.submit(ONE).await;
    let (_, other) = portal.submit(&[("sip.contoso.com", "other.example")]).await;
    let number = AgreementNumber::parse("1234567").unwrap();
    let opened = async |key: &str| {
        let key = ManagementKey::parse(key).unwrap();
        let token = sessions::open(portal.pool(), &number, &key).await;
        token.unwrap().expect("the key opens it")
    };
    let alive = async |token| {
        let service = sessions::live(portal.pool(), &token).await;
        service.unwrap().is_some()
    };
    let others = opened(&other).await;
    let first = opened(&key).await;
    let mut last = first;
    for _ in 1..sessions::MOST_SESSIONS {
        last = opened(&key).await;
    }
    assert!(alive(first).await && alive(last).await);
    let newest = opened(&key).await;
    assert!(!alive(first).await, "the oldest");
    assert!(alive(last).await && alive(newest).await && alive(others).await);
    // The same for sign-ins at the same moment.
    join_all((0..60).map(|_| opened(&key))).await;
    let count = portal.number("SELECT count(*) FROM session").await;
    assert_eq!(count, sessions::MOST_SESSIONS + 1);
    assert!(alive(others).await, "the other service's");

    account(&portal, "anna", Role::Agent).await;
    let anna = Name::parse("anna").unwrap();
    let (id, password) = staff::password(portal.pool(), Some(&anna))
        .await
        .unwrap()
        .unwrap();
    let opened = async || {
        staff::sign_in(portal.pool(), id, &password)
            .await
            .unwrap()
            .unwrap()
    };
    let first = opened().await;
    join_all((0..60).map(|_| opened())).await;
    assert_eq!(
        staff::sessions(portal.pool(), id).await.unwrap(),
        staff::MOST_SESSIONS
    );
    assert!(!staff::is_signed_in(portal.pool(), &first).await.unwrap());
    let audited = "SELECT count(*) FROM staff_audit WHERE action = 'signed-in'";
    assert_eq!(portal.number(audited).await, 61);
}
