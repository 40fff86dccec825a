//! Tells what an Access Edge made of a gateway's certificate, and of a question by SIP.

use super::super::{Code, Finding, tls::Sip};
use crate::names::AccessEdge;

/// What should come.
const EXPECTED: &str =
    "an answer to OPTIONS, whatever it is, after a gateway has shown its certificate";

/// The finding about one address; `None`: it was not asked.
pub(super) fn judge(edge: &AccessEdge, sip: Option<Sip>) -> Option<Finding> {
    let (code, found) = match sip? {
        Sip::Answered(status) => (Code::Sip, format!("it answers OPTIONS with {status}")),
        Sip::Refused(alert) => {
            let alert = alert.map(|number| format!(" (alert {number})"));
            let found = format!(
                "it breaks off after the certificate was shown{}",
                alert.unwrap_or_default()
            );
            (Code::SipRefusesCertificate, found)
        }
        Sip::NoAnswer => (
            Code::SipSilent,
            "it does not answer OPTIONS in time".to_owned(),
        ),
        Sip::Closed => (
            Code::SipSilent,
            "it closes the connection without an answer to OPTIONS".to_owned(),
        ),
        Sip::NotSip => (
            Code::SipSilent,
            "what it says to OPTIONS is not SIP".to_owned(),
        ),
    };
    Some(Finding::new(code, edge.as_fqdn(), EXPECTED, [found]))
}
