//! Checks what agents do to many requests: marks, lists that lead on, actions on several at once.

use std::time::Duration;

use axum::http::StatusCode;
use pic_portal::staff::Role;

use super::signed_in;
use crate::support::app::{Answer, TestApp};

const BULK: &str = "/staff/requests/bulk";

/// The audit of what was done, oldest first: account, action, reason or mark.
async fn audit(portal: &TestApp) -> Vec<String> {
    portal.all("SELECT concat_ws(' ', s.name, a.action, a.reason, a.mark) FROM staff_audit a JOIN staff s ON s.id = a.staff_id
         WHERE action NOT IN ('signed-in', 'looked') ORDER BY a.id").await
}

/// The references that a page links to, in its order.
fn listed(page: &Answer) -> Vec<String> {
    let links = page.elements().into_iter();
    let links = links.filter_map(|it| it.get("href").map(str::to_owned));
    links
        .filter_map(|href| Some(href.strip_prefix("/staff/requests/")?.get(..23)?.to_owned()))
        .collect()
}

/// The address of the first link with this `rel`.
fn rel(page: &Answer, rel: &str) -> Option<String> {
    let mut links = page.elements().into_iter();
    let link = links.find(|it| it.get("rel") == Some(rel))?;
    link.get("href").map(str::to_owned)
}

#[tokio::test]
async fn a_mark_is_set_once_recorded_and_found() {
    let portal = TestApp::new().await;
    let (reference, _) = portal.submit(&[("sip.contoso.com", "contoso.com")]).await;
    let other = portal.store_one(&[("sip.b.example", "b.example")]).await;
    let anna = signed_in(&portal, "anna", Role::Agent).await;
    let bert = signed_in(&portal, "bert", Role::Agent).await;
    let path = format!("/staff/requests/{reference}/mark?mark=called");
    for (cookie, field, mark) in [
        (&anna, "set", "taken"),
        (&anna, "set", "taken"),
        (&anna, "set", "called"),
        (&bert, "set", "called"),
        (&bert, "set", "taken"),
        (&anna, "remove", "escalated"),
        (&bert, "remove", "called"),
        (&anna, "set", "waits-for-licensing"),
    ] {
        let done = portal.post_with(&path, &[(field, mark)], cookie).await;
        assert_eq!(
            done.header("location"),
            format!("/staff/requests/{reference}?mark=called"),
            "back in the list"
        );
    }
    assert_eq!(
        audit(&portal).await,
        [
            "anna marked taken",
            "anna marked called",
            "bert marked taken",
            "bert unmarked called",
            "anna marked waits-for-licensing",
        ]
    );
    for fields in [&[("set", "ask for Ted")][..], &[], &[("note", "taken")]] {
        let refused = portal.post_with(&path, fields, &anna).await;
        assert_eq!(
            refused.status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{fields:?}"
        );
    }
    let nobody = "/staff/requests/PIC-0000-0000-0000-0000/mark";
    let none = portal.post_with(nobody, &[("set", "taken")], &anna).await;
    assert_eq!(none.status, StatusCode::NOT_FOUND);

    for (query, cookie, expected) in [
        ("mine=on", &bert, &[&reference][..]),
        ("mine=on", &anna, &[]),
        ("mark=taken", &anna, &[&reference]),
        (
            "mark=waits-for-licensing&state=pending",
            &anna,
            &[&reference],
        ),
        ("mark=called", &anna, &[]),
        ("", &anna, &[&reference, &other]),
    ] {
        let page = portal
            .get_with(&format!("/staff/requests?{query}"), cookie)
            .await;
        let expected: Vec<&str> = expected.iter().map(|it| it.as_str()).collect();
        assert_eq!(listed(&page), expected, "{query}");
        if !expected.is_empty() {
            assert!(page.body.contains("Taken by bert"), "{query}");
        }
    }
    let page = portal
        .get_with(&format!("/staff/requests/{reference}"), &anna)
        .await;
    assert!(
        page.body
            .contains("<strong>Waits for licensing</strong> by anna")
    );
    // Another's is taken over, knowingly; one's own is not.
    let several = chosen("take", std::slice::from_ref(&reference), &[]);
    for (cookie, is_anothers) in [(&anna, true), (&bert, false)] {
        let page = portal
            .get_with(&format!("/staff/requests/{reference}"), cookie)
            .await;
        assert_eq!(page.body.contains("Take it over"), is_anothers);
        let preview = portal.post_with(BULK, &several, cookie).await;
        let told = &preview.body;
        assert!(told.contains("Taken by bert"), "{told}");
        let warned = told.contains("1 request is taken by others: you take over.");
        assert_eq!(warned, is_anothers, "{told}");
    }
    // A mark is the desk's alone.
    let seen = portal.get(&format!("/requests/{reference}")).await;
    seen.hides("icensing</strong>");
    seen.hides("anna");
}

#[tokio::test]
async fn a_list_leads_from_request_to_request() {
    let portal = TestApp::new().await;
    let agent = signed_in(&portal, "anna", Role::Agent).await;
    portal.store(53).await;
    let all: Vec<String> = portal
        .all("SELECT reference FROM request ORDER BY id")
        .await;
    let list = portal.get_with("/staff/requests", &agent).await;
    let links = list.elements().into_iter();
    let mut links = links.filter_map(|it| it.get("href").map(str::to_owned));
    let first = links.find(|href| href.contains("/PIC-")).unwrap();
    assert_eq!(first, format!("/staff/requests/{}?ours=on", all[0]));
    let (mut path, mut seen) = (first.clone(), Vec::new());
    loop {
        let page = portal.get_with(&path, &agent).await;
        assert_eq!(page.status, StatusCode::OK);
        seen.push(path[16..39].to_owned());
        match rel(&page, "next") {
            Some(next) => path = next,
            None => break,
        }
    }
    assert_eq!(seen, all, "beyond the first page too");
    assert_eq!(
        path,
        format!("/staff/requests/{}?ours=on&after=50", all[52])
    );
    let mut back = vec![path[16..39].to_owned()];
    while let Some(previous) = rel(&portal.get_with(&path, &agent).await, "prev") {
        path = previous;
        back.insert(0, path[16..39].to_owned());
    }
    assert_eq!(back, all, "and back");
    assert_eq!(path, first);

    // What has left the list keeps its place in it.
    let second = format!("/staff/requests/{}/refuse?ours=on", all[1]);
    let fields = [("reason", "policy"), ("confirm", "on")];
    let done = portal.post_with(&second, &fields, &agent).await;
    let page = portal.get_with(done.header("location"), &agent).await;
    assert_eq!(rel(&page, "prev").unwrap()[16..39], all[0]);
    assert_eq!(rel(&page, "next").unwrap()[16..39], all[2]);
    let page = portal
        .get_with(
            &format!("/staff/requests/{}?state=rejected", all[1]),
            &agent,
        )
        .await;
    assert_eq!((rel(&page, "prev"), rel(&page, "next")), (None, None));
    let alone = portal
        .get_with(&format!("/staff/requests/{}", all[1]), &agent)
        .await;
    alone.hides("aria-label=\"List\"");
    let wrong = portal
        .get_with(&format!("/staff/requests/{}?state=done", all[1]), &agent)
        .await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
}

/// The fields of the form for several requests.
fn chosen<'a>(
    action: &'a str,
    references: &'a [String],
    more: &[(&'a str, &'a str)],
) -> Vec<(&'a str, &'a str)> {
    let mut fields = vec![
        ("action", action),
        ("back", "/staff/requests?state=pending"),
    ];
    fields.extend(references.iter().map(|it| ("request", it.as_str())));
    fields.extend(more);
    fields
}

#[tokio::test]
async fn whoever_has_to_sign_in_first_comes_back_to_the_list() {
    let portal = TestApp::new().await;
    let agent = signed_in(&portal, "anna", Role::Agent).await;
    portal.store(2).await;
    let all: Vec<String> = portal
        .all("SELECT reference FROM request ORDER BY id")
        .await;
    let list = portal
        .get_with("/staff/requests?state=pending", &agent)
        .await;
    let preview = portal
        .post_with(BULK, &chosen("take", &all, &[]), &agent)
        .await;
    for page in [list, preview] {
        let mut forms = page.elements().into_iter();
        let of_many = forms.find_map(|it| {
            let action = it.get("action")?;
            action.starts_with(BULK).then(|| action.to_owned())
        });
        let of_many = of_many.unwrap();
        assert_eq!(of_many, format!("{BULK}?state=pending"));
        let ended = portal
            .post_with(&of_many, &chosen("take", &all, &[]), "")
            .await;
        assert_eq!(
            ended.header("location"),
            "/staff/sign-in?next=%2Fstaff%2Frequests%3Fstate%3Dpending"
        );
    }
}

#[tokio::test]
async fn of_a_refusal_the_administrator_sees_why_of_a_cancelled_service_the_desk_alone() {
    let portal = TestApp::new().await;
    let agent = signed_in(&portal, "anna", Role::Agent).await;
    portal.submit(&[("sip.contoso.com", "contoso.com")]).await;
    portal.work().await;
    portal.store(1).await;
    let all: Vec<String> = portal
        .all("SELECT reference FROM request ORDER BY id")
        .await;
    for (action, of, is_told) in [("refuse", 1..2, true), ("cancel", 0..1, false)] {
        let page = portal
            .post_with(BULK, &chosen(action, &all[of], &[]), &agent)
            .await;
        let told = page.body.contains("shown to the administrator");
        assert_eq!(told, is_told, "{action}");
    }
}

#[tokio::test]
async fn several_are_acted_on_once_it_was_shown_and_each_is_recorded() {
    let portal = TestApp::new().await;
    let agent = signed_in(&portal, "anna", Role::Agent).await;
    portal.submit(&[("sip.contoso.com", "contoso.com")]).await;
    portal.work().await;
    portal.store(4).await;
    let all: Vec<String> = portal
        .all("SELECT reference FROM request ORDER BY id")
        .await;
    let state = async |place: usize| portal.state(&all[place]).await;
    let nothing = audit(&portal).await;

    // Nothing is done before it is confirmed, and never without a reason.
    for (fields, status) in [
        (&[][..], StatusCode::OK),
        (&[("go", "on")], StatusCode::UNPROCESSABLE_ENTITY),
        (
            &[("go", "on"), ("confirm", "on")],
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (
            &[("go", "on"), ("reason", "duplicate")],
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (
            &[("go", "on"), ("confirm", "on"), ("reason", "owner-asked")],
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (
            &[("confirm", "on"), ("reason", "duplicate")],
            StatusCode::OK,
        ),
    ] {
        let page = portal
            .post_with(BULK, &chosen("refuse", &all[..3], fields), &agent)
            .await;
        assert_eq!(page.status, status, "{fields:?}");
        page.shows("Refuse 2 requests");
        assert!(page.body.contains("Left out"), "one is in force");
        assert_eq!(state(1).await, "pending");
    }
    assert_eq!(audit(&portal).await, nothing);
    let sure = [("go", "on"), ("confirm", "on"), ("reason", "duplicate")];
    let page = portal
        .post_with(BULK, &chosen("refuse", &all[..3], &sure), &agent)
        .await;
    page.shows("Refused: 2 requests");
    let lines = page.elements().into_iter();
    let states: Vec<_> = lines
        .filter_map(|it| it.get("data-state").map(str::to_owned))
        .collect();
    assert_eq!(
        states,
        ["rejected", "rejected", "provisioned"],
        "as they are now"
    );
    page.shows("href=\"/staff/requests?state=pending\"");
    assert_eq!(state(1).await, "rejected");
    assert_eq!(state(2).await, "rejected");
    assert_eq!(audit(&portal).await, ["anna refused duplicate"; 2]);
    let page = portal.get_with("/staff/audit", &agent).await.body;
    assert!(
        page.contains("Another request asks for the same") && !page.contains("takes its place"),
        "{page}"
    );
    let again = portal
        .post_with(BULK, &chosen("refuse", &all[..3], &sure), &agent)
        .await;
    again.shows("Refused: 0 requests");

    for (action, of, more, noted) in [
        ("take", 3..5, &[("go", "on")][..], "anna marked taken"),
        ("give-back", 3..5, &[("go", "on")], "anna unmarked taken"),
        ("check-again", 3..5, &[("go", "on")], "anna checked-again"),
        (
            "withdraw",
            3..5,
            &[("go", "on"), ("confirm", "on")],
            "anna withdrew",
        ),
        (
            "cancel",
            0..1,
            &[("go", "on"), ("confirm", "on"), ("reason", "owner-asked")],
            "anna cancelled owner-asked",
        ),
    ] {
        let before = audit(&portal).await.len();
        let many = of.len();
        let page = portal
            .post_with(BULK, &chosen(action, &all[of], more), &agent)
            .await;
        assert_eq!(page.status, StatusCode::OK, "{action}: {}", page.body);
        assert!(!page.body.contains("Left out"), "{action}");
        assert_eq!(
            audit(&portal).await[before..],
            vec![noted; many],
            "{action}"
        );
    }
    assert_eq!(state(3).await, "withdrawn");
    portal.work().await;
    assert_eq!(portal.number("SELECT count(*) FROM route").await, 0);
}

#[tokio::test]
async fn a_form_for_several_that_no_page_has_is_refused() {
    let portal = TestApp::new().await;
    let agent = signed_in(&portal, "anna", Role::Agent).await;
    let all = [portal.store_one(&[("sip.b.example", "b.example")]).await];
    // Another address to go back to, other fields, too many.
    let mut fields = chosen("take", &all, &[]);
    fields[1].1 = "https://evil.example/";
    let page = portal.post_with(BULK, &fields, &agent).await;
    page.hides("evil.example");
    let many: Vec<String> = vec![all[0].clone(); 51];
    for fields in [
        chosen("delete", &all, &[]),
        chosen("take", &many, &[]),
        chosen("take", &["ted@contoso.com".to_owned()], &[]),
        chosen("take", &all, &[("note", "x")]),
    ] {
        let refused = portal.post_with(BULK, &fields, &agent).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
    let none = portal
        .post_with(BULK, &chosen("take", &[], &[]), &agent)
        .await;
    none.shows("No request was chosen");
}

#[tokio::test]
async fn the_first_page_is_what_waits_for_the_desk() {
    let portal = TestApp::new().await;
    portal.submit(&[("sip.contoso.com", "contoso.com")]).await;
    portal.work().await;
    let (held, _) = portal.submit(&[("sip.fabrikam.com", "contoso.com")]).await;
    portal.work().await;
    let waits = portal.store_one(&[("sip.b.example", "b.example")]).await;
    let shown = async |query: &str| {
        // The clock is moved by more than a session lasts.
        let name = format!("a{}", portal.number("SELECT count(*) FROM staff").await);
        let agent = signed_in(&portal, &name, Role::Reader).await;
        listed(
            &portal
                .get_with(&format!("/staff/requests{query}"), &agent)
                .await,
        )
    };
    assert_eq!(shown("").await, [waits.as_str()]);
    assert_eq!(shown("?needs=on").await, [held.as_str()]);
    portal.advance(Duration::from_hours(49)).await;
    assert_eq!(shown("").await, [held.as_str(), &waits], "held for long");
    assert_eq!(
        shown("?overdue=on").await,
        [waits.as_str()],
        "the administrator's time is not counted"
    );
    let desk = signed_in(&portal, "desk", Role::Reader).await;
    let page = portal
        .get_with("/staff/requests?state=pending", &desk)
        .await;
    assert!(
        page.body.contains("has waited for 49 hours"),
        "{}",
        page.body
    );
    // Both say why it is the desk's too.
    let why = "held by another service’s domain for more than 48 hours";
    let held_page = format!("/staff/requests/{held}");
    assert!(portal.get_with(&held_page, &desk).await.body.contains(why));
    assert_eq!(page.body.matches(why).count(), 1, "{}", page.body);
    // A reader has nothing to act with.
    page.hides("name=\"request\"");
    page.hides("/bulk");
    let of_reader = portal
        .get_with(&format!("/staff/requests/{held}"), &desk)
        .await;
    of_reader.hides("Take it");
    of_reader.hides("/mark");
    let page = portal.get(&format!("/requests/{held}")).await;
    page.shows("Waiting for you</dt><dd>for 49 hours");
    page.hides("past its promise");
    page.hides("<dt>Promised");

    // It becomes the portal's turn, and the promise counts from there.
    portal
        .run(
            "UPDATE finding SET code = 'resolver-unreachable', severity = 'unknown', at = pic_now()
              WHERE code = 'domain-held'",
        )
        .await;
    assert_eq!(shown("?overdue=on").await, [waits.as_str()]);
    portal.advance(Duration::from_hours(49)).await;
    assert_eq!(shown("?overdue=on").await, [held.as_str(), &waits]);
    let page = portal.get(&format!("/requests/{held}")).await;
    page.shows("60 minutes past its promise");

    // A gateway that does not follow is the desk's to act on too.
    portal
        .run("INSERT INTO gateway (name, token_hash, created_at) VALUES ('gw-2', sha256('x'), pic_now())")
        .await;
    let desk = signed_in(&portal, "desk-2", Role::Reader).await;
    let page = portal.get_with("/staff/requests", &desk).await;
    page.shows("gw-2 has not loaded the newest routes");
}
