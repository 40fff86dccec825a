//! The catalogue of findings: for each code its severity, who acts on it, and all that is said of it.
//!
//! To add a finding, write its line in the list of [`Code`] and its [`Entry`] in the file it
//! belongs to, add the code to the two checks of the table `finding` in a new migration, and
//! produce it in [`domain`](super::domain) or [`edge`](super::edge). Pages, `pic-portal check`, the
//! support bundle, the desk and the help pages read all else from here. Source:
//! `docs/field.md#dns-certificate-transport`.

mod certificate;
mod edge;
mod reasons;
mod record;
mod sip;

pub use self::reasons::{REASONS, Reason};
use super::Severity;
use crate::{text_enum::text_enum, topic::Topic};

/// What the portal knows about a code, in words for people.
#[derive(Debug)]
pub struct Entry {
    /// How grave it is; [`Severity::Skipped`] may stand in its place where it was not looked at.
    pub severity: Severity,
    /// What it is about.
    pub area: Area,
    /// Who acts on it.
    pub owner: Owner,
    /// What was found, a heading without the subject.
    pub title: &'static str,
    /// Why it matters and what to do, a few sentences that are true for every cause (what each wants
    /// done stands in [`REASONS`]); `{provider}` stands for the name of the network. Empty where nothing
    /// is wrong.
    pub text: &'static str,
    /// The lines to copy, in this order.
    pub lines: &'static [Line],
    /// Its help page.
    pub help: Help,
}

/// What the help page of a code says.
#[derive(Debug)]
pub struct Help {
    /// What happened, a sentence.
    pub means: &'static str,
    /// Why it matters.
    pub why: &'static str,
    /// What to do, in order.
    pub steps: &'static [&'static str],
    /// What else there is to know, or empty.
    pub note: &'static str,
    /// What to read next.
    pub related: &'static [Topic],
}

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Area {
    /// The SRV record of a SIP domain.
    Record,
    /// That another service holds a SIP domain.
    Held,
    /// The record that proves who owns a SIP domain.
    Proof,
    /// Address and port of an Access Edge.
    Reach,
    /// The certificate of an Access Edge.
    Certificate,
    /// Whether an Access Edge speaks SIP with the gateways.
    Sip,
}

impl Area {
    /// The heading of a check of this area that was not made.
    #[must_use]
    pub const fn not_looked_at(self) -> &'static str {
        match self {
            Self::Record => "SRV record not checked",
            Self::Held | Self::Proof => "Proof of the domain not checked",
            Self::Reach => "Access Edge not checked",
            Self::Certificate => "Certificate not checked",
            Self::Sip => "SIP not checked",
        }
    }

    /// Whether its findings are about an Access Edge; the others are about a SIP domain.
    #[must_use]
    pub const fn is_of_edge(self) -> bool {
        matches!(self, Self::Reach | Self::Certificate | Self::Sip)
    }
}

/// Who acts on a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// There is nothing to do.
    None,
    /// Those who run the organisation's DNS zones.
    Dns,
    /// Those who run its firewall and Access Edge.
    Network,
    /// Those who order its certificates.
    Certificates,
    /// The service that holds the domain, or the owner of the zone.
    Holder,
    /// The administrator decides; the request does not wait for it.
    Decision,
    /// The portal.
    Portal,
}

impl Owner {
    /// Who that is, in words; empty where there is nothing to do.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Dns => "Your DNS administrator",
            Self::Network => "Your firewall and Access Edge administrator",
            Self::Certificates => "Whoever orders your certificates",
            Self::Holder => "The holder of the domain, or its DNS administrator",
            Self::Decision => "You decide; your request does not wait for it",
            Self::Portal => "No action needed: we check again automatically",
        }
    }
}

/// A line to copy: into a zone, a shell, or an order. [`wording`](super::wording) fills the names in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// The right SRV record, for a zone file.
    SrvZone,
    /// The command that adds the right SRV record.
    SrvAdd,
    /// The command that then removes the other SRV records.
    SrvRemove,
    /// The command that looks the SRV record up.
    SrvLook,
    /// The commands that remove records under misspelt names that were found.
    MisspeltRemove,
    /// The command that lists the name servers of the zone.
    NameServers,
    /// The command that asks one name server for the SRV record.
    AskOneServer,
    /// The TXT record that names the service: for a zone file, and the commands that add it and look
    /// it up.
    Proof,
    /// The address record of the Access Edge, for a zone file.
    AddressZone,
    /// The command that adds the address record.
    AddressAdd,
    /// The command that removes the alias in the place of the address.
    AliasRemove,
    /// The command that looks the address up.
    AddressLook,
    /// The command that tries the port, on Windows.
    Connect,
    /// The command that makes a TLS handshake.
    Handshake,
    /// The names that the certificate has to hold.
    CertificateNames,
    /// The command that writes the order for the certificate authority.
    CertificateRequest,
    /// The command that shows the dates of the certificate.
    CertificateDates,
}

/// Declares the codes and where the entry of each stands.
macro_rules! codes {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal => $entry:path,)+ }) => {
        text_enum! {
            $(#[$meta])*
            $name { $($(#[$doc])* $variant = $text,)+ }
        }

        impl $name {
            /// What there is to say about it.
            #[must_use]
            pub const fn entry(self) -> &'static Entry {
                match self { $(Self::$variant => &$entry),+ }
            }
        }
    };
}

codes! {
    /// What a readiness check may find (`docs/design.md#contract`).
    Code {
        /// The right SRV record is there.
        Srv = "srv" => record::SRV,
        /// There is no SRV record.
        SrvMissing = "srv-missing" => record::SRV_MISSING,
        /// There is one under a name that nobody asks for.
        SrvMisspelt = "srv-misspelt" => record::SRV_MISSPELT,
        /// It names another port than 5061.
        SrvPort = "srv-port" => record::SRV_PORT,
        /// No record of the lowest priority number names the requested edge.
        SrvTarget = "srv-target" => record::SRV_TARGET,
        /// The edge is not one label in front of the domain (the rule of 2019).
        SrvSuffix = "srv-suffix" => record::SRV_SUFFIX,
        /// The domain is homed online.
        HomedOnline = "homed-online" => record::HOMED_ONLINE,
        /// The domain is routed to consumer accounts.
        RoutedToConsumer = "routed-to-consumer" => record::ROUTED_TO_CONSUMER,
        /// The zone's authoritative servers give different answers.
        DnsDisagrees = "dns-disagrees" => record::DNS_DISAGREES,
        /// In force under another service.
        DomainHeld = "domain-held" => record::DOMAIN_HELD,
        /// The owner of its zone has not named the service, and has to.
        DomainUnproven = "domain-unproven" => record::DOMAIN_UNPROVEN,
        /// The owner of its zone has named the service.
        DomainProven = "domain-proven" => record::DOMAIN_PROVEN,
        /// The edge has no address.
        EdgeNoAddress = "edge-no-address" => edge::EDGE_NO_ADDRESS,
        /// Its name is an alias; of the online service, it blocks.
        EdgeAlias = "edge-alias" => edge::EDGE_ALIAS,
        /// It has an address that is not globally reachable.
        EdgePrivateAddress = "edge-private-address" => edge::EDGE_PRIVATE_ADDRESS,
        /// Port 5061 is closed, or does not speak TLS.
        EdgeUnreachable = "edge-unreachable" => edge::EDGE_UNREACHABLE,
        /// Some of its addresses show a certificate, and others do not.
        EdgePartlyUnreachable = "edge-partly-unreachable" => edge::EDGE_PARTLY_UNREACHABLE,
        /// It has an address of another edge of the request.
        EdgeSharedAddress = "edge-shared-address" => edge::EDGE_SHARED_ADDRESS,
        /// The portal has no way to its addresses.
        EdgeNoRoute = "edge-no-route" => edge::EDGE_NO_ROUTE,
        /// It speaks old TLS alone.
        TlsOld = "tls-old" => edge::TLS_OLD,
        /// The certificate is fine.
        Certificate = "certificate" => certificate::CERTIFICATE,
        /// The certificate is for other names.
        CertificateName = "certificate-name" => certificate::CERTIFICATE_NAME,
        /// It has expired.
        CertificateExpired = "certificate-expired" => certificate::CERTIFICATE_EXPIRED,
        /// It is not valid yet.
        CertificateNotYetValid = "certificate-not-yet-valid" => certificate::CERTIFICATE_NOT_YET_VALID,
        /// It does not lead to a root that is trusted.
        CertificateUntrusted = "certificate-untrusted" => certificate::CERTIFICATE_UNTRUSTED,
        /// Whether it leads to one cannot be found out here.
        CertificateUnknown = "certificate-unknown" => certificate::CERTIFICATE_UNKNOWN,
        /// It expires soon.
        CertificateExpiresSoon = "certificate-expires-soon" => certificate::CERTIFICATE_EXPIRES_SOON,
        /// The FQDN stands in the subject alone.
        CertificateCnOnly = "certificate-cn-only" => certificate::CERTIFICATE_CN_ONLY,
        /// The name that fits is a wildcard.
        CertificateWildcard = "certificate-wildcard" => certificate::CERTIFICATE_WILDCARD,
        /// `sip.` and the domain is not among its names.
        CertificateDomainSan = "certificate-domain-san" => certificate::CERTIFICATE_DOMAIN_SAN,
        /// Client authentication is not among its purposes.
        CertificateClient = "certificate-client" => certificate::CERTIFICATE_CLIENT,
        /// The edge is neither its subject nor the first of its names.
        CertificateFirstName = "certificate-first-name" => certificate::CERTIFICATE_FIRST_NAME,
        /// The edge answers the gateways by SIP.
        Sip = "sip" => sip::SIP,
        /// It breaks off when it has seen their certificate.
        SipRefusesCertificate = "sip-refuses-certificate" => sip::SIP_REFUSES_CERTIFICATE,
        /// It does not answer them by SIP.
        SipSilent = "sip-silent" => sip::SIP_SILENT,
        /// Nobody answers for the domain: it could not be looked at.
        ResolverUnreachable = "resolver-unreachable" => record::RESOLVER_UNREACHABLE,
    }
}

impl Code {
    /// How grave it is where it was looked at; anything may be [`Severity::Skipped`] instead, and
    /// [`Code::DomainUnproven`] is [`Severity::Unknown`] where nobody answered, [`Code::TlsOld`] is
    /// [`Severity::Blocking`] where there is no TLS 1.2, and [`Code::EdgeAlias`] where it leads to the
    /// online service; [`Code::SrvPort`] and [`Code::SrvTarget`] are [`Severity::Warning`] beside a
    /// right record.
    #[must_use]
    pub const fn severity(self) -> Severity {
        self.entry().severity
    }

    /// Whether a request may be held back because of it. What an edge says by SIP holds nobody back: it
    /// answers strangers as it likes until its administrator has allowed the gateways.
    #[must_use]
    pub const fn may_hold_back(self) -> bool {
        !matches!(self.entry().area, Area::Sip)
    }

    /// What was found, as a heading without the subject.
    #[must_use]
    pub const fn title(self) -> &'static str {
        self.entry().title
    }
}
