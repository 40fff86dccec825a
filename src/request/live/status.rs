//! The status of a request as JSON, for programs.
//!
//! `GET /requests/{reference}` with `Accept: application/json`. Programs rely on every name here:
//! fields are added, never renamed or removed. All fields are always present, `null` where there is
//! no value. Times are RFC 3339 in UTC, to the second, by the database's clock.

use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use serde::Serialize;

use super::{address, iso, live_on};
use crate::{
    error::Problem,
    names::EdgeRoutes,
    readiness::{
        Finding, Severity,
        catalogue::Area,
        dns::SRV_PREFIX,
        edge::connections,
        owner::{record_name, record_value},
        tls::PORT,
    },
    request::{
        Standing, State as Stored,
        pages::proof::Needed,
        store::{Event, Request, earlier},
    },
    web::site::Site,
};

/// The status of a request.
#[derive(Debug, Serialize)]
pub struct Status {
    /// The request's public name, as it is shown.
    pub reference: String,
    /// What was asked: `initiate`, `update` or `cancel`.
    pub kind: &'static str,
    /// The stored state: `pending`, `provisioned`, `rejected` or `withdrawn`. The last three are
    /// final.
    pub state: &'static str,
    /// The derived state: `checking` (the portal is at work), `needs-action` (the administrator
    /// must act), `in-force`, `superseded` (by a later request), `cancelled` (the service was),
    /// `rejected`, `withdrawn`.
    pub standing: &'static str,
    /// Whether it is pending although the promise has passed.
    pub overdue: bool,
    /// Whether its routes are in force, and a later check found something that keeps calls and
    /// messages from arriving.
    pub at_risk: bool,
    /// Why it was rejected: `expired`, `not-eligible`, `duplicate`, `wrong-information`, `policy`;
    /// `null` unless it was.
    pub reason: Option<&'static str>,
    /// When it was stored.
    pub submitted_at: String,
    /// When it ended; `null` while it is pending.
    pub ended_at: Option<String>,
    /// The time by which the provider promised to be done; `null` while the administrator must act.
    pub promised_by: Option<String>,
    /// When it is rejected as expired; `null` once it has ended.
    pub expires_at: Option<String>,
    /// When its checks last ran; `null`: not yet, checks are off, or it is no longer checked.
    pub checked_at: Option<String>,
    /// When it is checked next; `null` once it is no longer checked.
    pub due_at: Option<String>,
    /// On how many of the provider's gateways its routes are live; `null`: they are not in force, or
    /// there are no gateways.
    pub gateways: Option<OnGateways>,
    /// The wanted routes, by edge in the order given; none for a cancel.
    pub routes: Vec<Routed>,
    /// Of a cancel the routes that it ends, by edge; else none.
    pub cancels: Vec<Routed>,
    /// What the last checks found, by subject.
    pub findings: Vec<Found>,
    /// The TXT records by which the owners of its domains have to name its service.
    pub proof: Proof,
    /// What has happened, the oldest first; the last 100 entries.
    pub timeline: Vec<Entry>,
    /// How many events there were before those in `timeline`.
    pub earlier_events: u32,
    /// Absolute addresses of the same request.
    pub links: Links,
}

/// Gateways that have its routes.
#[derive(Debug, Serialize)]
pub struct OnGateways {
    /// Those that can be heard and have loaded them.
    pub live: i32,
    /// All gateways.
    pub of: i32,
    /// Since when all that can be heard have; `null`: not yet.
    pub since: Option<String>,
}

/// An Access Edge with its domains.
#[derive(Debug, Serialize)]
pub struct Routed {
    /// FQDN of the Access Edge.
    pub access_edge: String,
    /// The SIP domains that it serves, in alphabetical order, as A-labels.
    pub sip_domains: Vec<String>,
}

impl Routed {
    fn of(routes: &[EdgeRoutes]) -> Vec<Self> {
        let of = |of: &EdgeRoutes| Self {
            access_edge: of.edge.to_string(),
            sip_domains: of.domains.iter().map(ToString::to_string).collect(),
        };
        routes.iter().map(of).collect()
    }
}

/// One result of a readiness check.
#[derive(Debug, Serialize)]
pub struct Found {
    /// What was found, such as `srv-missing`: the last part of its help page's address,
    /// `/help/findings/{code}`.
    pub code: &'static str,
    /// What it means for the request: `ok`, `skipped`, `warning`, `unknown` or `blocking`.
    pub severity: &'static str,
    /// The SIP domain or Access Edge that was checked.
    pub subject: String,
    /// What should be there; empty where nothing in particular is expected.
    pub expected: String,
    /// What is there, a line each; for a skipped finding the code that it depends on.
    pub found: Vec<String>,
    /// What was asked to find it out; `null`: nothing, as for a skipped finding.
    pub asked: Option<Asked>,
}

/// What was asked in a readiness check.
#[derive(Debug, Serialize)]
pub struct Asked {
    /// The name that was looked up.
    pub host: String,
    /// The types of records that were looked up, separated by a space.
    pub records: &'static str,
    /// The port that was connected to; `null`: none.
    pub port: Option<u16>,
    /// The addresses that were connected to, where they may be named.
    pub addresses: Vec<Address>,
    /// When; `null`: the checks have not run.
    pub at: Option<String>,
}

/// An address that was connected to.
#[derive(Debug, Serialize)]
pub struct Address {
    /// The address.
    pub address: String,
    /// The version of TLS that was spoken there; `null`: none.
    pub tls: Option<String>,
}

impl Asked {
    fn of(finding: &Finding, request: &Request) -> Option<Self> {
        if finding.severity == Severity::Skipped || finding.found.is_empty() {
            return None;
        }
        let name = &finding.subject;
        let is_edge = |of: &EdgeRoutes| of.edge.as_fqdn() == name;
        let of_edge = request.routes.iter().any(is_edge);
        let (host, records) = match finding.code.entry().area {
            Area::Held | Area::Proof => (record_name(name), "TXT"),
            Area::Reach | Area::Certificate | Area::Sip => (name.to_string(), "A AAAA"),
            Area::Record if of_edge => (name.to_string(), "A AAAA"),
            Area::Record => (format!("{SRV_PREFIX}.{name}"), "SRV"),
        };
        let same = request.findings.iter().filter(|it| it.subject == *name);
        let addresses = of_edge.then(|| connections(same));
        Some(Self {
            host,
            records,
            port: of_edge.then_some(PORT),
            addresses: addresses
                .into_iter()
                .flatten()
                .map(|(address, tls)| Address {
                    address: address.to_string(),
                    tls: tls.map(ToOwned::to_owned),
                })
                .collect(),
            at: request.checked_at.map(iso),
        })
    }
}

impl Found {
    fn of(finding: &Finding, request: &Request) -> Self {
        Self {
            asked: Asked::of(finding, request),
            code: finding.code.as_str(),
            severity: finding.severity.as_str(),
            subject: finding.subject.to_string(),
            expected: finding.expected.to_string(),
            found: finding.found.iter().map(ToString::to_string).collect(),
        }
    }
}

/// The proof that the domains of a request belong to its service.
#[derive(Debug, Serialize)]
pub struct Proof {
    /// For which domains proof is required: `held` (those in force under another service) or
    /// `always` (all that are not in force under its own service).
    pub asked: &'static str,
    /// The records, by domain; none once the request has ended, or where checks are off.
    pub records: Vec<Record>,
}

/// A TXT record.
#[derive(Debug, Serialize)]
pub struct Record {
    /// The SIP domain that it proves.
    pub sip_domain: String,
    /// The record's name, without a dot at the end.
    pub name: String,
    /// The record's text.
    pub text: String,
    /// Whether the last checks found it, and no other service's; `null`: not yet looked up, or no
    /// name server answered.
    pub proven: Option<bool>,
}

impl Proof {
    fn of(site: &Site, request: &Request, needed: &[Needed]) -> Self {
        let records = needed.iter().map(|it| Record {
            sip_domain: it.domain.to_string(),
            name: record_name(it.domain.as_fqdn()),
            text: record_value(&request.token),
            proven: it.proven,
        });
        Self {
            asked: site.checks.proof().as_str(),
            records: records.collect(),
        }
    }
}

/// An entry of the timeline; the data of a `timeline` event of the stream too.
#[derive(Debug, Serialize)]
pub struct Entry {
    /// Its number in the timeline, from 1; the id of its event. An event that happens again within
    /// a day is counted in the existing entry, which then moves to the end.
    pub seq: u32,
    /// When it happened; the first time if it happened several times.
    pub at: String,
    /// How often it happened.
    pub times: u32,
    /// When it happened last; `null` where it happened once.
    pub last_at: Option<String>,
    /// Who caused it: `administrator`, `staff` or `portal`. Never a name.
    pub actor: &'static str,
    /// What happened, such as `submitted` or `provisioned`.
    pub code: &'static str,
    /// The SIP domain that it is about, where it is about one.
    pub subject: Option<String>,
}

impl Entry {
    pub(super) fn of(event: &Event) -> Self {
        Self {
            seq: event.seq,
            at: iso(event.at),
            times: event.times,
            last_at: event.last_at.map(iso),
            actor: event.actor.as_str(),
            code: event.code.as_str(),
            subject: event.subject.as_ref().map(ToString::to_string),
        }
    }
}

/// Other addresses of the request.
#[derive(Debug, Serialize)]
pub struct Links {
    /// The page; also this JSON.
    pub page: String,
    /// The stream of server-sent events.
    pub stream: String,
    /// The Atom feed.
    pub feed: String,
    /// The calendar entry.
    pub calendar: String,
    /// The support bundle, as plain text.
    pub support: String,
}

impl Status {
    /// The status of `request`, of whose domains those in `needed` need proof, and which cancels
    /// those routes.
    #[must_use]
    pub(crate) fn of(
        site: &Site,
        request: &Request,
        needed: &[Needed],
        cancels: &[EdgeRoutes],
    ) -> Self {
        let clocks = &site.clocks;
        let standing = Standing::of(&request.facts(), clocks, request.now);
        let (ended_at, reason) = match request.state {
            Stored::Pending(_) => (None, None),
            Stored::Provisioned { at } | Stored::Withdrawn { at } => (Some(at), None),
            Stored::Rejected { at, reason } => (Some(at), Some(reason.as_str())),
        };
        let page = address(site, request.reference);
        let link = |rest| format!("{page}/{rest}");
        Self {
            reference: request.reference.to_string(),
            kind: request.kind.as_str(),
            state: request.state.as_str(),
            standing: standing.as_str(),
            overdue: standing.is_overdue(),
            at_risk: standing.is_at_risk(),
            reason,
            submitted_at: iso(request.submitted_at),
            ended_at: ended_at.map(iso),
            promised_by: request.facts().promised_by(clocks).map(iso),
            expires_at: ended_at
                .is_none()
                .then(|| iso(clocks.expires_at(request.submitted_at))),
            checked_at: request.checked_at.map(iso),
            due_at: request.due_at.map(iso),
            gateways: live_on(standing, request.gateways).map(|on| OnGateways {
                live: on.live,
                of: on.of,
                since: on.since.map(iso),
            }),
            routes: Routed::of(&request.routes),
            cancels: Routed::of(cancels),
            findings: request
                .findings
                .iter()
                .map(|finding| Found::of(finding, request))
                .collect(),
            proof: Proof::of(site, request, needed),
            timeline: request.events.iter().map(Entry::of).collect(),
            earlier_events: earlier(&request.events),
            links: Links {
                stream: link("stream"),
                feed: link("feed.atom"),
                calendar: link("calendar.ics"),
                support: link("support.txt"),
                page,
            },
        }
    }
}

/// The response for clients that prefer JSON.
pub(crate) fn json(
    site: &Site,
    request: &Request,
    needed: &[Needed],
    cancels: &[EdgeRoutes],
) -> Response {
    let Ok(body) = serde_json::to_vec(&Status::of(site, request, needed, cancels)) else {
        return Problem::of(StatusCode::INTERNAL_SERVER_ERROR).into_response();
    };
    (
        [
            (
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/json"),
            ),
            (
                HeaderName::from_static("x-robots-tag"),
                HeaderValue::from_static("noindex"),
            ),
        ],
        body,
    )
        .into_response()
}
