//! The help pages by name, for everything that links to them. Their texts are in `templates/help`.

/// A subject with a page under `/help`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// What federation gives, and who must do what for it.
    WhatPeopleGet,
    /// Which organisations can ask.
    Eligibility,
    /// Which number each programme asks for.
    AgreementNumber,
    /// Access Edge FQDNs, SIP domains, and how they belong together.
    EdgesAndDomains,
    /// What DNS and the certificate must contain.
    DnsAndCertificate,
    /// One domain with users on-premises and online.
    SplitDomain,
    /// People who hold a Microsoft account at the domain.
    PersonalAccounts,
    /// The promise, the expiry, and other times.
    Times,
    /// Enabling the network on the administrator's own server.
    AfterProvisioning,
    /// The tool that writes an address.
    Address,
    /// Which networks are offered, and which are closed.
    Providers,
    /// What is stored and what is not.
    WhatIsKept,
    /// A management key that is lost.
    LostKey,
}

/// The contents page: groups of topics in the order in which people need them.
pub const CONTENTS: &[(&str, &[Topic])] = &[
    (
        "Before you request",
        &[
            Topic::WhatPeopleGet,
            Topic::Eligibility,
            Topic::AgreementNumber,
            Topic::EdgesAndDomains,
            Topic::DnsAndCertificate,
            Topic::SplitDomain,
            Topic::PersonalAccounts,
        ],
    ),
    (
        "While you wait, and after",
        &[Topic::Times, Topic::AfterProvisioning, Topic::Address],
    ),
    (
        "About this portal",
        &[Topic::Providers, Topic::WhatIsKept, Topic::LostKey],
    ),
];

impl Topic {
    /// The end of the page's address.
    #[must_use]
    pub const fn slug(self) -> &'static str {
        match self {
            Self::WhatPeopleGet => "what-people-get",
            Self::Eligibility => "eligibility",
            Self::AgreementNumber => "agreement-number",
            Self::EdgesAndDomains => "edges-and-domains",
            Self::DnsAndCertificate => "dns-and-certificate",
            Self::SplitDomain => "split-domain",
            Self::PersonalAccounts => "personal-accounts",
            Self::Times => "times",
            Self::AfterProvisioning => "after-provisioning",
            Self::Address => "address",
            Self::Providers => "providers",
            Self::WhatIsKept => "what-is-kept",
            Self::LostKey => "lost-key",
        }
    }

    /// The heading of the page.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::WhatPeopleGet => "What people get, and who does what",
            Self::Eligibility => "Who can request federation",
            Self::AgreementNumber => "Which number to give",
            Self::EdgesAndDomains => "Access Edges and SIP domains",
            Self::DnsAndCertificate => "DNS records and certificate",
            Self::SplitDomain => "Split domains: users on your servers and online",
            Self::PersonalAccounts => "Personal Microsoft accounts at your domain",
            Self::Times => "How long it takes",
            Self::AfterProvisioning => "Enable it on your own servers",
            Self::Address => "Write an address",
            Self::Providers => "Which networks are offered",
            Self::WhatIsKept => "What we keep, and what we do not",
            Self::LostKey => "If the management key is lost",
        }
    }

    /// A line for the contents page.
    #[must_use]
    pub const fn summary(self) -> &'static str {
        match self {
            Self::WhatPeopleGet => {
                "Messages, calls, presence. What you, your users and their contacts have to do."
            }
            Self::Eligibility => {
                "Server versions, licences, hybrid deployments. Who does not need this portal."
            }
            Self::AgreementNumber => "Four programmes, four numbers, and common mistakes.",
            Self::EdgesAndDomains => "What each is, and how they belong together.",
            Self::DnsAndCertificate => {
                "The record to publish, ready to copy, and what the certificate has to hold."
            }
            Self::SplitDomain => "Three steps in order, and what to do if the order was wrong.",
            Self::PersonalAccounts => {
                "Some people will have to rename an account. Tell them first."
            }
            Self::Times => "How long a request takes at most, and when it ends.",
            Self::AfterProvisioning => "The commands for your server, ready to copy.",
            Self::Address => "A tool: how your users type the address of a Microsoft account.",
            Self::Providers => "What is open, what closed when, and what this portal is for.",
            Self::WhatIsKept => "No names, no email addresses, no phone numbers, and why.",
            Self::LostKey => "Nobody can show it again. What you can do instead.",
        }
    }

    /// Whether it is about consumer accounts of Microsoft, which not every network has.
    #[must_use]
    pub const fn is_of_consumer_accounts(self) -> bool {
        matches!(self, Self::PersonalAccounts | Self::Address)
    }

    /// The topics to read next.
    #[must_use]
    pub const fn related(self) -> &'static [Self] {
        match self {
            Self::WhatPeopleGet => &[Self::Eligibility, Self::AfterProvisioning, Self::Address],
            Self::Eligibility => &[Self::AgreementNumber, Self::SplitDomain],
            Self::AgreementNumber => &[Self::Eligibility, Self::EdgesAndDomains, Self::LostKey],
            Self::EdgesAndDomains => &[Self::DnsAndCertificate, Self::SplitDomain, Self::Times],
            Self::DnsAndCertificate => &[Self::EdgesAndDomains, Self::AfterProvisioning],
            Self::SplitDomain => &[
                Self::Times,
                Self::AfterProvisioning,
                Self::DnsAndCertificate,
            ],
            Self::PersonalAccounts => &[Self::WhatIsKept, Self::Address],
            Self::Times => &[Self::SplitDomain, Self::DnsAndCertificate],
            Self::AfterProvisioning => &[Self::Address, Self::DnsAndCertificate, Self::SplitDomain],
            Self::Address => &[Self::AfterProvisioning, Self::WhatIsKept],
            Self::Providers => &[Self::WhatPeopleGet, Self::Eligibility],
            Self::WhatIsKept => &[Self::LostKey, Self::PersonalAccounts],
            Self::LostKey => &[Self::WhatIsKept, Self::EdgesAndDomains],
        }
    }

    /// The address of the page.
    #[must_use]
    pub fn path(self) -> String {
        format!("/help/{}", self.slug())
    }

    /// The topic with this slug.
    #[must_use]
    pub fn parse(slug: &str) -> Option<Self> {
        CONTENTS
            .iter()
            .flat_map(|(_, topics)| topics.iter().copied())
            .find(|topic| topic.slug() == slug)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_topic_stands_once_in_the_contents() {
        let all: Vec<Topic> = CONTENTS
            .iter()
            .flat_map(|(_, topics)| *topics)
            .copied()
            .collect();
        assert_eq!(all.len(), Topic::LostKey as usize + 1);
        for topic in all {
            assert_eq!(Topic::parse(topic.slug()), Some(topic));
            assert!(!topic.related().contains(&topic), "{topic:?}");
        }
        assert_eq!(Topic::parse("nothing"), None);
    }
}
