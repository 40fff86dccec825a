//! Checks that programs can parse what they get: JSON, feed, calendar, support bundle.

use std::collections::BTreeSet;

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use icalendar::{Calendar, CalendarComponent, CalendarDateTime, Component as _, DatePerhapsTime};
use serde_json::{Value, json};

use super::ONE;
use crate::support::{
    app::{Answer, TestApp},
    assert_says,
};

const TWO: &[(&str, &str)] = &[
    ("sip.fabrikam.com", "fabrikam.com b\u{fc}cher.example"),
    ("edge.fabrikam.com", "contoso.com"),
];
const ORIGIN: &str = "https://federation.example";

/// A portal whose clock stands still.
pub(crate) async fn portal_at(origin: &str) -> TestApp {
    let portal = TestApp::at(origin).await;
    clock(&portal, "2025-05-05T14:01:00Z").await;
    portal
}

pub(crate) async fn clock(portal: &TestApp, at: &str) {
    let sql = format!(
        "CREATE OR REPLACE FUNCTION pic_now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
         RETURN '{at}'::timestamptz"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
        .execute(portal.pool())
        .await
        .unwrap();
}

/// A request that is held back: `contoso.com` is in force under another service.
async fn held(portal: &TestApp) -> (String, String) {
    portal.submit(ONE).await;
    portal.work().await;
    let held = portal.submit(TWO).await;
    portal.work().await;
    // The time of the next check is partly random.
    portal
        .run("UPDATE work SET due_at = pic_now() + interval '30 seconds'")
        .await;
    held
}

async fn withdraw(portal: &TestApp, reference: &str, key: &str) {
    let path = format!("/requests/{reference}/withdraw");
    let answer = portal.post(&path, &[("management_key", key)]).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
}

pub(crate) async fn get(portal: &TestApp, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::get(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    portal.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn the_status_as_json_is_what_it_was_for_every_program() {
    let portal = portal_at(ORIGIN).await;
    let (reference, key) = held(&portal).await;
    let page = format!("/requests/{reference}");
    let json = async || {
        let answer = get(&portal, &page, &[("accept", "application/json")]).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!(answer.header("vary"), "accept");
        assert_eq!(answer.header("cache-control"), "private, no-cache");
        assert_eq!(answer.header("x-robots-tag"), "noindex");
        serde_json::from_str::<Value>(&answer.body).unwrap()
    };
    let whole = format!("{ORIGIN}{page}");
    let mut expected = json!({
        "reference": reference,
        "kind": "initiate",
        "state": "pending",
        "standing": "needs-action",
        "overdue": false,
        "at_risk": false,
        "reason": null,
        "submitted_at": "2025-05-05T14:01:00Z",
        "ended_at": null,
        "promised_by": null,
        "expires_at": "2025-06-04T14:01:00Z",
        "checked_at": "2025-05-05T14:01:00Z",
        "due_at": "2025-05-05T14:01:30Z",
        "gateways": null,
        "routes": [
            { "access_edge": "sip.fabrikam.com", "sip_domains": ["fabrikam.com", "xn--bcher-kva.example"] },
            { "access_edge": "edge.fabrikam.com", "sip_domains": ["contoso.com"] },
        ],
        "cancels": [],
        "findings": [
            { "code": "domain-held", "severity": "blocking", "subject": "contoso.com", "expected": "", "found": [], "asked": null },
        ],
        "proof": { "asked": "held", "records": [] },
        "timeline": [
            { "seq": 1, "at": "2025-05-05T14:01:00Z", "times": 1, "last_at": null, "actor": "administrator", "code": "submitted", "subject": null },
            { "seq": 2, "at": "2025-05-05T14:01:00Z", "times": 1, "last_at": null, "actor": "portal", "code": "held", "subject": null },
        ],
        "earlier_events": 0,
        "links": {
            "page": whole,
            "stream": format!("{whole}/stream"),
            "feed": format!("{whole}/feed.atom"),
            "calendar": format!("{whole}/calendar.ics"),
            "support": format!("{whole}/support.txt"),
        },
    });
    assert_eq!(json().await, expected);

    clock(&portal, "2025-05-08T00:00:00Z").await;
    assert_eq!(
        json().await,
        expected,
        "while the administrator has to act, nothing is overdue"
    );
    withdraw(&portal, &reference, &key).await;
    for (name, value) in [
        ("overdue", json!(false)),
        ("state", json!("withdrawn")),
        ("standing", json!("withdrawn")),
        ("ended_at", json!("2025-05-08T00:00:00Z")),
        ("promised_by", json!("2025-05-07T14:01:00Z")),
        ("expires_at", Value::Null),
        ("checked_at", Value::Null),
        ("due_at", Value::Null),
        ("findings", json!([])),
    ] {
        expected[name] = value;
    }
    let events = expected["timeline"].as_array_mut().unwrap();
    events.push(json!({ "seq": 3, "at": "2025-05-08T00:00:00Z", "times": 1, "last_at": null, "actor": "administrator", "code": "withdrawn", "subject": null }));
    assert_eq!(json().await, expected);
}

#[tokio::test]
async fn who_prefers_a_page_gets_one() {
    let portal = portal_at(ORIGIN).await;
    let (reference, _) = portal.submit(ONE).await;
    let (page, json) = ("text/html; charset=utf-8", "application/json");
    for (accept, kind, vary) in [
        ("*/*", page, "accept, cookie"),
        ("text/html, application/json", page, "accept, cookie"),
        ("application/json;q=0.9, text/html;q=0.8", json, "accept"),
    ] {
        let answer = get(
            &portal,
            &format!("/requests/{reference}"),
            &[("accept", accept)],
        )
        .await;
        assert_eq!(answer.header("content-type"), kind, "{accept}");
        assert_eq!(answer.header("vary"), vary, "{accept}");
    }
    let unknown = get(
        &portal,
        "/requests/PIC-0000-0000-0000-0000",
        &[("accept", "application/json")],
    )
    .await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    assert_eq!(unknown.header("content-type"), "application/problem+json");
}

#[tokio::test]
async fn a_feed_reader_sees_each_event_once() {
    let portal = portal_at(ORIGIN).await;
    let (reference, key) = held(&portal).await;
    let path = format!("/requests/{reference}/feed.atom");
    let first = portal.get(&path).await;
    assert_eq!(
        first.header("content-type"),
        "application/atom+xml; charset=utf-8"
    );
    let before = feed_rs::parser::parse(first.body.as_bytes()).unwrap();
    clock(&portal, "2025-05-05T15:00:00Z").await;
    withdraw(&portal, &reference, &key).await;
    let body = portal.get(&path).await.body;
    let feed = feed_rs::parser::parse(body.as_bytes()).unwrap();
    assert_eq!(feed.feed_type, feed_rs::model::FeedType::Atom);
    assert_eq!(feed.title.unwrap().content, format!("Request {reference}"));
    assert_eq!(feed.authors[0].name.as_deref(), Some("Federation portal"));
    assert_eq!(
        (feed.authors[0].email.as_ref(), feed.authors.len()),
        (None, 1)
    );
    assert_eq!(
        feed.updated.unwrap().to_rfc3339(),
        "2025-05-05T15:00:00+00:00"
    );
    let links: Vec<_> = feed
        .links
        .iter()
        .map(|link| (link.rel.as_deref().unwrap(), link.href.as_str()))
        .collect();
    let page = format!("{ORIGIN}/requests/{reference}");
    assert_eq!(
        links,
        [
            ("self", format!("{page}/feed.atom").as_str()),
            ("alternate", &page)
        ]
    );
    let told: Vec<_> = feed
        .entries
        .iter()
        .map(|entry| {
            (
                entry.title.as_ref().unwrap().content.as_str(),
                entry.content.as_ref().unwrap().body.as_deref().unwrap(),
                entry.updated.unwrap().format("%H:%M").to_string(),
            )
        })
        .collect();
    let words = |title, text, at: &str| (title, text, at.to_owned());
    assert_eq!(
        told,
        [
            words("Withdrawn", "By you. It was withdrawn.", "15:00"),
            words(
                "Needs action",
                "By the portal. One of its SIP domains is in force under another service.",
                "14:01"
            ),
            words("Submitted", "By you. The request was stored.", "14:01"),
        ]
    );
    // The words are those of the page.
    let status = portal.get(&format!("/requests/{reference}")).await;
    for (title, text, _) in &told {
        status.shows(title);
        status.shows(text);
    }
    let ids: Vec<_> = feed.entries.iter().map(|entry| entry.id.clone()).collect();
    let old: Vec<_> = before
        .entries
        .iter()
        .map(|entry| entry.id.clone())
        .collect();
    assert_eq!(&ids[1..], old, "the same for ever");
    assert_eq!(feed.id, before.id);
    let all: BTreeSet<_> = ids.iter().chain([&feed.id]).collect();
    assert_eq!(all.len(), 4, "each its own");
    for id in all {
        let uuid = id.strip_prefix("urn:uuid:").unwrap();
        uuid::Uuid::parse_str(uuid).unwrap();
    }
}

#[tokio::test]
async fn ids_do_not_change_with_the_address_and_differ_by_request() {
    let portal = portal_at(ORIGIN).await;
    let (one, _) = portal.submit(ONE).await;
    let (other, _) = portal.submit(TWO).await;
    let ids = async |app: &TestApp, reference: &str| {
        let body = app
            .get(&format!("/requests/{reference}/feed.atom"))
            .await
            .body;
        let feed = feed_rs::parser::parse(body.as_bytes()).unwrap();
        (feed.id, feed.entries[0].id.clone())
    };
    assert_ne!(ids(&portal, &one).await, ids(&portal, &other).await);
    let here = portal.get(&format!("/requests/{one}/feed.atom")).await.body;
    let there = {
        let mut site = portal.app.site().clone();
        site.public_url =
            pic_portal::web::origin::Origin::parse("http://elsewhere.example").unwrap();
        let opening = pic_portal::db::Opening {
            pool: 2,
            allow_unsafe: true,
        };
        let db = pic_portal::db::Database::open(portal.db().options(), &opening)
            .await
            .unwrap();
        let app = pic_portal::app::App::new(db, site, portal.notifier.clone());
        let request = Request::get(format!("/requests/{one}/feed.atom"));
        let request = request.body(Body::empty()).unwrap();
        let answer = tower::ServiceExt::oneshot(pic_portal::routes::router(&app), request)
            .await
            .unwrap();
        let body = axum::body::to_bytes(answer.into_body(), 1 << 20)
            .await
            .unwrap();
        String::from_utf8(body.to_vec()).unwrap()
    };
    assert_eq!(here.replace(ORIGIN, "http://elsewhere.example"), there);
}

#[tokio::test]
async fn what_has_not_changed_is_not_sent_again() {
    let portal = portal_at(ORIGIN).await;
    let (reference, key) = portal.submit(ONE).await;
    for file in ["feed.atom", "calendar.ics"] {
        let path = format!("/requests/{reference}/{file}");
        let fresh = portal.get(&path).await;
        assert_eq!(
            fresh.header("last-modified"),
            "",
            "{file}: its second is not over"
        );
    }
    clock(&portal, "2025-05-05T14:02:00Z").await;
    let mut known = Vec::new();
    for file in ["feed.atom", "calendar.ics"] {
        let path = format!("/requests/{reference}/{file}");
        let fresh = portal.get(&path).await;
        let (tag, date) = (fresh.header("etag"), fresh.header("last-modified"));
        assert_eq!(date, "Mon, 05 May 2025 14:01:00 GMT");
        assert_eq!(fresh.header("cache-control"), "private, no-cache");
        for headers in [
            &[("if-none-match", tag)][..],
            &[("if-modified-since", date)],
            &[
                ("if-none-match", tag),
                ("if-modified-since", "Mon, 05 May 2025 14:00:00 GMT"),
            ],
        ] {
            let same = get(&portal, &path, headers).await;
            assert_eq!(same.status, StatusCode::NOT_MODIFIED, "{file} {headers:?}");
            assert_eq!((same.body.as_str(), same.header("etag")), ("", tag));
        }
        known.push((path, tag.to_owned(), date.to_owned()));
    }
    withdraw(&portal, &reference, &key).await;
    clock(&portal, "2025-05-05T14:03:00Z").await;
    for (path, tag, date) in known {
        for header in [("if-none-match", tag), ("if-modified-since", date)] {
            let changed = get(&portal, &path, &[(header.0, &header.1)]).await;
            assert_eq!(changed.status, StatusCode::OK, "{path} {}", header.0);
        }
    }
}

/// The only event of a calendar file, and how many alarms it has.
fn event(file: &str) -> (icalendar::Event, usize) {
    assert!(file.lines().all(|line| line.len() <= 75), "{file}");
    assert_eq!(file.matches('\n').count(), file.matches("\r\n").count());
    let calendar: Calendar = file.parse().unwrap();
    let [CalendarComponent::Event(event)] = &calendar.components[..] else {
        panic!("one event: {file}");
    };
    (event.clone(), file.matches("BEGIN:VALARM").count())
}

#[tokio::test]
async fn a_calendar_reminds_until_there_is_nothing_to_do() {
    let portal = portal_at("https://a-rather-long-name-of-a-host.federation.example:8443").await;
    let (reference, key) = portal.submit(ONE).await;
    let path = format!("/requests/{reference}/calendar.ics");
    let answer = portal.get(&path).await;
    assert_eq!(
        answer.header("content-type"),
        "text/calendar; charset=utf-8"
    );
    assert_eq!(
        answer.header("content-disposition"),
        format!("attachment; filename=\"{reference}.ics\"")
    );
    let (pending, alarms) = event(&answer.body);
    let page = format!(
        "https://a-rather-long-name-of-a-host.federation.example:8443/requests/{reference}"
    );
    assert_eq!(alarms, 1);
    assert_eq!(
        pending.get_summary(),
        Some(format!("Check request {reference}").as_str())
    );
    assert_eq!(pending.get_url(), Some(page.as_str()));
    assert!(pending.get_description().unwrap().ends_with(&page));
    let Some(DatePerhapsTime::DateTime(CalendarDateTime::Utc(start))) = pending.get_start() else {
        panic!("a time in UTC");
    };
    assert_eq!(start.to_rfc3339(), "2025-05-07T14:01:00+00:00");
    assert_eq!(pending.get_sequence(), Some(0));
    assert_eq!(
        pending.get_timestamp().unwrap().to_rfc3339(),
        "2025-05-05T14:01:00+00:00"
    );

    clock(&portal, "2025-05-05T15:00:00Z").await;
    withdraw(&portal, &reference, &key).await;
    let body = portal.get(&path).await.body;
    let (ended, alarms) = event(&body);
    assert_eq!(alarms, 0);
    assert_eq!(
        ended.get_summary(),
        Some(format!("Nothing to do: request {reference} was withdrawn").as_str())
    );
    assert_eq!(
        ended.get_uid(),
        pending.get_uid(),
        "it takes the other's place"
    );
    assert_eq!(ended.get_sequence(), Some(1));
    for contact in ["ORGANIZER", "ATTENDEE", "CONTACT", "mailto"] {
        assert!(!body.contains(contact), "{contact}");
    }
}

/// Before that time something has to be done, so it reminds a week before.
#[tokio::test]
async fn a_calendar_has_the_time_limit_while_the_administrator_has_to_act() {
    let portal = portal_at(ORIGIN).await;
    let (reference, _) = held(&portal).await;
    let path = format!("/requests/{reference}/calendar.ics");
    let told = async || {
        let answer = portal.get(&path).await;
        let (entry, alarms) = event(&answer.body);
        assert_eq!(alarms, 1, "{}", answer.body);
        let value = |name| entry.property_value(name).unwrap().to_owned();
        let named = ["DTSTART", "SUMMARY", "SEQUENCE", "DTSTAMP"];
        (named.map(value), answer.body.contains("TRIGGER:-P7D"))
    };
    let waits = told().await;
    assert_eq!(
        waits,
        (
            [
                "20250604T140100Z",
                &format!("Request {reference} expires"),
                "1",
                "20250505T140100Z"
            ]
            .map(str::to_owned),
            true
        )
    );
    // The other releases the domain: there is no event, and it is the portal's turn.
    clock(&portal, "2025-05-06T14:01:00Z").await;
    portal.run("DELETE FROM finding").await;
    portal
        .run(
            "INSERT INTO finding (request_id, code, subject, severity, at)
             SELECT max(id), 'srv', 'contoso.com', 'ok', pic_now() FROM request",
        )
        .await;
    assert_eq!(
        told().await,
        (
            [
                "20250508T140100Z",
                &format!("Check request {reference}"),
                "1",
                "20250506T140100Z"
            ]
            .map(str::to_owned),
            false
        )
    );
}

#[tokio::test]
async fn support_gets_all_that_it_asks_for() {
    let portal = portal_at(ORIGIN).await;
    let (reference, key) = held(&portal).await;
    let path = format!("/requests/{reference}/support.txt");
    let fields = [("number", "1234567"), ("management_key", key.as_str())];
    let browser = portal.post("/service", &fields).await.cookie();
    let answer = portal.get_with(&path, &browser).await;
    assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(
        answer.header("content-disposition"),
        format!("inline; filename=\"{reference}.txt\"")
    );
    let expected = format!(
        "Federation portal: support bundle

Reference            {reference}
Kind                 initiate
State                pending
Standing             needs-action
Network              Skype
Programme            Microsoft Volume Licensing
Agreement number     1234567
Deployment           on_premises
Submitted            2025-05-05T14:01:00Z
Expires              2025-06-04T14:01:00Z
Readiness checks     off
Checks last ran      2025-05-05T14:01:00Z
Checks run next      2025-05-05T14:01:30Z
Written              2025-05-05T14:01:00Z
Status page          {ORIGIN}/requests/{reference}

Routes asked for
  Access Edge sip.fabrikam.com
    SIP domain fabrikam.com
    SIP domain xn--bcher-kva.example
  Access Edge edge.fabrikam.com
    SIP domain contoso.com

Findings
  blocking  domain-held: contoso.com

Timeline
   1  2025-05-05T14:01:00Z  administrator  submitted
   2  2025-05-05T14:01:00Z  portal         held

Contact details are not asked for, and not kept.
"
    );
    assert_eq!(answer.body, expected);
    // A client that only has the reference gets the rest, in the same lines.
    let masked = expected
        .replace(
            "Agreement number     1234567\n",
            "Agreement number     1*****7\n",
        )
        .replace(
            "\nContact details",
            "\nThe number of the agreement is masked: whoever is signed in to the service gets it in full.\n\nContact details",
        );
    assert_eq!(portal.get(&path).await.body, masked);
    let (_, other) = portal.submit(&[("sip.contoso.com", "other.example")]).await;
    let fields = [("number", "1234567"), ("management_key", other.as_str())];
    let other = portal.post("/service", &fields).await.cookie();
    assert_eq!(portal.get_with(&path, &other).await.body, masked);
}

#[tokio::test]
async fn keys_and_tokens_are_in_none_of_it() {
    let portal = portal_at(ORIGIN).await;
    let (reference, key) = held(&portal).await;
    let secrets: Vec<String> = portal
        .all("SELECT token FROM service UNION ALL SELECT encode(key_hash, 'hex') FROM service")
        .await;
    assert_eq!(secrets.len(), 4);
    let page = format!("/requests/{reference}");
    let json = get(&portal, &page, &[("accept", "application/json")]).await;
    let mut bodies = vec![json.body];
    for file in ["stream", "feed.atom", "calendar.ics", "support.txt"] {
        bodies.push(portal.get(&format!("{page}/{file}")).await.body);
    }
    for body in bodies {
        assert_says(&body, &reference);
        for secret in secrets.iter().chain([&key, &key.replace('-', "")]) {
            assert!(!body.contains(secret.as_str()), "{body}");
        }
    }
}

#[tokio::test]
async fn there_is_nothing_without_a_reference() {
    let portal = portal_at(ORIGIN).await;
    let (reference, _) = portal.submit(ONE).await;
    for file in ["feed.atom", "calendar.ics", "support.txt"] {
        for unknown in ["PIC-0000-0000-0000-0000", "x"] {
            let answer = portal.get(&format!("/requests/{unknown}/{file}")).await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{file}");
        }
        let typed = reference.to_lowercase().replace('-', "");
        let answer = portal.get(&format!("/requests/{typed}/{file}")).await;
        assert_eq!(
            answer.header("location"),
            format!("/requests/{reference}/{file}")
        );
    }
}
