//! Claiming, settling and watching, with a failure at each of their writes.

use std::time::Duration;

use pic_portal::{
    names::SipDomain,
    provisioning::{
        checking::store::{begin_to_watch, store_watched},
        store::{Claim, Place, Proof, Verdicts, claim, settle},
    },
    readiness::{Code, Finding},
};

use super::{Operation, fail_everywhere};
use crate::{
    service::{provisioned, send_edit},
    support::app::{TestApp, WAITS},
};

const LEASE: Duration = Duration::from_secs(30);
const DAY: Duration = Duration::from_hours(24);

/// One of everything that a settlement can encounter: an expired request, an update that adds,
/// moves and releases, a cancel, two that want one domain, one that is held back, one that was and
/// no longer is, and one that is simply new.
async fn everything_due(portal: &TestApp) {
    portal.store_one(&[("sip.e.example", "e.example")]).await;
    portal.advance(DAY * 31).await;
    // Not checked while this is prepared.
    portal
        .run("UPDATE work SET due_at = due_at + interval '40 days'")
        .await;
    let (_, update) = provisioned(portal, &[("sip.a.example", "a.example b.example")]).await;
    let (_, cancel) = provisioned(portal, &[("sip.f.example", "f.example")]).await;
    portal.store_one(&[("sip.c.example", "b.example")]).await;
    assert_eq!(portal.work().await.held, 1);
    // Only the released domain makes it due.
    portal
        .run("UPDATE work SET due_at = due_at + interval '1 day' WHERE attempts > 0")
        .await;
    let after = [
        ("sip.a.example", "new.example"),
        ("edge.a.example", "a.example"),
    ];
    let sent = send_edit(
        portal,
        &update,
        &after,
        &[("confirm_edge_change", "on"), ("action", "submit")],
    )
    .await;
    sent.reference();
    let confirm = [("confirm", "on")];
    let sent = portal.post_with("/service/cancel", &confirm, &cancel).await;
    sent.reference();
    for _ in 0..2 {
        portal.store_one(&[("sip.d.example", "d.example")]).await;
    }
    portal.store_one(&[("sip.b.example", "a.example")]).await;
    portal.store_one(&[("sip.g.example", "g.example")]).await;
    portal
        .run("UPDATE work SET due_at = pic_now() WHERE attempts = 0")
        .await;
}

/// One batch of the background task, without lookups.
struct Step;

impl Operation for Step {
    // Requests without conflicts are settled with the claim, the rest afterwards.
    const ATOMIC: bool = false;
    const PLACES: i64 = 32;

    async fn prepare(portal: &TestApp) -> Self {
        everything_due(portal).await;
        Self
    }

    async fn run(&self, portal: &TestApp) -> Result<(), String> {
        match portal.worker().step().await {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err("nothing is due".into()),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn tidy(&self, portal: &TestApp) {
        // After a failure requests are settled one by one, which gets further than a batch.
        portal.worker().drain().await.unwrap();
        Drain.tidy(portal).await;
    }

    async fn recover(&self, portal: &TestApp) {
        portal.advance(LEASE).await;
    }
}

#[tokio::test]
async fn a_batch_is_done_once_whatever_fails_on_the_way() {
    fail_everywhere::<Step>().await;
}

/// A batch without any conflicts.
struct Plain;

impl Operation for Plain {
    const PLACES: i64 = 9;

    async fn prepare(portal: &TestApp) -> Self {
        for (edge, domains) in [
            ("sip.a.example", "a.example"),
            ("sip.b.example", "b.example c.example"),
            ("sip.d.example", "d.example"),
        ] {
            portal.store_one(&[(edge, domains)]).await;
        }
        Self
    }

    async fn run(&self, portal: &TestApp) -> Result<(), String> {
        match portal.worker().step().await {
            Ok(Some(settled)) if settled.provisioned == 3 => Ok(()),
            Ok(settled) => Err(format!("{settled:?}")),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn recover(&self, portal: &TestApp) {
        portal.advance(LEASE).await;
    }
}

#[tokio::test]
async fn what_nothing_stands_against_is_settled_whole_or_not_at_all() {
    fail_everywhere::<Plain>().await;
}

/// Batches until nothing is due.
struct Drain;

impl Operation for Drain {
    const ATOMIC: bool = false;
    const PLACES: i64 = 60;
    const STRIDE: usize = 4;

    async fn prepare(portal: &TestApp) -> Self {
        everything_due(portal).await;
        Self
    }

    async fn run(&self, portal: &TestApp) -> Result<(), String> {
        let drained = portal.worker().drain().await;
        drained.map(drop).map_err(|error| error.to_string())
    }

    async fn tidy(&self, portal: &TestApp) {
        // A request that was held back still is, however often it was checked.
        portal
            .run("UPDATE work SET attempts = 1, due_at = pic_now() + interval '1 day'")
            .await;
    }

    async fn recover(&self, portal: &TestApp) {
        portal.advance(LEASE).await;
    }
}

#[tokio::test]
async fn what_is_due_is_done_once_whatever_fails_on_the_way() {
    fail_everywhere::<Drain>().await;
}

/// Settling requests that were checked: a domain that moves, one that stays, findings that block
/// and findings that do not.
struct Settle {
    claim: Claim,
    verdicts: Verdicts,
}

fn finding(code: Code, subject: &str) -> Finding {
    let subject = SipDomain::parse(subject).unwrap();
    Finding::new(
        code,
        subject.as_fqdn(),
        "what should be there",
        ["what is there"],
    )
}

impl Operation for Settle {
    const PLACES: i64 = 40;

    async fn prepare(portal: &TestApp) -> Self {
        provisioned(portal, &[("sip.a.example", "a.example b.example")]).await;
        for (edge, domains) in [
            ("sip.m.example", "a.example m.example"),
            ("sip.h.example", "b.example h.example"),
            ("sip.w.example", "w.example"),
            ("sip.g.example", "g.example"),
        ] {
            portal.store_one(&[(edge, domains)]).await;
        }
        let mut claim = claim(portal.pool(), Place::Pending, 500, LEASE)
            .await
            .unwrap();
        let mut ids = claim.requests().to_vec();
        ids.sort_unstable();
        claim = claim.of(ids.clone());
        let [moved, held, waits, good] = ids[..] else {
            panic!("four are due");
        };
        let verdicts = Verdicts {
            proofs: vec![Proof {
                request: moved,
                domain: SipDomain::parse("a.example").unwrap(),
            }],
            blocked: vec![waits],
            checked: vec![
                (moved, vec![finding(Code::Srv, "a.example")]),
                (
                    held,
                    vec![
                        finding(Code::DomainHeld, "b.example"),
                        finding(Code::SrvMissing, "h.example"),
                    ],
                ),
                (waits, vec![finding(Code::SrvMissing, "w.example")]),
                (good, vec![finding(Code::Srv, "g.example")]),
            ],
        };
        Self { claim, verdicts }
    }

    async fn run(&self, portal: &TestApp) -> Result<(), String> {
        let settled = settle(portal.pool(), &self.claim, &WAITS, &self.verdicts).await;
        let settled = settled.map_err(|error| error.to_string())?;
        assert_eq!(
            (settled.provisioned, settled.held, settled.waiting),
            (2, 1, 1)
        );
        Ok(())
    }
}

#[tokio::test]
async fn what_was_looked_at_is_settled_whole_or_not_at_all() {
    fail_everywhere::<Settle>().await;
}

/// A check of what is in force.
struct Watched(Claim);

impl Operation for Watched {
    const PLACES: i64 = 10;

    async fn prepare(portal: &TestApp) -> Self {
        provisioned(portal, &[("sip.a.example", "a.example b.example")]).await;
        begin_to_watch(portal.pool(), 0).await.unwrap();
        portal.advance(DAY).await;
        let claim = claim(portal.pool(), Place::Watched, 10, LEASE)
            .await
            .unwrap();
        assert_eq!(claim.len(), 1);
        Self(claim)
    }

    async fn run(&self, portal: &TestApp) -> Result<(), String> {
        let risks = [
            finding(Code::SrvMissing, "a.example"),
            finding(Code::Srv, "b.example"),
        ];
        let checked = [(self.0.requests()[0], risks.into())];
        let stored = store_watched(portal.pool(), &self.0, &checked).await;
        stored.map(drop).map_err(|error| error.to_string())
    }
}

#[tokio::test]
async fn what_is_found_of_what_is_in_force_is_stored_whole_or_not_at_all() {
    fail_everywhere::<Watched>().await;
}

/// The first check of what came into force.
struct BeginToWatch;

impl Operation for BeginToWatch {
    const PLACES: i64 = 3;

    async fn prepare(portal: &TestApp) -> Self {
        provisioned(portal, &[("sip.a.example", "a.example")]).await;
        provisioned(portal, &[("sip.b.example", "b.example")]).await;
        Self
    }

    async fn run(&self, portal: &TestApp) -> Result<(), String> {
        let last = begin_to_watch(portal.pool(), 0).await;
        last.map(drop).map_err(|error| error.to_string())
    }

    async fn tidy(&self, portal: &TestApp) {
        // Their due times are random.
        portal
            .run("UPDATE watch SET due_at = pic_now() + interval '1 day'")
            .await;
    }
}

#[tokio::test]
async fn services_are_watched_from_some_time_on_or_not_yet() {
    fail_everywhere::<BeginToWatch>().await;
}

/// The report that the process is running.
struct Show;

impl Operation for Show {
    const PLACES: i64 = 5;

    async fn prepare(_: &TestApp) -> Self {
        Self
    }

    async fn run(&self, portal: &TestApp) -> Result<(), String> {
        let shown = portal.worker().show_once().await;
        shown.map(drop).map_err(|error| error.to_string())
    }
}

#[tokio::test]
async fn an_instance_shows_itself_whatever_failed_before() {
    fail_everywhere::<Show>().await;
}
