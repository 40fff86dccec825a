//! Names and lists as administrators type them, at each place that takes them.

use axum::http::StatusCode;

use crate::{
    service::provisioned,
    support::{
        app::{Answer, TestApp, escaped, request, submission_id},
        process::{command, on, program, scratch},
        world::World,
    },
};

/// What was pressed at the end of `fields`.
fn pressed<'a>(mut fields: Vec<(&'a str, &'a str)>, button: &'a str) -> Vec<(&'a str, &'a str)> {
    fields.last_mut().unwrap().1 = button;
    fields
}

async fn reviewed(portal: &TestApp, edge: &str, domains: &str) -> Answer {
    let id = submission_id();
    let fields = request(&id, &[(edge, domains)]);
    portal
        .post("/requests/new", &pressed(fields, "review"))
        .await
}

/// What stands in the fields of a name.
fn values(page: &Answer, name: &str) -> Vec<String> {
    let elements = page.elements().into_iter();
    let fields = elements.filter(|it| it.is_field(name));
    fields.map(|it| it.value().to_owned()).collect()
}

/// Among them those of case edge-internal-name.
#[tokio::test]
async fn names_that_nobody_can_have_federated_are_refused_at_every_door() {
    let portal = TestApp::with(|_| {}).await;
    let world = World::start().await;
    let looking = TestApp::checking(world.advise()).await;
    let scratch = scratch();
    for (edge, domain, words) in [
        (
            "sipfed.online.lync.com",
            "contoso.com",
            "a server of the online service",
        ),
        (
            "sipdir.online.lync.com",
            "contoso.com",
            "a server of the online service",
        ),
        (
            "edge01.contoso.local",
            "contoso.com",
            "Names in .local work inside a network only",
        ),
        (
            "sip.contoso.com",
            "contoso.local",
            "Names in .local work inside a network only",
        ),
        (
            "sip.contoso.com",
            "outlook.com",
            "a domain of personal accounts",
        ),
        (
            "sip.contoso.com",
            "contoso.onmicrosoft.com",
            "belongs to the online service",
        ),
    ] {
        for button in ["review", "submit"] {
            let id = submission_id();
            let fields = pressed(request(&id, &[(edge, domain)]), button);
            let page = portal.post("/requests/new", &fields).await;
            assert_eq!(
                page.status,
                StatusCode::UNPROCESSABLE_ENTITY,
                "{edge} {domain}"
            );
            assert!(page.body.contains(words), "{edge} {domain}");
        }
        let page = looking
            .post("/check", &[("domains", domain), ("edge", edge)])
            .await;
        assert_eq!(
            page.status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{edge} {domain}"
        );
        assert!(page.body.contains(words), "{edge} {domain}");

        let checked = command(&program(), &[])
            .args(["check", domain, edge])
            .output();
        let checked = checked.await.unwrap();
        assert_eq!(checked.status.code(), Some(1));
        assert!(
            String::from_utf8(checked.stderr).unwrap().contains(words),
            "{edge} {domain}"
        );

        let file = scratch.path().join("export.csv");
        let export = format!(
            "Agreement Type,Agreement Number,Access Edge service FQDN,SIP domain(s),Status\n\
             Volume Licensing,1234567,{edge},{domain},Activated\n"
        );
        std::fs::write(&file, export).unwrap();
        let mut import = command(&program(), &on(&portal.db().url()));
        let import = import.arg("import").arg(&file).output().await.unwrap();
        assert_eq!(import.status.code(), Some(1));
        assert!(
            String::from_utf8(import.stderr).unwrap().contains(words),
            "{edge} {domain}"
        );
    }
    assert_eq!(portal.number("SELECT count(*) FROM request").await, 0);
}

#[tokio::test]
async fn the_summary_of_errors_leads_to_the_lines_of_a_pasted_list() {
    let portal = TestApp::new().await;
    let mut lines: Vec<_> = (1..=40).map(|n| format!("d{n}.contoso.com")).collect();
    lines[2] = "user@contoso.com".into();
    lines[18] = "my_firm.com".into();
    lines[39] = "<x>fabrikam".into();
    let page = reviewed(&portal, "sip.contoso.com", &lines.join("\r\n")).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    let followed: Vec<_> = page
        .elements()
        .into_iter()
        .filter_map(|it| Some((it.get("href")?.to_owned(), it.get("data-line")?.to_owned())))
        .collect();
    let to = |line: &str| ("#domains-1".to_owned(), line.to_owned());
    assert_eq!(followed, [to("3"), to("19"), to("40")]);
    page.shows_each([
        "Line 3: ",
        "Line 19: ",
        "Line 40: ",
        "You typed “my_firm.com”",
    ]);
    page.shows(&format!("You typed “{}”", escaped("x>fabrikam")));
    assert!(
        !page.body.contains("<x>fabrikam"),
        "what is typed is escaped"
    );
    assert_eq!(
        values(&page, "domains")[0].lines().count(),
        40,
        "all of it stays"
    );

    let wrong: Vec<_> = (0..200).map(|n| format!("a_{n}.com")).collect();
    let page = reviewed(&portal, "sip.contoso.com", &wrong.join("\n")).await;
    page.shows("Line 10: ");
    page.hides("Line 11: ");
    page.shows("190 more names in this box are not SIP domains");
}

#[tokio::test]
async fn one_button_takes_all_offers_at_once() {
    let portal = TestApp::new().await;
    let (edge, domains) = (
        "https://sip.contoso.com/meet",
        "user@contoso.com\nsip:b@fabrikam.com",
    );
    let page = reviewed(&portal, edge, domains).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        page.elements()
            .iter()
            .any(|it| it.get("value") == Some("use-these"))
    );
    let id = submission_id();
    let fields = pressed(request(&id, &[(edge, domains)]), "use-these");
    let page = portal.post("/requests/new", &fields).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    page.shows("Check your answers");
    assert_eq!(values(&page, "edge"), ["sip.contoso.com"]);
    assert_eq!(values(&page, "domains"), ["contoso.com\nfabrikam.com"]);
    assert_eq!(portal.number("SELECT count(*) FROM request").await, 0);

    // What has no offer stays, and is wrong still.
    let fields = pressed(
        request(&id, &[(edge, "user@contoso.com\nmy_firm.com")]),
        "use-these",
    );
    let page = portal.post("/requests/new", &fields).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(values(&page, "edge"), ["sip.contoso.com"]);
    assert_eq!(values(&page, "domains"), ["contoso.com\nmy_firm.com"]);
    assert!(
        !page
            .elements()
            .iter()
            .any(|it| it.get("value") == Some("use-these"))
    );

    // The same for a service, and for a check.
    let (_, cookie) = provisioned(&portal, &[("sip.contoso.com", "contoso.com")]).await;
    let edit = [
        ("edge", edge),
        ("domains", domains),
        ("deployment", "on_premises"),
        ("submission_id", &id),
        ("action", "use-these"),
    ];
    let page = portal.post_with("/service/edit", &edit, &cookie).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    assert_eq!(values(&page, "domains"), ["contoso.com\nfabrikam.com"]);

    let (world, _edge) = World::with("contoso.com").await;
    let looking = TestApp::checking(world.advise()).await;
    let typed = [("domains", "user@contoso.com"), ("edge", edge)];
    let page = looking.post("/check", &typed).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        page.elements()
            .iter()
            .any(|it| it.get("value") == Some("use-these"))
    );
    let page = looking
        .post("/check", &[&typed[..], &[("action", "use-these")]].concat())
        .await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    page.shows("What the checks found");
    let other = [&typed[..], &[("action", "submit")]].concat();
    let page = looking.post("/check", &other).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn what_was_taken_off_a_list_is_shown_with_the_answers() {
    let portal = TestApp::new().await;
    let pasted = "Domain,Default\r\n# <ours>, ask ted@contoso.com\r\n- @contoso.com,yes\r\n";
    let page = reviewed(&portal, "sip.contoso.com:5061", pasted).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    page.shows_each([
        "You typed “sip.contoso.com:5061”.",
        "“Domain,Default” (line 1), what stands in line 2, “yes” (line 3)",
    ]);
    page.shows("@contoso.com</span>; we use");
}

#[tokio::test]
async fn a_search_takes_the_same_care() {
    let portal = TestApp::new().await;
    portal.submit(&[("sip.contoso.com", "contoso.com")]).await;
    portal.work().await;
    for typed in [
        "%40contoso.com",
        "%22contoso.com%22",
        "contoso.com%3A5061",
        "sip%3Acontoso.com",
    ] {
        let page = portal.get(&format!("/status?q={typed}")).await;
        assert_eq!(page.status, StatusCode::OK, "{typed}");
        assert!(page.body.contains("is federated with"), "{typed}");
    }
    // A name that cannot be asked for can be searched for.
    let page = portal.get("/status?q=outlook.com").await;
    page.shows("is not federated with");
}
