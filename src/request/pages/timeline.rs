//! The timeline of a request in words.

use chrono::{DateTime, Utc};

use super::view::Event;
use crate::{
    request::{Actor, Kind, store},
    web::{parts::count, when::when},
};

/// How many events came before `events`, which are all that is shown, as a sentence; or empty.
pub(crate) fn earlier_events(events: &[store::Event]) -> String {
    match usize::try_from(store::earlier(events)).unwrap_or(usize::MAX) {
        0 => String::new(),
        more => format!(
            "{} not shown.",
            count(more, "earlier event is", "earlier events are")
        ),
    }
}

/// How often an event happened, as a sentence after a space; empty if once.
pub(crate) fn how_often(event: &store::Event) -> String {
    let at = |at: DateTime<Utc>| at.format("%-d %B %Y at %H:%M UTC");
    event.last_at.map_or_else(String::new, |last_at| {
        format!(
            " It happened {} times, first on {}, last on {}.",
            event.times,
            at(event.at),
            at(last_at)
        )
    })
}

/// An entry of the timeline.
pub(crate) fn timeline_entry(
    event: &store::Event,
    kind: Kind,
    provider: &str,
    now: DateTime<Utc>,
) -> Event {
    let by = match event.actor {
        Actor::Administrator => "By you",
        Actor::Staff => "By support",
        Actor::Portal => "By the portal",
    };
    let domain = event.subject.as_ref().map_or("", |domain| domain.as_str());
    let entry = event.code.entry(kind);
    let text = entry.text(provider, domain);
    Event {
        when: when(event.latest(), now),
        title: entry.title.into(),
        text: format!("{by}. {text}{}", how_often(event)),
    }
}
