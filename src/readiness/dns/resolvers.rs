//! Queries the resolvers.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use futures_util::{
    future::join,
    stream::{FuturesUnordered, StreamExt as _},
};
use hickory_resolver::proto::rr::{Name, RecordType};
use tokio::time::sleep;

use super::{
    ask::{Limits, Question, ask},
    facts::{AddressFacts, Addresses, Trouble},
    reply::{MOST_ALIASES, Reply},
    wire,
};

/// The next resolver is queried too after this time, or at once when one fails.
const HEAD_START: Duration = Duration::from_millis(500);
/// The most resolvers that are queried, as by the system itself (`resolv.conf(5)`).
const MOST_RESOLVERS: usize = 3;
/// The most addresses of a host that are used.
const MOST_ADDRESSES: usize = 32;

/// The resolvers to query, the preferred one first.
#[derive(Clone, Debug)]
pub(super) struct Resolvers {
    servers: Arc<[SocketAddr]>,
    limits: Limits,
}

impl Resolvers {
    pub(super) fn new(servers: Arc<[SocketAddr]>, limits: Limits) -> Self {
        Self { servers, limits }
    }

    /// The `kind` records of `name`, at the end of its CNAMEs.
    pub(super) async fn look_up(&self, name: &Name, kind: RecordType) -> Result<Reply, Trouble> {
        let mut reply = self.asked(name, kind).await?;
        for _ in 0..MOST_ALIASES {
            if !reply.is_open() {
                return Ok(reply);
            }
            let rest = self.asked(&reply.end, kind).await?;
            reply = reply.followed(rest, name);
        }
        reply.circular = true;
        Ok(reply)
    }

    /// The first answer of any resolver.
    async fn asked(&self, name: &Name, kind: RecordType) -> Result<Reply, Trouble> {
        let question = Question {
            name,
            kind,
            recursive: true,
            unchecked: false,
        };
        let one = |server: SocketAddr| self.one(server, question);
        let mut others = self.servers.iter().copied().take(MOST_RESOLVERS);
        let mut asked = FuturesUnordered::new();
        let mut trouble = Trouble::Silent;
        asked.extend(others.next().map(one));
        loop {
            let waiting = others.len() > 0;
            tokio::select! {
                answer = asked.next() => match answer {
                    Some(Ok(reply)) => return Ok(reply),
                    Some(Err(fault)) => {
                        if trouble != Trouble::Bogus {
                            trouble = fault;
                        }
                        asked.extend(others.next().map(one));
                    }
                    None => return Err(trouble),
                },
                () = sleep(HEAD_START), if waiting => asked.extend(others.next().map(one)),
            }
        }
    }

    /// The answer of one resolver. Where it cannot find out, it is asked not to check signatures: if
    /// it knows the answer then, and fails again with them, it is the signatures that do not hold.
    async fn one(&self, server: SocketAddr, question: Question<'_>) -> Result<Reply, Trouble> {
        let asked = |question| async move {
            let message = ask(server, question, self.limits, None).await?;
            Reply::read(&message, question.name, question.kind)
        };
        let reply = asked(question).await;
        if !matches!(reply, Err(Trouble::Failed)) {
            return reply;
        }
        let unchecked = Question {
            unchecked: true,
            ..question
        };
        if asked(unchecked).await.is_err() {
            return reply;
        }
        match asked(question).await {
            Err(Trouble::Failed) => Err(Trouble::Bogus),
            // It had failed for a moment.
            reply => reply,
        }
    }

    /// The addresses of `name`. If one family cannot be looked up, the other is enough, and that is told.
    pub(super) async fn addresses(&self, name: &Name) -> AddressFacts {
        let (v4, v6) = join(
            self.look_up(name, RecordType::A),
            self.look_up(name, RecordType::AAAA),
        )
        .await;
        let mut found = Vec::new();
        for address in [&v4, &v6].into_iter().flatten().flat_map(Reply::addresses) {
            if !found.contains(&address) && found.len() < MOST_ADDRESSES {
                found.push(address);
            }
        }
        let of = |reply: &Reply| reply.aliases.iter().map(wire::text).collect();
        let aliases = [&v4, &v6].into_iter().flatten().map(of).next();
        let missed = match (&v4, &v6) {
            _ if found.is_empty() => None,
            (Err(trouble), _) => Some(("A", *trouble)),
            (_, Err(trouble)) => Some(("AAAA", *trouble)),
            _ => None,
        };
        let outcome = match (found.is_empty(), v4, v6) {
            (false, _, _) => Addresses::Found(found),
            (true, Ok(v4), Ok(v6)) if v4.circular || v6.circular => Addresses::Circle,
            (true, Ok(v4), Ok(v6)) => Addresses::None {
                exists: v4.exists || v6.exists,
                remembered: v4.remembered.max(v6.remembered),
            },
            (true, Err(trouble), _) | (true, _, Err(trouble)) => Addresses::Unreachable(trouble),
        };
        AddressFacts {
            outcome,
            aliases: aliases.unwrap_or_default(),
            missed,
        }
    }
}
