//! Checks that the help shows the settings, that its links work, and that the address tool keeps
//! nothing.

use pic_portal::{
    names::{Fqdn, SipDomain},
    readiness::{Code, engine::Checks},
    request::Reason,
    web::about::About,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use axum::http::StatusCode;

use crate::support::{
    app::{Answer, TestApp, everything, request, submission_id},
    world::World,
};

/// The addresses inside the portal that a page links to, without fragments.
fn links(page: &Answer) -> BTreeSet<String> {
    page.body
        .split("href=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .filter(|href| href.starts_with('/'))
        .map(|href| href.split('#').next().unwrap().to_owned())
        .collect()
}

fn is_help(path: &str) -> bool {
    path == "/help" || path.starts_with("/help/")
}

/// All help pages that can be reached from `/help`, by address.
async fn crawl(portal: &TestApp) -> BTreeMap<String, Answer> {
    let mut pages = BTreeMap::new();
    let mut open = vec!["/help".to_owned()];
    while let Some(path) = open.pop() {
        if pages.contains_key(&path) {
            continue;
        }
        let page = portal.get(&path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        open.extend(links(&page).into_iter().filter(|link| is_help(link)));
        pages.insert(path, page);
    }
    pages
}

#[tokio::test]
async fn every_page_of_help_is_there_and_every_link_in_it_leads_somewhere() {
    let portal = TestApp::new().await;
    let pages = crawl(&portal).await;
    assert_eq!(
        pages.len(),
        1 + 13 + Reason::ALL.len() + Code::ALL.len(),
        "contents, topics, reasons, findings"
    );
    let contents = links(&pages["/help"]);
    let mut elsewhere = BTreeSet::new();
    for (path, page) in &pages {
        assert_eq!(page.body.matches("<h1").count(), 1, "{path}");
        assert!(page.body.contains(" – Federation portal</title>"), "{path}");
        assert!(!page.body.contains(" style="), "{path}");
        assert!(
            page.body.len() < 16 * 1024,
            "{path} is {} bytes",
            page.body.len()
        );
        assert!(
            path == "/help" || contents.contains(path),
            "{path} is not in the contents"
        );
        elsewhere.extend(links(page).into_iter().filter(|link| !is_help(link)));
    }
    for path in elsewhere {
        assert_eq!(portal.get(&path).await.status, StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn ids_are_unique_and_copy_buttons_have_something_to_copy() {
    let portal = TestApp::new().await;
    for (path, page) in crawl(&portal).await {
        let ids: Vec<&str> = page
            .body
            .split(" id=\"")
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
            .collect();
        let unique: BTreeSet<_> = ids.iter().collect();
        assert_eq!(ids.len(), unique.len(), "{path}: {ids:?}");
        for of in page.body.split("data-copy=\"#").skip(1) {
            let id = of.split('"').next().unwrap();
            assert!(ids.contains(&id), "{path}: {id}");
        }
    }
}

#[tokio::test]
async fn other_pages_lead_to_the_help() {
    let portal = TestApp::new().await;
    let (provisioned, _) = portal.submit(&[("sip.contoso.com", "contoso.com")]).await;
    portal.work().await;
    let (held, _) = portal.submit(&[("sip.contoso.com", "contoso.com")]).await;
    portal.work().await;
    let page_of = |reference: &str| format!("/requests/{reference}");
    for (path, help) in [
        ("/".to_owned(), "/help/agreement-number"),
        ("/requests/new".to_owned(), "/help/agreement-number"),
        ("/requests/new".to_owned(), "/help/edges-and-domains"),
        ("/requests/new".to_owned(), "/help/split-domain"),
        (page_of(&provisioned), "/help/after-provisioning"),
        (page_of(&held), "/help/findings/domain-held"),
        (page_of(&held), "/help/lost-key"),
        ("/status".to_owned(), "/help"),
        ("/nothing".to_owned(), "/help"),
    ] {
        let page = portal.get(&path).await;
        assert!(links(&page).contains(help), "{path}");
        for link in links(&page).iter().filter(|link| is_help(link)) {
            assert_eq!(
                portal.get(link).await.status,
                StatusCode::OK,
                "{path}: {link}"
            );
        }
    }
    portal.advance(Duration::from_hours(31 * 24)).await;
    portal.work().await;
    let rejected = portal.get(&page_of(&held)).await;
    assert!(links(&rejected).contains("/help/reasons/expired"));
}

#[tokio::test]
async fn what_is_not_known_is_not_found() {
    let portal = TestApp::new().await;
    for path in [
        "/help/nothing",
        "/help/findings/nothing",
        "/help/findings",
        "/help/findings/domain-held/x",
        "/help/reasons/nothing",
        "/help/reasons/Expired",
    ] {
        let page = portal.get(path).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{path}");
        assert!(links(&page).contains("/help"), "{path} has no way back");
    }
}

#[tokio::test]
async fn pages_tell_what_the_settings_say() {
    let portal = TestApp::with(|site| {
        site.provider = "O'Neill & Sons".into();
        site.support = Some("https://support.example/".into());
        site.clocks.promise = Duration::from_hours(7);
        site.clocks.expiry = Duration::from_hours(11 * 24);
        site.plain_domains.truncate(1);
    })
    .await;
    for (path, said) in [
        ("/help/times", "Promise: 7 hours"),
        ("/help/times", "Limit: 11 days"),
        ("/help/times", "href=\"https://support.example/\""),
        ("/help/lost-key", "href=\"https://support.example/\""),
        ("/help/split-domain", "within 7 hours"),
        ("/help/reasons/expired", "waited for 11 days"),
        ("/help/what-people-get", "people on O&#39;Neill &#38; Sons"),
        ("/help/after-provisioning", "&#39;O&#39;&#39;Neill"),
        ("/help/after-provisioning", "<span>&#39;msn.com&#39;</span>"),
        ("/help/address", "data-plain=\"msn.com\""),
        (
            "/help/edges-and-domains",
            "10 Access Edges and 1,000 SIP domains",
        ),
    ] {
        let page = portal.get(path).await;
        assert!(page.body.contains(said), "{path}: {said}\n{}", page.body);
    }
    let all = crawl(&portal).await;
    for (path, page) in all {
        for other in ["48 hours", "30 days", "federation with Skype"] {
            assert!(!page.body.contains(other), "{path}: {other}");
        }
    }
}

#[tokio::test]
async fn who_runs_the_portal_and_how_the_network_is_reached_is_told() {
    let told = TestApp::with(|site| {
        site.provider = "Northwind".into();
        site.about = About {
            operator: Some("Northwind Traders <NT>".into()),
            operator_url: Some("https://northwind.example/imprint".into()),
            proxy: Some(Fqdn::parse("federation.northwind.example").unwrap()),
            domain: Some(SipDomain::parse("northwind.example").unwrap()),
            networks: vec!["192.0.2.0/24".parse().unwrap()],
            test_contact: Some("echo@northwind.example".into()),
            consumer_accounts: false,
        };
    })
    .await;
    let (reference, _) = told.submit(&[("sip.contoso.com", "contoso.com")]).await;
    told.work().await;
    let status = format!("/requests/{reference}");
    let footer = "href=\"https://northwind.example/imprint\">Northwind Traders &#60;NT&#62;</a>";
    for path in ["/", "/help/providers", "/status", "/nowhere", &status] {
        let page = told.get(path).await;
        assert!(page.body.contains(footer), "{path}: {}", page.body);
    }
    for (path, said) in [
        (status.as_str(), "federation.northwind.example"),
        (&status, "echo@northwind.example"),
        ("/help/after-provisioning", "federation.northwind.example"),
        ("/help/after-provisioning", "echo@northwind.example"),
        ("/help/after-provisioning", "192.0.2.0/24"),
        ("/help/dns-and-certificate", "192.0.2.0/24"),
    ] {
        let page = told.get(path).await;
        assert!(page.body.contains(said), "{path}: {said}");
        assert!(!page.body.contains("PROXY-FQDN"), "{path}");
    }
    let untold = TestApp::new().await;
    let page = untold.get("/help/after-provisioning").await;
    page.shows("PROXY-FQDN");
    page.shows("Ask the organisation that runs this portal for it.");
    assert!(!untold.get("/").await.body.contains("Run by"));
}

#[tokio::test]
async fn without_consumer_accounts_no_page_speaks_of_them() {
    let portal = TestApp::with(|site| site.about.consumer_accounts = false).await;
    let mut pages = crawl(&portal).await;
    for gone in ["/help/personal-accounts", "/help/address"] {
        assert!(!pages.contains_key(gone), "{gone} is linked");
        let page = portal.get(gone).await;
        assert_eq!(page.status, StatusCode::OK, "{gone}: an old bookmark");
        assert!(page.body.contains("Nothing to do here"), "{gone}");
    }
    let id = submission_id();
    let mut fields = request(&id, &[("sip.contoso.com", "contoso.com")]);
    fields.last_mut().unwrap().1 = "review";
    pages.insert(
        "answers".into(),
        portal.post("/requests/new", &fields).await,
    );
    pages.insert("form".into(), portal.get("/requests/new").await);
    pages.insert("start".into(), portal.get("/").await);
    for (path, page) in &pages {
        for word in ["Microsoft account", "rename", "@msn.com", "NameDecoration"] {
            assert!(!page.body.contains(word), "{path}: {word}");
        }
    }
    let usual = TestApp::new().await;
    for path in ["/requests/new", "/help/personal-accounts"] {
        assert!(usual.get(path).await.body.contains("rename"), "{path}");
    }
}

#[tokio::test]
async fn start_page_and_help_say_when_a_request_is_provisioned_in_each_mode() {
    let world = World::start().await;
    for (checks, said, shows_check) in [
        (Checks::Off, "and nothing is checked", false),
        (world.advise(), "whatever the checks find", true),
        (world.enforce(), "as soon as their checks pass", true),
    ] {
        let portal = TestApp::checking(checks).await;
        let page = portal.get("/").await;
        assert!(page.body.contains(said), "{said}: {}", page.body);
        let sends = page.body.contains("action=\"/check\"");
        assert_eq!(sends, shows_check, "{said}");
        let enforces = said == "as soon as their checks pass";
        for (path, waits) in [
            ("/help/times", "as soon as nothing is missing"),
            ("/help/split-domain", "nothing is missing on your side"),
        ] {
            let page = portal.get(path).await;
            assert_eq!(page.body.contains(waits), enforces, "{path}: {said}");
        }
    }
}

#[tokio::test]
async fn addresses_are_written_without_scripts() {
    let portal = TestApp::new().await;
    for (typed, written) in [
        ("ted@contoso.com", "ted(contoso.com)@msn.com"),
        (" Ted@Contoso.COM ", "Ted(contoso.com)@msn.com"),
        ("ted@outlook.com", "ted@outlook.com"),
        ("ted(contoso.com)@msn.com", "ted(contoso.com)@msn.com"),
    ] {
        let page = portal.post("/help/address", &[("address", typed)]).await;
        assert_eq!(page.status, StatusCode::OK, "{typed}");
        assert_eq!(page.header("cache-control"), "private, no-cache");
        let shown = page.elements();
        let result = shown.iter().find(|it| it.get("id") == Some("written"));
        assert_eq!(result.unwrap().text, written, "{typed}");
        let field = shown.iter().find(|it| it.is_field("address"));
        assert_eq!(field.unwrap().value(), typed);
    }
    for typed in [
        "",
        "ted",
        "ted@contoso",
        "a@b@contoso.com",
        "<script>@contoso.com",
    ] {
        let page = portal.post("/help/address", &[("address", typed)]).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{typed}");
        assert!(page.body.contains("<title>Error: "), "{typed}");
        assert!(page.body.contains("id=\"address-error\""), "{typed}");
        assert!(page.body.contains("href=\"#address\""), "{typed}");
        assert!(!page.body.contains("<script>@"), "{typed}");
    }
    let with_more = [("address", "ted@contoso.com"), ("name", "Ted")];
    let page = portal.post("/help/address", &with_more).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    page.hides("ted@contoso.com");
}

#[tokio::test]
async fn the_address_tool_leaves_nothing_behind() {
    const CANARY: &str = "canary-4711@canary-domain-4711.example";
    let portal = TestApp::new().await;
    for typed in [CANARY, "canary-4711@canary-domain-4711"] {
        let page = portal.post("/help/address", &[("address", typed)]).await;
        assert!(page.header("set-cookie").is_empty());
        assert!(page.header("location").is_empty());
    }
    portal.submit(&[("sip.contoso.com", "contoso.com")]).await;
    let rows = everything(portal.pool()).await;
    assert!(rows.contains("contoso.com"), "it looks into all tables");
    assert!(!rows.contains("canary"));
    let again = portal.get("/help/address").await;
    again.hides("canary");
    // A GET never has it: such an address would be in logs and in the history.
    let asked = portal
        .get("/help/address?address=canary-4711%40x.example")
        .await;
    asked.hides("canary");
}
