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
            "There is nothing to do. Keep the record as long as the domain is in force: it is looked at again from time to time.",
            "If you move to another Access Edge, first update the service here, then change the record.",
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
    text: "{provider} and other partners find your Access Edge by this record. Without it their calls and messages have nowhere to go.",
    lines: &[Line::SrvZone, Line::SrvAdd, Line::SrvLook],
    help: Help {
        means: "The public zone of the SIP domain has no SRV record under _sipfederationtls._tcp.",
        why: "Partners look this record up to find your Access Edge. Without it their calls and messages have nowhere to go, and we have no proof that the owner of the domain wants this route.",
        steps: &[
            "Publish one SRV record for each SIP domain, in its public zone. A record in the zone inside your network is not seen by anybody else.",
            "Give it port 5061, and as its target the Access Edge FQDN of your request, letter by letter.",
            "Look it up from outside your network.",
            "Come back to the page of your request. It is looked at again by itself, or at once when you press “Check again”.",
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
    text: "There is a record, under a name that nobody asks for; what is wrong with the name stands beside it, below. Some manuals print such names, and some panels of DNS providers make them by adding an underscore or the domain. Publish the right one, then remove the misspelt one.",
    lines: &[
        Line::SrvZone,
        Line::SrvAdd,
        Line::SrvLook,
        Line::MisspeltRemove,
    ],
    help: Help {
        means: "There is a record for federation under a name that is not quite right, such as _sipfederationtls_tcp, _sipfederationtls.__tcp, or one with the domain twice. Some manuals print such names, and some panels of DNS providers make them.",
        why: "Partners look for _sipfederationtls._tcp and nothing else. Both words begin with an underscore, and a dot stands between them. For partners your record is not there.",
        steps: &[
            "Publish the record under the right name.",
            "Look it up from outside your network.",
            "Remove the misspelt one. It does no harm, but the next reader takes it for the right one.",
        ],
        note: "Some consoles of DNS providers have separate fields for service and protocol. There the service is _sipfederationtls and the protocol is _tcp.",
        related: &[Topic::DnsAndCertificate],
    },
};

pub(super) static SRV_PORT: Entry = Entry {
    severity: Severity::Blocking,
    area: Area::Record,
    owner: Owner::Dns,
    title: "SRV record with another port than 5061",
    text: "Federation uses port 5061. Partners connect to the port in the record.",
    lines: &[Line::SrvZone, Line::SrvRemove, Line::SrvAdd, Line::SrvLook],
    help: Help {
        means: "The SRV record of the SIP domain names another port than 5061.",
        why: "Federation uses TCP port 5061. Partners take the port from the record and find nobody there. Port 443 belongs to _sip._tls, which is for signing in.",
        steps: &[
            "Remove the record with the wrong port.",
            "Publish it with port 5061.",
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
    lines: &[Line::SrvZone, Line::SrvRemove, Line::SrvAdd, Line::SrvLook],
    help: Help {
        means: "None of the SRV records with the lowest priority number names the Access Edge of the request, or one beside the right one does not.",
        why: "Partners try the lowest priority number first, so they go to another server than the one that you asked for. We take the record for the word of the zone’s owner, and it does not agree with the request.",
        steps: &[
            "Compare the name in the record with the Access Edge FQDN of the request, letter by letter.",
            "If the request is right, replace the record, or give the right one a lower priority number than the others have.",
            "If the record is right, withdraw the request and ask for the Access Edge that the record names.",
            "If the name in the record is an alias of the same server, publish the server’s own name.",
            "If the record has the name of the zone behind the right name, write a dot at the end of the target, or leave the domain out where the panel adds it.",
        ],
        note: "Of several records with the same priority number partners choose one by chance. A wrong one beside the right one holds nothing back, unless it leads to the online service or to consumer accounts.",
        related: &[Topic::EdgesAndDomains, Topic::DnsAndCertificate],
    },
};

pub(super) static SRV_SUFFIX: Entry = Entry {
    severity: Severity::Warning,
    area: Area::Record,
    owner: Owner::Decision,
    title: "Access Edge is not directly under the domain",
    text: "Partners who discover servers by the rule of 2019 accept one label in front of the SIP domain, such as sip.contoso.com for contoso.com. Partners who add your server by name are not affected. You can leave it as it is, or give the Access Edge a name directly under the domain and ask for that name.",
    lines: &[],
    help: Help {
        means: "The name of the Access Edge is not one label and then the SIP domain, as sip.contoso.com is for contoso.com.",
        why: "Since 2019 partners who discover servers by themselves accept only such names. For contoso.com they refuse sip.contoso-edge.com and sip.it.contoso.com. Partners who add your server by name are not affected. Nothing is held back by it.",
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
    text: "The record leads to the online service. That is wrong for users on your own servers, and for hybrid and split domains too: the record has to name your Access Edge. If all users of the domain are online, take it out of the request and use the admin centre of your online service.",
    lines: &[Line::SrvZone, Line::SrvRemove, Line::SrvAdd, Line::SrvLook],
    help: Help {
        means: "The SRV record of the SIP domain names a server of the online service, such as sipfed.online.lync.com.",
        why: "It sends partners to the online service. That is right when all users of the domain are online. It is wrong for users on your own servers, and for hybrid and split domains too: there the Access Edge takes what comes in and passes on what is for the users online.",
        steps: &[
            "If all users of the domain are online, take the domain out of the request. Use the admin centre of your online service instead.",
            "Otherwise replace the record by one that names your Access Edge.",
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
    text: "The record sends what is meant for your users to the network of personal accounts. Replace it by one that names your Access Edge.",
    lines: &[Line::SrvZone, Line::SrvRemove, Line::SrvAdd, Line::SrvLook],
    help: Help {
        means: "The SRV record of the SIP domain names federation.messenger.msn.com.",
        why: "It routes the whole domain to the network of personal accounts. What is meant for users on your own servers never arrives there.",
        steps: &[
            "Find out who published the record: it may be left over from a service for personal accounts.",
            "Replace it by one that names your Access Edge.",
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
    text: "The authoritative servers of the zone give different answers, so it depends on chance what partners see. Often one of them has not taken over the last change. Ask each, and bring them to one answer.",
    lines: &[Line::NameServers, Line::AskOneServer],
    help: Help {
        means: "The authoritative name servers of the zone give different answers for the SRV record.",
        why: "It depends on chance which server a partner asks, so federation works for some and not for others. Nothing is held back by it, as long as one of the answers is right.",
        steps: &[
            "List the name servers of the zone, and ask each of them for the record.",
            "Compare the serial numbers in their SOA records. A server with a lower one has not taken over the last change.",
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
    text: "A SIP domain can be in force once. If it is yours under another agreement or an older request, release it there, and this request goes on by itself. Who holds it is not shown.",
    lines: &[Line::Proof],
    help: Help {
        means: "A SIP domain of your request is in force under another service of this portal.",
        why: "A SIP domain can be in force once: its calls and messages can go one way only. Your request waits, and nothing changes for the service that holds the domain. Its owner is never named.",
        steps: &[
            "Ask in your organisation who else sent a request. Another department or an earlier request may hold the domain.",
            "If it is yours, have it released there. Your request then goes on by itself.",
            "If you cannot reach the other service, prove that the domain is yours: publish the TXT record that the page of your request shows, with your own token. Once we see it, the domain moves to your service. Its route is never missing on the way.",
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
    text: "This portal provisions a domain only after the owner of its zone has named the service that asks for it. Publish the TXT record below in the zone of the domain, and none of another service beside it.",
    lines: &[Line::Proof],
    help: Help {
        means: "The zone of the SIP domain does not name the service of your request: the TXT record at _pic-portal and the domain is missing, is another one, or could not be looked up.",
        why: "SRV record and certificate are public. They show where calls and messages of the domain are to go, and not who asks for it. What is published in the zone on behalf of the request shows that its owner agrees. A portal can ask for that before it provisions a domain for the first time, however right everything else is. A domain that is in force under your service already is not asked for again, and cancelling needs no proof.",
        steps: &[
            "Open the receipt or the page of your request. It shows the TXT record, with the token of your service. The value is the same for all domains of your service.",
            "Publish it in the public zone of each new SIP domain, at _pic-portal and the domain.",
            "See that it is the only record at that name that begins with pic-service=. Remove those of other services, even with yours beside them: a zone that names two services proves nothing.",
            "Look it up from outside your network.",
            "Come back to the page of your request. It is looked at again by itself, or at once when you press “Check again”.",
            "Once the request is provisioned you can remove the record.",
        ],
        note: "Some consoles of DNS providers add the domain to a name by themselves. There the name of the record is _pic-portal and nothing else.",
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
            "Then you can remove it. A domain in force is not asked for it again.",
            "See that no record of an earlier service is left at that name: it lets that service take the domain back by a new request.",
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
    text: "This is not held against it, and it proves nothing either: we look again by ourselves.",
    lines: &[Line::NameServers],
    help: Help {
        means: "There was no answer that counts when we asked for the records of the name: neither from a resolver nor from the name servers of the zone.",
        why: "What could not be looked up is not held against the domain, and it is no proof either. So the request waits, and we look again by ourselves.",
        steps: &[
            "If it is the same for several domains in different zones, the fault is most likely on our side. Wait.",
            "If it is one domain and stays like this, see that its name servers answer from the internet, over UDP and TCP port 53.",
            "See that the delegation at your registrar names servers that exist.",
            "If the zone is signed with DNSSEC, see that the signatures have not expired.",
        ],
        note: "",
        related: &[Topic::DnsAndCertificate, Topic::Times],
    },
};
