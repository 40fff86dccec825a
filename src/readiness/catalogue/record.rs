//! The findings about a SIP domain: its SRV record, its name servers, and who holds it.

use super::{Area, Entry, Help, Line, Owner};
use crate::{readiness::Severity, topic::Topic};

pub(super) static SRV: Entry = Entry {
    severity: Severity::Ok,
    area: Area::Record,
    owner: Owner::None,
    title: "SRV record found",
    text: "",
    lines: &[],
    help: Help {
        means: "The SRV record _sipfederationtls._tcp of the SIP domain is there, has port 5061, and names the Access Edge of the request.",
        why: "Partners find your Access Edge by it. It is also your word as the owner of the zone that you want this route.",
        steps: &[
            "There is nothing to do. Keep the record as long as the domain is in force: we check it again from time to time.",
            "To move to another Access Edge: get the new server ready, update the service here, and change the record last.",
        ],
        note: "",
        related: &[Topic::DnsAndCertificate, Topic::EdgesAndDomains],
    },
};

pub(super) static SRV_MISSING: Entry = Entry {
    severity: Severity::Blocking,
    area: Area::Record,
    owner: Owner::Dns,
    title: "No SRV record for federation",
    text: "{provider} and other partners find your Access Edge by this record. Without it their calls and messages do not reach you.",
    lines: &[Line::SrvZone, Line::SrvAdd, Line::SrvLook],
    help: Help {
        means: "The public zone of the SIP domain has no SRV record under _sipfederationtls._tcp.",
        why: "Partners look this record up to find your Access Edge. Without it their calls and messages do not reach you, and we have no proof that the owner of the domain wants this route.",
        steps: &[
            "Publish one SRV record for each SIP domain, in its public zone. A record in the zone inside your network is not seen by anybody else.",
            "Give it port 5061, and as its target the Access Edge FQDN of your request, letter by letter.",
            "Look it up from outside your network.",
            "Come back to the page of your request. We check again automatically, or at once when you press “Check again”.",
        ],
        note: "Resolvers remember that a record was missing. We ask the servers of the zone themselves; others may say no for a while longer, at most as long as the last number in the SOA record of the zone says, in seconds.",
        related: &[Topic::DnsAndCertificate, Topic::EdgesAndDomains],
    },
};

pub(super) static SRV_MISSPELT: Entry = Entry {
    severity: Severity::Blocking,
    area: Area::Record,
    owner: Owner::Dns,
    title: "SRV record under a misspelt name",
    text: "There is a record under a wrong name, which nobody looks up; what is wrong with the name is shown below. Some manuals print such names, and some panels of DNS providers make them by adding an underscore or the domain. Publish the right one, then remove the misspelt one.",
    lines: &[
        Line::SrvZone,
        Line::SrvAdd,
        Line::SrvLook,
        Line::MisspeltRemove,
    ],
    help: Help {
        means: "There is a record for federation under a name that is not quite right, such as _sipfederationtls_tcp, _sipfederationtls.__tcp, or one with the domain twice. Some manuals print such names, and some panels of DNS providers make them.",
        why: "Partners look up _sipfederationtls._tcp and nothing else. Both words begin with an underscore, and a dot stands between them. Partners do not find your record.",
        steps: &[
            "Publish the record under the right name.",
            "Look it up from outside your network.",
            "Remove the misspelt one. It breaks nothing, but may mislead whoever reads the zone next.",
        ],
        note: "Some DNS consoles have separate fields for service and protocol. There the service is _sipfederationtls and the protocol is _tcp.",
        related: &[Topic::DnsAndCertificate],
    },
};

pub(super) static SRV_PORT: Entry = Entry {
    severity: Severity::Blocking,
    area: Area::Record,
    owner: Owner::Dns,
    title: "SRV record with another port than 5061",
    text: "Federation uses port 5061. Partners connect to the port in the record.",
    lines: &[Line::SrvZone, Line::SrvAdd, Line::SrvRemove, Line::SrvLook],
    help: Help {
        means: "The SRV record of the SIP domain names another port than 5061.",
        why: "Federation uses TCP port 5061. Partners take the port from the record and connect to the wrong port. Port 443 belongs to _sip._tls, which is for signing in.",
        steps: &[
            "Publish the record with port 5061.",
            "Remove the record with the wrong port.",
            "Look it up from outside your network.",
        ],
        note: "If your firewall maps another port to the Access Edge, let in port 5061 too.",
        related: &[Topic::DnsAndCertificate],
    },
};

pub(super) static SRV_TARGET: Entry = Entry {
    severity: Severity::Blocking,
    area: Area::Record,
    owner: Owner::Dns,
    title: "SRV record does not name the Access Edge",
    text: "Partners use the records with the lowest priority number, and none of them names the Access Edge of this request.",
    lines: &[Line::SrvZone, Line::SrvAdd, Line::SrvRemove, Line::SrvLook],
    help: Help {
        means: "None of the SRV records with the lowest priority number names the Access Edge of the request, or one beside the right one does not.",
        why: "Partners try the lowest priority number first, so they connect to another server than the one that you requested. The record shows what the zone’s owner wants, and it does not agree with the request.",
        steps: &[
            "Compare the name in the record with the Access Edge FQDN of the request, letter by letter.",
            "If you are moving the domain to a new Access Edge, keep to this order: get the new server and its certificate ready, send the request or the update here, publish the new record, then remove the old one. Calls keep working, because the old server answers until the end.",
            "We check again automatically. Press “Check again” on the page of your request, and the route switches as soon as we see the new record.",
            "If there are several records, give the right one the lowest priority number.",
            "If the record is right, choose “Correct this request” on the page of your request, and enter the Access Edge that the record names.",
            "If the name in the record is an alias of the same server, publish the server’s own name.",
            "If the record has the name of the zone behind the right name, write a dot at the end of the target, or leave the domain out where the panel adds it.",
        ],
        note: "Of several records with the same priority number partners use any. With a wrong one beside the right one your request does not wait, unless the wrong one leads to the online service or to consumer accounts.",
        related: &[Topic::EdgesAndDomains, Topic::DnsAndCertificate],
    },
};

pub(super) static SRV_SUFFIX: Entry = Entry {
    severity: Severity::Warning,
    area: Area::Record,
    owner: Owner::Decision,
    title: "Access Edge is not directly under the domain",
    text: "Some partners only find servers named directly under the domain, such as sip.contoso.com for contoso.com. Partners who added your server by name are not affected. You can leave it as it is, or give the Access Edge a name directly under the domain and request that name.",
    lines: &[],
    help: Help {
        means: "The name of the Access Edge is not one label and then the SIP domain, as sip.contoso.com is for contoso.com.",
        why: "Since 2019 partners who find servers by DNS accept only such names. For contoso.com they refuse sip.contoso-edge.com and sip.it.contoso.com. Partners who added your server by name are not affected. Your request does not wait for it.",
        steps: &[
            "Ask your partners whether they discover your server or have added it by name. In the second case leave everything as it is.",
            "Otherwise give the Access Edge a name directly under the SIP domain, in DNS and among the alternative names of its certificate.",
            "Then update the service here, and change the SRV record.",
        ],
        note: "Changing the FQDN of an Access Edge that is in force may interrupt the service. Keep the old name if you can.",
        related: &[Topic::EdgesAndDomains, Topic::Times],
    },
};

pub(super) static HOMED_ONLINE: Entry = Entry {
    severity: Severity::Blocking,
    area: Area::Record,
    owner: Owner::Dns,
    title: "SRV record says that the domain is online",
    text: "The record leads to the online service. That is wrong for users on your own servers, and for hybrid and split domains too: the record has to name your Access Edge. If all users of the domain are online, remove it from the request and use the admin centre of your online service.",
    lines: &[Line::SrvZone, Line::SrvAdd, Line::SrvRemove, Line::SrvLook],
    help: Help {
        means: "The SRV record of the SIP domain names a server of the online service, such as sipfed.online.lync.com.",
        why: "It sends partners to the online service. That is right when all users of the domain are online. It is wrong for users on your own servers, and for hybrid and split domains too: there the Access Edge receives everything and passes on what is for the users online.",
        steps: &[
            "If all users of the domain are online, remove the domain from the request. Use the admin centre of your online service instead.",
            "Otherwise publish a record that names your Access Edge, then remove the old one.",
            "For a split domain keep to the order of steps: first here, then external communications online.",
        ],
        note: "",
        related: &[
            Topic::SplitDomain,
            Topic::Eligibility,
            Topic::DnsAndCertificate,
        ],
    },
};

pub(super) static ROUTED_TO_CONSUMER: Entry = Entry {
    severity: Severity::Blocking,
    area: Area::Record,
    owner: Owner::Dns,
    title: "SRV record leads to consumer accounts",
    text: "The record sends calls and messages for your users to the network of personal accounts. Publish one that names your Access Edge, then remove the old one.",
    lines: &[Line::SrvZone, Line::SrvAdd, Line::SrvRemove, Line::SrvLook],
    help: Help {
        means: "The SRV record of the SIP domain names federation.messenger.msn.com.",
        why: "It sends the whole domain to the network of personal accounts. Calls and messages for users on your own servers never arrive.",
        steps: &[
            "Find out who published the record: it may come from an old service for personal accounts.",
            "Publish one that names your Access Edge, then remove the old one.",
            "Look it up from outside your network.",
        ],
        note: "",
        related: &[Topic::DnsAndCertificate, Topic::PersonalAccounts],
    },
};

pub(super) static DNS_DISAGREES: Entry = Entry {
    severity: Severity::Warning,
    area: Area::Record,
    owner: Owner::Dns,
    title: "Name servers of the zone disagree",
    text: "The authoritative servers of the zone give different answers, so partners see one or the other. Often one of them does not have the last change. Look the record up at each server, and correct the one that is wrong.",
    lines: &[Line::NameServers, Line::AskOneServer],
    help: Help {
        means: "The authoritative name servers of the zone give different answers for the SRV record.",
        why: "Each partner asks any of the servers, so federation works for some and not for others.",
        steps: &[
            "List the name servers of the zone, and look the record up at each of them.",
            "Compare the serial numbers in their SOA records. A server with a lower one does not have the last change.",
            "If you have changed something within the last hour, wait for it to spread.",
            "Remove servers from the delegation that do not serve the zone any more.",
        ],
        note: "",
        related: &[Topic::DnsAndCertificate],
    },
};

pub(super) static DOMAIN_HELD: Entry = Entry {
    severity: Severity::Blocking,
    area: Area::Held,
    owner: Owner::Holder,
    title: "Another service holds the domain",
    text: "A SIP domain can be in force under one service only. If it is yours under another agreement or an older request, release it there, and this request goes on automatically. Who holds it is not shown.",
    lines: &[Line::Proof],
    help: Help {
        means: "A SIP domain of your request is in force under another service of this portal.",
        why: "A SIP domain can be in force under one service only: its calls and messages can go one way only. Your request waits, and nothing changes for the service that holds the domain. Its owner is never named.",
        steps: &[
            "Ask in your organisation who else sent a request. Another department or an earlier request may hold the domain.",
            "If it is yours, release it there. Your request then goes on automatically.",
            "If you cannot reach the other service, prove that the domain is yours: publish the TXT record that the page of your request shows, with your own token. Once we see it, the domain moves to your service. Its route stays in force all the time.",
            "After that you can remove the record. Remove those of other services too: a record that is left from an earlier service lets that service take the domain back by a new request.",
        ],
        note: "",
        related: &[Topic::LostKey, Topic::EdgesAndDomains, Topic::Times],
    },
};

pub(super) static DOMAIN_UNPROVEN: Entry = Entry {
    severity: Severity::Blocking,
    area: Area::Proof,
    owner: Owner::Dns,
    title: "Ownership of the domain is not proven",
    text: "This portal provisions a domain only after the owner of its zone has named the service that requested it. Publish the TXT record below in the zone of the domain, and none of another service beside it.",
    lines: &[Line::Proof],
    help: Help {
        means: "The zone of the SIP domain does not name the service of your request: the TXT record at _pic-portal and the domain is missing, is another one, or could not be looked up.",
        why: "SRV record and certificate are public. They show where calls and messages of the domain go, and not who made the request. What is published in the zone on behalf of the request shows that its owner agrees. A portal can require that before it provisions a domain for the first time, even if everything else is right. A domain that is in force under your service already needs no new proof, and cancelling needs none.",
        steps: &[
            "Open the receipt or the page of your request. It shows the TXT record, with the token of your service. The value is the same for all domains of your service.",
            "Publish it in the public zone of each new SIP domain, at _pic-portal and the domain.",
            "Check that it is the only record at that name that begins with pic-service=. Remove those of other services, even with yours beside them: a zone that names two services proves nothing.",
            "Look it up from outside your network.",
            "Come back to the page of your request. We check again automatically, or at once when you press “Check again”.",
            "Once the request is provisioned you can remove the record.",
        ],
        note: "Some DNS consoles add the domain to a name automatically. There the name of the record is _pic-portal and nothing else.",
        related: &[Topic::DnsAndCertificate, Topic::Times],
    },
};

pub(super) static DOMAIN_PROVEN: Entry = Entry {
    severity: Severity::Ok,
    area: Area::Proof,
    owner: Owner::None,
    title: "Ownership of the domain is proven",
    text: "",
    lines: &[],
    help: Help {
        means: "The zone of the SIP domain names the service of your request, by a TXT record at _pic-portal and the domain, and no other service.",
        why: "It shows that the owner of the domain agrees with the request. SRV record and certificate are public, so they cannot show that.",
        steps: &[
            "Leave the record where it is until the request is provisioned.",
            "Then you can remove it. A domain in force needs no new proof.",
            "Check that no record of an earlier service is left at that name: it lets that service take the domain back by a new request.",
        ],
        note: "",
        related: &[Topic::DnsAndCertificate, Topic::Times],
    },
};

pub(super) static RESOLVER_UNREACHABLE: Entry = Entry {
    severity: Severity::Unknown,
    area: Area::Record,
    owner: Owner::Portal,
    title: "The name could not be looked up",
    text: "You do not have to act: we check again automatically.",
    lines: &[Line::NameServers],
    help: Help {
        means: "There was no answer that counts when we asked for the records of the name: neither from a resolver nor from the name servers of the zone.",
        why: "Without an answer we do not know whether the record is right. So the request waits, and we check again automatically.",
        steps: &[
            "If it is the same for several domains in different zones, the problem is most likely on our side. Wait.",
            "If it is one domain and stays like this, check that its name servers answer from the internet, over UDP and TCP port 53.",
            "Check that the delegation at your registrar names servers that exist.",
            "If the zone is signed with DNSSEC, check that the signatures have not expired.",
        ],
        note: "",
        related: &[Topic::DnsAndCertificate, Topic::Times],
    },
};
