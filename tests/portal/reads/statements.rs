//! Counts the statements of each page.

use std::{cell::Cell, time::Duration};

use axum::http::StatusCode;
use futures_util::future::join_all;
use pic_portal::request::{loader::store::look_up, reference::Reference};

use super::{JSON, ONE, get};
use crate::{
    service::sign_in,
    support::{app::TestApp, proxy::Proxy},
};

/// The statements of a portal, as its database counts them.
struct Statements {
    proxy: Proxy,
    seen: Cell<u64>,
}

impl Statements {
    /// How many there were since the last call.
    fn count(&self) -> u64 {
        let (_, all) = self.proxy.cost();
        all - self.seen.replace(all)
    }
}

/// A portal whose statements are counted.
async fn portal() -> (TestApp, Statements) {
    let (portal, proxy) = TestApp::behind_a_proxy().await;
    let seen = Cell::default();
    (portal, Statements { proxy, seen })
}

#[tokio::test]
async fn a_page_costs_one_statement_or_none() {
    let (portal, statements) = portal().await;
    let (reference, key) = portal.submit(ONE).await;
    let cookie = sign_in(&portal, &key).await;
    let page = format!("/requests/{reference}");
    let of = |rest: &str| format!("{page}/{rest}");
    let own = ("cookie", cookie.as_str());
    let tag = get(&portal, &page, &[]).await.header("etag").to_owned();
    get(&portal, &page, &[("if-none-match", &tag)]).await;
    statements.count();
    for (path, headers, expected) in [
        (page.clone(), &[][..], 1),
        (page.clone(), &[JSON], 1),
        (page.clone(), &[own], 1),
        (page.clone(), &[("if-none-match", "*")], 1),
        (page.clone(), &[("if-none-match", "*"), own], 1),
        // The cost if the tag is no longer right.
        (page.clone(), &[("if-none-match", "\"old\"")], 2),
        (of("receipt"), &[], 1),
        (of("receipt.txt"), &[], 1),
        (of("feed.atom"), &[], 1),
        (of("calendar.ics"), &[], 1),
        (of("support.txt"), &[], 1),
        ("/requests/new".into(), &[], 0),
        ("/".into(), &[], 0),
        ("/help".into(), &[], 0),
        ("/status".into(), &[own], 0),
    ] {
        let answer = get(&portal, &path, headers).await;
        assert!(answer.status.as_u16() < 400, "{path}: {}", answer.status);
        assert_eq!(statements.count(), expected, "{path} {headers:?}");
    }
    // Once a minute the use of a session is recorded.
    portal.advance(Duration::from_mins(2)).await;
    get(&portal, &page, &[own]).await;
    statements.count();
    get(&portal, &page, &[own]).await;
    assert_eq!(statements.count(), 1);
}

#[tokio::test]
async fn those_who_look_at_the_same_time_are_answered_together_each_with_their_own() {
    let (portal, statements) = portal().await;
    let (one, key) = portal.submit(ONE).await;
    let (other, _) = portal.submit(&[("sip.fabrikam.com", "fabrikam.com")]).await;
    let cookie = sign_in(&portal, &key).await;
    let nobodys = "PIC-0000-0000-0000-0000";
    get(&portal, &format!("/requests/{one}"), &[]).await;
    statements.count();
    let looks = (0..120).map(|n| {
        let reference = [one.as_str(), &other, nobodys][n % 3];
        let cookie = if n % 2 == 0 { cookie.as_str() } else { "" };
        let portal = &portal;
        async move {
            let path = format!("/requests/{reference}");
            let answer = get(portal, &path, &[("cookie", cookie)]).await;
            let is_own = answer.body.contains("You are signed in to this service.");
            (n, answer.status, answer.body.contains(reference), is_own)
        }
    });
    for (n, status, is_it, is_own) in join_all(looks).await {
        if n % 3 == 2 {
            assert_eq!(status, StatusCode::NOT_FOUND);
        } else {
            assert_eq!((status, is_it), (StatusCode::OK, true));
            assert_eq!(is_own, n % 6 == 0, "look {n}");
        }
    }
    let cost = statements.count();
    assert!(cost <= 6, "120 looks cost {cost} statements");
}

#[tokio::test]
async fn a_row_that_cannot_be_harms_nobody_else() {
    let (portal, _statements) = portal().await;
    let (good, _) = portal.submit(ONE).await;
    let (bad, _) = portal.submit(&[("sip.fabrikam.com", "fabrikam.com")]).await;
    portal
        .run(
            "ALTER TABLE event DROP CONSTRAINT event_actor; \
             INSERT INTO event SELECT max(id), 2, pic_now(), 'nobody', 'held' FROM request",
        )
        .await;
    let looks = [&good, &bad, &good, &bad].map(|reference| {
        let portal = &portal;
        async move {
            get(portal, &format!("/requests/{reference}"), &[])
                .await
                .status
        }
    });
    let statuses = join_all(looks).await;
    let (fine, broken) = (StatusCode::OK, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(statuses, [fine, broken, fine, broken]);
}

#[tokio::test]
async fn a_value_that_cannot_be_is_told_by_its_type_and_never_by_itself() {
    let (portal, _statements) = portal().await;
    let (reference, _) = portal.submit(ONE).await;
    let reference = Reference::parse(&reference).unwrap();
    let portal = &portal;
    let fault = async |sql| {
        portal.run(sql).await;
        let error = look_up(portal.pool(), reference).await.unwrap_err();
        assert_eq!(format!("{error:?}"), error.to_string());
        error.to_string()
    };
    for (sql, what) in [
        (
            "ALTER TABLE event DROP CONSTRAINT event_actor; \
             INSERT INTO event SELECT id, 2, pic_now(), 'mallory', 'held' FROM request",
            " of an answer: no value of the column's type",
        ),
        (
            "ALTER TABLE request DROP CONSTRAINT request_ended; UPDATE request SET ended_at = pic_now()",
            " of an answer: no pic_portal::request::state::State",
        ),
        (
            "ALTER TABLE request DROP CONSTRAINT request_kind, DROP CONSTRAINT request_makes_service; UPDATE request SET kind = 'mallory'",
            " of an answer: no pic_portal::request::Kind",
        ),
    ] {
        let told = fault(sql).await;
        let column = told.strip_prefix("impossible value in column ");
        let column = column.and_then(|told| told.strip_suffix(what));
        assert!(column.is_some_and(|at| at.parse::<u8>().is_ok()), "{told}");
    }
}

#[tokio::test]
async fn a_database_that_is_away_is_told_to_each_who_waits() {
    let (portal, _statements) = portal().await;
    let (reference, _) = portal.submit(ONE).await;
    portal.pool().close().await;
    let looks = (0..20).map(|_| {
        let portal = &portal;
        let path = format!("/requests/{reference}");
        async move { get(portal, &path, &[]).await }
    });
    for answer in join_all(looks).await {
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_ne!(answer.header("retry-after"), "");
    }
}
