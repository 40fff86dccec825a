use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use proptest::{collection::vec, prelude::*, sample::select};

use super::{
    Deployment::{OnPremises, Split},
    Kind::{Cancel, Initiate, Update},
    *,
};
use crate::{
    agreement::Programme::{HighVolume, PartnerNetwork},
    names::{AccessEdge, SipDomain},
};

fn edge(name: &str) -> AccessEdge {
    AccessEdge::parse(name).unwrap()
}

fn domain(name: &str) -> SipDomain {
    SipDomain::parse(name).unwrap()
}

fn wanted(list: &[(&str, &[&str])]) -> Vec<EdgeRoutes> {
    list.iter()
        .map(|(e, ds)| EdgeRoutes {
            edge: edge(e),
            domains: ds.iter().map(|d| domain(d)).collect(),
        })
        .collect()
}

// ---- The state machine ------------------------------------------------------------------------

/// An edge of the state machine that a test tries, whether it exists or not.
#[derive(Clone, Copy, Debug)]
enum Try {
    Provision,
    Reject(Reason),
    Withdraw,
}

proptest! {
    #[test]
    fn no_sequence_of_edges_leaves_a_final_state(
        tries in vec(prop_oneof![
            Just(Try::Provision),
            select(Reason::ALL).prop_map(Try::Reject),
            Just(Try::Withdraw),
        ], 1..12)
    ) {
        let at = DateTime::<Utc>::UNIX_EPOCH;
        let mut state = State::submitted();
        let mut first_end = None;
        for step in tries {
            if let Some(pending) = state.pending() {
                prop_assert_eq!(first_end, None);
                state = match step {
                    Try::Provision => pending.provision(at),
                    Try::Reject(reason) => pending.reject(at, reason),
                    Try::Withdraw => pending.withdraw(at),
                };
                first_end = Some(state);
            }
            prop_assert_eq!(Some(state), first_end);
        }
    }

    #[test]
    fn only_whole_states_are_read(
        name in select(vec!["pending", "provisioned", "rejected", "withdrawn", "overdue", ""]),
        reason in proptest::option::of(select(Reason::ALL)),
        ended in any::<bool>(),
    ) {
        let at = DateTime::<Utc>::UNIX_EPOCH;
        let read = State::from_columns(name, reason, ended.then_some(at));
        let whole = match name {
            "pending" => !ended && reason.is_none(),
            "provisioned" | "withdrawn" => ended && reason.is_none(),
            "rejected" => ended && reason.is_some(),
            _ => false,
        };
        prop_assert_eq!(read.is_some(), whole);
        if let Some(state) = read {
            prop_assert_eq!(state.as_str(), name);
        }
    }
}

#[test]
fn every_name_in_sql_is_read_back() {
    for kind in Kind::ALL {
        assert_eq!(Kind::parse(kind.as_str()), Some(*kind));
    }
    assert_eq!(Reason::parse("expired"), Some(Reason::Expired));
    assert_eq!(Deployment::parse("cloud"), None);
    assert_eq!(State::submitted().as_str(), State::NAMES[0]);
}

#[test]
fn what_people_are_told_follows_from_state_clock_and_findings() {
    let start = DateTime::<Utc>::UNIX_EPOCH;
    let hours = |n| start + TimeDelta::hours(n);
    let clocks = Clocks {
        promise: Duration::from_hours(48),
        expiry: Duration::from_hours(30 * 24),
    };
    let pending = State::submitted();
    let provisioned = State::Provisioned { at: hours(1) };
    let told = |state, kind, blocked, superseded, now| {
        Standing::of(
            &Facts {
                state,
                kind,
                submitted_at: start,
                turn_at: start,
                blocked,
                superseded,
                moved_away: None,
            },
            &clocks,
            now,
        )
    };
    assert_eq!(
        told(pending, Initiate, false, false, hours(48)),
        Standing::Checking { overdue: false }
    );
    let just_after = hours(48) + TimeDelta::microseconds(1);
    assert_eq!(
        told(pending, Initiate, false, false, just_after),
        Standing::Checking { overdue: true }
    );
    assert_eq!(
        told(pending, Update, true, false, hours(1)),
        Standing::NeedsAction
    );
    assert_eq!(
        told(pending, Update, true, false, hours(49)),
        Standing::NeedsAction,
        "the administrator's time is not counted"
    );
    assert_eq!(
        told(provisioned, Initiate, false, false, hours(99)),
        Standing::InForce { at_risk: false }
    );
    assert_eq!(
        told(provisioned, Initiate, false, true, hours(99)),
        Standing::Superseded
    );
    assert_eq!(
        told(provisioned, Cancel, false, false, hours(99)),
        Standing::Cancelled
    );
    assert_eq!(
        told(provisioned, Cancel, false, true, hours(99)),
        Standing::Superseded
    );
    assert_eq!(
        told(provisioned, Initiate, true, false, hours(99)),
        Standing::InForce { at_risk: true }
    );
    for (superseded, holds, standing) in [
        (false, true, Standing::MovedAway { all: false }),
        (false, false, Standing::MovedAway { all: true }),
        (true, true, Standing::Superseded),
    ] {
        let facts = Facts {
            state: provisioned,
            kind: Update,
            submitted_at: start,
            turn_at: start,
            blocked: true,
            superseded,
            moved_away: Some(!holds),
        };
        assert_eq!(Standing::of(&facts, &clocks, hours(99)), standing);
    }
    let rejected = State::Rejected {
        at: hours(2),
        reason: Reason::Policy,
    };
    assert_eq!(
        told(rejected, Initiate, true, false, hours(99)),
        Standing::Rejected(Reason::Policy)
    );
    assert_eq!(
        told(
            State::Withdrawn { at: hours(2) },
            Initiate,
            true,
            false,
            hours(99)
        ),
        Standing::Withdrawn
    );
    let forever = Clocks {
        promise: Duration::MAX,
        expiry: Duration::MAX,
    };
    assert_eq!(forever.promised_by(start), DateTime::<Utc>::MAX_UTC);
}

#[test]
fn the_promise_counts_from_when_it_became_the_portals_turn() {
    let start = DateTime::<Utc>::UNIX_EPOCH;
    let hours = |n| start + TimeDelta::hours(n);
    let clocks = Clocks {
        promise: Duration::from_hours(48),
        expiry: Duration::from_hours(30 * 24),
    };
    let later = Facts {
        state: State::submitted(),
        kind: Initiate,
        submitted_at: start,
        turn_at: hours(100),
        blocked: false,
        superseded: false,
        moved_away: None,
    };
    for (now, overdue) in [(hours(148), false), (hours(149), true)] {
        assert_eq!(
            Standing::of(&later, &clocks, now),
            Standing::Checking { overdue }
        );
    }
}

// ---- Routes -----------------------------------------------------------------------------------

#[test]
fn each_rule_of_edges_and_domains_has_its_problem() {
    let problems = |list: &[(&str, &[&str])]| Routes::new(wanted(list)).unwrap_err();
    assert_eq!(problems(&[]), [RoutesProblem::NoEdge]);
    assert_eq!(
        problems(&[("sip.a.test", &[])]),
        [RoutesProblem::NoDomain { edge: 0 }]
    );
    assert_eq!(
        problems(&[("sip.a.test", &["a.test"]), ("sip.a.test", &["b.test"])]),
        [RoutesProblem::EdgeTwice {
            edge: 1,
            earlier: 0
        }]
    );
    assert_eq!(
        problems(&[
            ("sip.a.test", &["a.test"]),
            ("sip.b.test", &["b.test", "a.test"])
        ]),
        [RoutesProblem::DomainTwice {
            edge: 1,
            domain: 1,
            earlier: 0
        }]
    );
    assert_eq!(
        problems(&[("sip.a.test", &["a.test"]), ("sip.b.test", &["sip.a.test"])]),
        [RoutesProblem::DomainIsEdge { edge: 1, domain: 0 }]
    );
    let eleven: Vec<_> = (0..11)
        .map(|i| EdgeRoutes {
            edge: edge(&format!("e{i}.test")),
            domains: vec![domain(&format!("d{i}.test"))],
        })
        .collect();
    assert_eq!(
        Routes::new(eleven.clone()).unwrap_err(),
        [RoutesProblem::TooManyEdges]
    );
    assert_eq!(
        Routes::new(eleven[..10].to_vec()).unwrap().domain_count(),
        10
    );
    let many = |n| {
        vec![EdgeRoutes {
            edge: edge("e.test"),
            domains: (0..n).map(|i| domain(&format!("d{i}.test"))).collect(),
        }]
    };
    assert_eq!(
        Routes::new(many(1_001)).unwrap_err(),
        [RoutesProblem::TooManyDomains]
    );
    assert_eq!(Routes::new(many(1_000)).unwrap().domain_count(), 1_000);
}

proptest! {
    /// The rules written as simply as possible: each domain at one edge, no domain an edge, no edge
    /// twice.
    #[test]
    fn disjointness_agrees_with_a_brute_force_oracle(
        list in vec((select(vec!["a.test", "b.test", "c.test"]), vec(select(vec!["a.test", "x.test", "y.test", "z.test"]), 1..4)), 1..4)
    ) {
        let mut fine = true;
        for (i, (edge, domains)) in list.iter().enumerate() {
            for (j, (other, others)) in list.iter().enumerate() {
                fine &= i == j || edge != other;
                fine &= !others.contains(edge);
                fine &= i == j || domains.iter().all(|d| !others.contains(d));
            }
        }
        let list: Vec<_> = list.iter().map(|(e, ds)| (*e, ds.as_slice())).collect();
        let made = Routes::new(wanted(&list));
        prop_assert_eq!(made.is_ok(), fine);
        if let Ok(routes) = made {
            let kept: BTreeMap<_, BTreeSet<_>> = routes.edges().iter()
                .map(|of| (of.edge.as_str(), of.domains.iter().map(SipDomain::as_str).collect())).collect();
            let meant: BTreeMap<_, BTreeSet<_>> = list.iter().map(|(e, ds)| (*e, ds.iter().copied().collect())).collect();
            prop_assert_eq!(kept, meant);
        }
    }
}

#[test]
fn the_same_content_has_the_same_hash_and_other_content_another() {
    let make = |programme, number: &str, deployment, list: &[(&str, &[&str])]| {
        Asked::Initiate(Wanted {
            programme,
            number: AgreementNumber::parse(number).unwrap(),
            deployment,
            routes: Routes::new(wanted(list)).unwrap(),
        })
    };
    let list: &[(&str, &[&str])] = &[("e.test", &["a.test", "b.test"])];
    let hash = make(HighVolume, "12-34", OnPremises, list).content_hash();
    assert_eq!(
        hash,
        make(
            HighVolume,
            "1234",
            OnPremises,
            &[("E.test", &["b.test", "a.test", "a.test"])]
        )
        .content_hash()
    );
    for other in [
        make(PartnerNetwork, "1234", OnPremises, list),
        make(HighVolume, "1235", OnPremises, list),
        make(HighVolume, "1234", Split, list),
        make(HighVolume, "1234", OnPremises, &[("e.test", &["a.test"])]),
        make(
            HighVolume,
            "1234",
            OnPremises,
            &[("e.test", &["a.test"]), ("f.test", &["b.test"])],
        ),
    ] {
        assert_ne!(hash, other.content_hash());
    }
}
