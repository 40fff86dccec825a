//! Reads the values of one line of an export, and says what is wrong with them.
//!
//! What is wrong is told by line, column and kind of fault; a value is never repeated.

use std::{borrow::Cow, fmt};

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};

use super::fields::{Field, without_brackets, words};
use crate::{
    agreement::{AgreementNumber, Programme},
    names::{AccessEdge, List, NameError, SipDomain},
    request::Deployment,
};

/// How many problems are told of one by one; the others are counted.
const TOLD: usize = 100;
/// The longest number of a request in an old portal, in bytes.
const LONGEST_ID: usize = 200;

/// Something wrong in the file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Line, from 1.
    pub line: u64,
    /// Column, where it is in one.
    pub field: Option<Field>,
    /// The kind of fault, and what to do; nothing of what stands there.
    pub fault: Cow<'static, str>,
}

impl Problem {
    pub(super) fn new(
        line: u64,
        field: impl Into<Option<Field>>,
        fault: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            line,
            field: field.into(),
            fault: fault.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)?;
        if let Some(field) = self.field {
            write!(f, ", column {}", field.as_str())?;
        }
        write!(f, ": {}", self.fault)
    }
}

/// Everything wrong in the file.
#[derive(Debug, Default)]
pub struct Problems {
    told: Vec<Problem>,
    untold: u64,
}

impl Problems {
    pub(super) fn add(&mut self, problem: Problem) {
        if self.told.len() < TOLD {
            self.told.push(problem);
        } else {
            self.untold += 1;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.told.is_empty()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told: Vec<_> = self.told.iter().collect();
        told.sort();
        for problem in told {
            writeln!(f, "{problem}")?;
        }
        if self.untold > 0 {
            writeln!(f, "... and {} more", self.untold)?;
        }
        write!(f, "Nothing was imported. Mend the file, and run this again")
    }
}

/// The fields of one line as text; what is empty is not there.
#[derive(Default)]
pub(super) struct Values([Option<String>; Field::ALL.len()]);

/// A line that is right.
pub(super) struct Row {
    pub(super) line: u64,
    pub(super) id: Option<String>,
    pub(super) programme: Programme,
    pub(super) number: AgreementNumber,
    pub(super) edge: AccessEdge,
    pub(super) domains: Vec<SipDomain>,
    pub(super) deployment: Deployment,
    /// Whether its routes are in force; else it is in progress.
    pub(super) provisioned: bool,
    pub(super) submitted_at: Option<DateTime<Utc>>,
}

type Fault = Cow<'static, str>;

/// Quotation marks that programs and people write.
const QUOTES: [(char, char); 5] = [
    ('"', '"'),
    ('\'', '\''),
    ('\u{201c}', '\u{201d}'),
    ('\u{201e}', '\u{201c}'),
    ('\u{ab}', '\u{bb}'),
];

impl Values {
    /// Whether the field has a value.
    pub(super) fn has(&self, field: Field) -> bool {
        self.get(field).is_some()
    }

    /// These, and what `around` has of the fields that are empty here.
    pub(super) fn within(mut self, around: &Self) -> Self {
        for (own, outer) in self.0.iter_mut().zip(&around.0) {
            if own.is_none() {
                own.clone_from(outer);
            }
        }
        self
    }

    /// Takes the value of a field; says whether it was the first.
    pub(super) fn set(&mut self, field: Field, value: &str) -> bool {
        let place = &mut self.0[field as usize];
        let first = place.is_none();
        if !value.trim().is_empty() {
            *place = Some(value.to_owned());
        }
        first
    }

    /// The value of a field, without what people write around it so that a spreadsheet keeps its
    /// digits (`="1234567"`, `'1234567`), and without quotation marks that are not CSV's. A database
    /// writes `NULL` for none.
    fn get(&self, field: Field) -> Option<&str> {
        let value = self.0[field as usize].as_deref()?.trim();
        let value = value.strip_prefix('=').unwrap_or(value);
        let inside = |(open, close): (char, char)| value.strip_prefix(open)?.strip_suffix(close);
        let inner = QUOTES.into_iter().find_map(inside);
        let inner = inner.or(value.strip_prefix('\'')).unwrap_or(value).trim();
        let is_none = inner.eq_ignore_ascii_case("null") || inner == "\\N";
        (!is_none && !inner.is_empty()).then_some(inner)
    }

    /// How many of the fields that a request needs have a value.
    pub(super) fn needed(&self) -> usize {
        Field::NEEDED
            .into_iter()
            .filter(|&field| self.has(field))
            .count()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    /// Whether the request is over: nothing else of it is looked at.
    pub(super) fn is_over(&self) -> bool {
        self.get(Field::State)
            .is_some_and(|state| one_of(OVER, state).is_some())
    }

    /// Reads the line that begins at `line`; `problems` learns what is wrong. Each field is looked at,
    /// whatever is wrong with the others. `numbers_checked`: an agreement number may have as many digits
    /// as a telephone number.
    pub(super) fn read(
        &self,
        line: u64,
        now: DateTime<Utc>,
        numbers_checked: bool,
        problems: &mut Problems,
    ) -> Option<Row> {
        let mut reader = Reader {
            line,
            values: self,
            problems,
        };
        let provisioned = reader.value(Field::State, Some(false), |text| {
            one_of(STATES, text).ok_or("is not a state that is known: activated, in progress, or one that is over (rejected, cancelled, ...)".into())
        });
        let id = reader.value(Field::Id, Some(None), |text| match text.len() {
            0..=LONGEST_ID => Ok(Some(text.to_owned())),
            _ => Err("is longer than 200 bytes".into()),
        });
        let programme = reader.value(Field::Programme, None, |text| {
            one_of(PROGRAMMES, text).ok_or("is none of the four programmes: Volume Licensing, Partner Network, Service Provider (SPLA), High Volume".into())
        });
        let number = reader.value(Field::Number, None, |text| match AgreementNumber::parse(&whole(text)) {
            Ok(number) if number.could_be_telephone() && !numbers_checked => {
                Err("has as many digits as a telephone number. No contact information comes in: take it out of the file, or, if all such numbers were checked and are agreement numbers, add --numbers-checked".into())
            }
            Err(_) if is_rounded(text) => {
                Err("was rounded by a spreadsheet, which shows it like 1.23457E+14, and its last digits are gone. Make the column text in what it comes from, and export it again".into())
            }
            read => read.map_err(|problem| problem.to_string().into()),
        });
        let edge = reader.value(Field::Edge, None, |text| {
            AccessEdge::parse(text).map_err(|error| error.problem().to_string().into())
        });
        let mut names = Vec::new();
        let domains = reader.value(Field::Domains, None, |text| {
            names = listed(text)?;
            Ok(())
        });
        for error in names.iter().filter_map(|name| name.as_ref().err()) {
            reader.wrong(Field::Domains, error.problem().to_string().into());
        }
        let names: Option<Vec<_>> = names.into_iter().map(Result::ok).collect();
        let deployment = reader.value(Field::Deployment, Some(Deployment::OnPremises), |text| {
            one_of(DEPLOYMENTS, text).ok_or("is neither on-premises nor split".into())
        });
        let submitted_at = reader.value(Field::Submitted, Some(None), |text| date(text, now));
        Some(Row {
            line,
            id: id?,
            programme: programme?,
            number: number?,
            edge: edge?,
            domains: domains.and(names)?,
            deployment: deployment?,
            provisioned: provisioned?,
            submitted_at: submitted_at?,
        })
    }
}

struct Reader<'a> {
    line: u64,
    values: &'a Values,
    problems: &'a mut Problems,
}

impl Reader<'_> {
    fn wrong(&mut self, field: Field, fault: Fault) {
        self.problems.add(Problem::new(self.line, field, fault));
    }

    /// The value of a field, which must have no address in it, or what it is where it is `empty`;
    /// `None`: it is wrong.
    fn value<T>(
        &mut self,
        field: Field,
        empty: Option<T>,
        read: impl FnOnce(&str) -> Result<T, Fault>,
    ) -> Option<T> {
        let value = match self.values.get(field) {
            None => empty.ok_or("is empty".into()),
            Some(text) if has_address(field, text) => Err(
                "holds an address. No contact information comes in: take it out of the file".into(),
            ),
            Some(text) if is_no_value(text) => Err(
                "holds what a spreadsheet shows in place of a value, like #N/A or ####. Export it again with the value".into(),
            ),
            Some(text) if is_type_name(text) => Err(
                "holds the name of a type, which PowerShell writes in place of an object or a list. Export the text: -join for a list, the property itself for an object".into(),
            ),
            Some(text) => read(text),
        };
        value.map_err(|fault| self.wrong(field, fault)).ok()
    }
}

/// Names of values, with commas, and the values.
type Names<T> = [(&'static str, T)];

const PROGRAMMES: &Names<Programme> = &[
    (
        "volume licensing, microsoft volume licensing, volume license, volume licence, vl",
        Programme::VolumeLicensing,
    ),
    (
        "partner network, microsoft partner network, mpn",
        Programme::PartnerNetwork,
    ),
    (
        "service provider, service provider license agreement, service provider licensing agreement, \
         service provider licensing agreement spla, spla",
        Programme::ServiceProvider,
    ),
    (
        "high volume, high volume services, hvs",
        Programme::HighVolume,
    ),
];
/// Whether the routes are in force.
const STATES: &Names<bool> = &[
    (
        "activated, active, provisioned, complete, completed, in force",
        true,
    ),
    ("in progress, pending, submitted, new, open", false),
];
const OVER: &Names<()> = &[(
    "cancelled, canceled, rejected, denied, declined, withdrawn, expired, deactivated, terminated, deleted, \
     closed, failed",
    (),
)];
const DEPLOYMENTS: &Names<Deployment> = &[
    (
        "on premises, on premise, onpremises, on prem, no, false",
        Deployment::OnPremises,
    ),
    ("split, split domain, hybrid, yes, true", Deployment::Split),
];

/// The value with this name, or with the name that is left without what stands in brackets.
fn one_of<T: Copy>(names: &Names<T>, text: &str) -> Option<T> {
    let value_of = |text: &str| {
        let text = words(text);
        let is_it = |(names, _): &&(&str, T)| names.split(", ").any(|name| name == text);
        names.iter().find(is_it).map(|(_, value)| *value)
    };
    value_of(text).or_else(|| value_of(&without_brackets(text)))
}

/// The names of a list, however a program or a person writes it: `{a, b}`, `["a","b"]`, `a|b`, `a and b`,
/// with bullets or numbers in front. `SharePoint` puts `;#` between values, each with its number in a list behind it.
/// No name is left out that stands in a note.
fn listed(text: &str) -> Result<Vec<Result<SipDomain, NameError>>, Fault> {
    let is_bracket = |c: char| matches!(c, '{' | '}' | '[' | ']');
    let is_number = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let parts: Vec<_> = text.split(";#").filter(|part| !is_number(part)).collect();
    let text = parts.join("\n").replace(is_bracket, ",");
    let list = List::read(&text);
    if list
        .left_out
        .iter()
        .any(|piece| !piece.is_word() && !piece.is_number())
    {
        return Err("has a note beside the names, with a name in it. Leave the SIP domains there, and nothing else".into());
    }
    let names: Vec<_> = list
        .names
        .iter()
        .map(|it| SipDomain::parse(it.text))
        .collect();
    if names.is_empty() {
        return Err("is empty".into());
    }
    Ok(names)
}

/// Whether there is an address of a person in a value: a sign `@`; among domains one with something in
/// front of it, since alone in front of a domain it is none.
fn has_address(field: Field, text: &str) -> bool {
    let mut signs = text.match_indices(['@', '\u{ff20}', '\u{fe6b}']);
    signs.any(|(at, _)| {
        let before = text[..at].chars().next_back();
        field != Field::Domains
            || before.is_some_and(|c| !c.is_whitespace() && !",;|'\"{[".contains(c))
    })
}

/// Whether this is what PowerShell writes of what has no text: `System.String[]`, `@{Domain=contoso.com}`,
/// `Microsoft.Rtc.Management.WritableConfig.Settings.Edge.DomainPattern`.
fn is_type_name(text: &str) -> bool {
    let text = text.strip_prefix("Deserialized.").unwrap_or(text);
    text.starts_with("@{")
        || text.starts_with("System.") && text.contains(['[', '`'])
        || text.starts_with("System.Collections.")
        || text.starts_with("Microsoft.Rtc.")
        || text.starts_with("Microsoft.Skype.")
}

/// Whether this is what a spreadsheet shows in place of a value: `####`, `#N/A`, `#REF!`, `#NAME?`.
fn is_no_value(text: &str) -> bool {
    text == "#N/A" || (text.starts_with('#') && text.ends_with(['#', '!', '?']))
}

/// A number without the `.0` or `.00` that programs add to whole numbers, and without the commas
/// between its thousands.
fn whole(number: &str) -> Cow<'_, str> {
    let digits = number.trim_end_matches('0').strip_suffix('.');
    let digits = digits.unwrap_or(number);
    let are_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let mut parts = digits.split(',');
    let begins = parts
        .next()
        .is_some_and(|part| (1..=3).contains(&part.len()) && are_digits(part));
    if digits.contains(',') && begins && parts.all(|part| part.len() == 3 && are_digits(part)) {
        return digits.replace(',', "").into();
    }
    if are_digits(digits) {
        digits.into()
    } else {
        number.into()
    }
}

/// Whether this is a number as a spreadsheet or a program shows a long one: `1.23457E+14`.
fn is_rounded(number: &str) -> bool {
    let digits = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_digit())
            && text
                .bytes()
                .all(|b| b.is_ascii_digit() || b == b'.' || b == b',')
    };
    let number = number.replace(' ', "");
    let parts = number.split_once(['e', 'E']);
    parts.is_some_and(|(number, power)| {
        digits(number) && digits(power.trim_start_matches(['+', '-']))
    })
}

/// Days, as programs and people write them that can be read one way alone. `%B` is a month's short name too.
const DAYS: [&str; 6] = [
    "%Y-%m-%d",
    "%Y%m%d",
    "%d-%B-%Y",
    "%d %B %Y",
    "%B %d %Y",
    "%A %B %d %Y",
];
/// What may stand behind a day.
const TIMES: [&str; 6] = [
    " %H:%M:%S%.f",
    "T%H:%M:%S%.f",
    " %H:%M",
    "T%H:%M",
    " %I:%M:%S %p",
    " %I:%M %p",
];
/// Behind a time.
const OFFSETS: [&str; 2] = ["%#z", " %#z"];

/// A day or a moment, in UTC unless it says otherwise; `None` for a dash, which stands for no day.
fn date(text: &str, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, Fault> {
    if matches!(text, "-" | "\u{2013}" | "\u{2014}") {
        return Ok(None);
    }
    match moment(text)? {
        at if at > now => Err("lies in the future".into()),
        at if at.timestamp() < 0 => Err("lies before 1970".into()),
        at => Ok(Some(at)),
    }
}

fn moment(text: &str) -> Result<DateTime<Utc>, Fault> {
    // Windows PowerShell's JSON: milliseconds since 1970.
    let since = text
        .strip_prefix("/Date(")
        .and_then(|it| it.strip_suffix(")/"));
    let since = since.and_then(|since| DateTime::from_timestamp_millis(since.parse().ok()?));
    let text = year_first(text)?.replace(", ", " ");
    let text = text.strip_suffix(" UTC").unwrap_or(&text);
    let with_times = || {
        DAYS.iter()
            .flat_map(|day| TIMES.map(|time| format!("{day}{time}")))
    };
    let with_offset = || {
        let mut all = with_times().flat_map(|it| OFFSETS.map(|offset| format!("{it}{offset}")));
        all.find_map(|form| DateTime::parse_from_str(text, &form).ok())
    };
    let plain = || {
        let mut days = DAYS.iter();
        let day = days.find_map(|form| NaiveDate::parse_from_str(text, form).ok());
        let day = day.map(|day| day.and_time(NaiveTime::MIN));
        let mut times = with_times();
        day.or_else(|| times.find_map(|form| NaiveDateTime::parse_from_str(text, &form).ok()))
    };
    since
        .or_else(|| plain().map(|at| at.and_utc()))
        .or_else(|| {
            DateTime::parse_from_rfc3339(text)
                .ok()
                .map(|at| at.to_utc())
        })
        .or_else(|| with_offset().map(|at| at.to_utc()))
        .ok_or_else(|| {
            "is not a day that can be read: write it as 2014-03-31, or as 2014-03-31 14:05".into()
        })
}

/// The text with the year in front, where it begins with a day in numbers: `31.03.2014`, `3/31/2014`. Of
/// two numbers that may both be a month nobody knows which is.
fn year_first(text: &str) -> Result<Cow<'_, str>, Fault> {
    let end = text.find([' ', 'T']).unwrap_or(text.len());
    let (numbers, time) = text.split_at(end);
    let parts: Vec<_> = numbers.split(['.', '/', '-']).collect();
    let value = |text: &str| text.parse::<u32>().ok();
    let [Some(first), Some(second), Some(third)] = [0, 1, 2].map(|at| value(parts.get(at)?)) else {
        return Ok(text.into());
    };
    let (year, month, day) = match (parts[0].len(), parts[2].len()) {
        _ if parts.len() > 3 => return Ok(text.into()),
        (4, _) => (first, second, third),
        (_, 4) if first > 12 || first == second => (third, second, first),
        (_, 4) if second > 12 => (third, first, second),
        (_, 4) => {
            return Err(
                "can be read as two days: write it as 2014-03-31, or as 2014-03-31 14:05".into(),
            );
        }
        _ => return Ok(text.into()),
    };
    Ok(format!("{year}-{month:02}-{day:02}{time}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_all_spellings_are_read() {
        for (name, programme) in [
            ("Service Provider (SPLA)", Programme::ServiceProvider),
            ("Partner Network (MPN)", Programme::PartnerNetwork),
            ("High Volume Services (HVS)", Programme::HighVolume),
            (
                "Service Provider License Agreement (SPLA)",
                Programme::ServiceProvider,
            ),
            ("microsoft volume licensing", Programme::VolumeLicensing),
        ] {
            assert_eq!(one_of(PROGRAMMES, name), Some(programme), "{name}");
        }
        for (number, digits) in [
            ("1,234,567", "1234567"),
            ("1234567.00", "1234567"),
            ("1000", "1000"),
            ("12,34", "12,34"),
            ("A1.0", "A1.0"),
        ] {
            assert_eq!(whole(number), digits);
        }
    }

    #[test]
    fn days_that_can_be_read_one_way_alone_are_read() {
        let now = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let at = |text| date(text, now).map(|at| at.unwrap().to_rfc3339());
        for (text, read) in [
            ("2014-03-31", "2014-03-31T00:00:00+00:00"),
            ("2014/03/31", "2014-03-31T00:00:00+00:00"),
            ("2014/03/31 14:05", "2014-03-31T14:05:00+00:00"),
            ("2014-03-31T14:05", "2014-03-31T14:05:00+00:00"),
            ("2014-03-31T14:05:06+0100", "2014-03-31T13:05:06+00:00"),
            ("2014-03-31 14:05:06.7+02", "2014-03-31T12:05:06.700+00:00"),
            ("2014-03-31 14:05:06 +0200", "2014-03-31T12:05:06+00:00"),
            ("2014-03-31 14:05:06 +0000 UTC", "2014-03-31T14:05:06+00:00"),
            ("2014-03-31 12:05 AM", "2014-03-31T00:05:00+00:00"),
            ("2014-3-1", "2014-03-01T00:00:00+00:00"),
            ("20140331", "2014-03-31T00:00:00+00:00"),
            ("31.03.2014", "2014-03-31T00:00:00+00:00"),
            ("31.3.2014 14:05", "2014-03-31T14:05:00+00:00"),
            ("3/31/2014 2:05:06 PM", "2014-03-31T14:05:06+00:00"),
            ("31/03/2014", "2014-03-31T00:00:00+00:00"),
            ("4/4/2014", "2014-04-04T00:00:00+00:00"),
            ("31-Mar-2014", "2014-03-31T00:00:00+00:00"),
            ("31 March 2014", "2014-03-31T00:00:00+00:00"),
            ("Mar 31, 2014", "2014-03-31T00:00:00+00:00"),
            ("Monday, March 31, 2014", "2014-03-31T00:00:00+00:00"),
            ("/Date(1396224000000)/", "2014-03-31T00:00:00+00:00"),
        ] {
            assert_eq!(at(text).as_deref(), Ok(read), "{text}");
        }
        for text in ["03/04/2014", "3.4.2014 10:00", "10-11-2014"] {
            let fault = at(text).unwrap_err();
            assert!(fault.starts_with("can be read as two days"), "{text}");
        }
        let none = [
            "2014",
            "41729",
            "31.03.14",
            "31.02.2014",
            "13/13/2014",
            "1.2.3.2014",
            "31 Mars 2014",
            "Tuesday, March 31, 2014",
            "/Date(x)/",
        ];
        for text in none {
            let fault = at(text).unwrap_err();
            assert!(fault.starts_with("is not a day"), "{text}");
        }
        assert_eq!(date("-", now), Ok(None));
    }

    #[test]
    fn lists_are_read_as_programs_write_them() {
        for list in [
            "a.example b.example",
            "{a.example, b.example}",
            "[\"a.example\",\"b.example\"]",
            "a.example|b.example",
            "a.example and b.example",
            "\u{2022} a.example\n\u{2022} b.example",
            "1. a.example\n2. b.example",
            "a.example / b.example",
            "a.example<br>b.example",
            "a.example;#12;#b.example;#13",
            ";#a.example;#b.example;#",
            "@a.example, @b.example",
            "a.example (main)\nb.example (since 2012)",
        ] {
            let names = listed(list).unwrap().into_iter();
            let names: Vec<_> = names.map(|name| name.unwrap().to_string()).collect();
            assert_eq!(names, ["a.example", "b.example"], "{list}");
        }
        for list in ["a.example # not b.example", "a.example (was b.example)"] {
            let is_read = listed(list).is_ok_and(|names| names.iter().all(Result::is_ok));
            assert!(!is_read, "{list}");
        }
    }

    #[test]
    fn an_address_has_something_in_front_of_its_sign() {
        for text in [
            "ann@a.example",
            "a.example, ann\u{ff20}a.example",
            "<ann@a.example>",
        ] {
            assert!(has_address(Field::Domains, text), "{text}");
        }
        for text in [
            "@a.example",
            "a.example, @b.example",
            "\"@a.example\"",
            "a.example",
        ] {
            assert!(!has_address(Field::Domains, text), "{text}");
            let is_sign = text.contains('@');
            assert_eq!(has_address(Field::Id, text), is_sign, "{text}");
        }
    }
}
