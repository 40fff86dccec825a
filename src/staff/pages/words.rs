//! The words in which the desk says how a request stands, and whose turn it is.

use chrono::{DateTime, Utc};

use crate::{
    agreement::Programme,
    clock::Clocks,
    request::{Facts, Kind, Reason, Standing, State, wording},
    staff::{Action, CancelReason, Mark},
    web::{
        parts::Tone,
        when::{between, span},
    },
};

/// How a request stands, in the desk's words.
#[derive(Clone, Debug)]
pub(super) struct Said {
    /// The standing in a word or two.
    pub(super) tag: &'static str,
    /// The tone of the tag.
    pub(super) tone: Tone,
    /// Who must act.
    pub(super) turn: &'static str,
    /// How old it is, or how long it took.
    pub(super) age: String,
    /// The age compared with the promise and, when late, with the limit.
    pub(super) against: String,
}

impl Said {
    /// The words for `facts` at `now`.
    pub(super) fn of(facts: &Facts, clocks: &Clocks, now: DateTime<Utc>) -> Self {
        let standing = Standing::of(facts, clocks, now);
        let (tag, tone) = wording::tag(standing, facts.kind);
        let turn = match standing {
            Standing::Checking { .. } => "The portal",
            Standing::NeedsAction
            | Standing::InForce { at_risk: true }
            | Standing::MovedAway { .. } => "The administrator",
            Standing::InForce { at_risk: false }
            | Standing::Superseded
            | Standing::Cancelled
            | Standing::Rejected(_)
            | Standing::Withdrawn => "Nobody",
        };
        let (age, against) = match facts.state {
            State::Pending(_) => {
                let limit = span(between(now, clocks.expires_at(facts.submitted_at)));
                let against = match facts.promised_by(clocks) {
                    None => {
                        let waits = span(between(facts.turn_at, now));
                        format!("has waited for {waits}, {limit} to the limit")
                    }
                    Some(promised) if now > promised => {
                        let late = span(between(promised, now));
                        format!("{late} late, {limit} to the limit")
                    }
                    Some(promised) => format!("{} left", span(between(now, promised))),
                };
                (span(between(facts.submitted_at, now)), against)
            }
            State::Provisioned { at } | State::Rejected { at, .. } | State::Withdrawn { at } => {
                let until = match (facts.state, facts.kind) {
                    (State::Rejected { .. }, _) => "until rejected",
                    (State::Withdrawn { .. }, _) => "until withdrawn",
                    (_, Kind::Cancel) => "until cancelled",
                    (_, Kind::Initiate | Kind::Update) => "until provisioned",
                };
                (span(between(facts.submitted_at, at)), until.to_owned())
            }
        };
        Self {
            tag,
            tone,
            turn,
            age,
            against,
        }
    }
}

/// A short name of the programme.
pub(super) const fn programme(programme: Programme) -> &'static str {
    match programme {
        Programme::VolumeLicensing => "Volume Licensing",
        Programme::PartnerNetwork => "Partner Network",
        Programme::ServiceProvider => "SPLA",
        Programme::HighVolume => "High Volume",
    }
}

/// The reason of a rejection.
pub(super) const fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::Expired => "Its time limit passed",
        Reason::NotEligible => "The organisation or its servers are not eligible",
        Reason::Duplicate => "Another request asks for the same",
        Reason::WrongInformation => "The agreement number or a name is wrong",
        Reason::Policy => "The provider’s policy does not allow it",
    }
}

/// The reason of a cancellation or refusal.
pub(super) const fn cancel_reason(reason: CancelReason) -> &'static str {
    match reason {
        CancelReason::OwnerAsked => "The owner asked for it",
        CancelReason::NotEligible => "The organisation or its servers are not eligible",
        CancelReason::Duplicate => "Another service or request takes its place",
        CancelReason::WrongInformation => "The agreement number or a name is wrong",
        CancelReason::Policy => "The provider’s policy does not allow it",
    }
}

/// What staff note of a request.
pub(super) const fn mark(mark: Mark) -> &'static str {
    match mark {
        Mark::Taken => "Taken",
        Mark::Called => "Called",
        Mark::WaitsForLicensing => "Waits for licensing",
        Mark::Escalated => "Escalated",
        Mark::Test => "Test",
    }
}

/// What a button says that sets the mark.
pub(super) const fn to_mark(mark: Mark) -> &'static str {
    match mark {
        Mark::Taken => "Take it",
        mark => self::mark(mark),
    }
}

/// An action of the audit in words.
pub(super) const fn action(action: Action) -> &'static str {
    match action {
        Action::SignedIn => "Signed in",
        Action::SignedOutEverywhere => "Signed out everywhere",
        Action::PasswordChanged => "Changed the own password",
        Action::Looked => "Looked at",
        Action::Exported => "Downloaded a list of requests",
        Action::CheckedAgain => "Asked for another check of",
        Action::Refused => "Refused",
        Action::Withdrew => "Withdrew for the administrator",
        Action::Cancelled => "Cancelled for the owner",
        Action::Marked => "Marked",
        Action::Unmarked => "Removed a mark of",
    }
}
