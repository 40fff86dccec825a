//! The parts of the form that are read alone: the declarations, and SIP domains without an Access Edge.

use super::{FieldError, Note, RequestForm, findings::Findings};
use crate::names::SipDomain;

/// What is said where a declaration is missing.
pub(super) const NO_LICENCES: &str =
    "Tick the box to confirm that the people who will connect hold the licences";
pub(super) const NO_MAY_ACT: &str = "Tick the box to confirm that you may act for these domains";

impl RequestForm {
    /// Whether the form declares that the licences are there.
    #[must_use]
    pub fn declares_licences(&self) -> bool {
        self.terms == "on" || self.licences == "on"
    }

    /// Whether the form declares that who sends it may act for the domains.
    #[must_use]
    pub fn declares_may_act(&self) -> bool {
        self.terms == "on" || self.may_act == "on"
    }

    /// The domains of the first box, for a check that finds their Access Edges itself; with what was
    /// normalised or merged.
    ///
    /// # Errors
    ///
    /// All that is wrong with them.
    pub fn domains_alone(&self) -> Result<(Vec<SipDomain>, Vec<Note>), Vec<FieldError>> {
        let mut findings = Findings::default();
        let typed = self.domains.first().map_or("", String::as_str);
        match findings.domains(0, typed) {
            Some((domains, _)) => Ok((domains, findings.notes)),
            None => Err(findings.in_page_order(1)),
        }
    }
}
