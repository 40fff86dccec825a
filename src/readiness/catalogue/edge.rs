//! The findings about an Access Edge: its address and its port.

use super::{Area, Entry, Help, Line, Owner};
use crate::{readiness::Severity, topic::Topic};

pub(super) static EDGE_NO_ADDRESS: Entry = Entry {
    severity: Severity::Blocking,
    area: Area::Reach,
    owner: Owner::Dns,
    title: "Access Edge has no address",
    text: "Public DNS has neither an A nor an AAAA record for its name, so nobody can connect.",
    lines: &[Line::AddressZone, Line::AddressAdd, Line::AddressLook],
    help: Help {
        means: "Public DNS has neither an A nor an AAAA record for the FQDN of the Access Edge.",
        why: "The SRV record names the server, and the server’s name needs an address. Without one nobody can connect.",
        steps: &[
            "Check the FQDN in your request, letter by letter.",
            "Publish the public address of the external interface, in place of PUBLIC-ADDRESS below. An alias (CNAME) is not enough: an SRV record has to name the host itself.",
            "Look it up from outside your network. A zone inside your network may have it while the public one has not.",
        ],
        note: "",
        related: &[Topic::DnsAndCertificate, Topic::EdgesAndDomains],
    },
};

pub(super) static EDGE_ALIAS: Entry = Entry {
    severity: Severity::Warning,
    area: Area::Reach,
    owner: Owner::Dns,
    title: "Access Edge is an alias",
    text: "An SRV record has to name a host that has an address of its own, and the name of this Access Edge is an alias (CNAME). Most programs follow it, and some refuse it. Publish the address in the place of the alias.",
    lines: &[
        Line::AliasRemove,
        Line::AddressZone,
        Line::AddressAdd,
        Line::AddressLook,
    ],
    help: Help {
        means: "The FQDN of the Access Edge is an alias (CNAME) of another name, and has no address of its own.",
        why: "The target of an SRV record must not be an alias, so some programs do not follow it. An alias of a server of the online service, such as sipdir.online.lync.com, is left over from the time when the users were there: it leads partners to the online service, and no certificate of yours can be shown there. Then the request is held back.",
        steps: &[
            "Find the public address of the external interface of your Access Edge.",
            "Remove the alias, and publish that address in its place. At one name there is room for an alias or for an address, not for both.",
            "Look it up from outside your network.",
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
    text: "Public DNS has an address that cannot be reached from the internet; we do not show it and do not connect to it. Publish the public address of the external interface instead.",
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
    title: "No TLS connection with the Access Edge on port 5061",
    text: "Partners connect from the internet to TCP port 5061 of the external interface, and begin with TLS at once. What we found is below; test it from outside your own network.",
    lines: &[Line::Connect, Line::Handshake],
    help: Help {
        means: "No certificate was seen on TCP port 5061 of the Access Edge, or a server that does not hold its key.",
        why: "Partners connect from the internet to port 5061 and begin with TLS at once. The finding shows how far a connection gets. Refused or without an answer: a firewall or a stopped service. An answer that is no TLS, or that refuses it: another service uses the port, or the server has no certificate assigned.",
        steps: &[
            "Test the port from outside your own network, with one of the commands below.",
            "At the firewall open TCP port 5061 from any address to the external interface of the Access Edge. For calls to partners open it outwards too.",
            "On the Edge Server check that the Access Edge service runs: Get-CsWindowsService lists the services.",
            "If something answers and refuses TLS, check that a certificate is assigned to the external interface, with its private key: Get-CsCertificate -Type AccessEdgeExternal.",
            "Check that port 5061 is passed on as it is. A proxy that ends TLS itself cannot stand in for an Access Edge.",
        ],
        note: "Both sides show a certificate on this port. If a test tool is cut off after it has seen the certificate of your server, nothing is wrong.",
        related: &[Topic::DnsAndCertificate, Topic::AfterProvisioning],
    },
};

pub(super) static EDGE_PARTLY_UNREACHABLE: Entry = Entry {
    severity: Severity::Warning,
    area: Area::Reach,
    owner: Owner::Network,
    title: "No TLS connection at some addresses of the Access Edge",
    text: "Partners use any of the addresses that DNS has. If one does not answer, some connections fail or take long, and others do not. Fix the servers at the addresses below, or remove from DNS those that are no longer in use.",
    lines: &[Line::AddressLook, Line::Handshake],
    help: Help {
        means: "The Access Edge has several addresses, and not all of them show a certificate on port 5061. The finding names those that do not.",
        why: "Each partner picks one of the addresses. In a pool of two Edge Servers every second connection goes to the one that does not answer; some partners then try the next, after a while, and others do not. The same is true for an IPv6 address where no server listens.",
        steps: &[
            "Check that each Edge Server of the pool runs, with the same certificate, and that the firewall opens port 5061 to each.",
            "Remove addresses from DNS that are no longer in use, AAAA records too.",
        ],
        note: "Your request does not wait for it.",
        related: &[Topic::DnsAndCertificate, Topic::EdgesAndDomains],
    },
};

pub(super) static EDGE_SHARED_ADDRESS: Entry = Entry {
    severity: Severity::Warning,
    area: Area::Reach,
    owner: Owner::Decision,
    title: "Access Edge shares an address with another",
    text: "Some gateways, Kamailio before 6.1 among them, find an open connection by its address alone. While a connection to one of the two Access Edges is open, they refuse calls to the other. Request the SIP domains of both under one of the two names, or give each Access Edge an address of its own.",
    lines: &[Line::AddressLook],
    help: Help {
        means: "Two Access Edges that are requested together have an address in common. The finding is about the later of the two in alphabetical order, and names the address and the other one.",
        why: "Each may show the right certificate when it is asked by its own name. But some gateways, Kamailio before 6.1 among them, find an open connection by its address alone. A connection that was opened for one name must not carry calls for the other, whose certificate was not checked there. So while the one is open, calls to the other Access Edge are refused (403).",
        steps: &[
            "Decide whether you need two Access Edges: one can serve many SIP domains.",
            "For one: request the SIP domains of both under the name that you keep. Let the SRV record of each domain name it, and have that name in its certificate. Some partners do not find an Access Edge whose name is not below the SIP domain; if these matter, keep two.",
            "For two: give each a public address of its own, at the firewall and in public DNS.",
        ],
        note: "Your request does not wait for it. The Web Conferencing Edge and the A/V Edge are not meant: they may use the address of the Access Edge, because federation uses port 5061 alone.",
        related: &[Topic::DnsAndCertificate, Topic::EdgesAndDomains],
    },
};

pub(super) static EDGE_NO_ROUTE: Entry = Entry {
    severity: Severity::Unknown,
    area: Area::Reach,
    owner: Owner::Portal,
    title: "Access Edge cannot be reached from this portal",
    text: "This portal has no way to the addresses of the Access Edge. So we do not know whether it is right. You do not have to act: we check again automatically.",
    lines: &[Line::AddressLook],
    help: Help {
        means: "The machine that the portal runs on has no way to the addresses of the Access Edge, or lacked something else that it needs for a connection.",
        why: "What cannot be checked is not your problem. Most often the Access Edge has IPv6 addresses alone, and the portal has no IPv6.",
        steps: &[
            "If the Access Edge can have an IPv4 address too, publish it: many partners have no IPv6.",
            "Otherwise tell those who run the portal.",
        ],
        note: "",
        related: &[Topic::DnsAndCertificate],
    },
};

pub(super) static TLS_OLD: Entry = Entry {
    severity: Severity::Warning,
    area: Area::Reach,
    owner: Owner::Network,
    title: "Access Edge prefers old TLS",
    text: "It was offered newer cipher suites and chose an old one: without a key exchange by ECDHE or DHE, or without GCM. Partners whose programs support only newer ones cannot connect. Enable newer suites, and put them first.",
    lines: &[Line::Handshake],
    help: Help {
        means: "The Access Edge chooses an old cipher suite although newer ones are offered, or TLS 1.0 or 1.1 is the newest version that it supports.",
        why: "Most partners have disabled TLS 1.0 and 1.1: without TLS 1.2 they cannot connect, and the request waits. With old suites in TLS 1.2 only partners that still accept them can connect.",
        steps: &[
            "Enable TLS 1.2 for server and client in the registry, below SecurityProviders\\SCHANNEL\\Protocols, and install the updates for it: Lync Server 2013 and Skype for Business Server 2015 support it.",
            "Put suites with ECDHE and GCM first: the group policy SSL Cipher Suite Order. Windows Server 2012 R2 and older have none for an RSA certificate; one with an ECDSA key has them.",
            "Restart the server, then press “Check again” on the page of your request.",
        ],
        note: "Old TLS does not hide the certificate: it is judged like any other.",
        related: &[Topic::DnsAndCertificate],
    },
};
