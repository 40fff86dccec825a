//! The words in which requests are described to administrators: their standing, and what was asked
//! for.

use super::{Kind, Reason, Standing};
use crate::web::parts::{Tone, Way};

/// What was asked for, in a word or two.
pub(crate) const fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Initiate => "New service",
        Kind::Update => "Update",
        Kind::Cancel => "Cancel",
    }
}

/// The words for a standing.
pub(crate) struct Words {
    pub(crate) tag: &'static str,
    pub(crate) tone: Tone,
    pub(crate) headline: String,
    pub(crate) lead: String,
}

impl Words {
    pub(crate) fn at_risk() -> Self {
        Self {
            tag: "At risk",
            tone: Tone::Action,
            headline: "Your routes are in force, and something is wrong".into(),
            lead: "Nothing is taken away. But the checks found something that keeps calls and messages from arriving, or could not look. It is listed below, with what to do.".into(),
        }
    }

    pub(crate) fn of(standing: Standing, split: bool, provider: &str) -> Self {
        let (tag, tone, headline, lead): (_, _, &str, String) = match standing {
            Standing::Checking { overdue } => (
                if overdue { "Overdue" } else { "In progress" },
                if overdue { Tone::Action } else { Tone::Waiting },
                "Your request is being checked",
                "There is nothing you have to do. As soon as its checks pass, its routes come into force.".into(),
            ),
            Standing::NeedsAction { overdue } => (
                if overdue { "Overdue" } else { "Needs your action" },
                Tone::Action,
                "Your request is waiting for you",
                "What holds it back is listed below, with what to do. It is looked at again by itself.".into(),
            ),
            Standing::InForce => (
                "Provisioned",
                Tone::Good,
                "Your routes are in force",
                if split {
                    format!("Now turn on external communications online for your split domains, and enable {provider} on your own servers.")
                } else {
                    format!("Now enable {provider} on your own servers. Then your users can add contacts.")
                },
            ),
            Standing::Superseded => (
                "Superseded",
                Tone::Neutral,
                "A later request has replaced this one",
                "It was provisioned, and the service has been changed since.".into(),
            ),
            Standing::Cancelled => (
                "Cancelled",
                Tone::Neutral,
                "The service is cancelled",
                "None of its SIP domains is in force any more.".into(),
            ),
            Standing::Rejected(reason) => ("Rejected", Tone::Bad, "This request was rejected", rejected(reason).into()),
            Standing::Withdrawn => (
                "Withdrawn",
                Tone::Neutral,
                "This request was withdrawn",
                "Nothing was changed by it. You can make a new request at any time.".into(),
            ),
        };
        Self {
            tag,
            tone,
            headline: headline.into(),
            lead,
        }
    }
}

/// The help page about a standing. A finding links to its own page.
pub(crate) fn help(standing: Standing) -> Option<Way> {
    let (href, label) = match standing {
        Standing::Checking { .. } => ("/help/times".into(), "How long it takes"),
        Standing::InForce => (
            "/help/after-provisioning".into(),
            "The commands for your own servers",
        ),
        Standing::Rejected(reason) => (
            format!("/help/reasons/{}", reason.as_str()),
            "What this means and what to do",
        ),
        Standing::NeedsAction { .. }
        | Standing::Superseded
        | Standing::Cancelled
        | Standing::Withdrawn => return None,
    };
    Some(Way {
        href,
        label: label.into(),
    })
}

/// What a rejection means, and what to do.
fn rejected(reason: Reason) -> &'static str {
    match reason {
        Reason::Expired => {
            "It expired before all its checks passed. Fix what is listed below and make a new request."
        }
        Reason::NotEligible => {
            "The organisation or its servers are not eligible. Check your licences and server versions before you make a new request."
        }
        Reason::Duplicate => {
            "The same routes were asked for by another request. Look at that one instead."
        }
        Reason::WrongInformation => {
            "The agreement number or a name in it is wrong. Check them against your agreement and make a new request."
        }
        Reason::Policy => "The provider's policy does not allow it.",
    }
}
