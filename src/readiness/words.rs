//! What does a finding say to people, who must act, and which line mends it?
//!
//! One wording for pages, `pic-portal check`, the support bundle and the support desk. No I/O and
//! no markup here. A title and a text belong to the code and not to the subject, so that a finding
//! that forty domains have is said once, with forty lines. Source:
//! `docs/field.md#dns-certificate-transport`, `docs/design.md#whose-domain`.

mod lines;
mod texts;

use std::collections::HashMap;

pub use self::{
    lines::proof,
    texts::{called, title, who},
};
use super::{Code, Finding, Mode, Severity};
use crate::names::{AccessEdge, SipDomain};

/// A line to copy: into a zone, a shell, or an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What it is for; the same for every subject, so that lines of many can stand together.
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
    /// Who must act; empty where nobody has to.
    pub who: &'static str,
    /// What should be there.
    pub expected: String,
    /// What is there, a line each.
    pub found: Vec<String>,
    /// What mends it, ready to copy; and what shows whether it is mended.
    pub lines: Vec<Line>,
}

/// Puts findings into words. Knows what the lines need: the routes that are asked for, the name of
/// the network, the service's token.
#[derive(Clone, Debug)]
pub struct Teller<'a> {
    provider: &'a str,
    mode: Mode,
    token: Option<&'a str>,
    /// The route of each domain, and of each edge.
    homes: HashMap<&'a str, &'a (AccessEdge, Vec<SipDomain>)>,
}

impl<'a> Teller<'a> {
    /// For findings about `routes`, in a portal for the network `provider` whose checks are as
    /// strict as `mode` says.
    #[must_use]
    pub fn new(provider: &'a str, mode: Mode, routes: &'a [(AccessEdge, Vec<SipDomain>)]) -> Self {
        let names = |route: &'a (AccessEdge, Vec<SipDomain>)| {
            let domains = route.1.iter().map(SipDomain::as_str);
            domains
                .chain([route.0.as_str()])
                .map(move |name| (name, route))
        };
        Self {
            provider,
            mode,
            token: None,
            homes: routes.iter().flat_map(names).collect(),
        }
    }

    /// With the public token of the service, by which a zone's owner gives it a domain. Without it
    /// the record is not shown: where there is no request, or one that has ended.
    #[must_use]
    pub fn with_token(self, token: &'a str) -> Self {
        Self {
            token: Some(token),
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
        let (title, text, who) = match (code, finding.severity) {
            (Code::DomainUnproven, Severity::Unknown) => {
                let (title, text, who) = texts::PROOF_UNKNOWN;
                (title, text.to_owned(), who)
            }
            _ => (title(code), self.text(code), who(code)),
        };
        Words {
            title,
            text,
            who,
            expected,
            found,
            lines: self.lines(finding),
        }
    }
}

/// What was not looked at, because of something that has to be mended first.
fn skipped(finding: &Finding) -> Words {
    let cause = finding
        .found
        .first()
        .and_then(|it| Code::parse(it.as_str()));
    let cause = cause.map_or("an earlier finding", title);
    let what = match finding.code {
        Code::Certificate
        | Code::CertificateName
        | Code::CertificateExpired
        | Code::CertificateNotYetValid
        | Code::CertificateUntrusted
        | Code::CertificateExpiresSoon
        | Code::CertificateCnOnly
        | Code::CertificateWildcard
        | Code::CertificateDomainSan => "Certificate not looked at",
        Code::EdgeNoAddress | Code::EdgePrivateAddress | Code::EdgeUnreachable => {
            "Access Edge not looked at"
        }
        Code::DomainHeld | Code::DomainUnproven | Code::DomainProven => {
            "Proof of the domain not looked at"
        }
        Code::Srv
        | Code::SrvMissing
        | Code::SrvMisspelt
        | Code::SrvPort
        | Code::SrvTarget
        | Code::SrvSuffix
        | Code::HomedOnline
        | Code::RoutedToConsumer
        | Code::DnsDisagrees
        | Code::ResolverUnreachable => "SRV record not looked at",
    };
    Words {
        title: what,
        text: format!("Not looked at, because of: {cause}."),
        who: "",
        expected: String::new(),
        found: Vec::new(),
        lines: Vec::new(),
    }
}

#[cfg(test)]
mod tests;
