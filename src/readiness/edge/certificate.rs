//! Is this certificate right for the Access Edge and the domains that are routed to it?

use chrono::{DateTime, TimeDelta, Utc};

use super::super::{
    Code, Finding, Severity,
    tls::{Leaf, SHORTEST_RSA, Shown, Trust},
};
use crate::names::{AccessEdge, SipDomain};

/// How long before its end a certificate is warned of.
const SOON: TimeDelta = TimeDelta::days(30);

/// Everything that is to be said about the certificate, each problem on its own; that it is fine,
/// where none is blocking, beside the warnings.
pub(super) fn judge(
    edge: &AccessEdge,
    domains: &[SipDomain],
    shown: &Shown,
    now: DateTime<Utc>,
) -> Vec<Finding> {
    let own = shown.chain.first().and_then(|der| Leaf::read(der));
    let mut findings: Vec<_> = untrusted(edge, shown, own.as_ref()).into_iter().collect();
    if let Some(own) = own {
        findings.extend(dates(edge, &own, now));
        findings.extend(name(edge, &own, shown.constrained));
        findings.extend(domain_names(edge, domains, &own));
        if findings.iter().all(|f| f.severity != Severity::Blocking) {
            findings.insert(0, fine(edge, shown, &own));
        }
    }
    findings
}

fn fine(edge: &AccessEdge, shown: &Shown, own: &Leaf) -> Finding {
    let expected = format!("a certificate for {edge} that leads to a trusted root");
    let facts = [
        shown.version.as_str().to_owned(),
        "leads to a trusted root".to_owned(),
        until(own.not_after),
    ];
    let found = facts.into_iter().chain(names(own));
    Finding::new(Code::Certificate, edge.as_fqdn(), &expected, found)
}

fn untrusted(edge: &AccessEdge, shown: &Shown, own: Option<&Leaf>) -> Option<Finding> {
    let trust = if own.is_none() {
        Trust::Unreadable
    } else {
        shown.trust
    };
    let mut found: Vec<_> = astray(trust).into_iter().collect();
    if let Some(own) = own {
        if !own.for_servers && trust != Trust::Purpose {
            found.extend(astray(Trust::Purpose));
        }
        if let Some(bits) = own.short_key {
            let short = format!("its RSA key of {bits} bits is too short: {SHORTEST_RSA} or more");
            found.push(short);
        }
    }
    let expected = "a server's certificate, sent with all between it and a trusted root";
    let name = edge.as_fqdn();
    (!found.is_empty()).then(|| Finding::new(Code::CertificateUntrusted, name, expected, found))
}

/// Where it leads instead of to a trusted root.
fn astray(trust: Trust) -> Option<String> {
    let what = match trust {
        Trust::Root => return None,
        Trust::SelfSigned => "it is signed by itself, not by an authority",
        Trust::Incomplete { sent } => return Some(incomplete(sent)),
        Trust::UnknownRoot => "it leads to a root that is not trusted",
        Trust::IssuerExpired => "a certificate above it has expired",
        Trust::IssuerNotYetValid => "a certificate above it is not valid yet",
        Trust::Algorithm => "it, or one above it, is signed in a way that is no longer accepted",
        Trust::Signature => "a signature on the way to the root does not fit",
        Trust::SameName => {
            "two authorities of the same name stand above it, and no way past them to a trusted root \
             is found: send the one that issued it, and not the other"
        }
        Trust::Purpose => "server authentication is not among its purposes",
        Trust::Authority => "it is an authority's own certificate, not a server's",
        Trust::NotPermitted => "an authority above it may not issue it",
        Trust::Unreadable => "it cannot be read",
        Trust::Other => "its way to a root cannot be verified",
    };
    Some(what.to_owned())
}

fn incomplete(sent: usize) -> String {
    let sent = match sent {
        1 => "1 certificate is sent".to_owned(),
        more => format!("{more} certificates are sent"),
    };
    format!(
        "{sent}, and the issuer is neither among them nor trusted: an intermediate certificate is \
         missing, or the root is a private one"
    )
}

fn dates(edge: &AccessEdge, own: &Leaf, now: DateTime<Utc>) -> Option<Finding> {
    let from = format!("valid from {}", minute(own.not_before));
    let (code, expected, found) = if own.not_after < now {
        let expected = "a certificate that has not expired";
        (Code::CertificateExpired, expected, until(own.not_after))
    } else if own.not_before > now {
        let expected = "a certificate that is valid already";
        (Code::CertificateNotYetValid, expected, from)
    } else if own.not_after - now < SOON {
        let expected = "valid for 30 days or more";
        (Code::CertificateExpiresSoon, expected, until(own.not_after))
    } else {
        return None;
    };
    Some(Finding::new(code, edge.as_fqdn(), expected, [found]))
}

/// Whether it is for the edge: exactly, by a wildcard, by the subject alone or not at all.
///
/// The subject counts only where there are no subject alternative names (RFC 5922, 7.1; RFC 9525 does
/// without it altogether), and where no authority above is limited to some names: limits bind the
/// alternative names alone (RFC 5280, 4.2.1.10), so that the subject would get past them.
fn name(edge: &AccessEdge, own: &Leaf, constrained: bool) -> Option<Finding> {
    let subject = |name: &String| format!("the subject is {name}");
    let wild = own.subject.iter().find(|name| name.starts_with("*."));
    let fits = own.names.iter().find(|name| covers(name, edge.as_str()));
    let exact = own.names.iter().any(|name| name == edge.as_str());
    let (code, found) = match (fits, wild) {
        (Some(_), None) if exact => return None,
        (Some(_), Some(wild)) if exact => (Code::CertificateWildcard, vec![subject(wild)]),
        (Some(name), _) => (Code::CertificateWildcard, vec![format!("for {name}")]),
        (None, _) if own.subject.iter().any(|name| name == edge.as_str()) => {
            let alone = format!("{edge} stands in the subject alone");
            let unfit = if own.has_alternatives {
                Some("the subject does not count where there are subject alternative names")
            } else if constrained {
                Some(
                    "an authority above it may issue for some names alone, and the subject cannot be held to that",
                )
            } else {
                None
            };
            let code = match unfit {
                Some(_) => Code::CertificateName,
                None => Code::CertificateCnOnly,
            };
            let found = std::iter::once(alone).chain(unfit.map(str::to_owned));
            (code, found.chain(names(own)).collect())
        }
        (None, _) => {
            let subject = own.subject.iter().filter(|name| !own.names.contains(name));
            let found = names(own).chain(subject.map(|name| format!("the subject is {name}")));
            (Code::CertificateName, found.collect())
        }
    };
    let expected = match code {
        Code::CertificateWildcard => format!("{edge} itself, and no wildcard"),
        _ => format!("{edge} among the subject alternative names"),
    };
    Some(Finding::new(code, edge.as_fqdn(), &expected, found))
}

/// `sip.` and each domain; the edge's own name is told of by [`name`].
fn domain_names(edge: &AccessEdge, domains: &[SipDomain], own: &Leaf) -> Option<Finding> {
    let missing: Vec<_> = domains
        .iter()
        .map(|domain| format!("sip.{domain}"))
        .filter(|wanted| wanted != edge.as_str())
        .filter(|wanted| !own.names.iter().any(|name| covers(name, wanted)))
        .map(|wanted| format!("{wanted} is missing"))
        .collect();
    let expected = "sip. and each SIP domain among the subject alternative names";
    let name = edge.as_fqdn();
    (!missing.is_empty()).then(|| Finding::new(Code::CertificateDomainSan, name, expected, missing))
}

/// Whether a name in a certificate is for `host`: the same, or a wildcard for its first label alone
/// (RFC 6125, 6.4.3), and not for all that somebody registers (`*.com`).
fn covers(name: &str, host: &str) -> bool {
    let parent = host.split_once('.').map(|(_label, parent)| parent);
    let wildcard = name.strip_prefix("*.").filter(|rest| rest.contains('.'));
    name == host || (wildcard.is_some() && wildcard == parent)
}

fn names(own: &Leaf) -> impl Iterator<Item = String> {
    let none = own.names.is_empty();
    let none = none.then(|| "no DNS name among the subject alternative names".to_owned());
    let each = own.names.iter().map(|name| format!("for {name}"));
    each.chain(none)
}

fn until(time: DateTime<Utc>) -> String {
    format!("valid until {}", minute(time))
}

fn minute(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%d %H:%M UTC").to_string()
}
