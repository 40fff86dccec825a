//! The catalogue of events: the title and the text of a timeline's entry, for administrators and
//! for support staff.

use super::Kind;
use crate::text_enum::text_enum;

text_enum! {
    /// What an entry of the timeline records. The database has the same list (`event_code`) but for
    /// `provisioned`, which the row of the request tells.
    EventCode {
        /// The request was stored.
        Submitted = "submitted",
        /// One of its domains is in force under another service.
        Held = "held",
        /// Its checks found something that needs fixing.
        Blocked = "blocked",
        /// Its routes came into force.
        Provisioned = "provisioned",
        /// It ended without its routes in force.
        Rejected = "rejected",
        /// The administrator, or staff for them, withdrew it.
        Withdrawn = "withdrawn",
        /// A domain came over from another service: the zone's owner published this one's token.
        DomainGained = "domain-gained",
        /// A domain went over to another service, for the same reason.
        DomainLost = "domain-lost",
        /// The service's management key was replaced.
        KeyReplaced = "key-replaced",
        /// Its routes are in force, and a later check found something that needs fixing.
        AtRisk = "at-risk",
        /// What a later check had found is fixed.
        Recovered = "recovered",
        /// Another check was asked for.
        CheckAsked = "check-asked",
        /// Every gateway that can be heard had loaded its routes.
        Live = "live",
        /// A later request of the service was provisioned.
        Superseded = "superseded",
        /// What it asks for was corrected while it was pending.
        Corrected = "corrected",
    }
}

/// The words for an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The heading on the request's page and in its feed.
    pub title: &'static str,
    /// The sentence for the administrator; see [`Entry::text`].
    text: &'static str,
    /// The line for support staff.
    pub staff_title: &'static str,
    /// Whether it can happen again in a request's life.
    pub repeats: bool,
}

impl Entry {
    const fn once(title: &'static str, text: &'static str, staff_title: &'static str) -> Self {
        Self {
            title,
            text,
            staff_title,
            repeats: false,
        }
    }

    const fn repeated(title: &'static str, text: &'static str, staff_title: &'static str) -> Self {
        Self {
            repeats: true,
            ..Self::once(title, text, staff_title)
        }
    }

    /// The sentence for the administrator, about `domain`, or empty, and the network of this name.
    #[must_use]
    pub fn text(&self, provider: &str, domain: &str) -> String {
        self.text
            .replace("{domain}", domain)
            .replace("{provider}", provider)
    }
}

impl EventCode {
    /// The event's entry in the catalogue, where it happened to a request of this kind.
    #[must_use]
    pub const fn entry(self, kind: Kind) -> Entry {
        match self {
            Self::Provisioned => match kind {
                Kind::Initiate => Entry::once(
                    "Provisioned",
                    "Its routes came into force for {provider}.",
                    "Provisioned",
                ),
                Kind::Update => Entry::once(
                    "Update active",
                    "Its routes came into force for {provider}, in place of those before.",
                    "Update active",
                ),
                Kind::Cancel => Entry::once(
                    "Service cancelled",
                    "No SIP domain of the service is in force for {provider} any more.",
                    "Service cancelled",
                ),
            },
            Self::Submitted => Entry::once("Submitted", "The request was stored.", "Submitted"),
            Self::Held => Entry::repeated(
                "Needs action",
                "One of its SIP domains is in force under another service.",
                "Needs action: a domain is in force under another service",
            ),
            Self::Blocked => Entry::repeated(
                "Needs action",
                "The checks found something that needs fixing.",
                "Needs action: the checks found something that needs fixing",
            ),
            Self::Rejected => Entry::once("Rejected", "It ended without its routes.", "Rejected"),
            Self::Withdrawn => Entry::once("Withdrawn", "It was withdrawn.", "Withdrawn"),
            Self::DomainGained => Entry::repeated(
                "Domain moved here",
                "The owner of the zone of {domain} has proved that it belongs to this service.",
                "A domain moved here from another service",
            ),
            Self::DomainLost => Entry::repeated(
                "Domain moved away",
                "The owner of the zone of {domain} has proved that it belongs to another service.",
                "A domain moved to another service",
            ),
            Self::KeyReplaced => Entry::repeated(
                "New management key",
                "The service’s management key was replaced.",
                "The management key was replaced",
            ),
            Self::AtRisk => Entry::repeated(
                "At risk",
                "A later check found something that needs fixing. Its routes stay in force.",
                "At risk: a later check found something that needs fixing",
            ),
            Self::Recovered => Entry::repeated(
                "Recovered",
                "What a later check had found is fixed.",
                "Recovered: no longer at risk",
            ),
            Self::CheckAsked => Entry::repeated(
                "Another check",
                "Another check was asked for.",
                "Another check was asked for",
            ),
            Self::Live => Entry::once(
                "Live",
                "All gateways that can be heard have loaded its routes.",
                "Live on all gateways that can be heard",
            ),
            Self::Superseded => Entry::once(
                "Superseded",
                "A later request of the service has replaced this one. From now on its own page and feed tell of the service.",
                "Superseded by a later request",
            ),
            Self::Corrected => Entry::repeated(
                "Corrected",
                "What it asks for was corrected. The checks begin again.",
                "Corrected",
            ),
        }
    }
}
