//! What is found about an Access Edge and its certificate?

use super::{Text, Topic};

const RELATED: &[Topic] = &[Topic::DnsAndCertificate, Topic::EdgesAndDomains];

pub(super) const NO_ADDRESS: Text = Text {
    means: "Public DNS has neither an A nor an AAAA record for the FQDN of the Access Edge.",
    why: "The SRV record leads to a name, and the name has to lead to an address. Without one nobody can connect.",
    steps: &[
        "Check the FQDN in your request, letter by letter.",
        "Publish the public address of the external interface, in place of PUBLIC-ADDRESS below. An alias (CNAME) is not enough: an SRV record has to name the host itself.",
        "Look it up from outside your network. A zone inside your network may have it while the public one has not.",
    ],
    note: "",
    related: RELATED,
};

pub(super) const PRIVATE_ADDRESS: Text = Text {
    means: "Public DNS gives an address for the Access Edge that cannot be reached from the internet, such as one of your own network.",
    why: "Partners cannot connect to it. We do not connect to such addresses either, and never show them.",
    steps: &[
        "Find the public address of the external interface; behind address translation it is that of the firewall.",
        "Replace the address record in the public zone.",
        "Keep the private address in the zone inside your network only.",
    ],
    note: "If the name has several addresses, each of them has to be public.",
    related: RELATED,
};

pub(super) const UNREACHABLE: Text = Text {
    means: "Nothing that speaks TLS answered on TCP port 5061 of the Access Edge.",
    why: "Partners connect from the internet to port 5061 and begin with TLS at once. A firewall in between, a service that is stopped, or another service on that port all look the same from outside.",
    steps: &[
        "Test the port from outside your own network, with one of the commands below.",
        "At the firewall let in TCP port 5061 from any address to the external interface of the Access Edge. For calls to partners let it out too.",
        "On the Edge Server see that the Access Edge service runs: Get-CsWindowsService lists the services.",
        "See that port 5061 is passed on as it is. A proxy that ends TLS itself cannot stand in for an Access Edge.",
    ],
    note: "Both sides show a certificate on this port. If a test tool is cut off after it has seen the certificate of your server, that is no fault.",
    related: &[Topic::DnsAndCertificate, Topic::AfterProvisioning],
};

pub(super) const CERTIFICATE: Text = Text {
    means: "The Access Edge shows a certificate on port 5061 that partners accept: trusted, in its time, and for its own name.",
    why: "Both sides of federation prove by certificates who they are.",
    steps: &["There is nothing to do. Renew it in time, and keep all its names when you do."],
    note: "",
    related: RELATED,
};

pub(super) const NAME: Text = Text {
    means: "The certificate on port 5061 does not have the FQDN of the Access Edge among its names. A name in the subject counts only where the certificate has no subject alternative names at all, and no authority above it is limited to certain names.",
    why: "A partner connects to the FQDN and accepts a certificate for exactly this name. With any other it breaks the connection off. Where there are alternative names, the subject is not read.",
    steps: &[
        "Ask your certificate authority for a certificate with the FQDN of the Access Edge as subject and as subject alternative name, and sip. with each SIP domain as further alternative names.",
        "Import it on every Edge Server of the pool, with its private key.",
        "Assign it to the external interface: Set-CsCertificate -Type AccessEdgeExternal with its thumbprint.",
        "Restart the Access Edge service, then press “Check again” on the page of your request.",
    ],
    note: "If the certificate is right on the server and another one is seen from outside, something in front of the server answers with its own.",
    related: RELATED,
};

pub(super) const EXPIRED: Text = Text {
    means: "The last day of the certificate on port 5061 has passed.",
    why: "Every partner refuses an expired certificate. What is in force stays in force, but no connection comes about.",
    steps: &[
        "Renew the certificate with the same names. The list below has all that your request needs.",
        "Import it on every Edge Server of the pool and assign it to the external interface: Set-CsCertificate -Type AccessEdgeExternal with its thumbprint.",
        "Restart the Access Edge service.",
    ],
    note: "If a new certificate is installed already, it may not be assigned to the external interface yet.",
    related: RELATED,
};

pub(super) const NOT_YET_VALID: Text = Text {
    means: "The first day of the certificate on port 5061 lies ahead.",
    why: "Partners refuse it until then.",
    steps: &[
        "If its first day is near, wait. We look again by ourselves.",
        "Otherwise assign the earlier certificate again until the day has come.",
        "If it should be valid already, compare the dates in it with what you ordered.",
    ],
    note: "",
    related: RELATED,
};

pub(super) const UNTRUSTED: Text = Text {
    means: "The certificate on port 5061 does not lead to a public certificate authority.",
    why: "Partners trust public authorities and not the one inside your organisation. They know the roots only: the certificates in between have to be sent by your server.",
    steps: &[
        "See which certificates your server sends, with the command below. There has to be one for each step up to, and without, the root.",
        "If some are missing, install those of your authority into the intermediate certification authorities of the computer, on every Edge Server, and restart the Access Edge service.",
        "If your own authority issued it, ask a public one for the external interface. Inside your network you can keep your own.",
    ],
    note: "",
    related: RELATED,
};

pub(super) const EXPIRES_SOON: Text = Text {
    means: "The certificate on port 5061 expires within a month.",
    why: "On its last day federation stops for all SIP domains of this Access Edge. We cannot write to you when the day comes. Nothing is held back by it.",
    steps: &[
        "Renew the certificate now, with the same names. The list below has all that your request needs.",
        "Import it on every Edge Server of the pool and assign it to the external interface: Set-CsCertificate -Type AccessEdgeExternal with its thumbprint.",
    ],
    note: "",
    related: RELATED,
};

pub(super) const CN_ONLY: Text = Text {
    means: "The FQDN of the Access Edge stands in the subject of the certificate, which has no subject alternative names.",
    why: "Many programs look at the alternative names alone and refuse the certificate. Others still read the subject. So it works with some partners and not with others.",
    steps: &[
        "Ask your certificate authority to issue it again, with the FQDN in both places. Most do so without a fee.",
        "Assign the new one to the external interface.",
    ],
    note: "",
    related: RELATED,
};

pub(super) const WILDCARD: Text = Text {
    means: "The certificate fits the FQDN of the Access Edge by a wildcard alone, such as *.contoso.com.",
    why: "Some partners do not accept a wildcard between servers, and some server versions do not support one on the Access Edge.",
    steps: &[
        "With the next certificate have each name written out. The list below has all that your request needs.",
        "Assign it to the external interface.",
    ],
    note: "",
    related: RELATED,
};

pub(super) const DOMAIN_SAN: Text = Text {
    means: "The certificate does not have sip. and the SIP domain among its subject alternative names, such as sip.contoso.com for contoso.com.",
    why: "Some clients and partners look for this name. The Access Edge itself is reached without it, so nothing is held back.",
    steps: &[
        "With the next certificate have the name added for each SIP domain. The list below has all that your request needs.",
        "Assign it to the external interface.",
    ],
    note: "With many SIP domains the authority may ask for a certificate of another kind. Ask it how many names it takes.",
    related: RELATED,
};
