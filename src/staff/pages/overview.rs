//! The overview page: how the portal is doing.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};

use super::{
    desk,
    session::Reader,
    view::{Desk, Tab},
};
use crate::{
    db::PgPool,
    error::Error,
    gateway::{self, store::Gateway},
    retention::{self, Run, wording},
    staff::overview::{
        DAYS, Instance, MOST_FOUND, MOST_TIMED, Overview,
        store::{
            self,
            gauges::{Gauges, MOST, gauges},
        },
    },
    web::{
        page,
        parts::{Tone, When, count},
        shell::{Section, Shell},
        site::Site,
        when::{between, span, when},
    },
};

/// The most time that counting may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How high the highest bar is, in pixels.
const HIGHEST: i64 = 120;

/// `GET /staff`.
#[derive(Debug, Template)]
#[template(path = "staff/overview.html")]
struct OverviewPage<'a> {
    shell: Shell<'a>,
    desk: Desk,
    facts: Vec<Fact>,
    chart: Chart,
    findings: Vec<Found>,
    instances: Vec<Process>,
    /// What is wrong with the processes, or empty.
    alarm: &'static str,
    sweep: Option<Sweep>,
}

/// A number with its name, and a link, or empty.
#[derive(Debug)]
struct Fact {
    name: &'static str,
    value: String,
    more: String,
    href: &'static str,
    tone: Tone,
}

/// A bar chart of requests provisioned each day.
#[derive(Debug)]
struct Chart {
    /// The chart as one sentence.
    summary: String,
    bars: Vec<Bar>,
}

#[derive(Debug)]
struct Bar {
    height: i64,
    /// Day of the month.
    label: String,
    /// The date as `2026-11-23`.
    iso: String,
    /// The day as `23 November`.
    day: String,
    value: i64,
    /// The number above the bar, in short.
    short: String,
}

/// A finding, and how many requests have it.
#[derive(Debug)]
struct Found {
    code: &'static str,
    title: &'static str,
    value: String,
    /// Length of its bar, of 100.
    length: i64,
}

#[derive(Debug)]
struct Process {
    version: String,
    started: When,
    seen: When,
    worked: When,
    tag: &'static str,
    tone: Tone,
}

#[derive(Debug)]
struct Sweep {
    began: When,
    outcome: String,
    removed: String,
    tone: Tone,
}

/// `GET /staff`: how the portal is doing.
pub(crate) async fn overview(
    State(site): State<Arc<Site>>,
    State(pool): State<PgPool>,
    Reader(signed_in): Reader,
) -> Result<Response, Error> {
    let (pool, clocks) = (&pool, &site.clocks);
    let counted = gauges(pool, clocks.promise, PATIENCE).await?;
    let seen = store::overview(pool).await?;
    let run = retention::store::last_runs(pool, 1)
        .await?
        .into_iter()
        .next();
    let mut facts = facts(&counted, &seen, clocks.promise);
    facts.extend(of_gateways(&gateway::store::list(pool).await?));
    let view = OverviewPage {
        shell: site.shell(Section::Staff),
        desk: desk(&signed_in, Tab::Overview),
        facts,
        chart: Chart::of(&seen),
        findings: findings(&seen),
        alarm: alarm(&seen),
        instances: seen.instances.iter().map(|it| process(it, &seen)).collect(),
        sweep: run.map(|run| sweep(&run, &seen)),
    };
    page(StatusCode::OK, &view)
}

/// `number`, or "more than `most`" if counting stopped there.
fn so_far(number: i64, most: i64) -> String {
    let grouped = |n| {
        count(usize::try_from(n).unwrap_or_default(), "", "")
            .trim_end()
            .to_owned()
    };
    if number >= most {
        format!("more than {}", grouped(most - 1))
    } else {
        grouped(number)
    }
}

fn facts(counted: &Gauges, seen: &Overview, promise: Duration) -> Vec<Fact> {
    let age = Duration::try_from_secs_f64(counted.oldest).unwrap_or_default();
    let of_late = format!("in {DAYS} days");
    let action_if = |yes| if yes { Tone::Action } else { Tone::Neutral };
    vec![
        Fact {
            name: "In progress",
            value: so_far(counted.pending, MOST),
            more: match counted.pending {
                0 => "nothing waits".into(),
                _ => format!("the oldest for {}", span(age)),
            },
            href: "/staff/requests?state=pending",
            tone: Tone::Neutral,
        },
        Fact {
            name: "Overdue",
            value: so_far(counted.overdue, MOST),
            more: format!("past {}", span(promise)),
            href: "/staff/requests?overdue=on",
            tone: action_if(counted.overdue > 0),
        },
        Fact {
            name: "In force and at risk",
            value: so_far(counted.at_risk, MOST),
            more: if counted.at_risk == 1 {
                "service".into()
            } else {
                "services".into()
            },
            href: "/staff/requests?risk=on",
            tone: action_if(counted.at_risk > 0),
        },
        Fact {
            name: "Time to provisioned",
            value: seen.median.map_or_else(|| "none".into(), brief),
            more: match (seen.median, seen.timed) {
                (None, _) => format!("provisioned {of_late}"),
                (Some(_), MOST_TIMED..) => {
                    format!("median of the last {}", so_far(MOST_TIMED, i64::MAX))
                }
                (Some(_), timed) => format!("median of {} {of_late}", so_far(timed, i64::MAX)),
            },
            href: "",
            tone: Tone::Neutral,
        },
    ]
}

/// How many of the gateways have the newest routes; nothing while there is none.
fn of_gateways(gateways: &[Gateway]) -> Option<Fact> {
    let live = gateways.iter().filter(|it| !it.silent && it.behind() == 0);
    let (live, of) = (live.count(), gateways.len());
    (of > 0).then(|| Fact {
        name: "Gateways",
        value: format!("{live} of {of}"),
        more: "have the newest routes".into(),
        href: "/staff/gateways",
        tone: if live < of {
            Tone::Action
        } else {
            Tone::Neutral
        },
    })
}

/// A length of time, in milliseconds if below a second.
fn brief(length: Duration) -> String {
    if length < Duration::from_secs(1) {
        format!("{} ms", length.as_millis())
    } else {
        span(length)
    }
}

impl Chart {
    fn of(seen: &Overview) -> Self {
        let most = seen.days.iter().map(|(_, value)| *value).max().unwrap_or(0);
        let all: i64 = seen.days.iter().map(|(_, value)| value).sum();
        let bars = seen.days.iter().map(|&(day, value)| {
            // A number above zero gets a visible bar, however small it is.
            let height = match value * HIGHEST / most.max(1) {
                0 if value > 0 => 1,
                height => height,
            };
            Bar {
                height,
                label: day.format("%-d").to_string(),
                iso: day.to_string(),
                day: day.format("%-d %B").to_string(),
                value,
                short: short(value),
            }
        });
        Self {
            summary: format!(
                "{} provisioned in {DAYS} days; {} on the busiest.",
                so_far(all, i64::MAX),
                so_far(most, i64::MAX)
            ),
            bars: bars.collect(),
        }
    }
}

/// A number in four characters at most; empty for zero.
fn short(value: i64) -> String {
    match value {
        0 => String::new(),
        1..1_000 => value.to_string(),
        1_000..10_000 => format!("{}.{}k", value / 1_000, value % 1_000 / 100),
        10_000..1_000_000 => format!("{}k", value / 1_000),
        _ => format!("{}M", value / 1_000_000),
    }
}

fn findings(seen: &Overview) -> Vec<Found> {
    let most = seen.findings.first().map_or(1, |(_, most, _)| *most).max(1);
    let found = seen.findings.iter().map(|&(code, requests, cut)| Found {
        code: code.as_str(),
        title: code.title(),
        value: match so_far(requests, MOST_FOUND) {
            value if cut && requests < MOST_FOUND => format!("at least {value}"),
            value => value,
        },
        length: (requests * 100 / most).max(1),
    });
    found.collect()
}

/// The message about the processes as a whole.
fn alarm(seen: &Overview) -> &'static str {
    let mut there = seen.instances.iter().filter(|it| it.is_there(seen.now));
    match there.next() {
        None => "No instance has told of itself within three minutes: nothing is provisioned.",
        Some(_) => "",
    }
}

fn process(instance: &Instance, seen: &Overview) -> Process {
    let now = seen.now;
    let works = between(instance.worked_at, instance.seen_at) < Duration::from_mins(2);
    let (tag, tone) = match (instance.is_there(now), works) {
        (true, true) => ("At work", Tone::Good),
        (true, false) => ("Gets nothing done", Tone::Bad),
        (false, _) => ("Silent", Tone::Action),
    };
    Process {
        version: instance.version.clone(),
        started: when(instance.started_at, now),
        seen: when(instance.seen_at, now),
        worked: when(instance.worked_at, now),
        tag,
        tone,
    }
}

fn sweep(run: &Run, seen: &Overview) -> Sweep {
    Sweep {
        began: when(run.began_at, seen.now),
        outcome: wording::outcome(run),
        removed: wording::removed(run),
        tone: match run.outcome {
            None => Tone::Waiting,
            Some(retention::Outcome::Clean) => Tone::Good,
            Some(retention::Outcome::Remains | retention::Outcome::Failed) => Tone::Bad,
            Some(retention::Outcome::Unfinished | retention::Outcome::Abandoned) => Tone::Action,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_above_bars_are_short() {
        for (value, text) in [
            (0, ""),
            (7, "7"),
            (999, "999"),
            (1_000, "1.0k"),
            (9_999, "9.9k"),
            (10_000, "10k"),
            (999_999, "999k"),
            (2_500_000, "2M"),
        ] {
            assert_eq!(short(value), text);
        }
    }

    #[test]
    fn what_was_not_counted_to_the_end_says_so() {
        assert_eq!(so_far(10_000, 10_001), "10,000");
        assert_eq!(so_far(10_001, 10_001), "more than 10,000");
    }
}
