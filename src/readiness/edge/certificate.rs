//! Judges a certificate, and how it was shown, for an Access Edge and the domains that are routed to it.

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};

use super::super::{
    Code, Finding, Severity,
    tls::{Leaf, Limit, Proof, SHORTEST_RSA, Shown, Trust, Version},
};
use crate::names::{AccessEdge, SipDomain};

/// How long before its end a certificate is warned of: this long, and no longer than the last third of
/// its time. Short-lived ones are renewed by themselves when two thirds have passed.
const SOON: TimeDelta = TimeDelta::days(30);
const SOON_PART: i32 = 3;

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
    findings.extend(unfollowed(edge, &shown.trust));
    if let Some(own) = own {
        findings.extend(dates(edge, &own, now));
        findings.extend(name(edge, &own, shown.constrained));
        findings.extend(domain_names(edge, domains, &own));
        findings.extend(client(edge, &own));
        findings.extend(first_name(edge, &own));
        if findings.iter().all(|f| f.severity < Severity::Unknown) {
            findings.insert(0, fine(edge, shown, &own));
        }
    }
    findings.extend(old_tls(edge, shown));
    findings
}

/// Whether old versions of TLS, or old suites, are all that it was brought to.
fn old_tls(edge: &AccessEdge, shown: &Shown) -> Option<Finding> {
    let version = shown.version.as_str();
    let (severity, found) = match shown.version {
        Version::Tls10 | Version::Tls11 => {
            let found = format!("{version} is the newest that it speaks: switch TLS 1.2 on");
            (Severity::Blocking, found)
        }
        Version::Tls12 | Version::Tls13 if shown.suite.is_old() => {
            let found = format!("{version} with {}, offered newer ones", shown.suite.0);
            (Severity::Warning, found)
        }
        Version::Tls12 | Version::Tls13 => return None,
    };
    let expected = "TLS 1.2 or later, with ECDHE and GCM";
    Some(Finding {
        severity,
        ..Finding::new(Code::TlsOld, edge.as_fqdn(), expected, [found])
    })
}

fn fine(edge: &AccessEdge, shown: &Shown, own: &Leaf) -> Finding {
    let expected = format!("a certificate for {edge} that leads to a trusted root");
    let facts = [
        shown.version.as_str().to_owned(),
        "leads to a trusted root".to_owned(),
        until(own.not_after),
        from(own.not_before),
    ];
    let unseen = (shown.proof == Proof::Unseen).then(|| {
        "it broke off before it proved that it holds the key, as servers do that want a certificate in \
         return"
            .to_owned()
    });
    let found = facts.into_iter().chain(unseen).chain(names(own));
    Finding::new(Code::Certificate, edge.as_fqdn(), &expected, found)
}

fn untrusted(edge: &AccessEdge, shown: &Shown, own: Option<&Leaf>) -> Option<Finding> {
    let trust = match &shown.trust {
        Trust::Root if own.is_none() => &Trust::Unreadable,
        trust => trust,
    };
    let mut found: Vec<_> = astray(trust).into_iter().collect();
    if let Some(own) = own {
        if !own.for_servers && *trust != Trust::Purpose {
            found.extend(astray(&Trust::Purpose));
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
fn astray(trust: &Trust) -> Option<String> {
    let what = match trust {
        Trust::Root | Trust::Unfollowed(_) => return None,
        Trust::SelfSigned => "it is signed by itself, not by an authority",
        Trust::Incomplete { sent } => return Some(incomplete(*sent)),
        Trust::UnknownRoot => "it leads to a root that is not trusted",
        Trust::IssuerExpired => {
            "a certificate above it has expired: the server has to send the one that its authority uses now"
        }
        Trust::IssuerNotYetValid => "a certificate above it is not valid yet",
        Trust::Weak { hash, own } => {
            let which = if *own {
                "it is"
            } else {
                "a certificate above it was"
            };
            return Some(format!(
                "{which} signed with {hash}, which is no longer accepted: SHA-256 or better is needed"
            ));
        }
        Trust::ShortKey(bits) => {
            return Some(format!(
                "a certificate above it has an RSA key of {bits} bits, which is too short: {SHORTEST_RSA} or more"
            ));
        }
        Trust::Signature => "a signature on the way to the root does not fit",
        Trust::Purpose => "server authentication is not among its purposes",
        Trust::NotPermitted => "an authority above it may not issue it",
        Trust::Unreadable => "it cannot be read",
    };
    Some(what.to_owned())
}

/// That it could not be followed here, which is held against nobody.
fn unfollowed(edge: &AccessEdge, trust: &Trust) -> Option<Finding> {
    let Trust::Unfollowed(limit) = trust else {
        return None;
    };
    let found = match limit {
        Limit::Extension(name) => {
            format!("it, or one above it, has a critical extension that is not known here: {name}")
        }
        Limit::Signature => {
            "a signature on the way to the root is of a kind that is not known here".to_owned()
        }
        Limit::Namesakes => {
            "two authorities of the same name stand above it, and no way past them to a trusted \
             root is found here: it helps to send the one that issued it, and not the other"
                .to_owned()
        }
        Limit::Authority => {
            "it is an authority's own certificate, which some programs do not take for a server's"
                .to_owned()
        }
        Limit::Constraint => {
            "an authority above it may issue for some names of organisations alone, which is not \
             known here"
                .to_owned()
        }
        Limit::Other => {
            "something on the way to the root has a form that is not known here".to_owned()
        }
    };
    let expected = "a way to a trusted root that can be followed here";
    let name = edge.as_fqdn();
    Some(Finding::new(
        Code::CertificateUnknown,
        name,
        expected,
        [found],
    ))
}

/// Whether it was made for servers and not for clients. An Access Edge is both.
fn client(edge: &AccessEdge, own: &Leaf) -> Option<Finding> {
    let lacks = own.for_servers && !own.for_clients;
    let expected = "client authentication among its purposes";
    let found = ["its purposes have server authentication, and not client authentication"];
    lacks.then(|| Finding::new(Code::CertificateClient, edge.as_fqdn(), expected, found))
}

/// Whether the edge is a name of it, and yet neither the subject's nor the first.
fn first_name(edge: &AccessEdge, own: &Leaf) -> Option<Finding> {
    let is_edge = |name: &String| name == edge.as_str();
    let later = own.names.iter().skip(1).any(is_edge) && !own.subject.iter().any(is_edge);
    let expected = format!("{edge} as subject, or first of the subject alternative names");
    let first = own
        .names
        .first()
        .map(|name| format!("the first name is {name}"));
    let subject = own
        .subject
        .iter()
        .map(|name| format!("the subject is {name}"));
    let found = first.into_iter().chain(subject);
    let name = edge.as_fqdn();
    later.then(|| Finding::new(Code::CertificateFirstName, name, &expected, found))
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

/// How long before its end it is warned of.
fn soon(own: &Leaf) -> TimeDelta {
    SOON.min((own.not_after - own.not_before) / SOON_PART)
}

fn dates(edge: &AccessEdge, own: &Leaf, now: DateTime<Utc>) -> Option<Finding> {
    // The last second belongs to it, up to the next one (RFC 5280, 4.1.2.5).
    let (code, expected, found) = if own.not_after.timestamp() < now.timestamp() {
        let expected = "a certificate that has not expired";
        (Code::CertificateExpired, expected, until(own.not_after))
    } else if own.not_before > now {
        let expected = "a certificate that is valid already";
        (Code::CertificateNotYetValid, expected, from(own.not_before))
    } else if own.not_after - now < soon(own) {
        let expected = "valid for more than the last third of its time, or for 30 days";
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
/// (RFC 6125, 6.4.3), and not for all that somebody registers (`*.com`, `*.co.uk`).
fn covers(name: &str, host: &str) -> bool {
    let parent = host.split_once('.').map(|(_label, parent)| parent);
    let is_suffix = |rest: &str| {
        let suffix = psl::suffix(rest.as_bytes());
        suffix.is_some_and(|it| it == rest && it.typ() == Some(psl::Type::Icann))
    };
    let wildcard = name.strip_prefix("*.");
    let wildcard = wildcard.filter(|rest| rest.contains('.') && !is_suffix(rest));
    name == host || (wildcard.is_some() && wildcard == parent)
}

fn names(own: &Leaf) -> impl Iterator<Item = String> {
    let none = own.names.is_empty() && own.odd.is_empty();
    let none = none.then(|| "no DNS name among the subject alternative names".to_owned());
    let each = own.names.iter().map(|name| format!("for {name}"));
    let odd = own
        .odd
        .iter()
        .map(|entry| format!("an entry that is no DNS name: \"{entry}\""));
    let others = match own.others {
        0 => None,
        1 => Some("1 more entry, which is no name of a server".to_owned()),
        more => Some(format!(
            "{more} more entries, which are no names of servers"
        )),
    };
    each.chain(odd).chain(none).chain(others)
}

const UNTIL: &str = "valid until ";
const FROM: &str = "valid from ";
const MINUTE: &str = "%Y-%m-%d %H:%M UTC";

fn until(time: DateTime<Utc>) -> String {
    format!("{UNTIL}{}", time.format(MINUTE))
}

fn from(time: DateTime<Utc>) -> String {
    format!("{FROM}{}", time.format(MINUTE))
}

/// Puts the line of the certificate that ends first, and of the one that begins last, in front of the others.
pub(super) fn put_validity_first(lines: &mut [String]) {
    let times = |lines: &[String], what| {
        let each = lines.iter().enumerate();
        let times = each.filter_map(|(at, line)| Some((time_in(line, what)?, at)));
        times.collect::<Vec<_>>()
    };
    if let Some((_, at)) = times(lines, FROM).into_iter().max() {
        lines[..=at].rotate_right(1);
    }
    if let Some((_, at)) = times(lines, UNTIL).into_iter().min() {
        lines[..=at].rotate_right(1);
    }
}

/// The time in a line that says until when, or from when, a certificate is valid. The address of a pool's
/// member may stand in front.
fn time_in(line: &str, what: &str) -> Option<DateTime<Utc>> {
    let time = line.rsplit(": ").next()?.strip_prefix(what)?;
    Some(NaiveDateTime::parse_from_str(time, MINUTE).ok()?.and_utc())
}

/// From when and until when a certificate is valid that is fine, to the minute; where a pool has
/// several, the shortest time that is in all of theirs. `None`: the finding is about something else.
#[must_use]
pub fn validity(finding: &Finding) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    let times = |what: &'static str| {
        let lines = finding.found.iter();
        lines.filter_map(move |line| time_in(line.as_str(), what))
    };
    let is_fine = finding.code == Code::Certificate;
    is_fine.then_some((times(FROM).max()?, times(UNTIL).min()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::Fqdn;

    #[test]
    fn of_a_pool_the_certificate_that_ends_first_is_told_first() {
        let member = |n: usize, ends: &str| {
            let line = |what: &str| format!("192.0.2.{n}: {what}");
            [
                line("valid from 2026-01-01 00:00 UTC"),
                line(&format!("valid until {ends}")),
                line("for a"),
                line("for b"),
            ]
        };
        let mut lines = [
            member(1, "2028-01-01 00:00 UTC"),
            member(2, "2028-01-01 00:00 UTC"),
            member(3, "2026-02-01 00:00 UTC"),
        ]
        .concat();
        let mut all = lines.clone();
        put_validity_first(&mut lines);
        assert_eq!(lines[0], "192.0.2.3: valid until 2026-02-01 00:00 UTC");
        assert!(lines[1].ends_with("valid from 2026-01-01 00:00 UTC"));
        lines.sort();
        all.sort();
        assert_eq!(lines, all);
    }

    #[test]
    fn the_time_of_a_certificate_is_read_as_it_is_told_and_of_a_pool_the_shortest() {
        let time = |text| DateTime::parse_from_rfc3339(text).unwrap().to_utc();
        let edge = Fqdn::parse("sip.contoso.com").unwrap();
        let of = |code, found: &[String]| validity(&Finding::new(code, &edge, "", found));
        let (begin, end) = (time("2026-05-01T10:30:00Z"), time("2027-05-01T10:30:00Z"));
        let one = [until(end), from(begin), "for sip.contoso.com".to_owned()];
        assert_eq!(of(Code::Certificate, &one), Some((begin, end)));
        assert_eq!(of(Code::CertificateExpiresSoon, &one), None);
        let earlier = time("2027-04-01T10:30:00Z");
        let pool = [
            format!("192.0.2.1: {}", until(end)),
            format!("2001:db8::1: {}", until(earlier)),
            from(begin),
        ];
        assert_eq!(of(Code::Certificate, &pool), Some((begin, earlier)));
        assert_eq!(
            of(Code::Certificate, &["valid until noon".to_owned()]),
            None
        );
    }
}
