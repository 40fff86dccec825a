//! How strict the checks are.

use super::Checker;
use crate::readiness::{Mode, ProofMode};

/// How strict the checks are, what runs them, and when ownership has to be proven: where checks are
/// off it cannot be.
#[derive(Clone, Debug, Default)]
pub enum Checks {
    /// Nothing is checked.
    #[default]
    Off,
    /// Findings are shown; requests are provisioned all the same, except with a domain that has to
    /// be proven.
    Advise(Checker, ProofMode),
    /// Requests are provisioned only on positive proof.
    Enforce(Checker, ProofMode),
}

impl Checks {
    /// How strict the checks are.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        match self {
            Self::Off => Mode::Off,
            Self::Advise(..) => Mode::Advise,
            Self::Enforce(..) => Mode::Enforce,
        }
    }

    /// What runs the checks; `None`: they are off.
    #[must_use]
    pub const fn checker(&self) -> Option<&Checker> {
        match self {
            Self::Off => None,
            Self::Advise(checker, _) | Self::Enforce(checker, _) => Some(checker),
        }
    }

    /// When ownership of a domain has to be proven.
    #[must_use]
    pub const fn proof(&self) -> ProofMode {
        match self {
            Self::Off => ProofMode::Held,
            Self::Advise(_, proof) | Self::Enforce(_, proof) => *proof,
        }
    }
}
