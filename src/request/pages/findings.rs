//! Shows the findings of one check or of forty domains so that people see what to do.
//!
//! The same on the status page, before a request is sent, on `/check` and for a service: findings
//! with the same text are grouped, the most severe first, with the lines of all their subjects.

use std::time::Duration;

use askama::Template;

use crate::{
    names::EdgeRoutes,
    readiness::{
        Finding, Severity,
        engine::Report,
        wording::{Line, Record, Teller, called},
    },
    server::network::Network,
    web::{
        parts::{Tone, count},
        site::Site,
    },
};

/// How long a client that pressed a button waits for the check of the answers.
const PATIENCE: Duration = Duration::from_secs(3);

/// Findings as a part of a page.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "readiness/findings.html")]
pub struct Findings {
    /// What needs attention, the most severe first.
    pub groups: Vec<Group>,
    /// What needs no action.
    pub quiet: Vec<Quiet>,
    /// A note about the whole, or empty.
    pub note: String,
}

/// Findings with the same text about several subjects.
#[derive(Clone, Debug)]
pub struct Group {
    /// The code, such as `srv-missing`.
    pub code: &'static str,
    /// What it means for the request.
    pub(crate) severity: Severity,
    /// What was found.
    pub title: &'static str,
    /// Why it matters and what to do.
    pub text: String,
    /// Who must act, or empty.
    pub who: &'static str,
    /// The subjects it was found for, in alphabetical order.
    pub subjects: Vec<Subject>,
    /// What fixes it: the lines of all subjects together, by purpose.
    pub lines: Vec<Block>,
    /// The records that fix it.
    records: Vec<Record>,
    /// Subjects whose lines were left out because they did not fit.
    without_lines: usize,
}

/// An edge or a domain, and what was found for it.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Name of the edge or domain.
    pub name: String,
    /// What should be there, or empty.
    pub expected: String,
    /// What is there.
    pub found: Vec<String>,
}

/// Lines to copy at once.
#[derive(Clone, Debug)]
pub struct Block {
    /// What they are for.
    pub label: &'static str,
    /// A line each.
    pub lines: String,
}

/// The SIP domains of an Access Edge whose records are in one file.
#[derive(Debug)]
struct ZoneFile {
    edge: String,
    domains: Vec<String>,
}

/// A finding that needs no action.
#[derive(Clone, Debug)]
pub struct Quiet {
    code: &'static str,
    severity: Severity,
    name: String,
    /// What was found, and why nothing is to be done.
    text: String,
}

impl Block {
    /// Adds `lines` to the blocks for the same purpose.
    pub(super) fn add(blocks: &mut Vec<Self>, lines: Vec<Line>) {
        for line in lines {
            match blocks.iter_mut().find(|it| it.label == line.label) {
                // Names in one zone have some lines in common.
                Some(block) if block.lines.lines().any(|it| it == line.line) => {}
                Some(block) => {
                    block.lines.push('\n');
                    block.lines.push_str(&line.line);
                }
                None => blocks.push(Self {
                    label: line.label,
                    lines: line.line,
                }),
            }
        }
    }
}

impl Group {
    /// The most subjects whose lines are shown unfolded.
    const OPEN_LINES: usize = 3;
    /// Lines that are longer than this in total, in bytes, are folded too; they may break anywhere.
    const LONG: usize = 1_200;
    /// The most subjects that are shown unfolded.
    const OPEN_SUBJECTS: usize = 10;
    /// The most subjects for which expected and found values are shown; the others are only named.
    const MOST_COMPARED: usize = 100;

    /// Adds a subject, with those of its lines that fit into `room` bytes.
    fn adds(&mut self, mut subject: Subject, lines: Vec<Line>, room: &mut usize) {
        if self.subjects.len() >= Self::MOST_COMPARED {
            subject.expected.clear();
            subject.found.clear();
        }
        self.subjects.push(subject);
        let length = lines.iter().map(|it| it.line.len()).sum();
        let Some(left) = room.checked_sub(length) else {
            self.without_lines += 1;
            return;
        };
        *room = left;
        Block::add(&mut self.lines, lines);
    }

    /// Whether its lines are folded.
    fn folds(&self) -> bool {
        let length = self.lines.iter().map(|it| it.lines.len()).sum::<usize>();
        !self.lines.is_empty() && (self.subjects.len() > Self::OPEN_LINES || length > Self::LONG)
    }

    /// The records that are shown field by field: those of a few subjects.
    fn by_field(&self) -> &[Record] {
        if self.subjects.len() > Self::OPEN_LINES {
            return &[];
        }
        &self.records
    }

    /// The Access Edges with more than one record, for a zone file each.
    fn zone_files(&self) -> Vec<ZoneFile> {
        let mut files: Vec<ZoneFile> = Vec::new();
        for record in &self.records {
            let Some(edge) = record.edge() else { continue };
            match files.iter_mut().find(|file| file.edge == edge.as_str()) {
                Some(file) => file.domains.push(record.domain.to_string()),
                None => files.push(ZoneFile {
                    edge: edge.to_string(),
                    domains: vec![record.domain.to_string()],
                }),
            }
        }
        files.retain(|file| file.domains.len() > 1);
        files
    }

    /// What it means for the request.
    pub(crate) const fn called(&self) -> &'static str {
        called(self.severity)
    }

    /// The only name that it is about, or how many there are.
    pub(crate) fn whose(&self) -> String {
        match self.subjects.as_slice() {
            [one] => one.name.clone(),
            more => count(more.len(), "name", "names"),
        }
    }

    /// What is left out of a long list, as a sentence.
    pub(crate) fn cut(&self) -> Option<String> {
        (self.subjects.len() > Self::MOST_COMPARED).then(|| {
            let first = Self::MOST_COMPARED;
            format!("Expected and found values are shown for the first {first} names.")
        })
    }

    /// Whose lines they are, where they are folded.
    pub(crate) fn lines_of(&self) -> String {
        match (self.subjects.len(), self.without_lines) {
            (1, _) => "The lines to copy".to_owned(),
            (all, 0) => format!("The lines for all {}", count(all, "name", "names")),
            (all, without) => format!(
                "The lines for {} of {}",
                count(all - without, "", "").trim(),
                count(all, "name", "names")
            ),
        }
    }

    pub(crate) fn tone(&self) -> Tone {
        match self.severity {
            Severity::Blocking => Tone::Bad,
            Severity::Warning => Tone::Action,
            Severity::Ok => Tone::Good,
            Severity::Unknown | Severity::Skipped => Tone::Neutral,
        }
    }
}

impl Quiet {
    const fn called(&self) -> &'static str {
        called(self.severity)
    }
}

impl Findings {
    /// The most that all lines to copy on one page may take, in bytes: enough for the records of
    /// 1,000 domains.
    const MOST_LINES: usize = 384 * 1024;

    /// `findings` in the words of `teller`.
    #[must_use]
    pub fn tell<'f>(teller: &Teller<'_>, findings: impl IntoIterator<Item = &'f Finding>) -> Self {
        let mut findings: Vec<_> = findings.into_iter().collect();
        findings.sort_by(|a, b| {
            let order = |f: &Finding| (std::cmp::Reverse(f.severity), f.code);
            order(a)
                .cmp(&order(b))
                .then_with(|| a.subject.cmp(&b.subject))
        });
        let mut told = Self::default();
        let mut room = Self::MOST_LINES;
        for finding in findings {
            let words = teller.tell(finding);
            let name = finding.subject.to_string();
            if matches!(finding.severity, Severity::Ok | Severity::Skipped) {
                let text = [words.title, &words.text].join(". ");
                told.quiet.push(Quiet {
                    code: finding.code.as_str(),
                    severity: finding.severity,
                    name,
                    text: text.trim_end_matches([' ', '.']).to_owned(),
                });
                continue;
            }
            let (code, severity) = (finding.code.as_str(), finding.severity);
            let same = |group: &Group| {
                (group.code, group.severity, &group.text) == (code, severity, &words.text)
            };
            let place = (told.groups.iter().position(same)).unwrap_or(told.groups.len());
            if place == told.groups.len() {
                told.groups.push(Group {
                    code,
                    severity,
                    title: words.title,
                    text: words.text,
                    who: words.who,
                    subjects: Vec::new(),
                    lines: Vec::new(),
                    records: Vec::new(),
                    without_lines: 0,
                });
            }
            let subject = Subject {
                name,
                expected: words.expected,
                found: words.found,
            };
            told.groups[place].adds(subject, words.lines, &mut room);
            told.groups[place].records.extend(words.record);
        }
        told
    }

    /// What a check found, and what it did not get to.
    #[must_use]
    pub fn report(teller: &Teller<'_>, report: &Report) -> Self {
        let mut told = Self::tell(teller, &report.findings);
        if report.unfinished > 0 {
            let names = count(report.unfinished, "name was", "names were");
            told.note = format!("{names} not done in time. Check again.");
        }
        told
    }

    /// How many findings there are of each severity, as a sentence; empty if there are none.
    fn summary(&self) -> String {
        if self.groups.is_empty() {
            let fine = self.quiet.iter().filter(|it| it.severity == Severity::Ok);
            let all = self.quiet.iter().all(|it| it.severity == Severity::Ok);
            return match fine.count() {
                checks if checks > 0 && all && self.note.is_empty() => {
                    format!("All {} passed.", count(checks, "check", "checks"))
                }
                _ => String::new(),
            };
        }
        let of = |severity| {
            let groups = self.groups.iter().filter(|it| it.severity == severity);
            groups.map(|it| it.subjects.len()).sum::<usize>()
        };
        let told = [
            (of(Severity::Blocking), "problem to fix", "problems to fix"),
            (
                of(Severity::Unknown),
                "check not possible",
                "checks not possible",
            ),
            (of(Severity::Warning), "warning", "warnings"),
        ];
        let told = told.into_iter().filter(|(number, ..)| *number > 0);
        let told: Vec<_> = told
            .map(|(number, one, many)| count(number, one, many))
            .collect();
        format!("{}.", told.join(", "))
    }

    /// Whether something has to be fixed.
    pub(crate) fn has_problems(&self) -> bool {
        self.groups
            .iter()
            .any(|it| it.severity == Severity::Blocking)
    }

    /// What the list of findings that need no action is called.
    fn quiet_title(&self) -> String {
        let fine = self.quiet.iter().filter(|it| it.severity == Severity::Ok);
        let passed = fine.count();
        if !self.summary().is_empty() && self.groups.is_empty() {
            return "What was checked".to_owned();
        }
        let skipped = self.quiet.len() - passed;
        let passed = (passed > 0).then(|| count(passed, "check passed", "checks passed"));
        let skipped =
            (skipped > 0).then(|| count(skipped, "check not done yet", "checks not done yet"));
        passed
            .into_iter()
            .chain(skipped)
            .collect::<Vec<_>>()
            .join(", ")
    }

    /// Whether there is nothing to show.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.groups.is_empty() && self.quiet.is_empty() && self.note.is_empty()
    }
}

/// The findings for routes that are not requested yet, as advice, in three seconds at most. `None`:
/// checks are off.
pub(crate) async fn preflight(
    site: &Site,
    network: Network,
    routes: &[EdgeRoutes],
) -> Option<Findings> {
    let checker = site.checks.checker()?;
    if site.throttle.checks.take(network).is_err() {
        return Some(Findings {
            note: "Not checked now: too many checks came from your network. You can still send the request.".into(),
            ..Findings::default()
        });
    }
    let report = checker.check(routes, PATIENCE).await;
    let teller = Teller::new(&site.provider, site.checks.mode(), routes);
    Some(Findings::report(&teller, &report))
}

#[cfg(test)]
mod tests;
