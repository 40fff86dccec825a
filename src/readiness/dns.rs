//! Queries the DNS about SIP domains, Access Edges and proof of ownership.
//!
//! SRV and TXT records are queried at every authoritative server of their zone, so that a fix is
//! seen at once and servers that disagree are noticed. Where none of those can be reached from
//! here, and where a resolver is configured (`PIC_DNS`), the resolver's answer counts, except for
//! proof of ownership, which must come from the zone's own servers. Addresses come from the
//! resolver. Answers are not cached between lookups; which addresses were queried, and did not
//! answer, is remembered (`spare`). Nothing is logged, the hosts file is not read, and whatever the
//! network does, a lookup ends within [`Limits::look_up`].
//!
//! This module only returns facts: [`super::domain`] judges them
//! (`docs/field.md#dns-certificate-transport`).

mod ask;
mod authorities;
mod facts;
mod reply;
mod resolvers;
mod spare;
mod token;
mod wire;

use std::{collections::BTreeMap, fmt, io, net::SocketAddr, pin::pin, sync::Arc};

use futures_util::{
    future::{Either, join, ready, select},
    stream::{self, StreamExt as _},
};
use hickory_resolver::{
    proto::rr::{Name, RecordType},
    system_conf::read_system_conf,
};
use tokio::{
    net::lookup_host,
    time::{Instant, timeout_at},
};

pub use self::ask::Limits;
pub use self::facts::{
    AddressFacts, Addresses, SRV_PREFIX, ServerAnswer, SrvAnswer, SrvFacts, SrvRecord, TokenFacts,
    Trouble, Variant,
};
pub use self::token::{TOKEN_KEY, TOKEN_PREFIX};
use self::{authorities::Authorities, reply::Reply, resolvers::Resolvers, spare::Urgency};
use super::net::Reach;
use crate::names::{Fqdn, SipDomain};

/// How many wrong names are looked up at a time: each takes a socket.
const SIDE_BY_SIDE: usize = 8;

/// The port of authoritative servers.
const DNS_PORT: u16 = 53;

/// Why no resolver can be queried. Reveals nothing of the setting's contents.
#[derive(Debug, thiserror::Error)]
pub enum DnsError {
    /// `PIC_DNS` is no `host:port`, or the system does not know the host.
    #[error("the resolver to ask cannot be found: {0}")]
    Unknown(#[source] io::Error),
    /// The system knows the host, but no address of it.
    #[error("the resolver to ask has no address")]
    NoAddress,
    /// The system's list of resolvers cannot be read.
    #[error("the system's resolvers cannot be found out (is /etc/resolv.conf in order?)")]
    NoResolvers,
}

/// Queries the DNS. Cheap to clone.
#[derive(Clone)]
pub struct Dns {
    resolvers: Resolvers,
    /// Whether, and how, the zone's own servers are queried.
    authorities: Option<Authorities>,
    limits: Limits,
}

impl fmt::Debug for Dns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dns").finish_non_exhaustive()
    }
}

/// Which name servers answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answers {
    /// Whether the resolver does.
    pub resolver: Result<(), Trouble>,
    /// Whether a zone's own server does; `None`: they are not queried.
    pub authorities: Option<bool>,
}

/// The answers of all servers that answered, or why none did.
type Said = Result<Vec<(Option<String>, Reply)>, Trouble>;

impl Dns {
    /// Queries the resolver at `server`, `host:port` (`PIC_DNS`; the system resolves the host now),
    /// or, without one, the authoritative servers that the system's resolvers find.
    ///
    /// # Errors
    /// There is no resolver to query.
    pub async fn new(server: Option<&str>, reach: Reach) -> Result<Self, DnsError> {
        let limits = Limits::default();
        if let Some(server) = server {
            let found = lookup_host(server).await.map_err(DnsError::Unknown)?;
            let found: Vec<_> = found.collect();
            if found.is_empty() {
                return Err(DnsError::NoAddress);
            }
            return Ok(Self::asking(found, None, reach, limits));
        }
        let (system, _options) = read_system_conf().map_err(|_| DnsError::NoResolvers)?;
        let servers = system.name_servers.iter().flat_map(|server| {
            let ports = server.connections.iter().map(|connection| connection.port);
            ports.map(|port| SocketAddr::new(server.ip, port))
        });
        Ok(Self::asking(servers, Some(DNS_PORT), reach, limits))
    }

    /// As [`new`](Self::new), with everything given: the resolvers, the port on which the
    /// authoritative servers listen (`None`: they are not queried) and the limits. For tests, whose
    /// servers cannot have port 53.
    #[must_use]
    pub fn asking(
        resolvers: impl IntoIterator<Item = SocketAddr>,
        authorities: Option<u16>,
        reach: Reach,
        limits: Limits,
    ) -> Self {
        let mut servers = Vec::new();
        for server in resolvers {
            if !servers.contains(&server) {
                servers.push(server);
            }
        }
        let resolvers = Resolvers::new(Arc::from(servers), limits);
        let authorities =
            authorities.map(|port| Authorities::new(resolvers.clone(), port, reach, limits));
        Self {
            resolvers,
            authorities,
            limits,
        }
    }

    /// The SRV records of `_sipfederationtls._tcp.<domain>`; where a server has none, also those at
    /// names under which people publish them by mistake.
    pub async fn srv(&self, domain: &SipDomain) -> SrvFacts {
        let deadline = self.deadline();
        let Some(owner) = wire::name(&format!("{SRV_PREFIX}.{domain}")) else {
            return SrvFacts::invalid();
        };
        let answers: Vec<_> = match self.everyone(&owner, RecordType::SRV, deadline).await {
            Ok(said) => said
                .into_iter()
                .map(|(server, reply)| ServerAnswer {
                    server,
                    answer: reply.into_srv(),
                })
                .collect(),
            Err(trouble) => return SrvFacts::unanswered(trouble),
        };
        let variants = if answers.iter().any(|said| said.answer.records.is_empty()) {
            self.variants(domain, deadline).await
        } else {
            Vec::new()
        };
        SrvFacts {
            answers,
            trouble: None,
            variants,
        }
    }

    /// The addresses of `host`, at the end of its CNAMEs.
    pub async fn addresses(&self, host: &Fqdn) -> AddressFacts {
        let Some(name) = wire::name(host.as_str()) else {
            return AddressFacts::unreachable(Trouble::Garbled);
        };
        let look_up = self.resolvers.addresses(&name);
        timeout_at(self.deadline(), look_up)
            .await
            .unwrap_or_else(|_| AddressFacts::unreachable(Trouble::Silent))
    }

    /// Who answers at all, by names that always exist: the root's own, and that of `com`.
    pub async fn answers(&self) -> Answers {
        let resolver = self
            .resolver(&Name::root(), RecordType::NS, self.deadline())
            .await;
        let com = wire::name("com");
        let of_zone = match (&self.authorities, com) {
            (Some(authorities), Some(com)) => {
                let deadline = self.deadline();
                let own = authorities.look_up(&com, RecordType::SOA, Urgency::Now, deadline);
                Some(!own.await.replies.is_empty())
            }
            _ => None,
        };
        Answers {
            resolver: resolver.map(|_| ()),
            authorities: of_zone,
        }
    }

    /// Whether the owner of `domain` has published `pic-service=<token>` at `_pic-portal.<domain>`:
    /// every server that answers has this token there and no other service's. Unless a resolver is
    /// configured, only the zone's own servers count. Where there is no record, also where people publish
    /// it by mistake.
    pub async fn token(&self, domain: &SipDomain, token: &str) -> TokenFacts {
        let Some(owner) = wire::name(&format!("{TOKEN_PREFIX}.{domain}")) else {
            return TokenFacts::Missing;
        };
        let deadline = self.deadline();
        let facts = match self.owners(&owner, RecordType::TXT, deadline).await {
            Ok(said) => TokenFacts::of(said.iter().map(|(_server, reply)| reply.texts()), token),
            Err(trouble) => return TokenFacts::Unreachable(trouble),
        };
        if facts != TokenFacts::Missing {
            return facts;
        }
        let places = self.misplaced(domain, token, deadline).await;
        if places.is_empty() {
            facts
        } else {
            TokenFacts::Misplaced(places)
        }
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.limits.look_up
    }

    /// Queries the zone's servers and, at the same time, the resolver, whose answer counts where no
    /// zone server can be reached. Zone servers that are over their query limit are waited for if
    /// the resolver has no such record, because its answer may be old.
    async fn everyone(&self, name: &Name, kind: RecordType, deadline: Instant) -> Said {
        let resolver = pin!(self.resolver(name, kind, deadline));
        let of_resolver = |reply| vec![(None, reply)];
        let Some(authorities) = &self.authorities else {
            return resolver.await.map(of_resolver);
        };
        let own = pin!(authorities.look_up(name, kind, Urgency::Now, deadline));
        let (own, resolver) = match select(own, resolver).await {
            Either::Left((own, resolver)) => (own, Either::Left(resolver)),
            Either::Right((reply, own)) => (own.await, Either::Right(ready(reply))),
        };
        if !own.replies.is_empty() {
            return Ok(named(own.replies));
        }
        let of_others = resolver.await;
        if own.busy.is_empty() || of_others.as_ref().is_ok_and(|it| !it.records.is_empty()) {
            return of_others.map(of_resolver);
        }
        let until = Urgency::Until(deadline);
        let own = authorities.ask(own.busy, name, kind, until, deadline).await;
        if own.replies.is_empty() {
            return of_others.map(of_resolver);
        }
        Ok(named(own.replies))
    }

    /// Queries only the zone's own servers, unless a resolver is configured, which is trusted:
    /// proof of ownership is not accepted from others.
    async fn owners(&self, name: &Name, kind: RecordType, deadline: Instant) -> Said {
        let Some(authorities) = &self.authorities else {
            let reply = self.resolver(name, kind, deadline).await?;
            return Ok(vec![(None, reply)]);
        };
        let until = Urgency::Until(deadline);
        let (own, resolver) = join(
            authorities.look_up(name, kind, until, deadline),
            self.resolver(name, kind, deadline),
        )
        .await;
        if own.replies.is_empty() {
            // If the resolver failed, the zone's servers could not be found.
            resolver?;
            return Err(if own.busy.is_empty() {
                Trouble::Unanswered
            } else {
                Trouble::Busy
            });
        }
        Ok(named(own.replies))
    }

    /// The resolver's answer, until `deadline`.
    async fn resolver(
        &self,
        name: &Name,
        kind: RecordType,
        deadline: Instant,
    ) -> Result<Reply, Trouble> {
        timeout_at(deadline, self.resolvers.look_up(name, kind))
            .await
            .unwrap_or(Err(Trouble::Silent))
    }

    /// Those of the [misspelt names](facts::misspelt) that have SRV records. The resolver's answers
    /// are good enough: they only help to explain the error.
    async fn variants(&self, domain: &SipDomain, deadline: Instant) -> Vec<Variant> {
        let look_ups = facts::misspelt(domain).map(|(owner, slip)| async move {
            let reply = self.explained(&owner, RecordType::SRV, deadline).await?;
            let records = reply.into_srv().records;
            (!records.is_empty()).then_some(Variant {
                owner,
                slip,
                records,
            })
        });
        side_by_side(look_ups).await
    }

    /// Those of the [wrong names](facts::misplaced) that have the token, in the same way.
    async fn misplaced(
        &self,
        domain: &SipDomain,
        token: &str,
        deadline: Instant,
    ) -> Vec<(String, &'static str)> {
        let look_ups = facts::misplaced(domain).map(|(owner, slip)| async move {
            let reply = self.explained(&owner, RecordType::TXT, deadline).await?;
            TokenFacts::has_own(&reply.texts(), token).then_some((owner, slip))
        });
        side_by_side(look_ups).await
    }

    /// The resolver's answer about a wrong name.
    async fn explained(&self, owner: &str, kind: RecordType, deadline: Instant) -> Option<Reply> {
        let name = wire::name(owner)?;
        self.resolver(&name, kind, deadline).await.ok()
    }
}

/// What those of the look-ups find that find something, in their order.
async fn side_by_side<T>(
    look_ups: impl Iterator<Item = impl Future<Output = Option<T>>>,
) -> Vec<T> {
    let look_ups: Vec<_> = look_ups.collect();
    let mut found = stream::iter(look_ups).buffered(SIDE_BY_SIDE);
    let mut all = Vec::new();
    while let Some(one) = found.next().await {
        all.extend(one);
    }
    all
}

fn named(replies: BTreeMap<String, Reply>) -> Vec<(Option<String>, Reply)> {
    let named = |(server, reply)| (Some(server), reply);
    replies.into_iter().map(named).collect()
}
