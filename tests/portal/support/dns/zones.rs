//! The zones of a test server: their records, and the answers made from them.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, Ipv6Addr},
    sync::{Arc, Mutex},
};

use hickory_resolver::proto::{
    op::{Message, ResponseCode},
    rr::{
        Name, RData, Record, RecordType,
        rdata::{A, AAAA, CNAME, NS, SOA, SRV, TXT},
    },
};

/// The TTL of a server's answers, in seconds.
const TTL: u32 = 300;

/// The zones of one server. Clones share them, so a test can change what is being served.
#[derive(Clone, Default)]
pub(crate) struct Zones(Arc<Mutex<Held>>);

#[derive(Default)]
struct Held {
    /// The minimum of each zone's SOA record, in seconds.
    zones: BTreeMap<Name, u32>,
    records: BTreeMap<Name, Vec<RData>>,
}

/// The absolute name for `text`, whatever bytes are between its dots.
pub(crate) fn name(text: &str) -> Name {
    let labels = text.split('.').filter(|label| !label.is_empty());
    let mut name = Name::from_labels(labels.map(str::as_bytes)).unwrap();
    name.set_fqdn(true);
    name
}

/// Parses a record as in a zone file, without owner and class: `SRV 0 0 5061 sip.contoso.com`. All
/// names are absolute; a TXT record is one string, or several between bars.
fn data(text: &str) -> RData {
    let (kind, rest) = text.split_once(' ').unwrap();
    let words: Vec<_> = rest.split(' ').collect();
    match kind {
        "A" => RData::A(A(rest.parse::<Ipv4Addr>().unwrap())),
        "AAAA" => RData::AAAA(AAAA(rest.parse::<Ipv6Addr>().unwrap())),
        "CNAME" => RData::CNAME(CNAME(name(rest))),
        "NS" => RData::NS(NS(name(rest))),
        "TXT" => RData::TXT(TXT::new(rest.split('|').map(str::to_owned).collect())),
        "SRV" => {
            let number = |place: usize| words[place].parse().unwrap();
            RData::SRV(SRV::new(number(0), number(1), number(2), name(words[3])))
        }
        _ => panic!("no such record here: {text}"),
    }
}

impl Zones {
    /// Adds `zone`; `minimum` of its SOA record: how long a negative answer may be cached, in
    /// seconds.
    pub(crate) fn add(&self, zone: &str, minimum: u32) {
        self.0.lock().unwrap().zones.insert(name(zone), minimum);
    }

    /// Replaces all records at `owner`; without records, the name no longer exists.
    pub(crate) fn set(&self, owner: &str, records: &[impl AsRef<str>]) {
        let records: Vec<_> = records.iter().map(|text| data(text.as_ref())).collect();
        let mut held = self.0.lock().unwrap();
        if records.is_empty() {
            held.records.remove(&name(owner));
        } else {
            held.records.insert(name(owner), records);
        }
    }

    /// Adds the zone of a zone file: `$ORIGIN`, `$TTL`, and a record a line, each with its owner. Names
    /// without a dot at the end are below the origin, as they are for every server.
    pub(crate) fn load(&self, file: &str) {
        let mut origin = String::new();
        for line in file.lines().filter(|line| !line.is_empty()) {
            let words: Vec<_> = line.split_whitespace().collect();
            let whole = |name: &str| match name.strip_suffix('.') {
                Some(whole) => whole.to_owned(),
                None if name == "@" => origin.clone(),
                None => format!("{name}.{origin}"),
            };
            match words[..] {
                ["$ORIGIN", name] => {
                    origin = whole(name);
                    self.add(&origin, 300);
                }
                ["$TTL", _] | [_, "IN", "SOA", ..] => {}
                [owner, "IN", kind @ ("A" | "AAAA"), address] => {
                    self.set(&whole(owner), &[format!("{kind} {address}")]);
                }
                [owner, "IN", kind, ref numbers @ .., name] => {
                    let name = whole(name);
                    let words = [&[kind], numbers, &[name.as_str()]].concat();
                    let records = &mut self.0.lock().unwrap().records;
                    let at = records.entry(self::name(&whole(owner))).or_default();
                    at.push(data(&words.join(" ")));
                }
                _ => panic!("no record that is known here: {line}"),
            }
        }
    }

    /// Puts the answer into `message`; `false`: no zone of this server contains the name. CNAMEs
    /// are followed within its zones.
    pub(super) fn answer(&self, message: &mut Message, asked: &Name, kind: RecordType) -> bool {
        let held = self.0.lock().unwrap();
        let mut at = asked.clone();
        for hop in 0..20 {
            let Some((zone, minimum)) = held.zone_of(&at) else {
                return hop > 0;
            };
            let here = held.records.get(&at).map_or(&[][..], Vec::as_slice);
            let (zone, soa) = (zone.clone(), soa(zone, *minimum));
            let own = if kind == RecordType::SOA && zone == at {
                vec![soa.clone()]
            } else {
                let fits = |data: &&RData| data.record_type() == kind;
                let of = |data: &RData| Record::from_rdata(at.clone(), TTL, data.clone());
                here.iter().filter(fits).map(of).collect()
            };
            if !own.is_empty() {
                message.add_answers(own);
                return true;
            }
            let next = here.iter().find_map(|data| match data {
                RData::CNAME(cname) => Some(cname.0.clone()),
                _ => None,
            });
            let Some(next) = next else {
                let exists = zone == at || held.records.keys().any(|name| at.zone_of(name));
                if !exists {
                    message.metadata.response_code = ResponseCode::NXDomain;
                }
                message.add_authority(soa);
                return true;
            };
            let alias = RData::CNAME(CNAME(next.clone()));
            message.add_answer(Record::from_rdata(at, TTL, alias));
            at = next;
        }
        true
    }
}

impl Held {
    /// The innermost zone that contains `name`.
    fn zone_of(&self, name: &Name) -> Option<(&Name, &u32)> {
        self.zones
            .iter()
            .filter(|(zone, _)| zone.zone_of(name))
            .max_by_key(|(zone, _)| zone.num_labels())
    }
}

fn soa(zone: &Name, minimum: u32) -> Record {
    let (primary, person) = (name("ns1.dns.test"), name("hostmaster.dns.test"));
    let soa = SOA::new(primary, person, 1, 3600, 600, 86_400, minimum);
    Record::from_rdata(zone.clone(), minimum, RData::SOA(soa))
}
