//! A DNS record as people enter it: field by field, as a zone line, and as commands of DNS services.
//!
//! Commands are as the makers of the services document them. What only the reader knows is written
//! in capitals.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{
    Line,
    lines::{line, relative, zone_of},
};
use crate::{
    names::{AccessEdge, EdgeRoutes, Fqdn, SipDomain},
    readiness::{
        dns::{SRV_PREFIX, TOKEN_PREFIX},
        owner::record_value,
    },
};

/// A record to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The SIP domain that it is for.
    pub domain: Fqdn,
    /// The zone that most likely has it.
    zone: String,
    /// Its name inside the zone.
    name: String,
    /// How long it may be remembered, in seconds.
    ttl: u32,
    data: Data,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Data {
    /// Priority and weight 0, port 5061, and this target.
    Srv(AccessEdge),
    /// A text.
    Txt(String),
}

impl Record {
    /// The SRV record by which partners find `edge`.
    pub(super) fn srv(domain: &Fqdn, edge: &AccessEdge) -> Self {
        Self::of(domain, SRV_PREFIX, 3600, Data::Srv(edge.clone()))
    }

    /// The TXT record that names the service with this token.
    #[must_use]
    pub fn proof(domain: &Fqdn, token: &str) -> Self {
        Self::of(domain, TOKEN_PREFIX, 300, Data::Txt(record_value(token)))
    }

    fn of(domain: &Fqdn, owner: &str, ttl: u32, data: Data) -> Self {
        let (zone, rest) = zone_of(domain);
        Self {
            domain: domain.clone(),
            name: relative(owner, &rest),
            zone,
            ttl,
            data,
        }
    }

    /// The Access Edge that an SRV record names.
    #[must_use]
    pub fn edge(&self) -> Option<&AccessEdge> {
        match &self.data {
            Data::Srv(edge) => Some(edge),
            Data::Txt(_) => None,
        }
    }

    const fn kind(&self) -> &'static str {
        match self.data {
            Data::Srv(_) => "SRV",
            Data::Txt(_) => "TXT",
        }
    }

    /// The fields of a console, in the usual order, each with its name.
    #[must_use]
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        let mut fields = vec![("Name", self.name.clone()), ("Type", self.kind().into())];
        match &self.data {
            Data::Srv(edge) => fields.extend([
                ("Priority", "0".to_owned()),
                ("Weight", "0".into()),
                ("Port", "5061".into()),
                ("Target", edge.to_string()),
            ]),
            Data::Txt(text) => fields.push(("Text", text.clone())),
        }
        fields.push(("TTL", self.ttl.to_string()));
        fields
    }

    /// The zone, for the sentence before the fields.
    #[must_use]
    pub fn zone(&self) -> &str {
        &self.zone
    }

    /// The line for a zone file.
    #[must_use]
    pub fn zone_line(&self) -> String {
        let Self {
            zone, name, ttl, ..
        } = self;
        let data = match &self.data {
            Data::Srv(edge) => format!("0 0 5061 {edge}."),
            Data::Txt(text) => format!("\"{text}\""),
        };
        format!("{name}.{zone}. {ttl} IN {} {data}", self.kind())
    }

    /// The commands of DNS services that add it.
    #[must_use]
    pub fn commands(&self) -> [Line; 4] {
        let Self {
            zone, name, ttl, ..
        } = self;
        let kind = self.kind();
        let (value, cloudflare, azure) = match &self.data {
            Data::Srv(edge) => (
                format!("0 0 5061 {edge}."),
                format!(r#""data":{{"priority":0,"weight":0,"port":5061,"target":"{edge}"}}"#),
                format!("srv add-record --priority 0 --weight 0 --port 5061 --target '{edge}'"),
            ),
            // The quotation marks belong to the text, and JSON has its own.
            Data::Txt(text) => (
                format!(r#"\"{text}\""#),
                format!(r#""content":"\"{text}\"""#),
                format!("txt add-record --value '{text}'"),
            ),
        };
        [
            line(
                "nsupdate",
                format!("update add {}\nsend", self.zone_line().replace(" IN ", " ")),
            ),
            line(
                "AWS CLI, for Route 53",
                format!(
                    r#"aws route53 change-resource-record-sets --hosted-zone-id 'ZONE-ID' --change-batch '{{"Changes":[{{"Action":"UPSERT","ResourceRecordSet":{{"Name":"{name}.{zone}.","Type":"{kind}","TTL":{ttl},"ResourceRecords":[{{"Value":"{value}"}}]}}}}]}}'"#
                ),
            ),
            line(
                "curl, for Cloudflare",
                format!(
                    r#"curl 'https://api.cloudflare.com/client/v4/zones/ZONE-ID/dns_records' -H 'Authorization: Bearer API-TOKEN' -H 'Content-Type: application/json' -d '{{"type":"{kind}","name":"{name}.{zone}","ttl":{ttl},{cloudflare}}}'"#
                ),
            ),
            line(
                "Azure CLI",
                format!(
                    "az network dns record-set {azure} --resource-group 'RESOURCE-GROUP' --zone-name '{zone}' --record-set-name '{name}'"
                ),
            ),
        ]
    }
}

/// The SRV records of all domains in `routes`, as text for the files of their zones.
#[must_use]
pub fn zone_file(routes: &[EdgeRoutes]) -> String {
    let mut zones: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for EdgeRoutes { edge, domains } in routes {
        for domain in domains.iter().map(SipDomain::as_fqdn) {
            let record = Record::srv(domain, edge);
            let line = record.zone_line();
            zones.entry(record.zone).or_default().push(line);
        }
    }
    let mut file = "; SRV records for SIP federation, by zone\n".to_owned();
    for (zone, lines) in zones {
        // Writing to a String cannot fail.
        let _ = writeln!(file, "\n; {zone}\n{}", lines.join("\n"));
    }
    file
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// The JSON between quotation marks in the command of this service.
    fn json_of(record: &Record, service: &str) -> Value {
        let commands = record.commands();
        let command = commands.iter().find(|it| it.label.contains(service));
        let command = &command.unwrap().line;
        let json = command.split('\'').find(|part| part.starts_with('{'));
        serde_json::from_str(json.unwrap()).unwrap()
    }

    #[test]
    fn commands_carry_the_json_that_the_services_document() {
        let domain = Fqdn::parse("it.contoso.com").unwrap();
        let edge = AccessEdge::parse("sip.contoso.com").unwrap();
        let (srv, txt) = (Record::srv(&domain, &edge), Record::proof(&domain, "TOKEN"));
        let (srv_name, txt_name) = (
            "_sipfederationtls._tcp.it.contoso.com",
            "_pic-portal.it.contoso.com",
        );
        let srv_data =
            json!({ "priority": 0, "weight": 0, "port": 5061, "target": "sip.contoso.com" });
        assert_eq!(
            json_of(&srv, "Cloudflare"),
            json!({ "type": "SRV", "name": srv_name, "ttl": 3600, "data": srv_data })
        );
        let token = "\"pic-service=TOKEN\"";
        assert_eq!(
            json_of(&txt, "Cloudflare"),
            json!({ "type": "TXT", "name": txt_name, "ttl": 300, "content": token })
        );
        for (record, name, ttl, kind, value) in [
            (&srv, srv_name, 3600, "SRV", "0 0 5061 sip.contoso.com."),
            (&txt, txt_name, 300, "TXT", token),
        ] {
            let set = json!({
                "Name": format!("{name}."), "Type": kind, "TTL": ttl,
                "ResourceRecords": [{ "Value": value }],
            });
            let change = json!({ "Action": "UPSERT", "ResourceRecordSet": set });
            assert_eq!(json_of(record, "Route 53"), json!({ "Changes": [change] }));
        }
    }
}
