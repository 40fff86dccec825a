//! Checks that a timeline stays short, and that a full one blocks nothing.

use std::time::Duration;

use axum::http::StatusCode;
use pic_portal::staff::Role;

use super::sizes;
use crate::{
    service::sign_in,
    staff::signed_in,
    support::{
        app::{TestApp, WAITS},
        assert_says,
        world::World,
    },
};

const ONE: &[(&str, &str)] = &[("sip.contoso.com", "contoso.com")];

/// The last request gets a timeline as full as it could become when the numbers were small
/// integers.
const FULL: &str = "INSERT INTO event (request_id, seq, at, actor, code)
    SELECT r.id, n, pic_now(), 'administrator', 'key-replaced'
    FROM (SELECT max(id) AS id FROM request) r, generate_series(3, 32767) AS n";
/// Adds to the end of the timeline.
const AT_ITS_END: &str = "INSERT INTO event (request_id, seq, at, actor, code)
    SELECT max(id), 2147483647, pic_now() - interval '2 days', 'administrator', 'key-replaced' FROM request";
/// A trigger that refuses everything that is written to it.
const REFUSING: &str = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.code = 'domain-lost' THEN RAISE EXCEPTION 'no'; END IF; RETURN NEW; END $$;
    CREATE TRIGGER refuse BEFORE INSERT ON event FOR EACH ROW EXECUTE FUNCTION refuse()";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_timeline_keeps_a_domain_from_the_owner_of_its_zone() {
    let (world, _edge) = World::with("contoso.com").await;
    let portal = TestApp::checking(world.enforce()).await;
    portal.submit(ONE).await;
    assert_eq!(portal.work().await.provisioned, 1);
    for hostile in [FULL, AT_ITS_END, REFUSING] {
        portal.run(hostile).await;
        let (owner, _) = portal.submit(ONE).await;
        assert_eq!(portal.work().await.held, 1);
        let token: String = portal
            .one("SELECT token FROM service ORDER BY id DESC LIMIT 1")
            .await;
        world.speak_for("contoso.com", &token);
        portal.advance(WAITS.first).await;
        assert_eq!(portal.work().await.provisioned, 1, "{hostile}");
        assert_eq!(portal.state(&owner).await, "provisioned");
    }
    let lost = "SELECT count(*) FROM event WHERE code = 'domain-lost'";
    assert_eq!(portal.number(lost).await, 1, "of the one that had room");
    let by = "SELECT request_id FROM route";
    assert_eq!(portal.number(by).await, 4);
}

#[tokio::test]
async fn what_is_done_to_a_request_is_done_however_long_its_timeline_is() {
    let portal = TestApp::new().await;
    portal.submit(ONE).await;
    portal.work().await;
    let desk = signed_in(&portal, "anna", Role::Agent).await;
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(portal.submit(ONE).await);
        assert_eq!(portal.work().await.held, 1);
        portal.run(FULL).await;
    }
    for (path, size) in sizes(&portal, &held[0].0, &desk).await {
        assert!(size < 100_000, "{path}: {size} bytes");
    }
    let page = format!("/requests/{}", held[0].0);
    for path in [
        page.clone(),
        format!("{page}/feed.atom"),
        format!("/staff{page}"),
    ] {
        let told = portal.get_with(&path, &desk).await.body;
        assert!(
            told.contains("32,667 earlier events are not shown."),
            "{path}"
        );
    }
    let (refuse, withdraw) = (
        [("reason", "policy"), ("confirm", "on")],
        [("confirm", "on")],
    );
    let at_desk = async |request: usize, what: &str, fields: &[(&str, &str)]| {
        let path = format!("/staff/requests/{}/{what}", held[request].0);
        portal.post_with(&path, fields, &desk).await.status
    };
    assert_eq!(at_desk(0, "check-again", &[]).await, StatusCode::SEE_OTHER);
    assert_eq!(at_desk(0, "refuse", &refuse).await, StatusCode::SEE_OTHER);
    assert_eq!(
        at_desk(1, "withdraw", &withdraw).await,
        StatusCode::SEE_OTHER
    );
    let path = format!("/requests/{}/withdraw", held[2].0);
    let own = portal.post(&path, &[("management_key", &held[2].1)]).await;
    assert_eq!(own.status, StatusCode::SEE_OTHER);
    portal.advance(WAITS.expiry).await;
    assert_eq!(portal.work().await.expired, 1);
    let states: Vec<String> = portal
        .all("SELECT state FROM request ORDER BY id OFFSET 1")
        .await;
    assert_eq!(states, ["rejected", "withdrawn", "withdrawn", "rejected"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_zone_that_comes_and_goes_adds_a_row_of_each_kind_and_the_last_one_is_true() {
    const ROUNDS: u32 = 5;
    let (world, _edge) = World::with("contoso.com").await;
    let portal = TestApp::checking(world.enforce()).await;
    let (reference, _) = portal.submit(ONE).await;
    assert_eq!(portal.work().await.provisioned, 1);
    let path = format!("/requests/{reference}/check-again");
    let check = async || {
        portal.advance(Duration::from_secs(6)).await;
        portal.post(&path, &[]).await;
        assert_eq!(portal.work().await.watched, 1);
    };
    for round in 0..ROUNDS {
        if round > 0 {
            world.route("contoso.com", "sip.contoso.com");
            check().await;
        }
        world.unroute("contoso.com");
        check().await;
    }
    let told = async || {
        portal.one::<String>("SELECT string_agg(concat_ws(' ', seq, code, times), ', ' ORDER BY seq) FROM timeline",
        )
        .await
    };
    let day = "1 submitted 1, 2 provisioned 1, 10 recovered 4, 11 at-risk 5";
    assert_eq!(told().await, day);
    let page = portal.get(&format!("/requests/{reference}")).await.body;
    let (at_risk, recovered) = (page.find("5 times"), page.find("4 times"));
    assert!(at_risk.is_some() && at_risk < recovered, "the last first");
    let bundle = format!("/requests/{reference}/support.txt");
    let bundle = portal.get(&bundle).await.body;
    assert_says(&bundle, "at-risk, 5 times, last at ");
    // The next day gets an entry of its own.
    portal.advance(Duration::from_hours(25)).await;
    world.route("contoso.com", "sip.contoso.com");
    check().await;
    assert_eq!(told().await, format!("{day}, 12 recovered 1"));
}

#[tokio::test]
async fn an_entry_of_a_feed_that_happens_again_stays_the_same_entry() {
    let portal = TestApp::new().await;
    let (reference, _) = portal.submit(ONE).await;
    let append = "SELECT pic_append_event(ARRAY[1]::bigint[], pic_now(), 'portal', 'blocked')";
    let mut seen = Vec::new();
    for _ in 0..2 {
        portal.run(append).await;
        portal.advance(Duration::from_hours(1)).await;
        let feed = portal
            .get(&format!("/requests/{reference}/feed.atom"))
            .await;
        let feed = feed_rs::parser::parse(feed.body.as_bytes()).unwrap();
        assert_eq!(feed.entries.len(), 2);
        let entry = feed.entries[0].clone();
        seen.push((entry.id, entry.published, entry.updated));
    }
    let (before, after) = (&seen[0], &seen[1]);
    assert_eq!((&before.0, before.1), (&after.0, after.1));
    assert!(before.2 < after.2, "{seen:?}");
}

#[tokio::test]
async fn a_key_that_is_replaced_again_and_again_is_one_entry() {
    let portal = TestApp::new().await;
    let (_, key) = portal.submit(ONE).await;
    portal.work().await;
    let cookie = sign_in(&portal, &key).await;
    for _ in 0..50 {
        portal.post_with("/service/key", &[], &cookie).await;
    }
    let rows = "SELECT count(*) FROM event WHERE code = 'key-replaced'";
    assert_eq!(portal.number(rows).await, 1);
}
