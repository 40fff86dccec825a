//! The facts that DNS lookups return: plain data, so that judging them can be tested with tables.

use std::{fmt, net::IpAddr, time::Duration};

use crate::names::{
    SipDomain,
    typed::{is_invisible, is_quote},
};

/// The first labels of the name that has a SIP domain's SRV record.
pub const SRV_PREFIX: &str = "_sipfederationtls._tcp";
/// The text of the TXT record before the token.
pub const TOKEN_KEY: &str = "pic-service=";

/// Why a server gave no answer that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// There was no answer in time.
    Silent,
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
const MISSPELT: [(&str, &str); 13] = [
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
];

/// The names under which the record is published by mistake, and what is wrong with each: the
/// beginning, or that the zone's name stands behind it once more, as it does where a name in the
/// zone's file has no dot at its end.
pub(super) fn misspelt(domain: &SipDomain) -> impl Iterator<Item = (String, &'static str)> {
    let twice = "the domain stands there twice: a dot is missing at its end";
    let zones = [Some(domain.clone()), domain.apex()];
    let mut zones: Vec<_> = zones.into_iter().flatten().collect();
    zones.dedup();
    let doubled = zones
        .into_iter()
        .map(|zone| (format!("{SRV_PREFIX}.{domain}.{zone}"), twice))
        .collect::<Vec<_>>();
    MISSPELT
        .into_iter()
        .map(move |(wrong, slip)| (format!("{wrong}.{domain}"), slip))
        .chain(doubled)
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
}

impl AddressFacts {
    /// The facts when the lookup failed.
    #[must_use]
    pub const fn unreachable(trouble: Trouble) -> Self {
        Self {
            outcome: Addresses::Unreachable(trouble),
            aliases: Vec::new(),
        }
    }
}

/// The token in the text of a TXT record. White space and quotation marks around it, or around all of
/// it, are put there by panels and people, and prove nothing less.
fn token_in(text: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(text);
    let around = |c: char| c.is_whitespace() || is_invisible(c) || is_quote(c) || c == '\\';
    let token = text.trim_matches(around).strip_prefix(TOKEN_KEY)?;
    Some(token.trim_matches(around).to_owned())
}

/// Whether the owner of a domain names a service. Contains nothing of the TXT records, which may
/// contain anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenFacts {
    /// Every server that answered has this service's token and no other's.
    Proven,
    /// There is no TXT record at the name.
    Missing,
    /// There are other records. The numbers are those of the server that has most.
    Other {
        /// Whether this service's token is among them; another service's token contradicts it.
        own: bool,
        /// How many tokens of other services.
        services: usize,
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
                    unrelated,
                    ..
                } => (2, *services, *unrelated),
                Self::Missing => (1, 0, 0),
                Self::Proven | Self::Disagree { .. } | Self::Unreachable(_) => (0, 0, 0),
            })
            .unwrap_or(Self::Unreachable(Trouble::Silent))
    }

    /// The result from the texts of one server.
    fn one(texts: &[Vec<u8>], token: &str) -> Self {
        let tokens: Vec<_> = texts.iter().filter_map(|text| token_in(text)).collect();
        let is_own = |said: &&String| said.as_str() == token;
        let own = tokens.iter().any(|said| is_own(&said));
        let services = tokens.iter().filter(|said| !is_own(said)).count();
        match (texts.is_empty(), own, services) {
            (true, _, _) => Self::Missing,
            (false, true, 0) => Self::Proven,
            (false, own, services) => Self::Other {
                own,
                services,
                unrelated: texts.len() - tokens.len(),
            },
        }
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
            Self::Other {
                own,
                services,
                unrelated,
            } => [
                own.then(|| "the token of this service".to_owned()),
                counted(
                    *services,
                    "another service's token",
                    "tokens of other services",
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
