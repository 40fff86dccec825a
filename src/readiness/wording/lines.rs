//! The lines that fix a finding, with the real names filled in.
//!
//! Names are in their normal form and tokens in Crockford base32, so nothing has to be quoted.
//! Cmdlets and their parameters are as Microsoft documents them for Windows DNS and for the
//! management shell of Lync Server and Skype for Business Server.

use super::{Finding, Line, Record, Teller, reasons};
use crate::{
    names::{AccessEdge, EdgeRoutes, Fqdn, SipDomain, is_online_service},
    readiness::{
        catalogue::Line as Kind,
        dns::{SRV_PREFIX as SERVICE, TOKEN_PREFIX},
        owner::{record_name, record_value},
    },
};

const ZONE: &str = "Zone line";
const SHELL: &str = "PowerShell, on a Windows DNS server";
const SHELL_PARENT: &str = "PowerShell, on a Windows DNS server that has the parent zone";
const SHELL_REMOVE: &str = "PowerShell: then remove the old record";
const SHELL_ALIAS: &str = "PowerShell: first remove the alias";
const SHELL_MISSPELT: &str = "PowerShell: then remove the misspelt record";
const LOOK: &str = "Check it from outside";
const SERVERS: &str = "Show the name servers of the zone";
const CONNECT: &str = "Test it from outside, on Windows";
const HANDSHAKE: &str = "Test it from outside, with OpenSSL";
const DATES: &str = "Show its dates, with OpenSSL";
const NAMES: &str = "Names for the certificate";
const NAMES_FIRST: &str = "Names for the certificate, the first 100";
const ORDER: &str =
    "Create the certificate request (CSR), in the Management Shell on the Edge Server";

/// The most names of a certificate that are written out; few certificate authorities accept more.
const MOST_NAMES: usize = 100;

impl Teller<'_> {
    /// The lines of a finding that was checked.
    pub(super) fn lines(&self, finding: &Finding) -> Vec<Line> {
        let kinds = finding.code.entry().lines.iter();
        let reasons = reasons(finding);
        let keeps = !reasons.is_empty() && reasons.iter().all(|it| it.keeps_certificate);
        let order =
            |kind: &&Kind| matches!(kind, Kind::CertificateNames | Kind::CertificateRequest);
        kinds
            .filter(|kind| !(keeps && order(kind)))
            .flat_map(|kind| self.lines_of(*kind, finding))
            .collect()
    }

    /// The record that fixes the finding, if one does and its names are known.
    pub(super) fn record(&self, finding: &Finding) -> Option<Record> {
        let subject = &finding.subject;
        let kinds = finding.code.entry().lines;
        if kinds.contains(&Kind::SrvZone) {
            let home = self.homes.get(subject.as_str()).map(|of| &of.edge);
            let edge = home.filter(|edge| !is_online_service(edge.as_str()));
            return edge.map(|edge| Record::srv(subject, edge));
        }
        let token = self.token.filter(|_| kinds.contains(&Kind::Proof));
        token.map(|token| Record::proof(subject, token))
    }

    /// The lines of one kind; none if a name that it needs is not known.
    fn lines_of(&self, kind: Kind, finding: &Finding) -> Vec<Line> {
        let subject = &finding.subject;
        let home = self.homes.get(subject.as_str()).map(|of| &of.edge);
        // Nobody should publish a record that leads to the online service.
        let edge = home.filter(|edge| !is_online_service(edge.as_str()));
        let one = match kind {
            // Nobody can publish such a name in public DNS.
            Kind::AddressZone | Kind::AddressAdd if subject.is_never_public() => None,
            Kind::SrvZone => edge.map(|edge| line(ZONE, Record::srv(subject, edge).zone_line())),
            Kind::SrvRemove => edge.map(|edge| remove_others(subject, edge)),
            Kind::SrvAdd => edge.map(|edge| {
                let data = format!("-DomainName '{edge}' -Priority 0 -Weight 0 -Port 5061");
                add(subject, "Srv", SERVICE, &data)
            }),
            Kind::SrvLook => edge.map(|_| look(&format!("{SERVICE}.{subject}"), "SRV")),
            Kind::MisspeltRemove => return misspelt(finding),
            Kind::NameServers => Some(servers(subject)),
            Kind::AskOneServer => Some(line(
                "Ask one of them",
                format!(
                    "Resolve-DnsName -Name '{SERVICE}.{subject}' -Type SRV -Server 'NAME-SERVER'"
                ),
            )),
            Kind::Proof => {
                return self
                    .token
                    .map_or_else(Vec::new, |token| proof(subject, token));
            }
            Kind::AddressZone => {
                Some(line(ZONE, format!("{subject}. 3600 IN A PUBLIC-ADDRESS")))
            }
            Kind::AddressAdd => {
                let (zone, host) = zone_of_host(subject);
                Some(line(
                    SHELL,
                    format!(
                        "Add-DnsServerResourceRecord -A -ZoneName '{zone}' -Name '{host}' -IPv4Address 'PUBLIC-ADDRESS'"
                    ),
                ))
            }
            Kind::AliasRemove => {
                let (zone, host) = zone_of_host(subject);
                Some(line(
                    SHELL_ALIAS,
                    format!(
                        "Remove-DnsServerResourceRecord -ZoneName '{zone}' -Name '{host}' -RRType CName"
                    ),
                ))
            }
            Kind::AddressLook => Some(look(subject.as_str(), "A")),
            Kind::Connect => Some(line(
                CONNECT,
                format!("Test-NetConnection -ComputerName '{subject}' -Port 5061"),
            )),
            Kind::Handshake => Some(line(
                HANDSHAKE,
                format!(
                    "openssl s_client -connect {subject}:5061 -servername {subject} -showcerts < /dev/null"
                ),
            )),
            Kind::CertificateNames => self
                .certificate_names(subject)
                .map(|(label, names)| line(label, names)),
            Kind::CertificateRequest => self.certificate_names(subject).map(|(_, names)| {
                line(
                    ORDER,
                    format!(
                        "Request-CsCertificate -New -Type AccessEdgeExternal -DomainName '{names}' -ClientEku $true -Output 'C:\\access-edge.req'"
                    ),
                )
            }),
            Kind::CertificateDates => Some(line(
                DATES,
                format!("openssl s_client -connect {subject}:5061 -servername {subject} < /dev/null | openssl x509 -noout -dates"),
            )),
        };
        one.into_iter().collect()
    }

    /// The names for the certificate: the edge, and `sip.` of each of its domains.
    fn certificate_names(&self, subject: &Fqdn) -> Option<(&'static str, String)> {
        let EdgeRoutes { edge, domains } = self.homes.get(subject.as_str())?;
        let mut names = vec![edge.to_string()];
        for domain in domains {
            let name = format!("sip.{domain}");
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let label = if names.len() > MOST_NAMES {
            NAMES_FIRST
        } else {
            NAMES
        };
        names.truncate(MOST_NAMES);
        Some((label, names.join(",")))
    }
}

pub(super) fn line(label: &'static str, line: impl Into<String>) -> Line {
    Line {
        label,
        line: line.into(),
    }
}

/// The record by which the owner of a domain's zone names the service with this token
/// (`docs/design.md#whose-domain`), as a zone line first.
#[must_use]
pub fn proof(domain: &Fqdn, token: &str) -> Vec<Line> {
    let (name, text) = (record_name(domain), record_value(token));
    vec![
        line(ZONE, Record::proof(domain, token).zone_line()),
        add(
            domain,
            "Txt",
            TOKEN_PREFIX,
            &format!("-DescriptiveText '{text}'"),
        ),
        look(&name, "TXT"),
    ]
}

fn misspelt(finding: &Finding) -> Vec<Line> {
    let (zone, _) = zone_of(&finding.subject);
    let mut lines: Vec<Line> = Vec::new();
    for found in &finding.found {
        let owner = found.as_str().split([' ', ':']).next().unwrap_or_default();
        // Not what was left out, or says how many more there are.
        let Some(name) = owner.strip_suffix(&format!(".{zone}")) else {
            continue;
        };
        let line = remove_in(SHELL_MISSPELT, &zone, name);
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines
}

/// The zone that most likely contains a name, and the labels in front of it: the zone is the
/// registered domain, if a public suffix is known.
pub(super) fn zone_of(name: &Fqdn) -> (String, String) {
    let apex = SipDomain::from_database(name.to_string())
        .ok()
        .and_then(|name| name.apex());
    let Some(apex) = apex else {
        return (name.to_string(), String::new());
    };
    let rest = name.as_str().strip_suffix(apex.as_str()).unwrap_or("");
    (apex.to_string(), rest.trim_end_matches('.').to_owned())
}

/// The same for a host, which is never a zone itself.
fn zone_of_host(name: &Fqdn) -> (String, String) {
    match (zone_of(name), name.as_str().split_once('.')) {
        ((_, rest), Some((host, zone))) if rest.is_empty() => (zone.into(), host.into()),
        (known, _) => known,
    }
}

/// `owner` and the labels between the zone and it.
pub(super) fn relative(owner: &str, rest: &str) -> String {
    if rest.is_empty() {
        owner.into()
    } else {
        format!("{owner}.{rest}")
    }
}

fn add(under: &Fqdn, kind: &str, owner: &str, data: &str) -> Line {
    let (zone, rest) = zone_of(under);
    let name = relative(owner, &rest);
    line(
        // The domain may still be a zone of its own.
        if rest.is_empty() { SHELL } else { SHELL_PARENT },
        format!("Add-DnsServerResourceRecord -{kind} -ZoneName '{zone}' -Name '{name}' {data}"),
    )
}

fn remove_in(label: &'static str, zone: &str, name: &str) -> Line {
    line(
        label,
        format!("Remove-DnsServerResourceRecord -ZoneName '{zone}' -Name '{name}' -RRType Srv"),
    )
}

/// The command that removes all SRV records of a domain but the right one, which was added before: so
/// the domain is never without a record.
fn remove_others(domain: &Fqdn, edge: &AccessEdge) -> Line {
    let (zone, rest) = zone_of(domain);
    let name = relative(SERVICE, &rest);
    line(
        SHELL_REMOVE,
        format!(
            "Get-DnsServerResourceRecord -ZoneName '{zone}' -Name '{name}' -RRType Srv | Where-Object {{ $_.RecordData.DomainName -ne '{edge}.' -or $_.RecordData.Port -ne 5061 }} | Remove-DnsServerResourceRecord -ZoneName '{zone}'"
        ),
    )
}

fn look(name: &str, kind: &str) -> Line {
    line(LOOK, format!("Resolve-DnsName -Name '{name}' -Type {kind}"))
}

fn servers(domain: &Fqdn) -> Line {
    let (zone, _) = zone_of(domain);
    line(SERVERS, format!("Resolve-DnsName -Name '{zone}' -Type NS"))
}
