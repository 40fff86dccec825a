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

/// The word for a standing, the same on the request's page, on the service's and at the desk.
pub(crate) const fn tag(standing: Standing, kind: Kind) -> (&'static str, Tone) {
    match standing {
        Standing::Checking { overdue: false } => ("In progress", Tone::Waiting),
        Standing::Checking { overdue: true } => ("Overdue", Tone::Action),
        Standing::NeedsAction => ("Needs action", Tone::Action),
        Standing::InForce { at_risk: true } => ("At risk", Tone::Action),
        Standing::InForce { at_risk: false } => match kind {
            Kind::Update => ("Update active", Tone::Good),
            Kind::Initiate | Kind::Cancel => ("Provisioned", Tone::Good),
        },
        Standing::MovedAway { all: false } => ("Domain moved away", Tone::Action),
        Standing::MovedAway { all: true } => ("Domain moved away", Tone::Bad),
        Standing::Superseded => ("Superseded", Tone::Neutral),
        Standing::Cancelled => ("Service cancelled", Tone::Neutral),
        Standing::Rejected(_) => ("Rejected", Tone::Bad),
        Standing::Withdrawn => ("Withdrawn", Tone::Neutral),
    }
}

/// What the time is called at which a request of this kind with this standing ended.
pub(crate) const fn ended(standing: Standing, kind: Kind) -> &'static str {
    match standing {
        Standing::InForce { .. } => "In force since",
        Standing::MovedAway { .. } => "Came into force",
        Standing::Superseded => match kind {
            Kind::Initiate | Kind::Update => "Came into force",
            Kind::Cancel => "Cancelled",
        },
        Standing::Cancelled => "Cancelled",
        Standing::Rejected(_) => "Rejected",
        Standing::Withdrawn => "Withdrawn",
        Standing::Checking { .. } | Standing::NeedsAction => "Ended",
    }
}

/// A standing in a sentence, and what happens next and who must act.
pub(crate) struct Words {
    pub(crate) headline: String,
    pub(crate) lead: String,
}

impl Words {
    pub(crate) fn of(standing: Standing, split: bool, provider: &str) -> Self {
        let (headline, lead): (&str, String) = match standing {
            Standing::Checking { .. } => (
                "Your request is being checked",
                "There is nothing you have to do. As soon as its checks pass, its routes come into force.".into(),
            ),
            Standing::NeedsAction => (
                "Your request is waiting for you",
                "What holds it back is listed below, with what to do. We check again automatically.".into(),
            ),
            Standing::InForce { at_risk: true } => (
                "Your routes are in force, and something is wrong",
                "Nothing is taken away. But the checks found something that keeps calls and messages from arriving. It is listed below, with what to do.".into(),
            ),
            Standing::InForce { at_risk: false } => (
                "Your routes are in force",
                if split {
                    format!("Now turn on external communications online for your split domains, and enable {provider} on your own servers.")
                } else {
                    format!("Now enable {provider} on your own servers. Then your users can add contacts.")
                },
            ),
            Standing::MovedAway { all: false } => (
                "Some of your SIP domains are in force under another service now",
                "The others stay in force.".into(),
            ),
            Standing::MovedAway { all: true } => (
                "None of your SIP domains is in force any more",
                "All that was in force is in force under another service now.".into(),
            ),
            Standing::Superseded => (
                "A later request has replaced this one",
                "The service has been changed since. What happens to it now is told on the page of the later request, which the service lists.".into(),
            ),
            Standing::Cancelled => (
                "The service is cancelled",
                format!("None of its SIP domains is in force any more. On your own servers you can remove {provider} now, with Remove-CsPublicProvider."),
            ),
            Standing::Rejected(reason) => ("This request was rejected", rejected(reason).into()),
            Standing::Withdrawn => (
                "This request was withdrawn",
                "Nothing was changed by it. You can make a new request at any time.".into(),
            ),
        };
        Self {
            headline: headline.into(),
            lead,
        }
    }
}

/// Where a request with this standing leads on to. A finding links to its own page.
pub(crate) fn ways(standing: Standing) -> Vec<Way> {
    let way = |href: &str, label: &str| Way {
        href: href.into(),
        label: label.into(),
    };
    match standing {
        Standing::Checking { .. } => vec![way("/help/times", "How long it takes")],
        Standing::InForce { .. } | Standing::MovedAway { all: false } => {
            vec![way("#next-steps", "The commands for your own servers")]
        }
        Standing::Rejected(reason) => vec![way(
            &format!("/help/reasons/{}", reason.as_str()),
            "What this means and what to do",
        )],
        Standing::Superseded | Standing::Cancelled => vec![
            way("/service", "Your service and its requests"),
            way("/status", "Check whether a SIP domain is in force"),
        ],
        Standing::NeedsAction | Standing::MovedAway { all: true } | Standing::Withdrawn => {
            Vec::new()
        }
    }
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
            "The same routes were asked for by another request. See that one instead."
        }
        Reason::WrongInformation => {
            "The agreement number or a name in it is wrong. Check them against your agreement and make a new request."
        }
        Reason::Policy => "The provider’s policy does not allow it.",
    }
}
