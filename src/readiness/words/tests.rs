use std::fmt::Write as _;

use super::*;
use crate::names::Fqdn;

fn routes() -> Vec<(AccessEdge, Vec<SipDomain>)> {
    let domain = |name| SipDomain::parse(name).unwrap();
    vec![(
        AccessEdge::parse("sip.contoso.com").unwrap(),
        vec![domain("contoso.com"), domain("it.fabrikam.co.uk")],
    )]
}

fn finding(code: Code, subject: &str, expected: &str, found: &[&str]) -> Finding {
    Finding::new(code, &Fqdn::parse(subject).unwrap(), expected, found)
}

/// All of it, as a support bundle would have it.
fn written(words: &Words) -> String {
    let mut text = format!("# {}\n", words.title);
    if !words.who.is_empty() {
        let _ = writeln!(text, "{}\nwho: {}", words.text, words.who);
    }
    if !words.expected.is_empty() {
        let _ = writeln!(text, "expected: {}", words.expected);
    }
    for found in &words.found {
        let _ = writeln!(text, "found: {found}");
    }
    for Line { label, line } in &words.lines {
        let _ = writeln!(text, "[{label}]\n{line}");
    }
    text
}

/// What the edge or the domain of each code's example is.
fn example(code: Code) -> Finding {
    let subject = match code {
        Code::EdgeNoAddress
        | Code::EdgePrivateAddress
        | Code::EdgeUnreachable
        | Code::Certificate
        | Code::CertificateName
        | Code::CertificateExpired
        | Code::CertificateNotYetValid
        | Code::CertificateUntrusted
        | Code::CertificateExpiresSoon
        | Code::CertificateCnOnly
        | Code::CertificateWildcard
        | Code::CertificateDomainSan => "sip.contoso.com",
        Code::Srv
        | Code::SrvMissing
        | Code::SrvMisspelt
        | Code::SrvPort
        | Code::SrvTarget
        | Code::SrvSuffix
        | Code::HomedOnline
        | Code::RoutedToConsumer
        | Code::DnsDisagrees
        | Code::DomainHeld
        | Code::DomainUnproven
        | Code::DomainProven
        | Code::ResolverUnreachable => "contoso.com",
    };
    let wrong = ["_sipfederationtls_tcp.contoso.com 0 0 5061 sip.contoso.com"];
    let found = (code == Code::SrvMisspelt).then_some(wrong);
    finding(code, subject, "", found.as_slice().as_flattened())
}

#[test]
fn each_code_has_its_words() {
    let routes = routes();
    let teller = Teller::new("Skype", Mode::Enforce, &routes).with_token("7K3M9QTX4HWD2ZRB");
    let mut said = String::new();
    for code in Code::ALL {
        let words = teller.tell(&example(*code));
        let _ = write!(said, "== {}\n{}", code.as_str(), written(&words));
    }
    assert_eq!(said, SAID, "{said}");
}

const SAID: &str = r#"== srv
# SRV record found
== srv-missing
# No SRV record for federation
Skype and other partners find your Access Edge by this record. Without it their calls and messages have nowhere to go. Publish it in the public zone of the domain.
who: Whoever looks after your DNS zones
[Zone line]
_sipfederationtls._tcp.contoso.com. 3600 IN SRV 0 0 5061 sip.contoso.com.
[PowerShell, on a Windows DNS server]
Add-DnsServerResourceRecord -Srv -ZoneName 'contoso.com' -Name '_sipfederationtls._tcp' -DomainName 'sip.contoso.com' -Priority 0 -Weight 0 -Port 5061
[To see what others see]
Resolve-DnsName -Name '_sipfederationtls._tcp.contoso.com' -Type SRV
== srv-misspelt
# SRV record under a misspelt name
There is a record, under a name that nobody asks for; some manuals printed it like that. Both words begin with an underscore, and a dot stands between them. Publish the right one, then remove the misspelt one.
who: Whoever looks after your DNS zones
found: _sipfederationtls_tcp.contoso.com 0 0 5061 sip.contoso.com
[Zone line]
_sipfederationtls._tcp.contoso.com. 3600 IN SRV 0 0 5061 sip.contoso.com.
[PowerShell, on a Windows DNS server]
Add-DnsServerResourceRecord -Srv -ZoneName 'contoso.com' -Name '_sipfederationtls._tcp' -DomainName 'sip.contoso.com' -Priority 0 -Weight 0 -Port 5061
[To see what others see]
Resolve-DnsName -Name '_sipfederationtls._tcp.contoso.com' -Type SRV
[PowerShell, to take away the misspelt record]
Remove-DnsServerResourceRecord -ZoneName 'contoso.com' -Name '_sipfederationtls_tcp' -RRType Srv
== srv-port
# SRV record with another port than 5061
Federation uses port 5061. Partners take the port from the record and knock at the wrong door. Replace the record.
who: Whoever looks after your DNS zones
[Zone line]
_sipfederationtls._tcp.contoso.com. 3600 IN SRV 0 0 5061 sip.contoso.com.
[PowerShell, to take away what is there first]
Remove-DnsServerResourceRecord -ZoneName 'contoso.com' -Name '_sipfederationtls._tcp' -RRType Srv
[PowerShell, on a Windows DNS server]
Add-DnsServerResourceRecord -Srv -ZoneName 'contoso.com' -Name '_sipfederationtls._tcp' -DomainName 'sip.contoso.com' -Priority 0 -Weight 0 -Port 5061
[To see what others see]
Resolve-DnsName -Name '_sipfederationtls._tcp.contoso.com' -Type SRV
== srv-target
# SRV record names another server
Partners go to the server with the lowest priority number, and that is not the Access Edge of this request. If the request is right, replace the record. If the record is right, ask for the Access Edge that it names.
who: Whoever looks after your DNS zones
[Zone line]
_sipfederationtls._tcp.contoso.com. 3600 IN SRV 0 0 5061 sip.contoso.com.
[PowerShell, to take away what is there first]
Remove-DnsServerResourceRecord -ZoneName 'contoso.com' -Name '_sipfederationtls._tcp' -RRType Srv
[PowerShell, on a Windows DNS server]
Add-DnsServerResourceRecord -Srv -ZoneName 'contoso.com' -Name '_sipfederationtls._tcp' -DomainName 'sip.contoso.com' -Priority 0 -Weight 0 -Port 5061
[To see what others see]
Resolve-DnsName -Name '_sipfederationtls._tcp.contoso.com' -Type SRV
== srv-suffix
# Access Edge is not directly under the domain
Partners who discover servers by the rule of 2019 accept one label in front of the SIP domain, such as sip.contoso.com for contoso.com. Partners who add your server by name are not affected. You can leave it as it is, or give the Access Edge a name directly under the domain and ask for that name.
who: You decide; nothing waits for it
== homed-online
# SRV record says that the domain is online
The record leads to the online service. That is wrong for users on your own servers, and for hybrid and split domains too: the record has to name your Access Edge. If all users of the domain are online, take it out of the request and use the admin centre of your online service.
who: Whoever looks after your DNS zones
[Zone line]
_sipfederationtls._tcp.contoso.com. 3600 IN SRV 0 0 5061 sip.contoso.com.
[PowerShell, to take away what is there first]
Remove-DnsServerResourceRecord -ZoneName 'contoso.com' -Name '_sipfederationtls._tcp' -RRType Srv
[PowerShell, on a Windows DNS server]
Add-DnsServerResourceRecord -Srv -ZoneName 'contoso.com' -Name '_sipfederationtls._tcp' -DomainName 'sip.contoso.com' -Priority 0 -Weight 0 -Port 5061
[To see what others see]
Resolve-DnsName -Name '_sipfederationtls._tcp.contoso.com' -Type SRV
== routed-to-consumer
# SRV record leads to consumer accounts
The record sends what is meant for your users to the network of personal accounts. Replace it by one that names your Access Edge.
who: Whoever looks after your DNS zones
[Zone line]
_sipfederationtls._tcp.contoso.com. 3600 IN SRV 0 0 5061 sip.contoso.com.
[PowerShell, to take away what is there first]
Remove-DnsServerResourceRecord -ZoneName 'contoso.com' -Name '_sipfederationtls._tcp' -RRType Srv
[PowerShell, on a Windows DNS server]
Add-DnsServerResourceRecord -Srv -ZoneName 'contoso.com' -Name '_sipfederationtls._tcp' -DomainName 'sip.contoso.com' -Priority 0 -Weight 0 -Port 5061
[To see what others see]
Resolve-DnsName -Name '_sipfederationtls._tcp.contoso.com' -Type SRV
== dns-disagrees
# Name servers of the zone disagree
The authoritative servers of the zone give different answers, so it depends on chance what partners see. Often one of them has not taken over the last change. Ask each, and bring them to one answer.
who: Whoever looks after your DNS zones
[To see which servers answer for the zone]
Resolve-DnsName -Name 'contoso.com' -Type NS
[To ask one of them]
Resolve-DnsName -Name '_sipfederationtls._tcp.contoso.com' -Type SRV -Server 'NAME-SERVER'
== domain-held
# Another service holds the domain
A SIP domain can be in force once. If it is yours under another agreement or an older request, release it there, and this request goes on by itself. Who holds it is not shown. Or prove that its zone is yours: publish the TXT record below. Once we see it, the domain moves to this service, and its route is never missing.
who: The holder of the domain, or whoever looks after its zone
expected: not in force under another service
found: in force under another service
[Zone line]
_pic-portal.contoso.com. 300 IN TXT "pic-service=7K3M9QTX4HWD2ZRB"
[PowerShell, on a Windows DNS server]
Add-DnsServerResourceRecord -Txt -ZoneName 'contoso.com' -Name '_pic-portal' -DescriptiveText 'pic-service=7K3M9QTX4HWD2ZRB'
[To see what others see]
Resolve-DnsName -Name '_pic-portal.contoso.com' -Type TXT
== domain-unproven
# Ownership of the domain is not proven
This portal provisions a domain only after the owner of its zone has named the service that asks for it. Publish the TXT record below in the zone of the domain. No other record at that name may begin with pic-service=: remove those of other services.
who: Whoever looks after your DNS zones
[Zone line]
_pic-portal.contoso.com. 300 IN TXT "pic-service=7K3M9QTX4HWD2ZRB"
[PowerShell, on a Windows DNS server]
Add-DnsServerResourceRecord -Txt -ZoneName 'contoso.com' -Name '_pic-portal' -DescriptiveText 'pic-service=7K3M9QTX4HWD2ZRB'
[To see what others see]
Resolve-DnsName -Name '_pic-portal.contoso.com' -Type TXT
== domain-proven
# Ownership of the domain is proven
== edge-no-address
# Access Edge has no address
Public DNS has neither an A nor an AAAA record for its name, so nobody can connect. Publish its public address.
who: Whoever looks after your DNS zones
[Zone line]
sip.contoso.com. 3600 IN A PUBLIC-ADDRESS
[PowerShell, on a Windows DNS server]
Add-DnsServerResourceRecord -A -ZoneName 'contoso.com' -Name 'sip' -IPv4Address 'PUBLIC-ADDRESS'
[To see what others see]
Resolve-DnsName -Name 'sip.contoso.com' -Type A
== edge-private-address
# Access Edge has no public address
Public DNS gives an address that cannot be reached from the internet; we do not show it and do not connect to it. Publish the public address of the external interface instead.
who: Whoever looks after your DNS zones
[Zone line]
sip.contoso.com. 3600 IN A PUBLIC-ADDRESS
[PowerShell, on a Windows DNS server]
Add-DnsServerResourceRecord -A -ZoneName 'contoso.com' -Name 'sip' -IPv4Address 'PUBLIC-ADDRESS'
[To see what others see]
Resolve-DnsName -Name 'sip.contoso.com' -Type A
== edge-unreachable
# Access Edge does not answer on port 5061
Nothing that speaks TLS answers there. Partners connect from the internet to TCP port 5061 of the external interface. Let that in at the firewall, and see that the Access Edge service runs. Test it from outside your own network.
who: Whoever looks after your firewall and Access Edge
[To test from outside, on Windows]
Test-NetConnection -ComputerName 'sip.contoso.com' -Port 5061
[To test from outside, with OpenSSL]
openssl s_client -connect sip.contoso.com:5061 -servername sip.contoso.com -showcerts < /dev/null
== certificate
# Certificate is fine
== certificate-name
# Certificate is for other names
Partners connect to the FQDN of the Access Edge and refuse a certificate for any other name. Ask your certificate authority for one with all names below as subject alternative names, and assign it to the external interface.
who: Whoever orders your certificates
[Names for the certificate]
sip.contoso.com,sip.it.fabrikam.co.uk
[Management shell on the Edge Server, to write the order for the authority]
Request-CsCertificate -New -Type AccessEdgeExternal -DomainName 'sip.contoso.com,sip.it.fabrikam.co.uk' -Output 'C:\access-edge.req'
== certificate-expired
# Certificate has expired
Partners refuse the connection. Renew the certificate with all names below as subject alternative names, and assign it to the external interface.
who: Whoever orders your certificates
[Names for the certificate]
sip.contoso.com,sip.it.fabrikam.co.uk
[Management shell on the Edge Server, to write the order for the authority]
Request-CsCertificate -New -Type AccessEdgeExternal -DomainName 'sip.contoso.com,sip.it.fabrikam.co.uk' -Output 'C:\access-edge.req'
[To see its dates, with OpenSSL]
openssl s_client -connect sip.contoso.com:5061 -servername sip.contoso.com < /dev/null | openssl x509 -noout -dates
== certificate-not-yet-valid
# Certificate is not valid yet
Partners refuse the connection until its first day. If that is near, wait: we look again. Otherwise assign another certificate; the names that it needs are below.
who: Whoever orders your certificates
[Names for the certificate]
sip.contoso.com,sip.it.fabrikam.co.uk
[Management shell on the Edge Server, to write the order for the authority]
Request-CsCertificate -New -Type AccessEdgeExternal -DomainName 'sip.contoso.com,sip.it.fabrikam.co.uk' -Output 'C:\access-edge.req'
[To see its dates, with OpenSSL]
openssl s_client -connect sip.contoso.com:5061 -servername sip.contoso.com < /dev/null | openssl x509 -noout -dates
== certificate-untrusted
# Certificate is not trusted
It does not lead to a public certificate authority. Either a private authority issued it, or the server does not send the certificates in between. Install what is missing, or ask a public authority for one with the names below.
who: Whoever orders your certificates
[To test from outside, with OpenSSL]
openssl s_client -connect sip.contoso.com:5061 -servername sip.contoso.com -showcerts < /dev/null
[Names for the certificate]
sip.contoso.com,sip.it.fabrikam.co.uk
[Management shell on the Edge Server, to write the order for the authority]
Request-CsCertificate -New -Type AccessEdgeExternal -DomainName 'sip.contoso.com,sip.it.fabrikam.co.uk' -Output 'C:\access-edge.req'
== certificate-expires-soon
# Certificate expires soon
It has less than 30 days left. On its last day federation stops. Renew it in time, with all names below as subject alternative names.
who: Whoever orders your certificates
[Names for the certificate]
sip.contoso.com,sip.it.fabrikam.co.uk
[Management shell on the Edge Server, to write the order for the authority]
Request-CsCertificate -New -Type AccessEdgeExternal -DomainName 'sip.contoso.com,sip.it.fabrikam.co.uk' -Output 'C:\access-edge.req'
[To see its dates, with OpenSSL]
openssl s_client -connect sip.contoso.com:5061 -servername sip.contoso.com < /dev/null | openssl x509 -noout -dates
== certificate-cn-only
# Certificate has the name in its subject alone
The FQDN stands in the subject and not among the subject alternative names. Many partners look at the alternative names alone. Have it added with the next certificate.
who: Whoever orders your certificates
[Names for the certificate]
sip.contoso.com,sip.it.fabrikam.co.uk
[Management shell on the Edge Server, to write the order for the authority]
Request-CsCertificate -New -Type AccessEdgeExternal -DomainName 'sip.contoso.com,sip.it.fabrikam.co.uk' -Output 'C:\access-edge.req'
== certificate-wildcard
# Certificate fits by a wildcard alone
Some partners do not accept a wildcard for federation. With the next certificate have each name written out.
who: Whoever orders your certificates
[Names for the certificate]
sip.contoso.com,sip.it.fabrikam.co.uk
[Management shell on the Edge Server, to write the order for the authority]
Request-CsCertificate -New -Type AccessEdgeExternal -DomainName 'sip.contoso.com,sip.it.fabrikam.co.uk' -Output 'C:\access-edge.req'
== certificate-domain-san
# Certificate lacks the sip. name of the domain
Some clients and partners expect the name sip. and the SIP domain among the subject alternative names. Have it added with the next certificate.
who: Whoever orders your certificates
[Names for the certificate]
sip.contoso.com,sip.it.fabrikam.co.uk
[Management shell on the Edge Server, to write the order for the authority]
Request-CsCertificate -New -Type AccessEdgeExternal -DomainName 'sip.contoso.com,sip.it.fabrikam.co.uk' -Output 'C:\access-edge.req'
== resolver-unreachable
# The domain could not be looked up
Nobody answered for the domain. This is not held against it, and it proves nothing either: we look again by ourselves. If it stays like this, see that the name servers of the zone answer from the internet.
who: Nobody for now: we look again by ourselves
[To see which servers answer for the zone]
Resolve-DnsName -Name 'contoso.com' -Type NS
"#;

#[test]
fn a_title_and_a_text_are_the_same_for_every_subject() {
    let routes = routes();
    let teller = Teller::new("Skype", Mode::Advise, &routes);
    for code in Code::ALL {
        let one = teller.tell(&finding(*code, "contoso.com", "", &[]));
        let other = teller.tell(&finding(*code, "it.fabrikam.co.uk", "", &[]));
        assert_eq!((one.title, &one.text), (other.title, &other.text));
        assert_eq!(one.who.is_empty(), code.severity() == Severity::Ok);
        assert_eq!(one.text.is_empty(), code.severity() == Severity::Ok);
    }
}

#[test]
fn what_was_not_looked_at_names_its_cause() {
    let routes = routes();
    let teller = Teller::new("Skype", Mode::Enforce, &routes);
    let edge = Fqdn::parse("sip.contoso.com").unwrap();
    for (code, title, cause) in [
        (
            Code::Certificate,
            "Certificate not looked at",
            Code::EdgeUnreachable,
        ),
        (
            Code::EdgeUnreachable,
            "Access Edge not looked at",
            Code::EdgeNoAddress,
        ),
        (
            Code::Srv,
            "SRV record not looked at",
            Code::ResolverUnreachable,
        ),
    ] {
        let words = teller.tell(&Finding::skipped(code, &edge, cause));
        assert_eq!(words.title, title);
        let text = format!("Not looked at, because of: {}.", super::title(cause));
        assert_eq!(words.text, text);
        assert!(words.lines.is_empty() && words.found.is_empty() && words.who.is_empty());
    }
}

#[test]
fn names_below_a_registered_domain_stand_in_its_zone() {
    let routes = routes();
    let teller = Teller::new("Skype", Mode::Enforce, &routes).with_token("T");
    let lines = |code, subject| {
        let lines = teller.tell(&finding(code, subject, "", &[])).lines;
        lines.into_iter().map(|it| it.line).collect::<Vec<_>>()
    };
    assert_eq!(
        lines(Code::SrvPort, "it.fabrikam.co.uk")[..3],
        [
            "_sipfederationtls._tcp.it.fabrikam.co.uk. 3600 IN SRV 0 0 5061 sip.contoso.com.",
            "Remove-DnsServerResourceRecord -ZoneName 'fabrikam.co.uk' -Name '_sipfederationtls._tcp.it' -RRType Srv",
            "Add-DnsServerResourceRecord -Srv -ZoneName 'fabrikam.co.uk' -Name '_sipfederationtls._tcp.it' -DomainName 'sip.contoso.com' -Priority 0 -Weight 0 -Port 5061",
        ]
    );
    // No public suffix is known: a domain is a zone, a host stands in one.
    let held = lines(Code::DomainHeld, "contoso.test");
    assert!(held[1].contains("-ZoneName 'contoso.test' -Name '_pic-portal'"));
    let address = lines(Code::EdgeNoAddress, "sip.contoso.test");
    assert!(address[1].contains("-ZoneName 'contoso.test' -Name 'sip'"));
}

#[test]
fn a_domain_that_is_held_is_proved_by_a_record_as_long_as_somebody_looks() {
    let routes = routes();
    let held = finding(Code::DomainHeld, "contoso.com", "", &[]);
    let tell = |mode, token: Option<&'static str>| {
        let teller = Teller::new("Skype", mode, &routes);
        let teller = match token {
            Some(token) => teller.with_token(token),
            None => teller,
        };
        teller.tell(&held)
    };
    let looked_up = tell(Mode::Advise, Some("T"));
    assert!(looked_up.text.contains("Once we see it"));
    assert_eq!(looked_up.lines.len(), 3);
    let off = tell(Mode::Off, Some("T"));
    assert!(off.text.contains("is not looked up"), "{}", off.text);
    let ended = tell(Mode::Advise, None);
    assert!(!ended.text.contains("TXT") && ended.lines.is_empty());
}

#[test]
fn a_proof_that_no_server_answered_for_is_not_said_to_be_missing() {
    let routes = routes();
    let teller = Teller::new("Skype", Mode::Enforce, &routes).with_token("T");
    let mut unknown = finding(Code::DomainUnproven, "contoso.com", "", &[]);
    let missing = teller.tell(&unknown);
    unknown.severity = Severity::Unknown;
    let words = teller.tell(&unknown);
    assert_ne!(words.title, missing.title);
    assert!(words.text.contains("not held against"), "{}", words.text);
    assert_eq!(words.lines, missing.lines, "the record may be missing too");
}

#[test]
fn a_thousand_domains_make_no_line_that_nobody_can_use() {
    let domain = |n| SipDomain::parse(&format!("d{n}.contoso.com")).unwrap();
    let edge = AccessEdge::parse("sip.contoso.com").unwrap();
    let routes = [(edge, (0..1_000).map(domain).collect())];
    let teller = Teller::new("Skype", Mode::Enforce, &routes);
    let words = teller.tell(&finding(Code::CertificateName, "sip.contoso.com", "", &[]));
    assert_eq!(
        words.lines[0].label,
        "Names for the certificate, the first 100"
    );
    assert_eq!(words.lines[0].line.split(',').count(), 100);
    let missing = teller.tell(&finding(Code::SrvMissing, "d999.contoso.com", "", &[]));
    assert_eq!(missing.lines.len(), 3);
    // What is not asked for any more has no line.
    let gone = teller.tell(&finding(Code::SrvMissing, "gone.example", "", &[]));
    assert!(gone.lines.is_empty());
}
