//! The findings about the certificate of an Access Edge.

use super::{Area, Entry, Help, Line, Owner};
use crate::{readiness::Severity, topic::Topic};

pub(super) static CERTIFICATE: Entry = Entry {
    severity: Severity::Ok,
    area: Area::Certificate,
    owner: Owner::None,
    title: "Certificate is fine",
    text: "",
    lines: &[],
    help: Help {
        means: "The Access Edge shows a certificate on port 5061 that partners accept: trusted, in its time, and for its own name.",
        why: "Both sides of federation prove by certificates who they are.",
        steps: &["There is nothing to do. Renew it in time, and keep all its names when you do."],
        note: "",
        related: &[Topic::DnsAndCertificate, Topic::EdgesAndDomains],
    },
};

pub(super) static CERTIFICATE_NAME: Entry = Entry {
    severity: Severity::Blocking,
    area: Area::Certificate,
    owner: Owner::Certificates,
    title: "Certificate is not for the name of the Access Edge",
    text: "Partners connect to the FQDN of the Access Edge and refuse a certificate for any other name. Ask your certificate authority for one with all names below as subject alternative names, and assign it to the external interface.",
    lines: &[Line::CertificateNames, Line::CertificateRequest],
    help: Help {
        means: "The certificate on port 5061 does not have the FQDN of the Access Edge among its names. A name in the subject counts only where the certificate has no subject alternative names at all, and no authority above it is limited to certain names.",
        why: "A partner connects to the FQDN and accepts a certificate for exactly this name. With any other it ends the connection. If there are alternative names, the subject is not read.",
        steps: &[
            "Ask your certificate authority for a certificate with the FQDN of the Access Edge as subject and as subject alternative name, and sip. with each SIP domain as further alternative names.",
            "Import it on every Edge Server of the pool, with its private key.",
            "Assign it to the external interface: Set-CsCertificate -Type AccessEdgeExternal with its thumbprint.",
            "Restart the Access Edge service, then press “Check again” on the page of your request.",
        ],
        note: "If the certificate is right on the server and another one is seen from outside, something in front of the server answers with its own.",
        related: &[Topic::DnsAndCertificate, Topic::EdgesAndDomains],
    },
};

pub(super) static CERTIFICATE_EXPIRED: Entry = Entry {
    severity: Severity::Blocking,
    area: Area::Certificate,
    owner: Owner::Certificates,
    title: "Certificate has expired",
    text: "Partners refuse the connection. Renew the certificate with all names below as subject alternative names, and assign it to the external interface.",
    lines: &[
        Line::CertificateNames,
        Line::CertificateRequest,
        Line::CertificateDates,
    ],
    help: Help {
        means: "The last day of the certificate on port 5061 has passed.",
        why: "Every partner refuses an expired certificate. Routes stay in force, but no connection works.",
        steps: &[
            "Renew the certificate with the same names. The page of your request lists all names that it needs.",
            "Import it on every Edge Server of the pool and assign it to the external interface: Set-CsCertificate -Type AccessEdgeExternal with its thumbprint.",
            "Restart the Access Edge service.",
        ],
        note: "If a new certificate is installed already, it may not be assigned to the external interface yet.",
        related: &[Topic::DnsAndCertificate, Topic::EdgesAndDomains],
    },
};

pub(super) static CERTIFICATE_NOT_YET_VALID: Entry = Entry {
    severity: Severity::Blocking,
    area: Area::Certificate,
    owner: Owner::Certificates,
    title: "Certificate is not valid yet",
    text: "Partners refuse the connection until its first day. If that is soon, wait: we check again automatically. Otherwise assign another certificate; the names that it needs are below.",
    lines: &[
        Line::CertificateNames,
        Line::CertificateRequest,
        Line::CertificateDates,
    ],
    help: Help {
        means: "The first day of the certificate on port 5061 is in the future.",
        why: "Partners refuse it until then.",
        steps: &[
            "If its first day is soon, wait. We check again automatically.",
            "Otherwise assign the earlier certificate again until the day has come.",
            "If it should be valid already, compare its dates with your order.",
        ],
        note: "",
        related: &[Topic::DnsAndCertificate, Topic::EdgesAndDomains],
    },
};

pub(super) static CERTIFICATE_UNTRUSTED: Entry = Entry {
    severity: Severity::Blocking,
    area: Area::Certificate,
    owner: Owner::Certificates,
    title: "Certificate is not trusted",
    text: "Partners refuse it, for the reason below.",
    lines: &[
        Line::Handshake,
        Line::CertificateNames,
        Line::CertificateRequest,
    ],
    help: Help {
        means: "The certificate on port 5061 does not lead to a public certificate authority in a way that partners accept, or it was not made for a server. The finding says which.",
        why: "Partners trust public authorities and not the one inside your organisation. They know the roots only: your server has to send the intermediate certificates. They refuse what is signed with SHA-1, short keys, and certificates that are made for something else.",
        steps: &[
            "Check which certificates your server sends, with the command below: its own and each intermediate one, without the root.",
            "If some are missing, install those of your authority into the intermediate certification authorities of the computer, on every Edge Server, and restart the Access Edge service.",
            "If an intermediate certificate has expired, do the same with the one that your authority uses now, and remove the old one.",
            "If your own authority issued it, or its signature, key or purposes are not accepted, ask a public authority for a new one for the external interface. Inside your network you can keep your own.",
        ],
        note: "",
        related: &[Topic::DnsAndCertificate, Topic::EdgesAndDomains],
    },
};

pub(super) static CERTIFICATE_EXPIRES_SOON: Entry = Entry {
    severity: Severity::Warning,
    area: Area::Certificate,
    owner: Owner::Certificates,
    title: "Certificate expires soon",
    text: "After its last day federation stops. Renew it in time, with all names below as subject alternative names.",
    lines: &[
        Line::CertificateNames,
        Line::CertificateRequest,
        Line::CertificateDates,
    ],
    help: Help {
        means: "The certificate on port 5061 expires within a month. For one that is valid for less than 90 days: within the last third of its time.",
        why: "On its last day federation stops for all SIP domains of this Access Edge. We cannot write to you when the day comes. Your request does not wait for it.",
        steps: &[
            "Renew the certificate now, with the same names. The page of your request lists all names that it needs.",
            "Import it on every Edge Server of the pool and assign it to the external interface: Set-CsCertificate -Type AccessEdgeExternal with its thumbprint.",
        ],
        note: "",
        related: &[Topic::DnsAndCertificate, Topic::EdgesAndDomains],
    },
};

pub(super) static CERTIFICATE_CN_ONLY: Entry = Entry {
    severity: Severity::Warning,
    area: Area::Certificate,
    owner: Owner::Certificates,
    title: "Certificate has the name only in its subject",
    text: "The FQDN stands in the subject and not among the subject alternative names. Many partners check only the alternative names. Add it with the next certificate.",
    lines: &[Line::CertificateNames, Line::CertificateRequest],
    help: Help {
        means: "The FQDN of the Access Edge stands in the subject of the certificate, which has no subject alternative names.",
        why: "Many programs check only the alternative names and refuse the certificate. Others still read the subject. So it works with some partners and not with others.",
        steps: &[
            "Ask your certificate authority to issue it again, with the FQDN in both places. Most do so without a fee.",
            "Assign the new one to the external interface.",
        ],
        note: "",
        related: &[Topic::DnsAndCertificate, Topic::EdgesAndDomains],
    },
};

pub(super) static CERTIFICATE_WILDCARD: Entry = Entry {
    severity: Severity::Warning,
    area: Area::Certificate,
    owner: Owner::Certificates,
    title: "Certificate has a wildcard",
    text: "Some partners do not accept a wildcard for federation. Write out each name in the next certificate.",
    lines: &[Line::CertificateNames, Line::CertificateRequest],
    help: Help {
        means: "The certificate matches the FQDN of the Access Edge only by a wildcard, such as *.contoso.com, or has one as its subject.",
        why: "Some partners do not accept a wildcard between servers, and some server versions do not support one on the Access Edge.",
        steps: &[
            "Write out each name in the next certificate. The page of your request lists all names that it needs.",
            "Assign it to the external interface.",
        ],
        note: "",
        related: &[Topic::DnsAndCertificate, Topic::EdgesAndDomains],
    },
};

pub(super) static CERTIFICATE_DOMAIN_SAN: Entry = Entry {
    severity: Severity::Warning,
    area: Area::Certificate,
    owner: Owner::Certificates,
    title: "Certificate lacks the sip. name of the domain",
    text: "Some clients and partners expect the name sip. and the SIP domain among the subject alternative names. Add it with the next certificate.",
    lines: &[Line::CertificateNames, Line::CertificateRequest],
    help: Help {
        means: "The certificate does not have sip. and the SIP domain among its subject alternative names, such as sip.contoso.com for contoso.com.",
        why: "Some clients and partners look for this name. The Access Edge itself works without it, so your request does not wait for it.",
        steps: &[
            "Add the name for each SIP domain in the next certificate. The page of your request lists all names that it needs.",
            "Assign it to the external interface.",
        ],
        note: "With many SIP domains the authority may ask for a certificate of another kind. Ask it how many names it takes.",
        related: &[Topic::DnsAndCertificate, Topic::EdgesAndDomains],
    },
};

pub(super) static CERTIFICATE_UNKNOWN: Entry = Entry {
    severity: Severity::Unknown,
    area: Area::Certificate,
    owner: Owner::Certificates,
    title: "Certificate could not be checked completely",
    text: "It contains something that this portal does not know, so we cannot say whether it leads to a trusted root. Other programs may accept it. An ordinary certificate of a public authority can always be checked.",
    lines: &[Line::Handshake],
    help: Help {
        means: "The certificate on port 5061, or one above it, has something that the portal cannot judge: a critical extension, a kind of signature, two authorities of one name, or an authority in the place of the server.",
        why: "What cannot be checked may be right or wrong. Programs differ in what they know, so some partners will accept it, and others may not.",
        steps: &[
            "Look up on the page of your request what it is, and ask your certificate authority for a certificate without it.",
            "If two authorities of one name are sent, send only the one that issued the certificate.",
        ],
        note: "",
        related: &[Topic::DnsAndCertificate],
    },
};

pub(super) static CERTIFICATE_CLIENT: Entry = Entry {
    severity: Severity::Warning,
    area: Area::Certificate,
    owner: Owner::Certificates,
    title: "Certificate is for servers only",
    text: "An Access Edge calls partners with the same certificate that it shows when they call. Some refuse it then, since client authentication is not among its purposes. Public authorities stop issuing both in one in 2026 and 2027, so ask yours what it offers.",
    lines: &[Line::CertificateNames, Line::CertificateRequest],
    help: Help {
        means: "The purposes of the certificate (extended key usage) have server authentication, and not client authentication.",
        why: "Federation is mutual: the Access Edge shows its certificate as a server when a partner calls, and as a client when it calls itself. Servers and gateways that check the purposes refuse one that is not for clients, so calls come in and do not go out.",
        steps: &[
            "Ask your certificate authority for a certificate for server and client authentication. Some public ones no longer issue it: Let’s Encrypt stopped in 2026, and the programme of Chrome’s roots allows none from 2027 on.",
            "If no authority offers one, ask the partners that matter whether they check the purpose.",
        ],
        note: "Your request does not wait for it.",
        related: &[Topic::DnsAndCertificate],
    },
};

pub(super) static CERTIFICATE_FIRST_NAME: Entry = Entry {
    severity: Severity::Warning,
    area: Area::Certificate,
    owner: Owner::Certificates,
    title: "Certificate has other names first",
    text: "The FQDN of the Access Edge is neither the subject nor the first of the subject alternative names. Some gateways read only these. With the next certificate make it the subject, or the first name.",
    lines: &[Line::CertificateNames, Line::CertificateRequest],
    help: Help {
        means: "The FQDN of the Access Edge is among the subject alternative names of the certificate, but is not the first, and is not the subject.",
        why: "Every program should read all names. Some gateways, older Kamailio among them, compare with the subject and the first name alone.",
        steps: &[
            "With the next certificate make the FQDN of the Access Edge the subject (common name), and the first alternative name.",
        ],
        note: "Your request does not wait for it.",
        related: &[Topic::DnsAndCertificate, Topic::EdgesAndDomains],
    },
};
