//! The queue: filters that say which requests are listed, and in which order.
//!
//! The queue is read in the order of submission: pending requests oldest first, so that overdue
//! ones come first; all others newest first. Every filter takes its candidates from an index, a few
//! hundred at a time, and tests no more than [`store::MOST_LOOKED_AT`] of them for a page, so that
//! none takes long among millions; a page that ends there says so and offers to go on.

pub mod search;
pub mod store;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use self::search::Search;
use super::{Mark, StaffId};
use crate::{agreement::Programme, readiness::Code, text_enum::text_enum};

text_enum! {
    /// The stored state to list.
    StateFilter {
        /// In progress.
        Pending = "pending",
        /// Its routes came into force.
        Provisioned = "provisioned",
        /// It ended without its routes in force.
        Rejected = "rejected",
        /// It was withdrawn.
        Withdrawn = "withdrawn",
    }
}

text_enum! {
    /// How long ago a request was submitted, at least.
    Age {
        /// A day.
        Day = "1d",
        /// Two days.
        TwoDays = "2d",
        /// A week.
        Week = "7d",
        /// Two weeks.
        TwoWeeks = "14d",
        /// Four weeks.
        FourWeeks = "28d",
    }
}

impl Age {
    /// The length of time.
    #[must_use]
    pub const fn length(self) -> Duration {
        let days = match self {
            Self::Day => 1,
            Self::TwoDays => 2,
            Self::Week => 7,
            Self::TwoWeeks => 14,
            Self::FourWeeks => 28,
        };
        Duration::from_hours(24 * days)
    }
}

/// The query of the queue as it is in the address: every field is a text, empty for none.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(default)]
pub struct Query {
    /// The text to search for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub q: String,
    /// The state, as in [`StateFilter`].
    #[serde(skip_serializing_if = "String::is_empty")]
    pub state: String,
    /// `on`: the desk's to act on.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub ours: String,
    /// `on`: past the promise.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub overdue: String,
    /// `on`: the administrator must act.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub needs: String,
    /// `on`: in force, and a later check found something that needs fixing.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub risk: String,
    /// The programme, as in [`Programme`].
    #[serde(skip_serializing_if = "String::is_empty")]
    pub programme: String,
    /// The age, as in [`Age`].
    #[serde(skip_serializing_if = "String::is_empty")]
    pub age: String,
    /// The [`Code`] of a finding.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub finding: String,
    /// What staff have noted, as in [`Mark`].
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mark: String,
    /// `on`: taken by who asks.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mine: String,
    /// The id of the last request on the page before.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub after: String,
}

/// Which requests are listed.
#[expect(clippy::struct_excessive_bools, reason = "each is a filter of its own")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// What is searched for, if anything.
    pub search: Option<Search>,
    /// Only requests in this stored state.
    pub state: Option<StateFilter>,
    /// Only requests that are the desk's to act on: in progress, and not waiting for their
    /// administrator, or held by another service's domain for longer than the promise.
    pub ours: bool,
    /// Only requests past the promise.
    pub overdue: bool,
    /// Only requests whose administrator must act.
    pub needs: bool,
    /// Only requests in force and at risk.
    pub risk: bool,
    /// Only requests of this programme.
    pub programme: Option<Programme>,
    /// Only requests that are at least this old.
    pub age: Option<Age>,
    /// Only requests with this finding.
    pub finding: Option<Code>,
    /// Only requests with this mark.
    pub mark: Option<Mark>,
    /// Only requests that this account has taken.
    pub mine: Option<StaffId>,
    /// Only requests after this one, in the order of the list.
    pub after: Option<i64>,
}

/// The query has a value that is none of its filter's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a filter with a value that there is not")]
pub struct UnknownValue;

impl Filter {
    /// The filter that a query stands for. An empty query lists what is the desk's to act on.
    /// `asks` is the account whose list it is.
    ///
    /// # Errors
    ///
    /// [`UnknownValue`].
    pub fn of(query: &Query, asks: StaffId) -> Result<Self, UnknownValue> {
        fn one<T>(text: &str, read: impl Fn(&str) -> Option<T>) -> Result<Option<T>, UnknownValue> {
            if text.is_empty() {
                return Ok(None);
            }
            read(text).map(Some).ok_or(UnknownValue)
        }
        let yes = |text: &str| Ok(one(text, |text| (text == "on").then_some(()))?.is_some());
        let mut filter = Self {
            search: Search::read(&query.q),
            state: one(&query.state, StateFilter::parse)?,
            ours: yes(&query.ours)?,
            overdue: yes(&query.overdue)?,
            needs: yes(&query.needs)?,
            risk: yes(&query.risk)?,
            programme: one(&query.programme, |text| text.parse().ok())?,
            age: one(&query.age, Age::parse)?,
            finding: one(&query.finding, Code::parse)?,
            mark: one(&query.mark, Mark::parse)?,
            mine: yes(&query.mine)?.then_some(asks),
            after: one(&query.after, |text| text.parse().ok())?,
        };
        let all = Self {
            after: filter.after,
            ..Self::default()
        };
        filter.ours |= filter == all;
        if filter.state.is_none() {
            filter.state = if filter.ours || filter.overdue || filter.needs {
                Some(StateFilter::Pending)
            } else if filter.risk {
                Some(StateFilter::Provisioned)
            } else if filter.search.is_none()
                && filter.finding.is_none()
                && filter.mark.is_none()
                && filter.mine.is_none()
            {
                Some(StateFilter::Pending)
            } else {
                None
            };
        }
        Ok(filter)
    }

    /// Whether the oldest come first: for pending requests, unless something is searched for or by what was noted.
    #[must_use]
    pub fn is_oldest_first(&self) -> bool {
        self.state == Some(StateFilter::Pending)
            && self.search.is_none()
            && self.mark.is_none()
            && self.mine.is_none()
    }

    /// Whether all candidates are listed, because no filter leaves any out.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.search.is_none()
            && !(self.ours || self.overdue || self.needs || self.risk)
            && self.programme.is_none()
            && self.age.is_none()
            && self.finding.is_none()
            && self.mark.is_none()
            && self.mine.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(query: &str) -> Result<Filter, UnknownValue> {
        Filter::of(&serde_html_form::from_str(query).unwrap(), StaffId(7))
    }

    #[test]
    fn a_query_is_a_filter_or_refused() {
        assert_eq!(filter("").unwrap().state, Some(StateFilter::Pending));
        assert!(filter("").unwrap().ours && filter("after=7").unwrap().ours);
        assert!(!filter("").unwrap().is_plain());
        assert!(filter("state=pending").unwrap().is_plain());
        assert_eq!(filter("q=contoso.com").unwrap().state, None);
        assert_eq!(filter("finding=srv-port").unwrap().state, None);
        assert_eq!(filter("mine=on").unwrap().mine, Some(StaffId(7)));
        assert_eq!(filter("mark=called").unwrap().state, None);
        assert_eq!(
            filter("overdue=on").unwrap().state,
            Some(StateFilter::Pending)
        );
        assert_eq!(
            filter("risk=on").unwrap().state,
            Some(StateFilter::Provisioned)
        );
        assert_eq!(
            filter("q=+&state=&age=&after=").unwrap(),
            filter("").unwrap()
        );
        for wrong in [
            "state=done",
            "overdue=yes",
            "ours=1",
            "mark=nice",
            "mine=anna",
            "programme=oem",
            "age=3d",
            "finding=rumour",
            "after=x",
        ] {
            assert_eq!(filter(wrong), Err(UnknownValue), "{wrong}");
        }
    }
}
