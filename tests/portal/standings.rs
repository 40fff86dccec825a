//! Checks that pages, feed, JSON and the desk say of a service what is so, in one word: moved away,
//! cancelled, updated, superseded.

use std::time::Duration;

use pic_portal::staff::Role;

use crate::{
    live::files::get,
    service::{provisioned, send_edit, sign_in},
    staff,
    support::app::{Answer, TestApp},
    swaps::settle_with,
};

const EDGE: &str = "sip.contoso.com";

/// The pages that tell of the service of `reference`: its own, the service's, the desk's two and the
/// feed.
struct Told {
    page: Answer,
    hub: Answer,
    desk: Answer,
    desk_service: Answer,
    feed: Answer,
    standing: String,
}

impl Told {
    async fn of(portal: &TestApp, reference: &str, cookie: &str, desk: &str) -> Self {
        let page = format!("/requests/{reference}");
        let of_service =
            sqlx::query_scalar::<_, i64>("SELECT service_id FROM request WHERE reference = $1")
                .bind(reference)
                .fetch_one(portal.pool())
                .await
                .unwrap();
        let json = axum::http::Request::get(&page)
            .header("accept", "application/json")
            .body(axum::body::Body::empty())
            .unwrap();
        let json: serde_json::Value = serde_json::from_str(&portal.send(json).await.body).unwrap();
        Self {
            hub: portal.get_with("/service", cookie).await,
            desk: portal.get_with(&format!("/staff{page}"), desk).await,
            desk_service: portal
                .get_with(&format!("/staff/services/{of_service}"), desk)
                .await,
            feed: portal.get(&format!("{page}/feed.atom")).await,
            standing: json["standing"].as_str().unwrap().to_owned(),
            page: portal.get(&page).await,
        }
    }

    /// All of them say `word` of the request.
    fn all_say(&self, word: &str) {
        let tag = format!("\">{word}</strong>");
        for (name, page) in [
            ("page", &self.page),
            ("hub", &self.hub),
            ("desk", &self.desk),
            ("desk's service", &self.desk_service),
        ] {
            assert!(page.body.contains(&tag), "{name}: {word}: {}", page.body);
        }
        let title = format!("<title>{word}</title>");
        self.feed.shows(&title);
    }
}

/// The list of what moved away, as the page has it.
fn moved(page: &Answer) -> Option<&str> {
    let (_, list) = page.body.split_once("data-moved")?;
    Some(list.split_once("</ul>").unwrap().0)
}

#[tokio::test]
async fn a_domain_that_moved_away_is_told_first_with_what_to_do() {
    let portal = TestApp::new().await;
    let desk = staff::signed_in(&portal, "anna.k", Role::Agent).await;
    let (first, cookie) = provisioned(&portal, &[(EDGE, "contoso.com it.contoso.com")]).await;
    // The domain that moves was brought by the first request, and the service was updated since.
    let after = [(EDGE, "contoso.com new.contoso.com")];
    let update = send_edit(&portal, &cookie, &after, &[("action", "submit")])
        .await
        .reference();
    portal.work().await;

    let (taker, _) = portal.submit(&[("sip.new.com", "contoso.com")]).await;
    settle_with(&portal, &[(&taker, "contoso.com")]).await;
    let told = Told::of(&portal, &update, &cookie, &desk).await;
    told.all_say("Domain moved away");
    assert_eq!(told.standing, "moved-away");
    for page in [&told.page, &told.hub] {
        let list = moved(page).unwrap();
        assert!(list.contains(">contoso.com<") && !list.contains("new.contoso.com"));
        assert!(list.contains("<time datetime="), "when: {list}");
        assert!(page.body.contains("_pic-portal.contoso.com"), "by what");
        assert!(page.body.contains("If this was not you"), "what to do");
        let (before, _) = page.body.split_once("data-moved").unwrap();
        assert!(!before.contains("<h2 class=\"govuk-heading-m\">"), "first");
    }
    told.page.shows("app-line--action");
    assert!(
        told.page.body.contains("next-steps"),
        "new.contoso.com is in force"
    );
    let first = portal.get(&format!("/requests/{first}")).await;
    assert_eq!(moved(&first), None, "the last request tells of it");
    let calendar = portal
        .get(&format!("/requests/{update}/calendar.ics"))
        .await;
    calendar.shows("SUMMARY:Domain moved away");

    portal.advance(Duration::from_mins(2)).await;
    let (taker, _) = portal.submit(&[("sip.new.com", "new.contoso.com")]).await;
    settle_with(&portal, &[(&taker, "new.contoso.com")]).await;
    let told = Told::of(&portal, &update, &cookie, &desk).await;
    told.all_say("Domain moved away");
    for page in [&told.page, &told.hub] {
        assert!(page.body.contains("app-line--bad"), "nothing is left");
        page.hides("routes are in force");
    }
    told.page
        .shows("None of your SIP domains is in force any more");
    for gone in ["next-steps", "Your side", "/check-again", "In force since"] {
        assert!(!told.page.body.contains(gone), "{gone}");
    }

    // The next change of the service ends the alarm.
    portal.advance(Duration::from_mins(2)).await;
    let later = send_edit(
        &portal,
        &cookie,
        &[(EDGE, "it.contoso.com")],
        &[("action", "submit")],
    )
    .await
    .reference();
    portal.work().await;
    let hub = portal.get_with("/service", &cookie).await;
    assert_eq!(moved(&hub), None);
    Told::of(&portal, &later, &cookie, &desk)
        .await
        .all_say("Update active");
    let page = portal.get(&format!("/requests/{update}")).await;
    assert_eq!(moved(&page), None);
    page.shows("Superseded");
}

#[tokio::test]
async fn an_update_and_a_cancel_are_told_as_what_they_are() {
    let portal = TestApp::new().await;
    let desk = staff::signed_in(&portal, "anna.k", Role::Agent).await;
    let (first, cookie) = provisioned(&portal, &[(EDGE, "contoso.com")]).await;
    let told = Told::of(&portal, &first, &cookie, &desk).await;
    told.all_say("Provisioned");
    told.page.shows("<dt>In force since</dt>");
    told.page.hides("<dt>Ended</dt>");

    let update = send_edit(
        &portal,
        &cookie,
        &[(EDGE, "contoso.com it.contoso.com")],
        &[("action", "submit")],
    )
    .await
    .reference();
    let receipt = portal.get(&format!("/requests/{update}/receipt")).await;
    receipt.shows("Update received");
    receipt.shows("the update is active");
    receipt.shows("it.contoso.com");
    receipt.shows("1234567");
    portal.work().await;
    Told::of(&portal, &update, &cookie, &desk)
        .await
        .all_say("Update active");

    // The first request leads on, and its followers are told.
    let old = portal.get(&format!("/requests/{first}")).await;
    old.shows("A later request has replaced this one");
    let links = old.elements();
    for way in ["/service", "/status"] {
        let leads = |it: &&crate::support::html::Element| {
            it.get("href") == Some(way) && it.has_class("govuk-link")
        };
        assert!(links.iter().any(|it| leads(&it)), "{way}");
    }
    let feed = portal.get(&format!("/requests/{first}/feed.atom")).await;
    feed.shows("<title>Superseded</title>");
    assert_eq!(
        portal
            .number("SELECT count(*) FROM event WHERE code = 'superseded'")
            .await,
        1
    );

    let fields = [("confirm", "on")];
    let cancel = portal
        .post_with("/service/cancel", &fields, &cookie)
        .await
        .reference();
    let receipt = portal.get(&format!("/requests/{cancel}/receipt")).await;
    receipt.shows("Cancellation received");
    receipt.hides_each([
        "DNS records",
        "your request is provisioned",
        "aria-current=\"true\">Request federation",
    ]);
    let text = portal.get(&format!("/requests/{cancel}/receipt.txt")).await;
    text.shows("1234567");
    text.shows("go out of force");
    names_all(&portal, &cancel, "What was to be cancelled").await;
    portal.work().await;
    names_all(&portal, &cancel, "What was cancelled").await;
    let told = Told::of(&portal, &cancel, &cookie, &desk).await;
    told.all_say("Service cancelled");
    told.feed.hides("came into force");
    told.page.hides("came into force");
    assert_eq!(
        portal
            .number("SELECT count(*) FROM event WHERE code = 'superseded'")
            .await,
        2
    );

    // It never put anything in force, whatever comes after it.
    send_edit(
        &portal,
        &cookie,
        &[(EDGE, "contoso.com")],
        &[("action", "submit")],
    )
    .await;
    portal.work().await;
    let told = Told::of(&portal, &cancel, &cookie, &desk).await;
    told.all_say("Superseded");
    assert!(told.page.body.contains("<dt>Cancelled</dt>"));
    let bundle = portal.get(&format!("/requests/{cancel}/support.txt")).await;
    let ended = "Cancelled            ";
    assert!(bundle.body.contains(ended), "{}", bundle.body);
    for told in [&told.page, &told.desk, &bundle] {
        assert!(!told.body.contains("Came into force"), "{}", told.body);
    }
    names_all(&portal, &cancel, "What was cancelled").await;
}

/// All that tells of this cancellation names what it ends, before it is done and afterwards.
async fn names_all(portal: &TestApp, cancel: &str, heading: &str) {
    let path = format!("/requests/{cancel}");
    let page = portal.get(&path).await;
    assert!(page.body.contains(heading), "{heading}: {}", page.body);
    let json = get(portal, &path, &[("accept", "application/json")]).await;
    let json: serde_json::Value = serde_json::from_str(&json.body).unwrap();
    assert_eq!(json["routes"], serde_json::json!([]));
    let routes = [serde_json::json!({
        "access_edge": EDGE, "sip_domains": ["contoso.com", "it.contoso.com"]
    })];
    assert_eq!(json["cancels"], serde_json::json!(routes));
    let mut pages = vec![page];
    for file in ["support.txt", "receipt", "receipt.txt"] {
        pages.push(portal.get(&format!("{path}/{file}")).await);
    }
    for page in pages {
        page.shows_each([EDGE, "contoso.com", "it.contoso.com"]);
    }
}

#[tokio::test]
async fn what_waits_for_the_administrator_says_so_everywhere() {
    let portal = TestApp::new().await;
    let desk = staff::signed_in(&portal, "anna.k", Role::Agent).await;
    portal.submit(&[("sip.other.com", "contoso.com")]).await;
    portal.work().await;
    let (held, key) = portal.submit(&[(EDGE, "contoso.com")]).await;
    let cookie = sign_in(&portal, &key).await;
    assert_eq!(portal.work().await.held, 1);
    let told = Told::of(&portal, &held, &cookie, &desk).await;
    told.all_say("Needs action");
    told.hub.shows("It is waiting for you");
}
