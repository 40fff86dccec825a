//! No advice contradicts the line below it, whatever the cause of a finding.

mod causes;

use std::collections::BTreeSet;

use super::super::{said, *};
use crate::{
    names::{AccessEdge, EdgeRoutes, SipDomain},
    readiness::domain,
};

const REQUEST: &[&str] = &["request the Access Edge"];

/// The words of a line; what the advice says then; and what it does not say.
const ADVICE: [(&str, &str, &[&str]); 52] = [
    (
        "an IP address",
        "has an address where",
        &["request the Access Edge"],
    ),
    ("without the dot", "dot", &["request the Access Edge"]),
    (
        "no such service",
        "has no federation",
        &["request the Access Edge"],
    ),
    (
        "no name that a server can have",
        "more than the name",
        &["request the Access Edge"],
    ),
    ("no server in it", "is a domain", REQUEST),
    ("without its domain", "a single word", REQUEST),
    ("public DNS never has", "only inside a network", REQUEST),
    ("mail and personal", "no Access Edge", REQUEST),
    (
        "belongs; beside the right one",
        "remove the wrong one",
        &["Write the name there", "higher priority number"],
    ),
    (
        "target other.example (beside",
        "higher priority number",
        &["request the Access Edge"],
    ),
    ("target other.example", "", &["dot", "has an address where"]),
    (
        "target sipfed",
        "leads to the online service",
        &["request the Access Edge"],
    ),
    (
        "beside the right one",
        "remove the wrong one",
        &["none of them", "request the Access Edge"],
    ),
    ("port 443, target", "5061", &["request the Access Edge"]),
    ("CNAME to", "Remove the alias first", &["Publish it in"]),
    ("this name does not exist", "Publish it in", &["alias"]),
    (
        "no TXT record",
        "no TXT record at that name",
        &["another service.", "letter by letter"],
    ),
    (
        "service is at contoso.com",
        "at another name",
        &["another service.", "letter by letter"],
    ),
    (
        "nearly the token",
        "nearly the one below",
        &["no TXT record at", "Remove it"],
    ),
    (
        "another service's token",
        "names another service",
        &["no TXT record at"],
    ),
    (
        "tokens of other services",
        "name other services",
        &["no TXT record at"],
    ),
    (
        "that is no token",
        "letter by letter",
        &["no TXT record at"],
    ),
    (
        "authoritative servers have",
        "have the record and others",
        &["no TXT record at"],
    ),
    (
        "no answer in time",
        "",
        &["on our side", "DNSSEC", "no TXT record at"],
    ),
    (
        "asks cannot be reached",
        "",
        &["name servers of the zone", "on our side", "DNSSEC"],
    ),
    ("REFUSED", "", &["No server answered", "DNSSEC"]),
    (
        "SERVFAIL",
        "",
        &["No server answered", "DNSSEC", "on our side"],
    ),
    (
        "DNSSEC signatures",
        "",
        &["No server answered", "on our side"],
    ),
    ("does not understand", "", &["No server answered", "DNSSEC"]),
    (
        "an alias (CNAME) of",
        "alias",
        &["Publish its public address"],
    ),
    ("no A or AAAA record", "ublish", &[]),
    (
        "connection is refused",
        "Open the port",
        &["ends TLS", "TLS 1.2 on"],
    ),
    ("timed out", "Open the port", &["ends TLS", "TLS 1.2 on"]),
    (
        "accepts the connection and says",
        "TLS does not begin",
        &["Open the port", "TLS 1.2 on"],
    ),
    (
        "does not speak TLS",
        "Another service answers",
        &["Open the port", "TLS 1.2 on"],
    ),
    ("none of TLS 1.0 to 1.3", "TLS 1.2 on", &["Open the port"]),
    (
        "alert 40",
        "assigned to its external interface",
        &["Open the port"],
    ),
    ("in the middle of the TLS", "ends TLS", &["Open the port"]),
    (
        "does not prove that it holds",
        "with its key",
        &["Open the port", "ends TLS"],
    ),
    ("no way to IPv6", "no IPv6", &["Open the port", "will pass"]),
    (
        "cannot connect to it now",
        "will pass",
        &["IPv6", "Open the port"],
    ),
    (
        "it is signed by itself",
        "public authority",
        &["intermediate certificates"],
    ),
    (
        "intermediate certificate is missing",
        "Install the intermediate",
        &["for a new one"],
    ),
    (
        "above it has expired",
        "may stay",
        &["public authority", "for a new one", "names below"],
    ),
    (
        "above it is not valid yet",
        "may stay",
        &["public authority", "for a new one"],
    ),
    (
        "it is signed with SHA-1",
        "SHA-256",
        &["public authority", "may stay"],
    ),
    ("above it was signed with", "may stay", &["for a new one"]),
    (
        "way to the root does not fit",
        "do not belong together",
        &["for a new one"],
    ),
    (
        "server authentication is not",
        "for servers and clients",
        &["may stay", "missing"],
    ),
    ("stands in the subject alone", "does not count here", &[]),
    (
        "an entry that is no DNS name",
        "one name in each entry",
        &[],
    ),
    (
        "the subject is *.",
        "Its subject is a wildcard",
        &["not among its names"],
    ),
];

fn routes() -> Vec<EdgeRoutes> {
    vec![EdgeRoutes {
        edge: AccessEdge::parse("sip.contoso.com").unwrap(),
        domains: vec![SipDomain::parse("contoso.com").unwrap()],
    }]
}

#[test]
fn no_advice_contradicts_the_line_below_it() {
    let routes = routes();
    let EdgeRoutes { edge, domains } = &routes[0];
    let mut found = [
        causes::of_domain(edge, &domains[0]),
        causes::of_edge(edge, domains),
    ]
    .concat();
    // Libraries of today make no such key.
    let short = ["its RSA key of 1024 bits is too short: 2048 or more"];
    let name = edge.as_fqdn();
    found.push(Finding::new(Code::CertificateUntrusted, name, "", short));
    let teller = Teller::new("Skype", Mode::Enforce, &routes).with_token("TOKEN");
    let alone = Teller::new("Skype", Mode::Enforce, &routes).without_request();
    let mut contradictions = Vec::new();
    let (mut met, mut advised) = (BTreeSet::new(), BTreeSet::new());
    for finding in found.iter().filter(|it| it.severity > Severity::Skipped) {
        let words = teller.tell(finding);
        let lines = words.found.join("; ");
        let code = finding.code;
        // Who holds a domain, and who has proven it, is of a request alone.
        if !matches!(code.entry().area, Area::Held | Area::Proof) {
            let Words { text, who, .. } = alone.tell(finding);
            for of_request in [
                "this request",
                "your request",
                "the request",
                "automatically",
            ] {
                let says = text.contains(of_request) || who.contains(of_request);
                assert!(!says, "{code:?}: {text} {who}");
            }
        }
        let has_reasons = REASONS.iter().any(|it| it.codes.contains(&code));
        let is_proof = code == Code::DomainUnproven && finding.severity == Severity::Unknown;
        let told = reasons(finding);
        // Those whose text says it all, where nothing else is met.
        let is_plain = [
            Code::HomedOnline,
            Code::RoutedToConsumer,
            Code::EdgeAlias,
            Code::CertificateName,
        ];
        let may_be_none = !has_reasons || is_proof || is_plain.contains(&code);
        assert!(!told.is_empty() || may_be_none, "{code:?}: {lines}");
        met.extend(told.iter().map(|it| (it.codes[0], it.found)));
        assert!(said(&told).iter().all(|it| words.text.contains(it)));
        for (place, (line, says, never)) in ADVICE.iter().enumerate() {
            // What stands in a line of another finding says nothing about this one.
            if !lines.contains(line) || !(has_reasons || code == Code::EdgeAlias) || is_proof {
                continue;
            }
            advised.insert(place);
            let text = &words.text;
            let wrong = never.iter().find(|words| text.contains(**words));
            if !text.contains(says) || wrong.is_some() {
                contradictions.push(format!("{code:?}: {lines}\n  {text}\n  {says:?} {wrong:?}"));
            }
        }
        // Nothing is ordered where nothing has to be.
        let order = words
            .lines
            .iter()
            .any(|it| it.line.starts_with("Request-Cs"));
        let mended = !told.is_empty() && told.iter().all(|it| it.keeps_certificate);
        assert!(!(order && mended), "{code:?}: {lines}");
    }
    assert!(contradictions.is_empty(), "{}", contradictions.join("\n"));
    let never: Vec<_> = (REASONS.iter())
        .filter(|it| !met.contains(&(it.codes[0], it.found)))
        .map(|it| (it.codes[0], it.found))
        .collect();
    assert!(never.is_empty(), "never met: {never:?}");
    let unused: Vec<_> = (0..ADVICE.len())
        .filter(|it| !advised.contains(it))
        .collect();
    assert!(unused.is_empty(), "{unused:?}");
}

/// A check of a domain alone: no edge was told, and a record that names none makes none.
#[test]
fn who_told_no_edge_is_told_of_none() {
    let domain = SipDomain::parse("contoso.com").unwrap();
    for target in [
        "sip.contoso.com.contoso.com",
        "contoso.com",
        "sip",
        "203.0.113.10",
        "edge01.contoso.local",
        "sip.outlook.com",
        ".",
        "contoso.onmicrosoft.com",
    ] {
        let facts = causes::leading_to(target);
        let found = domain::find_edge(&domain, &facts).unwrap_err();
        let teller = Teller::new("Skype", Mode::Enforce, &[]).without_request();
        let Words { title, text, .. } = teller.tell(&found[0]);
        assert!(!text.contains("named here"), "{target}: {text}");
        assert!(!text.contains("request the"), "{target}: {text}");
        assert!(!title.contains("the Access Edge"), "{target}: {title}");
    }
}
