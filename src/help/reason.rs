//! Explains each reason of a rejection: what it means, and what can be done.

use super::{Explanation, Terms, Topic};
use crate::request::Reason;

/// The explanation of a reason (`docs/design.md#state-machine`).
#[must_use]
pub fn explain(reason: Reason, terms: Terms<'_>) -> Explanation {
    match reason {
        Reason::Expired => Explanation {
            title: "Rejected: expired",
            means: format!(
                "The request waited for {}, and something still held it back. Then it ended.",
                terms.limit
            )
            .into(),
            why: "A request that cannot be provisioned is not kept for ever. What was in force before has not changed.".into(),
            steps: &[
                "Open the page of the request. What held it back last is listed there.",
                "Fix it: a record to publish, a domain to release, a certificate to renew.",
                "Press “Start again with these names” on that page. The form has the names already; a new service needs programme and number again.",
            ],
            lines: Vec::new(),
            note: "".into(),
            related: &[Topic::Times, Topic::DnsAndCertificate, Topic::EdgesAndDomains],
        },
        Reason::NotEligible => Explanation {
            title: "Rejected: not eligible",
            means: "Your organisation or its servers do not meet the conditions.".into(),
            why: "Federation is for organisations that run Lync Server or Skype for Business Server themselves and hold the licences for it.".into(),
            steps: &[
                "Check the version of your servers: Lync Server 2010 or 2013, or a later Skype for Business Server.",
                "Check that the people who connect hold Standard CALs.",
                "If all your users are online, use your own admin centre. You need no request here.",
                "Once the conditions are met, make a new request.",
            ],
            lines: Vec::new(),
            note: "".into(),
            related: &[Topic::Eligibility, Topic::AgreementNumber],
        },
        Reason::Duplicate => Explanation {
            title: "Rejected: duplicate",
            means: "Another request has the same routes.".into(),
            why: "One request is enough. A second one would only wait for the first.".into(),
            steps: &[
                "Ask in your team who sent a request, and look for its reference.",
                "Look that request up. If it is in progress or provisioned, you have nothing more to do.",
                "If nobody knows of one, check whether the SIP domain is in force. Then make a new request for it.",
            ],
            lines: Vec::new(),
            note: "We cannot tell you who sent the other request. We do not know: no names are kept.".into(),
            related: &[Topic::LostKey, Topic::WhatIsKept],
        },
        Reason::WrongInformation => Explanation {
            title: "Rejected: wrong information",
            means: "The agreement number, or a name in the request, is not right.".into(),
            why: "A mistyped server name can never be provisioned, however long it waits.".into(),
            steps: &[
                "Compare the number with your agreement. Check that it is the number your programme goes by.",
                "Compare each Access Edge FQDN and each SIP domain, letter by letter.",
                "Make a new request with what is right.",
            ],
            lines: Vec::new(),
            note: "".into(),
            related: &[Topic::AgreementNumber, Topic::EdgesAndDomains],
        },
        Reason::Policy => Explanation {
            title: "Rejected: policy",
            means: "The organisation that runs this portal does not offer what you requested.".into(),
            why: "Whoever runs a network decides with whom it is federated.".into(),
            steps: &[
                "Turn to the organisation that runs this portal, and tell it the reference of the request.",
                "Make a new request only once you know that it can succeed.",
            ],
            lines: Vec::new(),
            note: "".into(),
            related: &[Topic::Providers, Topic::Eligibility],
        },
    }
}
