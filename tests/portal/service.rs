//! Checks that the holder of a management key can change what is in force, and no one else can.

use axum::http::StatusCode;

use crate::support::{
    app::{Answer, TestApp, submission_id},
    world::World,
};

const BEFORE: &[(&str, &str)] = &[
    ("sip.contoso.com", "contoso.com it.contoso.com"),
    ("edge.contoso.com", "fabrikam.com"),
];

/// Signs in to the service of agreement 1234567 with `key`; returns the session's cookie.
pub(crate) async fn sign_in(portal: &TestApp, key: &str) -> String {
    let answer = portal
        .post(
            "/service",
            &[("number", "123-45 67"), ("management_key", key)],
        )
        .await;
    assert_eq!(answer.header("location"), "/service", "{}", answer.body);
    answer.cookie()
}

/// A service with `BEFORE` in force, and the cookie of a browser that is signed in to it.
async fn service(portal: &TestApp) -> (String, String) {
    let (_, key) = portal.submit(BEFORE).await;
    assert_eq!(portal.work().await.provisioned, 1);
    let cookie = sign_in(portal, &key).await;
    (key, cookie)
}

/// The fields of an edit.
pub(crate) fn edit<'a>(
    id: &'a str,
    edges: &[(&'a str, &'a str)],
    more: &[(&'a str, &'a str)],
) -> Vec<(&'a str, &'a str)> {
    let mut fields: Vec<_> = edges
        .iter()
        .flat_map(|(e, d)| [("edge", *e), ("domains", *d)])
        .collect();
    fields.extend([("deployment", "on_premises"), ("submission_id", id)]);
    fields.extend(more);
    fields
}

/// Sends an edit of its own submission.
pub(crate) async fn send_edit(
    portal: &TestApp,
    cookie: &str,
    edges: &[(&str, &str)],
    more: &[(&str, &str)],
) -> Answer {
    let id = submission_id();
    let fields = edit(&id, edges, more);
    portal.post_with("/service/edit", &fields, cookie).await
}

/// A service with these routes in force: its first request, and the cookie of a browser that is
/// signed in to it.
pub(crate) async fn provisioned(portal: &TestApp, edges: &[(&str, &str)]) -> (String, String) {
    let (reference, key) = portal.submit(edges).await;
    assert_eq!(portal.work().await.provisioned, 1);
    (reference, sign_in(portal, &key).await)
}

async fn routes(portal: &TestApp) -> Vec<(String, String)> {
    portal
        .rows("SELECT sip_domain::text, access_edge::text FROM route ORDER BY sip_domain")
        .await
}

fn assert_led_away(answer: &Answer) {
    assert_eq!(
        (answer.status, answer.header("location")),
        (StatusCode::SEE_OTHER, "/service")
    );
}

#[tokio::test]
async fn an_update_is_reviewed_sent_and_swapped_in_at_once() {
    let portal = TestApp::new().await;
    let (_, cookie) = service(&portal).await;
    let hub = portal.get_with("/service", &cookie).await;
    hub.shows("3 SIP domains");
    hub.shows("fabrikam.com");
    let form = portal.get_with("/service/edit", &cookie).await;
    assert!(
        form.body.contains("contoso.com\nit.contoso.com"),
        "prefilled: {}",
        form.body
    );

    let after = [(
        "sip.contoso.com",
        "contoso.com new.contoso.com fabrikam.com",
    )];
    let id = submission_id();
    let change = async |id: &str, more: &[(&str, &str)]| {
        let fields = edit(id, &after, more);
        portal.post_with("/service/edit", &fields, &cookie).await
    };
    let review = change(&id, &[("action", "review")]).await;
    assert_eq!(review.status, StatusCode::OK);
    review.shows_each([
        "comes into force at sip.contoso.com",
        "is in force no more at sip.contoso.com",
        "moves from edge.contoso.com to sip.contoso.com",
        "name=\"confirm_edge_change\"",
    ]);
    let unconfirmed = change(&id, &[("action", "submit")]).await;
    assert_eq!(unconfirmed.status, StatusCode::UNPROCESSABLE_ENTITY);
    unconfirmed.shows("#confirm_edge_change");

    let confirmed = [("confirm_edge_change", "on"), ("action", "submit")];
    let sent = change(&id, &confirmed).await;
    let reference = sent.reference();
    let before = routes(&portal).await;
    assert_eq!(before.len(), 3, "nothing changes before it is provisioned");
    let again = change(&id, &confirmed).await;
    assert_eq!(
        again.reference(),
        reference,
        "a retry leads to the same receipt"
    );

    assert_eq!(portal.work().await.provisioned, 1);
    let now: Vec<_> = routes(&portal).await;
    let now: Vec<_> = now.iter().map(|(d, e)| (d.as_str(), e.as_str())).collect();
    assert_eq!(
        now,
        [
            ("contoso.com", "sip.contoso.com"),
            ("fabrikam.com", "sip.contoso.com"),
            ("new.contoso.com", "sip.contoso.com"),
        ]
    );
    let late = change(&id, &confirmed).await;
    assert_eq!(
        late.reference(),
        reference,
        "a retry after it was provisioned does so too"
    );
    let fresh = submission_id();
    let same = change(&fresh, &[("action", "submit")]).await;
    assert_eq!(same.status, StatusCode::UNPROCESSABLE_ENTITY);
    same.shows("Nothing would change");
    assert_eq!(portal.number("SELECT count(*) FROM request").await, 2);
}

#[tokio::test]
async fn a_pending_update_is_withdrawn_by_its_session_and_leaves_everything_as_it_was() {
    let portal = TestApp::new().await;
    let (_, cookie) = service(&portal).await;
    let before = routes(&portal).await;
    let reference = send_edit(
        &portal,
        &cookie,
        &[("sip.contoso.com", "contoso.com")],
        &[("action", "submit")],
    )
    .await
    .reference();
    let path = format!("/requests/{reference}/withdraw");
    let stranger = portal.post(&path, &[]).await;
    assert_eq!(stranger.status, StatusCode::UNPROCESSABLE_ENTITY);
    let page = portal
        .get_with(&format!("/requests/{reference}"), &cookie)
        .await;
    page.shows("You are signed in to this service");
    let done = portal.post_with(&path, &[], &cookie).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER);
    assert_eq!(portal.state(&reference).await, "withdrawn");
    portal.work().await;
    assert_eq!(routes(&portal).await, before);
}

/// A client that lost the response sends it again.
#[tokio::test]
async fn a_cancel_that_is_sent_again_leads_to_its_receipt() {
    let portal = TestApp::new().await;
    let (_, cookie) = service(&portal).await;
    let page = portal.get_with("/service/cancel", &cookie).await;
    let hidden = page.hidden();
    let [(name, id)] = &hidden[..] else {
        panic!("one hidden field: {hidden:?}");
    };
    assert_eq!(name, "submission_id");
    let unconfirmed = [("submission_id", id.as_str())];
    let asked = portal.post_with("/service/cancel", &unconfirmed, &cookie);
    assert_eq!(asked.await.hidden(), hidden, "the same submission");
    let send = async || {
        let fields = [("confirm", "on"), ("submission_id", id)];
        portal.post_with("/service/cancel", &fields, &cookie).await
    };
    let reference = send().await.reference();
    assert_eq!(send().await.reference(), reference, "while it is pending");
    portal.work().await;
    assert_eq!(routes(&portal).await, []);
    assert_eq!(send().await.reference(), reference, "and when it is done");
    assert_eq!(portal.number("SELECT count(*) FROM request").await, 2);
    // Nothing else can be sent under that id.
    let id: &str = id;
    for path in ["/service/edit", "/service/cancel"] {
        let mut fields = edit(id, &[("sip.contoso.com", "contoso.com")], &[]);
        fields.push(("action", "submit"));
        if path == "/service/cancel" {
            fields = vec![("submission_id", id)];
        }
        let other = portal.post_with(path, &fields, &cookie).await;
        assert_eq!(other.status, StatusCode::CONFLICT, "{path}");
    }
    let damaged = [("confirm", "on"), ("submission_id", "1")];
    let damaged = portal.post_with("/service/cancel", &damaged, &cookie).await;
    assert_eq!(damaged.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn a_cancel_empties_the_service_and_an_update_fills_it_again() {
    let portal = TestApp::new().await;
    let (_, cookie) = service(&portal).await;
    let page = portal.get_with("/service/cancel", &cookie).await;
    page.shows("3 SIP domains stop");
    let unconfirmed = portal.post_with("/service/cancel", &[], &cookie).await;
    assert_eq!(unconfirmed.status, StatusCode::UNPROCESSABLE_ENTITY);
    let reference = portal
        .post_with("/service/cancel", &[("confirm", "on")], &cookie)
        .await
        .reference();
    let twice = portal
        .post_with("/service/cancel", &[("confirm", "on")], &cookie)
        .await;
    assert_eq!(twice.status, StatusCode::CONFLICT);
    assert_eq!(routes(&portal).await.len(), 3);
    assert_eq!(portal.work().await.provisioned, 1);
    assert_eq!(routes(&portal).await, []);
    let status = portal.get(&format!("/requests/{reference}")).await;
    status.shows("The service is cancelled");
    let empty = portal
        .post_with("/service/cancel", &[("confirm", "on")], &cookie)
        .await;
    assert_eq!(empty.status, StatusCode::CONFLICT);
    send_edit(
        &portal,
        &cookie,
        &[("sip.contoso.com", "contoso.com")],
        &[("action", "submit")],
    )
    .await
    .reference();
    portal.work().await;
    assert_eq!(routes(&portal).await.len(), 1);
}

#[tokio::test]
async fn a_new_key_replaces_the_old_one_and_ends_other_sessions() {
    let portal = TestApp::new().await;
    let (old, cookie) = service(&portal).await;
    let other = sign_in(&portal, &old).await;
    let made = portal.post_with("/service/key", &[], &cookie).await;
    assert_eq!(made.header("location"), "/service/key");
    let shown = portal
        .get_with("/service/key", &format!("{cookie}; {}", made.cookie()))
        .await;
    let new = shown
        .attribute("data-management-key")
        .expect("the new key")
        .to_owned();
    assert_ne!(new, old);
    let without = portal.get_with("/service/key", &cookie).await;
    assert_eq!(without.attribute("data-management-key"), None);
    assert_led_away(&portal.get_with("/service/edit", &other).await);
    assert_eq!(
        portal.get_with("/service/edit", &cookie).await.status,
        StatusCode::OK
    );
    let refused = portal
        .post(
            "/service",
            &[("number", "1234567"), ("management_key", &old)],
        )
        .await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    sign_in(&portal, &new).await;
}

#[tokio::test]
async fn a_wrong_number_and_a_wrong_key_get_the_same_answer() {
    let portal = TestApp::new().await;
    let (key, cookie) = service(&portal).await;
    let asked = |number: &'static str, key: &str| {
        let (portal, key) = (&portal, key.to_owned());
        async move {
            let answer = portal
                .post("/service", &[("number", number), ("management_key", &key)])
                .await;
            (answer.status, answer.body.replace(number, "N"))
        }
    };
    let wrong_key = "0000-0000-0000-0000-0000-0000-00";
    let one = asked("1234567", wrong_key).await;
    assert_eq!(one.0, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(one, asked("7654321", &key).await);
    assert_eq!(one, asked("7654321", wrong_key).await);
    // What no key looks like is told beside its field, whether the number exists or not.
    let half = asked("1234567", "what").await;
    assert_eq!(half, asked("7654321", "what").await);
    assert!(half.1.contains("That is no whole management key"));
    let empty = portal.post("/service", &[]).await;
    for (field, told) in [
        ("number", "Enter the agreement number"),
        ("management_key", "Enter the management key"),
    ] {
        assert!(
            empty.body.contains(&format!("href=\"#{field}\">{told}<")),
            "{told}"
        );
    }

    let out = portal.post_with("/service/sign-out", &[], &cookie).await;
    assert_led_away(&out);
    assert_led_away(&portal.get_with("/service/edit", &cookie).await);
    assert_eq!(portal.number("SELECT count(*) FROM session").await, 0);
}

#[tokio::test]
async fn who_moves_domains_to_another_edge_is_told_in_which_order() {
    let (world, _edge) = World::with("contoso.com").await;
    let portal = TestApp::checking(world.enforce()).await;
    let (_, cookie) = provisioned(&portal, &[("sip.contoso.com", "contoso.com")]).await;
    let after = [("edge.contoso.com", "contoso.com")];
    let review = send_edit(&portal, &cookie, &after, &[("action", "review")]).await;
    let order = "get the new server and its certificate ready, send the changes, publish the new SRV \
                 record, then remove the old one";
    review.shows(order);
}
