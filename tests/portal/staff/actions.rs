//! Checks that every action of an agent is done once, recorded, and shown to the administrator.

use axum::http::StatusCode;
use pic_portal::staff::Role;

use super::signed_in;
use crate::support::app::{TestApp, submission_id};

const ROUTES: &[(&str, &str)] = &[("sip.contoso.com", "contoso.com")];

/// The audit, oldest first: account, action, the request's kind or the service, reason.
async fn audit(portal: &TestApp) -> Vec<String> {
    portal.all("SELECT concat_ws(' ', s.name, a.action, r.kind, a.service_id, a.reason) FROM staff_audit a
         JOIN staff s ON s.id = a.staff_id LEFT JOIN request r ON r.id = a.request_id
         WHERE action <> 'signed-in' ORDER BY a.id",
    )
    .await
}

#[tokio::test]
async fn a_refusal_has_a_reason_and_is_seen_by_the_administrator() {
    let portal = TestApp::new().await;
    let (reference, _) = portal.submit(ROUTES).await;
    let agent = signed_in(&portal, "anna", Role::Agent).await;
    let refuse = format!("/staff/requests/{reference}/refuse");
    for fields in [
        &[][..],
        &[("reason", "policy")],
        &[("confirm", "on")],
        &[("reason", "expired"), ("confirm", "on")],
        &[("reason", "because"), ("confirm", "on")],
    ] {
        let answer = portal.post_with(&refuse, fields, &agent).await;
        assert_eq!(
            answer.status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{fields:?}"
        );
        assert!(
            answer.blames("reason") || answer.blames("confirm"),
            "{fields:?}"
        );
        assert_eq!(portal.state(&reference).await, "pending");
    }
    let free = [
        ("reason", "policy"),
        ("confirm", "on"),
        ("note", "ted@contoso.com"),
    ];
    let answer = portal.post_with(&refuse, &free, &agent).await;
    assert_eq!(
        answer.status,
        StatusCode::UNPROCESSABLE_ENTITY,
        "no free text"
    );
    let fields = [("reason", "wrong-information"), ("confirm", "on")];
    let done = portal.post_with(&refuse, &fields, &agent).await;
    assert_eq!(
        done.header("location"),
        format!("/staff/requests/{reference}")
    );
    let again = portal.post_with(&refuse, &fields, &agent).await;
    assert_eq!(again.status, StatusCode::CONFLICT, "once");
    again.shows("href=\"/staff/requests\"");
    let seen = portal.get(&format!("/requests/{reference}")).await;
    seen.shows("Rejected");
    seen.shows("By support");
    assert!(
        !seen.body.contains("anna"),
        "who it was is for the desk alone"
    );
    let desk = portal
        .get_with(&format!("/staff/requests/{reference}"), &agent)
        .await;
    desk.shows("By anna, support");
    assert_eq!(portal.work().await.provisioned, 0);
    let noted = audit(&portal).await;
    assert_eq!(noted.last().unwrap(), "anna looked initiate");
    assert_eq!(
        noted.iter().filter(|line| line.contains("refused")).count(),
        1,
        "{noted:?}"
    );
    let by: String = portal.one("SELECT string_agg(concat_ws(' ', code, actor, name), ', ' ORDER BY seq) FROM timeline LEFT JOIN staff ON id = staff_id").await;
    assert_eq!(by, "submitted administrator, rejected staff anna");
}

#[tokio::test]
async fn a_check_is_asked_for_and_a_request_taken_back() {
    let portal = TestApp::new().await;
    portal.submit(ROUTES).await;
    portal.work().await;
    let (held, _) = portal.submit(ROUTES).await;
    portal.work().await;
    let agent = signed_in(&portal, "anna", Role::Agent).await;
    let due = "SELECT count(*) FROM work WHERE due_at <= pic_now()";
    assert_eq!(portal.number(due).await, 0);
    let page = portal
        .get_with(&format!("/staff/requests/{held}"), &agent)
        .await;
    page.shows("service 1");
    page.shows("data-finding=\"domain-held\"");
    // Several lines have the same name.
    portal
        .run("UPDATE finding SET found = E'first line\\nsecond line'")
        .await;
    let page = portal
        .get_with(&format!("/staff/requests/{held}"), &agent)
        .await;
    assert_eq!(page.body.matches("<dt>Found</dt>").count(), 1);
    page.shows("first line");
    page.shows("second line");
    let check = format!("/staff/requests/{held}/check-again");
    let asked = portal
        .post_with(&format!("{check}?needs=on"), &[], &agent)
        .await;
    assert_eq!(asked.status, StatusCode::SEE_OTHER);
    assert_eq!(portal.number(due).await, 1);
    // The page says what became of it, and stays in the list.
    let (path, part) = asked.header("location").split_once('#').unwrap();
    let start = format!("/staff/requests/{held}?needs=on&again=");
    assert!(path.starts_with(&start) && part == "checks", "{path}");
    let told = portal.get_with(path, &agent).await.body;
    assert!(told.contains("A check was asked for"), "{told}");
    portal
        .run("UPDATE work SET checked_at = checked_at + interval '1 minute'")
        .await;
    let told = portal.get_with(path, &agent).await.body;
    assert!(told.contains("Checked just now"), "{told}");
    let withdraw = format!("/staff/requests/{held}/withdraw");
    let unsure = portal.post_with(&withdraw, &[], &agent).await;
    assert!(unsure.blames("confirm-withdraw"), "{}", unsure.body);
    let done = portal
        .post_with(&withdraw, &[("confirm", "on")], &agent)
        .await;
    assert_eq!(done.status, StatusCode::SEE_OTHER);
    assert_eq!(portal.state(&held).await, "withdrawn");
    for path in [&check, &withdraw] {
        let late = portal
            .post_with(
                path,
                &[("confirm", "on")][usize::from(path == &check)..],
                &agent,
            )
            .await;
        assert_eq!(late.status, StatusCode::CONFLICT, "{path}");
        let nowhere = path.replace(&held, "PIC-0000-0000-0000-0000");
        let none = portal
            .post_with(
                &nowhere,
                &[("confirm", "on")][usize::from(path == &check)..],
                &agent,
            )
            .await;
        assert_eq!(none.status, StatusCode::NOT_FOUND, "{path}");
    }
    let noted = audit(&portal).await;
    assert!(
        noted.contains(&"anna checked-again initiate".to_owned()),
        "{noted:?}"
    );
    assert!(
        noted.contains(&"anna withdrew initiate".to_owned()),
        "{noted:?}"
    );
}

#[tokio::test]
async fn a_service_is_cancelled_for_its_owner_and_its_history_told() {
    let portal = TestApp::new().await;
    portal.submit(ROUTES).await;
    portal.work().await;
    let agent = signed_in(&portal, "anna", Role::Agent).await;
    let cancel = "/staff/services/1/cancel";
    let unsure = portal.post_with(cancel, &[], &agent).await;
    assert!(
        unsure.blames("reason") && unsure.blames("confirm"),
        "{}",
        unsure.body
    );
    let fields = [("reason", "owner-asked"), ("confirm", "on")];
    let done = portal.post_with(cancel, &fields, &agent).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.body);
    let twice = portal.post_with(cancel, &fields, &agent).await;
    assert_eq!(twice.status, StatusCode::CONFLICT, "one at a time");
    let cancel_of = done.header("location");
    let page = portal.get_with(cancel_of, &agent).await;
    let title = page.elements().into_iter().find(|it| it.name == "title");
    let title = title.unwrap().text;
    assert!(title.starts_with("contoso.com: "), "{title}");
    assert!(!twice.body.contains("\"/service\">See"), "back to the desk");
    twice.shows("href=\"/staff/requests\"");
    portal.work().await;
    assert_eq!(portal.number("SELECT count(*) FROM route").await, 0);
    let nothing = portal.post_with(cancel, &fields, &agent).await;
    assert_eq!(nothing.status, StatusCode::CONFLICT, "nothing is left");
    portal.submit(ROUTES).await;
    portal.work().await;
    let page = portal.get_with("/staff/services/1", &agent).await;
    page.shows("Nothing is in force");
    assert!(
        page.body.contains("Service 3</a>"),
        "who has the domain now: {}",
        page.body
    );
    assert_eq!(
        portal.get_with("/staff/services/9", &agent).await.status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        portal.get_with("/staff/services/x", &agent).await.status,
        StatusCode::NOT_FOUND
    );
    let nowhere = "/staff/services/9/cancel";
    let none = portal.post_with(nowhere, &fields, &agent).await;
    assert_eq!(none.status, StatusCode::NOT_FOUND, "{}", none.body);
    let noted = audit(&portal).await;
    assert!(
        noted.contains(&"anna cancelled cancel 1 owner-asked".to_owned()),
        "{noted:?}"
    );
}

/// It is neither in a page nor in a file, whatever the state.
#[tokio::test]
async fn the_management_key_is_nowhere() {
    let portal = TestApp::new().await;
    let (reference, key) = portal.submit(ROUTES).await;
    let agent = signed_in(&portal, "anna", Role::Agent).await;
    let symbols = key.replace('-', "");
    for path in [
        "/staff/requests".to_owned(),
        format!("/staff/requests/{reference}"),
        "/staff/requests.csv".into(),
        "/staff/services/1".into(),
        "/staff/audit".into(),
    ] {
        let page = portal.get_with(&path, &agent).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        assert!(page.body.len() > 100, "{path}");
        assert!(
            !page.body.contains(&key) && !page.body.contains(&symbols),
            "{path}"
        );
    }
    assert_ne!(submission_id(), key);
}

/// An account that was an agent when the page was loaded may be none when it acts.
#[tokio::test]
async fn an_agent_who_was_made_a_reader_meanwhile_does_nothing() {
    let portal = TestApp::new().await;
    let (reference, _) = portal.submit(ROUTES).await;
    signed_in(&portal, "anna", Role::Agent).await;
    portal.run("UPDATE staff SET role = 'reader'").await;
    let named = pic_portal::request::reference::Reference::parse(&reference).unwrap();
    let error = pic_portal::staff::case::store::withdraw(
        portal.pool(),
        pic_portal::staff::store::password(
            portal.pool(),
            Some(&pic_portal::staff::Name::parse("anna").unwrap()),
        )
        .await
        .unwrap()
        .unwrap()
        .0,
        named,
    )
    .await
    .unwrap_err();
    assert!(error.breaks("staff_may"), "{error}");
    assert_eq!(portal.state(&reference).await, "pending");
}

/// Of what is not checked any more nobody says when it was: the time since when a finding stands is
/// not the time of the last check.
#[tokio::test]
async fn when_the_checks_last_ran_is_not_made_up_once_a_request_has_ended() {
    let portal = TestApp::new().await;
    portal.submit(ROUTES).await;
    portal.work().await;
    let (held, _) = portal.submit(ROUTES).await;
    portal.work().await;
    let agent = signed_in(&portal, "anna", Role::Agent).await;
    let (desk, public) = (
        format!("/staff/requests/{held}"),
        format!("/requests/{held}"),
    );
    let told = async || {
        let desk = portal.get_with(&desk, &agent).await.body;
        let public = portal.get(&public).await.body;
        [desk, public].map(|page| page.contains("Checks last ran"))
    };
    assert_eq!(told().await, [true, true]);
    let fields = [("reason", "policy"), ("confirm", "on")];
    let refuse = format!("{desk}/refuse");
    portal.post_with(&refuse, &fields, &agent).await;
    assert_eq!(portal.state(&held).await, "rejected");
    let findings = "SELECT count(*) FROM finding WHERE request_id = 2";
    assert!(portal.number(findings).await > 0, "what was found is kept");
    assert_eq!(told().await, [false, false]);
}
