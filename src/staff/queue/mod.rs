//! Which requests are there, and which of them are meant?
//!
//! The queue is read in the order of submission: what is pending oldest first, so that what is
//! overdue comes first; all else newest first. Every filter takes its candidates from an index, a
//! few hundred at a time, and looks at no more than [`store::MOST_LOOKED_AT`] of them for a page, so
//! that none takes long among millions; a page that ends there says so and offers to look on.

pub mod search;
pub mod store;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use self::search::Search;
use crate::{agreement::Programme, named::named, readiness::Code};

named! {
    /// The stored state that is asked for.
    StateFilter {
        /// In progress.
        Pending = "pending",
        /// Its routes came into force.
        Provisioned = "provisioned",
        /// It ended without its routes.
        Rejected = "rejected",
        /// It was taken back.
        Withdrawn = "withdrawn",
    }
}

named! {
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
    /// The time itself.
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

/// The query of the queue as it stands in the address: every field a text, empty for none.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(default)]
pub struct Query {
    /// What is searched for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub q: String,
    /// [`StateFilter`].
    #[serde(skip_serializing_if = "String::is_empty")]
    pub state: String,
    /// Past the promise: `on`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub overdue: String,
    /// The administrator must act: `on`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub needs: String,
    /// In force, and a later check found something to mend: `on`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub risk: String,
    /// [`Programme`].
    #[serde(skip_serializing_if = "String::is_empty")]
    pub programme: String,
    /// [`Age`].
    #[serde(skip_serializing_if = "String::is_empty")]
    pub age: String,
    /// [`Code`] of a finding.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub finding: String,
    /// The last request of the page before.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub after: String,
}

/// Which requests are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// What is searched for; `None`: nothing.
    pub search: Option<Search>,
    /// The stored state.
    pub state: Option<StateFilter>,
    /// Past the promise.
    pub overdue: bool,
    /// The administrator must act.
    pub needs: bool,
    /// In force and at risk.
    pub risk: bool,
    /// Licensing programme.
    pub programme: Option<Programme>,
    /// At least so old.
    pub age: Option<Age>,
    /// Has this finding.
    pub finding: Option<Code>,
    /// Beyond this request.
    pub after: Option<i64>,
}

/// A query with a value that is none of its filter's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a filter with a value that there is not")]
pub struct UnknownValue;

impl Filter {
    /// The filter that a query stands for. Without anything: what is pending.
    ///
    /// # Errors
    ///
    /// [`UnknownValue`].
    pub fn of(query: &Query) -> Result<Self, UnknownValue> {
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
            overdue: yes(&query.overdue)?,
            needs: yes(&query.needs)?,
            risk: yes(&query.risk)?,
            programme: one(&query.programme, |text| text.parse().ok())?,
            age: one(&query.age, Age::parse)?,
            finding: one(&query.finding, Code::parse)?,
            after: one(&query.after, |text| text.parse().ok())?,
        };
        if filter.state.is_none() {
            filter.state = if filter.overdue || filter.needs {
                Some(StateFilter::Pending)
            } else if filter.risk {
                Some(StateFilter::Provisioned)
            } else if filter.search.is_none() && filter.finding.is_none() {
                Some(StateFilter::Pending)
            } else {
                None
            };
        }
        Ok(filter)
    }

    /// Oldest first: what is pending, unless something is searched for.
    #[must_use]
    pub fn is_oldest_first(&self) -> bool {
        self.state == Some(StateFilter::Pending) && self.search.is_none()
    }

    /// The candidates are what is meant: nothing is left out of them.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.search.is_none()
            && !(self.overdue || self.needs || self.risk)
            && self.programme.is_none()
            && self.age.is_none()
            && self.finding.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(query: &str) -> Result<Filter, UnknownValue> {
        Filter::of(&serde_html_form::from_str(query).unwrap())
    }

    #[test]
    fn a_query_is_a_filter_or_refused() {
        assert_eq!(filter("").unwrap().state, Some(StateFilter::Pending));
        assert!(filter("").unwrap().is_plain());
        assert_eq!(filter("q=contoso.com").unwrap().state, None);
        assert_eq!(filter("finding=srv-port").unwrap().state, None);
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
            "programme=oem",
            "age=3d",
            "finding=rumour",
            "after=x",
        ] {
            assert_eq!(filter(wrong), Err(UnknownValue), "{wrong}");
        }
    }
}
