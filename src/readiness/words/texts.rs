//! What does each code mean, in a heading and a few sentences?

use super::{Code, Mode, Severity, Teller};

/// What a severity is called, on pages and at a terminal.
#[must_use]
pub const fn called(severity: Severity) -> &'static str {
    match severity {
        Severity::Ok => "Fine",
        Severity::Skipped => "Not checked",
        Severity::Warning => "Worth a look",
        Severity::Unknown => "Could not check",
        Severity::Blocking => "To be mended",
    }
}

/// What was found, as a heading; without the subject.
#[must_use]
pub const fn title(code: Code) -> &'static str {
    match code {
        Code::Srv => "SRV record found",
        Code::SrvMissing => "No SRV record for federation",
        Code::SrvMisspelt => "SRV record under a misspelt name",
        Code::SrvPort => "SRV record with another port than 5061",
        Code::SrvTarget => "SRV record names another server",
        Code::SrvSuffix => "Access Edge is not directly under the domain",
        Code::HomedOnline => "SRV record says that the domain is online",
        Code::RoutedToConsumer => "SRV record leads to consumer accounts",
        Code::DnsDisagrees => "Name servers of the zone disagree",
        Code::DomainHeld => "Another service holds the domain",
        Code::DomainUnproven => "Ownership of the domain is not proven",
        Code::DomainProven => "Ownership of the domain is proven",
        Code::EdgeNoAddress => "Access Edge has no address",
        Code::EdgePrivateAddress => "Access Edge has no public address",
        Code::EdgeUnreachable => "Access Edge does not answer on port 5061",
        Code::Certificate => "Certificate is fine",
        Code::CertificateName => "Certificate is for other names",
        Code::CertificateExpired => "Certificate has expired",
        Code::CertificateNotYetValid => "Certificate is not valid yet",
        Code::CertificateUntrusted => "Certificate is not trusted",
        Code::CertificateExpiresSoon => "Certificate expires soon",
        Code::CertificateCnOnly => "Certificate has the name in its subject alone",
        Code::CertificateWildcard => "Certificate fits by a wildcard alone",
        Code::CertificateDomainSan => "Certificate lacks the sip. name of the domain",
        Code::ResolverUnreachable => "The domain could not be looked up",
    }
}

/// Who must act on it; empty where nobody has to.
#[must_use]
pub const fn who(code: Code) -> &'static str {
    match code {
        Code::Srv | Code::DomainProven | Code::Certificate => "",
        Code::SrvMissing
        | Code::SrvMisspelt
        | Code::SrvPort
        | Code::SrvTarget
        | Code::HomedOnline
        | Code::RoutedToConsumer
        | Code::DnsDisagrees
        | Code::DomainUnproven
        | Code::EdgeNoAddress
        | Code::EdgePrivateAddress => "Whoever looks after your DNS zones",
        Code::SrvSuffix => "You decide; nothing waits for it",
        Code::DomainHeld => "The holder of the domain, or whoever looks after its zone",
        Code::EdgeUnreachable => "Whoever looks after your firewall and Access Edge",
        Code::CertificateName
        | Code::CertificateExpired
        | Code::CertificateNotYetValid
        | Code::CertificateUntrusted
        | Code::CertificateExpiresSoon
        | Code::CertificateCnOnly
        | Code::CertificateWildcard
        | Code::CertificateDomainSan => "Whoever orders your certificates",
        Code::ResolverUnreachable => "Nobody for now: we look again by ourselves",
    }
}

/// The heading, the text and who acts where the proof of a domain could not be looked up.
pub(super) const PROOF_UNKNOWN: (&str, &str, &str) = (
    "The proof of the domain could not be looked up",
    "No server answered for the TXT record that proves who owns the domain. This is not held against the domain, and it proves nothing either: we look again by ourselves. If the record below is not published yet, publish it. If it stays like this, see that the name servers of the zone answer from the internet.",
    "Whoever looks after your DNS zones, if the record is not published yet",
);

impl Teller<'_> {
    /// Why it matters and what to do.
    pub(super) fn text(&self, code: Code) -> String {
        let provider = self.provider;
        let text = match code {
            Code::Srv | Code::DomainProven | Code::Certificate => "",
            Code::SrvMissing => {
                return format!(
                    "{provider} and other partners find your Access Edge by this record. Without it their calls and messages have nowhere to go. Publish it in the public zone of the domain."
                );
            }
            Code::SrvMisspelt => {
                "There is a record, under a name that nobody asks for; some manuals printed it like that. Both words begin with an underscore, and a dot stands between them. Publish the right one, then remove the misspelt one."
            }
            Code::SrvPort => {
                "Federation uses port 5061. Partners take the port from the record and knock at the wrong door. Replace the record."
            }
            Code::SrvTarget => {
                "Partners go to the server with the lowest priority number, and that is not the Access Edge of this request. If the request is right, replace the record. If the record is right, ask for the Access Edge that it names."
            }
            Code::SrvSuffix => {
                "Partners who discover servers by the rule of 2019 accept one label in front of the SIP domain, such as sip.contoso.com for contoso.com. Partners who add your server by name are not affected. You can leave it as it is, or give the Access Edge a name directly under the domain and ask for that name."
            }
            Code::HomedOnline => {
                "The record leads to the online service. That is wrong for users on your own servers, and for hybrid and split domains too: the record has to name your Access Edge. If all users of the domain are online, take it out of the request and use the admin centre of your online service."
            }
            Code::RoutedToConsumer => {
                "The record sends what is meant for your users to the network of personal accounts. Replace it by one that names your Access Edge."
            }
            Code::DnsDisagrees => {
                "The authoritative servers of the zone give different answers, so it depends on chance what partners see. Often one of them has not taken over the last change. Ask each, and bring them to one answer."
            }
            Code::DomainHeld => return self.held(),
            Code::DomainUnproven => {
                "This portal provisions a domain only after the owner of its zone has named the service that asks for it. Publish the TXT record below in the zone of the domain. No other record at that name may begin with pic-service=: remove those of other services."
            }
            Code::EdgeNoAddress => {
                "Public DNS has neither an A nor an AAAA record for its name, so nobody can connect. Publish its public address."
            }
            Code::EdgePrivateAddress => {
                "Public DNS gives an address that cannot be reached from the internet; we do not show it and do not connect to it. Publish the public address of the external interface instead."
            }
            Code::EdgeUnreachable => {
                "Nothing that speaks TLS answers there. Partners connect from the internet to TCP port 5061 of the external interface. Let that in at the firewall, and see that the Access Edge service runs. Test it from outside your own network."
            }
            Code::CertificateName => {
                "Partners connect to the FQDN of the Access Edge and refuse a certificate for any other name. Ask your certificate authority for one with all names below as subject alternative names, and assign it to the external interface."
            }
            Code::CertificateExpired => {
                "Partners refuse the connection. Renew the certificate with all names below as subject alternative names, and assign it to the external interface."
            }
            Code::CertificateNotYetValid => {
                "Partners refuse the connection until its first day. If that is near, wait: we look again. Otherwise assign another certificate; the names that it needs are below."
            }
            Code::CertificateUntrusted => {
                "It does not lead to a public certificate authority. Either a private authority issued it, or the server does not send the certificates in between. Install what is missing, or ask a public authority for one with the names below."
            }
            Code::CertificateExpiresSoon => {
                "It has less than 30 days left. On its last day federation stops. Renew it in time, with all names below as subject alternative names."
            }
            Code::CertificateCnOnly => {
                "The FQDN stands in the subject and not among the subject alternative names. Many partners look at the alternative names alone. Have it added with the next certificate."
            }
            Code::CertificateWildcard => {
                "Some partners do not accept a wildcard for federation. With the next certificate have each name written out."
            }
            Code::CertificateDomainSan => {
                "Some clients and partners expect the name sip. and the SIP domain among the subject alternative names. Have it added with the next certificate."
            }
            Code::ResolverUnreachable => {
                "Nobody answered for the domain. This is not held against it, and it proves nothing either: we look again by ourselves. If it stays like this, see that the name servers of the zone answer from the internet."
            }
        };
        text.to_owned()
    }

    fn held(&self) -> String {
        let mut text = String::from(
            "A SIP domain can be in force once. If it is yours under another agreement or an older request, release it there, and this request goes on by itself. Who holds it is not shown.",
        );
        if self.token.is_some() {
            text.push_str(match self.mode {
                Mode::Enforce | Mode::Advise => {
                    " Or prove that its zone is yours: publish the TXT record below. Once we see it, the domain moves to this service, and its route is never missing."
                }
                Mode::Off => {
                    " Readiness checks are off here, so the TXT record below is not looked up: the request waits until the holder lets go."
                }
            });
        }
        text
    }
}
