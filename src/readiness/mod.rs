//! Will federation work for these routes, and if not, what has to be mended?
//!
//! [`dns`] asks and [`domain`] judges the answers for a SIP domain; [`tls`] asks and [`edge`]
//! judges for an Access Edge. [`engine`] puts them together, within limits, for the form, the
//! background task, `/check` and `pic-portal check` alike; [`catalogue`] has an entry for each
//! code, [`words`] says it to people, and `pages` has the form of `/check`. What is looked for
//! stands in `docs/field.md#dns-certificate-transport`, what it is called in
//! `docs/readiness.md#all-findings`.
//!
//! A check says what is there and decides nothing. Whether a request waits for it is up to
//! [`engine::Report::proves`] and the [`Mode`]; when it is looked at again, and what becomes of it,
//! to [`crate::provisioning`]. Nothing here stores or logs anything, and [`net`] says where a
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
pub mod words;

use serde::Deserialize;

pub use self::{
    catalogue::Code,
    evidence::{Evidence, MOST_IN_ALL, bound},
};
use crate::{named::named, names::Fqdn};

named! {
    /// How strict the checks are (`docs/readiness.md#modes`).
    Mode {
        /// Provisioned on positive proof alone.
        Enforce = "enforce",
        /// Findings are shown; provisioned all the same, but for a domain that is held.
        Advise = "advise",
        /// Nothing is looked up.
        Off = "off",
    }
}

impl Default for Mode {
    /// The strictest.
    fn default() -> Self {
        Self::Enforce
    }
}

named! {
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

named! {
    /// What a finding means for the request. In order of gravity.
    Severity {
        /// As it should be.
        Ok = "ok",
        /// Not looked at, because of an earlier finding.
        Skipped = "skipped",
        /// Works, and is worth a look.
        Warning = "warning",
        /// Could not be looked at: neither proof nor held against the domain.
        Unknown = "unknown",
        /// Federation cannot work like this.
        Blocking = "blocking",
    }
}

/// One result of a readiness check. SQL gives it as a JSON array, in the order of the fields.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct Finding {
    /// What was found.
    pub code: Code,
    /// What it means for the request: see [`Code::severity`].
    pub severity: Severity,
    /// The SIP domain or Access Edge that was looked at.
    pub subject: Fqdn,
    /// What should be there.
    pub expected: Evidence,
    /// What is there, a line each, within bounds; for a skipped one the code that it depends on.
    pub found: Vec<Evidence>,
}

impl Finding {
    /// A finding of the code's own gravity.
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

    /// `code` could not be looked at because of `cause`.
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
