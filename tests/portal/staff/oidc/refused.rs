//! Checks what is refused on the way back from the OpenID provider, and where it is away.

use axum::http::StatusCode;
use pic_portal::staff::Role;
use serde_json::json;

use super::{DOOR, Person, QUEUE, SESSIONS, scene, signed_in};
use crate::{
    staff::{PASSWORD, account},
    support::{app::TestApp, oidc::Provider},
};

const CALLBACK: &str = "/staff/sign-in/oidc/callback";

#[tokio::test]
async fn a_callback_counts_once_and_only_in_the_browser_that_began_it() {
    let (provider, portal) = scene(|_| {}).await;
    let mut person = Person::default();
    let back = person.leave(&portal, &provider, DOOR).await;
    let attempt = person.attempt.clone();
    // Another browser, one without an attempt, another state, another issuer.
    let mut other = Person::default();
    other.leave(&portal, &provider, DOOR).await;
    let code = back.split(['?', '&']).find(|it| it.starts_with("code="));
    let other_state = format!("{CALLBACK}?{}&state=0000", code.unwrap());
    let other_issuer = format!(
        "{}&iss=https%3A%2F%2Fevil.example",
        back.split("&iss=").next().unwrap()
    );
    for (attempt, address) in [
        (&other.attempt, &back),
        (&String::new(), &back),
        (&attempt, &other_state),
        (&attempt, &other_issuer),
    ] {
        let answer = portal.get_with(address, attempt).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{address}");
        answer.shows("You were not signed in");
    }
    assert_eq!(portal.number(SESSIONS).await, 0);
    let answer = person.get(&portal, &back).await;
    assert_eq!(answer.header("location"), QUEUE);
    // Again: with the attempt that the browser has lost by now, it is the provider that refuses.
    let session = std::mem::take(&mut person.session);
    person.attempt = attempt;
    let replayed = person.get(&portal, &back).await;
    assert_eq!(replayed.status, StatusCode::FORBIDDEN);
    assert!(replayed.set_cookies().is_empty());
    assert_eq!(portal.number(SESSIONS).await, 1);
    // Whoever is signed in has nothing to lose by an old tab.
    person.session = session;
    person.attempt.clear();
    let old_tab = person.get(&portal, &back).await;
    assert_eq!(old_tab.header("location"), QUEUE);
}

#[tokio::test]
async fn whom_the_provider_refuses_is_told_so() {
    let (provider, portal) = scene(|_| {}).await;
    provider.person(json!({"sub": "1", "refused": true})).await;
    let mut person = Person::default();
    let answer = person.there_and_back(&portal, &provider, DOOR).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    answer.shows("did not let you through");
}

#[tokio::test]
async fn a_disabled_account_stays_out_whatever_its_groups() {
    let (provider, portal) = scene(|_| {}).await;
    let mut person = signed_in(&portal, &provider).await;
    portal.run("UPDATE staff SET disabled_at = pic_now()").await;
    assert!(!person.is_in(&portal).await);
    for way in [DOOR.to_owned(), format!("{DOOR}?for=confirm")] {
        let answer = person.there_and_back(&portal, &provider, &way).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        answer.shows("disabled");
    }
    assert!(!person.is_in(&portal).await);
}

#[tokio::test]
async fn while_the_provider_is_away_nobody_gets_in_by_it_and_passwords_go_on() {
    let (mut provider, portal) = scene(|_| {}).await;
    account(&portal, "anna", Role::Agent).await;
    let mut late = Person::default();
    let back = late.leave(&portal, &provider, DOOR).await;
    let mut person = signed_in(&portal, &provider).await;
    provider.kill().await;
    let answer = late.get(&portal, &back).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    answer.shows("cannot be reached");
    assert!(person.is_in(&portal).await, "until the hour is over");
    portal
        .run("UPDATE staff_session SET confirmed_until = pic_now() WHERE began_at < pic_now()")
        .await;
    assert!(!person.is_in(&portal).await);
    crate::staff::sign_in(&portal, "anna").await;
    // A portal that has never reached it.
    let unknown = super::portal(&provider, |_| {}).await;
    for _ in 0..2 {
        let answer = unknown.get(DOOR).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    }
    let logout = format!("{DOOR}/logout");
    let answer = unknown.post(&logout, &[("logout_token", "a.b.c")]).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "no token at all");
}

#[tokio::test]
async fn passwords_can_be_turned_off() {
    let provider = Provider::start(&[]).await;
    let person = json!({"sub": "1", "groups": ["desk-agents"]});
    provider.person(person).await;
    let oidc = provider.settings();
    let portal = TestApp::with(|site| {
        site.sign_in.oidc = Some(oidc);
        site.sign_in.passwords = false;
    })
    .await;
    account(&portal, "anna", Role::Agent).await;
    let page = portal.get("/staff/sign-in").await;
    page.hides("name=\"password\"");
    let fields = [("name", "anna"), ("password", PASSWORD)];
    let refused = portal.post("/staff/sign-in", &fields).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(refused.set_cookies().is_empty());
    // One that was opened before they were turned off.
    let token = {
        let name = pic_portal::staff::Name::parse("anna").unwrap();
        let store = pic_portal::staff::store::password(portal.pool(), Some(&name)).await;
        let (id, hashed) = store.unwrap().unwrap();
        let opened = pic_portal::staff::store::sign_in(portal.pool(), id, &hashed).await;
        opened.unwrap().unwrap()
    };
    let cookie = format!("pic_staff={}", token.reveal());
    let answer = portal.get_with(QUEUE, &cookie).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    signed_in(&portal, &provider).await;
}

#[tokio::test]
async fn without_a_provider_there_is_no_way_to_it() {
    let portal = TestApp::new().await;
    for path in [DOOR, CALLBACK] {
        assert_eq!(portal.get(path).await.status, StatusCode::NOT_FOUND);
    }
    let logout = format!("{DOOR}/logout");
    let answer = portal.post(&logout, &[("logout_token", "a.b.c")]).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert!(!portal.get("/staff/sign-in").await.body.contains(DOOR));
}
