//! Explains each finding: what it means, and how to fix it.
//!
//! One text for each code (`docs/design.md#contract`), with the lines that
//! [`words`](crate::readiness::wording) has for it, filled in for `contoso.com`. Source:
//! `docs/field.md#dns-certificate-transport`.

use super::Explanation;
use crate::{
    names::{AccessEdge, EdgeRoutes, Fqdn, SipDomain},
    readiness::{Code, Finding, Mode, ProofMode, Severity, wording::Teller},
};

/// The explanation of `code`, at a portal for the network `provider` whose checks are as strict as
/// `mode` says, and which requires proof of ownership as `proof` says.
#[must_use]
pub fn explain(code: Code, provider: &str, mode: Mode, proof: ProofMode) -> Explanation {
    let help = &code.entry().help;
    let notes = [help.note, strictness(code, mode, proof)];
    Explanation {
        title: code.title(),
        means: help.means.into(),
        why: help.why.into(),
        steps: help.steps,
        lines: example(code, provider, mode),
        note: notes.join(" ").trim().to_owned().into(),
        related: help.related,
    }
}

/// How the portal treats it, where it is not strict.
const fn strictness(code: Code, mode: Mode, proof: ProofMode) -> &'static str {
    match (mode, code, code.severity()) {
        (Mode::Advise | Mode::Enforce, code, _) if !code.may_hold_back() => "",
        (_, Code::DomainUnproven | Code::DomainProven, _) => match (mode, proof) {
            (Mode::Off, _) => {
                "Readiness checks are off at this portal: no domain has to be proven, and the record is not looked up."
            }
            (_, ProofMode::Held) => {
                "This portal requires the record only if another service holds the domain."
            }
            (_, ProofMode::Always) => "",
        },
        (Mode::Off, Code::DomainHeld, _) => {
            "Readiness checks are off at this portal, so the record is not looked up: the request waits until the other service releases the domain."
        }
        (Mode::Off, ..) => {
            "Readiness checks are off at this portal: this is not checked. Calls and messages still do not arrive if it is wrong."
        }
        (Mode::Enforce, ..) | (_, Code::DomainHeld, _) => "",
        (Mode::Advise, _, Severity::Blocking | Severity::Unknown) => {
            "This portal only gives advice: the request is provisioned, but calls and messages will not arrive."
        }
        (Mode::Advise, ..) => "",
    }
}

/// The lines for an example; they cover all lines that findings of this code have.
fn example(code: Code, provider: &str, mode: Mode) -> Vec<(&'static str, String)> {
    let (Ok(edge), Ok(domain)) = (
        AccessEdge::parse("sip.contoso.com"),
        SipDomain::parse("contoso.com"),
    ) else {
        return Vec::new();
    };
    let subject: &Fqdn = if code.entry().area.is_of_edge() {
        edge.as_fqdn()
    } else {
        domain.as_fqdn()
    };
    let found = (code == Code::SrvMisspelt).then_some("_sipfederationtls_tcp.contoso.com");
    let finding = Finding::new(code, subject, "", found);
    let routes = [EdgeRoutes {
        edge: edge.clone(),
        domains: vec![domain.clone()],
    }];
    Teller::new(provider, mode, &routes)
        .with_token("TOKEN")
        .tell(&finding)
        .lines
        .into_iter()
        .map(|it| (it.label, it.line))
        .collect()
}
