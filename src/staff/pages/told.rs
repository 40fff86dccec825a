//! What the desk's page tells of a request: facts, times, timeline.

use chrono::{DateTime, Utc};

use super::{view::Happened, words};
use crate::{
    names::{EdgeRoutes, SipDomain},
    request::{
        Actor, Deployment, Kind, Standing, State as Stored, live,
        pages::how_often,
        store::{Event, Request},
        wording,
    },
    staff::{Name, case::store::Insight},
    web::{parts::When, site::Site, when::when},
};

/// The first SIP domain and how many more there are.
pub(super) fn first_domain(routes: &[EdgeRoutes]) -> Option<String> {
    let mut domains = routes.iter().flat_map(|edge| &edge.domains);
    let first = domains.next()?;
    let more = i64::try_from(domains.count()).unwrap_or(i64::MAX);
    Some(and_more(first, more))
}

/// A SIP domain and how many more there are.
pub(super) fn and_more(first: &SipDomain, more: i64) -> String {
    match more {
        0 => first.to_string(),
        more => format!("{first} +{more}"),
    }
}

/// The facts about a request, each with its name.
pub(super) fn told(site: &Site, request: &Request) -> Vec<(&'static str, String)> {
    let mut told = vec![
        ("Kind", wording::kind(request.kind).to_owned()),
        ("Programme", request.programme.label().to_owned()),
    ];
    if let Some(deployment) = request.deployment {
        let homed = match deployment {
            Deployment::OnPremises => "All users on-premises",
            Deployment::Split => "Users both on-premises and online",
        };
        told.push(("Users", homed.to_owned()));
    }
    let standing = Standing::of(&request.facts(), &site.clocks, request.now);
    if let Some(on) = live::live_on(standing, request.gateways) {
        let live = format!("Live on {} of {}", on.live, on.of);
        told.push(("Gateways", live));
    }
    if let Stored::Rejected { reason, .. } = request.state {
        told.push(("Why", words::reason(reason).to_owned()));
    }
    told
}

/// The times of a request, each with its name.
pub(super) fn times(
    site: &Site,
    request: &Request,
    insight: &Insight,
) -> Vec<(&'static str, When)> {
    let (clocks, submitted) = (&site.clocks, request.submitted_at);
    let mut times = vec![("Submitted", submitted)];
    match request.state {
        Stored::Pending(_) => {
            let facts = request.facts();
            times.push(match facts.promised_by(clocks) {
                None => ("Waits for the administrator since", facts.turn_at),
                Some(by) => ("Promised", by),
            });
            times.push(("Expires", clocks.expires_at(submitted)));
        }
        Stored::Provisioned { at } | Stored::Rejected { at, .. } | Stored::Withdrawn { at } => {
            let standing = Standing::of(&request.facts(), clocks, request.now);
            times.push((wording::ended(standing, request.kind), at));
        }
    }
    let more = [
        ("Checks last ran", request.checked_at),
        ("Checks run next", request.due_at),
        ("Being checked, until", insight.leased_until),
    ];
    times.extend(more.into_iter().filter_map(|(name, at)| Some((name, at?))));
    let said = times
        .into_iter()
        .map(|(name, at)| (name, when(at, request.now)));
    said.collect()
}

/// A line of the timeline.
pub(super) fn happened(
    event: &Event,
    kind: Kind,
    name: Option<&Name>,
    now: DateTime<Utc>,
) -> Happened {
    let by = match (event.actor, name) {
        (Actor::Administrator, _) => "By the administrator".to_owned(),
        (Actor::Staff, Some(name)) => format!("By {name}, support"),
        (Actor::Staff, None) => "By support".to_owned(),
        (Actor::Portal, _) => "By the portal".to_owned(),
    };
    let about = event
        .subject
        .as_ref()
        .map_or(String::new(), |domain| format!(": {domain}"));
    Happened {
        when: when(event.latest(), now),
        title: event.code.entry(kind).staff_title,
        text: match how_often(event) {
            once if once.is_empty() => format!("{by}{about}"),
            often => format!("{by}{about}.{often}"),
        },
    }
}
