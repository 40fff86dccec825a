//! Queries the authoritative servers of a zone.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
};

use futures_util::{
    future::join_all,
    stream::{FuturesUnordered, StreamExt as _},
};
use hickory_resolver::proto::rr::{Name, RecordType};
use tokio::time::{Instant, timeout_at};

use super::{
    ask::{Limits, Question, ask},
    facts::{Addresses, Trouble},
    reply::Reply,
    resolvers::Resolvers,
    spare::{Spare, Urgency},
    wire,
};
use crate::readiness::net::Reach;

/// The most servers of a zone that are queried.
const MOST_SERVERS: usize = 8;
/// The most steps in which a zone is searched.
const MOST_STEPS: usize = 8;

/// A server of a zone: its name, and the addresses that no earlier server has.
type Server = (String, Vec<SocketAddr>);

/// The answers of a zone's own servers.
#[derive(Debug, Default)]
pub(super) struct Own {
    /// By the server's name, without servers that are lame, do not answer, or are not queried now.
    pub(super) replies: BTreeMap<String, Reply>,
    /// Servers that were not queried, because they are over their query limit.
    pub(super) busy: Vec<Server>,
}

/// Finds a zone's authoritative servers and queries all of them.
#[derive(Clone)]
pub(super) struct Authorities {
    resolvers: Resolvers,
    port: u16,
    reach: Reach,
    limits: Limits,
    spare: Spare,
}

impl Authorities {
    pub(super) fn new(resolvers: Resolvers, port: u16, reach: Reach, limits: Limits) -> Self {
        Self {
            resolvers,
            port,
            reach,
            limits,
            spare: Spare::new(),
        }
    }

    /// The answer of each server of the zone that contains `name`.
    pub(super) async fn look_up(
        &self,
        name: &Name,
        kind: RecordType,
        urgency: Urgency,
        deadline: Instant,
    ) -> Own {
        match timeout_at(deadline, self.servers(name)).await {
            Ok(Some(servers)) => self.ask(servers, name, kind, urgency, deadline).await,
            Ok(None) | Err(_) => Own::default(),
        }
    }

    /// The answers of `servers`, until `deadline`.
    pub(super) async fn ask(
        &self,
        servers: Vec<Server>,
        name: &Name,
        kind: RecordType,
        urgency: Urgency,
        deadline: Instant,
    ) -> Own {
        let mut own = Own::default();
        let mut asked: FuturesUnordered<_> = servers
            .into_iter()
            .map(|(server, addresses)| async move {
                let reply = self.one(&addresses, name, kind, urgency).await;
                (server, addresses, reply)
            })
            .collect();
        while let Ok(Some((server, addresses, reply))) = timeout_at(deadline, asked.next()).await {
            match reply {
                Ok(reply) => {
                    own.replies.insert(server, reply);
                }
                Err(Trouble::Busy) => own.busy.push((server, addresses)),
                Err(_) => {}
            }
        }
        own
    }

    /// The names and addresses of the servers of the zone that contains `name`.
    async fn servers(&self, name: &Name) -> Option<Vec<Server>> {
        let zone = self.zone(name).await?;
        let reply = self.resolvers.look_up(&zone, RecordType::NS).await.ok()?;
        let mut names: Vec<_> = reply.servers().collect();
        names.sort_unstable();
        names.dedup();
        names.truncate(MOST_SERVERS);
        let found = join_all(names.iter().map(|name| self.resolvers.addresses(name))).await;
        let mut seen = BTreeSet::new();
        let servers = names.iter().zip(found).filter_map(|(name, facts)| {
            let Addresses::Found(all) = facts.outcome else {
                return None;
            };
            // One address of each family, as they belong to the same server. And each address once,
            // however many names have it.
            let mut ways = Vec::new();
            for is_v4 in [true, false] {
                let allowed = |ip: &&_| self.reach.allows(**ip);
                let of_family = all.iter().filter(|ip| ip.is_ipv4() == is_v4);
                ways.extend(of_family.clone().find(allowed).copied());
            }
            let ways: Vec<_> = ways
                .into_iter()
                .filter(|ip| seen.insert(*ip))
                .map(|ip| SocketAddr::new(ip, self.port))
                .collect();
            (!ways.is_empty()).then(|| (wire::text(name), ways))
        });
        Some(servers.collect())
    }

    /// The zone that contains `name`. It may begin above the SIP domain or below it, and CNAMEs
    /// lead into other zones, so the search goes label by label.
    async fn zone(&self, name: &Name) -> Option<Name> {
        let mut at = name.clone();
        for _ in 0..MOST_STEPS {
            if at.is_root() {
                break;
            }
            match self.resolvers.look_up(&at, RecordType::SOA).await {
                Ok(reply) => {
                    let is_own = |zone: &Name| !zone.is_root() && zone.zone_of(&at);
                    let zone = reply.zone.filter(is_own);
                    if reply.aliases.is_empty() && zone.is_some() {
                        return zone;
                    }
                }
                Err(Trouble::Silent | Trouble::Closed | Trouble::Bogus) => return None,
                Err(_) => {}
            }
            at = at.base_name();
        }
        None
    }

    /// The answer of one server, from any of its addresses.
    async fn one(
        &self,
        addresses: &[SocketAddr],
        name: &Name,
        kind: RecordType,
        urgency: Urgency,
    ) -> Result<Reply, Trouble> {
        let sparing = Some((&self.spare, urgency));
        let question = Question {
            name,
            kind,
            recursive: false,
            unchecked: false,
        };
        let mut trouble = Trouble::Silent;
        for &address in addresses {
            match ask(address, question, self.limits, sparing).await {
                Ok(message) if message.authoritative => {
                    let reply = Reply::read(&message, name, kind)?;
                    if !reply.is_open() {
                        return Ok(reply);
                    }
                    // The CNAME leads into a zone of other servers.
                    let rest = self.resolvers.look_up(&reply.end, kind).await?;
                    return Ok(reply.followed(rest, name));
                }
                Ok(_) => trouble = Trouble::Lame,
                // Later it may answer at this address.
                Err(Trouble::Busy) => return Err(Trouble::Busy),
                Err(fault) => trouble = fault,
            }
        }
        Err(trouble)
    }
}
