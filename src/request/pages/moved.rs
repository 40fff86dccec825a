//! The domains that another service took over, for the pages of a request and of a service.

use chrono::{DateTime, Utc};

use super::domain_of;
use crate::{
    names::SipDomain,
    readiness::{Finding, owner::record_name},
    web::{
        parts::{Domain, When},
        when::when,
    },
};

/// The domains of a service that went over to another (`templates/request/moved.html`).
#[derive(Clone, Debug)]
pub struct Moved {
    /// The domains, and when each went; in alphabetical order.
    pub domains: Vec<(Domain, When)>,
    /// The name of the TXT record that moved the first of them.
    pub record: String,
}

impl Moved {
    /// How many domains are listed; the others are counted.
    pub const MOST: usize = 40;

    /// `None` if no domain went.
    pub(crate) fn of(lost: &[(SipDomain, DateTime<Utc>)], now: DateTime<Utc>) -> Option<Self> {
        let (first, _) = lost.first()?;
        let told = lost
            .iter()
            .map(|(domain, at)| (domain_of(domain), when(*at, now)));
        Some(Self {
            domains: told.collect(),
            record: record_name(first.as_fqdn()),
        })
    }
}

/// Whether a finding is about one of the domains that went.
pub(crate) fn has_moved(lost: &[(SipDomain, DateTime<Utc>)], finding: &Finding) -> bool {
    lost.iter()
        .any(|(domain, _)| domain.as_fqdn() == &finding.subject)
}
