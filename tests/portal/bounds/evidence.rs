//! Checks that evidence is stored and shown within bounds, however much zones answer.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use pic_portal::{readiness::MOST_IN_ALL, staff::Role};

use super::sizes;
use crate::{
    crash::{Dice, setting},
    staff::signed_in,
    support::{
        app::{TestApp, WAITS, request, submission_id},
        world::World,
    },
};

/// Records in each zone's answer.
const RECORDS: usize = 40;
/// The longest page in bytes.
const PAGE: usize = 1_000_000;
/// The most that one form may add to the stored evidence, in bytes.
const STORED: i64 = 200_000;

/// Fills zones of which two servers answer with different long records each, newly made up.
fn answer(world: &World, dice: &mut Dice, domains: &[String]) -> Vec<Vec<String>> {
    let mut label = |length: usize| -> String {
        let letter = |_| char::from(b'a' + u8::try_from(dice.below(26)).unwrap());
        (0..length).map(letter).collect()
    };
    let mut all = Vec::new();
    for domain in domains {
        for server in &world.internet.authorities {
            let records: Vec<_> = (0..RECORDS)
                .map(|_| {
                    format!(
                        "SRV 0 0 5061 {}.{}.{}.example",
                        label(60),
                        label(60),
                        label(60)
                    )
                })
                .collect();
            let owner = format!("_sipfederationtls._tcp.{domain}");
            server.zones.set(&owner, &records);
            all.push(records);
        }
    }
    all
}

/// The version of each stored row.
async fn versions(portal: &TestApp) -> BTreeMap<(String, String), i64> {
    let rows: Vec<(String, String, i64)> = portal
        .rows("SELECT code, subject::text, xmin::text::bigint FROM finding")
        .await;
    rows.into_iter()
        .map(|(code, subject, version)| ((code, subject), version))
        .collect()
}

/// How many rows of `after` are new or were written since `before`.
fn changed(
    before: &BTreeMap<(String, String), i64>,
    after: &BTreeMap<(String, String), i64>,
) -> usize {
    let same = before
        .iter()
        .filter(|(row, version)| after.get(*row) == Some(*version));
    after.len() - same.count()
}

#[expect(clippy::print_stdout, reason = "figures for whoever asks for them")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn zones_that_answer_with_a_lot_fill_neither_the_database_nor_a_page() {
    let many = setting("PIC_EVIDENCE_DOMAINS", 150);
    let (world, mut dice) = (World::with_servers(2).await, Dice::cast());
    let domains: Vec<_> = (0..many).map(|n| format!("d{n:04}.example")).collect();
    for domain in &domains {
        world.zone(domain);
    }
    let first = answer(&world, &mut dice, &domains);
    let _edge = world.edge("sip.contoso.com", &[]).await;
    let portal = TestApp::checking(world.enforce()).await;
    let desk = signed_in(&portal, "anna", Role::Agent).await;
    let (all, id) = (domains.join(" "), submission_id());
    let edges = [("sip.contoso.com", all.as_str())];
    let (reference, _) = portal.submit(&edges).await;
    assert_eq!(portal.work().await.waiting, 1);

    let rows = portal.number("SELECT count(*) FROM finding").await;
    // Two of nearly each: for the first ones the resolver's answer was used.
    assert!(rows > i64::try_from(2 * many - 10).unwrap(), "{rows}");
    let lines = "SELECT sum(octet_length(found)) FROM finding WHERE found <> 'not kept: too much'";
    let lines = portal.number(lines).await;
    assert!(
        lines <= i64::try_from(MOST_IN_ALL).unwrap() + 1_000,
        "{lines}"
    );
    let longest = "SELECT max(cardinality(string_to_array(found, E'\\n')))::bigint FROM finding";
    assert_eq!(portal.number(longest).await, 9);
    let stored = portal
        .number("SELECT sum(pg_column_size(found)) FROM finding")
        .await;
    println!("{many} domains: {rows} findings, {lines} bytes of evidence, {stored} as stored");
    assert!(stored <= STORED, "{stored}");
    for (path, size) in sizes(&portal, &reference, &desk).await {
        println!("{path}: {size} bytes");
        assert!(size < PAGE, "{path}: {size}");
    }

    // The review before the submit, and a check without a request.
    let mut fields = request(&id, &edges);
    fields.retain(|(name, _)| *name != "action");
    fields.push(("action", "review"));
    let review = portal.post("/requests/new", &fields).await;
    assert_eq!(review.status, StatusCode::OK);
    let some = domains[..50].join(" ");
    let check = portal
        .post("/check", &[("edge", "sip.contoso.com"), ("domains", &some)])
        .await;
    assert!(
        check.body.contains("not kept: too much") || check.body.contains("more"),
        "{}",
        check.body
    );
    for (what, size) in [("review", review.body.len()), ("check", check.body.len())] {
        println!("{what}: {size} bytes");
        assert!(size < PAGE, "{what}: {size}");
    }

    // The same records in another order are the same evidence. By now the zones' servers have
    // proven to be name servers, so that all of them are queried.
    portal.advance(WAITS.longest).await;
    assert_eq!(portal.work().await.waiting, 1);
    let before = versions(&portal).await;
    for (place, mut records) in first.into_iter().enumerate() {
        records.reverse();
        let owner = format!("_sipfederationtls._tcp.{}", domains[place / 2]);
        world.internet.authorities[place % 2]
            .zones
            .set(&owner, &records);
    }
    portal.advance(WAITS.longest).await;
    assert_eq!(portal.work().await.waiting, 1);
    // A server that did not answer in time is another matter.
    let after = versions(&portal).await;
    let written = changed(&before, &after);
    println!("{written} rows written for another order");
    assert!(written < many / 10, "{written}");

    // Other records are stored within the bounds, and rows for which there was no room are not
    // written.
    answer(&world, &mut dice, &domains);
    portal.advance(WAITS.longest).await;
    assert_eq!(portal.work().await.waiting, 1);
    let (before, after) = (after, versions(&portal).await);
    let written = changed(&before, &after);
    println!("{written} of {} rows written by another look", after.len());
    assert!((1..100).contains(&written), "{written}");
}
