//! Checks that a status page that has changed in any way is never answered with a `304`.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use pic_portal::{
    app::App,
    db::notify::Notifier,
    names::Fqdn,
    provisioning::store::{self, Verdicts},
    readiness::{Code, Finding, ProofMode, engine::Checks},
    web::site::Site,
};

use super::{JSON, ONE, ask, get, lasting};
use crate::{
    service::sign_in,
    support::{
        app::{TestApp, WAITS},
        world::World,
    },
};

const MINUTE: Duration = Duration::from_mins(1);

/// What a client has last seen at a request's address.
struct Visit {
    path: String,
    headers: Vec<(&'static str, String)>,
    tag: String,
    body: String,
}

impl Visit {
    async fn new(portal: &TestApp, reference: &str, headers: &[(&'static str, &str)]) -> Self {
        let mut visit = Self {
            path: format!("/requests/{reference}"),
            headers: headers.iter().map(|&(n, v)| (n, v.to_owned())).collect(),
            tag: String::new(),
            body: String::new(),
        };
        visit.look(portal, "the first time").await;
        visit
    }

    /// Requests it again with the tag; returns whether there was something new.
    async fn look(&mut self, portal: &TestApp, why: &str) -> bool {
        let mut headers: Vec<_> = self.headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
        if !self.tag.is_empty() {
            headers.push(("if-none-match", &self.tag));
        }
        let answer = get(portal, &self.path, &headers).await;
        assert_eq!(answer.header("cache-control"), "private, no-cache", "{why}");
        let head = ask(portal, Method::HEAD, &self.path, &headers).await;
        assert_eq!(
            (head.status, lasting(&head)),
            (answer.status, lasting(&answer)),
            "{why}"
        );
        if answer.status == StatusCode::NOT_MODIFIED {
            assert_eq!(
                (answer.body.as_str(), answer.header("etag")),
                ("", self.tag.as_str())
            );
            return false;
        }
        assert_eq!(answer.status, StatusCode::OK, "{why}");
        assert_ne!(answer.header("etag"), self.tag, "{why}");
        assert!(answer.header("etag").starts_with("W/\""), "{why}");
        answer.header("etag").clone_into(&mut self.tag);
        self.body = answer.body;
        true
    }
}

/// Stops the clock: changes due to passing time have a test of their own.
async fn stop_the_clock(portal: &TestApp) {
    portal
        .run(
            "DO $$ BEGIN EXECUTE format('CREATE OR REPLACE FUNCTION pic_now() RETURNS timestamptz \
             LANGUAGE sql STABLE PARALLEL SAFE RETURN %L::timestamptz', date_trunc('minute', pic_now())); END $$",
        )
        .await;
}

/// Moves the stopped clock.
async fn set_on(portal: &TestApp, by: Duration) {
    let sql = format!(
        "DO $$ BEGIN EXECUTE format('CREATE OR REPLACE FUNCTION pic_now() RETURNS timestamptz \
         LANGUAGE sql STABLE PARALLEL SAFE RETURN %L::timestamptz', pic_now() + interval '{} seconds'); END $$",
        by.as_secs()
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
        .execute(portal.pool())
        .await
        .unwrap();
}

fn missing(found: &str) -> Finding {
    let domain = Fqdn::parse("contoso.com").unwrap();
    Finding::new(Code::SrvMissing, &domain, "this", [found])
}

/// Stores this finding for the only request that is due, as a blocking one.
async fn check(portal: &TestApp, finding: &Finding) {
    let lease = Duration::from_mins(1);
    let claim = store::claim(portal.pool(), store::Place::Pending, 10, lease)
        .await
        .unwrap();
    let request = claim.requests()[0];
    let verdicts = Verdicts {
        blocked: vec![request],
        checked: vec![(request, vec![finding.clone()])],
        ..Verdicts::default()
    };
    let settled = store::settle(portal.pool(), &claim, &WAITS, &verdicts).await;
    assert_eq!(settled.unwrap().waiting, 1);
}

#[tokio::test]
async fn whatever_changes_a_request_changes_its_tags() {
    let portal = TestApp::new().await;
    stop_the_clock(&portal).await;
    let (reference, key) = portal.submit(ONE).await;
    let mut page = Visit::new(&portal, &reference, &[]).await;
    let mut json = Visit::new(&portal, &reference, &[JSON]).await;
    let unchanged = async |page: &mut Visit, json: &mut Visit, why: &str| {
        assert!(
            !page.look(&portal, why).await && !json.look(&portal, why).await,
            "{why}"
        );
    };
    let changed = async |page: &mut Visit, json: &mut Visit, why: &str| {
        assert!(page.look(&portal, why).await, "{why}");
        assert!(json.look(&portal, why).await, "{why}");
    };
    unchanged(&mut page, &mut json, "nothing happened").await;

    check(&portal, &missing("first")).await;
    changed(&mut page, &mut json, "it is blocked").await;
    assert!(page.body.contains("first") && json.body.contains("needs-action"));
    unchanged(&mut page, &mut json, "nothing happened since").await;

    // Only the page shows relative times.
    for by in [MINUTE, Duration::from_hours(1)] {
        set_on(&portal, by).await;
        assert!(page.look(&portal, "it is later").await);
        unchanged(&mut page, &mut json, "only time has passed").await;
    }

    // Of the same severity as before, so that there is no new event in the timeline.
    let events = "SELECT count(*) FROM event";
    let before = portal.number(events).await;
    check(&portal, &missing("second")).await;
    assert_eq!(portal.number(events).await, before);
    changed(&mut page, &mut json, "something else was found").await;
    assert!(page.body.contains("second") && json.body.contains("second"));

    set_on(&portal, MINUTE).await;
    assert!(page.look(&portal, "it is later").await);
    let again = format!("/requests/{reference}/check-again");
    assert_eq!(portal.post(&again, &[]).await.status, StatusCode::SEE_OTHER);
    changed(&mut page, &mut json, "it is looked at at another time").await;

    // The promise is about the portal's turn: as if nothing had held it back.
    portal
        .run("DELETE FROM finding; DELETE FROM event WHERE code = 'blocked'")
        .await;
    changed(&mut page, &mut json, "it is the portal's turn").await;

    // The promise passes within a minute.
    let promised = "DO $$ BEGIN EXECUTE format('CREATE OR REPLACE FUNCTION pic_now() RETURNS timestamptz \
        LANGUAGE sql STABLE PARALLEL SAFE RETURN %L::timestamptz', \
        (SELECT submitted_at + interval '48 hours' FROM request)); END $$";
    portal.run(promised).await;
    assert!(page.look(&portal, "it is later").await);
    unchanged(&mut page, &mut json, "the promise is not over").await;
    set_on(&portal, Duration::from_secs(1)).await;
    changed(&mut page, &mut json, "the promise is over").await;
    assert!(page.body.contains("past its promise") && json.body.contains("\"overdue\":true"));

    // So does the time of the next check.
    portal
        .run("UPDATE work SET due_at = pic_now() + interval '9 seconds'")
        .await;
    changed(&mut page, &mut json, "it is due at another time").await;
    set_on(&portal, Duration::from_secs(9)).await;
    assert!(
        page.look(&portal, "the next look is not told once it is due")
            .await
    );

    // It is in the timeline, and nowhere else.
    portal
        .run("SELECT pic_append_event(ARRAY[1]::bigint[], pic_now(), 'administrator', 'key-replaced')")
        .await;
    changed(&mut page, &mut json, "its key was replaced").await;

    let fields = [("management_key", key.as_str())];
    let withdraw = format!("/requests/{reference}/withdraw");
    assert_eq!(
        portal.post(&withdraw, &fields).await.status,
        StatusCode::SEE_OTHER
    );
    changed(&mut page, &mut json, "it was withdrawn").await;
    assert!(page.body.contains("data-state=\"withdrawn\""));
    unchanged(&mut page, &mut json, "it has ended").await;
}

#[tokio::test]
async fn what_is_in_force_is_shown_as_replaced_once_it_is() {
    let portal = TestApp::new().await;
    stop_the_clock(&portal).await;
    let (reference, key) = portal.submit(ONE).await;
    let mut page = Visit::new(&portal, &reference, &[]).await;
    let mut json = Visit::new(&portal, &reference, &[JSON]).await;
    portal.work().await;
    assert!(page.look(&portal, "in force").await && json.look(&portal, "in force").await);
    assert!(page.body.contains("data-state=\"provisioned\""));
    let cookie = sign_in(&portal, &key).await;
    let cancel = portal
        .post_with("/service/cancel", &[("confirm", "on")], &cookie)
        .await;
    assert_eq!(cancel.status, StatusCode::SEE_OTHER, "{}", cancel.body);
    assert!(!json.look(&portal, "the other waits").await);
    portal.work().await;
    // Nothing of its own has changed, not even its timeline.
    assert!(page.look(&portal, "replaced").await && json.look(&portal, "replaced").await);
    assert!(page.body.contains("Superseded") && json.body.contains("superseded"));
}

#[tokio::test]
async fn the_tag_of_one_visitor_is_not_anothers() {
    let portal = TestApp::new().await;
    stop_the_clock(&portal).await;
    let (reference, key) = portal.submit(ONE).await;
    let path = format!("/requests/{reference}");
    let cookie = sign_in(&portal, &key).await;
    let (_, other_key) = portal.submit(&[("sip.fabrikam.com", "fabrikam.com")]).await;
    let stranger = sign_in(&portal, &other_key).await;

    let anybody = get(&portal, &path, &[]).await;
    let own = get(&portal, &path, &[("cookie", &cookie)]).await;
    for page in [&anybody, &own] {
        assert_eq!(page.header("vary"), "accept, cookie");
    }
    let signed_in = "You are signed in to this service.";
    assert!(own.body.contains(signed_in) && !anybody.body.contains(signed_in));
    let own_cookie = cookie.as_str();
    for (cookie, tag, is_same) in [
        ("", &anybody, true),
        ("", &own, false),
        (own_cookie, &own, true),
        (own_cookie, &anybody, false),
        // A stranger's session gives no access here, and gets the public page.
        (stranger.as_str(), &anybody, true),
        (stranger.as_str(), &own, false),
        ("pic_session=nonsense", &own, false),
    ] {
        let headers = [("cookie", cookie), ("if-none-match", tag.header("etag"))];
        let answer = get(&portal, &path, &headers).await;
        assert_eq!(
            answer.status == StatusCode::NOT_MODIFIED,
            is_same,
            "{cookie}"
        );
        let is_own = cookie == own_cookie;
        assert_eq!(
            answer.body.contains(signed_in),
            is_own && !is_same,
            "{cookie}"
        );
    }
    // The session ends, and with it the access.
    portal.post_with("/service/sign-out", &[], &cookie).await;
    let headers = [
        ("cookie", cookie.as_str()),
        ("if-none-match", own.header("etag")),
    ];
    let answer = get(&portal, &path, &headers).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("etag"), anybody.header("etag"));
}

#[tokio::test]
async fn whoever_looks_at_a_request_uses_the_session() {
    let portal = TestApp::new().await;
    let (reference, key) = portal.submit(ONE).await;
    let path = format!("/requests/{reference}");
    let cookie = sign_in(&portal, &key).await;
    let signed_in = "You are signed in to this service.";
    // Unused for half an hour it would have ended; a `304` counts as use too.
    for headers in [&[][..], &[JSON], &[JSON]] {
        let mut all = vec![("cookie", cookie.as_str())];
        all.extend(headers);
        let seen = get(&portal, &path, &all).await;
        let tag = seen.header("etag").to_owned();
        portal.advance(Duration::from_mins(20)).await;
        all.push(("if-none-match", &tag));
        get(&portal, &path, &all).await;
    }
    let cookie = [("cookie", cookie.as_str())];
    assert!(get(&portal, &path, &cookie).await.body.contains(signed_in));
    portal.advance(Duration::from_mins(31)).await;
    assert!(!get(&portal, &path, &cookie).await.body.contains(signed_in));
}

#[tokio::test]
async fn a_tag_is_good_for_one_address_and_one_face() {
    let portal = TestApp::new().await;
    stop_the_clock(&portal).await;
    let (one, _) = portal.submit(ONE).await;
    let (other, _) = portal.submit(&[("sip.fabrikam.com", "fabrikam.com")]).await;
    let (one, other) = (format!("/requests/{one}"), format!("/requests/{other}"));
    let page = get(&portal, &one, &[]).await;
    let json = get(&portal, &one, &[JSON]).await;
    let of = |answer: &crate::support::app::Answer| answer.header("etag").to_owned();
    let (page_tag, json_tag) = (of(&page), of(&json));
    for (path, accept, tag, expected) in [
        (
            &one,
            "text/html",
            page_tag.as_str(),
            StatusCode::NOT_MODIFIED,
        ),
        (
            &one,
            "application/json",
            &json_tag,
            StatusCode::NOT_MODIFIED,
        ),
        (&one, "application/json", &page_tag, StatusCode::OK),
        (&one, "text/html", &json_tag, StatusCode::OK),
        (&other, "text/html", &page_tag, StatusCode::OK),
        (&other, "application/json", &json_tag, StatusCode::OK),
        (&one, "text/html", "*", StatusCode::NOT_MODIFIED),
        (&one, "text/html", "W/\"\", nonsense", StatusCode::OK),
    ] {
        let headers = [("accept", accept), ("if-none-match", tag)];
        let answer = get(&portal, path, &headers).await;
        assert_eq!(answer.status, expected, "{path} {accept} {tag}");
    }
    let several = format!("\"a\", {page_tag} , W/\"b\"");
    let same = get(&portal, &one, &[("if-none-match", &several)]).await;
    assert_eq!(same.status, StatusCode::NOT_MODIFIED);
    let unknown = "/requests/PIC-0000-0000-0000-0000";
    let unknown = get(&portal, unknown, &[("if-none-match", "*")]).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    assert_eq!(unknown.header("etag"), "");
    // A page that reports a mistake is never cached.
    let wrong = [("management_key", "wrong")];
    let wrong = portal.post(&format!("{one}/withdraw"), &wrong).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(
        (wrong.header("etag"), wrong.header("cache-control")),
        ("", "no-store")
    );
}

#[tokio::test]
async fn another_process_knows_the_tag_unless_its_pages_differ() {
    let portal = TestApp::new().await;
    stop_the_clock(&portal).await;
    let (reference, _) = portal.submit(ONE).await;
    let path = format!("/requests/{reference}");
    let beside = async |(name, value): (&str, &str), change: &dyn Fn(&mut Site)| {
        let tag = get(&portal, &path, &[(name, value)]).await;
        let tag = tag.header("etag").to_owned();
        let mut site = portal.app.site().clone();
        change(&mut site);
        let app = App::new(portal.app.db().clone(), site, Notifier::default());
        let request = axum::http::Request::get(&path).header("if-none-match", &tag);
        let request = request.header(name, value);
        let request = request.body(axum::body::Body::empty()).unwrap();
        let answer = tower::ServiceExt::oneshot(pic_portal::routes::router(&app), request).await;
        answer.unwrap().status()
    };
    let world = World::start().await;
    let changes: [&dyn Fn(&mut Site); 7] = [
        &|site| site.provider = "Contoso".into(),
        &|site| site.notice = Some("Closed on Sunday".into()),
        &|site| site.support = Some("https://help.example".into()),
        &|site| site.clocks.promise = Duration::from_hours(24),
        &|site| site.clocks.expiry = Duration::from_hours(24),
        &|site| site.checks = world.advise(),
        &|site| {
            site.public_url = pic_portal::web::origin::Origin::parse("https://a.example").unwrap();
        },
    ];
    let edition = |proof| {
        let mut site = portal.app.site().clone();
        site.checks = Checks::Advise(world.checker(), proof);
        site.edition()
    };
    let (held, always) = (edition(ProofMode::Held), edition(ProofMode::Always));
    assert_ne!(held, always, "when ownership is to be proven is shown too");
    for face in [("accept", "text/html"), JSON] {
        assert_eq!(beside(face, &|_| {}).await, StatusCode::NOT_MODIFIED);
        for change in changes {
            assert_eq!(beside(face, change).await, StatusCode::OK, "{face:?}");
        }
    }
}
