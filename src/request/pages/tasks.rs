//! The tasks that are left for a request, and who has to do each.

use std::collections::HashSet;

use crate::{
    names::EdgeRoutes,
    readiness::{
        Code, Finding, Mode, ProofMode, Severity, catalogue::Area, engine::Checks, wording::called,
    },
    request::{Kind, Standing, store::Request},
    web::parts::{Tone, count},
};

/// A task with its tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// What has to be done.
    pub name: &'static str,
    /// A line below it, or empty.
    pub hint: String,
    /// Its status, such as done.
    pub tag: &'static str,
    /// The tone of the status.
    pub tone: Tone,
}

/// The tasks of both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tasks {
    /// The administrator's tasks.
    pub yours: Vec<Task>,
    /// The portal's tasks.
    pub ours: Vec<Task>,
}

/// What a finding is about; for a name that could not be looked up, what the name belongs to.
fn area(code: Code, is_edge: bool) -> Area {
    match code {
        Code::ResolverUnreachable if is_edge => Area::Reach,
        code => code.entry().area,
    }
}

impl Tasks {
    /// The tasks for `request`, which has `to_prove` domains to prove; `None` if there are none
    /// left.
    #[must_use]
    pub fn of(
        request: &Request,
        standing: Standing,
        checks: &Checks,
        to_prove: usize,
    ) -> Option<Self> {
        let (mode, proof) = (checks.mode(), checks.proof());
        match standing {
            Standing::Checking { .. } | Standing::NeedsAction | Standing::InForce { .. } => {}
            Standing::MovedAway { .. }
            | Standing::Superseded
            | Standing::Cancelled
            | Standing::Rejected(_)
            | Standing::Withdrawn => return None,
        }
        if request.kind == Kind::Cancel {
            return None;
        }
        let edges: HashSet<&str> = request.routes.iter().map(|of| of.edge.as_str()).collect();
        let domains = EdgeRoutes::domain_count(&request.routes);
        let side = Side {
            findings: &request.findings,
            edges: &edges,
            checked: request.checked_at.is_some(),
            mode,
        };
        let mut yours = vec![
            side.task(
                Area::Record,
                "DNS record of each SIP domain",
                domains,
                ("SIP domain", "SIP domains"),
            ),
            side.task(
                Area::Reach,
                "Access Edge answers on port 5061",
                edges.len(),
                ("Access Edge", "Access Edges"),
            ),
            side.task(
                Area::Certificate,
                "Certificate of the Access Edge",
                edges.len(),
                ("Access Edge", "Access Edges"),
            ),
        ];
        let proven = side.of(Area::Proof).count();
        if proven > 0 || (proof == ProofMode::Always && to_prove > 0) {
            yours.push(side.task(
                Area::Proof,
                "TXT record that proves each new SIP domain",
                to_prove.max(proven),
                ("SIP domain", "SIP domains"),
            ));
        }
        let held = side.of(Area::Held).count();
        if held > 0 {
            yours.push(Task {
                name: "Domains that another service holds",
                hint: format!(
                    "{} to be released or proved",
                    count(held, "SIP domain", "SIP domains")
                ),
                tag: called(Severity::Blocking),
                tone: Tone::Bad,
            });
        }
        Some(Self {
            yours,
            ours: ours(side.seen(), standing, mode, proof),
        })
    }
}

/// What the administrator's tasks are made of.
struct Side<'a> {
    findings: &'a [Finding],
    edges: &'a HashSet<&'a str>,
    checked: bool,
    mode: Mode,
}

impl<'a> Side<'a> {
    fn of(&self, area: Area) -> impl Iterator<Item = &'a Finding> {
        let edges = self.edges;
        self.findings
            .iter()
            .filter(move |it| self::area(it.code, edges.contains(it.subject.as_str())) == area)
    }

    fn seen(&self) -> Seen {
        let unknown = |it: &Finding| it.severity == Severity::Unknown && it.code.may_hold_back();
        match self.checked {
            false => Seen::Nothing,
            true if self.findings.iter().any(unknown) => Seen::Part,
            true => Seen::All,
        }
    }

    /// How many edges were reached: all that showed a certificate.
    fn reached(&self) -> usize {
        let shown = self
            .of(Area::Certificate)
            .filter(|it| it.severity != Severity::Skipped);
        shown
            .map(|it| it.subject.as_str())
            .collect::<HashSet<_>>()
            .len()
    }

    fn task(&self, area: Area, name: &'static str, all: usize, (one, many): (&str, &str)) -> Task {
        let task = |tag, tone, hint| Task {
            name,
            hint,
            tag,
            tone,
        };
        if self.mode == Mode::Off && self.findings.is_empty() {
            return task("Not checked", Tone::Neutral, String::new());
        }
        let looked: Vec<_> = self.of(area).collect();
        let grave = |floor| {
            let names = looked.iter().filter(|it| it.severity >= floor);
            names
                .map(|it| it.subject.as_str())
                .collect::<HashSet<_>>()
                .len()
        };
        let worst = looked.iter().map(|it| it.severity).max();
        let worst = match (area, worst) {
            (Area::Reach, None | Some(Severity::Skipped)) if self.reached() > 0 => {
                Some(Severity::Ok)
            }
            (_, worst) => worst,
        };
        let of_all = |number| format!("{number} of {}", count(all, one, many));
        match worst {
            None if self.checked => task(called(Severity::Skipped), Tone::Neutral, String::new()),
            None => task("Not yet checked", Tone::Waiting, String::new()),
            Some(Severity::Ok) => task("Done", Tone::Good, String::new()),
            Some(Severity::Skipped) => task(
                called(Severity::Skipped),
                Tone::Neutral,
                "Waits for something else on this list".into(),
            ),
            Some(Severity::Warning) => task(
                "Done, with warnings",
                Tone::Action,
                of_all(grave(Severity::Warning)),
            ),
            Some(Severity::Unknown) => task(
                called(Severity::Unknown),
                Tone::Neutral,
                format!(
                    "{}. We check again automatically",
                    of_all(grave(Severity::Unknown))
                ),
            ),
            Some(Severity::Blocking) => task(
                called(Severity::Blocking),
                Tone::Bad,
                of_all(grave(Severity::Blocking)),
            ),
        }
    }
}

/// How much of a request was checked.
#[derive(Clone, Copy, Debug)]
enum Seen {
    Nothing,
    /// Some servers did not answer.
    Part,
    All,
}

/// The tasks of the portal.
fn ours(seen: Seen, standing: Standing, mode: Mode, proof: ProofMode) -> Vec<Task> {
    let (tag, tone, hint) = match (mode, seen) {
        (Mode::Off, _) => ("Off", Tone::Neutral, "Nothing is looked up here"),
        (Mode::Advise | Mode::Enforce, Seen::Nothing) => (
            "Waiting",
            Tone::Waiting,
            "Most checks take less than a minute",
        ),
        (Mode::Advise | Mode::Enforce, Seen::Part) => (
            "Waiting",
            Tone::Waiting,
            "Not everybody answered. We check again automatically",
        ),
        (Mode::Advise | Mode::Enforce, Seen::All) => ("Done", Tone::Good, ""),
    };
    let checks = Task {
        name: "Check records and certificates",
        hint: hint.into(),
        tag,
        tone,
    };
    let (tag, tone, hint) = match standing {
        Standing::InForce { .. } => ("Done", Tone::Good, ""),
        Standing::NeedsAction => ("Waits for your side", Tone::Neutral, ""),
        Standing::Checking { overdue: true } => ("Overdue", Tone::Action, ""),
        Standing::Checking { overdue: false }
        | Standing::MovedAway { .. }
        | Standing::Superseded
        | Standing::Cancelled
        | Standing::Rejected(_)
        | Standing::Withdrawn => (
            "Waiting",
            Tone::Waiting,
            match (mode, proof) {
                (Mode::Enforce, _) => "As soon as all of your side is done",
                (Mode::Advise, ProofMode::Held) => "After the first check, whatever it finds",
                (Mode::Advise, ProofMode::Always) => "As soon as each new SIP domain is proven",
                (Mode::Off, _) => "",
            },
        ),
    };
    vec![
        checks,
        Task {
            name: "Put the routes in force",
            hint: hint.into(),
            tag,
            tone,
        },
    ]
}

#[cfg(test)]
mod tests;
