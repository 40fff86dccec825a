//! The findings about an Access Edge: its address and its port.

use super::{Area, Entry, Help, Line, Owner};
use crate::{readiness::Severity, topic::Topic};

pub(super) static EDGE_NO_ADDRESS: Entry = Entry {
    severity: Severity::Blocking,
    area: Area::Reach,
    owner: Owner::Dns,
    title: "Access Edge has no address",
    text: "Public DNS has neither an A nor an AAAA record for its name, so nobody can connect. Publish its public address.",
    lines: &[Line::AddressZone, Line::AddressAdd, Line::AddressLook],
    help: Help {
        means: "Public DNS has neither an A nor an AAAA record for the FQDN of the Access Edge.",
        why: "The SRV record leads to a name, and the name has to lead to an address. Without one nobody can connect.",
        steps: &[
            "Check the FQDN in your request, letter by letter.",
            "Publish the public address of the external interface, in place of PUBLIC-ADDRESS below. An alias (CNAME) is not enough: an SRV record has to name the host itself.",
            "Look it up from outside your network. A zone inside your network may have it while the public one has not.",
        ],
        note: "",
        related: &[Topic::DnsAndCertificate, Topic::EdgesAndDomains],
    },
};

pub(super) static EDGE_PRIVATE_ADDRESS: Entry = Entry {
    severity: Severity::Blocking,
    area: Area::Reach,
    owner: Owner::Dns,
    title: "Access Edge has no public address",
    text: "Public DNS gives an address that cannot be reached from the internet; we do not show it and do not connect to it. Publish the public address of the external interface instead.",
    lines: &[Line::AddressZone, Line::AddressAdd, Line::AddressLook],
    help: Help {
        means: "Public DNS gives an address for the Access Edge that cannot be reached from the internet, such as one of your own network.",
        why: "Partners cannot connect to it. We do not connect to such addresses either, and never show them.",
        steps: &[
            "Find the public address of the external interface; behind address translation it is that of the firewall.",
            "Replace the address record in the public zone.",
            "Keep the private address in the zone inside your network only.",
        ],
        note: "If the name has several addresses, each of them has to be public.",
        related: &[Topic::DnsAndCertificate, Topic::EdgesAndDomains],
    },
};

pub(super) static EDGE_UNREACHABLE: Entry = Entry {
    severity: Severity::Blocking,
    area: Area::Reach,
    owner: Owner::Network,
    title: "Access Edge does not answer on port 5061",
    text: "Nothing that speaks TLS answers there. Partners connect from the internet to TCP port 5061 of the external interface. Let that in at the firewall, and see that the Access Edge service runs. Test it from outside your own network.",
    lines: &[Line::Connect, Line::Handshake],
    help: Help {
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
    },
};
