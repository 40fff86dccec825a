//! Which tasks a request has, and how each stands.

use super::*;
use crate::names::Fqdn;

const EDGE: &str = "sip.contoso.com";
const NAMES: (&str, &str) = ("name", "names");

fn of(code: Code, name: &str) -> Finding {
    Finding::new(code, &Fqdn::parse(name).unwrap(), "", [""; 0])
}

fn not_looked(code: Code, cause: Code) -> Finding {
    Finding::skipped(code, &Fqdn::parse(EDGE).unwrap(), cause)
}

/// Status and hint of an area for these findings.
fn told(area: Area, findings: &[Finding], checked: bool, mode: Mode) -> (&'static str, String) {
    let edges = HashSet::from([EDGE]);
    let side = Side {
        findings,
        edges: &edges,
        checked,
        mode,
    };
    let task = side.task(area, "", 3, NAMES);
    (task.tag, task.hint)
}

#[test]
fn a_task_is_as_grave_as_the_gravest_of_its_findings() {
    use Code::{
        Certificate, CertificateExpiresSoon, EdgeNoAddress, EdgeUnreachable, HomedOnline,
        ResolverUnreachable, Srv, SrvMissing, SrvSuffix,
    };
    let some = |findings: &[Finding], area| told(area, findings, true, Mode::Enforce);
    let fine = [of(Srv, "a.example"), of(Certificate, EDGE)];
    assert_eq!(some(&fine, Area::Record), ("Done", String::new()));
    assert_eq!(some(&fine, Area::Certificate), ("Done", String::new()));
    assert_eq!(
        some(&fine, Area::Reach),
        ("Done", String::new()),
        "who shows one was reached"
    );
    let odd = [
        of(Srv, "a.example"),
        of(SrvSuffix, "a.example"),
        of(CertificateExpiresSoon, EDGE),
    ];
    assert_eq!(some(&odd, Area::Record).0, "Done, with warnings");
    assert_eq!(some(&odd, Area::Reach).0, "Done");
    let wrong = [
        of(SrvMissing, "a.example"),
        of(HomedOnline, "b.example"),
        of(Srv, "c.example"),
        of(ResolverUnreachable, EDGE),
        not_looked(Certificate, ResolverUnreachable),
    ];
    assert_eq!(
        some(&wrong, Area::Record),
        ("Needs fixing", "2 of 3 names".into())
    );
    assert_eq!(
        some(&wrong, Area::Reach).0,
        "Could not check",
        "its subject is an edge"
    );
    assert_eq!(some(&wrong, Area::Certificate).0, "Not checked");
    for (code, cause) in [
        (EdgeNoAddress, EdgeNoAddress),
        (EdgeUnreachable, EdgeUnreachable),
    ] {
        let closed = [of(code, EDGE), not_looked(Certificate, cause)];
        assert_eq!(some(&closed, Area::Reach).0, "Needs fixing");
    }
}

#[test]
fn before_the_first_look_and_without_any_it_says_so() {
    assert_eq!(
        told(Area::Record, &[], false, Mode::Advise).0,
        "Not yet checked"
    );
    assert_eq!(told(Area::Record, &[], true, Mode::Advise).0, "Not checked");
    assert_eq!(told(Area::Record, &[], true, Mode::Off).0, "Not checked");
    let earlier = [of(Code::SrvMissing, "a.example")];
    let still = told(Area::Record, &earlier, true, Mode::Off);
    assert_eq!(
        still.0, "Needs fixing",
        "it was found before they were switched off"
    );
}

#[test]
fn our_side_waits_for_yours_and_not_the_other_way_round() {
    let tags = |seen, standing, mode| -> Vec<_> {
        ours(seen, standing, mode, ProofMode::Held)
            .iter()
            .map(|task| task.tag)
            .collect()
    };
    let checking = |overdue| Standing::Checking { overdue };
    let needs = Standing::NeedsAction;
    assert_eq!(
        tags(Seen::Nothing, checking(false), Mode::Enforce),
        ["Waiting", "Waiting"]
    );
    assert_eq!(
        tags(Seen::All, checking(true), Mode::Enforce),
        ["Done", "Overdue"]
    );
    assert_eq!(
        tags(Seen::All, needs, Mode::Enforce),
        ["Done", "Waits for your side"]
    );
    assert_eq!(
        tags(Seen::Part, checking(false), Mode::Enforce),
        ["Waiting", "Waiting"]
    );
    assert_eq!(
        tags(
            Seen::All,
            Standing::InForce { at_risk: false },
            Mode::Advise
        ),
        ["Done", "Done"]
    );
    assert_eq!(
        tags(Seen::Nothing, needs, Mode::Off),
        ["Off", "Waits for your side"]
    );
}
