//! Checks that `/check` checks only on POST, stores nothing, and does nothing where checks are off.

use std::time::Duration;

use axum::http::StatusCode;
use chrono::DateTime;
use pic_portal::{clock::Clock, server::network::Proxies, web::limit::Throttle};

use crate::support::{
    app::{TestApp, escaped, everything, request, submission_id},
    edge::Edge,
    world::World,
};

#[tokio::test]
async fn where_checks_are_off_nothing_is_asked_and_nothing_is_looked_up() {
    let portal = TestApp::new().await;
    for path in ["/check", "/check?domains=contoso.com&edge=sip.contoso.com"] {
        let page = portal.get(path).await;
        assert_eq!(page.status, StatusCode::OK);
        page.shows("Readiness checks are off");
        assert!(
            !page.body.contains("<textarea"),
            "there is nothing to fill in"
        );
    }
    let names = [("domains", "contoso.com"), ("edge", "sip.contoso.com")];
    let page = portal.post("/check", &names).await;
    assert_eq!(page.status, StatusCode::OK);
    page.shows("Readiness checks are off");
    assert_eq!(page.attribute("data-finding"), None);
    for path in ["/", "/help", "/help/dns-and-certificate"] {
        let page = portal.get(path).await;
        assert!(
            !page.body.contains("href=\"/check\""),
            "{path} leads nowhere"
        );
    }
}

#[tokio::test]
async fn fields_that_are_not_asked_for_are_refused_and_what_is_typed_is_kept_nowhere() {
    let portal = TestApp::new().await;
    let more = [
        ("domains", "canary-check.example"),
        ("contact", "canary-check@contoso.com"),
    ];
    let page = portal.post("/check", &more).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    page.hides("canary-check");
    let names = [
        ("domains", "canary-check.example"),
        ("edge", "sip.canary-check.example"),
    ];
    portal.post("/check", &names).await;
    assert!(!everything(portal.pool()).await.contains("canary-check"));
    for query in ["?domains=a&domains=b", "?edge=a&edge=b"] {
        let page = portal.get(&format!("/check{query}")).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "{query}");
    }
}

/// A world in which `contoso.com` is ready and nothing else exists; its edge, and a portal that
/// checks it.
async fn looking() -> (World, Edge, TestApp) {
    let (world, edge) = World::with("contoso.com").await;
    let portal = TestApp::checking(world.enforce()).await;
    (world, edge, portal)
}

#[tokio::test]
async fn names_are_looked_up_when_the_button_is_pressed_and_not_before() {
    let (_world, edge, portal) = looking().await;
    for path in ["/", "/help", "/help/dns-and-certificate"] {
        let page = portal.get(path).await;
        assert!(page.body.contains("href=\"/check\""), "{path}");
    }
    let link = "/check?domains=contoso.com,it.contoso.com&edge=sip.contoso.com";
    let page = portal.get(link).await;
    assert_eq!(page.status, StatusCode::OK);
    page.shows("contoso.com,it.contoso.com</textarea>");
    page.shows("value=\"sip.contoso.com\"");
    assert_eq!(page.findings(), []);
    assert_eq!(edge.connections(), 0);

    let before = everything(portal.pool()).await;
    let names = [
        ("domains", "Contoso.COM, it.contoso.com contoso.com"),
        ("edge", "SIP.contoso.com"),
    ];
    let page = portal.post("/check", &names).await;
    assert_eq!(page.status, StatusCode::OK);
    assert_eq!(
        page.findings(),
        [
            ("srv-missing", "blocking"),
            ("certificate-domain-san", "warning"),
            ("srv", "ok"),
            ("certificate", "ok"),
        ],
        "{}",
        page.body
    );
    page.shows(&escaped(&format!("http://portal.test{link}")));
    page.shows("Contoso.COM, it.contoso.com contoso.com</textarea>");
    assert_eq!(
        everything(portal.pool()).await,
        before,
        "nothing was stored"
    );

    // The same names, in a form for a request.
    let mut hidden = page.hidden();
    hidden.push(("action".into(), "change".into()));
    let fields: Vec<_> = hidden
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_str()))
        .collect();
    let form = portal.post("/requests/new", &fields).await;
    assert_eq!(form.status, StatusCode::OK);
    form.shows("contoso.com\nit.contoso.com</textarea>");
    form.shows("value=\"sip.contoso.com\"");
}

#[tokio::test]
async fn a_domain_alone_is_checked_at_the_edge_that_its_record_names() {
    let (world, edge, portal) = looking().await;
    world.route("it.contoso.com", "sip.contoso.com");
    let page = portal.post("/check", &[("domains", "contoso.com")]).await;
    assert_eq!(page.status, StatusCode::OK);
    assert_eq!(page.findings(), [("srv", "ok"), ("certificate", "ok")]);
    page.shows(">sip.contoso.com</span>");
    assert!(edge.connections() > 0, "it was looked at");

    // Two at one edge, and two that nothing is known of.
    let domains = "contoso.com it.contoso.com, nowhere.contoso.com lost.example";
    let page = portal.post("/check", &[("domains", domains)]).await;
    let found = page.findings();
    assert_eq!(
        found.iter().filter(|it| it.0 == "srv-missing").count(),
        2,
        "{found:?}"
    );
    assert_eq!(
        found.iter().filter(|it| it.0 == "srv").count(),
        2,
        "{found:?}"
    );
    let hidden = page.hidden();
    let names: Vec<_> = hidden
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_str()))
        .collect();
    let asked = names
        .iter()
        .position(|field| *field == ("edge", "sip.contoso.com"));
    let asked = &names[asked.unwrap()..];
    assert_eq!(
        asked[..4],
        [
            ("edge", "sip.contoso.com"),
            ("domains", "contoso.com\nit.contoso.com"),
            ("edge", ""),
            ("domains", "nowhere.contoso.com\nlost.example"),
        ]
    );
    page.shows("/check?domains=contoso.com,it.contoso.com,nowhere.contoso.com,lost.example<");

    // A record that leads to the online service names no edge of anybody.
    world.route("online.contoso.com", "sipfed.online.lync.com");
    let page = portal
        .post("/check", &[("domains", "online.contoso.com")])
        .await;
    assert_eq!(page.findings(), [("homed-online", "blocking")]);
}

#[tokio::test]
async fn the_records_of_many_domains_are_one_file() {
    let (_world, _edge, portal) = looking().await;
    let domains: Vec<String> = (10..50).map(|n| format!("d{n}.contoso.com")).collect();
    let many = domains.join("\n");
    let fields = [("domains", many.as_str()), ("edge", "sip.contoso.com")];
    let page = portal.post("/check", &fields).await;
    page.shows("with 40 records for sip.contoso.com");
    let mut sent: Vec<_> = page.hidden().into_iter().take(2).collect();
    sent.push(("action".into(), "zone-file".into()));
    let sent: Vec<_> = sent.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let file = portal.post("/check", &sent).await;
    assert_eq!(file.status, StatusCode::OK);
    assert_eq!(file.header("content-type"), "text/plain; charset=utf-8");
    assert!(file.header("content-disposition").starts_with("attachment"));
    for domain in &domains {
        let line =
            format!("\n_sipfederationtls._tcp.{domain}. 3600 IN SRV 0 0 5061 sip.contoso.com.\n");
        assert!(file.body.contains(&line), "{domain}: {}", file.body);
    }
    let wrong = [("domains", "a@b"), ("edge", ""), ("action", "zone-file")];
    let refused = portal.post("/check", &wrong).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn what_is_wrong_is_said_by_the_field_and_nothing_is_looked_up() {
    let (_world, sip, portal) = looking().await;
    let many: Vec<String> = (0..51).map(|n| format!("d{n}.contoso.com")).collect();
    let many = many.join(" ");
    for (domains, edge, blamed) in [
        ("", "", &["domains-1"][..]),
        ("", "sip.contoso.com", &["domains-1"]),
        ("user@contoso.com", "sip.contoso.com", &["domains-1"]),
        ("contoso.com", "contoso.com", &["edge-1"]),
        ("sip.contoso.com", "sip.contoso.com", &["domains-1"]),
        (&many, "sip.contoso.com", &["domains-1"]),
    ] {
        let page = portal
            .post("/check", &[("domains", domains), ("edge", edge)])
            .await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{domains}");
        page.shows("<title>Error: ");
        for id in ["domains-1", "edge-1"] {
            assert_eq!(
                page.blames(id),
                blamed.contains(&id),
                "{domains} {edge} {id}"
            );
        }
        page.shows(&format!("{domains}</textarea>"));
        page.shows(&format!("value=\"{edge}\""));
    }
    assert_eq!(sip.connections(), 0);
}

#[tokio::test]
async fn ten_a_minute_are_looked_up_for_a_network_and_the_form_waits() {
    let (world, _edge) = World::with("contoso.com").await;
    let clock = Clock::mock(DateTime::UNIX_EPOCH);
    let checks = world.advise();
    let portal = TestApp::with(|site| {
        site.checks = checks;
        site.throttle = Throttle::new(0, 0, Proxies::default(), &clock);
    })
    .await;
    let names = [("domains", "contoso.com"), ("edge", "sip.contoso.com")];
    for _ in 0..10 {
        assert_eq!(portal.post("/check", &names).await.status, StatusCode::OK);
    }
    let refused = portal.post("/check", &names).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.header("retry-after"), "60");
    assert_eq!(refused.findings(), []);
    refused.shows("contoso.com</textarea>");
    // The check of the answers counts too; over the limit the review goes on without it.
    let id = submission_id();
    let mut fields = request(&id, &[("sip.contoso.com", "contoso.com")]);
    fields.retain(|(name, _)| *name != "action");
    fields.push(("action", "review"));
    let answers = portal.post("/requests/new", &fields).await;
    assert_eq!(answers.status, StatusCode::OK);
    assert_eq!(answers.findings(), []);
    answers.shows("Not checked now");
    clock.advance(Duration::from_mins(1));
    let answers = portal.post("/requests/new", &fields).await;
    assert!(
        answers.findings().contains(&("srv", "ok")),
        "{}",
        answers.body
    );
    answers.shows("Submit request");
    assert_eq!(portal.post("/check", &names).await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_page_of_a_request_says_whose_turn_it_is() {
    let (_world, _edge, portal) = looking().await;
    let reference = portal
        .store_one(&[("sip.contoso.com", "contoso.com")])
        .await;
    let path = format!("/requests/{reference}");
    let page = portal.get(&path).await;
    page.shows_each(["Your side", "Our side", "Not yet checked", "/check-again\""]);
}
