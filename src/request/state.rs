//! The state machine of a request, and the standing derived from it.
//!
//! [`State`] owns the state machine; [`Standing`] is derived from it.

use chrono::{DateTime, Utc};

use super::{Kind, Reason};
use crate::{clock::Clocks, column::row_column};

/// The state of a request. Only [`Pending`] has edges (`docs/design.md#state-machine`).
///
/// The edges that move rows are in SQL functions, which change a row only while it is pending
/// (`tests/portal/model.rs` compares what they do with a model). The functions here describe the
/// same edges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Waiting for its checks.
    Pending(Pending),
    /// Its routes came into force.
    Provisioned {
        /// The time at which they did.
        at: DateTime<Utc>,
    },
    /// It ended without its routes in force.
    Rejected {
        /// The time at which it was rejected.
        at: DateTime<Utc>,
        /// The reason for it.
        reason: Reason,
    },
    /// The administrator withdrew it.
    Withdrawn {
        /// The time at which it was withdrawn.
        at: DateTime<Utc>,
    },
}

/// Proof that a request is pending; the edges of the state machine start here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending(());

impl Pending {
    /// All checks have passed, and there is no conflict.
    #[must_use]
    pub const fn provision(self, at: DateTime<Utc>) -> State {
        State::Provisioned { at }
    }

    /// The time limit passed, or staff refused it.
    #[must_use]
    pub const fn reject(self, at: DateTime<Utc>, reason: Reason) -> State {
        State::Rejected { at, reason }
    }

    /// The administrator, or staff for them, withdrew it.
    #[must_use]
    pub const fn withdraw(self, at: DateTime<Utc>) -> State {
        State::Withdrawn { at }
    }
}

impl State {
    /// Every name that a state has in SQL and in `data-state`.
    pub const NAMES: [&str; 4] = ["pending", "provisioned", "rejected", "withdrawn"];

    /// The state in which every request begins.
    #[must_use]
    pub const fn submitted() -> Self {
        Self::Pending(Pending(()))
    }

    /// The state from its columns; `None` when they do not make a state.
    #[must_use]
    pub fn from_columns(
        state: &str,
        reason: Option<Reason>,
        ended_at: Option<DateTime<Utc>>,
    ) -> Option<Self> {
        match (state, reason, ended_at) {
            ("pending", None, None) => Some(Self::submitted()),
            ("provisioned", None, Some(at)) => Some(Self::Provisioned { at }),
            ("rejected", Some(reason), Some(at)) => Some(Self::Rejected { at, reason }),
            ("withdrawn", None, Some(at)) => Some(Self::Withdrawn { at }),
            _ => None,
        }
    }

    /// The name in SQL and in `data-state`.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Pending(_) => "pending",
            Self::Provisioned { .. } => "provisioned",
            Self::Rejected { .. } => "rejected",
            Self::Withdrawn { .. } => "withdrawn",
        }
    }

    /// The way on from here: `None` once the request has ended.
    #[must_use]
    pub const fn pending(self) -> Option<Pending> {
        match self {
            Self::Pending(pending) => Some(pending),
            Self::Provisioned { .. } | Self::Rejected { .. } | Self::Withdrawn { .. } => None,
        }
    }
}

row_column!(
    State: (String, Option<Reason>, Option<DateTime<Utc>>),
    |(state, reason, ended_at)| State::from_columns(&state, reason, ended_at)
);

// ---------------------------------------------------------------------------------------------
// What people are told

/// What a standing is derived from.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// The stored state.
    pub state: State,
    /// What was asked for.
    pub kind: Kind,
    /// When it was stored.
    pub submitted_at: DateTime<Utc>,
    /// While it is pending, since when it is the turn of whoever has to act.
    pub turn_at: DateTime<Utc>,
    /// Whether a finding blocks it that the administrator can fix.
    pub blocked: bool,
    /// Whether a later request of the same service has been provisioned.
    pub superseded: bool,
    /// Whether domains of its service went over to another service since it was provisioned: `None`
    /// if not, and then whether nothing is left.
    pub moved_away: Option<bool>,
}

// As `request_summary` has them.
row_column!(
    Facts: (State, Kind, DateTime<Utc>, DateTime<Utc>, bool, bool, bool, bool),
    |(state, kind, submitted_at, turn_at, blocked, superseded, lost, holds)| Some(Facts {
        state,
        kind,
        submitted_at,
        turn_at,
        blocked,
        superseded,
        moved_away: lost.then_some(!holds),
    })
);

impl Facts {
    /// The time by which the provider promises to be done, or promised to be; `None`: the
    /// administrator has to act first. Only the portal's turn counts.
    #[must_use]
    pub fn promised_by(&self, clocks: &Clocks) -> Option<DateTime<Utc>> {
        let is_pending = self.state.pending().is_some();
        match self.blocked {
            true if is_pending => None,
            true => Some(clocks.promised_by(self.submitted_at)),
            false => Some(clocks.promised_by(self.turn_at)),
        }
    }
}

/// How a request stands, in the terms that people are shown. Never stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The portal is working on it; no one else need do anything.
    Checking {
        /// Whether the promise has passed.
        overdue: bool,
    },
    /// A finding blocks it, and the administrator must act.
    NeedsAction,
    /// Its routes are in force.
    InForce {
        /// Whether a later check found something that keeps calls and messages from arriving.
        at_risk: bool,
    },
    /// It was provisioned, and domains of it went over to another service, whose owner proved them.
    MovedAway {
        /// Whether nothing is left in force.
        all: bool,
    },
    /// It was provisioned, and a later request has replaced it.
    Superseded,
    /// The service was cancelled by it.
    Cancelled,
    /// It ended without its routes in force.
    Rejected(Reason),
    /// The administrator withdrew it.
    Withdrawn,
}

impl Standing {
    /// The standing at `now`. Pages, JSON and the background task all use this function.
    #[must_use]
    pub fn of(facts: &Facts, clocks: &Clocks, now: DateTime<Utc>) -> Self {
        match (facts.state, facts.kind) {
            (State::Pending(_), _) if facts.blocked => Self::NeedsAction,
            (State::Pending(_), _) => Self::Checking {
                overdue: facts.promised_by(clocks).is_some_and(|by| now > by),
            },
            (State::Provisioned { .. }, _) if facts.superseded => Self::Superseded,
            (State::Provisioned { .. }, Kind::Cancel) => Self::Cancelled,
            (State::Provisioned { .. }, Kind::Initiate | Kind::Update) => match facts.moved_away {
                Some(all) => Self::MovedAway { all },
                None => Self::InForce {
                    at_risk: facts.blocked,
                },
            },
            (State::Rejected { reason, .. }, _) => Self::Rejected(reason),
            (State::Withdrawn { .. }, _) => Self::Withdrawn,
        }
    }

    /// The name in JSON, which says beside it whether it is overdue, or at risk.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Checking { .. } => "checking",
            Self::NeedsAction => "needs-action",
            Self::InForce { .. } => "in-force",
            Self::MovedAway { .. } => "moved-away",
            Self::Superseded => "superseded",
            Self::Cancelled => "cancelled",
            Self::Rejected(_) => "rejected",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// Whether its routes, or some of them, are in force.
    #[must_use]
    pub const fn is_in_force(self) -> bool {
        match self {
            Self::InForce { .. } | Self::MovedAway { all: false } => true,
            Self::Checking { .. }
            | Self::NeedsAction
            | Self::MovedAway { all: true }
            | Self::Superseded
            | Self::Cancelled
            | Self::Rejected(_)
            | Self::Withdrawn => false,
        }
    }

    /// Whether it is the portal's turn and the promise has passed.
    #[must_use]
    pub const fn is_overdue(self) -> bool {
        match self {
            Self::Checking { overdue } => overdue,
            Self::NeedsAction
            | Self::InForce { .. }
            | Self::MovedAway { .. }
            | Self::Superseded
            | Self::Cancelled
            | Self::Rejected(_)
            | Self::Withdrawn => false,
        }
    }

    /// Whether its routes are in force, and a later check found something that keeps calls and
    /// messages from arriving.
    #[must_use]
    pub const fn is_at_risk(self) -> bool {
        match self {
            Self::InForce { at_risk } => at_risk,
            Self::Checking { .. }
            | Self::NeedsAction
            | Self::MovedAway { .. }
            | Self::Superseded
            | Self::Cancelled
            | Self::Rejected(_)
            | Self::Withdrawn => false,
        }
    }
}
