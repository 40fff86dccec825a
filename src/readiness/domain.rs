//! Judges the SRV records of a SIP domain: whether they lead calls to its Access Edge.
//!
//! Partners use the records of the lowest priority number, so only these count, and each of them
//! does: partners choose among them. Where servers disagree the worst answer counts: some partners
//! get it (`docs/field.md#dns-certificate-transport`).

mod target;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub(super) use self::target::is_online;
use self::target::{Target, note};
use super::{
    Code, Evidence, Finding, Severity,
    dns::{SRV_PREFIX, ServerAnswer, SrvAnswer, SrvFacts, SrvRecord, Trouble},
};
use crate::names::{AccessEdge, SipDomain, is_online_service};

/// The port of federation.
const PORT: u16 = 5061;

/// What one record means, in order of severity.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Meaning {
    Right,
    WrongPort,
    WrongTarget,
    Consumer,
    Online,
    /// There is no record.
    Nothing,
}

impl Meaning {
    fn of(record: &SrvRecord, domain: &SipDomain, edge: &AccessEdge) -> Self {
        match Target::of(record, domain, edge) {
            Target::Edge if record.port == PORT => Self::Right,
            Target::Edge => Self::WrongPort,
            Target::Online => Self::Online,
            Target::Consumer => Self::Consumer,
            Target::Other => Self::WrongTarget,
        }
    }
}

/// What one server's answer means, in order of severity.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Verdict {
    /// Whether federation cannot work: no record is right, or one leads to another service.
    blocks: bool,
    /// What the worst of the records in use means.
    worst: Meaning,
}

impl Verdict {
    fn of(answer: &SrvAnswer, domain: &SipDomain, edge: &AccessEdge) -> Self {
        // A route stored before such names were refused: whatever the records say, it leads there.
        if is_online_service(edge.as_str()) {
            return Self {
                blocks: true,
                worst: Meaning::Online,
            };
        }
        let meanings = used(answer).map(|record| Meaning::of(record, domain, edge));
        let worst = meanings.clone().max().unwrap_or(Meaning::Nothing);
        let has_right = meanings.clone().any(|meaning| meaning == Meaning::Right);
        Self {
            blocks: !has_right || worst >= Meaning::Consumer,
            worst,
        }
    }
}

/// The records that partners use: those of the lowest priority number.
fn used(answer: &SrvAnswer) -> impl Iterator<Item = &SrvRecord> + Clone {
    let lowest = answer.records.iter().map(|record| record.priority).min();
    let all = answer.records.iter();
    all.filter(move |record| Some(record.priority) == lowest)
}

/// The findings about one domain that is to be routed to `edge`. Always at least one.
#[must_use]
pub fn judge(domain: &SipDomain, edge: &AccessEdge, facts: &SrvFacts) -> Vec<Finding> {
    let subject = domain.as_fqdn();
    let owner = format!("{SRV_PREFIX}.{domain}");
    let expected = if is_online_service(edge.as_str()) {
        "an Access Edge of your own: the one in the request is a server of the online service"
            .into()
    } else {
        format!("{owner}. SRV 0 0 {PORT} {edge}.")
    };

    let verdict_of = |said: &ServerAnswer| Verdict::of(&said.answer, domain, edge);
    // The first of the worst answers.
    let worst = facts
        .answers
        .iter()
        .rev()
        .max_by_key(|said| verdict_of(said));
    let Some(worst) = worst else {
        let trouble = facts.trouble.unwrap_or(Trouble::Silent).to_string();
        return vec![
            Finding::new(
                Code::ResolverUnreachable,
                subject,
                &format!("an answer for {owner}"),
                [trouble],
            ),
            Finding::skipped(Code::Srv, subject, Code::ResolverUnreachable),
        ];
    };
    let Verdict {
        blocks,
        worst: meaning,
    } = verdict_of(worst);
    let answer = &worst.answer;
    let misspelt = || {
        let all = facts.variants.iter();
        let lines = all.flat_map(|variant| {
            let owner = format!("{} ({})", variant.owner, variant.slip);
            let each = variant.records.iter();
            each.map(move |record| format!("{owner}: {}", shown(record)))
        });
        lines.collect::<Vec<_>>()
    };

    let found = || records(answer, domain, edge);
    let (code, found) = match meaning {
        Meaning::Right => (Code::Srv, found()),
        Meaning::WrongPort => (Code::SrvPort, found()),
        Meaning::WrongTarget => (Code::SrvTarget, found()),
        Meaning::Consumer => (Code::RoutedToConsumer, found()),
        Meaning::Online if answer.records.is_empty() => (Code::HomedOnline, nothing(worst)),
        Meaning::Online => (Code::HomedOnline, found()),
        Meaning::Nothing => match misspelt() {
            none if none.is_empty() => (Code::SrvMissing, nothing(worst)),
            lines => (Code::SrvMisspelt, lines),
        },
    };
    let mut findings = vec![Finding::new(code, subject, &expected, found)];
    if !blocks && code != Code::Srv {
        findings[0].severity = Severity::Warning;
        let right = used(answer).filter(|it| Meaning::of(it, domain, edge) == Meaning::Right);
        let right = Finding::new(Code::Srv, subject, &expected, right.map(shown));
        findings.insert(0, right);
    }
    if !blocks && !edge.is_discoverable_for(domain) {
        let rule = format!("a server's name right in front of {domain}, like sip.{domain}");
        findings.push(Finding::new(
            Code::SrvSuffix,
            subject,
            &rule,
            [edge.as_str()],
        ));
    }
    if disagree(&facts.answers) {
        findings.push(Finding::new(
            Code::DnsDisagrees,
            subject,
            "the same records on every authoritative server",
            facts.answers.iter().map(told),
        ));
    }
    findings
}

/// The Access Edge that the records of a domain name. What a slip made of a name is none.
///
/// # Errors
///
/// Where they name none that can be one: the findings about it.
pub fn find_edge(domain: &SipDomain, facts: &SrvFacts) -> Result<AccessEdge, Vec<Finding>> {
    // The usual name stands in for the one that nobody has told.
    let usual = AccessEdge::parse(&format!("sip.{domain}"));
    let is_slip = |record: &SrvRecord| {
        let of = |edge: &AccessEdge| note(record, domain, edge).is_some();
        usual.as_ref().is_ok_and(of)
    };
    let targets = facts.answers.iter().flat_map(|said| used(&said.answer));
    let mut named = targets.filter(|record| !is_slip(record));
    let edge = named.find_map(|record| AccessEdge::parse(&record.target).ok());
    edge.ok_or_else(|| {
        let subject = domain.as_fqdn();
        let expected =
            format!("{SRV_PREFIX}.{domain}. SRV 0 0 {PORT} and the full name of your Access Edge");
        let mut findings = usual.map_or_else(
            |_| vec![Finding::new(Code::SrvMissing, subject, "", [""])],
            |edge| judge(domain, &edge, facts),
        );
        for finding in &mut findings {
            if !matches!(finding.code, Code::ResolverUnreachable | Code::DnsDisagrees) {
                finding.expected = Evidence::new(&expected);
            }
        }
        findings
    })
}

/// Whether servers have different records, in any order.
fn disagree(answers: &[ServerAnswer]) -> bool {
    let set = |said: &ServerAnswer| {
        let mut records = said.answer.records.clone();
        records.sort();
        records.dedup();
        records
    };
    answers
        .split_first()
        .is_some_and(|(first, rest)| rest.iter().any(|other| set(other) != set(first)))
}

fn shown(record: &SrvRecord) -> String {
    let SrvRecord {
        priority,
        weight,
        port,
        target,
    } = record;
    let meaning = if target == "." {
        " (there is no such service)"
    } else {
        ""
    };
    format!("priority {priority}, weight {weight}, port {port}, target {target}{meaning}")
}

/// All records, after the CNAMEs that led to them, with what is wrong with those in use.
fn records(answer: &SrvAnswer, domain: &SipDomain, edge: &AccessEdge) -> Vec<String> {
    let meaning = |record: &SrvRecord| Meaning::of(record, domain, edge);
    let has_right = used(answer).any(|record| meaning(record) == Meaning::Right);
    let line = |record: &SrvRecord| {
        let is_used = used(answer).any(|used| used == record);
        let wrong = is_used && meaning(record) != Meaning::Right;
        let slip = wrong.then(|| note(record, domain, edge)).flatten();
        let beside = (wrong && has_right).then(|| "beside the right one".to_owned());
        let notes: Vec<_> = slip.into_iter().chain(beside).collect();
        if notes.is_empty() {
            shown(record)
        } else {
            format!("{} ({})", shown(record), notes.join("; "))
        }
    };
    let lines = answer.records.iter().map(line);
    alias(answer).into_iter().chain(lines).collect()
}

/// What the server has instead of records.
fn nothing(said: &ServerAnswer) -> Vec<String> {
    let answer = &said.answer;
    let mut lines: Vec<_> = alias(answer).into_iter().collect();
    if !answer.circular {
        let end = if lines.is_empty() {
            "this name"
        } else {
            "the end of the CNAME"
        };
        lines.push(if answer.exists {
            format!("no SRV record at {end}")
        } else {
            format!("{end} does not exist (NXDOMAIN)")
        });
    }
    // The zone's own servers were queried, past all caches.
    if let (None, Some(time)) = (&said.server, answer.remembered) {
        lines.push(remembered(time));
    }
    lines
}

/// How long the negative answer may still be cached.
pub(super) fn remembered(time: Duration) -> String {
    let time = in_words(time);
    format!("resolvers may remember this answer for up to {time}")
}

/// The CNAMEs on the way.
fn alias(answer: &SrvAnswer) -> Option<String> {
    if answer.circular {
        return Some("the CNAME leads in a circle".to_owned());
    }
    let (last, between) = answer.aliases.split_last()?;
    let mut by = between.join(", then ");
    if !by.is_empty() {
        by.push_str(", then ");
    }
    Some(format!("CNAME to {by}{last}"))
}

/// The answer of one server, as a line.
fn told(said: &ServerAnswer) -> String {
    let name = said.server.as_deref().unwrap_or("resolver");
    let records: Vec<_> = said.answer.records.iter().map(shown).collect();
    if records.is_empty() {
        format!("{name}: no SRV record")
    } else {
        format!("{name}: {}", records.join("; "))
    }
}

/// A time in the largest unit of which there are fewer than two, rounded up: 90 minutes, 2 hours.
fn in_words(time: Duration) -> String {
    let seconds = time.as_secs();
    let (unit, name) = [(86_400, "day"), (3_600, "hour"), (60, "minute")]
        .into_iter()
        .find(|(unit, _)| seconds >= 2 * unit || seconds == *unit)
        .unwrap_or((1, "second"));
    let count = seconds.div_ceil(unit);
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {name}{plural}")
}
