//! Which facts does the DNS give? Plain data, so that whoever judges them can be tested with tables.

use std::{fmt, net::IpAddr, time::Duration};

use crate::names::SipDomain;

/// In front of a SIP domain: the owner name of its SRV record.
pub const SRV_PREFIX: &str = "_sipfederationtls._tcp";
/// What the TXT record says before the token.
pub const TOKEN_KEY: &str = "pic-service=";

/// Why somebody who was asked gave no answer that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing came in time.
    Silent,
    /// It does not answer us (REFUSED).
    Refused,
    /// It could not find out (SERVFAIL and the like).
    Failed,
    /// What came cannot be read.
    Garbled,
    /// It answers for others' names what it does not know itself.
    Lame,
    /// None of the zone's own name servers gave an answer, and a resolver's word is not enough.
    Unanswered,
    /// The zone's own name servers are asked for so much that this has to wait.
    Busy,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Silent => "no answer in time",
            Self::Refused => "the resolver refuses to answer (REFUSED)",
            Self::Failed => "the resolver could not find out (SERVFAIL)",
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

/// One SRV record (RFC 2782). In the order in which they are used: priority number first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SrvRecord {
    /// Lower numbers first.
    pub priority: u16,
    /// Share among records of the same priority number.
    pub weight: u16,
    /// TCP port.
    pub port: u16,
    /// Lower case, no trailing dot, odd bytes as `\ddd`; `.` says that there is no such service.
    pub target: String,
}

/// What one server says at the SRV record's name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SrvAnswer {
    /// Whether the name, at the end of its CNAMEs, is there at all (no NXDOMAIN).
    pub exists: bool,
    /// Where CNAMEs lead, one after the other.
    pub aliases: Vec<String>,
    /// The CNAMEs lead in a circle.
    pub circular: bool,
    /// All records, sorted, each once.
    pub records: Vec<SrvRecord>,
    /// How long resolvers may remember that there are none (RFC 2308), where that is known.
    pub remembered: Option<Duration>,
}

/// Who said what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerAnswer {
    /// Name of the authoritative server; none: a resolver answered.
    pub server: Option<String>,
    /// What it says.
    pub answer: SrvAnswer,
}

/// SRV records at a name that nobody asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variant {
    /// The wrong name, without trailing dot.
    pub owner: String,
    /// What stands there; not empty.
    pub records: Vec<SrvRecord>,
}

/// What the DNS says of the route of a SIP domain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SrvFacts {
    /// All that answered, by name; empty: nobody did.
    pub answers: Vec<ServerAnswer>,
    /// Why nobody answered.
    pub trouble: Option<Trouble>,
    /// Misspelt records, looked for where a server has no right one.
    pub variants: Vec<Variant>,
}

impl SrvFacts {
    /// Nobody answered.
    #[must_use]
    pub const fn unanswered(trouble: Trouble) -> Self {
        Self {
            answers: Vec::new(),
            trouble: Some(trouble),
            variants: Vec::new(),
        }
    }

    /// The record's name would be longer than names may be: it is in no zone.
    pub(super) fn impossible() -> Self {
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

/// The names under which the record is published by mistake: what vendor pages printed
/// (`docs/field.md#dns-certificate-transport`), slips of the keyboard, and what becomes of a name
/// without a trailing dot in a zone file.
pub(super) fn misspelt(domain: &SipDomain) -> impl Iterator<Item = String> {
    let wrong = [
        "_sipfederationtls_tcp",
        "_sipfederationtls.tcp",
        "_sipfederationtls",
        "sipfederationtls._tcp",
        "_sipfederation._tcp",
        "_sipfederationtls._tls",
    ];
    let doubled = format!("{SRV_PREFIX}.{domain}.{domain}");
    wrong
        .into_iter()
        .map(move |wrong| format!("{wrong}.{domain}"))
        .chain([doubled])
}

/// The addresses of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Addresses {
    /// All that were found, A before AAAA; not empty.
    Found(Vec<IpAddr>),
    /// The resolver says that there are none.
    None {
        /// Whether the name, at the end of its CNAMEs, is there at all (no NXDOMAIN).
        exists: bool,
        /// How long resolvers may remember it (RFC 2308), where that is known.
        remembered: Option<Duration>,
    },
    /// It could not be found out.
    Unreachable(Trouble),
}

/// What the DNS says of an Access Edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressFacts {
    /// Its addresses.
    pub outcome: Addresses,
    /// Where CNAMEs lead, one after the other.
    pub aliases: Vec<String>,
}

impl AddressFacts {
    /// It could not be found out.
    #[must_use]
    pub const fn unreachable(trouble: Trouble) -> Self {
        Self {
            outcome: Addresses::Unreachable(trouble),
            aliases: Vec::new(),
        }
    }
}

/// What the owner of a domain says of a service. Holds nothing of what TXT records contain: that
/// may be anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenFacts {
    /// Every server that answered has this service's token and no other's.
    Proven,
    /// There is no TXT record at the name.
    Missing,
    /// There are others. The numbers are those of the server that has most.
    Other {
        /// Whether this service's token is among them; another's speaks against it.
        own: bool,
        /// Other services' tokens.
        services: usize,
        /// Records that are no tokens.
        unrelated: usize,
    },
    /// Some of the servers that answered have it, others do not.
    Disagree {
        /// Those that prove it.
        proving: usize,
        /// All that answered.
        answering: usize,
    },
    /// Nobody answered.
    Unreachable(Trouble),
}

impl TokenFacts {
    /// What the texts of the servers say together, one item a server.
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

    /// What the texts of one server say.
    fn one(texts: &[Vec<u8>], token: &str) -> Self {
        let said = |text: &Vec<u8>| text.strip_prefix(TOKEN_KEY.as_bytes()).map(<[u8]>::to_vec);
        let tokens: Vec<_> = texts.iter().filter_map(said).collect();
        let is_own = |said: &&Vec<u8>| said.as_slice() == token.as_bytes();
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

    /// What was found, in words, a line each; fit for a finding.
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
