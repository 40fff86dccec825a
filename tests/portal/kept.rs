//! Checks that what was typed is not lost: by Back and Forward, by a session that ended, by a slip in
//! a request that is pending, or by a request that has ended.

use std::time::Duration;

use axum::http::StatusCode;

use crate::{
    service::{edit, provisioned, send_edit, sign_in},
    support::app::{Answer, TestApp, request, submission_id},
    swaps::{claim, settle},
};

const EDGE: &str = "sip.contoso.com";

/// The names of the fields of a page with their values.
fn fields(page: &Answer) -> Vec<(String, String)> {
    let fields = page.elements().into_iter();
    let fields = fields.filter(|it| ["input", "textarea"].contains(&it.name.as_str()));
    fields
        .filter_map(|it| Some((it.get("name")?.to_owned(), it.value().to_owned())))
        .collect()
}

/// The value of the first field of that name.
fn value(page: &Answer, name: &str) -> Option<String> {
    fields(page)
        .into_iter()
        .find_map(|(n, value)| (n == name).then_some(value))
}

async fn timeline(portal: &TestApp, reference: &str) -> Vec<String> {
    portal.of_request(reference, "SELECT e.code FROM timeline e JOIN request r ON r.id = e.request_id WHERE r.reference = $1 ORDER BY seq").await
}

async fn key_and_token(portal: &TestApp) -> (Vec<u8>, String) {
    sqlx::query_as("SELECT key_hash, token FROM service ORDER BY id DESC LIMIT 1")
        .fetch_one(portal.pool())
        .await
        .unwrap()
}

#[tokio::test]
async fn browsers_keep_forms_and_reviews_and_no_page_with_a_key() {
    let portal = TestApp::new().await;
    let (reference, key) = portal.submit(&[(EDGE, "contoso.com")]).await;
    portal.work().await;
    let cookie = sign_in(&portal, &key).await;
    let id = submission_id();
    let mut review = request(&id, &[(EDGE, "it.contoso.com")]);
    review.retain(|(name, _)| *name != "action");
    review.push(("action", "review"));
    let change = edit(&id, &[(EDGE, "it.contoso.com")], &[("action", "review")]);
    for (path, page) in [
        ("form", portal.get("/requests/new").await),
        ("answers", portal.post("/requests/new", &review).await),
        ("check", portal.get("/check").await),
        ("find", portal.get("/status").await),
        ("address", portal.get("/help/address").await),
        ("edit", portal.get_with("/service/edit", &cookie).await),
        (
            "review",
            portal.post_with("/service/edit", &change, &cookie).await,
        ),
    ] {
        assert_eq!(page.status, StatusCode::OK, "{path}");
        assert_eq!(page.header("cache-control"), "private, no-cache", "{path}");
        let mut elements = page.elements().into_iter();
        assert!(
            !elements.any(|it| it.get("autocomplete") == Some("off")),
            "{path}"
        );
    }
    let sent = portal
        .post(
            "/requests/new",
            &request(&submission_id(), &[(EDGE, "a.example")]),
        )
        .await;
    assert_eq!(
        (sent.status, sent.header("cache-control")),
        (StatusCode::SEE_OTHER, "no-store")
    );
    for path in [
        &format!("/requests/{reference}/receipt"),
        "/service",
        "/service/key",
        "/service/cancel",
    ] {
        let page = portal.get_with(path, &cookie).await;
        assert_eq!(page.header("cache-control"), "no-store", "{path}");
    }

    // A password manager may keep the key with the number.
    let door = portal.get("/service").await.elements();
    let field = |name: &str| door.iter().find(|it| it.is_field(name)).unwrap();
    assert_eq!(field("number").get("autocomplete"), Some("username"));
    let key = field("management_key");
    assert_eq!(
        (key.get("type"), key.get("autocomplete")),
        (Some("password"), Some("current-password"))
    );
}

#[tokio::test]
async fn a_session_that_ended_carries_the_form_through_signing_in() {
    let portal = TestApp::new().await;
    let (_, key) = portal.submit(&[(EDGE, "contoso.com")]).await;
    portal.work().await;
    let cookie = sign_in(&portal, &key).await;
    portal.advance(Duration::from_mins(31)).await;
    let door = send_edit(
        &portal,
        &cookie,
        &[(EDGE, "contoso.com it.contoso.com")],
        &[("action", "submit")],
    )
    .await;
    assert_eq!(door.status, StatusCode::UNPROCESSABLE_ENTITY);
    door.shows("You were signed out");
    door.shows("What you typed is kept");
    assert!(door.blames("number"));

    let wrong = |number: &str, key: &str| {
        let mut sent = fields(&door);
        for (name, value) in &mut sent {
            match name.as_str() {
                "number" => number.clone_into(value),
                "management_key" => key.clone_into(value),
                _ => {}
            }
        }
        sent
    };
    let post = async |sent: Vec<(String, String)>| {
        let sent: Vec<_> = sent.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        portal.post("/service/edit", &sent).await
    };
    let refused = post(wrong("1234567", "0000-0000-0000-0000-0000-0000-00")).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(
        value(&refused, "domains"),
        value(&door, "domains"),
        "it is kept"
    );
    assert_eq!(value(&refused, "management_key"), Some(String::new()));

    // Straight to the review: nothing is sent unseen.
    let review = post(wrong("1234567", &key)).await;
    assert_eq!(review.status, StatusCode::OK, "{}", review.body);
    review.shows("Check your changes");
    review.shows("it.contoso.com");
    assert_eq!(portal.number("SELECT count(*) FROM request").await, 1);
    let cookie = review.cookie();
    let mut sent = review.hidden();
    sent.push(("action".into(), "submit".into()));
    let sent: Vec<_> = sent.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let sent = portal.post_with("/service/edit", &sent, &cookie).await;
    assert!(portal.state(&sent.reference()).await == "pending");

    // Without anything typed the door leads to the form.
    let door = portal.get("/service?then=edit").await;
    let to = door.elements();
    assert!(
        to.iter()
            .any(|it| it.get("action") == Some("/service/edit"))
    );
    let through = portal
        .post(
            "/service/edit",
            &[("number", "1234567"), ("management_key", &key)],
        )
        .await;
    assert_eq!(through.header("location"), "/service/edit");
    let page = portal
        .get_with("/service?then=edit", &through.cookie())
        .await;
    assert_eq!(page.header("location"), "/service/edit");
}

#[tokio::test]
async fn a_pending_request_is_corrected_in_place() {
    let portal = TestApp::new().await;
    portal.submit(&[("sip.other.com", "contso.com")]).await;
    portal.work().await;
    let (reference, key) = portal.submit(&[("sip.contso.com", "contso.com")]).await;
    assert_eq!(portal.work().await.held, 1);
    let page = portal.get(&format!("/requests/{reference}")).await;
    let links = page.elements();
    assert!(
        links
            .iter()
            .any(|it| it.get("href") == Some("/service?then=edit"))
    );
    let cookie = sign_in(&portal, &key).await;
    let before = key_and_token(&portal).await;

    let form = portal.get_with("/service/edit", &cookie).await;
    assert_eq!(form.status, StatusCode::OK);
    assert_eq!(value(&form, "edge").as_deref(), Some("sip.contso.com"));
    let warns = "Giving a domain in force another Access Edge FQDN";
    assert!(!form.body.contains(warns), "nothing is in force");
    assert_eq!(
        value(&form, "corrects").as_deref(),
        Some(reference.as_str())
    );
    let id = submission_id();
    let right = [(EDGE, "contoso.com it.contoso.com")];
    let with = |action| edit(&id, &right, &[("corrects", &reference), ("action", action)]);
    let review = portal
        .post_with("/service/edit", &with("review"), &cookie)
        .await;
    assert!(review.body.contains("Asked for so far") && review.body.contains("contso.com"));
    review.shows_each([
        "is asked for at sip.contoso.com<",
        "is no longer asked for at sip.contso.com<",
    ]);
    assert!(!review.body.contains("force at"), "nothing is in force");
    for _ in 0..2 {
        let sent = portal
            .post_with("/service/edit", &with("submit"), &cookie)
            .await;
        assert_eq!(
            sent.header("location"),
            format!("/requests/{reference}"),
            "a retry too"
        );
    }
    assert_eq!(
        timeline(&portal, &reference).await,
        ["submitted", "held", "corrected"]
    );
    assert_eq!(
        portal
            .number("SELECT count(*) FROM finding WHERE code = 'domain-held'")
            .await,
        0
    );
    assert_eq!(portal.work().await.provisioned, 1);
    assert_eq!(
        portal
            .number("SELECT count(*) FROM route WHERE access_edge = 'sip.contoso.com'")
            .await,
        2
    );
    assert_eq!(key_and_token(&portal).await, before);

    // Too late: what was typed stays, for an update.
    let late = [(EDGE, "contoso.com new.contoso.com")];
    let late = edit(
        &id,
        &late,
        &[("corrects", &reference), ("action", "submit")],
    );
    let late = portal.post_with("/service/edit", &late, &cookie).await;
    assert_eq!(late.status, StatusCode::UNPROCESSABLE_ENTITY);
    late.shows("has ended in the meantime");
    assert!(value(&late, "domains").unwrap().contains("new.contoso.com"));
    assert_eq!(value(&late, "corrects"), None);
}

/// A pending update was never in force: its review tells what is asked for, and what that means for
/// what is in force.
#[tokio::test]
async fn a_correction_of_an_update_is_told_beside_what_is_in_force() {
    let portal = TestApp::new().await;
    let (_, cookie) = provisioned(&portal, &[(EDGE, "contoso.com it.contoso.com")]).await;
    let send = async |edges: &[(&str, &str)], more: &[(&str, &str)]| {
        send_edit(&portal, &cookie, edges, more).await
    };
    let update = [(EDGE, "contoso.com"), ("new.contoso.com", "new.example")];
    let reference = send(&update, &[("action", "submit")]).await.reference();
    let correct = async |edges: &[(&str, &str)], action| {
        let more = [
            ("corrects", reference.as_str()),
            ("confirm_edge_change", "on"),
            ("action", action),
        ];
        send(edges, &more).await
    };

    let review = correct(&[(EDGE, "it.contoso.com new.example")], "review").await;
    let lines = [
        "is no longer asked for at sip.contoso.com, and goes out of force when this request is provisioned",
        "is asked for at sip.contoso.com, where it is in force",
        "is asked for at sip.contoso.com, instead of new.contoso.com",
    ];
    review.shows_each(lines);
    review.hides_each(["in force no more", "comes into force", "moves from"]);

    // What is in force already is no update.
    for action in ["review", "submit"] {
        let same = correct(&[(EDGE, "contoso.com it.contoso.com")], action).await;
        assert_eq!(same.status, StatusCode::UNPROCESSABLE_ENTITY, "{action}");
        assert!(same.body.contains("Nothing would change"), "{}", same.body);
        let way = format!("/requests/{reference}#withdraw");
        let elements = same.elements();
        assert!(elements.iter().any(|it| it.get("href") == Some(&way)));
    }
    assert_eq!(timeline(&portal, &reference).await, ["submitted"]);
}

#[tokio::test]
async fn a_check_that_was_under_way_says_nothing_about_what_was_corrected() {
    let portal = TestApp::new().await;
    let (reference, key) = portal.submit(&[("sip.contso.com", "contso.com")]).await;
    let cookie = sign_in(&portal, &key).await;
    let claim = claim(&portal, 500).await;
    send_edit(
        &portal,
        &cookie,
        &[(EDGE, "contoso.com")],
        &[("corrects", &reference), ("action", "submit")],
    )
    .await;
    let settled = settle(portal.pool(), &claim, &[]).await;
    assert_eq!(settled.provisioned, 0, "the claim was lost");
    assert_eq!(portal.number("SELECT count(*) FROM route").await, 0);
    assert_eq!(portal.work().await.provisioned, 1);
    let wrong = "SELECT count(*) FROM route WHERE sip_domain = 'contso.com'";
    assert_eq!(portal.number(wrong).await, 0);
}

#[tokio::test]
async fn a_correction_is_held_to_the_rules_of_a_request_by_sql_too() {
    let portal = TestApp::new().await;
    let (reference, _) = portal.submit(&[(EDGE, "contoso.com")]).await;
    for (edges, places, domains) in [
        ("{}", "{}", "{}"),
        ("{sip.contoso.com,edge.contoso.com}", "{1}", "{contoso.com}"),
        ("{sip.contoso.com}", "{1}", "{sip.contoso.com}"),
        (
            "{sip.contoso.com,sip.contoso.com}",
            "{1,2}",
            "{a.example,b.example}",
        ),
    ] {
        let refused = sqlx::query(
            "SELECT pic_correct(1, $1, NULL, 'split', $2::text[], $3::smallint[], $4::text[])",
        )
        .bind(&reference)
        .bind(edges)
        .bind(places)
        .bind(domains)
        .execute(portal.pool())
        .await;
        let refused = refused.unwrap_err().into_database_error().unwrap();
        assert!(
            refused.constraint().is_some(),
            "{edges} {domains}: {refused}"
        );
    }
    let other = "SELECT count(*) FROM (SELECT 1 WHERE pic_correct(2, (SELECT reference FROM request), '7', 'split', '{sip.contoso.com}', '{1}', '{a.example}')) n";
    assert_eq!(portal.number(other).await, 0, "of another service");
    assert_eq!(timeline(&portal, &reference).await, ["submitted"]);
}

#[tokio::test]
async fn a_request_that_stands_in_the_way_is_corrected_with_what_was_typed() {
    let portal = TestApp::new().await;
    let (first, key) = portal.submit(&[(EDGE, "contoso.com")]).await;
    let cookie = sign_in(&portal, &key).await;
    let there = send_edit(
        &portal,
        &cookie,
        &[(EDGE, "new.contoso.com")],
        &[("action", "submit")],
    )
    .await;
    assert_eq!(there.status, StatusCode::CONFLICT);
    let (_, form) = there.body.split_once("name=\"corrects\" value=\"").unwrap();
    assert!(form.starts_with(&first));
}

#[tokio::test]
async fn what_has_ended_is_started_again_with_its_names() {
    let portal = TestApp::new().await;
    let (reference, key) = portal.submit(&[(EDGE, "contoso.com it.contoso.com")]).await;
    let page = format!("/requests/{reference}");
    assert!(
        !portal
            .get(&page)
            .await
            .body
            .contains("Start again with these names")
    );
    portal
        .post(&format!("{page}/withdraw"), &[("management_key", &key)])
        .await;
    let page = portal.get(&page).await;
    page.shows("Start again with these names");
    let mut sent = page.hidden();
    assert!(
        sent.iter().all(|(name, _)| name != "number"),
        "the number is not public"
    );
    sent.retain(|(name, _)| name != "management_key");
    let sent: Vec<_> = sent.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let ids: Vec<_> = [
        portal.post("/requests/new", &sent).await,
        portal.post("/requests/new", &sent).await,
    ]
    .iter()
    .map(|form| {
        assert_eq!(form.status, StatusCode::OK, "{}", form.body);
        assert_eq!(value(form, "edge").as_deref(), Some(EDGE));
        assert_eq!(
            value(form, "domains").as_deref(),
            Some("contoso.com\nit.contoso.com")
        );
        value(form, "submission_id").unwrap()
    })
    .collect();
    assert!(
        ids[0].len() == 36 && ids[0] != ids[1],
        "each is a form of its own"
    );
}

#[tokio::test]
async fn check_again_says_what_became_of_it() {
    let portal = TestApp::new().await;
    let (reference, _) = portal.submit(&[(EDGE, "contoso.com")]).await;
    let path = format!("/requests/{reference}/check-again");
    let asked = portal.post(&path, &[]).await;
    let to = asked
        .header("location")
        .split('#')
        .next()
        .unwrap()
        .to_owned();
    assert_eq!(to, format!("/requests/{reference}?again=0"));
    let page = portal.get(&to).await;
    page.shows("role=\"status\"");
    page.shows("A check was asked for");
    portal.run("UPDATE work SET checked_at = pic_now()").await;
    let page = portal.get(&to).await;
    page.shows("Checked just now");
    let early = portal.post(&path, &[]).await;
    let to = early
        .header("location")
        .split('#')
        .next()
        .unwrap()
        .to_owned();
    assert!(to.ends_with("?again=early"), "{to}");
    assert!(portal.get(&to).await.body.contains("Nothing was checked"));
    let typed = portal
        .get(&format!("/requests/{reference}?again=%3Cb%3E"))
        .await;
    typed.hides("role=\"status\"");
    typed.hides("<b>");
}

#[tokio::test]
async fn a_split_domain_that_waits_says_what_to_leave_off() {
    let portal = TestApp::new().await;
    let id = submission_id();
    let mut fields = request(&id, &[(EDGE, "contoso.com")]);
    for (name, value) in &mut fields {
        if *name == "deployment" {
            *value = "split";
        }
    }
    let reference = portal.post("/requests/new", &fields).await.reference();
    let page = portal.get(&format!("/requests/{reference}")).await;
    page.shows_each([
        "Leave external communications off online",
        "split domain)",
        "Volume Licensing",
        "1*****7",
    ]);
    // Where it was requested, and on what is kept of it.
    for file in ["receipt", "receipt.txt"] {
        let receipt = portal.get(&format!("/requests/{reference}/{file}")).await;
        receipt.shows_each([
            "Leave external communications off online",
            "split domain)",
            "Volume Licensing",
            "1234567",
            "if no other service holds one of the domains",
        ]);
    }
    portal.work().await;
    for page in ["", "/receipt"] {
        let page = portal.get(&format!("/requests/{reference}{page}")).await;
        assert!(!page.body.contains("Leave external communications off"));
    }
}

#[tokio::test]
async fn the_agreement_number_of_the_first_request_can_be_corrected() {
    let portal = TestApp::new().await;
    let (reference, key) = portal.submit(&[(EDGE, "contoso.com")]).await;
    let cookie = sign_in(&portal, &key).await;
    let form = portal.get_with("/service/edit", &cookie).await;
    assert_eq!(value(&form, "corrected_number").as_deref(), Some("1234567"));
    let id = submission_id();
    let with = |number, action| {
        let more = [
            ("corrects", reference.as_str()),
            ("corrected_number", number),
            ("action", action),
        ];
        edit(&id, &[(EDGE, "contoso.com")], &more)
    };
    let answered =
        async |fields: Vec<(&str, &str)>| portal.post_with("/service/edit", &fields, &cookie).await;
    let same = answered(with("1234567", "review")).await;
    assert_eq!(same.status, StatusCode::UNPROCESSABLE_ENTITY);
    same.shows("Nothing would change");
    let wrong = answered(with("a name", "submit")).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.blames("number"), "{}", wrong.body);
    let review = answered(with("7654321", "review")).await;
    review.shows("in place of 1234567");
    let carried = review.hidden();
    assert!(carried.contains(&("corrected_number".into(), "7654321".into())));
    for _ in 0..2 {
        let sent = answered(with("7654321", "submit")).await;
        let page = format!("/requests/{reference}");
        assert_eq!(sent.header("location"), page, "a retry too");
    }
    assert_eq!(
        timeline(&portal, &reference).await,
        ["submitted", "corrected"]
    );
    let open = async |number| {
        let fields = [("number", number), ("management_key", key.as_str())];
        portal.post("/service", &fields).await.status
    };
    assert_eq!(open("7654321").await, StatusCode::SEE_OTHER);
    assert_eq!(open("1234567").await, StatusCode::UNPROCESSABLE_ENTITY);
    // Once it is in force, the number is that of the service.
    portal.work().await;
    let update = [(EDGE, "contoso.com new.contoso.com")];
    let update = answered(edit(&id, &update, &[("action", "submit")]))
        .await
        .reference();
    let form = portal.get_with("/service/edit", &cookie).await;
    assert_eq!(value(&form, "corrected_number"), None);
    let more = [
        ("corrects", update.as_str()),
        ("corrected_number", "1111111"),
        ("action", "submit"),
    ];
    let sent = answered(edit(&id, &[(EDGE, "contoso.com it.contoso.com")], &more)).await;
    assert_eq!(sent.status, StatusCode::SEE_OTHER);
    assert_eq!(open("7654321").await, StatusCode::SEE_OTHER);
}
