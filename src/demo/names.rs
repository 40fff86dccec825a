//! The name server of the demonstration: it answers by UDP on a loopback address, from zones in memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hickory_resolver::proto::{
    op::{Message, Query, ResponseCode},
    rr::{
        Name, RData, Record,
        rdata::{A, SOA, SRV, TXT},
    },
};
use tokio::net::UdpSocket;

/// For how long answers are kept, in seconds: short, because records are put right while people look.
const TTL: u32 = 5;

/// The name server. Clones are the same one; it runs as long as the process.
#[derive(Clone, Debug)]
pub struct Names {
    /// Where it listens.
    pub address: SocketAddr,
    held: Arc<Mutex<Held>>,
}

#[derive(Debug, Default)]
struct Held {
    zones: BTreeSet<Name>,
    records: BTreeMap<Name, RData>,
}

impl Names {
    /// Starts it on a free port.
    ///
    /// # Errors
    ///
    /// Those of listening.
    pub async fn start() -> io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let names = Self {
            address: socket.local_addr()?,
            held: Arc::default(),
        };
        tokio::spawn(names.clone().serve(socket));
        Ok(names)
    }

    /// Adds a zone.
    pub fn add_zone(&self, domain: &str) {
        self.held().zones.insert(name(domain));
    }

    /// Publishes a record at `owner`, instead of any that is there: `A 127.0.0.1`, `SRV 0 0 5061
    /// sip.contoso.com` or `TXT text`. What is none of these is not published.
    pub fn set(&self, owner: &str, record: &str) {
        if let Some(data) = data(record) {
            self.held().records.insert(name(owner), data);
        }
    }

    /// Takes the record at `owner` away.
    pub fn clear(&self, owner: &str) {
        self.held().records.remove(&name(owner));
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn serve(self, socket: UdpSocket) {
        let mut buffer = vec![0; 4096];
        loop {
            // An error is of one client, which asks again.
            let Ok((length, from)) = socket.recv_from(&mut buffer).await else {
                continue;
            };
            if let Some(reply) = self.reply(&buffer[..length]) {
                let _ = socket.send_to(&reply, from).await;
            }
        }
    }

    fn reply(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let request = Message::from_vec(bytes).ok()?;
        let query = request.queries.first()?;
        let mut answer = Message::response(request.id, request.op_code);
        answer.metadata.recursion_desired = request.recursion_desired;
        answer.metadata.recursion_available = true;
        answer.add_query(query.clone());
        answer.edns.clone_from(&request.edns);
        self.fill(&mut answer, query);
        answer.to_vec().ok()
    }

    fn fill(&self, answer: &mut Message, query: &Query) {
        let (asked, held) = (query.name().to_lowercase(), self.held());
        let here = held.records.get(&asked);
        if let Some(data) = here.filter(|data| data.record_type() == query.query_type()) {
            answer.add_answer(Record::from_rdata(asked, TTL, data.clone()));
            return;
        }
        let exists =
            held.zones.contains(&asked) || held.records.keys().any(|owner| asked.zone_of(owner));
        if !exists {
            answer.metadata.response_code = ResponseCode::NXDomain;
        }
        let zone = held.zones.iter().find(|zone| zone.zone_of(&asked));
        let zone = zone.cloned().unwrap_or_else(Name::root);
        let (primary, person) = (name("ns.demo.test"), name("hostmaster.demo.test"));
        let soa = SOA::new(primary, person, 1, 3600, 600, 86_400, TTL);
        answer.add_authority(Record::from_rdata(zone, TTL, RData::SOA(soa)));
    }
}

/// The absolute name for `text`; the root for what is no name.
fn name(text: &str) -> Name {
    let mut name = Name::from_ascii(text).unwrap_or_else(|_| Name::root());
    name.set_fqdn(true);
    name
}

fn data(record: &str) -> Option<RData> {
    let (kind, rest) = record.split_once(' ')?;
    Some(match kind {
        "A" => RData::A(A(rest.parse().ok()?)),
        "TXT" => RData::TXT(TXT::new(vec![rest.to_owned()])),
        _ => {
            let target = rest.rsplit(' ').next()?;
            RData::SRV(SRV::new(0, 0, 5061, name(target)))
        }
    })
}
