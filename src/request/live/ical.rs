//! Writes calendar files (RFC 5545).

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use uuid::Uuid;

use crate::web::shell::NAME;

/// The type of a calendar file.
pub(crate) const KIND: &str = "text/calendar; charset=utf-8";
/// The longest line in octets, without its end (RFC 5545, 3.1).
const LONGEST: usize = 75;
/// How long an entry at a time lasts.
const LENGTH: TimeDelta = TimeDelta::minutes(15);

/// When an entry is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum When {
    /// At this time.
    At(DateTime<Utc>),
    /// At this time, before which something has to be done: the reminder comes a week before.
    Limit(DateTime<Utc>),
    /// From the first day to the last, both of them whole days.
    Days(NaiveDate, NaiveDate),
    /// This day, and the same day of each year after it.
    EachYear(NaiveDate),
}

/// An entry, which blocks no time.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Stays the same while the entry changes.
    pub(crate) id: Uuid,
    /// When it was last changed.
    pub(crate) modified: DateTime<Utc>,
    /// Grows with each change.
    pub(crate) sequence: u32,
    pub(crate) when: When,
    pub(crate) summary: String,
    /// What it is about, in a sentence without its full stop.
    pub(crate) text: String,
    /// The address of the page to go to.
    pub(crate) page: String,
    /// Whether the calendar reminds of it when it begins.
    pub(crate) reminds: bool,
}

/// A calendar with this title and these entries.
pub(crate) fn calendar(title: &str, entries: &[Entry]) -> String {
    let mut file = File::default();
    file.line("BEGIN", "VCALENDAR");
    file.line("VERSION", "2.0");
    file.line("PRODID", &format!("-//pic-portal//{NAME}//EN"));
    file.line("CALSCALE", "GREGORIAN");
    file.line("NAME", &escaped(title));
    // For calendars that subscribe to it.
    file.line("REFRESH-INTERVAL;VALUE=DURATION", "PT1H");
    file.line("X-PUBLISHED-TTL", "PT1H");
    for entry in entries {
        file.entry(entry);
    }
    file.line("END", "VCALENDAR");
    file.0
}

/// The time as `20250505T140100Z`.
fn utc(at: DateTime<Utc>) -> String {
    at.format("%Y%m%dT%H%M%SZ").to_string()
}

/// A text as the value of a property (RFC 5545, 3.3.11).
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | ';' | ',' => escaped.extend(['\\', c]),
            '\n' => escaped.push_str("\\n"),
            c if c.is_control() => {}
            c => escaped.push(c),
        }
    }
    escaped
}

/// The lines of a calendar file.
#[derive(Default)]
struct File(String);

impl File {
    fn entry(&mut self, entry: &Entry) {
        let modified = utc(entry.modified);
        let summary = escaped(&entry.summary);
        self.line("BEGIN", "VEVENT");
        self.line("UID", &entry.id.to_string());
        self.line("DTSTAMP", &modified);
        self.line("LAST-MODIFIED", &modified);
        self.line("SEQUENCE", &entry.sequence.to_string());
        let reminder = match entry.when {
            When::At(at) => {
                self.time(at);
                "PT0S"
            }
            When::Limit(at) => {
                self.time(at);
                "-P7D"
            }
            When::Days(first, last) => self.days(first, last),
            When::EachYear(day) => {
                let reminder = self.days(day, day);
                self.line("RRULE", "FREQ=YEARLY");
                reminder
            }
        };
        self.line("SUMMARY", &summary);
        let text = format!("{}:\n{}", entry.text, entry.page);
        self.line("DESCRIPTION", &escaped(&text));
        self.line("URL;VALUE=URI", &entry.page);
        self.line("CLASS", "PRIVATE");
        self.line("STATUS", "CONFIRMED");
        self.line("TRANSP", "TRANSPARENT");
        if entry.reminds {
            self.line("BEGIN", "VALARM");
            self.line("ACTION", "DISPLAY");
            self.line("TRIGGER", reminder);
            self.line("DESCRIPTION", &summary);
            self.line("END", "VALARM");
        }
        self.line("END", "VEVENT");
    }

    /// Adds a time.
    fn time(&mut self, at: DateTime<Utc>) {
        self.line("DTSTART", &utc(at));
        let until = at.checked_add_signed(LENGTH).unwrap_or(at);
        self.line("DTEND", &utc(until));
    }

    /// Adds whole days; returns when to remind of them: at nine in the morning.
    fn days(&mut self, first: NaiveDate, last: NaiveDate) -> &'static str {
        let date = |day: NaiveDate| day.format("%Y%m%d").to_string();
        self.line("DTSTART;VALUE=DATE", &date(first));
        // The day after the last one (RFC 5545, 3.6.1).
        let end = last.max(first).succ_opt().unwrap_or(last);
        self.line("DTEND;VALUE=DATE", &date(end));
        "PT9H"
    }

    /// Adds a property, folded if it is too long: never inside a character.
    fn line(&mut self, name: &str, value: &str) {
        let mut length = 0;
        for c in name.chars().chain([':']).chain(value.chars()) {
            if length + c.len_utf8() > LONGEST {
                self.0.push_str("\r\n ");
                length = 1;
            }
            self.0.push(c);
            length += c.len_utf8();
        }
        self.0.push_str("\r\n");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_line_is_too_long_and_none_is_lost(value in "\\PC{0,400}") {
            let mut file = File::default();
            file.line("SUMMARY", &value);
            prop_assert!(file.0.ends_with("\r\n"));
            prop_assert!(file.0.split("\r\n").all(|line| line.len() <= LONGEST));
            let unfolded = file.0.trim_end_matches("\r\n").replace("\r\n ", "");
            prop_assert_eq!(unfolded, format!("SUMMARY:{value}"));
        }

        #[test]
        fn a_text_cannot_end_its_property(text in any::<String>()) {
            let escaped = escaped(&text);
            prop_assert!(!escaped.chars().any(char::is_control));
            let plain = escaped.replace("\\\\", "").replace("\\;", "").replace("\\,", "");
            prop_assert!(!plain.contains([';', ',']));
        }
    }

    #[test]
    fn texts_are_escaped() {
        assert_eq!(escaped("a\\b;c,d\ne\r\u{7}"), "a\\\\b\\;c\\,d\\ne");
    }
}
