//! The readiness checks: whether federation will work for a set of routes, and what needs fixing.
//!
//! [`dns`] queries and [`domain`] judges the answers for a SIP domain; [`tls`] connects and
//! [`edge`] judges the results for an Access Edge. [`engine`] combines them, within limits, for the
//! form, the background task, `/check` and `pic-portal check` alike; [`catalogue`] has an entry for
//! each code, [`wording`] puts findings into words, and `pages` has the form of `/check`. What is
//! checked is in `docs/field.md#dns-certificate-transport`, the codes are in
//! `docs/readiness.md#all-findings`.
//!
//! A check reports what is there and decides nothing. Whether a request waits for it is up to
//! [`engine::Report::proves`] and the [`Mode`]; when it is checked again, and what becomes of it,
//! to [`crate::provisioning`]. Nothing here stores or logs anything, and [`net`] decides where a
//! connection may go at all.

pub mod catalogue;
pub mod dns;
pub mod domain;
pub mod edge;
pub mod engine;
mod evidence;
pub mod meter;
pub mod net;
pub mod owner;
mod silence;
pub mod tls;
pub mod wording;

use serde::Deserialize;

pub use self::{
    catalogue::Code,
    evidence::{Evidence, MOST_IN_ALL, bound},
};
use crate::{names::Fqdn, text_enum::text_enum};

text_enum! {
    /// How strict the checks are (`docs/readiness.md#modes`).
    Mode {
        /// Requests are provisioned only on positive proof.
        Enforce = "enforce",
        /// Findings are shown; requests are provisioned all the same, except with a domain that is
        /// held.
        Advise = "advise",
        /// Nothing is checked.
        Off = "off",
    }
}

impl Default for Mode {
    /// The strictest mode.
    fn default() -> Self {
        Self::Enforce
    }
}

text_enum! {
    /// When the owner of a domain's zone must have named the service that asks for the domain, by a
    /// TXT record (`docs/design.md#whose-domain`; `PIC_PROOF`). It is about ownership and not about
    /// readiness, so it holds however strict the checks are.
    ProofMode {
        /// Where the domain is in force under another service.
        Held = "held",
        /// For every domain that is not in force under the service itself.
        Always = "always",
    }
}

impl Default for ProofMode {
    /// The default of the setting.
    fn default() -> Self {
        Self::Held
    }
}

text_enum! {
    /// What a finding means for the request, in order of severity.
    Severity {
        /// All is as it should be.
        Ok = "ok",
        /// Not checked, because of an earlier finding.
        Skipped = "skipped",
        /// It works, and needs attention.
        Warning = "warning",
        /// The check failed: this counts neither for nor against the domain.
        Unknown = "unknown",
        /// Federation cannot work like this.
        Blocking = "blocking",
    }
}

/// One result of a readiness check. SQL gives it as a JSON array, in the order of the fields.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct Finding {
    /// The code of what was found.
    pub code: Code,
    /// What it means for the request: see [`Code::severity`].
    pub severity: Severity,
    /// The SIP domain or Access Edge that was checked.
    pub subject: Fqdn,
    /// What should be there.
    pub expected: Evidence,
    /// What is there, a line each, within bounds; for a skipped finding the code that it depends
    /// on.
    pub found: Vec<Evidence>,
}

impl Finding {
    /// A finding with the code's own severity.
    #[must_use]
    pub fn new(
        code: Code,
        subject: &Fqdn,
        expected: &str,
        found: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Self {
        Self {
            code,
            severity: code.severity(),
            subject: subject.clone(),
            expected: Evidence::new(expected),
            found: Evidence::lines(found),
        }
    }

    /// The finding that `code` could not be checked because of `cause`.
    #[must_use]
    pub fn skipped(code: Code, subject: &Fqdn, cause: Code) -> Self {
        Self {
            code,
            severity: Severity::Skipped,
            subject: subject.clone(),
            expected: Evidence::default(),
            found: vec![Evidence::new(cause.as_str())],
        }
    }
}
