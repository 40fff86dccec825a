//! The facts that DNS lookups return: plain data, so that judging them can be tested with tables.

use std::{fmt, net::IpAddr, time::Duration};

use super::token::{Said, TOKEN_PREFIX};
use crate::names::SipDomain;

/// The first labels of the name that has a SIP domain's SRV record.
pub const SRV_PREFIX: &str = "_sipfederationtls._tcp";

/// Why a server gave no answer that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// There was no answer in time.
    Silent,
    /// It cannot be reached: its port is closed, or there is no way to it.
    Closed,
    /// It refuses to answer us (REFUSED).
    Refused,
    /// It could not find out (SERVFAIL).
    Failed,
    /// It could not find out, because the zone's signatures do not hold: without checking them it
    /// answers (DNSSEC).
    Bogus,
    /// It does not understand the question (FORMERR, NOTIMP and the like).
    Puzzled,
    /// Its answer cannot be parsed.
    Garbled,
    /// It is not authoritative for the zone (lame).
    Lame,
    /// None of the zone's own name servers answered, and a resolver's answer is not enough.
    Unanswered,
    /// The zone's own name servers are over their query limit, so this has to wait.
    Busy,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Silent => "no answer in time",
            Self::Closed => "the resolver that this portal asks cannot be reached",
            Self::Refused => "the resolver refuses to answer (REFUSED)",
            Self::Failed => "the resolver could not find out (SERVFAIL)",
            Self::Bogus => {
                "the zone's DNSSEC signatures do not hold: a resolver that checks them answers only \
                 when it is told not to"
            }
            Self::Puzzled => "the resolver does not understand the question",
            Self::Garbled => "the resolver's answer cannot be read",
            Self::Lame => "the resolver does not look names up for others",
            Self::Unanswered => {
                "could not check: none of the zone's own name servers gave an answer, and a \
                 resolver's answer alone does not prove ownership"
            }
            Self::Busy => {
                "could not check now: too many questions to the zone's name servers are waiting"
            }
        })
    }
}

/// One SRV record (RFC 2782). Ordered as they are used: by priority number first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SrvRecord {
    /// Lower numbers first.
    pub priority: u16,
    /// Share among records of the same priority number.
    pub weight: u16,
    /// TCP port.
    pub port: u16,
    /// Lower case, no trailing dot, what cannot be printed as `\ddd`; `.` means that there is no such
    /// service.
    pub target: String,
}

/// The answer of one server about the SRV record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SrvAnswer {
    /// Whether the name, at the end of its CNAMEs, exists (no NXDOMAIN).
    pub exists: bool,
    /// The targets of CNAMEs, one after the other.
    pub aliases: Vec<String>,
    /// Whether the CNAMEs lead in a circle.
    pub circular: bool,
    /// All records, sorted, each once.
    pub records: Vec<SrvRecord>,
    /// How long resolvers may cache that there are none (RFC 2308), where known.
    pub remembered: Option<Duration>,
}

/// An answer, and the server that gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerAnswer {
    /// Name of the authoritative server; `None`: a resolver answered.
    pub server: Option<String>,
    /// The answer itself.
    pub answer: SrvAnswer,
}

/// SRV records at a name that no partner queries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variant {
    /// The wrong name, without trailing dot.
    pub owner: String,
    /// What is wrong with it.
    pub slip: &'static str,
    /// The records at that name; not empty.
    pub records: Vec<SrvRecord>,
}

/// The SRV records of a SIP domain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SrvFacts {
    /// All answers, by the server's name; empty: none answered.
    pub answers: Vec<ServerAnswer>,
    /// Why no server answered.
    pub trouble: Option<Trouble>,
    /// Records at misspelt names, searched where a server has no right one.
    pub variants: Vec<Variant>,
}

impl SrvFacts {
    /// The facts when no server answered.
    #[must_use]
    pub const fn unanswered(trouble: Trouble) -> Self {
        Self {
            answers: Vec::new(),
            trouble: Some(trouble),
            variants: Vec::new(),
        }
    }

    /// The facts when the record's name would be longer than names may be: it is in no zone.
    pub(super) fn invalid() -> Self {
        Self {
            answers: vec![ServerAnswer {
                server: None,
                answer: SrvAnswer::default(),
            }],
            trouble: None,
            variants: Vec::new(),
        }
    }
}

/// Wrong beginnings of the record's name, and what is wrong with each: what vendor pages printed
/// (`docs/field.md#dns-certificate-transport`), what panels of DNS providers make of it, and slips of
/// the keyboard.
const MISSPELT: [(&str, &str); 23] = [
    ("_sipfederationtls_tcp", "no dot between the two words"),
    (
        "sipfederationtls_tcp",
        "no underscore in front, and no dot between the two words",
    ),
    ("_sipfederationtls.tcp", "an underscore is missing"),
    ("sipfederationtls._tcp", "an underscore is missing"),
    ("sipfederationtls.tcp", "both underscores are missing"),
    ("_sipfederationtls.__tcp", "an underscore too many"),
    ("__sipfederationtls._tcp", "an underscore too many"),
    ("__sipfederationtls.__tcp", "two underscores too many"),
    ("_sipfederationtls", "the second word, _tcp, is missing"),
    ("_sipfederationtls._tcp._tcp", "_tcp stands there twice"),
    ("_sipfederationtls._tls", "_tls in the place of _tcp"),
    ("_sipfederationtls._udp", "_udp in the place of _tcp"),
    ("_sipfederation._tcp", "tls is missing in the first word"),
    (
        "_sipfederationtls-tcp",
        "a hyphen in the place of the dot between the two words",
    ),
    (
        "_tcp._sipfederationtls",
        "the two words are the wrong way round",
    ),
    ("_sipfederationtsl._tcp", "two letters have changed places"),
    ("_sipfederatontls._tcp", "an i is missing in the first word"),
    ("_sipfederatiotls._tcp", "an n is missing in the first word"),
    ("_sipfederationstls._tcp", "an s too many in the first word"),
    (
        "_sip_federation_tls._tcp",
        "underscores inside the first word",
    ),
    ("_sip-federation-tls._tcp", "hyphens inside the first word"),
    (
        "_sipfederationtls._tcp.sip",
        "the name of a server, sip, in front of the domain",
    ),
    (
        "_sipfederationtls._tcp.www",
        "the name of a server, www, in front of the domain",
    ),
];

/// The names under which the record is published by mistake, and what is wrong with each: the
/// beginning, or that the zone's name stands behind it once more, as it does where a name in the
/// zone's file has no dot at its end.
pub(super) fn misspelt(domain: &SipDomain) -> impl Iterator<Item = (String, &'static str)> {
    let wrong = MISSPELT.into_iter();
    wrong
        .map(|(wrong, slip)| (format!("{wrong}.{domain}"), slip))
        .chain(doubled(SRV_PREFIX, domain))
        .collect::<Vec<_>>()
        .into_iter()
}

/// The names that `prefix` and the domain become where the name of the zone is put behind them once more.
fn doubled(prefix: &str, domain: &SipDomain) -> Vec<(String, &'static str)> {
    let twice = "the domain stands there twice: a dot is missing at its end";
    let zones = [Some(domain.clone()), domain.apex()];
    let mut zones: Vec<_> = zones.into_iter().flatten().collect();
    zones.dedup();
    let each = zones.into_iter();
    each.map(|zone| (format!("{prefix}.{domain}.{zone}"), twice))
        .collect()
}

/// Wrong beginnings of the name of the record that proves ownership, and what is wrong with each.
const MISPLACED: [(&str, &str); 5] = [
    ("_pic_portal", "an underscore where the hyphen belongs"),
    ("pic-portal", "the underscore in front is missing"),
    ("__pic-portal", "an underscore too many"),
    ("_picportal", "the hyphen is missing"),
    (
        "pic_portal",
        "an underscore where the hyphen belongs, and none in front",
    ),
];

/// The names under which the record that proves ownership is published by mistake, and what is wrong with
/// each.
pub(super) fn misplaced(domain: &SipDomain) -> impl Iterator<Item = (String, &'static str)> {
    let alone = (domain.to_string(), "_pic-portal in front is missing");
    let wrong = MISPLACED.into_iter();
    wrong
        .map(|(wrong, slip)| (format!("{wrong}.{domain}"), slip))
        .chain([alone])
        .chain(doubled(TOKEN_PREFIX, domain))
        .collect::<Vec<_>>()
        .into_iter()
}

/// The addresses of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Addresses {
    /// All that were found, A before AAAA; not empty.
    Found(Vec<IpAddr>),
    /// The resolver answered that there are none.
    None {
        /// Whether the name, at the end of its CNAMEs, exists (no NXDOMAIN).
        exists: bool,
        /// How long resolvers may cache that (RFC 2308), where known.
        remembered: Option<Duration>,
    },
    /// The resolver answered with CNAMEs that lead in a circle.
    Circle,
    /// The lookup failed.
    Unreachable(Trouble),
}

/// The addresses of an Access Edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressFacts {
    /// Its addresses, or why there are none.
    pub outcome: Addresses,
    /// The targets of CNAMEs, one after the other.
    pub aliases: Vec<String>,
    /// The kind of records, A or AAAA, that could not be looked up where those of the other kind were found.
    pub missed: Option<(&'static str, Trouble)>,
}

impl AddressFacts {
    /// The facts when the lookup failed.
    #[must_use]
    pub const fn unreachable(trouble: Trouble) -> Self {
        Self {
            outcome: Addresses::Unreachable(trouble),
            aliases: Vec::new(),
            missed: None,
        }
    }
}

/// Whether the owner of a domain names a service. Contains nothing of the TXT records, which may
/// contain anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenFacts {
    /// Every server that answered has this service's token and no other's.
    Proven,
    /// There is no TXT record at the name.
    Missing,
    /// There is none at the name, and this service's token stands at others: each, and what is wrong with
    /// it.
    Misplaced(Vec<(String, &'static str)>),
    /// There are other records. The numbers are those of the server that has most.
    Other {
        /// Whether this service's token is among them; another service's token contradicts it.
        own: bool,
        /// How many tokens of other services.
        services: usize,
        /// How many records that are nearly this service's token.
        near: usize,
        /// How many records that are no tokens.
        unrelated: usize,
    },
    /// Some of the servers that answered prove it, others do not.
    Disagree {
        /// How many prove it.
        proving: usize,
        /// How many answered.
        answering: usize,
    },
    /// No server answered.
    Unreachable(Trouble),
}

impl TokenFacts {
    /// The result from the texts of all servers, one item for each server.
    pub(super) fn of(servers: impl Iterator<Item = Vec<Vec<u8>>>, token: &str) -> Self {
        let all: Vec<_> = servers.map(|texts| Self::one(&texts, token)).collect();
        let proving = all.iter().filter(|one| **one == Self::Proven).count();
        if proving > 0 && proving < all.len() {
            let answering = all.len();
            return Self::Disagree { proving, answering };
        }
        all.into_iter()
            .max_by_key(|one| match one {
                Self::Other {
                    services,
                    near,
                    unrelated,
                    ..
                } => (2, *services, near + unrelated),
                Self::Missing | Self::Misplaced(_) => (1, 0, 0),
                Self::Proven | Self::Disagree { .. } | Self::Unreachable(_) => (0, 0, 0),
            })
            .unwrap_or(Self::Unreachable(Trouble::Silent))
    }

    /// The result from the texts of one server.
    fn one(texts: &[Vec<u8>], token: &str) -> Self {
        let said = texts.iter().map(|text| Said::of(text, token));
        let count = |is: fn(&Said) -> bool| said.clone().filter(is).count();
        let own = count(|it| *it == Said::Own) > 0;
        let others = count(|it| matches!(it, Said::Other | Said::Nearly { is_token: true }));
        match (texts.is_empty(), own, others) {
            (true, _, _) => Self::Missing,
            (false, true, 0) => Self::Proven,
            (false, own, _) => Self::Other {
                own,
                services: count(|it| *it == Said::Other),
                near: count(|it| matches!(it, Said::Nearly { .. })),
                unrelated: count(|it| *it == Said::Nothing),
            },
        }
    }

    /// Whether this service's token is among the texts of a server.
    pub(super) fn has_own(texts: &[Vec<u8>], token: &str) -> bool {
        texts.iter().any(|text| Said::of(text, token) == Said::Own)
    }

    /// What was found, in words, one line each, for a finding.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let counted = |n: usize, one: &str, more: &str| match n {
            0 => None,
            1 => Some(one.to_owned()),
            n => Some(format!("{n} {more}")),
        };
        match self {
            Self::Proven => vec!["the token of this service".to_owned()],
            Self::Missing => vec!["no TXT record at this name".to_owned()],
            Self::Misplaced(places) => {
                let place = |(owner, slip): &(String, &str)| {
                    format!("the token of this service is at {owner} ({slip})")
                };
                let none = ["no TXT record at this name".to_owned()].into_iter();
                none.chain(places.iter().map(place)).collect()
            }
            Self::Other {
                own,
                services,
                near,
                unrelated,
            } => [
                own.then(|| "the token of this service".to_owned()),
                counted(
                    *services,
                    "another service's token",
                    "tokens of other services",
                ),
                counted(
                    *near,
                    "a TXT record that is nearly the token of this service",
                    "TXT records that are nearly the token of this service",
                ),
                counted(
                    *unrelated,
                    "a TXT record that is no token",
                    "TXT records that are no tokens",
                ),
            ]
            .into_iter()
            .flatten()
            .collect(),
            Self::Disagree { proving, answering } => vec![format!(
                "{proving} of {answering} authoritative servers have the token of this service"
            )],
            Self::Unreachable(trouble) => vec![trouble.to_string()],
        }
    }
}
