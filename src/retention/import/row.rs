//! Reads the values of one line of an export, and says what is wrong with them.
//!
//! What is wrong is told by line, column and kind of fault; a value is never repeated.

use std::{borrow::Cow, fmt};

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};

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

impl Values {
    pub(super) fn clear(&mut self) {
        *self = Self::default();
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

    /// How many of the fields that a request needs have a value.
    pub(super) fn needed(&self) -> usize {
        let is_there = |&field: &Field| self.get(field).is_some();
        Field::NEEDED.into_iter().filter(is_there).count()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    fn get(&self, field: Field) -> Option<&str> {
        self.0[field as usize].as_deref()
    }
}

/// How a request stood in the old portal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OldState {
    Activated,
    InProgress,
    /// Rejected, cancelled: it does not come over.
    Over,
}

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

/// What a line turned out to be.
pub(super) enum Read {
    /// Right.
    Row(Box<Row>),
    /// Of a request that is over: nothing else of it was looked at.
    Over,
    /// Wrong, which the problems tell.
    Wrong,
}

/// Reads a line; `problems` learns what is wrong. `numbers_checked`: an agreement number may have as many
/// digits as a telephone number.
pub(super) fn read(
    line: u64,
    values: &Values,
    now: DateTime<Utc>,
    numbers_checked: bool,
    problems: &mut Problems,
) -> Read {
    let mut reader = Reader {
        line,
        values,
        numbers_checked,
        problems,
    };
    let state = reader.optional(Field::State, OldState::InProgress, old_state);
    if state == Some(OldState::Over) {
        return Read::Over;
    }
    let provisioned = state.map(|state| state == OldState::Activated);
    let row = reader.rest(provisioned, now);
    row.map_or(Read::Wrong, |row| Read::Row(Box::new(row)))
}

type Fault = Cow<'static, str>;

struct Reader<'a> {
    line: u64,
    values: &'a Values,
    numbers_checked: bool,
    problems: &'a mut Problems,
}

impl Reader<'_> {
    /// Everything but the state; each field is looked at, whatever is wrong with the others.
    fn rest(&mut self, provisioned: Option<bool>, now: DateTime<Utc>) -> Option<Row> {
        let reader = self;
        let id = reader.optional(Field::Id, None, |text| {
            let text = text.trim();
            (text.len() <= LONGEST_ID)
                .then(|| Some(text.to_owned()))
                .ok_or("is longer than 200 bytes".into())
        });
        let programme = reader.required(Field::Programme, old_programme);
        let numbers_checked = reader.numbers_checked;
        let number = reader.required(Field::Number, |text| match AgreementNumber::parse(whole(text)) {
            Err(_) if is_rounded(text) => {
                Err("was rounded by a spreadsheet, which shows it like 1.23457E+14, and its last digits are gone. Make the column text in what it comes from, and export it again".into())
            }
            Ok(number) if number.could_be_telephone() && !numbers_checked => {
                Err("has as many digits as a telephone number. No contact information comes in: take it out of the file, or, if all such numbers were checked and are agreement numbers, add --numbers-checked".into())
            }
            read => read.map_err(|problem| problem.to_string().into()),
        });
        let edge = reader.required(Field::Edge, |text| {
            AccessEdge::parse(text).map_err(|error| error.problem().to_string().into())
        });
        let domains = reader.domains();
        let deployment = reader.optional(Field::Deployment, Deployment::OnPremises, old_deployment);
        let submitted_at =
            reader.optional(Field::Submitted, None, |text| date(text, now).map(Some));
        Some(Row {
            line: reader.line,
            id: id?,
            programme: programme?,
            number: number?,
            edge: edge?,
            domains: domains?,
            deployment: deployment?,
            provisioned: provisioned?,
            submitted_at: submitted_at?,
        })
    }

    fn wrong(&mut self, field: Field, fault: impl Into<Fault>) {
        self.problems.add(Problem::new(self.line, field, fault));
    }

    /// The value of a field, which must have no address in it; `None`: it is wrong.
    fn optional<T>(
        &mut self,
        field: Field,
        default: T,
        read: impl FnOnce(&str) -> Result<T, Fault>,
    ) -> Option<T> {
        let Some(value) = self.values.get(field) else {
            return Some(default);
        };
        let value = plain(value);
        let read = if value.contains(['@', '＠', '﹫']) {
            Err("holds an address. No contact information comes in: take it out of the file".into())
        } else if value.starts_with('#') {
            Err("holds what a spreadsheet shows in place of a value, like #N/A or ####. Export it again with the value".into())
        } else {
            read(value)
        };
        read.map_err(|fault| self.wrong(field, fault)).ok()
    }

    fn required<T>(
        &mut self,
        field: Field,
        read: impl FnOnce(&str) -> Result<T, Fault>,
    ) -> Option<T> {
        if self.values.get(field).is_none() {
            self.wrong(field, "is empty");
            return None;
        }
        self.optional(field, None, |text| read(text).map(Some))?
    }

    fn domains(&mut self) -> Option<Vec<SipDomain>> {
        let mut faults = Vec::new();
        let domains = self.required(Field::Domains, |text| {
            let mut domains = Vec::new();
            for name in split_names(text) {
                match SipDomain::parse(name) {
                    Ok(domain) => domains.push(domain),
                    Err(error) => faults.push(error.problem()),
                }
            }
            if domains.is_empty() && faults.is_empty() {
                return Err("is empty".into());
            }
            Ok(domains)
        });
        for fault in &faults {
            self.wrong(Field::Domains, fault.to_string());
        }
        domains.filter(|_| faults.is_empty())
    }
}

/// A value without what people write around it so that a spreadsheet keeps its digits: `="1234567"`,
/// `'1234567`.
fn plain(value: &str) -> &str {
    let value = value.trim();
    let inner = value
        .strip_prefix("=\"")
        .and_then(|rest| rest.strip_suffix('"'));
    inner
        .unwrap_or_else(|| value.strip_prefix('\'').unwrap_or(value))
        .trim()
}

/// A number without the `.0` that programs add to whole numbers in a column with gaps.
fn whole(number: &str) -> &str {
    let digits = number.strip_suffix(".0");
    let digits = digits.filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
    digits.unwrap_or(number)
}

/// Whether this is a number as a spreadsheet or a program shows a long one: `1.23457E+14`.
fn is_rounded(number: &str) -> bool {
    let Some((digits, power)) = number.split_once(['e', 'E']) else {
        return false;
    };
    let power = power.strip_prefix(['+', '-']).unwrap_or(power);
    let all = |text: &str, more: &[u8]| {
        text.bytes()
            .all(|b| b.is_ascii_digit() || more.contains(&b))
    };
    !digits.is_empty() && !power.is_empty() && all(digits, b".,") && all(power, b"")
}

fn old_programme(text: &str) -> Result<Programme, Fault> {
    match words(text).as_str() {
        "volume licensing" | "microsoft volume licensing" | "volume license" | "vl" => {
            Ok(Programme::VolumeLicensing)
        }
        "partner network" | "microsoft partner network" | "mpn" => Ok(Programme::PartnerNetwork),
        "service provider"
        | "service provider license agreement"
        | "service provider licensing agreement"
        | "service provider licensing agreement spla"
        | "spla" => Ok(Programme::ServiceProvider),
        "high volume" | "high volume services" | "hvs" => Ok(Programme::HighVolume),
        _ => Err("is none of the four programmes: Volume Licensing, Partner Network, Service Provider (SPLA), High Volume".into()),
    }
}

fn old_state(text: &str) -> Result<OldState, Fault> {
    match words(text).as_str() {
        "activated" | "active" | "provisioned" | "complete" | "completed" | "in force" => {
            Ok(OldState::Activated)
        }
        "in progress" | "pending" | "submitted" | "new" | "open" => Ok(OldState::InProgress),
        "cancelled" | "canceled" | "rejected" | "withdrawn" | "expired" | "deactivated"
        | "deleted" | "closed" | "failed" => Ok(OldState::Over),
        _ => Err("is not a state that is known: activated, in progress, or one that is over (rejected, cancelled, ...)".into()),
    }
}

fn old_deployment(text: &str) -> Result<Deployment, Fault> {
    match words(text).as_str() {
        "on premises" | "on premise" | "onpremises" | "on prem" | "no" | "false" => {
            Ok(Deployment::OnPremises)
        }
        "split" | "split domain" | "hybrid" | "yes" | "true" => Ok(Deployment::Split),
        _ => Err("is neither on-premises nor split".into()),
    }
}

/// A day or a moment, in UTC unless it says otherwise.
fn date(text: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>, Fault> {
    let text = text.trim();
    let moment = DateTime::parse_from_rfc3339(text).map(|at| at.to_utc());
    let moment = moment.or_else(|_| {
        let plain = [
            "%Y-%m-%d %H:%M:%S%.f",
            "%Y-%m-%dT%H:%M:%S%.f",
            "%Y-%m-%d %H:%M",
        ]
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok());
        plain.map(|at| at.and_utc()).ok_or(())
    });
    let moment = moment.or_else(|()| {
        let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").map_err(|_| ())?;
        Ok::<_, ()>(day.and_time(chrono::NaiveTime::MIN).and_utc())
    });
    match moment {
        Err(()) => {
            Err("is not a day, or not one that can be read only one way: write it as 2014-03-31, or as 2014-03-31 14:05".into())
        }
        Ok(at) if at > now => Err("lies in the future".into()),
        Ok(at) if at.timestamp() < 0 => Err("lies before 1970".into()),
        Ok(at) => Ok(at),
    }
}
