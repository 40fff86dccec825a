//! The retention rule in words, for people and for programs.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use super::{Cause, Fault, KEPT, Kind, Outcome, RULE, Run, Until};
use crate::web::{parts::count, when::span};

/// The settings that durations depend on.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// How often the sweep runs (`PIC_SWEEP`).
    pub sweep: Duration,
    /// How long a request may be pending (`PIC_EXPIRY`).
    pub expiry: Duration,
}

/// How long something is kept.
#[must_use]
pub fn how_long(until: Until, terms: Terms) -> String {
    let next = format!("the next sweep, within {}", span(terms.sweep));
    match until {
        Until::Never => "never".into(),
        Until::NextSweep(Kind::Numbers) => format!("until {next}; then 0 stands in its place"),
        Until::NextSweep(_) => format!("until {next}; then gone from disk too"),
        Until::While(words) => words.into(),
        Until::Limit => format!("until it ends: {} at most", span(terms.expiry)),
        Until::For(Kind::Requests, duration) => format!("{} after it ended", span(duration)),
        Until::For(_, duration) => span(duration),
        Until::Unused(_, idle, end) => format!(
            "{} without use, {} at most, and until {next}",
            span(idle),
            span(end)
        ),
        Until::Memory(duration) => format!("in memory alone, {}", span(duration)),
    }
}

/// What was removed, in words.
#[must_use]
pub fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Contacts => "contact rows of an older system",
        Kind::Numbers => "words in place of agreement numbers",
        Kind::Sessions => "ended sessions",
        Kind::StaffSessions => "ended sessions of the support desk",
        Kind::StaffAudit => "old records of the support desk",
        Kind::Requests => "withdrawn and rejected requests",
        Kind::Services => "services without any request",
        Kind::Runs => "old records of sweeps",
        Kind::Publications => "old publications to gateways",
    }
}

/// What a sweep removed, in words.
#[must_use]
pub fn removed(run: &Run) -> String {
    let parts: Vec<String> = run
        .removed
        .iter()
        .map(|(kind, rows)| format!("{rows} {}", name(*kind)))
        .collect();
    if parts.is_empty() {
        "nothing".into()
    } else {
        parts.join(", ")
    }
}

/// How a sweep ended, in words.
#[must_use]
pub fn outcome(run: &Run) -> String {
    let values = |remaining| {
        count(
            usize::try_from(remaining).unwrap_or(usize::MAX),
            "value remains",
            "values remain",
        )
    };
    match (run.outcome, run.fault) {
        (None, _) => "under way".into(),
        (Some(Outcome::Clean), _) => "clean: nothing remains".into(),
        (Some(Outcome::Remains), _) => format!(
            "{} that look like contact information; the operator is told where",
            values(run.remaining.unwrap_or_default())
        ),
        (Some(Outcome::Unfinished), _) => "not finished: the next one goes on".into(),
        (Some(Outcome::Failed), Some(Fault::Locked)) => {
            "not done: something, such as a backup, was reading; tried again soon".into()
        }
        (Some(Outcome::Failed), _) => {
            "not done: the database did not answer; tried again soon".into()
        }
        (Some(Outcome::Abandoned), _) => "cut short: the portal ended; the next one goes on".into(),
    }
}

/// Why a sweep ran, in words.
#[must_use]
pub fn cause(cause: Cause) -> &'static str {
    match cause {
        Cause::Start => "at the start of the portal",
        Cause::Schedule => "on time",
        Cause::Retry => "again, after one that failed",
        Cause::Hand => "by hand",
    }
}

/// The rule, what is kept, and the last sweeps, for programs. `details`: for the operator, names of
/// columns too.
#[must_use]
pub fn report(terms: Terms, runs: &[Run], details: bool) -> Value {
    json!({
        "rule": RULE,
        "sweep_every_seconds": terms.sweep.as_secs(),
        "kept": KEPT
            .iter()
            .map(|kept| {
                let seconds = match kept.until {
                    Until::For(_, duration) | Until::Memory(duration) => Some(duration.as_secs()),
                    Until::NextSweep(_) => Some(terms.sweep.as_secs()),
                    Until::Limit => Some(terms.expiry.as_secs()),
                    Until::Never => Some(0),
                    Until::While(_) | Until::Unused(..) => None,
                };
                json!({ "what": kept.what, "how_long": how_long(kept.until, terms), "seconds": seconds })
            })
            .collect::<Value>(),
        "runs": runs.iter().map(|run| run_report(run, details)).collect::<Value>(),
    })
}

fn rfc3339(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn run_report(run: &Run, details: bool) -> Value {
    let removed: serde_json::Map<_, _> = Kind::ALL
        .iter()
        .map(|kind| (kind.as_str().to_owned(), run.removed(*kind).into()))
        .collect();
    let mut report = json!({
        "cause": run.cause.as_str(),
        "began_at": rfc3339(run.began_at),
        "ended_at": run.ended_at.map(rfc3339),
        "outcome": run.outcome.map(Outcome::as_str),
        "fault": run.fault.map(Fault::as_str),
        "removed": removed,
        "remaining": run.remaining,
        "looked": {
            "columns_proven": run.looked.proven,
            "columns": run.looked.columns,
            "rows": run.looked.rows,
        },
    });
    if details {
        report["suspects"] = json!(run.looked.suspects);
    }
    report
}
