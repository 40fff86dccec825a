//! What is said beside the text of a finding because of the words in a line that was found.
//!
//! A code stands for several causes: a port that does not answer and one that refuses TLS are both
//! `edge-unreachable`, and want different things done. The text of its [`Entry`](super::Entry) is true
//! for all of them; what a cause wants done stands here, so that no advice contradicts the line below
//! it. A test (`wording/tests/reasons.rs`) goes through all causes of all codes.

use super::Code;

/// What a cause wants done.
#[derive(Debug)]
pub struct Reason {
    /// The codes that it belongs to.
    pub codes: &'static [Code],
    /// Words of the line that tells of the cause; empty: none of the others is there.
    pub found: &'static str,
    /// What it means and what to do, sentences that follow the text of the code.
    pub text: &'static str,
    /// Whether it is mended without another certificate.
    pub keeps_certificate: bool,
}

const fn of(codes: &'static [Code], found: &'static str, text: &'static str) -> Reason {
    Reason {
        codes,
        found,
        text,
        keeps_certificate: false,
    }
}

const fn keeping(codes: &'static [Code], found: &'static str, text: &'static str) -> Reason {
    Reason {
        keeps_certificate: true,
        ..of(codes, found, text)
    }
}

const TARGET: &[Code] = &[Code::SrvTarget];
const RECORDS: &[Code] = &[Code::SrvTarget, Code::HomedOnline, Code::RoutedToConsumer];
const NO_DOT: &[Code] = &[Code::HomedOnline, Code::RoutedToConsumer, Code::EdgeAlias];
const MISSING: &[Code] = &[Code::SrvMissing];
const TOKEN: &[Code] = &[Code::DomainHeld, Code::DomainUnproven];
const HELD: &[Code] = &[Code::DomainHeld];
const LOOK_UP: &[Code] = &[Code::ResolverUnreachable];
const NO_ADDRESS: &[Code] = &[Code::EdgeNoAddress];
const REACH: &[Code] = &[Code::EdgeUnreachable, Code::EdgePartlyUnreachable];
const NO_ROUTE: &[Code] = &[Code::EdgeNoRoute];
const NAME: &[Code] = &[Code::CertificateName];
const WILDCARD: &[Code] = &[Code::CertificateWildcard];
const UNTRUSTED: &[Code] = &[Code::CertificateUntrusted];

const FIREWALL: &str = "Open the port at the firewall, and check that the Access Edge service runs and that the address is the one of its external interface.";
const BEHIND: &str = "The connection is accepted, but TLS does not begin: check that the Access Edge service runs, and that nothing in front of it answers in its place.";
const SETTINGS: &str = "The server answers and ends TLS: check that a certificate is assigned to its external interface, with its private key, and which versions and suites of TLS are enabled.";
const OUR_SIDE: &str = "The problem is most likely on our side.";
const NOT_LOOKED_UP: &str =
    "Whether the zone names this service could not be looked up: we check again automatically.";
const AUTHORITY: &str = "Ask a public authority for a certificate for the external interface, with the names below. Inside your network you can keep your own.";
const ABOVE: &str = "Your own certificate may stay. Install the intermediate certificates that its authority uses now on every Edge Server, remove the old ones, and restart the Access Edge service.";

/// All of them, those of a code in the order in which they are said.
pub static REASONS: &[Reason] = &[
    of(
        TARGET,
        "an IP address",
        "The record has an address where the name of the server belongs.",
    ),
    of(
        TARGET,
        "the name of a server belongs)",
        "Write the name there.",
    ),
    of(
        TARGET,
        "without the dot at its end",
        "Its target has no dot at the end in the zone file, or was typed in full where the console adds the domain, so the name of the zone was added to it.",
    ),
    of(
        TARGET,
        "without the dot at its end)",
        "Write the dot, or leave the domain out.",
    ),
    of(
        TARGET,
        "there is no such service",
        "A dot alone as the target says that the domain has no federation.",
    ),
    of(
        TARGET,
        "no name that a server can have",
        "Its target contains more than the name of a server.",
    ),
    of(TARGET, "a server can have)", "Write only the name there."),
    of(
        TARGET,
        "no server in it",
        "Its target is a domain, and partners need the name of a server.",
    ),
    of(
        TARGET,
        "no server in it)",
        "Write the full name of the Access Edge there.",
    ),
    of(
        TARGET,
        "a name without its domain",
        "Its target is a single word, and partners need the full name of the server.",
    ),
    of(
        TARGET,
        "without its domain)",
        "Write the full name of the Access Edge there, with the domain.",
    ),
    of(
        TARGET,
        "public DNS never has",
        "Its target has an ending that works only inside a network, so partners cannot look it up.",
    ),
    of(
        TARGET,
        "public DNS never has)",
        "Write the external name of the Access Edge there.",
    ),
    of(
        TARGET,
        "mail and personal accounts",
        "Its target is a server for mail or personal accounts, and no Access Edge.",
    ),
    of(
        TARGET,
        "mail and personal accounts)",
        "Write the full name of the Access Edge there.",
    ),
    of(
        TARGET,
        "",
        "If you are moving the domain: get the new Access Edge ready, publish its record, then remove the old one. We check again automatically, and the route switches as soon as we see the new record. If the record is right and the request is not, request the Access Edge that the record names.",
    ),
    of(
        NO_DOT,
        "without the dot at its end",
        "The dot at the end of its target is missing too, so the name of the zone was added to it.",
    ),
    of(
        RECORDS,
        "beside the right one",
        "The right record is there too, with the same priority number, and partners use one or the other: remove the wrong one.",
    ),
    of(
        TARGET,
        "(beside the right one)",
        "If the other server is meant too, give its record a higher priority number instead.",
    ),
    of(
        &[Code::SrvPort],
        "beside the right one",
        "The right record is there too, and partners use one or the other: remove the wrong one.",
    ),
    of(
        &[Code::SrvPort],
        "",
        "That is the wrong one. Publish the right record, then remove the old one.",
    ),
    of(
        MISSING,
        "CNAME",
        "Its name is an alias (CNAME) that leads to no such record. Remove the alias first: a name that is an alias can have no other record.",
    ),
    of(MISSING, "", "Publish it in the public zone of the domain."),
    of(
        TOKEN,
        "no TXT record",
        "There is no TXT record at that name yet.",
    ),
    of(
        TOKEN,
        "the token of this service is at",
        "It stands at another name, where it proves nothing: publish it at the name below, then remove the other one.",
    ),
    of(
        TOKEN,
        "nearly the token of this service",
        "A TXT record there is nearly the one below, with something missing, wrong or too much: correct it letter by letter.",
    ),
    of(
        TOKEN,
        "another service's token",
        "A TXT record there names another service. Remove it: a zone that names two services proves nothing.",
    ),
    of(
        TOKEN,
        "tokens of other services",
        "TXT records there name other services. Remove them: a zone that names two services proves nothing.",
    ),
    of(
        TOKEN,
        "no token",
        "The record there is a different one: compare it with the record below, letter by letter.",
    ),
    of(
        TOKEN,
        "servers have the token",
        "Some name servers of the zone have the record and others do not: wait until all of them have it, or check which one does not receive changes.",
    ),
    of(HELD, "no answer in time", NOT_LOOKED_UP),
    of(HELD, "the resolver", NOT_LOOKED_UP),
    of(HELD, "could not check", NOT_LOOKED_UP),
    of(HELD, "DNSSEC", NOT_LOOKED_UP),
    of(
        LOOK_UP,
        "no answer in time",
        "No server answered in time. If it stays like this, check that the name servers of the zone answer from the internet.",
    ),
    of(
        LOOK_UP,
        "cannot be reached",
        "The portal’s own resolver is not there, which says nothing about your zone. Those who run the portal correct it.",
    ),
    of(LOOK_UP, "REFUSED", OUR_SIDE),
    of(LOOK_UP, "cannot be read", OUR_SIDE),
    of(LOOK_UP, "does not look names up", OUR_SIDE),
    of(LOOK_UP, "does not understand", OUR_SIDE),
    of(
        LOOK_UP,
        "SERVFAIL",
        "A resolver could not find the answer. If it stays like this, check that the name servers of the zone answer from the internet.",
    ),
    of(
        LOOK_UP,
        "DNSSEC",
        "The signatures of the zone (DNSSEC) are not valid: resolvers that check them, like those of many partners, get no answer. Sign the zone again, or correct the DS record at the registrar.",
    ),
    of(
        NO_ADDRESS,
        "an alias (CNAME)",
        "Its name is an alias (CNAME) that leads to no address. Remove the alias, and publish the public address of the external interface in its place.",
    ),
    of(NO_ADDRESS, "", "Publish its public address."),
    of(REACH, "the connection is refused", FIREWALL),
    of(REACH, "there is no route to it", FIREWALL),
    of(REACH, "the connection timed out", FIREWALL),
    of(REACH, "it cannot be connected to", FIREWALL),
    of(REACH, "closes it at once", BEHIND),
    of(REACH, "and says nothing", BEHIND),
    of(
        REACH,
        "it does not speak TLS",
        "Another service answers on the port: check which one, and that the port is passed on to the Access Edge as it is.",
    ),
    of(
        REACH,
        "switch TLS 1.2 on",
        "The server answers with versions of TLS that partners no longer accept. Enable TLS 1.2 on every Edge Server, as its vendor describes. The firewall is not the problem.",
    ),
    of(REACH, "refuses the TLS handshake", SETTINGS),
    of(
        REACH,
        "it does not know the name of the Access Edge",
        "The server answers, and not for the name that partners ask for (SNI). Check that the address is the one of the Access Edge’s external interface, and which names are set up in what stands in front of it.",
    ),
    of(
        REACH,
        "it refuses whoever connects",
        "The server ends the connection because of who connects, and partners have to see its own certificate first. Check which addresses and certificates it accepts, and what stands in front of it.",
    ),
    of(REACH, "in the middle of the TLS handshake", SETTINGS),
    of(REACH, "does not finish it in time", SETTINGS),
    of(REACH, "its TLS handshake breaks off", SETTINGS),
    of(
        REACH,
        "does not prove that it holds the key",
        "A server shows a certificate whose private key it does not hold: import the certificate with its key, and assign it to the external interface again.",
    ),
    of(REACH, "nothing was heard", "We check again automatically."),
    of(
        NO_ROUTE,
        "no way to IPv6",
        "This portal has no IPv6, and those addresses are IPv6 addresses. Many partners have none either: publish an IPv4 address too.",
    ),
    of(
        NO_ROUTE,
        "",
        "Most likely the problem is on our side and will pass.",
    ),
    of(
        NAME,
        "stands in the subject alone",
        "The FQDN stands in the subject, which does not count here.",
    ),
    of(
        NAME,
        "an entry that is no DNS name",
        "One of its alternative names is not a name: write one name in each entry, without a space, a scheme or a dot at its end.",
    ),
    of(
        WILDCARD,
        "the subject is",
        "Its subject is a wildcard, although the FQDN is among its names.",
    ),
    of(
        WILDCARD,
        "",
        "The FQDN is not among its names: only a wildcard matches it.",
    ),
    of(UNTRUSTED, "it is signed by itself", AUTHORITY),
    of(
        UNTRUSTED,
        "it leads to a root that is not trusted",
        AUTHORITY,
    ),
    keeping(
        UNTRUSTED,
        "an intermediate certificate is missing",
        "Install the intermediate certificates of your authority on every Edge Server, and restart the Access Edge service. If the root is one of your own, ask a public authority for a certificate instead.",
    ),
    keeping(UNTRUSTED, "a certificate above it has expired", ABOVE),
    keeping(UNTRUSTED, "a certificate above it is not valid yet", ABOVE),
    keeping(UNTRUSTED, "a certificate above it was signed with", ABOVE),
    keeping(UNTRUSTED, "a certificate above it has an RSA key", ABOVE),
    keeping(
        UNTRUSTED,
        "a signature on the way to the root does not fit",
        "Certificates that do not belong together are sent. Install those that your authority gave you with yours on every Edge Server, and remove all others of the same name.",
    ),
    of(
        UNTRUSTED,
        "it is signed with",
        "Ask your authority for a new one, signed with SHA-256, with the names below.",
    ),
    of(
        UNTRUSTED,
        "its RSA key of",
        "Ask your authority for a new one with a longer key, with the names below.",
    ),
    of(
        UNTRUSTED,
        "server authentication is not among",
        "Ask for a certificate for servers and clients, with the names below.",
    ),
    of(
        UNTRUSTED,
        "an authority above it may not issue it",
        "Ask an authority that may for a certificate with the names below.",
    ),
    of(
        UNTRUSTED,
        "it cannot be read",
        "Import it again; if that does not help, ask your authority for a new one with the names below.",
    ),
];
