//! Writes times so that readers need not calculate with dates.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};

use crate::web::parts::{When, count};

/// A length of time in its largest unit that leaves little out: `48 hours`, `30 days`, `1 minute`.
#[must_use]
pub(crate) fn span(length: Duration) -> String {
    const UNITS: [(u64, &str, &str); 4] = [
        (86_400, "day", "days"),
        (3_600, "hour", "hours"),
        (60, "minute", "minutes"),
        (1, "second", "seconds"),
    ];
    let seconds = length.as_secs();
    let (unit, one, many) = UNITS
        .into_iter()
        // 48 hours read better than 2 days, and 90 minutes better than 1 hour.
        .find(|&(unit, ..)| seconds >= 2 * unit + if unit == 86_400 { unit } else { 0 })
        .or_else(|| UNITS.into_iter().find(|&(unit, ..)| seconds >= unit))
        .unwrap_or((1, "second", "seconds"));
    count(
        usize::try_from(seconds / unit).unwrap_or(usize::MAX),
        one,
        many,
    )
}

/// The time from `from` to `to`; zero when `to` is earlier.
#[must_use]
pub(crate) fn between(from: DateTime<Utc>, to: DateTime<Utc>) -> Duration {
    (to - from).to_std().unwrap_or_default()
}

/// A point in time as seen from `now`, which is the database's time.
#[must_use]
pub(crate) fn when(at: DateTime<Utc>, now: DateTime<Utc>) -> When {
    let relative = if at > now {
        let left = between(now, at);
        if left < Duration::from_mins(1) {
            "in less than a minute".to_owned()
        } else {
            // Just after a submit the promise is 48 hours away, not 47.
            format!("in {}", span(left + left / 100))
        }
    } else {
        let past = between(at, now);
        if past < Duration::from_mins(1) {
            "just now".to_owned()
        } else {
            format!("{} ago", span(past))
        }
    };
    When {
        iso: at.to_rfc3339_opts(SecondsFormat::Secs, true),
        text: at.format("%-d %B %Y at %H:%M UTC").to_string(),
        relative,
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn lengths_of_time_read_well() {
        for (seconds, text) in [
            (0, "0 seconds"),
            (1, "1 second"),
            (60, "60 seconds"),
            (120, "2 minutes"),
            (3_600, "60 minutes"),
            (48 * 3_600, "48 hours"),
            (71 * 3_600, "71 hours"),
            (72 * 3_600, "3 days"),
            (30 * 86_400, "30 days"),
        ] {
            assert_eq!(span(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn moments_are_said_from_here() {
        let now = DateTime::from_timestamp(1_746_453_660, 0).unwrap();
        let said = |seconds| when(now + TimeDelta::seconds(seconds), now).relative;
        assert_eq!(said(0), "just now");
        assert_eq!(said(-7_200), "2 hours ago");
        assert_eq!(said(5), "in less than a minute");
        assert_eq!(said(48 * 3_600), "in 48 hours");
        assert_eq!(said(48 * 3_600 - 3), "in 48 hours");
        assert_eq!(said(47 * 3_600), "in 47 hours");
        assert_eq!(said(30 * 86_400 - 3), "in 30 days");
        let when = when(now, now);
        assert_eq!(when.iso, "2025-05-05T14:01:00Z");
        assert_eq!(when.text, "5 May 2025 at 14:01 UTC");
    }
}
