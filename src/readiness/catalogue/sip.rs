//! The findings about SIP between the gateways and an Access Edge.

use super::{Area, Entry, Help, Line, Owner};
use crate::{readiness::Severity, topic::Topic};

pub(super) static SIP: Entry = Entry {
    severity: Severity::Ok,
    area: Area::Sip,
    owner: Owner::None,
    title: "Access Edge answers by SIP",
    text: "",
    lines: &[],
    help: Help {
        means: "The portal showed the certificate of our gateways to the Access Edge, and asked it by SIP (OPTIONS). It answered.",
        why: "So TLS with certificates of both sides works, and SIP gets through. Which answer it gives does not matter here: an Access Edge that does not know our gateways yet may say 403, and that is right.",
        steps: &["There is nothing to do."],
        note: "Whether calls are let through is decided by your own settings for federation.",
        related: &[Topic::AfterProvisioning],
    },
};

pub(super) static SIP_REFUSES_CERTIFICATE: Entry = Entry {
    severity: Severity::Warning,
    area: Area::Sip,
    owner: Owner::Decision,
    title: "Access Edge refuses the certificate of our gateways",
    text: "It asked for a certificate, and ended the connection when our gateways’ was shown. Until it trusts the authority that issued it, our gateways cannot call you. If you have not allowed us as a partner yet, it may be enough to do so.",
    lines: &[],
    help: Help {
        means: "The Access Edge asked for a certificate of our gateways, as it should, and broke off when it had seen it.",
        why: "Both sides show a certificate. If yours does not trust the authority of ours, or does not know our gateways, no call from us arrives.",
        steps: &[
            "Allow our gateways as a public provider or partner, as your request’s page says under what to do next.",
            "On every Edge Server check that the root and the intermediate certificates of the authority that issued our certificate are in the machine’s store of trusted roots and of intermediate authorities.",
            "If it stays like this, read the event log of the Edge Server: it says why it refused a certificate.",
        ],
        note: "Your request does not wait for it.",
        related: &[Topic::DnsAndCertificate, Topic::AfterProvisioning],
    },
};

pub(super) static SIP_SILENT: Entry = Entry {
    severity: Severity::Unknown,
    area: Area::Sip,
    owner: Owner::Portal,
    title: "Access Edge did not answer by SIP",
    text: "The connection works, and our question by SIP (OPTIONS) got no answer. Many servers do not answer those that they do not know, so this counts neither for nor against you, and your request does not wait for it.",
    lines: &[Line::Handshake],
    help: Help {
        means: "The portal showed the certificate of our gateways to the Access Edge and asked it by SIP (OPTIONS). No answer came, or something that is not SIP.",
        why: "A server answers strangers as it likes until it is set up for them. So this alone does not say that calls fail.",
        steps: &[
            "If you have set up federation with us and calls arrive, there is nothing to do.",
            "If calls do not arrive: check that the Access Edge service itself uses port 5061, and not a proxy or another service in front of it.",
        ],
        note: "Your request does not wait for it.",
        related: &[Topic::AfterProvisioning],
    },
};
