//! Reads a DNS answer: CNAMEs, records, and whether the name exists.

use std::{net::IpAddr, time::Duration};

use hickory_resolver::proto::{
    op::{Message, ResponseCode},
    rr::{DNSClass, Name, RData, RecordType},
};

use super::{
    facts::{SrvAnswer, SrvRecord, Trouble},
    wire,
};

/// The most CNAMEs in a row that are followed.
pub(super) const MOST_ALIASES: usize = 16;

/// The content of an answer.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    /// The name at the end of the CNAMEs.
    pub(super) end: Name,
    /// The target of each CNAME.
    pub(super) aliases: Vec<Name>,
    /// Whether the CNAMEs lead in a circle, or are too many.
    pub(super) circular: bool,
    /// Whether `end` exists.
    pub(super) exists: bool,
    /// The data of the records of the right type at `end`.
    pub(super) records: Vec<RData>,
    /// The zone of the SOA record in the answer.
    pub(super) zone: Option<Name>,
    /// How long a negative answer may be cached (RFC 2308, 5).
    pub(super) remembered: Option<Duration>,
}

impl Reply {
    /// Reads the answer to a query for `kind` records at `name`.
    pub(super) fn read(message: &Message, name: &Name, kind: RecordType) -> Result<Self, Trouble> {
        let exists = match message.response_code {
            ResponseCode::NoError => true,
            ResponseCode::NXDomain => false,
            ResponseCode::Refused => return Err(Trouble::Refused),
            ResponseCode::ServFail => return Err(Trouble::Failed),
            _ => return Err(Trouble::Puzzled),
        };
        let answers = || {
            let ours = |record: &&_| is_internet(record);
            message.answers.iter().filter(ours)
        };
        let (mut end, mut aliases, mut circular) = (name.clone(), Vec::new(), false);
        while let Some(next) = answers().find_map(|record| match &record.data {
            RData::CNAME(cname) if record.name == end => Some(&cname.0),
            _ => None,
        }) {
            circular = next == name || aliases.contains(next) || aliases.len() >= MOST_ALIASES;
            if circular {
                break;
            }
            aliases.push(next.clone());
            end = next.clone();
        }
        let soa = answers()
            .chain(message.authorities.iter().filter(|r| is_internet(r)))
            .find_map(|record| match &record.data {
                RData::SOA(soa) => Some((&record.name, record.ttl.min(soa.minimum))),
                _ => None,
            });
        let records: Vec<_> = answers()
            // Records at a name that does not exist prove nothing.
            .filter(|record| exists && record.name == end && record.record_type() == kind)
            .map(|record| record.data.clone())
            .collect();
        let knows = message.authoritative || message.recursion_available;
        if records.is_empty() && aliases.is_empty() && !knows {
            // A referral to other servers is no negative answer.
            return Err(Trouble::Lame);
        }
        Ok(Self {
            end,
            aliases,
            circular,
            exists,
            records,
            zone: soa.map(|(zone, _)| zone.clone()),
            remembered: soa.map(|(_, seconds)| Duration::from_secs(seconds.into())),
        })
    }

    /// Whether the CNAMEs lead to a name that is not in the answer.
    pub(super) fn is_open(&self) -> bool {
        let moved = !self.aliases.is_empty() && !self.circular;
        moved && self.exists && self.records.is_empty() && self.zone.is_none()
    }

    /// This answer, continued with what is known about [`end`](Self::end).
    pub(super) fn followed(self, rest: Self, name: &Name) -> Self {
        let mut aliases = self.aliases;
        let again = |next: &Name| next == name || aliases.contains(next);
        let circular = rest.circular || rest.aliases.iter().any(again);
        let more = rest.aliases.into_iter();
        aliases.extend(more.take(MOST_ALIASES.saturating_sub(aliases.len())));
        Self {
            aliases,
            circular,
            ..rest
        }
    }

    /// The SRV records, with the rest of the answer.
    pub(super) fn into_srv(self) -> SrvAnswer {
        let mut records: Vec<_> = self
            .records
            .iter()
            .filter_map(|data| match data {
                RData::SRV(srv) => Some(SrvRecord {
                    priority: srv.priority,
                    weight: srv.weight,
                    port: srv.port,
                    target: wire::text(&srv.target),
                }),
                _ => None,
            })
            .collect();
        records.sort();
        records.dedup();
        SrvAnswer {
            exists: self.exists,
            aliases: self.aliases.iter().map(wire::text).collect(),
            circular: self.circular,
            remembered: self.remembered.filter(|_| records.is_empty()),
            records,
        }
    }

    /// The texts of the TXT records, the strings of each joined.
    pub(super) fn texts(&self) -> Vec<Vec<u8>> {
        let texts = self.records.iter().filter_map(|data| match data {
            RData::TXT(txt) => Some(txt.txt_data.concat()),
            _ => None,
        });
        texts.collect()
    }

    /// The names of the NS records.
    pub(super) fn servers(&self) -> impl Iterator<Item = &Name> {
        self.records.iter().filter_map(|data| match data {
            RData::NS(ns) => Some(&ns.0),
            _ => None,
        })
    }

    /// The addresses of A and AAAA records.
    pub(super) fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.records.iter().filter_map(RData::ip_addr)
    }
}

fn is_internet(record: &hickory_resolver::proto::rr::Record) -> bool {
    record.dns_class == DNSClass::IN
}
