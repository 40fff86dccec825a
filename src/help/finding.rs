//! What does a finding mean, and how is it mended?
//!
//! One entry a code (`design.md`, Contract). A code without an entry has no page.

use super::{Explanation, Topic};

/// A finding that has a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The domain is in force under another service.
    DomainHeld,
}

impl Code {
    /// Every code.
    pub const ALL: &[Self] = &[Self::DomainHeld];

    /// The code as pages and programs write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DomainHeld => "domain-held",
        }
    }

    /// The code that is written like this.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == text)
    }

    /// What there is to say about it.
    #[must_use]
    pub fn explain(self) -> Explanation {
        match self {
            Self::DomainHeld => Explanation {
                title: "Another service holds the domain",
                means: "A SIP domain of your request is in force under another service of this portal.".into(),
                why: "A SIP domain can be in force once: its calls and messages can go one way only. Your request waits, and nothing changes for the service that holds the domain. Its owner is never named.".into(),
                steps: &[
                    "Ask in your organisation who else sent a request. Another department or an earlier request may hold the domain.",
                    "If it is yours, have it released there. Your request then goes on by itself.",
                    "If you cannot reach the other service, prove that the domain is yours: publish the record that the page of your request shows.",
                ],
                lines: &[
                    (
                        "The record as a zone line. The page of your request shows it with your own domain and token.",
                        "_pic-portal.contoso.com. 300 IN TXT \"pic-service=TOKEN\"",
                    ),
                    (
                        "The same for Windows DNS, in PowerShell.",
                        "Add-DnsServerResourceRecord -Txt -ZoneName 'contoso.com' -Name '_pic-portal' -DescriptiveText 'pic-service=TOKEN'",
                    ),
                ],
                note: "This version of the portal does not look the record up yet: that comes with a later version. Until then your request waits until the other service lets go of the domain. Turn to the organisation that runs this portal if that cannot be.".into(),
                related: &[Topic::LostKey, Topic::EdgesAndDomains, Topic::Times],
            },
        }
    }
}
