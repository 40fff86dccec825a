//! Checks how staff sign in at an OpenID provider: a certified one, oidc-provider, in a process of
//! its own.

mod canary;
mod refused;

use std::time::Duration;

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use data_encoding::BASE64URL_NOPAD;
use pic_portal::web::sign_in::Oidc;
use serde_json::json;

use crate::support::{
    app::{Answer, TestApp},
    oidc::{Browser, Provider},
};

const DOOR: &str = "/staff/sign-in/oidc";
const QUEUE: &str = "/staff/requests";
const SESSIONS: &str = "SELECT count(*) FROM staff_session";
const MINUTE: Duration = Duration::from_mins(1);

/// A portal that signs staff in at `provider`, with settings changed by `change`.
async fn portal(provider: &Provider, change: impl FnOnce(&mut Oidc)) -> TestApp {
    let mut oidc = provider.settings();
    change(&mut oidc);
    TestApp::with(|site| site.sign_in.oidc = Some(oidc)).await
}

/// A provider, a portal that uses it, and an agent who may sign in.
async fn scene(change: impl FnOnce(&mut Oidc)) -> (Provider, TestApp) {
    let provider = Provider::start(&[]).await;
    provider
        .person(json!({"sub": "1", "groups": ["desk-agents"]}))
        .await;
    let portal = portal(&provider, change).await;
    (provider, portal)
}

/// A person with a browser: its cookies at the portal, and those at the provider.
#[derive(Default)]
struct Person {
    session: String,
    attempt: String,
    at_provider: Browser,
}

impl Person {
    fn cookies(&self) -> String {
        format!("{}; {}", self.session, self.attempt)
    }

    /// Takes the cookies that the portal sets.
    fn keep(&mut self, answer: &Answer) {
        for cookie in answer.set_cookies() {
            let pair = cookie.split(';').next().unwrap().to_owned();
            if pair.starts_with("pic_staff_oidc=") {
                self.attempt = pair;
            } else if pair.starts_with("pic_staff=") {
                self.session = pair;
            }
        }
    }

    async fn get(&mut self, portal: &TestApp, path: &str) -> Answer {
        let answer = portal.get_with(path, &self.cookies()).await;
        self.keep(&answer);
        answer
    }

    /// Goes to the provider by `way`; returns the address to which that sends the browser back.
    async fn leave(&mut self, portal: &TestApp, provider: &Provider, way: &str) -> String {
        let sent = self.get(portal, way).await;
        assert_eq!(sent.status, StatusCode::SEE_OTHER, "{}", sent.body);
        self.at_provider.go(provider, sent.header("location")).await
    }

    /// Goes to the provider by `way` and back.
    async fn there_and_back(&mut self, portal: &TestApp, provider: &Provider, way: &str) -> Answer {
        let back = self.leave(portal, provider, way).await;
        self.get(portal, &back).await
    }

    /// Whether the browser is signed in.
    async fn is_in(&mut self, portal: &TestApp) -> bool {
        self.get(portal, QUEUE).await.status == StatusCode::OK
    }
}

/// Somebody who has signed in.
async fn signed_in(portal: &TestApp, provider: &Provider) -> Person {
    let mut person = Person::default();
    let answer = person.there_and_back(portal, provider, DOOR).await;
    assert_eq!(answer.header("location"), QUEUE, "{}", answer.body);
    assert!(person.is_in(portal).await);
    person
}

#[tokio::test]
async fn groups_decide_who_gets_in_and_what_they_may() {
    let (provider, portal) = scene(|_| {}).await;
    for (sub, groups, status) in [
        ("1", json!(["desk-agents", "others"]), StatusCode::OK),
        ("2", json!(["desk-readers"]), StatusCode::FORBIDDEN),
    ] {
        provider.person(json!({"sub": sub, "groups": groups})).await;
        let mut person = signed_in(&portal, &provider).await;
        let audit = person.get(&portal, "/staff/audit").await;
        assert_eq!(audit.status, status, "{groups}");
    }
    for groups in [json!([]), json!(["Desk-Agents"]), json!(null)] {
        provider.person(json!({"sub": "3", "groups": groups})).await;
        let mut person = Person::default();
        let answer = person.there_and_back(&portal, &provider, DOOR).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{groups}");
        answer.shows("in no group");
        assert!(!person.is_in(&portal).await);
    }
    assert_eq!(portal.number("SELECT count(*) FROM staff").await, 2);
    let audited = "SELECT count(*) FROM staff_audit WHERE action = 'signed-in'";
    assert_eq!(portal.number(audited).await, 2);
}

#[tokio::test]
async fn one_comes_back_to_the_page_that_was_wanted_and_the_provider_does_not_learn_it() {
    let (provider, portal) = scene(|_| {}).await;
    let next = "/staff/requests?q=contoso.com";
    let mut person = Person::default();
    let asked = person.get(&portal, next).await;
    let page = person.get(&portal, asked.header("location")).await;
    let links = page.elements().into_iter();
    let mut links = links.filter_map(|it| it.get("href").map(str::to_owned));
    let way = links.find(|href| href.starts_with(DOOR)).expect("a button");
    let sent = person.get(&portal, &way).await;
    let address = sent.header("location").to_owned();
    assert!(!address.contains("contoso.com"), "{address}");
    for part in [
        "response_type=code",
        "scope=openid&",
        "code_challenge_method=S256",
        "nonce=",
        "state=",
    ] {
        assert!(address.contains(part), "{part}: {address}");
    }
    let back = person.at_provider.go(&provider, &address).await;
    let answer = person.get(&portal, &back).await;
    assert_eq!(answer.header("location"), next);
    // Over a second way another session begins, and the earlier one is over.
    let first = person.session.clone();
    person.there_and_back(&portal, &provider, DOOR).await;
    assert_ne!(person.session, first);
    assert_eq!(portal.number(SESSIONS).await, 1);
}

#[tokio::test]
async fn claims_at_user_info_count_too() {
    let provider = Provider::start(&["--user-info-only"]).await;
    let person = json!({"sub": "1", "groups": ["desk-agents"], "claims": {"staff_number": "a-17"}});
    provider.person(person).await;
    let portal = portal(&provider, |oidc| {
        oidc.name_claim = Some("staff_number".into());
    })
    .await;
    let mut person = signed_in(&portal, &provider).await;
    let page = person.get(&portal, "/staff/account").await;
    page.shows("Signed in as a-17");
    page.hides("Change your password");
}

#[tokio::test]
async fn every_hour_the_groups_are_looked_at_again_and_after_eight_it_is_over() {
    let (provider, portal) = scene(|_| {}).await;
    let mut person = signed_in(&portal, &provider).await;
    let session = person.session.clone();
    for hour in 1..=8 {
        for _ in 0..3 {
            portal.advance(Duration::from_secs(20 * 60 - 1)).await;
            if hour < 8 {
                person.is_in(&portal).await;
            }
        }
        portal.advance(Duration::from_secs(3)).await;
        assert!(!person.is_in(&portal).await, "hour {hour}");
        let page = person
            .get(&portal, "/staff/sign-in?next=/staff/audit")
            .await;
        let refresh = page.header("refresh").to_owned();
        if hour == 8 {
            assert_eq!(refresh, "", "it is over");
            break;
        }
        let way = refresh.strip_prefix("0; url=").expect("it goes on");
        let sent = person.get(&portal, way).await;
        assert!(sent.header("location").contains("prompt=none"));
        let back = person
            .at_provider
            .go(&provider, sent.header("location"))
            .await;
        let answer = person.get(&portal, &back).await;
        assert_eq!(answer.header("location"), "/staff/audit", "{}", answer.body);
        assert_eq!(person.session, session, "the same session goes on");
        assert!(person.is_in(&portal).await);
    }
    let audited = "SELECT count(*) FROM staff_audit WHERE action = 'signed-in'";
    assert_eq!(portal.number(audited).await, 1);
}

#[tokio::test]
async fn a_page_has_it_confirmed_early_and_what_runs_in_the_background_does_not() {
    let (provider, portal) = scene(|_| {}).await;
    let mut person = signed_in(&portal, &provider).await;
    portal.advance(29 * MINUTE).await;
    assert!(person.is_in(&portal).await);
    portal.advance(17 * MINUTE).await;
    assert!(person.is_in(&portal).await, "a script asks");
    let navigate = async |cookies: String| {
        let request = Request::get(QUEUE)
            .header("cookie", cookies)
            .header("sec-fetch-mode", "navigate");
        portal.send(request.body(Body::empty()).unwrap()).await
    };
    let page = navigate(person.cookies()).await;
    assert_eq!(
        page.header("location"),
        "/staff/sign-in?next=%2Fstaff%2Frequests"
    );
    person
        .there_and_back(&portal, &provider, &format!("{DOOR}?for=confirm"))
        .await;
    let page = navigate(person.cookies()).await;
    assert_eq!(page.status, StatusCode::OK);
}

#[tokio::test]
async fn whoever_has_left_the_groups_is_out_everywhere_at_the_next_look() {
    let (provider, portal) = scene(|_| {}).await;
    let mut one = signed_in(&portal, &provider).await;
    let mut other = signed_in(&portal, &provider).await;
    provider
        .person(json!({"sub": "1", "groups": ["desk-readers"]}))
        .await;
    let confirm = format!("{DOOR}?for=confirm");
    one.there_and_back(&portal, &provider, &confirm).await;
    let audit = other.get(&portal, "/staff/audit").await;
    assert_eq!(
        audit.status,
        StatusCode::FORBIDDEN,
        "a reader, in both browsers"
    );
    provider.person(json!({"sub": "1", "groups": []})).await;
    let answer = one.there_and_back(&portal, &provider, &confirm).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(!one.is_in(&portal).await && !other.is_in(&portal).await);
    assert_eq!(portal.number(SESSIONS).await, 0);
}

#[tokio::test]
async fn whom_the_provider_does_not_know_any_more_has_to_sign_in_again() {
    let (provider, portal) = scene(|_| {}).await;
    let mut person = signed_in(&portal, &provider).await;
    person.at_provider = Browser::default();
    let confirm = format!("{DOOR}?for=confirm&next=/staff/audit");
    let answer = person.there_and_back(&portal, &provider, &confirm).await;
    assert_eq!(
        answer.header("location"),
        "/staff/sign-in?next=%2Fstaff%2Faudit"
    );
    assert!(!person.is_in(&portal).await);
    let page = person.get(&portal, answer.header("location")).await;
    assert_eq!(page.header("refresh"), "", "no round without an end");
}

#[tokio::test]
async fn the_providers_logout_ends_the_sessions_of_that_browser_there() {
    let (provider, portal) = scene(|_| {}).await;
    let mut person = signed_in(&portal, &provider).await;
    let mut elsewhere = signed_in(&portal, &provider).await;
    person.at_provider.sign_out(&provider).await;
    let logouts = provider.logouts().await;
    let [token] = logouts.as_slice() else {
        panic!("{logouts:?}")
    };
    let logout = format!("{DOOR}/logout");
    // Signed by nobody, or not as it stands.
    let parts: Vec<_> = token.split('.').collect();
    let none = BASE64URL_NOPAD.encode(br#"{"alg":"none"}"#);
    for forged in [
        format!("{none}.{}.", parts[1]),
        format!("{}.{}.{}", parts[0], parts[1], &parts[2].replace('A', "B")),
        String::new(),
    ] {
        let refused = portal.post(&logout, &[("logout_token", &forged)]).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    }
    assert!(person.is_in(&portal).await);
    let done = portal.post(&logout, &[("logout_token", token)]).await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.body);
    assert!(!person.is_in(&portal).await);
    assert!(elsewhere.is_in(&portal).await, "another session there");
}

#[tokio::test]
async fn to_refuse_one_has_to_prove_again_who_one_is() {
    let (provider, portal) = scene(|oidc| {
        oidc.step_up = Some(10 * MINUTE);
        oidc.acr = Some("mfa".into());
    })
    .await;
    let (reference, _) = portal.submit(&[("sip.contoso.com", "contoso.com")]).await;
    let refuse = format!("/staff/requests/{reference}/refuse");
    let fields = [("reason", "policy"), ("confirm", "on")];
    let mut person = signed_in(&portal, &provider).await;
    let answer = portal.post_with(&refuse, &fields, &person.cookies()).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    // Many at once are no way around it, not even to see what would be done.
    for (action, wanted) in [
        ("refuse", StatusCode::FORBIDDEN),
        ("withdraw", StatusCode::FORBIDDEN),
        ("cancel", StatusCode::FORBIDDEN),
        ("take", StatusCode::OK),
    ] {
        let many = [
            ("request", &*reference),
            ("action", action),
            ("reason", "policy"),
            ("confirm", "on"),
            ("go", "on"),
        ];
        let path = "/staff/requests/bulk";
        let answer = portal.post_with(path, &many, &person.cookies()).await;
        assert_eq!(answer.status, wanted, "{action}: {}", answer.body);
    }
    assert_eq!(portal.state(&reference).await, "pending");
    let links = answer.elements().into_iter();
    let mut links = links.filter_map(|it| it.get("href").map(str::to_owned));
    let way = links.find(|href| href.starts_with(DOOR)).expect("a button");
    let sent = person.get(&portal, &way).await;
    let address = sent.header("location").to_owned();
    assert!(address.contains("max_age=600") && address.contains("acr_values=mfa"));
    let back = person.at_provider.go(&provider, &address).await;
    let weak = person.get(&portal, &back).await;
    assert_eq!(weak.status, StatusCode::FORBIDDEN, "a password alone");
    weak.shows("That was not enough");

    person.at_provider = Browser::default();
    provider
        .person(json!({"sub": "1", "groups": ["desk-agents"], "acr": "mfa"}))
        .await;
    let answer = person.there_and_back(&portal, &provider, &way).await;
    assert_eq!(
        answer.header("location"),
        format!("/staff/requests/{reference}")
    );
    portal.advance(11 * MINUTE).await;
    let late = portal.post_with(&refuse, &fields, &person.cookies()).await;
    assert_eq!(late.status, StatusCode::FORBIDDEN);
    person.there_and_back(&portal, &provider, &way).await;
    let done = portal.post_with(&refuse, &fields, &person.cookies()).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.body);
}
