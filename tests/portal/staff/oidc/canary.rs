//! Checks that nothing of a person's e-mail address, name or telephone number stays, though the
//! provider hands them over unasked.

use std::fmt::Write as _;

use axum::http::StatusCode;
use pic_portal::db::MIGRATOR;
use serde_json::{Value, json};

use super::{DOOR, SESSIONS, portal, signed_in};
use crate::support::{
    app::everything,
    db::TestDb,
    oidc::{Browser, Provider},
    process::{Portal, exchange, scratch},
};

const PLANTED: [&str; 5] = [
    "anna.mustermann@contoso.example",
    "mustermann",
    "+49 151 23456789",
    "subject-of-anna",
    "a-secret-group",
];

/// A person with all of that in their claims.
fn person() -> Value {
    let claims = json!({
        "email": PLANTED[0],
        "name": "Anna Mustermann",
        "phone_number": PLANTED[2],
        "staff_number": PLANTED[0],
    });
    json!({"sub": PLANTED[3], "groups": ["desk-agents", PLANTED[4]], "claims": claims})
}

fn assert_clean(seen: &str) {
    for planted in PLANTED {
        let found = seen.to_lowercase().matches(planted).count();
        assert_eq!(found, 0, "{planted}");
    }
}

#[tokio::test]
async fn claims_that_were_not_asked_for_are_dropped_at_the_door() {
    for arguments in [&[][..], &["--user-info-only"]] {
        let provider = Provider::start(arguments).await;
        provider.person(person()).await;
        // Not even where the claim for the name has an address in it.
        let portal = portal(&provider, |oidc| {
            oidc.name_claim = Some("staff_number".into());
        })
        .await;
        let mut person = signed_in(&portal, &provider).await;
        let confirm = format!("{DOOR}?for=confirm");
        person.there_and_back(&portal, &provider, &confirm).await;
        let mut seen = everything(portal.pool()).await;
        for page in ["/staff/account", "/staff/audit", "/staff/requests"] {
            seen += &person.get(&portal, page).await.body;
        }
        write!(seen, "{:?}", portal.app).unwrap();
        assert_eq!(portal.number(SESSIONS).await, 1);
        assert!(seen.contains("sso-"), "the account is there");
        assert_clean(&seen);
    }
}

#[tokio::test]
async fn nothing_of_it_is_logged_or_counted() {
    let provider = Provider::start(&[]).await;
    provider.person(person()).await;
    let (scratch, db) = (scratch(), TestDb::fresh(&MIGRATOR).await);
    let log = scratch.path().join("log");
    let settings = [
        ("DATABASE_URL", db.url()),
        ("PIC_ALLOW_UNSAFE_DATABASE", "true".into()),
        ("PIC_LOG", "trace".into()),
        ("PIC_METRICS_LISTEN", "127.0.0.1:0".into()),
        ("PIC_OIDC_ISSUER", provider.issuer.clone()),
        ("PIC_OIDC_CLIENT_ID", "pic-portal".into()),
        ("PIC_OIDC_CLIENT_SECRET", "the secret of the portal".into()),
        ("PIC_OIDC_AGENTS", "desk-agents".into()),
        ("PIC_OIDC_NAME_CLAIM", "staff_number".into()),
    ];
    let settings = settings.each_ref().map(|(name, it)| (*name, it.as_str()));
    let portal = Portal::start(&settings, &log).await;
    let mut at_provider = Browser::default();
    let mut seen = String::new();
    // Once as it should be, and once with a code that was used.
    let sent = portal.get(DOOR).await.unwrap();
    let back = at_provider.go(&provider, sent.header("location")).await;
    for status in [StatusCode::SEE_OTHER, StatusCode::FORBIDDEN] {
        let cookie = sent.cookie();
        let headers = [("cookie", cookie.as_str())];
        let answer = exchange(portal.address, "GET", &back, &headers, "").await;
        let answer = answer.unwrap();
        assert_eq!(answer.status, status, "{}", answer.body);
        seen += &answer.body;
    }
    let said = portal.log();
    let (_, rest) = said.split_once("metrics on http://").unwrap();
    let metrics = rest.split('/').next().unwrap().parse().unwrap();
    let metrics = exchange(metrics, "GET", "/metrics", &[], "").await;
    seen += &metrics.unwrap().body;
    seen += &portal.log();
    assert!(seen.contains("pic_http_requests_total") && seen.contains("could not be signed in"));
    assert_clean(&seen);
    for secret in [
        "the secret of the portal",
        back.split(['=', '&']).nth(1).unwrap(),
    ] {
        assert!(!seen.contains(secret), "{secret}");
    }
    portal.stop().await;
}
