//! Checks that a request that cannot be settled does not affect the others.

use std::time::Duration;

use crate::support::{
    app::{TestApp, WAITS},
    world::World,
};

/// Request 2 can be neither provisioned nor told to be at risk.
const POISON: &str = "CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        RAISE EXCEPTION 'no' USING ERRCODE = 'numeric_value_out_of_range';
    END $$;
    CREATE TRIGGER poison BEFORE UPDATE ON request FOR EACH ROW
        WHEN (NEW.id = 2 AND NEW.state = 'provisioned') EXECUTE FUNCTION poison();
    CREATE TRIGGER poison BEFORE INSERT ON event FOR EACH ROW
        WHEN (NEW.request_id = 2 AND NEW.code = 'at-risk') EXECUTE FUNCTION poison()";
const CURE: &str = "DROP FUNCTION poison CASCADE";

/// How often request 2 was postponed; also checks that it is not leased, and waits.
async fn put_off(portal: &TestApp) -> i64 {
    portal
        .number(
            "SELECT attempts::bigint FROM work
             WHERE request_id = 2 AND lease_token IS NULL AND due_at > pic_now() + interval '20 s'",
        )
        .await
}

/// A portal with valid zones and edges for three requests.
async fn three(world: &World, edges: &mut Vec<crate::support::edge::Edge>) -> TestApp {
    let portal = TestApp::checking(world.enforce()).await;
    for name in ["a", "b", "c"] {
        let domain = format!("{name}.example");
        edges.push(world.ready(&domain).await);
        portal
            .store_one(&[(&format!("sip.{domain}"), &domain)])
            .await;
    }
    portal
}

#[tokio::test]
async fn one_that_fails_stops_no_other_where_nothing_is_looked_up() {
    let portal = TestApp::new().await;
    portal.store(4).await;
    portal.run(POISON).await;
    assert_eq!(portal.work().await.provisioned, 3);
    assert_eq!(put_off(&portal).await, 1);
    // It waits longer each time, while others are settled.
    portal.advance(WAITS.first).await;
    portal.store(1).await;
    assert_eq!(portal.work().await.provisioned, 1);
    assert_eq!(put_off(&portal).await, 2);
    portal.run(CURE).await;
    portal.advance(WAITS.first * 2).await;
    assert_eq!(portal.work().await.provisioned, 1);
    assert_eq!(portal.number("SELECT count(*) FROM work").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_fails_stops_no_other_that_was_looked_at() {
    let (world, mut edges) = (World::start().await, Vec::new());
    let portal = three(&world, &mut edges).await;
    portal.run(POISON).await;
    assert_eq!(portal.work().await.provisioned, 2);
    assert_eq!(put_off(&portal).await, 1);
    portal.run(CURE).await;
    portal.advance(WAITS.first).await;
    assert_eq!(portal.work().await.provisioned, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_fails_stops_no_other_that_is_in_force() {
    let (world, mut edges) = (World::start().await, Vec::new());
    let portal = three(&world, &mut edges).await;
    assert_eq!(portal.work().await.provisioned, 3);
    for domain in ["a.example", "b.example", "c.example"] {
        world.unroute(domain);
    }
    portal.run(POISON).await;
    portal.advance(Duration::from_hours(24)).await;
    assert_eq!(portal.work().await.watched, 2);
    let at_risk = "SELECT count(*) FROM event WHERE code = 'at-risk'";
    assert_eq!(portal.number(at_risk).await, 2);
    let waits = "SELECT count(*) FROM watch WHERE request_id = 2 AND lease_token IS NULL
                 AND due_at BETWEEN pic_now() + interval '59 minutes' AND pic_now() + interval '61 minutes'";
    assert_eq!(portal.number(waits).await, 1);
    portal.run(CURE).await;
    portal.advance(WAITS.longest).await;
    assert_eq!(portal.work().await.watched, 1);
    assert_eq!(portal.number(at_risk).await, 3);
}
