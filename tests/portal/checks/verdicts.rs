//! What becomes of a request, depending on what its checks found; without any lookup.

use std::time::Duration;

use pic_portal::{
    names::Fqdn,
    provisioning::{
        checking::{
            self,
            store::jobs::{self, TurnSize},
        },
        store::{self, Claim, Settled, Verdicts},
    },
    readiness::{Code, Finding, Severity},
    request::{loader::store::look_up, reference::Reference, store::check_again},
};

use crate::{
    service::sign_in,
    support::app::{TestApp, WAITS, submission_id},
};

const ONE: &[(&str, &str)] = &[("sip.contoso.com", "contoso.com")];
const LEASE: Duration = Duration::from_secs(30);

fn finding(code: Code, subject: &str, found: &[&str]) -> Finding {
    let subject = Fqdn::parse(subject).unwrap();
    Finding::new(code, &subject, "something", found)
}

fn missing() -> Finding {
    finding(Code::SrvMissing, "contoso.com", &["no such name"])
}

fn unreachable() -> Finding {
    finding(Code::EdgeUnreachable, "sip.contoso.com", &["refused"])
}

/// The findings for one request, and whether they block it.
fn verdict(request: i64, findings: &[Finding], blocked: bool) -> Verdicts {
    Verdicts {
        blocked: if blocked { vec![request] } else { Vec::new() },
        checked: vec![(request, findings.to_vec())],
        ..Verdicts::default()
    }
}

/// Claims the only request that is due.
async fn claim(portal: &TestApp) -> Claim {
    let claim = store::claim(portal.pool(), store::Place::Pending, 10, LEASE)
        .await
        .unwrap();
    assert_eq!(claim.len(), 1);
    claim
}

/// Claims the only request that is due, and settles it.
async fn settle(portal: &TestApp, findings: &[Finding], blocked: bool) -> Settled {
    let claim = claim(portal).await;
    let verdicts = verdict(claim.requests()[0], findings, blocked);
    store::settle(portal.pool(), &claim, &WAITS, &verdicts)
        .await
        .unwrap()
}

async fn found(portal: &TestApp, reference: &str) -> Vec<Finding> {
    let reference = Reference::parse(reference).unwrap();
    let request = look_up(portal.pool(), reference).await.unwrap().unwrap();
    request.findings
}

async fn events(portal: &TestApp) -> String {
    portal
        .one("SELECT string_agg(code, ' ' ORDER BY request_id, seq) FROM timeline")
        .await
}

/// Makes everything due.
async fn later(portal: &TestApp) {
    portal.advance(Duration::from_hours(1)).await;
}

#[tokio::test]
async fn a_blocked_request_waits_and_is_provisioned_when_it_is_not() {
    let portal = TestApp::new().await;
    let reference = portal.store_one(ONE).await;
    let settled = settle(&portal, &[missing(), unreachable()], true).await;
    assert_eq!((settled.waiting, settled.provisioned), (1, 0));
    assert_eq!(portal.state(&reference).await, "pending");
    assert_eq!(found(&portal, &reference).await, [missing(), unreachable()]);
    later(&portal).await;
    // One of the two is fixed.
    assert_eq!(settle(&portal, &[missing()], true).await.waiting, 1);
    assert_eq!(found(&portal, &reference).await, [missing()]);
    later(&portal).await;
    let fine = [
        finding(Code::Srv, "contoso.com", &["5061"]),
        finding(Code::Certificate, "sip.contoso.com", &["fine"]),
    ];
    assert_eq!(settle(&portal, &fine, false).await.provisioned, 1);
    assert_eq!(portal.state(&reference).await, "provisioned");
    assert_eq!(found(&portal, &reference).await, fine);
    assert_eq!(events(&portal).await, "submitted blocked provisioned");
}

#[tokio::test]
async fn what_has_not_changed_is_not_written_again_and_keeps_its_time() {
    let portal = TestApp::new().await;
    portal.store_one(ONE).await;
    settle(&portal, &[missing()], true).await;
    let rows = "SELECT sum(xmin::text::bigint)::bigint FROM finding";
    let before = portal.number(rows).await;
    later(&portal).await;
    settle(&portal, &[missing()], true).await;
    assert_eq!(portal.number(rows).await, before);
    later(&portal).await;
    let other = finding(Code::SrvMissing, "contoso.com", &["a CNAME"]);
    settle(&portal, &[other], true).await;
    assert_ne!(portal.number(rows).await, before);
    let since_first = "SELECT count(*) FROM finding f JOIN request r ON r.id = f.request_id
                       WHERE f.at < r.submitted_at + interval '10 minutes'";
    assert_eq!(portal.number(since_first).await, 1);
    assert_eq!(events(&portal).await, "submitted blocked");
}

#[tokio::test]
async fn findings_that_do_not_block_let_it_pass() {
    let portal = TestApp::new().await;
    let reference = portal.store_one(ONE).await;
    // As when checks only advise.
    let settled = settle(&portal, &[missing()], false).await;
    assert_eq!(settled.provisioned, 1);
    assert_eq!(found(&portal, &reference).await, [missing()]);
    assert_eq!(events(&portal).await, "submitted provisioned");
}

#[tokio::test]
async fn the_limit_rejects_with_the_last_findings() {
    let portal = TestApp::new().await;
    let reference = portal.store_one(ONE).await;
    settle(&portal, &[missing()], true).await;
    portal.advance(WAITS.expiry).await;
    let claim = claim(&portal).await;
    let after = (WAITS.expiry, WAITS.expiry);
    let jobs = jobs::load(portal.pool(), &claim, false, after, TurnSize::default())
        .await
        .unwrap();
    assert_eq!(jobs.len(), 1);
    assert!(jobs[0].is_expired, "there is nothing to look at any more");
    let settled = store::settle(portal.pool(), &claim, &WAITS, &Verdicts::default())
        .await
        .unwrap();
    assert_eq!(settled.expired, 1);
    assert_eq!(portal.state(&reference).await, "rejected");
    assert_eq!(found(&portal, &reference).await, [missing()]);
}

#[tokio::test]
async fn a_claim_that_was_lost_leaves_no_findings() {
    let portal = TestApp::new().await;
    let reference = portal.store_one(ONE).await;
    let lost = claim(&portal).await;
    portal.advance(LEASE).await;
    let taken = claim(&portal).await;
    let verdicts = verdict(lost.requests()[0], &[missing()], true);
    let settled = store::settle(portal.pool(), &lost, &WAITS, &verdicts).await;
    assert_eq!(settled.unwrap(), Settled::default());
    assert_eq!(found(&portal, &reference).await, []);
    let settled = store::settle(portal.pool(), &taken, &WAITS, &verdicts).await;
    assert_eq!(settled.unwrap().waiting, 1);
}

#[tokio::test]
async fn a_lease_that_is_renewed_lasts_and_one_that_is_given_back_does_not() {
    let portal = TestApp::new().await;
    portal.store_one(ONE).await;
    let mine = claim(&portal).await;
    let most = Duration::from_secs(20);
    portal.advance(most).await;
    let same = [mine.of(mine.requests().to_vec())];
    checking::store::renew(portal.pool(), &same, LEASE)
        .await
        .unwrap();
    portal.advance(most).await;
    let nothing = store::claim(portal.pool(), store::Place::Pending, 10, LEASE)
        .await
        .unwrap();
    assert!(nothing.is_empty(), "it is still ours");
    checking::store::release(portal.pool(), &same)
        .await
        .unwrap();
    claim(&portal).await;
    // A worker that has lost the lease renews and releases nothing.
    checking::store::release(portal.pool(), &same)
        .await
        .unwrap();
    let nothing = store::claim(portal.pool(), store::Place::Pending, 10, LEASE)
        .await
        .unwrap();
    assert!(nothing.is_empty(), "it is somebody else's now");
}

#[tokio::test]
async fn what_is_in_force_is_watched_until_something_else_is() {
    let portal = TestApp::new().await;
    let reference = portal.store_one(ONE).await;
    settle(&portal, &[], false).await;
    let due = "SELECT round(extract(epoch FROM due_at - checked_at) / 3600)::bigint FROM watch";
    assert!((18..=24).contains(&portal.number(due).await));
    let watched = async || {
        store::claim(portal.pool(), store::Place::Watched, 10, LEASE)
            .await
            .unwrap()
    };
    assert!(watched().await.is_empty(), "not yet");
    let look = async |findings: &[Finding]| {
        portal.advance(Duration::from_hours(24)).await;
        let claim = watched().await;
        let after = (WAITS.expiry, WAITS.expiry);
        let jobs = jobs::load(portal.pool(), &claim, true, after, TurnSize::default())
            .await
            .unwrap();
        assert_eq!(jobs.len(), 1);
        assert_eq!(jobs[0].edges.len(), 1);
        let checked = [(jobs[0].request, findings.to_vec())];
        checking::store::store_watched(portal.pool(), &claim, &checked)
            .await
            .unwrap();
    };
    look(&[missing()]).await;
    assert_eq!(found(&portal, &reference).await, [missing()]);
    look(&[missing(), unreachable()]).await;
    look(&[]).await;
    assert_eq!(found(&portal, &reference).await, []);
    let told = events(&portal).await;
    assert_eq!(told, "submitted provisioned at-risk recovered");
    assert_eq!(portal.state(&reference).await, "provisioned");
    assert_eq!(portal.number("SELECT count(*) FROM route").await, 1);
}

/// Claims everything in force that is due.
async fn claim_watched(portal: &TestApp) -> Claim {
    store::claim(portal.pool(), store::Place::Watched, 10, LEASE)
        .await
        .unwrap()
}

#[tokio::test]
async fn what_replaces_it_is_watched_instead_and_a_cancel_is_not() {
    let portal = TestApp::new().await;
    let (_, key) = portal.submit(ONE).await;
    settle(&portal, &[], false).await;
    let cookie = sign_in(&portal, &key).await;
    let id = submission_id();
    let more = [
        ("edge", "sip.contoso.com"),
        ("domains", "contoso.com it.contoso.com"),
        ("deployment", "on_premises"),
        ("submission_id", &id),
        ("action", "submit"),
    ];
    portal.post_with("/service/edit", &more, &cookie).await;
    assert_eq!(settle(&portal, &[], false).await.provisioned, 1);
    let newest = "SELECT count(*) FROM watch WHERE request_id = (SELECT max(id) FROM request)";
    assert_eq!(portal.number(newest).await, 1);
    let watched = "SELECT count(*) FROM watch";
    assert_eq!(portal.number(watched).await, 1, "the former is not");
    let confirmed = [("confirm", "on")];
    portal
        .post_with("/service/cancel", &confirmed, &cookie)
        .await;
    assert_eq!(settle(&portal, &[], false).await.provisioned, 1);
    assert_eq!(portal.number(watched).await, 0, "nothing is in force");
}

#[tokio::test]
async fn whoever_asks_again_about_what_is_in_force_gets_another_look() {
    let portal = TestApp::new().await;
    let reference = portal.store_one(ONE).await;
    settle(&portal, &[], false).await;
    let again = async || {
        let reference = Reference::parse(&reference).unwrap();
        let request = look_up(portal.pool(), reference).await.unwrap().unwrap();
        check_again(portal.pool(), &request).await.unwrap()
    };
    portal.advance(Duration::from_secs(10)).await;
    assert!(again().await);
    let claim = claim_watched(&portal).await;
    assert_eq!(claim.len(), 1);
    // While it is being checked, the administrator fixes it and asks for another check.
    assert!(again().await);
    let checked = [(claim.requests()[0], vec![missing()])];
    checking::store::store_watched(portal.pool(), &claim, &checked)
        .await
        .unwrap();
    assert_eq!(claim_watched(&portal).await.len(), 1);
    assert!(claim_watched(&portal).await.is_empty(), "that was all");
}

#[tokio::test]
async fn a_claim_of_what_is_in_force_that_was_lost_leaves_no_findings() {
    let portal = TestApp::new().await;
    let reference = portal.store_one(ONE).await;
    settle(&portal, &[], false).await;
    portal.advance(Duration::from_hours(24)).await;
    let lost = claim_watched(&portal).await;
    portal.advance(LEASE).await;
    let taken = claim_watched(&portal).await;
    assert_eq!(taken.requests(), lost.requests());
    let checked = [(lost.requests()[0], vec![missing()])];
    checking::store::store_watched(portal.pool(), &lost, &checked)
        .await
        .unwrap();
    assert_eq!(found(&portal, &reference).await, []);
    assert_eq!(events(&portal).await, "submitted provisioned");
    checking::store::store_watched(portal.pool(), &taken, &checked)
        .await
        .unwrap();
    assert_eq!(found(&portal, &reference).await, [missing()]);
}

#[tokio::test]
async fn a_domain_that_is_released_is_no_finding_while_something_else_is() {
    let portal = TestApp::new().await;
    let (_, key) = portal.submit(ONE).await;
    settle(&portal, &[], false).await;
    let heir = portal.store_one(ONE).await;
    let settled = settle(&portal, &[missing()], true).await;
    assert_eq!((settled.held, settled.waiting), (1, 0));
    let codes = async || {
        let found = found(&portal, &heir).await;
        found.iter().map(|f| f.code).collect::<Vec<_>>()
    };
    assert_eq!(codes().await, [Code::DomainHeld, Code::SrvMissing]);
    let cookie = sign_in(&portal, &key).await;
    let confirmed = [("confirm", "on")];
    portal
        .post_with("/service/cancel", &confirmed, &cookie)
        .await;
    assert_eq!(
        settle(&portal, &[], false).await.provisioned,
        1,
        "the cancel"
    );
    // What was released is checked at once.
    let settled = settle(&portal, &[missing()], true).await;
    assert_eq!((settled.held, settled.waiting), (0, 1));
    assert_eq!(codes().await, [Code::SrvMissing]);
}

#[tokio::test]
async fn checks_that_are_turned_on_begin_to_watch_what_is_in_force() {
    let portal = TestApp::new().await;
    portal.store(3).await;
    portal.store_one(ONE).await;
    portal.work().await;
    portal.store_one(ONE).await;
    let watched = "SELECT count(*) FROM watch";
    assert_eq!(portal.number(watched).await, 0, "checks are off");
    let last = checking::store::begin_to_watch(portal.pool(), 0).await;
    let last = last.unwrap().expect("there are services");
    assert_eq!(portal.number(watched).await, 4, "and none that is pending");
    let end = checking::store::begin_to_watch(portal.pool(), last).await;
    assert_eq!(end.unwrap(), None);
    let again = checking::store::begin_to_watch(portal.pool(), 0).await;
    assert_eq!(again.unwrap(), Some(last));
    assert_eq!(portal.number(watched).await, 4);
}

#[tokio::test]
async fn whoever_asks_for_another_look_gets_one_at_once_but_not_all_the_time() {
    let portal = TestApp::new().await;
    let reference = portal.store_one(ONE).await;
    settle(&portal, &[missing()], true).await;
    let again = async || {
        let reference = Reference::parse(&reference).unwrap();
        let request = look_up(portal.pool(), reference).await.unwrap().unwrap();
        check_again(portal.pool(), &request).await.unwrap()
    };
    assert!(!again().await, "a moment ago");
    portal.advance(Duration::from_secs(10)).await;
    assert!(again().await);
    // While it is being checked, another check is requested: the findings may be outdated by then.
    let claim = claim(&portal).await;
    assert!(again().await);
    let verdicts = verdict(claim.requests()[0], &[missing()], true);
    store::settle(portal.pool(), &claim, &WAITS, &verdicts)
        .await
        .unwrap();
    assert_eq!(settle(&portal, &[missing()], true).await.waiting, 1);
    // The wait begins with the shortest again: an administrator who fixes one thing may fix
    // another.
    let wait = "SELECT round(extract(epoch FROM due_at - checked_at))::bigint FROM work";
    assert!(
        portal.number(wait).await <= 30,
        "{}",
        portal.number(wait).await
    );
}

#[tokio::test]
async fn severities_survive_the_database() {
    let portal = TestApp::new().await;
    let reference = portal.store_one(ONE).await;
    let skipped = Finding::skipped(
        Code::Certificate,
        &Fqdn::parse("sip.contoso.com").unwrap(),
        Code::EdgeNoAddress,
    );
    let of_every_code = Code::ALL
        .iter()
        .filter(|&&code| code != Code::DomainHeld && code != Code::Certificate)
        .map(|&code| finding(code, "contoso.com", &["a", "b"]));
    let mut all: Vec<_> = of_every_code.chain([skipped]).collect();
    settle(&portal, &all, true).await;
    all.sort_by_key(|finding| (finding.subject.clone(), finding.code.as_str()));
    let stored = found(&portal, &reference).await;
    assert_eq!(stored, all);
    assert!(stored.iter().any(|f| f.severity == Severity::Skipped));
}
