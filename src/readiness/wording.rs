//! Puts findings into words: what it means, who must act, and which lines fix it.
//!
//! The same words for pages, `pic-portal check`, the support bundle and the support desk. No I/O
//! and no markup here. A title and a text belong to the code and not to the subject, so that a
//! finding of forty domains is shown once, with forty lines. Source:
//! `docs/field.md#dns-certificate-transport`, `docs/design.md#whose-domain`.

mod lines;
mod record;

use std::{collections::HashMap, net::IpAddr};

pub use self::{
    lines::proof,
    record::{Record, zone_file},
};
use super::{
    Code, Evidence, Finding, Mode, Severity,
    catalogue::{Area, Owner, REASONS, Reason},
};
use crate::names::{EdgeRoutes, Fqdn, SipDomain};

/// The heading, the text and who acts where the proof of a domain could not be looked up.
const PROOF_UNKNOWN: (&str, &str, &str) = (
    "The proof of the domain could not be looked up",
    "No server answered for the TXT record that proves who owns the domain. We check again automatically. If the record below is not published yet, publish it. If it stays like this, check that the name servers of the zone answer from the internet.",
    "Your DNS administrator, if the record is not published yet",
);

/// The same where the Access Edge speaks no TLS that partners accept.
const NO_TLS_12: (&str, &str, &str) = (
    "Access Edge does not support TLS 1.2",
    "Its port answers, but only with TLS 1.0 or 1.1. Partners have disabled those, so they cannot connect. Enable TLS 1.2 on every Edge Server, as its vendor describes, and restart it. The firewall is not the problem.",
    "Your firewall and Access Edge administrator",
);

/// The same where the Access Edge is an alias of the online service.
const ALIAS_ONLINE: (&str, &str, &str) = (
    "Access Edge leads to the online service",
    "Its name is an alias (CNAME) of a server of the online service, so partners never reach your Access Edge. Remove the alias, and publish the public address of the external interface in its place. What is shown there now is not yours, so no certificate was checked, and you need not order one for it.",
    "Your DNS administrator",
);

/// The same where a record with another port stands beside the right one.
const PORT_BESIDE: (&str, &str, &str) = (
    "An SRV record has another port than 5061",
    "Federation uses port 5061, and one of the records with the lowest priority number has another port.",
    "Your DNS administrator",
);

/// The same where a record for another server does.
const TARGET_BESIDE: (&str, &str, &str) = (
    "An SRV record names another server",
    "One of the records with the lowest priority number does not name the Access Edge of this request, so some partners go elsewhere.",
    "Your DNS administrator",
);

/// The same where nobody has told the Access Edge, and the record names none.
const TARGET_NONE: (&str, &str, &str) = (
    "SRV record does not name an Access Edge",
    "Partners use the records with the lowest priority number, and none of them names a server that can be an Access Edge.",
    "Your DNS administrator",
);

/// What is said of a request, and what is said in its place where there is none.
const WITHOUT_REQUEST: &[(&str, &str)] = &[
    (
        "the Access Edge of this request",
        "the Access Edge named here",
    ),
    (
        " We check again automatically, and the route switches as soon as we see the new record. If the record is right and the request is not, request",
        " If the record is right, request",
    ),
    ("remove it from the request and use", "use"),
    ("your request does not wait", "a request does not wait"),
    ("We check again automatically", "Check again later"),
    ("we check again automatically", "check again later"),
];

/// What is added where a pool has several certificates.
const AT_SOME: &str = " This is true for the addresses named below and not for the others: install the same certificate on every Edge Server of the pool.";

/// The name of a severity, on pages and at a terminal.
#[must_use]
pub const fn called(severity: Severity) -> &'static str {
    match severity {
        Severity::Ok => "Fine",
        Severity::Skipped => "Not checked",
        Severity::Warning => "Warning",
        Severity::Unknown => "Could not check",
        Severity::Blocking => "Needs fixing",
    }
}

/// The same where the name of the Access Edge works inside a network only.
const NO_PUBLIC_NAME: (&str, &str, &str) = (
    "Access Edge has a name that public DNS never has",
    "Names with this ending work only inside a network: nobody can publish them, so no partner can look them up. An Edge Server has two names: request federation with the external one, like sip.contoso.com.",
    "Your firewall and Access Edge administrator",
);

/// A line to copy: into a zone, a shell, or an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The purpose; the same for every subject, so that the lines of many can be shown together.
    pub label: &'static str,
    /// The line, with the real names filled in.
    pub line: String,
}

/// A finding in words. Empty texts and lists are "none".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    /// What was found, a heading without the subject.
    pub title: &'static str,
    /// Why it matters and what to do, a few sentences.
    pub text: String,
    /// Who must act; empty if no one has to.
    pub who: &'static str,
    /// What should be there.
    pub expected: String,
    /// What is there, one line each.
    pub found: Vec<String>,
    /// What fixes it, ready to copy; and what shows whether it is fixed.
    pub lines: Vec<Line>,
    /// The record that fixes it, field by field.
    pub record: Option<Record>,
}

/// Puts findings into words. Knows what the lines need: the requested routes, the name of the
/// network, the service's token.
#[derive(Clone, Debug)]
pub struct Teller<'a> {
    provider: &'a str,
    mode: Mode,
    token: Option<&'a str>,
    /// Whether there is a request, which is checked again.
    requested: bool,
    /// The route of each domain, and of each edge.
    homes: HashMap<&'a str, &'a EdgeRoutes>,
}

impl<'a> Teller<'a> {
    /// For findings about `routes`, in a portal for the network `provider` whose checks are as
    /// strict as `mode` says.
    #[must_use]
    pub fn new(provider: &'a str, mode: Mode, routes: &'a [EdgeRoutes]) -> Self {
        let names = |route: &'a EdgeRoutes| {
            let domains = route.domains.iter().map(SipDomain::as_str);
            domains
                .chain([route.edge.as_str()])
                .map(move |name| (name, route))
        };
        Self {
            provider,
            mode,
            token: None,
            requested: true,
            homes: routes.iter().flat_map(names).collect(),
        }
    }

    /// Adds the public token of the service, by which a zone's owner gives it a domain. Without it
    /// the record is not shown: where there is no request, or one that has ended.
    #[must_use]
    pub fn with_token(self, token: &'a str) -> Self {
        Self {
            token: Some(token),
            ..self
        }
    }

    /// Tells of a check without a request: nothing is checked again automatically, and no route waits.
    #[must_use]
    pub fn without_request(self) -> Self {
        Self {
            requested: false,
            ..self
        }
    }

    /// `finding` in words.
    #[must_use]
    pub fn tell(&self, finding: &Finding) -> Words {
        if finding.severity == Severity::Skipped {
            return skipped(finding);
        }
        let code = finding.code;
        let mut expected = finding.expected.to_string();
        let mut found: Vec<String> = finding.found.iter().map(ToString::to_string).collect();
        if code == Code::DomainHeld && expected.is_empty() && found.is_empty() {
            expected = "not in force under another service".into();
            found = vec!["in force under another service".into()];
        }
        let special = match (code, finding.severity) {
            (Code::DomainUnproven, Severity::Unknown) => Some(PROOF_UNKNOWN),
            (Code::TlsOld, Severity::Blocking) => Some(NO_TLS_12),
            (Code::EdgeNoAddress, _) if finding.subject.is_never_public() => Some(NO_PUBLIC_NAME),
            (Code::EdgeAlias, Severity::Blocking) => Some(ALIAS_ONLINE),
            (Code::SrvPort, Severity::Warning) => Some(PORT_BESIDE),
            (Code::SrvTarget, Severity::Warning) => Some(TARGET_BESIDE),
            (Code::SrvTarget, _) if !self.knows_edge_of(&finding.subject) => Some(TARGET_NONE),
            _ => None,
        };
        let (title, mut text, who) = match special {
            Some((title, text, who)) => (title, text.to_owned(), who),
            None => (code.title(), self.text(code), code.entry().owner.as_str()),
        };
        for reason in said(&reasons(finding)) {
            text.push(' ');
            text.push_str(reason);
        }
        if is_of_some(finding) {
            text.push_str(AT_SOME);
        }
        if !self.requested {
            for (of_request, alone) in WITHOUT_REQUEST {
                text = text.replace(of_request, alone);
            }
        }
        Words {
            title,
            text,
            who: self.who(who),
            expected,
            found,
            lines: self.lines(finding),
            record: self.record(finding),
        }
    }
}

impl Teller<'_> {
    /// Whether the Access Edge of a domain is known: a check without a request may not be told it.
    fn knows_edge_of(&self, domain: &Fqdn) -> bool {
        self.requested || self.homes.contains_key(domain.as_str())
    }

    /// Who must act.
    fn who(&self, who: &'static str) -> &'static str {
        if self.requested {
            who
        } else if who == Owner::Portal.as_str() {
            "No action needed: check again later"
        } else if who == Owner::Decision.as_str() {
            "You decide; a request does not wait for it"
        } else {
            who
        }
    }

    /// Why it matters and what to do.
    fn text(&self, code: Code) -> String {
        let mut text = code.entry().text.replace("{provider}", self.provider);
        if code == Code::DomainHeld && self.token.is_some() {
            text.push_str(match self.mode {
                Mode::Enforce | Mode::Advise => {
                    " Or prove that its zone is yours: publish the TXT record below. Once we see it, the domain moves to this service. Its route stays in force all the time."
                }
                Mode::Off => {
                    " Readiness checks are off here, so the TXT record below is not looked up: the request waits until the other service releases the domain."
                }
            });
        }
        text
    }
}

/// The reasons of a finding, by the lines that were found.
fn reasons(finding: &Finding) -> Vec<&'static Reason> {
    let is_usual = finding.severity == finding.code.severity();
    if finding.code == Code::DomainUnproven && !is_usual {
        return Vec::new();
    }
    let of_code = REASONS.iter().filter(|it| it.codes.contains(&finding.code));
    let is_met = |words: &str| finding.found.iter().any(|it| it.as_str().contains(words));
    let met = of_code.clone();
    let met: Vec<_> = met
        .filter(|it| !it.found.is_empty() && is_met(it.found))
        .collect();
    if met.is_empty() && is_usual {
        return of_code.filter(|it| it.found.is_empty()).collect();
    }
    met
}

/// What they say, each sentence once.
fn said(reasons: &[&'static Reason]) -> Vec<&'static str> {
    let mut said = Vec::new();
    for reason in reasons {
        if !said.contains(&reason.text) {
            said.push(reason.text);
        }
    }
    said
}

/// Whether it is a certificate's, and its lines say of which of several addresses they are.
fn is_of_some(finding: &Finding) -> bool {
    let begins = |line: &Evidence| {
        let first = line.as_str().split([',', ' ']).next();
        let first = first.map(|word| word.trim_end_matches(':'));
        first.is_some_and(|word| word.parse::<IpAddr>().is_ok())
    };
    finding.code.entry().area == Area::Certificate
        && finding.code.severity() > Severity::Skipped
        && finding.found.iter().any(begins)
}

/// The words for what was not checked, because something has to be fixed first.
fn skipped(finding: &Finding) -> Words {
    let cause = finding
        .found
        .first()
        .and_then(|it| Code::parse(it.as_str()));
    let cause = cause.map_or("an earlier finding", Code::title);
    Words {
        title: finding.code.entry().area.not_looked_at(),
        text: format!("Not checked, because of: {cause}."),
        who: "",
        expected: String::new(),
        found: Vec::new(),
        lines: Vec::new(),
        record: None,
    }
}

#[cfg(test)]
mod tests;
