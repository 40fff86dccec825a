//! Checks the feed and the calendar of a service: who can read them, and that they tell of what
//! happens through all updates.

use axum::http::StatusCode;
use icalendar::{Calendar, CalendarComponent, Component as _};

use crate::{
    live::files::{clock, get, portal_at},
    service::{edit, sign_in},
    support::app::{Answer, TestApp, submission_id},
    swaps::settle_with,
};

const ORIGIN: &str = "https://federation.example";
const PAGE: &str = "/service/watch";
const EDGE: &str = "sip.contoso.com";

/// Makes new addresses as the browser with this session; returns the paths of feed and calendar, as
/// its page shows them then.
pub(crate) async fn made(portal: &TestApp, session: &str) -> (String, String) {
    let answer = portal.post_with(PAGE, &[("action", "make")], session).await;
    assert_eq!(answer.header("location"), PAGE, "{}", answer.body);
    let cookies = format!("{session}; {}", answer.cookie());
    let page = portal.get_with(PAGE, &cookies).await;
    let address = |file: &str| {
        let (_, rest) = page
            .body
            .split_once(&format!("id=\"watch-{file}\">"))
            .unwrap();
        let (address, _) = rest.split_once('<').unwrap();
        let (_, path) = address.split_once("/watch/").unwrap();
        format!("/watch/{path}")
    };
    (address("feed"), address("calendar"))
}

/// A service with these domains in force, its key, and the paths of its feed and calendar.
async fn watched(portal: &TestApp, domains: &str) -> (String, String, String) {
    let (_, key) = portal.submit(&[(EDGE, domains)]).await;
    assert_eq!(portal.work().await.provisioned, 1);
    let session = sign_in(portal, &key).await;
    let (feed, calendar) = made(portal, &session).await;
    (key, feed, calendar)
}

/// The entries of a feed, the newest first.
async fn entries(portal: &TestApp, path: &str) -> Vec<String> {
    let body = portal.get(path).await.body;
    let feed = feed_rs::parser::parse(body.as_bytes()).unwrap();
    let titles = feed.entries.iter().map(|it| it.title.as_ref().unwrap());
    titles.map(|title| title.content.clone()).collect()
}

/// The entries of a calendar: the day, and what is on it.
async fn days(portal: &TestApp, path: &str) -> Vec<String> {
    let body = portal.get(path).await.body;
    assert!(body.lines().all(|line| line.len() <= 75), "{body}");
    let calendar: Calendar = body.parse().unwrap();
    let event = |it: &CalendarComponent| {
        let CalendarComponent::Event(event) = it else {
            panic!("an event: {body}");
        };
        let value = |name| event.property_value(name).unwrap_or_default().to_owned();
        let (from, to) = (value("DTSTART"), value("DTEND"));
        format!("{from}-{to} {}{}", value("SUMMARY"), value("RRULE"))
    };
    calendar.components.iter().map(event).collect()
}

#[tokio::test]
async fn the_address_alone_opens_them_until_it_is_replaced_or_withdrawn() {
    let portal = portal_at(ORIGIN).await;
    let (key, feed, calendar) = watched(&portal, "contoso.com").await;
    let session = sign_in(&portal, &key).await;
    for path in [&feed, &calendar] {
        let answer = portal.get(path).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.header("cache-control"), "private, no-cache");
        assert_eq!(answer.header("x-robots-tag"), "noindex");
        assert_eq!(answer.header("referrer-policy"), "same-origin");
        answer.shows("contoso.com");
        assert!(!answer.body.contains("1234567"), "no agreement number");
    }
    let secret = feed.split('/').nth(2).unwrap();
    let stored = crate::support::app::everything(portal.pool()).await;
    assert!(!stored.contains(secret), "a hash of it alone is stored");
    let page = portal.get_with(PAGE, &session).await;
    assert!(!page.body.contains(secret), "it is shown once");
    page.shows("Make new addresses");
    let hub = portal.get_with("/service", &session).await;
    hub.shows("href=\"/service/watch\"");

    let gone = async |path: &str| portal.get(path).await.status == StatusCode::NOT_FOUND;
    let (new, _) = made(&portal, &session).await;
    assert!(gone(&feed).await && gone(&calendar).await && !gone(&new).await);
    let withdrawn = portal
        .post_with(PAGE, &[("action", "withdraw")], &session)
        .await;
    assert!(withdrawn.header("set-cookie").contains("Max-Age=0"));
    assert!(gone(&new).await);
    assert!(gone("/watch/nonsense/feed.atom").await);
    // A program that asks gets the same, in its own format.
    let headers = [("accept", "application/json")];
    let problem = crate::live::files::get(&portal, &new, &headers).await;
    assert_eq!(problem.header("content-type"), "application/problem+json");
}

#[tokio::test]
async fn a_form_that_is_not_the_pages_changes_nothing() {
    let portal = portal_at(ORIGIN).await;
    let (key, feed, _) = watched(&portal, "contoso.com").await;
    let session = sign_in(&portal, &key).await;
    let told = |answer: Answer| (answer.status, answer.header("location").to_owned());
    let wrong = portal
        .post_with(PAGE, &[("action", "other")], &session)
        .await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    let nobody = portal.post_with(PAGE, &[("action", "withdraw")], "").await;
    let led_away = (StatusCode::SEE_OTHER, "/service".to_owned());
    assert_eq!(told(nobody), led_away);
    portal.post_with("/service/sign-out", &[], &session).await;
    let late = portal
        .post_with(PAGE, &[("action", "withdraw")], &session)
        .await;
    assert_eq!(told(late), led_away);
    assert_eq!(portal.get(&feed).await.status, StatusCode::OK);
}

#[tokio::test]
async fn they_go_on_through_an_update_and_tell_what_is_wrong_as_long_as_it_is() {
    let portal = portal_at(ORIGIN).await;
    let (key, feed, calendar) = watched(&portal, "contoso.com it.contoso.com").await;
    let session = sign_in(&portal, &key).await;
    let id = submission_id();
    let after = [(EDGE, "contoso.com new.contoso.com")];
    let fields = edit(&id, &after, &[("action", "submit")]);
    let update = portal.post_with("/service/edit", &fields, &session).await;
    let update = update.reference();
    clock(&portal, "2025-05-06T10:00:00Z").await;
    portal.work().await;
    let mut told = entries(&portal, &feed).await;
    told.sort_unstable();
    let expected = ["Provisioned", "Submitted", "Submitted", "Update active"];
    assert_eq!(told, expected);
    let each_year = "20260505-20260506 Look at your federation once a yearFREQ=YEARLY";
    assert_eq!(days(&portal, &calendar).await, [each_year]);

    portal
        .run(
            "INSERT INTO finding (request_id, code, subject, severity, at)
              SELECT max(id), 'srv-missing', 'contoso.com', 'blocking', pic_now() FROM request",
        )
        .await;
    portal
        .run("SELECT pic_append_event(ARRAY(SELECT max(id) FROM request), pic_now(), 'portal', 'at-risk')")
        .await;
    clock(&portal, "2025-05-08T09:00:00Z").await;
    assert_eq!(entries(&portal, &feed).await[0], "At risk");
    let title = "Federation of contoso.com and 1 other SIP domain";
    let at_risk = format!("20250506-20250509 At risk: {title}");
    assert_eq!(days(&portal, &calendar).await, [&at_risk, each_year]);
    let of_request = format!("/requests/{update}/calendar.ics");
    let of_request = portal.get(&of_request).await.body;
    for line in [
        "SUMMARY:At risk: request",
        "DTSTART;VALUE=DATE:20250506",
        "DTEND;VALUE=DATE:20250509",
        "DTSTAMP:20250508T000000Z",
    ] {
        assert!(of_request.contains(line), "{line}: {of_request}");
    }
    let page = format!("/requests/{update}");
    let json = get(&portal, &page, &[("accept", "application/json")]).await;
    let json: serde_json::Value = serde_json::from_str(&json.body).unwrap();
    assert_eq!(
        (&json["standing"], &json["at_risk"]),
        (&"in-force".into(), &true.into())
    );
    let bundle = portal.get(&format!("{page}/support.txt")).await.body;
    assert!(
        bundle.contains("Standing             in-force, at risk"),
        "{bundle}"
    );
    portal.run("DELETE FROM finding").await;
    assert_eq!(days(&portal, &calendar).await, [each_year]);

    let (taker, _) = portal.submit(&[("sip.new.com", "contoso.com")]).await;
    settle_with(&portal, &[(&taker, "contoso.com")]).await;
    assert_eq!(entries(&portal, &feed).await[0], "Domain moved away");
    let moved = "20250508-20250509 Domain moved away: Federation of new.contoso.com";
    assert_eq!(days(&portal, &calendar).await, [moved, each_year]);

    // With nothing in force nothing has to be looked at.
    let session = sign_in(&portal, &key).await;
    let confirmed = [("confirm", "on")];
    let cancel = portal
        .post_with("/service/cancel", &confirmed, &session)
        .await;
    cancel.reference();
    assert_eq!(portal.work().await.provisioned, 1);
    clock(&portal, "2027-05-08T09:00:00Z").await;
    let told = entries(&portal, &feed).await;
    assert_eq!(told[0], "Service cancelled");
    assert!(!told.contains(&"Look at your federation once a year".to_owned()));
    let nothing = "20250508-20250509 Federation: nothing in force";
    assert_eq!(days(&portal, &calendar).await, [nothing]);
}

#[tokio::test]
async fn the_end_of_a_certificate_is_told_three_times_and_a_year_once() {
    let portal = portal_at(ORIGIN).await;
    let (_, feed, calendar) = watched(&portal, "contoso.com").await;
    let certificate = async |from: &str, until: &str| {
        let sql = format!(
            "INSERT INTO finding (request_id, code, subject, severity, at, found)
             VALUES (1, 'certificate', '{EDGE}', 'ok', pic_now(), E'valid until {until}\\nvalid from {from}')
             ON CONFLICT (request_id, hashtextextended(code || ' ' || subject, request_id)) DO UPDATE SET found = EXCLUDED.found"
        );
        portal.run(&sql).await;
    };
    let ids = async || {
        let body = portal.get(&feed).await.body;
        let feed = feed_rs::parser::parse(body.as_bytes()).unwrap();
        let entries = feed.entries.into_iter();
        entries.map(|entry| entry.id).collect::<Vec<_>>()
    };
    let expires = |days: u8| format!("Certificate of {EDGE} expires in {days} days");
    let year = "Look at your federation once a year";
    let each_year = format!("20260505-20260506 {year}FREQ=YEARLY");

    certificate("2025-05-01 00:00 UTC", "2026-05-01 00:00 UTC").await;
    let day = |day: &str, left| format!("{day} {}", expires(left));
    let expected = [
        day("20260401-20260402", 30),
        day("20260417-20260418", 14),
        day("20260424-20260425", 7),
        each_year.clone(),
    ];
    assert_eq!(days(&portal, &calendar).await, expected);
    let before = ids().await;
    for (at, newest) in [
        ("2026-03-31T23:59:00Z", "Provisioned".to_owned()),
        ("2026-04-01T00:00:00Z", expires(30)),
        ("2026-04-17T00:00:00Z", expires(14)),
        ("2026-04-24T00:00:00Z", expires(7)),
        ("2026-05-05T14:01:00Z", year.to_owned()),
    ] {
        clock(&portal, at).await;
        assert_eq!(entries(&portal, &feed).await[0], newest, "{at}");
    }
    let told = entries(&portal, &feed).await;
    assert_eq!(
        told[..4],
        [year.to_owned(), expires(7), expires(14), expires(30)]
    );
    assert!(ids().await.ends_with(&before), "the same for ever");

    // Renewed; then for 47 days, and for six.
    certificate("2026-05-01 00:00 UTC", "2027-05-01 00:00 UTC").await;
    assert_eq!(entries(&portal, &feed).await[..2], [year, "Provisioned"]);
    certificate("2026-05-01 00:00 UTC", "2026-06-17 00:00 UTC").await;
    let short = [day("20260603-20260604", 14), day("20260610-20260611", 7)];
    assert_eq!(days(&portal, &calendar).await[..2], short);
    certificate("2026-05-01 00:00 UTC", "2026-05-07 00:00 UTC").await;
    assert_eq!(days(&portal, &calendar).await, [each_year]);
}
