//! Reads the values of one line of an export, and says what is wrong with them.
//!
//! What is wrong is told by line, column and kind of fault; a value is never repeated.

use std::{borrow::Cow, fmt};

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};

use super::fields::{Field, words};
use crate::{
    agreement::{AgreementNumber, Programme},
    names::{AccessEdge, SipDomain, split_names},
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

impl Values {
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
    /// digits: `="1234567"`, `'1234567`.
    fn get(&self, field: Field) -> Option<&str> {
        let value = self.0[field as usize].as_deref()?.trim();
        let inner = value
            .strip_prefix("=\"")
            .and_then(|rest| rest.strip_suffix('"'));
        Some(inner.or(value.strip_prefix('\'')).unwrap_or(value).trim())
    }

    /// How many of the fields that a request needs have a value.
    pub(super) fn needed(&self) -> usize {
        let is_there = |&field: &Field| self.get(field).is_some();
        Field::NEEDED.into_iter().filter(is_there).count()
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
        let number = reader.value(Field::Number, None, |text| match AgreementNumber::parse(whole(text)) {
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
            names.extend(split_names(text).map(SipDomain::parse));
            if names.is_empty() {
                Err("is empty".into())
            } else {
                Ok(())
            }
        });
        for error in names.iter().filter_map(|name| name.as_ref().err()) {
            reader.wrong(Field::Domains, error.problem().to_string().into());
        }
        let names: Option<Vec<_>> = names.into_iter().map(Result::ok).collect();
        let deployment = reader.value(Field::Deployment, Some(Deployment::OnPremises), |text| {
            one_of(DEPLOYMENTS, text).ok_or("is neither on-premises nor split".into())
        });
        let submitted_at = reader.value(Field::Submitted, Some(None), |text| {
            date(text, now).map(Some)
        });
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
            Some(text) if text.contains(['@', '＠', '﹫']) => Err(
                "holds an address. No contact information comes in: take it out of the file".into(),
            ),
            Some(text) if is_no_value(text) => Err(
                "holds what a spreadsheet shows in place of a value, like #N/A or ####. Export it again with the value".into(),
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
        "volume licensing, microsoft volume licensing, volume license, vl",
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
    "cancelled, canceled, rejected, withdrawn, expired, deactivated, deleted, closed, failed",
    (),
)];
const DEPLOYMENTS: &Names<Deployment> = &[
    (
        "on premises, on premise, onpremises, on prem, no, false",
        Deployment::OnPremises,
    ),
    ("split, split domain, hybrid, yes, true", Deployment::Split),
];

fn one_of<T: Copy>(names: &Names<T>, text: &str) -> Option<T> {
    let text = words(text);
    let is_it = |(names, _): &&(&str, T)| names.split(", ").any(|name| name == text);
    names.iter().find(is_it).map(|(_, value)| *value)
}

/// Whether this is what a spreadsheet shows in place of a value: `####`, `#N/A`, `#REF!`, `#NAME?`.
fn is_no_value(text: &str) -> bool {
    text == "#N/A" || (text.starts_with('#') && text.ends_with(['#', '!', '?']))
}

/// A number without the `.0` that programs add to whole numbers in a column with gaps.
fn whole(number: &str) -> &str {
    let digits = number.strip_suffix(".0");
    let digits = digits.filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
    digits.unwrap_or(number)
}

/// Whether this is a number as a spreadsheet or a program shows a long one: `1.23457E+14`.
fn is_rounded(number: &str) -> bool {
    let digits = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_digit())
            && text
                .bytes()
                .all(|b| b.is_ascii_digit() || b == b'.' || b == b',')
    };
    let parts = number.split_once(['e', 'E']);
    parts.is_some_and(|(number, power)| {
        digits(number) && digits(power.trim_start_matches(['+', '-']))
    })
}

/// A day or a moment, in UTC unless it says otherwise.
fn date(text: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>, Fault> {
    let moment = DateTime::parse_from_rfc3339(text).map(|at| at.to_utc());
    let plain = [
        "%Y-%m-%d %H:%M:%S%.f",
        "%Y-%m-%dT%H:%M:%S%.f",
        "%Y-%m-%d %H:%M",
    ];
    let plain = plain
        .iter()
        .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok());
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").map(|day| day.and_time(NaiveTime::MIN));
    match moment.ok().or(plain.or(day.ok()).map(|at| at.and_utc())) {
        None => Err("is not a day, or not one that can be read only one way: write it as 2014-03-31, or as 2014-03-31 14:05".into()),
        Some(at) if at > now => Err("lies in the future".into()),
        Some(at) if at.timestamp() < 0 => Err("lies before 1970".into()),
        Some(at) => Ok(at),
    }
}
