//! Checks that routes in force change all at once or not at all, whatever runs at the same time.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::http::StatusCode;
use pic_portal::db::PgPool;
use pic_portal::{
    db,
    names::SipDomain,
    provisioning::store::{self, Claim, Proof, Settled, Verdicts},
};
use sqlx::{Connection as _, PgConnection};
use tokio::{task::JoinHandle, time::timeout};

use crate::{
    service::{provisioned, send_edit, sign_in},
    support::{
        app::{Answer, TestApp, WAITS},
        sql,
    },
};

const LEASE: Duration = Duration::from_secs(30);
/// Long enough for anything that happens at all, on any machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// The edge of routes that are in force from the beginning, and stay.
const EDGE: &str = "sip.contoso.com";

/// Sends an edit with every change confirmed.
async fn send(portal: &TestApp, cookie: &str, edges: &[(&str, &str)]) -> Answer {
    let more = [("confirm_edge_change", "on"), ("action", "submit")];
    send_edit(portal, cookie, edges, &more).await
}

/// The routes in force as `domain edge`.
async fn in_force(portal: &TestApp) -> Vec<String> {
    portal
        .all("SELECT sip_domain || ' ' || access_edge FROM route ORDER BY sip_domain")
        .await
}

/// The internal id of a request.
async fn id_of(portal: &TestApp, reference: &str) -> i64 {
    sqlx::query_scalar("SELECT id FROM request WHERE reference = $1")
        .bind(reference)
        .fetch_one(portal.pool())
        .await
        .unwrap()
}

/// The timeline of a request as `code` or `code domain`.
async fn timeline(portal: &TestApp, reference: &str) -> Vec<String> {
    portal.of_request(reference, "SELECT concat_ws(' ', e.code, e.subject) FROM timeline e JOIN request r ON r.id = e.request_id
         WHERE r.reference = $1 ORDER BY e.seq").await
}

/// The domains that block a request.
async fn held_by(portal: &TestApp, reference: &str) -> Vec<String> {
    portal
        .of_request(
            reference,
            "SELECT f.subject::text FROM finding f JOIN request r ON r.id = f.request_id
         WHERE r.reference = $1 AND f.code = 'domain-held' ORDER BY 1",
        )
        .await
}

pub(crate) async fn claim(portal: &TestApp, most: u32) -> Claim {
    store::claim(portal.pool(), store::Place::Pending, most, LEASE)
        .await
        .unwrap()
}

/// Settles as the worker does: repeated after each conflict.
pub(crate) async fn settle(pool: &PgPool, claim: &Claim, proofs: &[Proof]) -> Settled {
    let verdicts = Verdicts {
        proofs: proofs.to_vec(),
        ..Verdicts::default()
    };
    let settled = timeout(PATIENCE, async {
        loop {
            match store::settle(pool, claim, &WAITS, &verdicts).await {
                Err(db::Error::Conflict(_)) => {}
                settled => return settled.unwrap(),
            }
        }
    });
    settled.await.expect("it is settled some time")
}

fn proof(request: i64, domain: &str) -> Proof {
    let domain = SipDomain::parse(domain).unwrap();
    Proof { request, domain }
}

/// Settles what is due with these proofs, each of a request and a domain.
pub(crate) async fn settle_with(portal: &TestApp, proofs: &[(&str, &str)]) -> Settled {
    let mut proven = Vec::new();
    for (reference, domain) in proofs {
        proven.push(proof(id_of(portal, reference).await, domain));
    }
    let claim = claim(portal, 500).await;
    settle(portal.pool(), &claim, &proven).await
}

/// Reads the routes over and over on a connection of its own; returns each state it saw, in order,
/// without repeated neighbours.
struct Reader {
    stop: Arc<AtomicBool>,
    reading: JoinHandle<Vec<Vec<String>>>,
}

impl Reader {
    async fn start(portal: &TestApp) -> Self {
        let mut connection = PgConnection::connect_with(&portal.db().options())
            .await
            .unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let reading = tokio::spawn(async move {
            let mut seen: Vec<Vec<String>> = Vec::new();
            loop {
                let last = stopped.load(Ordering::Acquire);
                let routes: Vec<String> = sql::all(
                    &mut connection,
                    "SELECT sip_domain || ' ' || access_edge FROM route ORDER BY sip_domain",
                )
                .await;
                if seen.last() != Some(&routes) {
                    seen.push(routes);
                }
                if last {
                    return seen;
                }
            }
        });
        Self { stop, reading }
    }

    async fn seen(self) -> Vec<Vec<String>> {
        self.stop.store(true, Ordering::Release);
        self.reading.await.unwrap()
    }
}

// ---------------------------------------------------------------------------------------------
// Several browsers

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_browsers_that_edit_one_service_one_is_refused_and_keeps_what_was_typed() {
    let portal = TestApp::new().await;
    let (_, key) = portal.submit(&[(EDGE, "contoso.com")]).await;
    portal.work().await;
    let (one, two) = (sign_in(&portal, &key).await, sign_in(&portal, &key).await);
    let typed = [
        (EDGE, "contoso.com one.contoso.com"),
        ("edge.contoso.com", "Contoso.COM, two.contoso.com"),
    ];
    let (first, second) = tokio::join!(
        send(&portal, &one, &typed[..1]),
        send(&portal, &two, &typed[1..]),
    );
    let mut refused = Vec::new();
    for (answer, (edge, domains)) in [first, second].into_iter().zip(typed) {
        match answer.status {
            StatusCode::SEE_OTHER => {}
            StatusCode::CONFLICT => {
                let field = format!("{domains}</textarea>");
                answer.shows(&field);
                answer.shows(&format!("value=\"{edge}\""));
                let way = "SELECT count(*) FROM request WHERE state = 'pending'";
                assert_eq!(portal.number(way).await, 1);
                refused.push(answer);
            }
            other => panic!("{other}: {}", answer.body),
        }
    }
    assert_eq!(refused.len(), 1);
    let pending: String = portal
        .one("SELECT reference FROM request WHERE state = 'pending'")
        .await;
    assert!(
        refused[0]
            .body
            .contains(&format!("/requests/{pending}#withdraw"))
    );
    assert_eq!(in_force(&portal).await, ["contoso.com sip.contoso.com"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_twenty_edits_at_once_one_is_stored() {
    let portal = Arc::new(TestApp::new().await);
    let (_, cookie) = provisioned(&portal, &[(EDGE, "contoso.com")]).await;
    let sending: Vec<_> = (0..20)
        .map(|n| {
            let (portal, cookie) = (portal.clone(), cookie.clone());
            tokio::spawn(async move {
                let domains = format!("contoso.com d{n}.contoso.com");
                send(&portal, &cookie, &[(EDGE, &domains)]).await.status
            })
        })
        .collect();
    let mut statuses = BTreeMap::new();
    for answer in sending {
        *statuses
            .entry(answer.await.unwrap().as_u16())
            .or_insert(0_u8) += 1;
    }
    assert_eq!(statuses, BTreeMap::from([(303, 1), (409, 19)]));
    assert_eq!(
        portal
            .number("SELECT count(*) FROM request WHERE kind = 'update'")
            .await,
        1
    );
    assert_eq!(portal.work().await.provisioned, 1);
    assert_eq!(in_force(&portal).await.len(), 2);
}

// ---------------------------------------------------------------------------------------------
// Make before break

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_never_misses_a_kept_domain_nor_sees_half_an_update() {
    const UPDATES: usize = 50;
    let portal = TestApp::new().await;
    // Each version keeps three domains, moves two of them to another edge and swaps the last.
    let version = |n: usize| {
        let edge = ["sip.contoso.com", "edge.contoso.com"][n % 2];
        let moving = format!("b.contoso.com c.contoso.com v{n}.contoso.com");
        (edge, moving)
    };
    let expected = |n: usize| {
        let (edge, moving) = version(n);
        let mut routes: Vec<_> = moving
            .split(' ')
            .map(|domain| format!("{domain} {edge}"))
            .collect();
        routes.push("a.contoso.com kept.contoso.com".into());
        routes.sort();
        routes
    };
    let edges = |moving: &str, edge: &str| {
        vec![
            ("kept.contoso.com".to_owned(), "a.contoso.com".to_owned()),
            (edge.to_owned(), moving.to_owned()),
        ]
    };
    let (edge, moving) = version(0);
    let first = edges(&moving, edge);
    let first: Vec<_> = first.iter().map(|(e, d)| (&**e, &**d)).collect();
    let (_, cookie) = provisioned(&portal, &first).await;
    let since =
        "SELECT extract(epoch FROM since)::bigint FROM route WHERE sip_domain = 'a.contoso.com'";
    let began = portal.number(since).await;
    portal.advance(Duration::from_mins(1)).await;
    let reader = Reader::start(&portal).await;
    for n in 1..=UPDATES {
        let (edge, moving) = version(n);
        let next = edges(&moving, edge);
        let next: Vec<_> = next.iter().map(|(e, d)| (&**e, &**d)).collect();
        let sent = send(&portal, &cookie, &next).await;
        assert_eq!(sent.status, StatusCode::SEE_OTHER, "{}", sent.body);
        assert_eq!(portal.work().await.provisioned, 1);
    }
    let seen = reader.seen().await;
    let versions: Vec<usize> = seen
        .iter()
        .map(|routes| {
            (0..=UPDATES)
                .find(|&n| *routes == expected(n))
                .unwrap_or_else(|| panic!("no version has these routes: {routes:?}"))
        })
        .collect();
    assert!(versions.is_sorted(), "none comes back: {versions:?}");
    assert!(versions.len() > 10, "too few were seen: {versions:?}");
    assert_eq!(versions.last(), Some(&UPDATES));
    assert_eq!(
        portal.number(since).await,
        began,
        "what an update leaves alone is not touched"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_domain_released_and_taken_at_the_same_moment_is_in_force_once() {
    let portal = TestApp::new().await;
    for round in 0..16 {
        let [kept, given] = ["kept", "given"].map(|name| format!("{name}{round}.example"));
        let (_, cookie) = provisioned(&portal, &[(EDGE, &format!("{kept} {given}"))]).await;
        let release = if round % 2 == 0 {
            send(&portal, &cookie, &[(EDGE, &kept)]).await
        } else {
            portal
                .post_with("/service/cancel", &[("confirm", "on")], &cookie)
                .await
        };
        assert_eq!(release.status, StatusCode::SEE_OTHER, "{}", release.body);
        let (taker, _) = portal.submit(&[("sip.fabrikam.com", &given)]).await;
        let reader = Reader::start(&portal).await;
        let mut claims = [claim(&portal, 1).await, claim(&portal, 1).await];
        assert_eq!(claims.each_ref().map(Claim::len), [1, 1]);
        if round % 4 > 1 {
            claims.reverse();
        }
        let (one, two) = tokio::join!(
            settle(portal.pool(), &claims[0], &[]),
            settle(portal.db().pool(), &claims[1], &[]),
        );
        let done = one.provisioned + two.provisioned;
        assert!((1..=2).contains(&done), "the release at least: {done}");
        // A request that was blocked is woken by the release, however close the two were.
        assert_eq!(done + portal.work().await.provisioned, 2, "round {round}");
        assert_eq!(portal.state(&taker).await, "provisioned");
        for routes in reader.seen().await {
            let times = routes.iter().filter(|r| r.starts_with(&given)).count();
            assert!(times <= 1, "{routes:?}");
            assert!(round % 2 == 1 || routes.iter().any(|r| r.starts_with(&kept)));
        }
        let at_last = format!("{given} sip.fabrikam.com");
        assert!(in_force(&portal).await.contains(&at_last));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_wakes_who_is_being_told_at_that_very_moment_to_wait() {
    let portal = TestApp::new().await;
    let (_, cookie) = provisioned(&portal, &[(EDGE, "contoso.com")]).await;
    let (taker, _) = portal.submit(&[("sip.fabrikam.com", "contoso.com")]).await;
    // Another transaction, not yet committed, is settling the new request as blocked.
    assert_eq!(claim(&portal, 1).await.len(), 1);
    let mut transaction = portal.db().pool().begin().await.unwrap();
    let held: i32 = sql::one(
        &mut *transaction,
        "SELECT held FROM work w, pic_settle(ARRAY[w.request_id], w.lease_token, NULL, NULL,
             ROW('30 days', '30 s', '1 h', '1 day')::pic_waits, '[]')
         WHERE w.lease_token IS NOT NULL",
    )
    .await;
    assert_eq!(held, 1);
    portal
        .post_with("/service/cancel", &[("confirm", "on")], &cookie)
        .await
        .reference();
    let released = claim(&portal, 1).await;
    assert_eq!(released.len(), 1);
    let pool = portal.pool().clone();
    let release = tokio::spawn(async move { settle(&pool, &released, &[]).await });
    portal.blocked(1).await;
    transaction.commit().await.unwrap();
    assert_eq!(release.await.unwrap().provisioned, 1);
    assert_eq!(portal.work().await.provisioned, 1, "without any wait");
    assert_eq!(portal.state(&taker).await, "provisioned");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_is_withdrawn_although_it_is_being_told_to_wait() {
    let portal = TestApp::new().await;
    provisioned(&portal, &[(EDGE, "contoso.com")]).await;
    let (late, key) = portal.submit(&[("sip.fabrikam.com", "contoso.com")]).await;
    assert_eq!(claim(&portal, 1).await.len(), 1);
    let mut transaction = portal.db().pool().begin().await.unwrap();
    sql::run(
        &mut *transaction,
        "SELECT FROM work w, pic_settle(ARRAY[w.request_id], w.lease_token, NULL, NULL,
             ROW('30 days', '30 s', '1 h', '1 day')::pic_waits, '[]')",
    )
    .await;
    let path = format!("/requests/{late}/withdraw");
    let fields = [("management_key", key.as_str())];
    let (done, ()) = tokio::join!(portal.post(&path, &fields), async {
        portal.blocked(1).await;
        transaction.commit().await.unwrap();
    });
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.body);
    assert_eq!(
        timeline(&portal, &late).await,
        ["submitted", "held", "withdrawn"]
    );
    assert_eq!(held_by(&portal, &late).await, [""; 0]);
}

#[tokio::test]
async fn an_update_that_comes_to_nothing_leaves_the_routes_as_they_were() {
    const DAY: Duration = Duration::from_hours(24);
    let portal = TestApp::new().await;
    let (_, key) = portal.submit(&[(EDGE, "contoso.com old.com")]).await;
    portal.work().await;
    provisioned(&portal, &[("sip.fabrikam.com", "fabrikam.com")]).await;
    let all = "SELECT md5(string_agg(x::text, ' ' ORDER BY sip_domain)) FROM route x";
    let rows = async || -> String { portal.one(all).await };
    let before = rows().await;
    let mut states = Vec::new();
    for end in ["expired", "withdrawn", "rejected"] {
        let cookie = sign_in(&portal, &key).await;
        // It would add, move and remove, and is blocked by a domain of another service.
        let sent = send(
            &portal,
            &cookie,
            &[("edge.contoso.com", "contoso.com new.com fabrikam.com")],
        );
        let reference = sent.await.reference();
        assert_eq!(portal.work().await.held, 1);
        assert_eq!(rows().await, before, "{end}, while it is pending");
        match end {
            "expired" => {
                portal.advance(30 * DAY).await;
                assert_eq!(portal.work().await.expired, 1);
            }
            "withdrawn" => {
                let path = format!("/requests/{reference}/withdraw");
                let done = portal.post_with(&path, &[], &cookie).await;
                assert_eq!(done.status, StatusCode::SEE_OTHER);
            }
            // As staff do it.
            _ => {
                portal
                    .run(
                        "DELETE FROM work;
                     UPDATE request SET state = 'rejected', reason = 'policy', ended_at = pic_now()
                     WHERE state = 'pending'",
                    )
                    .await;
            }
        }
        portal.advance(DAY).await;
        assert_eq!(portal.work().await, Settled::default(), "{end}");
        assert_eq!(rows().await, before, "{end}");
        states.push(portal.state(&reference).await);
    }
    assert_eq!(states, ["rejected", "withdrawn", "rejected"]);
}

// ---------------------------------------------------------------------------------------------
// Whose domain

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proven_domain_changes_hands_in_place() {
    let portal = TestApp::new().await;
    let (holder, cookie) = provisioned(&portal, &[(EDGE, "contoso.com mine.com")]).await;
    // The holder is about to move the domain to another edge of its own.
    let (wanted, _) = portal
        .submit(&[("sip.new.com", "contoso.com new.com")])
        .await;
    let update = send(
        &portal,
        &cookie,
        &[("edge.contoso.com", "contoso.com mine.com")],
    )
    .await
    .reference();
    let reader = Reader::start(&portal).await;
    let settled = settle_with(&portal, &[(&wanted, "contoso.com")]).await;
    assert_eq!(settled.provisioned, 1);
    assert_eq!(portal.work().await.held, 1, "the holder's own update");
    let expected = [
        "contoso.com sip.new.com",
        "mine.com sip.contoso.com",
        "new.com sip.new.com",
    ];
    assert_eq!(in_force(&portal).await, expected);
    assert_eq!(held_by(&portal, &update).await, ["contoso.com"]);
    assert_eq!(
        timeline(&portal, &wanted).await,
        ["submitted", "domain-gained contoso.com", "provisioned"]
    );
    assert_eq!(
        timeline(&portal, &holder).await,
        ["submitted", "provisioned", "domain-lost contoso.com"]
    );
    let page = portal.get(&format!("/requests/{holder}")).await;
    page.shows("Domain moved away");
    // And back again: the owner of the zone has changed the record again.
    portal.advance(Duration::from_mins(2)).await;
    assert_eq!(
        settle_with(&portal, &[(&update, "contoso.com")])
            .await
            .provisioned,
        1
    );
    let owners = "SELECT count(DISTINCT service_id) FROM route WHERE sip_domain IN ('contoso.com', 'mine.com')";
    assert_eq!(portal.number(owners).await, 1);
    assert_eq!(
        timeline(&portal, &wanted).await.last().unwrap(),
        "domain-lost contoso.com"
    );
    for routes in reader.seen().await {
        let there = |name: &str| routes.iter().filter(|r| r.starts_with(name)).count();
        assert_eq!((there("contoso.com "), there("mine.com ")), (1, 1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn domains_that_move_to_and_fro_between_services_are_never_missing() {
    let portal = TestApp::new().await;
    let names = ["a.com", "b.com", "c.com"];
    let (_, one) = provisioned(&portal, &[(EDGE, "a.com b.com c.com one.com")]).await;
    let (_, two) = provisioned(&portal, &[("sip.fabrikam.com", "two.com")]).await;
    let reader = Reader::start(&portal).await;
    for round in 0..12 {
        let (cookie, edge, own) = if round % 2 == 0 {
            (&two, "sip.fabrikam.com", "two.com")
        } else {
            (&one, EDGE, "one.com")
        };
        let all = format!("a.com b.com c.com {own}");
        let reference = send(&portal, cookie, &[(edge, &all)]).await.reference();
        let proofs = names.map(|name| (reference.as_str(), name));
        assert_eq!(settle_with(&portal, &proofs).await.provisioned, 1);
    }
    let seen = reader.seen().await;
    for routes in &seen {
        assert_eq!(routes.len(), 5, "{routes:?}");
        let edges: BTreeSet<_> = routes[..3]
            .iter()
            .map(|route| route.split_once(' ').unwrap().1)
            .collect();
        assert_eq!(edges.len(), 1, "all or none: {routes:?}");
    }
    assert!(seen.len() > 3, "too few states were seen: {seen:?}");
    let lost = "SELECT count(*) FROM event WHERE code = 'domain-lost'";
    assert_eq!(portal.number(lost).await, 36);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_services_that_prove_each_others_domains_at_once_both_get_them() {
    let portal = TestApp::new().await;
    let (_, one) = provisioned(&portal, &[(EDGE, "a.com b.com")]).await;
    let (_, two) = provisioned(&portal, &[("sip.fabrikam.com", "y.com z.com")]).await;
    let wants = |round, own, others| if round % 2 == 0 { others } else { own };
    for round in 0..10 {
        let first = [(EDGE, wants(round, "a.com b.com", "z.com y.com"))];
        let first = send(&portal, &one, &first).await.reference();
        let first = id_of(&portal, &first).await;
        let second = [(
            "sip.fabrikam.com",
            wants(round, "y.com z.com", "b.com a.com"),
        )];
        let second = send(&portal, &two, &second).await.reference();
        let second = id_of(&portal, &second).await;
        let proofs: Vec<_> = ["a.com", "b.com", "y.com", "z.com"]
            .iter()
            .flat_map(|name| [proof(first, name), proof(second, name)])
            .collect();
        let claims = [claim(&portal, 1).await, claim(&portal, 1).await];
        let (a, b) = tokio::join!(
            settle(portal.pool(), &claims[0], &proofs),
            settle(portal.db().pool(), &claims[1], &proofs),
        );
        assert_eq!((a.provisioned, b.provisioned), (1, 1), "round {round}");
        let routes = in_force(&portal).await;
        assert_eq!(routes.len(), 4, "{routes:?}");
    }
}

#[tokio::test]
async fn a_proof_helps_the_domain_and_the_request_that_it_names_and_nothing_else() {
    let portal = TestApp::new().await;
    provisioned(&portal, &[(EDGE, "contoso.com fabrikam.com")]).await;
    let before = in_force(&portal).await;
    let (both, _) = portal
        .submit(&[("sip.new.com", "contoso.com fabrikam.com new.com")])
        .await;
    let (other, key) = portal.submit(&[("sip.other.com", "contoso.com")]).await;
    let proofs = [(both.as_str(), "contoso.com"), (&both, "unasked.com")];
    let settled = settle_with(&portal, &proofs).await;
    assert_eq!((settled.provisioned, settled.held), (0, 2));
    assert_eq!(in_force(&portal).await, before);
    assert_eq!(
        held_by(&portal, &both).await,
        ["fabrikam.com"],
        "what is proven is in the way no more"
    );
    assert_eq!(held_by(&portal, &other).await, ["contoso.com"]);
    assert_eq!(timeline(&portal, &both).await, ["submitted", "held"]);

    // A proof for a request that has ended, or that another service made, moves nothing.
    let path = format!("/requests/{other}/withdraw");
    portal.post(&path, &[("management_key", &key)]).await;
    portal.advance(Duration::from_hours(1)).await;
    let proofs = [(other.as_str(), "contoso.com"), (&other, "fabrikam.com")];
    assert_eq!(settle_with(&portal, &proofs).await.held, 1);
    assert_eq!(in_force(&portal).await, before);
    assert_eq!(
        held_by(&portal, &both).await,
        ["contoso.com", "fabrikam.com"],
        "a record that is gone proves nothing"
    );

    // A domain that is not held needs no proof, and one does no harm; nor does one given twice.
    let (free, _) = portal
        .submit(&[("sip.free.com", "free.com contoso.com")])
        .await;
    let proofs = [
        (free.as_str(), "free.com"),
        (&free, "contoso.com"),
        (&free, "contoso.com"),
    ];
    assert_eq!(settle_with(&portal, &proofs).await.provisioned, 1);
    assert_eq!(
        timeline(&portal, &free).await,
        ["submitted", "domain-gained contoso.com", "provisioned"]
    );
    assert_eq!(
        portal
            .number("SELECT count(*) FROM event WHERE code = 'domain-lost'")
            .await,
        1
    );
}
