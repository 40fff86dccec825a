//! Judges the SRV records of a SIP domain: whether they lead calls to its Access Edge.
//!
//! Partners use the records of the lowest priority number, so only these count. Where servers
//! disagree the worst answer counts: some partners get it
//! (`docs/field.md#dns-certificate-transport`).

#[cfg(test)]
mod tests;

use std::time::Duration;

use super::{
    Code, Finding,
    dns::{SRV_PREFIX, ServerAnswer, SrvAnswer, SrvFacts, SrvRecord, Trouble},
};
use crate::names::{AccessEdge, SipDomain, is_online_service};

/// The port of federation.
const PORT: u16 = 5061;

/// Target of domains that are routed to consumer accounts.
const CONSUMER: &str = "federation.messenger.msn.com";

/// Whether a domain whose record has this target is homed online.
fn is_online(target: &str) -> bool {
    is_online_service(target) && target != CONSUMER
}

/// What one server's answer means, in order of severity.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Right,
    WrongPort,
    WrongTarget,
    Consumer,
    Online,
    NoRecord,
}

impl Verdict {
    fn of(answer: &SrvAnswer, edge: Option<&AccessEdge>) -> Self {
        // A route stored before such names were refused: whatever the records say, it leads there.
        if edge.is_some_and(|edge| is_online_service(edge.as_str())) {
            return Self::Online;
        }
        let Some(lowest) = answer.records.iter().map(|record| record.priority).min() else {
            return Self::NoRecord;
        };
        let used = |record: &&SrvRecord| record.priority == lowest;
        let any =
            |holds: &dyn Fn(&SrvRecord) -> bool| answer.records.iter().filter(used).any(holds);
        let is_edge = |record: &SrvRecord| edge.is_some_and(|edge| record.target == edge.as_str());
        if any(&|record| is_edge(record) && record.port == PORT) {
            Self::Right
        } else if any(&is_edge) {
            Self::WrongPort
        } else if any(&|record| is_online(&record.target)) {
            Self::Online
        } else if any(&|record| record.target == CONSUMER) {
            Self::Consumer
        } else {
            Self::WrongTarget
        }
    }
}

/// The findings about one domain that is to be routed to `edge`. Always at least one.
#[must_use]
pub fn judge(domain: &SipDomain, edge: &AccessEdge, facts: &SrvFacts) -> Vec<Finding> {
    judged(domain, Some(edge), facts)
}

/// The Access Edge that the records of a domain name, or, where they name none that can be one, the
/// findings about it.
///
/// # Errors
///
/// The findings.
pub fn find_edge(domain: &SipDomain, facts: &SrvFacts) -> Result<AccessEdge, Vec<Finding>> {
    let records = facts.answers.iter().map(|said| &said.answer.records);
    let records = records.max_by_key(|records| records.len());
    let records = records.map_or(&[][..], Vec::as_slice);
    let lowest = records.iter().map(|record| record.priority).min();
    records
        .iter()
        .filter(|record| Some(record.priority) == lowest)
        .find_map(|record| AccessEdge::parse(&record.target).ok())
        .ok_or_else(|| judged(domain, None, facts))
}

fn judged(domain: &SipDomain, edge: Option<&AccessEdge>, facts: &SrvFacts) -> Vec<Finding> {
    let subject = domain.as_fqdn();
    let owner = format!("{SRV_PREFIX}.{domain}");
    let expected = match edge {
        None => format!("{owner}. SRV 0 0 {PORT} and the full name of your Access Edge"),
        Some(edge) if is_online_service(edge.as_str()) => {
            "an Access Edge of your own: the one in the request is a server of the online service"
                .into()
        }
        Some(edge) => format!("{owner}. SRV 0 0 {PORT} {edge}."),
    };

    let verdict_of = |said: &ServerAnswer| Verdict::of(&said.answer, edge);
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
    let answer = &worst.answer;
    let misspelt = || {
        let of = |name: &str, record| format!("{name}: {}", shown(record));
        let all = facts.variants.iter();
        let lines = all.flat_map(|v| v.records.iter().map(move |record| of(&v.owner, record)));
        lines.collect::<Vec<_>>()
    };

    let (code, found) = match verdict_of(worst) {
        Verdict::Right => (Code::Srv, records(answer)),
        Verdict::WrongPort => (Code::SrvPort, records(answer)),
        Verdict::WrongTarget => (Code::SrvTarget, records(answer)),
        Verdict::Consumer => (Code::RoutedToConsumer, records(answer)),
        Verdict::Online if answer.records.is_empty() => (Code::HomedOnline, nothing(worst)),
        Verdict::Online => (Code::HomedOnline, records(answer)),
        Verdict::NoRecord => match misspelt() {
            none if none.is_empty() => (Code::SrvMissing, nothing(worst)),
            lines => (Code::SrvMisspelt, lines),
        },
    };
    let mut findings = vec![Finding::new(code, subject, &expected, found)];
    if let (Code::Srv, Some(edge)) = (code, edge)
        && !edge.is_discoverable_for(domain)
    {
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

/// All records, after the CNAMEs that led to them.
fn records(answer: &SrvAnswer) -> Vec<String> {
    alias(answer)
        .into_iter()
        .chain(answer.records.iter().map(shown))
        .collect()
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
